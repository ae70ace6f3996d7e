"""CloseTable: the months that were billed to teams, and what each was billed.

A month is closed once, and its lines are never changed: what is charged to it later is a correction
in a month that is closed after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ledger.databases.sql import Sql
from ledger.money import Money

CLOSES = (
    # month: its first day, of the zone. requests, metered_nanos, cost_nanos: of that month, as they
    # were: what was charged, and what its commitments cost of their fees. What has changed shows.
    """CREATE TABLE closes (
        month TEXT PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL, zone TEXT NOT NULL,
        rule TEXT NOT NULL, requests INTEGER NOT NULL, metered_nanos INTEGER NOT NULL,
        cost_nanos INTEGER NOT NULL
    ) STRICT""",
    # of_month: the closed month itself, or an earlier one that the line corrects. is_platform: not
    # a team's, but what stays with the platform; team NULL otherwise is requests without one.
    """CREATE TABLE close_lines (
        month TEXT NOT NULL REFERENCES closes, place INTEGER NOT NULL, of_month TEXT NOT NULL,
        is_platform INTEGER NOT NULL, team TEXT, amount_nanos INTEGER NOT NULL,
        PRIMARY KEY (month, place)
    ) STRICT""",
    "CREATE INDEX close_lines_of_month ON close_lines (of_month)",
)
"""The statements that make it, as those in `ledger.tables.ddl`."""


@dataclass(frozen=True, slots=True)
class Payer:
    """Who is charged: a team, requests without one (None), or the platform."""

    team: str | None = None
    is_platform: bool = False


PLATFORM = Payer(is_platform=True)


@dataclass(frozen=True, slots=True)
class Close:
    """month: by its first day. metered: what all requests of it were charged; cost: what it cost of
    commitments' fees."""

    month: date
    at_ns: int
    who: str
    zone: str
    rule: str
    requests: int
    metered: Money
    cost: Money


@dataclass(frozen=True, slots=True)
class CloseLine:
    of_month: date
    payer: Payer
    amount: Money


class CloseTable:
    """The closed months of a database. Transactions are the caller's."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def add(self, close: Close, lines: Iterable[CloseLine]) -> None:
        """Raises RowRefused for a month that is closed already."""
        month = close.month.isoformat()
        self._sql.execute(
            "INSERT INTO closes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(month, close.at_ns, close.who, close.zone, close.rule),
                *(close.requests, close.metered, close.cost),
            ),
        )
        self._sql.insert(
            "close_lines",
            "month, place, of_month, is_platform, team, amount_nanos",
            [
                (
                    *(month, place, line.of_month.isoformat()),
                    *(int(line.payer.is_platform), line.payer.team, line.amount),
                )
                for place, line in enumerate(lines)
            ],
        )

    def all(self) -> list[Close]:
        """The earliest month first."""
        return [
            Close(date.fromisoformat(month), at_ns, who, zone, rule, *_amounts(amounts))
            for month, at_ns, who, zone, rule, *amounts in self._sql.execute(
                "SELECT month, at_ns, who, zone, rule, requests, metered_nanos, cost_nanos"
                " FROM closes ORDER BY month"
            )
        ]

    def one(self, month: date) -> Close | None:
        return next((one for one in self.all() if one.month == month), None)

    def lines(self, month: date) -> list[CloseLine]:
        """Of what was closed as this month: its own, and its corrections of others."""
        return [
            CloseLine(date.fromisoformat(of_month), Payer(team, bool(is_platform)), Money(amount))
            for of_month, is_platform, team, amount in self._sql.execute(
                "SELECT of_month, is_platform, team, amount_nanos FROM close_lines"
                " WHERE month = ? ORDER BY place",
                (month.isoformat(),),
            )
        ]

    def billed(self, of_month: date) -> dict[Payer, Money]:
        """What each was billed for a month, with all corrections since."""
        sums: defaultdict[Payer, int] = defaultdict(int)
        for is_platform, team, amount in self._sql.execute(
            "SELECT is_platform, team, amount_nanos FROM close_lines WHERE of_month = ?",
            (of_month.isoformat(),),
        ):
            sums[Payer(team, bool(is_platform))] += amount
        return {payer: Money(amount) for payer, amount in sums.items()}


def _amounts(amounts: list[int]) -> tuple[int, Money, Money]:
    requests, metered, cost = amounts
    return requests, Money(metered), Money(cost)
