"""What each team bears of the month, and corrections of earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hedgerow.charts import Chart, Mark, Series
from hedgerow.reports.cells import columns, count, dollars_of, month_text, usd
from hedgerow.reports.document import Cell, Figure, Row, Table
from hedgerow.reports.figures import shown
from hedgerow.reports.spend_pages.sources import SpendSources
from ledger.chargeback import TeamCharge
from ledger.money import ZERO, Money
from ledger.tables.closes import Payer

MOST_BARS = 12


def teams_table(sources: SpendSources) -> Table:
    bears = sources.report.bears
    rows = [_team_row(at, one, sources) for at, one in enumerate(bears.teams, start=1)]
    rows.append(_platform_row(sources))
    sums = [f"SUM({{teams.{name}}})" for name in _BORNE]
    rows.append(Row("total", _total_of_teams(sources, sums), is_total=True))
    return Table(
        "teams",
        "What each team bears",
        columns(
            team="Team",
            requests="Requests",
            went="As it went, USD",
            drawn="Drawn, USD",
            unused="Unused, USD",
            variance="Variance, USD",
            fixed="Fixed fee, USD",
            sold="Sold on, USD",
            bears="Bears, USD",
            estimated="Estimated, USD",
            refused="Refused",
            would="Refused, USD",
        ),
        tuple(rows) if bears.teams or bears.commitments else (),
        empty="Nothing was charged to anybody in the month. Requests are charged as they come.",
        notes=(
            bears.rule.says,
            (
                "As it went: requests that drew on no commitment, at their effective cost. Drawn:"
                " those that did, at the rate that was fixed in advance. Unused and variance:"
                " shares of what commitments cost beyond that. Fixed fee: what an agreed fee and"
                " its overage are above all of that, or (below zero) less. Sold on: fees of days to"
                " come of capacity that was sold on, before what that brought. Estimated is within,"
                " refused is beside what is borne."
            ),
            *(() if bears.why_not is None else (bears.why_not,)),
        ),
    )


_BORNE = ("went", "drawn", "unused", "variance", "fixed", "sold")
_BEARS = "{went}+{drawn}+{unused}+{variance}+{fixed}+{sold}"


def _bears(amount: Money, sources: SpendSources, formula: str) -> Figure:
    """A sum with an unknown part is not known."""
    if (why := sources.report.bears.why_not) is not None:
        return usd(None, sources.borne(), why_not=why)
    return usd(amount, sources.borne(), formula)


def _estimated(amount: Money, sources: SpendSources, formula: str | None = None) -> Figure:
    if (why := sources.report.estimates_why_not) is not None:
        return usd(None, sources.estimated(), why_not=why)
    return usd(amount, sources.estimated(), formula)


def _refused(
    requests: int,
    cost: Money,
    sources: SpendSources,
    formulas: tuple[str, str] | tuple[None, None] = (None, None),
) -> tuple[Figure, Figure]:
    source = sources.refused()
    if (why := sources.report.refused_why_not) is not None:
        return count(None, source, why_not=why), usd(None, source, why_not=why)
    return count(requests, source, formulas[0]), usd(cost, source, formulas[1])


def _team_row(number: int, one: TeamCharge, sources: SpendSources) -> Row:
    teams, shares, why = sources.teams(), sources.shares(), sources.report.bears.why_not
    cells: tuple[Cell, ...] = (
        one.team or "(no team)",
        count(one.requests, teams),
        usd(one.as_it_went, teams),
        usd(one.drawn, teams),
        usd(one.unused, shares, why_not=why),
        usd(one.variance, shares, why_not=why),
        None if one.fixed is None else usd(one.fixed, sources.fixed()),
        None,
        _bears(one.total, sources, _BEARS),
        _estimated(one.estimated, sources),
        *_refused(one.refused, one.refused_cost, sources),
    )
    return Row(f"team{number}", cells)


def _platform_row(sources: SpendSources) -> Row:
    bears = sources.report.bears
    platform, shares = bears.platform, sources.shares()
    return Row(
        "platform",
        (
            "The platform itself",
            None,
            None,
            None,
            usd(platform.unused, shares, why_not=bears.why_not),
            usd(platform.variance, shares, why_not=bears.why_not),
            usd(platform.fixed, sources.fixed()),
            usd(platform.sold, sources.commitments()),
            _bears(platform.total, sources, _BEARS),
            None,
            None,
            None,
        ),
    )


def _total_of_teams(sources: SpendSources, sums: Sequence[str]) -> tuple[Cell, ...]:
    bears = sources.report.bears
    teams, why = bears.teams, bears.why_not
    used, shares = sources.teams(), sources.shares()
    is_known = why is None
    unused = sum(one.unused or 0 for one in teams) + (bears.platform.unused or 0)
    variance = sum(one.variance or 0 for one in teams) + (bears.platform.variance or 0)
    return (
        "All",
        count(bears.requests, used, "SUM({teams.requests})"),
        usd(Money(sum(one.as_it_went for one in teams)), used, sums[0]),
        usd(Money(sum(one.drawn for one in teams)), used, sums[1]),
        usd(Money(unused) if is_known else None, shares, sums[2] if is_known else None, why),
        usd(Money(variance) if is_known else None, shares, sums[3] if is_known else None, why),
        usd(ZERO, sources.fixed(), sums[4]),
        usd(bears.platform.sold, sources.commitments(), sums[5]),
        _bears(bears.total, sources, "SUM({teams.bears})"),
        _estimated(Money(sum(one.estimated for one in teams)), sources, "SUM({teams.estimated})"),
        *_refused(
            sum(one.refused for one in teams),
            Money(sum(one.refused_cost for one in teams)),
            sources,
            ("SUM({teams.refused})", "SUM({teams.would})"),
        ),
    )


def teams_chart(sources: SpendSources) -> Chart:
    bears = sources.report.bears
    few = bears.teams[:MOST_BARS]
    names = tuple(one.team or "(no team)" for one in few)
    parts: dict[str, Callable[[TeamCharge], Money]] = {
        "as it went": lambda one: one.as_it_went,
        "drawn": lambda one: one.drawn,
        "commitments beyond": lambda one: Money((one.unused or 0) + (one.variance or 0)),
        "fixed fee": lambda one: one.fixed or ZERO,
    }
    series = tuple(
        Series(name, Mark.BAR, names, tuple(dollars_of(amount(one)) for one in few))
        for name, amount in parts.items()
        if any(amount(one) for one in few)
    )
    says = "Nobody bears anything."
    if few:
        bears_most = shown(usd(few[0].total, ""))
        verb = "bears" if bears.why_not is None else "was charged"
        says = f"A bar for each team, dearest first: {names[0]} {verb} {bears_most}."
    return Chart(
        "by_team",
        "What each team bears",
        says,
        "team",
        "USD",
        series,
        stacked=True,
        notes=(f"The {len(few)} of {len(bears.teams)} teams that bear most.",)
        if len(bears.teams) > len(few)
        else (),
    )


def late_table(sources: SpendSources) -> Table:
    rows = [
        Row(
            f"late{number}",
            (month_text(one.of_month), _payer(one.payer), usd(one.amount, sources.borne())),
        )
        for number, one in enumerate(sources.report.late, start=1)
    ]
    return Table(
        "late",
        "Corrections of earlier months",
        columns(month="Of month", team="Team", amount="USD"),
        tuple(rows),
        empty="Nothing has changed in months that were closed before. A month is closed with"
        " `hedgerow ledger close`.",
        notes=("What was charged to a month after it was billed. Not in what this month cost.",),
    )


def _payer(payer: Payer) -> str:
    return "The platform itself" if payer.is_platform else payer.team or "(no team)"
