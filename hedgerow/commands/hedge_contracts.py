"""`hedgerow hedge contracts`: what can be bought at fixed prices, in standard units."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

import click

from hedge.contracts.comparison import Compared, Mix, compared
from hedge.contracts.contract import KINDS, Contract, DerivativeContract
from hedge.contracts.offered import Offered
from hedge.contracts.shipped import catalogue
from hedge.errors import ContractInvalid
from hedge.venues.executable import Level
from hedgerow.config import load_config
from hedgerow.hedging import offered, references
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers
from hedgerow.printing import json_option, print_json, table

WIDTH = 100
Cell: TypeAlias = Callable[[Compared], str]


class _MixOfTokens(click.ParamType[Mix]):
    name = "mix"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Mix:
        if isinstance(value, Mix):
            return value
        try:
            prompt, cached, completion = (Decimal(one) for one in str(value).split("/"))
            return Mix(prompt, cached, completion)
        except ContractInvalid as error:
            self.fail(str(error), param, ctx)
        except (ValueError, ArithmeticError):
            self.fail(f"{value!r} is no mix of tokens: write it as in 70/10/20", param, ctx)


@click.command()
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Those of its contract files, beside its market's prices. [default: the catalogue]",
)
@click.option("--kind", type=click.Choice(KINDS), help="Only this kind.")
@click.option(
    "--mix",
    type=_MixOfTokens(),
    default="70/10/20",
    show_default=True,
    help="Of a hundred tokens: prompt tokens in no cache, cached ones, completion tokens.",
)
@click.option("--notes", "has_notes", is_flag=True, help="With what a buyer has to know beside.")
@json_option
def contracts(
    path: Path | None, kind: str | None, mix: Mix, has_notes: bool, as_json: bool
) -> None:
    """List and compare contracts: the shipped catalogue's, or your own.

    USD per million tokens are at full use. `break-even` is the utilisation from which a contract
    is cheaper than pay-as-you-go: above 100% it never is. `sure` says how sure the price is.
    """
    if path is None:
        found = Offered(tuple(catalogue().values()))
        market = {}
    else:
        config = load_config(path, os.environ)
        at = datetime.now(UTC)
        found = offered(config, at)
        market = references(quoted_offers(config, known_prices(config, at), at), mix)
    chosen = [one for one in found.contracts if kind in (None, one.kind)]
    rows = [row for one in chosen for row in compared(one, mix, market, found.books)]
    if as_json:
        told = {"prompt": mix.prompt, "cached": mix.cached, "completion": mix.completion}
        print_json({"mix": told, "contracts": rows, "refused": found.refused})
        return
    for sentence in found.refused:
        click.echo(sentence, err=True)
    if not rows:
        click.echo("no contracts; write some under contracts in hedgerow.yaml, or leave out -c")
        return
    click.echo("\n\n".join(texts(chosen, rows, mix, has_notes)))


def texts(
    chosen: Sequence[Contract], rows: Sequence[Compared], mix: Mix, has_notes: bool
) -> Iterator[str]:
    """For a reader, at most WIDTH columns wide."""
    derivatives = {one.name: one for one in chosen if isinstance(one, DerivativeContract)}
    for kind in KINDS:
        of_kind = [row for row in rows if row.kind == kind]
        if not of_kind:
            continue
        cells = _of_derivatives(derivatives) if of_kind[0].contract in derivatives else _CAPACITY
        shown = {title: [cell(row) for row in of_kind] for title, cell in cells.items()}
        columns = {title: column for title, column in shown.items() if any(column)}
        yield f"{kind.replace('_', ' ')}\n\n{_fitting(columns)}"
    if has_notes:
        yield "\n".join(_notes(rows))
    yield "\n".join(
        textwrap.wrap(
            f"Of a hundred tokens {mix.prompt:f} are prompt tokens in no cache, {mix.cached:f}"
            f" cached, {mix.completion:f} of completions. USD/mo: of one unit. PAYG: USD/Mtok at"
            " pay-as-you-go. sure: of the price, on the day it was read; --notes says what is"
            " assumed beside it, as is what stands after ~. Derivatives have no price but in"
            " venues' files: the best bid and ask are shown.",
            WIDTH,
        )
    )


def _fitting(columns: dict[str, list[str]]) -> str:
    """A table that fits: if it does not, the names in its first column are cut."""
    body = table(list(columns), zip(*columns.values(), strict=True))
    excess = max(map(len, body.splitlines())) - WIDTH
    if excess <= 0:
        return body
    names = columns["contract"]
    longest = max(12, max(map(len, names)) - excess)
    cut = [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in names]
    return table(list(columns), zip(*(columns | {"contract": cut}).values(), strict=True))


def _notes(rows: Sequence[Compared]) -> Iterator[str]:
    """Each note once, with all contracts that it is of."""
    of: dict[str, list[Compared]] = {}
    for row in rows:
        of.setdefault(row.note or "", []).append(row)
    for note, having in of.items():
        if note:
            names = ", ".join(dict.fromkeys(row.contract for row in having))
            source = f"({having[0].source}, {having[0].retrieved_at})"
            yield from textwrap.wrap(
                f"- {names}: {note} {source}",
                WIDTH,
                subsequent_indent="  ",
                break_on_hyphens=False,
            )


def _usd(pick: Callable[[Compared], Decimal | None], places: int) -> Cell:
    def cell(row: Compared) -> str:
        amount = pick(row)
        return "" if amount is None else f"{amount:,.{places}f}"

    return cell


def _break_even(row: Compared) -> str:
    return "" if row.break_even is None else f"{row.break_even:.1%}"


_SURE: dict[str, Cell] = {
    "sure": lambda row: row.sure,
    "status": lambda row: "" if row.status == "listed" else row.status,
}
_CAPACITY: Mapping[str, Cell] = {
    "contract": lambda row: row.contract,
    "term": lambda row: row.term,
    "USD/mo": _usd(lambda row: row.usd_per_month, 2),
    "USD/Mtok": _usd(lambda row: row.usd_per_mtok, 3),
    "USD/GPU-h": _usd(lambda row: row.usd_per_gpu_hour, 2),
    "PAYG": _usd(lambda row: row.against_usd_per_mtok, 3),
    "break-even": _break_even,
    **_SURE,
}


def _of_derivatives(known: Mapping[str, DerivativeContract]) -> Mapping[str, Cell]:
    return {
        "contract": lambda row: row.contract,
        "month": lambda row: row.term,
        "bid × lots": lambda row: _level(row.bid),
        "ask × lots": lambda row: _level(row.ask),
        "index": lambda row: known[row.contract].settlement.index[:16],
        "lot": lambda row: f"{known[row.contract].multiplier:f}",
        "settles": lambda row: known[row.contract].settlement.averaging,
        "fees": lambda row: f"{_fees(known[row.contract]):f}",
        "margin": lambda row: _margin(known[row.contract]),
        **_SURE,
    }


def _level(level: Level | None) -> str:
    return "" if level is None else f"{level.price:f} × {level.lots}"


def _fees(contract: DerivativeContract) -> Decimal:
    return contract.fees.trade + contract.fees.settle


def _margin(contract: DerivativeContract) -> str:
    margin = contract.margin
    if margin is None:
        return ""
    return f"{'~' if margin.assumed else ''}{margin.initial:f}"
