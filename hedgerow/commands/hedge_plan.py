"""`hedgerow hedge plan`: which contracts to hold, and why."""

from __future__ import annotations

import textwrap
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from hedgerow.arguments import USD, Ratio
from hedgerow.printing import json_option, print_json, table
from ledger.money import Money

if TYPE_CHECKING:
    from hedge.month.plan import HedgePlan

WIDTH = 100


class _NeedsDemo(click.ClickException):
    exit_code = 2


@click.command()
@click.option("--demo", is_flag=True, help="Plan for the bundled sample month, which is simulated.")
@click.option("--cap-usd", "cap", type=USD, help="The month's cap. [default: the sample's]")
@click.option(
    "--confidence",
    type=Ratio(0.5, 0.99),
    default=0.95,
    show_default=True,
    help="The mean of the months worse than this stays under the cap (CVaR).",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=1,
    show_default=True,
    help="Of the scenarios: equal seeds give equal plans.",
)
@json_option
def plan(demo: bool, cap: Money | None, confidence: float, seed: int, as_json: bool) -> None:
    """Say how many units of each contract to hold, and why.

    Exit code 0: a plan, checked. 1: no plan, with the reason on stderr.
    """
    if not demo:
        raise _NeedsDemo(
            "this version plans the bundled sample month only, your own ledger comes later: "
            "add --demo"
        )
    from hedge.errors import HedgeError
    from hedge.month.sample import demo_plan, sample  # cvxpy, which takes a second to import

    try:
        planned = demo_plan(cap, confidence, seed)
    except HedgeError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json(planned)
        return
    click.echo("\n".join([*textwrap.wrap(sample().label, WIDTH), "", *plan_lines(planned)]))


def plan_lines(plan: HedgePlan) -> list[str]:
    """The plan for a reader, at most 100 columns wide."""
    low, high = plan.p_interval
    within = f"{plan.p_within_cap:.1%} of months stay within the cap"
    worst = f"worst {(1 - plan.confidence) * 100:.3g}% of months"
    positions = [(one.contract, one.units, _usd(one.cost_usd)) for one in plan.positions]
    month = [
        ("expected", _usd(plan.expected_usd)),
        (f"mean of the {worst}", _usd(plan.cvar_usd)),
        ("lowest cap that can be promised", _usd(plan.min_reachable_cap_usd)),
    ]
    frontier = [
        (_usd(at.cap_usd), _usd(at.expected_usd), _usd(at.cvar_usd)) for at in plan.frontier
    ]
    return [
        f"Under a cap of {_usd(plan.cap_usd)} USD at {plan.confidence:.3g} confidence, hold:",
        "",
        *table(("contract", "units", "USD a month"), positions).splitlines(),
        "",
        *table(("next month", "USD"), month).splitlines(),
        "",
        f"{within} (95% interval {low:.1%} to {high:.1%}).",
        "",
        "Why:",
        *_reasons(plan),
        "",
        "What other caps would cost:",
        "",
        *table(("cap USD", "expected USD", worst), frontier).splitlines(),
    ]


def _reasons(plan: HedgePlan) -> list[str]:
    said = [f"{one.contract}: {one.why}" for one in plan.positions]
    if not any(one.units for one in plan.positions):
        said.insert(
            0, "Buy nothing: pay-as-you-go stays under the cap, at the least expected cost."
        )
    return [
        line
        for reason in said
        for line in textwrap.wrap(
            f"- {reason}", WIDTH, subsequent_indent="  ", break_on_hyphens=False
        )
    ]


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f}"
