"""`hedgerow market capacity`: what an hour of a GPU costs, by grade."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import click

from benchmarks.capacity.chips import REFERENCE, Basis
from benchmarks.capacity.prices import CAPACITY, CapacityIndex, TermRatio, indices
from benchmarks.capacity.prices import term_ratios as ratios_of
from benchmarks.tables.facts import Facts
from hedgerow.arguments import MOMENT
from hedgerow.books import market_books
from hedgerow.config import Config, load_config
from hedgerow.files.feed_spec import GpuIndexFeed
from hedgerow.printing import config_option, iso, json_option, moment, print_json, table
from ledger.instants import as_ns, instant


@click.command()
@config_option
@click.option("--chip", help="Only this chip, as H100-SXM.")
@click.option(
    "--by",
    type=click.Choice([one.value for one in Basis]),
    default=Basis.BALANCED.value,
    show_default=True,
    help=f"What chips are compared by with {REFERENCE.name}: memory bandwidth, dense 16-bit"
    " throughput, or the geometric mean of both.",
)
@click.option("--known-at", "known_ns", type=MOMENT, help="As it was known then. [default: now]")
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=7,
    show_default=True,
    help="How old a price may be that still counts.",
)
@json_option
def capacity(
    path: Path, chip: str | None, by: str, known_ns: int | None, days: int, as_json: bool
) -> None:
    """GPU-hours by chip, memory, interconnect, region and term, over all who sell them.

    The price is the median over providers, each by the median of what it asks; low and high are
    without a tenth of them at either end.
    """
    config = load_config(path, os.environ)
    known = instant(time.time_ns() if known_ns is None else known_ns)
    with market_books(config.ledger, create=False) as sql:
        facts = Facts(sql, CAPACITY).all_as_of(known)
    fresh = [
        one.said
        for one in facts.values()
        if one.said is not None and known - one.value_time <= timedelta(days=days)
    ]
    known_all = indices(fresh)
    found = [one for one in known_all if chip is None or one.grade.chip == chip]
    ratios = list(ratios_of(fresh).values())
    basis = Basis(by)
    if as_json:
        print_json(
            {
                "known_at": iso(as_ns(known)),
                "reference": REFERENCE.name,
                "by": basis.value,
                "grades": [_described(one, basis) for one in found],
                "terms": [_ratio(one) for one in ratios],
            }
        )
        return
    if not found:
        chips = sorted({one.grade.chip for one in known_all})
        click.echo(_nothing(config, chips))
        return
    click.echo(_table(found, basis))
    if ratios:
        click.echo()
        click.echo(_terms(ratios))


def _nothing(config: Config, chips: list[str]) -> str:
    """chips: of which there are prices."""
    if chips:
        return f"no prices of such a chip are known: there are {', '.join(chips)}"
    if any(isinstance(one, GpuIndexFeed) for one in config.market.feeds):
        return "no prices of GPU-hours are known of late: `hedgerow market refresh` reads the files"
    return "no prices of GPU-hours are known: name a feed of kind gpu_index"


def _table(found: list[CapacityIndex], basis: Basis) -> str:
    headers = (
        *("chip", "GB", "joined by", "region", "term", "USD/h", "low", "high"),
        *("providers", f"as {REFERENCE.name}", "newest"),
    )
    return table(headers, [_row(one, basis) for one in found])


def _row(one: CapacityIndex, basis: Basis) -> tuple[str, ...]:
    grade = one.grade
    prices = (one.usd_per_gpu_hour, one.low, one.high)
    return (
        *(grade.chip, str(grade.memory_gb), grade.interconnect, grade.area, str(grade.term)),
        *(f"{price:.2f}" for price in prices),
        *(str(one.providers), f"{one.usd_per_reference_hour(basis):.2f}"),
        moment(as_ns(one.newest)),
    )


def _terms(ratios: list[TermRatio]) -> str:
    """What a term costs of the price on demand, by those who sell both."""
    return table(
        ("term", "of on demand", "providers"),
        [(str(one.term), f"{one.ratio:.0%}", str(one.providers)) for one in ratios],
    )


def _described(one: CapacityIndex, basis: Basis) -> dict[str, object]:
    grade = one.grade
    return {
        "chip": grade.chip,
        "memory_gb": grade.memory_gb,
        "interconnect": grade.interconnect.value,
        "area": grade.area.value,
        "term": str(grade.term),
        "usd_per_gpu_hour": one.usd_per_gpu_hour,
        "low": one.low,
        "high": one.high,
        "providers": one.providers,
        "prices": one.prices,
        "usd_per_reference_hour": _rounded(one.usd_per_reference_hour(basis)),
        "worth": _rounded(grade.spec.worth(basis)),
        "worth_source": grade.spec.source,
        "newest": iso(as_ns(one.newest)),
    }


def _ratio(one: TermRatio) -> dict[str, object]:
    return {"term": str(one.term), "ratio": _rounded(one.ratio), "providers": one.providers}


def _rounded(value: Decimal) -> Decimal:
    return round(value, 6)
