"""Table: every wire, by its endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from proxy.endpoints import Endpoint
from proxy.wires.audio import SpeechWire, TranscriptionsWire
from proxy.wires.chat import ChatWire
from proxy.wires.completions import CompletionsWire
from proxy.wires.embeddings import EmbeddingsWire
from proxy.wires.images import ImagesWire
from proxy.wires.messages import MessagesWire
from proxy.wires.moderations import ModerationsWire
from proxy.wires.rerank import RerankWire
from proxy.wires.responses import ResponsesWire
from proxy.wires.wire import Wire

_ALL: tuple[Wire, ...] = (
    ChatWire(),
    CompletionsWire(),
    ResponsesWire(),
    MessagesWire(),
    EmbeddingsWire(),
    ModerationsWire(),
    ImagesWire(),
    SpeechWire(),
    TranscriptionsWire(Endpoint.TRANSCRIPTIONS),
    TranscriptionsWire(Endpoint.TRANSLATIONS),
    RerankWire(),
)

WIRES: Mapping[Endpoint, Wire] = MappingProxyType({one.endpoint: one for one in _ALL})
"""Counting tokens, files and batches are no wires: nothing of theirs is sent to be answered."""
