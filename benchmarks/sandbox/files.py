"""FileStore: the files of a sandbox provider, in memory, and what OpenAI says of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.sandbox.form import read_form
from benchmarks.sandbox.refusal import Refusal, no_such, too_large, wrong

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_STORED_BYTES = 16 * 1024 * 1024
MAX_FILES = 1_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    created_at: int
    filename: str
    purpose: str
    content: bytes = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "expires_at": None,
            "status_details": None,
        }


class FileStore:
    """At most MAX_FILES and MAX_STORED_BYTES; the oldest go first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._made = 0

    def __iter__(self) -> Iterator[StoredFile]:
        """The newest first."""
        return iter(list(reversed(self._files.values())))

    def upload(self, body: bytes, content_type: str) -> StoredFile | Refusal:
        """What a form with `file` and `purpose` brings."""
        form = read_form(body, content_type)
        if isinstance(form, Refusal):
            return form
        file, purpose = form.files.get("file"), form.text("purpose")
        if file is None or purpose is None:
            missing = "file" if file is None else "purpose"
            return wrong(missing, "it is missing")
        if len(file.content) > MAX_FILE_BYTES:
            return too_large(MAX_FILE_BYTES)
        return self.add(file.filename, purpose, file.content)

    def add(self, filename: str, purpose: str, content: bytes) -> StoredFile:
        """Takes what is no longer than MAX_FILE_BYTES."""
        self._made += 1
        stored = StoredFile(
            f"file-{self._made:024x}", int(self._clock()), filename, purpose, content
        )
        self._files[stored.id] = stored
        while len(self._files) > MAX_FILES or self._bytes() > MAX_STORED_BYTES:
            self._files.popitem(last=False)
        return stored

    def get(self, id: str) -> StoredFile | Refusal:  # noqa: A002 - the field's word
        return self._files.get(id) or no_such("File", id)

    def delete(self, id: str) -> dict[str, Any] | Refusal:  # noqa: A002 - the field's word
        if self._files.pop(id, None) is None:
            return no_such("File", id)
        return {"id": id, "object": "file", "deleted": True}

    def _bytes(self) -> int:
        return sum(len(one.content) for one in self._files.values())
