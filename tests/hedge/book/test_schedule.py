"""Schedules: a term's fee, split without a nano-USD too much."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hedge.book.schedule import Schedule
from ledger.calendar_months import months_later
from ledger.money import Money

DAYS = st.dates(date(2026, 1, 1), date(2030, 12, 31))
FEES = st.integers(0, 10**15).map(Money)
SHARES = st.decimals(0, 1, places=3)


@given(FEES, SHARES, DAYS, st.integers(1, 36))
def test_a_term(fee: Money, upfront: Decimal, starts: date, months: int) -> None:
    """Bills and expenses are the fee each; no day is an expense before it is billed; what is due
    upfront is due on the first day."""
    bounds = [months_later(starts, at) for at in range(months + 1)]
    schedule = Schedule.of(fee, upfront, bounds)
    assert sum(schedule.expenses) == fee == sum(amount for _, amount in schedule.bills)
    assert schedule.ends == bounds[-1]
    ahead = int(fee * Fraction(upfront))
    assert schedule.bills[0][1] >= ahead if fee else not schedule.bills
    assert [day for day, _ in schedule.bills] == sorted({day for day, _ in schedule.bills})
    billed = dict(schedule.bills)
    prepaid = 0
    for day, amount in schedule.days(starts, schedule.ends):
        prepaid += billed.get(day, 0) - amount
        assert prepaid >= 0


@given(FEES, SHARES, DAYS, st.integers(1, 24), st.data())
def test_what_is_kept_of_it(
    fee: Money, upfront: Decimal, starts: date, months: int, data: st.DataObject
) -> None:
    """What was there before the day stays; what comes after is the part that is kept."""
    bounds = [months_later(starts, at) for at in range(months + 1)]
    whole = Schedule.of(fee, upfront, bounds)
    since = data.draw(st.dates(starts - timedelta(days=3), whole.ends))
    of = data.draw(st.integers(1, 50))
    units = data.draw(st.integers(0, of))
    kept = whole.kept(since, units, of)
    assert kept.days(starts, since) == whole.days(starts, since)
    assert [one for one in kept.bills if one[0] <= since] == [
        one for one in whole.bills if one[0] <= since
    ]
    later = sum(amount for _, amount in whole.days(since, whole.ends))
    assert sum(amount for _, amount in kept.days(since, kept.ends)) == later * units // of
    assert whole.kept(since, of, of) == whole


def test_months_end_on_their_last_day() -> None:
    """A term from the 31st on is due on the last day of shorter months, and on the 31st again."""
    starts = date(2027, 12, 31)
    assert [months_later(starts, at) for at in range(4)] == [
        starts,
        date(2028, 1, 31),
        date(2028, 2, 29),
        date(2028, 3, 31),
    ]
