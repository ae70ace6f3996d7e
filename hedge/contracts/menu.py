"""The menu: contracts, what is owned and what can be executed, as the program's arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np

from hedge.contracts.blocks import NotSold, at_venue
from hedge.contracts.capacity import GpuBlock, PrepaidQuota
from hedge.contracts.contract import CapacityContract
from hedge.contracts.delivery import Delivery, drawn
from hedge.contracts.eligibility import left_out, starts
from hedge.contracts.lines import MOST_LEVELS, exposure_of, held_gain_usd, lines_of
from hedge.contracts.lots import Horizon, TermFlows, flows, losses_usd, most_units
from hedge.contracts.offered import Offered, Owned
from hedge.contracts.pools import Substance, substance_of, unit_brings
from hedge.contracts.terms import Price
from hedge.program.menu import Limit, Lot, Menu, Pool
from hedge.risk import Floats
from hedge.scenarios.months import Months
from ledger.commitments import CommitmentKind
from ledger.instants import instant
from ledger.money import NANOS_PER_USD

_DAY = timedelta(days=1)


def menu_of(offered: Offered, months: Months, *, today: date, seed: int) -> Menu:
    """What can be bought in these months. seed: of what counterparties deliver.

    Raises ContractInvalid for positions that cannot be valued.
    """
    horizon = Horizon(months.firsts, months.minutes.sum(axis=1), today)
    missing = left_out(offered, months.workloads, months.firsts, today)
    making = _Making(offered, months, horizon, seed)
    held, held_fee_usd = making.owned()
    for contract in offered.capacity:
        if contract.name not in missing:
            making.add(contract)
    derivatives = [one for one in offered.derivatives if one.name not in missing]
    indices = dict.fromkeys(one.settlement.index for one in derivatives)
    exposures = [exposure_of(index, offered, months, horizon) for index in indices]
    lines = [line for one in derivatives for line in lines_of(one, offered, months, horizon)]
    liquidity = offered.limits.liquidity_usd
    return Menu(
        pools=tuple(making.pools()),
        lots=tuple(making.lots),
        held=making.held_by_pool(held),
        held_fee_usd=held_fee_usd,
        lines=tuple(lines),
        exposures=tuple(one for one in exposures if one is not None),
        limits=tuple(making.limits()),
        liquidity_usd=None if liquidity is None else float(liquidity),
        held_gain_usd=held_gain_usd(offered, months, horizon),
        notes=(
            *(f"{name}: {reason}" for name, reason in missing.items()),
            *offered.refused,
            *_notes(offered, months, horizon, missing, {line.contract for line in lines}),
        ),
    )


@dataclass(slots=True)
class _Making:
    """Pools and lots while they are put together."""

    offered: Offered
    months: Months
    horizon: Horizon
    seed: int
    lots: list[Lot] = field(default_factory=list)
    _flows: list[TermFlows] = field(default_factory=list)
    _contracts: list[CapacityContract] = field(default_factory=list)
    _pools: dict[Substance, str] = field(default_factory=dict)
    _deliveries: dict[str, Delivery] = field(default_factory=dict)
    _owned_units: dict[str, int] = field(default_factory=dict)

    def add(self, contract: CapacityContract) -> None:
        """A lot for each of its terms."""
        if isinstance(contract, GpuBlock):
            sold = at_venue(contract, self.offered.books)
            contract = contract if isinstance(sold, NotSold) else sold
        most = most_units(contract, self._owned_units.get(contract.name, 0))
        if most < contract.size.min:
            return
        delivery = self._delivery(contract.owed_by)
        for price in contract.prices:
            found = flows(contract, price, self.horizon, self.offered.limits)
            end_value_usd = found.end_value_usd
            if delivery is not None:
                survives = float((delivery.fails_in == self.horizon.count).mean())
                end_value_usd = np.where(end_value_usd > 0, survives, 1.0) * end_value_usd
            self.lots.append(
                Lot(
                    contract=contract.name,
                    term_months=price.months,
                    pool=self._place(self._substance(contract, price), contract.name),
                    min_units=contract.size.min,
                    step=contract.size.step,
                    max_units=most,
                    fee_usd=found.fee_usd,
                    brings=found.brings,
                    end_value_usd=end_value_usd,
                    loss_usd=losses_usd(found, delivery)
                    if delivery is not None and delivery.can_fail
                    else None,
                )
            )
            self._flows.append(found)
            self._contracts.append(contract)

    def owned(self) -> tuple[dict[int, Floats], Floats]:
        """What commitments that we have bring to each pool, and their fees, evenly over their
        terms."""
        held: dict[int, Floats] = {}
        fee_usd = np.zeros(self.horizon.count)
        known = {one.name: one for one in self.offered.capacity}
        for one in self.offered.owned:
            share, _ = self._overlap(one)
            fee_usd += share * one.commitment.fee / NANOS_PER_USD
            contract = known.get(one.commitment.contract)
            if contract is None or not share.any():
                continue
            name = contract.name
            self._owned_units[name] = self._owned_units.get(name, 0) + one.commitment.units
            substance = self._substance(contract, contract.prices[0])
            place = self._place(substance, name)
            brings = self._brings(one)
            if substance.perishes and one.commitment.kind is not CommitmentKind.THROUGHPUT:
                brings = brings / self.horizon.minutes  # spend of a month, lost by the hour
            held[place] = held.get(place, np.zeros(self.horizon.count)) + brings
        return held, fee_usd

    def _brings(self, one: Owned) -> Floats:
        """Capacity of a commitment in each month: per minute, or of the month."""
        of_term, of_month = self._overlap(one)
        commitment = one.commitment
        units = float(commitment.units * commitment.capacity_units)
        if commitment.kind is CommitmentKind.THROUGHPUT or commitment.is_monthly:
            return units * of_month
        left = units if one.left_units is None else one.left_units
        still = of_term.sum()
        return np.zeros_like(of_term) if still == 0 else left * of_term / still

    def _overlap(self, one: Owned) -> tuple[Floats, Floats]:
        """The part of a commitment's term in each month, and the part of each month in it. What
        lies before today, or the first month, is over."""
        begins, ends = instant(one.commitment.starts_ns), instant(one.commitment.ends_ns)
        now = _midnight(self.horizon.today)
        spans = []
        for first, minutes in zip(self.horizon.firsts, self.horizon.minutes, strict=True):
            opens = _midnight(first)
            closes = opens + timedelta(minutes=float(minutes))
            inside = min(ends, closes) - max(begins, opens, min(now, closes))
            spans.append(max(0.0, inside.total_seconds() / 60))
        overlap = np.array(spans)
        term = (ends - begins).total_seconds() / 60
        return overlap / term, overlap / self.horizon.minutes

    def pools(self) -> Iterator[Pool]:
        for substance, name in self._pools.items():
            yield substance.pool(name, self._deliveries.get(substance.owed_by))

    def held_by_pool(self, held: Mapping[int, Floats]) -> Floats:
        none = np.zeros(self.horizon.count)
        rows = [held.get(place, none) for place in range(len(self._pools))]
        return np.array(rows).reshape(len(rows), self.horizon.count)

    def limits(self) -> Iterator[Limit]:
        """Of what is prepaid to a counterparty in each month, and of a provider's share."""
        for counterparty in self.offered.counterparties:
            if counterparty.limit_usd is None:
                continue
            theirs = self._lots_of(counterparty.name, "owed_by")
            for month, first in enumerate(self.horizon.firsts):
                prepaid = {at: self._flows[at].prepaid_usd[:, month] for at in theirs}
                if any(one.any() for one in prepaid.values()):
                    name = f"prepaid to {counterparty.name} in {first:%Y-%m}"
                    yield Limit(name, prepaid, float(counterparty.limit_usd))
        share = self.offered.limits.provider_share
        if share is None:
            return
        spend_usd = self.months.month_usd().mean(axis=0)
        for provider in dict.fromkeys(one.provider for one in self._contracts):
            theirs = self._lots_of(provider, "provider")
            for month, first in enumerate(self.horizon.firsts):
                fees = {at: self._flows[at].fee_usd[:, month] for at in theirs}
                yield Limit(
                    f"fees of {provider} in {first:%Y-%m}",
                    fees,
                    float(share) * float(spend_usd[month]),
                )

    def _lots_of(self, name: str, key: str) -> list[int]:
        return [at for at, one in enumerate(self._contracts) if getattr(one, key) == name]

    def _substance(self, contract: CapacityContract, price: Price) -> Substance:
        per_month = unit_brings(
            contract, float(price.usd_per_month), price.months, self.horizon.minutes
        )
        return substance_of(
            contract,
            self.offered,
            self.months.workloads,
            quota_per_month=float(per_month[0]),
            is_at_risk=self._delivery(contract.owed_by) is not None,
        )

    def _place(self, substance: Substance, name: str) -> int:
        """Its pool's place; a new pool is called after the first contract in it."""
        if substance not in self._pools:
            taken = set(self._pools.values())
            called = name if name not in taken else f"{name} ({len(taken) + 1})"
            self._pools[substance] = called
        return list(self._pools).index(substance)

    def _delivery(self, owed_by: str) -> Delivery | None:
        counterparty = self.offered.counterparty(owed_by)
        if counterparty is None:
            return None
        if owed_by not in self._deliveries:
            self._deliveries[owed_by] = drawn(
                counterparty, self.months.count, self.horizon.count, self.seed
            )
        return self._deliveries[owed_by]


def _notes(
    offered: Offered,
    months: Months,
    horizon: Horizon,
    missing: Mapping[str, str],
    lined: Collection[str],
) -> Iterator[str]:
    """What the arrays make simpler than it is, and what is not counted. lined: derivatives that
    have lines."""
    for contract in offered.capacity:
        if contract.name in missing:
            continue
        never = not all(starts(contract, horizon.firsts, horizon.today))
        if isinstance(contract, PrepaidQuota) and any(one.months > 1 for one in contract.prices):
            yield f"{contract.name}: its quota is planned in even monthly shares"
        elif isinstance(contract, GpuBlock):
            yield (
                f"{contract.name}: it is there from {contract.starts} to {contract.ends}; a month"
                " that it covers in part is planned with that part of its capacity throughout"
            )
            if not any(book.contract == contract.name for book in offered.books):
                yield f"{contract.name}: no quote: its limit price is planned, and may not fill"
        elif never:
            yield f"{contract.name}: it cannot be bought in every month"
        if any(one.term_days for one in contract.prices):
            yield f"{contract.name}: sold for less than a month, planned month by month"
    for derivative in offered.derivatives:
        if derivative.name in missing:
            continue
        if derivative.settlement.index not in months.indices:
            yield (
                f"{derivative.name}: 0 lots, as there are no scenarios of"
                f" {derivative.settlement.index}: import its fixings with `hedgerow hedge settle"
                " --prices`"
            )
            continue
        if derivative.name not in lined:
            yield f"{derivative.name}: 0 lots, as no venue quotes it for a month that is planned"
            continue
        if derivative.margin is not None and derivative.margin.assumed:
            yield f"{derivative.name}: its margin is assumed"
        if derivative.kind == "perp":
            yield (
                f"{derivative.name}: beyond what the price is above the index at entry, funding is"
                " taken to be 0 on average"
            )
        deepest = (
            max(len(book.bids), len(book.asks))
            for book in offered.books
            if book.contract == derivative.name
        )
        if max(deepest, default=0) > MOST_LEVELS:
            yield f"{derivative.name}: levels of a book beyond the {MOST_LEVELS} best are left out"
    known = {one.name for one in offered.contracts}
    for one in offered.owned:
        if one.commitment.contract not in known:
            yield (
                f"commitment {one.commitment.id}: no contract file has the terms of"
                f" {one.commitment.contract}: its fee is counted, its capacity is not"
            )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
