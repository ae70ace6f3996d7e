"""HedgeBook: the state of the book, folded from its records, and the only way to write more.

One object is used within one transaction; what it writes, it takes into its state at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from hedge.book.designated import Designated
from hedge.book.facts import (
    AcceptedFee,
    Approval,
    Bill,
    BilledFee,
    Correction,
    Dedesignation,
    Deposit,
    Designation,
    Expense,
    Fact,
    Fill,
    Funding,
    KeptPlan,
    MarginCall,
    Mark,
    Notice,
    Payment,
    QuotedFee,
    Rebalancing,
    Resale,
    Settled,
    Withdrawal,
    fact_of,
    record_of,
)
from hedge.book.lots import Position
from hedge.book.margin import Call, MarginAccount, after_deposit, margin_account
from hedge.book.plans import AnyContract, Plan, plan_of
from hedge.book.schedule import Schedule
from hedge.book.terms import schedule_of
from hedge.contracts.contract import CapacityContract, DerivativeContract
from hedge.contracts.derivatives import Derivative, Swap
from hedge.errors import PlanUnknown
from ledger.accounting import GlAccount, Line, Record
from ledger.calendar_months import months_later
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.money import Money
from ledger.tables.records import RecordTable

PositionKey = tuple[str, date | None]
"""The contract's name, and the month."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Capacity that one fill bought. units: what is left of it after resales; schedule: the fees
    of those, and of all before. earlier: the commitments that were sold on, wholly or in part, each
    on its day of `resold`. has_notice: it does not renew itself."""

    fill: str
    contract: CapacityContract
    units: int
    schedule: Schedule
    commitment: str
    earlier: tuple[str, ...] = ()
    resold: tuple[date, ...] = ()
    has_notice: bool = False

    @property
    def starts(self) -> date:
        return self.schedule.starts

    @property
    def ends(self) -> date:
        """The day after its last one."""
        return self.schedule.ends


@dataclass(frozen=True, slots=True)
class Agreement:
    """A fixed fee that was quoted. accepted_by: None while nobody has. bills: oldest first."""

    id: str
    quote: QuotedFee
    quoted_by: str
    accepted_by: str | None = None
    bills: tuple[BilledFee, ...] = ()


class HedgeBook:
    """now_ns: when what is written now is known. until: a day, for reading: as the book stood at
    its beginning, by the days that its records are of."""

    def __init__(self, sql: Sql, now_ns: int, until: date | None = None) -> None:
        self.sql = sql
        self.now_ns = now_ns
        self.plans: dict[str, Plan] = {}
        self.fills: dict[str, Fill] = {}
        """Those that were not corrected, in their order."""
        self.holdings: dict[str, Holding] = {}
        self.positions: dict[PositionKey, Position] = {}
        """Those that were settled or closed have no lots."""
        self.settled: dict[tuple[str, date], Settled] = {}
        self.marked_on: dict[PositionKey, date] = {}
        self.calls: list[Call] = []
        self.agreements: dict[str, Agreement] = {}
        self.designations: dict[str, Designated] = {}
        self.funded_until_ns: dict[str, int] = {}
        self.balances: defaultdict[tuple[GlAccount, str], int] = defaultdict(int)
        self._records = RecordTable(sql)
        self._facts: dict[str, tuple[Fact, tuple[Line, ...]]] = {}
        for record in self._records.read():
            if until is None or record.day < until:
                self._take(record, fact_of(record))

    @property
    def today(self) -> date:
        return instant(self.now_ns).date()

    def write(
        self, record_id: str, fact: Fact, day: date, *, who: str, lines: tuple[Line, ...] = ()
    ) -> bool:
        """False if the record is there already: then nothing changes."""
        record = record_of(record_id, fact, day, at_ns=self.now_ns, who=who, lines=lines)
        if not self._records.append(record):
            return False
        self._take(record, fact)
        return True

    def fact(self, record_id: str) -> Fact | None:
        found = self._facts.get(record_id)
        return None if found is None else found[0]

    def lines(self, record_id: str) -> tuple[Line, ...]:
        return self._facts[record_id][1]

    def has(self, record_id: str) -> bool:
        return record_id in self._facts

    def plan(self, plan_id: str) -> Plan:
        """By its id, or by what it begins with if that is of one alone. Raises PlanUnknown."""
        found = [one for name, one in self.plans.items() if name.startswith(plan_id)]
        if len(found) == 1:
            return found[0]
        if found:
            raise PlanUnknown(f"{plan_id} is the beginning of {len(found)} plans: write more of it")
        raise PlanUnknown(
            f"no plan {plan_id} is kept: `hedgerow hedge book` lists those that are;"
            " `hedgerow hedge plan --save` keeps one"
        )

    def contract(self, fill: Fill) -> AnyContract:
        """Its terms, as its plan keeps them."""
        return self.plans[fill.plan].contracts[fill.contract]

    def balance(self, account: GlAccount, about: str | None = None) -> Money:
        """Of all that it is about, or of one."""
        if about is not None:
            return Money(self.balances.get((account, about), 0))
        return Money(sum(amount for (of, _), amount in self.balances.items() if of is account))

    def balances_about(self, about: str) -> dict[tuple[GlAccount, str], Money]:
        return {
            key: Money(amount)
            for key, amount in self.balances.items()
            if key[1] == about and amount
        }

    def open_positions(self) -> Iterator[tuple[PositionKey, Position]]:
        """By contract and month."""
        for key in sorted(self.positions, key=lambda key: (key[0], key[1] or date.min)):
            if self.positions[key].lots:
                yield key, self.positions[key]

    def margin_accounts(self) -> list[MarginAccount]:
        """Of everybody with whom margin lies or positions are open, by name."""
        owed: dict[str, list[Position]] = {
            about.removeprefix(MARGIN): []
            for (account, about), amount in self.balances.items()
            if account is GlAccount.MARGIN_DEPOSITS and amount
        }
        for _, position in self.open_positions():
            owed.setdefault(position.contract.owed_by, []).append(position)
        return [margin_account(name, self.deposits(name), owed[name]) for name in sorted(owed)]

    def deposits(self, counterparty: str) -> Money:
        return self.balance(GlAccount.MARGIN_DEPOSITS, MARGIN + counterparty)

    def is_whole(self, fill_id: str) -> bool:
        """Whether nothing came of a derivative's fill yet but lots, which are all open."""
        fill = self.fills[fill_id]
        if fill.at_ns <= self.funded_until_ns.get(fill.contract, 0):
            return False
        contract = self.contract(fill)
        keys = position_keys(fill, contract) if isinstance(contract, Derivative) else ()
        return all(
            [lot.units for lot in self.positions[key].lots if lot.fill == fill_id] == [fill.units]
            for key in keys
        )

    # -- the fold

    def _take(self, record: Record, fact: Fact) -> None:
        self._facts[record.id] = (fact, record.lines)
        for line in record.lines:
            self.balances[line.account, line.about] += line.amount
        match fact:
            case KeptPlan():
                self.plans[record.id] = plan_of(record.id, record.who, record.at_ns, fact)
            case Approval():
                plan = self.plans[fact.plan]
                self.plans[fact.plan] = plan.with_approval(record.who, record.at_ns, fact)
            case Withdrawal():
                self.plans[fact.plan] = self.plans[fact.plan].withdrawn(record.at_ns)
            case Fill():
                self._fill(record.id, fact)
            case Correction():
                self._correct(fact.of)
            case Notice():
                self.holdings[fact.fill] = replace(self.holdings[fact.fill], has_notice=True)
            case Resale():
                self._resell(record, fact)
            case Deposit():
                at = self.deposits(fact.counterparty)
                self.calls = [
                    after_deposit(one, at, record.day)
                    if one.counterparty == fact.counterparty
                    else one
                    for one in self.calls
                ]
            case Mark():
                self._mark(record, fact)
            case Settled():
                key = (fact.contract, fact.month)
                self.settled[key] = fact
                self.positions[key] = replace(self.positions[key], lots=())
            case Funding():
                self.funded_until_ns[fact.contract] = fact.until_ns
            case MarginCall():
                self.calls.append(
                    Call(fact.counterparty, record.day, fact.amount, fact.level, fact.due_at_ns)
                )
            case QuotedFee():
                self.agreements[record.id] = Agreement(record.id, fact, record.who)
            case AcceptedFee():
                agreed = replace(self.agreements[fact.quote], accepted_by=record.who)
                self.agreements[fact.quote] = agreed
            case BilledFee():
                agreed = self.agreements[fact.quote]
                bills = (*agreed.bills, fact)
                self.agreements[fact.quote] = replace(agreed, bills=bills)
            case Designation():
                self.designations[record.id] = Designated.of(record, fact)
            case Rebalancing() | Dedesignation():
                of = fact.designation
                self.designations[of] = self.designations[of].after(record, fact)
            case Bill() | Expense() | Payment():
                pass  # lines say all of it

    def _fill(self, fill_id: str, fill: Fill) -> None:
        self.fills[fill_id] = fill
        contract = self.contract(fill)
        if isinstance(contract, Derivative):
            for key in position_keys(fill, contract):
                position = self.positions.get(key, Position(contract, key[1]))
                self.positions[key], _, _ = position.traded(
                    fill_id, fill.units, fill.price_usd, fill.at_ns
                )
        else:
            self.holdings[fill_id] = Holding(
                fill_id, contract, fill.units, schedule_of(fill, contract), fill_id
            )

    def _correct(self, of: str) -> None:
        if self.fills.pop(of, None) is None:
            return
        self.holdings.pop(of, None)
        for key, position in self.positions.items():
            kept = tuple(lot for lot in position.lots if lot.fill != of)
            self.positions[key] = replace(position, lots=kept)

    def _resell(self, record: Record, fact: Resale) -> None:
        holding = self.holdings[fact.fill]
        left = holding.units - fact.units
        self.holdings[fact.fill] = replace(
            holding,
            units=left,
            schedule=holding.schedule.kept(record.day, left, holding.units),
            commitment=record.id,
            earlier=(*holding.earlier, holding.commitment),
            resold=(*holding.resold, record.day),
        )

    def _mark(self, record: Record, fact: Mark) -> None:
        key = (fact.contract, fact.month)
        self.positions[key], _ = self.positions[key].marked(fact.price_usd, fact.at_ns)
        self.marked_on[key] = record.day


MARGIN = "margin:"
"""Before the counterparty, where lines are about what is deposited with it."""
FUNDING = "funding:"
"""Before the contract, where lines are about a perpetual's funding."""


def position_keys(fill: Fill, contract: DerivativeContract) -> list[PositionKey]:
    """The positions that a fill moves: a swap is one of each of its months."""
    if fill.month is None:
        return [(fill.contract, None)]
    count = contract.months if isinstance(contract, Swap) else 1
    return [(fill.contract, months_later(fill.month, at)) for at in range(count)]
