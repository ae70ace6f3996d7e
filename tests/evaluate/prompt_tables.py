"""Outcome tables that projects published: which model answered which prompt rightly."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from benchmarks.predictor.outcomes import Outcome, OutcomeTable, tabulated
from ledger.money import Money, usd

DATA = Path(__file__).parents[2].parent / "shared" / "data"
CHARS_PER_TOKEN = 4
LETTER_CHARS = 4
"""An answer whose size was not recorded is one token: MMLU wants a letter."""


@dataclass(frozen=True, slots=True)
class Price:
    """List price, USD per million tokens."""

    input: Decimal
    output: Decimal

    def of(self, prompt: str, output_chars: float) -> Money:
        """Whole nano-USD: a token at 1 USD per million costs 1,000 of them."""
        tokens = (
            Decimal(len(prompt)) * self.input + Decimal(output_chars) * self.output
        ) / CHARS_PER_TOKEN
        return Money(int(tokens * 1_000))


LIST_PRICES = {
    "gpt-4-1106-preview": Price(Decimal(10), Decimal(30)),
    "gpt4_1106_preview": Price(Decimal(10), Decimal(30)),
    "mistralai/Mixtral-8x7B-Instruct-v0.1": Price(Decimal("0.6"), Decimal("0.6")),
    "gpt-3.5-turbo-1106": Price(Decimal(1), Decimal(2)),
    "claude-2.1": Price(Decimal(8), Decimal(24)),
}
"""As published at the beginning of 2024; Mixtral's at Together."""


@dataclass(frozen=True, slots=True)
class _Row:
    prompt_id: str
    model: str
    score: float
    cost: Money | None
    output_chars: float


def table_of(
    dataset: str, models: tuple[str, ...], costs: Mapping[str, Money] | None
) -> OutcomeTable:
    """costs: of one call of each model; None takes the costs of the table, or else list prices."""
    prompts = _prompts()
    outcomes = []
    for row in _rows(dataset):
        if row.model not in models:
            continue
        subject, prompt = prompts.get(row.prompt_id, ("", ""))
        cost = row.cost
        if costs is not None:
            cost = costs[row.model]
        elif cost is None:
            cost = LIST_PRICES[row.model].of(prompt, row.output_chars)
        outcomes.append(Outcome(row.prompt_id, prompt, subject or None, row.model, row.score, cost))
    return tabulated(outcomes, models)


def models_of(dataset: str) -> tuple[str, ...]:
    return tuple(sorted({row.model for row in _rows(dataset)}))


@cache
def _prompts() -> Mapping[str, tuple[str, str]]:
    return {
        row["prompt_id"]: (row["subject"], row["prompt"])
        for row in _csv(DATA / "router_prompts.csv.gz")
    }


@cache
def _rows(dataset: str) -> tuple[_Row, ...]:
    return tuple(
        _Row(
            row["prompt_id"],
            row["model"],
            float(row["score"]),
            usd(row["cost_usd"]) if row["cost_usd"] else None,
            float(row["output_size"] or LETTER_CHARS),
        )
        for row in _csv(DATA / "router_outcomes.csv.gz")
        if row["dataset"].startswith(dataset)
    )


def _csv(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        yield from csv.DictReader(file)
