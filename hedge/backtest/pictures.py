"""Pictures of a contest: the fan, the frontier and the exceedance strip. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hedge.backtest.contest import Contest

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
}
NO_DATE = {"Date": None}
BANDS = ((0.05, 0.95, "0.85"), (0.25, 0.75, "0.7"))


def draw(contest: Contest, cap_usd: float, folder: Path) -> list[Path]:
    """Writes backtest-fan.svg, backtest-frontier.svg and backtest-exceedances.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    with style.context(SETTINGS):
        for name in ("fan", "frontier", "exceedances"):
            figure = Figure(figsize=(7.2, 4.0), layout="constrained")
            axes = figure.subplots()
            if name == "fan":
                fan(axes, contest, cap_usd)
            elif name == "frontier":
                frontier(axes, contest)
            else:
                exceedances(axes, contest, cap_usd)
            path = folder / f"backtest-{name}.svg"
            figure.savefig(path, metadata=NO_DATE)
            drawn.append(path)
    return drawn


def fan(axes: Axes, contest: Contest, cap_usd: float) -> None:
    """What each month cost under the program, over all paths, beside never reserving."""
    months = np.arange(1, contest.ours.months_usd.shape[1] + 1)
    ours, never = contest.ours.months_usd, contest.never.months_usd
    for low, high, grey in BANDS:
        edges = np.quantile(ours, [low, high], axis=0)
        axes.fill_between(months, *edges, color=grey, label=f"program, {low:.0%} to {high:.0%}")
    axes.plot(months, np.median(ours, axis=0), "k-", label="program, median")
    axes.plot(months, np.median(never, axis=0), "k--", label="never, median")
    axes.plot(months, np.quantile(never, 0.95, axis=0), "k:", label="never, 95%")
    axes.axhline(cap_usd, color="0.4", linewidth=0.8)
    axes.annotate("cap", (months[-1], cap_usd), xytext=(0, 2), textcoords="offset points")
    axes.set_xlabel("month")
    axes.set_ylabel("USD")
    axes.set_xticks(months)
    axes.legend(loc="upper left")


def frontier(axes: Axes, contest: Contest) -> None:
    """Mean against the mean of the worst 5%: the program by its risk aversion, and the rules."""
    ours = list(contest.kappas.items())
    axes.plot([o.cvar_usd for _, o in ours], [o.mean_usd for _, o in ours], "k-o", markersize=4)
    for kappa, one in ours:
        at = (one.cvar_usd, one.mean_usd)
        axes.annotate(f"κ={kappa:g}", at, xytext=(4, -9), textcoords="offset points")
    for one in contest.shorter.values():
        at = (one.cvar_usd, one.mean_usd)
        axes.plot(*at, "k^", markersize=4)
        axes.annotate(one.name, at, xytext=(4, -9), textcoords="offset points")
    for one in contest.families():
        axes.plot(one.cvar_usd, one.mean_usd, "s", color="0.55", markersize=4)
        at = (one.cvar_usd, one.mean_usd)
        axes.annotate(one.name, at, xytext=(4, 2), textcoords="offset points", color="0.3")
    axes.set_xlabel("CVaR95 of the path, USD")
    axes.set_ylabel("mean of the path, USD")


def exceedances(axes: Axes, contest: Contest, cap_usd: float) -> None:
    """Each path a row, each month a cell: dark where the program's month went over the cap, light
    where only never reserving would have."""
    ours = contest.ours.months_usd > cap_usd
    never = contest.never.months_usd > cap_usd
    shade = np.where(ours, 1.0, np.where(never, 0.35, 0.0))
    axes.imshow(shade, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    axes.set_xticks(range(shade.shape[1]), [str(month + 1) for month in range(shade.shape[1])])
    axes.set_yticks([])
    axes.set_xlabel("month")
    axes.set_ylabel(f"{contest.paths} paths")
    axes.set_title(
        f"over the cap: {ours.mean():.1%} of the program's months, {never.mean():.1%} of never's"
    )
