"""Comparison: contracts in standard units, beside pay-as-you-go.

A standard month has 730 hours. What a million tokens cost is at full use and at a stated mix of
tokens, which decides it where kinds of tokens burn differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from hedge.contracts.arithmetic import HOURS_PER_MONTH, MINUTES_PER_MONTH, MTOK, break_even
from hedge.contracts.capacity import (
    Burndown,
    DedicatedEndpoint,
    FlatPlan,
    GpuBlock,
    PrepaidQuota,
    SpendCommitment,
)
from hedge.contracts.contract import CapacityContract, Contract, DerivativeContract
from hedge.contracts.terms import Price, Reference
from hedge.errors import ContractInvalid
from hedge.venues.executable import Executable, Level

_PLACES = Decimal("0.000001")
_MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Mix:
    """Of a hundred tokens, how many are of each kind. Raises ContractInvalid unless they are 0 or
    more and sum to 100."""

    prompt: Decimal
    cached: Decimal
    completion: Decimal

    def __post_init__(self) -> None:
        shares = (self.prompt, self.cached, self.completion)
        if min(shares) < 0 or sum(shares) != 100:
            raise ContractInvalid(
                f"a mix of {'/'.join(map(str, shares))} does not sum to 100: write the shares of"
                " prompt, cached and completion tokens, as in 70/10/20"
            )

    def units(self, burndown: Burndown) -> Decimal:
        """Capacity units that a token takes on average; requests count nothing."""
        taken = (
            self.prompt * burndown.prompt
            + self.cached * burndown.cached
            + self.completion * burndown.completion
        )
        return taken / 100

    def usd_per_mtok(self, reference: Reference) -> Decimal:
        """What a million tokens cost at pay-as-you-go."""
        cached = reference.input if reference.cached is None else reference.cached
        paid = (
            self.prompt * reference.input
            + self.cached * cached
            + self.completion * reference.output
        )
        return paid / 100


@dataclass(frozen=True, slots=True)
class Compared:
    """A contract at one of its term lengths.

    usd_per_month: of one unit. usd_per_mtok: at full use. usd_per_gpu_hour: where it is of GPUs.
    break_even: the utilisation from which it is cheaper than pay-as-you-go, above 1 never; against:
    which pay-as-you-go, and what a million tokens cost there. bid, ask: a venue's best, with the
    lots that stand there. None where it does not apply, or nobody says it. sure: how sure the
    price is, of a derivative: its terms.
    """

    contract: str
    kind: str
    provider: str
    status: str
    term: str
    usd_per_month: Decimal | None
    usd_per_mtok: Decimal | None
    usd_per_gpu_hour: Decimal | None
    break_even: Decimal | None
    against: str | None
    against_usd_per_mtok: Decimal | None
    bid: Level | None
    ask: Level | None
    sure: str
    retrieved_at: str
    source: str
    note: str | None


def compared(
    contract: Contract,
    mix: Mix,
    market: Mapping[str, Reference] | None = None,
    books: Sequence[Executable] = (),
) -> tuple[Compared, ...]:
    """A row for each of its terms, of a derivative for each month that a venue quotes. market: what
    models cost at pay-as-you-go, by the names that clients ask for; what it does not know, the
    contract's own reference says."""
    if isinstance(contract, DerivativeContract):
        own = [book for book in books if book.contract == contract.name]
        return tuple(_quoted(contract, book) for book in own) or (_row(contract, ""),)
    reference = _reference(contract, mix, market or {})
    return tuple(_priced(contract, price, mix, reference) for price in contract.prices)


def _reference(
    contract: CapacityContract, mix: Mix, market: Mapping[str, Reference]
) -> Reference | None:
    """The cheapest that the market has of what it serves: so no saving is promised that a cheaper
    model of the contract would not bring."""
    known = [market[model] for model in contract.models if model in market]
    return min(known, key=mix.usd_per_mtok, default=contract.reference)


def _priced(
    contract: CapacityContract, price: Price, mix: Mix, reference: Reference | None
) -> Compared:
    fee = price.usd_per_month
    term = f"{price.months} mo" if price.term_days is None else f"{price.term_days} d"
    per_gpu_hour = None
    match contract:
        case SpendCommitment():
            least = break_even(1 - contract.discount, Decimal(1))
            return _row(contract, term, fee, None, None, least, "what it covers")
        case GpuBlock():
            hours = contract.days * 24
            per_gpu_hour = fee / (contract.gpus * hours)
            units = contract.units_per_minute * contract.days * _MINUTES_PER_DAY
            term = f"{contract.days} d"
        case DedicatedEndpoint():
            per_gpu_hour = fee / (contract.gpus * HOURS_PER_MONTH)
            units = contract.units_per_minute * MINUTES_PER_MONTH
        case FlatPlan():
            units = contract.quota_units
        case PrepaidQuota():
            units = contract.quota_units / price.months
        case _:
            units = contract.units_per_minute * MINUTES_PER_MONTH
    per_token = mix.units(contract.burndown)
    per_mtok = None if per_token == 0 else fee * MTOK * per_token / units
    usual = None if reference is None else mix.usd_per_mtok(reference)
    share = None if per_mtok is None or usual is None else break_even(per_mtok, usual)
    return _row(
        contract,
        term,
        fee,
        per_mtok,
        per_gpu_hour,
        share,
        None if reference is None else reference.model,
        usual,
    )


def _quoted(contract: DerivativeContract, book: Executable) -> Compared:
    term = "" if book.month is None else f"{book.month:%Y-%m}"
    return replace(
        _row(contract, term), bid=next(iter(book.bids), None), ask=next(iter(book.asks), None)
    )


def _row(
    contract: Contract,
    term: str,
    usd_per_month: Decimal | None = None,
    usd_per_mtok: Decimal | None = None,
    usd_per_gpu_hour: Decimal | None = None,
    break_even: Decimal | None = None,
    against: str | None = None,
    against_usd_per_mtok: Decimal | None = None,
) -> Compared:
    return Compared(
        contract=contract.name,
        kind=contract.kind,
        provider=contract.provider,
        status=contract.status,
        term=term,
        usd_per_month=usd_per_month,
        usd_per_mtok=_rounded(usd_per_mtok),
        usd_per_gpu_hour=_rounded(usd_per_gpu_hour),
        break_even=break_even,
        against=against,
        against_usd_per_mtok=_rounded(against_usd_per_mtok),
        bid=None,
        ask=None,
        sure=contract.source.verification,
        retrieved_at=contract.source.retrieved_at.isoformat(),
        source=contract.source.url,
        note=contract.source.note,
    )


def _rounded(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(_PLACES, ROUND_CEILING)
