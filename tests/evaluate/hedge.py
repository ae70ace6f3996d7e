"""The hedge's part of `make evaluate`: a page and its picture."""

from __future__ import annotations

from pathlib import Path

from tests.evaluate.hedge_evaluation import evaluate
from tests.evaluate.hedge_page import page
from tests.evaluate.hedge_pictures import draw


def run(data: Path, out: Path) -> None:
    """Reads the histories in `data`; writes evaluation-hedge.md and its picture to `out`.

    Raises FileNotFoundError if there are no histories.
    """
    evaluation = evaluate(data)
    draw(evaluation, out / "pictures")
    (out / "evaluation-hedge.md").write_text(page(evaluation), encoding="utf-8")
