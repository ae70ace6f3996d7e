"""What a controller reads of a month: it ties to the book, to the nano-USD."""

from __future__ import annotations

from decimal import Decimal

from hedge.effectiveness.relation import State
from ledger.databases.sql import Sql
from ledger.money import usd
from tests.hedge.effectiveness.hedged import (
    DECEMBER,
    MEMO,
    accounted,
    bought,
    designated,
    priced,
    settled,
)


def test_a_perfect_hedge_waits_in_the_reserve(sql: Sql) -> None:
    """Test 14 of the sources as a hedge: of 2,190 USD all are effective; a third of it in November,
    the rest in December, in which it all leaves with the purchases. Both views agree."""
    bought(sql)
    assert designated(sql)
    priced(sql, "GPU1 2026-12", {"2026-11-04": "2.55", "2026-11-30": "2.60", "2026-12-15": "2.7"})
    priced(sql, "SD-H100", dict.fromkeys(DECEMBER, "2.80"))
    settled(sql, "2027-01-04")
    november = accounted(sql, "2026-11")
    (one,) = november.relations
    assert (one.state, one.hypothetical, one.ratio) == (State.DESIGNATED, MEMO, 1)
    assert november.ifrs9 == november.asc815
    assert november.ifrs9.effective == november.ifrs9.closing == usd(730)
    assert one.ifrs9.ineffective == 0
    december = accounted(sql, "2026-12")
    assert december.ifrs9 == december.asc815
    assert december.ifrs9.opening == usd(730)
    assert december.ifrs9.effective == usd(1460)
    assert (december.ifrs9.expensed, december.ifrs9.failed) == (usd(2190), 0)
    assert december.ifrs9.closing == 0


def test_the_lower_of_both(sql: Sql) -> None:
    """Test 21 of the sources (IFRS 9 6.5.11), in proportion: +100 beside -90 leaves 90 in the
    reserve, and 10 as a result; under ASC 815 all of it waits, if it is highly effective."""
    bought(sql)
    designated(sql, volume=Decimal(6570))
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    settled(sql, "2026-12-01")
    (one,) = accounted(sql, "2026-11").relations
    assert (one.ifrs9.derivative, one.ifrs9.item) == (usd(2190), usd(-1971))
    assert (one.ifrs9.reserve.closing, one.ifrs9.ineffective) == (usd(1971), usd(219))
    assert (one.asc815.reserve.closing, one.asc815.ineffective) == (usd(2190), 0)


def test_the_lower_of_both_when_the_hedge_is_too_small(sql: Sql) -> None:
    """+80 beside -90 leaves 80 in the reserve, and nothing as a result."""
    bought(sql)
    designated(sql, volume=Decimal("8212.5"))
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    settled(sql, "2026-12-01")
    (one,) = accounted(sql, "2026-11").relations
    assert one.ifrs9.item == usd("-2463.75")
    assert (one.ifrs9.reserve.closing, one.ifrs9.ineffective) == (usd(2190), 0)


def test_without_a_designation(sql: Sql) -> None:
    """Its gain is a result, and it is shown as not designated."""
    bought(sql)
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    settled(sql, "2026-12-01")
    found = accounted(sql, "2026-11")
    (one,) = found.relations
    assert one.state is State.NOT_DESIGNATED
    assert one.ifrs9.undesignated == usd(2190)
    assert found.ifrs9.effective == found.asc815.effective == 0
    assert found.journals.ifrs9 == ()
    assert one.ifrs9_requirements[0].met is False
