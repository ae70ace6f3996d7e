"""Eligibility: what is left off the menu, and why; what a contract may serve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from hedge.contracts.blocks import NotSold, at_venue
from hedge.contracts.capacity import GpuBlock
from hedge.contracts.contract import CapacityContract, Contract, DerivativeContract
from hedge.contracts.offered import Offered
from hedge.scenarios.workload import Workload


def left_out(
    offered: Offered, workloads: Sequence[str], firsts: Sequence[date], today: date
) -> dict[str, str]:
    """Contracts that no plan of these months can hold, by name, each with why. firsts: each month's
    first day."""
    found = {}
    for contract in offered.contracts:
        reason = next(_reasons(contract, offered, workloads, firsts, today), None)
        if reason is not None:
            found[contract.name] = reason
    return found


def why_not(contract: CapacityContract, workload: Workload) -> str | None:
    """Why a contract may not serve a workload; None if it may."""
    lacking = [model for model in workload.models if model not in contract.models]
    if not contract.models:
        return "it says for no model that it serves it: write covers, or models"
    if lacking:
        return f"it does not serve {', '.join(lacking)}"
    floor, limit = workload.quality_at_least, workload.ttft_ms_p95_max
    if floor is not None and (contract.quality is None or contract.quality < floor):
        told = "nobody says its quality" if contract.quality is None else f"{contract.quality:g}"
        return f"{workload.name} asks for a quality of {floor:g}: {told}"
    if limit is not None and (contract.ttft_ms_p95 is None or contract.ttft_ms_p95 > limit):
        told = (
            "it says none" if contract.ttft_ms_p95 is None else f"it keeps {contract.ttft_ms_p95:g}"
        )
        return f"{workload.name} asks for a p95 to first token of {limit:g} ms: {told}"
    return None


def start_day(first: date, today: date) -> date:
    """The day on which what starts in a month is bought."""
    return max(first, today)


def starts(contract: CapacityContract, firsts: Sequence[date], today: date) -> list[bool]:
    """In which months a purchase may start."""
    if isinstance(contract, GpuBlock):
        window = (contract.starts.year, contract.starts.month)
        return [
            (first.year, first.month) == window
            and contract.starts >= today
            and contract.can_be_bought_on(today)
            for first in firsts
        ]
    return [contract.can_be_bought_on(start_day(first, today)) for first in firsts]


def _reasons(
    contract: Contract,
    offered: Offered,
    workloads: Sequence[str],
    firsts: Sequence[date],
    today: date,
) -> Iterator[str]:
    if contract.status == "pending":
        yield "it is announced and cannot be bought yet"
    if contract.valid_to is not None and contract.valid_to < today:
        yield f"it could be bought until {contract.valid_to}"
    if isinstance(contract, DerivativeContract):
        if not contract.can_be_bought_on(today):
            yield f"it can be bought from {contract.valid_from} on"
        if contract.beta is None:
            yield (
                f"how our spend moves with {contract.settlement.index} is not known, and sellers"
                " set list prices of tokens as they like: write a beta if you have one"
            )
        elif contract.beta <= 0:
            yield (
                f"our spend does not rise with {contract.settlement.index}: beta {contract.beta}"
            )
        if not any(book.contract == contract.name for book in offered.books):
            yield "no venue's price of it is there: fills are never assumed"
        return
    if isinstance(contract, GpuBlock):
        if contract.starts < today:
            yield f"its window has begun on {contract.starts}"
        if isinstance(sold := at_venue(contract, offered.books), NotSold):
            yield sold.reason
    if not any(starts(contract, firsts, today)):
        yield f"it cannot be bought in the {len(firsts)} months from {firsts[0]} on"
    against = [why_not(contract, offered.workload(name)) for name in workloads]
    if all(against):
        yield "; ".join(dict.fromkeys(filter(None, against)))
