"""Names that stand for several models: which of them answers, for whom it counts, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hedgerow.config import load_config
from hedgerow.errors import ConfigInvalid
from ledger.statements import Dimension, spend
from proxy.known_prompts import conversation_in
from routing.explanation import from_text
from tests.serving import HELLO, MODEL, offer, serving

CLASS = "good-and-cheap: {any_of: [oak, elm]}"


def elm(name: str = "b", price: str = "{input: 0.5, output: 0.5}") -> str:
    return f"elm: {{offers: [{offer(name, price=price)}]}}"


async def test_the_best_of_all_its_models_answers(tmp_path: Path) -> None:
    """The cheapest offer of either model; the charge is that model's, and the request remembers
    what was asked for."""
    more = f"{elm()}\n  {CLASS}"
    async with serving(tmp_path, names=("a", "b"), more_models=more) as proxy:
        reply = await proxy.ask(model="good-and-cheap")
        assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, "b")
        told = await proxy.read(lambda store: spend(store.sql, Dimension.MODEL))
        assert [row.name for row in told.rows] == ["elm"]
        record = await proxy.record(reply)
        assert record.model == "good-and-cheap"
        explained = from_text(record.decision or "")
        assert explained.model == "good-and-cheap"
        assert [(each.model, each.offer) for each in explained.candidates] == [
            ("elm", "b/oak-70b"),
            ("oak", "a/oak-70b"),
            ("oak", "b/oak-70b"),
        ]
        listed = (await proxy.get("/models", authorization=f"Bearer {proxy.key}")).json["data"]
        assert [one["id"] for one in listed] == [MODEL, "elm", "good-and-cheap"]


async def test_a_budget_of_a_model_holds_within_a_class(tmp_path: Path) -> None:
    """A model whose budget is spent leaves the class to the others: no way around a cap."""
    budgets = "{name: elm, scope: {model: elm}, window: lifetime, cap_usd: 0.0000001}"
    more = f"{elm()}\n  {CLASS}"
    async with serving(tmp_path, names=("a", "b"), more_models=more, budgets=budgets) as proxy:
        reply = await proxy.ask(model="good-and-cheap")
        assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, "a")


async def test_a_key_may_have_a_class_and_none_of_its_models(tmp_path: Path) -> None:
    """What a key may ask for goes by the name that it asks."""
    more = f"{elm()}\n  {CLASS}"
    async with serving(tmp_path, names=("a", "b"), more_models=more) as proxy:
        proxy.key = await proxy.new_key(models=frozenset({"good-and-cheap"}))
        assert (await proxy.ask(model="good-and-cheap")).status == 200
        assert (await proxy.ask(model="elm")).status == 403


async def test_what_is_known_to_be_bad_is_out(tmp_path: Path) -> None:
    """A floor whose benchmark nobody has run refuses nobody, and is said to be unproven."""
    floor = "{any_of: [oak, elm], quality: {benchmark: ours, at_least: 0.7}}"
    more = f"{elm()}\n  proven: {floor}"
    async with serving(tmp_path, names=("a", "b"), more_models=more) as proxy:
        reply = await proxy.ask(model="proven")
        assert reply.status == 200
        explained = from_text((await proxy.record(reply)).decision or "")
        assert {one.place for one in explained.candidates} == {"unproven"}


async def test_a_class_that_nobody_can_serve(tmp_path: Path) -> None:
    """The error is about what was asked for, and each refusal tells of which model it is."""
    more = f"{elm()}\n  {CLASS}"
    async with serving(tmp_path, names=("a", "b"), more_models=more) as proxy:
        reply = await proxy.ask(model="good-and-cheap", provider={"only": []})
        assert reply.error["message"].startswith("no offer of good-and-cheap can serve")
        explained = from_text((await proxy.record(reply)).decision or "")
        assert [one.model for one in explained.refused] == ["oak", "oak", "elm"]


async def test_the_decision_in_a_header(tmp_path: Path) -> None:
    """`x-hedgerow-explain: 1` answers with the candidates, numbers, reasons and the snapshot's
    version, on plain answers and streams; nobody else gets it."""
    async with serving(tmp_path, names=("a", "b")) as proxy:
        body = {"model": MODEL, "messages": HELLO, "max_tokens": 8}
        for stream in (False, True):
            asked = {"x-hedgerow-explain": "1"}
            reply = await proxy.post(body | {"stream": stream}, **asked)
            told = json.loads(reply.headers["x-hedgerow-explain"])
            assert [one["offer"] for one in told["candidates"]] == ["a/oak-70b", "b/oak-70b"]
            assert told["snapshot_version"] >= 1
            assert all(one["why"] for one in told["candidates"])
            kept = from_text((await proxy.record(reply)).decision or "")
            assert kept.snapshot_version == told["snapshot_version"]
        assert "x-hedgerow-explain" not in (await proxy.ask()).headers


async def test_a_conversation_stays_where_it_is_cached(tmp_path: Path) -> None:
    """Its next turn goes to the provider that has its beginning in the cache, though another is
    cheaper for a new one; when that one fails, it moves."""
    cheap_cache = "{input: 1.05, output: 2, cache_read: 0.1}"
    offers = {
        "a": offer("a", price="{input: 1, output: 2}"),
        "b": offer("b", price=cheap_cache),
    }
    long = [{"role": "user", "content": "word " * 3000}]
    async with serving(tmp_path, names=("a", "b"), offers=offers, honest=False) as proxy:
        house = proxy.server.house
        (key,) = (await proxy.read(lambda store: store.policy.keys())).values()
        key_id = key.principal.key_id
        first = await proxy.ask(messages=long)
        assert first.headers["x-hedgerow-provider"] == "a"
        body = json.dumps({"messages": long}).encode()
        marks = conversation_in(body).beginnings
        now_s = house.clock.monotonic_s()
        house.warmth.note(key_id, "b/oak-70b", marks, 3000, None, now_s)
        for _ in range(30):
            house.warmth.note(key_id, "b/oak-70b", marks, 3000, 3000, now_s)
        turn = [*long, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "go on"}]
        second = await proxy.ask(messages=turn)
        assert second.headers["x-hedgerow-provider"] == "b"
        for _ in range(3):
            house.breakers.failed("b/oak-70b", house.clock.monotonic_s())
        assert (await proxy.ask(messages=turn)).headers["x-hedgerow-provider"] == "a"


@pytest.mark.parametrize(
    ("models", "why"),
    [
        ("c: {any_of: [nobody]}", "no model is called nobody"),
        ("c: {any_of: [oak]}\n  d: {any_of: [c]}", "c is such a class itself"),
        ("c: {any_of: [oak, oak]}", "oak stands there already"),
        ("c: {any_of: [oak], offers: [{provider: a, model: x}]}", "both offers and any_of"),
        ("c: {routing: {attempts: 2}}", "neither offers nor any_of"),
        (
            "c: {any_of: [oak], choose_by_prompt: {predictor: p.json}}",
            "has not one aim",
        ),
        (
            "c: {offers: [{provider: a, model: x}], choose_by_prompt: {predictor: p, at_least: 1}}",
            "chooses by prompt among no models",
        ),
    ],
)
def test_a_class_that_is_none(tmp_path: Path, models: str, why: str) -> None:
    """`check` names what is wrong with it, and where."""
    path = tmp_path / "hedgerow.yaml"
    path.write_text(
        "providers: {a: {dialect: openai, base_url: http://127.0.0.1:9/v1}}\n"
        f"models:\n  oak: {{offers: [{offer('a')}]}}\n  {models}\n"
    )
    with pytest.raises(ConfigInvalid, match=why):
        load_config(path, {})
