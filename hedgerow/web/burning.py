"""Burning: a budget's window so far and to its end, out of the books, and as a chart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from hedge.burn_down import MOST_DAYS, Ahead, BurnDown, NoForecast, Past, burn_down
from hedgerow.charts import Band, Chart, Mark, Series
from hedgerow.web.formats import money_text
from ledger.breakdown import Only, day_costs
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.money import NANOS_PER_USD, Money, as_usd
from ledger.tables.rollups import DAY_NS, QUARTER_NS

SEED = 1
"""The same fan each time that nothing has changed."""
MOST_AHEAD_DAYS = 400


@dataclass(frozen=True, slots=True)
class Burning:
    """What was spent of a window day by day, and how the rest may go.

    spent: in the window until now. uncounted: what of it a budget does not count that was made, or
    changed, later. by_day: the end of each day (UTC) until yesterday, and all that was spent by
    then. ends_ns: of the window. cap: with what is uncounted, on the scale of `spent`; None where
    nothing limits it.
    """

    spent: Money
    uncounted: Money
    today: date
    by_day: tuple[tuple[date, Money], ...]
    forecast: BurnDown | NoForecast
    cap: Money | None
    ends_ns: int


def burning(
    sql: Sql,
    only: Only,
    since_ns: int,
    ends_ns: int,
    now_ns: int,
    cap: Money | None,
    counted: Money | None = None,
) -> Burning:
    """counted: what the budget's account has of it; None without a budget. Within a `view`."""
    today_ns = now_ns // DAY_NS * DAY_NS
    before = day_costs(sql, only, today_ns - MOST_DAYS * DAY_NS, today_ns)
    window = day_costs(sql, only, since_ns)
    spent = Money(sum(one.effective for one in window))
    uncounted = Money(0 if counted is None else spent - counted)
    cap = None if cap is None else Money(cap + uncounted)
    upto, by_day = 0, []
    costs = {one.day_ns: one.effective for one in window}
    for day_ns in range(since_ns // DAY_NS * DAY_NS, today_ns, DAY_NS):
        upto += costs.get(day_ns, 0)
        by_day.append((_date(day_ns), Money(upto)))
    past: tuple[Money, ...] = ()
    if before:
        known = {one.day_ns: one.effective for one in before}
        past = tuple(
            known.get(day_ns, Money(0)) for day_ns in range(before[0].day_ns, today_ns, DAY_NS)
        )
    forecast = burn_down(
        Past(_date(today_ns - DAY_NS), past), spent, _ahead(now_ns, ends_ns), cap, SEED
    )
    return Burning(spent, uncounted, _date(today_ns), tuple(by_day), forecast, cap, ends_ns)


def _ahead(now_ns: int, ends_ns: int) -> Ahead:
    parts: list[float] = []
    since_ns = now_ns
    while since_ns < ends_ns and len(parts) < MOST_AHEAD_DAYS:
        until_ns = min(since_ns // DAY_NS * DAY_NS + DAY_NS, ends_ns)
        parts.append((until_ns - since_ns) / DAY_NS)
        since_ns = until_ns
    return Ahead(_date(now_ns), tuple(parts))


def _date(at_ns: int) -> date:
    return instant(at_ns // QUARTER_NS * QUARTER_NS).date()


def burn_chart(one: Burning, chart_id: str, title: str) -> Chart:
    """What was spent by the end of each day, the fan after it, and the cap across."""
    days = [day for day, _ in one.by_day]
    series = [
        Series(
            "spent",
            Mark.LINE,
            (*map(str, days), str(one.today)),
            (*(_usd(spent) for _, spent in one.by_day), _usd(one.spent)),
        )
    ]
    bands: tuple[Band, ...] = ()
    notes: tuple[str, ...] = ()
    if isinstance(one.forecast, BurnDown):
        by = tuple(map(str, one.forecast.by))
        lines = {fan.part: tuple(map(_usd, fan.nanos)) for fan in one.forecast.fans}
        bands = (
            Band("9 in 10 ends", by, lines[0.05], lines[0.95]),
            Band("half of them", by, lines[0.25], lines[0.75]),
        )
        series.append(Series("middle", Mark.LINE, by, lines[0.5]))
        notes = (one.forecast.basis,)
    if one.cap is not None:
        at = str(days[0] if days else one.today)
        series.append(Series("cap", Mark.LIMIT, (at,), (_usd(one.cap),)))
    return Chart(
        chart_id, title, says(one), "day (UTC), its end", "USD", tuple(series), bands, notes=notes
    )


def says(one: Burning) -> str:
    """The chart in words."""
    text = f"{money_text(one.spent)} so far"
    if one.cap is not None:
        text += f" of {money_text(one.cap)}"
    if one.uncounted:
        text += f" (the cap, and {money_text(one.uncounted)} that was spent before it counted)"
    if isinstance(one.forecast, NoForecast):
        return f"{text}; {one.forecast.why}."
    low, middle, high = (one.forecast.fan(part).nanos[-1] for part in (0.05, 0.5, 0.95))
    text += f"; by the end about {money_text(middle)}, 9 times in 10 between"
    text += f" {money_text(low)} and {money_text(high)}"
    if one.forecast.breach is not None:
        text += f"; {breach_words(one.forecast)}"
    return f"{text} ({one.forecast.basis})."


def chance_text(chance: float | None) -> str:
    """As people say it: that no path of so many did is not `never`."""
    if chance is None:
        return "not known"
    if chance < 0.01:
        return "below 1%"
    return "over 99%" if chance > 0.99 else f"{chance:.0%}"


def breach_words(one: BurnDown) -> str:
    if one.breach is None:
        return "nothing limits it"
    by = "" if one.likely is None else f", then most likely by {one.likely:%d %B}"
    return f"chance to go over the cap: {chance_text(one.breach)}{by}"


def _usd(money: Money) -> float:
    """For drawing alone."""
    return float(as_usd(money)) if abs(money) < NANOS_PER_USD else round(money / NANOS_PER_USD, 2)
