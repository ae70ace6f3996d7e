"""Why a month cost more than the one before: parts that sum to the whole, to the nano-USD."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hedge.effectiveness.attribution import Cause, IndexMove, Level, Work, attributed, whole
from ledger.money import ZERO, Money, usd

MTOK = 1_000_000


def level(works: dict[str, Work], *rest: int) -> Level:
    return Level(works, *map(Money, rest or (0, 0, 0, 0, 0)))


def dollars(amount: int) -> Money:
    return usd(amount)


def moved(change: Fraction, *models: str) -> IndexMove:
    """An index that has doubled, at a beta that makes this of it."""
    return IndexMove("a test", "index", change, Decimal(1), Decimal(2), frozenset(models))


def parts(before: Level, now: Level, index: IndexMove | None = None) -> dict[Cause, int]:
    return {one.cause: one.amount for one in attributed(before, now, index)[0]}


def test_a_worked_example() -> None:
    """1,000 Mtok at 2.00 USD before, now 1,200 at 2.30, of which 0.20 the index (up by a tenth, at
    a beta of one) and 0.10 the basis: volume 400, index 200, basis 100, cross 60, in all 760."""
    before = level({"m": Work(1, 1000 * MTOK, dollars(2000))})
    now = level({"m": Work(1, 1200 * MTOK, dollars(2760))})
    found = parts(before, now, moved(Fraction(1, 10)))
    assert {one: amount // 10**9 for one, amount in found.items() if amount} == {
        Cause.VOLUME: 400,
        Cause.INDEX: 200,
        Cause.BASIS: 100,
        Cause.CROSS: 60,
    }
    assert sum(found.values()) == dollars(760)
    without = parts(before, now)
    assert without[Cause.PRICE] == dollars(300)
    assert Cause.INDEX not in without
    assert Cause.BASIS not in without


def test_an_index_of_some_models() -> None:
    """What it is designated for has index and basis, what it is not a price."""
    before = level({"a": Work(1, 100, Money(1000)), "b": Work(1, 100, Money(1000))})
    now = level({"a": Work(1, 100, Money(1200)), "b": Work(1, 100, Money(1500))})
    found = parts(before, now, moved(Fraction(1, 20), "a"))
    assert {one: amount for one, amount in found.items() if amount} == {
        Cause.INDEX: 50,
        Cause.BASIS: 150,
        Cause.PRICE: 500,
    }


def test_mix_is_what_total_volume_does_not_explain() -> None:
    """Two models at 1 and 9 USD a Mtok trade places, at the same total: no volume, all mix."""
    before = level({"a": Work(1, 90 * MTOK, dollars(90)), "b": Work(1, 10 * MTOK, dollars(90))})
    now = level({"a": Work(1, 10 * MTOK, dollars(10)), "b": Work(1, 90 * MTOK, dollars(810))})
    found = parts(before, now)
    assert {one: amount for one, amount in found.items() if amount} == {Cause.MIX: dollars(640)}


def test_models_that_come_and_go_have_no_price_part() -> None:
    """A model that is new has no price before, one that is gone none now; and all of a month after
    one without usage is volume."""
    before = level({"old": Work(1, 10, Money(1000))})
    now = level({"new": Work(1, 30, Money(9000))})
    found = parts(before, now)
    assert (found[Cause.PRICE], found[Cause.CROSS]) == (0, 0)
    assert found[Cause.VOLUME] == 2000
    assert found[Cause.MIX] == 6000
    assert parts(level({}), now)[Cause.VOLUME] == 9000
    assert parts(now, level({}))[Cause.VOLUME] == -9000


def test_work_without_tokens_is_counted_by_requests() -> None:
    """Twice as many images at the same price are volume, beside tokens that stay as they are."""
    text = Work(5, 100, Money(700))
    before = level({"text": text, "images": Work(10, 0, Money(400))})
    now = level({"text": text, "images": Work(20, 0, Money(800))})
    found = parts(before, now)
    assert {one: amount for one, amount in found.items() if amount} == {Cause.VOLUME: 400}


AMOUNTS = st.integers(0, 10**15)
NAMES = st.sampled_from("abcde")
WORKS = st.dictionaries(
    NAMES,
    st.tuples(st.integers(1, 10**6), st.integers(0, 10**12), AMOUNTS).map(
        lambda row: Work(row[0], row[1], Money(row[2]))
    ),
)
SIGNED = st.integers(-(10**15), 10**15).map(Money)
LEVELS = st.builds(Level, WORKS, SIGNED, SIGNED, SIGNED, SIGNED, SIGNED)


CHANGES = st.fractions(-1, 5, max_denominator=10**6)
INDICES = st.none() | st.builds(moved, CHANGES) | st.builds(moved, CHANGES, NAMES)


@given(LEVELS, LEVELS, INDICES)
def test_the_parts_sum_to_the_difference(
    before: Level, now: Level, index: IndexMove | None
) -> None:
    """To the nano-USD, whatever the months; and each model's parts to its own change, exactly."""
    found, models = attributed(before, now, index)
    assert sum(one.amount for one in found) == now.total - before.total
    for one in models:
        assert sum(one.parts.values(), Fraction(0)) == one.cost_now - one.cost_before
    named = {one.model for one in models}
    assert named == {*before.works, *now.works}


@given(st.lists(st.fractions(-(10**9), 10**9, max_denominator=1000), min_size=1))
def test_cut_to_whole_amounts(parts: list[Fraction]) -> None:
    """They sum as before, and none is further than one from what it was."""
    rest = Fraction(-sum(parts, Fraction(0)) % 1)
    amounts = whole([*parts, rest])
    assert sum(amounts) == sum(parts, rest)
    for one, amount in zip([*parts, rest], amounts, strict=True):
        assert abs(one - amount) < 1
    assert whole([]) == ()
    assert whole([Fraction(7)]) == (Money(7),)
    assert whole([Fraction(1, 2), Fraction(1, 2)]) == (Money(1), ZERO)
