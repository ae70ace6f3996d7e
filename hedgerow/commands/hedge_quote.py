"""`hedgerow hedge quote`: a fixed monthly fee for a team, and what became of those agreed on."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hedgerow.arguments import LABEL, USD_FROM_ZERO, Ratio
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.printing import config_option, dollars, iso, json_option, moment, print_json, table
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.money import ZERO, Money, as_usd

if TYPE_CHECKING:
    from benchmarks.market import Quoted
    from hedge.book.book import Agreement
    from hedge.book.facts import QuotedFee
    from hedge.fixed_fee.agreements import TeamMonth

WIDTH = 100


@click.command()
@config_option
@click.option("--team", type=LABEL, help="Whom the fee is for. [default: what was agreed]")
@click.option(
    "--confidence",
    type=Ratio(0.5, 0.99),
    default=0.95,
    show_default=True,
    help="The team pays its share of the platform's mean month beyond this (CVaR).",
)
@click.option(
    "--months",
    type=click.IntRange(1, 12),
    default=3,
    show_default=True,
    help="For how many months, from the next one on.",
)
@click.option(
    "--handling-usd",
    "handling",
    type=USD_FROM_ZERO,
    default="0",
    show_default=True,
    help="What the platform asks for its work, each month.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=1,
    show_default=True,
    help="Of the scenarios: equal seeds give equal fees.",
)
@click.option("--by", "who", type=LABEL, help="Who quotes it, so that it can be accepted.")
@click.option("--accept", "quote_id", type=LABEL, metavar="QUOTE", help="Agree to a quote, --by.")
@click.option("--note", type=LABEL, help="What is said with it; it is kept.")
@json_option
def quote(
    path: Path,
    team: str | None,
    confidence: float,
    months: int,
    handling: Money,
    seed: int,
    who: str | None,
    quote_id: str | None,
    note: str | None,
    as_json: bool,
) -> None:
    """The flat monthly fee at which a team's variable cost can be taken over.

    It is the expected cost, the team's share of the platform's bad months, and handling. What is
    included is counted in tokens; those beyond are billed as metered. With --by the quote is kept
    for 14 days; when somebody else accepts it, the team is billed the fee instead of its metered
    cost, by `hedgerow hedge settle`. Without --team: what was agreed, month by month.
    """
    if team is not None and quote_id is not None:
        raise click.UsageError("--team makes a quote and --accept agrees to one: write either")
    if quote_id is not None and who is None:
        raise click.UsageError("write --by: who accepts is kept")
    from hedge.book.book import HedgeBook
    from hedge.fixed_fee.agreements import accept, keep_quote, team_months, to_come
    from hedgerow.market.last_good import known_prices
    from hedgerow.market.offers import quoted_offers

    config, now_ns = load_config(path, os.environ), time.time_ns()
    if team is not None:
        at, kept = instant(now_ns), None
        # Before the books are opened: they are read by another connection.
        quoted = quoted_offers(config, known_prices(config, at), at)
        with books(config, create=False) as store:
            # Scenarios take seconds, for which nobody else is to wait with what they write.
            with store.view():
                made, p_covered = _made(
                    store.sql, quoted, team, confidence, months, handling, seed, now_ns
                )
            if who is not None:
                with store.transaction():
                    kept = keep_quote(HedgeBook(store.sql, now_ns), made, who).id
        _print_quote(made, p_covered, kept, as_json)
        return
    agreed = None
    writes = who is not None
    with (
        books(config, create=False) as store,
        store.transaction() if writes else store.view(),
    ):
        book = HedgeBook(store.sql, now_ns)
        if quote_id is not None:
            agreed = accept(book, quote_id, who or "", note)
        seen, coming = list(team_months(book)), to_come(book)
    if agreed is not None:
        click.echo(f"{agreed.id} is agreed on, by {who}", err=True)
    if as_json:
        print_json(
            {
                "months": [_described(one) for one in seen],
                "to_come": [_coming(one) for one in coming],
            }
        )
    elif seen or quote_id is None:
        click.echo("\n".join(_lines(seen, coming)))


def _made(
    sql: Sql,
    quoted: Mapping[str, Sequence[Quoted]],
    team: str,
    confidence: float,
    months: int,
    handling: Money,
    seed: int,
    now_ns: int,
) -> tuple[QuotedFee, float]:
    from hedge.book.facts import QuotedFee
    from hedge.book.plans import NANOS_PER_DAY
    from hedge.fixed_fee.agreements import VALID_DAYS
    from hedge.fixed_fee.metered import metered_share
    from hedge.fixed_fee.quoting import fixed_fee
    from hedge.scenarios.draw import EVALUATION_COUNT, draw
    from hedge.scenarios.forecast import forecast
    from hedge.scenarios.ledger_demand import OTHERS, of_team

    found = forecast(sql, instant(now_ns), quoted, team=team)
    history = found.history
    drawn = draw(history, found.outlook, seed=seed, count=EVALUATION_COUNT, months=months)
    cost_usd = drawn.list_usd.sum(axis=2) * metered_share(sql, history, team)
    marked = of_team(team, "")
    mine = [w for w, one in enumerate(history.workloads) if one.name.startswith(marked)]
    priced = fixed_fee(team, mine, drawn, cost_usd, confidence, handling)
    others = of_team(team, OTHERS)
    return (
        QuotedFee(
            fee=priced.fee,
            models={
                history.names[w]: tuple(
                    model.removeprefix(marked) for model in history.workloads[w].models
                )
                for w in mine
            },
            others=others if others in history.names else None,
            expires_at_ns=now_ns + VALID_DAYS * NANOS_PER_DAY,
            inputs_sha256=history.sha256(),
            seed=seed,
        ),
        priced.p_covered,
    )


def _print_quote(made: QuotedFee, p_covered: float, kept: str | None, as_json: bool) -> None:
    fee = made.fee
    if as_json:
        print_json(
            {
                "quote": kept,
                "team": fee.team,
                "first_month": f"{fee.first:%Y-%m}",
                "months": fee.months,
                "confidence": fee.confidence,
                "monthly_fee_usd": as_usd(fee.monthly),
                "expected_usd": as_usd(fee.expected),
                "risk_usd": as_usd(fee.risk),
                "handling_usd": as_usd(fee.handling),
                "p_covered": p_covered,
                "included": [
                    {"workload": name, "models": made.models[name], "tokens_per_month": tokens}
                    for name, tokens in fee.included.items()
                ],
                "overage": "as metered, pro rata of the workload's tokens",
                "expires_at": iso(made.expires_at_ns),
                "inputs_sha256": made.inputs_sha256,
                "seed": made.seed,
            }
        )
        return
    parts = [
        ("expected cost", dollars(fee.expected)),
        (f"its share of the worst {1 - fee.confidence:.0%} of runs", dollars(fee.risk)),
        ("handling", dollars(fee.handling)),
        ("fee", dollars(fee.monthly)),
    ]
    included = [(name, f"{tokens / 1e6:,.1f}") for name, tokens in fee.included.items()]
    said = (
        f"In {p_covered:.0%} of the scenarios the fees are enough for what is included. Tokens"
        " beyond are billed as metered. Prices, and the mix of tokens, are the platform's risk."
    )
    kept_said = (
        f"Kept as {kept}, until {moment(made.expires_at_ns)}: somebody else accepts it with"
        f" `hedgerow hedge quote --accept {kept} --by NAME`."
        if kept
        else "Not kept: add --by."
    )
    lines = [
        f"Team {fee.team}, {fee.months} months from {fee.first:%Y-%m}, each:",
        "",
        *table(("USD a month", ""), parts).splitlines(),
        "",
        *table(("included", "Mtok a month"), included).splitlines(),
        "",
        *textwrap.wrap(said, WIDTH),
        *textwrap.wrap(kept_said, WIDTH, break_long_words=False, break_on_hyphens=False),
    ]
    click.echo("\n".join(lines))


def _described(one: TeamMonth) -> dict[str, object]:
    return {
        "quote": one.agreement.id,
        "team": one.agreement.quote.fee.team,
        "month": f"{one.month:%Y-%m}",
        "fee_usd": as_usd(one.bill.fee),
        "overage_usd": as_usd(one.bill.overage),
        "billed_usd": as_usd(one.bill.billed),
        "metered_usd": as_usd(one.bill.metered),
        "platform_result_usd": as_usd(one.bill.result),
        "final": one.is_final,
    }


def _coming(one: Agreement) -> dict[str, object]:
    fee = one.quote.fee
    return {
        "quote": one.id,
        "team": fee.team,
        "first_month": f"{fee.first:%Y-%m}",
        "months": fee.months,
        "monthly_fee_usd": as_usd(fee.monthly),
    }


def _lines(seen: list[TeamMonth], coming: list[Agreement]) -> Iterator[str]:
    for one in coming:
        fee = one.quote.fee
        yield (
            f"Team {fee.team}: {dollars(fee.monthly)} a month for {fee.months} months from"
            f" {fee.first:%Y-%m}, agreed on with {one.accepted_by}."
        )
    if not seen and coming:
        return
    if not seen:
        yield "No fixed fee is agreed on: `hedgerow hedge quote --team NAME` makes a quote."
        return
    if coming:
        yield ""
    rows = [
        (
            one.agreement.quote.fee.team,
            f"{one.month:%Y-%m}{'' if one.is_final else ' so far'}",
            *(
                dollars(amount)
                for amount in (one.bill.billed, one.bill.overage, one.bill.metered, one.bill.result)
            ),
        )
        for one in seen
    ]
    heads = ("team", "month", "billed", "of it overage", "metered", "platform's result")
    yield from table(heads, rows).splitlines()
    final = Money(sum(one.bill.result for one in seen if one.is_final) or ZERO)
    yield ""
    yield f"The platform's own result of the months that are billed: {dollars(final)}."
