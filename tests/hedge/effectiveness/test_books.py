"""The hedge's accounting over any book: it ties, months follow on, a naive model says the same."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hedge.book.entering import EntryKind
from hedge.effectiveness.accounting import HedgeAccounting
from hedge.errors import BookRefused
from ledger.business_days import business_days
from ledger.databases.sql import Sql
from ledger.money import Money, usd
from tests.hedge.book.contracts import approved, at, day
from tests.hedge.effectiveness.hedged import (
    accounted,
    designated,
    entered,
    priced,
    settled,
)
from tests.ledger.databases import on_sqlite

DAYS = business_days(date(2026, 11, 3), date(2026, 12, 21))
END = at("2026-12-21")
CENTS = st.integers(150, 400).map(lambda one: Decimal(one) / 100)


@dataclass(frozen=True)
class Did:
    """What happens on a day. volume: of a designation or rebalancing."""

    what: str
    price: Decimal
    units: int
    volume: int
    of: int
    is_expected: bool


DOINGS = st.builds(
    Did,
    st.sampled_from(
        [
            *("mark", "mark", "mark", "mark", "fill", "fill", "swap", "memo", "memo", "other"),
            *("end", "ptu", "resale", "payment", "deposit", "correction"),
        ]
    ),
    CENTS,
    st.integers(-5, 5).filter(bool),
    st.integers(100, 6000),
    st.integers(0, 9),
    st.booleans(),
)
BOOKS = st.lists(st.tuples(st.integers(0, len(DAYS) - 1), DOINGS), max_size=25)


@dataclass
class Memo:
    """A designation, as the naive model has it: volume by the day from which on it counts."""

    fill: str
    begins: date
    is_from_trade: bool
    volumes: list[tuple[date, int]]
    ends: date | None = None


@dataclass
class Model:
    """fills: day and price of those of GPU1."""

    fills: dict[str, tuple[date, Decimal]] = field(default_factory=dict)
    capacity: list[str] = field(default_factory=list)
    memos: dict[str, Memo] = field(default_factory=dict)

    def item(self, name: str, prices: list[tuple[date, Decimal]], until: date) -> Decimal:
        """The change of the purchases, day by day. prices: at which it was valued."""
        memo = self.memos[name]
        traded, entry = self.fills[memo.fill]
        total, volume = Decimal(0), 0
        last = entry
        on = traded
        while on < until and (memo.ends is None or on <= memo.ends):
            now = next((usd_ for at_, usd_ in reversed(prices) if at_ == on), last)
            if on > memo.begins or (on == memo.begins and memo.is_from_trade):
                for since, size in memo.volumes:
                    volume = size if since <= on else volume
                total -= volume * (now - last)
            last = now
            on += timedelta(days=1)
        return total


def run(sql: Sql, doings: list[tuple[int, Did]]) -> Model:
    """Day by day; what the book refuses is left out."""
    plan = approved(sql, "2026-11-02", {"GPU1": 1000, "H100-SWAP": 1000, "ptu": 500})
    model = Model()
    for number, (place, one) in enumerate(sorted(doings, key=lambda two: two[0])):
        on = DAYS[place]
        try:
            done(sql, model, plan, on, number, one)
        except BookRefused:
            continue
    settled(sql, "2026-12-22")
    return model


def done(sql: Sql, model: Model, plan: str, on: date, number: int, one: Did) -> None:
    when, names = on.isoformat(), list(model.memos)
    fills = list(model.fills)
    if one.what == "mark":
        priced(sql, "GPU1 2026-12", {when: str(one.price)})
        priced(sql, "H100-SWAP 2027-01", {when: str(one.price)})
        settled(sql, f"{when}T20:00")
    elif one.what in ("fill", "swap"):
        contract = "GPU1" if one.what == "fill" else "H100-SWAP"
        said: dict[str, Any] = {"plan": plan, "contract": contract, "reason": "as drawn"}
        said |= {"units": one.units, "price_usd": one.price, "month": day("2026-12-01")}
        entered(sql, when, EntryKind.FILL, str(number), **said)
        if one.what == "fill":
            model.fills[f"fill:{number}"] = (on, one.price)
    elif one.what == "ptu":
        said = {"plan": plan, "contract": "ptu", "units": 10 + 5 * abs(one.units), "months": 1}
        entered(sql, when, EntryKind.FILL, str(number), price_usd=Decimal(260), **said)
        model.capacity.append(f"fill:{number}")
    elif one.what in ("resale", "payment") and model.capacity:
        fill = model.capacity[one.of % len(model.capacity)]
        said = {"fill": fill, "amount": Money(one.volume * 10**9 + one.of)}
        said |= {"units": 5} if one.what == "resale" else {}
        entered(sql, when, EntryKind(one.what), str(number), **said)
    elif one.what == "deposit":
        amount = Money(one.units * 10**12 + one.of)
        entered(sql, when, EntryKind.DEPOSIT, str(number), counterparty="cme", amount=amount)
    elif one.what == "correction" and [*fills, *model.capacity]:
        wrong = [*fills, *model.capacity][one.of % len([*fills, *model.capacity])]
        entered(sql, when, EntryKind.CORRECTION, str(number), fill=wrong, reason="as drawn")
    elif one.what == "memo" and fills:
        fill, line = fills[one.of % len(fills)], f"designation:{number}"
        designated(sql, when, str(number), fill=fill, volume=Decimal(one.volume))
        ended = {other.ends for other in model.memos.values() if other.fill == fill}
        is_from_trade = model.fills[fill][0] == on and on not in ended
        model.memos[line] = Memo(fill, on, is_from_trade, [(on, one.volume)])
    elif one.what == "other" and names:
        name = names[one.of % len(names)]
        said = {"fill": name, "volume": Decimal(one.volume), "reason": "as drawn"}
        entered(sql, when, EntryKind.REBALANCING, str(number), **said)
        model.memos[name].volumes.append((on + timedelta(days=1), one.volume))
    elif one.what == "end" and names:
        name = names[one.of % len(names)]
        said = {"fill": name, "expected": one.is_expected, "reason": "as drawn"}
        entered(sql, when, EntryKind.DEDESIGNATION, str(number), **said)
        model.memos[name].ends = on


def check(sql: Sql, model: Model) -> HedgeAccounting:
    november, december = accounted(sql, "2026-11"), accounted(sql, "2026-12", END)
    assert november.ifrs9.opening == november.asc815.opening == 0
    assert november.ifrs9.closing == december.ifrs9.opening
    assert november.asc815.closing == december.asc815.opening
    for found in (november, december):
        for one in found.relations:
            for view in (one.ifrs9, one.asc815):
                parts = view.reserve.effective + view.ineffective + view.undesignated
                assert view.derivative == parts
                assert abs(one.ifrs9.effective_so_far) <= abs(view.derivative_so_far)
        compare(sql, model, found)
    return december


def compare(sql: Sql, model: Model, found: HedgeAccounting) -> None:
    """The change of the purchases, where the trade is still open, as the naive model has it."""
    rows = sql.execute("SELECT day, body FROM records WHERE kind = 'mark' ORDER BY day").fetchall()
    marks = [
        (date.fromisoformat(on), Decimal(body.split('"price_usd":"')[1].split('"')[0]))
        for on, body in rows
        if '"GPU1"' in body
    ]
    open_trades = {one.trade for one in found.positions.derivatives if one.lots}
    for one in found.relations:
        if one.memo is not None and one.trade in open_trades:
            expected = model.item(one.memo.id, marks, found.until)
            assert one.ifrs9.item_so_far == usd(expected)


@settings(max_examples=25, phases=[Phase.generate])
@given(BOOKS)
def test_any_book(doings: list[tuple[int, Did]]) -> None:
    """On SQLite: ties hold, months follow on, the purchases change as a naive model has it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(on_sqlite(Path(folder))().open()) as sql,
    ):
        check(sql, run(sql, doings))
