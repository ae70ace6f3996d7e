"""The bid prices' part of `make evaluate`: a page."""

from __future__ import annotations

from pathlib import Path

from tests.evaluate.bids_evaluation import SEEDS, cases, evaluate
from tests.evaluate.bids_page import page


def run(data: Path, out: Path) -> None:
    """Reads traces in `data`; writes evaluation-bids.md to `out`.

    Raises FileNotFoundError if there are no traces.
    """
    outcomes = evaluate(list(cases(data)), SEEDS)
    (out / "evaluation-bids.md").write_text(page(outcomes, SEEDS), encoding="utf-8")
