"""`hedgerow market`: the price board; its subcommands show the past, and the price of GPU-hours."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

import click

from benchmarks.quality import Quality
from benchmarks.quotes import Quote
from benchmarks.stats import Stats
from hedgerow.books import market_books
from hedgerow.config import Config, load_config
from hedgerow.market.board import NOTHING_KNOWN, Board, Line, Past, board, past
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers
from hedgerow.printing import iso, json_option, price_told, print_json, table
from ledger.errors import StoreUnavailable
from ledger.instants import as_ns
from ledger.rates import RateCard

Cell: TypeAlias = Callable[[Line, datetime], str]
"""What stands in a column of an offer's line, at a moment."""


PARTS = ("capacity", "history", "probe", "refresh")


class _Parts(click.Group):
    """Loads a subcommand when it is asked for: there are some that need the whole proxy."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PARTS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"hedgerow.commands.market_{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=_Parts, invoke_without_command=True)
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration, hedgerow.yaml; the board needs it.",
)
@click.option("--model", help="Only this model.")
@json_option
@click.pass_context
def market(ctx: click.Context, path: Path | None, model: str | None, as_json: bool) -> None:
    """What each offer costs, how it answers, and who says so.

    Prices are USD per million tokens; the effective one is per million characters (bytes), for the
    text of our requests of the last week. Latency, errors and refusals for rate are what all
    workers saw in the last five minutes: `?` where nothing was seen.
    """
    if ctx.invoked_subcommand is not None:
        if path is not None or model is not None or as_json:
            raise click.UsageError(
                f"options stand before {ctx.invoked_subcommand}: write them behind it"
            )
        return
    if path is None:
        raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
    config = load_config(path, os.environ)
    at = datetime.now(UTC)
    prices = known_prices(config, at)
    models = quoted_offers(config, prices, at)
    if model is not None:
        config.model(model)
        models = {model: models[model]}
    found = board(models, _known(config, at), at)
    if prices.unasked:
        click.echo(
            f"not asked yet: {', '.join(prices.unasked)}; `hedgerow market refresh` asks", err=True
        )
    if as_json:
        print_json(described(found))
        return
    click.echo("\n\n".join(texts(found)))


def _known(config: Config, at: datetime) -> Past:
    """What the books say; without any, or where they cannot be reached, nothing is known."""
    if config.ledger.path is not None and not config.ledger.path.exists():
        return NOTHING_KNOWN
    try:
        with market_books(config.ledger, create=False) as sql:
            return past(sql, at)
    except StoreUnavailable as error:
        click.echo(f"prices only, nothing of the past: {error}", err=True)
        return NOTHING_KNOWN


# -- for people


def texts(found: Board) -> Iterator[str]:
    for name, lines in found.models.items():
        columns = {title: [cell(one, found.at) for one in lines] for title, cell in _CELLS.items()}
        shown = {
            title: cells for title, cells in columns.items() if title not in _OPTIONAL or any(cells)
        }
        yield f"{name}\n\n{table(list(shown), zip(*shown.values(), strict=True))}"
    mix = found.mix
    of_prompts = mix.prompt_chars / mix.chars
    whose = f"{mix.requests:,} requests of the last week" if mix.is_measured else "assumed"
    yield (
        f"USD/Mchar: effective, of text of which {of_prompts:.0%} are prompts ({whose}).\n"
        "~ something of it is assumed, or it is a feed's word on everybody's traffic."
    )


def _rates(one: Line) -> RateCard | None:
    return None if one.quoted.quote is None else one.quoted.quote.rates


def _priced(pick: Callable[[RateCard], Decimal]) -> Cell:
    def cell(one: Line, _: datetime) -> str:
        rates = _rates(one)
        return "?" if rates is None else f"{pick(rates):f}"

    return cell


def _request(one: Line, _: datetime) -> str:
    rates = _rates(one)
    return f"{rates.request:f}" if rates is not None and rates.request else ""


def _unit(one: Line, _: datetime) -> str:
    rates = _rates(one)
    return f"{rates.unit:f}/{rates.per}" if rates is not None and rates.per else ""


def _effective(one: Line, _: datetime) -> str:
    if one.text is None:
        return "?"
    return f"{'~' if one.text.assumed else ''}{one.text.usd_per_mchar:.4g}"


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f} ms"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.1%}"


def _ttft(one: Line, _: datetime) -> str:
    """Our own, or else a feed's word on everybody's."""
    stats = one.quoted.stats
    if one.seen.ttft_ms_p50 is None and stats is not None and stats.ttft_ms.p50 is not None:
        return f"~{_ms(stats.ttft_ms.p50)}"
    return _ms(one.seen.ttft_ms_p50)


def _tokens_per_s(one: Line) -> float | None:
    gap_ms = one.seen.inter_token_ms_p50
    return 1000 / gap_ms if gap_ms else None


def _speed(one: Line, _: datetime) -> str:
    found, stats = _tokens_per_s(one), one.quoted.stats
    if found is None and stats is not None and stats.tokens_per_s.p50 is not None:
        return f"~{stats.tokens_per_s.p50:,.0f}"
    return "?" if found is None else f"{found:,.0f}"


def _quality(one: Line, _: datetime) -> str:
    """Our own evals' before any index."""
    found = one.quoted.quality
    if not found:
        return ""
    best = found.get("ours") or found[min(found)]
    return f"{best.score:.2f} ({best.low:.2f}–{best.high:.2f}) {best.benchmark}"


def _share(one: Line, _: datetime) -> str:
    if one.share is None:
        return "?"
    return f"{'≤' if one.share.is_joint else ''}{one.share.value:.0%}"


def _source(one: Line, at: datetime) -> str:
    quote = one.quoted.quote
    if quote is None:
        return "nobody: it gets no requests"
    age = "" if one.since is None else f", {_age((at - one.since).total_seconds())}"
    return f"{quote.source}{age}{_more(quote)}"


def _more(quote: Quote) -> str:
    long = any(one.above_prompt_tokens for one in quote.overrides)
    hours = any(one.hours for one in quote.overrides)
    words = [word for word, is_so in (("long prompts", long), ("hours", hours)) if is_so]
    return f" (other prices by {' and '.join(words)})" if words else ""


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return "now"


def _change(one: Line, _: datetime) -> str:
    change = one.next_change
    if change is None:
        return ""
    then = "none" if change.rates is None else f"{change.rates.input:f}/{change.rates.output:f}"
    return f"{change.at:%m-%d %H:%M} {then}"


def _until(one: Line, _: datetime) -> str:
    ends_at = one.quoted.offer.ends_at
    return "" if ends_at is None else f"{ends_at:%Y-%m-%d}"


def _rests(one: Line, at: datetime) -> str:
    """Of the worker that lets it rest longest."""
    until_ns = max((rest.until_ns or 0 for rest in one.rests), default=0)
    if not one.rests:
        return ""
    seconds = (until_ns - as_ns(at)) / 1e9
    return f"{seconds:.0f} s more" if seconds > 0 else "on trial"


def _context(one: Line, _: datetime) -> str:
    tokens = one.quoted.offer.context_tokens
    return "?" if tokens is None else f"{tokens:,}"


_CELLS: Mapping[str, Cell] = {
    "offer": lambda one, _: one.quoted.offer.id,
    "input": _priced(lambda rates: rates.input),
    "output": _priced(lambda rates: rates.output),
    "cached": _priced(lambda rates: rates.cache_read),
    "per request": _request,
    "per unit": _unit,
    "USD/Mchar": _effective,
    "TTFT p50": _ttft,
    "p95": lambda one, _: _ms(one.seen.ttft_ms_p95),
    "tokens/s": _speed,
    "errors": lambda one, _: _percent(one.seen.error_rate),
    "cut off": lambda one, _: _percent(one.seen.truncated_rate),
    "rests": _rests,
    "429s": lambda one, _: _percent(one.seen.rate_limited_rate),
    "quality": _quality,
    "share": _share,
    "context": _context,
    "price from": _source,
    "next price": _change,
    "sold until": _until,
}
_OPTIONAL = frozenset({"per request", "per unit", "quality", "next price", "rests", "sold until"})
"""Columns that are left out where nothing would stand in them."""


# -- for programs


def described(found: Board) -> dict[str, object]:
    mix = found.mix
    return {
        "at": _time(found.at),
        "text": {
            "requests": mix.requests,
            "prompt_chars": mix.prompt_chars,
            "completion_chars": mix.completion_chars,
            "is_measured": mix.is_measured,
        },
        "models": {name: [_line(one) for one in lines] for name, lines in found.models.items()},
    }


def _line(one: Line) -> dict[str, object]:
    offer, quote, seen, text = one.quoted.offer, one.quoted.quote, one.seen, one.text
    change = one.next_change
    return {
        "offer": offer.id,
        "provider": offer.provider,
        "model": offer.model,
        "price": None if quote is None else price_told(quote.rates),
        "source": None if quote is None else quote.source,
        "price_since": _time(one.since),
        "next_change": None
        if change is None
        else {
            "at": _time(change.at),
            "price": None if change.rates is None else price_told(change.rates),
        },
        "effective_usd_per_mchar": None if text is None else round(text.usd_per_mchar, 9),
        "assumed": None if text is None else text.assumed,
        "attempts": seen.attempts,
        "ttft_ms_p50": seen.ttft_ms_p50,
        "ttft_ms_p95": seen.ttft_ms_p95,
        "tokens_per_s": _tokens_per_s(one),
        "error_rate": seen.error_rate,
        "truncated_rate": seen.truncated_rate,
        "rate_limited_rate": seen.rate_limited_rate,
        "rests": [
            {"health": rest.health, "failures": rest.failures, "until": _ns(rest.until_ns)}
            for rest in one.rests
        ],
        "feed_stats": None if one.quoted.stats is None else _stats(one.quoted.stats),
        "quality": {name: _graded(its) for name, its in one.quoted.quality.items()},
        "share": None if one.share is None else round(one.share.value, 6),
        "share_is_joint": one.share is not None and one.share.is_joint,
        "context_tokens": offer.context_tokens,
        "max_output_tokens": offer.max_output_tokens,
        "features": None if offer.features is None else sorted(offer.features),
        "tasks": None if offer.tasks is None else sorted(offer.tasks),
        "ends_at": _time(offer.ends_at),
    }


def _stats(one: Stats) -> dict[str, object]:
    return {
        "source": one.source,
        "as_of": _time(one.as_of),
        "ttft_ms_p50": one.ttft_ms.p50,
        "ttft_ms_p99": one.ttft_ms.p99,
        "tokens_per_s_p50": one.tokens_per_s.p50,
        "uptime_30m": one.uptime_30m,
        "uptime_1d": one.uptime_1d,
    }


def _graded(one: Quality) -> dict[str, object]:
    return {
        "score": one.score,
        "low": one.low,
        "high": one.high,
        "n": one.n,
        "as_of": _time(one.as_of),
        "source": one.source,
    }


def _ns(at_ns: int | None) -> str | None:
    return None if at_ns is None else iso(at_ns)


def _time(at: datetime | None) -> str | None:
    return None if at is None else iso(as_ns(at))
