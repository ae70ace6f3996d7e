"""OpenRouter's request vocabulary, by the official client and a real proxy: who is asked, who is
not, and what the client is told when nobody is left."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from benchmarks.offers import Task
from benchmarks.sandbox import Fault
from proxy.intents import intent_of
from proxy.wires.wire import Ask
from tests.proxy.batch_clients import done, line, results
from tests.serving import HELLO, MODEL, UPSTREAM_MODEL, Proxy, asking, offer, serving

OFFERS = {
    "a": offer("a", more=", quantization: fp4, region: eu"),
    "b": offer("b", more=", quantization: fp8, data: {keeps_nothing: true}"),
    "c": offer("c", more=", data: {may_train: false}, parameters: [max_tokens, seed]"),
}
"""Dearer from the first to the last."""
IDS = {
    "a": f"a/{UPSTREAM_MODEL}@eu@fp4",
    "b": f"b/{UPSTREAM_MODEL}@fp8",
    "c": f"c/{UPSTREAM_MODEL}",
}


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with serving(tmp_path, names=("a", "b", "c"), offers=OFFERS) as one:
        yield one


async def who(proxy: Proxy, model: str = MODEL, **extra: Any) -> str:
    """The provider that answers."""
    answer = await proxy.client().chat.completions.with_raw_response.create(
        model=model, messages=HELLO, max_tokens=8, extra_body=extra
    )
    return answer.headers["x-hedgerow-provider"]


async def refused(proxy: Proxy, model: str = MODEL, **extra: Any) -> Any:
    """The error, as the official client has it."""
    with pytest.raises(openai.APIStatusError) as caught:
        await who(proxy, model, **extra)
    return caught.value


FIRST: list[tuple[dict[str, Any], str]] = [
    ({}, "a"),
    ({"order": ["c", "b"]}, "c"),
    ({"order": ["nobody", "b"]}, "b"),
    ({"order": ["a/us", "a/eu"]}, "a"),
    ({"only": ["b", "c"]}, "b"),
    ({"only": ["c"], "order": ["a"]}, "c"),
    ({"ignore": ["a"]}, "b"),
    ({"quantizations": ["fp8"]}, "b"),
    ({"quantizations": ["bf16", "unknown"]}, "c"),
    ({"data_collection": "deny"}, "b"),
    ({"data_collection": "deny", "ignore": ["b"]}, "c"),
    ({"zdr": True}, "b"),
    ({"require_parameters": True}, "c"),
    ({"max_price": {"prompt": 1, "completion": 2}}, "a"),
    ({"max_price": {"prompt": 3}, "ignore": ["a"]}, "b"),
    ({"sort": "price"}, "a"),
    ({"sort": {"by": "price"}, "ignore": ["a"]}, "b"),
    ({"allow_fallbacks": False}, "a"),
    ({"preferred_max_latency": 0.001}, "a"),
]


async def test_who_is_asked_first(proxy: Proxy) -> None:
    """Each preference alone, and some together."""
    for provider, name in FIRST:
        assert (provider, await who(proxy, provider=provider)) == (provider, name)


async def test_fallbacks_and_none(proxy: Proxy) -> None:
    """Those in `order` fail over to others, unless that is forbidden: then the error is told."""
    proxy.sandboxes["c"].fault = Fault.HTTP_401
    assert await who(proxy, provider={"order": ["c"]}) == "a"
    for provider in ({"order": ["c"], "allow_fallbacks": False}, {"only": ["c"]}):
        error = await refused(proxy, provider=provider)
        assert error.status_code == 502
    proxy.sandboxes["a"].fault = Fault.HTTP_401
    asked = proxy.sandboxes["b"].tally.requests
    assert (await refused(proxy, provider={"allow_fallbacks": False})).status_code == 502
    assert proxy.sandboxes["b"].tally.requests == asked
    assert await who(proxy) == "b"


NOBODY: list[tuple[dict[str, Any], dict[str, int], str]] = [
    ({"only": []}, {"allowed_providers": 3}, "provider.only"),
    (
        {"order": ["d"], "allow_fallbacks": False, "ignore": ["b"]},
        {"allow_fallbacks": 2, "ignored_providers": 1},
        "provider.order",
    ),
    ({"ignore": ["a", "b", "c"]}, {"ignored_providers": 3}, "provider.ignore"),
    (
        {"zdr": True, "ignore": ["b"]},
        {"data_policy:zdr": 2, "ignored_providers": 1},
        "provider.zdr",
    ),
    (
        {"data_collection": "deny", "only": ["a"]},
        {"data_policy:training": 1, "allowed_providers": 2},
        "provider.only",
    ),
    ({"quantizations": ["int4"]}, {"quantization": 3}, "provider.quantizations"),
    ({"max_price": {"completion": "1.99"}}, {"max_price": 3}, "provider.max_price"),
]


async def test_when_nobody_is_left(proxy: Proxy) -> None:
    """A 400 in OpenAI's shape, which counts what excluded whom; nothing was asked or charged."""
    for provider, excluded_by, field in NOBODY:
        error = await refused(proxy, provider=provider)
        assert (error.status_code, error.code) == (400, "no_eligible_offer")
        availability = error.body["availability"]
        assert availability["code"] == "constraint_filtered"
        assert availability["excluded_by"] == excluded_by
        assert availability["constraint"]["field"] == field
    assert proxy.a.tally.requests == 0
    assert await proxy.charges() == []


async def test_a_refusal_says_what_to_do(proxy: Proxy) -> None:
    """Where it is the operator's to say, it says so; where a price is too high, it has both."""
    error = await refused(proxy, provider={"zdr": True, "only": ["c"]})
    assert "data: {keeps_nothing: true}" in error.body["message"]
    error = await refused(proxy, provider={"max_price": {"prompt": "0.5"}})
    assert (
        "costs 1 USD per million input tokens, the request pays 0.5 at most"
        in (error.body["message"])
    )
    error = await refused(proxy, provider={"only": ["a"], "require_parameters": True}, seed=1)
    assert "is not known to take max_tokens, seed" in error.body["message"]
    told = json.dumps(error.body)
    assert all(one.base_url not in told for one in proxy.sandboxes.values())


async def test_no_request_makes_a_long_story(proxy: Proxy) -> None:
    """What is said of an offer goes into answers, headers and the books: it does not grow with
    what a client writes."""
    tiny = b'{"model": "oak", "prompt": "x", "provider": {"max_price": {"prompt": 1e-300000}}}'
    reply = await proxy.post(tiny, path="/completions")
    assert (reply.status, reply.error["code"]) == (400, "no_eligible_offer")
    assert "the request pays 0 at most" in reply.error["message"]
    assert len(reply.body) < 4_000
    assert len((await proxy.record(reply)).decision or "") < 4_000

    names = [f"{'é' * 190}{number}" for number in range(99)]
    many = asking(provider={"only": ["a", *names]})
    reply = await proxy.post(many, **{"x-hedgerow-explain": "1"})
    assert reply.status == 200
    assert len(reply.headers["x-hedgerow-explain"]) < 6_001
    assert len((await proxy.record(reply)).decision or "") < 6_000

    seeds = {f"seed_{number}": 1 for number in range(1000)}
    for unknown in (seeds, {"s" * 10_000: 1}):
        reply = await proxy.ask(provider={"require_parameters": True}, **unknown)
        assert (reply.status, reply.error["param"]) == (400, "provider.require_parameters")
        assert len(reply.body) < 1_000


async def test_no_long_name_of_a_tier_is_remembered(proxy: Proxy) -> None:
    """Kinds of request are, each with what it asks for."""
    ask = Ask(MODEL, Task.CHAT, 10, service_tier="t" * 100_000)
    intent = intent_of(MODEL, ask, "key", proxy.server.house)
    assert len(intent.service_tier or "") == 100


async def test_suffixes(proxy: Proxy) -> None:
    """`:floor` is an order by price; one that is none here makes an unknown model, with a hint."""
    assert await who(proxy, f"{MODEL}:floor") == "a"
    assert await who(proxy, f"{MODEL}:nitro", provider={"ignore": ["a", "b"]}) == "c"
    reply = await proxy.post(asking(model=f"{MODEL}:floor"))
    assert (await proxy.record(reply)).model == MODEL
    error = await refused(proxy, f"{MODEL}:free")
    assert (error.status_code, error.code) == (404, "model_not_found")
    assert ":floor and :nitro" in error.body["message"]
    listed = await proxy.client().models.list()
    assert [one.id for one in listed.data] == [MODEL]


ONE_EACH = f"ash: {{offers: [{offer('a')}]}}\n  elm: {{offers: [{offer('b')}]}}"
"""Two more models, each at one provider."""


async def asked_in_turn(proxy: Proxy, model: str, **extra: Any) -> tuple[int, list[str]]:
    """The status, and who was asked, one after the other."""
    reply = await proxy.post(asking(model=model, **extra))
    record = await proxy.record(reply)
    failed = [one.offer.partition("/")[0] for one in record.failures]
    answered = [reply.headers["x-hedgerow-provider"]] if reply.status == 200 else []
    return reply.status, failed + answered


@pytest.mark.parametrize(
    "fault", [Fault.HTTP_500, Fault.HTTP_429, Fault.HTTP_401, Fault.CONTEXT, Fault.CONTENT_FILTER]
)
async def test_models_are_tried_one_after_the_other(tmp_path: Path, fault: Fault) -> None:
    """On any error of the first model the next is asked; billed is who answers."""
    async with serving(tmp_path, names=("a", "b"), more_models=ONE_EACH) as proxy:
        assert await asked_in_turn(proxy, "elm", models=["ash"]) == (200, ["b"])
        proxy.a.fault = fault
        assert await asked_in_turn(proxy, "ash", models=["nobody", "elm"]) == (200, ["a", "b"])
        assert [one.provider for one in await proxy.charges()] == ["b", "b"]
        reply = await proxy.post({"models": ["ash", "elm"], "messages": HELLO, "max_tokens": 8})
        assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, "b")


async def test_models_in_turn_or_all_in_one_order(tmp_path: Path) -> None:
    """The second model is the cheaper one: it comes first only where one order is for all."""
    async with serving(tmp_path, names=("a", "b"), more_models=ONE_EACH) as proxy:
        for extra, name in (
            ({}, "b"),
            ({"sort": "price"}, "b"),
            ({"sort": {"by": "price", "partition": "none"}}, "a"),
            ({"order": ["a"]}, "b"),
            ({"only": ["a"]}, "a"),
            ({"max_price": {"prompt": 2}}, "a"),
        ):
            assert (extra, await who(proxy, "elm", models=["ash"], provider=extra)) == (extra, name)
        assert await who(proxy, "elm", models=["ash"], route="sort") == "a"
        assert await who(proxy, "elm", models=["ash:floor"]) == "b"


async def test_the_last_attempt_is_for_another_model(tmp_path: Path) -> None:
    """However many offers the first model has: those that the client names besides are asked."""
    elm = f"elm: {{offers: [{offer('c')}]}}"
    async with serving(
        tmp_path, names=("a", "b", "c"), more_models=elm, routing="{attempts: 2}"
    ) as proxy:
        for name in ("a", "b"):
            proxy.sandboxes[name].fault = Fault.HTTP_500
        assert await asked_in_turn(proxy, MODEL, models=["elm"]) == (200, ["a", "c"])


async def test_what_every_model_refuses_is_told(tmp_path: Path) -> None:
    """A request that is wrong for all of them ends with the first one's own words."""
    async with serving(tmp_path, names=("a", "b"), more_models=ONE_EACH) as proxy:
        for one in proxy.sandboxes.values():
            one.fault = Fault.CONTENT_FILTER
        status, asked = await asked_in_turn(proxy, "ash", models=["elm"])
        assert (status, asked) == (400, ["a"])
        assert [one.tally.requests for one in proxy.sandboxes.values()] == [1, 1]


async def test_a_model_that_a_key_may_not_have_is_passed_over(tmp_path: Path) -> None:
    """It is no reason to refuse the others, and it is not asked."""
    async with serving(tmp_path, names=("a", "b"), more_models=ONE_EACH) as proxy:
        key = await proxy.new_key(models=frozenset({"ash"}))
        proxy.a.fault = Fault.HTTP_401
        body = asking(model="ash", models=["elm"])
        reply = await proxy.post(body, authorization=f"Bearer {key}")
        assert reply.status == 502
        assert proxy.sandboxes["b"].tally.requests == 0
        assert (await proxy.post(body)).headers["x-hedgerow-provider"] == "b"


async def test_every_wire_obeys(proxy: Proxy) -> None:
    """The same words, whatever the client speaks, whole and streamed."""
    common = {"model": f"{MODEL}:floor", "provider": {"order": ["b"]}, "session_id": "s"}
    for path, body in (
        ("/chat/completions", {"messages": HELLO, "max_tokens": 8}),
        ("/messages", {"messages": HELLO, "max_tokens": 8}),
        ("/completions", {"prompt": "hi", "max_tokens": 8}),
        ("/responses", {"input": "hi"}),
    ):
        for stream in (False, True):
            reply = await proxy.post(common | body | {"stream": stream}, path=path)
            assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, "b")


async def test_a_pinned_offer(proxy: Proxy) -> None:
    """This one and no other, also when it fails; one that nobody has is refused by name."""
    for name, offer_id in IDS.items():
        reply = await proxy.post(asking(), **{"x-hedgerow-offer": offer_id})
        assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, name)
    proxy.sandboxes["c"].fault = Fault.HTTP_401
    reply = await proxy.post(asking(), **{"x-hedgerow-offer": IDS["c"]})
    assert reply.status == 502
    reply = await proxy.post(asking(), **{"x-hedgerow-offer": "a/elm"})
    assert (reply.status, reply.error["code"]) == (400, "offer_not_found")
    assert IDS["b"] in reply.error["message"]


async def costs_at_most(proxy: Proxy, usd: str, **extra: Any) -> Any:
    return await proxy.post(asking(**extra), **{"x-hedgerow-max-cost-usd": usd})


async def test_the_most_that_a_request_may_cost(proxy: Proxy) -> None:
    """An attempt whose worst case is above it is not made; without a limit of the client's own the
    answer is cut to what it can pay."""
    plain = await costs_at_most(proxy, "1", provider={"order": ["c"]}, max_tokens=100)
    assert plain.headers["x-hedgerow-provider"] == "c"
    # 100 tokens at c cost 1000 µUSD, at a 200 µUSD, and some input.
    cheaper = await costs_at_most(proxy, "0.0006", provider={"order": ["c"]}, max_tokens=100)
    assert (cheaper.status, cheaper.headers["x-hedgerow-provider"]) == (200, "a")
    long = {"max_tokens": None, "sandbox": {"output_tokens": 500}}
    cut = await costs_at_most(proxy, "0.0006", **long)
    assert cut.status == 200
    assert 0 < float(cut.headers["x-hedgerow-cost-usd"]) <= 0.0006
    assert cut.json["usage"]["completion_tokens"] < 500
    charged = sum(float(reply.headers["x-hedgerow-cost-usd"]) for reply in (plain, cheaper, cut))
    assert charged == pytest.approx(sum(one.effective for one in await proxy.charges()) / 1e9)


async def test_when_it_may_cost_too_much_everywhere(proxy: Proxy) -> None:
    """A 400 with the numbers; with what it names, the same request fits."""
    reply = await costs_at_most(proxy, "0.0006", max_tokens=1000)
    assert (reply.status, reply.error["code"]) == (400, "max_cost_exceeded")
    assert reply.error["needed_usd"] > reply.error["max_cost_usd"] == 0.0006
    fits = reply.error["affordable_max_tokens"]
    assert 0 < fits < 1000
    assert (await costs_at_most(proxy, "0.0006", max_tokens=fits)).status == 200
    assert (await costs_at_most(proxy, "0.0000001")).error["affordable_max_tokens"] == 0


async def test_it_counts_what_failed_attempts_have_cost(tmp_path: Path) -> None:
    """What was charged for an attempt without an answer is not there for the next."""
    async with serving(tmp_path, names=("a", "b"), honest=False) as proxy:
        proxy.a.fault = Fault.NONSENSE
        assert (await proxy.post(asking(max_tokens=100))).status == 200
        first, last = sorted(await proxy.charges(), key=lambda one: one.attempt_id)
        assert (first.provider, last.provider) == ("a", "b")
        assert first.effective > 0
        most = (first.effective + 600_000) / 1e9  # b's worst case is above 600 µUSD
        reply = await costs_at_most(proxy, f"{most:.9f}", max_tokens=100)
        assert reply.status == 502
        assert [one.provider for one in await proxy.charges()].count("b") == 1


async def test_it_counts_what_is_still_written_elsewhere(tmp_path: Path) -> None:
    """An answer that did not come in time may be billed yet: its whole hold is not there for the
    next attempt."""
    routing = "{attempts: 3, first_byte_timeout: 200ms}"
    async with serving(tmp_path, names=("a", "b"), routing=routing, honest=False) as proxy:
        proxy.a.fault = Fault.HANG
        for _ in range(200):  # answers are short here: nobody waits long for a plain one
            proxy.server.house.learned.note(MODEL, "key", 100, 25, 1)
        # At a, 100 tokens may cost 200 µUSD and some input, at b 600 and some more.
        for usd, is_asked in (("0.0011", False), ("0.0019", True)):
            reply = await costs_at_most(proxy, usd, max_tokens=100, stream=False)
            assert reply.status == (200 if is_asked else 504)
            assert proxy.sandboxes["b"].tally.requests == is_asked
        await proxy.server.house.unheard.close()


async def test_a_line_of_a_batch_may_say_the_same(proxy: Proxy) -> None:
    """It is run where it asks to be, and its suffix is understood."""
    batch = await done(
        proxy.client(),
        "\n".join(
            [
                line("floor", asking(model=f"{MODEL}:floor")),
                line("b", asking(provider={"order": ["b"]})),
            ]
        ),
    )
    found = await results(proxy.client(), batch.output_file_id)
    assert {one["response"]["status_code"] for one in found.values()} == {200}
    assert sorted(one.provider for one in await proxy.charges()) == ["a", "b"]
