"""Plausibility: what an entry's figures can be, by themselves and beside others of the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from statistics import median

from benchmarks.alarms import AlarmName
from benchmarks.feeds.reading import CapacityRow, Entry, ModelQuality, PricedModel
from benchmarks.quotes import Override
from ledger.rates import RateCard

JUMP = 8
"""A figure that is so many times its last good value, or one part of it, is doubted. Of 526 changes
of a price in LiteLLM's file (2023-10 to 2026-11) 165 were such: most were errors, or put one
right."""
SCORE_JUMP = 0.25
CONFIRMED = Decimal("1.5")
"""Another feed confirms a figure that is so many times its own at most."""
_UNIT_ERRORS = ((300, 3000), (300_000, 3_000_000))
"""Around a thousand (per thousand tokens, or cents) and a million (per token or per million)."""

# USD per million tokens. What is sold lies between 0.004 (small embeddings) and 600 (o1-pro).
LEAST, MOST = Decimal("0.001"), Decimal(1000)
MOST_OUTPUT_TO_INPUT = 100
"""Output for input: 0.3 to 20 is what there is."""
MOST_WRITE_TO_INPUT = 10
MOST_USD = Decimal(1000)
"""Per request, image, second, character or search."""

_CARD = tuple(one.name for one in fields(RateCard) if one.init and one.name != "per")
_ELSE = {"cache_read": "input", "cache_write": "input"}
"""Prices that are those of others where none is named: then they are no figures of their own."""
_FACTS = frozenset(("context_tokens", "max_output_tokens"))
_BY_TOKEN = frozenset(_CARD) - {"request", "unit"}


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a value is not believed. figure: which one, of `figures`; "" is none of them."""

    name: AlarmName
    value: str
    figure: str = ""


def implausible(entry: Entry) -> Iterator[Objection]:
    """What is wrong with an entry, whatever it was before."""
    if isinstance(entry, PricedModel):
        for name, card in _cards(entry):
            yield from _odd(name, card)
    elif isinstance(entry, ModelQuality):
        quality = entry.quality
        if not 0 <= quality.low <= quality.score <= quality.high <= 1:
            yield Objection(AlarmName.IMPLAUSIBLE, f"a score of {quality.score:g}")
    elif not 0 < entry.usd_per_gpu_hour <= MOST_USD:
        yield Objection(AlarmName.IMPLAUSIBLE, f"{entry.usd_per_gpu_hour} USD per GPU-hour")


def changed(last: Entry, now: Entry) -> Iterator[Objection]:
    """What is doubtful about the change from the last good entry."""
    if isinstance(last, ModelQuality) and isinstance(now, ModelQuality):
        if abs(last.quality.score - now.quality.score) > SCORE_JUMP:
            yield Objection(AlarmName.JUMP, f"a score of {now.quality.score:g}")
        return
    if isinstance(last, PricedModel) and isinstance(now, PricedModel):
        yield from _unlearned(last, now)
    before, after = figures(last), figures(now)
    for name, value in before.items():
        if name not in _FACTS | after.keys():  # a fact that is not said is not taken back
            yield Objection(AlarmName.MISSING, f"no {name}", name)
        elif name in after and (moved := _moved(name, value, after[name])):
            yield Objection(moved, f"{name} {after[name]:f}", name)


def _unlearned(last: PricedModel, now: PricedModel) -> Iterator[Objection]:
    """What it could do and cannot any more: every request that needs it would be refused."""
    if None not in (last.task, now.task) and last.task is not now.task:
        yield Objection(AlarmName.JUMP, f"does {now.task}")
    if last.features and now.features is not None and (lost := last.features - now.features):
        yield Objection(AlarmName.JUMP, f"no {', '.join(sorted(lost))}")


def disagrees(rates: RateCard, peers: Sequence[RateCard]) -> Iterator[Objection]:
    """Where an offer's price is far from what other feeds ask for it."""
    for name, usual in _usual(rates, peers).items():
        ours = getattr(rates, name)
        if ours and (moved := _moved(name, usual, ours)):
            is_unit = moved is AlarmName.UNIT_ERROR
            value = f"{name} {ours:f}, where other feeds say {usual:f}"
            yield Objection(moved if is_unit else AlarmName.DISAGREES, value, name)


def confirmed(objection: Objection, rates: RateCard, peers: Sequence[RateCard]) -> bool:
    """Whether other feeds say much the same of the figure that is objected to."""
    usual = _usual(rates, peers).get(objection.figure)
    if usual is None or not (ours := getattr(rates, objection.figure)):
        return False
    return bool(1 / CONFIRMED <= ours / usual <= CONFIRMED)


def _usual(rates: RateCard, peers: Sequence[RateCard]) -> Mapping[str, Decimal]:
    found = {}
    for name in ("input", "output", "unit"):
        others = [price for one in peers if one.per is rates.per and (price := getattr(one, name))]
        if others:
            found[name] = Decimal(median(others))
    return found


def figures(entry: Entry) -> Mapping[str, Decimal]:
    """All figures of an entry that a request is routed or charged by, by name."""
    if isinstance(entry, PricedModel):
        found = {
            f"{name}{each}": price
            for name, card in _cards(entry)
            for each in _CARD
            if (price := getattr(card, each)) and price != getattr(card, _ELSE.get(each, ""), None)
        }
        for name in sorted(_FACTS):
            if (tokens := getattr(entry, name)) is not None:
                found[name] = Decimal(tokens)
        return found
    if isinstance(entry, CapacityRow):
        return {"usd_per_gpu_hour": entry.usd_per_gpu_hour}
    return {"score": Decimal(str(entry.quality.score))}


def _cards(model: PricedModel) -> Iterator[tuple[str, RateCard]]:
    if model.rates is not None:
        yield "", model.rates
    if model.batch_rates is not None:
        yield "batch ", model.batch_rates
    yield from _overriding("", model.overrides)
    yield from _overriding("batch ", model.batch_overrides)
    for tier, cards in model.tiers.items():
        if cards.rates is not None:
            yield f"{tier} ", cards.rates
        yield from _overriding(f"{tier} ", cards.overrides)


def _overriding(before: str, overrides: Iterable[Override]) -> Iterator[tuple[str, RateCard]]:
    for one in overrides:
        size = f"above {one.above_prompt_tokens} " if one.above_prompt_tokens else ""
        hours = f"{one.hours.start_minute}-{one.hours.end_minute} " if one.hours else ""
        yield f"{before}{size}{hours}", one.rates


def _odd(where: str, card: RateCard) -> Iterator[Objection]:
    for name in _CARD:
        price, most = getattr(card, name), MOST if name in _BY_TOKEN else MOST_USD
        least = LEAST if name in ("input", "output") else Decimal(0)
        if price and not least <= price <= most:
            yield Objection(AlarmName.IMPLAUSIBLE, f"{where}{name} {price:f} USD")
    plain, output = card.input, card.output
    if not plain:
        return
    if output and not 1 / Decimal(MOST_OUTPUT_TO_INPUT) <= output / plain <= MOST_OUTPUT_TO_INPUT:
        yield Objection(AlarmName.IMPLAUSIBLE, f"{where}input {plain:f} and output {output:f}")
    if card.cache_read > plain:
        yield Objection(AlarmName.IMPLAUSIBLE, f"{where}cache_read {card.cache_read:f}")
    if card.cache_write > plain * MOST_WRITE_TO_INPUT:
        yield Objection(AlarmName.IMPLAUSIBLE, f"{where}cache_write {card.cache_write:f}")


def _moved(name: str, before: Decimal, after: Decimal) -> AlarmName | None:
    ratio = max(before / after, after / before)
    if ratio < JUMP:
        return None
    is_price = name not in _FACTS
    is_unit = is_price and any(low <= ratio <= high for low, high in _UNIT_ERRORS)
    return AlarmName.UNIT_ERROR if is_unit else AlarmName.JUMP
