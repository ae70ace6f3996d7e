"""A load generator: so many connections, each sending its next request when it has its answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import cast

from hedgerow.loops import run

PROMPT = "Please summarise the following paragraph in one sentence. " * 13


@dataclass(frozen=True, slots=True)
class Load:
    """What a run saw. Latencies in ms; an answer that was no 200 is an error."""

    requests: int
    errors: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def request(host: str, key: str, *, streamed: bool) -> bytes:
    stream = ',"stream":true,"stream_options":{"include_usage":true}' if streamed else ""
    messages = f'[{{"role":"user","content":"{PROMPT}"}}]'
    body = (
        f'{{"model":"gpt-4o-mini","messages":{messages},"temperature":0.7,"max_tokens":64{stream}}}'
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Client(asyncio.Protocol):
    def __init__(self, text: bytes, latencies: list[float], bad: list[bytes]) -> None:
        self._text, self._latencies, self._bad = text, latencies, bad
        self._seen = b""
        self.on = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        self._seen, self._began = b"", time.perf_counter()
        self._transport.write(self._text)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head = self._seen.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = self._seen[:head].lower()
        at = lower.find(b"content-length:")
        if at >= 0:
            size = int(lower[at + 15 :].split(b"\r\n", 1)[0])
            if len(self._seen) < head + 4 + size:
                return
        elif not self._seen.endswith(b"0\r\n\r\n"):
            return
        if self._seen[9:12] == b"200":
            self._latencies.append(time.perf_counter() - self._began)
        else:
            self._bad.append(self._seen[:500])
        if self.on:
            self._ask()


async def _run(port: int, text: bytes, connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    bad: list[bytes] = []
    clients: list[_Client] = []
    began = time.perf_counter()
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: _Client(text, latencies, bad), "127.0.0.1", port
        )
        clients.append(client)
    await asyncio.sleep(seconds)
    for client in clients:
        client.on = False
    took = time.perf_counter() - began
    ordered = sorted(latencies)
    if not ordered:
        raise RuntimeError(f"no request succeeded; the first answer: {bad[:1]}")
    return Load(
        requests=len(ordered),
        errors=len(bad),
        seconds=took,
        p50_ms=ordered[len(ordered) // 2] * 1000,
        p99_ms=ordered[int(len(ordered) * 0.99)] * 1000,
    )


def load(port: int, key: str, connections: int, seconds: float, *, streamed: bool) -> Load:
    """Closed-loop load on a server of this machine."""
    text = request(f"127.0.0.1:{port}", key, streamed=streamed)
    return run(_run(port, text, connections, seconds))
