"""Learned: what past requests say about the size of the next one."""

from __future__ import annotations

from collections import OrderedDict
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
KEYS_REMEMBERED = 100_000
MODEL_COUNTS_AS = 4.0
"""Answers of a key after which its own mean and its model's count the same."""


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


@dataclass(slots=True)
class _Answers:
    """What one key's answers were long. seen: how many of them, as far as that says anything."""

    completion_tokens: float
    seen: float = 0.0


class Learned:
    """Running means per model name; of answers, per model and key: one key asks for a word, another
    for an essay, and of a key that has not asked for much the model's mean is the best guess."""

    def __init__(self) -> None:
        self._by_model: dict[str, _Means] = {}
        self._by_key: OrderedDict[tuple[str, str], _Answers] = OrderedDict()

    def prompt_tokens(self, model: str, prompt_bytes: int) -> int:
        return max(1, round(prompt_bytes / self._means(model).bytes_per_token))

    def completion_tokens(self, model: str, key_id: str) -> int:
        mean = self._means(model).completion_tokens
        own = self._by_key.get((model, key_id))
        if own is not None:
            trust = own.seen / (own.seen + MODEL_COUNTS_AS)
            mean += trust * (own.completion_tokens - mean)
        return max(1, round(mean))

    def note(
        self, model: str, key_id: str, prompt_bytes: int, prompt: int, completion: int
    ) -> None:
        """An answer with `prompt` and `completion` tokens (per choice) to so many bytes."""
        if model not in self._by_model and len(self._by_model) >= MODELS_REMEMBERED:
            return
        means = self._by_model.setdefault(model, _Means())
        means.completion_tokens += WEIGHT * (completion - means.completion_tokens)
        own = self._by_key.pop((model, key_id), None) or _Answers(float(completion))
        own.seen = min(own.seen + 1.0, 1 / WEIGHT)
        own.completion_tokens += (completion - own.completion_tokens) / own.seen
        self._by_key[model, key_id] = own
        if len(self._by_key) > KEYS_REMEMBERED:
            self._by_key.popitem(last=False)
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
