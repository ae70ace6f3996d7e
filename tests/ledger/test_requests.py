"""Why attempts failed, as the books keep it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from ledger.databases.sql import Sql
from ledger.requests import (
    FAILURES_KEPT,
    WHY_LIMIT,
    FailedAttempt,
    RequestRecord,
    failures_from_text,
    failures_to_text,
)
from ledger.store import Store
from tests.ledger.entries import NOW_NS

ANYTHING = st.builds(
    FailedAttempt,
    st.text(st.characters(codec="utf-8")),
    st.none() | st.text(st.characters(codec="utf-8")),
    st.text(st.characters(), max_size=2 * WHY_LIMIT),
    st.floats(0, 1e9),
)
SHORT = st.builds(
    FailedAttempt,
    st.text(st.characters(codec="utf-8")),
    st.none() | st.text(st.characters(codec="utf-8")),
    st.text("status 50é木", max_size=WHY_LIMIT).map(lambda why: " ".join(why.split())),
    st.floats(0, 1e9),
)


@given(st.lists(SHORT, max_size=FAILURES_KEPT).map(tuple))
def test_what_is_within_the_limits_is_kept_as_it_is(failures: tuple[FailedAttempt, ...]) -> None:
    """Every field, and their order; no failure at all is NULL, not an empty list."""
    text = failures_to_text(failures)
    assert failures_from_text(text) == failures
    assert (text is None) == (failures == ())


@example((FailedAttempt("a/m", None, "w" * (WHY_LIMIT + 1), 1.0),) * (FAILURES_KEPT + 1))
@given(st.lists(ANYTHING, max_size=2 * FAILURES_KEPT).map(tuple))
def test_all_else_is_cut(failures: tuple[FailedAttempt, ...]) -> None:
    """The first ones stay, each reason in one line that any terminal can show, and so much of it;
    what has been cut is not cut again."""
    kept = failures_from_text(failures_to_text(failures))
    assert len(kept) == min(len(failures), FAILURES_KEPT)
    for one, whole in zip(kept, failures, strict=False):
        assert replace(one, why="") == replace(whole, why="")
        assert len(one.why) <= WHY_LIMIT
        assert one.why.isprintable()
        one.why.encode()
    assert failures_from_text(failures_to_text(kept)) == kept


def test_a_long_reason_in_the_words_of_a_provider(sql: Sql) -> None:
    """What would move the cursor, hide text or begin a line does not reach the books."""
    why = "status 500:\r\n\x1b[2J  <html>\u202e\ud800 no " + "x" * 1000
    record = RequestRecord(
        "req_1", NOW_NS, "key_1", None, None, "m", "upstream_failed", 502, 1, None, None,
        (FailedAttempt("a/m", None, why, 3.5),),
    )  # fmt: skip
    store = Store(sql)
    with store.transaction():
        store.requests.add(record)
        store.requests.add(record)  # a repeat is no news
    found = store.requests.one("req_1")
    assert store.requests.one("req_2") is None
    assert found is not None
    (failure,) = found.failures
    start = "status 500: [2J <html> no xxx"
    assert (failure.why[: len(start)], len(failure.why)) == (start, WHY_LIMIT)
