"""What is likely in a provider's cache, learned of each key by itself."""

from __future__ import annotations

from routing.warmth import FIRST_HIT_SHARE, Beginning, Warmth

PROMPT = (Beginning(b"prompt", 8_000),)
TOKENS = 2_000


def test_one_key_teaches_nothing_of_anothers_cache() -> None:
    """A client may call all it sends one conversation, of which nothing can be cached."""
    warmth = Warmth()
    for _ in range(50):
        warmth.note("careless", "a", PROMPT, TOKENS, 0, now_s=0.0)
    warmth.note("other", "a", PROMPT, TOKENS, None, now_s=0.0)
    assert warmth.expected("careless", PROMPT, 1.0)["a"] < 0.1 * TOKENS
    assert warmth.expected("other", PROMPT, 1.0) == {"a": FIRST_HIT_SHARE * TOKENS}
