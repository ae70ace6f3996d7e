"""ReportShelf: the reports that were made from the dashboard, as files of a folder.

Beside each report lies what is known of it, so that every worker of this host lists the same. Every
call reads or writes the disk: not on the event loop.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from hedgerow.errors import FolderRefused, NotFound
from hedgerow.reports.formats import Format

KEPT = 50
"""So many reports are kept; one more, and the oldest goes."""
LOST_AFTER_NS = 60 * 1_000_000_000
"""What nobody has been heard of for so long was lost with its worker."""


class ReportKind(StrEnum):
    HEDGE = "hedge"
    SPEND = "spend"


class Making(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (Making.DONE, Making.FAILED)


class MadeReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was ordered. by: whose key. heard_ns: when its worker last wrote here. why:
    what went wrong. size (in bytes) and digest (SHA-256): of its file, once there is one."""

    id: str
    kind: ReportKind
    month: str
    format: Format
    by: str
    asked_ns: int
    heard_ns: int
    state: Making = Making.WAITING
    ended_ns: int | None = None
    why: str = ""
    size: int | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """What it is called when it is downloaded."""
        return f"hedgerow-{self.kind}-{self.month}.{self.format}"

    def now(self, **changes: Any) -> MadeReport:
        return msgspec.structs.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class ReportShelf:
    folder: Path

    def file(self, report: MadeReport) -> Path:
        return self.folder / f"{report.id}.{report.format}"

    def put(self, report: MadeReport) -> None:
        """Write down how it stands. Raises FolderRefused."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self.folder / f".{report.id}.json"
            draft.write_bytes(msgspec.json.encode(report))
            draft.replace(self.folder / f"{report.id}.about.json")
        except OSError as error:
            raise FolderRefused(
                f"reports cannot be kept in {self.folder}: {os.strerror(error.errno or 0)}; check"
                " the folder and its rights"
            ) from error

    def get(self, report_id: str, now_ns: int) -> MadeReport:
        """Raises NotFound."""
        # Its name comes from a URL: only those that lie here are looked at.
        found = next((one for one in self.all(now_ns) if one.id == report_id), None)
        if found is None:
            raise NotFound(f"there is no report {report_id[:80]}: the {KEPT} newest are kept")
        return found

    def all(self, now_ns: int) -> list[MadeReport]:
        """The newest first. Those that were lost with their worker have failed."""
        found: list[MadeReport] = []
        for path in self.folder.glob("*.about.json"):
            try:
                report = msgspec.json.decode(path.read_bytes(), type=MadeReport)
            except (OSError, msgspec.MsgspecError):
                continue  # it goes while we look, or is no file of ours
            if not report.state.is_over and now_ns - report.heard_ns > LOST_AFTER_NS:
                why = "lost when the proxy stopped: make it again"
                report = report.now(state=Making.FAILED, why=why, ended_ns=report.heard_ns)
            found.append(report)
        return sorted(found, key=lambda one: one.id, reverse=True)

    def finished(self, report: MadeReport, draft: Path, now_ns: int) -> MadeReport:
        """Take a file in, and let the oldest go. Raises FolderRefused."""
        digest, size = sha256(), 0
        with draft.open("rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
                size += len(piece)
        draft.replace(self.file(report))
        done = report.now(
            state=Making.DONE,
            ended_ns=now_ns,
            heard_ns=now_ns,
            size=size,
            digest=digest.hexdigest(),
        )
        self.put(done)
        self.let_go(now_ns)
        return done

    def let_go(self, now_ns: int) -> None:
        over = [one for one in self.all(now_ns) if one.state.is_over]
        for report in over[KEPT:]:
            self.file(report).unlink(missing_ok=True)
            (self.folder / f"{report.id}.about.json").unlink(missing_ok=True)
