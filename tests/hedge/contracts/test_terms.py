"""Terms that can be bought, and those that cannot be: a sentence says what to write instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.contracts.contract import KINDS, contracts_of
from hedge.contracts.contracts_file import Use
from hedge.contracts.shipped import catalogue
from hedge.contracts.terms import Size
from hedge.errors import ContractInvalid
from tests.hedge.contracts.builders import contract, raw


@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 60))
def test_units_sold_are_none_or_the_minimum_plus_whole_steps(
    least: int, step: int, more: int
) -> None:
    """`sells` says yes to exactly the sizes that counting up from the minimum meets."""
    size = Size(min=least, step=step, max=least + more)
    counted = {0, *range(least, size.max + 1, step)}
    assert {n for n in range(-3, size.max + 9) if size.sells(n)} == counted


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_and_written_alike(kind: str) -> None:
    """What is written out is read as the same contract."""
    found = contract(kind)
    assert found.kind == kind
    told = found.model_dump(mode="json", exclude_unset=True)
    assert contracts_of([told], "again") == (found,)


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("flat_plan", {"quota_units": "0"}, "quota_units: is 0 or less: write more than 0"),
        ("flat_plan", {"prices": [{"usd_per_month": "-1"}]}, "prices[0].usd_per_month: is below 0"),
        ("flat_plan", {"prices": []}, "prices: is empty: write at least one"),
        ("flat_plan", {"prices": [{"usd_per_month": "ten"}]}, "is no number: write digits"),
        ("flat_plan", {"prices": [{"usd_per_month": "0.0000000001"}]}, "nine decimals"),
        (
            "flat_plan",
            {"prices": [{"usd_per_month": "1"}, {"usd_per_month": "2"}]},
            "two prices for a term of 1 months",
        ),
        (
            "flat_plan",
            {"prices": [{"usd_per_month": "1", "months": 2, "term_days": 7}]},
            "term_days 7 stands beside months 2",
        ),
        ("flat_plan", {"quota_units": "1e400"}, "quota_units: is above 1000000000000000000"),
        ("flat_plan", {"quota_units": "1e-400"}, "has more than 12 decimals: write fewer"),
        ("flat_plan", {"quotas": "3"}, "quotas: is no key of this kind of contract"),
        ("flat_plan", {"size": {"min": 5, "max": 3}}, "max 3 is below min 5; write a max of 5"),
        (
            "flat_plan",
            {"valid_from": "2027-01-01", "valid_to": "2026-01-01"},
            "valid_to 2026-01-01 lies before valid_from 2027-01-01",
        ),
        ("flat_plan", {"valid_from": "soon"}, "valid_from: is no date"),
        ("flat_plan", {"notice_days": 30}, "notice_days without auto_renew"),
        ("flat_plan", {"auto_renew": "perhaps"}, "auto_renew: is neither true nor false"),
        ("flat_plan", {"overage": {"then": "bill"}}, "`then: bill` and usd_per_unit go together"),
        ("flat_plan", {"overage": {"usd_per_unit": "1"}}, "`then: bill` and usd_per_unit go"),
        ("flat_plan", {"overage": {"limit_units": "1"}}, "limit_units goes with `then: bill`"),
        ("flat_plan", {"status": "maybe"}, "status: is not known: write 'listed' or 'pending'"),
        (
            "throughput_reservation",
            {"overage": {"then": "bill", "usd_per_unit": "1"}},
            "overage is billed beyond a quota, and there is none here",
        ),
        (
            "throughput_reservation",
            {"burndown": {"prompt": 0, "cached": 0, "completion": 0}},
            "burndown: nothing takes any capacity",
        ),
        ("spend_commitment", {"discount": "1"}, "discount: is 1 or more: write less than 1"),
        ("spend_commitment", {"burndown": {}}, "counts USD, not tokens; take burndown out"),
        ("gpu_block", {"ends": "2026-12-01"}, "ends 2026-12-01 lies before starts 2026-12-10"),
        ("gpu_block", {"prices": [{"usd_per_month": "1", "months": 2}]}, "a block has one price"),
        ("forward", {"valid_to": "2027-02-01"}, "lies after delivery 2027-01-15"),
        ("forward", {"cleared": True}, "a forward has one counterparty and is not cleared"),
        ("future", {"margin": {"initial": 1, "maintenance": 2}}, "maintenance 2 is above initial"),
        ("future", {"multiplier": "NaN"}, "multiplier: is no finite number"),
    ],
)
def test_contradictory_terms_are_refused(kind: str, change: dict[str, Any], says: str) -> None:
    """One wrong thing is told with the file, the contract's name, the field and what to write."""
    with pytest.raises(ContractInvalid) as refused:
        contracts_of([raw(kind), raw(kind, name="ours", **change)], "ours.yaml")
    assert str(refused.value).startswith("ours.yaml: contract ours: ")
    assert says in str(refused.value)


def test_a_forward_says_when_it_delivers() -> None:
    """It settles in one month, so it has to say in which."""
    without = {key: value for key, value in raw("forward").items() if key != "delivery"}
    with pytest.raises(ContractInvalid, match="contract forward: delivery: is missing: write it"):
        contracts_of([without], "f.yaml")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ([{"name": "a"}], "contract a: has no kind"),
        ([{"kind": "barter", "name": "a"}], "contract a: has an unknown kind: write one of"),
        ([{"kind": "flat_plan"}], "contract number 1: name: is missing"),
        ([raw("flat_plan"), raw("flat_plan")], "two contracts are named flat_plan: rename one"),
        ("none", "f.yaml: contracts: "),
        ([7], "contract number 1"),
    ],
)
def test_what_is_no_contract_is_refused(written: object, says: str) -> None:
    """Never a traceback, whatever stands there."""
    with pytest.raises(ContractInvalid) as refused:
        contracts_of(written, "f.yaml")
    assert says in str(refused.value)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(KINDS), st.data())
def test_whatever_stands_in_a_field_it_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    """Never another error than the one that says what is wrong, in one line."""
    written = raw(kind)
    field = data.draw(st.sampled_from(sorted(written)))
    try:
        contracts_of([{**written, field: data.draw(JUNK)}], "f.yaml")
    except ContractInvalid as refused:
        assert str(refused).startswith("f.yaml: contract")  # noqa: PT017 - most are refused
        assert len(str(refused).splitlines()) == 1  # noqa: PT017


def test_a_use_differs_in_what_it_says_alone() -> None:
    """A contract of the catalogue with our own price is the same but for that."""
    shipped = catalogue()["azure-ptu-gpt-5.2"]
    own = Use.model_validate(
        {
            "from": shipped.name,
            "name": "ours",
            "prices": [{"usd_per_month": "200"}],
            "source": raw("flat_plan")["source"],
        }
    ).of(catalogue())
    assert own.name == "ours"
    assert [str(price.usd_per_month) for price in getattr(own, "prices", ())] == ["200"]
    changed = {"name", "prices", "source"}
    assert own.model_dump(exclude=changed) == shipped.model_dump(exclude=changed)
    plain = Use.model_validate({"from": shipped.name})
    assert plain.of(catalogue()) == shipped


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"from": "nothing"}, "the catalogue has no contract nothing"),
        ({"from": "cme-gpu1-h100", "quality": "0.7"}, "is a future and has no quality"),
    ],
)
def test_a_use_of_what_is_not_there_is_refused(written: dict[str, Any], says: str) -> None:
    """A contract that nobody ships, or a key that its kind has not."""
    with pytest.raises(ContractInvalid, match=says):
        Use.model_validate(written).of(catalogue())
