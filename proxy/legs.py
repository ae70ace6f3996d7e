"""Leg: how one request goes to one provider, and how its answer comes back.

A provider that speaks the client's wire is sent what the client wrote, and its answer is relayed.
Another is reached through the one form in between, a chat completion:

    client's wire ──▶ chat ──▶ provider's wire        (requests)
    client's wire ◀── chat ◀── provider's wire        (answers, and streams event by event)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from benchmarks.offers import Offer, Task, paid_tier
from proxy.endpoints import Endpoint
from proxy.errors import Untranslatable
from proxy.known_prompts import NO_CONVERSATION, Conversation, conversation_in
from proxy.limits import UNKNOWN_OUTPUT_LIMIT, OutputLimit
from proxy.providers import Account, Prefill, Provider
from proxy.relay import StreamRelay, Teller
from proxy.tellers import ChunkTeller, FromChunks, NamedTeller, ToldAsChunks
from proxy.translate import messages_client, messages_provider, responses, responses_provider
from proxy.translate.strict import without_extras
from proxy.wires import audio as audio_wire
from proxy.wires import body as bodies
from proxy.wires import messages as messages_wire
from proxy.wires import responses as responses_wire
from proxy.wires.table import WIRES
from proxy.wires.wire import Ask, Plain, Wire

_THROUGH_CHAT = frozenset((Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.MESSAGES))
"""The wires between which a translation stands."""

ANTHROPIC_VERSION = "2023-06-01"
"""Of the Messages that `translate` writes and reads."""
_VERSIONS = ("anthropic-version", "anthropic-beta", "openai-beta")
_AS_THEY_COME = frozenset((Endpoint.SPEECH, Endpoint.TRANSCRIPTIONS, Endpoint.TRANSLATIONS))
"""Their answers are not always JSON."""
_TIERED = _THROUGH_CHAT | {Endpoint.COMPLETIONS}
"""Where a request may name a tier of service."""
_SOUND = frozenset((Task.SPEECH, Task.TRANSCRIPTION))


@dataclass(slots=True)
class Body:
    """What the client sent, and the same as a chat completion once somebody needed that.

    headers: the client's, their names in lower case. at_s: when it came, in seconds since 1970.
    """

    ours: Wire
    raw: bytes
    headers: Mapping[str, str]
    at_s: int
    _as_chat: bytes | None = None
    _conversation: Conversation | None = None

    @property
    def conversation(self) -> Conversation:
        """By which it is known again when it goes on."""
        if self._conversation is None:
            has_one = self.ours.endpoint in (Endpoint.CHAT, Endpoint.MESSAGES)
            self._conversation = conversation_in(self.raw) if has_one else NO_CONVERSATION
        return self._conversation

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "application/json")

    def as_chat(self) -> bytes:
        """Raises Untranslatable."""
        if self._as_chat is None:
            chat = _to_chat(self.ours.endpoint, self.raw)
            WIRES[Endpoint.CHAT].ask(chat, "application/json")  # what is billed apart there, too
            self._as_chat = chat
        return self._as_chat

    def continued(self, delivered: str, prefill: Prefill) -> Body:
        """The same with the beginning of its answer. Raises Untranslatable."""
        tree = bodies.tree_of(self.as_chat())
        messages = msgspec.json.decode(tree["messages"], type=list[msgspec.Raw])
        last = {"role": "assistant", "content": delivered, **prefill.message}
        tree |= {"messages": [*messages, last], **prefill.request}
        return Body(WIRES[Endpoint.CHAT], bodies.encode(tree), {}, self.at_s)

    def told_as(self) -> FromChunks:
        """How chunks of a chat are told to this client."""
        match self.ours.endpoint:
            case Endpoint.RESPONSES:
                return responses.EventsFromChat(self.raw)
            case Endpoint.MESSAGES:
                return messages_client.EventsFromChat(self.raw)
            case _:
                return ToldAsChunks()


@dataclass(frozen=True, slots=True)
class Leg:
    """theirs: what the provider is spoken to in."""

    body: Body
    ask: Ask
    provider: Provider
    theirs: Wire
    _request: bytes

    @property
    def is_native(self) -> bool:
        return self.theirs is self.body.ours

    @property
    def _is_chat(self) -> bool:
        return self.theirs.endpoint is Endpoint.CHAT

    @property
    def goes_by_chunks(self) -> bool:
        """Whether the client is told a stream by way of chunks of a chat."""
        wires = {self.theirs.endpoint, self.body.ours.endpoint}
        return Endpoint.CHAT in wires or not self.is_native

    @property
    def content_type(self) -> str:
        return self.body.content_type if self.is_native else "application/json"

    def headers(self, account: Account) -> Mapping[str, str]:
        """What the provider is sent with the body: of the client's own, which version of their
        common wire it speaks."""
        headers = self.provider.headers_for(account, self.content_type)
        if self.theirs.endpoint is Endpoint.MESSAGES:
            headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
        if self.is_native:
            of_client = self.body.headers
            told = {name: of_client[name] for name in _VERSIONS if name in of_client}
            if "anthropic-beta" in told and "anthropic-beta" in headers:
                told["anthropic-beta"] += "," + headers["anthropic-beta"]
            headers |= told
        return headers

    @property
    def url(self) -> str:
        return self.provider.url(self.theirs.endpoint)

    def request(self, model: str, limit: OutputLimit, tier: str | None = None) -> bytes:
        """The body for an offer's model, within the limit that was held, at the offer's tier: the
        one that the client has named may be another."""
        request, told = self._request, limit.told
        if not self.is_native and self.theirs.endpoint is Endpoint.MESSAGES:
            # No message is without a limit, and what a model may think depends on it.
            request = messages_provider.request_from_chat(request, limit.tokens, model)
        elif self.provider.is_strict and not self.is_native and self._is_chat:
            request = without_extras(request)
        sent = self.theirs.rewrite(request, self.content_type, self.provider, model, told)
        if self.theirs.endpoint in _TIERED and (tier or paid_tier(self.ask.service_tier)):
            return bodies.at_tier(sent, tier)
        return sent

    def streams(self, content_type: str) -> bool:
        """Whether this is the head of a stream as it was asked for."""
        return content_type.lower().startswith("text/event-stream")

    def answer_type(self, headers: Mapping[str, str]) -> str:
        """The content type of a whole answer, as the client gets it."""
        if self.theirs.endpoint in _AS_THEY_COME:
            return headers.get("content-type", "application/octet-stream")
        return "application/json"

    @property
    def may_be_whole(self) -> bool:
        """Whether a client that asked for a stream takes a whole answer too: OpenAI's own older
        models of speech know no streams."""
        return self.ask.task in _SOUND

    def plain(self, answer: bytes) -> Plain | None:
        """What a whole answer says of itself; None if it is none."""
        return self.theirs.plain(answer, self.ask)

    def told(self, answer: bytes) -> bytes:
        """A whole answer as the client reads it."""
        if self.is_native:
            return answer
        if self.theirs.endpoint is Endpoint.MESSAGES:
            answer = messages_provider.answer_to_chat(answer, created=self.body.at_s)
        elif self.theirs.endpoint is Endpoint.RESPONSES:
            answer = responses_provider.answer_to_chat(answer, created=self.body.at_s)
        match self.body.ours.endpoint:
            case Endpoint.RESPONSES:
                return responses.answer_from_chat(answer, self.body.raw)
            case Endpoint.MESSAGES:
                return messages_client.answer_from_chat(answer)
            case _:
                return answer

    def relay(self, told_as: FromChunks | None = None) -> StreamRelay:
        """For a stream. told_as: what its chunks go through, if not straight to the client."""
        reader, teller = self.theirs.reader(self.ask), self._teller(told_as)
        return StreamRelay(reader, teller, wants_usage=self.ask.wants_usage)

    def _teller(self, told_as: FromChunks | None) -> Teller:
        if self.is_native and self.theirs.endpoint is Endpoint.MESSAGES:
            return NamedTeller(messages_wire.broken)
        if self.is_native and self.theirs.endpoint is Endpoint.RESPONSES:
            return NamedTeller(responses_wire.broken)
        if self.ask.task in _SOUND:
            return NamedTeller(audio_wire.broken)
        told_as = told_as or self.body.told_as()
        if self.is_native or self._is_chat:
            return ChunkTeller(told_as)
        is_messages = self.theirs.endpoint is Endpoint.MESSAGES
        translation = messages_provider if is_messages else responses_provider
        events = translation.EventsToChat(usage=self.ask.wants_usage, created=self.body.at_s)
        return ChunkTeller(told_as, events.event)


def leg_to(provider: Provider, offer: Offer, body: Body, ask: Ask) -> Leg:
    """The way to an offer. Raises Untranslatable, saying why there is none."""
    endpoint, spoken = body.ours.endpoint, provider.endpoints
    if not offer.speaks_chat:
        spoken = spoken - {Endpoint.CHAT}
    if endpoint in spoken:
        return Leg(body, ask, provider, body.ours, body.raw)
    if endpoint in _THROUGH_CHAT and Endpoint.CHAT in spoken:
        return Leg(body, ask, provider, WIRES[Endpoint.CHAT], body.as_chat())
    if endpoint in _THROUGH_CHAT and Endpoint.MESSAGES in spoken:
        chat = body.as_chat()
        messages_provider.request_from_chat(chat, UNKNOWN_OUTPUT_LIMIT)  # if it can be said at all
        return Leg(body, ask, provider, WIRES[Endpoint.MESSAGES], chat)
    if endpoint in _THROUGH_CHAT and Endpoint.RESPONSES in spoken:
        request = responses_provider.request_from_chat(body.as_chat())
        return Leg(body, ask, provider, WIRES[Endpoint.RESPONSES], request)
    raise Untranslatable(
        f"{provider.name} has no /{endpoint}, and nothing else says the same: ask another model",
        param="model",
    )


def _to_chat(endpoint: Endpoint, body: bytes) -> bytes:
    match endpoint:
        case Endpoint.RESPONSES:
            return responses.request_to_chat(body)
        case Endpoint.MESSAGES:
            return messages_client.request_to_chat(body)
        case _:
            return body
