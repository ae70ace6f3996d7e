"""Report: what a run says of each offer, as it is kept and shown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from benchmarks.evals.history import EvalRun
from benchmarks.evals.run import Contestant, Outcome
from benchmarks.evals.scores import by_prompt, interval
from ledger.money import as_usd

_encode = msgspec.json.Encoder(decimal_format="number").encode


def runs_of(
    benchmark: str, contestants: Sequence[Contestant], outcomes: Sequence[Outcome]
) -> list[EvalRun]:
    """One for each offer that has a graded answer, in their order."""
    found = []
    for one in contestants:
        own = [out for out in outcomes if out.contestant is one]
        scores: dict[str, list[float]] = {}
        for out in own:
            if out.score is not None:
                scores.setdefault(out.prompt.hash, []).append(out.score)
        if not scores:
            continue
        values = interval(list(by_prompt(scores).values()))
        seconds = [out.seconds for out in own if out.seconds is not None]
        found.append(
            EvalRun(
                benchmark=benchmark,
                offer=one.offer.id,
                model=one.model,
                score=values.mean,
                low=values.low,
                high=values.high,
                n=values.n,
                failed=sum(not out.is_answered for out in own),
                ungraded=sum(out.is_answered and out.score is None for out in own),
                cost_nanos=sum(out.cost or 0 for out in own),
                grading_nanos=sum(out.grading for out in own),
                seconds_p50=statistics.median(seconds) if seconds else None,
                scores=scores,
            )
        )
    return found


def outcome_lines(outcomes: Sequence[Outcome]) -> Iterator[bytes]:
    """Every outcome that has a score as a line of JSON, for whoever learns from them."""
    for one in outcomes:
        if one.score is None:
            continue
        cost: Decimal | None = None if one.cost is None else as_usd(one.cost)
        line: dict[str, Any] = {
            "prompt_id": one.prompt.id,
            "prompt": one.prompt.text,
            "task": one.prompt.task,
            "model": one.contestant.model,
            "offer": one.contestant.offer.id,
            "score": one.score,
            "cost_usd": cost,
            "seconds": one.seconds,
            "why": one.why,
        }
        yield _encode(line) + b"\n"
