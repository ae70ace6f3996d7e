"""The page of the bid prices' evaluation, docs/evaluation-bids.md: from the figures alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.evaluate.bids_evaluation import (
    HOURS,
    NEVER_WORSE,
    PART_OF_BEST,
    PER_MINUTE,
    WRONG,
    Outcome,
)
from tests.evaluate.owned_draws import FEE_SHARE, MINUTE_PRICES_S, QUOTA_PRICES_S
from tests.evaluate.owned_traffic import ALIKE, COMPLETION_UNITS, EQUAL

_HEAD = """\
# Evaluation: bid prices

Written by `make evaluate` ({seeds} seeds of each case); do not edit.

Capacity that is owned can serve this request, or a dearer one later. What do bid prices save over
"prepaid is free until exhausted", and how far are they from a **clairvoyant** who knows all that
will come, and may serve a request in part? The prices are those of the product,
[hedge/bids](../hedge/bids); requests arrive one by one and come in whole.

**Saves** is in shares of all that is paid: the fee ({fee:.0%} of what the capacity, drawn to the
last unit, would have cost elsewhere) and pay-as-you-go. *Beside the fee* is the same of what is
paid as you go. In brackets: 95% intervals of the mean, paired by seed. *Owned* is the quota as a
share of all that is wanted in its window, or capacity as a share of a mean minute's demand.
*P90/P10*: of what a unit costs elsewhere, within an hour.

## The result

{result}

"""

_METHOD = f"""\
## How it is simulated

- **Traffic.** By chance: a month of {PER_MINUTE:g} requests a minute by the profile of a working
  week (the forecast is that profile), or {HOURS:g} h of 60 a minute, in which the rate goes up
  and down by a third. Prompts and answers are lognormal (of the logarithm: standard deviation 1;
  0.3 for "sizes alike"); what an answer will take is known as an expectation only (0.5), and must
  fit with twice that. A token of an answer takes {COMPLETION_UNITS:g} units. Azure's traces of 2023
  come as they are, ServeGen's with their rates by ten minutes; their first seven days are the
  forecast.
- **Alternatives.** Each model has a price, which moves: AR(1), a step in five minutes, half-life
  40.
- **Ours** learns from each request as it goes by. Prices are made anew every
  {QUOTA_PRICES_S / 60:g} minutes for quotas, every {MINUTE_PRICES_S:g} s for minutes (a price
  within a minute depends on its fill and the time left). Nothing is drawn by lot: the class at the
  edge is served in full.
- **Clairvoyant** is the optimum of the linear program of the whole window, or of each minute, with
  actual sizes. Nobody who does not know the future reaches it: with few and uneven requests in a
  minute most of the gap is that.

## What the figures do not say

- The constants of `hedge/bids/demand.py` (how soon a level is believed, and for how long) were
  chosen by trying some on two or three of these seeds, the prudence of `hedge/bids/quota.py` on
  other ones, and both on the same ServeGen traces: those were not held back. Of earlier forms of
  this simulation two mixes of models were replaced, and runs of an hour, which saw a part of the
  swing only. Those of minutes are the first ones but for sizes of tables.
- Held requests are settled at once here; in the product a hold keeps its worst case until its
  answer is there. Several commitments over the same offers are priced each by itself.
"""

_ALIKE = """\
Equal alternatives; and one price for all that moves in time, which a quota can use and a minute
cannot.

"""
_WRONG = """\
A quota can be kept for demand that does not come: where it would have lasted, that is a loss.

"""
_COLUMNS = (
    "| traffic | alternatives | P90/P10 | owned | saves | worst seed | beside the fee "
    "| clairvoyant | part of it | asked for |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n"
)


def page(outcomes: Sequence[Outcome], seeds: int) -> str:
    """The whole of it, in Markdown."""
    wrong = {name for name, _, _ in WRONG}
    judged = [one for one in outcomes if one.case.target is not None]
    unlike = [one for one in outcomes if one.case.models not in (EQUAL, ALIKE)]
    main = [one for one in unlike if one.case.traffic not in wrong]
    parts = [
        _HEAD.format(seeds=seeds, fee=FEE_SHARE, result=_result(judged, outcomes)),
        "## A quota\n\n",
        _table(one for one in main if one.case.is_quota),
        "\n## Capacity by the minute\n\n",
        _table(one for one in main if not one.case.is_quota),
        "\n## Where there is nothing to choose\n\n",
        _ALIKE,
        _table(one for one in outcomes if one.case.models in (EQUAL, ALIKE)),
        "\n## Wrong forecasts\n\n",
        _WRONG,
        _table(one for one in outcomes if one.case.traffic in wrong),
        "\n",
        _METHOD,
    ]
    return "".join(parts)


def is_reached(one: Outcome) -> bool:
    """The saving that is asked for, and the part of the clairvoyant's."""
    least, part = one.case.target, one.part_of_best
    return least is None or (one.saving >= least and part is not None and part >= PART_OF_BEST)


def _result(judged: Sequence[Outcome], outcomes: Sequence[Outcome]) -> str:
    lines = []
    for is_quota, name in ((True, "Quotas"), (False, "Capacity by the minute")):
        its = [one for one in judged if one.case.is_quota is is_quota]
        saves = [one for one in its if one.saving >= (one.case.target or 0)]
        reached = [one for one in its if is_reached(one)]
        lines.append(
            f"- **{name}**: the saving that is asked for in {len(saves)} of {len(its)} cases; with "
            f"{PART_OF_BEST:.0%} of the clairvoyant's in {len(reached)}."
        )
    equal = [one for one in outcomes if one.case.models == EQUAL]
    ample = [
        one
        for one in outcomes
        if one.case.is_quota
        and one.case.owned >= 1
        and one.case.forecast == 1.0
        and one.case.levels == (1.0,)
    ]
    for name, its in (("Equal alternatives", equal), ("A quota of all demand, or more", ample)):
        worst = min(its, key=lambda one: one.worst)
        is_so = "as asked" if worst.worst >= -NEVER_WORSE else "more than asked"
        lines.append(
            f"- **{name}**: never worse by more than {abs(min(worst.worst, 0.0)):.2%} "
            f"(asked: {NEVER_WORSE:.1%}; {is_so}; the worst seed of “{worst.case.traffic}”)."
        )
    missed = [one for one in judged if not is_reached(one)]
    if missed:
        lines.append(
            "- **Not reached**: "
            + "; ".join(
                f"{one.case.traffic}, {one.case.models.name}, {one.case.owned:.0%}"
                for one in missed
            )
            + "."
        )
    return "\n".join(lines)


def _table(outcomes: Iterable[Outcome]) -> str:
    return _COLUMNS + "".join(_row(one) for one in outcomes)


def _row(one: Outcome) -> str:
    case, part = one.case, one.part_of_best
    low, high = one.interval
    asked = (
        "" if case.target is None else f"{case.target:.0%}{'' if is_reached(one) else ', missed'}"
    )
    cells = (
        *(case.traffic, case.models.name, f"{one.spread:.1f}", f"{case.owned:.0%}"),
        f"{one.saving:.2%} [{low:.2%}, {high:.2%}]",
        *(f"{one.worst:.2%}", f"{one.beside_fee:.0%}" if abs(one.beside_fee) < 2 else "–"),
        *(f"{one.best_saving:.2%}", "–" if part is None else f"{part:.0%}", asked),
    )
    return f"| {' | '.join(cells)} |\n".replace("-0.00%", "0.00%")
