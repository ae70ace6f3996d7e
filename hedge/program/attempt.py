"""Attempt: one call of a solver, kept with the plan that it led to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Attempt:
    """One solve of the master program.

    purpose: `lowest cap`, `cheapest`, `cheapest under cap` or `cheapest, averse`.
    status: the solver's word, `optimal` when it is sure.
    objective_usd: the bound it proved on what it minimised; None without an answer.
    gap: how far the costed holding lies above that bound, relative to it; None without an answer.
    """

    purpose: str
    solver: str
    status: str
    seconds: float = field(compare=False)
    objective_usd: float | None
    gap: float | None
