"""ModelClass: a name that stands for several models, any of which may answer."""

from __future__ import annotations

from dataclasses import dataclass

from routing.limits import Floor


@dataclass(frozen=True, slots=True)
class ModelClass:
    """members: names of models. quality: what their offers must reach; None: whatever they have."""

    members: tuple[str, ...]
    quality: Floor | None = None
