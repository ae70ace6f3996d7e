"""Standing: the book at a moment, as people and reports read it; every amount in USD."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hedge.book.book import FUNDING, HedgeBook, Holding
from hedge.book.designated import Designated
from hedge.book.entries import notice_by
from hedge.book.fills import roll_cost
from hedge.book.lots import Position
from hedge.book.settling import restated, series_of
from hedge.book.utilisation import Utilisation, utilisations
from hedge.contracts.capacity import SpendCommitment
from hedge.contracts.contract import DerivativeContract
from hedge.contracts.derivatives import Derivative
from ledger.accounting import GlAccount, by_account
from ledger.business_days import business_days
from ledger.commitments import MICRO
from ledger.instants import instant
from ledger.money import Money, as_usd

_DAY = timedelta(days=1)
WARN_DAYS = 30
"""How long before its last day a notice is warned of."""


@dataclass(frozen=True, slots=True)
class PlanStanding:
    """filled: units of all its fills, by contract."""

    plan: str
    sha256: str
    made_by: str
    made_at: str
    state: str
    approved_by: tuple[str, ...]
    approved_until: str | None
    planned: dict[str, int]
    filled: dict[str, int]


@dataclass(frozen=True, slots=True)
class CommitmentStanding:
    """ends: the day after the last one. to_bill_usd: of the fee, what is not due yet. renews_on:
    the day on which another term begins unless notice is given by `notice_by`; None if it does
    not renew itself, or not any more. resale_usd: what the days that are left would bring by the
    contract's haircut; None if it cannot be sold on."""

    fill: str
    contract: str
    provider: str
    units: int
    starts: date
    ends: date
    fee_usd: Decimal
    billed_usd: Decimal
    to_bill_usd: Decimal
    payable_usd: Decimal
    prepaid_usd: Decimal
    expensed_usd: Decimal
    resale_result_usd: Decimal
    resale_usd: Decimal | None
    renews_on: date | None
    notice_by: date | None


@dataclass(frozen=True, slots=True)
class UtilisationStanding:
    """What a commitment was used for in a period. used, unused, overage: capacity units. None: not
    known, or not yet. usd_per_mtok: its fee and overage by what drew on it."""

    commitment: str
    contract: str
    since: date
    until: date
    committed: Decimal
    used: Decimal
    unused: Decimal
    overage: Decimal
    utilisation: float | None
    coverage: float | None
    fee_usd: Decimal
    overage_usd: Decimal | None
    stranded_usd: Decimal | None
    usd_per_mtok: Decimal | None


@dataclass(frozen=True, slots=True)
class LotStanding:
    fill: str
    units: int
    entry_usd: Decimal


@dataclass(frozen=True, slots=True)
class PositionStanding:
    """Open lots of a contract in one month, or without any. mark_usd: the last one; None: never
    marked, and carried at entry."""

    contract: str
    month: str | None
    units: int
    lots: tuple[LotStanding, ...]
    mark_usd: Decimal | None
    marked_on: date | None
    unrealised_usd: Decimal


@dataclass(frozen=True, slots=True)
class ResultStanding:
    """What a derivative has brought so far: gains above zero."""

    contract: str
    realised_usd: Decimal
    unrealised_usd: Decimal
    funding_usd: Decimal
    fees_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        return self.realised_usd + self.unrealised_usd + self.funding_usd + self.fees_usd


@dataclass(frozen=True, slots=True)
class DesignationStanding:
    """A memo of a hedge. volume: as last rebalanced. ended: None while it is designated."""

    designation: str
    fill: str
    month: str
    lots: int
    volume: Decimal
    index: str | None
    since: date
    who: str
    sha256: str
    ended: date | None


@dataclass(frozen=True, slots=True)
class MarginStanding:
    counterparty: str
    deposits_usd: Decimal
    unrealised_usd: Decimal
    equity_usd: Decimal
    initial_usd: Decimal
    maintenance_usd: Decimal
    free_usd: Decimal
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallStanding:
    counterparty: str
    day: date
    amount_usd: Decimal
    due_at: str
    state: str


@dataclass(frozen=True, slots=True)
class RollStanding:
    roll: str
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class SettledStanding:
    contract: str
    month: str
    lots: int
    price_usd: Decimal
    gain_usd: Decimal
    fee_usd: Decimal
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestatedStanding:
    """A month whose fixings were restated after it was settled: the result stands."""

    contract: str
    month: str
    settled_usd: Decimal
    now_usd: Decimal
    difference_usd: Decimal


@dataclass(frozen=True, slots=True)
class Standing:
    """liquidity_usd: what margin deposits and prepaid events bind. accounts: the trial balance,
    which sums to zero. warnings: what somebody has to do."""

    plans: tuple[PlanStanding, ...]
    commitments: tuple[CommitmentStanding, ...]
    utilisation: tuple[UtilisationStanding, ...]
    positions: tuple[PositionStanding, ...]
    results: tuple[ResultStanding, ...]
    designations: tuple[DesignationStanding, ...]
    margin: tuple[MarginStanding, ...]
    calls: tuple[CallStanding, ...]
    rolls: tuple[RollStanding, ...]
    settlements: tuple[SettledStanding, ...]
    restated: tuple[RestatedStanding, ...]
    liquidity_usd: Decimal
    accounts: dict[str, Decimal]
    warnings: tuple[str, ...]


def standing(book: HedgeBook) -> Standing:
    commitments = tuple(_commitment(book, one) for one in book.holdings.values())
    positions = tuple(_position(book, key, one) for key, one in book.open_positions())
    return Standing(
        plans=tuple(_plans(book)),
        commitments=commitments,
        utilisation=tuple(map(_utilised, utilisations(book))),
        positions=positions,
        results=tuple(_results(book)),
        designations=tuple(map(_designation, book.designations.values())),
        margin=tuple(_margin(book)),
        calls=tuple(
            CallStanding(
                one.counterparty,
                one.day,
                as_usd(one.amount),
                _iso(one.due_at_ns),
                one.state(book.now_ns),
            )
            for one in book.calls
        ),
        rolls=tuple(
            RollStanding(roll, as_usd(roll_cost(book, roll)))
            for roll in sorted({one.roll for one in book.fills.values() if one.roll})
        ),
        settlements=tuple(
            SettledStanding(
                one.contract,
                f"{one.month:%Y-%m}",
                one.lots,
                one.price_usd,
                as_usd(one.gain),
                as_usd(one.fee),
                one.fallbacks,
            )
            for one in book.settled.values()
        ),
        restated=tuple(
            RestatedStanding(
                one.contract,
                f"{one.month:%Y-%m}",
                one.settled_usd,
                one.now_usd,
                as_usd(one.difference),
            )
            for one in restated(book)
        ),
        liquidity_usd=as_usd(_liquidity(book)),
        accounts={str(one): as_usd(at) for one, at in by_account(_balances(book)).items()},
        warnings=tuple(_warnings(book)),
    )


def _balances(book: HedgeBook) -> dict[tuple[GlAccount, str], Money]:
    return {key: Money(amount) for key, amount in book.balances.items()}


def _liquidity(book: HedgeBook) -> Money:
    """An event's lots were paid for: what they are carried at beyond what they have gained."""
    paid = sum(one.carried - one.unrealised for _, one in book.open_positions())
    return Money(book.balance(GlAccount.MARGIN_DEPOSITS) + paid)


def _plans(book: HedgeBook) -> Iterator[PlanStanding]:
    for plan in book.plans.values():
        filled: dict[str, int] = {}
        for fill in book.fills.values():
            if fill.plan == plan.id:
                filled[fill.contract] = filled.get(fill.contract, 0) + fill.units
        planned: dict[str, int] = {}
        for one in plan.positions:
            planned[one.contract] = planned.get(one.contract, 0) + one.units
        ends = max((one.ends_ns for one in plan.approvals), default=None)
        yield PlanStanding(
            plan.id,
            plan.sha256,
            plan.made_by,
            _iso(plan.at_ns),
            plan.state(book.now_ns),
            tuple(one.who for one in plan.approvals),
            None if ends is None else _iso(ends),
            {name: units for name, units in planned.items() if units},
            filled,
        )


def _commitment(book: HedgeBook, one: Holding) -> CommitmentStanding:
    def at(account: GlAccount) -> Money:
        return book.balance(account, one.fill)

    fee = sum(one.schedule.expenses)
    billed = sum(amount for day, amount in one.schedule.bills if book.has(f"bill:{one.fill}:{day}"))
    renews = one.contract.auto_renew and not one.has_notice and one.units > 0
    return CommitmentStanding(
        fill=one.fill,
        contract=one.contract.name,
        provider=one.contract.provider,
        units=one.units,
        starts=one.starts,
        ends=one.ends,
        fee_usd=as_usd(Money(fee)),
        billed_usd=as_usd(Money(billed)),
        to_bill_usd=as_usd(Money(fee - billed)),
        payable_usd=as_usd(Money(-at(GlAccount.COMMITMENT_PAYABLE))),
        prepaid_usd=as_usd(at(GlAccount.PREPAID_COMMITMENTS)),
        expensed_usd=as_usd(at(GlAccount.COMMITMENT_EXPENSE)),
        resale_result_usd=as_usd(Money(-at(GlAccount.RESALE_RESULT))),
        resale_usd=_resale_usd(book, one),
        renews_on=one.ends if renews else None,
        notice_by=notice_by(one) if renews else None,
    )


def _resale_usd(book: HedgeBook, one: Holding) -> Decimal | None:
    if one.contract.resale is None:
        return None
    left = sum(amount for _, amount in one.schedule.days(book.today, one.ends))
    kept = 1 - Fraction(one.contract.resale.haircut)
    return as_usd(Money(int(left * kept)))


def _utilised(one: Utilisation) -> UtilisationStanding:
    return UtilisationStanding(
        commitment=one.commitment,
        contract=one.contract,
        since=one.since,
        until=one.until,
        committed=_units(one.committed_micro),
        used=_units(one.used_micro),
        unused=_units(one.unused_micro),
        overage=_units(one.overage_micro),
        utilisation=one.utilisation,
        coverage=one.coverage,
        fee_usd=as_usd(one.fee),
        overage_usd=None if one.overage is None else as_usd(one.overage),
        stranded_usd=None if one.stranded is None else as_usd(one.stranded),
        usd_per_mtok=one.usd_per_mtok,
    )


def _units(micro: int) -> Decimal:
    return Decimal(micro) / MICRO


def _position(book: HedgeBook, key: tuple[str, date | None], one: Position) -> PositionStanding:
    marks = [lot.mark_usd for lot in one.lots if lot.mark_usd is not None]
    return PositionStanding(
        contract=key[0],
        month=None if key[1] is None else f"{key[1]:%Y-%m}",
        units=one.units,
        lots=tuple(LotStanding(lot.fill, lot.units, lot.entry_usd) for lot in one.lots),
        mark_usd=marks[0] if marks else None,
        marked_on=book.marked_on.get(key) if marks else None,
        unrealised_usd=as_usd(one.unrealised),
    )


def _derivatives(book: HedgeBook) -> dict[str, DerivativeContract]:
    found = {fill.contract: book.contract(fill) for fill in book.fills.values()}
    return {name: one for name, one in sorted(found.items()) if isinstance(one, Derivative)}


def _results(book: HedgeBook) -> Iterator[ResultStanding]:
    for name in _derivatives(book):
        fills = [fill_id for fill_id, one in book.fills.items() if one.contract == name]

        def result(account: GlAccount, fills: list[str] = fills) -> Decimal:
            return as_usd(Money(-sum(book.balance(account, one) for one in fills)))

        yield ResultStanding(
            name,
            result(GlAccount.REALISED_RESULT),
            result(GlAccount.UNREALISED_RESULT),
            as_usd(Money(-book.balance(GlAccount.FUNDING, FUNDING + name))),
            result(GlAccount.FEES),
        )


def _designation(one: Designated) -> DesignationStanding:
    return DesignationStanding(
        designation=one.id,
        fill=one.fact.fill,
        month=f"{one.fact.item_month:%Y-%m}",
        lots=one.fact.lots,
        volume=one.volume,
        index=one.fact.index,
        since=one.day,
        who=one.who,
        sha256=one.sha256,
        ended=None if one.ended is None else one.ended.day,
    )


def _margin(book: HedgeBook) -> Iterator[MarginStanding]:
    for one in book.margin_accounts():
        yield MarginStanding(
            one.counterparty,
            as_usd(one.deposits),
            as_usd(one.unrealised),
            as_usd(one.equity),
            as_usd(one.initial),
            as_usd(one.maintenance),
            as_usd(one.free),
            one.assumed,
        )


# -- what somebody has to do


def _warnings(book: HedgeBook) -> Iterator[str]:
    for call in book.calls:
        if (state := call.state(book.now_ns)) != "met":
            yield (
                f"margin call of {call.counterparty} of {call.day} is {state}:"
                f" {as_usd(call.amount):,} USD by {instant(call.due_at_ns):%Y-%m-%d %H:%M} UTC"
            )
    for one in utilisations(book):
        if one.is_used_up:
            yield (
                f"{one.commitment} is used to {one.utilisation:.0%}, and lasts until {one.until}:"
                " what it has no room for is paid for as it goes"
            )
    for holding in book.holdings.values():
        yield from _of_holding(book, holding)
    for key, position in book.open_positions():
        yield from _of_position(book, key, position)


def _of_holding(book: HedgeBook, one: Holding) -> Iterator[str]:
    if not one.contract.covers and book.today < one.ends and one.units:
        yield f"{one.fill} covers no offer: nothing draws on it, write `covers` in its contract"
    if isinstance(one.contract, SpendCommitment) and one.contract.per == "hour" and one.units:
        yield (
            f"{one.fill} is lost by the hour, and drawn on by the month: what an hour spends beyond"
            f" its part {one.contract.provider} bills, and the books take it for paid"
        )
    if not one.contract.auto_renew or one.has_notice or not one.units:
        return
    last = notice_by(one)
    if book.today >= one.ends:
        yield (
            f"{one.fill} has renewed itself on {one.ends}, by its terms: enter the fill of the new"
            " term"
        )
    elif book.today > last:
        yield f"{one.fill} renews on {one.ends}: notice had to be given by {last}"
    elif book.today >= last - WARN_DAYS * _DAY:
        yield f"{one.fill} renews on {one.ends} unless notice is given by {last}"


def _of_position(book: HedgeBook, key: tuple[str, date | None], one: Position) -> Iterator[str]:
    name = series_of(key)
    marked = book.marked_on.get(key)
    since = instant(one.lots[0].at_ns).date() if marked is None else marked
    missing = business_days(since + _DAY, book.today)
    if missing:
        last = "was never marked" if marked is None else f"was marked on {marked} last"
        yield f"{name} {last}: import prices of `{name}` with `hedgerow hedge settle --prices`"


def _iso(at_ns: int) -> str:
    return instant(at_ns).isoformat().replace("+00:00", "Z")
