"""Sandbox providers with files and batches: every state of a batch, and what it would cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import openai
import pytest
from openai.types import Batch

from benchmarks.sandbox import Behaviour, Fault, SandboxProvider
from benchmarks.sandbox.batches import MAX_UNDER_WAY
from benchmarks.sandbox.files import MAX_FILE_BYTES

MODEL = "oak-70b"
FAST = Behaviour(models=(MODEL,), time_scale=0.0)
CHAT = "/v1/chat/completions"
ENDED = {"failed", "completed", "expired", "cancelled"}


@pytest.fixture
async def provider() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as running:
        yield running


@pytest.fixture
async def client(provider: SandboxProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with official(provider) as made:
        yield made


def official(provider: SandboxProvider) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=provider.base_url, api_key="sk-any", max_retries=0)


class Steps:
    """A sleep that holds every pause until it is told to let one pass."""

    def __init__(self) -> None:
        self._held = asyncio.Event()
        self._pass = asyncio.Semaphore(0)

    async def sleep(self, _seconds: float) -> None:
        self._held.set()
        await self._pass.acquire()

    async def held(self) -> None:
        """Until a pause is held."""
        await asyncio.wait_for(self._held.wait(), 10)

    async def let_one_pass(self) -> None:
        await self.held()
        self._held.clear()
        self._pass.release()

    def let_pass(self, pauses: int) -> None:
        for _ in range(pauses):
            self._pass.release()


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def line(name: str, *, url: str = CHAT, tokens: int = 5, **body: Any) -> dict[str, Any]:
    asked = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "one two three"}],
        "sandbox": {"output_tokens": tokens},
    }
    return {"custom_id": name, "method": "POST", "url": url, "body": asked | body}


def lines(*each: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in each)


async def upload(client: openai.AsyncOpenAI, content: bytes, name: str = "in.jsonl") -> str:
    return (await client.files.create(file=(name, content), purpose="batch")).id


async def create(
    client: openai.AsyncOpenAI, content: bytes, *, endpoint: Any = CHAT, window: Any = "24h"
) -> Batch:
    return await client.batches.create(
        input_file_id=await upload(client, content), endpoint=endpoint, completion_window=window
    )


async def ended(client: openai.AsyncOpenAI, batch: Batch) -> Batch:
    async with asyncio.timeout(10):
        while batch.status not in ENDED:
            batch = await client.batches.retrieve(batch.id)
    return batch


async def results(client: openai.AsyncOpenAI, file_id: str | None) -> list[Any]:
    assert file_id is not None
    content = await client.files.content(file_id)
    return [json.loads(one) for one in content.text.splitlines()]


def counts(batch: Batch) -> tuple[int, int, int]:
    assert batch.request_counts is not None
    told = batch.request_counts
    return told.total, told.completed, told.failed


async def test_files_and_batches_fail_with_their_provider(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """A provider that is down, limited or knows not the key is so for all that it has."""
    for fault, raised in (
        (Fault.HTTP_500, openai.InternalServerError),
        (Fault.HTTP_429, openai.RateLimitError),
        (Fault.HTTP_401, openai.AuthenticationError),
        (Fault.RESET, openai.APIConnectionError),
    ):
        provider.fault = fault
        with pytest.raises(raised):
            await upload(client, b"x")
        with pytest.raises(raised):
            await client.batches.list()
    provider.fault = Fault.CONTENT_FILTER  # judges prompts, and there is none
    assert (await client.batches.list()).data == []
    provider.fault = None
    provider.behaviour = replace(FAST, api_key="sk-other")
    with pytest.raises(openai.AuthenticationError):
        await upload(client, b"x")
    assert provider.tally.requests == 0


# Batches from their beginning to their end


async def test_a_batch_is_answered_and_billed_as_one(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """Each line gets what a request of its own would get; all of it is on the bill, as a batch."""
    batch = await ended(client, await create(client, lines(line("a", tokens=5), line("b", n=2))))

    assert (batch.status, counts(batch)) == ("completed", (2, 2, 0))
    assert batch.error_file_id is None
    first, second = await results(client, batch.output_file_id)
    assert [first["custom_id"], second["custom_id"]] == ["a", "b"]
    assert first["error"] is None
    assert first["response"]["status_code"] == 200
    answer = first["response"]["body"]
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == "hawthorn hazel holly dogwood elder"
    assert answer["usage"]["completion_tokens"] == 5
    assert len(second["response"]["body"]["choices"]) == 2
    assert batch.usage is not None
    assert (batch.usage.input_tokens, batch.usage.output_tokens) == (6, 15)
    tally = provider.tally
    assert (tally.requests, tally.batch_lines) == (0, 2)
    assert (tally.batched.requests, tally.batched.prompt_tokens) == (2, 6)
    assert tally.batched.completion_tokens == tally.completion_tokens == 15
    assert [(one.batch, one.status) for one in tally.exchanges] == [(True, 200)] * 2


@pytest.mark.parametrize(
    ("url", "body", "kind", "tokens"),
    [
        ("/v1/embeddings", {"input": "a b"}, "list", (2, 0)),
        ("/v1/completions", {"prompt": "a b", "max_tokens": 4}, "text_completion", (2, 4)),
    ],
)
async def test_other_work_in_batches(
    provider: SandboxProvider,
    client: openai.AsyncOpenAI,
    url: str,
    body: dict[str, Any],
    kind: str,
    tokens: tuple[int, int],
) -> None:
    """Embeddings and completions, too."""
    asked = {"model": MODEL, "sandbox": {"output_tokens": 9}} | body
    content = lines({"custom_id": "a", "method": "POST", "url": url, "body": asked})
    batch = await ended(client, await create(client, content, endpoint=url))

    (result,) = await results(client, batch.output_file_id)
    assert result["response"]["body"]["object"] == kind
    assert (provider.tally.batched.prompt_tokens, provider.tally.completion_tokens) == tokens


async def test_each_pause_is_one_step() -> None:
    """Validating, in progress, line by line, finalizing, completed: what holds a pause holds the
    batch in its state, and what is done by then is counted and billed."""
    steps = Steps()
    async with SandboxProvider(FAST, sleep=steps.sleep) as provider, official(provider) as client:
        batch = await create(client, lines(line("a"), line("b")))
        seen = []
        for _ in range(5):
            await steps.held()
            seen.append(await client.batches.retrieve(batch.id))
            await steps.let_one_pass()
        last = await ended(client, batch)

        assert [(one.status, counts(one)) for one in seen] == [
            ("validating", (0, 0, 0)),
            ("in_progress", (2, 0, 0)),
            ("in_progress", (2, 1, 0)),
            ("in_progress", (2, 2, 0)),
            ("finalizing", (2, 2, 0)),
        ]
        assert (last.status, counts(last)) == ("completed", (2, 2, 0))
        assert all(one.output_file_id is None for one in seen)
        assert last.output_file_id is not None
        assert None not in (last.in_progress_at, last.finalizing_at, last.completed_at)
        assert (last.failed_at, last.expired_at, last.cancelled_at) == (None, None, None)
        assert provider.tally.batched.requests == 2


async def test_a_batch_takes_its_time() -> None:
    """Each step takes batch_ms, scaled as every delay is."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    behaviour = replace(FAST, batch_ms=50.0, time_scale=0.5)
    async with SandboxProvider(behaviour, sleep=sleep) as provider, official(provider) as client:
        await ended(client, await create(client, lines(line("a"))))

    assert slept == [0.025] * 4


async def test_some_lines_fail(provider: SandboxProvider, client: openai.AsyncOpenAI) -> None:
    """By the behaviour every third, by wish, or as a request of their own would: they are in the
    file of errors with their status, and on no bill."""
    provider.behaviour = replace(FAST, batch_fails_every=3)
    batch = await create(
        client,
        lines(
            line("a"),
            line("unknown", model="elm-8b"),
            line("third"),
            line("limited", sandbox={"fault": "http_429"}),
            line("streamed", stream=True),
            line("sixth"),
            line("hung", sandbox={"fault": "hang", "output_tokens": 1}),
        ),
    )
    batch = await ended(client, batch)

    assert (batch.status, counts(batch)) == ("completed", (7, 2, 5))
    assert [one["custom_id"] for one in await results(client, batch.output_file_id)] == [
        "a",
        "hung",  # of faults, a line can only have those that are an answer
    ]
    errors = await results(client, batch.error_file_id)
    assert [(one["custom_id"], one["response"]["status_code"]) for one in errors] == [
        ("unknown", 404),
        ("third", 500),
        ("limited", 429),
        ("streamed", 400),
        ("sixth", 500),
    ]
    assert all(one["response"]["body"]["error"]["message"] for one in errors)
    assert provider.tally.batched.requests == 2
    assert provider.tally.by_status == {}


async def test_all_lines_may_fail(provider: SandboxProvider, client: openai.AsyncOpenAI) -> None:
    """The batch is completed all the same, without a file of answers."""
    provider.behaviour = replace(FAST, batch_fails_every=1)
    batch = await ended(client, await create(client, lines(line("a"))))
    assert (batch.status, batch.output_file_id, counts(batch)) == ("completed", None, (1, 0, 1))


@pytest.mark.parametrize(
    ("content", "code", "number"),
    [
        (b"", "empty_file", None),
        (b"\n\n", "empty_file", None),
        (lines(line("a")) + b"{\n", "invalid_json_line", 2),
        (b"\xff\n", "invalid_json_line", 1),
        (b"[]\n", "missing_required_parameter", 1),
        (lines(line("a") | {"method": "GET"}), "missing_required_parameter", 1),
        (lines(line("a"), line("b"), line("a")), "duplicate_custom_id", 3),
        (lines(line("a", url="/v1/embeddings")), "url_mismatch", 1),
    ],
)
async def test_a_file_that_makes_no_batch(
    provider: SandboxProvider,
    client: openai.AsyncOpenAI,
    content: bytes,
    code: str,
    number: int | None,
) -> None:
    """It fails before it begins, with the line and OpenAI's code; nothing is run."""
    batch = await ended(client, await create(client, content))

    assert (batch.status, counts(batch)) == ("failed", (0, 0, 0))
    assert batch.errors is not None
    (error,) = batch.errors.data or []
    assert (error.code, error.line) == (code, number)
    assert batch.failed_at is not None
    assert (batch.output_file_id, batch.error_file_id) == (None, None)
    assert provider.tally.batch_lines == 0


async def test_a_batch_that_is_cancelled() -> None:
    """It is cancelling, then cancelled: what was answered is there and billed, the rest was never
    run and says so."""
    steps = Steps()
    async with SandboxProvider(FAST, sleep=steps.sleep) as provider, official(provider) as client:
        batch = await create(client, lines(line("a"), line("b"), line("c")))
        for _ in range(2):
            await steps.let_one_pass()
        await steps.held()
        assert (await client.batches.cancel(batch.id)).status == "cancelling"
        await steps.let_one_pass()
        last = await ended(client, batch)

        assert (last.status, counts(last)) == ("cancelled", (3, 1, 0))
        assert None not in (last.cancelling_at, last.cancelled_at)
        assert [one["custom_id"] for one in await results(client, last.output_file_id)] == ["a"]
        errors = await results(client, last.error_file_id)
        assert [(one["custom_id"], one["error"]["code"]) for one in errors] == [
            ("b", "batch_cancelled"),
            ("c", "batch_cancelled"),
        ]
        assert all(one["response"] is None for one in errors)
        assert provider.tally.batched.requests == 1
        with pytest.raises(openai.ConflictError):
            await client.batches.cancel(batch.id)


@pytest.mark.parametrize(("window", "seconds"), [("24h", 86_400), ("90s", 90)])
@pytest.mark.parametrize("listed", [True, False])
async def test_a_batch_that_expires(window: str, seconds: int, listed: bool) -> None:
    """At the end of its window, whoever looks finds it expired, also if its work is held up."""
    steps, clock = Steps(), Clock()
    async with (
        SandboxProvider(FAST, sleep=steps.sleep, clock=clock) as provider,
        official(provider) as client,
    ):
        batch = await create(client, lines(line("a"), line("b")), window=window)
        assert batch.expires_at == batch.created_at + seconds
        for _ in range(2):
            await steps.let_one_pass()
        await steps.held()
        clock.now_s += seconds - 1
        assert (await client.batches.retrieve(batch.id)).status == "in_progress"
        clock.now_s += 1
        if listed:
            (last,) = (await client.batches.list()).data
        else:
            last = await client.batches.retrieve(batch.id)

        assert (last.status, counts(last)) == ("expired", (2, 1, 0))
        assert [one["custom_id"] for one in await results(client, last.output_file_id)] == ["a"]
        (error,) = await results(client, last.error_file_id)
        assert (error["custom_id"], error["error"]["code"]) == ("b", "batch_expired")
        await steps.let_one_pass()
        assert (await client.batches.retrieve(batch.id)).status == "expired"
        assert provider.tally.batched.requests == 1


async def test_a_batch_outlives_its_provider() -> None:
    """A provider that is closed in the middle of a batch and started again goes on with it."""
    steps = Steps()
    provider = SandboxProvider(FAST, sleep=steps.sleep)
    await provider.start()
    async with official(provider) as client:
        batch = await create(client, lines(line("a"), line("b")))
        for _ in range(2):
            await steps.let_one_pass()
        await steps.held()
    await provider.close()
    assert provider.tally.batch_lines == 1

    await provider.start()
    async with official(provider) as client:
        for _ in range(3):
            await steps.let_one_pass()
        last = await ended(client, batch)
        assert (last.status, counts(last)) == ("completed", (2, 2, 0))
        assert len(await results(client, last.output_file_id)) == 2
    await provider.close()


# What there may be of them


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"endpoint": "/v1/moderations"}, "endpoint"),
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"completion_window": "0h"}, "completion_window"),
        ({"input_file_id": "file-1"}, "input_file_id"),
    ],
)
async def test_a_batch_that_cannot_be(wrong: dict[str, Any], param: str) -> None:
    """An endpoint that is not there, no window, no file: refused at once."""
    here = frozenset({"files", "batches", "chat/completions", "moderations"})
    async with (
        SandboxProvider(replace(FAST, endpoints=here)) as provider,
        official(provider) as client,
    ):
        asked: dict[str, Any] = {
            "input_file_id": await upload(client, lines(line("a"))),
            "endpoint": CHAT,
            "completion_window": "24h",
        }
        with pytest.raises(openai.BadRequestError) as caught:
            await client.batches.create(**asked | wrong)
        assert caught.value.param == param
        other = await client.files.create(file=("a", b"{}"), purpose="user_data")
        with pytest.raises(openai.BadRequestError, match="purpose"):
            await client.batches.create(**asked | {"input_file_id": other.id})


async def test_no_more_than_a_few_are_under_way() -> None:
    """One more is a 429; after the first has ended there is room again."""
    steps = Steps()
    async with SandboxProvider(FAST, sleep=steps.sleep) as provider, official(provider) as client:
        made = [await create(client, lines(line("a"))) for _ in range(MAX_UNDER_WAY)]
        with pytest.raises(openai.RateLimitError):
            await create(client, lines(line("a")))
        await client.batches.cancel(made[0].id)
        steps.let_pass(MAX_UNDER_WAY)
        await ended(client, made[0])
        assert (await create(client, lines(line("a")))).status == "validating"


async def test_batches_are_listed_page_by_page(client: openai.AsyncOpenAI) -> None:
    """The newest first; the client follows the pages to the end."""
    made = [await create(client, lines(line("a"))) for _ in range(5)]
    for batch in made:
        await ended(client, batch)

    page = await client.batches.list(limit=2)
    every = [one.id async for one in client.batches.list(limit=2)]

    assert [one.id for one in page.data] == [made[4].id, made[3].id]
    assert page.has_more
    assert every == [one.id for one in reversed(made)]
    with pytest.raises(openai.NotFoundError):
        await client.batches.retrieve("batch_0")
    with pytest.raises(openai.BadRequestError):
        await client.batches.list(limit=0)


async def test_what_a_batch_does_changes_no_request(client: openai.AsyncOpenAI) -> None:
    """The n-th request has the same draws with a batch beside it and without; they are none of a
    line's."""
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    batch = await ended(client, await create(client, lines(line("a"), line("b"))))
    beside = await client.chat.completions.create(**asked)
    answers = await results(client, batch.output_file_id)
    assert len({one["response"]["body"]["id"] for one in answers} | {beside.id}) == 3

    async with SandboxProvider(FAST) as provider, official(provider) as other:
        alone = await other.chat.completions.create(**asked)
    assert (alone.id, alone.usage) == (beside.id, beside.usage)


async def test_an_output_that_is_full_takes_no_more(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """A line whose answer does not fit is an error and not billed; a shorter one after it is."""
    provider.behaviour = replace(FAST, context_tokens=1_000_000)
    content = lines(
        line("long", tokens=400_000), line("too long", tokens=400_000), line("short", tokens=1)
    )
    batch = await ended(client, await create(client, content))

    assert counts(batch) == (3, 2, 1)
    (error,) = await results(client, batch.error_file_id)
    assert error["response"]["body"]["error"]["code"] == "output_too_large"
    assert provider.tally.completion_tokens == 400_001
    assert len((await client.files.content(batch.output_file_id or "")).content) <= MAX_FILE_BYTES
