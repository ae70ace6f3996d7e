"""The shipped catalogue: never more certain than its sources, and as they say."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

from hedge.contracts.comparison import Compared, Mix, compared
from hedge.contracts.contract import KINDS
from hedge.contracts.derivatives import Derivative, Event, Future, Perpetual, Swap
from hedge.contracts.shipped import catalogue
from hedgerow.contracts_page import page

ROOT = Path(__file__).parents[3]
PROMPTS_ALONE = Mix(Decimal(100), Decimal(0), Decimal(0))
MIXED = Mix(Decimal(70), Decimal(10), Decimal(20))
CERTAIN = ("primary", "transcribed", "secondary")


def rows(prefix: str, mix: Mix = PROMPTS_ALONE) -> list[Compared]:
    return [
        row
        for name, one in catalogue().items()
        if name.startswith(prefix)
        for row in compared(one, mix)
    ]


def test_the_page_is_of_today() -> None:
    """docs/contracts.md has what the catalogue says; if not, write it anew:
    python -m hedgerow.contracts_page > docs/contracts.md"""
    assert (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8") == page()


def test_every_row_says_where_it_is_from() -> None:
    """A source that was read before the catalogue was made, and a note on what is assumed."""
    for contract in catalogue().values():
        assert contract.source.retrieved_at <= date(2026, 11, 20)
        assert contract.source.note
        if contract.source.verification == "assumed":
            assert "assumed" in contract.source.note


def test_every_kind_but_the_forward_is_there() -> None:
    """No seller of forwards was found; every other kind has terms."""
    assert {one.kind for one in catalogue().values()} == set(KINDS) - {"forward"}


def test_azure_breaks_even_where_the_source_says() -> None:
    """A month at 95 to 100% utilisation, a year at 81 to 85%, by the hour never: 2.7 to 2.8 times
    pay-as-you-go; whatever part of the tokens is output, since it burns as list prices do; cached
    tokens do not count, so with some it is less."""
    for mix in (PROMPTS_ALONE, Mix(Decimal(75), Decimal(0), Decimal(25))):
        found = [row for row in rows("azure-ptu-gpt", mix) if row.break_even is not None]
        assert len(found) == 18
        for row in found:
            low, high = (95, 100) if row.term == "1 mo" else (81, 85)
            assert low <= round(100 * (row.break_even or 0)) <= high, row
    without, with_cached = (rows("azure-ptu-gpt-5.2", mix)[0] for mix in (PROMPTS_ALONE, MIXED))
    assert (with_cached.break_even or 1) < (without.break_even or 0)
    (hourly,) = rows("azure-ptu-hourly")
    assert Decimal("2.7") < (hourly.break_even or 0) < Decimal("2.81")


def test_openai_scale_tier_costs_more_than_pay_as_you_go() -> None:
    """1.09 to 1.67 times at full use."""
    for row in rows("openai-scale", MIXED):
        assert Decimal("1.09") <= (row.break_even or 0) <= Decimal("1.67"), row


def test_together_by_the_hour() -> None:
    """3.99, 5.49 and 9.95 USD per GPU-hour."""
    found = [str(row.usd_per_gpu_hour) for row in rows("together")]
    assert found == ["3.990000", "5.490000", "9.950000"]


def test_futures_that_no_regulator_let_through_are_pending() -> None:
    """730 GPU-hours, tick 7.30, the mean over business days, fees 6.85 a lot; nobody knows the
    margin. A plan may not hold them."""
    for name, limit in (("cme-gpu1-h100", 7500), ("cme-gpu2-b200", 5500)):
        future = catalogue()[name]
        assert isinstance(future, Future)
        assert future.status == "pending"
        assert future.multiplier * future.tick_usd == Decimal("7.30")
        assert future.settlement.averaging == "arith_bd"
        assert future.fees.trade + future.fees.settle == Decimal("6.85")
        assert (future.listed_months, future.block_min, future.position_limit) == (36, 5, limit)
        assert future.margin is not None
        assert future.margin.assumed


def test_no_derivative_claims_a_price_or_a_beta() -> None:
    """Fills are never assumed, nor that list prices follow an index."""
    found = [one for one in catalogue().values() if isinstance(one, Derivative)]
    assert {type(one) for one in found} == {Future, Swap, Perpetual, Event}
    for one in found:
        assert one.beta is None
        assert compared(one, MIXED)[0].usd_per_month is None


def test_who_nobody_knows_the_price_of_is_assumed() -> None:
    """Bedrock publishes none; the shapes are of no seller; Fireworks names no commitments."""
    for row in rows(""):
        is_guessed = row.contract.startswith(
            ("bedrock", "flat-", "prepaid-", "commitment-", "fireworks", "power", "architect")
        )
        assert (row.sure == "assumed") == (is_guessed or "regional" in row.contract), row.contract
        assert row.sure in (*CERTAIN, "assumed")
