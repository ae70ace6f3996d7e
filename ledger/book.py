"""Book: the ledger as the request path sees it.

An attempt takes a hold of its worst case in every account at once (`hold`), and is then posted at
what it cost or voided if it cannot have been billed, exactly once. Both happen in memory, within
slices that were leased of the store, and in the journal of this worker, before the call returns: so
what a client has been answered is in the books, whatever happens next. The store is asked only when
a slice is used up, and told behind the requests' backs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal, TypeVar

from ledger.attempts import Attempt, Hold, Settlement
from ledger.budgets import Account, Subject
from ledger.desk import Desk, Times
from ledger.directives import NOTHING, Directives
from ledger.entries import Kind
from ledger.errors import KeyRefused, RowRefused, StoreUnavailable
from ledger.folder import Folder
from ledger.folding import Folding
from ledger.following import Following
from ledger.grants import Grants, Short
from ledger.idempotency import Claim
from ledger.journal import Journal, Place
from ledger.journal_records import Ended, encode
from ledger.keys import hash_of
from ledger.money import Money
from ledger.notices import Notice, NoticeKind
from ledger.policy import Drawing, Policy, Rules
from ledger.principals import Principal
from ledger.requests import RequestRecord
from ledger.slices import Open, Slice, Slices, amounts_of, least_usd, rates_of
from ledger.store import Store
from ledger.stored_holds import StoredHolds
from ledger.syncing import Syncing
from ledger.telling import Telling
from ledger.writer import Writer

T = TypeVar("T")

Share = Callable[[Money | None], Attempt]
Durability = Literal["process", "disk"]

log = logging.getLogger("hedgerow.ledger")

ENDS_AT_ONCE = 64
"""How many ends of a batch go into one turn of the writer."""
NOTICES_REMEMBERED = 10_000
UNKNOWN_KEY = (
    "unknown API key: ask your platform team for one (`hedgerow key create`); the admin key makes"
    " no requests"
)
CLOSE_S = 5.0
"""How long what is left of the journal may take at the end; the next start folds the rest."""


class Book:
    """Open books. Made by `open_book`; `close` them last.

    stored: the holds of batches, which outlive this process. store: for calls that `submit` runs.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        writer_id: int,
        folded: Place,
        policy: Policy,
        rules: Rules,
        *,
        durability: Durability,
        times: Times,
    ) -> None:
        self.store = store
        self._journal = journal
        self._writer_id = writer_id
        self._times = times
        self._policy = policy
        self._writer = Writer(store, asyncio.get_running_loop())
        self._slices = Slices()
        self._open: dict[str, Open] = {}
        self._unwritten: list[tuple[bytes, int]] = []
        """Ends that a failing disk did not take, and the room that is kept for them."""
        self._kept_free = 0
        """Room in the journal for the end of every hold: a full disk refuses holds, no charges."""
        self._told: set[str] = set()
        self._syncing = Syncing(journal) if durability == "disk" else None
        desk = Desk(store, self._writer, writer_id, self._slices, times)
        self._grants = Grants(desk)
        self._folding = Folding(desk, self._grants, journal, Folder(journal, folded), self._carry)
        store.writers.watch(
            Telling(store.leases, store.outbox, lambda: self._policy, times.now_ns).crossed
        )
        self._following = Following(desk, self._grants, rules, policy, self._follow)
        self.stored = StoredHolds(desk, self._grants, self._accounts_of)

    def _follow(self, policy: Policy) -> None:
        self._policy = policy

    def _accounts_of(self, attempt: Attempt) -> tuple[Account, ...]:
        return self._policy.accounts(attempt.subject, attempt.at_ns)

    # -- who may ask

    def principal(self, key: str) -> Principal:
        """The owner of a key. Raises KeyRefused."""
        record = self._policy.keys.get(hash_of(key))
        if record is None:
            raise KeyRefused(UNKNOWN_KEY)
        record.check_application(self._times.now_ns())
        return record.principal

    def principal_of(self, key_id: str) -> Principal:
        """The owner of a key that is known by its id: of what goes on after its request, as the
        lines of a batch. Raises KeyRefused."""
        record = self._policy.key(key_id)
        if record is None:
            raise KeyRefused(UNKNOWN_KEY)
        record.check_application(self._times.now_ns())
        return record.principal

    async def directives(self, subject: Subject, at_ns: int) -> Directives:
        """What the thresholds of its budgets say about how a request goes on.

        Asked before there is a provider: budgets of providers say nothing here.
        """
        drawing = self._policy.drawing(subject, at_ns)
        if not drawing.ladders:
            return NOTHING
        await self._known(self._drawn(drawing))
        return drawing.ladders.directives(self._spent, at_ns)

    def _spent(self, account: Account) -> int:
        part = self._slices.get(account.key)
        return 0 if part is None else part.spent

    async def left(self, subject: Subject, at_ns: int) -> Money | None:
        """The least USD that any of its accounts has left now; None without any."""
        slices = self._drawn(self._policy.drawing(subject, at_ns))
        await self._known(slices)
        return least_usd(slices)

    async def known(self, accounts: Sequence[Account]) -> None:
        """Ask the store about those of them of which nothing is known here."""
        slices = self._slices.of(accounts)
        self._grants.return_surplus()
        for part in slices:
            part.used_at_s = part.used_at_s or self._times.monotonic_s()
        await self._known(slices)

    def may_be_left(self, account: Account) -> int:
        """What is left of capacity that we own, as far as this worker knows: others may hold some
        of it."""
        part = self._slices.get(account.key)
        return account.cap or 0 if part is None else part.may_be_left(self._times.monotonic_s())

    # -- an attempt

    async def hold(self, attempt: Attempt, more: tuple[Account, ...] = ()) -> Hold:
        """Reserve the attempt's worst case in all its accounts, and in `more`; those of its draw
        are among these.

        Raises BudgetExceeded, StoreUnavailable. If the caller is cancelled while it waits, nothing
        is held.
        """
        slices = self._slices_of(attempt.subject, attempt.at_ns, more)
        return await self._held(slices, lambda: attempt)

    async def hold_share(
        self, subject: Subject, at_ns: int, share: Share, more: tuple[Account, ...] = ()
    ) -> Hold:
        """The same for an attempt whose size depends on what is left: `share` makes it from the
        least USD that any of its accounts has left (None without any), with nobody in between."""
        slices = self._slices_of(subject, at_ns, more)
        await self._known(slices)
        return await self._held(slices, lambda: share(least_usd(slices)))

    async def _held(self, slices: tuple[Slice, ...], make: Callable[[], Attempt]) -> Hold:
        if self._folding.displaced is not None:
            raise self._folding.displaced
        attempt = make()
        amounts = amounts_of(slices, attempt)
        if self._slices.short(slices, amounts):

            def short() -> Short:
                nonlocal attempt, amounts
                attempt = make()
                amounts = amounts_of(slices, attempt)
                return self._slices.short(slices, amounts)

            try:
                await self._grants.fill(slices, short, self._folding.caught_up)
            except StoreUnavailable:
                missing = self._slices.short(slices, amounts)
                if any(needed > part.available and not part.may_go_on for part, needed in missing):
                    raise
        over = [
            part
            for part, amount in zip(slices, amounts, strict=True)
            if not part.refuses and part.account.is_shadow and not part.would_fit(amount)
        ]
        if attempt.id in self._open:
            raise RowRefused(f"{attempt.id} is held already; this is a fault in Hedgerow")
        taken = self._slices.take(slices, attempt, amounts, self._times.monotonic_s())
        keep_free = self._kept_free + taken.end_bytes
        try:
            self._journal.append(encode(taken.record()), keep_free=keep_free)
        except BaseException:
            taken.release()
            raise
        taken.segment = self._journal.tail.segment
        self._open[attempt.id], self._kept_free = taken, keep_free
        accounts = tuple([part.account for part in slices])
        hold = Hold(
            *(attempt, accounts, least_usd(slices)),
            would_block=tuple([part.account.budget for part in over]) if over else (),
            rates=rates_of(slices),
        )
        for part in over:
            self._tell_shadow(part)
        if self._syncing is not None:
            try:
                await self._syncing.synced()
            except BaseException:
                await self.void(hold, "never sent")
                raise
        return hold

    async def post(self, hold: Hold, end: Settlement) -> Money | None:
        """Charge what the attempt cost. Returns the least USD that is left; None without any cap.

        Raises HoldResolved, StoreUnavailable; then it is charged when it can be written.
        """
        taken = self._open.pop(hold.attempt.id, None)
        if taken is None:
            return await self.stored.post(hold, end)
        self._write(encode(taken.spend(end)), taken.end_bytes)
        if self._syncing is not None:
            await asyncio.shield(self._syncing.synced())
        return least_usd(taken.slices)

    async def void(self, hold: Hold, reason: str) -> None:
        """Release a hold whose provider cannot have billed anything. Raises HoldResolved."""
        attempt_id = hold.attempt.id
        taken = self._open.pop(attempt_id, None)
        if taken is None:
            await self.stored.void(attempt_id, reason)
            return
        taken.release()
        end = Ended(attempt_id, Kind.VOIDED, self._times.now_ns(), reason)
        self._write(encode(end), taken.end_bytes)

    def _write(self, end: bytes, kept_free: int) -> None:
        """Into the journal. Its room was kept free: it fails with a disk that fails."""
        self._unwritten.append((end, kept_free))
        try:
            self._write_all()
        finally:
            self._folding.soon()

    def _write_all(self) -> None:
        while self._unwritten:
            end, kept_free = self._unwritten[0]
            self._journal.append(end)
            self._kept_free -= kept_free
            del self._unwritten[0]

    def _carry(self, segment: int) -> None:
        """Write holds anew that have been open for long: one stream that does not end would keep
        all of the journal after it, until that is full."""
        with suppress(StoreUnavailable):  # it is tried again
            for one in self._open.values():
                if one.segment <= segment:
                    self._journal.append(encode(one.record()), keep_free=self._kept_free)
                    one.segment = self._journal.tail.segment

    async def post_all(self, ends: Iterable[tuple[Hold, Settlement]]) -> Money | None:
        """Post many, as far as they go: one that is refused keeps no other from its charge.

        Returns the least that is left in any of their budgets, None without any. Raises the first
        refusal, when all have been tried.
        """
        lefts = await _in_turns([partial(self.post, *one) for one in ends])
        return min((left for left in lefts if left is not None), default=None)

    async def void_all(self, holds: Iterable[Hold], reason: str) -> None:
        """Release many, as far as they go, as `post_all` posts them."""
        await _in_turns([partial(self.void, one, reason) for one in holds])

    @property
    def under_way(self) -> int:
        """How many attempts hold something here, batches apart."""
        return len(self._open)

    # -- what a hold is made of

    def _slices_of(
        self, subject: Subject, at_ns: int, more: tuple[Account, ...]
    ) -> tuple[Slice, ...]:
        slices = self._drawn(self._policy.drawing(subject, at_ns))
        if more:
            slices = (*slices, *self._slices.of(more))
            self._grants.return_surplus()
        return slices

    def _drawn(self, drawing: Drawing) -> tuple[Slice, ...]:
        if drawing.epoch != self._slices.epoch:
            drawing.slices, drawing.epoch = self._slices.of(drawing.accounts), self._slices.epoch
            self._grants.return_surplus()
        return drawing.slices

    async def _known(self, slices: tuple[Slice, ...]) -> None:
        """Wait until the store was asked about each of them, once."""
        if any(one.room is None for one in slices):
            with suppress(StoreUnavailable):  # whoever holds will be told
                await self._grants.fill(
                    slices,
                    lambda: [(one, 0) for one in slices if one.room is None],
                    self._folding.caught_up,
                )

    # -- idempotency keys

    async def claim(self, claim: Claim) -> Claim | None:
        """Take an Idempotency-Key; the claim of another request, if that has it already.

        If the caller is cancelled while it waits, the key is given back right after it is taken.
        """
        taken = self._writer.submit(lambda: self.store.claims.claim(claim))
        try:
            return await asyncio.shield(taken)
        except asyncio.CancelledError:
            self._writer.tell(lambda: self.store.claims.release(claim), must=True)
            raise

    async def release(self, claim: Claim) -> bool:
        """Give a key back, unless its request was charged, or may still be. True if it is free.

        Raises StoreUnavailable; then the key stays taken.
        """
        await self.folded()  # what the request was charged has to be seen
        if any(one.attempt.request_id == claim.request_id for one in self._open.values()):
            return False
        return await asyncio.shield(
            self._writer.submit(lambda: self.store.claims.release(claim), must=True)
        )

    # -- what is remembered beside the money

    def _tell_shadow(self, part: Slice) -> None:
        """A budget in shadow mode would have refused a request: whom its thresholds tell, hears of
        it, once in a window."""
        account = part.account
        budget = self._policy.by_name.get(account.budget)
        channels = {name for one in budget.thresholds for name in one.notify} if budget else ()
        if not channels:
            return
        notice = Notice(
            at_ns=self._times.now_ns(),
            budget=account.budget,
            scope=account.scope,
            kind=NoticeKind.SHADOW,
            measure=account.measure,
            spent=part.spent,
            cap=account.cap or 0,
            part=None,
            window=account.window,
            window_start_ns=account.window_start_ns,
            resets_at=account.resets_at,
            channels=tuple(sorted(channels)),
        )
        if len(self._told) >= NOTICES_REMEMBERED:
            self._told.clear()
        if notice.id not in self._told:
            self._told.add(notice.id)
            at_ns = notice.at_ns
            self._writer.tell(lambda: self.store.outbox.add(notice, at_ns))

    def remember(self, record: RequestRecord) -> None:
        """Keep what was decided for a request. Nobody waits for it, and no money hangs on it:
        when the writer is far behind, it is let go."""
        self._writer.tell(lambda: self.store.requests.add(record))

    # -- the store, for whoever reads or changes it besides requests

    async def run(self, call: Callable[[Store], T]) -> T:
        """Run `call` in a transaction of the store. Raises StoreUnavailable."""
        return await self.submit(lambda: call(self.store))

    async def submit(self, call: Callable[[], T]) -> T:
        """The same for a call that has its part of `store` already."""
        return await asyncio.shield(self._writer.submit(call))

    def set_rules(self, rules: Rules) -> None:
        """Budgets of files have changed: they act with the next poll."""
        self._following.set_rules(rules)

    async def folded(self) -> None:
        """Wait until all that was charged so far is in the store. Raises StoreUnavailable."""
        await self._folding.caught_up()

    async def ready(self) -> None:
        """Raises StoreUnavailable while the store cannot be reached, or its keys not followed."""
        if self._folding.displaced is not None:
            raise self._folding.displaced
        if self._following.is_over:
            raise StoreUnavailable(
                "changes of keys and budgets can no longer be read: were they made by a later"
                " version of Hedgerow? Update this one, and start it again"
            )
        await self._writer.submit(self.store.policy.version)

    async def close(self) -> None:
        """Finish every write, return every slice, then close the store.

        What cannot be written stays in the journal, for the next start.
        """
        await self._following.stop()
        try:
            self._write_all()
            async with asyncio.timeout(CLOSE_S):
                await self.folded()
            is_done = not self._open and not self._unwritten
            if is_done:
                self._journal.seal()
                await self._writer.submit(self._sign_off)
        except (StoreUnavailable, TimeoutError) as error:
            log.error("the rest of the journal is folded at the next start: %s", error)
            is_done = False
        self._folding.stop()
        await self._writer.stop()
        if self._syncing is not None:
            await asyncio.to_thread(self._syncing.close)
        self.store.close()
        await asyncio.to_thread(self._journal.close, remove=is_done)

    def _sign_off(self) -> None:
        self.store.leases.close(self._writer_id)
        self.store.writers.close(self._writer_id, self._times.now_ns())


async def _in_turns(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Few at a time, so that whoever else wants to write need not wait for all of them."""
    done: list[T] = []
    refused: list[BaseException] = []
    for first in range(0, len(calls), ENDS_AT_ONCE):
        few = (call() for call in calls[first : first + ENDS_AT_ONCE])
        for one in await asyncio.gather(*few, return_exceptions=True):
            if isinstance(one, BaseException):
                refused.append(one)
            else:
                done.append(one)
    if refused:
        raise refused[0]
    return done
