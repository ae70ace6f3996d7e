"""Desk: the requests about files and batches, which are no work themselves and cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from benchmarks.sandbox.batches import Batches
from benchmarks.sandbox.files import FileStore
from benchmarks.sandbox.refusal import Refusal, wrong

MAX_PAGE = 100
DEFAULT_PAGE = 20

Answer = dict[str, Any] | bytes | Refusal
"""JSON, the content of a file, or an error."""
Handler = Callable[[web.Request, bytes], Answer]
"""Answers a request with this body."""


@dataclass(frozen=True, slots=True)
class Route:
    """endpoint: the one that the provider has to have for it."""

    method: str
    path: str
    endpoint: str
    handler: Handler


class Desk:
    def __init__(self, files: FileStore, batches: Batches, speaks: Callable[[str], bool]) -> None:
        self._files = files
        self._batches = batches
        self._speaks = speaks

    def routes(self) -> Iterator[Route]:
        yield Route("POST", "/v1/files", "files", self._upload)
        yield Route("GET", "/v1/files", "files", self._list_files)
        yield Route("GET", "/v1/files/{id}", "files", self._file)
        yield Route("DELETE", "/v1/files/{id}", "files", self._delete)
        yield Route("GET", "/v1/files/{id}/content", "files", self._content)
        yield Route("POST", "/v1/batches", "batches", self._create)
        yield Route("GET", "/v1/batches", "batches", self._list_batches)
        yield Route("GET", "/v1/batches/{id}", "batches", self._batch)
        yield Route("POST", "/v1/batches/{id}/cancel", "batches", self._cancel)

    def _upload(self, http: web.Request, body: bytes) -> Answer:
        stored = self._files.upload(body, http.headers.get("content-type", ""))
        return stored if isinstance(stored, Refusal) else stored.as_json()

    def _list_files(self, http: web.Request, _body: bytes) -> Answer:
        purpose = http.query.get("purpose")
        found = [one.as_json() for one in self._files if purpose in (None, one.purpose)]
        return {"object": "list", "data": found, "has_more": False}

    def _file(self, http: web.Request, _body: bytes) -> Answer:
        stored = self._files.get(http.match_info["id"])
        return stored if isinstance(stored, Refusal) else stored.as_json()

    def _content(self, http: web.Request, _body: bytes) -> Answer:
        stored = self._files.get(http.match_info["id"])
        return stored if isinstance(stored, Refusal) else stored.content

    def _delete(self, http: web.Request, _body: bytes) -> Answer:
        return self._files.delete(http.match_info["id"])

    def _create(self, _http: web.Request, body: bytes) -> Answer:
        batch = self._batches.create(body, self._speaks)
        return batch if isinstance(batch, Refusal) else batch.as_json()

    def _list_batches(self, http: web.Request, _body: bytes) -> Answer:
        limit = http.query.get("limit", str(DEFAULT_PAGE))
        if not limit.isdecimal() or not 1 <= int(limit) <= MAX_PAGE:
            return wrong("limit", f"1 to {MAX_PAGE}")
        return self._batches.listed(http.query.get("after"), int(limit))

    def _batch(self, http: web.Request, _body: bytes) -> Answer:
        batch = self._batches.get(http.match_info["id"])
        return batch if isinstance(batch, Refusal) else batch.as_json()

    def _cancel(self, http: web.Request, _body: bytes) -> Answer:
        batch = self._batches.cancel(http.match_info["id"])
        return batch if isinstance(batch, Refusal) else batch.as_json()
