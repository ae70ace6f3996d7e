"""Book: the ledger as the request path sees it.

An attempt takes a hold of its worst case in every account at once (`hold`), and is then posted at
what it cost or voided if it cannot have been billed, exactly once. Each is committed before the
call returns, so what a client has been answered is in the books, whatever happens next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from ledger.attempts import Attempt, Hold, Settlement
from ledger.budgets import EACH, Account, Budget, Subject, accounts_of
from ledger.errors import KeyRefused, StoreUnavailable
from ledger.idempotency import FORGOTTEN_AT_ONCE, Claim
from ledger.keys import KeyRecord, hash_of
from ledger.money import MAX_NANOS, Money
from ledger.principals import Principal
from ledger.requests import RequestRecord
from ledger.sqlite_store import OpenHold, SqliteStore
from ledger.writer import Writer

T = TypeVar("T")

Share = Callable[[Money | None], Attempt]

ACCOUNTS_REMEMBERED = 10_000
HOLDS_AT_ONCE = 500
ENDS_AT_ONCE = 64
"""How many of a batch go into one turn of the writer: some ms, then it is somebody else's turn."""
POLICY_POLL_S = 0.25
"""How old a key or a budget may be: a change acts within this time and one write."""
FORGET_EVERY_S = 60.0
"""How often Idempotency-Keys are looked through for those that are too old."""


class Policy:
    """Keys and budgets as of one version of the store's policy.

    Budgets of one key alone are kept apart from the others: there may be one for every key.
    """

    def __init__(
        self, version: int, keys: dict[bytes, KeyRecord], budgets: Iterable[Budget]
    ) -> None:
        self.version = version
        self.keys = keys
        self._key_by_id = {one.id: one for one in keys.values()}
        self._common: list[Budget] = []
        self._of_key: dict[str, list[Budget]] = {}
        for budget in budgets:
            key_id = budget.scope.key
            if key_id is None or key_id == EACH:
                self._common.append(budget)
            else:
                self._of_key.setdefault(key_id, []).append(budget)
        self._remembered: dict[tuple[str, str, str], _Drawn] = {}

    def key(self, key_id: str) -> KeyRecord | None:
        return self._key_by_id.get(key_id)

    def accounts(self, subject: Subject, at_ns: int) -> tuple[Account, ...]:
        """Every account that an attempt at `at_ns` must fit into at once.

        Within their windows they are the same for every request of a key, and remembered.
        """
        key = (subject.principal.key_id, subject.model, subject.provider)
        drawn = self._remembered.get(key)
        if drawn is None or not drawn.since_ns <= at_ns < drawn.until_ns:
            if len(self._remembered) >= ACCOUNTS_REMEMBERED:
                self._remembered.clear()
            drawn = self._remembered[key] = self._drawn(subject, at_ns)
        return drawn.accounts

    def _drawn(self, subject: Subject, at_ns: int) -> _Drawn:
        budgets = (*self._common, *self._of_key.get(subject.principal.key_id, ()))
        accounts = accounts_of(budgets, subject, _instant(at_ns))
        return _Drawn(
            since_ns=max((one.window_start_ns for one in accounts), default=0),
            until_ns=min((one.resets_at_ns for one in accounts), default=MAX_NANOS),
            accounts=accounts,
        )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The accounts that a subject draws on between two moments, both in the same windows."""

    since_ns: int
    until_ns: int
    accounts: tuple[Account, ...]


class Book:
    """Open books. Made by `open_book`; `close` them last."""

    def __init__(
        self,
        store: SqliteStore,
        writer: Writer,
        file_budgets: tuple[Budget, ...],
        policy: Policy,
        clock_ns: Callable[[], int],
    ) -> None:
        self._store = store
        self._writer = writer
        self._file_budgets = file_budgets
        self._policy = policy
        self._clock_ns = clock_ns
        self._following = asyncio.create_task(self._follow_policy())
        self._forgetting = asyncio.create_task(self._forget_claims())

    # -- who may ask

    def principal(self, key: str) -> Principal:
        """The owner of a key. Raises KeyRefused."""
        record = self._policy.keys.get(hash_of(key))
        if record is None:
            raise KeyRefused("unknown API key: create one with `hedgerow key create`")
        record.check(self._clock_ns())
        return record.principal

    def principal_of(self, key_id: str) -> Principal:
        """The owner of a key that is known by its id: of what goes on after its request, as the
        lines of a batch. Raises KeyRefused."""
        record = self._policy.key(key_id)
        if record is None:
            raise KeyRefused("unknown API key: create one with `hedgerow key create`")
        record.check(self._clock_ns())
        return record.principal

    async def left(self, subject: Subject, at_ns: int) -> Money | None:
        """The least that any of its accounts has left now; None without any."""
        accounts = self._policy.accounts(subject, at_ns)

        def least() -> Money | None:
            return min((self._store.balance(one).left for one in accounts), default=None)

        return await self._writer.submit(least)

    # -- an attempt

    async def hold(self, attempt: Attempt) -> Hold:
        """Reserve the attempt's worst case in all its accounts. Raises BudgetExceeded.

        If the caller is cancelled while it waits, the hold is voided right after it is made.
        """
        accounts = self._policy.accounts(attempt.subject, attempt.at_ns)
        return await self._held([attempt.id], lambda: self._store.hold(Hold(attempt, accounts)))

    async def hold_all(self, attempts: Sequence[Attempt]) -> tuple[Hold, ...]:
        """Reserve the worst case of each, in one transaction: of all, or of none.

        Raises BudgetExceeded with the sum that does not fit, and ValueError for more than
        HOLDS_AT_ONCE: so long the holds of others may have to wait, and no longer.
        """
        if len(attempts) > HOLDS_AT_ONCE:
            raise ValueError(f"{len(attempts)} holds at once: {HOLDS_AT_ONCE} are the most")
        holds = [Hold(one, self._policy.accounts(one.subject, one.at_ns)) for one in attempts]
        return await self._held([one.id for one in attempts], lambda: self._store.hold_all(holds))

    async def hold_share(self, attempt_id: str, subject: Subject, at_ns: int, share: Share) -> Hold:
        """The same for an attempt whose size depends on what is left: `share` makes it from the
        least that any of its accounts has left (None without any), with nobody in between."""
        accounts = self._policy.accounts(subject, at_ns)

        def hold() -> Hold:
            lefts = [self._store.balance(one).left for one in accounts]
            return self._store.hold(Hold(share(min(lefts, default=None)), accounts))

        return await self._held([attempt_id], hold)

    async def _held(self, attempt_ids: Sequence[str], hold: Callable[[], T]) -> T:
        made = self._writer.submit(hold)
        try:
            return await asyncio.shield(made)
        except asyncio.CancelledError:
            self._undo(attempt_ids)
            raise

    def _undo(self, attempt_ids: Sequence[str]) -> None:
        """The writer works in order: the holds have been made, or refused, when this is tried."""
        at_ns = self._clock_ns()

        def void() -> None:
            for one in attempt_ids:
                self._store.void(one, at_ns, "client left")

        try:
            end = self._end(void)
        except StoreUnavailable:
            return  # the server is stopping: who opens the books next, or runs the batch, ends it
        end.add_done_callback(_forget)

    async def post(self, hold: Hold, end: Settlement) -> Money | None:
        """Charge what the attempt cost. Returns the least that is left; None without any budget."""
        return await asyncio.shield(self._end(lambda: self._store.post(hold, end)))

    async def void(self, hold: Hold, reason: str) -> None:
        """Release a hold whose provider cannot have billed anything."""
        at_ns = self._clock_ns()
        await asyncio.shield(self._end(lambda: self._store.void(hold.attempt.id, at_ns, reason)))

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

    # -- an attempt, found again: its batch outlives the process that began it

    async def hold_of(self, attempt_id: str) -> Hold | None:
        """The hold of an attempt, if nothing has ended it yet."""
        found = await self._writer.submit(lambda: self._store.open_hold(attempt_id))
        return None if found is None else self._found(found)

    async def holds_of_batch(self, batch: str, after: str = "") -> tuple[Hold, ...]:
        """Holds of a batch that nothing has ended yet, by attempt id, HOLDS_AT_ONCE at most: for
        those beyond, ask again `after` the last one."""
        found = await self._writer.submit(
            lambda: self._store.open_holds(batch, after, HOLDS_AT_ONCE)
        )
        return tuple(self._found(one) for one in found)

    def _found(self, found: OpenHold) -> Hold:
        """With its accounts, as far as their budgets still exist: only they have a cap."""
        attempt = found.attempt
        accounts = self._policy.accounts(attempt.subject, attempt.at_ns)
        return Hold(attempt, tuple(one for one in accounts if one.key in found.drawn_on))

    def _end(self, call: Callable[[], Money | None] | Callable[[], None]) -> asyncio.Future[Any]:
        return self._writer.submit(call, must=True)

    # -- idempotency keys

    async def claim(self, claim: Claim) -> Claim | None:
        """Take an Idempotency-Key; the claim of another request, if that has it already.

        If the caller is cancelled while it waits, the key is given back right after it is taken.
        """
        taken = self._writer.submit(lambda: self._store.claim(claim))
        try:
            return await asyncio.shield(taken)
        except asyncio.CancelledError:
            with suppress(StoreUnavailable):  # the server is stopping: the key stays taken
                self._given_back(claim).add_done_callback(_forget)
            raise

    async def release(self, claim: Claim) -> bool:
        """Give a key back, unless its request was charged, or may still be. True if it is free.

        Raises StoreUnavailable; then it is tried again when the books can be written.
        """
        return await asyncio.shield(self._given_back(claim))

    def _given_back(self, claim: Claim) -> asyncio.Future[bool]:
        return self._writer.submit(lambda: self._store.release(claim), must=True)

    # -- what is remembered beside the money

    def remember(self, record: RequestRecord) -> None:
        """Keep what was decided for a request. Nobody waits for it, and no money hangs on it:
        when the writer is far behind, it is let go."""
        try:
            future = self._writer.submit(lambda: self._store.record_request(record))
        except StoreUnavailable:
            return
        future.add_done_callback(_forget)

    async def ready(self) -> None:
        """Raises StoreUnavailable while the books cannot be reached, or their keys not followed."""
        if self._following.done():
            raise StoreUnavailable(
                "changes of keys and budgets can no longer be read: were they made by a later"
                " version of Hedgerow? Update this one, and start it again"
            )
        await self._writer.submit(self._store.policy_version)

    # -- keeping up

    async def _follow_policy(self) -> None:
        while True:
            await asyncio.sleep(POLICY_POLL_S)
            try:
                version = await self._writer.submit(self._store.policy_version)
                if version != self._policy.version:
                    self._policy = await self._writer.submit(
                        lambda: read_policy(self._store, self._file_budgets)
                    )
            except StoreUnavailable:
                continue  # the last policy known holds; the next hold will say what is wrong

    async def _forget_claims(self) -> None:
        while True:
            with suppress(StoreUnavailable):  # a claim that stays too long harms nobody
                while await self._writer.submit(self._forget_some) == FORGOTTEN_AT_ONCE:
                    pass
            await asyncio.sleep(FORGET_EVERY_S)

    def _forget_some(self) -> int:
        return self._store.forget_claims(self._clock_ns(), FORGOTTEN_AT_ONCE)

    async def close(self) -> None:
        """Finish every write, then close the store."""
        for task in (self._following, self._forgetting):
            task.cancel()
        await asyncio.gather(self._following, self._forgetting, return_exceptions=True)
        await self._writer.stop()
        self._store.close()


def read_policy(store: SqliteStore, file_budgets: tuple[Budget, ...]) -> Policy:
    """Keys and budgets now; those of files come first, in their order."""
    return Policy(store.policy_version(), store.keys(), (*file_budgets, *store.budgets()))


def open_book(
    store: SqliteStore,
    file_budgets: tuple[Budget, ...],
    clock_ns: Callable[[], int],
    *,
    alone: bool = True,
) -> Book:
    """Take over `store`, end what a dead worker left (if `alone`: no other worker's holds are
    open), and start writing. Needs a running loop."""
    with store.transaction():
        if alone:
            store.recover(clock_ns())
            store.expire(clock_ns())
        policy = read_policy(store, file_budgets)
    writer = Writer(store, asyncio.get_running_loop())
    return Book(store, writer, file_budgets, policy, clock_ns)


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


def _instant(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / 1_000_000_000, UTC)


def _forget(done: asyncio.Future[Any]) -> None:
    """Nobody waits for this one: a failure stays in the store's state, not in the log."""
    if not done.cancelled():
        done.exception()
