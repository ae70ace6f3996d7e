"""By prompt: which model of a class is asked first for this very prompt, where its operator has a
predictor that was trained on his own evals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from benchmarks.predictor.predictor import Predictor
from ledger.money import Money
from proxy.wires.body import UNREADABLE
from routing.decide import Wanted
from routing.decision import RouteDecision
from routing.prompt_choice import AtLeast, Worth, choose_by_prompt


@dataclass(frozen=True, slots=True)
class Chooser:
    """aim: what its operator wants of the choice."""

    predictor: Predictor
    aim: Worth | AtLeast


Decide = Callable[[Sequence[Sequence[Wanted]]], RouteDecision]


def by_prompt(
    decision: RouteDecision,
    wanted: Sequence[Sequence[Wanted]],
    chooser: Chooser,
    prompt: str,
    decide: Decide,
) -> RouteDecision:
    """The decision with the models of its first group, which are a class's, one after the other, in
    the order that suits the prompt. One whose offers cannot serve the request is not among them."""
    costs = {
        part.intent.model: Money(round(float(part.costs.min())))
        for part in decision.parts
        if len(part.costs)
    }
    its, *others = wanted
    by_model = {one.intent.model: one for one in its}
    costs = {model: cost for model, cost in costs.items() if model in by_model}
    if len(costs) < 2:
        return decision
    choice = choose_by_prompt(prompt, costs, chooser.predictor, chooser.aim)
    if not choice.is_by_prompt:
        return replace(decision, choice=choice)
    first = [[by_model[one.model]] for one in choice.ranked]
    rest = [one for one in its if one.intent.model not in costs]
    groups = [*first, rest] if rest else first
    return replace(decide([*groups, *others]), choice=choice)


class _Part(msgspec.Struct, gc=False):
    text: str = ""


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: str | list[_Part] | None = None


class _Prompt(msgspec.Struct, gc=False):
    messages: list[_Message] = []
    prompt: str = ""


_prompt = msgspec.json.Decoder(_Prompt).decode


def question_in(body: bytes) -> str:
    """What is asked: of a conversation, what its user said last; "" where nothing can be read."""
    try:
        found = _prompt(body)
    except UNREADABLE:
        return ""
    said = next((one for one in reversed(found.messages) if one.role == "user"), None)
    if said is None or said.content is None:
        return found.prompt
    if isinstance(said.content, str):
        return said.content
    return "\n".join(part.text for part in said.content)
