"""The pictures of the hedge's evaluation: SVG, readable in grey, the same for the same figures."""

from __future__ import annotations

from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure

from hedge.backtest.pictures import NO_DATE, SETTINGS
from tests.evaluate.hedge_evaluation import MIDDLE, Evaluation

COLUMNS = 3


def draw(evaluation: Evaluation, folder: Path) -> None:
    """Writes hedge-frontier.svg: each trace's program by risk aversion, and the rules."""
    folder.mkdir(parents=True, exist_ok=True)
    contests = evaluation.contests[MIDDLE]
    rows = -(-len(contests) // COLUMNS)
    with style.context({**SETTINGS, "font.size": 7.5}):
        figure = Figure(figsize=(9.0, 2.7 * rows), layout="constrained")
        every = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axes in every[len(contests) :]:
            axes.set_visible(False)
        for axes, trace, one in zip(every, evaluation.traces, contests, strict=False):
            unit = one.never.mean_usd
            points = list(one.kappas.values())
            axes.plot(
                [p.cvar_usd / unit for p in points],
                [p.mean_usd / unit for p in points],
                "k-o",
                markersize=3,
                label="program, by κ",
            )
            for number, rule in enumerate(one.families(), start=1):
                at = (rule.cvar_usd / unit, rule.mean_usd / unit)
                label = f"{number} {rule.family}"
                axes.plot(*at, "s", color="0.55", markersize=3, label=label)
                axes.annotate(
                    str(number), at, xytext=(3, 1), textcoords="offset points", color="0.3"
                )
            axes.set_title(trace.name)
        figure.supxlabel("CVaR95, in parts of never's mean")
        figure.supylabel("mean")
        handles, labels = every[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5)
        figure.savefig(folder / "hedge-frontier.svg", metadata=NO_DATE)
