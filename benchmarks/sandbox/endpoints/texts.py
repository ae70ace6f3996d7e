"""Texts: one text or several, as words or as tokens: what completions and embeddings take."""

from __future__ import annotations

Texts = str | list[str | int | list[int]]
"""A text, a list of texts, the tokens of a text, or a list of such."""


def is_sound(texts: Texts) -> bool:
    """A list is all of one kind, and not empty."""
    return isinstance(texts, str) or len({type(one) for one in texts}) == 1


def as_texts(texts: Texts) -> list[list[str]]:
    """Each text by itself, as its tokens; one that came as a number is its digits."""
    if isinstance(texts, str):
        return [texts.split()]
    if any(isinstance(one, int) for one in texts):
        return [[str(one) for one in texts]]
    return [
        one.split() if isinstance(one, str) else [str(token) for token in one]
        for one in texts
        if not isinstance(one, int)
    ]


def words_of(texts: Texts) -> list[str]:
    """All tokens in order."""
    return [word for text in as_texts(texts) for word in text]
