"""The hedge's report as a Document: its pages in the order in which finance reads them."""

from __future__ import annotations

from hedge.effectiveness.report import EffectivenessReport
from hedgerow.reports.cells import moment_text
from hedgerow.reports.document import Document, Reproduction, Section, SignOff
from hedgerow.reports.hedge_pages.approved import ApprovedPlan
from hedgerow.reports.hedge_pages.attribution import attribution_section
from hedgerow.reports.hedge_pages.cap import cap_section
from hedgerow.reports.hedge_pages.commitments import commitments_section
from hedgerow.reports.hedge_pages.cost import cost_section
from hedgerow.reports.hedge_pages.disclosures import changes_section, disclosures_section
from hedgerow.reports.hedge_pages.effectiveness import series_section, tests_section
from hedgerow.reports.hedge_pages.liquidity import liquidity_section
from hedgerow.reports.hedge_pages.memos import memos_section
from hedgerow.reports.hedge_pages.positions import positions_section
from hedgerow.reports.hedge_pages.reserve import journals_section, reserve_section
from hedgerow.reports.hedge_pages.verdict import verdict
from hedgerow.reports.sources import Sources

SIGNED = SignOff(
    ("Preparer", "Treasury", "Controller"),
    "I have read this report, and checked the figures that I answer for. It supports the"
    " controller's decision on hedge accounting, and does not take it.",
)


def hedge_document(
    report: EffectivenessReport,
    plan: ApprovedPlan | None,
    reproduction: Reproduction,
    labels: tuple[str, ...] = (),
) -> Document:
    """plan: that `report.plan` names. labels: what a reader must know of all of it."""
    sources, accounting = Sources(), report.accounting
    first = verdict(report, sources)
    sections = (
        cost_section(report, sources),
        attribution_section(report, sources),
        cap_section(report, plan, sources),
        commitments_section(report, sources),
        positions_section(accounting, sources),
        memos_section(accounting),
        tests_section(accounting, sources),
        liquidity_section(accounting, sources),
        reserve_section(accounting, sources),
        journals_section(accounting, sources),
        disclosures_section(accounting, sources),
        changes_section(accounting),
        series_section(accounting, sources),
        Section("sign_off", "Sign-off", (SIGNED,)),
    )
    period = report.period
    until = "" if period.is_over else ", running"
    return Document(
        title="Hedge effectiveness",
        subtitle=f"{period.month:%Y-%m}{until}, as of {moment_text(period.at_ns)}",
        labels=labels,
        verdict=first,
        sections=sections,
        sources=sources.all(),
        reproduction=reproduction,
    )
