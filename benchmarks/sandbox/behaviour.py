"""Behaviour: what a sandbox provider serves, how fast, and how often it fails."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, fields
from enum import StrEnum


class Fault(StrEnum):
    """One way to go wrong, drawn by FaultRates or asked for in `sandbox: {"fault": …}`.

    http_500, http_429, http_401: refuses with this status; 429 says when to come back.
    reset: closes the connection before any answer, with a TCP reset.
    hang: takes the request and never answers.
    cut: closes the connection in the middle of the answer.
    short: a stream ends properly, but in the middle: no finish_reason, no usage, no [DONE].
    nonsense: status 200, and a body that is no JSON.
    no_usage: the answer does not say what it cost; it is billed all the same.
    no_done: the stream is whole, but the closing [DONE] is missing.
    slow: the first byte comes `slow_ms` later.

    What is about streams only (short, no_done) leaves a plain answer as it is.
    """

    HTTP_500 = "http_500"
    HTTP_429 = "http_429"
    HTTP_401 = "http_401"
    RESET = "reset"
    HANG = "hang"
    CUT = "cut"
    SHORT = "short"
    NONSENSE = "nonsense"
    NO_USAGE = "no_usage"
    NO_DONE = "no_done"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Chance of each fault, 0 to 1, for every request; together at most 1."""

    http_500: float = 0.0
    http_429: float = 0.0
    http_401: float = 0.0
    reset: float = 0.0
    hang: float = 0.0
    cut: float = 0.0
    short: float = 0.0
    nonsense: float = 0.0
    no_usage: float = 0.0
    no_done: float = 0.0
    slow: float = 0.0

    def __post_init__(self) -> None:
        rates = [getattr(self, one.name) for one in fields(self)]
        if not all(0 <= rate <= 1 for rate in rates) or sum(rates) > 1 + 1e-9:
            raise ValueError(f"fault rates {rates}: each is 0 to 1, and together at most 1")

    def pick(self, draw: float) -> Fault | None:
        """The fault that a uniform draw from [0, 1) falls on, or None."""
        for fault in Fault:
            draw -= getattr(self, fault)
            if draw < 0:
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Draws:
    """All that is random about one request."""

    request_id: str
    ttft_ms: float
    output_tokens: int
    fault: Fault | None


OUTPUT_SIGMA = 0.8
MAX_DRAWN_OUTPUT_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a sandbox provider is like.

    models: names that it serves; any other is a 404.
    ttft_ms_median, ttft_sigma: time to first token, lognormal: median × exp(sigma × N(0, 1)).
    inter_token_ms: time between tokens. A plain answer comes after TTFT and all its tokens.
    output_tokens_median: length of an answer that nobody asked a length of, lognormal too.
    time_scale: every delay above is multiplied by it; 0 is as fast as it goes.
    slow_ms: real milliseconds that `Fault.SLOW` adds, not scaled, so that a test can count on it.
    context_tokens: prompt and answer together; a prompt that leaves no room for a token is a 400.
    api_key: required as bearer; None: any key, or none, will do.
    cache: bills the start of a prompt that it has seen before as cached tokens.
    seed: the same seed draws the same for the n-th request, however many run at once.
    """

    models: tuple[str, ...]
    seed: int = 0
    ttft_ms_median: float = 200.0
    ttft_sigma: float = 0.3
    inter_token_ms: float = 10.0
    output_tokens_median: int = 100
    time_scale: float = 1.0
    faults: FaultRates = FaultRates()
    retry_after_s: int = 1
    slow_ms: float = 2_000.0
    context_tokens: int = 131_072
    api_key: str | None = field(default=None, repr=False)
    cache: bool = False

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("a sandbox provider without models answers nothing: name one")
        at_least = {
            "seed": 0,
            "ttft_ms_median": 0,
            "ttft_sigma": 0,
            "inter_token_ms": 0,
            "output_tokens_median": 1,
            "time_scale": 0,
            "retry_after_s": 0,
            "slow_ms": 0,
            "context_tokens": 2,
        }
        for name, least in at_least.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"{name} is {value}: a sandbox provider needs {least} or more")

    def draws(self, number: int, source: random.Random) -> Draws:
        """The draws of request `number` (from 0): they depend on it and the seed, on nothing else.

        `source` is seeded anew each time; what it was before does not matter.
        """
        source.seed((self.seed << 64) + number)
        request_id = f"req_{source.getrandbits(96):024x}"
        ttft_ms = self.ttft_ms_median * math.exp(source.gauss(0.0, self.ttft_sigma))
        output = self.output_tokens_median * math.exp(source.gauss(0.0, OUTPUT_SIGMA))
        return Draws(
            request_id=request_id,
            ttft_ms=ttft_ms,
            output_tokens=min(max(round(output), 1), MAX_DRAWN_OUTPUT_TOKENS),
            fault=self.faults.pick(source.random()),
        )
