"""The JSON Schemas of our files, for editors: written from the settings themselves.

`hedgerow check` says more: what names must exist, what goes with what. An editor never refuses what
it takes: `${NAME}` may stand for any value, and numbers may be in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hedge.contracts.contracts_file import ContractsFile
from hedgerow.files.config_errors import example, fields_of, kinds_inside
from hedgerow.files.config_file import ConfigFile
from hedgerow.files.policy_file import PolicyFile
from hedgerow.files.settings import Kind
from hedgerow.files.settings_reference import default_text

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema, as it is printed."""

FILES: Mapping[str, type[BaseModel]] = {
    "config": ConfigFile,
    "policy": PolicyFile,
    "contracts": ContractsFile,
}
"""What schemas there are, by the name that `hedgerow schema` takes."""

_TITLES = {
    "config": "hedgerow.yaml",
    "policy": "a policy file of Hedgerow",
    "contracts": "a contract file of Hedgerow",
}

_DIALECT = "http://json-schema.org/draft-07/schema#"  # the one that every editor knows
_VARIABLE = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
_NUMERAL = r"[+-]?[0-9_]+"


def schema_of(name: str) -> Schema:
    """The schema of hedgerow.yaml (`config`), of a policy file (`policy`) or of a contract file
    (`contracts`)."""
    root = FILES[name]
    definitions: dict[str, Schema] = {}
    body = _keys(root, definitions)
    file = _TITLES[name]
    return {
        "$schema": _DIALECT,
        "$id": f"urn:hedgerow:schema:{name}",
        **body,
        "title": file,
        "definitions": dict(sorted(definitions.items())),
    }


def _keys(model: type[BaseModel], definitions: dict[str, Schema]) -> Schema:
    """A part of a file: its keys, and no other."""
    fields = fields_of(model)
    required = [key for key, field in fields.items() if field.is_required()]
    return {
        "title": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.__name__.removesuffix("Spec")),
        "description": " ".join((model.__doc__ or "").split()).replace("`", ""),
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _property(field, definitions) for key, field in fields.items()},
        **({"required": required} if required else {}),
        **_more(model),
    }


def _more(model: type[BaseModel]) -> Schema:
    """What a model says of its keys together."""
    more = model.model_config.get("json_schema_extra")
    return dict(more) if isinstance(more, dict) else {}


def _property(field: FieldInfo, definitions: dict[str, Schema]) -> Schema:
    found = _value(field.annotation, field.metadata, definitions)
    if "$ref" in found:  # beside it, an editor of this dialect would read nothing
        found = {"allOf": [found]}
    found["description"] = field.description or ""
    if (text := default_text(field)) not in ("", "required"):
        found["default"] = _read(text)
    if text := example(field):
        found["examples"] = [_read(text)]
    return found


def _value(annotation: Any, marks: Iterable[object], definitions: dict[str, Schema]) -> Schema:
    marks = list(marks)
    args = [arg for arg in get_args(annotation) if arg not in (NoneType, ...)]
    origin = get_origin(annotation)
    if (kind := _kind(marks)) is not None and kind.name != "whole number":
        return _text(kind)
    if origin is Annotated:
        return _value(args[0], [*_spread(args[1:]), *marks], definitions)
    if origin is Literal:
        return _choice(args)
    if origin is Mapping:
        named = _kind(get_args(args[0]))
        pattern = {"propertyNames": {"pattern": f"^{named.pattern}$"}} if named else {}
        return {
            "type": "object",
            "additionalProperties": _value(args[1], (), definitions),
            **pattern,
            **_limits(marks, "minProperties", "maxProperties"),
        }
    if origin in (tuple, frozenset):
        return {
            "type": "array",
            "items": _value(args[0], (), definitions),
            **_limits(marks, "minItems", "maxItems"),
        }
    if isinstance(annotation, type):
        return _plain(annotation, marks, definitions)
    if len(args) > 1 and (kinds := kinds_inside(annotation)):
        told = [_plain(one, [], definitions) for one in kinds.values()]
        return {"oneOf": told, "required": ["kind"]}
    return _value(args[0], marks, definitions)  # T | None: an empty value is an error


def _kind(marks: Iterable[object]) -> Kind | None:
    return next((mark for mark in marks if isinstance(mark, Kind)), None)


def _spread(marks: Iterable[object]) -> Iterator[object]:
    """With what a `Field` among them holds."""
    for mark in marks:
        yield from mark.metadata if isinstance(mark, FieldInfo) else (mark,)


def _plain(kind: type, marks: list[object], definitions: dict[str, Schema]) -> Schema:
    if issubclass(kind, BaseModel):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # so that a model within itself ends
            definitions[kind.__name__] = _keys(kind, definitions)
        return {"$ref": f"#/definitions/{kind.__name__}"}
    if issubclass(kind, Enum):
        return _choice([one.value for one in kind])
    if kind is bool:
        return {"anyOf": [{"type": "boolean"}, _text(Kind("", pattern="[a-zA-Z]+|[01]"))]}
    if kind in _NUMBERS:
        return {**_text(_NUMBERS[kind]), **_limits(marks, "minimum", "maximum")}
    if kind in _WORDS:
        return {**_text(_WORDS[kind]), **_limits(marks, "minLength", "maxLength")}
    if kind is int:
        return {
            "type": ["integer", "string"],
            "pattern": f"^({_NUMERAL})$|{_VARIABLE}",
            **_limits(marks, "minimum", "maximum"),
        }
    raise AssertionError(f"{kind} has no schema yet")


_NUMBER = Kind("number", pattern=r"[+-]?[0-9_]+(\.[0-9_]*)?([eE][+-]?[0-9]+)?", bare=("number",))
_NUMBERS = {Decimal: _NUMBER, float: _NUMBER}
_WORDS = {
    str: Kind("text", bare=("number", "boolean")),
    date: Kind("date", pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    time: Kind("time of day", pattern="[0-9]{2}:[0-9]{2}(:[0-9]{2})?"),
}


def _text(kind: Kind) -> Schema:
    """Text of a kind: as it is written, or with variables in it."""
    if kind.words:
        return _choice(kind.words, replace(kind, words=()))
    is_free = not kind.pattern
    return {
        "type": ["string", *kind.bare] if kind.bare else "string",
        **({} if is_free else {"pattern": f"^({kind.pattern})$|{_VARIABLE}"}),
    }


def _choice(words: Iterable[object], other: Kind | None = None) -> Schema:
    """The words first, which editors offer; else a variable, or what `other` says."""
    is_open = other is not None and other.pattern
    more = _text(other) if other and is_open else {"type": "string", "pattern": _VARIABLE}
    return {"anyOf": [{"enum": list(words)}, more]}


_MARKS = {"ge": 0, "min_length": 0, "le": 1, "max_length": 1}


def _limits(marks: Iterable[object], *names: str) -> Schema:
    """Limits among the marks, as the schema names them."""
    return {
        names[place]: getattr(mark, key)
        for mark in marks
        for key, place in _MARKS.items()
        if isinstance(getattr(mark, key, None), int)
    }


def _read(text: str) -> object:
    """An example or a default as an editor writes it: numbers are numbers, all else is text."""
    held = re.sub(r"\$\{(\w+)\}", r"\\\\\1\\\\", text)
    return _plain_data(yaml.load(held, Loader=yaml.BaseLoader))  # noqa: S506 - makes text alone


def _plain_data(data: object) -> object:
    if isinstance(data, dict):
        return {key: _plain_data(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain_data(one) for one in data]
    text = re.sub(r"\\\\(\w+)\\\\", r"${\1}", str(data))
    if re.fullmatch(r"-?(0|[1-9][0-9]*)", text):
        return int(text)
    return text
