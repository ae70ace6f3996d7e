"""Desk: what the parts of a worker's book share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ledger.slices import Slices
from ledger.store import Store
from ledger.writer import Writer


@dataclass(frozen=True, slots=True)
class Times:
    """The clocks of a worker: ns since 1970, and seconds that never go back."""

    now_ns: Callable[[], int]
    monotonic_s: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Desk:
    """writer_id: the worker's number in the store. writer: the way to the thread that has it."""

    store: Store
    writer: Writer
    writer_id: int
    slices: Slices
    times: Times
