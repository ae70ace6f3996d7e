"""Grants: asks the store for slices of budgets, for the requests that wait for them.

Those that wait at the same moment ask together; alone a request waits for nobody. A slice that the
store cannot fill is asked of the other writers, which have some tenths of a second to return what
they do not hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from ledger.budgets import AccountKey
from ledger.desk import Desk
from ledger.errors import BudgetExceeded, StoreUnavailable
from ledger.slices import Slice
from ledger.tables.leases import Granted, Want

ANSWER_S = 2.0
"""How long a request waits for the store."""
RECALL_S = 0.6
"""How long for other writers to return what they do not need: a few of their polls."""
RECALL_POLL_S = 0.05

Short = Sequence[tuple[Slice, int]]


@dataclass(slots=True)
class _Asked:
    """What those who wait for a slice need of it: the least that one of them needs, and all."""

    part: Slice
    least: int
    most: int = 0

    @property
    def want(self) -> Want:
        free = self.part.free
        return Want(self.part.account, max(0, self.least - free), max(0, self.most - free))


class Grants:
    """What a worker asks the store for."""

    def __init__(self, desk: Desk) -> None:
        self._store = desk.store
        self._writer = desk.writer
        self._writer_id = desk.writer_id
        self._slices = desk.slices
        self._clock_ns = desk.times.now_ns
        self._monotonic_s = desk.times.monotonic_s
        self._sleep = desk.times.sleep
        self._asked: dict[AccountKey, _Asked] = {}
        self._next: asyncio.Future[Mapping[AccountKey, Granted]] | None = None
        self._is_asking = False

    async def fill(
        self,
        slices: Iterable[Slice],
        short: Callable[[], Short],
        caught_up: Callable[[], Awaitable[None]],
    ) -> None:
        """Ask until none of the slices is `short` any more; that is looked at after each answer.

        caught_up: waits until the store knows of all that was spent: what was billed above a hold
        counts before anything else is taken.

        Raises BudgetExceeded for the first budget that has not so much left, StoreUnavailable if
        the store does not answer in time.
        """
        waited_s = 0.0
        with self._slices.waited_for(slices):
            while missing := short():
                now_s = self._monotonic_s()
                for part, needed in missing:
                    if part.is_out(needed, now_s):
                        raise _exceeded(part, needed, part.room or 0)
                if any(part.uncovered for part, _ in missing):
                    await caught_up()
                granted = await self._ask(missing)
                refused = [
                    (part, needed, granted[part.key])
                    for part, needed in missing
                    if part.refuses and needed > max(0, part.free + granted[part.key].standing.room)
                ]
                if not refused:
                    continue
                hopeless = [one for one in refused if not one[2].lent or one[0].is_units]
                if hopeless or waited_s >= RECALL_S:
                    part, needed, said = (hopeless or refused)[0]
                    part.refused_at_s = now_s
                    raise _exceeded(part, needed, said.standing.room)
                await self._sleep(RECALL_POLL_S)
                waited_s += RECALL_POLL_S

    async def _ask(self, short: Short) -> Mapping[AccountKey, Granted]:
        for part, needed in short:
            asked = self._asked.setdefault(part.key, _Asked(part, needed))
            asked.least = min(asked.least, needed)
            asked.most += needed
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
        asked, answer = tuple(self._asked.values()), self._next
        if answer is None:
            return
        self._asked, self._next = {}, None
        wants, now_ns = tuple([one.want for one in asked]), self._clock_ns()
        waiting = ExitStack()
        waiting.enter_context(self._slices.waited_for([one.part for one in asked]))
        try:
            made = self._writer.submit(
                lambda: self._store.leases.grant(self._writer_id, wants, now_ns)
            )
        except StoreUnavailable as unavailable:
            waiting.close()
            _fail(answer, unavailable)
            return
        self._is_asking = True

        def told(done: asyncio.Future[list[Granted]]) -> None:
            waiting.close()
            self._told(answer, done)

        made.add_done_callback(told)

    def _told(
        self,
        answer: asyncio.Future[Mapping[AccountKey, Granted]],
        done: asyncio.Future[list[Granted]],
    ) -> None:
        self._is_asking = False
        if (error := done.exception()) is not None:
            _fail(answer, error)
        else:
            granted = {one.account.key: one for one in done.result()}
            for key, said in granted.items():
                part = self._slices[key]
                part.free += said.amount
                if part.account.cap == said.account.cap:
                    part.seen(said.standing)
                else:  # changed while we asked
                    self._slices.surplus.append(part)
            self.return_surplus()
            if not answer.done():
                answer.set_result(granted)
        self._send()

    # -- giving back

    def give_back(self, slices: Iterable[Slice]) -> None:
        """Return all that is free of these. What cannot be written now is owed."""
        back = [(one.key, self._slices.give_back(one), one.held) for one in slices if one.free]
        if not back:
            return

        def write() -> None:
            for key, amount, held in sorted(back):
                self._store.leases.give_back(self._writer_id, key, amount, held)

        self._writer.tell(write, must=True)

    def return_surplus(self) -> None:
        """Return what should not stay here."""
        if self._slices.surplus:
            surplus, self._slices.surplus = self._slices.surplus, []
            self.give_back(surplus)

    def return_recalled(self, keys: Iterable[AccountKey]) -> None:
        """Return what is free of accounts that another writer needs."""
        for key in keys:
            part = self._slices.get(key)
            if part is not None and part.free:
                self.give_back([part])
                continue
            held = 0 if part is None else part.held
            self._writer.tell(partial(self._store.leases.give_back, self._writer_id, key, 0, held))


def _exceeded(part: Slice, needed: int, room: int) -> BudgetExceeded:
    account, left = part.account, room + part.free
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
