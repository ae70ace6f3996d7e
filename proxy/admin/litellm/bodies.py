"""Bodies of LiteLLM's management routes: what is not honoured is refused, never dropped."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from proxy.admin.asked import Asked
from proxy.admin.hints import decoded, nearest
from proxy.errors import Invalid
from proxy.wires import body as bodies

T = TypeVar("T", bound=msgspec.Struct)

_NOTHING = (b"null", b"false", b"{}", b"[]", b'""', b"0", b"0.0")
"""Values by which clients write out what they do not want."""

NOTES = "litellm"
"""Where metadata keeps what LiteLLM's routes tell and nothing here acts by."""


class Member(msgspec.Struct):
    """role: told again; who may change what here, the admin key alone says."""

    user_id: str
    role: Literal["admin", "user"] = "user"


class Notes(msgspec.Struct, forbid_unknown_fields=True):
    """What is told again. budget_duration: as it was written, for those who compare."""

    budget_duration: str | None = None
    user_email: str | None = None
    user_role: str | None = None
    teams: tuple[str, ...] = ()
    members_with_roles: tuple[Member, ...] = ()


def body_of(asked: Asked, kind: type[T], what: str) -> T:
    """Raises Invalid, naming a field that is not honoured, or does not fit."""
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    content = asked.content or b"{}"
    tree = bodies.read(bodies.tree_of, content, what)
    for name, value in tree.items():
        if name not in known and bytes(value).replace(b" ", b"") not in _NOTHING:
            raise Invalid(
                f"{name[:80]} is not honoured here: leave it out (docs/litellm.md says what is)"
                + ("" if (near := nearest(name, known)) is None else f", or write {near}"),
                param=name[:80],
                code="not_honoured",
            )
    return decoded(kind, content, what)


def with_notes(metadata: dict[str, Any], notes: dict[str, Any]) -> dict[str, Any]:
    """Metadata to keep; notes that are None are left out. Raises Invalid."""
    if NOTES in metadata:
        raise Invalid(
            f"metadata.{NOTES} is where what these routes tell again is kept: choose another name",
            param="metadata",
            code="invalid_type",
        )
    kept = {name: value for name, value in notes.items() if value is not None}
    return metadata | ({NOTES: kept} if kept else {})


def apart(metadata: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an owner wrote, and the notes beside it: what does not read as such is an owner's."""
    own: dict[str, Any] = msgspec.json.decode(metadata)
    try:
        msgspec.convert(own.get(NOTES, {}), Notes)
    except msgspec.ValidationError:
        return own, {}
    return own, own.pop(NOTES, {})
