"""The order that a request asks for, in place of ours."""

from __future__ import annotations

from collections.abc import Sequence

from routing.candidates import Candidate
from routing.preferences import Preferences


def arranged(candidates: Sequence[Candidate], preferences: Preferences) -> Sequence[Candidate]:
    """Candidates that are in our order, in the order that the request asks for."""
    return candidates if not preferences.order else candidates
