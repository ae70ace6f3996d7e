"""Pieces of a Responses request: read as far as they are known, the rest of them carried along."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from proxy.errors import Invalid
from proxy.wires import body as bodies

T = TypeVar("T", bound=msgspec.Struct)


class Typed(msgspec.Struct, gc=False):
    """What kind of thing it is. An item without a type is a message, or a reference if it has no
    role."""

    type: str | None = None
    role: str | None = None


_tree = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read(raw: msgspec.Raw, form: type[T], where: str) -> T:
    """Raises Invalid, naming the field below `where`."""
    try:
        return msgspec.json.decode(raw, type=form)
    except msgspec.ValidationError as error:
        param = where + str(error).partition(" - at ")[2].strip("`").removeprefix("$")
        told = bodies.misfit(error, "a Responses request", where).message
        raise Invalid(told, param=param, code="invalid_type") from None
    except RecursionError:
        raise Invalid(f"{where} is nested too deeply", param=where, code="invalid_json") from None


def beside(raw: msgspec.Raw | bytes, form: type[msgspec.Struct]) -> dict[str, msgspec.Raw]:
    """The fields that `form` does not name, as they were written: an extension of some provider
    (`cache_control`, a thought's signature) goes where it stood."""
    return {key: value for key, value in _tree(raw).items() if key not in form.__struct_fields__}
