"""What `simulate --policy` prints."""

from __future__ import annotations

from collections.abc import Iterator

from hedgerow.printing import dollars, moment, table
from ledger.budgets import Budget
from ledger.directives import percent
from ledger.instants import instant
from ledger.limits import is_reserved
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.simulation.simulate import Effect, GroupBy, Simulation, Sums

GROUPS_SHOWN = 10
NOTICES_SHOWN = 10


def summary(found: Simulation) -> str:
    """The whole of it, in a line."""
    total = found.total
    if not total.requests:
        return "There were no requests in this time."
    less = total.spent_then - total.spent
    change = f"{dollars(Money(abs(less)))} {'less' if less > 0 else 'more'} than then"
    return (
        f"With these budgets, {total.refused:,} of {total.requests:,} requests would have been"
        f" refused, against {total.refused_then:,} then; {total.degraded:,} would have gone to the"
        f" cheapest offer; {dollars(total.spent)} would have been spent,"
        f" {change if less else 'as then'}."
    )


def simulated_lines(found: Simulation) -> Iterator[str]:
    yield summary(found)
    total = found.total
    if found.first_at_ns is None or found.last_at_ns is None:
        return
    yield f"From {moment(found.first_at_ns)} to {moment(found.last_at_ns)}."
    yield ""
    yield table(
        ("", "then", "with these budgets"),
        [
            ("requests admitted", _minus(total.refused_then, total), _minus(total.refused, total)),
            ("requests refused", f"{total.refused_then:,}", f"{total.refused:,}"),
            ("sent to the cheapest offer", "", f"{total.degraded:,}"),
            ("spent", dollars(total.spent_then), dollars(total.spent)),
            ("not spent, as refused", "", dollars(total.not_spent)),
            ("saved, at the cheapest offer", "", dollars(total.saved)),
            ("spent by those refused then, estimated", "", dollars(total.newly_spent)),
        ],
    )
    if found.effects:
        yield ""
        yield table(
            (
                "budget",
                "cap",
                "most used",
                "by",
                "refused",
                "for the first time",
                "not spent",
                "to the cheapest",
                "saved",
            ),
            [
                _effect_row(one)
                for one in found.effects.values()
                if one.peak or not is_reserved(one.budget.name)  # of keys there may be thousands
            ],
        )
    for by, groups in found.groups.items():
        touched = sorted(
            ((name, sums) for name, sums in groups.items() if sums.is_touched),
            key=lambda one: (-one[1].refused, -one[1].degraded, one[0] or ""),
        )
        if touched:
            yield ""
            yield _groups_table(by, touched[:GROUPS_SHOWN])
            if len(touched) > GROUPS_SHOWN:
                yield f"and {len(touched) - GROUPS_SHOWN:,} more: --json has all"
    if found.notices:
        yield ""
        for one in found.notices[:NOTICES_SHOWN]:
            whose = f"{one.budget} of {one.member}" if one.member else one.budget
            who = ", ".join(one.threshold.notify)
            part = percent(one.threshold.part)
            yield f"{moment(one.at_ns)}: {who} would be told that {part} of {whose} is spent"
        if found.notice_count > NOTICES_SHOWN:
            yield f"and {found.notice_count - NOTICES_SHOWN:,} more"


def _minus(refused: int, total: Sums) -> str:
    return f"{total.requests - refused:,}"


def _effect_row(one: Effect) -> tuple[str, ...]:
    first, peak = one.first_refused_at_ns, one.peak
    return (
        f"{one.budget.name} (shadow)" if one.budget.mode == "shadow" else one.budget.name,
        _shown(one.budget, one.budget.cap),
        _shown(one.budget, peak.used) if peak else "",
        peak.member if peak else "",
        f"{one.refused:,}",
        "never" if first is None else moment(first),
        dollars(one.not_spent),
        f"{one.degraded:,}",
        dollars(one.saved),
    )


def _groups_table(by: GroupBy, groups: list[tuple[str | None, Sums]]) -> str:
    return table(
        (by, "requests", "refused then", "refused", "to the cheapest", "spent then", "spent"),
        [
            (
                name or "(none)",
                f"{one.requests:,}",
                f"{one.refused_then:,}",
                f"{one.refused:,}",
                f"{one.degraded:,}",
                dollars(one.spent_then),
                dollars(one.spent),
            )
            for name, one in groups
        ],
    )


def _shown(budget: Budget, amount: int) -> str:
    if budget.measure is Measure.USD:
        return dollars(Money(amount))
    return f"{amount:,} {budget.measure.unit}"


def simulated_json(found: Simulation) -> dict[str, object]:
    """The fields that the command promises."""
    return {
        "summary": summary(found),
        "from": _iso(found.first_at_ns),
        "to": _iso(found.last_at_ns),
        **_sums_json(found.total),
        "budgets": [_effect_json(one) for one in found.effects.values()],
        **{
            f"by_{by}": [{by: name, **_sums_json(one)} for name, one in groups.items()]
            for by, groups in found.groups.items()
        },
        "notices": [
            {
                "budget": one.budget,
                "member": one.member,
                "spent": percent(one.threshold.part),
                "notify": one.threshold.notify,
                "at": _iso(one.at_ns),
            }
            for one in found.notices
        ],
        "notices_left_out": found.notice_count - len(found.notices),
    }


def _sums_json(one: Sums) -> dict[str, object]:
    return {
        "requests": one.requests,
        "refused_then": one.refused_then,
        "refused": one.refused,
        "blocked": one.blocked,
        "restricted": one.restricted,
        "throttled": one.throttled,
        "newly_refused": one.newly_refused,
        "newly_admitted": one.newly_admitted,
        "degraded": one.degraded,
        "spent_then_usd": as_usd(one.spent_then),
        "spent_usd": as_usd(one.spent),
        "not_spent_usd": as_usd(one.not_spent),
        "saved_usd": as_usd(one.saved),
        "newly_spent_usd": as_usd(one.newly_spent),
    }


def _effect_json(one: Effect) -> dict[str, object]:
    budget, peak = one.budget, one.peak
    return {
        "budget": budget.name,
        "scope": str(budget.scope),
        "window": str(budget.window),
        "mode": budget.mode,
        "measure": budget.measure,
        "cap": _amount(budget, budget.cap),
        "peak": None if peak is None else _amount(budget, peak.used),
        "peak_member": None if peak is None else peak.member,
        "peak_at": None if peak is None else _iso(peak.at_ns),
        "first_refused_at": _iso(one.first_refused_at_ns),
        "refused": one.refused,
        "blocked": one.blocked,
        "restricted": one.restricted,
        "throttled": one.throttled,
        "not_spent_usd": as_usd(one.not_spent),
        "degraded": one.degraded,
        "saved_usd": as_usd(one.saved),
        "notices": one.notices,
    }


def _amount(budget: Budget, amount: int) -> object:
    return as_usd(Money(amount)) if budget.measure is Measure.USD else amount


def _iso(at_ns: int | None) -> str | None:
    return None if at_ns is None else instant(at_ns).isoformat()
