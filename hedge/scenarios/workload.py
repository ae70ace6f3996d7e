"""Workload: demand that may be served by the same contracts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """models: the public names whose requests it is made of. quality_at_least: 0 to 1, and
    ttft_ms_p95_max: what a contract has to deliver to serve it; None asks for nothing."""

    name: str
    models: tuple[str, ...]
    quality_at_least: float | None = None
    ttft_ms_p95_max: float | None = None
