"""What a simulation adds up, and what it reads from the books."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.attempts import Attempt, Hold, Settlement
from ledger.budgets import EACH, Budget, Mode, Scope, Subject, Threshold
from ledger.databases.sql import Sql
from ledger.entries import Kind
from ledger.journal_records import Ended, held_of, posted_of
from ledger.keys import KeyRecord
from ledger.measures import Measure
from ledger.money import MAX_NANOS, Money
from ledger.principals import Principal
from ledger.requests import RequestRecord
from ledger.simulation.past import PastAttempt, past_attempts
from ledger.simulation.replayed import Outcome, Peak, Replay
from ledger.simulation.simulate import counted_since_ns, simulate
from ledger.store import Store
from ledger.windows import Rolling, Window
from tests.ledger.entries import NOW_NS, SOMEBODY, attempt, budget, settlement

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS


def past(
    cost: int,
    at_ns: int = NOW_NS,
    *,
    lasts_s: int | None = 1,
    held: int | None = None,
    cheapest: int | None = None,
    who: Principal = SOMEBODY,
    model: str = "oak",
    was_refused: bool = False,
    request_id: str = "",
) -> PastAttempt:
    return PastAttempt(
        request_id=request_id or f"r{at_ns}",
        at_ns=at_ns,
        ended_at_ns=None if lasts_s is None else at_ns + lasts_s * SECOND_NS,
        subject=Subject(who, model, "acme"),
        held=Money(cost if held is None else held),
        spent=Money(cost),
        held_tokens=None,
        spent_tokens=None,
        cheapest=None if cheapest is None else Money(cheapest),
        was_refused=was_refused,
    )


def in_turn(*costs: int, **more: object) -> list[PastAttempt]:
    """One attempt after the other, two seconds apart."""
    return [
        replace(past(cost, NOW_NS + 2 * at * SECOND_NS), **more)  # type: ignore[arg-type]
        for at, cost in enumerate(costs)
    ]


pasts = st.builds(
    past,
    st.integers(0, 20),
    st.integers(0, 200).map(lambda hours: NOW_NS + hours * HOUR_NS),
    lasts_s=st.sampled_from([0, 1, 4000]),
    cheapest=st.none() | st.integers(0, 20),
    who=st.builds(
        Principal,
        st.just("key"),
        team=st.sampled_from([None, "a", "b"]),
        user=st.sampled_from([None, "c"]),
    ),
    model=st.sampled_from(["oak", "elm"]),
    was_refused=st.booleans(),
)
histories = st.lists(pasts, max_size=20).map(lambda found: sorted(found, key=lambda o: o.at_ns))
policies = st.tuples(
    st.builds(
        Budget,
        st.just("day"),
        st.just(Scope(team=EACH)),
        st.sampled_from([Window.DAY, Rolling("rolling:2h", timedelta(hours=2))]),
        st.just("UTC"),
        st.integers(0, 60),
        thresholds=st.sampled_from(
            [(), (Threshold(Decimal("0.3"), cheapest=True),), (Threshold(Decimal(1), allows=True),)]
        ),
        mode=st.sampled_from(Mode),
    ),
    st.builds(
        Budget,
        st.just("all"),
        st.just(Scope()),
        st.just(Window.LIFETIME),
        st.just("UTC"),
        st.integers(0, 200),
        thresholds=st.sampled_from(
            [(), (Threshold(Decimal("0.5"), notify=("ops",), only_models=frozenset({"oak"})),)]
        ),
    ),
)


@settings(max_examples=40)
@given(histories, policies, st.integers(0, 100))
def test_the_sums_explain_the_difference(
    history: list[PastAttempt], policy: tuple[Budget, ...], hours: int
) -> None:
    """What would be spent is what was, less what is refused and saved, and what refused requests
    would cost; groups add up to all; all are the naive sums over the verdicts."""
    since_ns = NOW_NS + hours * HOUR_NS
    found = simulate(history, policy, since_ns=since_ns)
    total = found.total
    assert total.spent == total.spent_then - total.not_spent - total.saved + total.newly_spent
    assert total.refused == total.refused_then + total.newly_refused - total.newly_admitted
    replay = Replay(policy)
    judged = []
    for one in history:
        if one.at_ns < since_ns:
            replay.take(one)
        else:
            judged.append((one, replay.offer(one)))
    assert total.requests == len(judged)
    assert total.spent == sum(verdict.cost for _, verdict in judged)
    assert total.spent_then == sum(one.spent for one, _ in judged if not one.was_refused)
    assert total.degraded == sum(v.outcome is Outcome.DEGRADED for _, v in judged)
    for groups in found.groups.values():
        for name in ("requests", "refused", "spent", "saved", "newly_admitted", "degraded"):
            parts = sum(getattr(sums, name) for sums in groups.values())
            assert parts == getattr(total, name)
    enforced = [one for one in found.effects.values() if one.budget.mode is Mode.ENFORCE]
    assert sum(one.refused for one in enforced) == total.refused
    assert sum(one.not_spent for one in enforced) == total.not_spent


def test_a_cap_blocks_what_does_not_fit_and_counts_what_it_cost() -> None:
    """The third of three does not fit; the budget says when, how much, and what was most."""
    found = simulate(in_turn(40, 40, 40), [budget("b", 100)])
    (effect,) = found.effects.values()
    assert (effect.blocked, effect.not_spent) == (1, 40)
    assert effect.first_refused_at_ns == NOW_NS + 4 * SECOND_NS
    assert effect.peak == Peak(80, "", NOW_NS + 2 * SECOND_NS, 100)
    assert (found.total.newly_refused, found.total.spent) == (1, 80)


def test_what_is_held_at_once_counts() -> None:
    """Two worst cases at once are over a cap that both costs fit into: the second is refused while
    the first is under way, and not after it."""
    at_once = [past(10, NOW_NS + at, held=60) for at in (0, 1)]
    assert simulate(at_once, [budget("b", 100)]).total.blocked == 1
    in_a_row = in_turn(10, 10, held=Money(60))
    assert simulate(in_a_row, [budget("b", 100)]).total.blocked == 0


def test_the_cheapest_offer_saves_what_it_costs_less() -> None:
    """From the threshold on; where no other price was known, nothing is said to be saved."""
    half = Threshold(Decimal("0.5"), cheapest=True)
    policy = replace(budget("b", 100), thresholds=(half,))
    history = in_turn(50, 20, 10)
    history[1] = replace(history[1], cheapest=Money(5))
    found = simulate(history, [policy])
    assert (found.total.degraded, found.total.saved, found.total.spent) == (2, 15, 65)
    assert (found.effects["b"].degraded, found.effects["b"].saved) == (2, 15)


def test_requests_refused_then_are_offered_again() -> None:
    """A larger cap admits them at what they were expected to cost, which is kept apart."""
    history = [*in_turn(10), past(30, NOW_NS + HOUR_NS, was_refused=True)]
    found = simulate(history, [budget("b", 100)])
    assert (found.total.refused_then, found.total.newly_admitted) == (1, 1)
    assert (found.total.spent_then, found.total.spent, found.total.newly_spent) == (10, 40, 30)
    still = simulate(history, [budget("b", 20)]).total
    assert (still.refused, still.newly_refused, still.not_spent) == (1, 0, 0)


def test_a_budget_in_shadow_mode_only_tells() -> None:
    """It refuses nothing, and says what it would have."""
    shadow = replace(budget("b", 50), mode=Mode.SHADOW)
    found = simulate(in_turn(40, 40), [shadow])
    assert (found.total.refused, found.total.spent) == (0, 80)
    assert (found.effects["b"].blocked, found.effects["b"].not_spent) == (1, 40)


def test_who_is_told_and_when() -> None:
    """Once in each window, at the end of the attempt that reaches the threshold."""
    half = Threshold(Decimal("0.5"), notify=("ops",))
    policy = replace(budget("b", 100, window=Window.DAY), thresholds=(half,))
    day_ns = 24 * HOUR_NS
    history = [past(30, NOW_NS + at * HOUR_NS) for at in range(3)]
    history += [past(60, NOW_NS + day_ns)]
    found = simulate(history, [policy])
    assert [one.at_ns for one in found.notices] == [
        NOW_NS + HOUR_NS + SECOND_NS,
        NOW_NS + day_ns + SECOND_NS,
    ]
    assert found.notice_count == found.effects["b"].notices == 2


def test_what_came_before_counts_and_is_not_judged() -> None:
    """With a beginning: earlier spend of the same window is there, earlier requests are not."""
    policy = [budget("b", 100, window=Window.DAY), budget("h", 1000, window=Window.HOUR)]
    history = [past(90, NOW_NS - HOUR_NS), past(20, NOW_NS)]
    found = simulate(history, policy, since_ns=NOW_NS)
    assert (found.total.requests, found.total.blocked) == (1, 1)
    assert counted_since_ns(policy, NOW_NS) <= NOW_NS - HOUR_NS
    assert counted_since_ns([], NOW_NS) == NOW_NS


def test_attempts_of_one_request_are_one_request() -> None:
    """Counted once, and how it ended is how its last attempt did; a cap of requests counts it once,
    its money is that of both."""
    first, second = in_turn(10, 20, request_id="r")
    history = [replace(first, is_last=False), second]
    one = replace(budget("b", 1), measure=Measure.REQUESTS)
    found = simulate(history, [one])
    assert (found.total.requests, found.total.refused, found.total.spent) == (1, 0, 30)
    assert simulate([*history, past(1, NOW_NS + HOUR_NS)], [one]).total.blocked == 1


class Books:
    """Books that are written as a worker's journal is folded."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql
        self.store = Store(sql)
        with self.store.transaction():
            self.writer_id, _ = self.store.writers.open("w", NOW_NS)

    def end(self, one: Attempt, end: Settlement | None) -> None:
        """Charge an attempt; with no settlement, release it a second after it began."""
        released = Ended(one.id, Kind.VOIDED, one.at_ns + SECOND_NS, "refused")
        ended = released if end is None else posted_of(one, end, [])
        with self.store.transaction():
            self.store.writers.write(self.writer_id, [(held_of(one, ()), ended)])

    def begin(self, one: Attempt) -> None:
        """Hold an attempt that outlives its process."""
        with self.store.transaction():
            self.store.holds.hold_all([Hold(one, ())])

    def record(self, *records: RequestRecord) -> None:
        with self.store.transaction():
            for one in records:
                self.store.requests.add(one)

    def past(self, since_ns: int = 0, until_ns: int = MAX_NANOS) -> list[PastAttempt]:
        with self.sql.view():
            return list(past_attempts(self.sql, since_ns, until_ns))


def refused(request_id: str, at_ns: int, key_id: str, cost: int | None) -> RequestRecord:
    return RequestRecord(
        id=request_id,
        at_ns=at_ns,
        key_id=key_id,
        team="research",
        user="ada",
        model="llama",
        outcome="budget_exceeded",
        status=402,
        attempts=0,
        would_have_cost=None if cost is None else Money(cost),
        decision=None,
    )


def test_history_is_read_as_it_was(sql: Sql) -> None:
    """Charged, released and open attempts, and refused requests, in order of time."""
    books = Books(sql)
    whose = Principal("key_1", org="acme", team="research", user="ada", tags=("x", "y"))
    later_ns = NOW_NS + HOUR_NS
    charged = replace(attempt("a1", 100, whose), most_tokens=90)
    failed = replace(attempt("a2", 50, whose, at_ns=NOW_NS + 1), request_id="req_two")
    open_one = replace(attempt("a3", 60, whose, at_ns=NOW_NS + 2), request_id="req_two")
    books.begin(replace(open_one, most_tokens=80))
    books.end(attempt("a4", 1, whose, at_ns=later_ns), settlement(1, at_ns=later_ns))
    books.end(charged, settlement(70, prompt=5, cheapest=40, at_ns=NOW_NS + 9))
    books.end(failed, None)
    books.record(refused("req_three", NOW_NS + 1, "key_1", 33), refused("x", NOW_NS, "k", None))
    found = books.past(NOW_NS, later_ns)
    assert [(one.request_id, one.at_ns - NOW_NS, one.is_last) for one in found] == [
        ("req_a1", 0, True),
        ("req_two", 1, False),
        ("req_three", 1, True),
        ("req_two", 2, True),
    ]
    first, voided, cut_off, open_ = found
    assert first.subject == charged.subject
    assert (first.held, first.spent, first.cheapest) == (100, 70, 40)
    assert (first.held_tokens, first.spent_tokens) == (90, 75)
    assert (first.ended_at_ns, first.is_charged) == (NOW_NS + 9, True)
    assert (voided.held, voided.spent, voided.is_charged) == (50, 0, False)
    assert (voided.ended_at_ns, voided.spent_tokens) == (NOW_NS + 1 + SECOND_NS, 0)
    assert (cut_off.was_refused, cut_off.held, cut_off.spent) == (True, 33, 33)
    assert (cut_off.held_tokens, cut_off.subject.provider) == (None, "")
    assert (open_.ended_at_ns, open_.held, open_.held_tokens) == (None, 60, 80)
    assert (open_.spent, open_.is_charged) == (0, False)


def test_a_request_that_was_refused_has_the_rest_of_its_principal_from_its_key(sql: Sql) -> None:
    """Its organisation, project and tags; without the key, what was noted with the request."""
    books = Books(sql)
    whose = Principal("key_1", "acme", "research", "den", "ada", ("x", "y"))
    with books.store.transaction():
        books.store.policy.add_key(
            KeyRecord("key_1", "sk-…", None, whose, NOW_NS, None, None), b"h"
        )
    books.record(refused("r1", NOW_NS, "key_1", 3), refused("r2", NOW_NS + 1, "gone", 3))
    known, gone = books.past()
    assert known.subject.principal == whose
    assert gone.subject.principal == Principal("gone", team="research", user="ada")


def test_a_request_refused_after_its_attempts_is_one_request(sql: Sql) -> None:
    """It was charged for what it tried, and then refused: that is how it ended."""
    books = Books(sql)
    one = attempt("a1", 100)
    books.end(one, settlement(40, at_ns=NOW_NS + 9))
    books.record(refused(one.request_id, NOW_NS - 1, "key_1", 33))
    tried, cut_off = books.past()
    assert (tried.was_refused, tried.is_last) == (False, False)
    assert (cut_off.was_refused, cut_off.is_last, cut_off.at_ns) == (True, True, NOW_NS + 9)
    total = simulate([tried, cut_off], [budget("b", 100)]).total
    assert (total.requests, total.refused_then, total.newly_admitted) == (1, 1, 1)
    assert (total.spent_then, total.spent) == (40, 73)


def test_the_same_budgets_refuse_what_they_refused(sql: Sql) -> None:
    """History against the policy that made it: nothing is newly refused, nothing newly admitted."""
    books = Books(sql)
    for number in range(3):
        one = attempt(f"a{number}", 30, at_ns=NOW_NS + number * SECOND_NS)
        books.end(one, settlement(30, at_ns=one.at_ns + 1))
    books.record(refused("r", NOW_NS + HOUR_NS, "key_1", 30))
    total = simulate(books.past(), [budget("b", 100)]).total
    assert (total.requests, total.refused_then, total.refused) == (4, 1, 1)
    assert (total.newly_refused, total.newly_admitted) == (0, 0)
