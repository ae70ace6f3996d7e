"""What a controller reads of a month: it ties to the book, to the nano-USD."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hedge.book.book import HedgeBook
from hedge.book.entering import EntryKind
from hedge.effectiveness.economics import CostKind
from hedge.effectiveness.positions import Holds
from hedge.effectiveness.relation import State
from hedge.effectiveness.report import effectiveness_report
from hedge.effectiveness.volume import Forecast
from hedge.errors import EntryRefused
from ledger.databases.sql import Sql
from ledger.money import usd
from ledger.tables.records import RecordTable
from tests.hedge.book.contracts import approved, at, day
from tests.hedge.effectiveness.hedged import (
    DECEMBER,
    MEMO,
    accounted,
    bought,
    designated,
    entered,
    priced,
    settled,
    used,
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
    assert (one.state, one.hypothetical, one.ratio) == (State.DESIGNATED, MEMO, Decimal(1))
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


def test_designated_after_its_trade(sql: Sql) -> None:
    """What came until the end of that day is a result; what came after it counts, and the
    hypothetical derivative begins at that day's mark."""
    bought(sql)
    priced(sql, "GPU1 2026-12", {"2026-11-10": "2.60", "2026-11-30": "2.55"})
    settled(sql, "2026-11-10T12:00")
    designated(sql, when="2026-11-10T18:00")
    settled(sql, "2026-12-01")
    one, rest = accounted(sql, "2026-11").relations
    assert (one.ifrs9.derivative, one.ifrs9.item) == (usd(-365), usd(365))
    assert one.ifrs9.reserve.closing == usd(-365)
    assert (rest.state, rest.ifrs9.undesignated) == (State.NOT_DESIGNATED, usd(730))


def test_a_part_of_the_lots(sql: Sql) -> None:
    """Of ten lots three are designated: three tenths of the gain, the rest is a result."""
    bought(sql)
    designated(sql, units=3)
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    settled(sql, "2026-12-01")
    one, rest = accounted(sql, "2026-11").relations
    assert (one.ifrs9.reserve.effective, rest.ifrs9.undesignated) == (usd(657), usd(1533))
    assert (one.lots, rest.lots) == (3, 7)


def test_another_index_prices_the_purchases(sql: Sql) -> None:
    """Of December, seen from November: what the other index would settle at is its last fixing; in
    December the mean of those so far and the last one for the days to come."""
    bought(sql)
    designated(sql, index="OTHER")
    priced(sql, "OTHER", {"2026-11-03": "3.00", "2026-11-30": "3.10"})
    first = dict.fromkeys(DECEMBER[:11], "3.10") | dict.fromkeys(DECEMBER[11:], "3.54")
    priced(sql, "OTHER", first)
    priced(sql, "SD-H100", dict.fromkeys(DECEMBER, "2.80"))
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    settled(sql, "2027-01-04")
    (one,) = accounted(sql, "2026-11").relations
    assert (one.ifrs9.item, one.ifrs9.derivative) == (usd(-730), usd(2190))
    assert (one.ifrs9.reserve.closing, one.ifrs9.ineffective) == (usd(730), usd(1460))
    assert len(DECEMBER) == 22
    (one,) = accounted(sql, "2026-12", at("2026-12-16")).relations  # eleven fixings of 22
    assert one.ifrs9.item_so_far == usd(-730)
    (one,) = accounted(sql, "2026-12").relations
    assert one.ifrs9.item_so_far == usd("-2336")  # 7300 × (3.32 - 3.00)
    assert one.ifrs9.effective_so_far == usd(2190)
    assert one.ifrs9.reserve.closing == 0


def test_a_price_that_is_not_known(sql: Sql) -> None:
    """Without fixings of the index that prices the purchases nothing goes into the reserve."""
    bought(sql)
    designated(sql, index="NOBODY")
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    settled(sql, "2026-12-01")
    (one,) = accounted(sql, "2026-11").relations
    assert one.ifrs9.item is None
    assert (one.ifrs9.reserve.effective, one.ifrs9.ineffective) == (0, usd(2190))
    assert "not known" in one.ifrs9.says


def test_the_ledger_prices_the_purchases(sql: Sql) -> None:
    """A million tokens cost 2 USD at the designation, and 2.50 at the end of November; of 4,000
    million in December 1,000 are bought by the middle, and 3,000 in all."""
    bought(sql)
    mtok, dollar = 10**6, 10**9
    days = {"2026-11-02": (mtok, 2 * dollar)}
    days |= {f"2026-11-{one}": (4 * mtok, 10 * dollar) for one in range(20, 27)}
    used(sql, days | dict.fromkeys(DECEMBER[:15], (200 * mtok, 500 * dollar)))
    designated(sql, index="ledger", volume=Decimal(4000), models=("llama",))
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    priced(sql, "SD-H100", dict.fromkeys(DECEMBER, "2.80"))
    settled(sql, "2027-01-04")
    (one,) = accounted(sql, "2026-11").relations
    assert one.ifrs9.item == usd(-2000)
    assert one.ifrs9.reserve.closing == usd(2000)
    found = accounted(sql, "2026-12", at(DECEMBER[5]))
    assert found.ifrs9.expensed == usd(500)  # a quarter of 2,000
    (one,) = accounted(sql, "2026-12").relations
    assert one.volume is not None
    assert (one.volume.actual, one.volume.forecast) == (Decimal(3000), Forecast.NOT_PROBABLE)
    assert one.ifrs9.reserve.expensed == usd(1500)
    assert one.ifrs9.reserve.failed == usd(500)
    assert one.ifrs9.reserve.closing == 0


def test_rebalanced(sql: Sql) -> None:
    """Each volume has the change of its own time: 7,300 × 0.10, then 3,650 × 0.20."""
    bought(sql)
    designated(sql)
    priced(sql, "GPU1 2026-12", {"2026-11-10": "2.60", "2026-11-30": "2.80"})
    reason = "half of the purchases were moved"
    volume = Decimal(3650)
    said: dict[str, Any] = {"fill": MEMO, "volume": volume, "reason": reason}
    entered(sql, "2026-11-10", EntryKind.REBALANCING, "1", **said)
    settled(sql, "2026-12-01")
    found = accounted(sql, "2026-11")
    (one,) = found.relations
    assert one.ifrs9.item == usd(-1460)
    assert (one.ifrs9.reserve.closing, one.ifrs9.ineffective) == (usd(1460), usd(730))
    assert (one.ratio, one.volume_hedged) == (Decimal(2), volume)
    assert one.memo is not None
    (log,) = one.memo.rebalanced
    assert (log.old_ratio, log.new_ratio, log.reason) == (Decimal(1), Decimal(2), reason)
    assert [(c.what, c.old, c.new) for c in found.changes if c.what == "rebalancing"] == [
        ("rebalancing", "7300", "3650")
    ]


@pytest.mark.parametrize(("is_expected", "failed"), [(True, 0), (False, 730)])
def test_de_designated(sql: Sql, is_expected: bool, failed: int) -> None:
    """Later gains are results. What waits stays until the purchases are made; if they are not
    expected any more, it is a result at once."""
    bought(sql)
    designated(sql)
    priced(sql, "GPU1 2026-12", {"2026-11-10": "2.60", "2026-11-30": "2.80"})
    said: dict[str, Any] = {"fill": MEMO, "expected": is_expected, "reason": "a new route"}
    entered(sql, "2026-11-10", EntryKind.DEDESIGNATION, "1", **said)
    priced(sql, "SD-H100", dict.fromkeys(DECEMBER, "2.80"))
    settled(sql, "2027-01-04")
    one, rest = accounted(sql, "2026-11").relations
    assert one.state is State.ENDED
    assert (one.ifrs9.reserve.effective, rest.ifrs9.undesignated) == (usd(730), usd(1460))
    assert one.ifrs9.reserve.failed == usd(failed)
    december = accounted(sql, "2026-12").ifrs9
    assert december.opening == december.expensed == usd(730 - failed)
    assert december.closing == 0


def test_journals_are_the_change_of_the_trial_balance(sql: Sql) -> None:
    """Capacity, a future and its margin: by account, the proposals of the book's records sum to
    what the trial balance moved; all of the month's records with lines are in one of them."""
    bought(sql, "ptu", 15, "260", month=None, months=1)
    bought(sql)
    designated(sql)
    deposit: dict[str, Any] = {"counterparty": "cme", "amount": usd(3000)}
    entered(sql, "2026-11-04", EntryKind.DEPOSIT, "1", **deposit)
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    settled(sql, "2026-12-04")
    paid: dict[str, Any] = {"fill": "fill:ptu", "amount": usd(3900)}
    entered(sql, "2026-12-02", EntryKind.PAYMENT, "1", **paid)
    for month in ("2026-11", "2026-12"):
        found = accounted(sql, month, at("2026-12-05") if month == "2026-12" else None)
        sums = dict.fromkeys((one.account for one in found.journals.trial), 0)
        for entry in found.journals.book:
            for line in entry.lines:
                sums[line.account] += line.debit - line.credit
        assert sums == {one.account: one.change for one in found.journals.trial}
        with sql.view():
            records = [one for one in RecordTable(sql).read() if one.lines]
        named = [name for entry in found.journals.book for name in entry.records]
        days = (f"{month}-01", f"{month}-31")
        of_month = [one.id for one in records if days[0] <= one.day.isoformat() <= days[1]]
        assert sorted(named) == sorted(of_month)
        (ptu,) = found.positions.commitments
        expensed = usd(3900) * 28 // 30 if month == "2026-11" else usd(3900)
        assert abs(ptu.expensed - expensed) <= 1
        assert not ptu.needs_lease_test
    (ptu,) = accounted(sql, "2026-12", at("2026-12-05")).positions.commitments
    assert (ptu.payable, ptu.prepaid, ptu.holds) == (usd(0), usd(0), Holds.CLOSED)


def test_positions(sql: Sql) -> None:
    """A listed future is of level 1 once it is marked, a swap of level 2; what nobody marked is of
    level 3."""
    bought(sql)
    bought(sql, "H100-SWAP", 1)
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    priced(sql, "H100-SWAP 2027-01", {"2026-11-30": "2.40"})
    settled(sql, "2026-12-01")
    rows = accounted(sql, "2026-11").positions.derivatives
    told = [(one.contract, one.month, one.level, one.fair_value, one.holds) for one in rows]
    assert told == [
        ("GPU1", day("2026-12-01"), 1, usd(2190), Holds.NEW),
        ("H100-SWAP", day("2026-12-01"), 3, 0, Holds.NEW),
        ("H100-SWAP", day("2027-01-01"), 2, usd(-73), Holds.NEW),
        ("H100-SWAP", day("2027-02-01"), 3, 0, Holds.NEW),
    ]


def test_stress_of_margin(sql: Sql) -> None:
    """Ten lots, marked at 2.40, with 3,000 USD of margin and 3,270 of equity: a tenth down loses
    1,752, and 1,482 are called for; the worst moves of the past are told."""
    bought(sql)
    settled(sql, "2026-11-03T18:00")
    entered(sql, "2026-11-04", EntryKind.DEPOSIT, "1", counterparty="cme", amount=usd(4000))
    priced(sql, "GPU1 2026-12", {"2026-10-01": "2.00", "2026-10-02": "2.20", "2026-11-30": "2.40"})
    settled(sql, "2026-12-01")
    found = accounted(sql, "2026-11").liquidity
    rows = {one.name: (one.gain, one.call, one.free) for one in found.stress}
    assert rows["-10%"] == (usd(-1752), usd(1482), usd(270))
    assert rows["-50%"] == (usd(-8760), usd(8490), usd(270))
    assert [(one.move, one.over, one.fixings) for one in found.worst] == [
        (Decimal("2.4") / Decimal("2.2") - 1, 1, 3),
        (Decimal("0.1"), 1, 3),
    ]
    assert found.bound == usd(4000)
    (call,) = found.calls
    assert (call.amount, call.state, call.met_on) == (usd(3000), "met", day("2026-11-04"))


def test_disclosures(sql: Sql) -> None:
    """Nominal and average price by month; payments of commitments by the year they are due in."""
    bought(sql)
    bought(sql, "ptu", 15, "221", month=None, months=12)
    found = accounted(sql, "2026-11").disclosures
    (row,) = found.nominal
    assert (row.lots, row.index_units, row.average_usd) == (10, Decimal(7300), Decimal("2.50"))
    fee = usd(221 * 15 * 12)
    # Half upfront, the rest by the month: nothing is in the book yet.
    first = fee // 2 + 2 * fee // 24
    assert [(one.year, one.later) for one in found.payments] == [
        (2026, first),
        (2027, fee - first),
    ]


def test_changes(sql: Sql) -> None:
    """Who, when, what: plans, approvals, designations, units over what was approved, a restated
    fixing with both of its values."""
    bought(sql)
    designated(sql)
    fields: dict[str, Any] = {
        "plan": "plan-",
        "contract": "GPU1",
        "units": 1,
        "price_usd": Decimal("2.51"),
        "month": day("2026-12-01"),
        "reason": "the venue filled one more",
    }
    entered(sql, "2026-11-04", EntryKind.FILL, "more", **fields)
    priced(sql, "SD-H100", {"2026-11-05": "2.80"})
    priced(sql, "SD-H100", {"2026-11-05": "2.90"}, known="2026-11-20")
    found = accounted(sql, "2026-11").changes
    assert [(one.what, one.old, one.new) for one in found if one.what == "restatement"] == [
        ("restatement", "2.80", "2.90")
    ]
    assert [one.what for one in found] == [
        *("plan", "approval", "designation", "override", "restatement")
    ]
    assert found[3].why == "the venue filled one more"


def test_nothing_to_account_for(sql: Sql) -> None:
    """An empty book, a month before anything was bought, and one that has not begun, say so."""
    assert "empty" in (accounted(sql, "2026-11").empty or "")
    approved(sql, "2026-11-02", {"GPU1": 10})
    assert "Nothing was bought" in (accounted(sql, "2026-11").empty or "")
    assert "has not begun" in (accounted(sql, "2026-12", at("2026-11-20")).empty or "")


def test_the_same_books_give_the_same_values(sql: Sql) -> None:
    """A later moment, and records of later days, change nothing of a month that is over."""
    bought(sql)
    designated(sql)
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    settled(sql, "2026-12-01")
    before = accounted(sql, "2026-11")
    priced(sql, "GPU1 2026-12", {"2026-12-10": "2.20"})
    settled(sql, "2026-12-11")
    after = accounted(sql, "2026-11", at("2026-12-20"))
    for name in ("ifrs9", "asc815", "positions", "journals", "liquidity", "disclosures", "changes"):
        assert getattr(before, name) == getattr(after, name)


def test_a_perpetual_hedges_until_its_purchases_are_made(sql: Sql) -> None:
    """What it gains after their month is a result, and its lots can be designated anew."""
    bought(sql, "H100-PERP", 10, "2.50", month=None)
    said: dict[str, Any] = {"fill": "fill:H100-PERP"}
    with pytest.raises(EntryRefused, match="never expires: write the --month"):
        designated(sql, **said)
    designated(sql, month=day("2026-11-01"), **said)
    for series in ("H100-PERP", "OCPI-H100"):
        priced(sql, series, {"2026-11-30": "2.60", "2026-12-10": "2.90"})
    settled(sql, "2026-12-11")
    (one,) = accounted(sql, "2026-11").relations
    assert one.ifrs9.reserve.effective == one.ifrs9.reserve.expensed == usd(100)
    (rest,) = accounted(sql, "2026-12", at("2026-12-11")).relations
    assert (rest.state, rest.ifrs9.undesignated) == (State.NOT_DESIGNATED, usd(300))
    assert designated(sql, "2026-12-11", line="next", month=day("2027-01-01"), **said)


def test_closed_early(sql: Sql) -> None:
    """Sold again in November: what waits stays until December's purchases, whose price moves on
    and moves nothing of it."""
    plan = bought(sql)
    designated(sql)
    priced(sql, "GPU1 2026-12", {"2026-11-10": "2.60"})
    fields: dict[str, Any] = {
        "plan": "plan-",
        "contract": "GPU1",
        "units": -10,
        "price_usd": Decimal("2.70"),
        "month": day("2026-12-01"),
        "reason": "no longer needed",
    }
    settled(sql, "2026-11-11")
    entered(sql, "2026-11-20", EntryKind.FILL, "back", **fields)
    bought_more = {**fields, "units": 1, "price_usd": Decimal("2.20")}
    entered(sql, "2026-11-23", EntryKind.FILL, "more", **bought_more)
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.10"})
    settled(sql, "2026-12-01")
    found = accounted(sql, "2026-11")
    one = next(two for two in found.relations if two.trade == plan)
    assert (one.ifrs9.derivative, one.ifrs9.item) == (usd(1460), usd(-1460))
    assert one.ifrs9.reserve.closing == usd(1460)
    held = {row.trade: row.holds for row in found.positions.derivatives}
    assert held[plan] is Holds.CLOSED
    assert accounted(sql, "2026-12", at("2026-12-16")).ifrs9.opening == usd(1460)


def test_the_gains_are_those_of_the_months_cost(sql: Sql) -> None:
    """What the report counts as the derivatives' result is what is accounted for here."""
    bought(sql)
    bought(sql, "H100-SWAP", 3)
    designated(sql, units=4)
    priced(sql, "GPU1 2026-12", {"2026-11-30": "2.80"})
    priced(sql, "H100-SWAP 2027-01", {"2026-11-30": "2.40"})
    settled(sql, "2026-12-01")
    found = accounted(sql, "2026-11")
    with sql.view():
        cost = effectiveness_report(HedgeBook(sql, at("2026-12-01")), day("2026-11-01"), None)
    kinds = (CostKind.REALISED, CostKind.UNREALISED)
    result = sum(map(cost.economics.line, kinds))
    assert sum(one.ifrs9.derivative for one in found.relations) == -result != 0
