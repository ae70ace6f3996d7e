"""Effective price: what a million characters of our own text cost at an offer.

List prices are per token, and tokenizers differ: what one model reads as 100 tokens another reads
as 130. Caches differ too, and how much a model thinks before it writes. So all offers are asked for
the same text, in and out as our traffic has it, and each is charged for the tokens that it makes of
it, of which it reads as many from its cache as it really does.

A character counts as one byte of UTF-8. What nobody has measured is assumed, and said to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from benchmarks.quotes import Quote
from ledger.errors import UsageUnknown
from ledger.money import as_usd
from ledger.usage import TokenUsage

_MCHARS = 1000
"""So many million characters are charged at once: whole tokens are then no coarse measure."""
_CHARS = _MCHARS * 1_000_000
_ONE, _ZERO = Decimal(1), Decimal(0)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, and whether it is measured or assumed."""

    value: Decimal
    is_measured: bool


@dataclass(frozen=True, slots=True)
class TextMix:
    """What our requests are, in sum: the same for all that are compared."""

    requests: int
    prompt_chars: int
    completion_chars: int
    is_measured: bool = True

    @property
    def chars(self) -> int:
        return self.prompt_chars + self.completion_chars


ASSUMED_MIX = TextMix(1, 4000, 1000, is_measured=False)
"""As a question with some context and its answer are, where nothing has been asked yet."""


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """How many bytes of text a model makes one token of, as `answers` have told of their prompts.
    model: by the name that clients use."""

    model: str
    bytes_per_token: float
    answers: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How an offer takes text.

    chars_per_token: of its tokenizer. cached, cache_written: shares of the tokens of prompts.
    reasoning: the share of the tokens that it writes which nobody gets to read.
    """

    chars_per_token: Figure
    cached: Figure
    cache_written: Figure
    reasoning: Figure


ASSUMED_CHARS_PER_TOKEN = Figure(Decimal(4), is_measured=False)
"""Of English, by a tokenizer with a vocabulary of 100,000."""
NONE_ASSUMED = Figure(_ZERO, is_measured=False)


@dataclass(frozen=True, slots=True)
class TextPrice:
    """usd_per_mchar: of prompts and answers together, as they are mixed. assumed: what of it nobody
    has measured."""

    usd_per_mchar: Decimal
    assumed: tuple[str, ...]


def text_price(quote: Quote, mix: TextMix, reading: Reading, at_ns: int) -> TextPrice | None:
    """What text costs at an offer whose requests begin at `at_ns`; None where it is not sold by the
    token, or where there is no text."""
    if not mix.chars:
        return None
    per_token = reading.chars_per_token.value
    scale = Decimal(_CHARS) / mix.chars
    prompt = scale * mix.prompt_chars / per_token
    visible = scale * mix.completion_chars / per_token
    completion = visible / max(_ONE - reading.reasoning.value, Decimal("0.001"))
    requests = scale * mix.requests
    usage = TokenUsage(
        prompt=round(prompt),
        cached=round(prompt * reading.cached.value),
        cache_write=round(prompt * reading.cache_written.value),
        completion=round(completion),
        reasoning=round(completion - visible),
    )
    card = quote.card(round(prompt / requests), at_ns)
    try:
        charged = as_usd(card.charge(usage))
    except UsageUnknown:
        return None
    usd = charged + card.request * (requests - 1)
    return TextPrice(usd / _MCHARS, tuple(_assumed(mix, reading)))


def _assumed(mix: TextMix, reading: Reading) -> list[str]:
    known = {
        "mix": mix.is_measured,
        "characters per token": reading.chars_per_token.is_measured,
        "cache hits": reading.cached.is_measured,
        "reasoning": reading.reasoning.is_measured,
    }
    return [name for name, is_measured in known.items() if not is_measured]
