"""Whether hedges were effective: a row for every test, its series, and what standards ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from hedge.effectiveness.accounting import HedgeAccounting
from hedge.effectiveness.assessment import Assessment
from hedge.effectiveness.relation import Relation, Tested
from hedgerow.charts import Band, Chart, Mark, Series
from hedgerow.reports.cells import columns, count, number, part, sentence, text, usd
from hedgerow.reports.document import Block, Cell, Row, Section, Table
from hedgerow.reports.hedge_pages.book_sources import replay_source
from hedgerow.reports.sources import Sources

_NO_DERIVATIVE = "No derivative was held in this month: there is nothing to test."
_NO_INDEX = "It has no changes of its own yet."


@dataclass(frozen=True, slots=True)
class _Test:
    """series: the id of the table of its pairs."""

    relation: Relation
    tested: Tested
    place: int

    @property
    def series(self) -> str:
        return f"series_{self.place}"

    @property
    def name(self) -> str:
        since = "since designation" if self.tested.is_since_designation else "all that is known"
        return f"{self.relation.trade}, by {self.tested.every.value}, {since}"


def tests_of(accounting: HedgeAccounting) -> Iterator[_Test]:
    pairs = ((relation, one) for relation in accounting.relations for one in relation.tests)
    for place, (relation, tested) in enumerate(pairs, 1):
        yield _Test(relation, tested, place)


def tests_section(accounting: HedgeAccounting, sources: Sources) -> Section:
    tests = list(tests_of(accounting))
    charts: list[Block] = []
    for relation in accounting.relations:
        first = next(
            (one for one in tests if one.relation is relation and one.tested.assessment), None
        )
        if first is not None and first.tested.assessment is not None:
            charts += _charts(first, first.tested.assessment)
    return Section(
        "tests",
        "Tests of effectiveness",
        (
            text(
                "The item is what the hedged purchases got dearer, the hedge is what the derivative"
                " gained: a hedge that works moves with its item. Practice reads highly effective"
                " as an offset of 80 to 125%, a slope of 0.80 to 1.25 and an R² of 80% or more over"
                " 30 pairs or more; IFRS 9 knows no such line.",
                accounting.support,
            ),
            _tests(accounting, tests, sources),
            _regressions(tests, sources, accounting),
            _sensitivity(tests, sources, accounting),
            _flags(tests),
            *charts,
            _volumes(accounting, sources),
            _requirements(accounting),
        ),
    )


def series_section(accounting: HedgeAccounting, sources: Sources) -> Section:
    """The annex: every pair of changes that was tested, for formulas to read."""
    source = replay_source(accounting, sources)
    tests = list(tests_of(accounting))
    return Section(
        "series",
        "Annex: changes of items and hedges",
        (
            text(
                "Pairs of changes over the same time, in USD, of the volumes as held. Gaps are not"
                " filled."
            ),
            *(_series(one, source) for one in tests),
        )
        if tests
        else (text(_NO_DERIVATIVE),),
    )


def _series(test: _Test, source: str) -> Table:
    changes = test.tested.changes
    rows = []
    pairs = zip(changes.dates, changes.item, changes.hedge, strict=True)
    for place, (day, item, hedge) in enumerate(pairs):
        rows.append(
            Row(f"{day}_{place}", (day, number(float(item), source), number(float(hedge), source)))
        )
    missing = test.tested.missing
    return Table(
        test.series,
        f"{test.name}: item and hedge",
        columns(day="Until", item="Item, USD", hedge="Hedge, USD"),
        tuple(rows),
        empty=sentence(test.tested.why_not or _NO_INDEX),
        notes=(f"In no pair, and not filled: {', '.join(map(str, missing))}.",) if missing else (),
    )


def _tests(accounting: HedgeAccounting, tests: list[_Test], sources: Sources) -> Table:
    source = _regression_source(accounting, sources)
    return Table(
        "tests",
        "Tests",
        columns(
            trade="Trade",
            hypothetical="Hypothetical",
            designation="Designation",
            method="Method",
            look="Looks",
            slope="Slope",
            r2="R²",
            f="F",
            status="Status",
            reserve="Cumulative OCI, USD",
            ineffective="Ineffective so far, USD",
            offset="Offset",
        ),
        tuple(_test_row(one, source, replay_source(accounting, sources)) for one in tests),
        empty=_NO_DERIVATIVE,
        notes=() if not tests else (_READ_TESTS, *map(_measured, accounting.relations)),
    )


_READ_TESTS = (
    "Prospective: over all changes that are known, to judge what is to come. Retrospective: since"
    " the designation alone. Slope, R² and F are of the item's changes on the hedge's, the offset"
    " is of their sums. OCI and ineffectiveness are by IFRS 9's lower-of, as if it applied."
)


def _measured(relation: Relation) -> str:
    """What is compared."""
    return f"{relation.trade}: {relation.item_says}. The hedge: {relation.hedge_says}."


def _regression_source(accounting: HedgeAccounting, sources: Sources) -> str:
    return sources.computed(
        "Least squares of the item's changes on the hedge's, with an intercept, and ratios of"
        " sums: the pairs are in the annex.",
        replay_source(accounting, sources),
        command="hedgerow hedge effectiveness --item ITEM.csv --hedge HEDGE.csv --ratio 1",
    )


def _test_row(test: _Test, source: str, replayed: str) -> Row:
    relation, found = test.relation, test.tested.assessment
    why = sentence(test.tested.why_not or _NO_INDEX)
    x, y = f"{{{test.series}.hedge}}", f"{{{test.series}.item}}"
    look = "retrospective" if test.tested.is_since_designation else "prospective"
    method = "regression" if relation.memo is None else relation.memo.method
    return Row(
        f"t{test.place}",
        (
            relation.trade,
            relation.hypothetical or "none",
            relation.state.value,
            method,
            f"{look}, by {test.tested.every.value}",
            number(
                None if found is None else found.regression.slope, source, f"SLOPE({y},{x})", why
            ),
            number(None if found is None else found.regression.r2, source, f"RSQ({y},{x})", why),
            number(None if found is None else found.regression.plain.f, source, None, why),
            "not tested" if found is None else _status(found),
            usd(relation.ifrs9.reserve.closing, replayed),
            usd(relation.ifrs9.ineffective_so_far, replayed),
            part(
                None if found is None else found.offset.cumulative,
                source,
                f"SUM({x})/SUM({y})",
                why if found is None else "The item did not move in all.",
            ),
        ),
    )


def _status(found: Assessment) -> str:
    missed = [
        name
        for name, passed in (
            ("slope", found.passes.slope),
            ("R²", found.passes.r2),
            ("significance", found.passes.significance),
            ("pairs", found.passes.n),
            ("offset", found.passes.dollar_offset),
            ("variance", found.passes.variance_reduction),
        )
        if not passed
    ]
    return "passes" if not missed else f"not: {', '.join(missed)}"


def _regressions(tests: list[_Test], sources: Sources, accounting: HedgeAccounting) -> Table:
    source = _regression_source(accounting, sources)

    def cells(test: _Test, found: Assessment) -> tuple[Cell, ...]:
        x, y = f"{{{test.series}.hedge}}", f"{{{test.series}.item}}"
        fit = found.regression
        return (
            test.name,
            count(fit.n, source, f"COUNT({x})"),
            number(fit.intercept, source, f"INTERCEPT({y},{x})"),
            number(fit.plain.error, source),
            number(fit.plain.t, source),
            number(fit.plain.p, source),
            number(fit.hac.error, source),
            number(fit.hac.t, source),
            number(fit.hac.p, source),
            number(fit.autocorrelation, source),
            part(found.variance_reduction, source),
            f"{found.offset.in_band} of {fit.n}",
        )

    return Table(
        "regressions",
        "Regressions",
        columns(
            test="Test",
            n="Pairs",
            intercept="Intercept, USD",
            error="Error of the slope",
            t="t",
            p="p",
            hac_error="HAC error",
            hac_t="HAC t",
            hac_p="HAC p",
            autocorrelation="Autocorrelation of residuals",
            reduction="Variance taken away",
            in_band="Periods within 80 to 125%",
        ),
        tuple(
            Row(f"t{one.place}", cells(one, one.tested.assessment))
            for one in tests
            if one.tested.assessment is not None
        ),
        empty="No hedge could be tested by regression." if tests else _NO_DERIVATIVE,
        notes=("HAC: errors as Newey and West estimate them.",) if tests else (),
    )


def _sensitivity(tests: list[_Test], sources: Sources, accounting: HedgeAccounting) -> Table:
    source = _regression_source(accounting, sources)
    rows = []
    for test in tests:
        found = test.tested.assessment
        if found is None:
            continue
        parts = (*found.lookbacks, *((found.outlier,) if found.outlier else ()))
        rows += [
            Row(
                f"t{test.place}_{place}",
                (
                    test.name,
                    one.name,
                    count(one.n, source),
                    number(one.slope, source),
                    number(one.r2, source),
                    number(one.p, source),
                ),
            )
            for place, one in enumerate(parts)
        ]
    return Table(
        "sensitivity",
        "Other lookbacks, and without the pair that pulls most",
        columns(test="Test", over="Over", n="Pairs", slope="Slope", r2="R²", p="p"),
        tuple(rows),
        empty="There is no shorter lookback to compare with.",
    )


def _flags(tests: list[_Test]) -> Table:
    return Table(
        "flags",
        "What a reader has to know of these tests",
        columns(test="Test", flag="Flag"),
        tuple(
            Row(f"t{test.place}_{flag.code}_{place}", (test.name, flag.says))
            for test in tests
            if test.tested.assessment is not None
            for place, flag in enumerate(test.tested.assessment.flags)
        ),
        empty="No test has a flag." if tests else _NO_DERIVATIVE,
    )


def _charts(test: _Test, found: Assessment) -> list[Block]:
    changes, name = test.tested.changes, test.relation.trade
    hedge, item = tuple(map(float, changes.hedge)), tuple(map(float, changes.item))
    ends = (min(hedge), max(hedge))
    fit = found.regression
    days = tuple(day.isoformat() for day in changes.dates)
    items, hedges = tuple(accumulate(item)), tuple(accumulate(hedge))
    basis = tuple(one - other for one, other in zip(items, hedges, strict=True))
    return [
        Chart(
            f"scatter_{test.place}",
            f"{name}: item against hedge",
            f"Each point is a {test.tested.every.value}: what the hedge gained, and what the item"
            f" got dearer. The line is the regression (slope {fit.slope:.3f}, R² {fit.r2:.3f}); the"
            " band is where slopes of 0.80 and 1.25 would lie.",
            "change of the hedge, USD",
            "change of the item, USD",
            (
                Series("changes", Mark.POINTS, hedge, item),
                Series("fit", Mark.LINE, ends, tuple(fit.intercept + fit.slope * x for x in ends)),
            ),
            bands=(_wedge(ends),),
        ),
        Chart(
            f"sums_{test.place}",
            f"{name}: item and hedge, added up",
            "The changes of item and hedge added up over time: a hedge that works runs with its"
            " item. The basis is the gap between them.",
            "until",
            "USD",
            (
                Series("item", Mark.LINE, days, items),
                Series("hedge", Mark.LINE, days, hedges),
                Series("basis", Mark.LINE, days, basis),
            ),
        ),
    ]


def _wedge(ends: tuple[float, float]) -> Band:
    """Where slopes of 0.80 to 1.25 through the origin lie."""
    places = tuple(sorted({ends[0], 0.0, ends[1]} if ends[0] < 0 < ends[1] else set(ends)))
    both = [sorted((0.80 * x, 1.25 * x)) for x in places]
    return Band(
        "slopes of 0.80 to 1.25",
        places,
        tuple(low for low, _ in both),
        tuple(high for _, high in both),
    )


def _volumes(accounting: HedgeAccounting, sources: Sources) -> Table:
    source = sources.computed(
        "The purchases of the item's month by the ledger, and its run rate.",
        replay_source(accounting, sources),
    )
    rows = []
    for place, one in enumerate(accounting.relations):
        if one.volume is None:
            continue
        found = one.volume
        why = sentence(found.why_not or "it cannot be told")

        rows.append(
            Row(
                f"v{place}",
                (
                    one.trade,
                    f"{found.month:%Y-%m}",
                    found.unit,
                    count(found.designated, source, why_not=why),
                    count(found.actual, source, why_not=why),
                    count(found.low, source, why_not=why),
                    count(found.expected, source, why_not=why),
                    count(found.high, source, why_not=why),
                    found.forecast.value,
                    found.says,
                ),
            )
        )
    return Table(
        "volumes",
        "Are the purchases still probable?",
        columns(
            trade="Trade",
            month="Month",
            unit="Unit",
            designated="Designated",
            actual="Bought so far",
            low="Low",
            expected="Expected",
            high="High",
            forecast="Forecast",
            says="What it says",
        ),
        tuple(rows),
        empty="Nothing is designated, so that no volume has to be probable.",
    )


def _requirements(accounting: HedgeAccounting) -> Table:
    rows = []
    for place, one in enumerate(accounting.relations):
        both = (("IFRS 9", one.ifrs9_requirements), ("ASC 815", one.asc815_requirements))
        for standard, asked in both:
            for number_of, each in enumerate(asked):
                met = "open: judgement" if each.met is None else "yes" if each.met else "no"
                rows.append(
                    Row(
                        f"r{place}_{standard}_{number_of}",
                        (one.trade, standard, each.name, met, each.says),
                    )
                )
    return Table(
        "requirements",
        "What the standards ask for, and what the books can say of it",
        columns(
            trade="Trade", standard="Standard", asked="Asked for", met="Met", says="What is known"
        ),
        tuple(rows),
        empty=_NO_DERIVATIVE,
        notes=("Support for the controller's decision: what is open here is judgement.",),
    )
