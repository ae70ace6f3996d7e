"""Regret: other sizes of what was bought, billed anew by the requests that really came."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hedge.book.book import HedgeBook
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedge.effectiveness.regret import Asked, break_even, size_costs
from ledger.databases.sql import Sql
from ledger.money import Money, usd
from tests.hedge.book.contracts import DESK, PTU, approved, at
from tests.hedge.effectiveness import months
from tests.hedge.effectiveness.months import FLAT, buy_flat, charge, report

MICRO = 1_000_000
WINDOWS = st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), max_size=30)


def asked_of(windows: list[tuple[int, int]]) -> Asked:
    return Asked(
        np.array([units for units, _ in windows], dtype=np.float64),
        np.array([cost for _, cost in windows], dtype=np.int64),
    )


@given(WINDOWS, st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 8))
def test_sizes_between_nothing_and_everything(
    windows: list[tuple[int, int]], fee: int, capacity: int, held: int
) -> None:
    """Without capacity all is paid as it goes; more of it leaves less, and enough of it nothing;
    whoever waits for the break-even pays at most twice what hindsight does."""
    asked = asked_of(windows)
    sizes = size_costs(asked, Money(fee), capacity, held, range(1, 2 * held + 1))
    assert sizes[0].cost == sum(cost for _, cost in windows)
    left = [one.pay_as_you_go for one in sizes]
    assert left == sorted(left, reverse=True)
    assert asked.left(10**12) == 0
    assert sizes[held].fee == fee
    best = min(one.cost for one in sizes)
    assert break_even(sizes) <= 2 * best + len(windows) * len(sizes)


@given(WINDOWS, st.integers(1, 10**12))
def test_what_does_not_fit_is_the_same_part_of_all(
    windows: list[tuple[int, int]], capacity: int
) -> None:
    """Against exact fractions, to a nano-USD a window."""
    exact = Fraction(0)
    for units, cost in windows:
        exact += Fraction(cost * max(0, units - capacity), max(units, 1))
    assert abs(asked_of(windows).left(capacity) - exact) <= len(windows)


def test_a_reservation_by_the_minute(sql: Sql) -> None:
    """15 units of 3,400 a minute: of a minute that asks for twice as much half is paid as it goes,
    one that asks for less leaves nothing; in hindsight none, by what was asked for. Batches,
    other offers and what another commitment served are not its."""
    covers = [{"provider": "azure", "model": "azure-gpt-5.2"}]
    plan = approved(sql, "2026-03-01", {"ptu": 15}, PTU | {"covers": covers})
    with sql.transaction():
        fact = Fill(plan, "ptu", 15, Decimal(260), at("2026-03-01"), months=1)
        enter_fill(HedgeBook(sql, at("2026-03-01")), "fill:ptu", fact, DESK)
    other = buy_flat(sql, "2026-03-01")
    per_minute = 15 * 3400

    its = months.Asked("2026-03-05T10:00:01", 600, "gpt-5.2", "azure", prompt=per_minute)
    charge(
        sql,
        replace(its, commitment="fill:ptu"),
        replace(its, when="2026-03-05T10:00:59", paid=200),
        replace(its, when="2026-03-05T10:01:00", paid=70, prompt=10),
        replace(its, paid=5000, commitment=other),
        replace(its, paid=9000, batch="batch_1"),
        replace(its, paid=3000, model="gpt-6"),
    )
    found = report(sql, "2026-03", "2026-04-01")
    (regret,) = [one for one in found.regrets.judged if one.commitment == "fill:ptu"]
    assert (regret.never.cost, regret.held.pay_as_you_go) == (870, 400)
    assert regret.held.fee == usd("3900")
    assert regret.best == regret.never
    assert regret.against_hindsight == regret.against_never == usd("3900") + 400 - 870
    assert [one.units for one in regret.sizes] == [0, 15, 20, 25, 30]
    assert regret.sizes[-1].pay_as_you_go == 0
    assert regret.break_even == 870


def test_a_quota_by_the_month(sql: Sql) -> None:
    """1,000 units a month each, for 100 USD: three would have paid for what two did not."""
    buy_flat(sql, "2026-03-01", units=2)
    paid = int(usd("150"))
    charge(
        sql,
        *[months.Asked(f"2026-03-{n:02}T10:00", paid, prompt=1000) for n in range(3, 6)],
    )
    found = report(sql, "2026-03", "2026-04-01")
    (regret,) = found.regrets.judged
    costs = {one.units: one.cost for one in regret.sizes}
    assert costs == {
        0: usd("450"),
        1: usd("400"),
        2: usd("350"),
        3: usd("300"),
        4: usd("400"),
    }
    assert (regret.best.units, regret.against_hindsight) == (3, usd("50"))
    assert regret.against_never == -usd("100")
    assert regret.break_even == 3 * usd("200")
    assert regret.against_break_even == usd("350") - usd("600")


def test_a_quota_of_a_whole_term(sql: Sql) -> None:
    """It is judged, and stranded, in the month in which its term ends: not before, and once."""
    prepaid = FLAT | {
        "kind": "prepaid_quota",
        "overage": {"then": "spill"},
        "prices": [{"months": 2, "usd_per_month": "100"}],
    }
    plan = approved(sql, "2026-03-01", {"flat": 1}, prepaid)
    with sql.transaction():
        fact = Fill(plan, "flat", 1, Decimal(100), at("2026-03-01"), months=2)
        enter_fill(HedgeBook(sql, at("2026-03-01")), "fill:flat", fact, DESK)
    its = months.Asked("2026-03-05T10:00", int(usd("90")), prompt=250, commitment="fill:flat")
    charge(sql, its, replace(its, when="2026-04-05T10:00"))
    early = report(sql, "2026-03", "2026-05-01")
    assert early.regrets.judged == ()
    assert "2026-05-01" in early.regrets.not_judged[0].why
    assert (early.coverage.uses[0].stranded, early.coverage.stranded) == (None, 0)
    late = report(sql, "2026-04", "2026-05-01")
    (regret,) = late.regrets.judged
    costs = {one.units: one.cost for one in regret.sizes}
    assert costs == {0: usd("180"), 1: usd("200"), 2: usd("400")}
    assert regret.against_hindsight == usd("20")
    assert late.coverage.uses[0].stranded == late.coverage.stranded == usd("100")
    assert early.coverage.fee + late.coverage.fee == usd("200")


def test_against_a_request_by_request_judge(sql: Sql) -> None:
    """Many requests at random minutes, billed anew in plain Python."""
    plan = approved(sql, "2026-03-01", {"ptu": 15}, PTU | {"covers": [{"provider": "azure"}]})
    with sql.transaction():
        fact = Fill(plan, "ptu", 15, Decimal(260), at("2026-03-01"), months=1)
        enter_fill(HedgeBook(sql, at("2026-03-01")), "fill:ptu", fact, DESK)
    draw = np.random.default_rng(5)
    made = [
        months.Asked(
            f"2026-03-07T12:{draw.integers(60):02}:{draw.integers(60):02}",
            int(draw.integers(10**9)),
            provider="azure",
            prompt=int(draw.integers(60_000)),
            commitment="fill:ptu" if draw.random() < 0.5 else None,
        )
        for _ in range(300)
    ]
    charge(sql, *made)
    (regret,) = report(sql, "2026-03", "2026-04-01").regrets.judged
    minutes: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in made:
        minute = minutes[one.when[:16]]
        minute[0] += one.prompt
        minute[1] += one.paid
    for size in regret.sizes:
        fits = size.units * 3400
        left = sum(
            round(Decimal(paid) * max(0, units - fits) / units) for units, paid in minutes.values()
        )
        assert abs(size.pay_as_you_go - left) <= len(minutes)
