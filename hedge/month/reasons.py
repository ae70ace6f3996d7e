"""Reasons: why a plan holds what it holds, in sentences that a reader can check."""

from __future__ import annotations

from collections.abc import Sequence

from hedge.month.bills import bills
from hedge.month.contracts import Contract, ThroughputUnit
from hedge.month.loads import Loads, capacity_load
from hedge.month.scenarios import Floats, Scenarios
from hedge.risk import cvar
from ledger.money import NANOS_PER_USD


def break_even(contract: Contract, scenarios: Scenarios) -> float:
    """The part of a unit that has to be used for its fee to equal pay-as-you-go.

    At the scenarios' mean price and mix of tokens. Above 1, pay-as-you-go is always cheaper.
    """
    list_usd = float(scenarios.list_usd.sum())
    if isinstance(contract, ThroughputUnit):
        capacity = contract.tokens_per_minute * float(scenarios.minutes.sum())
        used = float((capacity_load(contract, scenarios) @ scenarios.minutes).sum())
    else:
        capacity = float(contract.quota_mtok)
        used = float(scenarios.mtok.sum())
    return contract.fee / NANOS_PER_USD / (capacity * list_usd / used)


def reasons(
    contracts: Sequence[Contract], scenarios: Scenarios, units: Floats, confidence: float
) -> tuple[str, ...]:
    """Why so many units of each contract, bought or not.

    Each contract is judged against the same holding without it: what is held of it, or the smallest
    size that is sold if nothing is.
    """
    loads = Loads.of(contracts, scenarios)
    said = []
    for k, contract in enumerate(contracts):
        with_it, without_it = units.copy(), units.copy()
        with_it[k], without_it[k] = units[k] or contract.min_units, 0
        billed = bills(loads, scenarios.minutes, with_it)
        spared = bills(loads, scenarios.minutes, without_it)
        mean_usd = float((billed.total_usd - spared.total_usd).mean())
        tail_usd = cvar(billed.total_usd, confidence) - cvar(spared.total_usd, confidence)
        effect = (
            f"{_moved('the expected month', mean_usd)} and "
            f"{_moved(f'the mean of the worst {(1 - confidence) * 100:.3g}% of months', tail_usd)}"
        )
        count, use = int(with_it[k]), billed.utilisation[k]
        even = _even(break_even(contract, scenarios))
        if units[k] > 0:
            sentence = f"{even}; {count} held are used {use:.0%}. They {effect}."
            if mean_usd > 0 > tail_usd:
                price = mean_usd / -tail_usd
                sentence += (
                    f" That is the price of certainty: {price:.2f} USD per USD off bad months."
                )
        else:
            sentence = (
                f"{even}; {count} more would be used {use:.0%}. Not bought: it would {effect}."
            )
        if contract.verification == "assumed":
            sentence += " Its terms are assumed."
        said.append(sentence)
    return tuple(said)


def _even(point: float) -> str:
    if point > 1:
        return f"Even fully used, a unit costs {point:.0%} of pay-as-you-go"
    return f"A unit breaks even at {point:.0%} use"


def _moved(what: str, by_usd: float) -> str:
    if abs(by_usd) < 0.5:
        return f"leave {what} as it is"
    return f"{'raise' if by_usd > 0 else 'lower'} {what} by {abs(by_usd):,.0f} USD"
