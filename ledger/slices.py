"""Slices: what this worker has leased of budgets, and admits requests from, in memory.

Of each account it has a slice: free, held by requests under way, or spent and not yet folded into
the store. The three together are what the store counts as leased. All of it belongs to the event
loop; the store is asked elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ledger.attempts import Attempt, Rate, Settlement
from ledger.budgets import Account, AccountKey
from ledger.journal import END_BYTES, END_BYTES_OF_ACCOUNT
from ledger.journal_records import Ended, Held, held_in, posted_as
from ledger.measures import Measure
from ledger.money import Money
from ledger.tables.leases import Standing
from ledger.tables.writers import Posted
from ledger.windows import Window

OUT_S = 1.0
"""For how long a refusal of capacity that we own is taken for the store's word: there is another
way to serve the request, and others return meanwhile what they were asked for."""
IDLE_S = 30.0
"""How long a slice that nobody draws on is kept."""


class Slice:
    """This worker's part of one account.

    free: can be held. held: by attempts under way. room: what the store had left besides, when it
    was last asked; None before that. posted: what all writers have spent, as far as it is folded;
    unfolded: what this one has spent since then; uncovered: what of that no slice had room for. All
    in the measure's unit. waiting: how many wait for an answer of the store about it: it is not
    forgotten before. refused_at_s: when the store last had not so much; of capacity that we own.
    """

    __slots__ = (
        "account",
        "free",
        "held",
        "is_rate",
        "is_units",
        "is_usd",
        "key",
        "measure",
        "posted",
        "refused_at_s",
        "refuses",
        "room",
        "uncovered",
        "unfolded",
        "used_at_s",
        "waiting",
    )

    def __init__(self, account: Account) -> None:
        self.key = account.key
        self.measure = account.measure
        self.is_usd = account.measure is Measure.USD
        self.is_units = account.measure is Measure.UNITS
        self.is_rate = account.window == Window.MINUTE and not (self.is_usd or self.is_units)
        self.use(account)
        self.free = self.held = self.unfolded = self.posted = 0
        self.room: int | None = None
        self.uncovered = 0
        self.used_at_s = 0.0
        self.refused_at_s = -math.inf
        self.waiting = 0

    def use(self, account: Account) -> None:
        """The account as of today: its cap may be another."""
        self.account = account
        self.refuses = account.refuses

    @property
    def is_rolling(self) -> bool:
        return self.account.counted_since_ns < self.account.window_start_ns

    @property
    def spent(self) -> int:
        """By everybody, as far as this worker knows."""
        return self.posted + self.unfolded

    @property
    def available(self) -> int:
        """What can be held: what is free, as far as providers have not billed it above holds."""
        if self.room is None or self.room >= 0:
            return self.free
        return max(0, self.free + self.room)

    def seen(self, standing: Standing) -> None:
        """How the account stands in the store, which does not know what is uncovered here."""
        self.room, self.posted = standing.room - self.uncovered, standing.posted

    @property
    def may_go_on(self) -> bool:
        """Whether requests are let through while the store cannot be asked."""
        return not self.refuses or self.account.on_ledger_error == "allow"

    def may_be_left(self, now_s: float) -> int:
        """What this worker may find left. What others have leased is, too: they would return what
        they do not hold; but for a moment after the store said that they do."""
        if now_s - self.refused_at_s <= OUT_S:
            return self.available + max(0, self.room or 0)
        return max(0, (self.account.cap or 0) - self.spent - self.held)

    def is_out(self, needed: int, now_s: float) -> bool:
        """Whether the store need not be asked: a moment ago it had not so much of what we own."""
        is_recent = self.is_units and now_s - self.refused_at_s <= OUT_S
        return is_recent and needed > self.may_be_left(now_s)

    def would_fit(self, amount: int) -> bool:
        """Of an account that refuses nothing: whether its cap would be kept."""
        cap = self.account.cap
        return cap is None or self.spent + self.held + amount <= cap


@dataclass(slots=True)
class Open:
    """An attempt under way.

    amounts: what it holds of each slice. covered: whether that was taken out of what was free; not
    where its budget refuses nothing, or let it through while the store could not be asked.
    segment: of the journal, in which it stands.
    """

    attempt: Attempt
    slices: tuple[Slice, ...]
    amounts: tuple[int, ...]
    covered: tuple[bool, ...]
    segment: int = 0

    @property
    def end_bytes(self) -> int:
        """The most that its end takes in the journal."""
        return END_BYTES + END_BYTES_OF_ACCOUNT * len(self.slices)

    def record(self) -> Held:
        """What the journal says of it."""
        accounts = tuple(
            [(one.key, amount) for one, amount in zip(self.slices, self.amounts, strict=True)]
        )
        return held_in(self.attempt, accounts, () if all(self.covered) else self.covered)

    def release(self) -> None:
        """Its hold is over, and nothing is spent."""
        for part, amount, covered in zip(self.slices, self.amounts, self.covered, strict=True):
            part.held -= amount
            if covered:
                part.free += amount

    def spend(self, end: Settlement) -> Ended:
        """Its hold is over, and so much is spent: of the hold, then of what is free; the rest no
        slice had room for. What the journal says of that."""
        usd, attempt = end.charge.effective, self.attempt
        spends, gaps = [], []
        for part, amount, covered in zip(self.slices, self.amounts, self.covered, strict=True):
            spent = usd if part.is_usd else end.spends(attempt, part.measure)
            free = part.free - spent
            if covered:
                free += amount
            uncovered = -free if free < 0 else 0
            part.held -= amount
            part.free = 0 if uncovered else free
            if uncovered and part.refuses:  # of this the store does not know yet
                part.uncovered += uncovered
                part.room = None if part.room is None else part.room - uncovered
            part.unfolded += spent
            spends.append(spent)
            gaps.append(uncovered)
        return posted_as(attempt, end, tuple(spends), tuple(gaps))


class Slices:
    """The slices of a worker, one for each account that it draws on."""

    def __init__(self) -> None:
        self._slices: dict[AccountKey, Slice] = {}
        self._buckets: dict[tuple[str, str, str, str], Slice] = {}
        """The one of each rolling window that is drawn on."""
        self.surplus: list[Slice] = []
        """What is free of these is to be returned."""
        self.epoch = 0
        """Another one whenever slices were forgotten: whoever remembers some asks anew."""

    def __len__(self) -> int:
        return len(self._slices)

    def __iter__(self) -> Iterator[Slice]:
        return iter(self._slices.values())

    def of(self, accounts: Iterable[Account]) -> tuple[Slice, ...]:
        """The slices of these accounts, made as need be, with the caps of today."""
        return tuple([self._of(one) for one in accounts])

    def _of(self, account: Account) -> Slice:
        part = self._slices.get(account.key)
        if part is None:
            part = self._slices[account.key] = Slice(account)
        elif part.account is not account:
            if part.account.cap != account.cap:  # what is free was of another cap
                part.room = None
                self.surplus.append(part)
            part.use(account)
        if part.is_rolling:
            self._supersede(part)
        return part

    def _supersede(self, part: Slice) -> None:
        """Nobody draws on another bucket now, and what is free of that is missing in this one."""
        before = self._buckets.get(part.key[:4])
        if before is not part:
            self._buckets[part.key[:4]] = part
            if before is not None:
                self.surplus.append(before)
                part.room = None  # it was known without what returns there

    def __getitem__(self, key: AccountKey) -> Slice:
        return self._slices[key]

    def get(self, key: AccountKey) -> Slice | None:
        return self._slices.get(key)

    @staticmethod
    def short(slices: Sequence[Slice], amounts: Sequence[int]) -> list[tuple[Slice, int]]:
        """The slices that have less free than is to be held, or of which nothing is known yet; and
        how much that is."""
        return [
            (one, needed)
            for one, needed in zip(slices, amounts, strict=True)
            if one.room is None or (one.refuses and needed > one.available)
        ]

    @staticmethod
    def take(
        slices: tuple[Slice, ...], attempt: Attempt, amounts: tuple[int, ...], now_s: float
    ) -> Open:
        """Hold an attempt in all of them. What is not free of one is not covered by it."""
        covered = []
        for one, amount in zip(slices, amounts, strict=True):
            is_covered = one.refuses and amount <= one.free
            one.held += amount
            one.used_at_s = now_s
            if is_covered:
                one.free -= amount
            covered.append(is_covered)
        return Open(attempt, slices, amounts, tuple(covered))

    @contextmanager
    def waited_for(self, slices: Iterable[Slice]) -> Iterator[None]:
        """None of these is forgotten until this is over."""
        waited_for = tuple(slices)
        for one in waited_for:
            one.waiting += 1
        try:
            yield
        finally:
            for one in waited_for:
                one.waiting -= 1

    # -- what the store says

    def folded(self, posts: Iterable[Posted], now_ns: int) -> None:
        """What was spent is in the books."""
        for post in posts:
            part = self._slices.get(post.key)
            if part is None:
                continue
            part.unfolded -= post.spent
            part.uncovered = max(0, part.uncovered - post.uncovered)
            if part.is_rolling:  # this is but the last bucket
                part.posted += post.spent
            else:
                part.posted = post.posted
                if part.account.cap is not None and part.room is not None:
                    taken = post.posted + post.pending + post.leased + part.uncovered
                    part.room = part.account.cap - taken
            # Its window is over, or providers have billed above holds: others may need it more.
            if part.free and (part.account.resets_at_ns <= now_ns or (part.room or 0) < 0):
                self.surplus.append(part)

    # -- giving back

    @staticmethod
    def give_back(part: Slice) -> int:
        """All that is free of a slice leaves it; how much that is."""
        amount, part.free = part.free, 0
        if part.room is not None:
            part.room += amount
        return amount

    def idle(self, now_ns: int, now_s: float) -> list[Slice]:
        """Slices that are forgotten here: nothing is held or unfolded in them, nobody waits, and
        their window is over, or nobody has drawn on them for a while. All that is free of them is
        to be returned."""
        gone = [
            one
            for one in self._slices.values()
            if not (one.held or one.unfolded or one.waiting)
            and (one.account.resets_at_ns <= now_ns or now_s - one.used_at_s > IDLE_S)
        ]
        self.epoch += bool(gone)
        for one in gone:
            del self._slices[one.key]
            if self._buckets.get(one.key[:4]) is one:
                del self._buckets[one.key[:4]]
        return gone

    def held(self, key: AccountKey) -> int:
        """What attempts under way hold of an account. Any thread may ask."""
        part = self._slices.get(key)
        return 0 if part is None else part.held


def amounts_of(slices: Sequence[Slice], attempt: Attempt) -> tuple[int, ...]:
    """What an attempt reserves in each of them."""
    usd = attempt.worst_case
    return tuple([usd if one.is_usd else attempt.reserves(one.measure) for one in slices])


def rates_of(slices: Iterable[Slice]) -> tuple[Rate, ...]:
    """How the limits by the minute stand, the tightest of each measure."""
    rates = [
        Rate(one.measure, cap, max(0, one.free + one.room), one.account.resets_at_ns)
        for one in slices
        if one.is_rate and (cap := one.account.cap) is not None and one.room is not None
    ]
    if len(rates) > 1:  # the last of a measure stays
        rates.sort(key=lambda one: -one.left)
        return tuple({one.measure: one for one in rates}.values())
    return tuple(rates)


def least_usd(slices: Iterable[Slice]) -> Money | None:
    """The least USD that is left in any of them that refuses by USD; None without any."""
    lefts = [
        one.free + one.room for one in slices if one.is_usd and one.refuses and one.room is not None
    ]
    return Money(min(lefts)) if lefts else None
