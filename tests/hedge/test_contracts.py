"""Terms that can be bought, and terms that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.errors import ContractInvalid
from hedge.month.contracts import FlatPlan, ThroughputUnit, contracts_of
from hedge.month.sample import sample
from ledger.money import usd
from tests.hedge.months import throughput

FLAT: dict[str, Any] = {
    "kind": "flat_plan",
    "name": "a",
    "provider": "p",
    "models": ["m"],
    "fee_usd": "39.5",
    "quota_mtok": 100,
    "max_units": 5,
    "source": "its price page",
    "retrieved_at": "2026-11-20",
    "verification": "primary",
}


@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 60))
def test_units_sold_are_none_or_the_minimum_plus_whole_steps(
    least: int, step: int, more: int
) -> None:
    """`sells` says yes to exactly the sizes that counting up from the minimum meets."""
    contract = throughput(least=least, step=step, most=least + more)
    counted = {0, *range(least, contract.max_units + 1, step)}
    assert {n for n in range(-3, contract.max_units + 9) if contract.sells(n)} == counted
    assert least + contract.most_steps * step == max(counted)


def test_contracts_are_read_by_kind() -> None:
    """The kind decides the class; fees are exact Money."""
    reserved = {
        **FLAT,
        "kind": "throughput_reservation",
        "name": "b",
        "tokens_per_minute": 1000,
        "output_burndown": "8",
    }
    del reserved["quota_mtok"]
    one, two = contracts_of([FLAT, reserved], "here")
    assert isinstance(one, FlatPlan)
    assert isinstance(two, ThroughputUnit)
    assert one.fee == usd("39.5")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fee_usd": "-1"}, "fee_usd.*greater than or equal to 0"),
        ({"fee_usd": "0.0000000001"}, "more than nine decimals"),
        ({"min_units": 6}, "max_units 5 is below min_units 6"),
        ({"quota_mtok": 0}, "quota_mtok.*greater than 0"),
        ({"discount": 3}, "discount.*Extra inputs"),
        ({"kind": "swap"}, "flat_plan"),
        ({"models": []}, "models.*at least 1 item"),
        ({"verification": "sure"}, "primary"),
        ({"overage": {"usd_per_mtok": 0, "limit_mtok": 1}}, "usd_per_mtok.*greater than 0"),
    ],
)
def test_wrong_terms_are_refused(change: dict[str, object], said: str) -> None:
    """The error names the file, the contract's place and what is wrong with it."""
    with pytest.raises(ContractInvalid, match=rf"^here: contract 0.*{said}"):
        contracts_of([{**FLAT, **change}], "here")


def test_two_of_one_name_are_refused() -> None:
    """A plan names its positions by contract."""
    with pytest.raises(ContractInvalid, match="two contracts are named a"):
        contracts_of([FLAT, FLAT], "here")


def test_the_sample_says_what_it_is() -> None:
    """Simulated demand and assumed terms are labelled so, and the month is worth planning."""
    bundled = sample()
    assert "Simulated" in bundled.label
    assert {one.verification for one in bundled.contracts} == {"assumed"}
    assert usd(10_000) < bundled.history.list_cost < usd(100_000)
    assert bundled.history.sha256() == sample().history.sha256()
