"""Which documents a configuration reads, which entry an offer is, and whose price counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.alarms import AlarmName
from benchmarks.capacity.prices import CAPACITY
from benchmarks.feeds.beliefs import Belief
from benchmarks.feeds.document import Document
from benchmarks.market import Quoted
from benchmarks.tables.facts import Facts
from hedgerow.books import market_books
from hedgerow.config import Config, Ledger, load_config
from hedgerow.errors import ConfigInvalid
from hedgerow.market.feeding import Heard, keep
from hedgerow.market.last_good import LastGood, kept_beliefs
from hedgerow.market.offers import STATS_FOR, quoted_offers
from hedgerow.market.price_book import PriceBook
from hedgerow.market.sources import Address, has_addresses, sold, sources
from ledger.databases.sql import Dialect
from tests.benchmarks.feeds import bodies
from tests.benchmarks.feeds.bodies import AT, document, endpoint, endpoints
from tests.ledger.databases import Books

KEYS = {"TOGETHER_API_KEY": "together-key", "GROQ_API_KEY": "groq-key"}
PROVIDERS = "providers: {together: {}, groq: {}, mine: {base_url: 'http://127.0.0.1:9/v1'}}"
ADDRESS = "https://mirror.example/prices.json"
ALL = f"""[
  {{kind: openrouter, api_key: or-key}}, {{kind: litellm, url: '{ADDRESS}?token=x'}},
  {{kind: provider, provider: together}}, {{kind: prices, path: own.yaml}},
  {{kind: artificial_analysis, api_key: aa-key}}, {{kind: gpu_index, path: 'gpu/*.csv'}}]"""
OAK = "{offers: [%s], openrouter: oak/oak-70b, artificial_analysis: oak-70b}"


def load(folder: Path, feeds: str, *offers: str, model: str = OAK) -> Config:
    path = folder / "hedgerow.yaml"
    models = model % ", ".join(offers)
    path.write_text(f"{PROVIDERS}\nmarket: {{feeds: {feeds}}}\nmodels: {{m: {models}}}\n")
    return load_config(path, KEYS)


def errors_of(folder: Path, feeds: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        load(folder, feeds, "{provider: groq, model: x}")
    return [f"{one.where}: {one.message}; {one.hint}" for one in caught.value.errors]


def heard(config: Config, said: Mapping[str, Any], at: datetime = AT) -> PriceBook:
    """The book after these documents, by the names of their sources: in the order of sources."""
    book = PriceBook(sources(config), {})
    for source in book.sources:
        if source.name in said:
            body = document(said[source.name], known_at=at)
            book = book.with_belief(source.name, book.heard(source, body, sold(config)))
    return book


def quoted(config: Config, book: PriceBook) -> tuple[Quoted, ...]:
    return quoted_offers(config, book, AT)["m"]


def litellm(provider: str, model: str, usd: float) -> dict[str, Any]:
    prices = {"input_cost_per_token": usd / 1e6, "output_cost_per_token": 2 * usd / 1e6}
    return {f"{provider}/{model}": {"litellm_provider": provider, "mode": "chat", **prices}}


# -- as written


def test_every_feed_is_a_document_of_its_own(tmp_path: Path) -> None:
    """Those whose word on a price counts most come first; keys go to their own hosts, and no name
    shows one."""
    (tmp_path / "gpu").mkdir()
    for name in ("b.csv", "a.csv"):
        (tmp_path / "gpu" / name).touch()
    config = load(tmp_path, ALL, "{provider: together, model: x}")
    found = sources(config)
    assert [one.name for one in found] == [
        "own.yaml",
        "together models",
        f"litellm {ADDRESS}",
        "openrouter oak/oak-70b",
        "artificial analysis",
        "gpu/a.csv",
        "gpu/b.csv",
    ]
    places = [one.place for one in found if isinstance(one.place, Address)]
    assert [(one.url, dict(one.headers)) for one in places] == [
        ("https://api.together.ai/v1/models", {"Authorization": "Bearer together-key"}),
        (f"{ADDRESS}?token=x", {}),
        (
            "https://openrouter.ai/api/v1/models/oak/oak-70b/endpoints",
            {"authorization": "Bearer or-key"},
        ),
        ("https://artificialanalysis.ai/api/v2/data/llms/models", {"x-api-key": "aa-key"}),
    ]
    assert not any(key in repr(found) for key in ("together-key", "or-key", "aa-key"))


def test_without_an_address_there_is_no_network(tmp_path: Path) -> None:
    """The default, and files, are on this host."""
    local = "[{kind: litellm}, {kind: prices}, {kind: gpu_index, path: x.csv}]"
    assert not has_addresses(load(tmp_path, local, "{provider: groq, model: x}"))
    assert has_addresses(load(tmp_path, "[{kind: openrouter}]", "{provider: groq, model: x}"))


@pytest.mark.parametrize(
    ("feeds", "error"),
    [
        (
            "[{kind: provider, provider: togther}]",
            'market.feeds[0].provider: no provider is called "togther"; did you mean "together"?',
        ),
        (
            "[{kind: provider, provider: groq}]",
            (
                "market.feeds[0].provider: its own list names no prices; lists with prices:"
                " together, deepinfra, novita, chutes, nebius, openrouter; feed litellm knows many"
                " others"
            ),
        ),
        (
            "[{kind: litellm}, {kind: openrouter}, {kind: litellm}]",
            "market.feeds[2]: the same feed stands in line 2; keep one of them",
        ),
        (
            "[{kind: artificial_analysis}]",
            (
                "market.feeds[0].api_key: is missing; write, for example, api_key:"
                " ${ARTIFICIAL_ANALYSIS_API_KEY}"
            ),
        ),
        (
            "[{kind: litellm, url: 'ftp://x/y'}]",
            (
                "market.feeds[0].url: is no http or https URL; write, for example,"
                " https://mirror.example/prices.json"
            ),
        ),
        (
            "[{kind: gpu_index, path: a.csv, every: 1h}]",
            "market.feeds[0].every: unknown key; known here: kind, path",
        ),
    ],
)
def test_what_is_wrong_with_feeds(tmp_path: Path, feeds: str, error: str) -> None:
    """One error each, which says what to write instead."""
    assert errors_of(tmp_path, feeds) == [error]


def test_a_model_s_name_at_openrouter(tmp_path: Path) -> None:
    """An author and a slug."""
    with pytest.raises(ConfigInvalid, match="is no author/slug"):
        load(tmp_path, "[]", "{provider: groq, model: x}", model="{offers: [%s], openrouter: oak}")


# -- whose price counts


def test_whose_price_counts(tmp_path: Path) -> None:
    """The configuration, the operator's file, the provider's own list, litellm, OpenRouter: the
    next one where one says nothing. What the public pays is the first feed's word."""
    together = bodies.TOGETHER[:1]
    said: dict[str, Any] = {
        "openrouter oak/oak-70b": endpoints(endpoint("together/fp8")),
        f"litellm {ADDRESS}": litellm("together_ai", "oak/Oak-70B-Turbo", 0.5),
        "together models": together,
    }
    offer = "{provider: together, model: oak/Oak-70B-Turbo%s}"
    own = "prices:\n  - {provider: together, model: oak/Oak-70B-Turbo, input: 0.01, output: 9}\n"
    config = load(tmp_path, ALL, offer % "")

    def told(config: Config, *names: str) -> tuple[str, str, str | None]:
        book = heard(config, {name: said[name] for name in names})
        ((one,),) = quoted_offers(config, book, AT).values()
        assert one.quote is not None
        listed = one.quote.list_rates
        source = one.quote.source.rpartition(" ")[0]
        return source, f"{one.quote.rates.input:f}", None if listed is None else f"{listed.input:f}"

    first, second, third = said
    assert told(config, first) == ("openrouter", "0.04", "0.04")
    assert told(config, first, second)[:2] == ("litellm", "0.5")
    assert told(config, first, second, third) == ("together models", "0.88", "0.88")
    (tmp_path / "own.yaml").write_text(own)
    said["own.yaml"] = b"read from its path"
    assert told(config, *said) == ("own.yaml", "0.01", "0.88")
    priced = load(tmp_path, ALL, offer % ", price: {input: 7, output: 7}")
    book = heard(priced, said)
    ((one,),) = quoted_offers(priced, book, AT).values()
    assert one.quote is not None
    assert (one.quote.source, one.quote.rates.input) == ("configuration", Decimal(7))
    assert one.quote.list_rates is not None
    assert one.quote.list_rates.input == Decimal("0.88")


def test_which_endpoint_an_offer_is(tmp_path: Path) -> None:
    """By provider, quantization, region and tier; where several could be meant, none is."""
    offers = (
        "{provider: together, model: a, quantization: fp8}",
        "{provider: together, model: b}",
        "{provider: groq, model: c}",
        "{provider: groq, model: d, service_tier: flex}",
        "{provider: mine, model: e, region: us-east5}",
        "{provider: mine, model: f}",
    )
    config = load(tmp_path, "[{kind: openrouter}]", *offers)

    def at(tag: str, input_usd: int, quantization: str | None = None) -> dict[str, Any]:
        pricing = {"prompt": f"{input_usd}e-6", "completion": f"{input_usd * 2}e-6"}
        return endpoint(tag, pricing=pricing, quantization=quantization)

    listed = [
        *(at("together/fp8", 1, "fp8"), at("together/fp4", 2, "fp4")),
        *(at("groq", 3), at("groq/flex", 4)),
        *(at("mine/us-east5", 5), at("mine/eu", 6)),
    ]
    book = heard(config, {"openrouter oak/oak-70b": endpoints(*listed)})
    found = [
        None if one.quote is None else int(one.quote.rates.input) for one in quoted(config, book)
    ]
    assert found == [1, None, 3, 4, 5, None]


def test_a_feed_far_from_the_others_is_not_believed_at_first(tmp_path: Path) -> None:
    """The first that an offer is priced by is compared with, also within one round."""
    config = load(tmp_path, ALL, "{provider: together, model: oak/Oak-70B-Turbo}")
    body = endpoint("together", pricing={"prompt": "0.00088", "completion": "0.00088"})
    said = {"together models": bodies.TOGETHER, "openrouter oak/oak-70b": endpoints(body)}
    book = heard(config, said)
    (alarm,) = book.beliefs["openrouter oak/oak-70b"].alarms
    assert alarm.name is AlarmName.UNIT_ERROR
    (one,) = quoted(config, book)
    assert one.quote is not None
    assert one.quote.rates.input == Decimal("0.88")


def test_quality_and_figures_come_along(tmp_path: Path) -> None:
    """Indices by benchmark; how an endpoint does, for an hour."""
    config = load(tmp_path, ALL, "{provider: together, model: x, quantization: fp8}")
    said = {
        "artificial analysis": bodies.ARTIFICIAL_ANALYSIS,
        "openrouter oak/oak-70b": endpoints(endpoint("together/fp8")),
    }
    (one,) = quoted(config, heard(config, said))
    assert {name: quality.score for name, quality in one.quality.items()} == {
        "artificial_analysis_intelligence": 0.415,
        "artificial_analysis_coding": 0.38,
    }
    assert one.stats is not None
    assert one.stats.ttft_ms.p50 == 310
    later = quoted_offers(config, heard(config, said), AT + STATS_FOR + timedelta(seconds=1))
    assert later["m"][0].stats is None


# -- kept with the books


def with_books(config: Config, books: Books, folder: Path) -> Config:
    """The same with its books in a database of whichever kind."""
    is_file = books.dialect is Dialect.SQLITE
    path = Path(books.url.removeprefix("sqlite:///")) if is_file else None
    url = "" if is_file else books.url
    return replace(config, ledger=Ledger(url, path, folder / "hedgerow.journal", "process"))


def test_what_is_kept_is_what_was_believed(books: Books, tmp_path: Path) -> None:
    """Beliefs, documents with their ETags, prices and GPU-hours: for every worker, after a restart
    too."""
    (tmp_path / "gpu").mkdir()
    (tmp_path / "gpu" / "a.csv").write_bytes(bodies.GPU_CSV)
    offer = "{provider: together, model: x, quantization: fp8}"
    config = with_books(load(tmp_path, ALL, offer), books, tmp_path)
    assert kept_beliefs(config) == {}
    book = PriceBook(sources(config), {})
    said = {
        "openrouter oak/oak-70b": endpoints(endpoint("together/fp8")),
        "gpu/a.csv": bodies.GPU_CSV,
    }
    all_heard = []
    for source in book.sources:
        if source.name in said:
            body = document(said[source.name], etag='"1"')
            belief = book.heard(source, body, sold(config))
            all_heard.append(Heard(source, body, Belief(source.name), belief))
    now_ns = int(AT.timestamp()) * 10**9
    after = keep(config, book, all_heard, now_ns, is_server=False)
    assert kept_beliefs(config) == after.beliefs
    with market_books(config.ledger) as sql:
        name = "openrouter oak/oak-70b"
        assert LastGood(sql).document(name) == document(said[name], etag='"1"')
        facts = Facts(sql, CAPACITY).all_as_of(datetime.now(UTC))
    prices = {one.said.grade.chip: one.said.usd_per_gpu_hour for one in facts.values() if one.said}
    assert prices == {"A100-40": Decimal("3.65")}  # H100 alone may be one of three


def test_what_another_version_has_kept_is_fetched_anew(books: Books, tmp_path: Path) -> None:
    """A belief that cannot be read is none, and keeps nothing from starting."""
    config = with_books(load(tmp_path, ALL, "{provider: together, model: x}"), books, tmp_path)
    with market_books(config.ledger) as sql:
        kept = LastGood(sql)
        kept.save("a", Belief("good"), Document(b"{}", AT), 1)
        kept.save("b", Belief("good"), None, 1)
        with sql.transaction():
            sql.execute("UPDATE market_latest SET body = ? WHERE name = 'a'", (b"x",))
        assert list(kept.beliefs()) == ["b"]
        assert kept.document("a") is None
