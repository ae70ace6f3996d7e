"""Requirements: what IFRS 9 and ASC 815 ask of a hedge, and what the books can say of each.

Support for the controller's decision: much of it is judgement, and stays open here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedge.contracts.contract import DerivativeContract
from hedge.effectiveness.designation import InceptionMemo
from hedge.effectiveness.volume import Forecast, VolumeTest
from ledger.instants import instant

if TYPE_CHECKING:
    from hedge.effectiveness.relation import Tested


@dataclass(frozen=True, slots=True)
class Requirement:
    """met: None where the books cannot tell; says: what they can, in a sentence."""

    name: str
    met: bool | None
    says: str


HIGHLY_EFFECTIVE = "highly effective"
"""How the names of those begin that the tests decide."""

_UNWRITTEN = Requirement(
    "documented at inception",
    False,
    "no designation is kept of it: `hedgerow hedge book --kind designation` keeps one, from its day"
    " on",
)


def ifrs9_requirements(
    memo: InceptionMemo | None,
    contract: DerivativeContract,
    tests: Iterable[Tested],
    volume: VolumeTest | None,
    held: int,
) -> tuple[Requirement, ...]:
    """held: lots of the trade that are open."""
    if memo is None:
        return (_UNWRITTEN, _credit(contract))
    return (
        _documented(memo),
        _probable(memo, volume),
        _economic(tests),
        _credit(contract),
        _ratio(memo, held),
        Requirement(
            "sources of ineffectiveness",
            bool(memo.sources_of_ineffectiveness),
            "; ".join(memo.sources_of_ineffectiveness) or "none are written down",
        ),
        Requirement(
            "rebalancing",
            None,
            f"{len(memo.rebalanced)} so far: {'; '.join(one.reason for one in memo.rebalanced)}"
            if memo.rebalanced
            else "never rebalanced; whether the ratio still fits is the controller's to see",
        ),
        Requirement(
            "no bright line",
            None,
            "80 to 125% is no requirement here: the tests are shown for the economic relationship,"
            " and for what is ineffective",
        ),
    )


def asc815_requirements(
    memo: InceptionMemo | None, tests: Iterable[Tested], volume: VolumeTest | None
) -> tuple[Requirement, ...]:
    if memo is None:
        return (_UNWRITTEN,)
    found = list(tests)
    return (
        _documented(memo),
        _probable(memo, volume),
        Requirement(
            "method documented at inception",
            True,
            f"{memo.method.replace('_', ' ')}"
            f"{', the usual one, which nobody chose' if 'method' in memo.derived else ''}",
        ),
        _highly_effective(memo, [one for one in found if not one.is_since_designation], "ahead"),
        _highly_effective(memo, [one for one in found if one.is_since_designation], "so far"),
        Requirement(
            "assessed at least every quarter",
            None,
            "this report assesses it each month; that it was read is for the sign-off to say",
        ),
        Requirement(
            "ASU 2025-09",
            None,
            "it widens the hedging of forecast purchases that are no financial items, and pools of"
            " similar risk: whether it is adopted is the controller's to say",
        ),
    )


def _documented(memo: InceptionMemo) -> Requirement:
    return Requirement(
        "documented at inception",
        True,
        f"{memo.id}, by {memo.designated_by} at"
        f" {instant(memo.designated_at_ns):%Y-%m-%d %H:%M} UTC, SHA-256 {memo.sha256}",
    )


def _probable(memo: InceptionMemo, volume: VolumeTest | None) -> Requirement:
    met = None
    if volume is not None and volume.forecast in (Forecast.PROBABLE, Forecast.NOT_PROBABLE):
        met = volume.forecast is Forecast.PROBABLE
    says = "not tested" if volume is None else volume.why_not or volume.says
    if volume is not None and volume.expected is not None:
        says = f"{volume.expected:,.0f} of {volume.designated:,.0f} {volume.unit} expected: {says}"
    return Requirement(
        "purchases highly probable", met, f"the memo says {memo.probability:.0%}; {says}"
    )


def _longest(tests: Iterable[Tested]) -> Tested | None:
    """The assessment of the most pairs."""
    found = [one for one in tests if one.assessment is not None]
    return max(found, key=lambda one: len(one.changes), default=None)


def _economic(tests: Iterable[Tested]) -> Requirement:
    name = "economic relationship"
    one = _longest(tests)
    if one is None or one.assessment is None:
        return Requirement(name, None, "too few prices are known to test it")
    found = one.assessment
    met = found.regression.slope > 0 and found.passes.significance_hac
    return Requirement(
        name,
        met if found.passes.n else None,
        f"slope {found.regression.slope:.3f}, R² {found.regression.r2:.3f} over"
        f" {found.regression.n} changes by the {one.every}"
        f"{'' if found.passes.n else ', too few to say'}",
    )


def _credit(contract: DerivativeContract) -> Requirement:
    name = "credit risk does not dominate"
    if contract.cleared and contract.kind != "forward":
        return Requirement(name, True, f"{contract.owed_by}: cleared, and margined daily")
    margin = "margin is asked for" if contract.margin is not None else "no margin is asked for"
    return Requirement(
        name,
        None,
        f"{contract.owed_by} owes it, no house clears it, and {margin}: its credit is the"
        " controller's to judge",
    )


def _ratio(memo: InceptionMemo, held: int) -> Requirement:
    name = "hedge ratio as really used"
    if memo.ended is not None:
        return Requirement(name, None, f"de-designated on {memo.ended.day}: {memo.ended.reason}")
    if not held:
        return Requirement(name, None, f"{memo.ratio_says}; settled or closed since")
    met = abs(held) >= abs(memo.lots)
    return Requirement(
        name,
        met,
        memo.ratio_says
        if met
        else f"{memo.lots} lots are designated and {held} are open: rebalance or end it",
    )


def _highly_effective(memo: InceptionMemo, tests: list[Tested], when: str) -> Requirement:
    """By the method that the memo names, over the most pairs."""
    name = f"{HIGHLY_EFFECTIVE}, {when}"
    one = _longest(tests)
    if one is None or one.assessment is None:
        return Requirement(name, None, "too few prices are known to test it")
    found = one.assessment
    if memo.method == "dollar_offset":
        offset = found.offset.cumulative
        told = "unknown" if offset is None else f"{offset:.1%}"
        return Requirement(
            name,
            None if offset is None else found.passes.dollar_offset,
            f"cumulative dollar offset {told} over {found.regression.n} changes by the {one.every};"
            " in practice 80 to 125%",
        )
    passes = found.passes
    met = passes.slope and passes.r2 and passes.significance_hac
    return Requirement(
        name,
        met if passes.n else None,
        f"slope {found.regression.slope:.3f}, R² {found.regression.r2:.3f}, p"
        f" {found.regression.hac.p:.2g} (HAC) over {found.regression.n} changes by the {one.every}"
        f"{'' if passes.n else ', too few to say (n < 30)'}",
    )
