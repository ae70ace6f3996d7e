"""What each feed says, read from bodies of its real shape."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds import artificial_analysis, gpu_index, litellm, openrouter, provider_models
from benchmarks.feeds.document import MOST_BYTES, Document
from benchmarks.feeds.reading import CapacityRow, ModelQuality, PricedModel, Reading
from benchmarks.offers import Feature, Task
from benchmarks.quotes import Override, UtcHours
from ledger.rates import RateCard
from tests.benchmarks.feeds import bodies
from tests.benchmarks.feeds.bodies import AT, document, endpoint, endpoints

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def card(plain: str, output: str, read: str | None = None, request: str = "0") -> RateCard:
    cached = None if read is None else Decimal(read)
    return RateCard.of(Decimal(plain), Decimal(output), cached, request=Decimal(request))


def only(reading: Reading) -> PricedModel:
    (found,) = priced(reading)
    return found


def priced(reading: Reading) -> list[PricedModel]:
    return [one for one in reading.models() if one.rates is not None]


def faults(reading: Reading) -> set[tuple[str, AlarmName]]:
    return {(one.key, one.name) for one in reading.faults}


def test_an_endpoint_has_its_prices_limits_and_figures() -> None:
    """Texts per token become USD per million; uptimes become shares; nulls stay unknown."""
    reading = openrouter.endpoints(document(endpoints(endpoint()), as_of=AT))

    one = only(reading)
    assert (one.provider, one.model, one.tag, one.quantization) == (
        *("deepinfra", "oak/oak-70b"),
        *("fp8", "fp8"),
    )
    assert one.rates == card("0.04", "0.19", "0.01")
    assert (one.context_tokens, one.max_output_tokens) == (131072, 16384)
    assert one.features == frozenset({Feature.TOOLS, Feature.JSON_SCHEMA})
    assert one.parameters is not None
    assert "tool_choice" in one.parameters
    assert one.stats is not None
    assert one.stats.ttft_ms.points() == [(0.5, 310), (0.75, 420), (0.9, 700), (0.99, 2100)]
    assert one.stats.tokens_per_s.p75 == 55.5
    assert (one.stats.uptime_5m, one.stats.uptime_30m, one.stats.uptime_1d) == (0.995, 0.9925, None)
    assert (one.stats.status, one.stats.as_of) == (0, AT)
    assert reading.faults == ()


def test_endpoints_of_one_provider_are_told_apart_by_their_tags() -> None:
    """A bare tag is the provider's usual endpoint; two of the same tag are believed neither."""
    reading = openrouter.endpoints(
        document(
            endpoints(endpoint("groq"), endpoint("groq/flex"), endpoint("groq/flex", status=-2))
        )
    )
    assert [one.key for one in reading.models()] == ["groq/oak/oak-70b"]
    assert faults(reading) == {("groq/oak/oak-70b@flex", AlarmName.DUPLICATE)}


def test_an_endpoint_without_figures_is_read_too() -> None:
    """Figures are null where few have asked, and absent without a key."""
    bare = endpoint(
        latency_last_30m=None, throughput_last_30m=None, uptime_last_5m=None, quantization="unknown"
    )
    del bare["uptime_last_30m"]
    one = only(openrouter.endpoints(document(endpoints(bare))))
    assert one.stats is not None
    assert one.stats.ttft_ms.points() == []
    assert one.stats.uptime_30m is None
    assert one.quantization is None


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            {"min_prompt_tokens": 200_001, "prompt": "0.00000008"},
            Override(card("0.08", "0.19", "0.01"), 200_000),
        ),
        (
            {"utc_start": "1630", "utc_end": "0030", "completion": "0.0000001"},
            Override(card("0.04", "0.1", "0.01"), 0, UtcHours(990, 30)),
        ),
        (
            {"utc_start": 0, "utc_end": 2400, "min_prompt_tokens": 0, "request": "0.01"},
            Override(card("0.04", "0.19", "0.01", "0.01"), 0, UtcHours(0, 1440)),
        ),
    ],
)
def test_overrides_of_size_and_hour(override: dict[str, Any], expected: Override) -> None:
    """From so many tokens on, or from one minute (UTC) until before another; what an override does
    not name stays as it was."""
    priced = endpoint()
    priced["pricing"]["overrides"] = [override]
    assert only(openrouter.endpoints(document(endpoints(priced)))).overrides == (expected,)


@pytest.mark.parametrize(
    ("pricing", "name"),
    [
        ({"prompt": "0"}, AlarmName.ZERO),
        ({"completion": "-0.0000001"}, AlarmName.NEGATIVE),
        ({"prompt": "NaN"}, AlarmName.NOT_A_NUMBER),
        ({"prompt": "free"}, AlarmName.NOT_A_NUMBER),
        ({"prompt": True}, AlarmName.NOT_A_NUMBER),
        ({"completion": None}, AlarmName.MISSING),
        ({"input_cache_read": "-1"}, AlarmName.NEGATIVE),
        ({"prompt": "9" * 500}, AlarmName.NOT_A_NUMBER),
        ({"prompt": "1e400"}, AlarmName.IMPLAUSIBLE),
        ({"prompt": "7"}, AlarmName.IMPLAUSIBLE),
        ({"overrides": [{"min_prompt_tokens": 5, "prompt": "0"}]}, AlarmName.ZERO),
        ({"overrides": [{"utc_start": "2561", "utc_end": "0100"}]}, AlarmName.NOT_A_NUMBER),
        ({"overrides": [{"utc_start": "4800", "utc_end": "0100"}]}, AlarmName.NOT_A_NUMBER),
        ({"overrides": [{"utc_start": "0100", "utc_end": "0100"}]}, AlarmName.IMPLAUSIBLE),
        ({"overrides": {}}, None),
        ({"overrides": "x"}, AlarmName.MALFORMED),
    ],
)
def test_a_price_that_is_none_is_named_and_not_believed(
    pricing: dict[str, Any], name: AlarmName | None
) -> None:
    """Whatever stands where a price belongs: a fault of that name, and no card."""
    bad = endpoint()
    bad["pricing"] |= pricing
    reading = openrouter.endpoints(document(endpoints(bad, endpoint("groq"))))
    expected = set() if name is None else {("deepinfra/oak/oak-70b@fp8", name)}
    assert faults(reading) == expected
    assert len(priced(reading)) == 2 - len(expected)  # the other one is read


def test_a_figure_that_cannot_be_is_left_out_alone() -> None:
    """An uptime of 990% or a negative latency is said, and the price is still read."""
    odd = endpoint(uptime_last_30m=990, latency_last_30m={"p50": -3, "p99": 9e9})
    reading = openrouter.endpoints(document(endpoints(odd)))
    one = only(reading)
    assert one.stats is not None
    assert (one.stats.uptime_30m, one.stats.ttft_ms.points()) == (None, [])
    assert one.rates is not None
    assert {one.name for one in reading.faults} == {AlarmName.IMPLAUSIBLE}


@pytest.mark.parametrize("said", [{"p50": 900, "p75": 100}, {"p50": 0, "p99": 10}])
def test_percentiles_of_nothing_are_left_out(said: dict[str, float]) -> None:
    """Those that fall, or of no time at all, are no distribution: a share within a limit cannot be
    read from them."""
    reading = openrouter.endpoints(document(endpoints(endpoint(latency_last_30m=said))))
    stats = only(reading).stats
    assert stats is not None
    assert (stats.ttft_ms.points(), stats.tokens_per_s.p50) == ([], 61)
    assert faults(reading) == {("deepinfra/oak/oak-70b@fp8", AlarmName.IMPLAUSIBLE)}


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"])
def test_a_day_beyond_the_calendar_is_none(end: str) -> None:
    assert only(openrouter.endpoints(document(endpoints(endpoint(expiration_date=end))))).rates


def test_openrouters_own_models() -> None:
    """What OpenRouter sells itself; what is free or has no fixed price is not believed."""
    reading = openrouter.models(document(bodies.OPENROUTER_MODELS))
    one = only(reading)
    assert (one.provider, one.model, one.max_output_tokens) == ("openrouter", "oak/oak-70b", 32768)
    assert one.features == frozenset({Feature.TOOLS, Feature.LOGPROBS, Feature.VISION})
    assert one.ends_at == datetime(2027, 1, 31, tzinfo=UTC)
    assert faults(reading) == {
        ("openrouter/oak/oak-70b:free", AlarmName.ZERO),
        ("openrouter/openrouter/auto", AlarmName.NEGATIVE),
    }
    assert reading.listed == 3


def test_a_model_whose_images_cost_extra_is_not_asked_to_see() -> None:
    """A card of tokens does not hold a price per image."""
    seeing = endpoint()
    seeing["pricing"]["image"] = "0.0012"
    for pricing, sees in ((endpoint()["pricing"], True), (seeing["pricing"], False)):
        body = endpoints(endpoint(pricing=pricing), inputs=("text", "image"))
        features = only(openrouter.endpoints(document(body))).features
        assert features is not None
        assert (Feature.VISION in features) is sees


@pytest.mark.parametrize(
    ("provider", "body", "model", "rates"),
    [
        ("together", bodies.TOGETHER, "oak/Oak-70B-Turbo", card("0.88", "0.88")),
        ("together", bodies.TOGETHER, "oak/oak-embed", card("0.02", "0")),
        ("deepinfra", bodies.DEEPINFRA, "oak/Oak-70B", card("0.23", "0.4", "0.1")),
        ("novita", bodies.NOVITA, "oak/oak-70b", card("0.269", "0.4", "0.1345")),
        ("chutes", bodies.CHUTES, "oak/Oak-70B-TEE", card("0.2", "0.8", "0.1")),
        ("openrouter", bodies.OPENROUTER_MODELS, "oak/oak-70b", card("0.05", "0.2")),
        ("nebius", bodies.OPENROUTER_MODELS, "oak/oak-70b", card("0.05", "0.2")),
    ],
)
def test_providers_own_lists(provider: str, body: Any, model: str, rates: RateCard) -> None:
    """Each in its own unit: USD per token or per million, or ten-thousandths of it."""
    found = {one.model: one for one in provider_models.read(provider, document(body)).models()}
    assert found[model].rates == rates
    assert found[model].provider == provider
    assert found[model].context_tokens in (131072, 512)


def test_what_a_provider_prices_otherwise_is_passed_over() -> None:
    """Images and speech stand in the same lists, in units of their own."""
    assert [
        one.task for one in provider_models.read("together", document(bodies.TOGETHER)).models()
    ] == [
        Task.CHAT,
        Task.EMBEDDING,
    ]
    assert (
        only(provider_models.read("deepinfra", document(bodies.DEEPINFRA))).model == "oak/Oak-70B"
    )


def test_pricing_that_is_no_object_is_passed_over() -> None:
    odd = {"id": "oak/Oak-70B", "metadata": {"pricing": -1}}
    reading = provider_models.read("deepinfra", document({"data": [odd]}))
    assert faults(reading) == {("deepinfra/oak/Oak-70B", AlarmName.MISSING)}


def test_artificial_analysis_indices_are_scores() -> None:
    """0 to 100 becomes 0 to 1, by benchmark; what was not measured is not there."""
    reading = artificial_analysis.models(document(bodies.ARTIFICIAL_ANALYSIS, as_of=AT))
    found = {one.key: one.quality for one in reading.entries if isinstance(one, ModelQuality)}
    assert {key: one.score for key, one in found.items()} == {
        "oak-70b:artificial_analysis_intelligence": 0.415,
        "oak-70b:artificial_analysis_coding": 0.38,
    }
    one = found["oak-70b:artificial_analysis_coding"]
    assert (one.low, one.high, one.n, one.as_of) == (0.38, 0.38, None, AT)


def test_indices_in_another_unit_are_refused() -> None:
    """A list on which nobody has more than 1 of 100 is one of shares, or of nothing."""
    (one,) = bodies.ARTIFICIAL_ANALYSIS["data"]
    shares = {"artificial_analysis_intelligence_index": 0.4}
    body = {"data": [one | {"slug": f"m{at}", "evaluations": shares} for at in range(9)]}
    with pytest.raises(FeedRefused) as refused:
        artificial_analysis.models(document(body))
    assert refused.value.name is AlarmName.UNIT_ERROR


def test_rows_of_gpu_hours() -> None:
    """CSV and JSON: by GPU, by machine, bids and asks; a row without a price is named."""
    reading = gpu_index.read(document(bodies.GPU_CSV), "indices/a.csv")
    rows = [one for one in reading.entries if isinstance(one, CapacityRow)]
    assert [(one.gpu, one.gpus, one.usd_per_gpu_hour, one.source) for one in rows] == [
        ("A100-40", 1, Decimal("3.65"), "ours"),
        ("H100", None, Decimal("2.19"), "indices/a.csv"),
    ]
    assert (rows[1].contract, rows[1].stat, rows[1].region) == ("reserved-1y", "index", None)
    assert faults(reading) == {("row 3", AlarmName.MISSING)}
    assert reading.as_of == datetime(2026, 11, 1, tzinfo=UTC)

    traded = gpu_index.read(document(bodies.GPU_JSON))
    assert [
        (one.stat, one.usd_per_gpu_hour) for one in traded.entries if isinstance(one, CapacityRow)
    ] == [("bid", Decimal("1.9")), ("ask", Decimal(2)), ("list", Decimal("3.93"))]


def test_an_index_without_its_columns() -> None:
    """What is missing is named, and what is there instead."""
    with pytest.raises(FeedRefused) as refused:
        gpu_index.read(document(b"chip,date,usd\nH100-SXM,2026-11-01,2\n"))
    wanted = "usd_per_gpu_hour or bid or ask or usd_per_hour"
    assert refused.value.value == f"no column {wanted}, only chip, date, usd"


@pytest.mark.skipif(not DATA.exists(), reason="the data for developing is not there")
def test_the_collected_gpu_prices_are_read_whole() -> None:
    """Every row, of one in a few of the real file is read, or named as what it is."""
    body = gzip.decompress((DATA / "gpu_hour_prices.csv.gz").read_bytes())
    lines = body.splitlines(keepends=True)[:: len(body) // 2_000_000 + 1]
    reading = gpu_index.read(document(b"".join(lines)))
    assert reading.listed == len(lines) - 1
    assert len(reading.entries) + len(reading.faults) == reading.listed
    assert len(reading.faults) <= reading.listed * 0.001


def test_litellm_of_a_url_is_read_as_that_of_the_package() -> None:
    """The same reader, for what was asked alone, each under the name it was asked by."""
    entry = {
        "litellm_provider": "groq",
        "mode": "chat",
        "input_cost_per_token": 1.5e-07,
        "output_cost_per_token": 6e-07,
    }
    body = {
        "groq/oak-70b": entry,
        "groq/free": entry | {"input_cost_per_token": 0},
        "groq/x": entry,
    }
    reading = litellm.read(
        document(body), [("groq", "oak-70b"), ("groq", "free"), ("groq", "nobody")]
    )
    assert [(one.key, one.rates) for one in reading.models()] == [
        ("groq/oak-70b", card("0.15", "0.6")),
        ("groq/free", None),
    ]
    assert faults(reading) == {("groq/free", AlarmName.ZERO)}
    assert reading.listed == 3


READERS: dict[str, tuple[Callable[[Document], Reading], Any]] = {
    "endpoints": (openrouter.endpoints, endpoints(endpoint())),
    "models": (openrouter.models, bodies.OPENROUTER_MODELS),
    "artificial analysis": (artificial_analysis.models, bodies.ARTIFICIAL_ANALYSIS),
    "together": (lambda one: provider_models.read("together", one), bodies.TOGETHER),
    "litellm": (lambda one: litellm.read(one, [("a", "b")]), {"a/b": {"mode": "chat"}}),
    "gpu csv": (gpu_index.read, bodies.GPU_CSV),
    "gpu json": (gpu_index.read, bodies.GPU_JSON),
}


@pytest.mark.parametrize("which", READERS)
@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (lambda _: b"<!DOCTYPE html><html>Just a moment...</html>", {AlarmName.HTML}),
        (lambda body: body[: len(body) * 2 // 3], {AlarmName.TRUNCATED}),
        (lambda _: b"", {AlarmName.TRUNCATED, AlarmName.MALFORMED, AlarmName.TOO_FEW}),
        (lambda body: body + b" " * MOST_BYTES, {AlarmName.TOO_LARGE}),
        (lambda _: b"[" * 100_000, {AlarmName.MALFORMED, AlarmName.TRUNCATED}),
        (lambda _: b"\xff\xfe\x00", {AlarmName.MALFORMED}),
        (lambda _: b'{"data": {"a": NaN}}', {AlarmName.MALFORMED}),
        (lambda _: b"null", {AlarmName.MALFORMED, AlarmName.TRUNCATED}),
    ],
)
def test_a_document_that_is_none_is_refused_by_name(
    which: str, spoil: Callable[[bytes], bytes], names: set[AlarmName]
) -> None:
    """A page for people, half of a document, nothing, far too much, or no JSON at all."""
    read, body = READERS[which]
    whole = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert read(document(whole)).listed  # unspoilt, it is read
    with pytest.raises(FeedRefused) as refused:
        read(document(spoil(whole)))
    assert refused.value.name in names
