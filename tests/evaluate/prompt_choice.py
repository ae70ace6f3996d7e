"""Prompt-aware choice, judged: writes docs/evaluation-prompts.md and its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.predictor.gain import Curve, Gain, curves, gain
from benchmarks.predictor.outcomes import Floats, OutcomeTable
from benchmarks.predictor.predictor import Fit, Predictor
from benchmarks.predictor.training import Judged, cross_validated, expected_costs, train
from ledger.money import NANOS_PER_USD, Money
from routing.prompt_choice import slack_for
from tests.evaluate.cascade import Verifier
from tests.evaluate.prompt_cascade import FROM_USD, TO_USD, CascadeResult, judged
from tests.evaluate.prompt_tables import models_of, table_of

SEEDS = (0, 1, 2)
MIXTRAL, GPT4 = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
CALLS = {MIXTRAL: Money(1_000_000), GPT4: Money(NANOS_PER_USD)}
"""A call of the strong model costs 1, one of the weak (almost) nothing: RouteLLM's own unit."""
ALPACA = ("gpt-3.5-turbo-1106", "claude-2.1", "gpt4_1106_preview")
_PICTURES = "pictures"
_NO_DATE = date(1970, 1, 1)
_GREY = {"mixture": ("0.55", ":"), "choice": ("0.0", "-"), "oracle": ("0.35", "--")}


@dataclass(frozen=True, slots=True)
class Result:
    """Of one table in one unit of cost: gain by seed of the folds, and without what it reads."""

    table: str
    unit: str
    gains: tuple[Gain, ...]
    without_task: Gain
    without_prompt: Gain

    @property
    def mean(self) -> Gain:
        of = [(one.closed, one.low, one.high) for one in self.gains]
        closed, low, high = (float(one) for one in np.mean(of, axis=0))
        return Gain(closed, low, high)


def run(_data: Path, out: Path) -> None:
    """Writes under `out` (the docs folder): evaluation-prompts.md, pictures/prompts-*.svg."""
    results: list[Result] = []
    predictors: dict[str, Predictor] = {}
    figure, axes = _figure(2)
    for name, axis in zip(("routellm-mmlu", "routellm-gsm8k"), axes, strict=True):
        money, calls = (table_of(name, (MIXTRAL, GPT4), costs) for costs in (None, CALLS))
        by_seed = [cross_validated(money, seed) for seed in SEEDS]
        blind = cross_validated(_without_tasks(money), SEEDS[0])
        for unit, table in (("money", money), ("calls", calls)):
            results.append(_result(name, unit, table, by_seed, blind))
        _draw(axis, name, *_curves_of(calls, by_seed[0].probabilities))
        predictors[name] = train(money, name, _NO_DATE)
    axes[0].set_ylabel("share of right answers")
    _save(figure, out / _PICTURES / "prompts-frontier.svg")
    for name, table in _others().items():
        predictors[name] = train(table, name, _NO_DATE)
    swe = table_of("swebench-verified", models_of("swebench-verified"), None)
    cascades = [judged(swe, Verifier(error, error)) for error in (0.0, 0.1, 0.2)]
    _draw_cascades(cascades, out / _PICTURES / "prompts-cascade.svg")
    _draw_reliability(predictors["routellm-mmlu"], out / _PICTURES / "prompts-calibration.svg")
    text = _text(results, predictors, cascades)
    (out / "evaluation-prompts.md").write_text(text, encoding="utf-8")


def _others() -> Mapping[str, OutcomeTable]:
    return {
        "routerarena": table_of("routerarena", models_of("routerarena"), None),
        "routerbench-mini": table_of("routerbench-mini", models_of("routerbench-mini"), None),
        "alpacaeval2": table_of("alpacaeval2", ALPACA, None),
        "swebench-verified": table_of(
            "swebench-verified",
            ("DeepSeek V3.2 Reasoner", "Claude 4.5 Opus medium (20251101)"),
            None,
        ),
    }


def _without_tasks(table: OutcomeTable) -> OutcomeTable:
    return replace(table, tasks=(None,) * len(table.tasks))


def _result(
    name: str, unit: str, table: OutcomeTable, by_seed: Sequence[Judged], blind: Judged
) -> Result:
    constant = np.tile(table.scores.mean(0), (len(table.scores), 1))
    return Result(
        table=name,
        unit=unit,
        gains=tuple(
            _gain(table, one.probabilities, seed) for one, seed in zip(by_seed, SEEDS, strict=True)
        ),
        without_task=_gain(table, blind.probabilities, SEEDS[0]),
        without_prompt=_gain(table, constant, SEEDS[0]),
    )


def _gain(table: OutcomeTable, said: Floats, seed: int) -> Gain:
    return gain(said, expected_costs(table, seed), table.scores, table.costs, table.groups)


def _curves_of(table: OutcomeTable, said: Floats) -> tuple[Curve, Curve, Curve]:
    found = curves(said, expected_costs(table), table.scores, table.costs / NANOS_PER_USD)
    mixture, choice, oracle = found
    return mixture, choice, oracle


def _text(
    results: Sequence[Result],
    predictors: Mapping[str, Predictor],
    cascades: Sequence[CascadeResult],
) -> str:
    return "\n".join(
        [
            _INTRODUCTION,
            "| table | cost in | closed | 90% interval | without the task | by price alone |",
            "|---|---|---:|---|---:|---:|",
            *(
                f"| {one.table} | {one.unit} | {one.mean.closed:.1%} | {_interval(one.mean)} |"
                f" {one.without_task.closed:.1%} | {one.without_prompt.closed:.1%} |"
                for one in results
            ),
            _AFTER_RESULTS,
            "| table | models | prompts | verdict |",
            "|---|---:|---:|---|",
            *(_verdict_row(name, one) for name, one in predictors.items()),
            _CALIBRATION,
            "| table | model | right | log loss | of the mean alone | largest error of a tenth |",
            "|---|---|---:|---:|---:|---:|",
            *(
                _fit_row(name, fit)
                for name, one in predictors.items()
                if one.evidence.verdict.is_on
                for fit in one.evidence.fits
            ),
            _AT_LEAST,
            "| table | at least | slack | mean score | calls of the strong model | of a mixture |",
            "|---|---:|---:|---:|---:|---:|",
            *(
                row
                for name, one in predictors.items()
                if one.evidence.verdict.is_on
                for row in _at_least_rows(name, one)
            ),
            _CASCADES,
            "| verifier | closed | 90% interval | right at $0.10 | mixture | oracle |",
            "|---|---:|---|---:|---:|---:|",
            *(_cascade_row(one) for one in cascades),
            "",
            f"At $0.10 a task the first of these asks {', then '.join(cascades[0].at_ten_cents)}.",
            _NOT_THERE,
        ]
    )


def _interval(one: Gain) -> str:
    return f"{one.low:.1%} to {one.high:.1%}"


def _verdict_row(name: str, one: Predictor) -> str:
    seen = one.evidence
    switched = "on" if seen.verdict.is_on else "off"
    return f"| {name} | {len(seen.fits)} | {seen.prompts:,} | {switched}: {seen.verdict.reason} |"


def _fit_row(name: str, fit: Fit) -> str:
    worst = max(abs(one.predicted - one.observed) for one in fit.reliability)
    return (
        f"| {name} | {fit.model.split('/')[-1]} | {fit.accuracy:.1%} | {fit.log_loss:.4f} |"
        f" {fit.log_loss_of_mean:.4f} | {worst:.3f} |"
    )


def _at_least_rows(name: str, one: Predictor) -> list[str]:
    weak, strong = sorted(one.evidence.fits, key=lambda fit: fit.mean_cost_usd)
    rows = []
    for lost in (0.01, 0.02, 0.04):
        wanted = strong.accuracy - lost
        found = slack_for(one.evidence, (weak.model, strong.model), wanted)
        if found is None:
            rows.append(f"| {name} | {wanted:.1%} | none | | | |")
            continue
        mixed = (found.quality - weak.accuracy) / (strong.accuracy - weak.accuracy)
        rows.append(
            f"| {name} | {wanted:.1%} | {found.slack:.3f} | {found.quality:.1%} |"
            f" {found.shares[1]:.0%} | {min(1.0, mixed):.0%} |"
        )
    return rows


def _cascade_row(one: CascadeResult) -> str:
    error = one.verifier.false_accept
    name = "the gold tests (an upper bound)" if error == 0 else f"errs in {error:.0%}, both ways"
    at = np.array([0.10])
    right, mixed, best = (float(it.at(at)[0]) for it in (one.choice, one.mixture, one.oracle))
    return (
        f"| {name} | {one.gain.closed:.1%} | {_interval(one.gain)} | {right:.1%} |"
        f" {mixed:.1%} | {best:.1%} |"
    )


def _figure(columns: int) -> tuple[Figure, list[Axes]]:
    mpl.rcParams.update({"svg.hashsalt": "hedgerow", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(4.2 * columns, 3.4), layout="constrained")
    return figure, [figure.add_subplot(1, columns, one + 1) for one in range(columns)]


def _draw(axis: Axes, title: str, mixture: Curve, choice: Curve, oracle: Curve) -> None:
    costs = np.linspace(mixture.costs[0], mixture.costs[-1], 101)
    named = (("oracle", oracle), ("choice", choice), ("mixture", mixture))
    for name, curve in named:
        color, style = _GREY[name]
        axis.plot(costs, curve.at(costs), color=color, linestyle=style, label=name)
    axis.set_title(title)
    axis.set_xlabel("share of calls to the strong model")
    axis.legend(frameon=False)


def _draw_cascades(cascades: Sequence[CascadeResult], path: Path) -> None:
    figure, (axis,) = _figure(1)
    costs = np.linspace(FROM_USD, TO_USD, 101)
    gold = cascades[0]
    axis.plot(costs, gold.oracle.at(costs), color="0.35", linestyle="--", label="oracle")
    for one, style in zip(cascades, ("-", "-.", (0, (1, 1))), strict=True):
        error = one.verifier.false_accept
        name = "cascade, gold tests" if error == 0 else f"cascade, verifier errs in {error:.0%}"
        axis.plot(costs, one.choice.at(costs), color="0.0", linestyle=style, label=name)
    axis.plot(costs, gold.mixture.at(costs), color="0.55", linestyle=":", label="mixture")
    axis.set_title("SWE-bench Verified")
    axis.set_xlabel("USD a task")
    axis.set_ylabel("share resolved")
    axis.legend(frameon=False, fontsize=7)
    _save(figure, path)


def _draw_reliability(one: Predictor, path: Path) -> None:
    figure, (axis,) = _figure(1)
    axis.plot((0.2, 1), (0.2, 1), color="0.6", linewidth=0.8)
    for fit, marker in zip(one.evidence.fits, "os", strict=True):
        said = [tenth.predicted for tenth in fit.reliability]
        so = [tenth.observed for tenth in fit.reliability]
        name = fit.model.split("/")[-1]
        axis.plot(said, so, color="0.0", marker=marker, fillstyle="none", lw=0.6, label=name)
    axis.set_title("MMLU: tenths of the prompts")
    axis.set_xlabel("predicted probability")
    axis.set_ylabel("share right")
    axis.legend(frameon=False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


_INTRODUCTION = """\
# Prompt-aware choice, judged

Written by `make evaluate`. A predictor (`benchmarks/predictor`) learns from graded answers how
likely each model is to be right on a prompt; the router takes the model that leaves most of what a
right answer is worth (`routing/prompt_choice.py`). Here it is judged on tables that others have
published, which are not shipped.

**How.** Ten folds, prompts with the same words in the same fold; each prompt is judged by a
predictor that has seen neither it nor its duplicates, calibrated on yet other folds. Nothing was
tuned by fold. Three curves of quality over cost: the best random *mixture* of the models at equal
cost, the *choice*, and the *oracle*, which knows the answers and their costs. *Closed* is the area
between choice and mixture, as a share of that between oracle and mixture, from the cost of the
cheapest model to that of the best. Intervals are a bootstrap over distinct prompts; closed and
interval are means over three deals of the folds.

**Cost.** The RouteLLM tables have none. *money*: list prices of early 2024 (gpt-4-1106-preview
$10/$30, Mixtral-8x7B $0.60/$0.60 a million tokens) times characters ÷ 4 of prompt and answer (an
MMLU answer is one token; prompts as in the table, without examples before them). The oracle pays
what each answer did cost; the choice knows the prompt's length, not the answer's. *calls*: one of
GPT-4 costs 1, one of Mixtral nothing, as RouteLLM counts.

## RouteLLM: Mixtral or GPT-4
"""

_AFTER_RESULTS = """
*By price alone* spends by the prompt's length and reads nothing else of it. In money, a part of the
gain on MMLU is that: a short prompt is a cheap one. On GSM8K it is the other way round: where GPT-4
is needed the answers are long, and so dear; the choice cannot know their length. *Without the task*
is what the proxy gets, for no request says what its task is (MMLU's are its 57 subjects).

![Quality over share of calls](pictures/prompts-frontier.svg)

## When it switches itself off

It is on only if the 90% interval excludes that there is no gain.
"""

_CALIBRATION = """
## Calibration

On prompts that were not learned from. Log loss in nats; the last column is the largest difference
between predicted and true share among tenths of the prompts, ordered by prediction.

![Predicted and true](pictures/prompts-calibration.svg)
"""

_AT_LEAST = """
## What an operator sets

Either what a right answer is worth, or the mean score to keep: then the cheapest model is taken
whose probability is at most a *slack* below the best, the largest for which the lower 90% bound of
the mean score is high enough. The last column is what a random mixture needs for the same score.
"""

_CASCADES = """
## With a verifier: cascades on SWE-bench Verified

There is no prompt text, but an answer can be checked: ask a cheap model, check, ask the next if the
check fails. Which models in which order was chosen on four folds and judged on the fifth, from 25
models at their real cost a task; the area is that from $0.05 to $0.30. A check costs nothing here.
The oracle takes one model a task and knows which resolves it. A verifier that errs lets a wrong
answer pass, and rejects a right one, with that probability, independently; if none passes, the
answer of the most accurate model asked is given.
"""

_NOT_THERE = """
![Share resolved over cost](pictures/prompts-cascade.svg)

## What this does not show

Three of ten prompts of each table were held back and are not in these figures. Costs of
routerbench-mini are in CNY; alpacaeval2 (gpt-3.5-turbo-1106, claude-2.1, gpt-4-1106-preview at list
prices) is a judge's preference, not correctness. A predictor knows the kind of prompts that it was
trained on, and no others.
"""
