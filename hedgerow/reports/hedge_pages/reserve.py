"""The reserve (OCI) over the month, proposals of entries, and the trial balance they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from hedge.effectiveness.accounting import HedgeAccounting
from hedge.effectiveness.journals import JournalEntry
from hedge.effectiveness.query import written
from hedge.effectiveness.requirements import HIGHLY_EFFECTIVE
from hedgerow.reports.cells import columns, part, text, usd
from hedgerow.reports.document import Row, Section, Table
from hedgerow.reports.hedge_pages.book_sources import replay_source
from hedgerow.reports.sources import Sources
from ledger.money import Money

_NO_ENTRIES = "There is nothing to enter."
_GAINS = "Gains are above zero here: they are credits in the accounts."


def reserve_section(accounting: HedgeAccounting, sources: Sources) -> Section:
    return Section(
        "reserve",
        "The reserve in equity (OCI)",
        (
            text(
                "As it would be if hedge accounting applied, side by side under both standards;"
                " only one of them can be applied. Under IFRS 9 the reserve is the lower of what"
                " derivative and item changed in all; under ASC 815 all of the change of a highly"
                " effective hedge waits in it.",
                _GAINS,
            ),
            _roll_forward(accounting, sources),
            _treatments(accounting, sources),
        ),
    )


def journals_section(accounting: HedgeAccounting, sources: Sources) -> Section:
    found = accounting.journals

    def moved(entry: JournalEntry, sources: Sources) -> str:
        return sources.computed(
            f"What {entry.id} moves of the gains of its records: see the gains by derivative.",
            _records_source(entry, sources)
            if entry.records
            else replay_source(accounting, sources),
        )

    return Section(
        "journals",
        "Proposals of entries",
        (
            text(
                "Each entry balances to the nano-USD. Those of the book stand for its own records:"
                " together they are the change of its trial balance. Those of the reserve come in"
                " addition, under one standard or the other, if the controller applies hedge"
                " accounting.",
            ),
            _entries("journal", "Of the book", found.book, sources, _records_source),
            _entries("journal_ifrs9", "Of the reserve, under IFRS 9", found.ifrs9, sources, moved),
            replace(
                _entries(
                    "journal_asc815", "Of the reserve, under ASC 815", found.asc815, sources, moved
                ),
                notes=_doubts(accounting),
            ),
            _trial(accounting, sources),
            _ties(accounting, sources),
        ),
    )


def _doubts(accounting: HedgeAccounting) -> tuple[str, ...]:
    """Where the report's own tests speak against what stands there under ASC 815."""
    return tuple(
        f"{one.trade}: {asked.name}: no ({asked.says}). What stands here under ASC 815 holds only"
        " if the controller finds the hedge highly effective all the same; else none is deferred."
        for one in accounting.relations
        if one.asc815.reserve.closing or one.asc815.reserve.effective
        for asked in one.asc815_requirements
        if asked.met is False and asked.name.startswith(HIGHLY_EFFECTIVE)
    )


def _roll_forward(accounting: HedgeAccounting, sources: Sources) -> Table:
    source = replay_source(accounting, sources)
    ours = sources.computed("The reserve by relation, added up.", source)
    both = (accounting.ifrs9, accounting.asc815)
    lines = (
        ("opening", "At the beginning of the month", None),
        ("effective", "Effective part of the month's gains", None),
        ("expensed", "Out of it: hedged purchases were expenses", None),
        ("failed", "Out of it: purchases are not expected any more", None),
        ("closing", "At the end of the month", "opening+effective-expensed-failed"),
    )
    rows = []
    for key, title, _ in lines:
        cells = []
        for standard, found in zip(("ifrs9", "asc815"), both, strict=True):
            formula = None
            if key == "closing":
                of = [f"{{reserve.{standard}.{name}}}" for name, *_ in lines[:-1]]
                formula = f"{of[0]}+{of[1]}-{of[2]}-{of[3]}"
            cells.append(usd(getattr(found, key), ours, formula))
        rows.append(Row(key, (title, *cells), is_total=key == "closing"))
    return Table(
        "reserve",
        "Roll-forward of the reserve",
        columns(what="What", ifrs9="IFRS 9, USD", asc815="ASC 815, USD"),
        tuple(rows),
        empty="There is no reserve.",
        notes=_doubts(accounting),
    )


def _treatments(accounting: HedgeAccounting, sources: Sources) -> Table:
    source = replay_source(accounting, sources)
    rows = []
    for place, one in enumerate(accounting.relations):
        for standard, found in (("IFRS 9", one.ifrs9), ("ASC 815", one.asc815)):
            rows.append(
                Row(
                    f"r{place}_{standard}",
                    (
                        one.trade,
                        standard,
                        usd(found.derivative, source, "{effective}+{ineffective}+{undesignated}"),
                        usd(found.item, source, why_not="Nothing is designated."),
                        usd(found.reserve.effective, source),
                        usd(found.ineffective, source),
                        usd(found.undesignated, source),
                        usd(found.reserve.closing, source),
                        part(
                            found.offset_so_far,
                            source,
                            why_not="The item has not changed so far, or nothing is designated.",
                        ),
                        found.says,
                    ),
                )
            )
    return Table(
        "treatments",
        "Gains of the month by derivative",
        columns(
            trade="Trade",
            standard="Standard",
            derivative="Gain of the derivative, USD",
            item="Change of the item, USD",
            effective="Into the reserve, USD",
            ineffective="Ineffective: a result, USD",
            undesignated="Not designated: a result, USD",
            closing="Reserve at the end, USD",
            offset="Offset so far",
            says="How it is seen",
        ),
        tuple(rows),
        empty="No derivative was held in this month.",
    )


def _entries(
    key: str,
    title: str,
    entries: Iterable[JournalEntry],
    sources: Sources,
    source_of: Callable[[JournalEntry, Sources], str],
) -> Table:
    rows: list[Row] = []
    read: list[str] = []
    debits: list[Money] = []
    credits_: list[Money] = []
    for entry in entries:
        of = source_of(entry, sources)
        read.append(of)
        for place, line in enumerate(entry.lines):
            rows.append(
                Row(
                    f"{entry.id}_{place}",
                    (
                        entry.id if place == 0 else "",
                        entry.day if place == 0 else None,
                        f"{entry.title}: {entry.says}" if place == 0 else "",
                        line.account,
                        usd(line.debit, of) if line.debit else None,
                        usd(line.credit, of) if line.credit else None,
                    ),
                )
            )
            debits.append(line.debit)
            credits_.append(line.credit)
    if rows:
        sums = sources.computed("The sum of the lines.", *read)
        rows.append(
            Row(
                "total",
                (
                    *("All", None, "", ""),
                    usd(_sum(debits), sums, f"SUM({{{key}.debit}})"),
                    usd(_sum(credits_), sums, f"SUM({{{key}.credit}})"),
                ),
                is_total=True,
            )
        )
    return Table(
        key,
        title,
        columns(
            entry="Entry",
            day="Day",
            says="What happened",
            account="Account",
            debit="Debit, USD",
            credit="Credit, USD",
        ),
        tuple(rows),
        empty=_NO_ENTRIES,
    )


_RECORDS = """\
SELECT l.account, CAST(SUM(l.amount_nanos) AS BIGINT) AS amount_nanos
FROM records r JOIN record_lines l ON l.seq = r.seq
WHERE r.record_id IN ({marks})
GROUP BY l.account ORDER BY l.account"""


def _records_source(entry: JournalEntry, sources: Sources) -> str:
    marks = ", ".join("?" for _ in entry.records)
    return sources.sql(
        f"The records that {entry.id} stands for, by account: debits above zero, credits below.",
        written(_RECORDS.format(marks=marks), entry.records),
    )


_TRIAL = """\
SELECT l.account,
  CAST(SUM(CASE WHEN r.day < ? THEN l.amount_nanos ELSE 0 END) AS BIGINT) AS opening_nanos,
  CAST(SUM(CASE WHEN r.day >= ? THEN l.amount_nanos ELSE 0 END) AS BIGINT) AS change_nanos,
  CAST(SUM(l.amount_nanos) AS BIGINT) AS closing_nanos
FROM records r JOIN record_lines l ON l.seq = r.seq
WHERE r.day < ?
GROUP BY l.account ORDER BY l.account"""


def _trial(accounting: HedgeAccounting, sources: Sources) -> Table:
    first, until = accounting.month.isoformat(), accounting.until.isoformat()
    source = sources.sql(
        "The accounts of the hedge's book: before the month, in it, and together.",
        written(_TRIAL, (first, first, until)),
    )
    found = accounting.journals.trial
    rows = [
        Row(
            one.account,
            (
                one.account,
                usd(one.opening, source),
                usd(one.change, source),
                usd(one.closing, source, "{opening}+{change}"),
            ),
        )
        for one in found
    ]
    if rows:
        sums = sources.computed("The sum of all accounts: zero, if the book balances.", source)
        rows.append(
            Row(
                "total",
                (
                    "All accounts",
                    usd(_sum(one.opening for one in found), sums, "SUM({trial.opening})"),
                    usd(_sum(one.change for one in found), sums, "SUM({trial.change})"),
                    usd(_sum(one.closing for one in found), sums, "SUM({trial.closing})"),
                ),
                is_total=True,
            )
        )
    return Table(
        "trial",
        "Trial balance",
        columns(
            account="Account",
            opening="At the beginning, USD",
            change="Change, USD",
            closing="At the end, USD",
        ),
        tuple(rows),
        empty="The hedge's book has no records.",
        notes=("Debits are above zero, credits below.",) if rows else (),
    )


def _ties(accounting: HedgeAccounting, sources: Sources) -> Table:
    ours = replay_source(accounting, sources)
    rows = []
    for place, tie in enumerate(accounting.ties):
        book = sources.sql(f"The book's own lines: {tie.name}.", tie.sql)
        rows.append(
            Row(
                f"tie{place}",
                (
                    tie.name,
                    usd(tie.ours, ours),
                    usd(tie.book, book),
                    usd(tie.difference, ours, "{ours}-{book}"),
                    "they agree" if not tie.difference else "they differ: do not use these pages",
                ),
            )
        )
    return Table(
        "ties",
        "Two ways to the same amounts",
        columns(
            what="What",
            ours="As on these pages, USD",
            book="By the book's lines, USD",
            difference="Difference, USD",
            says="So",
        ),
        tuple(rows),
        empty="There is nothing to compare.",
    )


def _sum(amounts: Iterable[Money]) -> Money:
    return Money(sum(amounts))
