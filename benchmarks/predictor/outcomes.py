"""Outcomes: how well models answered the prompts of an eval, and what each answer cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.errors import OutcomesInvalid
from ledger.errors import NotMoney
from ledger.money import Money, usd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NO_WORD = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer, graded. `score` is in [0, 1]; `cost` is None where nobody knows it."""

    prompt_id: str
    prompt: str
    task: str | None
    model: str
    score: float
    cost: Money | None


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """The prompts that every model answered: a row for each, a column for each model.

    scores are means over repeated answers; costs are in nano-USD (float, for statistics only).
    groups: the same number for prompts whose words are the same, so that no duplicate is judged by
    what was learned from its twin. incomplete: prompts left out since a model did not answer them.
    """

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    tasks: tuple[str | None, ...]
    groups: Ints
    scores: Floats
    costs: Floats
    incomplete: int


class _Line(msgspec.Struct, frozen=True):
    prompt_id: str
    model: str
    score: float
    prompt: str = ""
    task: str | None = None
    cost_usd: Decimal | None = None


def read_outcomes(path: Path) -> list[Outcome]:
    """The lines of a JSONL file: prompt_id, prompt, task, model, score and cost_usd.

    Raises OutcomesInvalid, with the line, for what is no outcome.
    """
    outcomes = []
    decode = msgspec.json.Decoder(_Line).decode
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    outcomes.append(_outcome(decode(line), f"{path}:{number}"))
    except OSError as error:
        raise OutcomesInvalid(
            f"{path}: cannot be read ({error.strerror}): check the path"
        ) from None
    except msgspec.DecodeError as error:
        raise OutcomesInvalid(
            f"{path}:{number}: is no outcome ({error}): write one JSON object per line with"
            " prompt_id, prompt, task, model, score and cost_usd"
        ) from None
    return outcomes


def _outcome(line: _Line, where: str) -> Outcome:
    if not 0 <= line.score <= 1:
        raise OutcomesInvalid(f"{where}: score {line.score} is not in 0..1: scale it")
    try:
        cost = None if line.cost_usd is None else usd(line.cost_usd)
    except NotMoney as error:
        raise OutcomesInvalid(f"{where}: cost_usd: {error}") from None
    if cost is not None and cost < 0:
        raise OutcomesInvalid(f"{where}: cost_usd is negative: leave it out if it is not known")
    return Outcome(line.prompt_id, line.prompt, line.task, line.model, line.score, cost)


def tabulated(
    outcomes: Iterable[Outcome],
    models: Sequence[str],
    costs: Mapping[str, Money] | None = None,
) -> OutcomeTable:
    """The outcomes of these models, side by side.

    costs: of one answer of a model, for those whose outcomes do not say it. Raises OutcomesInvalid
    if a cost is not known, if there are fewer than two models, or no prompt that all answered.
    """
    if len(set(models)) < 2:
        raise OutcomesInvalid("a choice needs two models or more: name them")
    column = {name: at for at, name in enumerate(models)}
    answers: dict[str, list[list[tuple[float, float]]]] = {}
    first: dict[str, Outcome] = {}
    for one in outcomes:
        if one.model not in column:
            continue
        cost = (costs or {}).get(one.model) if one.cost is None else one.cost
        if cost is None:
            raise OutcomesInvalid(
                f"nobody knows what {one.model} cost for prompt {one.prompt_id}: give the cost of"
                " one answer of it"
            )
        first.setdefault(one.prompt_id, one)
        of_models = answers.setdefault(one.prompt_id, [[] for _ in models])
        of_models[column[one.model]].append((one.score, float(cost)))
    kept = [prompt_id for prompt_id, of_models in answers.items() if all(of_models)]
    if not kept:
        raise OutcomesInvalid(
            f"there is no prompt that all of {', '.join(models)} answered: evaluate them on the"
            " same prompts"
        )
    both = np.array([[np.mean(each, axis=0) for each in answers[one]] for one in kept])
    numbers: dict[str, int] = {}
    groups = [numbers.setdefault(_words(first[one]), len(numbers)) for one in kept]
    return OutcomeTable(
        models=tuple(models),
        prompts=tuple(first[one].prompt for one in kept),
        tasks=tuple(first[one].task for one in kept),
        groups=np.array(groups, np.int64),
        scores=both[:, :, 0],
        costs=both[:, :, 1],
        incomplete=len(answers) - len(kept),
    )


def _words(one: Outcome) -> str:
    """What makes two prompts the same; a prompt without text is like no other."""
    return _NO_WORD.sub(" ", one.prompt.casefold()).strip() or one.prompt_id
