"""What pydantic finds wrong with terms, in one plain sentence that says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

_WORDS: Mapping[str, str] = {
    "missing": "is missing: write it",
    "extra_forbidden": "is no key of this kind of contract: take it out, or mend its spelling",
    "union_tag_not_found": "has no kind: write one, as in kind: flat_plan",
    "decimal_parsing": "is no number: write digits, as in 12.50",
    "float_parsing": "is no number: write digits, as in 0.8",
    "int_parsing": "is no whole number: write digits, as in 12",
    "int_from_float": "is no whole number: write digits, as in 12",
    "bool_parsing": "is neither true nor false: write one of them",
    "finite_number": "is no finite number: write digits",
    "too_short": "is empty: write at least one",
    "string_too_short": "is empty: write a name",
}
_LIMITS: Mapping[str, str] = {
    "greater_than": "is {gt} or less: write more than {gt}",
    "greater_than_equal": "is below {ge}: write {ge} or more",
    "less_than": "is {lt} or more: write less than {lt}",
    "less_than_equal": "is above {le}: write {le} or less",
    "decimal_max_places": "has more than {decimal_places} decimals: write fewer",
    "string_too_long": "is too long: write at most {max_length} characters",
    "too_long": "has too many items: write at most {max_length}",
    "union_tag_invalid": "has an unknown kind: write one of {expected_tags}",
    "literal_error": "is not known: write {expected}",
}


def refusal(error: ValidationError, raw: object) -> str:
    """The first thing that is wrong: the contract, the field, and what to write."""
    first = error.errors(include_url=False, include_input=False)[0]
    told, kind = first.get("ctx", {}), first["type"]
    if kind in _LIMITS:
        words = _LIMITS[kind].format_map(told)
    elif kind.startswith(("date_", "time_")):
        words = "is no date or time: write it as in 2026-12-01 or 20:00"
    elif kind == "value_error":
        words = first["msg"].removeprefix("Value error, ")
    else:
        words = _WORDS.get(kind, first["msg"])
    return f"{_place(first['loc'], raw)}: {words}"


def _place(loc: Sequence[str | int], raw: object) -> str:
    """`contract azure-ptu: size.max`: the contract by its name, if it has one."""
    at, *rest = loc or (0,)
    if not isinstance(at, int) or not isinstance(raw, list | tuple) or at >= len(raw):
        return ".".join(map(str, loc)) or "contracts"
    item = raw[at]
    name = item.get("name") if isinstance(item, Mapping) else None
    kind = item.get("kind") if isinstance(item, Mapping) else None
    field = re.sub(
        r"\.(\d+)", r"[\1]", ".".join(map(str, rest[1:] if rest[:1] == [kind] else rest))
    )
    called = f"contract {name}" if isinstance(name, str) else f"contract number {at + 1}"
    return f"{called}: {field}" if field else called
