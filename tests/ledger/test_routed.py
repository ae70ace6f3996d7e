"""Routed: where requests went, against sums over the attempts themselves."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.databases.sql import Sql
from ledger.routed import MOST_STEPS, Routed, routed
from tests.ledger.entries_of import DAY_0_NS, DAY_NS, HOUR_NS, SECOND_NS, Made, Who, books_of

QUARTER_NS = 900 * SECOND_NS
STEPS_NS = (QUARTER_NS, 12 * QUARTER_NS, DAY_NS)
days = st.integers(0, 2)

attempts = st.builds(
    Made,
    at_ns=st.integers(DAY_0_NS, DAY_0_NS + 3 * DAY_NS - 1),
    kind=st.sampled_from(("posted", "posted", "voided")),
    who=st.builds(
        Who,
        team=st.sampled_from((None, "a")),
        model=st.sampled_from(("elm", "oak")),
        provider=st.sampled_from(("acme", "zeta")),
    ),
    first_offer=st.none() | st.integers(0, 50),
    cheapest=st.none() | st.integers(0, 50),
)


def naive(made: list[Made], since_ns: int, until_ns: int, step_ns: int) -> list[Routed]:
    sums: dict[tuple[int, str, str, str], list[int]] = defaultdict(lambda: [0] * 5)
    for one in made:
        if one.kind == "posted" and since_ns <= one.at_ns < until_ns:
            who = (one.who.model, one.who.provider, f"{one.who.provider}-{one.who.model}")
            at_first = one.cost if one.first_offer is None else one.first_offer
            at_cheapest = one.cost if one.cheapest is None else one.cheapest
            more = (1, one.tokens, one.cost, at_first, at_cheapest)
            key = (one.at_ns - one.at_ns % step_ns, *who)
            sums[key] = [mine + its for mine, its in zip(sums[key], more, strict=True)]
    return [Routed(*key, *found) for key, found in sorted(sums.items())]  # type: ignore[arg-type]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(made=st.lists(attempts, max_size=30), step_ns=st.sampled_from(STEPS_NS), day=days)
def test_sums_of_every_step(sql: Sql, made: list[Made], step_ns: int, day: int) -> None:
    """Each step has what began in it, model by model and provider by provider."""
    since_ns, until_ns = DAY_0_NS + day * DAY_NS, DAY_0_NS + 3 * DAY_NS
    elms = [one for one in made if one.who.model == "elm"]
    with books_of(sql, made):
        found = routed(sql, since_ns, until_ns, step_ns)
        assert found == naive(made, since_ns, until_ns, step_ns)
        found = routed(sql, since_ns, until_ns, step_ns, "elm")
        assert found == naive(elms, since_ns, until_ns, step_ns)


def test_sums_of_days_alone(sql: Sql) -> None:
    """Where retention has left sums of days, they count where they begin."""
    made = [Made(DAY_0_NS + hour * HOUR_NS) for hour in (1, 30)]
    with books_of(sql, made):
        sql.execute("DELETE FROM rollups WHERE step_s = 900")
        sql.insert("aged", "step_s, before_ns", [(900, DAY_0_NS + 2 * DAY_NS)])
        found = routed(sql, DAY_0_NS, DAY_0_NS + 2 * DAY_NS, QUARTER_NS)
    assert [one.start_ns for one in found] == [DAY_0_NS, DAY_0_NS + DAY_NS]


@pytest.mark.parametrize("step_ns", [1, DAY_NS // MOST_STEPS, -QUARTER_NS])
def test_steps_of_another_size(sql: Sql, step_ns: int) -> None:
    """Nobody is told of half a quarter, nor of more steps than can be drawn."""
    with pytest.raises(ValueError, match="no more than"):
        routed(sql, DAY_0_NS, DAY_0_NS + 10 * DAY_NS, step_ns)
