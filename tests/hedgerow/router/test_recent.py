"""Recent: the newest requests, told by what was decided and what became of them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hedgerow.router.recent import ODD_TOLD, TRIED, TRIED_TOLD, recent, summary
from ledger.databases.sql import Sql
from ledger.requests import FailedAttempt, RequestRecord
from ledger.tables.requests import RequestTable
from proxy.pursuit import OVERTAKEN

FIRSTS = ("value", "tie", "explored", "asked")

failures = st.lists(
    st.builds(
        FailedAttempt,
        offer=st.sampled_from(("a/x", "b/x")),
        account=st.none(),
        why=st.sampled_from(("status 503", "no answer in 20 s", OVERTAKEN)),
        after_ms=st.integers(0, 1000).map(float),
    ),
    max_size=3,
).map(tuple)


@st.composite
def records(draw: st.DrawFn) -> list[RequestRecord]:
    found = []
    for number in range(draw(st.integers(0, TRIED_TOLD))):
        first = draw(st.sampled_from(FIRSTS))
        candidates = '[{"offer":"a/x","place":"ready"}]' if draw(st.booleans()) else "[]"
        decision = f'{{"candidates":{candidates},"first":"{first}","exploring_nanos":{number}}}'
        refused = draw(st.booleans())
        found.append(
            RequestRecord(
                id=f"req_{number}",
                at_ns=1000 - number,
                key_id="key_1",
                team=None,
                user=None,
                model=draw(st.sampled_from(("elm", "oak"))),
                outcome="budget_exceeded" if refused else "answered",
                status=402 if refused else 200,
                attempts=1,
                would_have_cost=None,
                decision=draw(st.sampled_from((decision, None))),
                failures=draw(failures),
            )
        )
    return found


@given(records())
def test_every_attempt_in_vain_counts_once(told: list[RequestRecord]) -> None:
    """By offer and reason, with the time that was lost; who was overtaken waited for nothing."""
    found = summary(told, 100)
    every = [one for record in told for one in record.failures]
    in_vain = [one for one in every if one.why != OVERTAKEN]
    assert sum(one.attempts for one in found.in_vain) == len(in_vain)
    assert found.lost_ms == sum(one.after_ms for one in in_vain)
    assert found.overtaken == len(every) - len(in_vain)
    for one in found.in_vain:
        alike = [each for each in in_vain if (each.offer, each.why) == (one.offer, one.why)]
        assert one.attempts == len(alike)
    assert found.refused == sum(one.status == 402 for one in told)
    assert found.requests == len(told)


@given(records())
def test_what_is_odd(told: list[RequestRecord]) -> None:
    """Refused ones, those with a failure, and those that were tried out: the newest first; who went
    to the best offer and came back is not told."""
    found = {one.request_id for one in summary(told, 100).odd}
    for one in told:
        explored = one.decision is not None and '"explored"' in one.decision
        is_tried = explored and "a/x" in (one.decision or "")
        is_odd = one.status >= 400 or bool(one.failures) or is_tried
        assert (one.id in found) == is_odd
    assert len(found) <= ODD_TOLD


def test_what_is_tried_out_hides_no_failure() -> None:
    """However many requests were tried out since, those that went wrong are told."""
    tried = RequestRecord(
        *("req", 9, "key_1", None, None, "elm", "answered", 200, 1, None),
        '{"candidates":[{"offer":"a/x"}],"first":"explored"}',
    )
    wrong = replace(tried, id="req_wrong", outcome="upstream_failed", status=502)
    found = summary([*[tried] * 2 * ODD_TOLD, wrong], 1000)
    assert [one.why for one in found.odd] == [TRIED] * TRIED_TOLD + ["upstream_failed"]


def test_from_the_books(sql: Sql) -> None:
    """The newest of a model, as many as are wanted, and whether there are more; what another
    version has written is no reason to stop."""
    with sql.transaction():
        for number in range(10):
            model, decision = ("elm", "oak")[number % 2], ('{"first":7}', None)[number % 2]
            RequestTable(sql).add(
                RequestRecord(
                    *(f"req_{number}", number, "key_1", None, None, model, "answered", 200, 1),
                    None,
                    decision,
                )
            )
    found = recent(sql, 2, "elm", limit=3)
    assert (found.requests, found.is_all, found.since_ns, found.until_ns) == (3, False, 4, 8)
    assert recent(sql, 2, "elm", limit=5).is_all
    assert recent(sql, 2).requests == 8
    assert recent(sql, 99).since_ns is None
