"""Blocks: what a GPU block really costs, where a venue's book says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from hedge.contracts.capacity import GpuBlock
from hedge.venues.executable import Executable, Side

_NANO = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class NotSold:
    """No venue sells as much as the smallest purchase at the limit price."""

    reason: str


def limit_usd_per_gpu_hour(block: GpuBlock) -> Decimal:
    """Its own price, as venues quote it."""
    return block.prices[0].usd_per_month / (block.gpus * block.days * 24)


def at_venue(block: GpuBlock, books: Sequence[Executable]) -> GpuBlock | NotSold:
    """The block as a venue sells it: at most the units that stand there at its limit price or
    below, each at the average over all of them, which is never less than fewer of them cost.
    Without a book, it is offered at its limit price.

    Books quote a block in USD per GPU-hour, a lot being a unit of it.
    """
    book = next((one for one in books if one.contract == block.name), None)
    if book is None:
        return block
    limit, size = limit_usd_per_gpu_hour(block), block.size
    within = sum(level.lots for level in book.levels(Side.BUY) if level.price <= limit)
    steps = (min(within, size.max) - size.min) // size.step
    most = size.min + steps * size.step
    fill = book.fill(Side.BUY, most) if steps >= 0 else None
    if fill is None:
        return NotSold(f"no venue sells {size.min} at its limit of {limit:.4f} USD per GPU-hour")
    fee = (fill.average * block.gpus * block.days * 24).quantize(_NANO, ROUND_CEILING)
    price = block.prices[0].model_copy(update={"usd_per_month": fee})
    return block.model_copy(
        update={"prices": (price,), "size": size.model_copy(update={"max": most})}
    )
