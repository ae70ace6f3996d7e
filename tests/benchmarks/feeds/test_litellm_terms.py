"""LiteLLM's price file: ranges of prompts, hours, tiers, reasoning, and what is cached for long."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.feeds.litellm import read_file, read_installed
from benchmarks.feeds.litellm_hours import off_peak_hours
from benchmarks.feeds.reading import PricedModel
from benchmarks.quotes import Override, Quote
from ledger.rates import RateCard

AT = datetime(2026, 11, 16, tzinfo=UTC)
"""A Monday."""
INPUT, OUTPUT = "input_cost_per_token", "output_cost_per_token"

Read = Callable[..., PricedModel]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """One entry of 1 USD in and 4 out, with some keys more; None takes one away."""

    def found(**more: Any) -> PricedModel:
        entry = {"litellm_provider": "acme", "mode": "chat", INPUT: 1e-06, OUTPUT: 4e-06, **more}
        path = tmp_path / "prices.json"
        path.write_text(json.dumps({"acme/llama": entry}))
        model = read_file(path, "1.2.3").find("acme", "llama")
        assert model is not None
        return model

    return found


def card(input_usd: str, output_usd: str, **more: str) -> RateCard:
    return RateCard.of(
        Decimal(input_usd),
        Decimal(output_usd),
        **{name: Decimal(usd) for name, usd in more.items()},  # type: ignore[arg-type]
    )


def quote(model: PricedModel) -> Quote:
    assert model.rates is not None
    return Quote(model.rates, model.rates, model.overrides, "test", AT)


def ns(at: datetime) -> int:
    return int(at.timestamp()) * 10**9


# -- reasoning and long caches


def test_reasoning_at_its_own_price(read: Read) -> None:
    """It is on the card where it differs; where it does not, it is what the output costs, also
    above a threshold, where the file names only that."""
    apart = read(
        output_cost_per_reasoning_token=9e-06, output_cost_per_token_above_128k_tokens=1e-05
    )
    assert apart.rates == card("1", "4", reasoning="9")
    same = read(
        output_cost_per_reasoning_token=4e-06,
        input_cost_per_token_above_128k_tokens=2e-06,
        output_cost_per_token_above_128k_tokens=8e-06,
    )
    assert (same.rates, same.overrides) == (card("1", "4"), (Override(card("2", "8"), 128_000),))


def test_reasoning_never_costs_less_than_nobody_says(read: Read) -> None:
    """Above a threshold and at a tier that name none of their own it costs what it does elsewhere,
    or what the output does there, if that is more."""
    found = read(
        output_cost_per_reasoning_token=9e-06,
        input_cost_per_token_above_128k_tokens=2e-06,
        output_cost_per_token_above_128k_tokens=1.2e-05,
        input_cost_per_token_flex=5e-07,
        output_cost_per_token_flex=2e-06,
    )
    assert found.overrides == (Override(card("2", "12"), 128_000),)
    assert found.tiers["flex"].rates == card("0.5", "2", reasoning="9")


@pytest.mark.parametrize("price", ["9e-06", -1, [], 2])
def test_reasoning_at_what_is_no_price(read: Read, price: object) -> None:
    """Nobody knows then what the model costs; at nothing it is not believed, and costs the rest."""
    assert read(output_cost_per_reasoning_token=price).rates is None
    assert read(output_cost_per_reasoning_token=0).rates == card("1", "4")


def test_caches_of_an_hour(read: Read) -> None:
    """They have a price where the file names it, and above a threshold only where it does there."""
    long = {"cache_creation_input_token_cost_above_1hr": 2e-06}
    above = {"input_cost_per_token_above_200k_tokens": 2e-06}
    found = read(cache_creation_input_token_cost=1.25e-06, **long, **above)
    assert found.rates == card("1", "4", cache_write="1.25", cache_write_1h="2")
    assert [one.rates.cache_write_1h for one in found.overrides] == [None]
    also = {"cache_creation_input_token_cost_above_1hr_above_200k_tokens": 4e-06}
    both = read(**long, **above, **also)
    assert [one.rates.cache_write_1h for one in both.overrides] == [Decimal(4)]


# -- ranges


def ranges(*ends: float) -> list[dict[str, Any]]:
    starts = (0, *ends[:-1])
    return [
        {"range": [start, end], INPUT: (n + 1) * 1e-06, OUTPUT: (n + 1) * 2e-06}
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def test_ranges_of_prompts(read: Read) -> None:
    """Each range's prices hold from one token above its beginning to its end, the last one's for
    whatever is longer."""
    found = quote(read(tiered_pricing=ranges(32e3, 128e3, 256e3), **{INPUT: None, OUTPUT: None}))
    for prompt, price in ((0, 1), (32_000, 1), (32_001, 2), (128_000, 2), (128_001, 3), (10**6, 3)):
        assert found.card(prompt, 0) == card(str(price), str(2 * price))


@pytest.mark.parametrize(
    "written",
    [
        [],
        {},
        [{"range": [0, 1]}],
        ranges(32e3, 128e3)[1:],
        [*ranges(32e3), *ranges(64e3, 128e3)[1:]],
        [{**ranges(32e3)[0], "range": [0]}],
        [{**ranges(32e3)[0], "range": [0, 0.5]}],
        [{**ranges(32e3)[0], "range": [0, 0]}],
        [{**ranges(32e3)[0], INPUT: 0}],
        [*ranges(32e3), {**ranges(32e3, 64e3)[1], OUTPUT: "cheap"}],
        ["cheap"],
    ],
)
def test_ranges_that_leave_something_open(read: Read, written: object) -> None:
    """A gap, an overlap, a part without a price: nobody knows what the model costs."""
    assert read(tiered_pricing=written).rates is None


# -- hours

WEEK = {
    "windows": [
        {"hours_utc": ["00:00-01:00", "04:00-06:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
        {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
    ]
}


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai", "Asia/Kolkata"])
@given(st.integers(0, 7 * 1440 - 1))
def test_hours_of_the_week(zone: str | None, minute: int) -> None:
    """Whether prices are others is asked of the clock and the calendar of the place, at every
    minute of a week."""
    found = off_peak_hours(WEEK | ({} if zone is None else {"weekday_timezone": zone}))
    assert found is not None
    at = AT + timedelta(minutes=minute)
    weekday = at.astimezone(ZoneInfo(zone or "UTC")).isoweekday()
    off_peak = weekday > 5 or at.hour in (0, 4, 5) or at.hour >= 10
    assert any(one.has(ns(at)) for one in found) == off_peak


def test_off_peak_prices(read: Read) -> None:
    """What the file names for them, the rest as ever; a long prompt costs what it does by day."""
    hours = {"windows": [{"hours_utc": "16:30-00:30"}], INPUT: 5e-07, OUTPUT: 2e-06}
    more = {"cache_read_input_token_cost": 1e-07, "off_peak_pricing": hours}
    found = quote(read(**more, input_cost_per_token_above_128k_tokens=3e-06))
    night, noon = ns(AT.replace(hour=23)), ns(AT.replace(hour=12))
    assert found.card(1, night) == card("0.5", "2", cache_read="0.1")
    assert found.card(1, noon) == card("1", "4", cache_read="0.1")
    assert found.card(128_001, night) == card("3", "4", cache_read="0.1")


@pytest.mark.parametrize(
    "change",
    [
        {"windows": []},
        {"windows": None},
        {"windows": ["16:30-00:30"]},
        {"windows": [{}]},
        {"windows": [{"hours_utc": "16:30"}]},
        {"windows": [{"hours_utc": "16:30-24:30"}]},
        {"windows": [{"hours_utc": "05:00-05:00"}]},
        {"windows": [{"hours_utc": "22:00-02:00", "weekdays": [5]}]},
        {"windows": [{"hours_utc": "01:00-02:00", "weekdays": [0]}]},
        {"windows": [{"hours_utc": "01:00-02:00", "weekdays": []}]},
        {"weekday_timezone": "Europe/Berlin"},
        {"weekday_timezone": "Nowhere/Land"},
        {INPUT: "cheap"},
    ],
)
def test_hours_that_cannot_be_understood(read: Read, change: dict[str, object]) -> None:
    """A model whose prices depend on them has none then."""
    usual = {"windows": [{"hours_utc": "16:30-00:30"}], INPUT: 5e-07}
    assert read(off_peak_pricing=usual).rates is not None
    assert read(off_peak_pricing=usual | change).rates is None


# -- tiers


def test_tiers(read: Read) -> None:
    """A tier has cards of its own, long prompts too; what it does not name is never cheaper than
    what is known."""
    found = read(
        cache_read_input_token_cost=1e-07,
        cache_creation_input_token_cost=1.25e-06,
        input_cost_per_token_above_200k_tokens=1.5e-06,
        output_cost_per_token_above_200k_tokens=9e-06,
        input_cost_per_token_priority=2e-06,
        output_cost_per_token_priority=8e-06,
        input_cost_per_token_flex=5e-07,
        output_cost_per_token_flex=2e-06,
        cache_read_input_token_cost_flex=5e-08,
        input_cost_per_token_above_200k_tokens_flex=1e-06,
        output_cost_per_token_ultrafast=1,
    )
    assert sorted(found.tiers) == ["flex", "priority"]
    flex, priority = found.tiers["flex"], found.tiers["priority"]
    assert flex.rates == card("0.5", "2", cache_read="0.05", cache_write="1.25")
    assert priority.rates == card("2", "8", cache_write="2")
    assert flex.overrides == (Override(card("1", "9", cache_write="1.25"), 200_000),)
    assert priority.overrides == (Override(card("2", "9", cache_write="2"), 200_000),)


def test_when_a_model_ends(read: Read) -> None:
    """At the beginning of its day, in UTC; what is no day is none."""
    assert read(deprecation_date="2026-12-31").ends_at == datetime(2026, 12, 31, tzinfo=UTC)
    for written in (None, "soon", 20261231.5, "2026-13-01"):
        assert read(deprecation_date=written).ends_at is None


def test_the_installed_file() -> None:
    """GPT-5 has its tiers, DeepSeek its nights, Qwen its ranges and its reasoning, Claude its long
    caches."""
    file = read_installed()
    gpt = file.find("openai", "gpt-5")
    assert gpt is not None
    assert gpt.rates is not None
    assert {"flex", "priority"} <= gpt.tiers.keys()
    flex, priority = gpt.tiers["flex"].rates, gpt.tiers["priority"].rates
    assert flex is not None
    assert priority is not None
    assert flex.input < gpt.rates.input < priority.input
    models = [one for one in file if one.rates is not None]
    by_hour = [one for one in models if any(other.hours for other in one.overrides)]
    assert by_hour
    for one in by_hour:
        assert one.rates is not None
        assert all(other.rates.input < one.rates.input for other in one.overrides if other.hours)
    assert sum(one.rates.reasoning is not None for one in models if one.rates) > 10
    assert sum(one.rates.cache_write_1h is not None for one in models if one.rates) > 100
    assert any(len(one.overrides) > 2 for one in models if "qwen" in one.model)
