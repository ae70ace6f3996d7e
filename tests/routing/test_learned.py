"""What was learned of sizes: sensible before the first answer, right after many, bounded always."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.learned import MODELS_REMEMBERED, Learned


def test_before_the_first_answer() -> None:
    """Without any answer a token is four bytes, an answer a few hundred tokens; never nothing."""
    learned = Learned()
    assert learned.prompt_tokens("llama", 4000) == 1000
    assert learned.prompt_tokens("llama", 0) == 1
    assert learned.completion_tokens("llama") == 256


@given(st.integers(1, 10_000), st.floats(1, 8), st.integers(1, 5000))
def test_the_means_converge(prompt: int, bytes_per_token: float, completion: int) -> None:
    """After two hundred equal answers, the next is expected to be like them, within a percent."""
    learned, size = Learned(), round(prompt * bytes_per_token)
    for _ in range(200):
        learned.note("llama", size, prompt, completion)
    assert learned.completion_tokens("llama") == pytest.approx(completion, rel=0.01, abs=1)
    assert learned.prompt_tokens("llama", size) == pytest.approx(prompt, rel=0.01, abs=1)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**5))))
def test_an_expectation_is_between_what_was_seen(answers: list[tuple[int, int, int]]) -> None:
    """No answer, however odd, pushes the expectation beyond the extremes, or below a token."""
    learned = Learned()
    for size, prompt, completion in answers:
        learned.note("llama", size, prompt, completion)
    seen = [256, *(completion for _, _, completion in answers)]
    assert max(1, min(seen)) <= learned.completion_tokens("llama") <= max(seen)


def test_models_do_not_share_what_they_learned() -> None:
    """An answer of one model says nothing about another."""
    learned = Learned()
    learned.note("llama", 100, 10, 5000)
    assert learned.completion_tokens("qwen") == 256


def test_memory_is_bounded() -> None:
    """Beyond a limit, new model names are served with the defaults, and those known stay known."""
    learned = Learned()
    for number in range(MODELS_REMEMBERED + 1):
        learned.note(f"m{number}", 100, 10, 5000)
    assert learned.completion_tokens("m0") > 256
    assert learned.completion_tokens(f"m{MODELS_REMEMBERED}") == 256
