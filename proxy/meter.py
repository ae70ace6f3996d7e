"""Meter: what an answer used, where its provider did not say so."""

from __future__ import annotations

import math

from ledger.usage import TokenUsage

BYTES_PER_TOKEN = 4
INTER_TOKEN_MS_UNKNOWN = 50.0


def estimate_delivered(prompt_tokens: int, text_bytes: int, pieces: int) -> TokenUsage:
    """Usage by what was delivered: never fewer tokens than pieces of the stream."""
    return TokenUsage(prompt_tokens, max(pieces, math.ceil(text_bytes / BYTES_PER_TOKEN)))


def unseen_tokens(elapsed_ms: float, inter_token_ms: float | None, most: int) -> int:
    """Tokens of an answer that never came: as many as could be written in the time that passed."""
    written = elapsed_ms / (inter_token_ms or INTER_TOKEN_MS_UNKNOWN)
    return min(most, math.ceil(written))
