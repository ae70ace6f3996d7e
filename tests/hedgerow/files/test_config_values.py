"""What the configuration says, asked of it: a model's routing, off-peak hours, bytes."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigInvalid, NotFound
from hedgerow.files.model_spec import Routing
from hedgerow.files.second_offer_spec import SecondOfferSpec
from routing.limits import SecondOfferRule

few = settings(max_examples=60, deadline=None)


def load(more: str = "", own: str = "") -> Config:
    """A configuration of one model `m` with `own` keys beside its offers."""
    text = f"""\
providers: {{groq: {{}}}}
models:
  m: {{offers: [{{provider: groq, model: m, price: {{input: 1, output: 1}}}}]{own}}}
{more}
"""
    with TemporaryDirectory() as folder:
        path = Path(folder, "hedgerow.yaml")
        path.write_text(text)
        return load_config(path, {})


# Routing

WRITTEN: dict[str, dict[str, Any]] = {
    "ttft_ms_p95_max": {"1": 1, "2000": 2000},
    "total_ms_p95_max": {"1": 1, "15000": 15000},
    "late": {word: word for word in ("last", "priced")},
    "miss_cost": {"0": 0.0, "1.0": 1.0, "2.5": 2.5},
    "explore": {"0": 0.0, "0.01": 0.01},
    "attempts": {"1": 1, "3": 3, "20": 20},
    "first_byte_timeout": {"5s": 5.0, "20s": 20.0},
    "idle_timeout": {"1m": 60.0, "30": 30.0},
    "deadline": {"90s": 90.0, "60s": 60.0},
    "stream_rescue": {word: word for word in ("error", "buffer", "prefix_match")},
    "heartbeat": {"off": None, "15s": 15.0},
}
"""For each key, what may be written and what it means; the defaults are among them."""
some_keys = st.fixed_dictionaries(
    {}, optional={key: st.sampled_from(list(values)) for key, values in WRITTEN.items()}
)


def flow(keys: dict[str, str]) -> str:
    return f"{{{', '.join(f'{key}: {text}' for key, text in keys.items())}}}"


@few
@given(some_keys, some_keys)
def test_a_models_routing_differs_key_by_key(common: dict[str, str], own: dict[str, str]) -> None:
    """A key counts as the model has it, else as all have it, else as it is by default: also where
    a model goes back to the default."""
    config = load(f"routing: {flow(common)}", f", routing: {flow(own)}")
    expected = Routing().model_dump()
    expected |= {key: WRITTEN[key][text] for key, text in (common | own).items()}
    assert config.routing_of("m").model_dump() == expected


def test_every_key_of_routing_is_tried_above() -> None:
    """None is forgotten in the properties above and below."""
    assert WRITTEN.keys() | {"hedge"} == Routing.model_fields.keys()
    assert HEDGED.keys() == SecondOfferSpec.model_fields.keys()


HEDGED: dict[str, dict[str, Any]] = {
    "after": {"off": None, "p95": "p95", "800ms": 0.8, "2": 2.0},
    "share": {"5%": Decimal("0.05"), "100%": Decimal(1), "0.5 %": Decimal("0.005")},
    "plain": {"true": True, "false": False},
}
hedge_keys = st.fixed_dictionaries(
    {}, optional={key: st.sampled_from(list(values)) for key, values in HEDGED.items()}
)


@few
@given(hedge_keys, hedge_keys)
def test_a_model_is_hedged_its_own_way_key_by_key(
    common: dict[str, str], own: dict[str, str]
) -> None:
    """Also the keys within `hedge` count each for itself."""
    config = load(
        f"routing: {{hedge: {flow(common)}}}", f", routing: {{attempts: 7, hedge: {flow(own)}}}"
    )
    expected = SecondOfferSpec().model_dump()
    expected |= {key: HEDGED[key][text] for key, text in (common | own).items()}
    assert config.routing_of("m").hedge.model_dump() == expected
    assert config.routing_of("m").attempts == 7


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("{}", None),
        ("{after: off, share: 10%}", None),
        ("{after: p95}", SecondOfferRule(None, 50_000)),
        ("{after: 800ms, share: 0.5%, plain: true}", SecondOfferRule(800.0, 5_000, plain=True)),
    ],
)
def test_how_requests_are_hedged(written: str, rule: SecondOfferRule | None) -> None:
    """Off unless it is said after which time; then for streams and one in twenty."""
    assert load(f"routing: {{hedge: {written}}}").routing.hedge.rule() == rule


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("{after: p99}", "write off, p95, or 20s"),
        ("{after: 0s}", "write off, p95, or more than 0"),
        ("{share: 101%}", "write 5%: more than 0 and at most 100%"),
        ("{share: 0.05}", "write 5%: more than 0 and at most 100%"),
    ],
)
def test_what_is_no_hedging(written: str, hint: str) -> None:
    """It is told with what to write instead."""
    with pytest.raises(ConfigInvalid) as refused:
        load(f"routing: {{hedge: {written}}}")
    (error,) = refused.value.errors
    assert hint in error.hint


def test_a_model_without_routing_and_one_that_is_not_there() -> None:
    """The first has everybody's routing, the second is named with those that there are."""
    config = load("routing: {attempts: 7}")
    assert config.routing_of("m") is config.routing
    with pytest.raises(NotFound, match=r"there is no model n in .*; there are: m"):
        config.routing_of("n")


# Off-peak hours


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@few
@given(st.integers(0, 24 * 60), st.integers(0, 24 * 60))
def test_hours_hold_each_minute_from_begin_to_end(begin: int, end: int) -> None:
    """Walking the clock from the begin to the end, over midnight if need be, meets them all."""
    if begin % 1440 == end % 1440:
        return
    (hours,) = load(f'batches: {{hours: ["{clock(begin)}-{clock(end)}"]}}').batches.hours
    walked = {(begin + step) % 1440 for step in range((end - begin) % 1440)}
    held = {minute for minute in range(1440) if hours.holds(time(minute // 60, minute % 60, 59))}
    assert held == walked


def test_a_whole_day_can_be_written() -> None:
    """24:00 is the end of the day."""
    (hours,) = load('batches: {hours: ["00:00-24:00"]}').batches.hours
    assert all(hours.holds(time(hour, 59)) for hour in range(24))


@pytest.mark.parametrize(
    ("utc", "expected"),
    [
        ("2026-01-15 20:59", False),  # 21:59 in Berlin
        ("2026-01-15 21:00", True),
        ("2026-01-16 04:59", True),
        ("2026-01-16 05:00", False),
        ("2026-07-15 19:59", False),  # an hour earlier in summer
        ("2026-07-15 20:00", True),
        ("2026-07-16 04:00", False),
        ("2026-07-15 10:00", True),  # the second of its hours
    ],
)
def test_off_peak_is_by_the_clock_of_a_zone(utc: str, expected: bool) -> None:
    """In winter and in summer, whatever zone the moment is given in."""
    batches = load(
        'batches: {hours: ["22:00-06:00", "12:00-13:00"], timezone: Europe/Berlin}'
    ).batches
    at = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert batches.is_off_peak(at) == expected
    assert batches.is_off_peak(at.astimezone(ZoneInfo("Asia/Kathmandu"))) == expected


def test_without_hours_it_is_always_off_peak() -> None:
    """A day's every hour."""
    batches = load().batches
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert all(batches.is_off_peak(start + timedelta(hours=hour)) for hour in range(24))


# Bytes


@few
@given(st.integers(1, 1024), st.sampled_from([("", 0), (" KiB", 1), ("MiB", 2), (" GiB", 3)]))
def test_bytes_are_powers_of_1024(count: int, unit: tuple[str, int]) -> None:
    """A number with a unit, or without."""
    word, power = unit
    assert load(f"files: {{max_bytes: {count}{word}}}").files.max_bytes == count * 1024**power


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        ("server.max_body_bytes", 1, 2**30),
        ("server.max_header_bytes", 2**10, 2**20),
        ("idempotency.max_bytes", 1, 2**50),
        ("files.max_bytes_per_file", 1, 2**50),
        ("files.max_bytes", 1, 2**50),
    ],
)
def test_bytes_have_bounds(key: str, least: int, most: int) -> None:
    """The bounds are taken, and one byte beyond each is refused by name."""
    part, _, name = key.partition(".")
    for good in (least, most):
        assert getattr(getattr(load(f"{part}: {{{name}: {good}}}"), part), name) == good
    for bad, says in ((least - 1, f"write {least} or more"), (most + 1, f"write {most} or less")):
        with pytest.raises(ConfigInvalid, match=says):
            load(f"{part}: {{{name}: {bad}}}")
