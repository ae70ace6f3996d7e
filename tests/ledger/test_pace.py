"""Paces: how fast budgets are spent, and when their thresholds come at that."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ledger.budgets import Balance, Budget, Scope, Threshold, accounts_of
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.measures import Measure
from ledger.money import Money
from ledger.pace import HOUR_NS, LONG_NS, Pace, Standing, effective_thresholds, paces, standings
from ledger.statements import charged, standing
from ledger.store import Store
from ledger.tables.rollups import QUARTER_NS
from ledger.windows import Window, window_of
from tests.ledger.entries import NOW, NOW_NS, attempt, budget, charge, hold_of, take


def _standing(one: Budget, posted: int, pace: Pace | None, pending: int = 0) -> Standing:
    balance = Balance(one.account("", NOW), posted, pending)
    rates = {} if pace is None else {(one.name, ""): pace}
    (found,) = standings([balance], {one.name: (one, None)}, (), rates, NOW_NS)
    return found


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.integers(1, 10**12))
def test_a_threshold_comes_when_what_is_missing_is_spent(
    posted: int, cap: int, amount: int
) -> None:
    """At so much in an hour: the moment before it is not reached, at it it is; and none is named
    that would be after the window."""
    one = Budget(
        "b",
        Scope(),
        Window.MONTH,
        "UTC",
        cap,
        thresholds=(Threshold(Decimal("0.5"), cheapest=True),),
    )
    found = _standing(one, posted, Pace(amount, HOUR_NS))
    assert [step.threshold.part for step in found.steps] == [Decimal("0.5"), Decimal(1)]
    assert found.reached == tuple(step for step in found.steps if posted >= step.amount)
    resets_ns = found.balance.account.resets_at_ns
    for step in found.steps:
        if step.is_reached:
            continue
        missing = step.amount - posted
        takes_ns = missing * HOUR_NS // amount
        if NOW_NS + takes_ns >= resets_ns:
            assert step.at_ns is None
        else:
            assert step.at_ns == NOW_NS + takes_ns


def test_what_is_about_to_happen_is_the_lowest_that_is_not_reached() -> None:
    """The block at the cap is among them, unless a threshold blocks before, or lets more through;
    nothing is named for a rolling window, or without a pace."""
    steps = (Threshold(Decimal("0.9"), blocks=True), Threshold(Decimal("0.2"), cheapest=True))
    early = Budget("b", Scope(), Window.MONTH, "UTC", 100, thresholds=steps)
    assert [one.part for one in effective_thresholds(early)] == [Decimal("0.2"), Decimal("0.9")]
    soft = Budget(
        "b", Scope(), Window.MONTH, "UTC", 100, thresholds=(Threshold(Decimal(1), allows=True),)
    )
    assert [one.blocks for one in effective_thresholds(soft)] == [False]
    found = _standing(early, 20, Pace(60, HOUR_NS))
    assert found.next is not None
    assert found.next.amount == 90
    assert found.next.at_ns == NOW_NS + 70 * HOUR_NS // 60
    rolling = Budget("b", Scope(), window_of("rolling:30d"), "UTC", 100)
    for still in (_standing(rolling, 0, Pace(60, HOUR_NS)), _standing(early, 20, None)):
        assert still.next is not None
        assert still.next.at_ns is None


def test_paces_are_of_what_was_charged_lately(sql: Sql) -> None:
    """By budget and member: in the last three hours for a day's window, in the last week for a
    month's, since the first charge where the books are younger."""
    store = Store(sql)
    everything = budget("all", 10**12, window=Window.MONTH)
    keys = budget("keys", 10**12, Scope(key="*"), Window.DAY)
    tokens = Budget("tokens", Scope(), Window.DAY, "UTC", 10**12, Measure.TOKENS)
    budgets = (everything, keys, tokens)
    for number, nanos in enumerate((100, 250)):
        one = attempt(f"req_{number}.1", 1000)
        hold = hold_of(one, *budgets)
        take(store, hold)
        charge(store, hold, nanos)
    later = NOW_NS + 2 * HOUR_NS
    with sql.view():
        found = paces(sql, budgets, later)
        much_later = paces(sql, budgets, NOW_NS + 5 * HOUR_NS)
        balances = standing(sql, budgets, instant(later))
        assert sum(one.effective for one in charged(sql)) == 350
    since_ns = NOW_NS // QUARTER_NS * QUARTER_NS
    assert found["all", ""] == Pace(350, later - since_ns)
    (account,) = accounts_of([keys], attempt("x", 0).subject, NOW)
    assert found["keys", account.member].amount == 350
    assert found["tokens", ""].amount == 350  # a completion token each
    assert ("keys", account.member) not in much_later
    assert much_later["all", ""].amount == 350
    assert much_later["all", ""].over_ns <= LONG_NS
    assert {one.account.budget: Money(one.posted) for one in balances}["all"] == 350
