"""Budgets, seen from outside: never overspent, refusals that help, costs that agree everywhere."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.sandbox import Behaviour
from ledger.money import Money, as_usd, usd, usd_text
from ledger.store import Store
from proxy.limits import FAIR_SHARES
from tests.serving import HELLO, MODEL, UPSTREAM_MODEL, Proxy, asking, offer, serving, wishing


def month(cap_usd: str, scope: str = "{}") -> str:
    return f"{{name: the-month, scope: {scope}, window: month, cap_usd: {cap_usd}}}"


def held_for(body: bytes, completion_tokens: int) -> int:
    """Nano-USD that a request must hold at a's prices: a token of input for each byte."""
    return len(body) * 1000 + completion_tokens * 2000


async def test_a_hundred_at_once_share_what_is_there(tmp_path: Path) -> None:
    """Of 100 concurrent requests on a budget that can hold ten at once, those that are answered
    stay under the cap, and every other is told all that it needs to know."""
    body = json.dumps(asking(sandbox=wishing(8))).encode()
    cap = Money(10 * held_for(body, 8) + 1)
    async with serving(tmp_path, budgets=month(usd_text(cap))) as proxy:
        replies = await asyncio.gather(*(proxy.post(body) for _ in range(100)))
        answered = [one for one in replies if one.status == 200]
        refused = [one for one in replies if one.status == 402]
        spent = sum(one.effective for one in await proxy.charges())

        assert len(answered) + len(refused) == 100
        assert 10 <= len(answered) <= cap // (3 * 1000 + 8 * 2000)
        assert spent == len(answered) * (3 * 1000 + 8 * 2000) <= cap
        assert proxy.a.tally.requests == len(answered)
        for one in refused:
            error = one.error
            assert (error["type"], error["code"]) == ("insufficient_quota", "budget_exceeded")
            assert (error["budget"], error["scope"]) == ("the-month", "everything")
            assert Decimal(str(error["cap_usd"])) == as_usd(cap)
            numbers = [
                Decimal(str(error[f"{name}_usd"])) for name in ("cap", "spent", "held", "needed")
            ]
            assert numbers[1] + numbers[2] + numbers[3] > numbers[0]
            assert error["resets_at"].endswith("+00:00")

        error = (await proxy.post(asking(max_tokens=10_000))).error  # when all is over
        assert Decimal(str(error["spent_usd"])) == as_usd(Money(spent))
        assert Decimal(str(error["held_usd"])) == 0


async def test_a_budget_for_k_answers_exactly_k(tmp_path: Path) -> None:
    """When each request costs all that it held, concurrency changes nothing: k and not one more."""
    prompt = json.dumps(asking(sandbox=wishing(8))).encode()
    free_input = offer("a", price="{input: 0, output: 2}")
    async with serving(
        tmp_path, budgets=month("0.000112"), offers={"a": free_input}
    ) as proxy:  # 7 × 8 tokens at 2000 nano-USD
        replies = await asyncio.gather(*(proxy.post(prompt) for _ in range(100)))
        assert sorted(one.status for one in replies) == [200] * 7 + [402] * 93
        assert sum(one.effective for one in await proxy.charges()) == usd("0.000112")


async def test_the_refusal_names_a_number_that_works(tmp_path: Path) -> None:
    """Retrying with exactly the affordable max_tokens succeeds; with one more it is refused."""
    async with serving(tmp_path, budgets=month("0.001")) as proxy:
        error = (await proxy.ask(max_tokens=4000)).error
        most = error["affordable_max_tokens"]
        assert error["param"] == "max_tokens"
        assert 0 < most < 4000
        assert str(most) in error["message"]
        assert (await proxy.ask(max_tokens=most + 1)).status == 402
        assert (await proxy.ask(max_tokens=most)).status == 200

        several = (await proxy.ask(max_tokens=4000, n=3)).error["affordable_max_tokens"]
        assert (await proxy.ask(max_tokens=several + 1, n=3)).status == 402
        assert (await proxy.ask(max_tokens=several, n=3)).status == 200


async def test_a_request_without_limit_gets_a_smaller_one_near_the_end(tmp_path: Path) -> None:
    """Far from the cap the provider is asked for the model's limit; near it, for what can be paid
    for; with nothing left, the request is refused with the budget's own numbers."""
    behaviour = Behaviour(models=(UPSTREAM_MODEL,), time_scale=0.0)
    long_offer = {"a": offer("a", more=", max_output_tokens: 4000")}

    def sent(proxy: Proxy) -> int:
        return int(json.loads(proxy.a.tally.exchanges[-1].body)["max_tokens"])

    async with serving(
        tmp_path, behaviour=behaviour, offers=long_offer, budgets=month("0.2")
    ) as proxy:
        assert (await proxy.ask(max_tokens=None)).status == 200
        assert sent(proxy) == 4000

    (tmp_path / "poor").mkdir()
    async with serving(
        tmp_path / "poor", behaviour=behaviour, offers=long_offer, budgets=month("0.001")
    ) as proxy:
        limits = []
        while (reply := await proxy.ask(max_tokens=None, sandbox=wishing(4000))).status == 200:
            limits.append(sent(proxy))
        assert reply.error["code"] == "budget_exceeded"
        assert reply.error["affordable_max_tokens"] == 0
        assert reply.error["param"] is None
        assert limits
        assert max(limits) < 500
        assert sum(one.effective for one in await proxy.charges()) <= usd("0.001")


async def test_many_at_once_without_a_limit_share_what_is_left(tmp_path: Path) -> None:
    """Requests that name no limit, all at once: each holds its share of what those before it have
    left, so that far more than sixteen are served; the cap holds."""
    cap = usd("0.5")
    async with serving(tmp_path, budgets=month(usd_text(cap))) as proxy:
        replies = await asyncio.gather(*(proxy.ask(max_tokens=None) for _ in range(100)))
        answered = [one for one in replies if one.status == 200]
        assert {one.status for one in replies} <= {200, 402}
        assert sum(one.effective for one in await proxy.charges()) <= cap
        assert len(answered) > 2 * FAIR_SHARES


async def test_without_a_budget_nothing_is_cut_short(tmp_path: Path) -> None:
    """Where no budget depends on it no limit is added: the provider is asked as we were asked."""
    known = {"a": offer("a", more=", context_tokens: 8192, max_output_tokens: 4000")}
    async with serving(tmp_path, offers=known) as proxy:
        assert (await proxy.ask(max_tokens=None)).status == 200
        assert "max_tokens" not in json.loads(proxy.a.tally.exchanges[-1].body)


async def test_the_limit_we_add_leaves_room_for_the_prompt(tmp_path: Path) -> None:
    """A model whose output limit is its whole context is not asked for more than fits beside the
    prompt: many providers refuse that."""
    context = {"a": offer("a", more=", context_tokens: 4096, max_output_tokens: 4096")}
    async with serving(tmp_path, offers=context, budgets=month("100")) as proxy:
        for words in (3, 300, 1500):
            prompt = [{"role": "user", "content": "oak " * words}]
            assert (await proxy.ask(max_tokens=None, messages=prompt)).status == 200
            asked = json.loads(proxy.a.tally.exchanges[-1].body)["max_tokens"]
            assert 1024 <= asked <= 4096 - words


async def test_an_image_is_held_for_at_its_context(tmp_path: Path) -> None:
    """A URL is short, and what it shows may fill the context: that much is held."""
    image = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/oak.png"}}
    prompt = [{"role": "user", "content": [{"type": "text", "text": "what is it"}, image]}]
    sees = {"a": offer("a", more=", context_tokens: 100000")}
    async with serving(tmp_path, offers=sees) as proxy:
        assert (await proxy.ask(messages=prompt)).status == 200
        ((held,),) = await proxy.read(
            lambda store: store.sql.execute("SELECT held_nanos FROM entries").fetchall()
        )
        assert held == 100_000 * 1000 + 8 * 2000


async def test_what_answers_used_is_expected_of_the_next(tmp_path: Path) -> None:
    """The decision for a request expects what earlier answers of its model used."""
    expected, prompt = [], [{"role": "user", "content": "hawthorn " * 1000}]
    async with serving(tmp_path) as proxy:
        for _ in range(5):
            reply = await proxy.ask(max_tokens=5000, messages=prompt, sandbox=wishing(3000))
            decision = json.loads((await proxy.record(reply)).decision or "")
            expected.append((decision["completion_tokens"], decision["prompt_tokens"]))
    completions = [completion for completion, _ in expected]
    assert completions == sorted(set(completions))
    assert completions[0] == 256
    tokens = [prompt for _, prompt in expected]  # these words are longer than four bytes
    assert 1000 < tokens[-1] < tokens[0]


@pytest.mark.parametrize("streamed", [False, True])
async def test_costs_agree_to_the_nano(tmp_path: Path, streamed: bool) -> None:
    """Header, body and books name one cost; what remains is the cap without it."""
    odd = {"a": offer("a", price="{input: 0.0007, output: 0.123456789, request: 0.000000001}")}
    async with serving(tmp_path, offers=odd, budgets=month("1")) as proxy:
        asked = {"sandbox": wishing(7)}
        first = await proxy.ask(**asked)
        reply = first
        if streamed:
            options = {"include_usage": True}
            reply = await proxy.ask(stream=True, stream_options=options, **asked)
            told = reply.events[-2]["usage"]["cost"]
        else:
            told = reply.json["usage"]["cost"]
            assert Decimal(reply.headers["x-hedgerow-cost-usd"]) == Decimal(str(told))
        cost = (await proxy.charges())[-1].effective
        assert cost == -(-(3 * 7 * 10**5 + 7 * 123456789 + 10**6) // 10**6)
        assert Decimal(str(told)) == as_usd(cost)
        left = Decimal(first.headers["x-hedgerow-budget-remaining-usd"])
        assert left == 1 - Decimal(first.headers["x-hedgerow-cost-usd"])


async def test_a_refusal_is_remembered_as_demand(tmp_path: Path) -> None:
    """What a cap cut off is in the books with what it would have cost."""
    async with serving(tmp_path, budgets=month("0.000001")) as proxy:
        reply = await proxy.ask()
        record = await proxy.record(reply)
        assert (record.outcome, record.status, record.attempts) == ("budget_exceeded", 402, 0)
        assert record.would_have_cost is not None
        assert record.would_have_cost > 0


async def test_a_budget_of_one_provider_sends_requests_to_the_next(tmp_path: Path) -> None:
    """402 only when no offer fits: a budget that covers one provider leaves the others."""
    async with serving(
        tmp_path, names=("a", "b"), budgets=month("0.000001", "{provider: a}")
    ) as proxy:
        reply = await proxy.ask()
        assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, "b")
        assert reply.headers["x-hedgerow-attempts"] == "1"


async def test_an_unknown_price_is_refused_and_never_free(tmp_path: Path) -> None:
    """Without a price from anybody: 400 price_unknown, and nothing is sent."""
    unknown = {"a": offer("a", price=None)}
    async with serving(tmp_path, offers=unknown, feeds="[{kind: litellm}]") as proxy:
        reply = await proxy.ask()
        assert (reply.status, reply.error["code"]) == (400, "price_unknown")
        assert "unknown price is not 0" in reply.error["message"]
        assert proxy.a.tally.requests == 0


async def test_an_offer_without_price_is_passed_over(tmp_path: Path) -> None:
    """Another offer of the same model that has one is taken."""
    unknown = {"a": offer("a", price=None)}
    async with serving(
        tmp_path, names=("a", "b"), offers=unknown, feeds="[{kind: litellm}]"
    ) as proxy:
        reply = await proxy.ask()
        assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, "b")
        assert proxy.a.tally.requests == 0


async def test_a_price_of_nought_is_free_even_without_money(tmp_path: Path) -> None:
    """Zero is a price: a budget of nothing blocks what costs, and lets through what does not."""
    free = {"a": offer("a", price="{input: 0, output: 0}")}
    async with serving(tmp_path, offers=free, budgets=month("0")) as proxy:
        assert (await proxy.ask()).status == 200
    (tmp_path / "paid").mkdir()
    async with serving(tmp_path / "paid", budgets=month("0")) as proxy:
        assert (await proxy.ask()).status == 402


async def test_cached_tokens_are_charged_at_their_price(tmp_path: Path) -> None:
    """What a provider read from its cache is charged as such, once."""
    cached = {"a": offer("a", price="{input: 1, output: 2, cache_read: 0.1}")}
    behaviour = Behaviour(models=(UPSTREAM_MODEL,), time_scale=0.0, cache=True)
    prompt = [{"role": "user", "content": "oak " * 300}]
    async with serving(tmp_path, behaviour=behaviour, offers=cached) as proxy:
        for _ in range(2):
            body = {"model": MODEL, "messages": prompt, "max_tokens": 1}
            assert (await proxy.post(body)).status == 200
        assert [one.effective for one in await proxy.charges()] == [
            300 * 1000 + 2000,
            44 * 1000 + 256 * 100 + 2000,
        ]


def revoke(store: Store) -> None:
    """Revoke the key called short-lived, as another process would."""
    with store.transaction():
        (key_id,) = [one.id for one in store.policy.keys().values() if one.name == "short-lived"]
        store.policy.revoke_key(key_id, at_ns=1)


async def test_a_key_that_is_revoked_stops_at_once(tmp_path: Path) -> None:
    """Within the time that policy takes to be seen, a revoked key is refused."""
    async with serving(tmp_path) as proxy:
        key = await proxy.new_key(name="short-lived")
        who = {"authorization": f"Bearer {key}"}
        assert (await proxy.post(asking(messages=HELLO), **who)).status == 200

        await proxy.read(revoke)
        async with asyncio.timeout(20):
            while (reply := await proxy.get("/models", **who)).status == 200:
                pass
        assert "revoked" in reply.error["message"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("said", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_goes_by_the_name_that_its_provider_obeys(
    tmp_path: Path, said: str, field: str
) -> None:
    """However the client says its limit, the provider is told it once, by the name that it takes:
    by another it might write as much as it likes."""
    async with serving(tmp_path, provider=f", max_tokens_field: {field}") as proxy:
        body = asking(max_tokens=None) | {said: 7}
        assert (await proxy.post(body)).status == 200
        sent_body = json.loads(proxy.a.tally.exchanges[-1].body)
        assert {one: sent_body[one] for one in sent_body if one.startswith("max_")} == {field: 7}


async def test_nobody_teaches_sizes_for_others(tmp_path: Path) -> None:
    """A body padded with blanks says nothing of how long a token is."""
    async with serving(tmp_path) as proxy:
        padded = json.dumps(asking()).encode() + b" " * 900_000
        for _ in range(5):
            assert (await proxy.post(padded)).status == 200
        assert proxy.server.house.learned.prompt_tokens(MODEL, 4000) >= 500


async def test_a_name_of_megabytes_is_not_kept(tmp_path: Path) -> None:
    """A model name of the client's making costs the books, and the answer, no more than a line."""
    async with serving(tmp_path) as proxy:
        reply = await proxy.post(asking(model="m" * 900_000))
        assert (reply.status, reply.error["code"]) == (404, "model_not_found")
        assert len(reply.body) < 1000
        assert len((await proxy.record(reply)).model) <= 200
