"""Bodies: JSON requests as far as we read them, and what is wrong with those that are none."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any, TypeVar

import msgspec

from ledger.money import Money, as_usd
from proxy.errors import Invalid

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
ABSENT = msgspec.Raw()
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for bytes that are not the JSON that was expected."""

_tree = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
encode = msgspec.json.Encoder(decimal_format="number").encode


def read(decode: Callable[[bytes], T], body: bytes, what: str) -> T:
    """Decode a request. Raises Invalid, naming the field; `what`: as in "a chat request"."""
    try:
        body.decode()  # msgspec lets bad UTF-8 through inside what it does not decode
        return decode(body)
    except UnicodeDecodeError as error:
        raise Invalid(
            f"the body is not UTF-8: byte {error.start} is invalid", code="invalid_json"
        ) from None
    except msgspec.ValidationError as error:
        raise misfit(error, what) from None
    except msgspec.DecodeError as error:
        raise Invalid(f"the body is not JSON: {error}", code="invalid_json") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply", code="invalid_json") from None


_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_OTHER = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_BOUND = re.compile(r"Expected `(?:int|float)` ([<>])(=?) (\S+)")
_LENGTH = re.compile(r"Expected `(str|array)` of length ([<>])= (\d+)")
_CHOICE = re.compile(r"Invalid enum value '?(.*?)'?")
_STRANGE = re.compile(r"Object contains unknown field `([^`]+)`")
_GOT = {
    "int": "a number",
    "float": "a number with a fraction",
    "str": "a string",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
_WANTED = _GOT | {"int": "a whole number", "float": "a number", "decimal": "a number"}


def misfit(error: msgspec.ValidationError, what: str, where: str = "") -> Invalid:
    """What has been written does not fit: msgspec's words as a client would say it.

    what: it should have been, as in "a chat request". where: the path of what was decoded.
    """
    why, _, path = str(error).partition(" - at ")
    param = (where + path.strip("`").removeprefix("$")).removeprefix(".")
    if missing := _MISSING.fullmatch(why):
        param = f"{param}.{missing[1]}" if param else missing[1]
        told = f"{param} is missing: {what} must have it"
    elif other := _OTHER.fullmatch(why):
        kinds = [one for one in other[1].split(" | ") if one != "null"]
        wanted = " or ".join(_WANTED.get(one, one) for one in kinds)
        got = _GOT.get(other[2], other[2])
        told = f"{param} is {got}: write {wanted}" if param else f"{what} is {wanted}, not {got}"
    elif bound := _BOUND.fullmatch(why):
        sign, may_be_equal, number = bound.groups()
        is_large, than = sign == "<", number.removesuffix(".0")
        told = f"{param} is too {'large' if is_large else 'small'}: write "
        less_or_more = "less" if is_large else "more"
        told += f"{than} or {less_or_more}" if may_be_equal else f"{less_or_more} than {than}"
    elif length := _LENGTH.fullmatch(why):
        kind, sign, count = length.groups()
        of = "characters" if kind == "str" else "entries"
        told = f"{param} is too {'long' if sign == '<' else 'short'}: write {count} {of} or "
        told += "fewer" if sign == "<" else "more"
    elif choice := _CHOICE.fullmatch(why):
        told = f"{param} is {choice[1][:50]!r}, which is nothing known here"
    elif strange := _STRANGE.fullmatch(why):
        param = f"{param}.{strange[1][:50]}" if param else strange[1][:50]
        told = f"{param} is no field of {what}: leave it out"
    else:
        told = f"the body is not {what}: {why}" + (f" at {param}" if param else "")
    return Invalid(told, param=param or None, code="invalid_type")


def fields_of(body: bytes, ours: Collection[str]) -> dict[str, msgspec.Raw]:
    """All fields of a request. Raises Invalid for `N` or `Max_Tokens`: they are nothing to us, and
    to some providers the same as ours."""
    fields: dict[str, msgspec.Raw] = _tree(body)
    for key in fields:
        if key not in ours and key.lower() in ours:
            raise Invalid(
                f"{key[:50]} is written {key.lower()}", param=key[:50], code="invalid_type"
            )
    return fields


def unpriced(param: str, what: str) -> Invalid:
    """A rate card prices text and images at one tier; the rest would be billed and not booked."""
    return Invalid(
        f"{what} is billed at prices that are not known here: leave it out",
        param=param,
        code="unpriced_feature",
    )


class CacheControl(msgspec.Struct, gc=False):
    """A mark after which a provider remembers the prompt: for minutes, unless it says otherwise."""

    ttl: str | None = None


def is_long_cache(marks: Iterable[CacheControl | None], where: str) -> bool:
    """Whether some of them ask to be remembered for an hour, which has a price of its own. Raises
    Invalid for another time than that and the usual one."""
    ttls = {mark.ttl for mark in marks if mark is not None} - {None, "5m"}
    for ttl in ttls - {"1h", None}:
        raise unpriced(where, f"a cache_control of {str(ttl)[:20]} in {where}")
    return bool(ttls)


IMAGE_BYTES = 6400
"""What an image counts for in the bytes of a prompt: some 1600 tokens, however many bytes it has,
and whether they are in the body or behind a URL."""


def bytes_of_prompt(body: bytes, images: Iterable[msgspec.Raw]) -> int:
    """Of the texts, and of images that stand in these fields, what they count for."""
    return len(body) + sum(IMAGE_BYTES - len(bytes(one)) for one in images)


def is_given(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null", b"false")


def tree_of(body: bytes | msgspec.Raw) -> dict[str, Any]:
    """An object, its values still as they were written.

    A key that a client wrote twice is there once: nobody can hold for one value and be billed for
    the other.
    """
    tree: dict[str, Any] = _tree(body)
    return tree


def at_tier(body: bytes, tier: str | None) -> bytes:
    """A request at this service tier; None for the one that nobody names."""
    tree = tree_of(body)
    tree.pop("service_tier", None)
    return encode(tree if tier is None else tree | {"service_tier": tier})


def with_cost(body: bytes, cost: Money) -> bytes:
    """An answer or an event with `usage.cost` (USD) in its usage."""
    try:
        tree = tree_of(body)
        tree["usage"] = tree_of(tree["usage"]) | {"cost": as_usd(cost)}
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return body  # no object to put it into
    return encode(tree)
