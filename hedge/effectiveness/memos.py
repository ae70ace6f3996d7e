"""Memos: the inception memo of a designation, with what was said of it since."""

from __future__ import annotations

from decimal import Decimal, localcontext

from hedge.book.book import HedgeBook
from hedge.book.designated import Designated
from hedge.book.facts import Dedesignation, Fill, Rebalancing
from hedge.book.lots import per_lot
from hedge.contracts.contract import DerivativeContract
from hedge.effectiveness.designation import Ended, InceptionMemo, Rebalanced
from hedge.effectiveness.volume import volume_unit

RATIO_DIGITS = 10


def memo_of(
    book: HedgeBook, of: Designated, fill: Fill, contract: DerivativeContract
) -> InceptionMemo:
    fact = of.fact
    plan = book.plans[fill.plan]
    index_units = abs(fact.lots) * per_lot(contract)
    unit = volume_unit(fact.index)
    return InceptionMemo(
        id=of.id,
        sha256=of.sha256,
        designated_by=of.who,
        designated_at_ns=of.at_ns,
        trade=fact.fill,
        plan=plan.id,
        plan_sha256=plan.sha256,
        approved_by=tuple(one.who for one in plan.approvals if one.at_ns <= fill.at_ns),
        contract=contract.name,
        kind=contract.kind,
        counterparty=contract.owed_by,
        month=fact.month,
        lots=fact.lots,
        filled=fill.units,
        index_units=index_units,
        models=fact.models,
        providers=fact.providers,
        item_month=fact.item_month,
        index=fact.index,
        volume=fact.volume,
        volume_unit=unit,
        beta=fact.beta,
        ratio=_ratio(index_units, fact.volume),
        ratio_says=(
            f"{abs(fact.lots)} lots × {per_lot(contract):f} = {index_units:f}"
            f" for {fact.volume:f} {unit}"
        ),
        method=fact.method,
        risk=fact.risk,
        objective=fact.objective,
        strategy=fact.strategy,
        sources_of_ineffectiveness=fact.sources,
        probability=fact.probability,
        derived=fact.derived,
        rebalanced=_rebalanced(of, index_units),
        ended=_ended(of),
    )


def _rebalanced(of: Designated, index_units: Decimal) -> tuple[Rebalanced, ...]:
    found, volume = list[Rebalanced](), of.fact.volume
    for one in of.later:
        if isinstance(one.fact, Rebalancing):
            new = one.fact.volume
            ratios = _ratio(index_units, volume), _ratio(index_units, new)
            found.append(
                Rebalanced(one.record, one.day, one.who, one.fact.reason, volume, new, *ratios)
            )
            volume = new
    return tuple(found)


def _ended(of: Designated) -> Ended | None:
    one = of.ended
    if one is None or not isinstance(one.fact, Dedesignation):
        return None
    return Ended(one.record, one.day, one.who, one.fact.reason, one.fact.still_expected)


def _ratio(index_units: Decimal, volume: Decimal) -> Decimal:
    with localcontext(prec=RATIO_DIGITS):
        return index_units / volume
