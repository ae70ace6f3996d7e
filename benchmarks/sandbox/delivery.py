"""Delivery: how one answer goes out, at its pace and with its fault."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from benchmarks.sandbox.behaviour import Behaviour
from benchmarks.sandbox.faults import BROKEN_OFF, Fault
from benchmarks.sandbox.refusal import Refusal
from benchmarks.sandbox.tally import Exchange, Tally
from benchmarks.sandbox.wire import COMMENT, EVENTS, JSON, Answer, Plain, Stream

TICK_MS = 1.0
"""No sleep is shorter: below it, several tokens go out at once."""
UNPACED_TOKENS_PER_TICK = 16
_NONSENSE = b"<html><body>upstream is having a moment</body></html>\n\n"


@dataclass(frozen=True, slots=True)
class Pace:
    """Waiting in scaled time; what is below a tick only lets others run."""

    sleep: Callable[[float], Awaitable[None]]

    async def wait(self, milliseconds: float, behaviour: Behaviour) -> None:
        scaled = milliseconds * behaviour.time_scale
        await self.sleep(scaled / 1000 if scaled >= TICK_MS else 0)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One exchange on its connection. `behaviour` is the one that it began with."""

    http: web.Request
    exchange: Exchange
    behaviour: Behaviour
    tally: Tally
    pace: Pace
    closing: asyncio.Event
    in_anthropic: bool

    async def answer(self, answer: Answer) -> web.StreamResponse:
        if answer.bill is not None:
            self.tally.bill(self.exchange, answer.bill)
        if isinstance(answer, Plain):
            return await self._plain(answer)
        return await self._stream(answer)

    def refuse(self, refused: Refusal) -> web.Response:
        self.tally.answered(self.exchange, refused.status)
        request_id = self.exchange.draws.request_id
        body = refused.anthropic_body(request_id) if self.in_anthropic else refused.body()
        headers = self._head(JSON) | refused.headers
        return web.Response(body=body, status=refused.status, headers=headers)

    def nonsense(self) -> web.Response:
        self.tally.answered(self.exchange, 200)
        if self.exchange.streamed:
            return web.Response(body=b"data: " + _NONSENSE, headers=self._head(EVENTS))
        return web.Response(body=_NONSENSE, headers=self._head(JSON))

    async def trickle(self) -> web.StreamResponse:
        """Signs of life until the client leaves (the handler is cancelled) or we close."""
        self.tally.answered(self.exchange, 200)
        streamed = self.exchange.streamed
        response = web.StreamResponse(headers=self._head(EVENTS if streamed else JSON))
        await response.prepare(self.http)
        while not self.closing.is_set():
            await response.write(COMMENT if streamed else b"\n")
            await self.pace.sleep(self.behaviour.trickle_ms / 1000)
            await asyncio.sleep(0)  # whatever `sleep` does, others have their turn
        hang_up(self.http)
        return response

    async def _plain(self, answer: Plain) -> web.StreamResponse:
        fault = self.exchange.fault
        self._bill_completion(answer.completion_tokens)
        if fault is Fault.LATE:
            await self.pace.sleep(self.behaviour.slow_ms / 1000)
        tokens_ms = self.behaviour.inter_token_ms * answer.steps
        await self._wait(self.exchange.draws.ttft_ms + tokens_ms)
        body = answer.write(fault is not Fault.NO_USAGE)
        self.tally.answered(self.exchange, 200)
        if fault in (Fault.CUT, Fault.STALL):
            return await self._half(body, answer.content_type)
        return web.Response(body=body, headers=self._head(answer.content_type))

    async def _half(self, body: bytes, content_type: str) -> web.StreamResponse:
        """Promises the whole body, sends half of it, and hangs up or falls silent."""
        response = web.StreamResponse(headers=self._head(content_type))
        response.content_length = len(body)
        response.force_close()
        await response.prepare(self.http)
        await response.write(body[: len(body) // 2])
        if self.exchange.fault is Fault.STALL:
            await self.closing.wait()
        hang_up(self.http)
        return response

    async def _stream(self, answer: Stream) -> web.StreamResponse:
        fault = self.exchange.fault
        with_usage = fault is not Fault.NO_USAGE
        gap_ms = self.behaviour.inter_token_ms * self.behaviour.time_scale
        at_once = math.ceil(TICK_MS / gap_ms) if gap_ms else UNPACED_TOKENS_PER_TICK
        half = math.ceil(answer.steps / at_once / 2)
        response = web.StreamResponse(headers=self._head(answer.content_type))
        wait_ms = self.exchange.draws.ttft_ms
        for place, (events, tokens) in enumerate(answer.ticks(at_once, with_usage=with_usage), 1):
            await self._wait(wait_ms)
            wait_ms = self.behaviour.inter_token_ms * at_once
            if place == 1:
                self.tally.answered(self.exchange, 200)
                await response.prepare(self.http)
            self._bill_completion(tokens)
            await response.write(events)
            if place == half and fault is Fault.MALFORMED:
                await response.write(answer.malformed())
            if place == half and fault in BROKEN_OFF:
                break
        match fault:
            case Fault.CUT:
                hang_up(self.http)
            case Fault.STALL:
                await self.closing.wait()  # or until the client leaves: then we are cancelled
                hang_up(self.http)
            case Fault.SHORT:
                pass
            case Fault.ERROR_EVENT:
                await response.write(answer.error())
            case _:
                with_done = fault is not Fault.NO_DONE
                await response.write(answer.closing(with_usage=with_usage, with_done=with_done))
        return response

    def _bill_completion(self, tokens: int) -> None:
        if tokens:
            self.tally.bill_completion(self.exchange, tokens)

    async def _wait(self, milliseconds: float) -> None:
        await self.pace.wait(milliseconds, self.behaviour)

    def _head(self, content_type: str) -> dict[str, str]:
        id_header = "request-id" if self.in_anthropic else "x-request-id"
        return {"content-type": content_type, id_header: self.exchange.draws.request_id}


def hang_up(http: web.Request) -> None:
    """Sends what was written, then closes, without the end that HTTP asks for."""
    if http.transport is not None:
        http.transport.close()


def reset(http: web.Request) -> None:
    """Closes with RST, as a process that died would."""
    if http.transport is not None:
        http.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        http.transport.abort()
