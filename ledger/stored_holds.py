"""StoredHolds: the holds of batches, on the event loop. They are in the store from the beginning,
for they outlive the process that took them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ledger.attempts import Attempt, Hold, Settlement
from ledger.budgets import Account
from ledger.desk import Desk
from ledger.errors import BudgetExceeded
from ledger.grants import RECALL_POLL_S, RECALL_S, Grants
from ledger.money import Money
from ledger.tables.holds import OpenHold

HOLDS_AT_ONCE = 500
"""How many of a batch go into one turn of the writer: some ms, then it is somebody else's turn."""

Accounts = Callable[[Attempt], tuple[Account, ...]]


class StoredHolds:
    """accounts_of: what an attempt draws on today."""

    def __init__(self, desk: Desk, grants: Grants, accounts_of: Accounts) -> None:
        self._store = desk.store
        self._writer = desk.writer
        self._writer_id = desk.writer_id
        self._slices = desk.slices
        self._clock_ns = desk.times.now_ns
        self._sleep = desk.times.sleep
        self._grants = grants
        self._accounts_of = accounts_of

    async def hold_all(self, attempts: Sequence[Attempt]) -> tuple[Hold, ...]:
        """Reserve the worst case of each, in one transaction: of all, or of none.

        Raises BudgetExceeded with the sum that does not fit, and ValueError for more than
        HOLDS_AT_ONCE: so long the holds of others may have to wait, and no longer. If the caller
        is cancelled while it waits, the holds are voided right after they are made.
        """
        if len(attempts) > HOLDS_AT_ONCE:
            raise ValueError(f"{len(attempts)} holds at once: {HOLDS_AT_ONCE} are the most")
        holds = [Hold(one, self._accounts_of(one)) for one in attempts]
        waited_s = 0.0
        while True:
            try:
                return await self._held(holds)
            except BudgetExceeded as refused:
                if waited_s >= RECALL_S or not await self._freed(refused.budget, holds):
                    raise
            await self._sleep(RECALL_POLL_S)
            waited_s += RECALL_POLL_S

    async def _held(self, holds: Sequence[Hold]) -> tuple[Hold, ...]:
        made = self._writer.submit(lambda: self._store.holds.hold_all(holds))
        try:
            return await asyncio.shield(made)
        except asyncio.CancelledError:
            self._undo([one.attempt.id for one in holds])
            raise

    async def _freed(self, budget: str, holds: Sequence[Hold]) -> bool:
        """Return what is free in this worker's slices, and ask for what is in those of others: of
        all that is drawn on, so that it takes no longer for many budgets than for one. False if
        there is nothing of the one that refused."""
        accounts = {one.key: one for hold in holds for one in hold.accounts}
        own = [part for key in accounts if (part := self._slices.get(key)) and part.free]
        is_own = any(part.account.budget == budget for part in own)
        self._grants.give_back(own)
        now_ns = self._clock_ns()

        def recall() -> int:
            lent = 0
            for one in accounts.values():
                asked = self._store.leases.recall(self._writer_id, one, now_ns)
                lent += asked if one.budget == budget else 0
            return lent

        return bool(await self._writer.submit(recall)) or is_own

    def _undo(self, attempt_ids: Sequence[str]) -> None:
        """The writer works in order: the holds have been made, or refused, when this is tried."""
        at_ns = self._clock_ns()

        def void() -> None:
            for one in attempt_ids:
                if self._store.holds.is_open(one):
                    self._store.holds.void(self._writer_id, one, at_ns, "client left")

        self._writer.tell(void, must=True)

    async def one(self, attempt_id: str) -> Hold | None:
        """The hold of an attempt, if nothing has ended it yet."""
        found = await self._writer.submit(lambda: self._store.holds.open_hold(attempt_id))
        return None if found is None else self._found(found)

    async def of_batch(self, batch: str, after: str = "") -> tuple[Hold, ...]:
        """Holds of a batch that nothing has ended yet, by attempt id, HOLDS_AT_ONCE at most: for
        those beyond, ask again `after` the last one."""
        found = await self._writer.submit(
            lambda: self._store.holds.open_holds(batch, after, HOLDS_AT_ONCE)
        )
        return tuple(self._found(one) for one in found)

    def _found(self, found: OpenHold) -> Hold:
        """With its accounts, as far as their budgets still exist: only they have a cap."""
        accounts = self._accounts_of(found.attempt)
        return Hold(found.attempt, tuple(one for one in accounts if one.key in found.drawn_on))

    async def post(self, hold: Hold, end: Settlement) -> Money | None:
        """As Book.post. What cannot be written now is tried again, and then owed."""
        store, writer_id = self._store, self._writer_id
        return await asyncio.shield(
            self._writer.submit(lambda: store.holds.post(writer_id, hold, end), must=True)
        )

    async def void(self, attempt_id: str, reason: str) -> None:
        """As Book.void."""
        store, writer_id, at_ns = self._store, self._writer_id, self._clock_ns()
        await asyncio.shield(
            self._writer.submit(
                lambda: store.holds.void(writer_id, attempt_id, at_ns, reason), must=True
            )
        )

    async def expire(self) -> int:
        """Release every overdue hold that was never dispatched; how many there were."""
        store, writer_id, now_ns = self._store, self._writer_id, self._clock_ns()
        return await self._writer.submit(lambda: store.holds.expire(writer_id, now_ns))
