"""Our text: what our requests are, read from the books, so that prices can be told for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from benchmarks.offers import Offer
from benchmarks.text_price import (
    ASSUMED_CHARS_PER_TOKEN,
    ASSUMED_MIX,
    NONE_ASSUMED,
    Figure,
    Reading,
    TextMix,
)
from benchmarks.traffic.tokenizers import tokenizers
from ledger.databases.sql import Sql
from ledger.traffic import Traffic, traffic

LEAST_REQUESTS = 20
"""Of an offer, before its own shares are taken for measured."""


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Sums over requests."""

    requests: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_written: int = 0
    reasoning: int = 0

    @classmethod
    def of(cls, rows: Iterable[Traffic]) -> _Tokens:
        found = tuple(rows)
        return cls(
            sum(one.requests for one in found),
            sum(one.prompt_tokens for one in found),
            sum(one.completion_tokens for one in found),
            sum(one.cached_tokens for one in found),
            sum(one.cache_write_tokens for one in found),
            sum(one.reasoning_tokens for one in found),
        )

    @property
    def shares(self) -> tuple[Figure | None, Figure | None, Figure | None]:
        """Cached and cache-written of the prompts, reasoning of the answers; None where too little
        was seen."""
        return (
            self._share(self.cached, self.prompt),
            self._share(self.cache_written, self.prompt),
            self._share(self.reasoning, self.completion),
        )

    def _share(self, part: int, whole: int) -> Figure | None:
        if self.requests < LEAST_REQUESTS or not whole:
            return None
        return Figure(Decimal(part) / whole, is_measured=True)


class OurText:
    """Charged requests of a span of time, by model and offer. The books know an offer by its
    provider and the provider's name of the model: offers that differ in region, quantization or
    tier alone are one in them."""

    def __init__(self, rows: Iterable[Traffic], per_token: Mapping[str, Figure]) -> None:
        rows = tuple(rows)
        self._per_token = per_token
        self._by_offer: dict[tuple[str, str, str], _Tokens] = {
            (one.model, one.provider, one.upstream_model): _Tokens.of([one]) for one in rows
        }
        by_model: dict[str, list[Traffic]] = defaultdict(list)
        for one in rows:
            by_model[one.model].append(one)
        self._by_model = {model: _Tokens.of(found) for model, found in by_model.items()}
        self.mix = self._mix()

    @classmethod
    def read(cls, sql: Sql, since_ns: int, until_ns: int) -> OurText:
        """From books that have the market's tables. Raises StoreError."""
        return cls(traffic(sql, since_ns, until_ns), tokenizers(sql))

    def requests(self, model: str, offer: Offer | None = None) -> int:
        """Of a model, in all or at one offer."""
        return self._tokens(model, offer).requests

    def reading(self, model: str, offer: Offer) -> Reading:
        """How an offer takes text: as it was seen to; else as the model's other offers were; else
        nothing is cached, and nothing is thought."""
        own, of_model = self._tokens(model, offer).shares, self._tokens(model).shares
        return Reading(
            self._per_token.get(model, ASSUMED_CHARS_PER_TOKEN),
            *(one or _assumed(usual) for one, usual in zip(own, of_model, strict=True)),
        )

    def _tokens(self, model: str, offer: Offer | None = None) -> _Tokens:
        if offer is None:
            return self._by_model.get(model, _Tokens())
        return self._by_offer.get((model, offer.provider, offer.model), _Tokens())

    def _mix(self) -> TextMix:
        """What was asked of all models, as text: what nobody got to read is none."""
        prompt = completion = Decimal(0)
        for model, tokens in self._by_model.items():
            per_token = self._per_token.get(model, ASSUMED_CHARS_PER_TOKEN).value
            prompt += tokens.prompt * per_token
            completion += (tokens.completion - tokens.reasoning) * per_token
        requests = sum(one.requests for one in self._by_model.values())
        if not prompt + completion:
            return ASSUMED_MIX
        return TextMix(requests, round(prompt), round(completion))


def _assumed(figure: Figure | None) -> Figure:
    return NONE_ASSUMED if figure is None else Figure(figure.value, is_measured=False)
