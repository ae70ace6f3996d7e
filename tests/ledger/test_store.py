"""The store against a naive model of the books: nothing lost, nothing overspent, nothing twice."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.attempts import Hold
from ledger.audit import verify
from ledger.budgets import EACH, Budget, Scope
from ledger.errors import BudgetExceeded, HoldResolved, RowRefused
from ledger.money import Money
from ledger.principals import Principal
from ledger.sqlite_store import SqliteStore
from ledger.windows import Window
from tests.ledger.entries import (
    NOW,
    NOW_NS,
    attempt,
    budget,
    charge,
    hold_of,
    take,
)

ALL, TEAMS, ADA, TAGS = 100, 60, 45, 30
"""Caps in nano-USD: of everything, of each team per day, of one user, of each tag."""
BUDGETS = (
    budget("all", ALL),
    budget("teams", TEAMS, Scope(team=EACH), Window.DAY),
    budget("ada", ADA, Scope(user="ada")),
    budget("tags", TAGS, Scope(tag=EACH), Window.HOUR),
)

principals = st.builds(
    Principal,
    st.just("key_1"),
    team=st.sampled_from(["red", "blue", None]),
    user=st.sampled_from(["ada", "bob"]),
    tags=st.sampled_from([(), ("x",), ("x", "y"), ("y", "y")]),
)

Account = tuple[str, str, object]


class Crash(Exception):
    pass


@dataclass
class Held:
    """What the model knows of a hold."""

    hold: Hold
    amount: int
    accounts: dict[Account, int]
    expires_in_s: int | None
    sent: bool
    batch: str | None = None
    charged: int | None = None
    resolved: bool = False


@dataclass
class Model:
    """The books as a list of holds: every balance is summed from it, each time anew."""

    holds: dict[str, Held] = field(default_factory=dict)

    def posted(self, account: Account) -> int:
        return sum(one.charged or 0 for one in self.holds.values() if account in one.accounts)

    def pending(self, account: Account) -> int:
        return sum(
            one.amount
            for one in self.holds.values()
            if account in one.accounts and not one.resolved
        )

    def overrun(self, account: Account) -> int:
        return sum(
            max(0, one.charged - one.amount)
            for one in self.holds.values()
            if account in one.accounts and one.charged is not None
        )

    def open(self) -> list[str]:
        return [name for name, one in self.holds.items() if not one.resolved]

    def left(self, accounts: dict[Account, int]) -> dict[Account, int]:
        return {one: cap - self.posted(one) - self.pending(one) for one, cap in accounts.items()}


class Books(RuleBasedStateMachine):
    """Holds and their ends in any order, with crashes in between."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "books.db"
        self.store = SqliteStore.open(self.path)
        self.model = Model()
        self.taken = 0
        self.elapsed_s = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @property
    def now_ns(self) -> int:
        return NOW_NS + self.elapsed_s * 1_000_000_000

    def accounts(self, who: Principal) -> dict[Account, int]:
        """By hand: the account and cap that each budget above has for a principal, in order."""
        now = NOW + timedelta(seconds=self.elapsed_s)
        found: dict[Account, int] = {("all", "", None): ALL}
        found["teams", f"team={who.team or ''}", now.date()] = TEAMS
        if who.user == "ada":
            found["ada", "", None] = ADA
        for tag in set(who.tags) or {""}:
            found["tags", f"tag={tag}", (now.date(), now.hour)] = TAGS
        return found

    def new_hold(self, who: Principal, amount: int, batch: str | None = None) -> Hold:
        self.taken += 1
        now = NOW + timedelta(seconds=self.elapsed_s)
        name = f"attempt_{self.taken:04}"
        one = attempt(name, amount, who, at_ns=self.now_ns, account=who.team, batch=batch)
        return hold_of(one, *BUDGETS, now=now)

    def pick(self, data: st.DataObject, names: list[str]) -> tuple[str, Held]:
        name = data.draw(st.sampled_from(names))
        return name, self.model.holds[name]

    # -- what happens

    @rule(who=principals, amount=st.integers(0, 40), expires_in_s=st.none() | st.integers(1, 5000))
    def hold(self, who: Principal, amount: int, expires_in_s: int | None) -> None:
        hold, accounts = self.new_hold(who, amount), self.accounts(who)
        expires = None if expires_in_s is None else self.elapsed_s + expires_in_s
        expires_at_ns = None if expires is None else NOW_NS + expires * 1_000_000_000
        left = self.model.left(accounts)
        if all(amount <= max(0, one) for one in left.values()):
            assert take(self.store, hold, expires_at_ns) == min(left.values()) - amount
            self.model.holds[hold.attempt.id] = Held(
                hold, amount, accounts, expires, sent=expires is None
            )
            return
        with pytest.raises(BudgetExceeded) as refused:
            take(self.store, hold, expires_at_ns)
        narrow = {name[0] for name, one in left.items() if amount > max(0, one)}
        first = next(one.name for one in BUDGETS if one.name in narrow)
        assert refused.value.budget == first
        assert refused.value.needed == amount > refused.value.left
        assert refused.value.left in {one for name, one in left.items() if name[0] == first}

    @rule(
        lines=st.lists(st.tuples(principals, st.integers(0, 20)), max_size=5),
        batch=st.sampled_from(["b1", "b2"]),
    )
    def hold_a_batch(self, lines: list[tuple[Principal, int]], batch: str) -> None:
        """All of its lines, or none: what each account must give is the sum of its lines."""
        holds = [self.new_hold(who, amount, batch) for who, amount in lines]
        accounts = [self.accounts(who) for who, _ in lines]
        left = {one: room for each in accounts for one, room in self.model.left(each).items()}
        needed = {
            one: sum(
                hold.attempt.worst_case
                for hold, own in zip(holds, accounts, strict=True)
                if one in own
            )
            for one in left
        }
        narrow = {one[0] for one in left if needed[one] > max(0, left[one])}
        if narrow:
            with pytest.raises(BudgetExceeded) as refused, self.store.transaction():
                self.store.hold_all(holds)
            assert refused.value.budget in narrow
            assert (refused.value.needed, refused.value.left) in {
                (needed[one], left[one]) for one in left if one[0] == refused.value.budget
            }
            return
        with self.store.transaction():
            made = self.store.hold_all(holds)
        for one, own in zip(made, accounts, strict=True):
            assert one.left == min(left[name] - needed[name] for name in own)
            amount = one.attempt.worst_case
            self.model.holds[one.attempt.id] = Held(one, amount, own, None, sent=True, batch=batch)

    @precondition(lambda self: self.model.open())
    @rule(data=st.data(), amount=st.integers(0, 60))
    def post(self, data: st.DataObject, amount: int) -> None:
        _, held = self.pick(data, self.model.open())
        left = charge(self.store, held.hold, amount)
        held.resolved, held.charged = True, amount
        assert left == min(
            cap - self.model.posted(one) - self.model.pending(one)
            for one, cap in held.accounts.items()
        )

    @precondition(lambda self: self.model.open())
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        name, held = self.pick(data, self.model.open())
        self.end(name, "not connected")
        held.resolved = True

    @precondition(lambda self: any(not one.sent for one in self.model.holds.values()))
    @rule(data=st.data())
    def dispatch(self, data: st.DataObject) -> None:
        unsent = [name for name, one in self.model.holds.items() if not one.sent]
        name, held = self.pick(data, unsent)
        if held.resolved:
            with pytest.raises(HoldResolved), self.store.transaction():
                self.store.dispatch(name, self.now_ns)
        else:
            with self.store.transaction():
                self.store.dispatch(name, self.now_ns)
            held.sent = True

    @rule(seconds=st.integers(1, 40_000))
    def time_passes(self, seconds: int) -> None:
        self.elapsed_s += seconds

    @rule()
    def expire(self) -> None:
        with self.store.transaction():
            expired = self.store.expire(self.now_ns)
        overdue = [
            one
            for one in self.model.holds.values()
            if not one.resolved and not one.sent and (one.expires_in_s or 0) <= self.elapsed_s
        ]
        for one in overdue:
            one.resolved = True
        assert expired == len(overdue)

    @precondition(lambda self: len(self.model.open()) < len(self.model.holds))
    @rule(data=st.data(), posted=st.booleans())
    def resolve_again(self, data: st.DataObject, posted: bool) -> None:
        """An end that has come cannot come again, and changes nothing if it is tried."""
        done = [name for name, one in self.model.holds.items() if one.resolved]
        name, held = self.pick(data, done)
        with pytest.raises(HoldResolved):
            charge(self.store, held.hold, 7) if posted else self.end(name, "again")

    def end(self, name: str, reason: str) -> None:
        with self.store.transaction():
            self.store.void(name, self.now_ns, reason)

    @rule(who=principals)
    def crash_in_a_transaction(self, who: Principal) -> None:
        """A hold that was never committed was never there."""
        hold = self.new_hold(who, 0)

        def begin() -> None:
            with self.store.transaction():
                self.store.hold(hold)
                raise Crash

        with pytest.raises((Crash, BudgetExceeded)):
            begin()
        self.reopen()

    @rule()
    def crash(self) -> None:
        """The worker dies with holds open; the next one posts what may have been billed, in full,
        but for batches, which go on.

        Whoever comes after that finds nothing more to end.
        """
        self.reopen()
        lost = [
            one
            for one in self.model.holds.values()
            if not one.resolved and one.sent and one.batch is None
        ]
        with self.store.transaction():
            assert self.store.recover(self.now_ns) == len(lost)
            assert self.store.recover(self.now_ns) == 0
        for one in lost:
            one.resolved, one.charged = True, one.amount

    def reopen(self) -> None:
        self.store.close()
        self.store = SqliteStore.open(self.path)

    # -- what always holds

    @invariant()
    def balances_are_the_model_s(self) -> None:
        seen: dict[Account, tuple[int, int]] = {}
        for held in self.model.holds.values():
            for account, mine in zip(held.hold.accounts, self.sorted(held), strict=True):
                balance = self.store.balance(account)
                seen[mine] = (balance.posted, balance.pending)
                assert balance.posted + balance.pending <= account.cap + self.model.overrun(mine)
        assert seen == {one: (self.model.posted(one), self.model.pending(one)) for one in seen}

    @invariant()
    def batches_are_found_again(self) -> None:
        """Each open hold of a batch, in pages of two, as it was made and where its money is."""
        for batch in ("b1", "b2"):
            found, after = [], ""
            while page := self.store.open_holds(batch, after, 2):
                assert len(page) <= 2
                assert page[0].attempt.id > after
                found += page
                after = page[-1].attempt.id
            held = [one for one in self.model.holds.values() if one.batch == batch]
            assert [(one.attempt, one.drawn_on) for one in found] == [
                (one.hold.attempt, frozenset(account.key for account in one.hold.accounts))
                for one in held
                if not one.resolved
            ]

    @invariant()
    def open_holds_are_found_by_name(self) -> None:
        for name, one in self.model.holds.items():
            found = self.store.open_hold(name)
            assert (None if found is None else found.attempt) == (
                None if one.resolved else one.hold.attempt
            )

    def sorted(self, held: Held) -> list[Account]:
        """The model's accounts in the order of the hold's."""
        by_name = {(one[0], one[1]): one for one in held.accounts}
        return [by_name[one.budget, one.member] for one in held.hold.accounts]

    @invariant()
    def the_audit_agrees(self) -> None:
        audit = verify(self.store)
        assert audit.verified, audit.findings
        assert audit.attempts == len(self.model.holds)
        assert audit.open_holds == len(self.model.open())
        charged = [one for one in self.model.holds.values() if one.charged is not None]
        assert audit.charges == len(charged)
        assert audit.overrun == sum(max(0, (one.charged or 0) - one.amount) for one in charged)


Books.TestCase.settings = settings(max_examples=50, stateful_step_count=40)
TestBooks = Books.TestCase


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore.open(tmp_path / "books.db")


def rows(store: SqliteStore, table: str) -> int:
    return int(store.database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_refused_hold_leaves_no_trace(store: SqliteStore) -> None:
    """Refused by the third of three scopes, it is as if the first two had never been asked."""
    three = (budget("a", 100), budget("b", 100), budget("c", 10))
    with pytest.raises(BudgetExceeded) as refused:
        take(store, hold_of(attempt("one", 11), *three))
    assert refused.value.budget == "c"
    assert refused.value.left == 10
    assert [rows(store, one) for one in ("accounts", "holds", "hold_accounts", "rate_cards")] == [
        0
    ] * 4


def test_a_refused_step_undoes_itself_alone(store: SqliteStore) -> None:
    """In one transaction, a refused hold goes and its neighbours stay, their rate card included."""
    narrow = budget("narrow", 10)
    refused = []
    with store.transaction():
        for name, amount in (("a", 11), ("b", 4), ("c", 7), ("d", 6)):
            try:
                with store.step():
                    store.hold(hold_of(attempt(name, amount), narrow))
            except BudgetExceeded:
                refused.append(name)
    assert refused == ["a", "c"]
    found = store.database.execute("SELECT attempt_id FROM holds ORDER BY 1").fetchall()
    assert found == [("b",), ("d",)]
    assert verify(store).verified


def test_one_attempt_holds_once(store: SqliteStore) -> None:
    """An attempt id cannot be used for two holds: the second is refused, the first stays."""
    take(store, hold_of(attempt("one", 5), budget("a", 100)))
    with pytest.raises(RowRefused):
        take(store, hold_of(attempt("one", 5), budget("a", 100)))
    assert verify(store).verified


def test_what_was_sent_does_not_expire(store: SqliteStore) -> None:
    """Of two overdue holds the one that was dispatched stays; it may have been billed."""
    cap = budget("cap", 100)
    for name in ("sent", "unsent"):
        take(store, hold_of(attempt(name, 10), cap), expires_at_ns=NOW_NS + 1)
    with store.transaction():
        store.dispatch("sent", NOW_NS)
        assert store.expire(NOW_NS) == 0
        assert store.expire(NOW_NS + 1) == 1
    kinds = store.database.execute("SELECT attempt_id, kind FROM resolutions").fetchall()
    assert kinds == [("unsent", "expired")]
    assert verify(store).verified


def test_there_must_be_a_hold_to_end(store: SqliteStore) -> None:
    """What was never held can be neither posted nor voided."""
    with pytest.raises(HoldResolved, match="no hold"):
        charge(store, hold_of(attempt("never", 5)), 5)


def test_a_zero_budget_admits_what_is_free(store: SqliteStore) -> None:
    """A cap of nothing blocks whatever costs, and lets through what truly costs nothing."""
    nothing = budget("nothing", 0)
    assert take(store, hold_of(attempt("free", 0), nothing)) == 0
    with pytest.raises(BudgetExceeded):
        take(store, hold_of(attempt("paid", 1), nothing))


def test_the_numbers_of_a_refusal(store: SqliteStore) -> None:
    """A refusal says which budget, for whom, cap, spent, held, and when it resets."""
    day = budget("day", 100, Scope(user=EACH), Window.DAY)
    spent, held = hold_of(attempt("spent", 30), day), hold_of(attempt("held", 25), day)
    take(store, spent)
    take(store, held)
    charge(store, spent, 20)
    with pytest.raises(BudgetExceeded) as refused:
        take(store, hold_of(attempt("more", 56), day))
    no = refused.value
    assert (no.budget, no.scope) == ("day", "user=ada")
    assert (no.cap, no.spent, no.held, no.left, no.needed) == (100, 20, 25, 55, 56)
    assert no.resets_at is not None
    assert no.resets_at.isoformat() == "2026-03-15T00:00:00+00:00"


def test_a_lowered_cap_refuses_and_breaks_nothing(store: SqliteStore) -> None:
    """A cap may be lowered under what is spent: only what is free fits then."""
    take(store, hold_of(attempt("one", 50), budget("a", 100)))
    with pytest.raises(BudgetExceeded) as refused:
        take(store, hold_of(attempt("two", 1), budget("a", 40)))
    assert refused.value.left == -10
    assert take(store, hold_of(attempt("free", 0), budget("a", 40))) == -10


def test_a_budget_that_changes_its_window_has_new_accounts(store: SqliteStore) -> None:
    """On the first of a month, day and month begin together: they are two accounts all the same."""
    first = NOW.replace(day=1, hour=1)
    daily, monthly = (budget("a", 100, window=one) for one in (Window.DAY, Window.MONTH))
    take(store, hold_of(attempt("one", 90), daily, now=first))
    assert take(store, hold_of(attempt("two", 90), monthly, now=first)) == 10


def test_budgets_and_keys_are_kept_as_they_were_made(store: SqliteStore) -> None:
    """A budget in the store comes back equal; each change of policy raises its version."""
    kept = Budget("k", Scope(user=EACH, tag="batch"), Window.QUARTER, "Asia/Tokyo", Money(12))
    before = store.policy_version()
    with store.transaction():
        store.add_budget(kept, NOW_NS)
    assert store.budgets() == (kept,)
    assert store.policy_version() > before


@pytest.mark.parametrize("amount", [0, 1, 2**62])
def test_an_attempt_without_a_budget_is_still_booked(store: SqliteStore, amount: int) -> None:
    """Without any budget nothing is refused, and every charge is in the books all the same."""
    hold = hold_of(attempt("one", amount))
    assert take(store, hold) is None
    assert charge(store, hold, amount) is None
    assert rows(store, "usage") == 1
