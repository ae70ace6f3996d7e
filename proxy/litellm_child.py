"""LiteLLM in a process of its own, behind the OpenAI wire: `python -m proxy.litellm_child`.

LiteLLM knows the providers that speak neither OpenAI's wire nor Anthropic's (Bedrock, Vertex AI,
Cohere, ...). It takes seconds to import and hundreds of MB, and some of its providers block. Here
it may: to the proxy it is one more provider, with `POST /PROVIDER/chat/completions` and so on.

The parent, `proxy.litellm_upstream`, writes a `Start` to stdin as one line of JSON and leaves stdin
open: its end is the end of this process, whatever became of the parent. Once this process listens
it writes one line to stdout, the port or 0. It ignores signals: what is under way is the parent's
to finish.

It runs in its parent's environment, where LiteLLM finds the credentials of cloud accounts (AWS_*,
GOOGLE_APPLICATION_CREDENTIALS, AZURE_*). A request brings the rest: `Authorization: Bearer KEY`,
and every other parameter of LiteLLM as JSON in the header `x-litellm-params`. The body, which comes
from a client, names none of them: who could say `api_base` would be sent our key. All that LiteLLM
does beside asking a provider is off: retries, fallbacks, caches, callbacks, downloads, guesses at
counts of tokens.
"""

from __future__ import annotations

import asyncio
import hmac
import importlib
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from aiohttp import web

from proxy.litellm_call import FUNCTIONS, Function, arguments, fields_of
from proxy.litellm_fault import Fault, Refusal, fault_of
from proxy.litellm_link import SECRET_HEADER, SETUP_HEADER, Start

HEADER_BYTES = 64 << 10
"""A service account of Google's, in the parameters, is a few kB."""
THREADS = 64
"""LiteLLM prepares each call in a thread, and makes some providers' calls in one."""

_QUIET = {
    "LITELLM_MODE": "PRODUCTION",  # reads no .env of the folder that we happen to be in
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "AIOHTTP_KEEPALIVE_TIMEOUT": "15",  # what rests for long is often dead, and fails a request
}


# -- the answers


@dataclass(slots=True)
class _Progress:
    asked: bool = False


_PROGRESS: ContextVar[_Progress] = ContextVar("progress")


class MadeUp(Exception):
    """The provider's stream ended without an end; LiteLLM would make one up."""


class Calls:
    """The calls that are under way."""

    def __init__(self, litellm: Any, start: Start) -> None:
        self._litellm = litellm
        self._secret = start.secret.encode()
        self._at_once = start.calls_at_once
        self._under_way = 0

    def handler(
        self, function: Function
    ) -> Callable[[web.Request], Coroutine[None, None, web.StreamResponse]]:
        async def handle(http: web.Request) -> web.StreamResponse:
            if not hmac.compare_digest(_secret_of(http), self._secret):
                return _refused(Fault(403, "this is not for you"))
            if self._under_way >= self._at_once:
                why = f"{self._at_once} calls are under way in LiteLLM's process"
                return _refused(Fault(429, why, headers={"retry-after": "1"}))
            self._under_way += 1
            try:
                return await self._answer(function, http)
            except Refusal as refusal:
                return _refused(refusal.fault)
            finally:
                self._under_way -= 1

        return handle

    async def _answer(self, function: Function, http: web.Request) -> web.StreamResponse:
        call = arguments(self._litellm, function, http, await fields_of(http))
        progress = _Progress()
        _PROGRESS.set(progress)
        try:
            result = await getattr(self._litellm, function.name)(**call)
            if not call.get("stream"):
                return _plain(result, call)
        except Exception as error:  # noqa: BLE001 - LiteLLM raises whatever a provider's code does
            return _refused(fault_of(error, asked=progress.asked))
        async with aclosing(_events(result, call)) as events:
            return await _stream(http, events)


def _secret_of(http: web.Request) -> bytes:
    return http.headers.get(SECRET_HEADER, "").encode(errors="surrogateescape")


def _refused(fault: Fault) -> web.Response:
    headers = {"content-type": "application/json", **fault.headers}
    if fault.setup:
        headers[SETUP_HEADER] = fault.message.encode("ascii", "replace").decode()[:300]
    return web.Response(status=fault.status, body=fault.body(), headers=headers)


def _plain(result: Any, call: Mapping[str, Any]) -> web.Response:
    content = getattr(result, "content", None)
    if isinstance(content, bytes):  # speech
        kind = result.response.headers.get("content-type", "application/octet-stream")
        return web.Response(body=content, headers={"content-type": kind})
    if call.get("response_format") in ("text", "srt", "vtt") and "file" in call:
        return web.Response(text=result.text)
    answer = _shape(result, call)
    if "usage" in answer and not _is_told(answer["usage"], wrote=_wrote(answer)):
        del answer["usage"]
    return web.Response(
        body=msgspec.json.encode(answer), headers={"content-type": "application/json"}
    )


async def _stream(http: web.Request, events: AsyncIterator[bytes]) -> web.StreamResponse:
    """A stream that fails before its first event is an error answer; later, an error event."""
    response: web.StreamResponse | None = None
    while True:
        try:
            event = await anext(events, None)
        except Exception as error:  # noqa: BLE001 - the same
            fault = fault_of(error, asked=True)
            if response is None:
                return _refused(fault)
            await response.write(b"data: " + fault.body() + b"\n\n")
            return response
        if response is None:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(http)
        if event is None:
            return response
        await response.write(event)


async def _events(stream: Any, call: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
    """A stream's events as they come. Raises MadeUp, and whatever LiteLLM does."""
    wrote = False
    try:
        async for chunk in stream:
            data = _shape(chunk, call)
            data["choices"] = [choice for choice in data["choices"] if _says_something(choice)]
            if any(choice["finish_reason"] for choice in data["choices"]) and not _is_whole(stream):
                raise MadeUp("the provider's stream ended before its answer did")
            wrote = wrote or _wrote(data)
            if "usage" in data and not _is_told(data["usage"], wrote=wrote):
                del data["usage"]
            if data["choices"] or "usage" in data:
                yield b"data: " + msgspec.json.encode(data) + b"\n\n"
        yield b"data: [DONE]\n\n"
    finally:
        await _close(stream)


def _says_something(choice: Mapping[str, Any]) -> bool:
    said = choice.get("delta", choice.get("text"))
    return bool(said or choice["finish_reason"])


def _is_whole(stream: Any) -> bool:
    """Whether the finish_reason that LiteLLM gives came from the provider."""
    for one in _layers(stream):
        if hasattr(one, "received_finish_reason"):
            return bool(one.received_finish_reason or one.intermittent_finish_reason)
    return True


def _layers(stream: Any) -> Iterator[Any]:
    """LiteLLM's stream, and what it reads from."""
    yield stream
    for name in ("completion_stream", "response"):
        if (inner := getattr(stream, name, None)) is not None:
            yield inner


async def _close(stream: Any) -> None:
    """Hang up on the provider, unless its answer is over."""
    for one in _layers(stream):
        if hasattr(one, "aclose"):
            await one.aclose()
            return


def _shape(result: Any, call: Mapping[str, Any]) -> dict[str, Any]:
    """LiteLLM's objects as OpenAI writes them."""
    data: dict[str, Any] = result.model_dump(mode="json", exclude_none=True)
    if data.get("model") == call["model"]:
        data["model"] = call["model"].partition("/")[2]
    for choice in data.get("choices", ()):
        choice.setdefault("finish_reason", None)
        if "message" in choice:
            choice["message"].setdefault("content", None)
        elif "delta" not in choice:
            choice.setdefault("text", "")
    return data


def _wrote(data: Mapping[str, Any]) -> bool:
    return any(
        choice.get("text") or (said.get("content") or said.get("tool_calls"))
        for choice in data.get("choices", ())
        for said in (choice.get("message", choice.get("delta", {})),)
    )


def _is_told(usage: Mapping[str, Any], *, wrote: bool) -> bool:
    """Whether the counts are the provider's: LiteLLM writes 0 for what it was not told."""
    if "prompt_tokens" not in usage:
        return any(isinstance(count, int) and count > 0 for count in usage.values())
    return usage["prompt_tokens"] > 0 and (usage.get("completion_tokens", 0) > 0 or not wrote)


# -- the process


def application(litellm: Any, start: Start) -> web.Application:
    app = web.Application(client_max_size=start.max_body_bytes)
    calls = Calls(litellm, start)
    for endpoint, function in FUNCTIONS.items():
        app.router.add_post(f"/{{provider}}/{endpoint}", calls.handler(function))
    app.router.add_route("*", "/{path:.*}", _nothing_here)
    return app


async def _nothing_here(http: web.Request) -> web.Response:
    return _refused(Fault(404, f"LiteLLM has no {http.path}", code="unknown_url"))


def _tamed() -> Any:
    """LiteLLM, and nothing of it that we did not ask for. Its types are not looked at: to check
    them takes minutes."""
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.turn_off_message_logging = True
    litellm.redact_messages_in_exceptions = True
    litellm.disable_streaming_logging = True
    litellm.disable_token_counter = True
    litellm.disable_hf_tokenizer_download = True
    handler: Any = importlib.import_module("litellm.llms.custom_httpx.http_handler")
    handler.AsyncHTTPHandler.single_connection_post_request = _not_again
    listener: Any = importlib.import_module("litellm.integrations.custom_logger").CustomLogger()
    listener.log_pre_api_call = _asking
    litellm.input_callback = [listener]
    return litellm


async def _not_again(*_arguments: object, **_named: object) -> NoReturn:
    """LiteLLM would ask a second time when a connection breaks; the first time may be billed."""
    broken = sys.exception()
    raise broken if broken is not None else AssertionError("asked again without a reason")


def _asking(**_named: object) -> None:
    """LiteLLM is about to send a request; in whatever thread it prepared it."""
    if (progress := _PROGRESS.get(None)) is not None:
        progress.asked = True


async def _serve(litellm: Any, start: Start, told: int) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    runner = web.AppRunner(
        application(litellm, start),
        access_log=None,
        handler_cancellation=True,
        max_field_size=HEADER_BYTES,
    )
    await runner.setup()
    if start.socket is not None:
        await web.UnixSite(runner, start.socket, backlog=start.calls_at_once).start()
        port = 0
    else:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=start.calls_at_once).start()
        port = runner.addresses[0][1]
    os.write(told, f"{port}\n".encode())
    os.close(told)
    await asyncio.Event().wait()


def _end_with_parent(start: Start) -> None:
    while os.read(0, 1024):
        pass
    if start.socket is not None:  # a parent that was killed leaves them to us
        path = Path(start.socket)
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()
    os._exit(0)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    start = msgspec.json.decode(sys.stdin.buffer.readline(), type=Start)
    threading.Thread(target=_end_with_parent, args=(start,), daemon=True).start()
    told = os.dup(1)
    os.dup2(2, 1)  # what LiteLLM prints is no word to the parent
    os.environ.update(_QUIET)
    asyncio.run(_serve(_tamed(), start, told))


if __name__ == "__main__":
    main()
