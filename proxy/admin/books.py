"""What the admin API needs of the books: the policy tables, and a look at what was spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ledger.budgets import Budget, Raise
from ledger.databases.sql import Sql
from ledger.requests import RequestRecord
from ledger.tables.policy import PolicyTable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileBudget:
    """A budget that is written in a file, and so is changed there alone."""

    budget: Budget
    file: str


class PolicyBooks(Protocol):
    """Open books. Both calls raise StoreUnavailable, and whatever their function raises."""

    @property
    def file_budgets(self) -> Mapping[str, FileBudget]:
        """Those of files, by name, in their order."""

    @property
    def file_raises(self) -> tuple[Raise, ...]:
        """Increases that are written in files."""

    async def change(self, work: Callable[[PolicyTable], T]) -> T:
        """Run it in one transaction, by itself. What it has written acts on every worker soon."""

    async def read(self, look: Callable[[Sql], T]) -> T:
        """Run it in one view, after all that was written until now."""

    async def request(self, request_id: str) -> RequestRecord | None:
        """What was decided for a request."""
