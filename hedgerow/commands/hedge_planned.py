"""A hedge plan for a reader, at most 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from decimal import Decimal

from hedge.planning.plan import Breaking, HedgePlan, Judged, PlannedPosition
from hedgerow.printing import table

WIDTH = 100
_NET = "with what is left or owed after"
"""The expected cost less a month's part of what lasts beyond the last one: what is least."""
AT_ONCE = 1.005
"""Times the demand or price that would be told as 1.00."""


def plan_lines(plan: HedgePlan) -> list[str]:
    """The answer first, then how sure it is, then why, then what would change it."""
    return [
        *_answer(plan),
        "",
        *_sureness(plan),
        "",
        "Why:",
        *_items(f"{_named(one)}: {one.why}{_band(one)}" for one in plan.positions),
        "",
        *_by_month(plan),
        "",
        *_frontier(plan),
        *_stress(plan),
        *_turns(plan),
        *_told("What no data told, and is believed:", _priors(plan)),
        *_told("How the scenarios did on history that was held back:", plan.validation),
        *_told("Also:", plan.notes),
    ]


def _answer(plan: HedgePlan) -> list[str]:
    months = len(plan.months)
    over = f"{months} months from {plan.months[0].month:%Y-%m}"
    cap = f"a cap of {_usd(plan.cap_usd)} USD a month at {plan.confidence:.3g} confidence"
    said = [*_wrapped(plan.message or "")] if plan.message else []
    if plan.status == "time_limit":
        said.append(f"The solver ran out of time: a plan up to {plan.gap:.2%} cheaper may exist.")
    now = [one for one in plan.positions if one.units]
    if not now:
        later = " now" if any(one.later for one in plan.positions) else ""
        said.extend(_wrapped(f"Under {cap}, over {over}: buy nothing{later}. {_nothing(plan)}"))
        return said
    rows = [(one.contract, _term(one), f"{one.units:,}", _usd(one.cost_usd)) for one in now]
    if len(now) > 1:
        rows.append(("together", "", "", _usd(sum((one.cost_usd for one in now), Decimal(0)))))
    return [
        *said,
        f"Under {cap}, over {over}, buy now:",
        "",
        *table(("contract", "term", "units", "USD in fees"), rows).splitlines(),
    ]


def _nothing(plan: HedgePlan) -> str:
    if plan.unhedged.cvar_usd <= plan.cap_usd:
        return "Pay-as-you-go stays under the cap, at the least expected cost."
    return "What starts later keeps the months under the cap."


def _sureness(plan: HedgePlan) -> list[str]:
    worst = f"mean of the worst {(1 - plan.confidence) * 100:.3g}% in the worst month"

    def row(name: str, of: str) -> tuple[str, str, str]:
        with_it, without = getattr(plan.in_sample, of), getattr(plan.unhedged, of)
        return name, _usd(with_it), _usd(without)

    rows = [row("expected", "expected_usd"), row(worst, "cvar_usd")]
    if plan.end_value_usd:
        net = plan.expected_usd - plan.end_value_usd / len(plan.months)
        rows.insert(1, (_NET, _usd(net), _usd(plan.unhedged.expected_usd)))
    rows.append(("lowest cap that can be promised", _usd(plan.min_reachable_cap_usd), ""))
    return [
        *table(("USD a month", "with this plan", "buying nothing"), rows).splitlines(),
        "",
        *_wrapped(_chance(plan, plan.fresh)),
        *_wrapped(_together(plan)),
    ]


def _chance(plan: HedgePlan, fresh: Judged) -> str:
    low, high = plan.p_interval
    all_of = f"; all {len(plan.months)} in {fresh.p_all_within_cap:.1%}" * (len(plan.months) > 1)
    return (
        f"Each month stays within the cap in at least {plan.p_within_cap:.1%} of "
        f"{fresh.scenarios:,} fresh scenarios (95% interval {low:.1%} to {high:.1%}){all_of}."
    )


def _together(plan: HedgePlan) -> str:
    """What the whole plan saves, or costs; nothing of a month, or where nothing differs."""
    months = len(plan.months)
    spared = months * plan.unhedged.expected_usd - plan.total_expected_usd
    if months == 1 or abs(spared) < 1:
        return ""
    return (
        f"All {months} months together are expected to cost {_usd(plan.total_expected_usd)} USD,"
        f" {_usd(abs(spared))} {'less' if spared > 0 else 'more'} than with nothing bought."
    )


def _by_month(plan: HedgePlan) -> list[str]:
    rows = [
        (
            f"{one.month:%Y-%m}",
            _usd(one.fees_usd),
            _usd(one.expected_usd),
            _usd(one.cvar_usd),
            f"{one.p_within_cap:.1%}",
            _later(plan, one.month.strftime("%Y-%m")),
        )
        for one in plan.months
    ]
    headers = ("month", "fees USD", "expected USD", _worst(plan), "within cap", "would start")
    if not any(row[-1] for row in rows):
        return table(headers[:-1], [row[:-1] for row in rows]).splitlines()
    return table(headers, rows).splitlines()


def _later(plan: HedgePlan, month: str) -> str:
    """How many contracts the plan would start in a month."""
    starts = [
        later
        for one in plan.positions
        for later in one.later
        if later.month.strftime("%Y-%m") == month
    ]
    return f"{len(starts)} contracts" if len(starts) > 1 else "1 contract" if starts else ""


def _frontier(plan: HedgePlan) -> list[str]:
    outlasts = any(at.end_value_usd for at in plan.frontier)
    rows = [
        (
            _usd(at.cap_usd),
            _usd(at.expected_usd),
            *([_usd(at.expected_usd - at.end_value_usd)] if outlasts else []),
            _usd(at.cvar_usd),
        )
        for at in plan.frontier
    ]
    headers = ("cap USD", "expected USD", *([_NET] if outlasts else []), _worst(plan))
    return ["What other caps would cost a month:", "", *table(headers, rows).splitlines()]


def _stress(plan: HedgePlan) -> list[str]:
    if not plan.stress:
        return []
    rows = [
        (
            one.name.replace("_", " "),
            _usd(one.expected_usd),
            _usd(one.cvar_usd),
            f"{one.p_within_cap:.1%}",
            "broken" if one.breaks_cap else "kept",
        )
        for one in plan.stress
    ]
    headers = ("if", "expected USD", _worst(plan), "within cap", "cap")
    said = [_breaks(plan, one) for one in plan.breaking]
    return [
        "",
        "The same plan in other worlds:",
        "",
        *table(headers, rows).splitlines(),
        "",
        *_items(f"{one.name.replace('_', ' ')}: {one.what}" for one in plan.stress),
        *_items(said),
    ]


def _breaks(plan: HedgePlan, one: Breaking) -> str:
    of = "the expected month" if one.of == "expected" else f"the {_worst(plan)} of a month"
    if one.times is None:
        return f"up to {one.searched_to:g} times the {one.what} {of} stays under the cap"
    if one.times <= 1:
        return f"{of} lies above the cap without any more {one.what}"
    if one.times < AT_ONCE:
        return f"{of} is as high as the cap: any more {one.what} breaks it"
    return f"at {one.times:.2f} times the {one.what} {of} reaches the cap"


def _turns(plan: HedgePlan) -> list[str]:
    return _told("What would change the answer:", [turn.said for turn in plan.turns])


def _priors(plan: HedgePlan) -> list[str]:
    return [f"{one.name.replace('_', ' ')} {one.value:.3g}: {one.why}" for one in plan.priors]


def _told(title: str, said: Iterable[str]) -> list[str]:
    items = list(_items(said))
    return ["", title, *items] if items else []


def _named(one: PlannedPosition) -> str:
    term = _term(one)
    return f"{one.contract} ({term})" if term else one.contract


def _band(one: PlannedPosition) -> str:
    """What is bought now may be fewer; that as many as it says are enough goes without saying."""
    if one.no_trade is None or one.no_trade.low >= one.units:
        return ""
    return f" Whoever holds {one.no_trade.low:,} to {one.no_trade.high:,} already need not trade."


def _term(one: PlannedPosition) -> str:
    if one.month is not None:
        return f"{one.month:%Y-%m}"
    if one.term_months is None:
        return ""
    return f"{one.term_months} month" + "s" * (one.term_months > 1)


def _worst(plan: HedgePlan) -> str:
    return f"worst {(1 - plan.confidence) * 100:.3g}%"


def _items(said: Iterable[str]) -> list[str]:
    return [line for text in said for line in _wrapped(f"- {text}", indent="  ")]


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f}"
