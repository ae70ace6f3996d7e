"""Ids: sortable by time, so that the order of the books is the order of their ids."""

from __future__ import annotations

from collections.abc import Callable


def new_id(prefix: str, at_ns: int, random_bytes: Callable[[int], bytes]) -> str:
    """`req_` + 12 hex digits of milliseconds + 16 random ones: 28 characters, unique, sortable."""
    return f"{prefix}_{at_ns // 1_000_000:012x}{random_bytes(8).hex()}"
