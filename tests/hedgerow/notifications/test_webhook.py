"""Webhooks: signed so that a receiver can tell, and honest about what did not arrive."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from hedgerow.errors import NotSent
from hedgerow.notifications.channels import webhook_session
from hedgerow.notifications.webhook import Webhook, payload, signature
from tests.hedgerow.notifications.receivers import hook
from tests.ledger.entries import NOW_NS
from tests.ledger.test_notices import notice

SECRET = "whsec_1"
NOW_S = NOW_NS // 1_000_000_000
DOCS = Path(__file__).parents[3] / "docs" / "notifications.md"


class StoppedClock:
    """It is always now."""

    def now_ns(self) -> int:
        return NOW_NS

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing here waits {seconds} s")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with webhook_session() as one:
        yield one


def to(
    session: aiohttp.ClientSession, url: str, secret: str | None = SECRET, timeout_s: float = 10
) -> Webhook:
    return Webhook(session, url, secret, StoppedClock(), timeout_s)


def documented_verifier() -> Any:
    """The function that docs/notifications.md gives to receivers."""
    code = next(
        one
        for one in re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
        if "def is_ours" in one
    )
    space: dict[str, Any] = {}
    exec(code, space)  # noqa: S102 - our own page
    return space["is_ours"]


async def test_what_arrives(session: aiohttp.ClientSession) -> None:
    """JSON with amounts in USD, a line for people, the id and a signature that verifies."""
    async with hook() as receiver:
        await to(session, receiver.url).send(notice())
    [body], [headers] = receiver.bodies, receiver.headers
    assert json.loads(body, parse_float=Decimal) == {
        "id": notice().id,
        "kind": "threshold",
        "at": "2026-03-14T15:09:26+00:00",
        "budget": "research-month",
        "scope": "team=research",
        "measure": "usd",
        "spent": Decimal("17003.2"),
        "cap": 20000,
        "part": Decimal("0.85"),
        "window": "month",
        "window_start": "2026-02-28T23:00:00+00:00",
        "resets_at": "2026-03-31T22:00:00+00:00",
        "about": None,
        "text": notice().text(),
    }
    assert headers["content-type"] == "application/json"
    assert headers["x-hedgerow-notice-id"] == notice().id
    expected = hmac.new(SECRET.encode(), f"{NOW_S}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["x-hedgerow-signature"] == f"t={NOW_S},v1={expected}"
    assert documented_verifier()(SECRET, headers["x-hedgerow-signature"], body, NOW_S)


@given(st.binary(max_size=20), st.binary(max_size=20), st.integers(-1000, 1000))
def test_the_documented_verifier_takes_ours_alone(body: bytes, other: bytes, late_s: int) -> None:
    """Ours and fresh is taken; another body, another secret, another time, an old one is not."""
    is_ours = documented_verifier()
    ours = signature(SECRET, NOW_S, body)
    assert is_ours(SECRET, ours, body, NOW_S + late_s) is (abs(late_s) <= 300)
    assert is_ours(SECRET, ours, other, NOW_S) is (other == body)
    assert not is_ours("another", ours, body, NOW_S)
    assert not is_ours(SECRET, ours.replace(f"t={NOW_S}", f"t={NOW_S + 1}"), body, NOW_S)


async def test_without_a_secret_nothing_is_signed(session: aiohttp.ClientSession) -> None:
    """Slack looks at no signature, and gets none."""
    async with hook() as receiver:
        await to(session, receiver.url, secret=None).send(notice())
    assert "x-hedgerow-signature" not in receiver.headers[0]


def test_a_name_rings_no_bell() -> None:
    """In the line that Slack shows, a name is text and no command; elsewhere it is as it was."""
    told = json.loads(payload(notice(scope="user=<!channel>&")))
    assert told["scope"] == "user=<!channel>&"
    assert "(user=&lt;!channel&gt;&amp;)" in told["text"]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_success_is_2xx(session: aiohttp.ClientSession, status: int) -> None:
    """Any of them is enough, whatever else the answer says."""
    async with hook(lambda _: web.Response(status=status)) as receiver:
        await to(session, receiver.url).send(notice())


@pytest.mark.parametrize(
    ("answer", "why", "retry_after_s"),
    [
        (lambda _: web.Response(status=404, text="no\n service\n"), "HTTP 404: no service", None),
        (lambda _: web.Response(status=500), "HTTP 500", None),
        (lambda _: web.Response(status=400, text="x" * 10_000), "HTTP 400: " + "x" * 200, None),
        (lambda _: web.Response(status=429, headers={"retry-after": "30"}), "HTTP 429", 30.0),
        (lambda _: web.Response(status=503, headers={"retry-after": "-1"}), "HTTP 503", None),
    ],
)
async def test_anything_else_did_not_arrive(
    session: aiohttp.ClientSession, answer: Any, why: str, retry_after_s: float | None
) -> None:
    """The status says why, with the beginning of what was said, on one line."""
    async with hook(answer) as receiver:
        with pytest.raises(NotSent) as error:
            await to(session, receiver.url).send(notice())
    assert (str(error.value), error.value.retry_after_s) == (why, retry_after_s)


async def test_redirects_are_not_followed(session: aiohttp.ClientSession) -> None:
    """A notice goes to the URL that was configured, and nowhere else."""
    async with hook() as elsewhere:
        there = web.Response(status=307, headers={"location": elsewhere.url})
        async with hook(lambda _: there) as receiver:
            with pytest.raises(NotSent, match="HTTP 307: it points elsewhere"):
                await to(session, receiver.url).send(notice())
    assert elsewhere.bodies == []


async def test_silence_ends(session: aiohttp.ClientSession) -> None:
    """A receiver that does not answer is not waited for longer than was said."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        has_left.set()

    has_left = asyncio.Event()
    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        with pytest.raises(NotSent, match=r"no answer in 0\.05 s"):
            await to(session, url, timeout_s=0.05).send(notice())
        await has_left.wait()


async def test_why_shows_no_url(session: aiohttp.ClientSession) -> None:
    """A URL may be a secret: no reason has it."""
    async with hook() as receiver:
        url = receiver.url
    with pytest.raises(NotSent) as error:
        await to(session, f"{url}/s3cret").send(notice())
    assert "s3cret" not in str(error.value)
    assert str(error.value).startswith("no answer: ")


def test_tries_of_one_notice_have_one_body() -> None:
    """However often it is sent, the receiver sees the same bytes."""
    assert payload(notice()) == payload(replace(notice()))
