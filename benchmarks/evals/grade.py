"""Grade: what one answer is worth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grade:
    """score: from 0 to 1; None if nobody can tell, which is not 0. why: in a few words, where it
    is not 1."""

    score: float | None
    why: str = ""


RIGHT = Grade(1.0)


def wrong(why: str) -> Grade:
    return Grade(0.0, why)
