"""Schema: JSON checked against a JSON Schema, whatever a model has made of it.

The text is a stranger's: it may be huge, nested without end, or made to keep a pattern busy for
hours. So a check has a time limit, patterns are matched by an engine that can be stopped, and
nothing is fetched.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec
import regex
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

MOST_CHARS = 200_000
"""Of a text that is read as JSON."""
LIMIT_S = 1.0
"""How long a check may take."""
PATTERN_S = 0.1
"""How long one pattern may take on one text."""
_MOST_WORDS = 300


class NotJson(Exception):
    """The text is no JSON; says why."""


class SchemaBroken(ValueError):
    """The schema is none, or cannot be followed; says why."""


class TooLong(Exception):
    """The check was ended before it was done."""


def json_in(text: str) -> Any:
    """The value of a text that is JSON and nothing else. NaN is none. Raises NotJson."""
    if len(text) > MOST_CHARS:
        raise NotJson(f"is longer than {MOST_CHARS} characters")
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise NotJson("is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise NotJson(f"is no JSON: {error}"[:_MOST_WORDS]) from None


class Schema:
    """A schema that is sound. Raises SchemaBroken for one that is not.

    draft_7: read it so unless it names another draft itself, as tools' parameters are; else as
    2020-12.
    """

    def __init__(self, schema: Mapping[str, Any], *, draft_7: bool = False) -> None:
        default = Draft7Validator if draft_7 else Draft202012Validator
        kind = validator_for(schema, default=default)
        try:
            kind.check_schema(dict(schema))
        except SchemaError as error:
            raise SchemaBroken(f"no JSON Schema: {error.message}"[:_MOST_WORDS]) from None
        self._schema = schema
        self._kind = kind
        self.fault({})  # a reference to elsewhere, or a pattern that is none, shows now

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value of JSON; None if nothing. Raises SchemaBroken if the schema
        cannot be followed."""
        deadline_s = time.monotonic() + LIMIT_S
        guarded = extend(self._kind, _guarded(self._kind, deadline_s))  # type: ignore[no-untyped-call]
        try:
            errors = guarded(self._schema, registry=Registry()).iter_errors(value)
            found = next(iter(errors), None)
        except RecursionError:
            return "is nested too deeply"
        except TooLong:
            return "takes too long to check"
        except Unresolvable as error:
            raise SchemaBroken(f"the schema refers to what is not in it: {error}") from None
        except regex.error as error:
            raise SchemaBroken(f"the schema has a pattern that is none: {error}") from None
        return None if found is None else f"{found.json_path}: {found.message}"[:_MOST_WORDS]


def schema_of(schema: Mapping[str, Any], *, draft_7: bool = False) -> Schema:
    """The same, made once for each of the last few. Raises SchemaBroken."""
    return _made(msgspec.json.encode(schema), draft_7)


@lru_cache(maxsize=256)
def _made(schema: bytes, draft_7: bool) -> Schema:
    return Schema(msgspec.json.decode(schema), draft_7=draft_7)


def found_in(pattern: regex.Pattern[str], text: str) -> regex.Match[str] | None:
    """The first match. Raises TooLong."""
    try:
        return pattern.search(text, timeout=PATTERN_S, concurrent=True)
    except TimeoutError:
        raise TooLong from None


def _guarded(kind: Any, deadline_s: float) -> dict[str, Any]:
    """The keywords whose work depends on the value more than on the schema, made safe."""

    def in_time() -> None:
        if time.monotonic() > deadline_s:
            raise TooLong

    def pattern(_: Any, wanted: str, value: Any, __: Any) -> Iterator[ValidationError]:
        in_time()
        if isinstance(value, str) and found_in(regex.compile(wanted), value) is None:
            yield ValidationError(f"{value[:80]!r} does not match {wanted!r}")

    def pattern_properties(
        validator: Any, wanted: Mapping[str, Any], value: Any, _: Any
    ) -> Iterator[ValidationError]:
        for name, schema in wanted.items():
            compiled = regex.compile(name)
            for key, one in value.items() if isinstance(value, dict) else ():
                in_time()
                if found_in(compiled, key) is not None:
                    yield from validator.descend(one, schema, path=key, schema_path=name)

    def additional_properties(
        validator: Any, wanted: Any, value: Any, schema: Mapping[str, Any]
    ) -> Iterator[ValidationError]:
        if not isinstance(value, dict):
            return
        patterns = [regex.compile(one) for one in schema.get("patternProperties", {})]
        for key in value.keys() - schema.get("properties", {}).keys():
            in_time()
            if any(found_in(one, key) is not None for one in patterns):
                continue
            if wanted is False:
                yield ValidationError(f"{key[:80]!r} is not among its properties")
            elif wanted is not True:
                yield from validator.descend(value[key], wanted, path=key)

    def unique_items(_: Any, wanted: bool, value: Any, __: Any) -> Iterator[ValidationError]:
        in_time()
        items = value if wanted and isinstance(value, list) else []
        if len({_canonical(one) for one in items}) < len(items):
            yield ValidationError("has items that are the same")

    def guarded(name: str) -> Any:
        of = kind.VALIDATORS[name]

        def slowly(
            validator: Any, wanted: Any, value: Any, schema: Any
        ) -> Iterator[ValidationError]:
            in_time()
            yield from of(validator, wanted, value, schema) or ()

        return slowly

    # A value is only gone into again and again by way of these.
    recursive = ("$ref", "$dynamicRef", "items", "contains", "properties", "anyOf", "oneOf")
    return {
        **{name: guarded(name) for name in recursive if name in kind.VALIDATORS},
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
        "uniqueItems": unique_items,
    }


def _canonical(value: Any) -> bytes:
    """The same bytes for values that JSON takes for the same: 1 and 1.0, and any order of keys."""
    return msgspec.json.encode(_plain(value), order="deterministic")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
