"""The table of faults: what a provider does wrong × streamed or not × with another offer or alone.

Each cell says what the client got, how many attempts were made, and what the books charge the
provider that failed. What holds in every cell (nothing hangs, nothing lies, nothing stays held, no
connection leaks, nobody is charged twice) is checked for all of them alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sandbox import Behaviour, Fault
from ledger.statements import Charged
from ledger.usage import TokenUsage
from tests.serving import MODEL, UPSTREAM_MODEL, Proxy, Reply, SkippingClock, serving, wishing

TOKENS = 60
DEADLINE_S, SLACK_S = 10.0, 3.0
SILENT = {Fault.HANG, Fault.SLOW, Fault.LATE, Fault.TRICKLE, Fault.STALL}
"""They are waited for as shortly as a busy machine allows; the others for so long that it must not
matter how busy it is."""
BEHAVIOUR = Behaviour(
    models=(UPSTREAM_MODEL,), time_scale=0.0, slow_ms=60_000, trickle_ms=20, retry_after_s=30
)

ACTUAL, ESTIMATED, WHOLE_HOLD, NOTHING = "actual", "estimated", "whole hold", "nothing"
WHOLE, CUT = "whole", "cut"


@dataclass(frozen=True)
class Cell:
    """client: WHOLE, CUT, or the code of an error. booked: of each attempt at the provider that
    fails, what was charged."""

    client: str
    attempts: int
    booked: str


def routing_for(fault: Fault) -> str:
    first_ms, idle_ms = (150, 250) if fault in SILENT else (5000, 5000)
    if fault is Fault.STALL:
        first_ms = 600  # its first byte must come
    return (
        f"{{attempts: 3, first_byte_timeout: {first_ms}ms, idle_timeout: {idle_ms}ms,"
        f" deadline: {DEADLINE_S}s}}"
    )


def row(fault: Fault, **cells: Cell) -> dict[tuple[Fault, str], Cell]:
    return {(fault, name): cell for name, cell in cells.items()}


def before(fault: Fault, code: str, booked: str, *, attempts_alone: int = 3) -> Any:
    """A failure before the first byte, streamed or not."""
    alone = Cell(code, attempts_alone, booked)
    second = Cell(WHOLE, 2, booked)
    return row(
        fault,
        stream_alone=alone,
        plain_alone=alone,
        stream_second=second,
        plain_second=second,
    )


def callers(fault: Fault, code: str, *, attempts_second: int = 1) -> Any:
    """A mistake of the caller's: the provider's own words, at once, and no charge."""
    alone, second = Cell(code, 1, NOTHING), Cell(code, attempts_second, NOTHING)
    return row(
        fault,
        stream_alone=alone,
        plain_alone=alone,
        stream_second=second,
        plain_second=second,
    )


def harmless(fault: Fault, *, stream: str = ACTUAL, plain: str = ACTUAL) -> Any:
    """The client has the whole answer all the same."""
    return row(
        fault,
        stream_alone=Cell(WHOLE, 1, stream),
        plain_alone=Cell(WHOLE, 1, plain),
        stream_second=Cell(WHOLE, 1, stream),
        plain_second=Cell(WHOLE, 1, plain),
    )


def midway(fault: Fault, plain_alone: Cell, plain_second: Cell) -> Any:
    """A stream breaks after its first byte: the client is told; what was delivered is charged."""
    return row(
        fault,
        stream_alone=Cell(CUT, 1, ESTIMATED),
        stream_second=Cell(CUT, 1, ESTIMATED),
        plain_alone=plain_alone,
        plain_second=plain_second,
    )


FINE = Cell(WHOLE, 1, ACTUAL)
FAILED, UPSTREAM_LATE = "upstream_failed", "upstream_timeout"
# A plain answer that is late is heard out when its client has gone on, and when the server stops
# before it came, nothing less than its whole hold is sure to cover it.
TABLE: dict[tuple[Fault, str], Cell] = {
    **before(Fault.HTTP_500, FAILED, NOTHING),
    **before(Fault.HTTP_401, FAILED, NOTHING, attempts_alone=1),
    # Thirty seconds are past the deadline: nobody is made to wait for nothing.
    **before(Fault.HTTP_429, "rate_limit_exceeded", NOTHING, attempts_alone=1),
    **before(Fault.RETRY_AFTER_MS, "rate_limit_exceeded", NOTHING, attempts_alone=1),
    **before(Fault.RETRY_AFTER_DATE, "rate_limit_exceeded", NOTHING, attempts_alone=1),
    **callers(Fault.CONTENT_FILTER, "content_filter"),
    # No context is known here, so the other may be longer: it is asked.
    **callers(Fault.CONTEXT, "context_length_exceeded")
    | row(
        Fault.CONTEXT,
        stream_second=Cell(WHOLE, 2, NOTHING),
        plain_second=Cell(WHOLE, 2, NOTHING),
    ),
    **before(Fault.RESET, FAILED, ESTIMATED),
    **before(Fault.NONSENSE, FAILED, ESTIMATED),
    **row(
        Fault.HANG,
        stream_alone=Cell(UPSTREAM_LATE, 3, ESTIMATED),
        stream_second=Cell(WHOLE, 2, ESTIMATED),
        plain_alone=Cell(UPSTREAM_LATE, 3, WHOLE_HOLD),
        plain_second=Cell(WHOLE, 2, WHOLE_HOLD),
    ),
    **row(
        Fault.SLOW,
        stream_alone=Cell(UPSTREAM_LATE, 3, ESTIMATED),
        stream_second=Cell(WHOLE, 2, ESTIMATED),
        plain_alone=Cell(UPSTREAM_LATE, 3, WHOLE_HOLD),
        plain_second=Cell(WHOLE, 2, WHOLE_HOLD),
    ),
    **row(
        Fault.LATE,
        stream_alone=FINE,
        stream_second=FINE,
        plain_alone=Cell(UPSTREAM_LATE, 3, WHOLE_HOLD),
        plain_second=Cell(WHOLE, 2, WHOLE_HOLD),
    ),
    # Signs of life are no answer: they are waited for a little longer than silence, and no more.
    **row(
        Fault.TRICKLE,
        stream_alone=Cell(UPSTREAM_LATE, 3, ESTIMATED),
        stream_second=Cell(WHOLE, 2, ESTIMATED),
        plain_alone=Cell(UPSTREAM_LATE, 3, WHOLE_HOLD),
        plain_second=Cell(WHOLE, 2, WHOLE_HOLD),
    ),
    **midway(Fault.CUT, Cell(FAILED, 3, ESTIMATED), Cell(WHOLE, 2, ESTIMATED)),
    **midway(Fault.STALL, Cell(UPSTREAM_LATE, 3, WHOLE_HOLD), Cell(WHOLE, 2, WHOLE_HOLD)),
    **midway(Fault.SHORT, FINE, FINE),
    **midway(Fault.ERROR_EVENT, FINE, FINE),
    **harmless(Fault.MALFORMED),
    **harmless(Fault.NO_DONE),
    **harmless(Fault.NO_USAGE, stream=ESTIMATED, plain=ESTIMATED),
}


def test_the_table_has_every_cell() -> None:
    """A fault that is added must say what it leads to."""
    shapes = ("stream_alone", "stream_second", "plain_alone", "plain_second")
    assert TABLE.keys() == set(product(Fault, shapes))


@pytest.mark.parametrize(("fault", "shape"), list(TABLE), ids=str)
async def test_every_cell(tmp_path: Path, fault: Fault, shape: str) -> None:
    """The client, the attempts and the books of one cell are as the table says; and it took no
    longer than its deadline and one answer."""
    cell, streamed = TABLE[fault, shape], shape.startswith("stream")
    names = ("a", "b") if shape.endswith("second") else ("a",)
    clock = SkippingClock()
    async with serving(
        tmp_path,
        behaviour=BEHAVIOUR,
        names=names,
        routing=routing_for(fault),
        honest=False,
        clock=clock,
    ) as proxy:
        for _ in range(200):  # answers are short here: a plain one may take little longer
            proxy.server.house.learned.note(MODEL, "key", 100, 25, 1)
        proxy.a.fault = fault
        began_s = clock.monotonic_s()
        reply = await proxy.ask(stream=streamed, max_tokens=TOKENS, sandbox=wishing(TOKENS))
        took_s = clock.monotonic_s() - began_s
        proxy.a.fault = None

        record = await proxy.record(reply)
        assert client_got(reply, streamed=streamed) == cell.client
        assert record.attempts == cell.attempts
        assert record.outcome == {WHOLE: "answered", CUT: FAILED}.get(cell.client, cell.client) or (
            fault is Fault.STALL and record.outcome == UPSTREAM_LATE
        )
        assert took_s < DEADLINE_S + SLACK_S
        await proxy.server.house.unheard.close()
        rows = await proxy.charges()
        expect_booked(proxy, rows, cell, by_b="b" in names and cell.client == WHOLE)


def client_got(reply: Reply, *, streamed: bool) -> str:
    """WHOLE, CUT, or the code of the error; and nothing that was cut looks whole."""
    if reply.status != 200:
        code: str = reply.error["code"]
        return code
    if not streamed:
        text = reply.json["choices"][0]["message"]["content"]
        assert len(text.split()) == TOKENS
        return WHOLE
    chunks = [one for one in reply.events if one != "[DONE]"]
    reasons = [choice["finish_reason"] for one in chunks for choice in one["choices"]]
    if "error" not in chunks[-1]:
        assert reply.events[-1] == "[DONE]"
        assert reasons[-1] == "stop"
        assert len(reply.content.split()) == TOKENS
        return WHOLE
    assert "[DONE]" not in reply.events
    assert not {"stop", "length", "tool_calls"} & set(reasons)
    assert chunks[-1]["error"].keys() == {"message", "type", "param", "code"}
    assert chunks[-1]["error"]["message"].startswith("a broke off: ")
    assert reasons[-1] == "error"
    return CUT


def expect_booked(proxy: Proxy, rows: list[Charged], cell: Cell, *, by_b: bool) -> None:
    ours = [one for one in rows if one.provider == "a"]
    others = [one for one in rows if one.provider == "b"]
    tried_b = by_b and cell.attempts > 1
    assert len(others) == (1 if tried_b else 0)
    if tried_b:
        assert (others[0].usage, others[0].estimated) == (TokenUsage(3, TOKENS, 0, None, 0), False)
    at_a = cell.attempts - len(others)
    assert len(ours) == (0 if cell.booked == NOTHING else at_a)
    for one in ours:
        assert one.usage.is_known
        assert one.estimated == (cell.booked != ACTUAL)
        if cell.booked == ACTUAL:
            assert one.usage.completion == TOKENS
        if cell.booked == WHOLE_HOLD:
            assert one.usage.completion == TOKENS
        assert (one.usage.completion or 0) <= TOKENS or cell.client == WHOLE
    assert proxy.a.tally.requests == at_a
    if cell.client in (WHOLE, CUT) and ours and cell.attempts == 1:
        assert (ours[0].usage.completion or 0) >= (1 if cell.client == CUT else TOKENS)
