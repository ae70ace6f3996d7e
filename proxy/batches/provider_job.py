"""ProviderJob: lines of a batch that a provider runs as a batch of its own.

    HOLDING ──▶ UPLOADING ──▶ CREATING ──▶ CREATED ──▶ ENDED
       └────────────┴────────────┴─▶ RETURNING ──────────▲

Each state is on disk before what it stands for is tried, and each step can be done again: money is
held before anything is sent, a hold that has been ended already is not ended twice, and a batch
that may have been created is looked for before another is. What the provider does not answer comes
back to us, and is run as requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from io import BufferedReader

import msgspec

from ledger.attempts import Attempt, Hold
from ledger.budgets import Subject
from ledger.errors import BudgetExceeded, KeyRefused
from ledger.instants import instant
from ledger.money import Money
from ledger.principals import Principal
from ledger.requests import RequestRecord
from proxy.accounts import Busy
from proxy.batches.batch import Batch, Used, used_of
from proxy.batches.batch_store import BatchStore
from proxy.batches.file_store import FileStore
from proxy.batches.line import JSON, State, line_id, result_of
from proxy.batches.pricing import BatchPrices, Ends, Priced, Read
from proxy.batches.provider_desk import (
    DeskBusy,
    DeskRefused,
    ProviderDesk,
    TheirBatch,
    TheirLine,
    TheirResponse,
    read_lines,
)
from proxy.batches.rows import Job, JobState, Result, Row
from proxy.chat import NO_PROVIDER, refuse_model, refuse_restricted
from proxy.errors import ProxyError, UpstreamFailed, log, over_budget
from proxy.house import House
from proxy.providers import Account
from proxy.refusals import Fault, read_refusal
from proxy.wires import body as bodies
from proxy.wires.table import WIRES

LINES_AT_ONCE = 200
PLACE_TRIES = 6
"""How often a provider is asked to take a job, before it is ours again."""
FIRST_REST_S, REST_GROWTH, LONGEST_REST_S = 0.25, 1.5, 60.0
"""Between two looks at a job, and between two tries."""
TICK_S = 0.25
GIVE_UP_S = 86_400.0
"""How long after the end of the window a provider's answer is still waited for."""
GONE = frozenset((404, 410))
"""Statuses by which a provider says that it has no such batch, or file. Others may pass: a key that
is refused today may be mended tomorrow."""
WINDOW = "24h"
"""What providers promise, and all that most of them take."""
OUR_BATCH, OUR_JOB = "hedgerow_batch", "hedgerow_job"
"""Names in the metadata of a provider's batch."""


class ProviderJob:
    """returned: told how many lines have become ours. stop: no more is wanted of it."""

    def __init__(
        self,
        house: House,
        store: BatchStore,
        files: FileStore,
        batch: Batch,
        job: Job,
        *,
        returned: Callable[[int], None],
        stop: asyncio.Event,
    ) -> None:
        self._house = house
        self._store = store
        self._files = files
        self._batch = batch
        self._job = job
        self._returned = returned
        self._stop = stop
        self._wire = WIRES[batch.asks]
        self._input = files.path(batch.input_file_id)
        self._prices = BatchPrices(house, batch, job)
        self._may_exist = job.state is JobState.CREATING

    async def run(self) -> None:
        """From the state that it has to its end. May be cancelled, and run again from there."""
        if self._job.state is JobState.HOLDING:
            await self._hold()
        if self._job.state in (JobState.UPLOADING, JobState.CREATING):
            await self._placed()
        if self._job.state is JobState.CREATED:
            await self._work_off()
        if self._job.state is JobState.RETURNING:
            await self._give_back()

    async def _enter(self, state: JobState, **more: object) -> None:
        self._job = replace(self._job, state=state, **more)  # type: ignore[arg-type]
        await self._store.keep_job(self._job)

    def _desk(self) -> ProviderDesk | None:
        """None where the provider, or our account there, is no longer configured."""
        provider = self._house.providers.get(self._job.provider)
        accounts = () if provider is None else provider.accounts
        account = next((one for one in accounts if one.name == self._job.account), None)
        if provider is None or account is None:
            return None
        return ProviderDesk(self._house, provider, account)

    # -- money first

    async def _hold(self) -> None:
        """Hold the worst case of each line, in their order; those that do not fit fail."""
        await self._adopt()
        now_ns = self._house.clock.now_ns()
        try:
            who = self._house.book.principal_of(self._batch.key_id)
            subject = Subject(who, self._job.model, NO_PROVIDER)
            refuse_model(self._job.model, self._house, who)
            refuse_restricted(self._job.model, await self._house.book.directives(subject, now_ns))
        except (KeyRefused, ProxyError):  # each line is told so
            await self._enter(JobState.RETURNING)
            return
        if not self._prices.is_known or (account := self._account()) is None:
            await self._enter(JobState.RETURNING)
            return
        subject = Subject(who, self._job.model, self._job.provider)
        left = await self._house.book.left(subject, now_ns)
        lines = await self._store.count_job(self._job, State.PLACED)
        share = self._job.share_nanos
        if left is not None and share is None:
            share = max(0, left) // max(1, lines)
        round_ = self._job.round + 1
        await self._enter(JobState.HOLDING, round=round_, share_nanos=share, account=account.name)
        async for some in self._read(State.PLACED):
            if self._stop.is_set():
                break
            await self._hold_some(who, [self._priced(one) for one in some], None)
        if self._stop.is_set() or not await self._store.count_job(self._job, State.HELD):
            await self._enter(JobState.RETURNING)
        else:
            await self._enter(JobState.UPLOADING)

    def _account(self) -> Account | None:
        """The one that pays for all of it."""
        provider = self._house.providers.get(self._job.provider)
        if provider is None:
            return None
        taken = self._house.accounts.take(provider.name, self._house.clock.monotonic_s())
        if isinstance(taken, Busy):  # its limits are on requests, not on batches
            return provider.accounts[0]
        self._house.accounts.give_back(provider.name, taken)
        return taken

    async def _adopt(self) -> None:
        """Holds that were made, and not noted down before a crash."""
        after = ""
        while found := await self._house.book.stored.of_batch(self._batch.id, after):
            named = [(_number(one.attempt), one.attempt.id) for one in found]
            await self._store.hold_lines(self._job, named)
            after = found[-1].attempt.id

    async def _hold_some(
        self, who: Principal, lines: Sequence[Priced], refused: BudgetExceeded | None
    ) -> BudgetExceeded | None:
        """Each that fits, in their order, as if one by one. Returns the last refusal: what needs
        more than that had left is not tried."""
        if refused is not None:
            by, left = refused.measure, refused.left
            await self._refuse(who, [one for one in lines if one.reserves(by) > left], refused)
            lines = [one for one in lines if one.reserves(by) <= left]
        if not lines:
            return refused
        attempts = [self._attempt(who, one) for one in lines]
        try:
            await self._house.book.stored.hold_all(attempts)
        except BudgetExceeded as error:
            if len(lines) == 1:
                await self._refuse(who, lines, error)
                return error
            half = len(lines) // 2
            for some in (lines[:half], lines[half:]):
                refused = await self._hold_some(who, some, refused)
            return refused
        numbers = [one.line.row.number for one in lines]
        await self._store.hold_lines(
            self._job, list(zip(numbers, (one.id for one in attempts), strict=True))
        )
        return refused

    def _attempt(self, who: Principal, priced: Priced) -> Attempt:
        request_id = self._request_id(priced.line.row.number)
        return Attempt(
            id=f"{request_id}.{self._job.round}",
            request_id=request_id,
            at_ns=self._house.clock.now_ns(),
            principal=who,
            model=self._job.model,
            provider=self._job.provider,
            upstream_model=self._job.offer_model,
            rates=priced.rates,
            streamed=False,
            worst_case=priced.worst_case,
            most_tokens=priced.most_tokens,
            account=self._job.account,
            batch=self._batch.id,
        )

    def _request_id(self, number: int) -> str:
        return f"req_{self._batch.id.removeprefix('batch_')}-{number:05d}"

    async def _refuse(
        self, who: Principal, lines: Sequence[Priced], refused: BudgetExceeded
    ) -> None:
        """Their answers are 402s; what they would have cost is demand all the same."""
        results = []
        for one in lines:
            own = replace(refused, needed=one.reserves(refused.measure))
            at = instant(self._house.clock.now_ns())
            problem = over_budget(own, self._prices.affordable(one, own), at, who.name)
            results.append(self._failure(one.line.row, problem))
            self._remember(who, one.line, problem, one.expected_cost)
        await self._store.finish(self._batch.id, results)

    # -- to the provider

    async def _placed(self) -> None:
        desk, tries = self._desk(), 0
        rest_s = FIRST_REST_S
        if (desk is None or not self._prices.is_known) and not self._may_exist:
            await self._enter(JobState.RETURNING)
            return
        while self._job.state in (JobState.UPLOADING, JobState.CREATING):
            if (self._stop.is_set() or tries >= PLACE_TRIES) and not self._may_exist:
                if desk is not None:
                    await self._tidy(desk)
                await self._enter(JobState.RETURNING)
                return
            if desk is None or self._is_given_up:
                await self._abandon("its provider cannot be asked for it any more")
                return
            tries += 1
            try:
                await self._place(desk)
            except DeskRefused as error:
                log.error("%s refuses a batch: %s", self._job.provider, error)
                self._may_exist = False
                await self._tidy(desk)
                await self._enter(JobState.RETURNING)
            except DeskBusy as error:
                log.warning("%s does not take a batch: %s", self._job.provider, error)
                await self._pause(max(rest_s, min(error.retry_after_s, LONGEST_REST_S)))
                rest_s = min(rest_s * REST_GROWTH, LONGEST_REST_S)

    async def _place(self, desk: ProviderDesk) -> None:
        if self._job.state is JobState.UPLOADING:
            input_id = await desk.upload(f"{self._job.id}.jsonl", await self._content(desk))
            await self._enter(JobState.CREATING, input_id=input_id)
        theirs = await self._created(desk)
        if theirs is not None:
            await self._enter(JobState.CREATED, batch_id=theirs.id)

    async def _created(self, desk: ProviderDesk) -> TheirBatch | None:
        """The provider's batch; one that may be there already is looked for first."""
        if self._may_exist:
            try:
                found = await desk.find(OUR_JOB, self._job.id)
            except DeskRefused as error:  # so nobody knows
                raise DeskBusy(str(error), is_sent=True) from error
            if found is not None:
                return found
            self._may_exist = False
            if self._stop.is_set():
                return None
        try:
            self._may_exist = True
            return await desk.create(
                {
                    "input_file_id": self._job.input_id,
                    "endpoint": self._batch.endpoint,
                    "completion_window": WINDOW,
                    "metadata": {OUR_BATCH: self._batch.id, OUR_JOB: self._job.id},
                }
            )
        except DeskBusy as error:
            self._may_exist = error.is_sent
            raise

    async def _content(self, desk: ProviderDesk) -> bytes:
        """Its lines as the provider gets them, each called by its number."""
        parts = [
            await asyncio.to_thread(self._rewritten, desk, some)
            async for some in self._read(State.HELD)
        ]
        return b"".join(parts)

    def _rewritten(self, desk: ProviderDesk, some: Sequence[Read]) -> bytes:
        """Runs in a thread."""
        lines = []
        for one in some:
            told = self._priced(one).limit.told
            body = self._wire.rewrite(one.body, JSON, desk.provider, self._job.offer_model, told)
            if b"\n" in body or b"\r" in body:
                body = msgspec.json.format(body, indent=-1)
            line = {
                "custom_id": str(one.row.number),
                "method": "POST",
                "url": self._batch.endpoint,
                "body": msgspec.Raw(body),
            }
            lines.append(bodies.encode(line) + b"\n")
        return b"".join(lines)

    # -- until it has ended there

    async def _work_off(self) -> None:
        """Wait for its end, and take in what was answered."""
        desk, rest_s, is_cancelled = self._desk(), FIRST_REST_S, False
        batch_id = self._job.batch_id or ""
        while True:
            if self._is_given_up or (desk is None and self._stop.is_set()):
                await self._abandon("its provider cannot be asked for it any more")
                return
            if desk is None:
                log.error("provider %s of %s is gone", self._job.provider, self._job.id)
                await self._stop.wait()
                continue
            try:
                theirs = await desk.get(batch_id)
                if theirs.has_ended:
                    await self._take_in(desk, theirs)
                    return
                if self._stop.is_set() and not is_cancelled:
                    with suppress(DeskRefused):  # it has just ended
                        await desk.cancel(batch_id)
                    is_cancelled, rest_s = True, FIRST_REST_S
            except DeskRefused as error:
                log.error("%s does not give a batch back: %s", self._job.provider, error)
                if error.status in GONE:
                    await self._abandon(str(error))
                    return
            except DeskBusy as error:
                log.warning("%s does not say how a batch is: %s", self._job.provider, error)
                rest_s = max(rest_s, min(error.retry_after_s, LONGEST_REST_S))
            await self._pause(rest_s)
            rest_s = min(rest_s * REST_GROWTH, LONGEST_REST_S)

    @property
    def _is_given_up(self) -> bool:
        return self._house.clock.now_ns() / 1e9 > self._batch.expires_at + GIVE_UP_S

    async def _pause(self, seconds: float) -> None:
        """Wait, but not on when it is told to stop."""
        clock, was_stopped = self._house.clock, self._stop.is_set()
        until_s = clock.monotonic_s() + seconds
        while (left_s := until_s - clock.monotonic_s()) > 0 and was_stopped == self._stop.is_set():
            if was_stopped:
                await asyncio.sleep(min(TICK_S, left_s))
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(min(TICK_S, left_s)):
                    await self._stop.wait()

    async def _take_in(self, desk: ProviderDesk, theirs: TheirBatch) -> None:
        if theirs.status == "failed":
            log.error("%s refuses batch %s", self._job.provider, theirs.id)
        for file_id in (theirs.output_file_id, theirs.error_file_id):
            if file_id:
                async with self._downloaded(desk, file_id) as file:
                    while lines := await asyncio.to_thread(read_lines, file, LINES_AT_ONCE):
                        await self._settle(lines)
        await self._enter(JobState.RETURNING)  # what it has not run
        await self._tidy(desk, theirs.output_file_id, theirs.error_file_id)

    @asynccontextmanager
    async def _downloaded(self, desk: ProviderDesk, file_id: str) -> AsyncIterator[BufferedReader]:
        part = self._files.part(self._job.id)
        try:
            await desk.download(file_id, part)
            file = await asyncio.to_thread(part.open, "rb")
            try:
                yield file
            finally:
                await asyncio.to_thread(file.close)
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)

    async def _tidy(self, desk: ProviderDesk, *file_ids: str | None) -> None:
        """Nobody else will delete our files there. It costs nothing if it fails."""
        for file_id in (self._job.input_id, *file_ids):
            if file_id:
                with suppress(DeskRefused, DeskBusy):
                    await desk.delete_file(file_id)

    # -- what was answered

    async def _settle(self, lines: Sequence[TheirLine]) -> None:
        """Book each line by its own usage, then keep its answer. May be done again."""
        numbered = [one for one in lines if one.custom_id.isascii() and one.custom_id.isdecimal()]
        answers = {int(one.custom_id): one for one in reversed(numbered)}  # the first one counts
        rows = await self._store.job_lines_of(self._job, answers)
        found = await asyncio.to_thread(self._prices.read, self._input, list(rows.values()))
        ends = Ends()
        holds = await asyncio.gather(*(self._hold_of(one.row) for one in found))
        for one, hold in zip(found, holds, strict=True):
            response = answers[one.row.number].response
            if response is None:
                self._unanswered(ends, one, hold)
            elif response.status_code == 200:
                self._answered(ends, one, hold, bytes(response.body))
            else:
                self._refused(ends, one, hold, response)
        await self._resolve(ends)

    async def _hold_of(self, row: Row) -> Hold | None:
        """None if it has been ended: by us, before a crash."""
        return await self._house.book.stored.one(row.attempt_id or "")

    def _answered(self, ends: Ends, one: Read, hold: Hold | None, body: bytes) -> None:
        plain = self._wire.plain(body, one.ask)
        if plain is None:
            self._estimated(ends, hold)
            problem = UpstreamFailed(f"its answer is no answer of {self._batch.endpoint}")
            ends.results.append(self._failure(one.row, problem))
            return
        if hold is not None:
            end = self._prices.settlement(one, hold, plain)
            ends.posts.append((hold, end))
            if not end.estimated:
                body = self._wire.with_cost(body, end.charge.effective)
            self._remember(hold.attempt.principal, one, None, None)
        text = self._text(one.row, 200, body)
        ends.results.append(Result(one.row.number, text, is_error=False, used=used_of(plain.usage)))

    def _refused(self, ends: Ends, one: Read, hold: Hold | None, response: TheirResponse) -> None:
        refusal = read_refusal(response.status_code, bytes(response.body))
        if refusal.maybe_billed:
            self._estimated(ends, hold)
        elif hold is not None:
            ends.voids.append(hold)
        if refusal.fault in (Fault.CALLER, Fault.TOO_LONG):
            if hold is not None:
                self._remember(hold.attempt.principal, one, refusal.error, None)
            ends.results.append(self._failure(one.row, refusal.error))
        else:  # nothing is wrong with the line
            ends.returned.append(one.row.number)

    def _unanswered(self, ends: Ends, one: Read, hold: Hold | None) -> None:
        if hold is not None:
            ends.voids.append(hold)
        ends.returned.append(one.row.number)

    def _estimated(self, ends: Ends, hold: Hold | None) -> None:
        if hold is not None:
            ends.posts.append((hold, self._prices.most(hold)))

    async def _resolve(self, ends: Ends) -> None:
        """Money first: a line without a result is looked at again, and its hold with it."""
        await self._house.book.post_all(ends.posts)
        await self._house.book.void_all(ends.voids, "not run in its batch")
        await self._store.finish(self._batch.id, ends.results)
        await self._requeue(ends.returned)

    async def _requeue(self, numbers: list[int]) -> None:
        if numbers:
            await self._store.requeue(self._job, numbers)
            self._returned(len(numbers))

    async def _give_back(self) -> None:
        """Lines that were not run there become ours."""
        for state in (State.HELD, State.PLACED):
            while rows := await self._store.job_lines(
                self._job, state, after=0, limit=LINES_AT_ONCE
            ):
                found = await asyncio.gather(*(self._hold_of(one) for one in rows))
                holds = [one for one in found if one is not None]
                await self._house.book.void_all(holds, "not run in its batch")
                await self._requeue([one.number for one in rows])
        await self._enter(JobState.ENDED)

    async def _abandon(self, why: str) -> None:
        """Nobody will say any more what it used: each line is charged for the most it can have."""
        problem = UpstreamFailed(f"{self._job.provider} gave no answer: {why}")
        while rows := await self._store.job_lines(
            self._job, State.HELD, after=0, limit=LINES_AT_ONCE
        ):
            ends = Ends()
            for row in rows:
                self._estimated(ends, await self._hold_of(row))
                ends.results.append(self._failure(row, problem))
            await self._resolve(ends)
        await self._enter(JobState.ENDED)

    # -- lines

    def _priced(self, line: Read) -> Priced:
        share = self._job.share_nanos
        return self._prices.price(line, None if share is None else Money(share))

    async def _read(self, state: State) -> AsyncIterator[list[Read]]:
        """Its lines in a state, some at a time."""
        after = 0
        while rows := await self._store.job_lines(
            self._job, state, after=after, limit=LINES_AT_ONCE
        ):
            yield await asyncio.to_thread(self._prices.read, self._input, rows)
            after = rows[-1].number

    def _failure(self, row: Row, problem: ProxyError) -> Result:
        text = self._text(row, problem.answer_status, problem.body())
        return Result(row.number, text, is_error=True, used=Used())

    def _text(self, row: Row, status: int, body: bytes) -> bytes:
        named = line_id(self._batch.id, row.number)
        return result_of(named, row.custom_id, status, self._request_id(row.number), body)

    def _remember(
        self, who: Principal, line: Read, problem: ProxyError | None, cost: Money | None
    ) -> None:
        self._house.book.remember(
            RequestRecord(
                id=self._request_id(line.row.number),
                at_ns=self._house.clock.now_ns(),
                key_id=who.key_id,
                team=who.team,
                user=who.user,
                model=self._job.model,
                outcome="answered" if problem is None else problem.code or problem.type,
                status=200 if problem is None else problem.answer_status,
                attempts=0 if cost is not None else 1,
                would_have_cost=cost,
                decision=None,
            )
        )


def _number(attempt: Attempt) -> int:
    """Of the line that an attempt is for."""
    return int(attempt.request_id.rpartition("-")[2])
