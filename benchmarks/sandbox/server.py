"""SandboxProvider: one provider as a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from benchmarks.sandbox import refusal
from benchmarks.sandbox.batch import Line
from benchmarks.sandbox.batches import Batches, LineAnswer
from benchmarks.sandbox.behaviour import Behaviour
from benchmarks.sandbox.cache import PromptCache
from benchmarks.sandbox.delivery import Delivery, Pace, reset
from benchmarks.sandbox.desk import Answer as DeskAnswer
from benchmarks.sandbox.desk import Desk, Handler
from benchmarks.sandbox.endpoints.table import BY_PATH, WORK, Endpoint
from benchmarks.sandbox.faults import DOWN, UNANSWERED, Fault
from benchmarks.sandbox.files import FileStore
from benchmarks.sandbox.refusal import Refusal
from benchmarks.sandbox.tally import NO_HEADERS, Exchange, Tally
from benchmarks.sandbox.wire import JSON, Asked, Plain, Turn

MAX_BODY_BYTES = 64 * 1024 * 1024
FIRST_LINE = 1 << 63
"""Lines of batches are drawn for by numbers from here on: requests come and go as they would
without them."""


class SandboxProvider:
    """Serves every endpoint of `ENDPOINTS` under /v1, as `behaviour` says.

    Two attributes may be changed while it runs: `behaviour`, and `fault`, which every request meets
    until it is None again. To refuse connections altogether, close it and start it again on the
    same port; its files and batches stay, and batches go on. `tally` counts what it served and
    would bill.

    It bills the prompt of every request that it takes on. A stream is billed as far as it was
    written, a plain answer always whole: a client that leaves does not stop most providers.

    What costs no tokens is billed by the image, by the character read aloud, by the second heard
    (begun ones count), by the search; a moderation and a count of tokens by nothing.
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
        self._pace = Pace(sleep)
        self._random = random.Random()  # noqa: S311 - a seeded latency is no secret
        self._cache = PromptCache()
        self._files = FileStore(clock)
        self._batches = Batches(
            self._files,
            clock=clock,
            pause=lambda: self._pace.wait(self.behaviour.batch_ms, self.behaviour),
            answer=self._answer_line,
            fails_every=lambda: self.behaviour.batch_fails_every,
        )
        self._desk = Desk(self._files, self._batches, self._speaks)
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
        # With handler_cancellation a client that leaves ends its answer at once.
        runner = web.AppRunner(
            self._app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.05
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
        self._batches.resume()
        shown = f"[{host}]" if ":" in host else host
        self._base_url = f"http://{shown}:{runner.addresses[0][1]}/v1"
        return self._base_url

    async def close(self) -> None:
        """Stops listening and drops every connection, in the middle of an answer if need be."""
        if self._runner is None:
            return
        self._closing.set()
        runner, self._runner = self._runner, None
        await self._batches.close()
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

    # The routes

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        for endpoint in WORK:
            app.router.add_post(f"/v1/{endpoint.path}", partial(self._work, endpoint))
        models = partial(self._beside, "models", self._models)
        app.router.add_get("/v1/models", models, allow_head=False)
        for route in self._desk.routes():
            beside = partial(self._beside, route.endpoint, route.handler)
            app.router.add_route(route.method, route.path, beside)
        app.router.add_route("*", "/{path:.*}", self._unknown)
        return app

    async def _work(self, endpoint: Endpoint, http: web.Request) -> web.StreamResponse:
        if not self._speaks(endpoint.path):
            return await self._unknown(http)
        try:
            body = await http.read()
        except web.HTTPRequestEntityTooLarge:
            return _refused(refusal.too_large(MAX_BODY_BYTES), in_anthropic=endpoint.in_anthropic)
        draws = self.behaviour.draws(self.tally.requests, self._random)
        exchange = Exchange(self.tally.requests, draws, http.headers, body, endpoint.path)
        self.tally.arrived(exchange)
        try:
            return await self._answer(endpoint, http, exchange)
        except asyncio.CancelledError:
            if not self._closing.is_set():
                self.tally.left()
            raise
        except ConnectionError:  # a write found the connection closed before we were cancelled
            self.tally.left()
            return web.Response()  # nobody gets it: the connection is gone

    async def _beside(
        self, endpoint: str, handler: Handler, http: web.Request
    ) -> web.StreamResponse:
        """What is no work: answered at once, and down when the provider is."""
        if not self._speaks(endpoint):
            return await self._unknown(http)
        if not self._knows_key(http):
            return _refused(refusal.wrong_key())
        fault = self.fault if self.fault in DOWN else None
        refused = refusal.of_fault(fault, self.behaviour, self._clock())
        if refused is not None:
            return _refused(refused)
        if fault is not None:
            return await self._no_answer(http, fault)
        try:
            body = await http.read()
        except web.HTTPRequestEntityTooLarge:
            return _refused(refusal.too_large(MAX_BODY_BYTES))
        answer = handler(http, body)
        if isinstance(answer, Refusal):
            return _refused(answer)
        if isinstance(answer, bytes):
            return web.Response(body=answer, content_type="application/octet-stream")
        return web.Response(body=msgspec.json.encode(answer), content_type=JSON)

    def _models(self, _http: web.Request, _body: bytes) -> DeskAnswer:
        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": "sandbox"}
            for name in self.behaviour.models
        ]
        return {"object": "list", "data": models}

    async def _unknown(self, http: web.Request) -> web.StreamResponse:
        return _refused(refusal.unknown_url(http.method, http.path))

    # One request for work

    async def _answer(
        self, endpoint: Endpoint, http: web.Request, exchange: Exchange
    ) -> web.StreamResponse:
        behaviour = self.behaviour
        delivery = Delivery(
            http,
            exchange,
            behaviour,
            self.tally,
            self._pace,
            self._closing,
            endpoint.in_anthropic,
        )
        if not self._knows_key(http, in_anthropic=endpoint.in_anthropic):
            return delivery.refuse(refusal.wrong_key())
        if endpoint.in_anthropic and "anthropic-version" not in http.headers:
            return delivery.refuse(refusal.no_version())
        asked = endpoint.read(exchange.body, http.headers.get("content-type", ""))
        if isinstance(asked, Refusal):
            return delivery.refuse(asked)
        exchange.streamed = bool(asked.stream)
        fault = exchange.fault = self.fault or asked.sandbox.fault or exchange.draws.fault
        if fault in UNANSWERED:
            return await self._no_answer(http, fault)
        turn = self._turn(asked, exchange)
        refused = self._objection(endpoint, asked, turn, fault)
        if refused is not None:
            return delivery.refuse(refused)
        if fault is Fault.SLOW:
            await self._pace.sleep(behaviour.slow_ms / 1000)
        if fault is Fault.NONSENSE:
            return delivery.nonsense()
        if fault is Fault.TRICKLE:
            return await delivery.trickle()
        return await delivery.answer(asked.answer(turn))

    def _turn(self, asked: Asked, exchange: Exchange) -> Turn:
        return Turn(self.behaviour, exchange.draws, int(self._clock()), asked.words(), self._cache)

    def _objection(
        self, endpoint: Endpoint, asked: Asked, turn: Turn, fault: Fault | None
    ) -> Refusal | None:
        behaviour = turn.behaviour
        if asked.model not in behaviour.models:
            return refusal.unknown_model(asked.model)
        if turn.room < 1:
            tokens = len(turn.words)
            return refusal.too_long(behaviour.context_tokens, tokens, endpoint.prompt)
        return refusal.of_fault(fault, behaviour, self._clock(), endpoint.prompt)

    def _answer_line(self, line: Line, *, fails: bool, room: int) -> LineAnswer:
        number = self.tally.batch_lines
        endpoint = BY_PATH[line.url.removeprefix("/v1/")]
        draws = self.behaviour.draws(FIRST_LINE + number, self._random)
        body = bytes(line.body)
        exchange = Exchange(number, draws, NO_HEADERS, body, endpoint.path, batch=True)
        self.tally.arrived(exchange)
        answer = self._line_answer(endpoint, exchange, fails=fails)
        told = b"" if isinstance(answer, Refusal) else answer.write(True)
        if len(told) > room:
            answer = Refusal(400, "The output file of this batch is full.", code="output_too_large")
        if isinstance(answer, Refusal):
            self.tally.answered(exchange, answer.status)
            return LineAnswer(exchange, answer.status, answer.body())
        if answer.bill is not None:
            self.tally.bill(exchange, answer.bill)
            self.tally.bill_completion(exchange, answer.completion_tokens)
        self.tally.answered(exchange, 200)
        return LineAnswer(exchange, 200, told)

    def _line_answer(
        self, endpoint: Endpoint, exchange: Exchange, *, fails: bool
    ) -> Plain | Refusal:
        """As a request of its own would be answered; of faults only those that are an answer."""
        asked = endpoint.read(exchange.body, JSON)
        if isinstance(asked, Refusal):
            return asked
        exchange.fault = Fault.HTTP_500 if fails else asked.sandbox.fault
        turn = self._turn(asked, exchange)
        refused = self._objection(endpoint, asked, turn, exchange.fault)
        if refused is not None:
            return refused
        answer = asked.answer(turn)
        if isinstance(answer, Plain):
            return answer
        return refusal.wrong("stream", "nobody waits for the lines of a batch: leave it out")

    async def _no_answer(self, http: web.Request, fault: Fault | None) -> web.StreamResponse:
        if fault is Fault.HANG:
            # Ends when the client leaves (the handler is cancelled) or when we close.
            await self._closing.wait()
        reset(http)
        return web.Response()  # nobody gets it: the connection is gone

    def _speaks(self, endpoint: str) -> bool:
        return self.behaviour.speaks(endpoint)

    def _knows_key(self, http: web.Request, *, in_anthropic: bool = False) -> bool:
        wanted = self.behaviour.api_key
        if wanted is None or http.headers.get("authorization") == f"Bearer {wanted}":
            return True
        return in_anthropic and http.headers.get("x-api-key") == wanted


def _refused(refused: Refusal, *, in_anthropic: bool = False) -> web.Response:
    return web.Response(
        body=refused.anthropic_body(None) if in_anthropic else refused.body(),
        status=refused.status,
        headers={"content-type": JSON} | refused.headers,
    )
