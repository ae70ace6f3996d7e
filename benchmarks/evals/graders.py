"""Graders: what an answer is held against. Each is what stands in a prompts file under `grader`.

Those here need nobody else: exact text, a pattern, a JSON schema, the validity of tool calls. Those
that ask a model (`Similarity`, `Judge`) are in `benchmarks.evals.asking`.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import regex
from msgspec import Struct

from benchmarks.evals.grade import RIGHT, Grade, wrong
from benchmarks.evals.schemas import (
    PATTERN_S,
    NotJson,
    SchemaBroken,
    TooLong,
    found_in,
    json_in,
    schema_of,
)
from benchmarks.own_api import Answer, ToolCall

MOST_CHARS = 200_000
"""Of an answer that a pattern is held against."""


class Exact(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="exact"):
    """The answer is `expect`, or one of several: but for white space around it."""

    ignore_case: bool = False


class Regex(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="regex"):
    """The pattern is found in the answer. With `expect`: what it last finds there (its first group,
    if it has one) is that, numbers compared as numbers."""

    pattern: str


class JsonSchema(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="json_schema"
):
    """The answer is JSON that fits. fenced: it may stand in a Markdown code block."""

    schema: dict[str, Any]
    fenced: bool = False


class ToolCalls(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="tool_call"):
    """The answer calls tools of the prompt, and every call is valid: JSON, a known name, arguments
    that fit the tool's parameters (JSON Schema, draft 7).

    name: a tool that must be called. arguments: what it must be told, at least.
    """

    name: str | None = None
    arguments: dict[str, Any] | None = None


class Similarity(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="similarity"
):
    """The cosine between embeddings of the answer and of `expect`, negative ones as 0.

    model: of embeddings. at_least: right from there on, wrong below; without it, the cosine is the
    score.
    """

    model: str
    at_least: float | None = None


class Judge(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="judge"):
    """A model says how good the answer is: from 1 to 10, or, with `expect`, against that answer,
    asked twice with the two in either order.

    model: the judge. rubric: what counts.
    """

    model: str
    rubric: str


Grader: TypeAlias = Exact | Regex | JsonSchema | ToolCalls | Similarity | Judge
Expected: TypeAlias = str | list[str] | None


class CallFault(StrEnum):
    """What can be wrong with a tool call."""

    INVALID_JSON = "InvalidJson"
    UNKNOWN_NAME = "UnknownName"
    SCHEMA_MISMATCH = "SchemaMismatch"


def check(grader: Grader, expect: Expected, tools: tuple[Mapping[str, Any], ...]) -> None:
    """Raises ValueError for a grader that could not grade."""
    match grader:
        case Exact() if not expect:
            raise ValueError("an exact grader needs `expect`: a text, or several")
        case Regex(pattern):
            try:
                regex.compile(pattern)
            except regex.error as error:
                raise ValueError(f"{pattern!r} is no pattern: {error}") from None
        case JsonSchema(schema):
            schema_of(schema)
        case ToolCalls(name):
            known = _parameters(tools)
            if not known:
                raise ValueError("a tool_call grader needs `tools`, each with a function")
            if name is not None and name not in known:
                raise ValueError(f"there is no tool {name}; there are: {', '.join(known)}")
            for one, parameters in known.items():
                try:
                    schema_of(parameters, draft_7=True)
                except ValueError as error:
                    raise ValueError(f"tool {one}: {error}") from None
        case Similarity(_, at_least):
            if not isinstance(expect, str) or not expect.strip():
                raise ValueError("a similarity grader needs `expect`: one text")
            if at_least is not None and not 0 < at_least <= 1:
                raise ValueError(f"at_least is {at_least}: write a number above 0, up to 1")
        case Judge(_, rubric):
            if isinstance(expect, list):
                raise ValueError("a judge compares with one text: write `expect` as a text")
            if not rubric.strip():
                raise ValueError("a judge needs a rubric: say what a good answer is")
        case Exact():
            pass


def graded(
    grader: Exact | Regex | JsonSchema | ToolCalls,
    expect: Expected,
    tools: tuple[Mapping[str, Any], ...],
    answer: Answer,
) -> Grade:
    """What the answer is worth. May take as long as `schemas.LIMIT_S`: not for an event loop."""
    try:
        match grader:
            case Exact():
                return _exact(grader, expect, answer.text)
            case Regex():
                return _pattern(grader, expect, answer.text)
            case JsonSchema():
                return _json(grader, answer.text)
            case ToolCalls():
                return _calls(grader, tools, answer.tool_calls)
    except SchemaBroken as error:  # only this value has led to where it is
        return Grade(None, str(error))


def _exact(grader: Exact, expect: Expected, text: str) -> Grade:
    def plain(one: str) -> str:
        one = unicodedata.normalize("NFC", one).strip()
        return one.casefold() if grader.ignore_case else one

    wanted = [expect] if isinstance(expect, str) else expect or []
    longest = 4 * max(map(len, wanted), default=0) + 1000
    if len(text) <= longest and plain(text) in map(plain, wanted):
        return RIGHT
    return wrong(f"is {text[:80]!r}")


def _pattern(grader: Regex, expect: Expected, text: str) -> Grade:
    pattern = regex.compile(grader.pattern)
    try:
        if expect is None:
            found = found_in(pattern, text[-MOST_CHARS:])
            return RIGHT if found else wrong("the pattern is not found")
        last = _last(pattern, text[-MOST_CHARS:])
    except TooLong:
        return wrong("the pattern takes too long on it")
    if last is None:
        return wrong("the pattern is not found")
    wanted = [expect] if isinstance(expect, str) else expect
    return RIGHT if any(_same(last, one) for one in wanted) else wrong(f"says {last[:80]!r}")


def _last(pattern: regex.Pattern[str], text: str) -> str | None:
    last: str | None = None
    try:
        for found in pattern.finditer(text, timeout=PATTERN_S, concurrent=True):
            last = found[1] if pattern.groups else found[0]
    except TimeoutError:
        raise TooLong from None
    return last


def _same(said: str, wanted: str) -> bool:
    said, wanted = said.strip(), wanted.strip()
    if said == wanted:
        return True
    numbers = _number(said), _number(wanted)
    return None not in numbers and numbers[0] == numbers[1]


def _number(text: str) -> float | None:
    try:
        number = float(text.replace(",", "").removeprefix("$").removesuffix("."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


_FENCE = regex.compile(r"```(?:json)?\s*\n(.*?)```", regex.DOTALL | regex.IGNORECASE)


def _json(grader: JsonSchema, text: str) -> Grade:
    if grader.fenced and len(text) <= MOST_CHARS and (fenced := _FENCE.search(text)):
        text = fenced[1]
    try:
        value = json_in(text)
    except NotJson as error:
        return wrong(str(error))
    fault = schema_of(grader.schema).fault(value)
    return RIGHT if fault is None else wrong(fault)


def _calls(
    grader: ToolCalls, tools: tuple[Mapping[str, Any], ...], calls: tuple[ToolCall, ...]
) -> Grade:
    if not calls:
        return wrong("calls no tool")
    known = _parameters(tools)
    told: list[tuple[str, Any]] = []
    for call in calls:
        value, fault = _checked(call, known)
        if fault:
            return wrong(fault)
        told.append((call.name, value))
    if grader.name is not None and grader.name not in dict(told):
        return wrong(f"does not call {grader.name}")
    wanted = grader.arguments
    if wanted is not None and not any(
        name == (grader.name or name) and _holds(value, wanted) for name, value in told
    ):
        return wrong("calls it with other arguments")
    return RIGHT


def _checked(call: ToolCall, known: Mapping[str, Mapping[str, Any]]) -> tuple[Any, str]:
    """The arguments, and what is wrong with the call, if anything is."""
    if call.name not in known:
        return None, f"{CallFault.UNKNOWN_NAME}: {call.name[:80]!r}"
    try:
        value = json_in(call.arguments or "{}")
    except NotJson as error:
        return None, f"{CallFault.INVALID_JSON}: {error}"
    fault = schema_of(known[call.name], draft_7=True).fault(value)
    return value, "" if fault is None else f"{CallFault.SCHEMA_MISMATCH}: {fault}"


def _holds(value: Any, wanted: Mapping[str, Any]) -> bool:
    return isinstance(value, dict) and all(
        name in value and value[name] == one for name, one in wanted.items()
    )


def _parameters(tools: tuple[Mapping[str, Any], ...]) -> dict[str, Mapping[str, Any]]:
    """The schema of each function's arguments; of one without any, that of any object."""
    functions = [one["function"] for one in tools if isinstance(one.get("function"), Mapping)]
    return {
        one["name"]: one.get("parameters") or {"type": "object"}
        for one in functions
        if isinstance(one.get("name"), str)
    }
