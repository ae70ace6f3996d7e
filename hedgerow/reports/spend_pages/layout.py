"""The spend report as a Document: its pages in the order in which finance reads them."""

from __future__ import annotations

from hedgerow.reports.cells import columns, count, moment_text, text, usd
from hedgerow.reports.document import Document, Reproduction, Row, Section, SignOff, Table, Text
from hedgerow.reports.sources import Sources
from hedgerow.reports.spend import SpendReport
from hedgerow.reports.spend_pages.budgets import budgets_table
from hedgerow.reports.spend_pages.commitments import commitments_table, focus_table
from hedgerow.reports.spend_pages.invoices import providers_table
from hedgerow.reports.spend_pages.sources import SpendSources
from hedgerow.reports.spend_pages.split import days_chart, otherwise_table, split_table
from hedgerow.reports.spend_pages.teams import late_table, teams_chart, teams_table
from hedgerow.reports.spend_pages.verdict import verdict
from ledger.statements import Head

RUNNING = "The month is running: all figures are to date."
SIGNED = SignOff(
    ("Preparer", "Platform", "Controller"),
    "I have read this report, and checked the figures that I answer for.",
)


def spend_document(report: SpendReport, reproduction: Reproduction) -> Document:
    sources = SpendSources(Sources(), report)
    first = verdict(sources)
    has_teams = bool(report.bears.teams)
    sections = (
        Section(
            "chargeback",
            "Teams",
            (
                teams_table(sources),
                *((teams_chart(sources),) if has_teams else ()),
                late_table(sources),
            ),
        ),
        Section(
            "days",
            "Days",
            (
                *((days_chart(sources),) if report.by_day.rows else ()),
                split_table("days", "By day (UTC)", report.by_day, sources),
            ),
        ),
        Section(
            "split",
            "Models, providers, projects",
            (
                split_table("models", "By model", report.by_model, sources),
                split_table("used", "By provider", report.by_provider, sources),
                split_table("projects", "By project", report.by_project, sources),
            ),
        ),
        Section("otherwise", "What it would have cost", (otherwise_table(sources),)),
        Section("commitments", "Commitments", (commitments_table(sources), focus_table(sources))),
        Section("budgets", "Budgets", (budgets_table(sources),)),
        Section("invoices", "Invoices", (providers_table(sources),)),
        Section("closing", "Closing", (_closing_text(report), _state_table(sources))),
        Section("sign_off", "Sign-off", (SIGNED,)),
    )
    until = "" if report.is_over else ", running"
    return Document(
        title="Spend",
        subtitle=f"{report.month:%Y-%m}{until}, as of {moment_text(report.at_ns)}",
        labels=(RUNNING,) if report.has_begun and not report.is_over else (),
        verdict=first,
        sections=sections,
        sources=sources.all.all(),
        reproduction=reproduction,
    )


def _state_table(sources: SpendSources) -> Table:
    report, source = sources.report, sources.total()
    rows = (
        Row("estimated", ("Charges that rest on estimates", count(report.sums.estimated, source))),
        Row("overrun", ("Counted by providers above holds", usd(report.sums.overrun, source))),
        Row(
            "refused",
            (
                "Requests that budgets refused",
                count(
                    sum(one.refused for one in report.bears.teams)
                    if report.refused_why_not is None
                    else None,
                    sources.refused(),
                    why_not=report.refused_why_not,
                ),
            ),
        ),
    )
    return Table(
        "state",
        "What is still open",
        columns(what="What", value="How much"),
        () if report.is_empty else rows,
        empty="Nothing was charged in the month.",
    )


def _closing_text(report: SpendReport) -> Text:
    last, close = report.verification, report.close
    if last is None:
        verified = (
            "The books were never verified: `hedgerow ledger verify` recomputes every chain, charge"
            " and balance from the rows."
        )
    elif last.verified:
        verified = (
            f"The books were verified at {moment_text(last.at_ns)}: {last.charges:,} charges of"
            f" {last.attempts:,} attempts and {last.records:,} records of the hedge's book agreed,"
            f" up to these ends of their chains: {_ends(last.heads)}."
        )
    else:
        verified = (
            f"The books were verified at {moment_text(last.at_ns)}, and {last.places:,} places did"
            " not agree: `hedgerow ledger verify` names them. No figure here can be relied on."
        )
    if close is None:
        closed = (
            "Teams were not billed for the month yet. Once its late answers are in, `hedgerow"
            f" ledger close --month {report.month:%Y-%m} --by NAME` keeps what each bears."
        )
    else:
        closed = (
            f"{close.who} closed the month at {moment_text(close.at_ns)}, by the rule"
            f" `{close.rule}`, with {close.requests:,} requests. What was charged to it since is a"
            " correction of a later month."
        )
    return text(verified, closed)


def _ends(heads: tuple[Head, ...]) -> str:
    if not heads:
        return "there were none"
    return ", ".join(f"{one.writer} {one.seq:,} ({one.hash.hex()[:12]})" for one in heads)
