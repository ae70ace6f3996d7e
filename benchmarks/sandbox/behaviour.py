"""Behaviour: what a sandbox provider serves, how fast, and how often it fails."""

from __future__ import annotations

import math
import random
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.sandbox.faults import Fault, FaultRates

ENDPOINTS = frozenset(
    (
        "chat/completions",
        "completions",
        "responses",
        "messages",
        "messages/count_tokens",
        "embeddings",
        "moderations",
        "images/generations",
        "audio/speech",
        "audio/transcriptions",
        "audio/translations",
        "rerank",
        "files",
        "batches",
        "models",
    )
)
"""Paths below the base URL; `files`, `batches` and `models` stand for all that is below them."""
OUTPUT_SIGMA = 0.8
MAX_DRAWN_OUTPUT_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class Draws:
    """All that is random about one request."""

    request_id: str
    ttft_ms: float
    output_tokens: int
    fault: Fault | None
    is_right: bool = True


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a sandbox provider is like.

    models: names that it serves; any other is a 404.
    endpoints: what it speaks, of ENDPOINTS; any other is a 404. None: all.
    ttft_ms_median, ttft_sigma: time to first token, lognormal: median × exp(sigma × N(0, 1)).
    inter_token_ms: time between tokens. A plain answer comes after TTFT and all its tokens.
    output_tokens_median: length of an answer that nobody asked a length of, lognormal too.
    batch_ms: time between the steps of a batch: each change of its state, and each of its lines.
    time_scale: every delay above is multiplied by it; 0 is as fast as it goes.
    slow_ms, trickle_ms: real milliseconds, not scaled, so that a test can count on them: what
    `Fault.SLOW` and `Fault.LATE` add, and what lies between two signs of life of `Fault.TRICKLE`.
    retry_after_s: what a 429 says; where that is whole seconds, rounded up.
    context_tokens: prompt and answer together; a prompt that leaves no room for a token is a 400.
    api_key: required as bearer (or as x-api-key, where Anthropic takes it); None: any, or none.
    cache: bills the start of a prompt that it has seen before as cached tokens. On /v1/messages
    only what `cache_control` marks, and there what is new in the cache as cache writes.
    voice: the same request gets the same words from every provider without a voice; one with a
    voice says none of its words as another would. Letters, digits, - and _.
    batch_fails_every: so many lines of a batch, counted from its first, end with one that fails;
    0: none fails by itself.
    answers: what chat completions say to the last words of a user, word for word; all else is
    answered as ever. wrong_rate: how often it is answered as ever even so.
    seed: the same seed draws the same for the n-th request, however many run at once.
    """

    models: tuple[str, ...]
    seed: int = 0
    ttft_ms_median: float = 200.0
    ttft_sigma: float = 0.3
    inter_token_ms: float = 10.0
    output_tokens_median: int = 100
    time_scale: float = 1.0
    faults: FaultRates = field(default_factory=FaultRates)
    retry_after_s: float = 1
    slow_ms: float = 2_000.0
    context_tokens: int = 131_072
    api_key: str | None = field(default=None, repr=False)
    cache: bool = False
    endpoints: frozenset[str] | None = None
    voice: str | None = None
    trickle_ms: float = 50.0
    batch_ms: float = 100.0
    batch_fails_every: int = 0
    answers: Mapping[str, str] = field(default_factory=dict, hash=False)
    wrong_rate: float = 0.0

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("a sandbox provider without models answers nothing: name one")
        unknown = sorted((self.endpoints or frozenset()) - ENDPOINTS)
        if unknown:
            raise ValueError(
                f"endpoints {unknown}: a sandbox provider has {', '.join(sorted(ENDPOINTS))}"
            )
        if self.voice is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", self.voice):
            raise ValueError(f"voice {self.voice!r}: a sandbox provider's is letters and digits")
        if not 0 <= self.wrong_rate <= 1:
            raise ValueError(f"wrong_rate is {self.wrong_rate}: it is a share, from 0 to 1")
        at_least = {
            "seed": 0,
            "ttft_ms_median": 0,
            "ttft_sigma": 0,
            "inter_token_ms": 0,
            "output_tokens_median": 1,
            "time_scale": 0,
            "retry_after_s": 0,
            "slow_ms": 0,
            "trickle_ms": 1,
            "batch_ms": 0,
            "batch_fails_every": 0,
            "context_tokens": 2,
        }
        for name, least in at_least.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"{name} is {value}: a sandbox provider needs {least} or more")

    def speaks(self, endpoint: str) -> bool:
        return self.endpoints is None or endpoint in self.endpoints

    def draws(self, number: int, source: random.Random) -> Draws:
        """The draws of request `number` (from 0): they depend on it and the seed, on nothing else.

        `source` is seeded anew each time; what it was before does not matter.
        """
        source.seed((self.seed << 64) + number)
        request_id = f"req_{source.getrandbits(96):024x}"
        ttft_ms = self.ttft_ms_median * math.exp(source.gauss(0.0, self.ttft_sigma))
        return Draws(
            request_id=request_id,
            ttft_ms=ttft_ms,
            output_tokens=self._output_tokens(source),
            fault=self.faults.pick(source.random()),
            is_right=source.random() >= self.wrong_rate,
        )

    def settled_output_tokens(self, words: Sequence[str]) -> int:
        """The length of an answer at temperature 0: it follows from the prompt, not the seed."""
        prompt = zlib.crc32(" ".join(words).encode(errors="replace"))
        return self._output_tokens(random.Random(prompt))  # noqa: S311 - a length is no secret

    def _output_tokens(self, source: random.Random) -> int:
        drawn = self.output_tokens_median * math.exp(source.gauss(0.0, OUTPUT_SIGMA))
        return min(max(round(drawn), 1), MAX_DRAWN_OUTPUT_TOKENS)
