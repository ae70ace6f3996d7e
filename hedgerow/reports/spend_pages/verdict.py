"""The first page: what the month cost, in words and five numbers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from hedgerow.reports.cells import usd
from hedgerow.reports.document import Headline, Tone, Verdict
from hedgerow.reports.figures import shown
from hedgerow.reports.spend import SpendReport
from hedgerow.reports.spend_pages.sources import SpendSources
from ledger.calendar_months import months_later
from ledger.money import Money

NARROW = Decimal("0.05")
"""Of the cap: what is left below that is to be watched."""
_NO_CAP = "No budget caps everything in a month: write one with scope {}, window month and cap_usd."
_NO_BEFORE = "The month before has no charges, or cannot be counted any more."


def verdict(sources: SpendSources) -> Verdict:
    report = sources.report
    tone = _tone(report)
    return Verdict(
        sentences=tuple(_sentences(report)),
        headlines=(
            Headline(
                "Cost of the month",
                usd(report.bears.total, sources.borne()),
                "so far" if not report.is_over else "all that teams and the platform bear",
            ),
            _left(sources),
            _change(sources),
            _saved(sources),
            _unreconciled(sources),
        ),
        tone=tone,
    )


def _sentences(report: SpendReport) -> Iterator[str]:
    name = f"{report.month:%Y-%m}"
    if not report.has_begun:
        yield f"{name} has not begun: there is nothing to tell of it yet."
        return
    if report.is_empty:
        yield (
            f"Nothing was charged in {name}, and no commitment cost anything in it. Requests are in"
            " the books as soon as they are answered."
        )
        return
    so_far = "" if report.is_over else " so far"
    cost = shown(usd(report.bears.total, ""))
    yield f"{report.sums.requests:,} requests of {name} and its commitments cost {cost}{so_far}."
    if report.cap is not None:
        left = Money(report.cap - report.sums.effective)
        what = "below" if left >= 0 else "above"
        spent = shown(usd(report.sums.effective, ""))
        yield (
            f"Budgets count {spent} of it, {shown(usd(Money(abs(left)), ''))} {what} the cap of"
            f" {shown(usd(report.cap, ''))}."
        )
    if report.sums.overrun:
        yield (
            f"Providers counted {shown(usd(report.sums.overrun, ''))} above what was held for"
            " requests."
        )
    if report.sums.estimated:
        yield f"{report.sums.estimated:,} charges rest on estimates."
    yield _closing(report)


def _closing(report: SpendReport) -> str:
    if report.bears.why_not is not None:
        return report.bears.why_not
    open_ = sum(one.is_open for one in report.providers)
    invoices = (
        "The invoices of all providers are reconciled."
        if not open_
        else f"Of {len(report.providers)} providers {open_} have no invoice that is reconciled."
    )
    if report.close is None:
        return f"{invoices} The month is not closed: teams were not billed yet."
    return f"{invoices} The month was closed by {report.close.who}."


def _tone(report: SpendReport) -> Tone:
    if report.is_empty:
        return Tone.NONE
    spent, cap = report.sums.effective, report.cap
    if cap is not None and spent > cap:
        return Tone.BAD
    failed = report.verification is not None and not report.verification.verified
    if failed:
        return Tone.BAD
    is_open = report.is_over and report.unreconciled
    return Tone.WARN if is_open or _is_near(report) else Tone.GOOD


def _is_near(report: SpendReport) -> bool:
    return report.cap is not None and report.cap - report.sums.effective < NARROW * report.cap


def _left(sources: SpendSources) -> Headline:
    report = sources.report
    if report.cap is None:
        figure = usd(None, sources.left(), why_not=_NO_CAP)
        return Headline("Left of the cap", figure, "no cap", Tone.NONE)
    left = Money(report.cap - report.sums.effective)
    note = f"of {shown(usd(report.cap, ''))}; budgets count what requests were charged"
    tone = Tone.BAD if left < 0 else Tone.WARN if _is_near(report) else Tone.GOOD
    return Headline("Left of the cap", usd(left, sources.left()), note, tone)


def _change(sources: SpendSources) -> Headline:
    report = sources.report
    is_known = report.before is not None and report.is_over
    change = None if not is_known else Money(report.bears.total - (report.before or 0))
    why = _NO_BEFORE if report.is_over else "The month still runs."
    earlier = months_later(report.month, -1)
    source = sources.all.computed(
        "The cost of the month less that of the month before, counted in the same way.",
        sources.borne(),
        command=f"hedgerow ledger chargeback -c FILE --month {earlier:%Y-%m} --json",
    )
    note = "nothing to compare with"
    if report.before is not None:
        note = f"the month before cost {shown(usd(report.before, ''))}"
    return Headline("Change", usd(change, source, why_not=why), note)


def _saved(sources: SpendSources) -> Headline:
    sums = sources.report.sums
    listed = shown(usd(Money(sums.list - sums.effective), ""))
    return Headline(
        "Saved against the first-listed offers",
        usd(Money(sums.first_offer - sums.effective), sources.saved()),
        f"against list prices {listed}; measured for each request",
    )


def _unreconciled(sources: SpendSources) -> Headline:
    report = sources.report
    amount = report.unreconciled
    return Headline(
        "Not reconciled",
        usd(amount, sources.unreconciled()),
        "expected of providers whose invoice was not compared, or differs",
        Tone.WARN if amount and report.is_over else Tone.NONE,
    )
