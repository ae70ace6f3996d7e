"""Principal: who asks, as the key says."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Principal:
    """The owner of a request. None means that the key names none.

    models: the model names that the key may ask for; None is all of them.
    name: what people call the key, for messages; the books do not keep it with what was spent.
    """

    key_id: str
    org: str | None = None
    team: str | None = None
    project: str | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    models: frozenset[str] | None = None
    name: str | None = field(default=None, compare=False)
