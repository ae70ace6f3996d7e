"""The pictures of the router's evaluation: SVG, readable in grey, the same for the same figures."""

from __future__ import annotations

from pathlib import Path

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.evaluate.router_evaluation import MIDDLE, Evaluation, Prices

SETTINGS: dict[str, object] = {
    "svg.hashsalt": "hedgerow",
    "svg.fonttype": "path",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
}
SHOWN_WEIGHTS = (0.0, 0.5, 1.0, 2.5, 10.0)
NO_DATE = {"Date": None}


def draw(evaluation: Evaluation, folder: Path) -> None:
    """Writes router-frontier.svg, router-models.svg and router-days.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    prices = (evaluation.listed, evaluation.effective)
    with style.context(SETTINGS):
        for name, draw_one in (("frontier", _frontier), ("models", _models), ("days", _days)):
            figure = Figure(figsize=(9.0, 4.8), layout="constrained")
            for axes, each in zip(figure.subplots(1, 2), prices, strict=True):
                axes.set_title("effective prices" if each.is_effective else "list prices")
                draw_one(axes, each)
            if handles := figure.axes[0].get_legend_handles_labels()[0]:
                figure.legend(handles=handles, loc="outside lower center", ncols=5)
            figure.savefig(folder / f"router-{name}.svg", metadata=NO_DATE)


def _frontier(axes: Axes, prices: Prices) -> None:
    for points, line, label in (
        (prices.perfect_frontier, "k:", "clairvoyant"),
        (prices.frontier, "k-", "ours, by λ"),
    ):
        axes.plot(
            [100 * score.misses for _, score in points],
            [score.cost for _, score in points],
            line,
            label=label,
        )
    for weight, score in prices.frontier:
        if weight in SHOWN_WEIGHTS:
            at = (100 * score.misses, score.cost)
            axes.plot(*at, "ko", markersize=4)
            axes.annotate(
                f"{weight:g}", at, xytext=(-3, -10), textcoords="offset points", ha="right"
            )
    for number, rule in enumerate(prices.rules, start=1):
        at = (100 * rule.score.misses, rule.score.cost)
        axes.plot(*at, "s", color="0.55", markersize=4, label=f"{number} {rule.name}")
        axes.annotate(str(number), at, xytext=(4, 2), textcoords="offset points", color="0.3")
    axes.set_xlabel("requests without a first token in time, %")
    axes.set_ylabel("cost per answer, in the model's median list cost")


def _models(axes: Axes, prices: Prices) -> None:
    """Below the diagonal ours is better than the rule that is best for that model in hindsight."""
    least = 1e-3
    most = max(one.requests for one in prices.models)
    rules = [max(one.rule_j - one.perfect_j, least) for one in prices.models]
    ours = [max(one.ours_j - one.perfect_j, least) for one in prices.models]
    sizes = [4 + 300 * one.requests / most for one in prices.models]
    faces = ["0.75" if mine <= rule else "0.2" for rule, mine in zip(rules, ours, strict=True)]
    axes.scatter(rules, ours, s=sizes, c=faces, edgecolors="0.3", linewidths=0.5, alpha=0.8)
    axes.axline((least, least), (1.0, 1.0), color="k", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"J above the clairvoyant's (λ = {MIDDLE:g}): the best rule in hindsight")
    axes.set_ylabel("ours (dark: the rule wins)")


def _days(axes: Axes, prices: Prices) -> None:
    days = sorted(prices.by_day)
    places = list(range(len(days)))
    axes.bar(places, [100 * prices.by_day[day][0] for day in days], color="0.7")
    for place, day in zip(places, days, strict=True):
        axes.annotate(
            f"{100 * prices.by_day[day][1]:.1f}", (place, 3), ha="center", fontsize=7, color="0.2"
        )
    axes.set_xticks(places, [f"{day:%d}" for day in days])
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"day of July 2026; within the bars: regret, % (λ = {MIDDLE:g})")
    axes.set_ylabel("gap closed, %")
