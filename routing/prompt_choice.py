"""Prompt choice: which model of a class to take for this very prompt.

The predictor says how likely each model is to answer rightly, the caller what each is expected to
cost. The operator says what is wanted, in one of two ways:

- Worth(usd): what a right answer is worth. Taken is the model with the most worth left after its
  cost: P · worth - cost. Moves with prices.
- AtLeast(quality): the mean score that the class has to keep. Taken is the cheapest model whose P
  is at most a slack below the highest; the slack is the largest with which, in cross-validation,
  the lower 90% bound of the mean score was still that high.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from benchmarks.predictor.predictor import Evidence, Predictor, Slack
from ledger.money import NANOS_PER_USD, Money


@dataclass(frozen=True, slots=True)
class Worth:
    """Of a right answer, in USD."""

    usd: Decimal


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The mean score to keep, in [0, 1], on prompts like those of the eval."""

    quality: float


class Basis(StrEnum):
    """By what the models were put in order; part of what `explain` prints."""

    WORTH = "worth"
    """The worth of a right answer, less the cost."""
    SLACK = "slack"
    """Cheapest within the slack that keeps the wanted quality."""
    BEST = "best"
    """Likeliest to be right: no slack is known to keep the wanted quality at these prices."""
    SWITCHED_OFF = "switched_off"
    """Cost alone: cross-validation did not show that the predictor gains anything."""
    UNKNOWN_MODELS = "unknown_models"
    """Cost alone: the predictor knows none of these models, or one."""


@dataclass(frozen=True, slots=True)
class RankedModel:
    """A model of the class at its place. probability is None if the predictor does not know it."""

    model: str
    probability: float | None
    expected_cost: Money


@dataclass(frozen=True, slots=True)
class PromptChoice:
    """The models of the class, the one to take first, then those to fall back on.

    slack: the one that was used, None if the basis is another. why: one sentence for people.
    """

    ranked: tuple[RankedModel, ...]
    basis: Basis
    slack: float | None
    why: str

    @property
    def is_by_prompt(self) -> bool:
        """Whether the prompt had a say; else cost alone orders the models."""
        return self.basis in (Basis.WORTH, Basis.SLACK, Basis.BEST)


def choose_by_prompt(
    prompt: str,
    costs: Mapping[str, Money],
    predictor: Predictor,
    aim: Worth | AtLeast,
) -> PromptChoice:
    """Order the models in `costs` (expected cost of this request with each) for this prompt.

    Models that the predictor does not know come last, cheapest first. Pure, and bounded in time
    however long the prompt is.
    """
    evidence = predictor.evidence
    if not evidence.verdict.is_on:
        return _by_cost(costs, Basis.SWITCHED_OFF, evidence.verdict.reason)
    said = predictor.probabilities(prompt)
    known = {model: said[model] for model in costs if model in said}
    if len(known) < 2:
        why = "the predictor was not trained on two of these models: train it on the class"
        return _by_cost(costs, Basis.UNKNOWN_MODELS, why)
    if isinstance(aim, Worth):
        return _by_worth(known, costs, aim)
    return _by_slack(known, costs, aim, evidence)


def slack_for(evidence: Evidence, cheapest_first: tuple[str, ...], quality: float) -> Slack | None:
    """The largest slack that keeps this quality while the models cost more in this order.

    None if there is none, or if cross-validation did not judge this order.
    """
    for table in evidence.tables:
        if table.cheapest_first == cheapest_first:
            kept = [one for one in table.slacks if one.quality_low >= quality]
            return max(kept, key=lambda one: one.slack, default=None)
    return None


def _by_worth(known: Mapping[str, float], costs: Mapping[str, Money], aim: Worth) -> PromptChoice:
    nanos = float(aim.usd) * NANOS_PER_USD
    order = sorted(known, key=lambda one: (costs[one] - known[one] * nanos, costs[one], one))
    first = order[0]
    why = (
        f"{first} leaves most of ${aim.usd} for a right answer: it is right with {known[first]:.0%}"
    )
    return PromptChoice(_ranked(order, known, costs), Basis.WORTH, None, why)


def _by_slack(
    known: Mapping[str, float], costs: Mapping[str, Money], aim: AtLeast, evidence: Evidence
) -> PromptChoice:
    cheapest_first = tuple(sorted(known, key=lambda one: (costs[one], one)))
    likeliest_first = sorted(known, key=lambda one: (-known[one], costs[one], one))
    found = slack_for(evidence, cheapest_first, aim.quality)
    best = likeliest_first[0]
    if found is None:
        why = (
            f"{best} is likeliest to be right, with {known[best]:.0%}: no slack is known to keep"
            f" a mean score of {aim.quality:.0%} while costs have this order"
        )
        return PromptChoice(_ranked(likeliest_first, known, costs), Basis.BEST, None, why)
    enough = known[best] - found.slack
    first = next(one for one in cheapest_first if known[one] >= enough)
    why = (
        f"{first} is the cheapest that is right with {enough:.0%} or more: {found.slack:.1%} below"
        f" the best keeps a mean score of {aim.quality:.0%}"
    )
    order = [first, *(one for one in likeliest_first if one != first)]
    return PromptChoice(_ranked(order, known, costs), Basis.SLACK, found.slack, why)


def _ranked(
    order: list[str], known: Mapping[str, float], costs: Mapping[str, Money]
) -> tuple[RankedModel, ...]:
    others = sorted((one for one in costs if one not in known), key=lambda one: (costs[one], one))
    return tuple(RankedModel(one, known.get(one), costs[one]) for one in (*order, *others))


def _by_cost(costs: Mapping[str, Money], basis: Basis, why: str) -> PromptChoice:
    return PromptChoice(_ranked([], {}, costs), basis, None, why)
