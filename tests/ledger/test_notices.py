"""Notices: told apart by what happened, and said in one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.measures import Measure
from ledger.notices import Notice, NoticeKind, from_json, percent, to_json
from tests.ledger.entries import NOW_NS

MARCH_ENDS = datetime(2026, 3, 31, 22, tzinfo=UTC)
"""In Berlin."""

names = st.text(max_size=8)
parts = st.none() | st.decimals(0, 2, allow_nan=False, places=3)
crossings = st.fixed_dictionaries(
    {
        "budget": names,
        "scope": names,
        "kind": st.sampled_from(NoticeKind),
        "measure": st.sampled_from(Measure),
        "cap": st.integers(0, 3),
        "part": parts,
        "window": st.sampled_from(["month", "lifetime"]),
        "window_start_ns": st.integers(0, 3),
        "about": names,
    }
)
"""What makes a crossing another one."""
tellings = st.fixed_dictionaries(
    {
        "at_ns": st.integers(0, 2**62),
        "spent": st.integers(-5, 2**62),
        "resets_at": st.none() | st.datetimes(timezones=st.just(UTC)),
        "channels": st.lists(names, max_size=3).map(tuple),
    }
)


def notice(**more: Any) -> Notice:
    """Research has spent 85% of its 20,000 USD in March, unless `more` says otherwise."""
    return replace(
        Notice(
            at_ns=NOW_NS,
            budget="research-month",
            scope="team=research",
            kind=NoticeKind.THRESHOLD,
            measure=Measure.USD,
            spent=17_003_200_000_000,
            cap=20_000_000_000_000,
            part=Decimal("0.85"),
            window="month",
            window_start_ns=1_772_319_600_000_000_000,
            resets_at=MARCH_ENDS,
            channels=("ops",),
        ),
        **({"id": ""} | more),
    )


@given(crossings, crossings, tellings, tellings)
def test_the_id_is_that_of_the_crossing(
    one: dict[str, Any], other: dict[str, Any], told: dict[str, Any], later: dict[str, Any]
) -> None:
    """The same crossing has one id, whenever and to whomever it is told; another has another."""
    assert Notice(**one, **told).id == Notice(**one, **later).id
    assert (Notice(**one, **told).id == Notice(**other, **later).id) is (one == other)


def test_a_part_is_the_same_however_it_is_written() -> None:
    """0.9 and 0.90 are one crossing."""
    assert notice(part=Decimal("0.9")).id == notice(part=Decimal("0.90")).id


def test_names_that_run_together_are_kept_apart() -> None:
    """Whatever a budget is called, its notices are no other budget's."""
    assert notice(budget="a", scope="1:b").id != notice(budget="a1", scope=":b").id
    assert notice(budget="ab", scope="").id != notice(budget="a", scope="b").id


@given(crossings, tellings)
def test_json_keeps_everything(crossing: dict[str, Any], told: dict[str, Any]) -> None:
    """What is read again is what was kept, its id included."""
    one = Notice(**crossing, **told)
    assert from_json(to_json(one)) == one


@given(crossings, tellings, st.text())
def test_one_line_whatever_names_are(
    crossing: dict[str, Any], told: dict[str, Any], name: str
) -> None:
    """No name ends a line: of a log, of a header, of a message."""
    one = replace(Notice(**crossing, **told), budget=name, scope=name, about=name)
    assert one.text().isprintable()
    assert one.subject.isprintable()


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            {},
            (
                "budget research-month (team=research) reached 85%: 17,003.20 USD of 20,000.00 USD"
                " are spent, it resets at 2026-03-31 22:00 UTC; see who spends it with"
                " `hedgerow spend`, or raise its cap"
            ),
        ),
        (
            {"about": "requests go to the cheapest offer", "resets_at": None},
            (
                "budget research-month (team=research) reached 85%: 17,003.20 USD of 20,000.00 USD"
                " are spent, requests go to the cheapest offer, it never resets; see who spends it"
                " with `hedgerow spend`, or raise its cap"
            ),
        ),
        (
            {
                "kind": NoticeKind.SHADOW,
                "measure": Measure.TOKENS,
                "spent": 999,
                "cap": 1000,
                "resets_at": None,
            },
            (
                "budget research-month (team=research) would have refused a request: 999 tokens of"
                " 1,000 tokens are spent, it never resets; it only watches: raise its cap before"
                " you let it block"
            ),
        ),
        (
            {"kind": NoticeKind.RAISE, "about": "launch week"},
            (
                "budget research-month (team=research) was raised: its cap is 20,000.00 USD by"
                " launch week, 17,003.20 USD are spent, it resets at 2026-03-31 22:00 UTC; if"
                " nobody meant this, take the increase back"
            ),
        ),
    ],
)
def test_what_people_read(more: dict[str, Any], text: str) -> None:
    """What happened, in the measure's unit, and what to do."""
    assert notice(**more).text() == text


@given(st.decimals(0, 3, allow_nan=False, places=4))
def test_percent_is_exact(part: Decimal) -> None:
    """A percentage says the part exactly, in digits."""
    text = percent(part)
    assert Decimal(text.removesuffix("%")) == part * 100
    assert "E" not in text
