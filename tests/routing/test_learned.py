"""What was learned of sizes: sensible before the first answer, right after many, bounded always."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.learned import KEYS_REMEMBERED, MODELS_REMEMBERED, Learned

KEY = "key_1"


def test_before_the_first_answer() -> None:
    """Without any answer a token is four bytes, an answer a few hundred tokens; never nothing."""
    learned = Learned()
    assert learned.prompt_tokens("llama", 4000) == 1000
    assert learned.prompt_tokens("llama", 0) == 1
    assert learned.completion_tokens("llama", KEY) == 256


@given(st.integers(1, 10_000), st.floats(1, 8), st.integers(1, 5000))
def test_the_means_converge(prompt: int, bytes_per_token: float, completion: int) -> None:
    """After two hundred equal answers, the next is expected to be like them, within a percent."""
    learned, size = Learned(), round(prompt * bytes_per_token)
    for _ in range(200):
        learned.note("llama", KEY, size, prompt, completion)
    assert learned.completion_tokens("llama", KEY) == pytest.approx(completion, rel=0.01, abs=1)
    assert learned.prompt_tokens("llama", size) == pytest.approx(prompt, rel=0.01, abs=1)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**5))))
def test_an_expectation_is_between_what_was_seen(answers: list[tuple[int, int, int]]) -> None:
    """No answer, however odd, pushes the expectation beyond the extremes, or below a token."""
    learned = Learned()
    for size, prompt, completion in answers:
        learned.note("llama", KEY, size, prompt, completion)
    seen = [256, *(completion for _, _, completion in answers)]
    assert max(1, min(seen)) <= learned.completion_tokens("llama", KEY) <= max(seen)


def test_models_do_not_share_what_they_learned() -> None:
    """An answer of one model says nothing about another."""
    learned = Learned()
    learned.note("llama", KEY, 100, 10, 5000)
    assert learned.completion_tokens("qwen", KEY) == 256


def test_a_key_s_own_answers_count_more_the_more_there_are() -> None:
    """One that asks for a word and one that asks for an essay are told apart; a new one is expected
    to be like all of them."""
    learned = Learned()
    for _ in range(100):
        learned.note("llama", "short", 100, 10, 5)
        learned.note("llama", "long", 100, 10, 4000)
    assert learned.completion_tokens("llama", "short") < 500
    assert learned.completion_tokens("llama", "long") > 3500
    assert 1000 < learned.completion_tokens("llama", "new") < 3000


def test_keys_are_forgotten_in_their_order() -> None:
    """Of more keys than are remembered the longest unheard goes: it is expected to be like all."""
    learned = Learned()
    for number in range(KEYS_REMEMBERED + 1):
        learned.note("llama", f"k{number}", 100, 10, 7)
    as_all = learned.completion_tokens("llama", "nobody")
    assert learned.completion_tokens("llama", "k0") == as_all
    assert len(learned._by_key) == KEYS_REMEMBERED


def test_memory_is_bounded() -> None:
    """Beyond a limit, new model names are served with the defaults, and those known stay known."""
    learned = Learned()
    for number in range(MODELS_REMEMBERED + 1):
        learned.note(f"m{number}", KEY, 100, 10, 5000)
    assert learned.completion_tokens("m0", KEY) > 256
    assert learned.completion_tokens(f"m{MODELS_REMEMBERED}", KEY) == 256
