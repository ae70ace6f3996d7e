"""From a provider's usage object to nano-USD: real shapes, and sums done by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.rates import RateCard
from proxy.wires.chat import read_choices
from proxy.wires.usage import ChatUsage, MessagesUsage

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.json"))
DIALECTS: dict[str, Any] = {"openai": ChatUsage, "anthropic": MessagesUsage}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_usage_costs_what_its_comment_says(path: Path) -> None:
    """Tokens and charge of each fixture are those computed by hand in its comment."""
    fixture = json.loads(path.read_text())
    raw = json.dumps(fixture["usage"]).encode()
    counted = msgspec.json.decode(raw, type=DIALECTS[fixture["dialect"]]).counted()
    prices: Any = {name: Decimal(usd) for name, usd in fixture["usd_per_million"].items()}
    card = RateCard.of(**prices)

    assert counted is not None
    assert {name: getattr(counted, name) for name in fixture["tokens"]} == fixture["tokens"]
    assert card.charge(counted) == fixture["nanos"]


counts = st.none() | st.integers(-5, 50)


@given(counts, counts, counts, counts, counts, counts)
def test_no_part_is_larger_than_its_whole(
    prompt: int | None,
    completion: int | None,
    total: int | None,
    cached: int | None,
    written: int | None,
    reasoning: int | None,
) -> None:
    """Whatever a provider claims: counts are never negative, parts never more than their whole, and
    missing or senseless totals are unknown."""
    body = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    counted = msgspec.json.decode(json.dumps(body).encode(), type=ChatUsage).counted()

    if prompt is None or completion is None or prompt < 0 or completion < 0:
        assert counted is None
        return
    assert counted is not None
    assert counted.prompt == prompt
    assert counted.completion is not None
    assert counted.completion >= completion
    assert 0 <= (counted.cached or 0) <= prompt
    assert 0 <= (counted.cache_write or 0) <= prompt
    assert 0 <= (counted.reasoning or 0) <= counted.completion
    if counted.completion > completion:
        assert total == prompt + counted.completion


@pytest.mark.parametrize(
    ("message", "text_bytes"),
    [
        ({"content": "prärie"}, 7),
        ({"content": None, "refusal": "no"}, 2),
        ({"content": "a", "reasoning": "think", "reasoning_content": "think"}, 6),
        ({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}, 3),
        ({"content": [{"t": 1}]}, 7),
        ({}, 0),
    ],
)
def test_all_that_is_billed_as_output_is_measured(message: Any, text_bytes: int) -> None:
    """Bytes, not characters; text, refusals, reasoning (once) and the arguments of tool calls."""
    body = json.dumps({"choices": [{"message": message}]}, separators=(",", ":")).encode()
    plain = read_choices(body)
    assert plain is not None
    assert (plain.usage, plain.text_bytes) == (None, text_bytes)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 9999,
        b'{"choices":[]}',
        b'{"choices":[{"message":{"content":3}}]}',
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"error":{"message":"no"}}',
    ],
)
def test_nonsense_is_no_answer(body: bytes) -> None:
    """What is no chat completion is read as None, whatever it is instead."""
    assert read_choices(body) is None
