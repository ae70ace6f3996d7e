"""Failure: why an attempt of a request failed, and which one of those in the books it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.requests import FailedAttempt
from ledger.statements import Tried


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, and which one it was; None if the books do not say."""

    why: FailedAttempt
    tried: Tried | None


def failures_of(failures: Iterable[FailedAttempt], attempts: Sequence[Tried]) -> list[Failure]:
    """Both are in order, but an attempt that was never sent is no failure."""
    rest = iter(attempts)
    return [
        Failure(one, next((made for made in rest if _is_of(one, made)), None)) for one in failures
    ]


def _is_of(why: FailedAttempt, one: Tried) -> bool:
    offer = f"{one.provider}/{one.upstream_model}"
    is_there = why.offer == offer or why.offer.startswith(f"{offer}@")  # a twin's id says more
    return is_there and why.account == one.account
