"""Designating: the inception memo of a hedge, its rebalancing and its end.

Hedge accounting begins when it is documented, and never before: a memo is of the day on which it is
written. The book keeps it; whether hedge accounting applies is the controller's decision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import msgspec

from hedge.book.book import HedgeBook, PositionKey, position_keys
from hedge.book.designated import Designated
from hedge.book.facts import Dedesignation, Designation, Fill, Method, Rebalancing
from hedge.book.fills import same_again
from hedge.book.lots import per_lot
from hedge.contracts.contract import DerivativeContract
from hedge.contracts.derivatives import Derivative
from hedge.errors import EntryRefused
from ledger.instants import instant

LEDGER = "ledger"
"""Named as the index, it means the price that the ledger paid for a million tokens."""


@dataclass(frozen=True, slots=True)
class Memo:
    """What somebody states of a designation, as in the fact that is made of it. None: it follows
    from plan, fill and terms."""

    objective: str
    probability: Decimal
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    index: str | None = None
    volume: Decimal | None = None
    beta: Decimal | None = None
    method: Method | None = None
    risk: str | None = None
    strategy: str | None = None
    sources: tuple[str, ...] = ()

    def stated(self) -> dict[str, object]:
        """The fields that are, as the fact has them."""
        said = {
            name: value
            for name in self.__slots__
            if (value := getattr(self, name)) not in (None, ())
        }
        return said | {"index": None} if self.index == LEDGER else said


def enter_designation(
    book: HedgeBook,
    record_id: str,
    memo: Memo,
    day: date,
    who: str,
    *,
    fill_id: str,
    lots: int | None,
    month: date | None,
) -> bool:
    """False if it is there already, the same. lots: None: all of the fill that is open and free.
    month: of the purchases; None: that the fill settles in. Raises EntryRefused."""
    if (there := book.designations.get(record_id)) is not None:
        # What was derived when it was written may be another today.
        said = memo.stated() | {"fill": fill_id}
        said |= {} if lots is None else {"lots": lots}
        said |= {} if month is None else {"item_month": month}
        same_again(book, record_id, replace(there.fact, **said))  # type: ignore[arg-type]
        return False
    fill, contract = _derivative(book, fill_id)
    _of_today(book, day)
    key = _key(fill, contract, month)
    item_month = month or key[1]
    if item_month is None:
        raise EntryRefused(f"{contract.name} never expires: write the --month of the purchases")
    if item_month < book.today.replace(day=1):
        raise EntryRefused(f"{item_month:%Y-%m} is over: only purchases to come can be hedged")
    lots = _lots(book, fill_id, key, lots)
    fact = _documented(book, memo, fill_id, contract, key[1], lots, item_month)
    return book.write(record_id, fact, day, who=who)


def enter_rebalancing(
    book: HedgeBook, record_id: str, fact: Rebalancing, day: date, who: str
) -> bool:
    """Raises EntryRefused for a designation that has ended."""
    if book.has(record_id):
        same_again(book, record_id, fact)
        return False
    _of_today(book, day)
    _live(book, fact.designation)
    if fact.volume <= 0:
        raise EntryRefused(f"a volume of {fact.volume} is none: end it with `--kind dedesignation`")
    return book.write(record_id, fact, day, who=who)


def enter_dedesignation(
    book: HedgeBook, record_id: str, fact: Dedesignation, day: date, who: str
) -> bool:
    """Raises EntryRefused for a designation that has ended."""
    if book.has(record_id):
        same_again(book, record_id, fact)
        return False
    _of_today(book, day)
    _live(book, fact.designation)
    return book.write(record_id, fact, day, who=who)


def _of_today(book: HedgeBook, day: date) -> None:
    if day != book.today:
        raise EntryRefused(
            f"it is of {day}, and today is {book.today} (UTC): a hedge is documented when it is"
            " designated, never for a day before or after; write today's --at"
        )


def _live(book: HedgeBook, name: str) -> Designated:
    found = book.designations.get(name)
    if found is None:
        known = ", ".join(one.id for one in book.designations.values() if one.is_live)
        raise EntryRefused(f"there is no designation {name}; there are: {known or 'none'}")
    if found.ended is not None:
        raise EntryRefused(f"{name} ended on {found.ended.day}: {found.ended.fact.reason}")
    return found


def _derivative(book: HedgeBook, fill_id: str) -> tuple[Fill, DerivativeContract]:
    fill = book.fills.get(fill_id)
    if fill is None:
        raise EntryRefused(f"there is no fill {fill_id}: `hedgerow hedge book` shows them")
    contract = book.contract(fill)
    if not isinstance(contract, Derivative):
        raise EntryRefused(
            f"{fill_id} is of {contract.name}, which is capacity: a purchase still to be performed"
            " is no derivative, and is not designated"
        )
    return fill, contract


def _key(fill: Fill, contract: DerivativeContract, month: date | None) -> PositionKey:
    keys = position_keys(fill, contract)
    if len(keys) == 1:
        return keys[0]
    found = next((key for key in keys if key[1] == month), None)
    if found is None:
        told = ", ".join(f"{one:%Y-%m}" for _, one in keys if one is not None)
        raise EntryRefused(
            f"{contract.name} settles in {told}: designate one --month after the other"
        )
    return found


def _lots(book: HedgeBook, fill_id: str, key: PositionKey, wanted: int | None) -> int:
    is_open = sum(lot.units for lot in book.positions[key].lots if lot.fill == fill_id)
    taken = sum(
        one.fact.lots
        for one in book.designations.values()
        if one.is_live
        and one.fact.fill == fill_id
        and one.fact.month == key[1]
        and one.fact.item_month >= book.today.replace(day=1)
    )
    free = is_open - taken if abs(is_open) > abs(taken) else 0
    lots = free if wanted is None else wanted
    if not lots or abs(lots) > abs(free) or (lots > 0) != (free > 0):
        raise EntryRefused(
            f"{fill_id} has {is_open} open lots, {taken} of them designated already:"
            f" {'nothing' if wanted is None else wanted} can be designated of the {free} left"
        )
    return lots


def _documented(
    book: HedgeBook,
    memo: Memo,
    fill_id: str,
    contract: DerivativeContract,
    month: date | None,
    lots: int,
    item_month: date,
) -> Designation:
    if not 0 < memo.probability <= 1:
        raise EntryRefused(f"a probability of {memo.probability} is none: write one as 0.95")
    index = None if memo.index == LEDGER else memo.index or contract.settlement.index
    if memo.volume is None and index is None:
        raise EntryRefused("write --volume: how many million tokens are hedged")
    volume = abs(lots) * per_lot(contract) if memo.volume is None else memo.volume
    if volume <= 0:
        raise EntryRefused(f"a volume of {volume} is none: write how much is hedged")
    price = "the price paid for a million tokens" if index is None else f"the index {index}"
    beta = contract.beta if memo.beta is None else memo.beta
    stated = memo.stated()
    return Designation(
        fill=fill_id,
        month=month,
        lots=lots,
        item_month=item_month,
        models=memo.models,
        providers=memo.providers,
        index=index,
        volume=volume,
        beta=beta,
        method=memo.method or "regression",
        risk=memo.risk or f"changes of {price} until the purchases of {item_month:%Y-%m}",
        objective=memo.objective,
        strategy=memo.strategy or _strategy(book, fill_id),
        sources=memo.sources or _sources(contract, index, beta),
        probability=memo.probability,
        derived=tuple(name for name in _DERIVED if name not in stated),
    )


_DERIVED = ("index", "volume", "beta", "method", "risk", "strategy", "sources")


class _Position(msgspec.Struct):
    contract: str
    why: str = ""


class _Reasons(msgspec.Struct):
    positions: tuple[_Position, ...] = ()


def _strategy(book: HedgeBook, fill_id: str) -> str:
    """What the approved plan says of why."""
    fill = book.fills[fill_id]
    plan = book.plans[fill.plan]
    said = msgspec.json.decode(plan.text, type=_Reasons)
    why = next((one.why for one in said.positions if one.contract == fill.contract), "")
    on = f"as {plan.id} of {instant(plan.at_ns):%Y-%m-%d} says, which was approved"
    return f"{on}: {why}" if why else on


def _sources(
    contract: DerivativeContract, index: str | None, beta: Decimal | None
) -> tuple[str, ...]:
    """Of ineffectiveness, that the terms themselves show."""
    of = contract.settlement.index
    found = ["the volume bought differs from the volume hedged"]
    if index is None:
        found.append(f"basis: what is paid for tokens moves apart from {of}")
    elif index != of:
        found.append(f"basis: {index} moves apart from {of}")
    if index is not None and beta is None:
        found.append(f"beta: how far what is paid follows {index} is not known")
    elif index is not None and beta != 1:
        found.append(f"beta: what is paid follows {index} by {beta}, as estimated")
    if contract.settlement.averaging == "last":
        found.append("timing: it settles on one day, purchases are made all month")
    if not contract.cleared:
        found.append(f"credit: {contract.owed_by} owes it, and no house clears it")
    return tuple(found)
