"""The edge itself: keys, paths, methods, sizes; every refusal in one shape, none of them billed."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.serving import MODEL, Proxy, Reply, asking, serving

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
        ("GET", "/", 404, "unknown_url"),
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
