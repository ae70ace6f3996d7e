"""A response as what a chat answers: whole, or event by event.

Both are made of the same `Pieces`, so that both come out the same.

    status                       finish_reason
    completed                    stop; tool_calls where there are calls
    incomplete                   content_filter; length for any other reason: there was more to say
    failed, cancelled, …         none: the provider broke off

    usage                        one last chunk without choices; `cost` and the like are carried
    service_tier                 with the finish_reason: sooner it is only what was asked for
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.errors import UpstreamFailed
from proxy.translate.responses_provider_pieces import Json, Pieces, put_together
from proxy.wires.body import ABSENT, UNREADABLE, encode, is_given, tree_of
from proxy.wires.events import MESSAGE_LIMIT, error_in
from proxy.wires.usage import responses_usage


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    id: str = ""
    created_at: int | float | None = None
    model: str | None = None
    status: str | None = None
    incomplete_details: _Incomplete | None = None
    output: list[msgspec.Raw] | None = None
    service_tier: str | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class _Event(msgspec.Struct, gc=False):
    """delta: a string in the events that are read; what later ones make of it, nobody knows."""

    type: str
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: Any = None
    logprobs: msgspec.Raw = ABSENT
    item: msgspec.Raw = ABSENT
    response: msgspec.Raw = ABSENT


class _Problem(msgspec.Struct, gc=False):
    """An error: in its event, or the event itself. A failed response has it in itself."""

    message: str | None = None
    code: str | int | None = None
    type: str | None = None
    param: str | None = None


class _Failed(msgspec.Struct, gc=False):
    error: _Problem | None = None


_response = msgspec.json.Decoder(_Response).decode
_event = msgspec.json.Decoder(_Event).decode
_problem = msgspec.json.Decoder(_Problem).decode
_failed = msgspec.json.Decoder(_Failed).decode
_ENDED = ("completed", "incomplete")
_DONE = b"[DONE]"
"""Some hosts end every stream with it."""

# -- the end


def _finish_reason(response: _Response, pieces: Pieces) -> str:
    why = response.incomplete_details
    if why is not None or response.status == "incomplete":
        is_filtered = why is not None and why.reason == "content_filter"
        return "content_filter" if is_filtered else "length"
    return "tool_calls" if pieces.has_calls else "stop"


_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS = {
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
_OF_CHAT = ("prompt_tokens", "completion_tokens", *_DETAILS.values())


def usage_to_chat(raw: msgspec.Raw) -> Json | None:
    """A response's `usage` as a chat's; None where it does not tell what was used."""
    counted = responses_usage(raw)
    if counted is None or counted.prompt is None or counted.completion is None:
        return None
    tree = tree_of(raw)
    usage: Json = {
        "prompt_tokens": counted.prompt,
        "completion_tokens": counted.completion,
        "total_tokens": counted.prompt + counted.completion,
    }
    for theirs, ours in _DETAILS.items():
        details = tree.pop(theirs, ABSENT)
        if is_given(details):
            usage[ours] = details
    more = (name for name in tree if name not in _COUNTS and name not in _OF_CHAT)
    return usage | {name: tree[name] for name in more}


def _tier(response: _Response) -> Json:
    """The one that it ran in, if it says."""
    return {} if response.service_tier is None else {"service_tier": response.service_tier}


def _heading(response: _Response, kind: str, created: int) -> Json:
    return {
        "id": f"chatcmpl-{response.id.removeprefix('resp_')}",
        "object": kind,
        "created": created if response.created_at is None else int(response.created_at),
        "model": response.model or "",
    }


# -- the doors


def answer_to_chat(answer: bytes, created: int = 0) -> bytes:
    """A whole response as a chat completion. Raises UpstreamFailed for what is none, or failed.

    created: Unix seconds, for a response that does not say.
    """
    try:
        said = _response(answer)
    except UNREADABLE as error:
        raise UpstreamFailed(f"the provider sent what is no response: {error}") from None
    if is_given(said.error):
        raise UpstreamFailed(error_in(answer))
    if said.output is None:
        raise UpstreamFailed(f"the provider sent what is no response: {error_in(answer)}")
    if said.status and said.status not in _ENDED:
        raise UpstreamFailed(f"the provider's response is {said.status[:50]}")
    pieces = Pieces()
    told = [piece for i, item in enumerate(said.output) for piece in pieces.item(i, item)]
    choice = put_together([*told, {"delta": pieces.end()}])
    choice = {"index": 0, **choice, "finish_reason": _finish_reason(said, pieces)}
    chat = _heading(said, "chat.completion", created) | {"choices": [choice]}
    usage = usage_to_chat(said.usage)
    return encode(chat | _tier(said) | ({} if usage is None else {"usage": usage}))


class EventsToChat:
    """The events of a streamed response, in their order, as the chunks of a chat.

    usage: whether to end with a chunk that tells it. created: Unix seconds, for a response that
    does not say.
    """

    def __init__(self, *, usage: bool = True, created: int = 0) -> None:
        self._tells_usage = usage
        self._created = created
        self._pieces = Pieces()
        self._head = b""

    def event(self, data: bytes) -> list[bytes]:
        """The chunks, as JSON, of one event's data. Raises UpstreamFailed for what is no event."""
        if data == _DONE:
            return []
        try:
            return self._told(_event(data), data)
        except UNREADABLE as error:
            raise UpstreamFailed(f"the provider sent what is no event: {error}") from None

    def _told(self, event: _Event, data: bytes) -> list[bytes]:
        pieces, place = self._pieces, event.output_index
        words = event.delta if isinstance(event.delta, str) else ""
        match event.type:
            case "response.output_text.delta":
                told = pieces.text(place, words, event.logprobs)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                told = pieces.add(place, words)
            case "response.reasoning_summary_text.delta":
                told = pieces.think(place, "summary", event.summary_index, words)
            case "response.reasoning_text.delta":
                told = pieces.think(place, "text", event.content_index, words)
            case "response.refusal.delta":
                told = pieces.refuse(place, words)
            case "response.output_item.added":
                told = pieces.begin(place, event.item)
            case "response.output_item.done":
                told = pieces.item(place, event.item)
            case "response.created" | "response.in_progress" | "response.queued":
                return self._begun(_response(event.response))
            case "response.completed" | "response.incomplete":
                return self._ended(_response(event.response))
            case "response.failed":
                return [self._broken(_failed(event.response).error)]
            case "error":
                return [self._broken(_failed(data).error or _problem(data))]
            case _:
                return []
        return [self._chunk(piece) for piece in told]

    def _begun(self, response: _Response) -> list[bytes]:
        if self._head:
            return []
        self._head = encode(_heading(response, "chat.completion.chunk", self._created))[:-1]
        return [self._chunk({"delta": {"role": "assistant"}})]

    def _ended(self, response: _Response) -> list[bytes]:
        begun = self._begun(response)
        told: list[Json] = []
        if not self._pieces.heard_items:  # some hosts tell no item until all is told
            for i, item in enumerate(response.output or ()):
                told += self._pieces.item(i, item)
        last = {"index": 0, "delta": self._pieces.end()}
        last["finish_reason"] = _finish_reason(response, self._pieces)
        ended = [self._with({"choices": [last], **_tier(response)})]
        usage = usage_to_chat(response.usage) if self._tells_usage else None
        if usage is not None:
            ended.append(self._with({"choices": [], "usage": usage}))
        return [*begun, *map(self._chunk, told), *ended]

    def _broken(self, said: _Problem | None) -> bytes:
        problem = said or _Problem()
        kind = problem.type if problem.type not in (None, "error") else "api_error"
        message = problem.message or "the provider broke its answer off"
        error = {"message": message[:MESSAGE_LIMIT], "type": kind, "param": problem.param}
        return self._with({"choices": [], "error": error | {"code": problem.code}})

    def _chunk(self, piece: Json) -> bytes:
        return self._with({"choices": [{"index": 0, **piece, "finish_reason": None}]})

    def _with(self, rest: Json) -> bytes:
        if not self._head:
            self._begun(_Response())
        return self._head + b"," + encode(rest)[1:]
