"""Graders: what is right, what is wrong, and what tries to break them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from benchmarks.errors import PromptsInvalid
from benchmarks.evals.grade import Grade
from benchmarks.evals.graders import (
    Exact,
    Expected,
    JsonSchema,
    Regex,
    ToolCalls,
    graded,
)
from benchmarks.evals.prompts import read_prompts
from benchmarks.evals.schemas import Schema
from benchmarks.own_api import Answer, ToolCall

LONGEST_S = 3.0
"""No answer keeps a grader busy for longer."""
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city"],
        },
    },
}
EVIL = "a" * 5_000 + "!"
"""Keeps `(a+)+$` busy for longer than anybody lives."""


def grade(
    grader: Exact | Regex | JsonSchema | ToolCalls,
    text: str = "",
    expect: Expected = None,
    calls: tuple[ToolCall, ...] = (),
) -> Grade:
    answer = Answer(text, calls, "stop", 1, None, 0.0)
    began_s = time.monotonic()
    found = graded(grader, expect, (WEATHER,), answer)
    assert time.monotonic() - began_s < LONGEST_S
    return found


@pytest.mark.parametrize(
    ("grader", "expect", "text", "score"),
    [
        (Exact(), "Paris", " Paris\n", 1),
        (Exact(), "Paris", "paris", 0),
        (Exact(ignore_case=True), ["Lyon", "Paris"], "PARIS", 1),
        (Exact(), "caf\u00e9", "cafe\u0301", 1),
        (Exact(), "Paris", "Paris " * 100_000, 0),
        (Regex("^yes"), None, "yes, it is", 1),
        (Regex("^yes"), None, "no", 0),
        (Regex(r"#### (\S+)"), "1200", "#### 7\n#### 1,200.", 1),
        (Regex(r"#### (\S+)"), "1200", "#### 1200\n#### 7", 0),
        (Regex(r"#### (\S+)"), ["7", "8"], "#### 8.0", 1),
        (Regex(r"(\S+)$"), "nan", "nan", 1),
        (Regex(r"(\S+)$"), "1", "nan", 0),
        (Regex("(a+)+$"), None, EVIL, 0),
        (Regex("(a+)+$"), "b", EVIL, 0),
        (Regex("needle$"), None, "hay " * 500_000 + "needle", 1),
    ],
)
def test_texts(grader: Exact | Regex, expect: Expected, text: str, score: float) -> None:
    """Exact texts and patterns; numbers are numbers however they are written."""
    assert grade(grader, text, expect).score == score


ANY = JsonSchema({"type": ["object", "array", "number", "string", "null"]})
SHAPE = JsonSchema(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^(a+)+$"},
            "tags": {"type": "array", "uniqueItems": True},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
)
NESTED = JsonSchema(
    {
        "$defs": {
            "n": {
                "anyOf": [
                    {"type": "null"},
                    {"type": "array", "items": {"$ref": "#/$defs/n"}},
                    {"type": "array", "contains": {"$ref": "#/$defs/n"}},
                ]
            }
        },
        "$ref": "#/$defs/n",
    }
)


@pytest.mark.parametrize(
    ("grader", "text", "score"),
    [
        (SHAPE, '{"name": "aa"}', 1),
        (SHAPE, '{"name": "aa", "tags": [1, 2]}', 1),
        (SHAPE, '{"name": "aa", "tags": [1, 1.0]}', 0),
        (SHAPE, '{"name": "aa", "more": 1}', 0),
        (SHAPE, "{}", 0),
        (SHAPE, '```json\n{"name": "a"}\n```', 0),
        (JsonSchema(SHAPE.schema, fenced=True), 'Here:\n```json\n{"name": "a"}\n```', 1),
        (SHAPE, json.dumps({"name": EVIL}), 0),
        (SHAPE, json.dumps({"name": "a", "tags": [[one] for one in range(20_000)]}), 1),
        (ANY, "NaN", 0),
        (ANY, '{"a": NaN}', 0),
        (ANY, "1e999", 0),
        (ANY, "[" * 100_000, 0),
        (ANY, "[" * 90_000 + "]" * 90_000, 0),
        (ANY, '"' + "x" * 1_000_000 + '"', 0),
        (ANY, "", 0),
        (ANY, '{"a": 1} and more', 0),
        (ANY, '"\ud800"', 0),
        (NESTED, "[" * 60 + "7" + "]" * 60, 0),
        (NESTED, "[" * 900 + "7" + "]" * 900, 0),
        (JsonSchema({"properties": {"a": {"$ref": "#/nowhere"}}}), '{"a": 1}', None),
    ],
)
def test_json(grader: JsonSchema, text: str, score: float | None) -> None:
    """JSON that fits and nothing else; not NaN, not what is huge or without end. A schema that
    leads nowhere grades nobody."""
    assert grade(grader, text).score == score


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "ab"])
    | st.just(1.0),
    lambda more: (
        st.lists(more, max_size=4) | st.dictionaries(st.sampled_from("abx"), more, max_size=3)
    ),
    max_leaves=8,
)
SCHEMAS: list[dict[str, Any]] = [
    {"type": "array", "uniqueItems": True},
    {
        "type": "object",
        "patternProperties": {"^a": {"type": "integer"}},
        "additionalProperties": False,
    },
    {"properties": {"a": {"pattern": "^a"}}, "additionalProperties": {"type": "string"}},
    {"items": {"type": ["integer", "array"]}, "contains": {"const": 1}},
    {"oneOf": [{"type": "object", "required": ["a"]}, {"minItems": 2}]},
    {"$defs": {"n": {"items": {"$ref": "#/$defs/n"}, "maxItems": 2}}, "$ref": "#/$defs/n"},
]


@given(VALUES, st.sampled_from(SCHEMAS))
def test_a_guarded_check_says_what_a_plain_one_does(value: Any, schema: dict[str, Any]) -> None:
    """jsonschema itself is the judge, on values that do it no harm."""
    assert (Schema(schema).fault(value) is None) == Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("grader", "calls", "score", "why"),
    [
        (ToolCalls(), [("weather", '{"city": "Ulm"}')], 1, ""),
        (ToolCalls(), [("weather", '{"city": "Ulm", "days": 0}')], 0, "SchemaMismatch: $.days"),
        (ToolCalls(), [("weather", "{}")], 0, "SchemaMismatch"),
        (ToolCalls(), [("weather", "")], 0, "SchemaMismatch"),
        (ToolCalls(), [("weather", '{"city": ')], 0, "InvalidJson"),
        (ToolCalls(), [("wether", '{"city": "Ulm"}')], 0, "UnknownName"),
        (ToolCalls(), [("weather", '{"city": "Ulm"}'), ("x", "{}")], 0, "UnknownName"),
        (ToolCalls(), [], 0, "calls no tool"),
        (ToolCalls("weather", {"city": "Ulm"}), [("weather", '{"city": "Ulm", "days": 2}')], 1, ""),
        (ToolCalls("weather", {"city": "Ulm"}), [("weather", '{"city": "Rom"}')], 0, "other"),
        (ToolCalls(), [("weather", '{"city": "' + "x" * 999_999)], 0, "InvalidJson"),
    ],
)
def test_tool_calls(
    grader: ToolCalls, calls: list[tuple[str, str]], score: float, why: str
) -> None:
    """Every call has to be JSON, of a tool that there is, and fit its parameters."""
    found = grade(grader, calls=tuple(ToolCall(*one) for one in calls))
    assert found.score == score
    assert found.why.startswith(why) or why in found.why


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "truncated"),
        ('{"id": "a", "prompt": "b"}', "missing required field `grader`"),
        ('{"id": "a", "prompt": "b", "grader": {"kind": "vibes"}}', "vibes"),
        ('{"id": "a", "prompt": "b", "grader": {"kind": "exact"}}', "needs `expect`"),
        ('{"id": "a", "grader": {"kind": "exact"}, "expect": "c"}', "`prompt` or `messages`"),
        ('{"id": "a", "messages": [], "grader": {"kind": "exact"}, "expect": "c"}', "is empty"),
        ('{"id": "a", "prompt": "b", "grader": {"kind": "regex", "pattern": "("}}', "no pattern"),
        (
            '{"id": "a", "prompt": "b", "grader": {"kind": "json_schema", "schema": {"type": 1}}}',
            "no JSON Schema",
        ),
        (
            '{"id":"a","prompt":"b","grader":{"kind":"json_schema","schema":{"$ref":"https://a.b"}}}',
            "refers to what is not in it",
        ),
        ('{"id": "a", "prompt": "b", "grader": {"kind": "tool_call"}}', "needs `tools`"),
        (
            '{"id": "a", "prompt": "b", "grader": {"kind": "similarity", "model": "m"}}',
            "needs `expect`",
        ),
        (
            '{"id":"a","prompt":"b","max_tokens":0,"grader":{"kind":"exact"},"expect":"c"}',
            "max_tokens is 0",
        ),
        ('{"id": "a", "prompt": "b", "graders": {}}', "graders"),
    ],
)
def test_lines_that_are_no_prompts(tmp_path: Path, line: str, why: str) -> None:
    """Each is refused with file and line, before anything is asked."""
    path = tmp_path / "prompts.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(PromptsInvalid) as refused:
        read_prompts(path)
    assert str(refused.value).startswith(f"{path}:2: ")
    assert why in str(refused.value)


def test_what_names_a_prompt(tmp_path: Path) -> None:
    """Its hash changes with all that makes answers better or worse, and with nothing else."""
    line: dict[str, Any] = {
        "id": "a",
        "prompt": "b",
        "grader": {"kind": "exact"},
        "expect": "c",
        "task": "sums",
    }

    def hash_of(**changed: Any) -> str:
        path = tmp_path / "prompts.jsonl"
        path.write_text(json.dumps(line | changed))
        (prompt,) = read_prompts(path)
        return prompt.hash

    same = hash_of()
    assert hash_of(id="z", task="other") == same
    assert hash_of(prompt=None, messages=[{"content": "b", "role": "user"}]) == same
    changes: list[dict[str, Any]] = [
        {"prompt": "x"},
        {"expect": "x"},
        {"max_tokens": 7},
        {"temperature": 0},
        {"grader": {"kind": "exact", "ignore_case": True}},
    ]
    assert len({hash_of(**one) for one in changes} | {same}) == len(changes) + 1
