"""Directives: what the thresholds of a request's budgets say about how it goes on.

Blocking is not among them: the cap of the account does that. A budget in shadow mode directs
nothing; it is told of, and its throttles let through what would not fit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from ledger.budgets import Account, Budget, Raise, Threshold
from ledger.measures import Measure
from ledger.windows import Window

THROTTLE_AT = " throttle at "
"""Stands in the names of throttles' accounts, and in no budget's own."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A threshold that is reached. cap: as it is raised now, in the measure's unit. restricts: it
    names the only models that may be asked for.

    The account is one of one window: it and `part` name what is told once.
    """

    account: Account
    cap: int
    part: Decimal
    notify: tuple[str, ...]
    restricts: bool = False

    @property
    def budget(self) -> str:
        return self.account.budget

    @property
    def member(self) -> str:
        return self.account.member


@dataclass(frozen=True, slots=True)
class Directives:
    """How a request goes on, by all thresholds that its accounts have reached.

    cheapest: the cheapest eligible offer comes first, whatever its latency.
    only_models: what may be asked for, by every list at once; None: no list says anything.
    throttles: further accounts that the request must fit into, for one request each.
    """

    cheapest: bool = False
    only_models: frozenset[str] | None = None
    throttles: tuple[Account, ...] = ()
    reached: tuple[Reached, ...] = ()


NOTHING = Directives()


class Ladders:
    """The thresholds of the accounts that a request draws on.

    They hold as long as those accounts do: within their windows, and until an increase begins or
    ends.
    """

    def __init__(
        self,
        budgets: Iterable[Budget],
        accounts: Iterable[Account],
        at_ns: int,
        raises: Iterable[Raise] = (),
    ) -> None:
        """`raises`: increases, of these budgets and others; those of `at_ns` count."""
        raises = tuple(raises)
        by_name = {one.name: one for one in budgets if any(map(_directs, one.thresholds))}
        self._ladders = tuple(
            _ladder(by_name[one.budget], one, at_ns, raises)
            for one in accounts
            if one.budget in by_name
        )
        self._last: tuple[tuple[int, ...], int, Directives] = ((), 0, NOTHING)

    def __bool__(self) -> bool:
        """Whether any threshold says anything."""
        return bool(self._ladders)

    def directives(self, spent: Callable[[Account], int], at_ns: int) -> Directives:
        """What they say to a request at a moment.

        `spent`: what is posted to an account, and to those that count with it in a rolling window.
        """
        if not self._ladders:
            return NOTHING
        heights = tuple([bisect_right(one.amounts, spent(one.account)) for one in self._ladders])
        if not any(heights):
            return NOTHING
        # The same for each request until the next step or the next minute.
        minute = at_ns // _NANOS_PER_MINUTE
        last_heights, last_minute, last = self._last
        if heights != last_heights or minute != last_minute:
            last = self._at(heights, minute)
            self._last = (heights, minute, last)
        return last

    def _at(self, heights: tuple[int, ...], minute: int) -> Directives:
        steps = [
            (ladder, step)
            for ladder, height in zip(self._ladders, heights, strict=True)
            for step in ladder.steps[:height]
        ]
        acting = [step.threshold for ladder, step in steps if not ladder.account.is_shadow]
        lists = [one.only_models for one in acting if one.only_models is not None]
        now = datetime.fromtimestamp(minute * 60, UTC)
        return Directives(
            cheapest=any(one.cheapest for one in acting),
            only_models=frozenset.intersection(*lists) if lists else None,
            throttles=tuple(
                step.throttle.account(ladder.account.member, now)
                for ladder, step in steps
                if step.throttle is not None
            ),
            reached=tuple(
                Reached(
                    *(ladder.account, ladder.cap, step.threshold.part, step.threshold.notify),
                    restricts=step.threshold.only_models is not None,
                )
                for ladder, step in steps
            ),
        )


@dataclass(frozen=True, slots=True)
class _Step:
    """A threshold of one account; what it throttles to has accounts of its own."""

    threshold: Threshold
    throttle: Budget | None


@dataclass(frozen=True, slots=True)
class _Ladder:
    """What an account's thresholds direct as it fills up, lowest first.

    cap: as it is raised now; the account's own may be less, where a threshold blocks before, or
    None. amounts: where each step is reached. Both in the measure's unit.
    """

    account: Account
    cap: int
    amounts: tuple[int, ...]
    steps: tuple[_Step, ...]


_NANOS_PER_MINUTE = 60_000_000_000


def percent(part: Decimal) -> str:
    """A part as people write it: `85%`."""
    return f"{(part * 100).normalize():f}%"


def _directs(one: Threshold) -> bool:
    return bool(one.notify or one.cheapest or one.only_models is not None or one.throttle)


def _ladder(budget: Budget, account: Account, at_ns: int, raises: Sequence[Raise]) -> _Ladder:
    cap = budget.raised_cap(account.member, at_ns, raises)
    thresholds = sorted(filter(_directs, budget.thresholds), key=lambda one: one.part)
    return _Ladder(
        account,
        cap,
        tuple(amount_at(cap, one.part) for one in thresholds),
        tuple(_Step(one, throttle_of(budget, one)) for one in thresholds),
    )


def amount_at(cap: int, part: Decimal) -> int:
    """The least that is not below a part of the cap."""
    numerator, denominator = part.as_integer_ratio()
    return -(-cap * numerator // denominator)


def throttle_of(budget: Budget, threshold: Threshold) -> Budget | None:
    """So many requests of each minute, for the members that its budget has."""
    if threshold.throttle is None:
        return None
    return Budget(
        name=f"{budget.name}{THROTTLE_AT}{percent(threshold.part)}",
        scope=budget.scope,
        window=Window.MINUTE,
        timezone="UTC",
        cap=threshold.throttle.requests_per_minute,
        measure=Measure.REQUESTS,
        mode=budget.mode,
        on_ledger_error=budget.on_ledger_error,
    )
