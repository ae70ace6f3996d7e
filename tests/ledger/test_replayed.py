"""A replay decides as the naive model of budgets does, which recomputes all from every event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.budgets import EACH, Budget, Mode, Raise, Scope, Subject, Threshold, Throttle
from ledger.measures import Measure
from ledger.money import MAX_NANOS, Money
from ledger.principals import Principal
from ledger.simulation.past import PastAttempt
from ledger.simulation.replayed import Notice, Outcome, Refusal, Replay, Verdict
from ledger.windows import Rolling, Window
from tests.faults.naive_budget import (
    Event,
    Held,
    Posted,
    Try,
    Voided,
    balance,
    members,
    refusals,
)
from tests.ledger.entries import NOW_NS

SECOND_NS = 10**9
names = st.sampled_from(["ada", "bob", "a,b"])
subjects = st.builds(
    Subject,
    st.builds(
        Principal,
        key_id=st.sampled_from(["key_1", "key_2"]),
        team=st.none() | names,
        user=st.none() | names,
        tags=st.lists(names, max_size=3).map(tuple),
    ),
    model=st.sampled_from(["oak", "elm"]),
    provider=st.sampled_from(["acme", "zeta"]),
)
scopes = st.just(Scope()) | st.builds(
    Scope,
    team=st.none() | names | st.just(EACH),
    user=st.none() | st.just(EACH),
    tag=st.none() | names | st.just(EACH),
    model=st.none() | st.just("oak"),
    key=st.none() | st.just("key_1"),
    provider=st.none() | st.sampled_from(["acme", EACH]),
)
windows = st.just(Window.LIFETIME) | st.sampled_from(
    [
        *Window,
        Rolling("rolling:5m", timedelta(minutes=5)),
        Rolling("rolling:90m", timedelta(minutes=90)),
        Rolling("rolling:7d", timedelta(days=7)),
    ]
)
parts = st.sampled_from([Decimal(one) for one in ("0.1", "0.333", "0.5", "0.855", "1", "1.5")])
thresholds = st.builds(
    Threshold,
    parts,
    notify=st.sampled_from([(), ("ops",)]),
    cheapest=st.booleans(),
    only_models=st.none() | st.just(frozenset({"oak"})),
    throttle=st.none() | st.builds(Throttle, st.integers(1, 3)),
    blocks=st.booleans(),
    allows=st.booleans(),
)
ladders = st.lists(thresholds, max_size=3, unique_by=lambda one: one.part).map(tuple)
budgets = st.builds(
    Budget,
    name=st.just(""),
    scope=scopes,
    window=windows,
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
    cap=st.integers(0, 60),
    # Units are of commitments: no budget counts them.
    measure=st.just(Measure.USD)
    | st.sampled_from([one for one in Measure if one is not Measure.UNITS]),
    thresholds=ladders,
    mode=st.sampled_from([Mode.ENFORCE, Mode.ENFORCE, Mode.SHADOW]),
)
policies = st.lists(budgets, min_size=1, max_size=4).map(
    lambda found: [replace(one, name=f"b{at}") for at, one in enumerate(found)]
)
STEPS_S = [0, 0, 1, 1, 7, 7, 60, 60, 1000, 1000, 4000, 4000, 86_400, 40 * 86_400]


@st.composite
def histories(draw: st.DrawFn) -> list[PastAttempt]:
    """Attempts in order of time; up to three of them in a row may be one request's."""
    found: list[PastAttempt] = []
    at_ns, number, is_last = NOW_NS, 0, True
    whose = draw(st.lists(subjects, min_size=1, max_size=3))
    for _ in range(draw(st.integers(1, 30))):
        number += is_last
        at_ns += draw(st.sampled_from(STEPS_S)) * SECOND_NS
        lasts = draw(st.sampled_from([None, *STEPS_S]))
        is_charged = lasts is None or draw(st.booleans())
        is_last = draw(st.sampled_from([True, True, False]))
        held = draw(st.integers(0, 15))
        found.append(
            PastAttempt(
                request_id=f"r{number}",
                at_ns=at_ns,
                ended_at_ns=None if lasts is None else at_ns + lasts * SECOND_NS,
                subject=draw(st.sampled_from(whose)),
                held=Money(held),
                spent=Money(draw(st.integers(0, held + 2))) if is_charged else Money(0),
                held_tokens=draw(st.none() | st.integers(0, 30)),
                spent_tokens=draw(st.none() | st.integers(0, 30)) if is_charged else 0,
                cheapest=draw(st.none() | st.integers(0, 30).map(Money)),
                is_charged=is_charged,
                is_last=is_last,
            )
        )
    return found


class Naive:
    """The same, by going over all events that have happened for every question."""

    def __init__(self, policy: Sequence[Budget], raises: Sequence[Raise]) -> None:
        self.policy = policy
        self.raises = raises
        self.events: list[Event] = []
        self.coming: list[tuple[int, int, Event]] = []
        self.charged: set[str] = set()
        self.throttled: dict[str, list[Budget]] = {}

    def offer(self, past: PastAttempt, number: int) -> Verdict:
        now = past.at_ns
        self.happen(now)
        counted = 0 if past.request_id in self.charged else 1
        tried = Try(
            str(number),
            now,
            past.subject,
            {
                Measure.USD: past.held,
                Measure.TOKENS: past.held_tokens or 0,
                Measure.REQUESTS: counted,
                Measure.PARALLEL: 1,
            },
        )
        reached = [
            (one, member, step)
            for one in self.policy
            if one.scope.provider is None  # a request goes on before it has a provider
            for member in members(one, past.subject)
            for step in sorted(one.thresholds, key=lambda step: step.part)
            if self.spent(one, member, now) >= Fraction(step.part) * self.cap(one, member, now)
        ]
        acting = [one for one in reached if one[0].mode is Mode.ENFORCE]
        for one, member, step in acting:
            if step.only_models is not None and past.subject.model not in step.only_models:
                return Verdict(Outcome.RESTRICTED, Money(0), Refusal(one.name, member))
        for one, member, free in refusals(self.events, self.policy, tried, now, self.raises):
            refusal = Refusal(one.name, member, free, tried.amounts[one.measure])
            return Verdict(Outcome.BLOCKED, Money(0), refusal)
        shadows = [
            one.name
            for one, _, _ in refusals(
                self.events, self.policy, tried, now, self.raises, shadow=True
            )
        ]
        throttles = [
            (throttle_of(one, step), member)
            for one, member, step in reached
            if step.throttle is not None
        ]
        for one, member in throttles:
            free = one.cap - balance(self.passed(one), one, member, now).used
            if counted > max(0, free):
                name = one.name.partition("/")[0]
                if one.mode is Mode.ENFORCE:
                    return Verdict(
                        Outcome.THROTTLED, Money(0), Refusal(name, member, free, counted)
                    )
                shadows.append(name)
        cheapest = [one.name for one, _, step in acting if step.cheapest]
        cost = past.spent
        if cheapest and past.cheapest is not None and past.cheapest < cost:
            cost = past.cheapest
        self.throttled[tried.id] = [one for one, _ in throttles]
        self.hold(past, tried, cost)
        return Verdict(
            Outcome.DEGRADED if cheapest else Outcome.ADMITTED,
            cost,
            cheapest_by=tuple(dict.fromkeys(cheapest)),
            shadowed_by=tuple(dict.fromkeys(shadows)),
        )

    def hold(self, past: PastAttempt, tried: Try, cost: int) -> None:
        self.events.append(Held(past.at_ns, tried))
        if past.is_charged:
            self.charged.add(past.request_id)
        if past.ended_at_ns is None:
            return
        spent = {
            **tried.amounts,
            Measure.USD: cost,
            Measure.TOKENS: past.spent_tokens or 0,
        }
        posted, voided = (
            Posted(past.ended_at_ns, tried.id, spent),
            Voided(past.ended_at_ns, tried.id),
        )
        end = posted if past.is_charged else voided
        self.coming.append((past.ended_at_ns, int(tried.id), end))

    def passed(self, throttle: Budget) -> list[Event]:
        """Only requests that came while its threshold was reached count against a throttle."""
        return [
            one
            for one in self.events
            if not isinstance(one, Held) or throttle in self.throttled[one.tried.id]
        ]

    def happen(self, now: int) -> None:
        due = sorted(one for one in self.coming if one[0] <= now)
        self.coming = [one for one in self.coming if one[0] > now]
        self.events += [event for _, _, event in due]

    def spent(self, one: Budget, member: str, now: int) -> int:
        return balance(self.events, one, member, now).posted

    def cap(self, one: Budget, member: str, now: int) -> int:
        return one.cap + sum(
            more.amount
            for more in self.raises
            if more.budget == one.name
            and more.member in (None, member)
            and more.since_ns <= now < more.until_ns
        )


def throttle_of(one: Budget, step: Threshold) -> Budget:
    """A budget of requests in a minute."""
    assert step.throttle is not None
    return Budget(
        f"{one.name}/{step.part}",
        one.scope,
        Window.MINUTE,
        "UTC",
        step.throttle.requests_per_minute,
        Measure.REQUESTS,
        mode=one.mode,
    )


raises = st.lists(
    st.builds(
        Raise,
        id=st.just("r"),
        budget=st.sampled_from(["b0", "b1"]),
        member=st.none() | st.sampled_from(["", "user=ada", "team=bob"]),
        amount=st.integers(1, 60),
        since_ns=st.sampled_from([0, 5, 2000]).map(lambda s: NOW_NS + s * SECOND_NS),
        until_ns=st.sampled_from([3, 70, 5000, 90_000]).map(lambda s: NOW_NS + s * SECOND_NS),
        name=st.just("release week"),
    ),
    max_size=2,
)


@settings(max_examples=80)
@given(policies, histories(), raises)
def test_it_decides_as_the_naive_model(
    policy: list[Budget], history: list[PastAttempt], increases: list[Raise]
) -> None:
    """Every verdict, over all scopes, windows, measures, thresholds, modes and increases."""
    replay, naive = Replay(policy, increases), Naive(policy, increases)
    for number, past in enumerate(history):
        assert replay.offer(past) == naive.offer(past, number), number


@settings(max_examples=40)
@given(policies, histories())
def test_it_tells_of_each_threshold_once_in_a_window(
    policy: list[Budget], history: list[PastAttempt]
) -> None:
    """At the end of the attempt by which what is spent of a window's cap has reached it."""
    policy = [one for one in policy if isinstance(one.window, Window)]
    told: list[Notice] = []
    replay, naive = Replay(policy, on_notice=told.append), Naive(policy, ())
    for number, past in enumerate(history):
        replay.offer(past)
        naive.offer(past, number)
    replay.end()
    naive.happen(MAX_NANOS)
    expected: list[tuple[str, str, Decimal, int]] = []
    told_of: set[tuple[str, str, Decimal, int]] = set()
    holds = {one.tried.id: one.tried for one in naive.events if isinstance(one, Held)}
    # Holds in the order they were made, and ends in the order they came: no end comes too early.
    ends = sorted(
        (one for one in naive.events if isinstance(one, Posted)),
        key=lambda one: (one.at_ns, int(one.id)),
    )
    for count, end in enumerate(ends, start=1):
        tried = holds[end.id]
        so_far: list[Event] = [*map(held, holds.values()), *ends[:count]]
        for one in policy:
            for member in members(one, tried.subject):
                posted = balance(so_far, one, member, tried.at_ns).posted
                start_ns = one.account(member, instant(tried.at_ns)).window_start_ns
                for step in sorted(one.thresholds, key=lambda step: step.part):
                    key = (one.name, member, step.part, start_ns)
                    is_new = key not in told_of and end.amounts[one.measure] > 0
                    if step.notify and is_new and posted >= Fraction(step.part) * one.cap:
                        told_of.add(key)
                        expected.append((one.name, member, step.part, end.at_ns))
    found = [(one.budget, one.member, one.threshold.part, one.at_ns) for one in told]
    assert sorted(found, key=itemgetter(3, 0, 1, 2)) == sorted(expected, key=itemgetter(3, 0, 1, 2))


def held(tried: Try) -> Held:
    return Held(tried.at_ns, tried)


def instant(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // SECOND_NS, UTC)
