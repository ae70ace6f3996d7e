"""A month's money out of the books, on both databases, against sums made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedge.book.settling import settle
from hedge.effectiveness.attribution import Cause
from hedge.effectiveness.economics import CostKind, Otherwise
from hedge.effectiveness.query import Query
from hedge.effectiveness.report import EffectivenessReport
from ledger.databases.sql import Sql
from ledger.money import Money, usd
from ledger.retention import Limits, retire
from ledger.tables.fixings import FixingTable
from tests.hedge.book.contracts import DESK, GPU1, PTU, approve, approved, at, day, keep, plan_json
from tests.hedge.book.test_settling import fixings
from tests.hedge.effectiveness.hedged import bought, designated, priced
from tests.hedge.effectiveness.months import Asked, buy_flat, charge, report, trade


def queries(value: object) -> Iterator[Query]:
    """Every query within a report."""
    if isinstance(value, Query):
        yield value
    elif is_dataclass(value):
        for one in fields(value):
            yield from queries(getattr(value, one.name))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from queries(one)


def check(sql: Sql, found: EffectivenessReport) -> None:
    """What holds for every report: sums, and queries that give the figures."""
    cost = found.economics
    assert sum(one.amount for one in cost.lines) == cost.all_in
    for line in cost.lines:
        assert line.query is None or line.query.amount(sql) == line.amount
    for one in cost.counterfactuals:
        assert one.query.amount(sql) == one.cost
        if one.unmeasured is not None:
            ((count, own),) = one.unmeasured_query.rows(sql)
            assert (int(count), int(own)) == (one.unmeasured_requests, one.unmeasured)
    if cost.overage is not None:
        assert cost.overage_query.amount(sql) == cost.overage
    assert cost.teams.query.amount(sql) == cost.teams.charged
    assert cost.teams.charged + cost.teams.fixed_fees - cost.all_in == cost.teams.variance
    assert found.coverage.fee == cost.line(CostKind.EXPENSE) + cost.line(CostKind.EXPENSE_TO_BOOK)
    if found.history.days:
        assert found.history.days[-1].sum == cost.all_in
    if found.history.months:
        assert found.history.months[-1].cost == cost.all_in
    for use in found.coverage.uses:
        booked = use.fee_query.amount(sql)
        assert booked <= use.fee
        assert use.offered_query.amount(sql) == use.offered_tokens
        posted = [int(row[2]) for row in use.used_query.rows(sql)]
        assert use.period.used_micro in (0, *posted)
    if found.attribution is not None:
        before = found.attribution.lines_before
        assert sum(one.amount for one in before) == found.attribution.before
        assert sum(one.amount for one in found.attribution.parts) == found.attribution.total
        assert found.attribution.now == cost.all_in
    for query in queries(found):
        query.rows(sql)


def test_an_empty_book_says_so(sql: Sql) -> None:
    """Of a month that is over, one that runs and one that has not begun; and nothing is made up."""
    for when, says in (
        ("2026-05-01", "no usage and no cost of 2026-03"),
        ("2026-03-10T12:00", "no usage and no cost of 2026-03"),
        ("2026-02-10", "2026-03 has not begun"),
    ):
        found = report(sql, "2026-03", when, usd("100"))
        check(sql, found)
        assert found.is_empty
        assert len(found.notes) == 1
        assert says in found.notes[0]
        assert (found.realised, found.headroom) == (0, usd("100"))
        assert (found.attribution, found.plan, found.confidence) == (None, None, None)
        assert found.attribution_why_not is not None
        assert found.history.months == ()
        assert found.coverage.share is None
        assert found.exceedances is not None
        assert found.exceedances.periods == 0


def test_what_a_month_cost_and_what_it_would_have(sql: Sql) -> None:
    """Usage as it was billed, a draw for nothing and overage for its rate; the counterfactuals as
    the rows carry them; what is unknown is counted, and named."""
    name = buy_flat(sql, "2026-03-10")
    charge(
        sql,
        Asked("2026-03-02T10:00", 1000, first_offer=1500, cheapest=900, listed=1100),
        Asked(
            "2026-03-12T10:00",
            5000,
            prompt=100,
            completion=10,
            first_offer=9000,
            cheapest=4000,
            commitment=name,
        ),
        Asked(
            "2026-03-13T10:00",
            7000,
            prompt=50,
            first_offer=8000,
            cheapest=7000,
            commitment=name,
            is_overage=True,
        ),
        Asked("2026-03-14T10:00", 300),
        Asked("2026-04-01T00:00", 77),
    )
    overage = 50 * 20_000_000
    with sql.transaction():
        settle(HedgeBook(sql, at("2026-03-25")))
    found = report(sql, "2026-03", "2026-04-02", usd("200"))
    check(sql, found)
    cost = found.economics
    assert cost.line(CostKind.BILLED) == 1000 + overage + 300
    assert cost.overage == overage
    fee = cost.line(CostKind.EXPENSE) + cost.line(CostKind.EXPENSE_TO_BOOK)
    assert abs(fee - usd("200") * 22 // 31) < 31
    assert 0 < cost.line(CostKind.EXPENSE_TO_BOOK) < cost.line(CostKind.EXPENSE)
    assert any("hedge settle" in one for one in found.notes)
    assert found.realised == fee + 1300 + overage
    assert found.headroom == usd("200") - found.realised
    drawn = cost.teams.of_draws
    first = cost.otherwise(Otherwise.FIRST_OFFER)
    assert first.cost == 1500 + 9000 + 8000 + 300
    assert (first.unmeasured_requests, first.unmeasured) == (1, 300)
    assert first.saved == first.cost - found.realised
    assert cost.otherwise(Otherwise.CHEAPEST).cost == 900 + 4000 + 7000 + 300
    assert cost.otherwise(Otherwise.LIST).cost == 1100 + 5000 + 7000 + 300
    assert cost.teams.charged == 1000 + drawn + overage + 300
    assert cost.teams.variance == drawn - fee
    assert cost.usage.total.requests == 4
    (use,) = found.coverage.uses
    assert use.drawn is not None
    assert (use.drawn.requests, use.drawn.tokens) == (2, 160)
    assert use.certainty == use.fee + overage - 4000 - 7000
    assert found.premium.total == use.certainty
    assert use.offered_tokens == 110 + 50 + 10
    assert use.coverage == 160 / 170
    assert found.coverage.share == 160 / 180
    assert use.usd_per_mtok == found.coverage.usd_per_mtok


def test_a_running_month_is_to_date(sql: Sql) -> None:
    """Usage up to the moment, not a nano-second more; fees of the days that are over; and the month
    before as far, for comparison."""
    buy_flat(sql, "2026-03-10")
    charge(
        sql,
        Asked("2026-02-03T10:00", 11, first_offer=11),
        Asked("2026-02-13T12:00", 100, first_offer=100),
        Asked("2026-03-02T10:00", 1000, first_offer=1000),
        Asked("2026-03-12T11:59", 300, first_offer=300),
        Asked("2026-03-12T12:00", 5, first_offer=5),
    )
    found = report(sql, "2026-03", "2026-03-12T12:00")
    check(sql, found)
    assert not found.period.is_over
    assert found.economics.line(CostKind.BILLED) == 1300
    assert found.coverage.fee == found.economics.line(CostKind.EXPENSE_TO_BOOK)
    assert abs(found.coverage.fee - usd("200") * 2 // 31) < 3
    assert found.attribution is not None
    assert found.attribution.before == 11
    assert [one.day.day for one in found.history.days] == list(range(1, 13))
    assert found.history.days[8].sum == 1000
    assert found.headroom is None
    (not_judged,) = found.regrets.not_judged
    assert "not over" in not_judged.why


def test_futures_rolls_and_what_they_cost(sql: Sql) -> None:
    """The result of the lots, realised and by marks, the fees of trades, and those of rolls apart;
    what the two months' prices differ by is beside the cost."""
    with sql.transaction():
        book = HedgeBook(sql, at("2026-11-02"))
        plan = keep(book, plan_json({"GPU1": 50}), GPU1 | {"beta": "0.5"})
        approve(book, plan)
    trade(sql, plan, "open", "2026-11-03", 10, "2.50", month="2026-12-01")
    trade(sql, plan, "close", "2026-11-20", -10, "2.60", month="2026-12-01", roll="r")
    trade(sql, plan, "again", "2026-11-20", 10, "2.70", month="2027-01-01", roll="r")
    with sql.transaction():
        FixingTable(sql).add(fixings("GPU1 2027-01", {"2026-11-27": "2.65"}))
        FixingTable(sql).add(fixings("SD-H100", {"2026-10-05": "2.00", "2026-11-05": "2.20"}))
        settle(HedgeBook(sql, at("2026-11-28")))
    charge(
        sql,
        Asked("2026-10-10T10:00", 1000, prompt=1000, first_offer=1000),
        Asked("2026-11-10T10:00", 1300, prompt=1000, first_offer=1200),
    )
    found = report(sql, "2026-11", "2026-12-01")
    check(sql, found)
    cost = found.economics
    assert cost.line(CostKind.REALISED) == -usd("730")
    assert cost.line(CostKind.UNREALISED) == usd("365")
    assert cost.line(CostKind.FEES) == usd("55")
    assert cost.line(CostKind.ROLL_FEES) == usd("110")
    assert cost.roll_spread == usd("730")
    assert found.premium.total == -usd("365") + usd("165")
    why = found.attribution
    assert why is not None
    assert why.index is not None
    assert (why.index.before, why.index.now) == (Decimal("2.00"), Decimal("2.20"))
    assert {one.cause: one.amount for one in why.parts if one.amount} == {
        Cause.INDEX: 50,
        Cause.BASIS: 150,
        Cause.ROUTING: 100,
        Cause.DERIVATIVES: -usd("365"),
        Cause.ROLL: usd("110"),
        Cause.FEES: usd("55"),
    }


def test_capacity_that_was_sold_on(sql: Sql) -> None:
    """Over its term it costs its fee less what the resale brought, to the nano-USD, whether its
    days are booked or not; each part that was held is a use of its own."""
    plan = approved(sql, "2026-03-01", {"ptu": 20}, PTU)
    with sql.transaction():
        fact = Fill(plan, "ptu", 20, Decimal(260), at("2026-03-10"), months=1)
        enter_fill(HedgeBook(sql, at("2026-03-10")), "fill:ptu", fact, DESK)
    sold = Entry(
        *("x", EntryKind.RESALE, at("2026-03-21")), fill="fill:ptu", units=5, amount=usd("100.01")
    )
    with sql.transaction():
        enter(HedgeBook(sql, at("2026-03-21")), sold, DESK)
    for is_booked in (False, True):
        months = [report(sql, month, "2026-05-01") for month in ("2026-03", "2026-04")]
        for found in months:
            check(sql, found)
        assert sum(one.realised for one in months) == usd("5200") - usd("100.01")
        march, april = months
        assert march.economics.line(CostKind.RESALE) > 0
        assert [one.units for one in march.coverage.uses] == [20, 15]
        assert [one.units for one in april.coverage.uses] == [15]
        assert bool(april.economics.line(CostKind.EXPENSE)) == is_booked
        with sql.transaction():
            settle(HedgeBook(sql, at("2026-05-01")))


def test_an_index_is_held_against_the_designated_models(sql: Sql) -> None:
    """By the beta of the memo; what nobody designated has a price of its own."""
    bought(sql)
    memo: dict[str, Any] = {"models": ("llama",), "index": "SD-H100", "beta": Decimal("0.5")}
    assert designated(sql, **memo)
    priced(sql, "SD-H100", {"2026-11-05": "2.00", "2026-12-01": "2.20", "2026-12-30": "2.20"})
    for when, llama, oak in (("2026-11-10", 1000, 1000), ("2026-12-10", 1300, 1400)):
        charge(
            sql,
            Asked(when, llama, prompt=1000, first_offer=llama),
            Asked(when, oak, "oak", prompt=1000, first_offer=oak),
        )
    found = report(sql, "2026-12", "2027-01-01")
    check(sql, found)
    why = found.attribution
    assert why is not None
    assert why.index is not None
    assert (why.index.contract, why.index.designation) == ("GPU1", "designation:memo")
    assert (why.part(Cause.INDEX), why.part(Cause.BASIS)) == (50, 250)
    assert why.part(Cause.PRICE) == 400
    assert found.accounting.month == found.period.month


def test_what_retention_has_deleted_is_not_known(sql: Sql) -> None:
    """And nothing else: the cost stands, by rollups; draws, their price and regret are None."""
    name = buy_flat(sql, "2026-03-10")
    charge(
        sql,
        Asked("2026-03-02T10:00", 1000, first_offer=1500),
        Asked("2026-03-12T10:00", 5000, first_offer=9000, commitment=name),
    )
    before = report(sql, "2026-03", "2026-04-01")
    retire(sql, Limits(entries_ns=at("2026-04-01")))
    found = report(sql, "2026-03", "2026-04-01")
    check(sql, found)
    assert found.realised == before.realised
    assert found.economics.overage is None
    assert found.economics.otherwise(Otherwise.FIRST_OFFER).cost == 10500
    assert found.economics.otherwise(Otherwise.FIRST_OFFER).unmeasured is None
    assert found.coverage.certainty is None
    assert found.premium.total is None
    assert found.regrets.judged == ()
    assert "retention" in found.regrets.not_judged[0].why
    assert any("Retention" in one for one in found.notes)


def test_months_against_the_cap_and_the_plan(sql: Sql) -> None:
    """Months follow one another without a gap, the running one is no trial; what was promised is
    the confidence of the last plan that was approved by then, and its month if it has it."""
    months = [
        {"month": "2026-03-01", "expected_usd": "90.50", "fees_usd": "10", "p_within_cap": 0.97}
    ]
    with sql.transaction():
        book = HedgeBook(sql, at("2026-01-20"))
        approve(
            book,
            keep(
                book,
                plan_json({"flat": 0, "GPU1": 1}, confidence=0.9, cap_usd="100", months=months),
            ),
        )
    charge(sql, Asked("2026-01-05T10:00", 100), Asked("2026-03-05T10:00", 500))
    found = report(sql, "2026-03", "2026-03-20", Money(99))
    check(sql, found)
    assert [(one.month, one.cost, one.is_over) for one in found.history.months] == [
        (date(2026, 1, 1), 100, True),
        (date(2026, 2, 1), 0, True),
        (date(2026, 3, 1), 500, False),
    ]
    assert found.exceedances is not None
    assert (found.exceedances.count, found.exceedances.periods) == (1, 2)
    assert found.plan is not None
    assert (found.confidence, found.plan.is_ahead) == (0.9, True)
    assert found.plan.expected_usd == Decimal("90.50")
    assert found.headroom == 99 - 500
    assert (found.against_plan, found.against_plan_why_not) == (
        None,
        "the month is not over, and the plan speaks of all of it",
    )
    over = report(sql, "2026-03", "2026-04-02").against_plan
    assert over is not None
    assert (over.expected, over.fees) == (usd("90.50"), -usd("10"))
    assert over.total == 500 - usd("90.50")
    assert "nothing of 2026-02" in (found.attribution_why_not or "")
    early = report(sql, "2026-01", "2026-02-01")
    assert early.plan is not None
    assert (early.plan.is_ahead, early.plan.expected_usd) == (False, None)
    assert early.against_plan is None


def test_a_month_of_chance_against_plain_sums(sql: Sql) -> None:
    """Of months with hundreds of requests, drawn, beyond the quota and paid as they went."""
    name = buy_flat(sql, "2026-03-10")
    draw = Random(11)

    def asked() -> Asked:
        day = draw.randrange(1, 29)
        month = draw.choice(("02", "03", "04"))
        is_held = (month, day) >= ("03", 10) and (month, day) < ("04", 10)
        kind = draw.choice(("paid", "drawn", "overage")) if is_held else "paid"
        maybe = [None, draw.randrange(10**6)]
        return Asked(
            f"2026-{month}-{day:02}T{draw.randrange(24):02}:{draw.randrange(60):02}",
            draw.randrange(10**6),
            model=draw.choice("abc"),
            provider="acme" if kind != "paid" else draw.choice(("acme", "b")),
            prompt=draw.randrange(100),
            completion=draw.randrange(20),
            first_offer=draw.choice(maybe),
            cheapest=draw.choice(maybe),
            commitment=None if kind == "paid" else name,
            is_overage=kind == "overage",
        )

    made = [asked() for _ in range(400)]
    charge(sql, *made)
    march = [one for one in made if one.when < "2026-03-20T12:30" and one.when >= "2026-03"]
    found = report(sql, "2026-03", "2026-03-20T12:30")
    check(sql, found)
    paid = [one for one in march if one.commitment is None]
    overage = [one for one in march if one.is_overage]
    drew = [one for one in march if one.commitment]
    units = sum(one.prompt + 4 * one.completion for one in overage)
    assert found.economics.overage == units * 20_000_000
    assert found.economics.line(CostKind.BILLED) == units * 20_000_000 + sum(
        one.paid for one in paid
    )
    first = found.economics.otherwise(Otherwise.FIRST_OFFER)
    unknown = [one for one in march if one.first_offer is None]
    assert first.unmeasured is not None
    assert first.unmeasured_requests == len(unknown)
    assert first.cost - first.unmeasured == sum(one.first_offer or 0 for one in march)
    (use,) = found.coverage.uses
    assert use.drawn is not None
    assert use.drawn.requests == len(drew)
    assert use.drawn.cheapest == sum(
        one.paid if one.cheapest is None else one.cheapest for one in drew
    )
    assert found.coverage.tokens == sum(one.prompt + one.completion for one in march)
    assert found.attribution is not None
    before = [one for one in made if one.when < "2026-02-20T12:30"]
    assert found.attribution.before == sum(one.paid for one in before)
    for one in found.attribution.models:
        its = [each for each in march if each.model == one.model]
        assert one.volume_now == sum(each.prompt + each.completion for each in its)


def test_the_same_books_give_the_same_report(sql: Sql) -> None:
    """To the byte, as msgspec writes it."""
    name = buy_flat(sql, "2026-03-10")
    charge(sql, Asked("2026-03-12T10:00", 5000, first_offer=9000, commitment=name))
    one, other = (report(sql, "2026-03", "2026-04-01") for _ in range(2))
    assert msgspec.json.encode(one.economics) == msgspec.json.encode(other.economics)
    assert repr(one) == repr(other)
    assert day("2026-03-01") == one.period.month
