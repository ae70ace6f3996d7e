"""The page of the router's evaluation: docs/evaluation.md, written from the figures alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.evaluate.router_evaluation import (
    LATER_DAYS,
    MAY_COST_MORE,
    MIDDLE,
    MISS_WEIGHTS,
    Evaluation,
    Gap,
    OfModel,
    Prices,
    Variant,
)
from tests.evaluate.scores import Score

TARGETS = {False: (0.88, 0.015), True: (0.85, 0.03)}
"""Gap closed at every miss weight, and regret at the middle one; list prices, effective ones."""
MODELS_SHOWN = 12
_HALVES = (f"before {LATER_DAYS:%m-%d}", "from then")
_VARIANT_HEADS = ("cost", "misses", "J", "closed", *_HALVES)

_HEAD = """\
# Evaluation: the router on real histories

Written by `make evaluate` ({windows} half-hour windows of {endpoints:,} endpoints); do not edit.

Would this router have been cheaper and faster than other rules, and how far from the best that
anybody could do? The histories of OpenRouter's endpoints answer: prices, status, percentiles of
the time to the first token (TTFT), and how many requests succeeded, failed and were rate limited,
2026-07-20 to 2026-07-31. The rule that is judged is the product's own code,
[routing/ordering.py](../routing/ordering.py) with the estimates of
[benchmarks/traffic/estimates.py](../benchmarks/traffic/estimates.py); what the router does around
it (load is spread over ties, little known offers are tried, limits are kept) is not, unless a table
says so.

**J** is what counts: cost per answer, in units of the model's median list cost of the same request,
plus λ times the share of requests without a first token in time. λ says what a late answer is
worth: at λ = 1 as much as the request itself. *Closed* is the part of the way from the best of all
the other rules, chosen in hindsight, to the **clairvoyant**, who knows what each window will bring
and so cannot be beaten; *regret* is what J is above the clairvoyant's. In brackets: the middle 90%
when whole days are drawn anew.

## The result

{result}

![The frontier](pictures/router-frontier.svg)

{frontier}
"""

_METHOD = """\
## How it is replayed

- **Walk-forward.** A choice for a window is made with what was known when the window began: other
  windows that had ended by then, the price and status of that moment, effective prices of days that
  were over. A test changes everything after that moment and sees that no choice changes.
- **Windows.** An observation is the half hour before it, one model in one window is a cell. The
  observations come in pairs half an hour apart, about ten times a day: between pairs nobody knows
  anything new for one to four hours. A fifth of the rows repeat the percentiles of the row before.
- **Offers.** The standard, paid endpoints of models that two or more sell; in a cell those with a
  price and {least} requests or more. An offer that nobody asked in a window cannot be judged in it.
  All rules choose among the same.
- **Requests.** All of a model are alike: OpenRouter's mean prompt and completion for that model.
  Cells weigh as many requests as their offers had.
- **Attempts.** Three, at three offers (the single provider: three times there). One fails with the
  window's share of failures (errors that OpenRouter counts against the endpoint, and 429s), at
  once, for nothing, and independently of the others: how long one takes is not in the data. (The
  product counts a failed attempt as half a miss.) A request that fails three times is a miss.
- **In time** is within 1.5 times the model's median TTFT: the median, over its offers and windows,
  of their medians. How many were is read off each window's p50, p90 and p99; between them, and
  beyond, the logarithm of the time is taken as normal. It is the estimators' own reading, and that
  of the truth.
- **Costs.** List prices as of the window's end; effective ones are the day's ratio of what was paid
  to what was listed, per provider and model, times that. An answer's cost is all costs over all
  answers of its model; models then weigh by their requests.
- **Not quite the product.** An offer of which nothing is known begins at what the model's other
  offers do; in the product at what a feed says, or at optimism, so that it is tried. Effective
  prices are told by the day's published ratios; the product learns them from its own answers.
- **Tuned** on the days before {later}: the memory's numbers are, of those in the table, the ones
  that close most there. All tables show the days from then on beside them.
- **Missing.** Single requests (hence the independence of attempts), the requests that OpenRouter
  itself sent elsewhere, the counts of {missing}, and everything from 2026-08-01 on: those
  days are kept back, and this page has not seen them. The windows are OpenRouter's: their load
  follows from its own routing, and ours would have moved it.
"""


def page(evaluation: Evaluation, least_requests: int) -> str:
    prices = (evaluation.listed, evaluation.effective)
    sections = [
        _HEAD.format(
            windows=evaluation.windows,
            endpoints=evaluation.endpoints,
            result="\n\n".join(_result(each) for each in prices),
            frontier=_frontier_text(prices),
        ),
        "## Beside other rules\n",
        *(_rules(each) for each in prices),
        _beaten(prices),
        _models(prices),
        _own(evaluation),
        _variants(evaluation),
        _METHOD.format(least=least_requests, later=LATER_DAYS, missing="a third of 2026-07-31"),
    ]
    return "\n".join(sections)


def _result(prices: Prices) -> str:
    target, regret_target = TARGETS[prices.is_effective]
    heads = ["λ", "best other rule", "its J", "ours", "clairvoyant", "closed", *_HALVES, "regret"]
    rows = [
        (
            f"{gap.miss_weight:g}",
            gap.best,
            _j(gap.best_j),
            f"**{_j(gap.ours.j(gap.miss_weight))}**",
            _j(gap.perfect.j(gap.miss_weight)),
            f"**{_percent(gap.closed)}** {_between(gap.closed_interval)}",
            _percent(gap.first_days),
            _percent(gap.later_days),
            f"{_percent(gap.regret, 2)} {_between(gap.regret_interval, 2)}",
        )
        for gap in prices.gaps
    ]
    middle = next(gap for gap in prices.gaps if gap.miss_weight == MIDDLE)
    verdict = _verdict(
        ("closed", all(gap.closed >= target for gap in prices.gaps), f"at least {target:.0%}"),
        (
            f"regret at λ = {MIDDLE:g}",
            middle.regret <= regret_target,
            f"at most {regret_target:.1%}",
        ),
    )
    title = "Effective prices" if prices.is_effective else "List prices"
    scope = f"{prices.cells:,} cells, {prices.requests / 1e9:.2f} billion requests"
    return f"**{title}** ({scope})\n\n{_table(heads, rows)}\n\n{verdict}"


def _verdict(*targets: tuple[str, bool, str]) -> str:
    return " ".join(
        f"Target: {what} {bound}; {'met' if is_met else '**missed**'}."
        for what, is_met, bound in targets
    )


def _frontier_text(prices: Sequence[Prices]) -> str:
    heads = ["λ", *(head for kind in ("list", "effective") for head in _frontier_heads(kind))]
    columns = [line for each in prices for line in (each.frontier, each.perfect_frontier)]
    table = [
        (f"{points[0][0]:g}", *(part for _, score in points for part in _parts(score)))
        for points in zip(*columns, strict=True)
    ]
    return _table(heads, table)


def _frontier_heads(kind: str) -> tuple[str, ...]:
    return f"{kind}: cost", "misses", "clairvoyant: cost", "misses"


def _rules(prices: Prices) -> str:
    heads = ("rule", "how it chooses", "cost", "misses", *(f"J, λ = {w:g}" for w in MISS_WEIGHTS))
    rows = [(rule.name, rule.what, *_parts(rule.score), *_js(rule.score)) for rule in prices.rules]
    for gap in prices.gaps:
        weight = f"λ = {gap.miss_weight:g}"
        rows.append(("**ours**", weight, *_parts(gap.ours), *_at(gap, gap.ours)))
    for gap in prices.gaps:
        weight = f"λ = {gap.miss_weight:g}"
        rows.append(("clairvoyant", weight, *_parts(gap.perfect), *_at(gap, gap.perfect)))
    return f"{_title(prices)}\n\n{_table(heads, rows)}\n"


def _title(prices: Prices) -> str:
    return f"**{'Effective' if prices.is_effective else 'List'} prices**"


def _js(score: Score) -> tuple[str, ...]:
    return tuple(_j(score.j(weight)) for weight in MISS_WEIGHTS)


def _at(gap: Gap, score: Score) -> tuple[str, ...]:
    return tuple(
        _j(score.j(weight)) if weight == gap.miss_weight else "" for weight in MISS_WEIGHTS
    )


def _beaten(prices: Sequence[Prices]) -> str:
    heads = ("rule", "prices", "its cost", "its misses", "our λ", "our cost", "our misses")
    rows = []
    for each in prices:
        kind = "effective" if each.is_effective else "list"
        for one in each.beaten:
            ours = (
                ("none", "", "")
                if one.ours is None
                else (f"{one.miss_weight:g}", *_parts(one.ours))
            )
            rows.append((one.name, kind, *_parts(one.rule), *ours))
    count = sum(one.ours is not None for each in prices for one in each.beaten)
    return (
        "## Fewer misses at the same cost\n\n"
        f"For {count} of the {len(rows)} there is a λ that has strictly fewer misses at no"
        f" more than {MAY_COST_MORE - 1:.2%} above its cost; shown is the one with the fewest.\n\n"
        f"{_table(heads, rows)}\n"
    )


def _models(prices: Sequence[Prices]) -> str:
    head = (
        "## Where a rule wins\n\n"
        "Of one model, some rule may be better than ours: here each model has the rule that was"
        f" best for it in hindsight, which nobody could have picked. J at λ = {MIDDLE:g}; by what"
        " its requests lost. A single provider may even beat a model's clairvoyant: it tries one"
        " offer three times, as if each failure were luck of its own, where others try each offer"
        " once.\n\n"
        "![Regret by model](pictures/router-models.svg)\n"
    )
    parts = [head]
    for each in prices:
        lost = [one for one in each.models if one.rule_j < one.ours_j]
        lost.sort(key=lambda one: -one.requests * (one.ours_j - one.rule_j))
        share = sum(one.requests for one in lost) / each.requests
        worth = sum(one.requests * (one.ours_j - one.rule_j) for one in lost) / each.requests
        gained = sum(
            one.requests * (one.rule_j - one.ours_j)
            for one in each.models
            if one.rule_j >= one.ours_j
        )
        parts.append(
            f"{_title(each)}: on {len(lost)} of {len(each.models)} models, with {share:.0%} of all"
            f" requests, and by {worth:.4f} of J over all; on the others ours is better, by"
            f" {gained / each.requests:.4f}.\n"
        )
        heads = ("model", "share of requests", "best rule for it", "its J", "ours", "clairvoyant")
        parts.append(_table(heads, [_model(one, each.requests) for one in lost[:MODELS_SHOWN]]))
        parts.append("")
    return "\n".join(parts)


def _model(one: OfModel, requests: float) -> tuple[str, ...]:
    js = (_j(one.rule_j), _j(one.ours_j), _j(one.perfect_j))
    return one.model, f"{one.requests / requests:.2%}", one.rule, *js


def _own(evaluation: Evaluation) -> str:
    heads = ["our requests per model and window", "the feed is", "others are tried"]
    heads += _VARIANT_HEADS
    rows = [
        (
            f"{setup.requests:,}",
            f"a prior, worth {setup.feed_worth:g} attempts" if setup.feed_worth else "not there",
            variant.name,
            *_variant(variant),
        )
        for setup, variant in evaluation.own
    ]
    return (
        "## Own traffic alone\n\n"
        "A router that sees nothing but what its own requests meet: drawn at random from each"
        f" window, and known when the window is over. List prices, λ = {MIDDLE:g}. What could win"
        " is what would be cheaper if its chances were two deviations better than believed"
        "; the least known of the cheap is nearly what the product tries; Thompson draws every"
        " chance from what is believed of it.\n\n"
        f"{_table(heads, rows)}\n"
    )


def _variants(evaluation: Evaluation) -> str:
    heads = ["", *_VARIANT_HEADS]

    def table(variants: Iterable[Variant]) -> str:
        return _table(heads, [(one.name, *_variant(one)) for one in variants])

    least = _table(
        ("requests at least", "best other rule", "closed", "regret"),
        [
            (f"{least:g}", gap.best, _percent(gap.closed), _percent(gap.regret, 2))
            for least, gap in evaluation.least
        ],
    )
    return (
        "## What matters\n\n"
        f"Each part taken away, or told the truth (λ = {MIDDLE:g}): what is left to gain lies in"
        " knowing who will be late. To put offers behind the others that are late more often than"
        " one time in twenty, as a limit on the p95 would (`late: last`), loses much: what a late"
        " answer costs is in the order already. By default the product puts behind only those that"
        " are in time less than one time in four: a host that hangs is left, however cheap it"
        " is.\n\n"
        f"List prices:\n\n{table(evaluation.parts)}\n\n"
        f"Effective prices:\n\n{table(evaluation.effective_parts)}\n\n"
        f"The estimators' memory, one number changed at a time (list prices):\n\n"
        f"{table(evaluation.memories)}\n\n"
        f"The least requests of an offer that is judged (list prices):\n\n{least}\n\n"
        "![By day](pictures/router-days.svg)\n"
    )


def _variant(one: Variant) -> tuple[str, ...]:
    shares = (_percent(one.closed), _percent(one.first_days), _percent(one.later_days))
    return *_parts(one.score), _j(one.score.j(MIDDLE)), *shares


def _parts(score: Score) -> tuple[str, str]:
    return f"{score.cost:.4f}", f"{score.misses:.4f}"


def _j(value: float) -> str:
    return f"{value:.4f}"


def _percent(share: float, places: int = 1) -> str:
    return f"{share:.{places}%}"


def _between(interval: tuple[float, float], places: int = 1) -> str:
    low, high = (f"{100 * one:.{places}f}" for one in interval)
    return f"[{low}, {high}]"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
