"""The choice by prompt: by the operator's aim, and by cost alone where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.predictor.features import numbers, vocabulary
from benchmarks.predictor.predictor import (
    Evidence,
    Fit,
    Predictor,
    Slack,
    SlackTable,
    Verdict,
    expit,
)
from ledger.money import Money, usd
from routing.prompt_choice import AtLeast, Basis, Worth, choose_by_prompt

LOGITS = {"weak": 0.0, "middle": 1.0, "strong": 2.0}
SAID = {model: expit(logit) for model, logit in LOGITS.items()}
CHEAP_FIRST = ("weak", "middle", "strong")
COSTS = {"weak": usd("0.001"), "middle": usd("0.004"), "strong": usd("0.02")}


def _slack(slack: float, low: float) -> Slack:
    return Slack(slack=slack, quality=low + 0.02, quality_low=low, shares=(0.2, 0.3, 0.5))


def _predictor(*, is_on: bool = True) -> Predictor:
    """Says the same of every prompt: SAID."""
    words = vocabulary([], [numbers("")] * 2, [], 10)
    fit = Fit("", 0.5, 0.001, 0.5, 0.6, 1.0, 0.0, ())
    return Predictor(
        evidence=Evidence(
            benchmark="ours",
            trained_on="2027-01-01",
            prompts=500,
            distinct=500,
            incomplete=0,
            folds=10,
            verdict=Verdict(is_on, "that it gains anything is not sure"),
            fits=tuple(msgspec.structs.replace(fit, model=model) for model in LOGITS),
            tables=(
                SlackTable(CHEAP_FIRST, (_slack(0.0, 0.85), _slack(0.2, 0.8), _slack(0.5, 0.6))),
            ),
        ),
        vocabulary=words,
        weights=np.zeros((words.size, len(LOGITS))),
        intercepts=np.array(list(LOGITS.values())),
    )


@given(st.integers(0, 200_000), st.dictionaries(st.sampled_from(CHEAP_FIRST), st.integers(1, 9)))
def test_by_worth_nothing_leaves_more(worth_micros: int, dearer: dict[str, int]) -> None:
    """The first leaves most of P · worth - cost, the second the most of the others, and so on."""
    costs = {model: Money(cost * dearer.get(model, 1)) for model, cost in COSTS.items()}
    worth = Worth(Decimal(worth_micros).scaleb(-6))
    found = choose_by_prompt("Hi", costs, _predictor(), worth)
    left = [SAID[one.model] * float(worth.usd) * 1e9 - costs[one.model] for one in found.ranked]
    assert left == sorted(left, reverse=True)
    assert {one.model for one in found.ranked} == set(COSTS)
    assert found.basis is Basis.WORTH


def test_a_right_answer_that_is_worth_more_buys_a_better_model() -> None:
    """A cent buys the cheapest, a dollar the best."""
    first = [
        choose_by_prompt("Hi", COSTS, _predictor(), Worth(Decimal(amount))).ranked[0].model
        for amount in ("0.01", "0.1", "1")
    ]
    assert first == ["weak", "middle", "strong"]


@pytest.mark.parametrize(
    ("quality", "slack", "first"),
    [(0.6, 0.5, "weak"), (0.61, 0.2, "middle"), (0.8, 0.2, "middle"), (0.85, 0.0, "strong")],
)
def test_the_cheapest_within_the_slack_is_taken(quality: float, slack: float, first: str) -> None:
    """The largest slack whose lower bound keeps the quality; then the likeliest of the others."""
    found = choose_by_prompt("Hi", COSTS, _predictor(), AtLeast(quality))
    assert (found.basis, found.slack) == (Basis.SLACK, slack)
    assert found.ranked[0].model == first
    others = [one.probability for one in found.ranked[1:]]
    assert others == sorted(others, key=lambda one: -(one or 0))
    assert first in found.why


def test_a_quality_that_nothing_is_known_to_keep_takes_the_likeliest() -> None:
    """Also if the models cost more in an order that was never judged: quality comes first."""
    for costs, quality in ((COSTS, 0.9), ({**COSTS, "weak": usd("0.03")}, 0.6)):
        found = choose_by_prompt("Hi", costs, _predictor(), AtLeast(quality))
        assert found.basis is Basis.BEST
        assert [one.model for one in found.ranked] == ["strong", "middle", "weak"]


def test_switched_off_it_is_cost_alone() -> None:
    """With the reason that is in the file."""
    found = choose_by_prompt("Hi", COSTS, _predictor(is_on=False), Worth(Decimal(1)))
    assert found.basis is Basis.SWITCHED_OFF
    assert [one.model for one in found.ranked] == list(CHEAP_FIRST)
    assert all(one.probability is None for one in found.ranked)
    assert found.why == "that it gains anything is not sure"


def test_models_that_it_does_not_know_come_last() -> None:
    """And if it knows fewer than two, cost alone."""
    found = choose_by_prompt("Hi", {**COSTS, "new": Money(1)}, _predictor(), Worth(Decimal(1)))
    assert found.ranked[-1].model == "new"
    assert found.ranked[-1].probability is None
    alone = {"new": Money(1), "strong": Money(2), "other": Money(0)}
    found = choose_by_prompt("Hi", alone, _predictor(), Worth(Decimal(1)))
    assert found.basis is Basis.UNKNOWN_MODELS
    assert [one.model for one in found.ranked] == ["other", "new", "strong"]


def test_it_is_off_whatever_the_aim() -> None:
    """A predictor that is off is asked nothing."""
    off = replace(_predictor(is_on=False), weights=np.zeros((0, 0)))
    assert choose_by_prompt("Hi", COSTS, off, AtLeast(0.5)).basis is Basis.SWITCHED_OFF
