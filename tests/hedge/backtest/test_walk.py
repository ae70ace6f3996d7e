"""A walk: nothing of what comes is seen, and the bill is what plain counting comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.backtest.clairvoyant import least_nanos
from hedge.backtest.ours import Ours, Programs
from hedge.backtest.path import Seen
from hedge.backtest.rules import (
    BreakEven,
    Never,
    Profile,
    Sized,
    cvar_newsvendor,
    mean,
    newsvendor,
    p95,
)
from hedge.backtest.walk import NOTHING, Buys, Rule
from hedge.errors import ContractInvalid
from ledger.calendar_months import months_later
from tests.hedge.backtest.paths import BOUGHT_FROM, UNTIL, changed_from, days_of, offer, path, walk

RULES: dict[str, Callable[[], Rule]] = {
    "mean": lambda: Sized("mean", 3, mean),
    "p95": lambda: Sized("p95", 1, p95),
    "newsvendor": lambda: Sized("newsvendor", 1, newsvendor),
    "CVaR newsvendor": lambda: Sized("CVaR newsvendor", 3, cvar_newsvendor),
    "break-even": lambda: BreakEven("break-even", 1, Profile()),
    "eager": lambda: BreakEven("eager", 3, Profile(), 0.3),
    "program": lambda: Ours("program", Programs()),
    "averse": lambda: Ours("averse", Programs(), 2.0),
}


@pytest.mark.parametrize(
    ("name", "day"),
    [
        *((name, date(2026, 2, 1)) for name in RULES),
        ("break-even", date(2026, 2, 17)),
        ("eager", date(2026, 3, 5)),
    ],
)
def test_nothing_is_seen_ahead(name: str, day: date) -> None:
    """Whatever comes from a morning on, all that was bought up to then, that morning too, is the
    same."""
    one = path(3)
    before, after = (
        [p for p in walk(each).bill(RULES[name]()).purchases if p.day <= day]
        for each in (one, changed_from(one, day))
    )
    assert [(p.day, p.months, p.units) for p in before] == [
        (p.day, p.months, p.units) for p in after
    ]


@dataclass
class Scripted:
    """Buys what it is told, and keeps what it saw."""

    script: dict[date, Buys]
    name: str = "scripted"
    is_daily: bool = True
    saw: list[Seen] = field(default_factory=list)

    def buys(self, seen: Seen) -> Buys:
        self.saw.append(seen)
        return self.script.get(seen.today, NOTHING)


def test_what_is_seen_is_no_window_on_the_path() -> None:
    """Arrays end the evening before and belong to nobody else: writing them changes nothing."""
    one = path(1)
    rule = Scripted({})
    told = walk(one)
    plain = told.bill(Never()).total
    told.bill(rule)
    for seen in rule.saw:
        assert len(seen.tokens) == len(seen.list_nanos) == one.row(seen.today)
        for array in (seen.tokens, seen.list_nanos, seen.held):
            assert array.base is None
            array[:] = 7
    assert told.bill(Never()).total == plain


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 50),
    st.dictionaries(
        st.integers(0, 80), st.tuples(st.sampled_from([1, 3]), st.integers(1, 8)), max_size=4
    ),
)
def test_the_bill_is_exact(seed: int, script: dict[int, tuple[int, int]]) -> None:
    """To the nano-USD what counting slice by slice and fee by fee comes to; used and unused add up
    to what was bought."""
    one = path(seed, spread=0.9)
    told = walk(one)
    buys: dict[date, Buys] = {}
    held = dict.fromkeys(days_of(one), 0)
    fees = 0
    for number, (months, steps) in sorted(script.items()):
        day = BOUGHT_FROM + timedelta(days=number)
        if months_later(day, months) > UNTIL or held[day] + 2 * steps > 40:
            continue
        buys[day] = {months: 2 * steps}
        fees += offer().fees[months] * 2 * steps * months
        while day < months_later(BOUGHT_FROM + timedelta(days=number), months):
            held[day] += 2 * steps
            day += timedelta(days=1)
    bill = told.bill(Scripted(buys))
    list_cost = used = bought = 0
    for day in days_of(one):
        row = one.row(day)
        for tokens in one.tokens[row].tolist():
            served = min(tokens, held[day] * 100)
            used += served
            bought += held[day] * 100
            list_cost += (tokens - served) * int(one.list_nanos[row])
    assert bill.total == fees + list_cost
    assert (bill.used_tokens, bill.bought_tokens) == (used, bought)
    assert sum(p.fee for p in bill.purchases) == int(bill.fees.sum()) == fees


def test_what_is_not_sold_is_refused() -> None:
    """A size between steps, a term that ends too late, more than may be held."""
    for bad in ({1: 3}, {2: 2}, {1: 42}):
        with pytest.raises(ContractInvalid, match="not sold"):
            walk(path(0)).bill(Scripted({BOUGHT_FROM: bad}))
    with pytest.raises(ContractInvalid, match="not sold"):
        walk(path(0)).bill(Scripted({date(2026, 2, 1): {3: 2}}))


@pytest.mark.parametrize("seed", range(2))
def test_no_rule_beats_the_clairvoyant(seed: int) -> None:
    """Its cost is below every bill."""
    told = walk(path(seed))
    least = least_nanos(told)
    for make in RULES.values():
        assert told.bill(make()).total >= least - 1


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 100), st.floats(0.3, 0.95), st.sampled_from([1, 3]))
def test_break_even_is_two_competitive(seed: int, share: float, term: int) -> None:
    """From an empty history on, never over twice the clairvoyant's cost with the same term."""
    one = path(seed, history=0.0, spread=0.9)
    told = walk(one, share, (term,))
    bill = told.bill(BreakEven("break-even", term, Profile()))
    assert bill.total <= 2 * least_nanos(told) * (1 + 1e-9)


def test_break_even_buys_when_it_has_paid_as_much() -> None:
    """On a flat load at 70% of pay-as-you-go, steps are bought on the morning after 70% of a month
    was spent on them, and again only when as much was spent after their term."""
    one = path(0, history=0.0)
    one.tokens[one.row(BOUGHT_FROM) :] = 1000
    one.list_nanos[:] = 50
    bill = walk(one, 0.7, (1,)).bill(BreakEven("break-even", 1, Profile()))
    paid = -(-0.7 * 365.25 / 12 // 1)
    first = BOUGHT_FROM + timedelta(days=int(paid))
    again = months_later(first, 1) + timedelta(days=int(paid))
    assert [(p.day, p.units) for p in bill.purchases] == [(first, 10)] + (
        [(again, 10)] if months_later(again, 1) <= UNTIL else []
    )


def test_a_flat_load_is_reserved_whole() -> None:
    """With demand that never moves and a fee below its cost, the program buys all of it at once,
    and is about as good as the clairvoyant."""
    one = path(0)
    one.tokens[:] = 1000
    one.list_nanos[:] = 50
    told = walk(one, 0.6)
    bill = told.bill(Ours("program", Programs()))
    assert bill.total <= 1.02 * least_nanos(told)
    assert sum(p.units for p in bill.purchases if p.day == BOUGHT_FROM) == 10


def test_dear_contracts_are_left() -> None:
    """At fees above pay-as-you-go no rule that counts buys anything, and the program costs what
    never reserving costs."""
    told = walk(path(5), 1.3)
    for name in ("program", "newsvendor", "break-even"):
        assert told.bill(RULES[name]()).purchases == ()
