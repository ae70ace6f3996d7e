"""Settling: what has come due, by each contract's rule."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedge.book.settling import Done, settle
from hedge.book.standing import standing
from hedge.errors import EntryRefused, FillRefused
from ledger.accounting import GlAccount
from ledger.audit import verify
from ledger.business_days import business_days_of_month
from ledger.databases.migrations.history import NEWEST, steps
from ledger.databases.sql import Dialect, Sql
from ledger.errors import RowRefused
from ledger.money import usd
from ledger.statements import heads
from ledger.tables.fixings import Fixing, FixingTable
from ledger.tables.records import RecordTable
from tests.hedge.book.contracts import DESK, approved, at, day
from tests.ledger.entries_of import undone


def fixings(series: str, days: dict[str, str], known: str | None = None) -> list[Fixing]:
    return [
        Fixing(series, at(one), Decimal(value), at(known or one), "test")
        for one, value in days.items()
    ]


def test_a_future_of_the_business_day_mean(sql: Sql) -> None:
    """Test 14 of the sources: long 10 GPU1 at 2.50, a mean of 2.80 over business days: +2,190.00
    USD, fees 68.50, and the books agree."""
    plan = approved(sql, "2026-11-02", {"GPU1": 10})
    december = [one.isoformat() for one in business_days_of_month(2026, 12)]
    values = {one: "2.70" if at % 2 else "2.90" for at, one in enumerate(december)}
    values[december[-1]] = "2.80" if len(december) % 2 else values[december[-1]]
    with sql.transaction():
        book = HedgeBook(sql, at("2026-11-03"))
        fill = Fill(plan, "GPU1", 10, Decimal("2.50"), at("2026-11-03"), month=day("2026-12-01"))
        assert enter_fill(book, "fill:1", fill, DESK)
        FixingTable(sql).add(fixings("SD-H100", values))
    with sql.transaction():
        done = settle(HedgeBook(sql, at("2027-01-04")))
    (settled,) = done.settled
    assert settled.price_usd == Decimal("2.80")
    assert settled.gain == usd("2190.00")
    with sql.transaction():
        book = HedgeBook(sql, at("2027-01-04"))
        assert book.balance(GlAccount.FEES) == usd("68.50")
        assert book.balance(GlAccount.CASH) == usd("2190.00") - usd("68.50")
        assert settle(book).settled == []
    assert verify(sql).findings == ()


def bought(
    sql: Sql, contract: str, units: int, price: str, month: str | None = "2026-12-01"
) -> None:
    """Of a plan that is approved for it, on the 3rd of November."""
    plan = approved(sql, "2026-11-02", {contract: units})
    with sql.transaction():
        book = HedgeBook(sql, at("2026-11-03"))
        when = at("2026-11-03")
        fact = Fill(
            plan, contract, units, Decimal(price), when, None if month is None else day(month)
        )
        enter_fill(book, f"fill:{contract}", fact, DESK)


def settle_at(sql: Sql, when: str, *prices: Fixing) -> Done:
    with sql.transaction():
        FixingTable(sql).add(prices)
        return settle(HedgeBook(sql, at(when)))


def deposit(sql: Sql, when: str, amount: str) -> None:
    entry = Entry(when, EntryKind.DEPOSIT, at(when), counterparty="cme", amount=usd(amount))
    with sql.transaction():
        assert enter(HedgeBook(sql, at(when)), entry, DESK)


def calls(sql: Sql, when: str) -> list[tuple[str, float, str]]:
    with sql.view():
        seen = standing(HedgeBook(sql, at(when)))
    return [(one.day.isoformat(), float(one.amount_usd), one.state) for one in seen.calls]


def test_margin_calls(sql: Sql) -> None:
    """The initial margin is called for at once; what a mark takes below maintenance, up to the
    initial one; once for the same, due by the end of the next business day; met when the deposits
    are there, overdue when they are not."""
    bought(sql, "GPU1", 10, "2.50")
    (first,) = settle_at(sql, "2026-11-03T18:00").calls
    assert (first.amount, first.due_at_ns) == (usd("3000"), at("2026-11-05"))
    assert settle_at(sql, "2026-11-03T19:00").calls == []
    deposit(sql, "2026-11-04", "2000")
    assert calls(sql, "2026-11-04T12:00") == [("2026-11-03", 3000, "open")]
    assert settle_at(sql, "2026-11-04T13:00").calls == []
    assert calls(sql, "2026-11-05") == [("2026-11-03", 3000, "overdue")]
    deposit(sql, "2026-11-05", "1000")
    assert calls(sql, "2026-11-05") == [("2026-11-03", 3000, "met")]
    # 10 lots of 730 hours fall by 0.06: -438, above maintenance (2,500); then by 0.20: -1,460.
    assert settle_at(sql, "2026-11-05T18:00", *mark("2026-11-05", "2.44")).calls == []
    (second,) = settle_at(sql, "2026-11-06T18:00", *mark("2026-11-06", "2.30")).calls
    assert (second.amount, second.due_at_ns) == (usd("1460"), at("2026-11-10"))
    (third,) = settle_at(sql, "2026-11-09T18:00", *mark("2026-11-09", "2.20")).calls
    assert third.amount == usd("730")
    deposit(sql, "2026-11-09", "1460")
    states = [state for _, _, state in calls(sql, "2026-11-09T20:00")]
    assert states == ["met", "met", "open"]
    deposit(sql, "2026-11-10", "730")
    with sql.view():
        seen = standing(HedgeBook(sql, at("2026-11-10T12:00")))
    (margin,) = seen.margin
    assert [margin.deposits_usd, margin.equity_usd, margin.free_usd] == [5190, 3000, 0]
    assert seen.liquidity_usd == 5190
    assert seen.accounts["derivative_liabilities"] == -2190
    assert seen.warnings == ()


def mark(day_: str, value: str, series: str = "GPU1 2026-12") -> list[Fixing]:
    return fixings(series, {day_: value})


def test_what_is_settled_stays(sql: Sql) -> None:
    """A fixing that is restated later is listed, with what it would have changed; the books stay
    as they were, however often they are settled again."""
    bought(sql, "GPU1", 10, "2.50")
    december = {one.isoformat(): "2.80" for one in business_days_of_month(2026, 12)}
    settle_at(sql, "2027-01-05", *fixings("SD-H100", december))
    before = list(RecordTable(sql).read())
    restated = fixings("SD-H100", {"2026-12-01": "5.00"}, known="2027-01-06")
    assert settle_at(sql, "2027-01-07", *restated).settled == []
    assert list(RecordTable(sql).read()) == before
    with sql.view():
        (found,) = standing(HedgeBook(sql, at("2027-01-07"))).restated
        assert standing(HedgeBook(sql, at("2027-01-05T12:00"))).restated == ()
        # the clock was set back to before any fixing was known
        assert standing(HedgeBook(sql, at("2026-01-05T12:00"))).restated == ()
    assert (found.contract, found.month, found.settled_usd) == ("GPU1", "2026-12", Decimal("2.8"))
    assert abs(found.difference_usd - Decimal("2.2") / len(december) * 7300) < Decimal("0.000001")


def test_a_month_waits_for_its_last_fixing(sql: Sql) -> None:
    """For a few days; then the contract's fallback takes its place. What a contract refuses waits
    with a sentence, and keeps no other from being settled."""
    bought(sql, "GPU1", 10, "2.50")
    days = [one.isoformat() for one in business_days_of_month(2026, 12)][:-1]
    done = settle_at(sql, "2027-01-01T18:00", *fixings("SD-H100", dict.fromkeys(days, "2.80")))
    assert done.settled == []
    (waiting,) = done.waiting
    assert waiting == (
        "GPU1 2026-12: the last fixing of SD-H100 is not there yet; from 2027-01-03 on the"
        " contract's fallback counts"
    )
    (settled,) = settle_at(sql, "2027-01-03").settled
    assert settled.fallbacks == ("2026-12-31 has no fixing of SD-H100: that of 2026-12-30 counts",)


def test_an_event_pays_or_does_not(sql: Sql) -> None:
    """Bought at 0.40 and paid; marked at 0.70; it pays 1 USD a lot at the strike."""
    bought(sql, "H100-ABOVE-3", 100, "0.40")
    settle_at(sql, "2026-12-02", *mark("2026-12-01", "0.70", "H100-ABOVE-3 2026-12"))
    with sql.view():
        book = HedgeBook(sql, at("2026-12-02"))
        assert book.balance(GlAccount.CASH) == usd("-40")
        assert book.balance(GlAccount.DERIVATIVE_ASSETS) == usd("70")
        assert book.balance(GlAccount.UNREALISED_RESULT) == usd("-30")
        assert standing(book).liquidity_usd == 40
    done = settle_at(sql, "2027-01-02", *fixings("OCPI-H100", {"2026-12-31": "3.00"}))
    assert [one.gain for one in done.settled] == [usd("60")]
    with sql.view():
        book = HedgeBook(sql, at("2027-01-02"))
        assert book.balance(GlAccount.CASH) == usd("60")
        assert book.balance(GlAccount.DERIVATIVE_ASSETS) == 0
        assert book.balance(GlAccount.UNREALISED_RESULT) == 0


def test_funding(sql: Sql) -> None:
    """At the end of each period longs pay shorts the mark's premium over the underlying, as far as
    the cap; by what was held then; a period without a price takes the one before it."""
    bought(sql, "H100-PERP", 10, "2.80", month=None)
    prices = [
        *fixings("H100-PERP", {"2026-11-03T20:00": "2.80", "2026-11-04T20:00": "2.00"}),
        *fixings("OCPI-H100", {"2026-11-03T20:00": "2.79", "2026-11-04T20:00": "2.50"}),
    ]
    done = settle_at(sql, "2026-11-06", *prices)
    premium = Decimal("0.01") / Decimal("2.79")
    first = -(10 * 100 * Decimal("2.80") * premium)
    paid = [Decimal(one.amount) / 10**9 for one in done.funding]
    assert abs(paid[0] - first) < Decimal("0.000000001")
    assert paid[1:] == [Decimal(20), Decimal(20)]  # 10 lots × 100 × 2.00 × 1%, which is the cap
    assert settle_at(sql, "2026-11-06").funding == []
    waits = settle_at(sql, "2026-12-01")
    assert "H100-PERP has no price in the 24 hours to" in waits.waiting[0]
    with sql.transaction():
        book = HedgeBook(sql, at("2026-12-01"))
        late = replace(book.fills["fill:H100-PERP"], at_ns=at("2026-11-05"), over="late")
        with pytest.raises(FillRefused, match="is in the book until 2026-11-11 00:00 UTC"):
            enter_fill(book, "fill:late", late, DESK)
        wrong = Entry("", EntryKind.CORRECTION, at("2026-12-01"), fill="fill:H100-PERP", reason="x")
        with pytest.raises(EntryRefused, match="closed, settled or funded"):
            enter(book, wrong, DESK)
    with sql.view():
        assert verify(sql).findings == ()


def test_a_swap_settles_month_by_month(sql: Sql) -> None:
    """Each month at its own mean."""
    bought(sql, "H100-SWAP", 2, "2.50")
    december = {one.isoformat(): "2.60" for one in business_days_of_month(2026, 12)}
    january = {one.isoformat(): "2.40" for one in business_days_of_month(2027, 1)}
    done = settle_at(sql, "2027-02-01", *fixings("SD-H100", december | january))
    gains = [(one.month, one.gain) for one in done.settled]
    assert gains == [(day("2026-12-01"), usd("146")), (day("2027-01-01"), usd("-146"))]
    with sql.view():
        (left,) = standing(HedgeBook(sql, at("2027-02-01"))).positions
    assert left.month == "2027-02"


def test_until_the_end_of_a_month(sql: Sql) -> None:
    """What falls after it is left for another time."""
    plan = approved(sql, "2026-11-02", {"ptu": 20})
    with sql.transaction():
        book = HedgeBook(sql, at("2026-11-03"))
        fact = Fill(plan, "ptu", 20, Decimal(260), at("2026-11-03"), months=1)
        enter_fill(book, "fill:1", fact, DESK)
    with sql.transaction():
        settle(HedgeBook(sql, at("2027-01-05")), day("2026-12-01"))
    with sql.view():
        book = HedgeBook(sql, at("2027-01-05"))
        schedule = book.holdings["fill:1"].schedule
        november = sum(amount for _, amount in schedule.days(day("2026-11-01"), day("2026-12-01")))
        assert book.balance(GlAccount.COMMITMENT_EXPENSE) == november


def test_the_audit_finds_what_was_changed(sql: Sql) -> None:
    """An edited line, a record that was taken out, one at the end too, and a chain that was written
    anew after its head was kept elsewhere."""
    bought(sql, "GPU1", 10, "2.50")
    settle_at(sql, "2026-11-03T18:00")
    assert [one.writer for one in heads(sql)] == ["hedge book"]
    known = heads(sql)
    assert (verify(sql, known).findings, verify(sql).records) == ((), 4)
    edits = {
        "UPDATE record_lines SET amount_nanos = amount_nanos * 2": "is not as it was written",
        "DELETE FROM record_lines WHERE place = 0": "lines sum to",
        "UPDATE records SET who = 'eve' WHERE seq = 3": "is not as it was written",
        "UPDATE record_lines SET about = 'fill:x'": "name a record that is not there",
        "UPDATE record_lines SET account = 'cas'": "moves cas, which is no account",
    }
    triggers = ("records", "record_lines")
    for edit, said in edits.items():
        with undone(sql):
            for table in triggers:
                on = f" ON {table}" if sql.dialect is Dialect.POSTGRES else ""
                sql.execute(f"DROP TRIGGER {table}_are_never_edited{on}")
            sql.execute(edit)
            found = verify(sql).findings
            assert any(said in one.what for one in found), (edit, found)
    with undone(sql):
        sql.execute("DELETE FROM record_lines WHERE seq = 4")
        sql.execute("DELETE FROM records WHERE seq = 4")
        (found_,) = verify(sql).findings
        assert found_.what == "ends at record 3, but 4 were written"
        seq, head = sql.execute("SELECT seq, hash FROM records WHERE seq = 3").fetchall()[0]
        sql.execute("UPDATE record_head SET seq = ?, hash = ?", (seq, head))
        assert verify(sql).findings == ()
        (rewritten,) = verify(sql, known).findings
        assert "does not hold the head that was given for record 4" in rewritten.what


@pytest.mark.parametrize(
    "statement", ["UPDATE records SET who = 'eve'", "UPDATE fixings SET value = '1'"]
)
def test_rows_are_never_edited(sql: Sql, statement: str) -> None:
    """The database itself refuses it."""
    bought(sql, "GPU1", 10, "2.50")
    settle_at(sql, "2026-11-04", *mark("2026-11-03", "2.50"))
    with pytest.raises(RowRefused), sql.transaction():
        sql.execute(statement)


def test_back_to_the_version_before(sql: Sql) -> None:
    """What has no place there is told; forward again the book is empty, and works."""
    bought(sql, "GPU1", 10, "2.50")
    settle_at(sql, "2026-11-04", *mark("2026-11-03", "2.50"))
    with sql.transaction():
        assert steps(sql, 11) == (
            "5 records of the hedge's book go: export them first",
            "1 fixings go",
        )
        steps(sql, NEWEST)
        assert list(RecordTable(sql).read()) == []
        assert FixingTable(sql).known("GPU1 2026-12", at("2027-01-01"), 0, at("2027-01-01")) == []
    bought(sql, "GPU1", 10, "2.50")
    assert verify(sql).findings == ()


def test_a_mark_values_what_was_open_then(sql: Sql) -> None:
    """Settled days later, a lot that was bought after the mark stays at its entry."""
    plan = approved(sql, "2026-11-02", {"GPU1": 3})
    with sql.transaction():
        book = HedgeBook(sql, at("2026-11-06"))
        for number, bought_at in enumerate(("2026-11-03", "2026-11-05")):
            month = day("2026-12-01")
            fact = Fill(plan, "GPU1", number + 1, Decimal("2.50"), at(bought_at), month=month)
            enter_fill(book, f"fill:{number}", fact, DESK)
    settle_at(sql, "2026-11-06", *mark("2026-11-04", "2.60"))
    with sql.view():
        (open_,) = standing(HedgeBook(sql, at("2026-11-06"))).positions
    assert (open_.unrealised_usd, open_.mark_usd) == (Decimal(73), Decimal("2.60"))


def test_fees_are_paid_on_the_day_that_they_are_due(sql: Sql) -> None:
    """What is due that day is payable, whether it was settled before or not."""
    plan = approved(sql, "2026-11-02", {"ptu": 20})
    with sql.transaction():
        book = HedgeBook(sql, at("2026-11-03T12:00"))
        fact = Fill(plan, "ptu", 20, Decimal(260), at("2026-11-03"), months=1)
        enter_fill(book, "fill:1", fact, DESK)
        when = at("2026-11-03")
        paid = Entry("b", EntryKind.PAYMENT, when, fill="fill:1", amount=usd("5200"))
        assert enter(book, paid, DESK)
        assert book.balance(GlAccount.COMMITMENT_PAYABLE) == 0
