"""Inputs: one text or many, in words or in tokens, as completions and embeddings take them."""

from __future__ import annotations

from proxy.errors import Invalid

Texts = str | list[str | int | list[int]]
"""A text, or a list: of texts, of the tokens of one text, or of lists of tokens. A token's number
and its comma are two bytes at least: the body's length bounds tokens however they are written."""


def count_texts(texts: Texts, param: str) -> int:
    """How many texts there are. Raises Invalid if there is none, or more than one form of them."""
    if isinstance(texts, str):
        return 1
    forms = {type(one) for one in texts}
    if len(forms) != 1:
        why = "mixes texts and tokens: use one form" if forms else "is empty: give at least one"
        raise Invalid(f"{param} {why}", param=param, code="invalid_type")
    return 1 if forms == {int} else len(texts)
