"""Planning: from scenarios and what can be bought to a plan that has been checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from hedge.errors import DemandInvalid
from hedge.planning.band import with_bands
from hedge.planning.evaluation import Choice, Outcome, World, capacity_of
from hedge.planning.plan import (
    ContractBid,
    FrontierPoint,
    HedgePlan,
    MonthAhead,
    Status,
    cents,
)
from hedge.planning.question import Question
from hedge.planning.reasons import Case, notes_left, positions
from hedge.planning.stress import breaking, stressed
from hedge.planning.turns import turns
from hedge.planning.verification import Served, verify
from hedge.program.dispatch import dispatch
from hedge.program.duals import Duals
from hedge.program.holding import Holding
from hedge.program.program import Program
from hedge.risk import clopper_pearson, scenarios_for
from hedge.scenarios.months import Months
from ledger.money import NANOS_PER_USD, Money, as_usd, usd_text

SCENARIOS, MOST_SCENARIOS = 300, 1000
"""As many as it takes to see the tail: above 98% confidence more than the first, up to 99.5%."""
FRESH_SCENARIOS = 2000
JUST_ABOVE = 0.01
"""Of the way to where a cap no longer binds."""
FRONTIER_POINTS = 5
SLACK_USD_PER_USD = 10.0
"""What a dollar above the cap costs the program, where the cap is out of reach."""
MOST_USD = 1e9
KEPT_USD = 0.01
FIRMER, FIRMEST_USD = 20.0, 1e5
"""Times as much, again and again up to this, where a cap within reach is overrun at that price all
the same: the last dollar of certainty may cost thousands."""


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A plan, and what it can be worked out again from."""

    plan: HedgePlan
    choice: Choice
    made_on: Served
    fresh: Served


def plan_months(asked: Question, *, is_shaken: bool = True) -> HedgePlan:
    """The plan of `planned_months`."""
    return planned_months(asked, is_shaken=is_shaken).plan


def planned_months(asked: Question, *, is_shaken: bool = True) -> Planned:
    """What to hold from the first of the months on, verified. is_shaken: with stress and turns,
    unless the cap is out of reach.

    A cap that is out of reach gives a plan all the same, with status `cap_unreachable`: the one
    that overruns it least, at a price. Raises ConfidenceOutOfRange, SolverFailed, PlanDoesNotVerify
    and DemandInvalid.
    """
    count = scenarios_for(asked.confidence, SCENARIOS, MOST_SCENARIOS)
    months = asked.draw(asked.seed, count)
    _check(months)
    menu = asked.offer(months)
    whole = min(asked.whole_months, len(months.firsts))
    program = Program(
        menu,
        months,
        asked.confidence,
        integer_months=whole,
        max_seconds=asked.max_seconds,
        clock=asked.clock,
    )
    caps_usd = np.full(len(months.firsts), asked.cap_usd)
    lowest_cap = program.lowest_cap()
    status: Status = "optimal" if asked.cap >= lowest_cap else "cap_unreachable"
    holding = (
        _keeping(program, asked.cap_usd)
        if status == "optimal"
        else program.cheapest(caps_usd, SLACK_USD_PER_USD)
    )
    choice = _rounded(holding, whole)

    made_on = _served(World.of(menu, months), choice)
    fresh_months = asked.draw(_fresh_seed(asked.seed), FRESH_SCENARIOS)
    fresh = _served(World.of(asked.offer(fresh_months), fresh_months), choice)
    outcome, judged = made_on.outcome(choice), fresh.outcome(choice)
    unhedged = made_on.world.outcome(Choice.nothing(menu, months))

    in_sample = outcome.judged(asked.confidence, asked.cap_usd)
    on_fresh = judged.judged(asked.confidence, asked.cap_usd)
    offered = {contract.name: contract for contract in asked.contracts}
    case = Case(made_on, choice, made_on.world.outcome(choice), asked.confidence, offered)
    told = positions(case)
    frontier = _frontier(program, len(months.firsts))
    if status == "optimal" and holding.status == "time_limit":
        status = "time_limit"
    by_month = _months(asked, months, outcome, judged)
    is_late = program.lowest().status == "time_limit"
    message = None
    if status == "cap_unreachable":
        message = _unreachable(asked, lowest_cap, by_month, is_late=is_late)
    plan = HedgePlan(
        status=status,
        cap_usd=as_usd(asked.cap),
        confidence=asked.confidence,
        expected_usd=in_sample.expected_usd,
        cvar_usd=in_sample.cvar_usd,
        p_within_cap=on_fresh.p_within_cap,
        p_interval=on_fresh.p_interval,
        min_reachable_cap_usd=as_usd(lowest_cap),
        positions=told,
        frontier=frontier,
        bid_prices=_bids(program.duals(holding, caps_usd), made_on.world, choice),
        attempts=tuple(program.attempts),
        inputs_sha256=_hash(asked, count),
        seed=asked.seed,
        total_expected_usd=cents(outcome.total_usd),
        end_value_usd=cents(outcome.end_value_usd),
        unhedged=unhedged.judged(asked.confidence, asked.cap_usd),
        in_sample=in_sample,
        fresh=on_fresh,
        months=by_month,
        gap=holding.gap,
        message=message,
        estimates=asked.estimates,
        priors=asked.priors,
        validation=asked.validation,
        notes=(*notes_left(menu, offered), *_late(asked, is_late)),
    )
    if is_shaken and status != "cap_unreachable":
        plan = _shaken(asked, program, case, plan)
    verify(plan, choice, made_on, fresh, whole_months=whole)
    return Planned(plan, choice, made_on, fresh)


def _shaken(asked: Question, program: Program, case: Case, plan: HedgePlan) -> HedgePlan:
    """The plan with what becomes of it in other worlds, and what would change it."""
    months, choice = case.world.months, case.choice
    caps_usd = np.full(case.months, asked.cap_usd)
    providers = {name: contract.provider for name, contract in case.offered.items()}
    told = with_bands(case, plan.positions, asked.cap_usd)
    return replace(
        plan,
        positions=told,
        stress=stressed(asked.offer, months, choice, asked.confidence, asked.cap_usd, providers),
        breaking=breaking(case.world, choice, asked.confidence, asked.cap_usd),
        turns=turns(program, case.world, choice, caps_usd, told),
    )


def _keeping(program: Program, cap_usd: float) -> Holding:
    """The least cost under a cap that is within reach; where that is not found, what reaches
    lowest."""
    caps_usd = np.full(len(program.months.firsts), cap_usd)
    usd_per_usd = SLACK_USD_PER_USD
    while True:
        found = program.cheapest(caps_usd, usd_per_usd)
        if found.slack_usd.max() <= KEPT_USD:
            return found
        usd_per_usd *= FIRMER
        if usd_per_usd > FIRMEST_USD or found.status == "time_limit":
            break
    lowest = program.lowest()
    gap = (lowest.expected_usd - found.bound_usd) / max(abs(lowest.expected_usd), KEPT_USD)
    return replace(lowest, bound_usd=found.bound_usd, gap=max(gap, 0.0), status="time_limit")


def _check(months: Months) -> None:
    usd = months.list_usd
    if not (np.isfinite(usd).all() and np.isfinite(months.amounts).all()):
        raise DemandInvalid(
            "the scenarios hold numbers that are none: check the history's amounts and prices"
        )
    if usd.size and (usd.min() < 0 or months.amounts.min() < 0):
        raise DemandInvalid(
            "the scenarios hold negative costs or tokens: check the history's amounts and prices"
        )
    if float(months.month_usd().max(initial=0.0)) > MOST_USD:
        raise DemandInvalid(
            f"a month of the scenarios costs more than {MOST_USD:,.0f} USD, which no plan believes:"
            " check the history's amounts and prices"
        )
    if not usd.any():
        raise DemandInvalid("the months ahead cost nothing in any scenario: nothing to hedge")


def _rounded(holding: Holding, whole: int) -> Choice:
    """The holding with whole units where they have to be, to the last bit."""
    starts = np.maximum(holding.starts, 0.0)
    starts[:, :whole] = np.round(starts[:, :whole])
    starts[starts < 1e-6] = 0.0
    lines = np.where(np.abs(holding.lines) < 1e-6, 0.0, holding.lines)
    return Choice(starts, lines)


def _served(world: World, choice: Choice) -> Served:
    capacity = capacity_of(world.menu, choice)
    return Served(world, dispatch(world.menu, world.months, capacity))


def _fresh_seed(seed: int) -> int:
    """Of scenarios that the plan was not made on."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])


def _months(
    asked: Question, months: Months, outcome: Outcome, fresh: Outcome
) -> tuple[MonthAhead, ...]:
    tails = outcome.cvar_usd(asked.confidence)
    hits = fresh.within(asked.cap_usd)
    count = len(fresh.cost_usd)
    return tuple(
        MonthAhead(
            month=first,
            expected_usd=cents(float(outcome.cost_usd[:, t].mean())),
            cvar_usd=cents(float(tails[t])),
            fees_usd=cents(float(outcome.fees_usd[t])),
            p_within_cap=hits[t] / count,
            p_interval=clopper_pearson(hits[t], count),
            slack_usd=max(cents(0), cents(float(tails[t]) - asked.cap_usd)),
        )
        for t, first in enumerate(months.firsts)
    )


def _frontier(program: Program, months: int) -> tuple[FrontierPoint, ...]:
    """Caps from just above the lowest reachable, where the last USD of certainty is dear and takes
    long to find, to where a cap no longer binds, evenly apart."""
    lowest_usd = program.lowest_cap() / NANOS_PER_USD
    free = program.cheapest(None)
    loosest_usd = max(lowest_usd, float(free.cvar_usd.max()))
    if loosest_usd - lowest_usd < 0.01:
        return (_point(lowest_usd, free, months),)
    tightest_usd = lowest_usd + JUST_ABOVE * (loosest_usd - lowest_usd)
    caps = np.linspace(tightest_usd, loosest_usd, FRONTIER_POINTS).tolist()
    found = [*(_keeping(program, cap_usd) for cap_usd in caps[:-1]), free]
    # What keeps a tighter cap keeps a looser one: within the gap it may be the better answer there.
    best = accumulate(found, _cheaper)
    return tuple(_point(cap_usd, one, months) for cap_usd, one in zip(caps, best, strict=True))


def _cheaper(tight: Holding, loose: Holding) -> Holding:
    return tight if tight.expected_usd < loose.expected_usd else loose


def _point(cap_usd: float, holding: Holding, months: int) -> FrontierPoint:
    return FrontierPoint(
        cents(cap_usd),
        cents((holding.expected_usd + holding.end_value_usd) / months),
        cents(float(holding.cvar_usd.max())),
        cents(holding.end_value_usd / months),
    )


def _bids(duals: Duals, world: World, choice: Choice) -> tuple[ContractBid, ...]:
    """Of the pools with capacity in the first month, by the contracts that bring it."""
    capacity = capacity_of(world.menu, choice)
    worth = duals.worth_usd()[0]
    share = world.months.minutes[0] / world.months.minutes[0].sum()
    held = {
        lot.contract: lot.pool
        for lot, starts in zip(world.menu.lots, choice.starts, strict=True)
        if starts[0] > 0 and capacity[lot.pool, 0] > 0
    }
    return tuple(
        ContractBid(name, float(worth[:, pool] @ share), tuple(worth[:, pool].tolist()))
        for name, pool in held.items()
    )


def _late(asked: Question, is_late: bool) -> tuple[str, ...]:
    if not is_late:
        return ()
    return (
        (
            f"the solver ran out of time ({asked.max_seconds:g} s) with the lowest cap that can be"
            " promised: a lower one may be reachable"
        ),
    )


def _unreachable(
    asked: Question, lowest_cap: Money, months: Sequence[MonthAhead], *, is_late: bool
) -> str:
    """is_late: the search for the lowest cap ran out of time, so that it proves nothing."""
    over = [f"{one.month:%Y-%m}" for one in months if one.slack_usd > 0]
    worst = max(months, key=lambda one: one.slack_usd)
    which = f" The best there is overruns it in {', '.join(over)}" if over else ""
    by = f" (most in {worst.month:%Y-%m}, by {worst.slack_usd:,.2f} USD)" if over else ""
    under = f"every month under {usd_text(asked.cap, 2)} USD at {asked.confidence:.3g} confidence"
    found = f"{usd_text(lowest_cap, 2)} USD; raise the cap, or offer"
    if is_late:
        said = (
            f"in {asked.max_seconds:g} s no holding of these contracts was found that keeps {under}"
            f": the lowest cap found is {found} fewer contracts; a lower one may be reachable."
        )
    else:
        said = (
            f"no holding of these contracts keeps {under}: the lowest reachable cap is {found}"
            " other contracts."
        )
    return f"{said}{which}{by}{'.' if which else ''}"


def _hash(asked: Question, count: int) -> str:
    told = [
        *asked.inputs,
        f"{count} {FRESH_SCENARIOS} {asked.cap} {asked.confidence} {asked.whole_months}",
    ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
