"""POST /v1/rerank, in Cohere's words, or in Jina's for a model whose name starts with `jina`."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.refusal import Refusal
from benchmarks.sandbox.wire import Count, Plain, Turn, Wish, decoded

BY_TOKENS = "jina"
DOCUMENTS_PER_SEARCH = 100
WORDS_PER_DOCUMENT = 500
"""A longer one counts as several, as with Cohere."""


class Document(Struct, frozen=True):
    text: str = ""


class RerankRequest(Struct, frozen=True):
    model: str
    query: str
    documents: Annotated[list[str | Document], Meta(min_length=1, max_length=1_000)]
    top_n: Count | None = None
    return_documents: bool | None = False
    sandbox: Wish = Wish()

    stream = False

    @property
    def texts(self) -> list[str]:
        return [one if isinstance(one, str) else one.text for one in self.documents]

    @property
    def by_tokens(self) -> bool:
        return self.model.startswith(BY_TOKENS)

    @property
    def searches(self) -> int:
        """Cohere's search units: a query over so many documents, or part of that."""
        pieces = [math.ceil(len(text.split()) / WORDS_PER_DOCUMENT) or 1 for text in self.texts]
        return math.ceil(sum(pieces) / DOCUMENTS_PER_SEARCH)

    def words(self) -> list[str]:
        return [word for text in (self.query, *self.texts) for word in text.split()]

    def answer(self, turn: Turn) -> Plain:
        by_units = Bill(units=self.searches, unit="search")
        bill = Bill(len(turn.words)) if self.by_tokens else by_units
        return Plain(bill, partial(self._write, turn))

    def _write(self, turn: Turn, with_usage: bool) -> bytes:
        whole: dict[str, Any] = {"id": turn.id, "model": self.model, "results": self._results()}
        if self.by_tokens and with_usage:
            tokens = len(turn.words)
            whole["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        elif not self.by_tokens:
            billed = {"billed_units": {"search_units": self.searches}} if with_usage else {}
            whole["meta"] = {"api_version": {"version": "2"}} | billed
        return msgspec.json.encode(whole)

    def _results(self) -> list[dict[str, Any]]:
        """The best first; of two as good, the one that came first."""
        scored = [(relevance(self.query, text), text) for text in self.texts]
        order = sorted(range(len(scored)), key=lambda place: -scored[place][0])
        return [
            {"index": place, "relevance_score": scored[place][0]}
            | ({"document": {"text": scored[place][1]}} if self.return_documents else {})
            for place in order[: self.top_n]
        ]


def relevance(query: str, text: str) -> float:
    """The share of the words of a query that are in the text."""
    wanted = set(query.lower().split())
    return len(wanted & set(text.lower().split())) / len(wanted) if wanted else 0.0


_decoder = msgspec.json.Decoder(RerankRequest)


def read(body: bytes, _content_type: str) -> RerankRequest | Refusal:
    return decoded(_decoder, body)
