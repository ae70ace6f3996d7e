"""SandboxProvider: one provider as a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import math
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from benchmarks.sandbox import refusal
from benchmarks.sandbox.answer import Answer, compose
from benchmarks.sandbox.behaviour import Behaviour, Fault
from benchmarks.sandbox.cache import PromptCache
from benchmarks.sandbox.refusal import Refusal
from benchmarks.sandbox.request import ChatRequest, read_request
from benchmarks.sandbox.tally import Exchange, Tally

MAX_BODY_BYTES = 64 * 1024 * 1024
TICK_MS = 1.0
"""No sleep is shorter: below it, several tokens go out at once."""
UNPACED_TOKENS_PER_TICK = 16
_NONSENSE = b"<html><body>upstream is having a moment</body></html>\n\n"


class SandboxProvider:
    """Serves POST /v1/chat/completions and GET /v1/models as `behaviour` says.

    Two attributes may be changed while it runs: `behaviour`, and `fault`, which every request meets
    until it is None again. To refuse connections altogether, close it and start it again on the
    same port. `tally` counts what it served and would bill.

    It bills the prompt of every request that it takes on. A stream is billed as far as it was
    written, a plain answer always whole: a client that leaves does not stop most providers.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        fault: Fault | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.behaviour = behaviour
        self.fault = fault
        self.tally = Tally()
        self._clock = clock
        self._sleep = sleep
        self._random = random.Random()  # noqa: S311 - a seeded latency is no secret
        self._cache = PromptCache()
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self._base_url = ""

    @property
    def base_url(self) -> str:
        """`http://HOST:PORT/v1`. Raises RuntimeError while it is not started."""
        if self._runner is None:
            raise RuntimeError("the sandbox provider is not started: await start() first")
        return self._base_url

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listens, on a free port unless one is named, and returns the base URL.

        Raises RuntimeError if it already does, OSError if the port is taken.
        """
        if self._runner is not None:
            raise RuntimeError(f"the sandbox provider already listens at {self._base_url}")
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models, allow_head=False)
        app.router.add_route("*", "/{path:.*}", self._unknown)
        # With handler_cancellation a client that leaves ends its answer at once.
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, backlog=1024)
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._closing.clear()
        shown = f"[{host}]" if ":" in host else host
        self._base_url = f"http://{shown}:{runner.addresses[0][1]}/v1"
        return self._base_url

    async def close(self) -> None:
        """Stops listening and drops every connection, in the middle of an answer if need be."""
        if self._runner is None:
            return
        self._closing.set()
        runner, self._runner = self._runner, None
        await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # The three routes

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        try:
            body = await http.read()
        except web.HTTPRequestEntityTooLarge:
            return _refused(refusal.too_large(MAX_BODY_BYTES))
        draws = self.behaviour.draws(self.tally.requests, self._random)
        exchange = Exchange(self.tally.requests, draws, http.headers, body)
        self.tally.arrived(exchange)
        try:
            return await self._answer(http, exchange)
        except asyncio.CancelledError:
            if not self._closing.is_set():
                self.tally.left()
            raise
        except ConnectionError:  # a write found the connection closed before we were cancelled
            self.tally.left()
            return web.Response()  # nobody gets it: the connection is gone

    async def _models(self, http: web.Request) -> web.StreamResponse:
        if not self._knows_key(http):
            return _refused(refusal.wrong_key())
        refused = refusal.of_fault(self.fault, self.behaviour)
        if refused is not None:
            return _refused(refused)
        if self.fault in (Fault.RESET, Fault.HANG):
            return await self._no_answer(http, self.fault)
        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": "sandbox"}
            for name in self.behaviour.models
        ]
        return _json(msgspec.json.encode({"object": "list", "data": models}))

    async def _unknown(self, http: web.Request) -> web.StreamResponse:
        return _refused(refusal.unknown_url(http.method, http.path))

    # One chat request

    async def _answer(self, http: web.Request, exchange: Exchange) -> web.StreamResponse:
        behaviour = self.behaviour
        if not self._knows_key(http):
            return self._refuse(exchange, refusal.wrong_key())
        request = read_request(exchange.body)
        if isinstance(request, Refusal):
            return self._refuse(exchange, request)
        exchange.streamed = bool(request.stream)
        fault = exchange.fault = self.fault or request.sandbox.fault or exchange.draws.fault
        if fault in (Fault.RESET, Fault.HANG):
            return await self._no_answer(http, fault)
        if request.model not in behaviour.models:
            return self._refuse(exchange, refusal.unknown_model(request.model))
        words = request.words()
        if len(words) >= behaviour.context_tokens:
            return self._refuse(exchange, refusal.too_long(behaviour.context_tokens, len(words)))
        refused = refusal.of_fault(fault, behaviour)
        if refused is not None:
            return self._refuse(exchange, refused)
        if fault is Fault.SLOW:
            await self._sleep(behaviour.slow_ms / 1000)
        if fault is Fault.NONSENSE:
            return self._nonsense(exchange)
        answer = compose(
            request,
            id=exchange.draws.request_id,
            created=int(self._clock()),
            drawn_output_tokens=exchange.draws.output_tokens,
            prompt_tokens=len(words),
            cached_tokens=self._cache.cached_tokens(request.model, words) if behaviour.cache else 0,
            context_tokens=behaviour.context_tokens,
        )
        self.tally.bill_prompt(exchange, answer.prompt_tokens, answer.cached_tokens)
        if request.stream:
            return await self._stream(http, exchange, request, answer)
        return await self._plain(http, exchange, answer)

    async def _plain(
        self, http: web.Request, exchange: Exchange, answer: Answer
    ) -> web.StreamResponse:
        self.tally.bill_completion(exchange, answer.completion_tokens)
        tokens_ms = self.behaviour.inter_token_ms * len(answer.pieces)
        await self._pause(exchange.draws.ttft_ms + tokens_ms)
        body = answer.plain(with_usage=exchange.fault is not Fault.NO_USAGE)
        self.tally.answered(exchange, 200)
        if exchange.fault is Fault.CUT:
            return await self._half(http, exchange, body)
        return _json(body, exchange)

    async def _stream(
        self, http: web.Request, exchange: Exchange, request: ChatRequest, answer: Answer
    ) -> web.StreamResponse:
        fault, asked = exchange.fault, request.wants_usage_chunk
        gap_ms = self.behaviour.inter_token_ms * self.behaviour.time_scale
        at_once = math.ceil(TICK_MS / gap_ms) if gap_ms else UNPACED_TOKENS_PER_TICK
        half = math.ceil(len(answer.pieces) / at_once / 2)
        response = web.StreamResponse(headers=_head(exchange, "text/event-stream"))
        wait_ms = exchange.draws.ttft_ms
        for place, (events, tokens) in enumerate(answer.ticks(at_once, usage_asked=asked)):
            if fault in (Fault.CUT, Fault.SHORT) and place == half:
                break
            await self._pause(wait_ms)
            wait_ms = self.behaviour.inter_token_ms * at_once
            if place == 0:
                self.tally.answered(exchange, 200)
                await response.prepare(http)
            self.tally.bill_completion(exchange, tokens)
            await response.write(events)
        if fault is Fault.CUT:
            _hang_up(http)
        elif fault is not Fault.SHORT:
            await response.write(
                answer.closing(
                    usage_asked=asked,
                    with_usage=fault is not Fault.NO_USAGE,
                    with_done=fault is not Fault.NO_DONE,
                )
            )
        return response

    # The ways to fail

    def _refuse(self, exchange: Exchange, refused: Refusal) -> web.Response:
        self.tally.answered(exchange, refused.status)
        return _refused(refused, exchange)

    def _nonsense(self, exchange: Exchange) -> web.Response:
        self.tally.answered(exchange, 200)
        if exchange.streamed:
            body, content_type = b"data: " + _NONSENSE, "text/event-stream"
        else:
            body, content_type = _NONSENSE, "application/json"
        return web.Response(body=body, headers=_head(exchange, content_type))

    async def _no_answer(self, http: web.Request, fault: Fault) -> web.StreamResponse:
        if fault is Fault.HANG:
            # Ends when the client leaves (the handler is cancelled) or when we close.
            await self._closing.wait()
        _reset(http)
        return web.Response()  # nobody gets it: the connection is gone

    async def _half(self, http: web.Request, exchange: Exchange, body: bytes) -> web.StreamResponse:
        """Promises the whole body, sends half of it and hangs up."""
        response = web.StreamResponse(headers=_head(exchange, "application/json"))
        response.content_length = len(body)
        response.force_close()
        await response.prepare(http)
        await response.write(body[: len(body) // 2])
        _hang_up(http)
        return response

    def _knows_key(self, http: web.Request) -> bool:
        wanted = self.behaviour.api_key
        return wanted is None or http.headers.get("authorization") == f"Bearer {wanted}"

    async def _pause(self, milliseconds: float) -> None:
        """Sleeps in scaled time; what is below a tick only lets others run."""
        scaled = milliseconds * self.behaviour.time_scale
        await self._sleep(scaled / 1000 if scaled >= TICK_MS else 0)


def _head(exchange: Exchange, content_type: str) -> dict[str, str]:
    return {"content-type": content_type, "x-request-id": exchange.draws.request_id}


def _json(body: bytes, exchange: Exchange | None = None, status: int = 200) -> web.Response:
    headers = {"content-type": "application/json"}
    if exchange is not None:
        headers["x-request-id"] = exchange.draws.request_id
    return web.Response(body=body, status=status, headers=headers)


def _refused(refused: Refusal, exchange: Exchange | None = None) -> web.Response:
    response = _json(refused.body(), exchange, refused.status)
    response.headers.update(refused.headers)
    return response


def _hang_up(http: web.Request) -> None:
    """Sends what was written, then closes, without the end that HTTP asks for."""
    if http.transport is not None:
        http.transport.close()


def _reset(http: web.Request) -> None:
    """Closes with RST, as a process that died would."""
    if http.transport is not None:
        http.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        http.transport.abort()
