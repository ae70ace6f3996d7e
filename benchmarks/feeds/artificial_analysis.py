"""Artificial Analysis: how good models are, by its indices of 0 to 100.

Its page asks to be named wherever its figures are shown: a Quality's `source` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds.document import Document, decoded, items
from benchmarks.feeds.figures import NotBelieved, text, within
from benchmarks.feeds.reading import Fault, ModelQuality, Reading, reading_of
from benchmarks.quality import Quality

SOURCE = "artificialanalysis.ai"
PATH = "/data/llms/models"
_INDICES = {
    f"artificial_analysis_{one}_index": f"artificial_analysis_{one}"
    for one in ("intelligence", "coding", "math", "agentic")
}
BENCHMARKS = tuple(_INDICES.values())
"""What their indices are called here."""
_ENOUGH = 5
"""Scores of a document that tell its unit."""


def models(document: Document) -> Reading:
    """The scores of every model, by its slug. Raises FeedRefused."""
    listed = items(decoded(document.body), "data", "the list")
    found = (score for one in listed for score in _scores(document, one))
    reading = reading_of(document, SOURCE, found, len(listed))
    scores = [one.quality.score for one in reading.entries if isinstance(one, ModelQuality)]
    if len(scores) >= _ENOUGH and max(scores) <= 0.01:
        raise FeedRefused(AlarmName.UNIT_ERROR, "every index is at most 1, where they go to 100")
    return reading


def _scores(document: Document, one: Any) -> Iterator[ModelQuality | Fault]:
    slug = text(one.get("slug")) if isinstance(one, dict) else None
    if slug is None:
        yield Fault(SOURCE, AlarmName.MALFORMED, "a model has no slug")
        return
    evaluations = one.get("evaluations")
    for name, benchmark in _INDICES.items():
        value = evaluations.get(name) if isinstance(evaluations, dict) else None
        try:
            index = within(value, 0, 100)
        except NotBelieved as error:
            yield Fault(f"{slug}:{benchmark}", error.name, f"{name}: {error.value}")
            continue
        if index is None:
            continue
        score = index / 100
        at = document.as_of or document.known_at
        yield ModelQuality(slug, Quality(benchmark, score, score, score, None, at, SOURCE))
