"""A static upstream: the same completion for every request, as fast as Python goes.

`python -m tests.perf.upstream PORT`
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

from hedgerow.loops import run

_USAGE = {"prompt_tokens": 212, "completion_tokens": 20, "total_tokens": 232}
_HEAD = {"id": "chatcmpl-bench", "created": 1760000000, "model": "gpt-4o-mini"}


def _plain() -> bytes:
    message = {"role": "assistant", "content": "The quick brown fox jumps over the lazy dog."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps(
        _HEAD | {"object": "chat.completion", "choices": [choice], "usage": _USAGE}
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def _stream(events: int = 20) -> bytes:
    head = _HEAD | {"object": "chat.completion.chunk"}
    chunks: list[object] = []
    for index in range(events):
        finish = "stop" if index == events - 1 else None
        delta = {"index": 0, "delta": {"content": f" tok{index}"}, "finish_reason": finish}
        chunks.append(head | {"choices": [delta], "usage": None})
    chunks.append(head | {"choices": [], "usage": _USAGE})
    texts = [json.dumps(chunk) for chunk in chunks] + ["[DONE]"]
    body = b"".join(
        b"%x\r\n%b\r\n" % (len(event), event)
        for event in (f"data: {text}\n\n".encode() for text in texts)
    )
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
    )


class _Upstream(asyncio.Protocol):
    plain, stream = _plain(), _stream()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.seen = cast("asyncio.Transport", transport), b""

    def data_received(self, data: bytes) -> None:
        self.seen += data
        while (head := self.seen.find(b"\r\n\r\n")) >= 0:
            lower = self.seen[:head].lower()
            at = lower.find(b"content-length:")
            size = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.seen) < head + 4 + size:
                return
            body, self.seen = self.seen[head + 4 : head + 4 + size], self.seen[head + 4 + size :]
            streamed = b'"stream":true' in body or b'"stream": true' in body
            self.transport.write(self.stream if streamed else self.plain)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Upstream, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    run(_serve(int(sys.argv[1])))
