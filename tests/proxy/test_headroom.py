"""What providers say of our limits: read in every spelling, and kept to before a 429 says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.accounts import Accounts, Busy
from proxy.headroom import ASK_AGAIN_S, LONGEST_S, Headroom, Left, headroom_in
from proxy.providers import Account, Provider

NOW_S = 50.0
AT = datetime(2026, 3, 14, 9, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 10**9


def read(**headers: str) -> Headroom | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return headroom_in(named, AT_NS, NOW_S)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("250ms", 0.25), ("2m59.56s", 179.56), ("7", 7), ("1h", LONGEST_S)],
)
def test_the_spellings_of_a_reset(text: str, seconds: float) -> None:
    """OpenAI's, Groq's and plain seconds; a day is cut to an hour."""
    told = read(x_ratelimit_remaining_requests="3", x_ratelimit_reset_requests=text)
    assert told is not None
    assert told.requests is not None
    assert (told.requests.count, told.tokens) == (3, None)
    assert told.requests.until_s == pytest.approx(NOW_S + seconds)


def test_anthropic_says_a_moment() -> None:
    """Seconds until then, by our clock."""
    told = read(
        anthropic_ratelimit_tokens_remaining="9000",
        anthropic_ratelimit_tokens_reset=(AT + timedelta(seconds=30)).isoformat(),
    )
    assert told == Headroom(None, Left(9000, NOW_S + 30))


@given(st.text(max_size=12), st.text(max_size=12))
def test_what_says_nothing_is_nothing(count: str, reset: str) -> None:
    """Whatever a header has: a limit that can be kept to, or none; never an error."""
    told = read(x_ratelimit_remaining_tokens=count, x_ratelimit_reset_tokens=reset)
    if told is not None:
        assert told.tokens is not None
        assert told.tokens.count >= 0
        assert NOW_S <= told.tokens.until_s <= NOW_S + LONGEST_S


def test_a_count_of_any_length_is_no_error() -> None:
    assert read(x_ratelimit_remaining_tokens="9" * 5000, x_ratelimit_reset_tokens="1s") is None


def test_one_request_a_minute_tries_whether_it_is_still_so() -> None:
    """An answer that says 0 for a day would close its provider for as long as nobody asks."""
    its, account = accounts()
    told = read(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="1d")
    assert told is not None
    its.told("p", account, told)
    its.told("p", account, Headroom(None, Left(5, NOW_S + LONGEST_S, NOW_S + ASK_AGAIN_S)))
    for minute in (1, 2):
        soon_s = NOW_S + minute * ASK_AGAIN_S - 1
        assert its.take("p", soon_s, tokens=10) == Busy(NOW_S + LONGEST_S)
        assert its.take("p", soon_s + 1, tokens=10) == account
        assert its.take("p", soon_s + 1, tokens=10) == Busy(NOW_S + LONGEST_S)


def accounts() -> tuple[Accounts, Account]:
    account = Account("1", "sk")
    return Accounts({"p": Provider("p", "http://x", (account,))}), account


def test_an_account_without_headroom_waits_for_its_reset() -> None:
    """Neither more requests than are left, nor more tokens; each request that goes out counts
    before the provider has told of it."""
    its, account = accounts()
    assert its.busy(NOW_S, 100) == {}
    its.told("p", account, Headroom(Left(2, 60.0), Left(1000, 80.0)))
    assert its.busy(NOW_S, 1001) == {"p": 80.0}
    assert its.busy(NOW_S, 1000) == {}
    assert its.take("p", NOW_S, tokens=600) == account
    assert its.busy(NOW_S, 600) == {"p": 80.0}
    assert its.take("p", NOW_S, tokens=100) == account
    assert its.take("p", NOW_S, tokens=0) == Busy(60.0)
    assert its.busy(60.0, 100) == {}
