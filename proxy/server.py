"""The HTTP server: aiohttp carries requests to the stories, and their answers back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from aiohttp import web
from yarl import URL

from ledger.ids import new_id
from proxy import model_endpoints, models
from proxy.auth import authenticate
from proxy.batches.routes import BatchDesk
from proxy.chat import serve
from proxy.connection import Connection
from proxy.count_tokens import serve_count
from proxy.endpoints import Endpoint
from proxy.errors import (
    Draining,
    Invalid,
    MethodNotAllowed,
    NotFound,
    ProxyError,
    TooLarge,
    TooSlow,
    as_answer,
)
from proxy.exchange import JSON, Exchange, Headers
from proxy.house import House
from proxy.wires.table import WIRES

Story = Callable[[Exchange, House], Coroutine[None, None, None]]

Stories = set[asyncio.Task[None]]

PREFIXES = ("/v1", "/api/v1")
"""OpenAI's, and OpenRouter's."""
HOUSE = web.AppKey("house", House)
_STORIES = web.AppKey("stories", Stories)


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a client may send, and how long answers that are under way may take once the server
    stops."""

    body_bytes: int
    header_bytes: int
    body_timeout_s: float
    idle_timeout_s: float
    drain_s: float


_LIMITS = web.AppKey("limits", ServerLimits)


class AiohttpExchange:
    """One request to aiohttp's server, as the story sees it.

    idle_timeout_s: a client that takes nothing for so long has left, and its answer with it.
    """

    def __init__(self, request: web.Request, idle_timeout_s: float) -> None:
        self._request = request
        self._idle_timeout_s = idle_timeout_s
        self.response: web.StreamResponse | None = None
        self.method = request.method
        self.path = request.path
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in request.headers.items()
        }
        self.body = b""
        self.client_left = False
        self._abandonable = False

    @property
    def abandonable(self) -> bool:
        return self._abandonable

    @abandonable.setter
    def abandonable(self, value: bool) -> None:
        """Only the story sets it. A client may have left before."""
        self._abandonable = value
        if value and self.client_left and (story := asyncio.current_task()) is not None:
            story.cancel()

    @property
    def has_begun(self) -> bool:
        return self.response is not None and self.response.prepared

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.response = web.Response(status=status, headers=dict(headers), body=body)

    async def open(self, status: int, headers: Headers) -> None:
        self.response = web.StreamResponse(status=status, headers=dict(headers))
        await self._taken(self.response.prepare(self._request))

    async def write(self, data: bytes) -> None:
        await self._taken(self._stream.write(data))

    async def finish(self, data: bytes) -> None:
        await self._taken(self._stream.write(data))
        await self._taken(self._stream.write_eof())

    async def fail(self, data: bytes) -> None:
        await self.finish(data)

    async def _taken(self, writing: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(self._idle_timeout_s):
                await writing
        except TimeoutError:
            _cut(self._request)
            raise ConnectionResetError("the client has stopped reading") from None

    @property
    def _stream(self) -> web.StreamResponse:
        if self.response is None:
            raise AssertionError("open the stream before writing to it")
        return self.response


def application(
    house: House, limits: ServerLimits, desk: BatchDesk, more: Iterable[web.RouteDef] = ()
) -> web.Application:
    """Every route of the HTTP contract that this version has; everything else is a JSON 404.

    more: routes that have their own ways to the books, as those of the admin API.
    """
    app = web.Application(client_max_size=limits.body_bytes, middlewares=[_errors_in_our_shape])
    app[HOUSE] = house
    app[_STORIES] = Stories()
    app[_LIMITS] = limits
    app.on_shutdown.append(desk.stop)
    app.on_shutdown.append(_drain)  # once nothing new is accepted
    app.on_cleanup.append(_end_stories)  # of requests that were still arriving then
    for prefix in PREFIXES:
        for endpoint, wire in WIRES.items():
            app.router.add_post(f"{prefix}/{endpoint}", _told(partial(serve, wire=wire)))
        app.router.add_post(f"{prefix}/{Endpoint.COUNT_TOKENS}", _told(serve_count))
        app.router.add_get(f"{prefix}/models", _told(models.listing), allow_head=False)
        its = _told(model_endpoints.endpoints)
        app.router.add_get(f"{prefix}/models/{{id:.+}}/endpoints", its, allow_head=False)
        app.router.add_get(f"{prefix}/models/{{id:.+}}", _told(models.one), allow_head=False)
        app.router.add_routes(desk.routes(prefix))
    app.router.add_get("/health/live", _live)
    app.router.add_get("/health/ready", _ready)
    app.router.add_routes(more)
    return app


def admin_application(
    house: House, limits: ServerLimits, routes: Iterable[web.RouteDef]
) -> web.Application:
    """The routes of the admin API alone, for an address of its own."""
    app = web.Application(client_max_size=limits.body_bytes, middlewares=[_errors_in_our_shape])
    app[HOUSE] = house
    app.router.add_get("/health/live", _live)
    app.router.add_routes(routes)
    return app


def _told(story: Story) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A story as a handler. It runs in a task of its own, so that it can outlive its client: a
    plain answer that is being paid for is booked by what it really used."""

    async def handler(request: web.Request) -> web.StreamResponse:
        house = request.app[HOUSE]
        limits = request.app[_LIMITS]
        x = AiohttpExchange(request, limits.idle_timeout_s)
        authenticate(x, house)  # before its body takes any memory
        x.body = await _body_of(request, limits.body_timeout_s)
        stories = request.app[_STORIES]
        task = asyncio.create_task(story(x, house))
        stories.add(task)
        task.add_done_callback(stories.discard)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # by the end of the drain; its client is still there
                if x.has_begun:
                    _cut(request)
                    raise
                raise Draining("the server is stopping: send the request again") from None
            if x.abandonable:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            x.client_left = True
            raise
        except Exception:
            if x.has_begun:
                _cut(request)
            raise
        if x.response is None:
            raise AssertionError("the story ended without an answer")
        return x.response

    return handler


async def _body_of(request: web.Request, timeout_s: float) -> bytes:
    if request.content.is_eof():  # all of it came with the head
        return await request.read()
    try:
        async with asyncio.timeout(timeout_s):
            return await request.read()
    except TimeoutError:
        raise TooSlow(
            f"the body did not arrive in {timeout_s:g} s: send it faster, or raise"
            " server.body_timeout in the configuration"
        ) from None


def _cut(request: web.Request) -> None:
    """What has begun and will not end must not look whole."""
    if request.transport is not None:
        request.transport.abort()


async def _drain(app: web.Application) -> None:
    """Let what is under way finish; then cut it, charged by what was delivered.

    aiohttp's own waiting would be twice as long, and not for stories whose client has left.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(app[_LIMITS].drain_s):
            while stories := app[_STORIES]:
                await asyncio.wait(stories)
    await _end_stories(app)


async def _end_stories(app: web.Application) -> None:
    stories = app[_STORIES]
    for task in stories:
        task.cancel()
    await asyncio.gather(*stories, return_exceptions=True)


@web.middleware
async def _errors_in_our_shape(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if isinstance(request.protocol, Connection):
        request.protocol.head_came()
    try:
        return await handler(request)
    except ConnectionError:
        raise
    except Exception as error:  # the last edge: no traceback ever leaves the house
        if request.transport is None or request.transport.is_closing():
            raise
        house = request.app[HOUSE]
        request_id = new_id("req", house.clock.now_ns(), house.random_bytes)
        problem = await _of_http(request, error) or as_answer(error, request_id)
    headers: Headers = [JSON, ("x-request-id", request_id), *problem.headers]
    is_messages = "/messages" in request.path
    body = problem.anthropic_body(request_id) if is_messages else problem.body()
    return web.Response(status=problem.answer_status, headers=dict(headers), body=body)


async def _of_http(request: web.Request, error: Exception) -> ProxyError | None:
    """aiohttp's own refusals as ours; None for every other error."""
    match error:
        case web.HTTPRequestEntityTooLarge():
            return TooLarge(
                "the body is too large: send less, or raise server.max_body_bytes in the"
                " configuration"
            )
        case web.RequestPayloadError():
            request.content.feed_eof()  # or aiohttp would read on, and fail in its turn
            return Invalid("the body is not in its Content-Encoding", code="invalid_json")
        case web.HTTPNotFound():
            hint = await _hint(request)
            return NotFound(f"there is no {request.path} here{hint}", code="unknown_url")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return MethodNotAllowed(f"{request.path} takes {allowed}, not {request.method}")
        case web.HTTPException():
            return Invalid(error.reason)
        case _:
            return None


_PARTS_OF_PREFIXES = {part for prefix in PREFIXES for part in prefix.split("/")}


async def _hint(request: web.Request) -> str:
    """For a path that would be there but for its prefix: mostly the client's base URL is wrong."""
    *parts, last = request.path.rstrip("/").split("/")
    prefix = list(takewhile(_PARTS_OF_PREFIXES.__contains__, parts))
    below = "/".join([*parts[len(prefix) :], last])
    meant = f"{PREFIXES[0]}/{below}"
    found = await request.app.router.resolve(request.clone(rel_url=URL.build(path=meant)))
    if isinstance(found.http_exception, web.HTTPNotFound):
        return ""
    if "/".join(prefix) in PREFIXES:
        why = ""
    elif below.startswith(Endpoint.MESSAGES):
        why = " Anthropic's clients take a base URL without /v1" if "v1" in prefix else ""
    else:
        why = " OpenAI's clients take a base URL with /v1, once"
    return f": did you mean {meant}?{why}"


async def _live(_request: web.Request) -> web.Response:
    return web.json_response({"status": "live"})


async def _ready(request: web.Request) -> web.Response:
    """Ready when the books can be read: an answer without books would be unbooked.

    stream_rescues: how many broken streams were asked for elsewhere, and how many went on there.
    """
    house = request.app[HOUSE]
    await house.book.ready()
    rescues = {"tried": house.splices.tried, "matched": house.splices.matched}
    return web.json_response({"status": "ready", "stream_rescues": rescues})
