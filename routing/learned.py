"""Learned: what past requests say about the size of the next one."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.text_price import Tokenizer

FIRST_COMPLETION_TOKENS = 256.0
FIRST_PROMPT_BYTES, FIRST_PROMPT_TOKENS = 4000.0, 1000.0
LEAST_BYTES_PER_TOKEN, MOST_BYTES_PER_TOKEN = 1, 8
"""What text has. A body may be padded, or its prompt grow behind it: no client may teach us that
for the requests of others."""
WEIGHT = 1 / 16
"""Of the newest request in the running means."""
MODELS_REMEMBERED = 10_000


@dataclass(slots=True)
class _Means:
    completion_tokens: float = FIRST_COMPLETION_TOKENS
    prompt_bytes: float = FIRST_PROMPT_BYTES
    prompt_tokens: float = FIRST_PROMPT_TOKENS
    prompts: int = 0

    @property
    def bytes_per_token(self) -> float:
        """Of the means, not the mean of ratios: of a short prompt most bytes are no text."""
        return self.prompt_bytes / self.prompt_tokens


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
            least, most = LEAST_BYTES_PER_TOKEN * prompt, MOST_BYTES_PER_TOKEN * prompt
            text_bytes = min(max(prompt_bytes, least), most)
            means.prompt_bytes += WEIGHT * (text_bytes - means.prompt_bytes)
            means.prompt_tokens += WEIGHT * (prompt - means.prompt_tokens)
            means.prompts += 1

    def tokenizers(self) -> list[Tokenizer]:
        """What the prompts of each model told of its tokenizer."""
        return [
            Tokenizer(model, means.bytes_per_token, means.prompts)
            for model, means in self._by_model.items()
        ]

    def _means(self, model: str) -> _Means:
        return self._by_model.get(model) or _Means()
