"""The book under any sequence of entries, prices and settlements, beside a naive model of it.

The model holds single lots in lists and knows neither accounts nor records.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.settling import settle
from hedge.errors import EntryRefused
from ledger.accounting import GlAccount, by_account
from ledger.audit import verify
from ledger.business_days import business_days
from ledger.databases.sql import Dialect
from ledger.money import Money, usd
from ledger.tables.fixings import Fixing, FixingTable
from ledger.tables.records import RecordTable
from tests.hedge.book.contracts import DESK, EVENT, GPU1, PTU, approved, at
from tests.ledger.databases import Books, MakeBooks

START = date(2026, 1, 5)
NANOS = 10**9
DAY = timedelta(days=1)
CENTS = st.integers(1, 99).map(lambda one: Decimal(one) / 100)
PRICES = st.integers(200, 400).map(lambda one: Decimal(one) / 100)


@dataclass
class One:
    """A single lot."""

    sign: int
    entry: Decimal
    day: date
    fill: str
    mark: Decimal | None = None


@dataclass
class Model:
    """cash, fees, realised in USD. lots: by contract and month."""

    cash: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    deposits: Decimal = Decimal(0)
    lots: defaultdict[tuple[str, date], list[One]] = field(
        default_factory=lambda: defaultdict(list)
    )
    fixings: dict[date, Decimal] = field(default_factory=dict)
    marks: dict[date, Decimal] = field(default_factory=dict)
    """Of GPU1, in every month."""

    def trade(
        self, name: str, month: date, units: int, price: Decimal, day: date, fill: str
    ) -> None:
        lots = self.lots[name, month]
        for _ in range(abs(units)):
            sign = 1 if units > 0 else -1
            if lots and lots[0].sign != sign:
                self._close(name, lots.pop(0), price)
            else:
                lots.append(One(sign, price, day, fill))
                if name == "H100-ABOVE-3":
                    self.cash -= sign * price
        fee = Decimal("5.50") * abs(units) if name == "GPU1" else Decimal(0)
        self.fees += fee
        self.cash -= fee

    def _close(self, name: str, one: One, price: Decimal) -> None:
        gain = one.sign * (price - one.entry) * (730 if name == "GPU1" else 1)
        self.realised += gain
        self.cash += gain if name == "GPU1" else one.sign * price

    def unrealised(self) -> Decimal:
        return sum(
            (
                one.sign * (one.mark - one.entry) * (730 if name == "GPU1" else 1)
                for (name, _), lots in self.lots.items()
                for one in lots
                if one.mark is not None
            ),
            Decimal(0),
        )

    def is_whole(self, fill: str, units: int) -> bool:
        lots = [one for lots in self.lots.values() for one in lots if one.fill == fill]
        return len(lots) == abs(units)

    def take_out(self, name: str, fill: str, units: int, price: Decimal) -> None:
        for lots in self.lots.values():
            lots[:] = [one for one in lots if one.fill != fill]
        fee = Decimal("5.50") * abs(units) if name == "GPU1" else Decimal(0)
        self.fees -= fee
        self.cash += fee if name == "GPU1" else units * price

    def mark(self, today: date) -> None:
        for (name, month), lots in self.lots.items():
            for one in lots:
                days = [on for on in self.marks if one.day <= on < today and on < after(month)]
                if name == "GPU1" and days:
                    one.mark = self.marks[max(days)]

    def settle(self, today: date) -> None:
        for (name, month), lots in self.lots.items():
            last = after(month) - DAY
            if not lots or last >= today:
                continue
            if name == "GPU1":
                days = business_days(month, last + DAY)
                values = [self.fixing(one) for one in days]
                mean = sum(map(Fraction, values), Fraction()) / len(values)
                price = Decimal(mean.numerator) / Decimal(mean.denominator)
                for one in lots:
                    self._close(name, one, price)
                self.fees += Decimal("1.35") * len(lots)
                self.cash -= Decimal("1.35") * len(lots)
            else:
                hits = self.fixing(last) >= 3
                for one in lots:
                    self._close(name, one, Decimal(int(hits)))
            lots.clear()

    def fixing(self, on: date) -> Decimal:
        while on not in self.fixings:
            on -= DAY
        return self.fixings[on]


def after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


class Machine(RuleBasedStateMachine):
    """Each rule is one transaction, in a book that is read anew."""

    make: MakeBooks

    @initialize()
    def begin(self) -> None:
        self.books: Books = self.make()
        self.sql = self.books.open()
        self.today = START
        self.model = Model()
        self.count = 0
        self.entered: list[Entry] = []
        self.corrected = set[str]()
        contracts = (GPU1, EVENT, PTU)
        positions = {"GPU1": 10, "H100-ABOVE-3": 10, "ptu": 100}
        self.plan = approved(self.sql, f"{START - DAY}", positions, *contracts)
        with self.sql.transaction():
            self._publish(START - DAY, Decimal("2.5"))

    def teardown(self) -> None:
        if hasattr(self, "sql"):
            assert verify(self.sql).findings == ()
            self.sql.close()

    def book(self) -> HedgeBook:
        return HedgeBook(self.sql, at(f"{self.today}T18:00"))

    def _publish(self, on: date, value: Decimal) -> None:
        when = at(f"{on}T12:00")
        prices = {"SD-H100": value, "OCPI-H100": value}
        for ahead in range(3):
            prices[f"GPU1 {self._month(ahead, on):%Y-%m}"] = value + 1
        FixingTable(self.sql).add(
            Fixing(name, when, price, when, "test") for name, price in prices.items()
        )
        self.model.fixings[on] = value
        self.model.marks[on] = value + 1

    def _enter(self, kind: EntryKind, **fields: object) -> HedgeBook:
        self.count += 1
        entry = Entry(f"n{self.count}", kind, at(f"{self.today}T12:00"), **fields)  # type: ignore[arg-type]
        with self.sql.transaction():
            book = self.book()
            assert enter(book, entry, DESK)
        self.entered.append(entry)
        return book

    def _month(self, ahead: int, on: date | None = None) -> date:
        month = (on or self.today).replace(day=1)
        for _ in range(ahead):
            month = after(month)
        return month

    # -- rules

    @rule(values=st.lists(st.none() | PRICES, min_size=1, max_size=40))
    def days_pass(self, values: list[Decimal | None]) -> None:
        with self.sql.transaction():
            for value in values:
                if value is not None:
                    self._publish(self.today, value)
                self.today += DAY

    @rule(units=st.integers(-4, 4).filter(bool), price=PRICES, ahead=st.integers(0, 2))
    def trade(self, units: int, price: Decimal, ahead: int) -> None:
        self._trade("GPU1", units, price, ahead)

    @rule(units=st.integers(-4, 4).filter(bool), price=CENTS, ahead=st.integers(0, 1))
    def bet(self, units: int, price: Decimal, ahead: int) -> None:
        self._trade("H100-ABOVE-3", units, price, ahead)

    def _trade(self, name: str, units: int, price: Decimal, ahead: int) -> None:
        month = self._month(ahead)
        self._enter(
            EntryKind.FILL,
            plan=self.plan,
            contract=name,
            units=units,
            price_usd=price,
            month=month,
            reason="as the machine likes",
        )
        self.model.trade(name, month, units, price, self.today, self.entered[-1].id)

    @rule(
        units=st.sampled_from([15, 20]),
        months=st.sampled_from([1, 12]),
        cents=st.integers(1, 22_100),
    )
    def reserve(self, units: int, months: int, cents: int) -> None:
        price = Decimal(cents) / 100
        more = {"plan": self.plan, "contract": "ptu", "reason": "as the machine likes"}
        self._enter(EntryKind.FILL, units=units, price_usd=price, months=months, **more)

    @rule(amount=st.integers(1, 10**13))
    def deposit(self, amount: int) -> None:
        book = self._enter(EntryKind.DEPOSIT, counterparty="cme", amount=Money(amount))
        self.model.deposits += Decimal(amount) / NANOS
        assert all(one.met_on or one.level > book.deposits("cme") for one in book.calls)

    @rule(part=st.fractions(0, 1))
    def take_back(self, part: Fraction) -> None:
        free = next(
            (one.free for one in self.book().margin_accounts() if one.counterparty == "cme"), 0
        )
        amount = int(free * part)
        if amount:
            self._enter(EntryKind.DEPOSIT, counterparty="cme", amount=Money(-amount))
            self.model.deposits -= Decimal(amount) / NANOS

    @rule(part=st.fractions(0, 1), data=st.data())
    @precondition(lambda self: self.book().holdings)
    def pay(self, part: Fraction, data: st.DataObject) -> None:
        book = self.book()
        fill = data.draw(st.sampled_from(sorted(book.holdings)))
        amount = int(-book.balance(GlAccount.COMMITMENT_PAYABLE, fill) * part)
        if amount:
            self._enter(EntryKind.PAYMENT, fill=fill, amount=Money(amount))
            self.model.cash -= Decimal(amount) / NANOS

    @rule(data=st.data(), cents=st.integers(0, 100_000))
    @precondition(lambda self: self.book().holdings)
    def resell(self, data: st.DataObject, cents: int) -> None:
        book = self.book()
        one = book.holdings[data.draw(st.sampled_from(sorted(book.holdings)))]
        if one.units < 5 or one.ends <= self.today:
            return
        units = data.draw(st.sampled_from(range(5, one.units + 1, 5)))
        proceeds = usd(Decimal(cents) / 100)
        self._enter(EntryKind.RESALE, fill=one.fill, units=units, amount=proceeds)
        self.model.cash += Decimal(cents) / 100

    @rule()
    def settle(self) -> None:
        with self.sql.transaction():
            done = settle(self.book())
        self.model.mark(self.today)
        waiting = {sentence.split(":")[0] for sentence in done.waiting}
        late = {
            key: list(lots)
            for key, lots in self.model.lots.items()
            if f"{key[0]} {key[1]:%Y-%m}" in waiting
        }
        for key in late:
            self.model.lots[key] = []
        self.model.settle(self.today)
        self.model.lots.update(late)
        with self.sql.transaction():
            again = settle(self.book())
        assert (again.bills_and_expenses, again.marks, again.settled, again.calls) == (0, 0, [], [])

    @rule(data=st.data())
    @precondition(lambda self: self.entered)
    def enter_again(self, data: st.DataObject) -> None:
        """A line that is there changes nothing, and one that says something else is refused."""
        entry = data.draw(st.sampled_from(self.entered))
        before = list(RecordTable(self.sql).read())
        with self.sql.transaction():
            assert not enter(self.book(), entry, "somebody else")
        assert list(RecordTable(self.sql).read()) == before

    @rule(data=st.data())
    @precondition(lambda self: self.book().fills)
    def correct(self, data: st.DataObject) -> None:
        """A fill of which nothing came but open lots, or capacity that was not sold on, goes with
        all that it moved; any other one is refused."""
        book = self.book()
        fill_id = data.draw(st.sampled_from(sorted(book.fills)))
        fill, holding = book.fills[fill_id], book.holdings.get(fill_id)
        may = (
            self.model.is_whole(fill_id, fill.units)
            if holding is None
            else holding.units == fill.units
        )
        if not may:
            with pytest.raises(EntryRefused, match=r"closed|sold on"):
                self._enter(EntryKind.CORRECTION, fill=fill_id, reason="a wrong one")
            return
        paid = Decimal(-book.balance(GlAccount.CASH, fill_id)) / NANOS
        self._enter(EntryKind.CORRECTION, fill=fill_id, reason="a wrong one")
        if holding is None:
            self.model.take_out(fill.contract, fill_id, fill.units, fill.price_usd)
        else:
            self.model.cash += paid
        assert self.book().balances_about(fill_id) == {}
        self.corrected.add(fill_id)

    # -- what always holds

    @invariant()
    def the_model_agrees(self) -> None:
        if not hasattr(self, "sql"):
            return
        book, model = self.book(), self.model
        lots = {
            (name, month): [
                1 if lot.units > 0 else -1 for lot in one.lots for _ in range(abs(lot.units))
            ]
            for (name, month), one in book.open_positions()
        }
        assert lots == {key: [one.sign for one in lots] for key, lots in model.lots.items() if lots}
        assert_near(book.balance(GlAccount.FEES), model.fees)
        assert_near(-book.balance(GlAccount.REALISED_RESULT), model.realised)
        assert_near(-book.balance(GlAccount.UNREALISED_RESULT), model.unrealised())
        assert_near(book.balance(GlAccount.MARGIN_DEPOSITS), model.deposits)
        assert_near(book.balance(GlAccount.CASH), model.cash - model.deposits)
        carried = sum(one.carried for _, one in book.open_positions())
        assert carried == book.balance(GlAccount.DERIVATIVE_ASSETS) + book.balance(
            GlAccount.DERIVATIVE_LIABILITIES
        )

    @invariant()
    def entries_balance(self) -> None:
        if not hasattr(self, "sql"):
            return
        book = self.book()
        balances = {key: Money(amount) for key, amount in book.balances.items()}
        assert sum(by_account(balances).values()) == 0
        assert all(
            sum(line.amount for line in one.lines) == 0 for one in RecordTable(self.sql).read()
        )

    @invariant()
    def fees_are_spread_over_their_terms(self) -> None:
        """Expensed is what days have passed, to the nano-USD once the term is over."""
        if not hasattr(self, "sql"):
            return
        for one in self.book().holdings.values():
            fee = sum(one.schedule.expenses)
            book = self.book()
            prepaid = book.balance(GlAccount.PREPAID_COMMITMENTS, one.fill)
            expensed = book.balance(GlAccount.COMMITMENT_EXPENSE, one.fill)
            assert expensed <= fee
            if book.has(f"expense:{one.fill}:{one.ends - DAY}"):
                assert expensed == fee
                assert prepaid == 0
            assert prepaid >= -1


def assert_near(amount: int, expected_usd: Decimal) -> None:
    """A mean of many fixings is a price of twelve decimals, so that amounts are that near."""
    assert abs(Decimal(amount) / NANOS - expected_usd) < Decimal("0.00001")


def test_the_book_and_the_model_agree(make_books: MakeBooks) -> None:
    """Whatever is entered, on SQLite and on PostgreSQL: records balance, cash is the sum of what
    flowed, positions are what was filled, lines are entered once, settling twice is settling once,
    and the audit finds nothing."""

    class Here(Machine):
        make = staticmethod(make_books)

    is_here = make_books().dialect is Dialect.SQLITE
    run_state_machine_as_test(
        Here, settings=settings(max_examples=15 if is_here else 4, stateful_step_count=20)
    )
