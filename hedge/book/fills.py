"""Fills: what was bought or sold, held against what was approved and what the contract sells."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hedge.book.book import HedgeBook, position_keys
from hedge.book.facts import Fill
from hedge.book.fees import fees_as_bought
from hedge.book.lots import Position, nanos, notional
from hedge.book.plans import AnyContract, Plan
from hedge.book.terms import commitment_of, per_unit_usd, price_of, schedule_of
from hedge.contracts.capacity import GpuBlock
from hedge.contracts.contract import CapacityContract, DerivativeContract
from hedge.contracts.derivatives import Derivative, Event, Forward, Future, Perpetual
from hedge.contracts.terms import MAX_MONTHS, MAX_UNITS
from hedge.errors import EntryRefused, FillRefused
from ledger.accounting import GlAccount, Line, lines_of
from ledger.calendar_months import months_later
from ledger.commitments import CommitmentKind
from ledger.instants import instant
from ledger.money import Money, usd
from ledger.tables.commitments import CommitmentTable


def enter_fill(book: HedgeBook, fill_id: str, fill: Fill, who: str) -> bool:
    """Take a fill into the book; False if it is there already, the same.

    Raises PlanUnknown, FillRefused, EntryRefused for another one of that id.
    """
    plan = book.plan(fill.plan)
    if book.has(fill_id):
        same_again(book, fill_id, fill)
        return False
    contract = _approved(book, plan, fill)
    day = instant(fill.at_ns).date()
    if isinstance(contract, Derivative):
        _check_derivative(book, fill, contract)
        _check_units(book, plan, fill)
        lines = _traded(book, fill_id, fill, contract)
    else:
        _check_capacity(fill, contract)
        _check_units(book, plan, fill)
        lines = ()
        position = plan.position(fill.contract, fill.months, fill.month)
        utilisation = None if position is None else position.utilisation
        commitment = commitment_of(fill_id, fill, contract, utilisation)
        owned = CommitmentTable(book.sql)
        owned.add(commitment, fees_as_bought(schedule_of(fill, contract)), book.now_ns)
        worth = plan.bids.get(fill.contract)
        if worth is not None and commitment.kind is not CommitmentKind.THROUGHPUT:
            # Until the traffic says; what a minute is worth depends on the minute.
            owned.set_bid_prices({fill_id: worth}, book.now_ns, plan.id)
    return book.write(fill_id, fill, day, who=who, lines=lines)


def same_again(book: HedgeBook, record_id: str, fact: object) -> None:
    """Raises EntryRefused if what is there says something else."""
    if book.fact(record_id) != fact:
        raise EntryRefused(
            f"{record_id} is in the book already and says something else: records are never"
            " changed; correct it with `--kind correction`, and enter this one under an id of its"
            " own"
        )


def _approved(book: HedgeBook, plan: Plan, fill: Fill) -> AnyContract:
    contract = plan.contracts.get(fill.contract)
    if contract is None:
        known = ", ".join(plan.contracts)
        raise FillRefused(f"{plan.id} has no contract {fill.contract}; it has: {known}")
    if fill.at_ns > book.now_ns:
        raise FillRefused(f"the trade is of {_when(fill.at_ns)}, which is still to come")
    if not plan.approved_at(fill.at_ns):
        held = "; it was from " + ", and from ".join(
            f"{_when(one.at_ns)} to {_when(one.ends_ns)}" for one in plan.approvals
        )
        raise FillRefused(
            f"{plan.id} was not approved at {_when(fill.at_ns)}{held if plan.approvals else ''}:"
            f" have a second person approve it with `hedgerow hedge approve {plan.id}` before it is"
            " bought"
        )
    day = instant(fill.at_ns).date()
    if not contract.can_be_bought_on(day):
        raise FillRefused(
            f"{contract.name} cannot be bought on {day}: it is {contract.status}, from"
            f" {contract.valid_from or 'ever'} to {contract.valid_to or 'ever'}"
        )
    if not fill.units:
        raise FillRefused("0 units are no fill: leave it out")
    if abs(fill.units) > MAX_UNITS:
        raise FillRefused(f"{fill.units} units are more than a fill can have, {MAX_UNITS}")
    return contract


def _check_units(book: HedgeBook, plan: Plan, fill: Fill) -> None:
    """All fills of a position of the plan together stay between nothing and what it says."""
    position = plan.position(fill.contract, fill.months, fill.month)
    planned = 0 if position is None else position.units
    before = sum(
        one.units
        for one in book.fills.values()
        if one.plan == plan.id
        and one.contract == fill.contract
        and position is plan.position(one.contract, one.months, one.month)
    )
    after = before + fill.units
    shrinks = abs(after) < abs(before) and before * after >= 0
    if min(0, planned) <= after <= max(0, planned) or shrinks:
        return
    if fill.over is None:
        raise FillRefused(
            f"{plan.id} approves {planned} units of {fill.contract}{_of(fill)}, {before} are"
            f" filled: {fill.units} more are not approved; have another plan approved, or say why"
            " with --over"
        )


def _of(fill: Fill) -> str:
    if fill.month is not None:
        return f" for {fill.month:%Y-%m}"
    return "" if fill.months is None else f" for {fill.months} months"


def _when(at_ns: int) -> str:
    """Seconds only where there are some."""
    return f"{instant(at_ns):%Y-%m-%d %H:%M:%S}".removesuffix(":00") + " UTC"


# -- capacity


def _check_capacity(fill: Fill, contract: CapacityContract) -> None:
    if fill.units < 0:
        raise FillRefused(
            f"{contract.name} is capacity, which is not sold short: enter what was sold on with"
            " --kind resale"
        )
    if fill.month is not None or fill.roll is not None:
        raise FillRefused(f"{contract.name} is capacity: it has --months, no --month and no --roll")
    if not contract.size.sells(fill.units):
        raise FillRefused(
            f"{contract.name} is not sold in {fill.units} units, but in {contract.size.min} and"
            f" steps of {contract.size.step} up to {contract.size.max}"
        )
    day = instant(fill.at_ns).date()
    if fill.starts is not None and fill.starts < day:
        raise FillRefused(f"the term starts on {fill.starts}, before it was bought on {day}")
    if fill.starts is not None and fill.starts > months_later(day, MAX_MONTHS):
        raise FillRefused(
            f"the term starts on {fill.starts}, more than {MAX_MONTHS} months after it was bought"
        )
    if isinstance(contract, GpuBlock) and contract.ends < day:
        raise FillRefused(f"{contract.name} ended on {contract.ends}, before the trade of {day}")
    price = price_of(fill, contract)
    if fill.price_usd > per_unit_usd(price):
        term = "month" if price.term_days is None else f"{price.term_days} days"
        raise FillRefused(
            f"{contract.name} costs {per_unit_usd(price)} USD per unit and {term}, the fill says"
            f" {fill.price_usd}: it is not what was approved; have a plan with the new terms"
            " approved"
        )


# -- derivatives


def _traded(
    book: HedgeBook, fill_id: str, fill: Fill, contract: DerivativeContract
) -> tuple[Line, ...]:
    lines = list[Line]()
    for key in position_keys(fill, contract):
        position = book.positions.get(key, Position(contract, key[1]))
        _, moved, _ = position.traded(fill_id, fill.units, fill.price_usd, fill.at_ns)
        lines += moved
    fee = trade_fee(contract, fill)
    return (*lines, *lines_of(fill_id, {GlAccount.FEES: fee, GlAccount.CASH: -fee}))


def trade_fee(contract: DerivativeContract, fill: Fill) -> Money:
    """Of one side of a trade: by the lot, and of a perpetual by its notional too."""
    fee = usd(contract.fees.trade) * abs(fill.units)
    if isinstance(contract, Perpetual):
        paid = notional(contract, fill.units, fill.price_usd)
        fee += nanos(contract.taker_fee * Decimal(paid) / 10**9)
    return Money(fee)


def _check_derivative(book: HedgeBook, fill: Fill, contract: DerivativeContract) -> None:
    name = contract.name
    if fill.months is not None or fill.starts is not None or fill.team_rate is not None:
        raise FillRefused(
            f"{name} is a derivative: --months, --starts and --team-rate-usd are of capacity"
        )
    if isinstance(contract, Perpetual) != (fill.month is None):
        what = "it never expires: leave --month out" if fill.month else "name its --month"
        raise FillRefused(f"{name} is a {contract.kind}: {what}")
    if isinstance(contract, Forward) and fill.month != contract.delivery.replace(day=1):
        raise FillRefused(f"{name} is delivered in {contract.delivery:%Y-%m}: name that --month")
    if fill.month is not None:
        _check_month(fill.month, instant(fill.at_ns).date(), contract)
    funded_ns = book.funded_until_ns.get(name, 0)
    if fill.month is None and fill.at_ns <= funded_ns:
        raise FillRefused(
            f"funding of {name} is in the book until {_when(funded_ns)}: a fill of before comes too"
            " late"
        )
    if fill.price_usd <= 0:
        raise FillRefused(f"a price of {fill.price_usd} USD is none: write what was traded at")
    if fill.price_usd % contract.tick_usd:
        raise FillRefused(
            f"{name} trades in ticks of {contract.tick_usd} USD: {fill.price_usd} is between two"
        )
    if isinstance(contract, Event) and fill.price_usd > contract.payout_usd:
        raise FillRefused(
            f"{name} pays {contract.payout_usd} USD at most: {fill.price_usd} is no price of it"
        )
    for key in position_keys(fill, contract):
        settled = None if key[1] is None else book.settled.get((name, key[1]))
        if settled is not None:
            raise FillRefused(
                f"{name} of {settled.month:%Y-%m} was settled at {settled.price_usd} USD: a fill of"
                " it comes too late"
            )
        there = book.positions.get(key)
        if there is not None and there.lots and _terms(there.contract) != _terms(contract):
            raise FillRefused(
                f"lots of {name} are open under other terms than {fill.plan} has: name the changed"
                " contract otherwise"
            )
        held = 0 if there is None else there.units
        limit, after = contract.position_limit, held + fill.units
        if limit is not None and abs(after) > max(limit, abs(held)):
            raise FillRefused(
                f"{name} may be held in {limit} lots of a month, with this fill it would be"
                f" {abs(after)}"
            )


def _check_month(month: date, day: date, contract: DerivativeContract) -> None:
    """Whether what settles in a month was there on the day of the trade."""
    if month < day.replace(day=1):
        raise FillRefused(f"{contract.name} of {month:%Y-%m} was over when it was traded on {day}")
    ahead = contract.listed_months if isinstance(contract, Future) else MAX_MONTHS
    if month > months_later(day, ahead):
        raise FillRefused(
            f"{contract.name} is listed for {ahead} months ahead: {month:%Y-%m} was none of them"
            f" on {day}"
        )


_NOT_OF_LOTS = {
    *("provider", "source", "status", "valid_from", "valid_to", "apply_order"),
    *("size", "beta", "position_limit", "margin", "listed_months", "block_min"),
}


def _terms(contract: DerivativeContract) -> dict[str, object]:
    """What the value and the settlement of lots hang on."""
    return contract.model_dump(exclude=_NOT_OF_LOTS)


def describe(fill: Fill) -> str:
    side = "bought" if fill.units > 0 else "sold"
    return f"{side} {abs(fill.units)} × {fill.contract}{_of(fill)} at {fill.price_usd} USD"


def roll_cost(book: HedgeBook, roll: str) -> Money:
    """What a roll cost: what was paid for the new lots less what the old ones brought, and the
    fees of both."""
    cost = 0
    for fill in book.fills.values():
        contract = book.contract(fill)
        if fill.roll == roll and isinstance(contract, Derivative):
            paid = notional(contract, fill.units, fill.price_usd)
            cost += (paid if fill.units > 0 else -paid) + trade_fee(contract, fill)
    return Money(cost)
