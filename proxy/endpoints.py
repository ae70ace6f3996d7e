"""Endpoint: one kind of call of the HTTP contract, the same at our door and at a provider's."""

from __future__ import annotations

from enum import StrEnum


class Endpoint(StrEnum):
    """The value is the path below the base URL."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    COUNT_TOKENS = "messages/count_tokens"
    EMBEDDINGS = "embeddings"
    MODERATIONS = "moderations"
    IMAGES = "images/generations"
    SPEECH = "audio/speech"
    TRANSCRIPTIONS = "audio/transcriptions"
    TRANSLATIONS = "audio/translations"
    RERANK = "rerank"
    FILES = "files"
    BATCHES = "batches"
