"""Inception memos: what was documented of each hedge when it was designated."""

from __future__ import annotations

from decimal import Decimal

from hedge.effectiveness.accounting import HedgeAccounting
from hedge.effectiveness.designation import InceptionMemo
from hedgerow.reports.cells import columns, moment_text, month_text, text
from hedgerow.reports.document import Cell, Row, Section, Table

_NONE = (
    "No hedge was designated. A derivative that is to be accounted for as a hedge has to be"
    " documented when it begins: enter a designation with `hedgerow hedge book`. Until then its"
    " gains are results."
)


def memos_section(accounting: HedgeAccounting) -> Section:
    memos = [one.memo for one in accounting.relations if one.memo is not None]
    tables = tuple(_memo(memo, place) for place, memo in enumerate(memos, 1))
    support = text(accounting.support, *(() if memos else (_NONE,)))
    return Section("memos", "Inception memos", (support, *tables))


def _memo(memo: InceptionMemo, place: int) -> Table:
    rows: dict[str, tuple[str, Cell]] = {
        "id": ("Designation, and its hypothetical derivative", memo.id),
        "designated": (
            "Designated",
            f"{moment_text(memo.designated_at_ns)}, by {memo.designated_by}",
        ),
        "hash": ("SHA-256 of what was documented", memo.sha256),
        "objective": ("Objective", memo.objective),
        "strategy": ("Strategy", memo.strategy),
        "risk": ("Risk that is hedged", memo.risk),
        "item": ("Hedged item", _item(memo)),
        "instrument": ("Instrument", _instrument(memo)),
        "ratio": ("Hedge ratio", f"{_plain(memo.ratio)}: {memo.ratio_says}"),
        "method": ("How effectiveness is assessed", memo.method),
        "ineffectiveness": (
            "Sources of ineffectiveness",
            "; ".join(memo.sources_of_ineffectiveness) or "none are named",
        ),
        "probability": ("Chance that so much will be bought", f"{memo.probability:.1%}"),
        "plan": ("Plan behind it", _plan(memo)),
        "derived": ("Derived, not stated", ", ".join(memo.derived) or "nothing"),
        "rebalanced": ("Rebalanced", _rebalanced(memo)),
        "ended": ("Ended", _ended(memo)),
    }
    return Table(
        f"memo_{place}",
        f"Memo of {memo.id}",
        columns(what="What", documented="As documented"),
        tuple(Row(key, cells) for key, cells in rows.items()),
        empty=_NONE,
    )


def _plain(value: Decimal) -> str:
    return f"{value.normalize():,f}"


def _plan(memo: InceptionMemo) -> str:
    by = ", ".join(memo.approved_by) or "nobody"
    return f"{memo.plan}, approved by {by}; SHA-256 {memo.plan_sha256}"


def _item(memo: InceptionMemo) -> str:
    models = ", ".join(memo.models) or "any model"
    providers = ", ".join(memo.providers) or "any provider"
    by = f"by {memo.index}" if memo.index else "by the price that the ledger paid"
    beta = "" if memo.beta is None else f"; beta {_plain(memo.beta)}"
    return (
        f"{_plain(memo.volume)} {memo.volume_unit} of {models} at {providers} in"
        f" {memo.item_month:%Y-%m}, measured {by}{beta}"
    )


def _instrument(memo: InceptionMemo) -> str:
    return (
        f"{memo.lots:,} of the {memo.filled:,} lots of {memo.trade}: {memo.contract} ({memo.kind})"
        f" with {memo.counterparty}, {month_text(memo.month)}, {_plain(memo.index_units)} index"
        " units"
    )


def _rebalanced(memo: InceptionMemo) -> str:
    return (
        "; ".join(
            f"{one.day}, by {one.who}: volume {_plain(one.old_volume)} to"
            f" {_plain(one.new_volume)}, ratio {_plain(one.old_ratio)} to {_plain(one.new_ratio)}"
            f" ({one.reason})"
            for one in memo.rebalanced
        )
        or "never"
    )


def _ended(memo: InceptionMemo) -> str:
    if memo.ended is None:
        return "no"
    expected = "still expected" if memo.ended.still_expected else "not expected any more"
    return (
        f"{memo.ended.day}, by {memo.ended.who}: {memo.ended.reason}; the purchases were {expected}"
    )
