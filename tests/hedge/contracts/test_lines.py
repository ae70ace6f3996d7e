"""Lines of derivatives: what lots pay at executable prices, and how far they may go."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.contracts.contract import DerivativeContract
from hedge.contracts.limits import HedgeLimits
from hedge.contracts.lines import without_view
from hedge.contracts.menu import menu_of
from hedge.contracts.offered import HeldLots, Offered
from hedge.errors import ContractInvalid
from hedge.program.menu import Line, Menu
from hedge.risk import Floats
from hedge.venues.executable import Executable, Level
from tests.hedge.contracts.builders import FIRSTS, TODAY, months, paying

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
JANUARY = FIRSTS[1]
Levels = tuple[tuple[str, int], ...]


def book(name: str, month: date | None, asks: Levels = (), bids: Levels = ()) -> Executable:
    def levels(side: Levels) -> tuple[Level, ...]:
        return tuple(Level(Decimal(price), lots) for price, lots in side)

    return Executable(name, month, AT, levels(bids), levels(asks), "q.csv")


def fixings(*usd: float) -> Floats:
    """The same in every scenario: one fixing for each month."""
    return np.tile(np.array(usd, dtype=np.float64), (20, 1))


def menu(contract: DerivativeContract, quoted: Executable, index_usd: Floats, **more: Any) -> Menu:
    offered = Offered([contract], books=[quoted], **more)
    return menu_of(offered, months(index_usd=index_usd), today=TODAY, seed=1)


def only_line(found: Menu) -> Line:
    (line,) = found.lines
    return line


def test_ten_lots_of_gpu1() -> None:
    """Long 10 at 2.50, the month's mean at 2.80: +2,190.00 less fees of 68.50; in no other month
    but the trade's fee in the first."""
    gpu1 = paying("future", name="gpu1", fees={"trade": "5.50", "settle": "1.35"})
    quoted = book("gpu1", JANUARY, asks=(("2.50", 10),))
    line = only_line(menu(gpu1, quoted, fixings(2.6, 2.8, 9.9)))
    gain_usd = 10 * line.gain_usd[0]
    assert gain_usd == pytest.approx([-55.00, 2190.00 - 13.50, 0])
    assert gain_usd.sum() == pytest.approx(2190.00 - 68.50)
    assert (line.side, line.max_lots, line.month) == (1, 10, 1)
    assert line.exposure_units.tolist() == [0, 730, 0]


def test_selling_pays_the_other_way_at_the_bid() -> None:
    """Short at 2.40 with the mean at 2.80 loses 0.40 a unit, and its exposure is negative."""
    quoted = book("future", JANUARY, bids=(("2.40", 3),))
    line = only_line(menu(paying("future"), quoted, fixings(2.6, 2.8, 3)))
    assert line.gain_usd[0] == pytest.approx([0, -0.40 * 730, 0])
    assert (line.side, line.exposure_units[1]) == (-1, -730)


@given(
    st.lists(
        st.tuples(st.integers(200, 400), st.integers(1, 30)), max_size=8, unique_by=lambda x: x[0]
    ),
    st.integers(1, 50),
)
def test_a_line_for_each_level_walks_the_book(levels: list[tuple[int, int]], limit: int) -> None:
    """Filled from the best on, lines cost what walking the book costs, lot by lot, up to the
    position limit; each is dearer than the one before."""
    asks = tuple((f"{price}e-2", lots) for price, lots in sorted(levels))
    quoted = book("future", JANUARY, asks=asks)
    found = menu(paying("future", position_limit=limit), quoted, fixings(2, 3, 3)).lines
    single = [price / 100 for price, lots in sorted(levels) for _ in range(lots)][:limit]
    of_lines = [line.gain_usd[0, 1] / 730 for line in found for _ in range(line.max_lots)]
    assert of_lines == pytest.approx([3 - price for price in single])


def test_every_kind_pays_by_its_own_rule() -> None:
    """A swap each month from its start, a forward in its month, a perpetual the change of the index
    until it is closed, an event its payout at the strike."""
    paths = fixings(2.6, 2.8, 3.0)

    def gain(contract: DerivativeContract, month: date | None, price: str) -> list[float]:
        quoted = book(contract.name, month, asks=((price, 5),))
        return list(map(float, only_line(menu(contract, quoted, paths)).gain_usd[0]))

    assert gain(paying("swap"), JANUARY, "2.50") == pytest.approx([0, 0.3 * 730, 0.5 * 730])
    assert gain(paying("forward"), JANUARY, "2.50") == pytest.approx([0, 0.3 * 730, 0])
    fees = {"trade": "1", "half_spread": "2"}
    perp = paying("perp", multiplier="10", fees=fees, taker_fee="0.01")
    trade = 1 + 0.01 * 2.5 * 10
    expected = [1.0 - trade, 2.0, 2.0 - trade - 2]
    assert gain(perp, None, "2.50") == pytest.approx(expected)
    assert gain(paying("event", strike="2.8"), JANUARY, "0.40") == pytest.approx([0, 0.6, 0])
    assert gain(paying("event", strike="2.81"), JANUARY, "0.40") == pytest.approx([0, -0.4, 0])
    below = paying("event", strike="2.81", side="below")
    assert gain(below, JANUARY, "0.40") == pytest.approx([0, 0.6, 0])


def test_margin_is_called_while_a_lot_is_open() -> None:
    """A January future is marked in December and January, a forward never."""
    quoted = book("future", JANUARY, asks=(("2.50", 5),))
    future = paying("future", margin={"initial": "300", "maintenance": "200"})
    line = only_line(menu(future, quoted, fixings(2.0, 2.8, 9.9)))
    assert line.marked_usd[0] == pytest.approx([-0.5 * 730, 0.3 * 730, 0])
    assert line.margin_usd == 300
    forward = only_line(menu(paying("forward", name="future"), quoted, fixings(2.0, 2.8, 9.9)))
    assert not forward.marked_usd.any()
    assert forward.margin_usd == 0


def test_no_more_is_hedged_than_is_highly_probable() -> None:
    """beta × spend over the index in the scenarios, at the 5% quantile, times the hedge ratio, less
    what is held; the smaller beta of two contracts on one index counts."""
    index_usd = np.random.default_rng(3).uniform(2, 4, (20, 3))
    quoted = book("future", JANUARY, asks=(("2.50", 5),))
    likely = np.quantile(months().month_usd() / index_usd, 0.05, axis=0)
    limits = HedgeLimits(hedge_ratio=Decimal("0.8"))
    (exposure,) = menu(paying("future"), quoted, index_usd, limits=limits).exposures
    assert exposure.most_units == pytest.approx(0.8 * 0.5 * likely)
    held = [HeldLots("future", JANUARY, 1, Decimal("2.5"))]
    found = menu(paying("future"), quoted, index_usd, held=held)
    less = np.maximum(0, 0.5 * likely - np.array([0, 730, 0]))
    assert found.exposures[0].most_units == pytest.approx(less)
    other = paying("swap", beta="0.1")
    offered = Offered([paying("future"), other], books=[quoted, book("swap", JANUARY, (("3", 1),))])
    both = menu_of(offered, months(index_usd=index_usd), today=TODAY, seed=1)
    assert both.exposures[0].most_units == pytest.approx(0.1 * likely)


def test_what_is_held_pays_on() -> None:
    """Two lots from the last mark on, and their settlement's fee."""
    held = [HeldLots("future", JANUARY, -2, Decimal("2.60"))]
    contract = paying("future", status="pending", fees={"settle": "1.35"})
    offered = Offered([contract], held=held)
    found = menu_of(offered, months(index_usd=fixings(2, 2.8, 3)), today=TODAY, seed=1)
    assert found.held_gain_usd is not None
    assert found.held_gain_usd[0] == pytest.approx([0, -2 * 0.2 * 730 - 2.70, 0])
    assert found.lines == ()


@pytest.mark.parametrize(
    ("contracts", "index_usd", "says"),
    [
        ([], fixings(1, 1, 1), "a position of future is held, and no contract file has its terms"),
        ([paying("future")], None, "settles on GPU, of which no fixings are kept"),
    ],
)
def test_a_position_that_cannot_be_valued_is_an_error(
    contracts: list[DerivativeContract], index_usd: Floats | None, says: str
) -> None:
    """It may owe money that a plan would not see."""
    offered = Offered(contracts, held=[HeldLots("future", JANUARY, 1, Decimal(2))])
    with pytest.raises(ContractInvalid, match=says):
        menu_of(offered, months(index_usd=index_usd), today=TODAY, seed=1)


@pytest.mark.parametrize(
    ("contract", "quoted", "says"),
    [
        (paying("future", beta=None), True, "how our spend moves with GPU is not known"),
        (paying("future", beta="0"), True, "our spend does not rise with GPU: beta 0"),
        (paying("future", beta="-0.3"), True, "our spend does not rise with GPU: beta -0.3"),
        (paying("future"), False, "no venue's price of it is there: fills are never assumed"),
        (paying("future", status="pending"), True, "announced and cannot be bought yet"),
        (paying("future", valid_to="2026-11-01"), True, "it could be bought until 2026-11-01"),
        (paying("future", valid_from="2026-12-01"), True, "can be bought from 2026-12-01 on"),
    ],
)
def test_nothing_is_hedged_without_a_reason(
    contract: DerivativeContract, quoted: bool, says: str
) -> None:
    """No lots, and a note that says why: a normal answer."""
    books = [book("future", JANUARY, asks=(("2.50", 5),))] if quoted else []
    offered = Offered([contract], books=books)
    found = menu_of(offered, months(index_usd=fixings(1, 2, 3)), today=TODAY, seed=1)
    assert (found.lines, found.exposures) == ((), ())
    assert says in found.notes[0]


def test_without_scenarios_of_the_index_nothing_is_hedged() -> None:
    """A note, and no lots; the same for months that are not planned."""
    quoted = book("future", JANUARY, asks=(("2.50", 5),))
    offered = Offered([paying("future")], books=[quoted])
    found = menu_of(offered, months(), today=TODAY, seed=1)
    assert found.lines == ()
    assert "0 lots, as no fixings of GPU" in found.notes[0]
    later = book("future", date(2028, 1, 1), asks=(("2.50", 5),))
    found = menu(paying("future"), later, fixings(1, 2, 3))
    assert found.lines == ()
    assert found.notes == ("future: 0 lots, as no venue quotes it for a month that is planned",)


def test_what_was_refused_of_venues_stands_in_the_notes() -> None:
    """The plan says which prices it did not take."""
    offered = Offered([], refused=("q.csv: gpu1 2027-01 is crossed",))
    notes = menu_of(offered, months(), today=TODAY, seed=1).notes
    assert notes == ("q.csv: gpu1 2027-01 is crossed",)


def test_a_plan_takes_no_view() -> None:
    """Whatever the scenarios believe of an index, a long lot and a short one at the best prices
    lose half of the spread and their fees in the mean; what differs between scenarios stays, and
    deeper levels are dearer by as much as they were."""
    gpu1 = paying("future", name="gpu1", fees={"trade": "5.50", "settle": "1.35"})
    asks = (("2.54", 5), ("2.60", 5))
    quoted = book("gpu1", JANUARY, asks=asks, bids=(("2.50", 10),))
    believed = np.column_stack([np.linspace(2, 4, 20)] * len(FIRSTS))
    lines = menu(gpu1, quoted, believed).lines
    moved = without_view(lines)
    cost_usd = 0.02 * 730 + 5.50 + 1.35
    means = sorted(line.gain_usd.mean(axis=0).sum() for line in moved)
    assert means == pytest.approx([-cost_usd - 0.06 * 730, -cost_usd, -cost_usd])
    for before, after in zip(lines, moved, strict=True):
        assert np.ptp(before.gain_usd - after.gain_usd, axis=0) == pytest.approx(0.0)
    (alone,) = without_view(menu(gpu1, book("gpu1", JANUARY, asks=asks[:1]), believed).lines)
    assert alone.gain_usd.mean(axis=0)[1] == pytest.approx(0.0)
