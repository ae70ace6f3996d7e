"""What our requests are, as text, and how each offer takes it: told from the books' sums."""

from __future__ import annotations

from decimal import Decimal

from benchmarks.offers import Offer
from benchmarks.text_price import ASSUMED_MIX, Figure, TextMix
from hedgerow.market.our_text import LEAST_REQUESTS, OurText
from ledger.money import ZERO
from ledger.traffic import Traffic

ELM, ASH = Offer("a", "elm-1"), Offer("b", "elm-1")


def row(
    model: str = "elm",
    provider: str = "a",
    requests: int = LEAST_REQUESTS,
    prompt: int = 1000,
    completion: int = 200,
    cached: int = 0,
    written: int = 0,
    reasoning: int = 0,
) -> Traffic:
    return Traffic(
        *(model, provider, "elm-1", requests),
        *(prompt, completion, cached, written, reasoning),
        ZERO,
    )


def measured(value: str) -> Figure:
    return Figure(Decimal(value), is_measured=True)


def assumed(value: str) -> Figure:
    return Figure(Decimal(value), is_measured=False)


def test_nothing_asked_yet() -> None:
    """Everything is assumed, and said to be."""
    text = OurText((), {})
    assert text.mix == ASSUMED_MIX
    assert not text.mix.is_measured
    its = text.reading("elm", ELM)
    assert its.chars_per_token == assumed("4")
    assert its.cached == its.cache_written == its.reasoning == assumed("0")


def test_an_offer_by_its_own() -> None:
    """Shares of what an offer was seen to do, by its own sums."""
    text = OurText(
        [row(cached=250, written=100, reasoning=50), row(provider="b", cached=1000)],
        {"elm": measured("3")},
    )
    its = text.reading("elm", ELM)
    assert its.chars_per_token == measured("3")
    assert (its.cached, its.cache_written) == (measured("0.25"), measured("0.1"))
    assert its.reasoning == measured("0.25")
    assert text.reading("elm", ASH).cached == measured("1")


def test_an_offer_that_was_hardly_asked() -> None:
    """It is taken to do as the model's offers do together, and that is called assumed."""
    few = row(provider="b", requests=LEAST_REQUESTS - 1, prompt=1000, cached=0)
    its = OurText([row(cached=500), few], {}).reading("elm", ASH)
    assert its.cached == assumed("0.25")


def test_the_mix_is_of_all_models() -> None:
    """Tokens of each model in its own tokenizer's characters; what nobody got to read is none."""
    rows = [
        row(prompt=1000, completion=300, reasoning=100),
        row("oak", requests=5, prompt=100, completion=10),
    ]
    text = OurText(rows, {"elm": measured("3"), "oak": measured("5")})
    assert text.mix == TextMix(LEAST_REQUESTS + 5, 3 * 1000 + 5 * 100, 3 * 200 + 5 * 10)
    assert text.requests("elm") == text.requests("elm", ELM) == LEAST_REQUESTS
    assert text.requests("elm", ASH) == 0
