"""Requirements: what IFRS 9 and ASC 815 ask of a hedge, and what the books can say of each.

Support for the controller's decision: many of them are judgement, and stay open here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Requirement:
    """met: None where the books cannot tell; says: what they can, in a sentence."""

    name: str
    met: bool | None
    says: str
