"""Chargeback: what each team has to bear of a month, and what stays with the platform.

A team bears what its requests cost: those paid for as they went at their effective cost, those that
drew on a commitment at the rate that was fixed in advance. What a month of a commitment costs
beyond that (its part that nobody used, and the variance of the rate) is shared by a rule. A team
with a fixed fee bears that fee and its overage instead of all this, and the difference is the
platform's. All together is what the month cost, to the nano-USD.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from ledger.calendar_months import month_after
from ledger.commitment_fees import Fees
from ledger.commitment_periods import LeftOver, bought, taken
from ledger.databases.sql import Sql
from ledger.fixed_fees import Bill
from ledger.instants import as_ns, day_ns
from ledger.money import ZERO, Money
from ledger.shares import shares
from ledger.tables.rollups import kept
from ledger.team_sums import (
    Draws,
    Metered,
    Refused,
    charged_for_draws,
    draws_by_team,
    estimated_by_team,
    metered_by_team,
    refused_by_team,
)
from ledger.windows import Window, span_of

_UTC = ZoneInfo("UTC")


class Rule(StrEnum):
    """By what the teams share what a commitment costs beyond what they were charged for it."""

    DRAW = "draw"
    """The capacity units that each drew of it in the month; of one that nobody drew on, nothing."""
    SPEND = "spend"
    """What the requests of each cost in the month, whether they drew on it or not."""
    NONE = "none"
    """Not at all: it stays with the platform."""

    @property
    def says(self) -> str:
        return _RULES[self]


_RULES = {
    Rule.DRAW: "What nobody used of a commitment in a month, and the variance of its rate, are"
    " shared by the teams that drew on it, in proportion to the capacity units that each drew;"
    " where nobody drew, they stay with the platform.",
    Rule.SPEND: "What nobody used of commitments in a month, and the variance of their rates, are"
    " shared by all teams in proportion to what their requests cost in the month.",
    Rule.NONE: "What nobody used of commitments, and the variance of their rates, stay with the"
    " platform.",
}


@dataclass(frozen=True, slots=True)
class TeamCharge:
    """What a team bears; team None: requests without one.

    as_it_went: effective cost of what drew on nothing, overage among it. drawn: at the rate fixed
    in advance. unused, variance: its shares; None while the month runs, or where nobody can say.
    fixed: what its fixed fee and overage are above all that (below zero: less than it); None for a
    team without one. estimated: the part of its cost that rests on estimates. refused: requests
    that budgets refused it; refused_cost: what they would have cost, which nobody bears.
    """

    team: str | None
    requests: int = 0
    as_it_went: Money = ZERO
    drawn: Money = ZERO
    unused: Money | None = None
    variance: Money | None = None
    fixed: Money | None = None
    estimated: Money = ZERO
    refused: int = 0
    refused_cost: Money = ZERO

    @property
    def metered(self) -> Money:
        """What its budgets count."""
        return Money(self.as_it_went + self.drawn)

    @property
    def total(self) -> Money:
        shared = (self.unused or 0) + (self.variance or 0)
        return Money(self.metered + shared + (self.fixed or 0))


@dataclass(frozen=True, slots=True)
class PlatformCharge:
    """What no team bears. unused, variance: as of teams. fixed: what teams with a fixed fee used
    beyond it (below zero: less). sold: fees of days to come of what was sold on, without what that
    brought."""

    unused: Money | None = None
    variance: Money | None = None
    fixed: Money = ZERO
    sold: Money = ZERO

    @property
    def total(self) -> Money:
        return Money((self.unused or 0) + (self.variance or 0) + self.fixed + self.sold)


@dataclass(frozen=True, slots=True)
class CommitmentMonth:
    """A commitment in the month (UTC): what it cost of its fee, what of that teams were charged,
    what is left, and how many micro-units were drawn of those that there were. unused, variance:
    None while the month runs, or where charges were deleted; of a quota of its whole term nothing
    is unused before that is over. billed: what was due in the month."""

    commitment: str
    contract: str
    provider: str
    cost: Money
    billed: Money
    charged: Money | None
    drawn_micro: int | None
    there_micro: int
    unused: Money | None
    variance: Money | None


@dataclass(frozen=True, slots=True)
class Chargeback:
    """A month, by its first day, of a zone; commitments count by months of UTC.

    teams: by what they bear, dearest first. is_over: whether it was at `until_ns`, up to which it
    is counted. why_not: why what commitments cost beyond their draws could not be shared.
    """

    month: date
    zone: str
    rule: Rule
    until_ns: int
    is_over: bool
    teams: tuple[TeamCharge, ...]
    platform: PlatformCharge
    commitments: tuple[CommitmentMonth, ...]
    why_not: str | None = None

    @property
    def requests(self) -> int:
        return sum(one.requests for one in self.teams)

    @property
    def metered(self) -> Money:
        """What requests cost: what budgets count."""
        return Money(sum(one.metered for one in self.teams))

    @property
    def cost(self) -> Money:
        """What commitments cost of their fees in the month, used or not."""
        return Money(sum(one.cost for one in self.commitments))

    @property
    def total(self) -> Money:
        """What the month cost: what teams bear, and the platform."""
        return Money(sum(one.total for one in self.teams) + self.platform.total)


@dataclass(frozen=True, slots=True)
class MonthSpan:
    """since_ns, until_ns: the month of the zone; first_ns, end_ns: the month of UTC."""

    month: date
    zone: ZoneInfo
    since_ns: int
    until_ns: int
    first_ns: int
    end_ns: int

    @classmethod
    def of(cls, month: date, zone: ZoneInfo = _UTC) -> MonthSpan:
        middle = datetime(month.year, month.month, 15, tzinfo=UTC)
        span = span_of(Window.MONTH, zone, middle)
        end = middle if span.end is None else span.end
        first = month.replace(day=1)
        return cls(
            first, zone, as_ns(span.start), as_ns(end), day_ns(first), day_ns(month_after(first))
        )

    def is_over(self, now_ns: int) -> bool:
        return now_ns >= max(self.until_ns, self.end_ns)


def chargeback(
    sql: Sql, span: MonthSpan, rule: Rule, fixed: Mapping[str, Bill], now_ns: int
) -> Chargeback:
    """What each bears of a month, as it stands at a moment. fixed: the bills of teams that have a
    fixed fee, in it. To be read within one `view`."""
    until_ns = min(span.until_ns, now_ns)
    is_over = span.is_over(now_ns)
    is_whole = kept(sql).entries_since_ns <= min(span.since_ns, span.first_ns)
    used = metered_by_team(sql, span.since_ns, until_ns)
    draws = draws_by_team(sql, span.since_ns, until_ns)
    of_utc = (
        draws if span.zone == _UTC else draws_by_team(sql, span.first_ns, min(span.end_ns, now_ns))
    )
    months = tuple(_months(sql, span, of_utc if is_whole else None, now_ns))
    shared = _share(months, rule, of_utc, used)
    estimated = estimated_by_team(sql, span.since_ns, until_ns)
    refused = refused_by_team(sql, span.since_ns, until_ns)
    teams = [
        _team(team, used.get(team), draws, shared, fixed, estimated, refused)
        for team in {*used, *refused, *shared.teams, *fixed}
    ]
    teams.sort(key=lambda one: (-one.total, one.team is not None, one.team or ""))
    platform = PlatformCharge(
        shared.platform_unused,
        shared.platform_variance,
        Money(-sum(one.fixed or 0 for one in teams)),
        _sold(sql, span, now_ns),
    )
    return Chargeback(
        *(span.month, span.zone.key, rule, until_ns, is_over, tuple(teams), platform, months),
        why_not=_why_not(is_over=is_over, is_whole=is_whole) if months else None,
    )


def cost_of_month(sql: Sql, span: MonthSpan, now_ns: int) -> Money | None:
    """What a month cost, which is the total of its chargeback by any rule; None if that cannot be
    told yet, or any more, or nothing was charged in it."""
    if not span.is_over(now_ns) or kept(sql).entries_since_ns > min(span.since_ns, span.first_ns):
        return None
    used = metered_by_team(sql, span.since_ns, span.until_ns)
    cost = sum(
        period.fee
        for one in bought(sql)
        for period in one.periods()
        if span.first_ns <= period.start_ns and period.end_ns <= span.end_ns
    )
    charged = charged_for_draws(sql, span.first_ns, span.end_ns)
    metered = sum(one.effective for one in used.values())
    total = Money(metered + cost - charged + _sold(sql, span, now_ns))
    return total if used or cost else None


def _why_not(*, is_over: bool, is_whole: bool) -> str | None:
    if not is_over:
        return (
            "The month still runs: what commitments cost beyond what drew on them is not known"
            " before it is over."
        )
    if not is_whole:
        return (
            "Charges of the month were deleted by retention: what drew on commitments is counted as"
            " it went, and what they cost beyond that cannot be shared any more. What was billed,"
            " if the month was closed, is kept."
        )
    return None


def _months(
    sql: Sql, span: MonthSpan, draws: Draws | None, now_ns: int
) -> Iterator[CommitmentMonth]:
    """Of each commitment that costs or is billed something in the month."""
    for one in bought(sql):
        billed = _billed(one.fees, span, now_ns)
        periods = [each for each in one.periods() if each.start_ns >= span.first_ns]
        period = next((each for each in periods if each.end_ns <= span.end_ns), None)
        if period is None and not billed:
            continue
        its = {} if draws is None else draws.get(one.held.id, {})
        charged = Money(sum(each.effective for each in its.values()))
        drawn = sum(each.micro_units for each in its.values())
        left: LeftOver | None = None
        if span.is_over(now_ns) and draws is not None and period is not None:
            before = taken(sql, one.held.id, period.window_start_ns, period.start_ns)
            left = period.left_over(before + drawn, charged)
        yield CommitmentMonth(
            commitment=one.held.id,
            contract=one.held.contract,
            provider=one.held.provider,
            cost=ZERO if period is None else period.fee,
            billed=billed,
            charged=None if draws is None else charged,
            drawn_micro=None if draws is None else drawn,
            there_micro=0 if period is None else period.micro_units,
            unused=None if left is None else left.unused,
            variance=None if left is None else left.variance,
        )


def _billed(fees: Fees, span: MonthSpan, now_ns: int) -> Money:
    """What was due in the month until now."""
    due = [(one.day, one.amount) for one in fees.dues]
    if fees.given_up is not None:
        due.append((fees.given_up.day, fees.given_up.billed))
    return Money(sum(amount for day, amount in due if _is_in(day, span) and day_ns(day) < now_ns))


def _is_in(day: date, span: MonthSpan) -> bool:
    return day.replace(day=1) == span.month


def _sold(sql: Sql, span: MonthSpan, now_ns: int) -> Money:
    """Of what was sold on, the fee of days to come; of what was taken back, what that reverses."""
    gone = (one.fees.given_up for one in bought(sql))
    return Money(
        sum(
            one.cost
            for one in gone
            if one is not None and _is_in(one.day, span) and day_ns(one.day) < now_ns
        )
    )


@dataclass(slots=True)
class _Shared:
    """None of the platform: nothing can be shared yet, or any more."""

    unused: defaultdict[str | None, int] = field(default_factory=lambda: defaultdict(int))
    variance: defaultdict[str | None, int] = field(default_factory=lambda: defaultdict(int))
    platform_unused: Money | None = ZERO
    platform_variance: Money | None = ZERO

    @property
    def is_known(self) -> bool:
        return self.platform_unused is not None

    @property
    def teams(self) -> set[str | None]:
        return {*self.unused, *self.variance}


def _share(
    months: tuple[CommitmentMonth, ...],
    rule: Rule,
    draws: Draws,
    used: Mapping[str | None, Metered],
) -> _Shared:
    found = _Shared()
    for one in months:
        if one.cost == 0 and one.unused is None:
            continue  # billed in the month, and the cost of others
        if one.unused is None or one.variance is None:
            return _Shared(platform_unused=None, platform_variance=None)
        weights = _weights(one, rule, draws, used)
        if not sum(weights.values()):
            found.platform_unused = Money((found.platform_unused or 0) + one.unused)
            found.platform_variance = Money((found.platform_variance or 0) + one.variance)
            continue
        teams = sorted(weights, key=lambda team: (team is not None, team or ""))
        parts = [weights[team] for team in teams]
        for team, share in zip(teams, shares(one.unused, parts), strict=True):
            found.unused[team] += share
        for team, share in zip(teams, shares(one.variance, parts), strict=True):
            found.variance[team] += share
    return found


def _weights(
    one: CommitmentMonth, rule: Rule, draws: Draws, used: Mapping[str | None, Metered]
) -> Mapping[str | None, int]:
    if not one.there_micro:
        return {}  # taken back, or sold on before it began: nobody could have used it
    if rule is Rule.DRAW:
        its = draws.get(one.commitment, {})
        return {team: drawn.micro_units for team, drawn in its.items()}
    if rule is Rule.SPEND:
        return {team: metered.effective for team, metered in used.items()}
    return {}


def _team(
    team: str | None,
    used: Metered | None,
    draws: Draws,
    shared: _Shared,
    fixed: Mapping[str, Bill],
    estimated: Mapping[str | None, Money],
    refused: Mapping[str | None, Refused],
) -> TeamCharge:
    drawn = sum(each[team].effective for each in draws.values() if team in each)
    effective = 0 if used is None else used.effective
    unused = Money(shared.unused[team]) if shared.is_known else None
    variance = Money(shared.variance[team]) if shared.is_known else None
    bill = None if team is None else fixed.get(team)
    borne = effective + (unused or 0) + (variance or 0)
    kept_back = refused.get(team, Refused(0, ZERO))
    return TeamCharge(
        team=team,
        requests=0 if used is None else used.requests,
        as_it_went=Money(effective - drawn),
        drawn=Money(drawn),
        unused=unused,
        variance=variance,
        fixed=None if bill is None else Money(bill.billed - borne),
        estimated=estimated.get(team, ZERO),
        refused=kept_back.requests,
        refused_cost=kept_back.cost,
    )
