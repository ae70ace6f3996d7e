"""Where the figures of the spend report come from: the queries of the books behind them."""

from __future__ import annotations

from dataclasses import dataclass

from hedge.effectiveness.query import written
from hedgerow.reports.cells import sentence
from hedgerow.reports.sources import Sources
from hedgerow.reports.spend import Asked, SpendReport
from ledger.calendar_months import month_after
from ledger.instants import day_ns
from ledger.team_sums import DRAWN, ESTIMATED, REFUSED

_FEES = (
    "SELECT commitment, kind, sum(billed_nanos), sum(cost_nanos) FROM held_fees"
    " WHERE day >= ? AND day < ? GROUP BY commitment, kind"
)
_RECONCILED = (
    "SELECT provider, account, first_day, last_day, at_ns, who, invoice_sha256, ours_usd,"
    " theirs_usd, open_usd, is_explained FROM reconciliations"
    " WHERE first_day < ? AND last_day >= ? ORDER BY at_ns DESC, id DESC"
)
_BUDGETS = (
    "SELECT budget, member, posted, pending FROM accounts WHERE measure = 'usd'"
    " AND time_window = 'month' AND window_start_ns >= ? AND window_start_ns < ?"
)
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class SpendSources:
    """The sources of one report, numbered as they are first named."""

    all: Sources
    report: SpendReport

    def of(self, asked: Asked) -> str:
        return self.all.sql(sentence(asked.query.says), asked.query.sql)

    def total(self) -> str:
        return self.of(self.report.total)

    def fees(self) -> str:
        month = self.report.month
        days = (month.isoformat(), month_after(month).isoformat())
        return self.all.sql(
            "What was billed in the month for commitments, and what it cost of their fees.",
            written(_FEES, days),
        )

    def draws(self) -> str:
        return self.all.sql(
            "What drew on commitments in the month, by team: micro-units, and what it was charged.",
            written(DRAWN, self._span()),
        )

    def teams(self) -> str:
        """What requests of each team cost, and what they drew."""
        return self.all.computed(
            "What a team's requests were charged: as they went is what drew on no commitment.",
            self.of(self.report.by_team),
            self.draws(),
        )

    def shares(self) -> str:
        return self.all.computed(
            f"What a commitment cost in the month, less what its draws were charged."
            f" {self.report.bears.rule.says}",
            self.fees(),
            self.draws(),
            command=f"hedgerow ledger chargeback -c FILE --month {self.report.month:%Y-%m} --json",
        )

    def fixed(self) -> str:
        return self.all.computed(
            "A team's fixed fee and overage, less all that it would bear without.",
            self.shares(),
            command="hedgerow hedge quote -c FILE --json",
        )

    def borne(self) -> str:
        return self.all.computed(
            "What requests cost, with what commitments cost beyond their draws, and fixed fees.",
            self.teams(),
            self.shares(),
        )

    def commitments(self) -> str:
        """What each was billed and cost."""
        return self.all.computed(
            "Of each commitment what was due in the month until now, and what the month costs of"
            " its fee.",
            self.fees(),
        )

    def charged(self) -> str:
        return self.all.computed(
            "Of each commitment the sum over teams; one without a row has none.", self.draws()
        )

    def saved(self) -> str:
        return self.all.computed(
            "What the same requests would have cost, less what they were charged.", self.total()
        )

    def left(self) -> str:
        return self.all.computed(
            "The lowest cap of a month on everything (`hedgerow budget status`), less what requests"
            " were charged.",
            self.total(),
        )

    def unreconciled(self) -> str:
        return self.all.computed(
            "The sum over providers without an invoice of the whole month that was explained.",
            self.of(self.report.by_provider),
            self.reconciled(),
        )

    def others(self, asked: Asked) -> str:
        return self.all.computed("The sum of the rows that are not shown.", self.of(asked))

    def estimated(self) -> str:
        return self.all.computed(
            "What rests on estimates; a team without a row has none.",
            self.all.sql("What rests on estimates, by team.", written(ESTIMATED, self._span())),
        )

    def refused(self) -> str:
        return self.all.computed(
            "What budgets refused; a team without a row has none.",
            self.all.sql(
                "What budgets refused, by team, and what it would have cost.",
                written(REFUSED, self._span()),
            ),
        )

    def reconciled(self) -> str:
        month = self.report.month
        return self.all.computed(
            "Of each provider the newest invoice of the whole month, else of some of its days.",
            self.all.sql(
                "Invoices that were compared, for days of the month, the newest first.",
                written(_RECONCILED, (month_after(month).isoformat(), month.isoformat())),
            ),
        )

    def budgets(self) -> str:
        """Windows of a time zone begin up to 14 hours before or after those of UTC."""
        first_ns = day_ns(self.report.month)
        return self.all.computed(
            "A budget's accounts in its window; its cap as configured, with increases.",
            self.all.sql(
                "What counts in budgets of the month, spent and held.",
                written(_BUDGETS, (first_ns - _DAY_NS, first_ns + _DAY_NS)),
            ),
            command="hedgerow budget status -c FILE --json",
        )

    def _span(self) -> tuple[int, int]:
        return day_ns(self.report.month), self.report.until_ns
