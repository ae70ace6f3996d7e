"""Hints: what a body of the admin API could have said instead of what nobody understands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeVar

import msgspec
from msgspec import inspect

from proxy.errors import Invalid
from proxy.wires import body as bodies

T = TypeVar("T")

_WRONG = re.compile(
    r"(?:Object contains unknown field `(?P<field>[^`]+)`"
    r"|Invalid enum value (?P<value>'[^']*'|\S+)"
    r"|(?P<time>Invalid RFC3339 encoded datetime)"
    r"|(?P<amount>Invalid decimal string))"
    r"(?: - at `\$\.?(?P<path>[^`]*)`)?"
)
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


def decoded(kind: type[T], content: bytes, what: str) -> T:
    """A body as what it should be. Raises Invalid, with what could be written instead.

    what: as in "a new key".
    """

    def decode(data: bytes) -> T:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError as error:
            if (hinted := _hinted(str(error), kind, what)) is not None:
                raise hinted from None
            raise

    return bodies.read(decode, content, what)


def nearest(written: str, known: Iterable[str]) -> str | None:
    """What may have been meant."""
    return next(iter(get_close_matches(written, sorted(known), n=1)), None)


def _hinted(said: str, kind: object, what: str) -> Invalid | None:
    found = _WRONG.fullmatch(said)
    if found is None:
        return None
    path = found["path"] or ""
    if (name := found["field"]) is not None:
        param = f"{path}.{name}" if path else name
        known = _choices(kind, path)
        near = nearest(name, known)
        hint = f"known here: {', '.join(known)}" if near is None else f"did you mean {near}?"
        why = f"{param[:80]} is no field of {what}; {hint}"
    elif (value := found["value"]) is not None:
        param = path
        why = f"{path} is {value[:80]}: write one of {', '.join(_choices(kind, path))}"
    elif found["time"]:
        param, why = path, f"{path} is no time: write one as in 2027-01-31T18:00:00Z"
    else:
        param, why = path, f"{path} is no amount: write digits, as in 12.50"
    return Invalid(why, param=param[:80] or None, code="invalid_type")


def _choices(kind: object, path: str) -> list[str]:
    """The fields, or the values, that may stand at a place of a body."""
    here = _alone(inspect.type_info(kind))
    for step in _STEP.findall(path):
        if isinstance(here, inspect.StructType):
            (here,) = [one.type for one in here.fields if one.encode_name == step]
        elif isinstance(here, inspect.DictType):
            here = here.value_type
        elif isinstance(here, inspect.ListType | inspect.VarTupleType):
            here = here.item_type
        here = _alone(here)
    if isinstance(here, inspect.StructType):
        return [one.encode_name for one in here.fields]
    return [str(one) for one in here.values] if isinstance(here, inspect.LiteralType) else []


def _alone(kind: inspect.Type) -> inspect.Type:
    """Without the null that may stand there, too, and without limits."""
    while isinstance(kind, inspect.UnionType | inspect.Metadata):
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        else:
            kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind
