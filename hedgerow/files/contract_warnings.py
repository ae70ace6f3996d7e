"""What is valid in contract files and hardly meant: what is over, and prices that nobody asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date

from hedge.contracts.capacity import GpuBlock, Serving
from hedge.contracts.contract import Contract
from hedge.contracts.derivatives import Forward
from hedge.errors import QuotesUnreadable
from hedge.venues.quotes import read_quotes
from hedgerow.config import Config, Contracts
from hedgerow.errors import ConfigError
from hedgerow.files.config_errors import did_you_mean
from hedgerow.files.yaml_source import Steps


def contract_warnings(config: Config, today: date) -> Iterator[ConfigError]:
    """Reads the files of quotes that venues gave."""
    known = {contract.name for file in config.contracts for contract in file.contracts}
    for file in config.contracts:
        yield from _idle_quotes(file, known)
        own = len(file.written.contracts)
        for at, contract in enumerate(file.contracts):
            steps: Steps = ("contracts", at) if at < own else ("uses", at - own)
            if (over := _over(contract, today)) is not None:
                yield file.places.error(steps, over, "take it out, or renew it")
            elif at >= own and _is_guessed(contract):
                yield file.places.error(
                    steps,
                    f"the price of {contract.name} is assumed by the catalogue",
                    "write prices, and source",
                )


def _idle_quotes(file: Contracts, known: Collection[str]) -> Iterator[ConfigError]:
    """Files of quotes that no plan could read, and books of no contract."""
    for path in file.venues:
        try:
            books = read_quotes(path)
        except QuotesUnreadable as error:
            yield file.places.error(("venues",), str(error), "a plan stops at it")
            continue
        for name in dict.fromkeys(book.contract for book in books if book.contract not in known):
            hint = did_you_mean(name, known) or "write its terms under contracts"
            yield file.places.error(("venues",), f"{path}: no contract is called {name}", hint)


def _over(contract: Contract, today: date) -> str | None:
    if contract.valid_to is not None and contract.valid_to < today:
        return f"{contract.name} could be bought until {contract.valid_to}"
    if isinstance(contract, GpuBlock) and contract.starts < today:
        return f"the window of {contract.name} began on {contract.starts}"
    if isinstance(contract, Forward) and contract.delivery < today:
        return f"{contract.name} was delivered on {contract.delivery}"
    return None


def _is_guessed(contract: Contract) -> bool:
    return isinstance(contract, Serving) and contract.source.verification == "assumed"
