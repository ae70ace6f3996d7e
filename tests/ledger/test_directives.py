"""Directives: what reached thresholds say, against a naive judge in fractions."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from ledger.budgets import (
    Account,
    Budget,
    Mode,
    Raise,
    Scope,
    Subject,
    Threshold,
    Throttle,
    accounts_of,
)
from ledger.directives import NOTHING, Directives, Ladders, percent
from ledger.measures import Measure
from ledger.money import MAX_NANOS
from ledger.principals import Principal
from ledger.windows import Window
from tests.ledger.entries import NOW, NOW_NS

SUBJECT = Subject(Principal("key_1", user="ada", tags=("batch", "eval")), "llama", "acme")
MINUTE_NS = 60_000_000_000

parts = st.decimals(Decimal("0.0001"), 10, places=4)
models = st.frozensets(st.sampled_from(["llama", "qwen", "opus"]), max_size=2)
thresholds = st.builds(
    Threshold,
    part=parts,
    notify=st.lists(st.sampled_from(["ops", "mail"]), max_size=2, unique=True).map(tuple),
    cheapest=st.booleans(),
    only_models=st.none() | models,
    throttle=st.none() | st.builds(Throttle, st.integers(1, 100)),
    blocks=st.booleans(),
    allows=st.booleans(),
)


@st.composite
def some_budgets(draw: st.DrawFn) -> tuple[Budget, ...]:
    count = draw(st.integers(0, 3))
    return tuple(
        Budget(
            name=f"b{at}",
            scope=draw(st.sampled_from([Scope(), Scope(tag="*"), Scope(user="bob")])),
            window=draw(st.sampled_from([Window.MONTH, Window.LIFETIME])),
            timezone="UTC",
            cap=draw(st.integers(0, 1000) | st.integers(0, MAX_NANOS)),
            measure=draw(st.sampled_from([Measure.USD, Measure.TOKENS])),
            thresholds=tuple(
                draw(st.lists(thresholds, max_size=4, unique_by=lambda one: one.part))
            ),
            mode=draw(st.sampled_from(list(Mode))),
        )
        for at in range(count)
    )


some_raises = st.lists(
    st.builds(
        Raise,
        id=st.just("r"),
        budget=st.sampled_from(["b0", "b1"]),
        member=st.none() | st.sampled_from(["", "tag=batch"]),
        amount=st.integers(1, 1000),
        since_ns=st.integers(NOW_NS - 1, NOW_NS + 1),
        until_ns=st.integers(NOW_NS, NOW_NS + 2),
        name=st.just("release"),
    ),
    max_size=3,
)


def naive(
    budgets: tuple[Budget, ...], spent: dict[tuple[str, str], int], raises: list[Raise]
) -> tuple[bool, set[str] | None, set[tuple[str, str, int, bool]], set[tuple[str, str, Decimal]]]:
    """Cheapest, models, throttles (name, member, cap, shadow), reached (budget, member, part)."""
    cheapest, allowed = False, None
    throttles, reached = set(), set()
    for budget in budgets:
        for member in budget.scope.members(SUBJECT):
            cap = budget.cap
            for one in raises:
                is_mine = one.budget == budget.name and one.member in (None, member)
                if is_mine and one.since_ns <= NOW_NS < one.until_ns:
                    cap += one.amount
            cap = min(cap, MAX_NANOS)
            for step in budget.thresholds:
                says = step.notify, step.cheapest, step.throttle, step.only_models is not None
                if not any(says) or spent[budget.name, member] < Fraction(step.part) * cap:
                    continue
                reached.add((budget.name, member, step.part))
                is_shadow = budget.mode is Mode.SHADOW
                if step.throttle:
                    name = f"{budget.name} throttle at {percent(step.part)}"
                    rate = step.throttle.requests_per_minute
                    throttles.add((name, member, rate, is_shadow))
                if not is_shadow:
                    cheapest = cheapest or step.cheapest
                    if step.only_models is not None:
                        known = {"llama", "qwen", "opus"} if allowed is None else allowed
                        allowed = known & step.only_models
    return cheapest, allowed, throttles, reached


@given(some_budgets(), some_raises, st.data())
def test_against_a_naive_judge(
    budgets: tuple[Budget, ...], raises: list[Raise], data: st.DataObject
) -> None:
    """Every threshold of every account counts exactly when so much of its raised cap is spent, and
    all that count apply together."""
    accounts = accounts_of(budgets, SUBJECT, NOW, raises)
    ladders = Ladders(budgets, accounts, NOW_NS, raises)
    for _ in range(3):  # what one request was told is no other's answer
        spent = {}
        for one in accounts:
            (budget,) = (each for each in budgets if each.name == one.budget)
            at = [int(Fraction(step.part) * budget.cap) for step in budget.thresholds] or [0]
            near = data.draw(st.sampled_from(at)) + data.draw(st.integers(-1, 1001))
            spent[one.budget, one.member] = max(0, near)
        found = ladders.directives(lambda one: spent[one.budget, one.member], NOW_NS)  # noqa: B023 - called at once
        cheapest, allowed, throttles, reached = naive(budgets, spent, raises)
        assert found.cheapest == cheapest
        assert found.only_models == allowed
        assert {
            (one.budget, one.member, one.cap, one.is_shadow) for one in found.throttles
        } == throttles
        assert {(one.budget, one.member, one.part) for one in found.reached} == reached
        assert len(found.throttles) == len(throttles)
        assert len(found.reached) == len(reached)


@given(st.integers(0, MAX_NANOS), parts)
@example(MAX_NANOS, Decimal("9.9999"))
def test_a_threshold_is_exact(cap: int, part: Decimal) -> None:
    """It is reached by the first whole unit that is not below its part, and not by the one before;
    no rounding of Decimals moves it, however large the cap."""
    ladders, account = _only(cap, Threshold(part, notify=("ops",)))
    amount = -(-Fraction(part) * cap // 1)
    assert ladders.directives(lambda _: int(amount), NOW_NS).reached[0].account == account
    assert ladders.directives(lambda _: int(amount) - 1, NOW_NS) == NOTHING


@given(st.integers(0, MAX_NANOS), parts)
def test_a_block_is_exact(cap: int, part: Decimal) -> None:
    """What may be spent before a block is its part, rounded down: never more."""
    budget = _budget(cap, Threshold(part, blocks=True))
    assert budget.most == min(Fraction(part) * cap // 1, MAX_NANOS)


def test_a_throttle_is_a_budget_of_its_minute() -> None:
    """It has an account of each minute for the member that is throttled, of one request each; in
    the next minute another."""
    ladders, account = _only(100, Threshold(Decimal("0.85"), throttle=Throttle(10)))
    now, later = (
        ladders.directives(lambda _: 85, at_ns).throttles for at_ns in (NOW_NS, NOW_NS + MINUTE_NS)
    )
    (one,), (next_one,) = now, later
    assert (one.budget, one.measure, one.cap) == ("b throttle at 85%", Measure.REQUESTS, 10)
    assert (one.member, one.scope, one.window) == ("user=ada", "user=ada", "minute")
    start = NOW.replace(second=0)
    assert one.window_start_ns == int(start.timestamp()) * 10**9
    assert one.resets_at == start + timedelta(minutes=1)
    assert next_one.window_start_ns == one.window_start_ns + MINUTE_NS
    assert account.budget == "b"


def test_a_shadow_directs_nothing() -> None:
    """What a budget in shadow mode would do is told; its throttles let all through."""
    steps = Threshold(
        Decimal(1), ("ops",), cheapest=True, only_models=frozenset(), throttle=Throttle(1)
    )
    ladders, _ = _only(100, steps, Mode.SHADOW)
    found = ladders.directives(lambda _: 100, NOW_NS)
    assert (found.cheapest, found.only_models) == (False, None)
    assert [one.refuses for one in found.throttles] == [False]
    assert [one.notify for one in found.reached] == [("ops",)]


def test_what_only_blocks_directs_nothing() -> None:
    """A budget that only refuses costs a request no look at what is spent."""

    def nobody_asks(account: Account) -> int:
        raise AssertionError(account)

    ladders, _ = _only(100, Threshold(Decimal(1), blocks=True))
    assert ladders.directives(nobody_asks, NOW_NS) == Directives()


def test_percent() -> None:
    """A part is named as it is written, whatever its zeros."""
    parts = {"0.7": "70%", "0.700": "70%", "1": "100%", "10": "1000%", "0.9995": "99.95%"}
    assert {text: percent(Decimal(text)) for text in parts} == parts


def _budget(cap: int, threshold: Threshold, mode: Mode = Mode.ENFORCE) -> Budget:
    return Budget(
        "b", Scope(user="*"), Window.MONTH, "UTC", cap, thresholds=(threshold,), mode=mode
    )


def _only(cap: int, threshold: Threshold, mode: Mode = Mode.ENFORCE) -> tuple[Ladders, Account]:
    budget = _budget(cap, threshold, mode)
    (account,) = budget.accounts(SUBJECT, NOW)
    return Ladders([budget], [account], NOW_NS), account
