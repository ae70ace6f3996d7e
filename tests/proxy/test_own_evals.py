"""Evals and probes as clients of our own HTTP: what they see, and what the books have of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks.errors import BudgetSpent, NotAnswered
from benchmarks.evals.asking import COMPARE_PROMPT, SCALE_PROMPT, Asker
from benchmarks.evals.graders import Exact, Grader, Judge, Similarity
from benchmarks.evals.prompts import Prompt
from benchmarks.evals.purse import Purse
from benchmarks.evals.run import GIVE_UP_AFTER, Contestant, Plan, Ran, run_eval
from benchmarks.offers import Offer
from benchmarks.own_api import OwnApi
from benchmarks.quotes import Quote
from benchmarks.sandbox import Behaviour, Fault
from ledger.money import usd
from ledger.rates import RateCard
from tests.serving import MODEL, UPSTREAM_MODEL, Proxy, SkippingClock, head, scripted, serving

NOW = datetime(2026, 11, 20, tzinfo=UTC)
QUOTE = Quote(RateCard.of(Decimal(1), Decimal(2)), None, (), "test", NOW)
MARK = "0f0f"
ANSWERS = {f"question {n}": f"answer {n}" for n in range(30)}
OTHER_MODELS = (
    "judge: {offers: [{provider: a, model: judge-1, price: {input: 1, output: 2}}]}\n"
    "  vectors: {offers: [{provider: a, model: vec-1, tasks: [embedding],"
    " price: {input: 1, output: 0}}]}"
)
BEHAVIOUR = Behaviour(
    models=(UPSTREAM_MODEL, "judge-1", "vec-1"),
    time_scale=0.0,
    output_tokens_median=5,
    answers=ANSWERS,
)
OFFER = Offer("a", UPSTREAM_MODEL)


@dataclass
class Evals:
    """A proxy and who asks it."""

    proxy: Proxy
    asker: Asker

    async def run(self, prompts: Sequence[Prompt], **settings: Any) -> Ran:
        plan = Plan(prompts, [Contestant(MODEL, OFFER, QUOTE)], **settings)
        return await run_eval(plan, self.asker, SkippingClock().sleep)

    async def spent(self) -> int:
        return sum(one.effective for one in await self.proxy.charges())


@asynccontextmanager
async def evals(
    folder: Path, cap: str = "1", behaviour: Behaviour = BEHAVIOUR, **more: Any
) -> AsyncIterator[Evals]:
    async with (
        serving(
            folder,
            behaviour=behaviour,
            more_models=OTHER_MODELS,
            routing="{attempts: 1}",
            **more,
        ) as proxy,
        aiohttp.ClientSession() as session,
    ):
        clock = SkippingClock()
        api = OwnApi(session, proxy.base_url, proxy.key, clock.monotonic_s)
        quotes = {MODEL: [QUOTE], "judge": [QUOTE], "vectors": [QUOTE]}
        purse = Purse(usd(cap))
        yield Evals(proxy, Asker(api, purse, lambda name: quotes.get(name, ()), MARK))


def prompt(number: int, grader: Grader | None = None, expect: str | None = "") -> Prompt:
    return Prompt(
        id=f"p{number}",
        messages=({"role": "user", "content": f"question {number}"},),
        grader=Exact() if grader is None else grader,
        expect=f"answer {number}" if expect == "" else expect,
        task=None,
        tools=(),
        max_tokens=8,
        temperature=None,
        response_format=None,
        hash=f"h{number}",
    )


PROMPTS = [prompt(number) for number in range(30)]


async def test_what_an_eval_pays_is_what_the_books_have(tmp_path: Path) -> None:
    """To the nano-USD; and every answer is graded."""
    async with evals(tmp_path) as eval_:
        ran = await eval_.run(PROMPTS, repeat=2, concurrency=5)
        assert [one.score for one in ran.outcomes] == [1.0] * 60
        assert ran.stopped == ""
        purse = eval_.asker.purse
        assert (purse.spent, purse.held) == (await eval_.spent(), 0)
        assert purse.spent == sum(one.cost or 0 for one in ran.outcomes)


@pytest.mark.parametrize("concurrency", [1, 7])
async def test_the_cap_is_never_exceeded(tmp_path: Path, concurrency: int) -> None:
    """However many calls are under way, and with judges that take from it, too: by the books."""
    graders = [None, Judge("judge", "be right"), Similarity("vectors")]
    prompts = [prompt(number, graders[number % 3], "x") for number in range(30)]
    async with evals(tmp_path, "0.0045") as eval_:
        ran = await eval_.run(prompts, repeat=3, concurrency=concurrency)
        assert ran.stopped.startswith("the next call may cost")
        assert 0 < await eval_.spent() <= usd("0.0045")
        assert eval_.asker.purse.held == 0


async def test_a_budget_in_the_books_ends_it(tmp_path: Path) -> None:
    """It is refused there, too, and stops at once instead of asking on."""
    budget = "{name: all, scope: {}, window: day, cap_usd: 0.0002}"
    async with evals(tmp_path, budgets=budget) as eval_:
        ran = await eval_.run(PROMPTS, concurrency=1)
        assert ran.stopped.startswith("HTTP 402")
        assert len(ran.outcomes) == len(await eval_.proxy.charges()) < 30


async def test_no_answer_is_no_score(tmp_path: Path) -> None:
    """Nor is it 0; after a few in a row the offer is asked no more, and none of it is charged."""
    async with evals(tmp_path) as eval_:
        eval_.proxy.a.fault = Fault.HTTP_500
        ran = await eval_.run(PROMPTS, concurrency=1)
        assert [one.score for one in ran.outcomes] == [None] * GIVE_UP_AFTER
        assert ran.given_up == {OFFER.id}
        assert await eval_.spent() == 0


async def test_who_has_too_much_to_do_is_asked_again(tmp_path: Path) -> None:
    """After a while; a 429 is no verdict on what an offer can do."""
    async with evals(tmp_path) as eval_:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            eval_.proxy.a.fault = None

        eval_.proxy.a.fault = Fault.HTTP_429
        plan = Plan(PROMPTS[:1], [Contestant(MODEL, OFFER, QUOTE)])
        ran = await run_eval(plan, eval_.asker, sleep)
        assert [one.score for one in ran.outcomes] == [1.0]
        assert len(waits) == 1


def scale(number: int, said: str) -> dict[str, str]:
    asked = SCALE_PROMPT.format(
        rubric="be right", task=f"question {number}", answer=f"answer {number}", mark=MARK
    )
    return {asked: said}


def compare(number: int, other: str, first: str, second: str) -> dict[str, str]:
    """What the judge says with the answer in the first place, and in the second."""
    own = f"answer {number}"
    return {
        COMPARE_PROMPT.format(
            rubric="be right", task=f"question {number}", first=one, second=two, mark=MARK
        ): said
        for one, two, said in ((own, other, first), (other, own, second))
    }


async def test_a_judge_on_a_scale(tmp_path: Path) -> None:
    """1 to 10 become 0 to 1, the last line counts; without a score there is no grade."""
    said = {
        0: "SCORE: 1\nit could be better\nSCORE: 10",
        1: "good\n**SCORE: 4**",
        2: "SCORE: 11",
        3: "it is fine",
    }
    told = {key: text for n, one in said.items() for key, text in scale(n, one).items()}
    behaviour = replace(BEHAVIOUR, answers=ANSWERS | told)
    async with evals(tmp_path, behaviour=behaviour) as eval_:
        judge = Judge("judge", "be right")
        ran = await eval_.run([prompt(n, judge, None) for n in said], concurrency=1)
        assert [one.score for one in ran.outcomes] == [1.0, pytest.approx(1 / 3), None, None]
        assert all(one.is_answered and one.grading > 0 for one in ran.outcomes)
        assert eval_.asker.purse.spent == await eval_.spent()


async def test_a_judge_that_compares(tmp_path: Path) -> None:
    """Asked in either order: who prefers the first place says nothing of the answers."""
    verdicts = {
        0: ("VERDICT: A", "VERDICT: B", 1.0),
        1: ("VERDICT: B", "VERDICT: A", 0.0),
        2: ("VERDICT: A", "VERDICT: A", 0.5),
        3: ("VERDICT: TIE", "VERDICT: B", 0.75),
        4: ("VERDICT: A", "who can tell", None),
    }
    told: dict[str, str] = {}
    for number, (first, second, _) in verdicts.items():
        told |= compare(number, "theirs", first, second)
    behaviour = replace(BEHAVIOUR, answers=ANSWERS | told)
    async with evals(tmp_path, behaviour=behaviour) as eval_:
        judge = Judge("judge", "be right")
        ran = await eval_.run([prompt(n, judge, "theirs") for n in verdicts], concurrency=1)
        assert [one.score for one in ran.outcomes] == [score for _, _, score in verdicts.values()]


async def test_embeddings_that_are_close(tmp_path: Path) -> None:
    """The same words are 1, others are not; `at_least` makes it right or wrong."""
    async with evals(tmp_path) as eval_:
        prompts = [
            prompt(0, Similarity("vectors")),
            prompt(1, Similarity("vectors"), "something else"),
            prompt(2, Similarity("vectors", 0.99)),
            prompt(3, Similarity("vectors", 0.99), "something else"),
        ]
        ran = await eval_.run(prompts, concurrency=1)
        same, other, right, wrong = [one.score for one in ran.outcomes]
        assert same == pytest.approx(1, abs=1e-6)
        assert other is not None
        assert 0 <= other < 0.9
        assert (right, wrong) == (1.0, 0.0)
        assert eval_.asker.purse.spent == await eval_.spent()


@pytest.mark.parametrize("answered", ["a", "b"])
async def test_an_answer_of_another_offer_is_none(answered: str) -> None:
    """A proxy that knows no pins sends it anywhere: then nothing is measured."""
    told = f"x-hedgerow-provider: {answered}\r\nx-hedgerow-model: {UPSTREAM_MODEL}\r\n"
    body = b'{"choices": [{"message": {"content": "hello"}}]}'
    async with scripted(head(more=told), body) as url, aiohttp.ClientSession() as session:
        api = OwnApi(session, url, "sk", SkippingClock().monotonic_s)
        if answered == OFFER.provider:
            assert (await api.chat({}, OFFER)).text == "hello"
            return
        with pytest.raises(NotAnswered, match="does not know the header x-hedgerow-offer"):
            await api.chat({}, OFFER)


async def test_a_pin_is_obeyed(tmp_path: Path) -> None:
    """The dearer offer answers, if it is the one that is asked."""
    async with evals(tmp_path, names=("a", "b")) as eval_:
        await eval_.asker.api.chat(prompt(0).request(MODEL), Offer("b", UPSTREAM_MODEL))
        asked = [one.tally.requests for one in eval_.proxy.sandboxes.values()]
        assert asked == [0, 1]


async def test_a_stream_is_timed(tmp_path: Path) -> None:
    """Its first token, its tokens and its cost; a refusal says when to come back."""
    budget = "{name: all, scope: {}, window: day, cap_usd: 0.0002}"
    async with evals(tmp_path, budgets=budget) as eval_:
        api = eval_.asker.api
        seen = await api.stream(prompt(0).request(MODEL), OFFER)
        assert seen.ttft_ms is not None
        assert (seen.completion_tokens, seen.cost) == (2, await eval_.spent())
        long = prompt(0).request(MODEL) | {"max_tokens": 1000}
        with pytest.raises(BudgetSpent) as refused:
            await api.stream(long, OFFER)
        assert refused.value.resets_at is not None
        assert refused.value.is_uncharged


async def test_nobody_listens() -> None:
    """It is said where nobody has answered."""
    async with aiohttp.ClientSession() as session:
        api = OwnApi(session, "http://127.0.0.1:9/v1", "sk", SkippingClock().monotonic_s)
        with pytest.raises(NotAnswered, match="/v1 has not answered"):
            await api.chat({}, None)
