"""FinalPrice: what a contract settles at, from the fixings of its month."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hedge.book.facts import Used
from hedge.contracts.derivatives import Settlement
from hedge.errors import FixingMissing
from ledger.business_days import is_business_day
from ledger.calendar_months import months_later
from ledger.instants import day_ns, instant
from ledger.tables.fixings import Fixing

_DAY = timedelta(days=1)
_MOST_DIGITS = 12
"""Of a final price whose contract names no rounding."""


@dataclass(frozen=True, slots=True)
class FinalPrice:
    """fixings: those that count, in their order. fallbacks: a sentence for each missing one."""

    usd: Decimal
    fixings: tuple[Used, ...]
    fallbacks: tuple[str, ...] = ()


def fixing_days(rule: Settlement, first: date, last: date) -> list[date]:
    """The days from `first` to `last`, inclusive, for which a fixing counts."""
    days = [first + _DAY * at for at in range((last - first).days + 1)]
    takes_all = rule.averaging == "arith_cal" or rule.calendar == "all"
    return days if takes_all else [day for day in days if is_business_day(day)]


def last_day(month: date) -> date:
    return months_later(month, 1) - _DAY


def final_price(rule: Settlement, first: date, last: date, fixings: Sequence[Fixing]) -> FinalPrice:
    """Of the days from `first` to `last`, inclusive.

    fixings: of the index, oldest first, with some from before `first`, which the fallback
    `previous` may need. Raises FixingMissing: where the contract refuses, for a period without any
    fixing of its own, and where there is none before it.
    """
    known = [one for one in fixings if instant(one.at_ns).date() <= last]
    own = [one for one in known if one.at_ns >= day_ns(first)]
    if not own:
        raise FixingMissing(
            f"{rule.index} has no fixing from {first} to {last}: import them with --prices"
        )
    found = _twap(rule, first, last, known) if rule.averaging == "twap" else None
    if found is None:
        found = _by_day(rule, first, last, known)
    return FinalPrice(_rounded(found[0], rule.decimals), found[1], found[2])


_Found = tuple[Fraction, tuple[Used, ...], tuple[str, ...]]


def _by_day(rule: Settlement, first: date, last: date, known: Sequence[Fixing]) -> _Found:
    """The mean over the days that count, or the last of them. A day's fixing is its last one."""
    of_day = {instant(one.at_ns).date(): one for one in known}
    days, used, fallbacks = fixing_days(rule, first, last), list[Used](), list[str]()
    if rule.averaging == "last":
        days = days[-1:]
    for day in days:
        one = of_day.get(day)
        if one is None:
            one = _fallback(rule, day, known, fallbacks)
        if one is not None:
            used.append(Used(one.series, day, one.at_ns, one.value))
    if not used:
        raise FixingMissing(
            f"{rule.index} has no fixing on any of the {len(days)} days from {first} to {last}"
            " that count: import them with --prices"
        )
    total = sum((Fraction(one.value) for one in used), Fraction())
    return total / len(used), tuple(used), tuple(fallbacks)


def _twap(rule: Settlement, first: date, last: date, known: Sequence[Fixing]) -> _Found:
    """Each fixing weighs as long as it is the latest one, from the beginning of the first day to
    the end of the last."""
    since, until = day_ns(first), day_ns(last + _DAY)
    fallbacks = list[str]()
    inside = [one for one in known if one.at_ns >= since]
    if inside[0].at_ns > since:
        before = _fallback(rule, first, known, fallbacks)
        if before is not None:
            inside.insert(0, before)
    starts = [max(since, one.at_ns) for one in inside]
    lengths = [end - start for start, end in zip(starts, [*starts[1:], until], strict=True)]
    total = sum(
        (Fraction(one.value) * ns for one, ns in zip(inside, lengths, strict=True)), Fraction()
    )
    used = [Used(one.series, instant(one.at_ns).date(), one.at_ns, one.value) for one in inside]
    return total / sum(lengths), tuple(used), tuple(fallbacks)


def _fallback(
    rule: Settlement, day: date, known: Sequence[Fixing], fallbacks: list[str]
) -> Fixing | None:
    at = bisect_right(known, day_ns(day), key=lambda one: one.at_ns)
    match rule.fallback:
        case "skip":
            fallbacks.append(f"{day} has no fixing of {rule.index}: left out")
            return None
        case "previous" if at:
            before = known[at - 1]
            said = f"{instant(before.at_ns):%Y-%m-%d}"
            fallbacks.append(f"{day} has no fixing of {rule.index}: that of {said} counts")
            return before
        case "previous":
            raise FixingMissing(
                f"{rule.index} has no fixing on {day}, and none before it: import one with --prices"
            )
        case "refuse":
            raise FixingMissing(
                f"{rule.index} has no fixing on {day}, and the contract says nothing of what counts"
                " instead: agree on one with the counterparty, and import it with --prices"
            )


def _rounded(exact: Fraction, decimals: int | None) -> Decimal:
    """Half up, as venues publish."""
    places = _MOST_DIGITS if decimals is None else decimals
    scaled = exact * 10**places
    whole = int(abs(scaled) + Fraction(1, 2))
    rounded = Decimal(whole if scaled >= 0 else -whole).scaleb(-places)
    return rounded if decimals is not None else Decimal(f"{rounded.normalize():f}")
