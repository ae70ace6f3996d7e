"""What was counted of a conversation bounds what will be, and is far less than its bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.known_prompts import CUT_TOKENS, KnownPrompts, conversation_in
from tests.serving import MODEL, Proxy, serving

WORDS = st.text(alphabet='abc äß漢😀\\"\n', max_size=40)
MESSAGES = st.lists(
    st.builds(
        lambda role, text: {"role": role, "content": text},
        st.sampled_from(("user", "assistant", "system")),
        WORDS,
    ),
    min_size=1,
    max_size=8,
)


def counted(messages: list[dict[str, str]], bytes_per_token: int) -> int:
    """A provider's count: its tokenizer splits text, its template adds to each message."""
    return sum(
        4 + -(-len(one["content"].encode()) // bytes_per_token) + len(one["role"]) // 4
        for one in messages
    )


@given(MESSAGES, MESSAGES, st.integers(1, 6))
def test_a_bound_is_never_below_a_count(
    first: list[dict[str, str]], more: list[dict[str, str]], bytes_per_token: int
) -> None:
    """Whatever was said before and is said now, by whatever tokenizer, the bound holds; and it is
    not more than what was counted and the bytes that are new."""
    known = KnownPrompts()
    before = json.dumps({"model": "m", "messages": first}).encode()
    known.note("key", "offer", conversation_in(before).beginnings, counted(first, bytes_per_token))
    now = json.dumps({"model": "m", "messages": [*first, *more]}).encode()
    bound = known.bound("key", "offer", conversation_in(now).beginnings, len(now))
    assert bound is not None
    assert bound >= counted([*first, *more], bytes_per_token)
    assert bound <= counted(first, bytes_per_token) + len(now) - len(json.dumps(first)) + (
        2 * len(first) + CUT_TOKENS
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"truncate_prompt_tokens":3}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"transforms":["middle-out"]}',
        b'{"model":"m","messages":{}}',
        b"[]",
        b"\xff",
    ],
)
def test_what_may_change_a_count_is_not_known(body: bytes) -> None:
    """A field that may shorten a prompt before it is counted teaches nothing, and uses nothing."""
    assert not conversation_in(body).is_countable


def test_a_body_with_two_lists_of_messages() -> None:
    """Only the last one is read, here and there: the first teaches nothing."""
    long, short = [{"role": "user", "content": "x" * 5000}], [{"role": "user", "content": "y"}]
    twice = f'{{"messages":{json.dumps(long)},"messages":{json.dumps(short)}}}'.encode()
    known = KnownPrompts()
    known.note("key", "offer", conversation_in(twice).beginnings, 1)
    alone = json.dumps({"messages": long}).encode()
    assert known.bound("key", "offer", conversation_in(alone).beginnings, len(alone)) is None


def test_other_keys_and_offers_know_nothing_of_it() -> None:
    """Counts are of one tokenizer, and of one key."""
    body = json.dumps({"messages": [{"role": "user", "content": "x"}]}).encode()
    known, marks = KnownPrompts(most=2), conversation_in(body).beginnings
    known.note("key", "offer", marks, 5)
    assert known.bound("key", "offer", marks, len(body)) is not None
    assert known.bound("other", "offer", marks, len(body)) is None
    assert known.bound("key", "elsewhere", marks, len(body)) is None
    known.note("key", "b", marks, 5)
    known.note("key", "c", marks, 5)
    assert known.bound("key", "offer", marks, len(body)) is None  # the oldest of three


async def held(proxy: Proxy, body: dict[str, Any]) -> tuple[int, int]:
    """What a request held, and what it cost."""
    reply = await proxy.post(body)
    assert reply.status == 200
    await proxy.server.house.book.folded()
    ((amount, cost),) = await proxy.read(
        lambda store: store.sql.execute(
            "SELECT held_nanos, effective_nanos FROM entries WHERE request_id = ?",
            (reply.headers["x-request-id"],),
        ).fetchall()
    )
    return amount, cost


async def test_the_second_turn_holds_less(tmp_path: Path) -> None:
    """The first turn of a conversation holds its bytes; the next one what was counted of that, and
    its own bytes; both more than they cost."""
    first = [{"role": "user", "content": "what a long story " * 400}]
    async with serving(tmp_path) as proxy:
        body = {"model": MODEL, "messages": first, "max_tokens": 8}
        amount, cost = await held(proxy, body)
        assert amount >= len(json.dumps(body)) * 1000 + 8 * 2000 > cost
        body["messages"] = [*first, {"role": "user", "content": "go on"}]
        less, cost = await held(proxy, body)
        assert cost < less < amount // 2
