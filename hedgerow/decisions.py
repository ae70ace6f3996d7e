"""A decision of the router, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.offers import Task
from hedgerow.printing import dollars, table
from ledger.money import Money, as_usd
from ledger.usage import Unit
from routing.explanation import ExplainedOffer, ExplainedSecond, Explanation


@dataclass(frozen=True, slots=True)
class DecisionTable:
    """A decision for people: what was wanted, each offer with the reason for its place, and what
    else is to be said. Cells are text; numbers that are not known are `?`."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def decision_table(one: Explanation) -> DecisionTable:
    wanted = [] if one.task == Task.CHAT else [one.task]
    if (per := Task(one.task).unit) is not None and one.units:
        wanted.append(counted(one.units, per))
    wanted.append(f"about {one.prompt_tokens} tokens in, {one.completion_tokens} out")
    if one.features:
        wanted.append(f"needs {', '.join(one.features)}")
    title = f"{one.model}: {', '.join(wanted)} (market snapshot {one.snapshot_version})"
    rows = [
        (
            *(str(place), _named(offer), _cost(offer), _share(offer.success)),
            *(_share(offer.on_time), _number(offer.ttft_ms_p95, " ms"), offer.why),
        )
        for place, offer in enumerate(one.candidates, start=1)
    ]
    rows += [("-", _named(offer), "", "", "", "", f"refused: {offer.why}") for offer in one.refused]
    head = ("", "offer", "expected cost", "answers", "in time", "TTFT p95", "why")
    notes = [f"and {one.others} more offers"] if one.others else []
    if one.exploring_nanos:
        extra = dollars(Money(one.exploring_nanos))
        notes.append(f"the first is tried for {extra} more than the best is expected to cost")
    if one.choice is not None:
        notes.append(f"by the prompt: {one.choice}")
    if one.second is not None:
        notes.append(_second_line(one.second))
    return DecisionTable(title, head, tuple(rows), tuple(notes))


def decision_lines(one: Explanation) -> list[str]:
    """The same as lines of text."""
    told = decision_table(one)
    lines = [told.title, "", table(told.head, told.rows)]
    return [*lines, "", *told.notes] if told.notes else lines


def _named(offer: ExplainedOffer) -> str:
    return offer.offer if offer.model is None else f"{offer.model}: {offer.offer}"


def _share(chance: float | None) -> str:
    return "?" if chance is None else f"{chance:.1%}"


def _second_line(one: ExplainedSecond) -> str:
    line = f"{one.offer} is asked, too, if nothing has come after {one.after_ms:.0f} ms"
    if one.chance is None or one.expected_extra_cost_nanos is None:
        return f"{line}; how often that is, nobody knows yet"
    extra = dollars(Money(one.expected_extra_cost_nanos))
    return f"{line}: a chance of {one.chance:.1%}, which adds {extra} to the expected cost"


def _cost(offer: ExplainedOffer) -> str:
    nanos = offer.expected_cost_nanos
    return "" if nanos is None else dollars(Money(nanos))


def _number(value: float | None, unit: str) -> str:
    return "?" if value is None else f"{value:.0f}{unit}"


def described(one: Explanation) -> dict[str, object]:
    return {
        "model": one.model,
        "task": one.task,
        "units": one.units,
        "prompt_tokens": one.prompt_tokens,
        "completion_tokens": one.completion_tokens,
        "max_completion_tokens": one.max_completion_tokens,
        "features": one.features,
        "snapshot_version": one.snapshot_version,
        "candidates": [_offer(offer) for offer in one.candidates],
        "refused": [_offer(offer) for offer in one.refused],
        "others": one.others,
        "first": one.first,
        "exploring_cost_usd": as_usd(Money(one.exploring_nanos)),
        "choice": one.choice,
        "second": None if one.second is None else _second(one.second),
    }


def _second(one: ExplainedSecond) -> dict[str, object]:
    nanos = one.expected_extra_cost_nanos
    return {
        "offer": one.offer,
        "after_ms": one.after_ms,
        "chance": one.chance,
        "expected_extra_cost_usd": None if nanos is None else as_usd(Money(nanos)),
    }


def _offer(one: ExplainedOffer) -> dict[str, object]:
    nanos = one.expected_cost_nanos
    return {
        "offer": one.offer,
        "model": one.model,
        "place": one.place,
        "expected_cost_usd": None if nanos is None else as_usd(Money(nanos)),
        "ttft_ms_p95": one.ttft_ms_p95,
        "error_rate": one.error_rate,
        "success": one.success,
        "on_time": one.on_time,
        "cached_tokens": one.cached_tokens,
        "why": one.why,
    }


def counted(units: int, per: Unit) -> str:
    plural = "searches" if per is Unit.SEARCH else f"{per}s"
    return f"{units} {per if units == 1 else plural}"
