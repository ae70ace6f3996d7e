"""/v1/batches that we run ourselves: every line as a request of its own, in time, and paid."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sandbox import Fault
from hedgerow.books import books
from proxy.batches.timing import LEAST_LEFT_S, Timing, Waiting
from tests.proxy.batch_clients import (
    CHAT,
    again,
    contents,
    done,
    ended,
    line,
    lines,
    results,
    submitted,
    until,
)
from tests.serving import HELLO, MODEL, PACED, Gate, ManualClock, asking, offer, serving

TASKS = "[chat, completion, embedding, moderation]"
ENDPOINTS: dict[str, dict[str, Any]] = {
    CHAT: asking(),
    "/v1/completions": {"model": MODEL, "prompt": "one two", "max_tokens": 4},
    "/v1/responses": {"model": MODEL, "input": "one two", "max_output_tokens": 16},
    "/v1/embeddings": {"model": MODEL, "input": "one two"},
    "/v1/moderations": {"model": MODEL, "input": "one two"},
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_every_line_is_answered_as_a_request(tmp_path: Path, endpoint: str) -> None:
    """Each line has what a request with its body gets, in the order of the file; all of it is
    booked as the provider bills it, and the batch says how much that is."""
    body = ENDPOINTS[endpoint]
    many = offer("a", more=f", tasks: {TASKS}")
    everything = ", endpoints: [chat/completions, completions, responses, embeddings, moderations]"
    honest = endpoint != "/v1/moderations"  # they say no usage, and cost nothing
    async with serving(tmp_path, offers={"a": many}, provider=everything, honest=honest) as proxy:
        client = proxy.client()
        live = (await proxy.post(body, path=endpoint.removeprefix("/v1"))).json
        text = "\n".join(line(f"id {one}", body, endpoint) for one in range(20))
        batch = await submitted(client, text, endpoint, metadata={"what": "test"})
        assert (batch.status, batch.endpoint) == ("validating", endpoint)
        batch = await ended(client, batch)
        assert (batch.status, batch.error_file_id, batch.errors) == ("completed", None, None)
        assert batch.metadata == {"what": "test"}
        assert batch.expires_at == batch.created_at + 86_400
        assert batch.request_counts is not None
        assert batch.request_counts.to_dict() == {"total": 20, "completed": 20, "failed": 0}
        found = await results(client, batch.output_file_id)
        assert list(found) == [f"id {one}" for one in range(20)]
        for one in found.values():
            assert (one["error"], one["response"]["status_code"]) == (None, 200)
            assert one["response"]["body"].keys() == live.keys()
            assert one["response"]["request_id"].startswith("req_")
        charges = await proxy.charges()
        assert {one["response"]["request_id"] for one in found.values()} <= {
            one.request_id for one in charges
        }
        if honest:
            assert batch.usage is not None
            used = [one.usage for one in charges[1:]]
            assert batch.usage.input_tokens == sum(one.prompt or 0 for one in used)
            assert batch.usage.output_tokens == sum(one.completion or 0 for one in used)
        output = await client.files.retrieve(batch.output_file_id or "")
        assert output.purpose == "batch_output"
        assert await asyncio.to_thread(contents, proxy) == {batch.input_file_id, output.id}


WRONG = {
    "not json": "invalid_json",
    "[]": "invalid_type",
    "{}": "invalid_type",
    line("x", url="/v1/embeddings"): "url_mismatch",
    line("x", method="GET"): "invalid_type",
    line("taken"): "duplicate_custom_id",
    line(""): "invalid_custom_id",
    line("x" * 513): "invalid_custom_id",
    line("x", {"model": MODEL}): "invalid_type",
    line("x", asking(stream=True)): "invalid_type",
    line("elm", asking(model="elm")): "model_not_found",
    line("x", asking(plugins=[{"id": "web"}])): "unpriced_feature",
    line("x", asking(messages="x" * 5000)): "line_too_long",
}


async def test_lines_that_are_wrong_fail_the_batch(tmp_path: Path) -> None:
    """Each is named by its number, with what is wrong; nothing is run, and nothing is spent."""
    async with serving(tmp_path, server="{port: 0, max_body_bytes: 4 KiB}") as proxy:
        client = proxy.client()
        batch = await done(client, "\n\n".join([line("taken"), *WRONG]))
        assert batch.status == "failed"
        assert batch.errors is not None
        assert batch.errors.data is not None
        told = [(one.line, one.code) for one in batch.errors.data]
        assert told == [(2 * n + 3, code) for n, code in enumerate(WRONG.values())]
        assert all(one.message for one in batch.errors.data)
        for text in ("", "\n \n"):
            batch = await done(client, text)
            assert batch.errors is not None
            assert batch.errors.data is not None
            assert [one.code for one in batch.errors.data] == ["empty_file"]
        assert proxy.a.tally.requests == 0
        key = await proxy.new_key(team="research", models=frozenset(["elm"]))
        batch = await done(proxy.client(api_key=key), line("x"))
        assert batch.errors is not None
        assert batch.errors.data is not None
        assert [one.code for one in batch.errors.data] == ["model_not_allowed"]


async def test_many_wrong_lines_are_not_all_named(tmp_path: Path) -> None:
    """The first hundred are enough."""
    async with serving(tmp_path) as proxy:
        batch = await done(proxy.client(), "{}\n" * 1000)
        assert batch.errors is not None
        assert len(batch.errors.data or ()) == 100


async def test_a_batch_has_at_most_50000_lines(tmp_path: Path) -> None:
    """One more fails all of it."""
    async with serving(tmp_path) as proxy:
        text = "\n".join(
            line(f"{one}", {"model": MODEL, "messages": HELLO}) for one in range(50_001)
        )
        batch = await done(proxy.client(), text)
        assert batch.errors is not None
        assert batch.errors.data is not None
        assert [one.code for one in batch.errors.data] == ["too_many_lines"]


async def test_odd_batches_are_refused(tmp_path: Path) -> None:
    """A 400 that names the field, before anything is kept."""
    async with serving(tmp_path) as proxy:
        client = proxy.client()
        file = await client.files.create(file=("x", b"x"), purpose="batch")
        other = await client.files.create(file=("x", b"x"), purpose="user_data")
        good = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
        odd: list[tuple[str, Any]] = [
            ("input_file_id", "file_no"),
            ("input_file_id", other.id),
            ("endpoint", "/v1/images/generations"),
            ("endpoint", "chat/completions"),
            ("completion_window", "8d"),
            ("completion_window", "169h"),
            ("completion_window", "0h"),
            ("completion_window", "10m"),
            ("completion_window", "24 h"),
            ("metadata", {f"{one}": "x" for one in range(17)}),
            ("metadata", {"x" * 65: "x"}),
            ("metadata", {"x": "x" * 513}),
            ("metadata", {"x": 1}),
            ("output_expires_after", {"anchor": "created_at", "seconds": 60}),
            ("output_expires_after", {"anchor": "later", "seconds": 3600}),
        ]
        for name, value in odd:
            reply = await proxy.post(good | {name: value}, path="/batches")
            assert (reply.status, reply.error["param"].partition("[")[0]) == (400, name), value
            assert reply.headers["x-request-id"].startswith("req_")
        assert (await proxy.post(b"{", path="/batches")).status == 400
        for path in ("/batches/batch_no/cancel", "/batches/batch_no"):
            call = (
                proxy.post({}, path=path)
                if path.endswith("cancel")
                else proxy.get(path, authorization=f"Bearer {proxy.key}")
            )
            reply = await call
            assert (reply.status, reply.error["code"]) == (404, "batch_not_found")
        assert [one async for one in client.batches.list()] == []


async def test_batches_are_listed_to_their_owners(tmp_path: Path) -> None:
    """The newest first, in pages, to every key of the team, and to nobody else."""
    async with serving(tmp_path) as proxy:
        client = proxy.client()
        mate, stranger = await proxy.new_key(team="research"), await proxy.new_key(team="ops")
        ids = [(await done(client, line("x"))).id for _ in range(5)]
        for limit in (1, 2, 5, 100):
            found = [one.id async for one in client.batches.list(limit=limit)]
            assert found == list(reversed(ids))
        assert (await proxy.client(api_key=mate).batches.retrieve(ids[0])).id == ids[0]
        theirs = proxy.client(api_key=stranger)
        assert [one async for one in theirs.batches.list()] == []
        for call in (theirs.batches.retrieve, theirs.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                await call(ids[0])
        batch = await client.batches.retrieve(ids[0])
        with pytest.raises(openai.BadRequestError, match="there is no file"):
            await theirs.batches.create(
                input_file_id=batch.input_file_id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
            )


async def test_a_line_fails_alone(tmp_path: Path) -> None:
    """What is wrong with one line is in the error file, with its status; the rest is answered."""
    async with serving(tmp_path) as proxy:
        client = proxy.client()
        text = "\n".join(
            line(f"{one}", asking(sandbox={"fault": "content_filter"} if one % 3 == 0 else {}))
            for one in range(9)
        )
        batch = await done(client, text)
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (6, 3)
        wrong = await results(client, batch.error_file_id)
        assert list(wrong) == ["0", "3", "6"]
        for one in wrong.values():
            assert one["response"]["status_code"] == 400
            assert {"message", "type", "param", "code"} <= one["response"]["body"]["error"].keys()
        assert len(await results(client, batch.output_file_id)) == 6


def later(clock: ManualClock) -> Callable[[Any], bool]:
    """Whether a batch is complete; at each look it is half a minute later."""

    def look(one: Any) -> bool:
        clock.advance(30)
        return bool(one.status == "completed")

    return look


async def test_a_line_that_may_go_better_later_comes_again(tmp_path: Path) -> None:
    """While a provider is busy or out of order its lines wait, each time for longer; then they are
    answered, and nothing was charged for the waiting."""
    clock = ManualClock()
    async with serving(tmp_path, clock=clock, routing="{attempts: 1}") as proxy:
        client = proxy.client()
        for fault in (Fault.HTTP_429, Fault.HTTP_500):
            proxy.a.fault, asked = fault, proxy.a.tally.requests
            batch = await submitted(client, lines(4))
            for _ in range(3):
                asked += 4
                async with asyncio.timeout(10):
                    while proxy.a.tally.requests < asked:
                        clock.advance(10)
                        await proxy.alive()
            proxy.a.fault = None
            batch = await until(client, batch, later(clock))
            assert batch.status == "completed"
            assert len(await results(client, batch.output_file_id)) == 4


async def test_what_is_out_of_order_for_good_fails(tmp_path: Path) -> None:
    """After some tries the line's answer is the last error."""
    clock = ManualClock()
    async with serving(tmp_path, clock=clock, routing="{attempts: 1}") as proxy:
        proxy.a.fault = Fault.HTTP_500
        client = proxy.client()
        batch = await submitted(client, lines(2))
        batch = await until(client, batch, later(clock))
        wrong = await results(client, batch.error_file_id)
        assert [one["response"]["status_code"] for one in wrong.values()] == [502, 502]


async def test_a_budget_that_runs_out_stops_the_rest(tmp_path: Path) -> None:
    """Lines that do not fit any more fail with 402; what was answered fits, to the nano-USD."""
    budgets = "{name: all, scope: {}, window: month, cap_usd: 0.0008}"
    async with serving(tmp_path, budgets=budgets) as proxy:
        client = proxy.client()
        batch = await done(client, lines(60))
        assert batch.status == "completed"
        wrong = await results(client, batch.error_file_id)
        right = await results(client, batch.output_file_id)
        assert wrong
        assert right
        assert len(wrong) + len(right) == 60
        for one in wrong.values():
            assert one["response"]["status_code"] == 402
            assert one["response"]["body"]["error"]["code"] == "budget_exceeded"
        spent = sum(one.effective for one in await proxy.charges())
        assert spent <= 800_000


async def test_a_revoked_key_pays_for_nothing_more(tmp_path: Path) -> None:
    """Its lines fail with 401 from then on."""
    gate, one = Gate(open_for=0), "batches: {parallel: 1}"
    async with serving(tmp_path, behaviour=PACED, gate=gate, more=one) as proxy:
        client = proxy.client()
        key = await proxy.new_key(team="research")
        batch = await submitted(proxy.client(api_key=key), lines(5))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.requests >= 1)

        def revoke() -> None:
            with books(proxy.config) as store, store.transaction():
                for found in store.policy.keys().values():
                    if found.id == key_id:
                        store.policy.revoke_key(found.id, time.time_ns())

        key_id = proxy.server.house.book.principal(key).key_id
        await asyncio.to_thread(revoke)
        while (await proxy.get("/models", authorization=f"Bearer {key}")).status == 200:
            pass
        gate.open()
        batch = await ended(client, batch)
        wrong = await results(client, batch.error_file_id)
        assert [one["response"]["status_code"] for one in wrong.values()] == [401] * 4
        assert len(await results(client, batch.output_file_id)) == 1


async def test_a_batch_is_cancelled(tmp_path: Path) -> None:
    """Lines under way finish, and are in the output; the others are not run, and say so. A batch
    that has ended cannot be cancelled."""
    gate = Gate(open_for=0)
    async with serving(
        tmp_path, behaviour=PACED, gate=gate, more="batches: {parallel: 3}"
    ) as proxy:
        client = proxy.client(max_retries=2)
        batch = await submitted(client, lines(10))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.requests >= 3)
        batch = await client.batches.cancel(batch.id)
        assert batch.status == "cancelling"
        assert batch.cancelling_at is not None
        gate.open()
        batch = await ended(client, batch)
        assert (batch.status, proxy.a.tally.requests) == ("cancelled", 3)
        assert list(await results(client, batch.output_file_id)) == ["line-0", "line-1", "line-2"]
        wrong = await results(client, batch.error_file_id)
        assert len(wrong) == 7
        assert {one["error"]["code"] for one in wrong.values()} == {"batch_cancelled"}
        assert batch.request_counts is not None
        assert batch.request_counts.to_dict() == {"total": 10, "completed": 3, "failed": 0}
        with pytest.raises(openai.ConflictError, match="cancelled cannot be cancelled"):
            await client.batches.cancel(batch.id)


async def test_a_batch_expires(tmp_path: Path) -> None:
    """At the end of its window no more is begun; what is done is in the output, the rest says
    that it was too late."""
    gate, clock = Gate(open_for=0), ManualClock()
    async with serving(
        tmp_path, behaviour=PACED, gate=gate, clock=clock, more="batches: {parallel: 2}"
    ) as proxy:
        client = proxy.client()
        batch = await submitted(client, lines(6), window="2h")
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.requests >= 2)
        clock.advance(2 * 3600)
        gate.open()
        batch = await ended(client, batch)
        assert (batch.status, batch.expired_at) == ("expired", batch.expires_at)
        assert len(await results(client, batch.output_file_id)) >= 2
        wrong = await results(client, batch.error_file_id)
        assert wrong
        assert {one["error"]["code"] for one in wrong.values()} == {"batch_expired"}
        assert len(wrong) + len(await results(client, batch.output_file_id)) == 6


async def test_batches_take_turns_in_few_places(tmp_path: Path) -> None:
    """Never more lines at once than `parallel`, over all batches; a short batch does not wait
    for a long one."""
    async with serving(tmp_path, more="batches: {parallel: 2}") as proxy:
        client = proxy.client()
        most = 0
        long = await submitted(client, lines(400))
        short = await ended(client, await submitted(client, lines(4)))
        assert short.completed_at is not None
        long = await client.batches.retrieve(long.id)
        assert long.status == "in_progress"
        assert long.request_counts is not None
        assert long.request_counts.completed < 400
        await client.batches.cancel(long.id)
        await ended(client, long)
        assert most == 0

    gate = Gate(open_for=0)
    folder = tmp_path / "held"
    folder.mkdir()
    async with serving(folder, behaviour=PACED, gate=gate, more="batches: {parallel: 2}") as proxy:
        client = proxy.client()
        batches = [await submitted(client, lines(4)) for _ in range(3)]
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.requests >= 2)
        for one in batches:
            await until(client, one, lambda found: found.status == "in_progress")
        assert proxy.a.tally.requests == 2
        gate.open()
        for one in batches:
            assert (await ended(client, one)).status == "completed"


async def test_an_input_that_is_deleted_stays_until_its_batch_has_ended(tmp_path: Path) -> None:
    """Its owner sees it no more; the batch runs to its end; then it is gone from disk too."""
    gate = Gate(open_for=0)
    async with serving(tmp_path, behaviour=PACED, gate=gate) as proxy:
        client = proxy.client()
        batch = await submitted(client, lines(20))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.requests >= 1)
        await client.files.delete(batch.input_file_id)
        gate.open()
        batch = await ended(client, batch)
        assert len(await results(client, batch.output_file_id)) == 20
        async with asyncio.timeout(10):
            while await asyncio.to_thread(contents, proxy) != {batch.output_file_id}:
                await proxy.alive()


@pytest.mark.parametrize("drain_s", [0.0, 10.0])
async def test_a_restart_loses_no_line(tmp_path: Path, drain_s: float) -> None:
    """Stopped in the middle, lines under way finish, or run again; each has one result."""
    gate = Gate(open_for=30)
    async with serving(
        tmp_path, behaviour=PACED, gate=gate, honest=drain_s > 0, drain_s=drain_s
    ) as proxy:
        client = proxy.client()
        batch = await submitted(client, lines(30, sandbox={"output_tokens": 2}))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.requests >= 15)
        if drain_s:
            asyncio.get_running_loop().call_later(0.1, gate.open)
        async with again(proxy) as client:
            gate.open()
            batch = await ended(client, batch)
            assert batch.status == "completed"
            found = await results(client, batch.output_file_id)
            assert list(found) == [f"line-{one}" for one in range(30)]
        if drain_s:
            assert proxy.a.tally.requests == 30


# -- when


HOUR = 3600.0


@given(
    lines=st.integers(1, 50_000),
    others=st.lists(st.tuples(st.integers(1, 50_000), st.floats(0, 7 * 24)), max_size=5),
    left_h=st.floats(0, 7 * 24),
    line_s=st.floats(0.1, 100),
    parallel=st.integers(1, 100),
)
def test_outside_of_its_hours_a_batch_begins_in_time(
    lines: int,
    others: list[tuple[int, float]],
    left_h: float,
    line_s: float,
    parallel: int,
) -> None:
    """It runs as soon as what is due until its end needs half of the time that is left; never
    before that, unless the hour is right or capacity lies idle."""
    now_s = 1_800_000_000.0
    timing = Timing(parallel, lambda _at: False, lambda: False)
    timing.line_s = line_s
    one = Waiting(lines, now_s + left_h * HOUR)
    every = [one, *(Waiting(count, now_s + hours * HOUR) for count, hours in others)]
    due = sum(other.lines for other in every if other.expires_at <= one.expires_at)
    left_s = one.expires_at - now_s
    assert timing.may_run(one, every, now_s) == (
        left_s <= 2 * due * line_s / parallel + LEAST_LEFT_S
    )
    assert Timing(parallel, lambda _at: True, lambda: False).may_run(one, every, now_s)
    assert Timing(parallel, lambda _at: False, lambda: True).may_run(one, every, now_s)


async def test_batches_wait_for_their_hours(tmp_path: Path) -> None:
    """Outside of the hours nothing runs, until the window demands it; within them all of it."""
    clock = ManualClock()
    hour = time.gmtime(clock.now_ns() / 1e9).tm_hour
    hours = f"{(hour + 3) % 24:02d}:00-{(hour + 5) % 24:02d}:00"
    async with serving(tmp_path, clock=clock, more=f'batches: {{hours: ["{hours}"]}}') as proxy:
        client = proxy.client()
        urgent = await submitted(client, lines(3), window="1h")
        later = await submitted(client, lines(3))
        for one in (urgent, later):
            await until(client, one, lambda found: found.status == "in_progress")
        await asyncio.sleep(0.6)  # more than two looks at the clock
        assert proxy.a.tally.requests == 0
        clock.advance(HOUR - LEAST_LEFT_S)
        assert (await ended(client, urgent)).status == "completed"
        assert proxy.a.tally.requests == 3
        clock.advance(3 * HOUR)
        assert (await ended(client, later)).status == "completed"
