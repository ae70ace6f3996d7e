"""The store against a naive model of the books: nothing lost, nothing overspent, nothing twice.

On a SQLite file and on PostgreSQL alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.attempts import Hold
from ledger.audit import verify
from ledger.budgets import EACH, Budget, Scope
from ledger.databases.sql import Dialect, Sql
from ledger.entries import Drawn, Kind
from ledger.errors import BudgetExceeded, HoldResolved, RowRefused
from ledger.journal import START, Place
from ledger.journal_records import Ended, held_of, lost, posted_of
from ledger.measures import Measure
from ledger.money import Money
from ledger.principals import Principal
from ledger.store import Store
from ledger.tables.leases import Want
from ledger.tables.writers import AlreadyFolded, Posted
from ledger.windows import Window, window_of
from tests.ledger.databases import Books, MakeBooks
from tests.ledger.entries import (
    NOW,
    NOW_NS,
    attempt,
    budget,
    charge,
    hold_of,
    room_in,
    settlement,
    take,
    writer_of,
)

ALL, TEAMS, ADA, TAGS, ROLLING = 100, 60, 45, 30, 70
"""Caps in nano-USD: of everything, of each team per day, of one user, of each tag, of each key."""
BUDGETS = (
    budget("all", ALL),
    budget("teams", TEAMS, Scope(team=EACH), Window.DAY),
    budget("ada", ADA, Scope(user="ada")),
    budget("tags", TAGS, Scope(tag=EACH), Window.HOUR),
    Budget("rolling", Scope(key=EACH), window_of("rolling:1d"), "UTC", ROLLING),
)
BUCKETS = 24
"""Of the rolling window, beside its last one; where a clock was set back, as many after it."""
WRITERS = ("one", "two")

principals = st.builds(
    Principal,
    st.just("key_1"),
    team=st.sampled_from(["red", "blue", None]),
    user=st.sampled_from(["ada", "bob"]),
    tags=st.sampled_from([(), ("x",), ("x", "y"), ("y", "y")]),
)

Account = tuple[str, str, int]
"""Budget, member and the hour, the day, or 0 in which its window began."""


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
    """The books as lists of what happened: every balance is summed from them, each time anew."""

    holds: dict[str, Held] = field(default_factory=dict)
    leased: dict[tuple[str, Account], int] = field(default_factory=dict)
    spent: list[tuple[Account, int]] = field(default_factory=list)
    overran: list[tuple[Account, int]] = field(default_factory=list)

    def posted(self, account: Account) -> int:
        stored = sum(one.charged or 0 for one in self.holds.values() if account in one.accounts)
        return stored + sum(amount for one, amount in self.spent if one == account)

    def pending(self, account: Account) -> int:
        return sum(
            one.amount
            for one in self.holds.values()
            if account in one.accounts and not one.resolved
        )

    def lent(self, account: Account) -> int:
        return sum(amount for (_, one), amount in self.leased.items() if one == account)

    def overrun(self, account: Account) -> int:
        return sum(amount for one, amount in self.overran if one == account) + sum(
            max(0, one.charged - one.amount)
            for one in self.holds.values()
            if account in one.accounts and one.charged is not None
        )

    def open(self) -> list[str]:
        return [name for name, one in self.holds.items() if not one.resolved]

    def room(self, account: Account, cap: int) -> int:
        name, member, hour = account
        window = (
            [(name, member, hour + one) for one in range(-BUCKETS, BUCKETS + 1)]
            if name == "rolling"
            else [account]
        )
        return cap - sum(self.posted(one) + self.pending(one) + self.lent(one) for one in window)

    def left(self, accounts: dict[Account, int]) -> dict[Account, int]:
        return {one: self.room(one, cap) for one, cap in accounts.items()}


class Machine(RuleBasedStateMachine):
    """Holds, slices and their ends in any order, with crashes in between."""

    make_books: MakeBooks

    def __init__(self) -> None:
        super().__init__()
        self.books: Books = self.make_books()
        self.store = Store(self.books.open())
        self.model = Model()
        self.taken = self.folds = 0
        self.elapsed_s = 0
        self.ids = {one: writer_of(self.store, one) for one in WRITERS}

    def teardown(self) -> None:
        self.the_audit_agrees()
        self.store.close()

    @property
    def now_ns(self) -> int:
        return NOW_NS + self.elapsed_s * 1_000_000_000

    def accounts(self, who: Principal) -> dict[Account, int]:
        """By hand: the account and cap that each budget above has for a principal, in order."""
        hour = self.now_ns // 3_600_000_000_000
        found: dict[Account, int] = {("all", "", 0): ALL}
        found["teams", f"team={who.team or ''}", hour // 24] = TEAMS
        if who.user == "ada":
            found["ada", "", 0] = ADA
        for tag in dict.fromkeys(who.tags) or {"": None}:
            found["tags", f"tag={tag}", hour] = TAGS
        found["rolling", "key=key_1", hour] = ROLLING
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

    # -- holds of the store

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
        assert refused.value.needed == amount > refused.value.left
        assert (refused.value.budget, refused.value.left) in {
            (name[0], one) for name, one in left.items() if amount > max(0, one)
        }

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
        narrow = [one for one in left if needed[one] > max(0, left[one])]
        if narrow:
            with pytest.raises(BudgetExceeded) as refused, self.store.transaction():
                self.store.holds.hold_all(holds)
            assert (refused.value.budget, refused.value.needed, refused.value.left) in {
                (one[0], needed[one], left[one]) for one in narrow
            }
            return
        with self.store.transaction():
            made = self.store.holds.hold_all(holds)
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
        assert left == min(self.model.left(held.accounts).values())

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
                self.store.holds.dispatch(name, self.now_ns)
        else:
            with self.store.transaction():
                self.store.holds.dispatch(name, self.now_ns)
            held.sent = True

    @rule(seconds=st.integers(1, 40_000))
    def time_passes(self, seconds: int) -> None:
        self.elapsed_s += seconds

    @rule()
    def expire(self) -> None:
        with self.store.transaction():
            expired = self.store.holds.expire(self.ids["one"], self.now_ns)
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
            self.store.holds.void(self.ids["two"], name, self.now_ns, reason)

    # -- slices

    @rule(
        writer=st.sampled_from(WRITERS),
        who=principals,
        least=st.integers(0, 40),
        more=st.integers(0, 40),
    )
    def grant(self, writer: str, who: Principal, least: int, more: int) -> None:
        """What is needed if it is there, nothing if not even the least is; never beyond the cap,
        and never more of what nobody needs than leaves half to others."""
        accounts, hold = self.accounts(who), self.new_hold(who, 0)
        left = self.model.left(accounts)
        wants = [Want(one, least, least + more) for one in hold.accounts]
        with self.store.transaction():
            granted = self.store.leases.grant(self.ids[writer], wants, self.now_ns)
        by_account = {one.account.key: one for one in granted}
        for account, mine in zip(hold.accounts, accounts, strict=True):
            said, free = by_account[account.key], max(0, left[mine])
            if least > free:
                assert said.amount == 0
            else:
                assert min(free, least + more) <= said.amount
                assert said.amount <= max(min(free, least + more), free // 2)
            key = (writer, mine)
            self.model.leased[key] = self.model.leased.get(key, 0) + said.amount
            assert said.standing.room == left[mine] - said.amount

    @rule(data=st.data(), writer=st.sampled_from(WRITERS))
    def give_back(self, data: st.DataObject, writer: str) -> None:
        slices = [one for one in self.model.leased if one[0] == writer]
        if not slices:
            return
        _, mine = data.draw(st.sampled_from(slices))
        amount = data.draw(st.integers(0, self.model.leased[writer, mine]))
        with self.store.transaction():
            self.store.leases.give_back(self.ids[writer], self.key(mine), amount, 0)
        self.model.leased[writer, mine] -= amount

    def key(self, mine: Account) -> tuple[str, str, str, str, int]:
        name, member, began = mine
        window = next(str(one.window) for one in BUDGETS if one.name == name)
        hours = {"teams": 24 * began, "tags": began, "rolling": began}.get(name, 0)
        return (name, "usd", member, window, hours * 3_600_000_000_000)

    @rule(
        writer=st.sampled_from(WRITERS),
        who=principals,
        spent=st.integers(0, 40),
        kind=st.sampled_from(["posted", "voided", "lost"]),
    )
    def fold(self, writer: str, who: Principal, spent: int, kind: str) -> None:
        """What a worker has spent of its slices leaves them; what no slice had room for is spent
        all the same."""
        accounts, hold = self.accounts(who), self.new_hold(who, spent)
        held = held_of(hold.attempt, hold.accounts)
        ended = Ended(hold.attempt.id, Kind.VOIDED, self.now_ns, "refused")
        if kind != "voided":
            drawn = []
            for account, mine in zip(hold.accounts, accounts, strict=True):
                had = self.model.leased.get((writer, mine), 0)
                covered = min(spent, had)
                self.model.leased[writer, mine] = had - covered
                self.model.spent.append((mine, spent))
                self.model.overran.append((mine, spent - covered))
                drawn.append(Drawn(account.key, spent, spent, spent - covered))
            ended = posted_of(hold.attempt, settlement(spent), drawn)
            if kind == "lost":
                ended = replace_ends(lost(held, self.now_ns), ended)
        self.folds += 1
        before, after = Place(1, self.folds - 1), Place(1, self.folds)
        posts: list[Posted] = []
        if self.folds == 1:
            before = START
        for again in (False, True):
            with self.store.transaction():
                if again:
                    with pytest.raises(AlreadyFolded):
                        self.store.writers.move(self.ids["one"], before, after, self.now_ns)
                else:
                    self.store.writers.move(self.ids["one"], before, after, self.now_ns)
                    posts = self.store.writers.write(self.ids[writer], [(held, ended)])
        for post, account in zip(
            sorted(posts, key=lambda one: one.key),
            sorted(hold.accounts, key=lambda one: one.key),
            strict=True,
        ):
            assert post.key == account.key
            assert post.spent == (0 if kind == "voided" else spent)

    @rule(writer=st.sampled_from(WRITERS))
    def close(self, writer: str) -> None:
        with self.store.transaction():
            self.store.leases.close(self.ids[writer])
        self.model.leased = {one: n for one, n in self.model.leased.items() if one[0] != writer}

    @rule()
    def reopen(self) -> None:
        """What was committed is there, whoever dies."""
        self.store.close()
        self.store = Store(self.books.open())

    # -- what always holds

    @invariant()
    def balances_are_the_model_s(self) -> None:
        for held in list(self.model.holds.values())[-3:]:
            for account, mine in zip(held.hold.accounts, held.accounts, strict=True):
                now = self.store.leases.standing(account)
                cap = account.cap or 0
                assert now.room == self.model.room(mine, cap)
                own = now if mine[0] != "rolling" else None
                if own is not None:
                    assert (own.posted, own.pending, own.leased) == (
                        self.model.posted(mine),
                        self.model.pending(mine),
                        self.model.lent(mine),
                    )
                    assert own.room + self.model.overrun(mine) >= 0

    @invariant()
    def batches_are_found_again(self) -> None:
        """Each open hold of a batch, in pages of two, as it was made and where its money is."""
        for batch in ("b1", "b2"):
            found, after = [], ""
            while page := self.store.holds.open_holds(batch, after, 2):
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

    def the_audit_agrees(self) -> None:
        for name, one in self.model.holds.items():
            found = self.store.holds.open_hold(name)
            assert (None if found is None else found.attempt) == (
                None if one.resolved else one.hold.attempt
            )
        audit = verify(self.store.sql)
        assert audit.verified, audit.findings
        assert audit.attempts == len(self.model.holds) + self.folds
        assert audit.open_holds == len(self.model.open())


def replace_ends(lost_one: Ended, like: Ended) -> Ended:
    """What is lost spends its whole hold; how much of that a slice covers is the model's to say."""
    assert lost_one.spent == like.spent
    return msgspec.structs.replace(lost_one, uncovered=like.uncovered)


def test_holds_slices_and_ends_in_any_order(make_books: MakeBooks, sql: Sql) -> None:
    """Whatever happens in whatever order, every balance is what the naive model says."""

    class Here(Machine):
        pass

    Here.make_books = staticmethod(make_books)
    is_here = sql.dialect is Dialect.SQLITE
    run_state_machine_as_test(
        Here, settings=settings(max_examples=40 if is_here else 8, stateful_step_count=30)
    )


@pytest.fixture
def store(sql: Sql) -> Store:
    return Store(sql)


def rows(store: Store, table: str) -> int:
    return int(store.sql.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def test_a_refused_hold_leaves_no_trace(store: Store) -> None:
    """Refused by the third of three scopes, it is as if the first two had never been asked."""
    three = (budget("a", 100), budget("b", 100), budget("c", 10))
    for _ in range(2):  # also by what is remembered of the first time
        with pytest.raises(BudgetExceeded) as refused:
            take(store, hold_of(attempt("one", 11), *three))
        assert (refused.value.budget, refused.value.left) == ("c", 10)
    tables = ("accounts", "holds", "draws", "subjects", "rate_cards")
    assert [rows(store, one) for one in tables] == [0] * 5


def test_a_refused_step_undoes_itself_alone(store: Store) -> None:
    """In one transaction, a refused hold goes and its neighbours stay, their rate card included."""
    narrow = budget("narrow", 10)
    refused = []
    with store.transaction():
        for name, amount in (("a", 11), ("b", 4), ("c", 7), ("d", 6)):
            try:
                with store.step():
                    store.holds.hold_all([hold_of(attempt(name, amount), narrow)])
            except BudgetExceeded:
                refused.append(name)
    assert refused == ["a", "c"]
    found = store.sql.execute("SELECT attempt_id FROM holds ORDER BY 1").fetchall()
    assert found == [("b",), ("d",)]
    assert verify(store.sql).verified


def test_one_attempt_holds_once(store: Store) -> None:
    """An attempt id cannot be used for two holds: the second is refused, the first stays."""
    take(store, hold_of(attempt("one", 5), budget("a", 100)))
    with pytest.raises(RowRefused):
        take(store, hold_of(attempt("one", 5), budget("a", 100)))
    assert verify(store.sql).verified


def test_what_was_sent_does_not_expire(store: Store) -> None:
    """Of two overdue holds the one that was dispatched stays; it may have been billed."""
    cap, writer_id = budget("cap", 100), writer_of(store)
    for name in ("sent", "unsent"):
        take(store, hold_of(attempt(name, 10), cap), expires_at_ns=NOW_NS + 1)
    with store.transaction():
        store.holds.dispatch("sent", NOW_NS)
        assert store.holds.expire(writer_id, NOW_NS) == 0
        assert store.holds.expire(writer_id, NOW_NS + 1) == 1
    kinds = store.sql.execute("SELECT attempt_id, kind FROM entries").fetchall()
    assert kinds == [("unsent", "expired")]
    assert verify(store.sql).verified


def test_there_must_be_a_hold_to_end(store: Store) -> None:
    """What was never held can be neither posted nor voided."""
    with pytest.raises(HoldResolved, match="no hold"):
        charge(store, hold_of(attempt("never", 5)), 5)


def test_a_zero_budget_admits_what_is_free(store: Store) -> None:
    """A cap of nothing blocks whatever costs, and lets through what truly costs nothing."""
    nothing = budget("nothing", 0)
    assert take(store, hold_of(attempt("free", 0), nothing)) == 0
    with pytest.raises(BudgetExceeded):
        take(store, hold_of(attempt("paid", 1), nothing))


def test_the_numbers_of_a_refusal(store: Store) -> None:
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


def test_a_lowered_cap_refuses_and_breaks_nothing(store: Store) -> None:
    """A cap may be lowered under what is spent: only what is free fits then."""
    take(store, hold_of(attempt("one", 50), budget("a", 100)))
    with pytest.raises(BudgetExceeded) as refused:
        take(store, hold_of(attempt("two", 1), budget("a", 40)))
    assert refused.value.left == -10
    assert take(store, hold_of(attempt("free", 0), budget("a", 40))) == -10


def test_a_budget_that_changes_its_window_has_new_accounts(store: Store) -> None:
    """On the first of a month, day and month begin together: they are two accounts all the same."""
    first = NOW.replace(day=1, hour=1)
    daily, monthly = (budget("a", 100, window=one) for one in (Window.DAY, Window.MONTH))
    take(store, hold_of(attempt("one", 90), daily, now=first))
    assert take(store, hold_of(attempt("two", 90), monthly, now=first)) == 10


def test_budgets_are_kept_as_they_were_made(store: Store) -> None:
    """A budget in the store comes back equal; each change of policy raises its version."""
    kept = Budget("k", Scope(user=EACH, tag="batch"), Window.QUARTER, "Asia/Tokyo", Money(12))
    before = store.policy.version()
    with store.transaction():
        store.policy.add_budget(kept, NOW_NS)
    assert store.policy.budgets() == (kept,)
    assert store.policy.version() > before


@pytest.mark.parametrize("amount", [0, 1, 2**62])
def test_an_attempt_without_a_budget_is_still_booked(store: Store, amount: int) -> None:
    """Without any budget nothing is refused, and every charge is in the books all the same."""
    hold = hold_of(attempt("one", amount))
    assert take(store, hold) is None
    assert charge(store, hold, amount) is None
    assert rows(store, "entries") == 1


def test_slices_are_recalled_of_those_who_are_alive(store: Store) -> None:
    """Who lacks something asks the others for what they do not hold; one that is silent, or has
    stopped, is not asked; and what has been returned is asked for no more."""
    cap = budget("cap", 100)
    (account,) = hold_of(attempt("x", 0), cap).accounts
    mine, other, silent = (writer_of(store, one) for one in ("mine", "other", "silent"))
    with store.transaction():
        leases = store.leases
        for writer_id, amount in ((other, 50), (silent, 30)):
            (said,) = leases.grant(writer_id, [Want(account, amount, amount)], NOW_NS)
            assert (said.amount, said.lent) == (amount, 0)
        leases.give_back(other, account.key, 0, 20)
        for writer_id in (mine, other):
            store.writers.seen(writer_id, NOW_NS + 60_000_000_000)
        (said,) = leases.grant(mine, [Want(account, 40, 40)], NOW_NS + 60_000_000_000)
        assert (said.amount, said.lent, said.standing.room) == (0, 30, 20)
        assert leases.recalled(other) == [account.key]
        assert leases.recalled(silent) == leases.recalled(mine) == []
        leases.give_back(other, account.key, 30, 20)
        assert leases.recalled(other) == []
        (said,) = leases.grant(mine, [Want(account, 40, 60)], NOW_NS + 60_000_000_000)
        assert (said.amount, said.lent) == (50, 0)
    assert room_in(store, cap) == 0
    assert verify(store.sql).verified


def test_a_budget_that_refuses_nothing_lends_nothing(store: Store) -> None:
    """There is nothing to lend where nothing is refused; how it stands is said all the same."""
    cap = budget("cap", 100)
    (account,) = hold_of(attempt("x", 0), cap).accounts
    for one in (replace(account, cap=None), replace(account, is_shadow=True)):
        with store.transaction():
            (said,) = store.leases.grant(writer_of_within(store), [Want(one, 40, 60)], NOW_NS)
        assert (said.amount, said.standing.posted) == (0, 0)
    assert rows(store, "leases") == 0


def writer_of_within(store: Store) -> int:
    return store.writers.open("within", NOW_NS)[0]


def test_accounts_of_rates_are_limits_and_in_no_entry(store: Store) -> None:
    """What is counted by the minute, or at once, is leased and spent, and named by no entry."""
    rpm = Budget("rpm", Scope(), Window.MINUTE, "UTC", 9, Measure.REQUESTS)
    month = budget("month", 100, window=Window.MONTH)
    writer_id, hold = writer_of(store), hold_of(attempt("one", 5), rpm, month)
    wants = [Want(one, 1, 1) for one in hold.accounts]
    with store.transaction():
        store.leases.grant(writer_id, wants, NOW_NS)
        drawn = [Drawn(one.key, 1, 1) for one in hold.accounts]
        ended = posted_of(hold.attempt, settlement(1), drawn)
        store.writers.write(writer_id, [(held_of(hold.attempt, hold.accounts), ended)])
    ((ids,),) = store.sql.execute("SELECT accounts FROM draws").fetchall()
    ((month_id,),) = store.sql.execute("SELECT id FROM accounts WHERE budget = 'month'").fetchall()
    assert ids == f"[{month_id}]"
    assert [store.leases.standing(one).posted for one in hold.accounts] == [1, 1]
    assert verify(store.sql).verified


def test_books_that_are_there_are_opened_again(books: Books) -> None:
    """What was written is there at the next opening."""
    with closing(books.open()) as sql:
        take(Store(sql), hold_of(attempt("one", 5), budget("a", 10)))
    with closing(books.open()) as sql:
        assert verify(sql).open_holds == 1


@pytest.fixture
def others(books: Books) -> Iterator[tuple[Store, Store]]:
    """Two programs that have the same books open."""
    with closing(books.open()) as one, closing(books.open()) as other:
        yield Store(one), Store(other)


def test_what_others_wrote_is_not_written_again(others: tuple[Store, Store]) -> None:
    """Subjects, accounts and cards that another program has made meanwhile are found, not made."""
    for number, store in enumerate((*others, *others)):
        take(store, hold_of(attempt(f"a{number}", 5), *BUDGETS))
    for table in ("subjects", "draws", "rate_cards"):
        assert rows(others[0], table) == 1
    assert verify(others[1].sql).verified
