"""Journal: notices as lines of the log."""

from __future__ import annotations

from ledger.notices import Notice
from proxy.errors import log


class Journal:
    async def send(self, notice: Notice) -> None:
        log.warning("%s [%s]", notice.text(), notice.id)
