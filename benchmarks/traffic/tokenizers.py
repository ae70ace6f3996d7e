"""Tokenizers: how many bytes of text each model makes one token of, as our own traffic tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from benchmarks.tables.latest import Latest, Word
from benchmarks.text_price import Figure, Tokenizer
from ledger.databases.sql import Sql

KIND = "tokenizer"
LEAST_ANSWERS = 32
"""With fewer a running mean still remembers where it began."""

_encode = msgspec.json.Encoder().encode


_decode = msgspec.json.Decoder(Tokenizer).decode


def tell(sql: Sql, worker: str, told: Iterable[Tokenizer], at_ns: int) -> None:
    """Write what a worker has measured. What it cannot say yet does not replace what it could say
    before it was started anew. Within a transaction."""
    latest = Latest(sql, KIND)
    for one in told:
        if one.answers >= LEAST_ANSWERS:
            latest.put(Word(f"{worker}/{one.model}", at_ns, _encode(one)))


def is_news(one: Tokenizer, answers: int) -> bool:
    """Whether it is worth telling again, when it was told after so many answers."""
    return one.answers >= answers + LEAST_ANSWERS


def tokenizers(sql: Sql) -> Mapping[str, Figure]:
    """Characters (bytes of UTF-8) per token, by model: of all workers, each as it has answers."""
    by_model: dict[str, list[Tokenizer]] = defaultdict(list)
    for word in Latest(sql, KIND).all():
        try:
            one = _decode(word.body)
        except msgspec.DecodeError:
            continue  # a worker of another version has written it otherwise
        by_model[one.model].append(one)
    return {model: _mean(found) for model, found in by_model.items()}


def _mean(found: list[Tokenizer]) -> Figure:
    answers = sum(one.answers for one in found)
    mean = sum(one.answers * one.bytes_per_token for one in found) / answers
    return Figure(Decimal(f"{mean:.6g}"), is_measured=True)
