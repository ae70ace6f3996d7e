"""Owned: what the book holds, as the next plan takes it for given."""

from __future__ import annotations

from collections.abc import Iterator

from hedge.book.book import HedgeBook
from hedge.book.utilisation import utilisations
from hedge.contracts.offered import HeldLots, Owned
from ledger.commitments import MICRO, CommitmentKind
from ledger.tables.commitments import CommitmentTable


def owned(book: HedgeBook) -> Iterator[Owned]:
    """Commitments whose term is not over, bought by a fill or not; of a quota of a whole term,
    what is left of it."""
    used = {one.commitment: one.unused_micro / MICRO for one in utilisations(book)}
    for one in CommitmentTable(book.sql).all():
        if one.ends_ns > book.now_ns:
            has_one_window = one.kind is not CommitmentKind.THROUGHPUT and not one.is_monthly
            yield Owned(one, used.get(one.id) if has_one_window else None)


def held_lots(book: HedgeBook) -> Iterator[HeldLots]:
    """Open lots of this month and later ones, and of what has none: what they gained until their
    last mark is in the book already."""
    for (name, month), position in book.open_positions():
        if month is None or month >= book.today.replace(day=1):
            for lot in position.lots:
                since_usd = lot.entry_usd if lot.mark_usd is None else lot.mark_usd
                yield HeldLots(name, month, lot.units, since_usd)
