"""`hedgerow hedge effectiveness`: whether one series hedges another, by every usual test."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import click

from hedge.effectiveness.assessment import Assessment, Part, Passes, assessed
from hedge.effectiveness.offset import HIGH, LOW
from hedge.effectiveness.regression import Significance
from hedge.effectiveness.series import joined, read_series
from hedgerow.printing import json_option, print_json, table

WIDTH = 100
_file: Any = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--item", type=_file, required=True, help="What is hedged: CSV date,change or value.")
@click.option("--hedge", type=_file, required=True, help="What hedges it, likewise.")
@click.option(
    "--ratio",
    type=float,
    help="Units of the hedge per unit of the item, as held.  [default: that of least variance]",
)
@json_option
def effectiveness(item: Path, hedge: Path, ratio: float | None, as_json: bool) -> None:
    """Test two series of changes: dollar offset, regression, variance reduction.

    The files are joined on their dates; of a column `value` the changes are taken. It needs no
    configuration. What it prints supports a controller's decision; it is no claim that hedge
    accounting applies.
    """
    if ratio is not None and not isfinite(ratio):
        raise click.BadParameter("write a number, as 0.8", param_hint="--ratio")
    found = assessed(joined(read_series(item), read_series(hedge)), ratio)
    if as_json:
        print_json(told_assessment(found))
    else:
        click.echo("\n".join(_lines(found)))


def told_assessment(found: Assessment) -> dict[str, Any]:
    """For programs. t and f of a perfect fit are null: they are not finite."""
    regression, offset = found.regression, found.offset
    plain = _told_significance(regression.plain)
    return {
        "n": regression.n,
        "slope": regression.slope,
        "intercept": regression.intercept,
        "r2": regression.r2,
        **{name: plain[name] for name in ("t", "f", "p")},
        "variance_reduction": found.variance_reduction,
        "min_variance_ratio": regression.slope,
        "ratio": found.ratio,
        "slope_as_held": found.slope_as_held,
        "slope_interval": regression.interval(),
        "hac": {"lags": regression.lags, **_told_significance(regression.hac)},
        "residuals": {
            "autocorrelation": regression.autocorrelation,
            "durbin_watson": regression.durbin_watson,
        },
        "dollar_offset": {
            "cumulative": offset.cumulative,
            "periods": offset.periods,
            "in_band": offset.in_band,
            "dates": found.changes.dates,
            "is_small": offset.is_small,
        },
        "sensitivity": {
            "lookbacks": list(map(_told_part, found.lookbacks)),
            "outlier": None if found.outlier is None else _told_part(found.outlier),
            "leave_one_out": found.leave_one_out,
        },
        "flags": [str(flag) for flag in found.flags],
        "pass": told_passes(found.passes),
    }


def told_passes(passes: Passes) -> dict[str, bool]:
    return {name: getattr(passes, name) for name in (*Passes.__slots__, "all")}


def _told_significance(one: Significance) -> dict[str, float | None]:
    return {
        "error": one.error,
        "t": one.t if isfinite(one.t) else None,
        "f": one.f if isfinite(one.f) else None,
        "p": one.p,
    }


def _told_part(part: Part) -> dict[str, Any]:
    return {"name": part.name, "n": part.n, "slope": part.slope, "r2": part.r2, "p": part.p}


# -- for people

_TESTS = {
    "slope": f"slope as held, {LOW:.2f} to {HIGH:.2f}",
    "r2": "R², 0.80 or more",
    "significance": "slope differs from 0 (95%)",
    "significance_hac": "the same, HAC errors",
    "n": "pairs, 30 or more",
    "dollar_offset": f"cumulative dollar offset, {LOW:.2f} to {HIGH:.2f}",
    "variance_reduction": "variance reduction, 80% or more",
}


def _lines(found: Assessment) -> Iterator[str]:
    regression, offset = found.regression, found.offset
    held = "fitted to these changes" if found.is_ratio_fitted else "as given"
    low, high = regression.interval()
    yield (
        f"{regression.n} pairs, {found.changes.dates[0]} to {found.changes.dates[-1]};"
        f" ratio {found.ratio:.4f}, {held}"
    )
    yield (
        f"item = {regression.intercept:.6g} + {regression.slope:.6f} × hedge"
        f" (95%: {low:.4f} to {high:.4f})"
    )
    yield ""
    measured = {
        "slope": _known(found.slope_as_held),
        "r2": f"{regression.r2:.4f}",
        "significance": f"t {regression.plain.t:.3f}, F {regression.plain.f:.2f},"
        f" p {regression.plain.p:.3g}",
        "significance_hac": f"t {regression.hac.t:.3f}, p {regression.hac.p:.3g},"
        f" {regression.lags} lags",
        "n": str(regression.n),
        "dollar_offset": _known(offset.cumulative),
        "variance_reduction": f"{found.variance_reduction:.2%}",
    }
    rows = [
        (says, measured[name], "pass" if getattr(found.passes, name) else "fail")
        for name, says in _TESTS.items()
    ]
    yield table(("test", "measured", "result"), rows)
    yield ""
    yield f"{offset.in_band} of {len(offset.periods)} periods lie within {LOW:.2f} to {HIGH:.2f}."
    parts = [*found.lookbacks, *([found.outlier] if found.outlier else [])]
    if parts:
        yield ""
        yield table(
            ("the regression over", "pairs", "slope", "R²", "p"),
            [
                (part.name, part.n, f"{part.slope:.4f}", f"{part.r2:.4f}", f"{part.p:.3g}")
                for part in parts
            ],
        )
    for flag in found.flags:
        yield from textwrap.wrap(f"! {flag.says}", WIDTH, subsequent_indent="  ")


def _known(ratio: float | None) -> str:
    return "not defined" if ratio is None else f"{ratio:.4f}"
