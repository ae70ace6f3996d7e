"""Run: prompts put to offers, their answers graded, within a cap.

Every offer gets a prompt before any gets the next one: where the cap ends a run, all have been
asked the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.errors import BudgetSpent, CapReached, NotAnswered
from benchmarks.evals.asking import Asker, Spent
from benchmarks.evals.grade import Grade
from benchmarks.evals.graders import Judge, Similarity, graded
from benchmarks.evals.prompts import Prompt
from benchmarks.offers import Offer
from benchmarks.own_api import Answer
from benchmarks.quotes import Quote
from ledger.money import ZERO, Money

TRIES = 3
"""At an offer that says that it has too much to do, or does not answer."""
LONGEST_WAIT_S = 30.0
GIVE_UP_AFTER = 5
"""So many prompts in a row without an answer: the offer is asked no more."""
_TOO_MUCH, _FAILED = 429, 500


@dataclass(frozen=True, slots=True)
class Contestant:
    """An offer as it is asked: pinned, by the name of a model that has it."""

    model: str
    offer: Offer
    quote: Quote


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one prompt at one offer, once.

    score: None if there was no answer, or nobody could grade it. is_answered: tells those apart.
    cost: of the answer alone; None if nobody knows. grading: of those who graded it.
    """

    prompt: Prompt
    contestant: Contestant
    turn: int
    score: float | None
    why: str
    is_answered: bool
    cost: Money | None
    grading: Money
    seconds: float | None


@dataclass(slots=True)
class Ran:
    """What came of a run. stopped: why it ended before its end; empty if it did not. given_up: the
    offers that were asked no more."""

    outcomes: list[Outcome] = field(default_factory=list)
    stopped: str = ""
    given_up: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run. repeat: how often each prompt is asked."""

    prompts: Sequence[Prompt]
    contestants: Sequence[Contestant]
    repeat: int = 1
    concurrency: int = 4

    @property
    def count(self) -> int:
        return len(self.prompts) * len(self.contestants) * self.repeat

    def rounds(self) -> Iterator[tuple[int, Prompt]]:
        return ((turn, prompt) for turn in range(self.repeat) for prompt in self.prompts)


@dataclass(slots=True)
class _Running:
    plan: Plan
    asker: Asker
    sleep: Callable[[float], Awaitable[None]]
    on_outcome: Callable[[Outcome], None]
    gate: asyncio.Semaphore
    ran: Ran
    failures: dict[str, int] = field(default_factory=dict)

    async def work(self, rounds: Iterator[tuple[int, Prompt]]) -> None:
        """Round after round, until there are none or no money. What is under way then ends."""
        for turn, prompt in rounds:
            try:
                asked = self._asked(prompt)
            except CapReached as reached:
                self._stop(reached)
                return
            if self.ran.stopped or not asked:
                return
            await asyncio.gather(*(self._one(prompt, one, turn) for one in asked))

    def _asked(self, prompt: Prompt) -> list[Contestant]:
        """The offers that still answer. Raises CapReached unless all of them can be asked."""
        left = [one for one in self.plan.contestants if one.offer.id not in self.ran.given_up]
        self.asker.check_fits(prompt, [one.quote for one in left])
        return left

    async def _one(self, prompt: Prompt, one: Contestant, turn: int) -> None:
        async with self.gate:
            if self.ran.stopped:
                return
            try:
                self._note(await self._outcome(prompt, one, turn))
            except (CapReached, BudgetSpent) as reached:
                self._stop(reached)

    async def _outcome(self, prompt: Prompt, one: Contestant, turn: int) -> Outcome:
        """Raises CapReached, BudgetSpent."""
        try:
            answer = await self._answer(prompt, one)
        except BudgetSpent:
            raise
        except NotAnswered as error:
            failures = self.failures[one.offer.id] = self.failures.get(one.offer.id, 0) + 1
            if failures >= GIVE_UP_AFTER:
                self.ran.given_up.add(one.offer.id)
            return Outcome(prompt, one, turn, None, str(error), False, None, ZERO, None)
        self.failures[one.offer.id] = 0
        spent = Spent()
        try:
            grade = await grade_of(prompt, answer, self.asker, spent)
        except BudgetSpent:
            raise
        except NotAnswered as error:
            grade = Grade(None, f"nobody graded it: {error}")
        return Outcome(
            *(prompt, one, turn, grade.score, grade.why, True),
            *(answer.cost, spent.cost, answer.seconds),
        )

    async def _answer(self, prompt: Prompt, one: Contestant) -> Answer:
        for attempt in range(1, TRIES + 1):
            try:
                return await self.asker.ask(prompt, one.model, one.offer, one.quote)
            except BudgetSpent:
                raise
            except NotAnswered as error:
                status = error.status
                passes = status is None or status == _TOO_MUCH or status >= _FAILED
                if attempt == TRIES or not passes:
                    raise
                wait_s = error.retry_after_s or 0.5 * 2**attempt
            await self.sleep(min(wait_s, LONGEST_WAIT_S))
        raise AssertionError("the last try returns or raises")

    def _note(self, outcome: Outcome) -> None:
        self.ran.outcomes.append(outcome)
        self.on_outcome(outcome)

    def _stop(self, why: Exception) -> None:
        self.ran.stopped = self.ran.stopped or str(why)


async def run_eval(
    plan: Plan,
    asker: Asker,
    sleep: Callable[[float], Awaitable[None]],
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    ran: Ran | None = None,
) -> Ran:
    """Ask and grade until all is done, or the purse or the budget of its key has an end.

    ran: what is found is put into it as it comes, for whoever ends it before.
    """
    gate = asyncio.Semaphore(plan.concurrency)
    running = _Running(plan, asker, sleep, on_outcome, gate, Ran() if ran is None else ran)
    rounds = plan.rounds()
    at_once = -(-plan.concurrency // max(1, len(plan.contestants)))
    await asyncio.gather(*(running.work(rounds) for _ in range(at_once)))
    return running.ran


async def grade_of(prompt: Prompt, answer: Answer, asker: Asker, spent: Spent) -> Grade:
    """What an answer is worth. Raises CapReached, NotAnswered."""
    match prompt.grader:
        case Judge() as judge:
            return await asker.judged(judge, prompt, answer, spent)
        case Similarity() as similarity:
            expect = prompt.expect if isinstance(prompt.expect, str) else ""
            return await asker.similar(similarity, expect, answer, spent)
        case local:
            grading = asyncio.to_thread(graded, local, prompt.expect, prompt.tools, answer)
            return await grading
