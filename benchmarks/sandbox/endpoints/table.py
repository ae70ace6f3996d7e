"""Endpoint: one kind of work that a sandbox provider does, and all kinds that there are."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.sandbox.endpoints import (
    chat,
    completions,
    embeddings,
    images,
    messages,
    moderations,
    rerank,
    responses,
    speech,
    transcriptions,
)
from benchmarks.sandbox.wire import Read


@dataclass(frozen=True, slots=True)
class Endpoint:
    """path: below the base URL. prompt: the field that a prompt that is too long is blamed on.

    in_anthropic: its errors, keys and headers are Anthropic's.
    """

    path: str
    read: Read
    prompt: str
    in_anthropic: bool = False


WORK = (
    Endpoint("chat/completions", chat.read, "messages"),
    Endpoint("completions", completions.read, "prompt"),
    Endpoint("responses", responses.read, "input"),
    Endpoint("messages", messages.read, "messages", in_anthropic=True),
    Endpoint("messages/count_tokens", messages.read_count, "messages", in_anthropic=True),
    Endpoint("embeddings", embeddings.read, "input"),
    Endpoint("moderations", moderations.read, "input"),
    Endpoint("images/generations", images.read, "prompt"),
    Endpoint("audio/speech", speech.read, "input"),
    Endpoint("audio/transcriptions", transcriptions.transcriptions, "prompt"),
    Endpoint("audio/translations", transcriptions.translations, "prompt"),
    Endpoint("rerank", rerank.read, "query"),
)
BY_PATH = {one.path: one for one in WORK}
