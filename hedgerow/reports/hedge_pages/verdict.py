"""The first page: the month in words that need no knowledge of the product, and five numbers."""

from __future__ import annotations

from collections.abc import Iterator

from hedge.effectiveness.accounting import HedgeAccounting
from hedge.effectiveness.economics import Otherwise
from hedge.effectiveness.relation import Relation
from hedge.effectiveness.report import EffectivenessReport
from hedgerow.reports.cells import part, sentence, usd
from hedgerow.reports.document import Headline, Tone, Verdict
from hedgerow.reports.figures import shown
from hedgerow.reports.hedge_pages.cap import NO_CAP, cap_source
from hedgerow.reports.hedge_pages.commitments import certainty_source
from hedgerow.reports.hedge_pages.cost import all_in_source, of
from hedgerow.reports.sources import Sources
from ledger.money import Money

NARROW = 0.05
"""Of the cap: headroom below that is to be watched."""
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_DELETED = "Retention has deleted the rows that drew on commitments."


def month_name(report: EffectivenessReport) -> str:
    month = report.period.month
    return f"{_MONTHS[month.month - 1]} {month.year}"


def verdict(report: EffectivenessReport, sources: Sources) -> Verdict:
    tone = _tone_of_cap(report)
    return Verdict(
        sentences=tuple(_sentences(report)),
        headlines=(
            _cost(report, sources),
            _headroom(report, sources, tone),
            _saved(report, sources),
            _premium(report, sources),
            _exceedances(report, sources),
        ),
        tone=_tone(report, tone),
    )


def _tone(report: EffectivenessReport, of_cap: Tone) -> Tone:
    """Of all sentences: a cap that held hides no hedge that failed its tests."""
    if any(tie.difference for tie in report.accounting.ties):
        return Tone.BAD
    has_failed = not all(map(_passes, _tested(report.accounting)))
    return Tone.WARN if has_failed and of_cap is not Tone.BAD else of_cap


def _tone_of_cap(report: EffectivenessReport) -> Tone:
    if report.is_empty or report.headroom is None or not report.cap:
        return Tone.NONE
    if report.headroom < 0:
        return Tone.BAD
    return Tone.WARN if report.headroom < NARROW * report.cap else Tone.GOOD


def _sentences(report: EffectivenessReport) -> Iterator[str]:
    if report.is_empty or not report.period.has_begun:
        yield from map(sentence, report.notes)
        return
    yield _of_cap(report)
    yield _of_savings(report)
    yield from _of_premium(report)
    yield _of_plan(report)
    yield from _of_months(report)
    yield from _of_hedges(report.accounting)
    if report.notes:
        yield "What a reader has to know of these figures stands before the first table."


def _of_cap(report: EffectivenessReport) -> str:
    cost, name = _dollars(report.realised), month_name(report)
    begun = f"{name} cost {cost} in all"
    if not report.period.is_over:
        begun = f"So far {name} has cost {cost} in all"
    if report.cap is None or report.headroom is None:
        return f"{begun}; no budget caps the month, so there is nothing to hold that against."
    side = "below" if report.headroom >= 0 else "above"
    by = _dollars(Money(abs(report.headroom)))
    part_of_cap = abs(report.headroom) / report.cap if report.cap else 0
    share = f" ({part_of_cap:.1%})" if 0 < part_of_cap <= 1 else ""
    return f"{begun}: {by}{share} {side} its cap of {_dollars(report.cap)}."


def _of_savings(report: EffectivenessReport) -> str:
    one = report.economics.otherwise(Otherwise.FIRST_OFFER)
    cost, saved = _dollars(one.cost), _dollars(Money(abs(one.saved)))
    verb = "saved" if one.saved >= 0 else "cost"
    return (
        f"Had nobody chosen among providers and bought nothing ahead, the same work would have cost"
        f" {cost}: routing and hedges together {verb} {saved}."
    )


def _of_premium(report: EffectivenessReport) -> Iterator[str]:
    total = report.premium.total
    if total is None or not _hedges(report):
        return
    amount = _dollars(Money(abs(total)))
    if total > 0:
        yield (
            f"Being sure of the price took {amount}: so much more did commitments and derivatives"
            " cost than the cheapest offers of each moment would have for the same work."
        )
    else:
        yield (
            "Being sure of the price took nothing: commitments and derivatives cost"
            f" {amount} less than the cheapest offers of each moment would have for the same work."
        )


def _hedges(report: EffectivenessReport) -> bool:
    return bool(report.coverage.uses or report.premium.derivatives or report.premium.fees)


def _of_plan(report: EffectivenessReport) -> str:
    plan = report.plan
    if plan is None:
        return "No plan of what to buy ahead was approved for it."
    if plan.expected_usd is None or plan.confidence is None:
        return f"The approved plan ({plan.plan}) says nothing of this month."
    return (
        f"The approved plan ({plan.plan}) expected ${plan.expected_usd:,.2f}, and promised its cap"
        f" at {plan.confidence:.0%} confidence."
    )


def _of_months(report: EffectivenessReport) -> Iterator[str]:
    found = report.exceedances
    if found is None or found.interval is None:
        return
    kept, high = found.periods - found.count, found.interval[1]
    yield (
        f"The cap held in {kept} of {found.periods} whole {_plural('month', found.periods)}, which"
        f" leaves room for a true chance of up to {high:.0%} that a month goes above it."
    )


def _of_hedges(accounting: HedgeAccounting) -> Iterator[str]:
    """What the tests say of derivatives, if there are any."""
    relations = accounting.relations
    if not relations:
        return
    tested = _tested(accounting)
    passed = sum(map(_passes, tested))
    yield (
        f"Of {len(relations)} {_plural('derivative', len(relations))} held as a hedge,"
        f" {_told(len(tested))} could be tested, and {_told(passed)} passed every test. This"
        " supports the controller's decision; it does not claim that hedge accounting applies."
    )
    if any(tie.difference for tie in accounting.ties):
        yield (
            "The accounting pages do not agree with the hedge's book: do not use them, and run"
            " `hedgerow ledger verify`."
        )


def _tested(accounting: HedgeAccounting) -> list[Relation]:
    return [one for one in accounting.relations if any(test.assessment for test in one.tests)]


def _told(count: int) -> str:
    return f"{count}" if count else "none"


def _plural(name: str, count: int) -> str:
    return name if count == 1 else f"{name}s"


def _passes(relation: Relation) -> bool:
    first = next(test.assessment for test in relation.tests if test.assessment is not None)
    return first.passes.all


def _dollars(amount: Money) -> str:
    return shown(usd(amount, ""))


def _cost(report: EffectivenessReport, sources: Sources) -> Headline:
    note = "All in: usage, commitments, derivatives, fees."
    if not report.period.is_over:
        note = f"To date. {note}"
    source = all_in_source(sources, report.economics)
    return Headline("Cost of the month", usd(report.realised, source, "{cost.amount.total}"), note)


def _headroom(report: EffectivenessReport, sources: Sources, tone: Tone) -> Headline:
    left = sources.computed(
        "The cap less the all-in cost.",
        cap_source(sources),
        all_in_source(sources, report.economics),
    )
    figure = usd(report.headroom, left, "{cap.amount.headroom}", why_not=NO_CAP)
    if report.cap is None:
        return Headline("Headroom under the cap", figure, "No cap is set.")
    sure = "" if report.confidence is None else f", planned at {report.confidence:.0%} confidence"
    return Headline(
        "Headroom under the cap", figure, f"Of a cap of {_dollars(report.cap)}{sure}.", tone
    )


def _saved(report: EffectivenessReport, sources: Sources) -> Headline:
    one = report.economics.otherwise(Otherwise.FIRST_OFFER)
    saved = sources.computed(
        "What it would have cost less the all-in cost.",
        of(sources, one.query),
        all_in_source(sources, report.economics),
    )
    of_cost = f", {one.saved / one.cost:.1%} of {_dollars(one.cost)}" if one.cost else ""
    return Headline(
        "Saved by routing and hedges",
        usd(one.saved, saved, "{otherwise.saved.first_offer}"),
        f"Against the first-listed offers, unhedged{of_cost}.",
    )


def _premium(report: EffectivenessReport, sources: Sources) -> Headline:
    source = certainty_source(report, sources)
    return Headline(
        "Paid for certainty",
        usd(report.premium.total, source, "{premium.amount.total}", _DELETED),
        "Commitments and derivatives above the cheapest offers; below zero they paid for"
        " themselves.",
    )


def _exceedances(report: EffectivenessReport, sources: Sources) -> Headline:
    source = sources.computed(
        "Months that are over and cost more than the cap, of those that are over.",
        cap_source(sources),
    )
    found = report.exceedances
    if found is None or found.interval is None:
        why = NO_CAP if found is None else "No month with a cap is over yet."
        return Headline("Months above the cap", part(None, source, why_not=why), why)
    low, high = found.interval
    return Headline(
        "Months above the cap",
        part(
            found.count / found.periods,
            source,
            "{exceedances.value.count}/{exceedances.value.periods}",
        ),
        f"{found.count} of {found.periods}; the true chance lies between {low:.1%} and {high:.1%}"
        " (95%).",
    )
