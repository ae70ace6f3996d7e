"""The edge itself: keys, paths, methods, sizes; every refusal in one shape, none of them billed."""

from __future__ import annotations

import asyncio
import errno
import gzip
import io
import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from ledger.errors import BudgetExceeded
from ledger.measures import Measure
from proxy.aiohttp_upstream import aiohttp_upstream
from proxy.clock import SystemClock
from proxy.errors import UpstreamFailed, over_budget
from proxy.translate.messages_client import EventsFromChat
from proxy.upstream import NotConnected, UpstreamRequest
from proxy.wires.messages import broken
from tests.serving import MODEL, Proxy, Reply, answering, asking, head, scripted, serving

LIMIT = 20_000


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with serving(tmp_path, server=f"{{port: 0, max_body_bytes: {LIMIT}}}") as running:
        yield running


@pytest.mark.parametrize("shape", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}  "])
async def test_a_key_is_taken_however_it_is_announced(proxy: Proxy, shape: str) -> None:
    """The scheme has no case, and spaces around the key are none of its characters."""
    assert (await proxy.get("/models", authorization=shape.format(proxy.key))).status == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {}x", "Bearer x {}", "Bearer é"]
)
async def test_no_key_no_answer(proxy: Proxy, header: str) -> None:
    """Anything but a known key is 401 on every route that needs one, before anything is billed."""
    sent = header.format(proxy.key)
    for reply in (
        await proxy.get("/models", authorization=sent),
        await proxy.get(f"/models/{MODEL}", authorization=sent),
        await proxy.post(asking(), authorization=sent),
    ):
        assert reply.status == 401
        assert reply.error["code"] == "invalid_api_key"
        assert proxy.key not in reply.body.decode()
    assert proxy.a.tally.requests == 0


async def test_openrouters_prefix_is_the_same(proxy: Proxy) -> None:
    """/api/v1 answers as /v1 does."""
    root = proxy.base_url.removesuffix("/v1")
    headers = {"authorization": f"Bearer {proxy.key}"}
    async with proxy.http.post(
        f"{root}/api/v1/chat/completions", json=asking(), headers=headers
    ) as answer:
        assert answer.status == 200
    async with proxy.http.get(f"{root}/api/v1/models/{MODEL}", headers=headers) as answer:
        assert (await answer.json())["id"] == MODEL


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "unknown_url"),
        ("POST", "/v1/_stainless_unknown_path", 404, "unknown_url"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("PUT", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("HEAD", "/v1/models", 405, None),
    ],
)
async def test_what_is_not_there_says_so_in_json(
    proxy: Proxy, method: str, path: str, status: int, code: str | None
) -> None:
    """Unknown paths are 404, wrong methods 405, with our error and a request id."""
    root = proxy.base_url.removesuffix("/v1")
    async with proxy.http.request(method, root + path) as answer:
        reply = Reply(answer.status, answer.headers, await answer.read())
    assert reply.status == status
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["x-request-id"].startswith("req_")
    if code is not None:
        assert reply.error["code"] == code


WITH, WITHOUT = "OpenAI's clients take a base URL with /v1", "a base URL without /v1"


@pytest.mark.parametrize(
    ("path", "meant", "why"),
    [
        ("/v1/v1/messages", "/v1/messages", WITHOUT),
        ("/v1/v1/messages/count_tokens", "/v1/messages/count_tokens", WITHOUT),
        ("/api/v1/v1/messages", "/v1/messages", WITHOUT),
        ("/messages", "/v1/messages", ""),
        ("/chat/completions", "/v1/chat/completions", WITH),
        ("/v1/v1/chat/completions", "/v1/chat/completions", WITH),
        ("/v1/api/v1/chat/completions", "/v1/chat/completions", WITH),
        ("/models", "/v1/models", WITH),
        ("/models/meta/oak", "/v1/models/meta/oak", WITH),
        ("/batches/b/cancel", "/v1/batches/b/cancel", WITH),
        ("/v1/chat/completions/", "/v1/chat/completions", ""),
    ],
)
async def test_a_wrong_base_url_is_told_the_right_path(
    proxy: Proxy, path: str, meant: str, why: str
) -> None:
    """A known endpoint without its prefix, or with too much of it, is pointed to; it stays a
    404."""
    async with proxy.http.post(proxy.base_url.removesuffix("/v1") + path) as answer:
        reply = Reply(answer.status, answer.headers, await answer.read())
    assert (reply.status, reply.error["code"]) == (404, "unknown_url")
    _, _, hint = reply.error["message"].partition(": did you mean ")
    assert hint.startswith(f"{meant}? " if why else f"{meant}?")
    assert why in hint
    assert ("base URL" in hint) == bool(why)


@pytest.mark.parametrize(
    "path",
    [
        *("//", "/v1", "/v1/", "/v1/v1", "/v1/threads/t/messages", "/nothing", "/v1/nothing"),
        *("/v1/%2e%2e/x", "/%00", "/v1/%3f%23", "/%ff%fe", "/é/v1/x"),
    ],
)
async def test_what_is_like_nothing_here_gets_no_hint(proxy: Proxy, path: str) -> None:
    """No other path is guessed at, however odd it is."""
    async with proxy.http.get(proxy.base_url.removesuffix("/v1") + path) as answer:
        reply = Reply(answer.status, answer.headers, await answer.read())
    assert (reply.status, reply.error["code"]) == (404, "unknown_url")
    assert "did you mean" not in reply.error["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'"x"', b"[" * 10_000, b'{"model":"oak"}']
)
async def test_a_body_that_is_no_request_is_a_400(proxy: Proxy, body: bytes) -> None:
    """Whatever stands in the body: 400, the four keys, and nothing is asked upstream."""
    reply = await proxy.post(body)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert proxy.a.tally.requests == 0


async def test_a_body_may_have_its_limit_and_not_a_byte_more(proxy: Proxy) -> None:
    """413 begins exactly one byte above server.max_body_bytes."""
    assert (await proxy.post(_padded(LIMIT))).status == 200
    reply = await proxy.post(_padded(LIMIT + 1))
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


def _padded(size: int) -> bytes:
    short = json.dumps(asking(pad="")).encode()
    return json.dumps(asking(pad="x" * (size - len(short)))).encode()


async def test_a_body_that_unpacks_to_too_much_is_refused(proxy: Proxy) -> None:
    """The limit holds for what a compressed body becomes."""
    reply = await proxy.post(gzip.compress(_padded(100 * LIMIT)), **{"content-encoding": "gzip"})
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    fine = await proxy.post(gzip.compress(_padded(LIMIT)), **{"content-encoding": "gzip"})
    assert fine.status == 200


async def test_a_body_that_does_not_unpack_is_the_clients_fault(proxy: Proxy) -> None:
    """What says gzip and is none is a 400, not a fault of ours."""
    reply = await proxy.post(b"not gzip at all", **{"content-encoding": "gzip"})
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"


async def test_what_is_no_http_leaves_no_mark(proxy: Proxy) -> None:
    """Garbage, half a request and half a body end in a closed connection, and the next client is
    served."""
    where = urlsplit(proxy.base_url)
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n"
    for sent in (
        "\x00\x01\r\n\r\n",
        "GET / HT",
        f"{head}authorization: Bearer {proxy.key}\r\n\r\n{{",
    ):
        _, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(sent.encode())
        await writer.drain()
        writer.transport.abort()
        await writer.wait_closed()
    assert (await proxy.ask()).status == 200


async def test_health_needs_no_key(proxy: Proxy) -> None:
    """Live and ready answer anybody."""
    root = proxy.base_url.removesuffix("/v1")
    for path in ("/health/live", "/health/ready"):
        async with proxy.http.get(root + path) as answer:
            assert answer.status == 200


async def test_a_long_body_reaches_its_provider_whole(tmp_path: Path) -> None:
    """Megabytes of prompt pass through as they came."""
    words = "oak " * 500_000
    async with serving(tmp_path) as proxy:
        body = json.dumps(asking(messages=[{"role": "user", "content": words}])).encode()
        async with proxy.http.post(
            f"{proxy.base_url}/chat/completions",
            data=io.BytesIO(body),
            headers={"authorization": f"Bearer {proxy.key}"},
        ) as reply:
            assert reply.status == 400  # more than the sandbox's context takes: it read all of it
            assert "500000 tokens" in (await reply.json())["error"]["message"]


# -- what aiohttp says of a provider is for the log


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def _why(folder: Path, url: str, **extra: Any) -> str:
    """The error that the client of a provider at this URL is told."""
    async with serving(folder, names=(), urls={"a": url}, routing="{attempts: 1}") as proxy:
        reply = await proxy.ask(**extra)
    told = reply.events[-1]["error"] if reply.status == 200 else reply.error
    message: str = told["message"]
    return message


def _without_insides(message: str) -> None:
    assert not re.search(r"127\.0\.0\.1|localhost|invalid|Error|ssl:|\[|<|Errno|payload", message)


async def test_a_refused_connection_is_told_without_its_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client reads that it was refused; the log has where."""
    caplog.set_level(logging.INFO, "hedgerow")
    with closed_port() as port:
        told = await _why(tmp_path, f"http://127.0.0.1:{port}/v1")
        assert "no connection: refused" in told
        _without_insides(told)
        assert f"127.0.0.1:{port}" in caplog.text


async def test_a_host_with_two_addresses_refuses_once(tmp_path: Path) -> None:
    """However many addresses its name has."""
    with closed_port() as port:
        told = await _why(tmp_path, f"http://localhost:{port}/v1")
        assert "no connection: refused" in told
        _without_insides(told)


class NoNames(AbstractResolver):
    """A resolver that fails, and says how."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    async def resolve(
        self,
        host: str,  # noqa: ARG002 - a resolver's door
        port: int = 0,  # noqa: ARG002
        family: int = 0,  # noqa: ARG002
    ) -> list[ResolveResult]:
        raise self._error

    async def close(self) -> None:
        pass


async def test_a_name_that_nobody_knows_is_told_so() -> None:
    """Not which name."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    connector = aiohttp.TCPConnector(resolver=NoNames(unknown))
    request = UpstreamRequest("http://nobody.test/v1", {}, b"", 1.0, 1.0)
    async with aiohttp_upstream(SystemClock(), connector) as upstream:
        with pytest.raises(NotConnected) as refused:
            await upstream.send(request)
    assert str(refused.value) == "no connection: its name is not known"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ETIMEDOUT, "timed out"),
        (errno.ENETUNREACH, "network is unreachable"),
        (errno.ECONNREFUSED, "refused"),
    ],
)
async def test_what_the_network_says_is_told_without_addresses(number: int, told: str) -> None:
    """As the system names it; the rest of the words are left out."""

    def unreachable(address: aiohttp.AddrInfoType) -> socket.socket:
        raise OSError(number, f"Connect call failed {address}")

    connector = aiohttp.TCPConnector(socket_factory=unreachable)
    request = UpstreamRequest("http://127.0.0.1:9/v1", {}, b"", 1.0, 1.0)
    async with aiohttp_upstream(SystemClock(), connector) as upstream:
        with pytest.raises(NotConnected) as refused:
            await upstream.send(request)
    assert str(refused.value) == f"no connection: {told}"


async def test_a_provider_that_speaks_no_tls_is_told_so(tmp_path: Path) -> None:
    """What answers a TLS greeting with something else is no connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with answering(answer) as url:
        told = await _why(tmp_path, url.replace("http:", "https:"))
    assert "no connection: TLS failed" in told
    _without_insides(told)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (head(more="content-length: 100\r\n") + b"{}", "broke in the middle of its answer"),
        (head(more="transfer-encoding: chunked\r\n") + b"2\r\n{}\r\n", "broke in the middle"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "its answer is no HTTP"),
    ],
)
async def test_an_answer_that_breaks_is_told_in_plain_words(
    tmp_path: Path, sent: bytes, told: str
) -> None:
    """Whatever aiohttp calls it."""
    async with scripted(sent) as url:
        message = await _why(tmp_path, url)
    assert told in message
    _without_insides(message)


async def test_a_stream_that_breaks_is_told_in_plain_words(tmp_path: Path) -> None:
    """In its last event, too."""
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    begun = head(kind="text/event-stream", more="content-length: 9999\r\n") + chunk
    async with scripted(begun) as url:
        message = await _why(tmp_path, url, stream=True)
    assert message == "a broke off: the connection broke in the middle of its answer"


# -- what an error knows of itself


def test_the_last_event_of_a_message_names_its_request() -> None:
    """Where the error knows its request, both ways of telling one in a stream do."""
    cut = UpstreamFailed("cut", request_id="req_1")
    for event in (broken(cut), EventsFromChat(b"{}").broken(cut)):
        data = json.loads(event.decode().partition("data: ")[2])
        assert data["request_id"] == "req_1"


@pytest.mark.parametrize(("needed", "passes"), [(9, True), (11, False)])
def test_a_limit_that_no_waiting_helps(needed: int, passes: bool) -> None:
    """A request that needs more than the whole limit is told so: clients do not try it again."""
    resets = datetime.now(UTC) + timedelta(minutes=1)
    exceeded = BudgetExceeded("few", "team=t", Measure.TOKENS, 10, 5, 0, needed, resets)
    told = over_budget(exceeded, 0, datetime.now(UTC))
    assert (("x-should-retry", "false") in told.headers) is not passes
    assert ("more than it ever lets through" in told.message) is not passes


def test_a_keys_own_budget_is_called_that() -> None:
    """Its owner need not know its id twice; the error has it all the same."""
    exceeded = BudgetExceeded("key key_01a", "key=key_01a", Measure.USD, 5, 5, 0, 9, None)
    told = over_budget(exceeded, 0, datetime.now(UTC))
    assert told.message.startswith("this key's own limit (key=key_01a) has 0 USD left")
    named = over_budget(exceeded, 0, datetime.now(UTC), "ci")
    assert named.message.startswith("the own limit of key ci (key=key_01a) has 0 USD left")
    assert told.more["budget"] == "key key_01a"
    its_team = replace(exceeded, budget="team qa usd", scope="team=qa")
    told = over_budget(its_team, 0, datetime.now(UTC), "ci")
    assert told.message.startswith("the own limit of team qa (team=qa) has 0 USD left")
    other = over_budget(replace(exceeded, budget="all", scope="everything"), 0, datetime.now(UTC))
    assert other.message.startswith("budget all (everything) has ")
