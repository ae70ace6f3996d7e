"""What can go wrong in the books.

LedgerError
├── NotMoney               an amount that is no exact number of nano-USD
├── NotAPrice              a price that is no Decimal from 0 to a million USD, or lacks its unit
├── NotAWindow             no window of that name
├── UsageUnknown           a charge asked for without a count that it needs
├── BudgetExceeded         a hold does not fit; carries the refusing budget's numbers
├── HoldResolved           a hold posted, voided or expired a second time
├── NameTaken              a budget of that name is there already
├── KeyRefused             no such key, or a revoked or expired one
├── NotACommitment         a commitment whose numbers contradict each other
├── NotBalanced            lines of double entry that do not sum to zero: a fault of ours
├── MonthNotClosable       a month that runs, is closed already, or cannot be counted any more
├── PackageMissing         a package that only some need, and that is not installed
├── FileRefused            a file that cannot be written
├── NotAnInvoice           a file, or a line of it, that cannot be read as an invoice
├── RowRefused             a row that breaks a rule of the schema: a fault of ours, or doubled
└── StoreError             the database
    ├── StoreUnavailable   cannot be read or written now (locked, full, gone)
    │   └── CommitUnknown  lost at the commit: whether it is written, nobody knows
    ├── StoreInUse         another `hedgerow serve` has these books open
    ├── JournalDamaged     a journal that cannot be read to its end
    ├── NotOurStore        a file that is no Hedgerow database
    ├── StoreTooNew        written by a later version of Hedgerow
    └── CannotMigrate      the tables cannot be brought to that version now, or at all
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger.measures import Measure


class LedgerError(Exception):
    """Anything that the books refuse."""


class NotMoney(LedgerError, ValueError):
    pass


class NotAPrice(LedgerError, ValueError):
    pass


class NotAWindow(LedgerError, ValueError):
    pass


class NotACommitment(LedgerError, ValueError):
    pass


class UsageUnknown(LedgerError, ValueError):
    pass


class HoldResolved(LedgerError):
    pass


class NameTaken(LedgerError):
    pass


class KeyRefused(LedgerError):
    pass


class MonthNotClosable(LedgerError):
    pass


class NotBalanced(LedgerError):
    pass


class PackageMissing(LedgerError):
    pass


class FileRefused(LedgerError):
    pass


class NotAnInvoice(LedgerError):
    pass


class RowRefused(LedgerError):
    pass


class StoreError(LedgerError):
    pass


class StoreUnavailable(StoreError):
    pass


class CommitUnknown(StoreUnavailable):
    """is_committed: asks the database again; raises StoreUnavailable while it cannot be asked."""

    def __init__(self, message: str, is_committed: Callable[[], bool]) -> None:
        super().__init__(message)
        self.is_committed = is_committed


class StoreInUse(StoreError):
    pass


class JournalDamaged(StoreError):
    pass


class NotOurStore(StoreError):
    pass


class StoreTooNew(StoreError):
    pass


class CannotMigrate(StoreError):
    pass


@dataclass(eq=False)
class BudgetExceeded(LedgerError):
    """The first budget, broadest scope first, that the amount does not fit into.

    cap, spent, held, needed: in the measure's unit, USD in nanos.
    """

    budget: str
    scope: str
    measure: Measure
    cap: int
    spent: int
    held: int
    needed: int
    resets_at: datetime | None

    @property
    def left(self) -> int:
        """What nobody has spent or holds."""
        return self.cap - self.spent - self.held

    def __str__(self) -> str:
        unit = self.measure.unit
        return f"budget {self.budget} has {self.left} {unit} left, {self.needed} are needed"
