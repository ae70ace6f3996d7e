"""Effort: how much a model may think, in the words of either wire.

Chat has one word for it, `reasoning_effort`. Messages has the same words in `output_config.effort`
(all but `minimal` and `none`), how to think in `thinking.type`, and for models before Claude 4.6,
which know neither, a budget in tokens.

    chat                            Messages                        Messages, before Claude 4.6
    none                            thinking disabled               the same
    minimal                         adaptive, effort low            budget 1024, the least there is
    low                             adaptive, effort low            budget 1024
    medium                          adaptive, effort medium         budget 8192
    high                            adaptive, effort high           budget 24576
    xhigh, max                      adaptive, the same word         budget 32768, 65536
    (absent: the model decides)     adaptive without effort         (none)

The budgets of low, medium and high are those of Gemini's OpenAI endpoint: Anthropic publishes none.
A budget leaves a fifth of max_tokens to the answer. The other way a budget is the greatest level
whose budget it reaches, `high` at most: more is a word that few providers know.
"""

from __future__ import annotations

import re

import msgspec

from proxy.errors import Untranslatable

_BUDGETS = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 65536,
}
_LEAST_BUDGET = 1024
_OFF = ("disabled", "between_tools")
"""Without thinking, though `between_tools` tells of its progress."""
_BUDGET_ONLY = re.compile(
    r"claude-(?:instant|[1-3](?!\d)"
    r"|(?:opus|sonnet|haiku)-4(?:[-.][0-5])?(?=$|:|[-@](?:\d{8}|latest|v\d)))"
)
"""The models before Claude 4.6. No new ones will come: whatever else there is knows effort."""


class Thinking(msgspec.Struct, gc=False):
    """`thinking` of a Messages request."""

    type: str
    budget_tokens: int | None = None


class Reasoning(msgspec.Struct, gc=False):
    """`reasoning` of a chat request, as OpenRouter's clients write it."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None

    @property
    def word(self) -> str | None:
        if self.enabled is False:
            return "none"
        if self.effort is not None:
            return self.effort
        if self.max_tokens is not None:
            return _level(self.max_tokens)
        return "medium" if self.enabled else None


def effort_of(thinking: Thinking | None, effort: str | None) -> str | None:
    """A Messages request's `reasoning_effort`; None to leave it to the model."""
    kind = "adaptive" if thinking is None else thinking.type
    if kind in _OFF:
        return "none"
    if kind == "enabled" and effort is None and thinking is not None:
        return _level(thinking.budget_tokens or _LEAST_BUDGET)
    if kind not in ("adaptive", "enabled"):
        raise Untranslatable(
            f"thinking of type {kind[:50]} cannot be asked of another provider: use adaptive",
            param="thinking",
        )
    return effort


def thinking_for(
    effort: str | None, reasoning: Reasoning | None, model: str, max_tokens: int
) -> dict[str, dict[str, object]]:
    """`thinking` and `output_config` of a Messages request; empty to leave it to the model.

    What is thought is shown, as other models' reasoning is, unless the client excludes it; that is
    billed alike. Raises Untranslatable for a word that says nothing here, and where max_tokens
    leaves no room for the least budget.
    """
    word = effort if reasoning is None or reasoning.word is None else reasoning.word
    hidden = reasoning is not None and reasoning.exclude is True
    if word is None:
        return {}
    if word == "none":
        return {"thinking": {"type": "disabled"}}
    if word not in _BUDGETS:
        known = ", ".join(("none", *_BUDGETS))
        raise Untranslatable(
            f"reasoning_effort {word[:50]} is unknown: use one of {known}", param="reasoning_effort"
        )
    if not _BUDGET_ONLY.search(model):
        display = "omitted" if hidden else "summarized"  # not every model shows it unasked
        level = "low" if word == "minimal" else word
        return {
            "thinking": {"type": "adaptive", "display": display},
            "output_config": {"effort": level},
        }
    if max_tokens <= _LEAST_BUDGET:
        raise Untranslatable(
            f"{model[:100]} thinks with at least {_LEAST_BUDGET} tokens, which max_tokens"
            f" {max_tokens} does not leave: raise it, or leave reasoning_effort out",
            param="max_tokens",
        )
    asked = None if reasoning is None else reasoning.max_tokens
    budget = max(_LEAST_BUDGET, min(asked or _BUDGETS[word], max_tokens * 4 // 5))
    omitted = {"display": "omitted"} if hidden else {}
    return {"thinking": {"type": "enabled", "budget_tokens": budget, **omitted}}


def _level(budget_tokens: int) -> str:
    """The level of a budget: low, medium or high."""
    if budget_tokens >= _BUDGETS["high"]:
        return "high"
    return "medium" if budget_tokens >= _BUDGETS["medium"] else "low"
