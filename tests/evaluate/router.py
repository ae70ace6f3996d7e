"""The router's part of `make evaluate`: a page and its pictures."""

from __future__ import annotations

from pathlib import Path

from tests.evaluate.replay import LEAST_REQUESTS
from tests.evaluate.router_evaluation import evaluate
from tests.evaluate.router_page import page
from tests.evaluate.router_pictures import draw


def run(data: Path, out: Path) -> None:
    """Reads the histories in `data`; writes evaluation.md and pictures/*.svg to `out`.

    Raises FileNotFoundError if there are no histories.
    """
    evaluation = evaluate(data)
    draw(evaluation, out / "pictures")
    (out / "evaluation.md").write_text(page(evaluation, LEAST_REQUESTS), encoding="utf-8")
