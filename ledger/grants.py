"""Grants: asks the store for slices of budgets, for the requests that wait for them.

Those that wait at the same moment ask together; alone a request waits for nobody. A slice that the
store cannot fill is asked of the other writers, which have some tenths of a second to return what
they do not hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from ledger.budgets import AccountKey
from ledger.errors import BudgetExceeded, StoreUnavailable
from ledger.lease_table import Granted, Want
from ledger.slices import Slice, Slices
from ledger.store import Store
from ledger.writer import Writer

ANSWER_S = 2.0
"""How long a request waits for the store."""
RECALL_S = 0.6
"""How long for other writers to return what they do not need: a few of their polls."""
RECALL_POLL_S = 0.05

Short = Sequence[tuple[Slice, int]]


class Grants:
    """What a worker asks the store for."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        writer_id: int,
        slices: Slices,
        clock_ns: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._writer = writer
        self._writer_id = writer_id
        self._slices = slices
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._needs: dict[AccountKey, tuple[Slice, int, int]] = {}
        """Of each slice: the least that somebody needs, and what all need together."""
        self._next: asyncio.Future[Mapping[AccountKey, Granted]] | None = None
        self._is_asking = False

    async def fill(self, short: Callable[[], Short]) -> None:
        """Ask until nothing is `short` any more; that is looked at again after each answer.

        Raises BudgetExceeded for the first budget that has not so much left, StoreUnavailable if
        the store does not answer in time.
        """
        waited_s = 0.0
        while missing := short():
            granted = await self._ask(missing)
            refused = [
                (part, needed, said)
                for part, needed in missing
                if (said := granted[part.account.key]).amount == 0
                and part.refuses
                and needed > part.free
            ]
            if not refused:
                continue
            hopeless = [one for one in refused if not one[2].lent]
            if hopeless or waited_s >= RECALL_S:
                raise _exceeded(*(hopeless or refused)[0])
            await self._sleep(RECALL_POLL_S)
            waited_s += RECALL_POLL_S

    async def _ask(self, short: Short) -> Mapping[AccountKey, Granted]:
        for part, needed in short:
            _, least, most = self._needs.get(part.account.key, (part, needed, 0))
            self._needs[part.account.key] = (part, min(needed, least), needed + most)
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        answer = self._next
        if not self._is_asking:
            self._send()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.shield(answer)
        except TimeoutError:
            raise StoreUnavailable(
                f"the books did not answer in {ANSWER_S:g} s, and this budget's slice is used up"
            ) from None

    def _send(self) -> None:
        answer = self._next
        if answer is None:
            return
        # What is free meanwhile need not be asked for.
        wants = [
            Want(part.account, max(0, least - part.free), max(0, most - part.free))
            for part, least, most in self._needs.values()
        ]
        self._needs, self._next = {}, None
        now_ns = self._clock_ns()
        try:
            made = self._writer.submit(
                lambda: self._store.leases.grant(self._writer_id, wants, now_ns)
            )
        except StoreUnavailable as unavailable:
            _fail(answer, unavailable)
            return
        self._is_asking = True
        made.add_done_callback(lambda done: self._told(answer, done))

    def _told(
        self,
        answer: asyncio.Future[Mapping[AccountKey, Granted]],
        done: asyncio.Future[list[Granted]],
    ) -> None:
        self._is_asking = False
        if (error := done.exception()) is not None:
            _fail(answer, error)
        else:
            outdated = []
            for said in done.result():
                part = self._slices.get(said.account.key)
                if part is None:
                    (part,) = self._slices.of([said.account])
                part.free += said.amount
                part.seen(said.standing)
                if part.account.cap != said.account.cap:  # changed while we asked
                    outdated.append(part)
            self.give_back(outdated)
            if not answer.done():
                answer.set_result({one.account.key: one for one in done.result()})
        self._send()

    # -- giving back

    def give_back(self, slices: Iterable[Slice]) -> None:
        """Return all that is free of these. What cannot be written now is owed."""
        back = [
            (one.account.key, self._slices.give_back(one), one.held) for one in slices if one.free
        ]
        if not back:
            return

        def write() -> None:
            for key, amount, held in sorted(back):
                self._store.leases.give_back(self._writer_id, key, amount, held)

        self._writer.tell(write, must=True)

    def close(self, slices: Iterable[Slice]) -> None:
        """Return slices whole: they are forgotten here, and nothing of them is held or unfolded.

        Tried once: a later try could return what has been leased anew.
        """
        keys = sorted(one.account.key for one in slices)
        if not keys:
            return

        def write() -> None:
            for key in keys:
                self._store.leases.close(self._writer_id, key)

        self._writer.tell(write)

    def return_recalled(self, keys: Iterable[AccountKey]) -> None:
        """Return what is free of accounts that another writer needs."""
        for key in keys:
            part = self._slices.get(key)
            leases = self._store.leases
            if part is None:
                self._writer.tell(partial(leases.close, self._writer_id, key))
            elif part.free:
                self.give_back([part])
            else:
                self._writer.tell(partial(leases.give_back, self._writer_id, key, 0, part.held))


def _exceeded(part: Slice, needed: int, said: Granted) -> BudgetExceeded:
    account, left = part.account, said.standing.room + part.free
    spent = part.spent
    return BudgetExceeded(
        budget=account.budget,
        scope=account.scope,
        measure=account.measure,
        cap=account.cap or 0,
        spent=spent,
        held=(account.cap or 0) - spent - left,
        needed=needed,
        resets_at=account.resets_at,
    )


def _fail(answer: asyncio.Future[Mapping[AccountKey, Granted]], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # whoever waited may have gone
