"""Race: a second offer is asked while the first is silent, and whichever begins first wins.

The one that was overtaken is given up. Its hold ends behind the answer's back, as the house ends
all that may have been billed: a stream is hung up on, and booked by an estimate; a plain answer is
written to its end all the same, and is heard out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

from ledger.errors import LedgerError
from proxy.attempt import Opened, writing_s
from proxy.errors import ProxyError, log
from proxy.house import House
from proxy.trial import Trial
from proxy.wires.wire import Ask
from routing.decision import RouteDecision
from routing.limits import SecondOfferRule
from routing.second_offers import SecondOffer, second_offer

Asking = Coroutine[None, None, Opened | None]
"""An attempt. None: it failed, and another offer may do better."""
Task = asyncio.Task[Opened | None]


def planned(decision: RouteDecision, rule: SecondOfferRule, ask: Ask) -> SecondOffer | None:
    """The second offer of a request that has candidates; None if it is to have none."""
    if not ask.task.is_writing or not (ask.stream or rule.plain):
        return None
    if ask.stream:
        return second_offer(decision.candidates, rule, 0.0)
    first = decision.candidates[0]
    writing_ms = 1000 * writing_s(ask, first.intent, first.listing.seen)
    return second_offer(decision.candidates, rule, writing_ms)


class Race:
    """Two attempts for one answer.

    trials: those that have their hold; the first of the two is there from the start. was_silent: it
    had not begun in time.
    """

    def __init__(self, house: House, first: Trial) -> None:
        self._house = house
        self.trials = [first]
        self.was_silent = False

    async def run(
        self, first: Asking, second: Callable[[], Asking], after_s: float
    ) -> Opened | None:
        """The answer that begins first; None if both fail. Raises what `first` raises, and what
        `second` does if nothing comes of `first` either.

        second: makes the other attempt, when its time has come. Whatever happens, also if the
        caller is cancelled, both end, and their holds with them.
        """
        tasks = [asyncio.create_task(first)]
        timer = asyncio.ensure_future(self._house.clock.sleep(after_s))
        winner: Task | None = None
        try:
            await asyncio.wait((tasks[0], timer), return_when=asyncio.FIRST_COMPLETED)
            self.was_silent = not tasks[0].done() and not self.trials[0].has_begun
            if self.was_silent:
                tasks.append(asyncio.create_task(second()))
            winner = await _first_to_begin(tasks)
        finally:
            # From here on nothing is waited for: a caller that is cancelled would lose the answer.
            timer.cancel()
            won = None if winner is None else winner.result()
            for trial in self.trials:
                trial.is_overtaken = won is not None and trial is not won.trial
            for task in tasks:
                if task is not winner:
                    task.cancel()
                    self._house.unheard.listen(_ended(task))
        return won


async def _first_to_begin(tasks: list[Task]) -> Task | None:
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done and task.exception() is None and task.result() is not None:
                return task
        if tasks[0] in done:
            tasks[0].result()  # raises what the caller is told, whatever another would say
    tasks[-1].result()
    return None


async def _ended(task: Task) -> None:
    """Wait until an attempt that was cancelled has ended. It does so soon, also while the server
    stops."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait((task,))
    if task.cancelled():
        return
    error, opened = task.exception(), None
    if error is None:
        opened = task.result()
    elif not isinstance(error, ProxyError | LedgerError):
        log.error("one of two attempts went wrong; this is a fault in Hedgerow", exc_info=error)
    if opened is not None:  # it began at the same moment
        opened.answer.close()
        await opened.trial.give_up(opened.plain)
