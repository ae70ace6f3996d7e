"""Reconciliation: the causes are those that there were, and always the whole difference."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charges import ChargeRow
from ledger.errors import NotAnInvoice
from ledger.invoices.causes import Cause
from ledger.invoices.invoice import Invoice, InvoiceLine, LineKind, Period
from ledger.invoices.reconcile import Explained, Reading, Reconciliation, reconcile, span_ns
from ledger.meters import Meter, price_at
from ledger.money import Money, as_usd
from ledger.rates import RateCard
from ledger.usage import TokenUsage
from tests.ledger.charges import DAY_NS, MINUTE_NS, charge_row, charges

FIRST = date(2026, 3, 2)
FIRST_NS = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 10**9
DAYS = 4
CARDS = {
    "llama": RateCard.of(Decimal("0.15"), Decimal("0.60"), cache_read=Decimal("0.075")),
    "qwen": RateCard.of(Decimal("0.2512345"), Decimal(3)),
}
PLAIN = Reading({})
MILLION = 1_000_000


def day(number: int) -> Period:
    start = FIRST + timedelta(days=number)
    return Period(start, start + timedelta(days=1))


@st.composite
def traffic(draw: st.DrawFn) -> list[ChargeRow]:
    """Charges of millions of tokens, in the middle of days."""
    rows = []
    for number in range(draw(st.integers(1, 12))):
        model = draw(st.sampled_from(sorted(CARDS)))
        tokens = st.integers(MILLION, 50 * MILLION)
        prompt = draw(tokens)
        usage = TokenUsage(prompt, draw(tokens), cached=draw(st.integers(0, prompt)))
        at_ns = FIRST_NS + (draw(st.integers(0, DAYS - 1)) * 1440 + 720) * MINUTE_NS
        rows.append(charge_row(number, rates=CARDS[model], usage=usage, at_ns=at_ns, model=model))
    return rows


@dataclass
class Drawn:
    """An invoice as it would be, and then what was done to it."""

    lines: list[InvoiceLine] = field(default_factory=list)
    causes: defaultdict[Cause, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


def counted(row: ChargeRow) -> dict[Meter, int]:
    """By hand, and not by the module under test."""
    usage = row.usage
    assert usage.prompt is not None
    assert usage.completion is not None
    cached = usage.cached or 0
    counts = {Meter.INPUT: usage.prompt - cached, Meter.CACHED_INPUT: cached}
    return counts | {Meter.OUTPUT: usage.completion}


def bill(rows: list[ChargeRow], offset: timedelta = timedelta(0)) -> list[InvoiceLine]:
    """What a provider would bill that counts as we do, by days of a time zone."""
    sums: defaultdict[tuple[Period, str, Meter], int] = defaultdict(int)
    for row in rows:
        local = datetime.fromtimestamp(row.at_ns // 10**9, UTC) + offset
        period = Period(local.date(), local.date() + timedelta(days=1))
        for meter, count in counted(row).items():
            if count:
                sums[period, row.upstream_model, meter] += count
    return [
        InvoiceLine(2, period, model, meter, Decimal(count), count * per_token(model, meter))
        for (period, model, meter), count in sums.items()
    ]


def per_token(model: str, meter: Meter) -> Decimal:
    price = price_at(meter, CARDS[model])
    assert price is not None
    return price / MILLION


def our_rounding(rows: list[ChargeRow]) -> Decimal:
    exact = sum(
        (
            count * per_token(row.upstream_model, meter)
            for row in rows
            for meter, count in counted(row).items()
        ),
        Decimal(0),
    )
    return exact - sum(as_usd(row.billed) for row in rows)


@st.composite
def disputes(draw: st.DrawFn, rows: list[ChargeRow], discount: Decimal) -> Drawn:
    """An invoice with known causes: what each adds is what the line costs more."""
    drawn = Drawn()
    drawn.causes[Cause.ROUNDING] = our_rounding(rows)
    lost = draw(st.sampled_from([None, ("llama", day(0)), ("qwen", day(1))]))
    for line in bill(rows):
        if (line.model, line.period) == lost:
            continue
        assert line.amount is not None
        assert line.quantity is not None
        assert line.meter is not None
        amount, quantity = line.amount, line.quantity
        kind = draw(st.sampled_from(["as ours", "as ours", "count", "price"]))
        if kind == "count":
            more = draw(st.integers(-MILLION // 2, MILLION))
            more = max(more, -int(quantity))
            quantity += more
            drawn.causes[Cause.USAGE] += more * per_token(line.model or "", line.meter)
            amount = quantity * per_token(line.model or "", line.meter)
        net = amount * (1 - discount)
        drawn.causes[Cause.DISCOUNT] += net - amount
        if kind == "price":
            drawn.causes[Cause.PRICE] += net
            net *= 2
        drawn.lines.append(replace(line, quantity=quantity, amount=net))
    missing = [row for row in rows if lost == (row.upstream_model, our_day(row))]
    drawn.causes[Cause.MISSING_IN_THEIRS] -= sum(
        (as_usd(row.billed) for row in missing), Decimal(0)
    )
    drawn.causes[Cause.ROUNDING] -= our_rounding(missing)
    for cause, line in draw(st.lists(st.sampled_from(BESIDE), max_size=3, unique_by=id)):
        assert line.amount is not None
        drawn.lines.append(line)
        drawn.causes[cause] += line.amount
    return drawn


def beside(kind: LineKind, amount: str, model: str | None = None) -> InvoiceLine:
    return InvoiceLine(3, day(1), model, None, None, Decimal(amount), kind=kind)


BESIDE = [
    (Cause.TAX, beside(LineKind.TAX, "1.9")),
    (Cause.CREDIT, beside(LineKind.CREDIT, "-5")),
    (Cause.DISCOUNT, beside(LineKind.DISCOUNT, "-1", "qwen")),
    (Cause.FEE, beside(LineKind.FEE, "20")),
    (Cause.COMMITMENT, beside(LineKind.COMMITMENT, "900")),
    (Cause.MISSING_IN_OURS, beside(LineKind.USAGE, "0.07", "yew")),
]


def our_day(row: ChargeRow) -> Period:
    return day((row.at_ns - FIRST_NS) // (DAY_NS))


def adds_up(found: Reconciliation) -> bool:
    with localcontext(prec=60):
        for row in found.rows:
            assert row.theirs - row.ours == sum(one.usd for one in row.causes)
        assert found.theirs - found.ours == sum(one.usd for one in found.causes)
        assert found.ours == sum(row.ours for row in found.rows)
    return True


def causes_of(found: Reconciliation) -> dict[Cause, Decimal]:
    return {one.cause: one.usd for one in found.causes}


def invoice(*lines: InvoiceLine, places: int = 12) -> Invoice:
    return Invoice("drawn", lines, places)


def is_close(found: dict[Cause, Decimal], expected: dict[Cause, Decimal]) -> bool:
    """To where a division was rounded: a hundred-millionth of a nano-USD."""
    for cause in Cause:
        left = found.get(cause, Decimal(0)) - expected.get(cause, Decimal(0))
        assert abs(left) < Decimal("1e-17"), cause
    return True


@given(st.data())
def test_the_causes_are_found_again(data: st.DataObject) -> None:
    """Counts, prices, lines that are missing on either side, discounts, credits, taxes, fees and
    commitments, all at once: each has the part that it was given."""
    rows = data.draw(traffic())
    discount = data.draw(st.sampled_from([Decimal(0), Decimal("0.1")]))
    with localcontext(prec=60):
        drawn = data.draw(disputes(rows, discount))
        if not drawn.lines:
            return
        reaching = InvoiceLine(9, Period(day(0).start, day(DAYS).start), None, None, None,
                               Decimal(0), kind=LineKind.TAX)  # fmt: skip
        found = reconcile(
            "acme", rows, invoice(*drawn.lines, reaching), Reading({}, discount=discount)
        )
        assert adds_up(found)
        assert is_close(causes_of(found), drawn.causes)
        assert found.ours == sum(as_usd(row.billed) for row in rows)
        assert found.charges == len(rows)
        assert found.is_explained(Decimal(0)) == (not any(one.is_open for one in causes_of(found)))


@given(traffic(), st.sampled_from(["USD", "EUR"]))
def test_amounts_in_cents(rows: list[ChargeRow], currency: str) -> None:
    """In whatever currency: what rounding to cents adds or takes is rounding, and nothing else."""
    rate = Decimal("1.25") if currency == "EUR" else Decimal(1)
    with localcontext(prec=60):
        lines, rounding = [], our_rounding(rows)
        for line in bill(rows):
            assert line.amount is not None
            exact = line.amount / rate
            cents = exact.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
            rounding += (cents - exact) * rate
            lines.append(replace(line, amount=cents, currency=currency))
        reading = Reading({"EUR": rate})
        found = reconcile("acme", rows, invoice(*lines, places=2), reading)
        assert adds_up(found)
        assert is_close(causes_of(found), {Cause.ROUNDING: rounding})
    assert found.is_explained(Decimal(0))


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.sampled_from([-480, -300, 60, 330, 345, 840]))
def test_a_shifted_day_is_found(draw: Random, minutes: int) -> None:
    """Days of another time zone move charges from one to the next, at the ends, too; all else
    agrees, and nothing is open. Told the zone, there is nothing to find."""
    rows = [
        charge_row(
            hour,
            rates=CARDS["llama"],
            usage=TokenUsage(draw.randint(MILLION, 50 * MILLION), MILLION),
            at_ns=FIRST_NS + (hour * 60 + draw.randint(0, 59)) * MINUTE_NS,
            model="llama",
        )
        for hour in range(24 * DAYS)
    ]
    offset = timedelta(minutes=minutes)
    lines = bill(rows, offset)
    bound = invoice(*lines)
    start_ns, end_ns = span_ns(bound)
    assert all(start_ns <= row.at_ns < end_ns for row in rows)
    with localcontext(prec=60):
        found = reconcile("acme", rows, bound, PLAIN)
        assert adds_up(found)
        assert set(causes_of(found)) <= {Cause.ROUNDING, Cause.DAY_BOUNDARY}
        assert found.zone.startswith("UTC")
        assert found.zone != "UTC"
        first, last = (min(line.period for line in lines), max(line.period for line in lines))
        inside = [row for row in rows if first.start <= our_day(row).start <= last.start]
        assert found.ours == sum(as_usd(row.billed) for row in inside)
        told = reconcile("acme", rows, bound, Reading({}, zone=timezone(offset)))
        assert set(causes_of(told)) <= {Cause.ROUNDING}
        assert told.ours == sum(as_usd(row.billed) for row in rows)


quantities = st.none() | st.integers(0, 10**7).map(Decimal)
lines = st.builds(
    InvoiceLine,
    number=st.integers(2, 9),
    period=st.integers(0, 3).map(day),
    model=st.sampled_from(["acme-llama", "acme-llama-2026-01-01", "yew", None]),
    meter=st.none() | st.sampled_from(Meter).filter(lambda one: one is not Meter.UNMETERED),
    quantity=quantities,
    amount=st.none() | st.decimals(-5, 5, places=5),
    currency=st.sampled_from(["USD", "EUR"]),
    kind=st.sampled_from([*[LineKind.USAGE] * 5, LineKind.TAX]),
    request_id=st.none() | st.sampled_from(["req_1", "req_2.1", "req_3", "other"]),
    rate=st.none() | st.sampled_from([Decimal("1.1"), Decimal("0.9")]),
).filter(lambda line: (line.amount, line.quantity) != (None, None))


@given(
    st.lists(charges(), max_size=5),
    st.lists(lines, min_size=1, max_size=6),
    st.sampled_from([0, 30, 100]),
)
def test_the_parts_are_always_the_whole(
    rows: list[ChargeRow], some: list[InvoiceLine], percent: int
) -> None:
    """Whatever stands in the books and on the invoice: row by row, to the last digit."""
    rows = [
        replace(row, at_ns=FIRST_NS + row.at_ns % (5 * DAY_NS), request_id=f"req_{number}")
        for number, row in enumerate(rows)
    ]
    reading = Reading({"EUR": Decimal("1.08")}, discount=Decimal(percent) / 100)
    found = reconcile("acme", rows, invoice(*some, places=2), reading)
    assert adds_up(found)
    periods = [line.period for line in some]
    inside = [row for row in rows if min(periods).start <= our_day(row).start < max(periods).end]
    assert found.ours == sum(as_usd(row.billed) for row in inside)
    assert found.charges == len(inside)


def one_line(amount: str | None, quantity: int | None = 1000, **more: object) -> InvoiceLine:
    counted = None if quantity is None else Decimal(quantity)
    line = InvoiceLine(2, day(0), "acme-llama", Meter.INPUT, counted, None)
    if amount is not None:
        line = replace(line, amount=Decimal(amount))
    return replace(line, **more)  # type: ignore[arg-type]


NOON_NS = FIRST_NS + 720 * MINUTE_NS
A_THOUSAND = charge_row(usage=TokenUsage(1000, 0), at_ns=NOON_NS)
"""At 0.15 USD a million: 0.00015 USD."""


def parts(found: Reconciliation) -> list[tuple[Cause, str]]:
    return [(one.cause, f"{one.usd.normalize():f}") for one in found.causes]


def test_a_price_is_shown_beside_ours() -> None:
    """A million tokens at 0.20 USD where our card has 0.15."""
    found = reconcile("acme", [A_THOUSAND], invoice(one_line("0.0002")), PLAIN)
    assert parts(found) == [(Cause.PRICE, "0.00005")]
    (gap,) = found.rows[0].prices
    assert (gap.meter, gap.ours, gap.theirs) == (Meter.INPUT, Decimal("0.15"), Decimal("0.20"))


def test_cached_tokens_that_they_do_not_count() -> None:
    """They bill all input at the full price: counted differently, at the prices of the card."""
    row = charge_row(usage=TokenUsage(1000, 0, cached=400), at_ns=NOON_NS)
    found = reconcile("acme", [row], invoice(one_line("0.00015")), PLAIN)
    assert parts(found) == [(Cause.USAGE, "0.00003")]


def test_estimates_bear_what_they_may_be_wrong_by() -> None:
    """An estimate is off by its own count at most, whether it has counts or none; beyond that,
    somebody counts differently."""
    row = replace(A_THOUSAND, estimated=True)
    found = reconcile("acme", [row], invoice(one_line("0.00018", 1200)), PLAIN)
    assert parts(found) == [(Cause.ESTIMATED, "0.00003")]
    found = reconcile("acme", [row], invoice(one_line("0.00045", 3000)), PLAIN)
    assert parts(found) == [(Cause.ESTIMATED, "0.00015"), (Cause.USAGE, "0.00015")]
    blind = charge_row(2, usage=TokenUsage(None, None), cost=200_000, estimated=True, at_ns=NOON_NS)
    found = reconcile("acme", [A_THOUSAND, blind], invoice(one_line("0.0003", 2000)), PLAIN)
    assert parts(found) == [(Cause.ESTIMATED, "-0.00005")]
    other = invoice(one_line("1", model="yew"))
    found = reconcile("acme", [row], other, PLAIN)
    assert parts(found) == [(Cause.MISSING_IN_OURS, "1"), (Cause.ESTIMATED, "-0.00015")]


def test_amounts_without_counts() -> None:
    """They cannot be told apart into counts and prices; within a cent they are the same."""
    found = reconcile("acme", [A_THOUSAND], invoice(one_line("0.5", None), places=2), PLAIN)
    assert parts(found) == [(Cause.AMOUNT, "0.49985")]
    found = reconcile("acme", [A_THOUSAND], invoice(one_line("0.00", None), places=2), PLAIN)
    assert parts(found) == [(Cause.ROUNDING, "-0.00015")]


def test_counts_without_amounts() -> None:
    """They are taken at our prices; of a model that we never used, nobody knows what they cost."""
    found = reconcile("acme", [A_THOUSAND], invoice(one_line(None, 1200)), PLAIN)
    assert parts(found) == [(Cause.USAGE, "0.00003")]
    agreed = Reading({}, discount=Decimal("0.1"))
    found = reconcile("acme", [A_THOUSAND], invoice(one_line(None)), agreed)
    assert parts(found) == [(Cause.DISCOUNT, "-0.000015")]
    both = invoice(one_line(None, 400), one_line("0.5", 600))
    found = reconcile("acme", [A_THOUSAND], both, PLAIN)
    assert parts(found) == [(Cause.PRICE, "0.49991")]
    bound = invoice(one_line(None), one_line(None, model="yew"))
    found = reconcile("acme", [A_THOUSAND], bound, PLAIN)
    assert found.difference == 0
    assert found.unvalued == 1
    assert not found.is_explained(Decimal(1000))


def test_the_rate_of_exchange() -> None:
    """The rate that the provider used, if it says so; else a price that is off by a little, and no
    more."""
    euros = {"EUR": Decimal("1.25")}
    line = one_line("0.000125", currency="EUR", rate=Decimal("1.2"))
    found = reconcile("acme", [A_THOUSAND], invoice(line), Reading(euros))
    assert parts(found) == [(Cause.CURRENCY, "0.00000625")]
    silent = replace(line, rate=None, amount=Decimal("0.000122"))
    found = reconcile("acme", [A_THOUSAND], invoice(silent), Reading(euros))
    assert parts(found) == [(Cause.CURRENCY, "0.0000025")]
    dearer = replace(silent, amount=Decimal("0.00013"))
    found = reconcile("acme", [A_THOUSAND], invoice(dearer), Reading(euros))
    assert parts(found) == [(Cause.PRICE, "0.0000125")]
    with pytest.raises(NotAnInvoice, match=r"line 2 is in EUR.*--rate EUR="):
        reconcile("acme", [A_THOUSAND], invoice(line), PLAIN)


def test_requests_that_it_names() -> None:
    """Compared one by one, also across midnight; what it names and we have not is missing, and the
    other way round."""
    late = charge_row(2, usage=TokenUsage(1000, 0), at_ns=FIRST_NS + 1439 * MINUTE_NS)
    bound = invoice(
        one_line("0.00015", request_id="req_1"),
        one_line("0.00015", request_id="req_2.1", period=day(1)),
        one_line("0.5", request_id="req_9"),
    )
    third = charge_row(3, usage=TokenUsage(2000, 0), at_ns=NOON_NS)
    found = reconcile("acme", [A_THOUSAND, late, third], bound, PLAIN)
    assert adds_up(found)
    assert [(row.period, [(one.cause, one.usd) for one in row.causes]) for row in found.rows] == [
        (
            day(0),
            [
                (Cause.USAGE, Decimal("-0.00015")),
                (Cause.DAY_BOUNDARY, Decimal("-0.00015")),
                (Cause.PRICE, Decimal("0.49985")),
            ][::-1],
        ),
        (day(1), [(Cause.DAY_BOUNDARY, Decimal("0.00015"))]),
    ]


def test_names_of_models() -> None:
    """By what we are told they are called, and without the date of a version that we have not."""
    dated = invoice(one_line("0.00015", model="acme-llama-2026-01-31"))
    assert not reconcile("acme", [A_THOUSAND], dated, PLAIN).causes
    other = invoice(one_line("0.00015", model="Acme Llama"))
    told = Reading({}, models={"Acme Llama": "acme-llama"})
    assert not reconcile("acme", [A_THOUSAND], other, told).causes
    assert len(reconcile("acme", [A_THOUSAND], other, PLAIN).causes) == 2


def test_an_invoice_that_tells_no_models_apart() -> None:
    """One amount a day for everything."""
    rows = [A_THOUSAND, charge_row(2, usage=TokenUsage(1000, 0), at_ns=NOON_NS, model="b")]
    line = one_line("0.00025", None, model=None, meter=None)
    found = reconcile("acme", rows, invoice(line), PLAIN)
    assert [(row.model, row.ours) for row in found.rows] == [(None, Decimal("0.0003"))]
    assert parts(found) == [(Cause.AMOUNT, "-0.00005")]


def test_only_the_provider_counts() -> None:
    """What others were charged is nobody's difference; nor, if it says so, another account."""
    other = replace(A_THOUSAND, provider="zeta")
    found = reconcile("acme", [A_THOUSAND, other], invoice(one_line("0.00015")), PLAIN)
    assert (found.causes, found.charges) == ((), 1)
    accounts = [replace(A_THOUSAND, account=one) for one in ("one", "two", None)]
    reading = Reading({}, account="one")
    found = reconcile("acme", accounts, invoice(one_line("0.00015")), reading)
    assert (found.causes, found.charges) == ((), 1)


def test_what_was_paid_for_ahead_is_on_no_invoice() -> None:
    """A draw is billed nothing, and its tokens are none of those that the provider counts; what
    went beyond a quota is billed."""
    drawn = replace(A_THOUSAND, billed=Money(0), commitment="c1", micro_units=9)
    beyond = replace(charge_row(2, usage=TokenUsage(1000, 0), at_ns=NOON_NS), commitment="c1")
    beyond = replace(beyond, overage_micro_units=9)
    rows = [A_THOUSAND, drawn, beyond]
    found = reconcile("acme", rows, invoice(one_line("0.00030", 2000)), PLAIN)
    assert (found.causes, found.charges) == ((), 2)


def test_days_with_daylight_saving() -> None:
    """A day of Berlin has 23 hours when summer begins: 23:30 UTC of the 28th is the 29th there."""
    at = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    row = replace(A_THOUSAND, at_ns=int(at.timestamp()) * 10**9)
    bound = invoice(one_line("0.00015", period=Period(date(2026, 3, 29), date(2026, 3, 30))))
    berlin = Reading({}, zone=ZoneInfo("Europe/Berlin"))
    assert not reconcile("acme", [row], bound, berlin).causes
    assert reconcile("acme", [row], bound, PLAIN).causes


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Period(day(0).start, day(3).start), "overlap"),
        (Period(date(1026, 1, 1), date(1026, 1, 2)), "is a year mistyped"),
    ],
)
def test_periods_that_cannot_be(second: Period, message: str) -> None:
    """Which charge belongs where must be plain."""
    with pytest.raises(NotAnInvoice, match=message):
        reconcile("acme", [], invoice(one_line("1"), one_line("1", period=second)), PLAIN)


def test_the_causes_of_rows_do_not_hide_each_other() -> None:
    """Too much on one day and too little on the next are both open."""
    rows = [A_THOUSAND, replace(A_THOUSAND, at_ns=NOON_NS + DAY_NS)]
    bound = invoice(one_line("0.00025"), one_line("0.00005", period=day(1)))
    found = reconcile("acme", rows, bound, PLAIN)
    assert found.causes == ()
    assert [row.causes for row in found.rows] == [
        (Explained(Cause.PRICE, Decimal("0.0001")),),
        (Explained(Cause.PRICE, Decimal("-0.0001")),),
    ]
    assert found.open == Decimal("0.0002")
    assert found.is_explained(Decimal("0.0002"))
    assert not found.is_explained(Decimal("0.00019"))
