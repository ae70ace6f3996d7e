"""Learned: what past requests say about the size of the next one."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_COMPLETION_TOKENS = 256.0
FIRST_BYTES_PER_TOKEN = 4.0
WEIGHT = 1 / 16
"""Of the newest request in the running means."""
MODELS_REMEMBERED = 10_000


@dataclass(slots=True)
class _Means:
    completion_tokens: float = FIRST_COMPLETION_TOKENS
    bytes_per_token: float = FIRST_BYTES_PER_TOKEN


class Learned:
    """Running means per model name."""

    def __init__(self) -> None:
        self._by_model: dict[str, _Means] = {}

    def prompt_tokens(self, model: str, prompt_bytes: int) -> int:
        return max(1, round(prompt_bytes / self._means(model).bytes_per_token))

    def completion_tokens(self, model: str) -> int:
        return max(1, round(self._means(model).completion_tokens))

    def note(self, model: str, prompt_bytes: int, prompt: int, completion: int) -> None:
        """An answer with `prompt` and `completion` tokens (per choice) to so many bytes."""
        if model not in self._by_model and len(self._by_model) >= MODELS_REMEMBERED:
            return
        means = self._by_model.setdefault(model, _Means())
        means.completion_tokens += WEIGHT * (completion - means.completion_tokens)
        if prompt > 0:
            means.bytes_per_token += WEIGHT * (prompt_bytes / prompt - means.bytes_per_token)

    def _means(self, model: str) -> _Means:
        return self._by_model.get(model) or _Means()
