"""Meter: what this process took of the machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Taken:
    """Wall and CPU time, and the most memory that the process had meanwhile."""

    wall_s: float
    cpu_s: float
    peak_mib: float


class Meter:
    """Measures from when it is made."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def read(self) -> Taken:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        return Taken(wall_s - self._wall_s, cpu_s - self._cpu_s, _status_kib("VmHWM") / 1024)


def resident_mib() -> float:
    """How much memory the process has now."""
    return _status_kib("VmRSS") / 1024


def _status_kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
