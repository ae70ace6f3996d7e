"""The table of faults again, for every wire that a client speaks × every wire of a provider.

What a client gets, how often a provider was asked and what the books say must not depend on the
wires: the cells are those of `test_table`, for a provider without another beside it.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sandbox import Fault
from ledger.statements import Charged
from routing.breaker import Breakers
from tests.faults.test_table import (
    BEHAVIOUR,
    CUT,
    ESTIMATED,
    NOTHING,
    SILENT,
    TABLE,
    TOKENS,
    WHOLE,
    Cell,
    routing_for,
)
from tests.serving import HELLO, MODEL, Proxy, Reply, SkippingClock, serving, wishing

REQUESTS: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": HELLO, "max_tokens": TOKENS},
    "responses": {"input": "one two three", "max_output_tokens": TOKENS},
    "messages": {"messages": HELLO, "max_tokens": TOKENS},
}
PROVIDERS = {
    "every wire": "chat/completions, responses, messages",
    "chats": "chat/completions",
    "messages": "messages",
    "responses": "responses",
}
LAST_WORDS = {"message_stop", "response.completed"}


def cell_of(fault: Fault, *, streamed: bool, theirs: str) -> Cell:
    cell = TABLE[fault, f"{'stream' if streamed else 'plain'}_alone"]
    if fault is Fault.NO_DONE and streamed and theirs == "responses":
        # Its last event is also the one that says that the answer is whole, and what it used.
        return Cell(CUT, 1, ESTIMATED)
    return cell


def events_of(reply: Reply) -> list[Any]:
    """The data of a stream's events, named or not; [DONE] as text."""
    found = []
    for block in reply.body.decode().split("\n\n"):
        data = "".join(line[5:].strip() for line in block.split("\n") if line.startswith("data:"))
        if data:
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


def text_of(wire: str, one: Any) -> str:
    """The text of a whole answer."""
    if wire == "chat/completions":
        return str(one["choices"][0]["message"]["content"])
    if wire == "messages":
        return "".join(block["text"] for block in one["content"] if block["type"] == "text")
    return "".join(
        part["text"]
        for item in one["output"]
        if item["type"] == "message"
        for part in item["content"]
    )


def streamed_text(wire: str, events: list[Any]) -> str:
    """The text of a stream's deltas."""
    if wire == "chat/completions":
        choices = [c for one in events if one != "[DONE]" for c in one.get("choices", [])]
        return "".join(one["delta"].get("content") or "" for one in choices)
    if wire == "messages":
        deltas = [one["delta"] for one in events if one["type"] == "content_block_delta"]
        return "".join(one.get("text", "") for one in deltas)
    return "".join(one["delta"] for one in events if one["type"] == "response.output_text.delta")


def client_got(wire: str, reply: Reply, *, streamed: bool) -> str:
    """WHOLE, CUT, or the code of the error; and nothing that was cut looks whole."""
    if reply.status != 200:
        code: str = reply.json["error"]["code"]
        return code
    if not streamed:
        assert len(text_of(wire, reply.json).split()) == TOKENS
        return WHOLE
    events = events_of(reply)
    told = [one if isinstance(one, str) else one.get("type", "") for one in events]
    if wire == "chat/completions":
        is_whole, is_error = told[-1] == "[DONE]", "error" in events[-1]
        assert is_whole or "[DONE]" not in told
    else:
        is_whole = told[-1] in LAST_WORDS
        is_error = told[-1] in ("error", "response.failed")
        assert is_whole or not LAST_WORDS & set(told)
    assert is_whole != is_error
    if is_error:
        return CUT
    assert len(streamed_text(wire, events).split()) == TOKENS
    return WHOLE


def expect_booked(rows: list[Charged], cell: Cell) -> None:
    assert len(rows) == (0 if cell.booked == NOTHING else cell.attempts)
    for one in rows:
        assert one.usage.is_known
        if cell.client == WHOLE:
            assert one.estimated == (cell.booked == ESTIMATED)
            assert (one.usage.completion or 0) >= TOKENS
        else:
            assert one.estimated


async def meet(proxy: Proxy, wire: str, fault: Fault, *, streamed: bool) -> Reply:
    body = {"model": MODEL, "stream": streamed, "sandbox": wishing(TOKENS)} | REQUESTS[wire]
    proxy.server.house.routing.breakers = Breakers()
    proxy.a.fault = fault
    reply = await proxy.post(body, path=f"/{wire}")
    proxy.a.fault = None
    return reply


PATIENCE = {
    "silent": sorted(SILENT - {Fault.STALL}),
    "stalling": [Fault.STALL],
    "loud": [one for one in Fault if one not in SILENT],
}


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"), list(product(REQUESTS, PROVIDERS, PATIENCE)), ids=str
)
async def test_the_wires_make_no_difference(
    tmp_path: Path, ours: str, theirs: str, kind: str
) -> None:
    """Every fault, streamed and not: the same outcome, attempts and books as between chats."""
    async with serving(
        tmp_path,
        behaviour=BEHAVIOUR,
        routing=routing_for(PATIENCE[kind][0]),
        provider=f", endpoints: [{PROVIDERS[theirs]}]",
        honest=False,
        clock=SkippingClock(),
    ) as proxy:
        for _ in range(200):  # answers are short here: a plain one may take little longer
            proxy.server.house.learned.note(MODEL, "key", 100, 25, 1)
        native = ours if theirs == "every wire" else theirs
        seen = 0
        for fault, streamed in product(PATIENCE[kind], (True, False)):
            cell = cell_of(fault, streamed=streamed, theirs=native)
            reply = await meet(proxy, ours, fault, streamed=streamed)
            where = f"{fault}, {'streamed' if streamed else 'plain'}"
            assert client_got(ours, reply, streamed=streamed) == cell.client, where
            assert (await proxy.record(reply)).attempts == cell.attempts, where
            await proxy.server.house.unheard.close()
            rows = await proxy.charges()
            expect_booked(rows[seen:], cell)
            seen = len(rows)
