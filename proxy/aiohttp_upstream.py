"""AiohttpUpstream: providers reached with aiohttp's client."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp

from proxy.clock import Clock
from proxy.errors import log
from proxy.upstream import Answer, Broken, Late, NotConnected, TooLong, UpstreamRequest

CONNECT_TIMEOUT_S = 10.0
CONNECTIONS_PER_PROVIDER = 1000
IDLE_CONNECTION_S = 15.0
WRITTEN_AT_ONCE_BYTES = 256 * 1024
STALE_RETRIES = 2
STALE_WITHIN_S = 0.5
"""A pooled connection that dies at once was dead before: no failure of the provider, and nothing
that it can have billed. One that dies later may have been at work."""


class AiohttpAnswer:
    """An answer whose head has come."""

    def __init__(self, response: aiohttp.ClientResponse, idle_timeout_s: float) -> None:
        self._response = response
        self._idle_timeout_s = idle_timeout_s
        self.status = response.status
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in response.headers.items()
        }

    async def all(self, limit: int) -> bytes:
        parts, size = [], 0
        while data := await self.some():
            size += len(data)
            if size > limit:
                raise TooLong(f"its answer is longer than {limit} bytes")
            parts.append(data)
        return b"".join(parts)

    async def some(self, within_s: float | None = None) -> bytes:
        limit_s = self._idle_timeout_s if within_s is None else min(within_s, self._idle_timeout_s)
        try:
            async with asyncio.timeout(limit_s):
                return await self._response.content.readany()
        except TimeoutError:
            raise Late(f"it was silent for {limit_s:.3g} s") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            log.info("%s broke off: %r", self._response.url.host, error)
            raise Broken("the connection broke in the middle of its answer") from error

    def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class AiohttpUpstream:
    """One pool of connections to all providers."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def send(self, request: UpstreamRequest) -> Answer:
        context = SimpleNamespace(reused=False, sent=False)
        try:
            async with asyncio.timeout(request.first_byte_timeout_s):
                return await self._send(request, context)
        except TimeoutError:
            if not context.sent:
                limit_s = min(CONNECT_TIMEOUT_S, request.first_byte_timeout_s)
                raise NotConnected(f"no connection in {limit_s:g} s") from None
            raise Late(f"no answer in {request.first_byte_timeout_s:g} s") from None

    async def _send(self, request: UpstreamRequest, context: SimpleNamespace) -> Answer:
        for retries_left in reversed(range(STALE_RETRIES + 1)):
            context.reused, asked_s = False, self._clock.monotonic_s()
            try:
                response = await self._session.request(
                    request.method,
                    request.url,
                    data=_in_pieces(request.body),
                    headers=request.headers,
                    allow_redirects=False,
                    trace_request_ctx=context,
                )
            except (
                aiohttp.ClientConnectorError,
                aiohttp.ConnectionTimeoutError,
                aiohttp.InvalidURL,
            ) as error:
                log.info("no connection: %s", error)
                raise NotConnected(f"no connection: {_cause(error)}") from error
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                died_at_once = self._clock.monotonic_s() - asked_s < STALE_WITHIN_S
                if context.reused and died_at_once and retries_left:
                    continue
                raise Broken("it hung up without an answer") from error
            except aiohttp.ClientError as error:
                log.info("no HTTP: %s", error)
                raise Broken("its answer is no HTTP") from error
            return AiohttpAnswer(response, request.idle_timeout_s)
        raise AssertionError("every way out of the loop returns or raises")


def _cause(error: aiohttp.ClientError) -> str:
    """Why there is no connection, as clients are told it: without addresses, which are ours."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its name is not known"
        case aiohttp.ClientConnectorCertificateError():
            return "TLS failed: its certificate is not trusted"
        case aiohttp.ClientSSLError():
            return "TLS failed"
        case (
            aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError(os_error=TimeoutError())
        ):
            return "timed out"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return "refused"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))):
            return os.strerror(number).lower()
        case aiohttp.InvalidURL():
            return "its URL is none"
        case _:
            return "it failed"


def _in_pieces(body: bytes) -> bytes | io.BytesIO:
    """aiohttp writes bytes at once; a long body goes out as the connection takes it."""
    return body if len(body) <= WRITTEN_AT_ONCE_BYTES else io.BytesIO(body)


async def _mark_reused(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.reused = True


async def _mark_sent(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.sent = True


@asynccontextmanager
async def aiohttp_upstream(
    clock: Clock, connector: aiohttp.BaseConnector | None = None
) -> AsyncIterator[AiohttpUpstream]:
    """The pool; closed at the end. connector: the way to the providers, if it is not the usual."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_mark_reused)
    trace.on_request_headers_sent.append(_mark_sent)
    connector = connector or aiohttp.TCPConnector(
        limit=0, limit_per_host=CONNECTIONS_PER_PROVIDER, keepalive_timeout=IDLE_CONNECTION_S
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        auto_decompress=True,
        trust_env=False,
        trace_configs=[trace],
    ) as session:
        yield AiohttpUpstream(session, clock)
