"""The page of the hedge's evaluation: docs/evaluation-hedge.md, written from the figures alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hedge.backtest.contest import BREAK_EVEN, NEVER, Compared, Contest, Played
from tests.evaluate.hedge_evaluation import DISCOUNTS, MIDDLE, Evaluation
from tests.evaluate.hedge_futures import HALF_SPREAD_USD

NEEDED = 0.75
"""Of the traces: the part on which a comparison has to hold."""
WITHIN = 0.01
EQUAL = 0.002
TO_BEAT = ("mean", "p50", "p95", *BREAK_EVEN)

_HEAD = """\
# Evaluation: the hedge on real demand and prices

Written by `make evaluate` ({traces} traces, {seeds} paths each, {models} price histories); do not
edit.

Would the program have been cheaper than simpler ways to buy reservations, and safer? Each rule
lives through the same paths with the same forecasts and the same contract; none can see ahead,
because what it is handed ends the evening before; bills are exact. Costs are in parts of what
**never** reserving costs on average on the same trace. **CVaR95** is the mean of the worst 5% of
paths: with {seeds} paths, about the worst one, so that its intervals are wide. A rule with a term
length (1, 3 or 6 months) stands with the one that was cheapest *in hindsight*.

## The result

{result}

![Mean and CVaR95 of the program and of the rules](pictures/hedge-frontier.svg)
"""

_METHOD = """\
## How it is done

- **Paths.** No public trace of one buyer's tokens is as long as a reservation. Each path is put
  together: the load within days from a trace, its level from week to week from the changes that
  OpenRouter's authors saw in 45 days (their drift kept to a share that is drawn for each path),
  and the price from one of {models} models' price histories on OpenRouter, 2024-09 to 2026-07, on
  its own dates. Two months of history, then six months that are billed. So paths are bootstraps of
  measured parts, not histories; months like none of these are not among them.
- **The contract.** Throughput by the minute, in steps of a tenth of the history's mean load; fees
  follow the list price of the day before. A share of 75% means: a month of full use costs 75% of
  pay-as-you-go, three months {three:.0%} less, six {six:.0%} less. Terms that would end after the
  path are not offered to anybody, so that each fee that is promised is billed.
- **The program** is the product's: scenarios calibrated on what was seen, months by cuts, asked
  anew on the first of each month. Here it knows that capacity can be bought later, too
  ([hedge/program/waiting.py](../hedge/program/waiting.py)): without that it would commit to long
  terms as if demand could not go away. **`hedgerow hedge plan` does not know that yet**, and keeps
  a cap instead; so these figures are the program's, not that command's. κ is what a USD off the
  worst 5% of scenarios may cost.
- **The rules.** Mean, p50 and p95 of the forecast load; the newsvendor's size and that with the
  least CVaR, by the forecast; Wang, Li and Liang's break-even rules, which decide every day from
  what was paid. The clairvoyant buys on any day, in steps, knowing all that comes: no rule can cost
  less.
- **Intervals** are of paired differences: Student's for the mean, paths drawn anew for CVaR95.

## What is real in each trace

{real}
"""


def page(evaluation: Evaluation) -> str:
    three, six = 1 - DISCOUNTS[3], 1 - DISCOUNTS[6]
    parts = [
        _HEAD.format(
            traces=len(evaluation.traces),
            seeds=_middle(evaluation)[0].paths,
            models=evaluation.models,
            result=_result(evaluation),
        ),
        "## Trace by trace\n\n" + _traces(evaluation),
        "## Against each rule\n\n" + _rules(evaluation),
        "## The frontier\n\n" + _frontier(evaluation),
        "## At other fees\n\n" + _fees(evaluation),
        "## What the confidence is worth\n\n" + _confidence(evaluation),
        "## Futures on GPU-hours\n\n" + _futures(evaluation),
        _METHOD.format(models=evaluation.models, three=three, six=six, real=_real(evaluation)),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _family(contest: Contest, family: str) -> Played:
    return next(one for one in contest.families() if one.family == family)


def _middle(evaluation: Evaluation) -> Sequence[Contest]:
    return evaluation.contests[MIDDLE]


def _count(flags: Sequence[bool]) -> str:
    met = sum(flags) >= NEEDED * len(flags)
    return f"{sum(flags)} of {len(flags)}" + ("" if met else " (**not met**)")


def _against(evaluation: Evaluation, family: str) -> list[Compared]:
    return [one.compared(_family(one, family)) for one in _middle(evaluation)]


def _result(evaluation: Evaluation) -> str:
    contests = _middle(evaluation)
    lines = [f"At a fee of {MIDDLE:.0%} of pay-as-you-go, on how many traces the program"]
    for family in (NEVER, *TO_BEAT):
        gaps = _against(evaluation, family)
        lines.append(
            f"- has a lower mean than **{family}**, the whole interval below 0:"
            f" {_count([gap.mean_interval[1] < 0 for gap in gaps])}; a lower mean and CVaR95:"
            f" {_count([gap.mean < 0 and gap.cvar < 0 for gap in gaps])}"
        )
    for family in ("newsvendor", "CVaR newsvendor"):
        dominated = [gap.mean > 0 and gap.cvar > 0 for gap in _against(evaluation, family)]
        lines.append(
            f"- is not dominated by the **{family}**: {_count([not one for one in dominated])}"
        )
    near = [
        one.ours.mean_usd <= (1 + WITHIN) * _family(one, "newsvendor").mean_usd for one in contests
    ]
    lines.append(f"- costs at most 1% more than the newsvendor: {_count(near)}")
    guard = [
        one.ours.mean_usd <= (1 + WITHIN) * min(_family(one, rule).mean_usd for rule in BREAK_EVEN)
        for one in contests
    ]
    lines.append(f"- costs at most 1% more than either break-even rule: {_count(guard)}")
    reached = [[one.frontier_gap(rule) <= WITHIN for rule in one.families()] for one in contests]
    lines.append(
        "- has a point on its frontier, for every rule, with the rule's CVaR95 or less and at most"
        f" 1% dearer: {_count([all(row) for row in reached])}"
        f" ({sum(map(sum, reached))} of {sum(map(len, reached))} pairs of a rule and a trace)"
    )
    mean_regret = sum(one.regret for one in contests) / len(contests)
    lines.append(
        "\nKnowing everything in advance would be"
        f" {mean_regret / (1 + mean_regret):.1%} cheaper on average."
    )
    return "\n".join([lines[0] + "\n", *lines[1:]])


def _traces(evaluation: Evaluation) -> str:
    rows = []
    for trace, one in zip(evaluation.traces, _middle(evaluation), strict=True):
        unit = one.never.mean_usd
        others = sorted(one.families(), key=lambda rule: rule.mean_usd)
        rows.append(
            (
                trace.name,
                f"{one.ours.mean_usd / unit:.1%}",
                f"{one.ours.cvar_usd / unit:.1%}",
                f"{one.never.cvar_usd / unit:.1%}",
                f"{others[0].name}: {others[0].mean_usd / unit:.1%}",
                f"{one.ours.usd.max() / unit:.1%}",
                f"{(one.ours.usd / one.never.usd).max():.1%}",
                f"{one.ours.used:.0%}",
                f"{one.regret:.1%}",
            )
        )
    heads = (
        "trace",
        "program",
        "its CVaR95",
        "never's",
        "best rule in hindsight",
        "its dearest path",
    )
    return _table((*heads, "worst path, over never", "used", "regret"), rows)


def _rules(evaluation: Evaluation) -> str:
    text = []
    for family in (NEVER, *TO_BEAT, "newsvendor", "CVaR newsvendor"):
        rows = [
            (trace.name, gap.rule, *_gap(gap))
            for trace, gap in zip(evaluation.traces, _against(evaluation, family), strict=True)
        ]
        text.append(
            f"### The program less {family}\n\n"
            + _table(("trace", "with", "mean", "95%", "CVaR95", "95%"), rows)
        )
    return "\n\n".join(text)


def _gap(gap: Compared) -> tuple[str, str, str, str]:
    return (
        f"{gap.mean:+.1%}",
        f"{gap.mean_interval[0]:+.1%} to {gap.mean_interval[1]:+.1%}",
        f"{gap.cvar:+.1%}",
        f"{gap.cvar_interval[0]:+.1%} to {gap.cvar_interval[1]:+.1%}",
    )


def _frontier(evaluation: Evaluation) -> str:
    kappas = list(_middle(evaluation)[0].kappas)
    terms = list(_middle(evaluation)[0].shorter)
    rows = []
    for trace, one in zip(evaluation.traces, _middle(evaluation), strict=True):
        unit = one.never.mean_usd
        rows.append(
            (
                trace.name,
                *(f"{p.mean_usd / unit:.1%} / {p.cvar_usd / unit:.1%}" for p in one.frontier),
            )
        )
    return (
        "Mean / CVaR95, by aversion κ to the worst scenarios, and by the longest term that is"
        " considered (without aversion): the one guards against demand and prices that rise, the"
        " other against those that fall. Aversion to the tail of the *scenarios* does not reliably"
        " lower the CVaR95 that is *realised*: it is reported here, not promised.\n\n"
        + _table(
            (
                "trace",
                *(f"κ = {kappa:g}" for kappa in kappas),
                *(f"terms to {term} mo" for term in terms),
            ),
            rows,
        )
    )


def _fees(evaluation: Evaluation) -> str:
    rows = []
    for share, contests in evaluation.contests.items():
        for trace, one in zip(evaluation.traces, contests, strict=True):
            gap = one.compared(one.never)
            break_even = min((_family(one, rule) for rule in BREAK_EVEN), key=lambda r: r.mean_usd)
            newsvendor = _family(one, "newsvendor")
            unit = one.never.mean_usd
            rows.append(
                (
                    f"{share:.0%}",
                    trace.name,
                    f"{one.ours.mean_usd / unit:.1%}",
                    "equal" if abs(gap.mean) <= EQUAL else f"{gap.mean:+.1%}",
                    f"{gap.cvar:+.1%}",
                    f"{one.ours.fees_usd.mean() / one.ours.mean_usd:.0%}",
                    f"{newsvendor.mean_usd / unit:.1%}",
                    f"{break_even.mean_usd / unit:.1%}",
                    f"{one.regret:.1%}",
                )
            )
    heads = ("fee", "trace", "program", "less never", "CVaR95 less never's", "of it reserved")
    return (
        "The fee is what a month of full use costs, of pay-as-you-go. At 100% the longer terms are"
        " at 97.5% and 95%: little is worth buying.\n\n"
        + _table((*heads, "newsvendor", "break-even", "regret"), rows)
    )


def _confidence(evaluation: Evaluation) -> str:
    rows = [
        (
            one.world,
            f"{one.exceeded} of {one.paths:,}",
            f"{one.exceeded / one.paths:.1%}",
            f"{one.interval[0]:.1%} to {one.interval[1]:.1%}",
            "yes" if one.interval[0] <= one.promised <= one.interval[1] else "no",
        )
        for one in evaluation.exceeded
    ]
    return (
        "Plans promise that their first month stays under a cap with 95% confidence. How often it"
        " went beyond, with the 95% interval of Clopper and Pearson:\n\n"
        + _table(("world", "beyond", "share", "interval", "5% inside"), rows)
        + "\n\nA handful of months as they came cannot confirm 95%; they could only refute it."
    )


def _futures(evaluation: Evaluation) -> str:
    rows = [
        (
            one.what,
            str(one.series),
            str(one.months),
            f"{one.hedged:.0%}",
            f"{one.left[0]:.0%} / {one.left[1]:.0%}",
            f"{one.bet[0]:.0%} / {one.bet[1]:.0%}",
        )
        for one in evaluation.futures
    ]
    heads = (
        "what",
        "series",
        "months",
        "hedged",
        "variance left, all / middle",
        "if every ratio counts",
    )
    return (
        "The hedge of least variance, one month at a time on a simulated flat curve with half a"
        f" spread of {HALF_SPREAD_USD} USD, decided by a regression on the months before; a ratio"
        " that is not significant is taken as none. Clouds and model sellers set their prices in"
        " steps of their own, so that an index hedges little of them, and not to hedge is a normal"
        " answer; above 100% the hedge made it worse.\n\n" + _table(heads, rows)
    )


def _real(evaluation: Evaluation) -> str:
    return "\n".join(
        f"- **{trace.name}**: {trace.real}; level of {', '.join(trace.families)}."
        for trace in evaluation.traces
    )
