"""Hedging: what a configuration offers to a plan, in the words of the hedge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from benchmarks.market import Quoted
from hedge.contracts.capacity import Serving
from hedge.contracts.comparison import Mix
from hedge.contracts.contract import Contract
from hedge.contracts.limits import HedgeLimits
from hedge.contracts.offered import HeldLots, Offered, Owned
from hedge.contracts.terms import Reference
from hedge.venues.executable import usable
from hedge.venues.quotes import read_quotes
from hedgerow.config import Config


def offered(
    config: Config, at: datetime, *, owned: Sequence[Owned] = (), held: Sequence[HeldLots] = ()
) -> Offered:
    """What the contract files say, with what venues quote. Reads the files of quotes.

    Raises QuotesUnreadable.
    """
    limits = next((one.written.limits for one in config.contracts if one.written.limits), None)
    limits = limits or HedgeLimits()
    books = [book for one in config.contracts for path in one.venues for book in read_quotes(path)]
    good, refused = usable(books, at, timedelta(hours=limits.quotes_hours))
    return Offered(
        contracts=tuple(contracts_in(config)),
        workloads=tuple(
            spec.workload() for one in config.contracts for spec in one.written.workloads
        ),
        counterparties=tuple(
            owing for one in config.contracts for owing in one.written.counterparties
        ),
        books=good,
        owned=tuple(owned),
        held=tuple(held),
        limits=limits,
        refused=refused,
    )


def contracts_in(config: Config) -> Iterator[Contract]:
    """Every contract; what covers offers serves the models that these stand under."""
    for one in config.contracts:
        for contract in one.contracts:
            if isinstance(contract, Serving) and contract.covers:
                yield contract.model_copy(update={"models": _served(contract, config)})
            else:
                yield contract


def _served(contract: Serving, config: Config) -> tuple[str, ...]:
    """The models that have an offer that it covers. Where it covers all of a provider's, those of
    them that it names, if it names any: what it carries was measured for these."""
    return tuple(
        name
        for name, model in config.models.items()
        if any(
            cover.provider == offer.provider
            and (
                cover.model == offer.model
                or (cover.model is None and (not contract.models or name in contract.models))
            )
            for cover in contract.covers
            for offer in model.offers
        )
    )


def references(quoted: Mapping[str, Sequence[Quoted]], mix: Mix) -> dict[str, Reference]:
    """What each model costs at pay-as-you-go: its cheapest quote for a mix of tokens. Models of
    which nobody knows a price are left out."""
    found = {}
    for model, offers in quoted.items():
        told = [
            Reference(
                model=model,
                input=one.quote.rates.input,
                cached=one.quote.rates.cache_read,
                output=one.quote.rates.output,
            )
            for one in offers
            if one.quote is not None
        ]
        if told:
            found[model] = min(told, key=mix.usd_per_mtok)
    return found
