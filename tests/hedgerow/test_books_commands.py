"""`key`, `spend`, `budget`, `ledger` and `explain` beside a proxy that runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from benchmarks.sandbox import SandboxProvider
from hedgerow.books import books
from hedgerow.config import load_config
from ledger.keys import hash_of, mint
from ledger.requests import FailedAttempt, RequestRecord
from ledger.statements import Dimension
from tests.books import killed, written
from tests.hedgerow.processes import (
    NOWHERE,
    PATIENCE_S,
    Serving,
    hedgerow,
    serve,
    told,
    write_config,
)
from tests.ledger.entries import attempt, hold_of, settlement
from tests.serving import FAST, MODEL, UPSTREAM_MODEL

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUDGETS = """\
  - {name: all, scope: {}, window: month, cap_usd: 1000}
  - {name: each-team, scope: {team: "*"}, window: day, cap_usd: 5}
  - {name: poor-day, scope: {team: poor}, window: day, cap_usd: 0.000001}
"""
ELM = f"""\
  elm:
    offers: [{{provider: b, model: {FAST.models[0]}, price: {{input: 1, output: 1}}}}]
"""


@dataclass(frozen=True, slots=True)
class House:
    """A proxy that runs, its configuration, and what a few requests of known kind were answered."""

    config: Path
    server: Serving
    rich: str
    answered: str
    failed: str
    blocked: str

    async def told(self, *words: str) -> Any:
        return await told(*words, "-c", self.config)

    async def said(self, *words: str) -> str:
        done = await hedgerow(*words, "-c", self.config)
        assert (done.code, done.err) == (0, "")
        return done.out


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Three requests answered, one failed at both providers, one over its budget."""
    async with SandboxProvider(FAST) as a, SandboxProvider(FAST) as b:
        folder = tmp_path_factory.mktemp("house")
        urls = {"a": a.base_url, "b": b.base_url}
        config = write_config(folder, urls, budgets=BUDGETS, more=ELM)
        rich, poor = await asyncio.gather(
            told("key", "create", "-c", config, "--team", "rich", "--project", "den",
                 "--user", "ann", "--org", "acme", "--tags", "x, y", "--name", "Ann's"),
            told("key", "create", "-c", config, "--team", "poor"),
        )  # fmt: skip
        async with serve(config) as server:
            _, answered, _ = await server.post(rich["key"])
            for _ in range(2):
                assert (await server.post(rich["key"]))[0] == 200
            status, failed, _ = await server.post(rich["key"], sandbox={"fault": "http_500"})
            assert status >= 500
            status, blocked, _ = await server.post(poor["key"])
            assert status == 402
            yield House(
                config,
                server,
                rich["key"],
                *(headers["x-request-id"] for headers in (answered, failed, blocked)),
            )


# Keys


async def test_a_new_key_works_and_a_revoked_one_does_not(house: House) -> None:
    """Within a second of the command that made or stopped it, on a running proxy."""
    made = await house.told("key", "create", "--team", "rich")
    await house.server.until(made["key"], 200)
    done = await hedgerow("key", "revoke", made["id"], "-c", house.config)
    assert (done.code, done.out, done.err) == (0, "", f"revoked {made['id']}\n")
    body = await house.server.until(made["key"], 401)
    assert "revoked" in body["error"]["message"]
    assert (await house.server.post(house.rich))[0] == 200


async def test_only_the_key_is_on_stdout(house: House) -> None:
    """`KEY=$(hedgerow key create …)` works: stdout is the key alone, what it is stands on stderr;
    the books hold neither it nor its hash in plain sight."""
    done = await hedgerow("key", "create", "-c", house.config, "--team", "rich")
    assert done.code == 0
    key, rest = done.out.split("\n", 1)
    assert (key.startswith("sk-hedge-"), len(key), rest) == (True, 73, "")
    assert done.err.startswith("made key_")
    await house.server.until(key, 200)
    folder = house.config.parent
    files = await asyncio.to_thread(
        lambda: b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())
    )
    assert key.encode() not in files


async def test_key_list_shows_what_was_made(house: House) -> None:
    """Every field but the secret, as JSON and as a table."""
    keys = (await house.told("key", "list"))["keys"]
    first = next(one for one in keys if one["name"] == "Ann's")
    assert {name: first[name] for name in ("org", "team", "project", "user", "tags", "models")} == {
        "org": "acme",
        "team": "rich",
        "project": "den",
        "user": "ann",
        "tags": ["x", "y"],
        "models": None,
    }
    assert first["revoked_at"] is first["expires_at"] is None
    assert house.rich not in str(keys)
    table = await house.said("key", "list")
    row = next(line for line in table.splitlines() if "Ann's" in line)
    assert house.rich not in table
    assert [first["id"], first["label"], "rich", "ann", "all", "active"] == [
        word for word in row.split("  ") if word.strip() in
        {first["id"], first["label"], "rich", "ann", "all", "active"} for word in [word.strip()]
    ]  # fmt: skip


async def test_a_key_for_some_models(house: House) -> None:
    """Others are refused with 403, or unknown to it; its own are answered."""
    made = await house.told("key", "create", "--models", "elm")
    assert made["models"] == ["elm"]
    await house.server.until(made["key"], 200, model="elm")
    assert (await house.server.post(made["key"], model=MODEL))[0] in (403, 404)


async def test_a_key_that_expires(house: House) -> None:
    """It works before its time is over, and not after."""
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    made = await house.told("key", "create", "--expires", later)
    await house.server.until(made["key"], 200)

    def over() -> str:
        secret, record = mint(time.time_ns(), os.urandom, expires_at_ns=time.time_ns())
        with books(load_config(house.config, os.environ)) as store, store.transaction():
            store.policy.add_key(record, hash_of(secret))
        return secret

    secret = await asyncio.to_thread(over)
    async with asyncio.timeout(PATIENCE_S):  # unknown at first, to the running proxy
        while "expired" not in (found := await house.server.post(secret))[2]["error"]["message"]:
            assert found[0] == 401
    assert found[0] == 401


async def test_a_key_with_a_budget_of_its_own(house: House) -> None:
    """It blocks at once on a running proxy, and stands under `budget status --limits`."""
    made = await house.told("key", "create", "--budget", "0.000001", "--window", "day")
    body = await house.server.until(made["key"], 402)
    assert body["error"]["code"] == "budget_exceeded"
    budgets = (await house.told("budget", "status", "--limits"))["budgets"]
    assert made["id"] not in await house.said("budget", "status")
    (own,) = [one for one in budgets if one["scope"] == f"key={made['id']}"]
    assert (own["cap_usd"], own["spent_usd"]) == (0.000001, 0)
    assert own["resets_at"].endswith("T00:00:00+00:00")


# Spend and budgets

NUMBERS = ["requests", "prompt_tokens", "completion_tokens", "cost_usd"]


@pytest.mark.parametrize("by", list(Dimension))
async def test_spend_by(by: Dimension, house: House) -> None:
    """A row has the dimension's name as its first key and then the contract's numbers; the rows'
    sum is the total (by tag, a request counts once for each of its tags)."""
    found = await house.told("spend", "--by", by)
    assert list(found) == ["rows", "total", "from", "to"]
    assert list(found["total"])[:4] == NUMBERS
    for row in found["rows"]:
        assert list(row)[:5] == [by, *NUMBERS]
    expected = {
        Dimension.ORG: "acme",
        Dimension.TEAM: "rich",
        Dimension.PROJECT: "den",
        Dimension.USER: "ann",
        Dimension.MODEL: MODEL,
        Dimension.PROVIDER: "a",
        Dimension.TAG: "x",
        Dimension.DAY: datetime.now(UTC).date().isoformat(),
    }
    if by in expected:
        assert expected[by] in [row[by] for row in found["rows"]]
    if by is not Dimension.TAG:
        for name in NUMBERS:
            assert exact(row[name] for row in found["rows"]) == exact([found["total"][name]])


def exact(numbers: Sequence[float] | Any) -> Decimal:
    return sum((Decimal(str(number)) for number in numbers), Decimal(0))


async def test_spend_between(house: House) -> None:
    """--from is in, --to is out; a day is a day in UTC."""
    today = datetime.now(UTC).date()
    all_of_it = (await house.told("spend"))["total"]["requests"]
    assert all_of_it >= 3
    tomorrow, yesterday = str(today + timedelta(days=1)), str(today - timedelta(days=1))
    found = await asyncio.gather(
        *(
            house.told("spend", *limits)
            for limits in (
                ("--from", yesterday, "--to", tomorrow),
                ("--from", tomorrow),
                ("--to", yesterday),
            )
        )
    )
    assert [one["total"]["requests"] >= all_of_it for one in found] == [True, False, False]
    assert [one["rows"] for one in found[1:]] == [[], []]


async def test_spend_for_people(house: House) -> None:
    """A table with a total, and a sentence where there is nothing."""
    table = await house.said("spend", "--by", "project")
    assert table.splitlines()[0].split()[:2] == ["project", "requests"]
    assert any(line.startswith("den ") for line in table.splitlines())
    months = (await house.told("spend", "--by", "project", "--per", "month"))["rows"]
    assert list(months[0])[:2] == ["month", "project"]
    assert exact([one["cost_usd"] for one in months]) == exact(
        [one["cost_usd"] for one in (await house.told("spend", "--by", "project"))["rows"]]
    )
    per = await house.said("spend", "--by", "project", "--per", "month", "--from", "2001-02")
    assert per.splitlines()[0].split()[:3] == ["month", "project", "requests"]
    nothing = await house.said("spend", "--to", "1999-01-01")
    assert nothing == "nothing has been charged in this time\n"


async def test_budget_status(house: House) -> None:
    """What is left is cap - spent - held, for each budget and each of its members."""
    budgets = (await house.told("budget", "status"))["budgets"]
    for one in budgets:
        spent = exact([one["spent_usd"], one["held_usd"], one["left_usd"]])
        assert spent == Decimal(str(one["cap_usd"]))
    by_scope = {(one["budget"], one["scope"]): one for one in budgets}
    assert by_scope["all", "everything"]["spent_usd"] > 0
    assert by_scope["each-team", "team=rich"]["cap_usd"] == 5
    assert by_scope["poor-day", "team=poor"]["spent_usd"] == 0
    assert "poor-day" in await house.said("budget", "status")


# Explanations


async def test_explain_an_answer(house: House) -> None:
    """Who was asked and why, in order, and what it cost, as the charge in the books says."""
    found = await house.told("explain", house.answered)
    assert (found["request_id"], found["outcome"], found["status"]) == (
        house.answered,
        "answered",
        200,
    )
    assert [one["provider"] for one in found["charges"]] == ["a"]
    assert found["cost_usd"] == found["charges"][0]["cost_usd"] > 0
    places = [one["offer"].split("/")[0] for one in found["decision"]["candidates"]]
    assert places == ["a", "b"]
    text = await house.said("explain", house.answered)
    assert house.answered in text
    assert "charged $" in text


async def test_explain_a_failure(house: House) -> None:
    """All attempts count, nothing is charged, the decision is there, and why each of them failed:
    after the candidates, in order."""
    found = await house.told("explain", house.failed)
    assert (found["status"] >= 500, found["attempts"], found["charges"]) == (True, 3, [])
    assert found["decision"]["candidates"]
    failures = found["failures"]
    assert [one["attempt"] for one in failures] == [1, 2, 3]
    first, second = f"a/{UPSTREAM_MODEL}", f"b/{UPSTREAM_MODEL}"
    assert [one["offer"] for one in failures[:2]] == [first, second]
    assert failures[2]["offer"] in (first, second)  # whose rest was over first
    for one in failures:
        assert one["account"] == "main"
        assert one["attempt_id"] == f"{house.failed}.{one['attempt']}"
        assert (one["why"], one["cost_usd"]) == ("status 500", None)
        assert one["after_ms"] > 0
    title, *lines = (await house.said("explain", house.failed)).splitlines()
    assert title.endswith("upstream_failed (502), 3 attempts")
    assert lines[-3:] == [
        f"attempt {one['attempt']}, {one['offer']} (account main), after {one['after_ms']:.0f} ms:"
        " status 500"
        for one in failures
    ]


async def test_explain_a_failure_that_was_billed(house: House) -> None:
    """An answer that broke off is charged all the same: by each attempt, and told so."""
    status, headers, _ = await house.server.post(house.rich, sandbox={"fault": "cut"})
    assert status >= 500
    request_id = headers["x-request-id"]
    found = await house.told("explain", request_id)
    paid = {one["attempt_id"]: one["cost_usd"] for one in found["charges"]}
    assert paid
    assert all(paid.values())
    assert {one["attempt_id"]: one["cost_usd"] for one in found["failures"]} == paid
    lines = (await house.said("explain", request_id)).splitlines()
    charges = [line for line in lines if line.startswith("charged $")]
    assert [line.partition("(estimated)")[2] for line in charges] == [
        f", for attempt {number}, which failed" for number in range(1, len(paid) + 1)
    ]


async def test_explain_which_attempts_failed(tmp_path: Path) -> None:
    """By their places among all that were made: what was never sent, or answered, is no failure,
    and an offer's twins and our accounts are told apart."""
    config = write_config(tmp_path, NOWHERE)
    made = [("m", "one"), ("odd", "one"), ("m", "two"), ("m", "two"), ("m", "one"), ("m", "one")]
    failures = (
        FailedAttempt("acme/acme-m", "one", "status 500", 0.4),
        FailedAttempt("acme/acme-m@eu", "two", "no answer in 5 s", 5000.0),
        FailedAttempt("acme/acme-m", "one", "status 429", 312.4),
    )

    def write() -> None:
        with books(load_config(config, {})) as store:
            for number, (model, account) in enumerate(made, start=1):
                one = attempt(f"req_1.{number}", 50_000, model=model, account=account)
                end = settlement(number * 10_000) if number in (3, 6) else None
                written(store, hold_of(replace(one, request_id="req_1")), end)
            with store.transaction():
                store.requests.add(
                    RequestRecord(
                        *("req_1", 1, "key_1", None, None, "m", "answered", 200, 6, None, None),
                        failures=failures,
                    )
                )

    await asyncio.to_thread(write)
    found = await told("explain", "req_1", "-c", config)
    assert [(one["attempt"], one["why"], one["cost_usd"]) for one in found["failures"]] == [
        (1, "status 500", None),
        (3, "no answer in 5 s", 0.00003),
        (5, "status 429", None),
    ]
    done = await hedgerow("explain", "req_1", "-c", config)
    used = "acme/acme-m: 0 tokens in, {} out (as the provider counted)"
    assert done.out.splitlines()[1:] == [
        "",
        "attempt 1, acme/acme-m (account one), after 0 ms: status 500",
        "attempt 3, acme/acme-m@eu (account two), after 5000 ms: no answer in 5 s",
        "attempt 5, acme/acme-m (account one), after 312 ms: status 429",
        f"charged $0.000030 at {used.format(30000)}, for attempt 3, which failed",
        f"charged $0.000060 at {used.format(60000)}",
    ]


async def test_explain_what_asked_for_an_unknown_model(house: House) -> None:
    """Kept: the key was right and the body could be read."""
    status, headers, _ = await house.server.post(house.rich, model="yew")
    assert status == 404
    text = await house.said("explain", headers["x-request-id"])
    assert text.endswith(": model_not_found (404), 0 attempts\n")


@pytest.mark.parametrize(
    ("path", "headers", "status", "why"),
    [
        ("/chat/completions", {"authorization": "Bearer sk-hedge-no"}, 401, "a wrong key"),
        ("/chat/completions", {"idempotency-key": "again"}, 422, "an Idempotency-Key of another"),
        ("/models/yew", {}, 404, "a look at one (404 if it is unknown)"),
        ("/yews", {}, 404, "an unknown path"),
    ],
)
async def test_what_cannot_be_explained(
    path: str, headers: dict[str, str], status: int, why: str, house: House
) -> None:
    """What was never kept has an id all the same: the answer says why there may be nothing."""
    sent = {"authorization": f"Bearer {house.rich}"} | headers
    body = {"model": MODEL, "messages": [{"role": "user", "content": "a"}], "max_tokens": 1}
    url = house.server.base_url + path
    async with aiohttp.ClientSession(headers=sent) as http:
        if "idempotency-key" in headers:
            async with http.post(url, json=body | {"max_tokens": 2}) as first:
                assert first.status == 200
        asking = http.get(url) if status == 404 else http.post(url, json=body)
        async with asking as answer:
            assert answer.status == status
    done = await hedgerow("explain", answer.headers["x-request-id"], "-c", house.config)
    assert done.failed_in_one_line
    assert why in done.err


async def test_explain_what_has_no_end(tmp_path: Path) -> None:
    """Its server was killed: there is no decision to show, but the charge is named."""
    config = write_config(tmp_path, NOWHERE)

    def write() -> None:
        with books(load_config(config, {})) as store:
            killed(store, attempt("lost", 70_000_000))

    await asyncio.to_thread(write)
    done = await hedgerow("explain", "req_lost", "-c", config)
    assert done.failed_in_one_line
    assert "request req_lost has made 1 attempt and was charged $0.07, but" in done.err


async def test_explain_a_refusal(house: House) -> None:
    """Blocked by a budget: no attempt, no cost, and what it would have cost."""
    found = await house.told("explain", house.blocked)
    assert (found["outcome"], found["status"], found["attempts"], found["cost_usd"]) == (
        "budget_exceeded",
        402,
        0,
        0,
    )
    assert "it would have cost about $" in await house.said("explain", house.blocked)


# The ledger

TAMPERED = {
    "a balance": ("UPDATE accounts SET posted = posted + 1", "account "),
    "a pending sum": ("UPDATE accounts SET pending = 7", "account "),
    "a charge": ("UPDATE entries SET effective_nanos = effective_nanos + 1", "req_"),
    "a count": ("UPDATE entries SET completion_tokens = completion_tokens + 1", "req_"),
    "a missing charge": ("DELETE FROM entries", "chain of "),
}


async def test_verify(house: House) -> None:
    """Exit code 0 and a sentence, also while the proxy runs."""
    assert (await house.said("ledger", "verify")).startswith("verified: ")


@pytest.mark.parametrize("what", TAMPERED)
async def test_verify_finds(what: str, house: House, tmp_path: Path) -> None:
    """Exit code 1, and lines on stderr that name the row that somebody has changed."""
    with closing(sqlite3.connect(house.config.parent / "hedgerow.db")) as books:
        await asyncio.to_thread(shutil.copy, house.config, tmp_path / "hedgerow.yaml")
        await asyncio.to_thread(
            shutil.copy, house.config.parent / "policy.yaml", tmp_path / "policy.yaml"
        )
        with closing(sqlite3.connect(tmp_path / "hedgerow.db")) as copy:
            books.backup(copy)
            for (trigger,) in copy.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%edited'"
            ).fetchall():
                copy.execute(f"DROP TRIGGER {trigger}")
            tampering, place = TAMPERED[what]
            assert copy.execute(tampering).rowcount > 0
            copy.commit()
    done = await hedgerow("ledger", "verify", "-c", tmp_path / "hedgerow.yaml")
    assert done.code == 1
    assert "not agree" in done.out
    lines = done.err.splitlines()
    assert lines
    assert any(place in line for line in lines)


async def test_a_persons_key(house: House) -> None:
    """It has its role in every list, is renewed and revoked like others, takes no limits, and asks
    no model."""
    made = await house.told("key", "create", "--role", "approver", "--name", "anna")
    assert (made["role"], made["name"], made["team"]) == ("approver", "anna", None)
    listed = {one["id"]: one for one in (await house.told("key", "list"))["keys"]}
    assert listed[made["id"]]["role"] == "approver"
    assert {one["role"] for one in listed.values()} == {"approver", None}
    done = await hedgerow("key", "update", made["id"], "--budget", "5", "-c", house.config)
    assert done.code == 2
    assert "has the role approver: it asks no model" in done.err
    renewed = await house.told("key", "rotate", made["id"])
    assert renewed["key"] != made["key"]
    headers = {"authorization": f"Bearer {renewed['key']}"}
    url = f"{house.server.base_url}/models"
    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_S):
        while True:  # until the server knows the key
            async with http.get(url, headers=headers) as response:
                said = await response.text()
            assert response.status == 401
            if "unknown API key" not in said:
                break
    assert "asks no model" in said
    assert (await hedgerow("key", "revoke", made["id"], "-c", house.config)).code == 0
