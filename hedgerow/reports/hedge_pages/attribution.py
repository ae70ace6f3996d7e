"""Why the month cost more or less than the one before, in parts that sum to it."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from hedge.effectiveness.attribution import Attribution, Cause, IndexMove, Measure, ModelChange
from hedge.effectiveness.report import EffectivenessReport
from hedgerow.charts import Chart, Mark, Series
from hedgerow.reports.cells import columns, count, dollars_of, number, rate, sentence, text, usd
from hedgerow.reports.document import Block, Figure, Row, Section, Table, Unit
from hedgerow.reports.hedge_pages.cost import of
from hedgerow.reports.sources import Sources
from ledger.money import NANOS_PER_USD, Money

CAUSES = {
    Cause.VOLUME: ("Volume", "More or less was asked, at the mix and the prices of before."),
    Cause.MIX: ("Mix", "Other models were asked than before, at the prices of before."),
    Cause.INDEX: ("Index", "Of prices' change, what the settlement index explains."),
    Cause.PRICE: ("Price", "First-listed prices changed, at the volumes of before."),
    Cause.BASIS: ("Basis", "Of prices' change, what the settlement index does not explain."),
    Cause.CROSS: ("Cross", "Volume and price changed together: it belongs to both."),
    Cause.ROUTING: ("Routing", "What was paid less what the first-listed offers would have cost."),
    Cause.COMMITMENTS: (
        "Commitments",
        "Their fees and overage, less what their draws would have cost at pay-as-you-go.",
    ),
    Cause.DERIVATIVES: ("Derivatives", "Their result; a gain lowers the cost."),
    Cause.ROLL: ("Rolls", "Fees of trades that closed one month to open the next."),
    Cause.FEES: ("Fees", "Of other trades and of settlements."),
}
_OF_MODELS = (Cause.VOLUME, Cause.MIX, Cause.INDEX, Cause.PRICE, Cause.BASIS, Cause.CROSS)
_ROUNDED = (
    "Each part of a model is rounded to the nano-USD by itself; the parts of all models together,"
    " further above, are cut so that they sum exactly."
)
_NANO = Decimal(1).scaleb(-9)


def attribution_section(report: EffectivenessReport, sources: Sources) -> Section:
    found = report.attribution
    blocks: tuple[Block, ...]
    if found is None:
        blocks = (text(sentence(report.attribution_why_not or "there is no month before")),)
    else:
        blocks = (
            text(
                "Each part is what this month cost more (above zero) or less than the month before"
                " for one reason. The parts sum to the whole difference, to the nano-USD."
            ),
            _chart(found),
            _parts(found, sources),
            _models(found, sources),
            _parts_of_models(found, sources),
            _index(found, sources),
        )
    return Section("attribution", "Why it differs from the month before", blocks)


def _source(found: Attribution, sources: Sources) -> str:
    return sources.computed(
        "Parts of the difference between the all-in costs of both months, by volumes and"
        " first-listed prices of each model.",
        of(sources, found.query_before),
        of(sources, found.query_now),
    )


def _parts(found: Attribution, sources: Sources) -> Table:
    source = _source(found, sources)
    rows = [
        Row(
            one.cause.value,
            (CAUSES[one.cause][0], usd(one.amount, source), CAUSES[one.cause][1]),
        )
        for one in found.parts
    ]
    rows.append(
        Row(
            "total",
            (
                "This month above the one before",
                usd(found.total, source, "SUM({parts.amount})"),
                "",
            ),
            is_total=True,
        )
    )
    rows += [
        Row("before", ("All-in cost of the month before", usd(found.before, source), ""), True),
        Row(
            "now",
            (
                "All-in cost of this month",
                usd(found.now, source, "{parts.amount.before}+{parts.amount.total}"),
                "",
            ),
            True,
        ),
    ]
    return Table(
        "parts",
        "Parts of the difference",
        columns(part="Part", amount="USD", says="What it is"),
        tuple(rows),
        empty="There is nothing to take apart.",
    )


def _chart(found: Attribution) -> Chart:
    names = tuple(CAUSES[one.cause][0] for one in found.parts)
    amounts = tuple(dollars_of(one.amount) for one in found.parts)
    return Chart(
        "parts_chart",
        "Parts of the difference to the month before",
        "A bar to the right cost more than in the month before, one to the left less.",
        "part",
        "USD",
        (Series("USD", Mark.BAR, names, amounts),),
    )


def _models(found: Attribution, sources: Sources) -> Table:
    before, now = of(sources, found.query_before), of(sources, found.query_now)
    volume_before, volume_now = (
        sources.computed(
            "Tokens in and out (of work without tokens: requests), and cost by volume; a model"
            " without a row has none.",
            one,
        )
        for one in (before, now)
    )
    change = _source(found, sources)
    rows = [
        Row(
            one.model,
            (
                one.model,
                one.measure.value,
                count(one.volume_before, volume_before),
                count(one.volume_now, volume_now),
                _price(one, one.usd_per_m_before, volume_before, "before"),
                _price(one, one.usd_per_m_now, volume_now, "now"),
                usd(one.cost_before, before if one.cost_before else volume_before),
                usd(one.cost_now, now if one.cost_now else volume_now),
                usd(Money(one.cost_now - one.cost_before), change, "{cost_now}-{cost_before}"),
            ),
        )
        for one in found.models
    ]
    sums = [
        Money(sum(one.cost_before for one in found.models)),
        Money(sum(one.cost_now for one in found.models)),
    ]
    if rows:
        rows.append(
            Row(
                "total",
                (
                    *("All models", "", None, None, None, None),
                    usd(sums[0], change, "SUM({models.cost_before})"),
                    usd(sums[1], change, "SUM({models.cost_now})"),
                    usd(Money(sums[1] - sums[0]), change, "SUM({models.change})"),
                ),
                is_total=True,
            )
        )
    return Table(
        "models",
        "Models in both months, at the first-listed offer",
        columns(
            model="Model",
            measure="Counted in",
            volume_before="Volume before",
            volume_now="Volume now",
            price_before="USD per million before",
            price_now="USD per million now",
            cost_before="Cost before, USD",
            cost_now="Cost now, USD",
            change="Change, USD",
        ),
        tuple(rows),
        empty="No model was asked in either month.",
    )


def _price(one: ModelChange, price: Decimal | None, source: str, when: str) -> Figure:
    unit = Unit.USD_PER_MTOK if one.measure is Measure.TOKENS else Unit.USD_PER_UNIT
    return rate(price, source, f"It had no volume {when}.", unit=unit)


def _parts_of_models(found: Attribution, sources: Sources) -> Table:
    source = _source(found, sources)
    causes = [one for one in _OF_MODELS if found.part(one) is not None]
    change = "+".join(f"{{{one.value}}}" for one in causes)
    rows = [
        Row(
            one.model,
            (
                one.model,
                *(_exactly(one.parts.get(cause, Fraction(0)), source) for cause in causes),
                usd(Money(one.cost_now - one.cost_before), source, change),
            ),
        )
        for one in found.models
    ]
    titles = {one.value: f"{CAUSES[one][0]}, USD" for one in causes}
    return Table(
        "model_parts",
        "Parts by model",
        columns(model="Model", **titles, change="Change, USD"),
        tuple(rows),
        empty="No model was asked in either month.",
        notes=(_ROUNDED,),
    )


def _exactly(nanos: Fraction, source: str) -> Figure:
    exact = Decimal(nanos.numerator) / Decimal(nanos.denominator) / NANOS_PER_USD
    return Figure(exact.quantize(_NANO, ROUND_HALF_EVEN), Unit.USD, source)


def _index(found: Attribution, sources: Sources) -> Table:
    move: IndexMove | None = found.index
    rows: tuple[Row, ...] = ()
    if move is not None:
        by = move.designation or f"the terms of {move.contract}"
        source = sources.computed(
            f"Means of the index's fixings in both months, as known now; the beta is by {by}.",
            command="hedgerow hedge book -c FILE --json",
        )
        rows = (
            Row("before", ("Mean in the month before", number(move.before, source))),
            Row("now", ("Mean in this month", number(move.now, source))),
            Row(
                "beta",
                (
                    f"Percent that prices move for one percent of {move.index}",
                    number(float(move.beta), source),
                ),
            ),
            Row(
                "change",
                (
                    "So explained of prices' change, as a part of one",
                    number(
                        float(move.change),
                        source,
                        "{index.value.beta}*({index.value.now}/{index.value.before}-1)",
                    ),
                ),
            ),
        )
    return Table(
        "index",
        "The settlement index" + ("" if move is None else f": {move.index}"),
        columns(what="What", value="Value"),
        rows,
        empty=sentence(found.index_why_not or "no index is known"),
    )
