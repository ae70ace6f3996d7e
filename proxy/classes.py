"""ModelClass: a name that stands for several models, any of which may answer."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.by_prompt import Chooser
from routing.limits import Floor


@dataclass(frozen=True, slots=True)
class ModelClass:
    """members: names of models. quality: what their offers must reach; None: whatever they have.
    chooser: which of them suits a prompt; None: whichever is cheapest."""

    members: tuple[str, ...]
    quality: Floor | None = None
    chooser: Chooser | None = None
