"""Outcomes: what is read is what was written, and what cannot be learned from is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from benchmarks.errors import OutcomesInvalid
from benchmarks.predictor.outcomes import Outcome, read_outcomes, tabulated
from ledger.money import Money, usd

LINE = '{"prompt_id":"a","prompt":"Hi?","task":"chat","model":"m","score":1,"cost_usd":0.0123}'


def one(prompt_id: str, model: str, score: float, prompt: str = "", cost: int = 1) -> Outcome:
    return Outcome(prompt_id, prompt, None, model, score, Money(cost))


def test_lines_are_read_exactly(tmp_path: Path) -> None:
    """Costs are exact; empty lines and fields of no meaning here do not matter."""
    file = tmp_path / "outcomes.jsonl"
    file.write_text(f'{LINE}\n\n{{"prompt_id":"b","model":"m","score":0.5,"why":"?"}}\n')
    assert read_outcomes(file) == [
        Outcome("a", "Hi?", "chat", "m", 1.0, usd(Decimal("0.0123"))),
        Outcome("b", "", None, "m", 0.5, None),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("<html>", "is no outcome"),
        ('{"prompt_id":"a","model":"m"}', "is no outcome"),
        (LINE.replace('"score":1', '"score":100'), "scale it"),
        (LINE.replace("0.0123", "-1"), "cost_usd is negative"),
        (LINE.replace("0.0123", "0.00000000001"), "cost_usd: .*nine decimals"),
    ],
)
def test_what_is_no_outcome_is_refused(tmp_path: Path, line: str, says: str) -> None:
    """With file and line."""
    file = tmp_path / "outcomes.jsonl"
    file.write_text(f"{LINE}\n{line}\n")
    with pytest.raises(OutcomesInvalid, match=rf"outcomes\.jsonl:2: .*{says}"):
        read_outcomes(file)
    with pytest.raises(OutcomesInvalid, match="check the path"):
        read_outcomes(tmp_path / "none.jsonl")


def test_a_table_has_the_prompts_that_all_answered() -> None:
    """Repeated answers are averaged, other models left out, the incomplete counted."""
    table = tabulated(
        [
            one("a", "x", 1.0, cost=10),
            one("a", "x", 0.0, cost=30),
            one("a", "y", 1.0, cost=5),
            one("b", "x", 1.0),
            one("a", "z", 1.0),
        ],
        ("y", "x"),
    )
    assert np.array_equal(table.scores, [[1.0, 0.5]])
    assert np.array_equal(table.costs, [[5.0, 20.0]])
    assert table.incomplete == 1


def test_duplicates_share_a_group() -> None:
    """Case, signs and white space make no other prompt; two without text are no duplicates."""
    prompts = ("What is 2?", "what is  2", "What is 3?", "", "")
    outcomes = [
        one(str(at), model, 1.0, prompt) for at, prompt in enumerate(prompts) for model in "xy"
    ]
    groups = tabulated(outcomes, ("x", "y")).groups
    assert groups.tolist() == [0, 0, 1, 2, 3]


def test_an_unknown_cost_is_no_zero() -> None:
    """It is given for the model, or refused."""
    outcomes = [Outcome("a", "Hi", None, model, 1.0, None) for model in "xy"]
    with pytest.raises(OutcomesInvalid, match="what x cost"):
        tabulated(outcomes, ("x", "y"))
    table = tabulated(outcomes, ("x", "y"), {"x": Money(3), "y": Money(4)})
    assert table.costs.tolist() == [[3.0, 4.0]]


def test_one_model_is_no_choice() -> None:
    """Nor are two that share no prompt."""
    with pytest.raises(OutcomesInvalid, match="two models or more"):
        tabulated([one("a", "x", 1.0)], ("x",))
    with pytest.raises(OutcomesInvalid, match="no prompt that all of x, y answered"):
        tabulated([one("a", "x", 1.0), one("b", "y", 1.0)], ("x", "y"))
