"""A team's fixed fee in the books: quoted, agreed on, billed instead of what was metered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from benchmarks.market import Quoted
from hedge.book.book import HedgeBook
from hedge.book.facts import QuotedFee
from hedge.errors import EntryRefused
from hedge.fixed_fee.agreements import accept, bill_teams, keep_quote, team_months
from hedge.fixed_fee.metered import metered_share
from hedge.scenarios.calendar import month_spans
from hedge.scenarios.demand import shocks
from hedge.scenarios.ledger_demand import OTHERS, demand_of, of_team
from hedge.scenarios.outlook import Outlook
from hedge.scenarios.token_prices import price_levels
from hedgerow.books import keep_history
from hedgerow.config import load_config
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers
from ledger.accounting import GlAccount
from ledger.audit import verify
from ledger.fixed_fees import FixedFee
from ledger.instants import as_ns
from ledger.money import ZERO, Money
from ledger.principals import Principal
from ledger.store import Store
from ledger.usage import TokenUsage
from tests.books import opened_store, written
from tests.hedge.scenarios.test_calibration import quote as quote_of
from tests.hedgerow.beside import said, told
from tests.ledger.databases import Books
from tests.ledger.entries import attempt, hold_of, settlement

QUOTER, TEAM_LEAD = "kim", "lee"


def ns(text: str) -> int:
    return as_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


def use(store: Store, number: int, at_ns: int, team: str, model: str, nanos: int) -> None:
    """A charge of so many nano-USD, for so many completion tokens."""
    who = Principal(key_id="key_1", team=team)
    hold = hold_of(attempt(f"a{number}", nanos, who, at_ns=at_ns, model=model))
    end = settlement(nanos, at_ns=at_ns)
    written(store, hold, replace(end, usage=TokenUsage(0, nanos)))


def quoted(first: str, months: int = 2, included: int = 1_000) -> QuotedFee:
    fee = FixedFee(
        "apps",
        date.fromisoformat(first),
        months,
        0.95,
        Money(800),
        Money(200),
        ZERO,
        {"apps: chat": included},
    )
    return QuotedFee(
        fee,
        {"apps: chat": ("chat",)},
        of_team("apps", OTHERS),
        expires_at_ns=ns("2026-12-15"),
        inputs_sha256="0" * 64,
        seed=1,
    )


def test_a_team_is_billed_its_fee_and_what_lies_beyond(books: Books) -> None:
    """Month by month, on both databases: tokens within what is included cost the fee, those beyond
    and models that nobody agreed on as metered; the platform's result is what that leaves, the
    book balances and verifies, and running it again changes nothing."""
    with closing(Store(books.open())) as store:
        use(store, 1, ns("2026-12-31T23:59:59"), "apps", "chat", 5_000)
        use(store, 2, ns("2027-01-01T00:00:00"), "apps", "chat", 700)
        use(store, 3, ns("2027-01-09T12:00:00"), "apps", "code", 40)
        use(store, 4, ns("2027-01-09T12:00:00"), "others", "chat", 9_000)
        use(store, 5, ns("2027-02-10T12:00:00"), "apps", "chat", 1_500)
        with store.transaction():
            book = HedgeBook(store.sql, ns("2026-12-02"))
            kept = keep_quote(book, quoted("2027-01-01"), QUOTER)
            accept(book, kept.id, TEAM_LEAD, "for the quarter")
        with store.transaction():
            assert bill_teams(HedgeBook(store.sql, ns("2027-02-02"))) == []
        with store.transaction():
            book = HedgeBook(store.sql, ns("2027-02-20"))
            (january,) = bill_teams(book)
            running = list(team_months(book))[-1]
        with store.transaction():
            book = HedgeBook(store.sql, ns("2027-03-20"))
            (february,) = bill_teams(book)
            assert bill_teams(book) == []
            assert (january.bill.billed, january.bill.metered) == (1_040, 740)
            assert (february.bill.billed, february.bill.metered) == (1_500, 1_500)
            assert (running.bill, running.is_final) == (february.bill, False)
            assert [one.is_final for one in team_months(book)] == [True, True]
            assert book.balance(GlAccount.TEAMS_RECEIVABLE, kept.id) == 2_540
            assert book.balance(GlAccount.FIXED_FEE_RESULT, kept.id) == -300
        assert verify(store.sql).findings == ()


@pytest.mark.parametrize(
    ("who", "now", "twice", "why"),
    [
        (QUOTER, "2026-12-02", False, "somebody else has to accept it"),
        (" K im".upper(), "2026-12-02", False, "somebody else has to accept it"),
        (TEAM_LEAD, "2026-12-20", False, "has expired"),
        (TEAM_LEAD, "2026-12-02", True, "already"),
    ],
)
def test_who_may_agree_and_until_when(
    books: Books, who: str, now: str, twice: bool, why: str
) -> None:
    """Not the one who quoted, however the name is written, not after it has expired, not for months
    that are agreed on."""
    with closing(Store(books.open())) as store, store.transaction():
        book = HedgeBook(store.sql, ns("2026-12-01"))
        kept = keep_quote(book, quoted("2027-01-01"), QUOTER)
        book.now_ns = ns(now)
        if twice:
            other = keep_quote(book, quoted("2027-02-01"), QUOTER)
            accept(book, other.id, TEAM_LEAD, None)
        with pytest.raises(EntryRefused, match=why):
            accept(book, kept.id, who, None)


def test_a_team_stands_apart_in_the_demand(books: Books) -> None:
    """Its use and that of all others sum to the demand of all; what was charged of its list cost is
    told by workload."""
    began, now = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 6, 9, tzinfo=UTC)
    rng = np.random.default_rng(4)
    with closing(Store(books.open())) as store:
        for hour in range(5 * 24):
            for place, (team, model) in enumerate(
                (("apps", "chat"), ("apps", "code"), ("data", "chat"), ("data", "code"))
            ):
                at_ns = as_ns(began + timedelta(hours=hour, minutes=7))
                use(store, hour * 4 + place, at_ns, team, model, int(rng.integers(1, 10**6)))
        apart, whole = demand_of(store.sql, now, team="apps"), demand_of(store.sql, now)
        share = metered_share(store.sql, apart, "apps")
    assert {one.name for one in apart.workloads} == {"apps: chat", "apps: code", "chat", "code"}
    for model in ("chat", "code"):
        both = [apart.names.index(name) for name in (model, of_team("apps", model))]
        one = whole.names.index(model)
        assert np.array_equal(apart.amounts[:, :, both].sum(axis=2), whole.amounts[:, :, one])
        assert np.array_equal(apart.list_nanos[:, :, both].sum(axis=2), whole.list_nanos[:, :, one])
    assert np.allclose(share, 1.0)


def test_a_model_has_one_price_for_all(books: Books) -> None:
    """A team's use of a model moves with the price that everybody pays: else it would bear less of
    the platform's risk than it brings."""
    began, now = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 6, 9, tzinfo=UTC)
    with closing(Store(books.open())) as store:
        for hour in range(5 * 24):
            at_ns = as_ns(began + timedelta(hours=hour, minutes=7))
            use(store, 2 * hour, at_ns, "apps", "chat", 10**6)
            use(store, 2 * hour + 1, at_ns, "data", "chat", 10**6)
        history = demand_of(store.sql, now, team="apps")
    still = Outlook()
    spans = month_spans(date(2026, 12, 1), 6)
    both = shocks(still.scarcity, 6, seed=1, count=50)
    levels = price_levels(history, still, spans, both, seed=1)
    assert np.array_equal(levels[:, :, 0], levels[:, :, 1])
    assert levels.std() > 0


@contextmanager
def writing(path: Path) -> Iterator[list[float]]:
    """Somebody else writes into the books all the time: the seconds that each write took."""
    waits: list[float] = []
    is_over = Event()

    def write() -> None:
        with closing(opened_store(path)) as store:
            while not is_over.is_set():
                began_s, now_ns = time.monotonic(), time.time_ns()
                use(store, now_ns, now_ns, "data", "chat", 1)
                waits.append(time.monotonic() - began_s)

    other = Thread(target=write)
    other.start()
    try:
        yield waits
    finally:
        is_over.set()
        other.join()


def test_a_quote_from_the_command_line(tmp_path: Path) -> None:
    """A quote of the books' demand is kept, agreed on by somebody else and listed; a team that
    nobody knows gets one line that says where to look."""
    config = tmp_path / "hedgerow.yaml"
    config.write_text(
        "providers: {one: {base_url: http://127.0.0.1:9/v1, api_key: x}}\n"
        "models: {chat: {offers: [{provider: one, model: m, price: {input: 1, output: 1}}]}}\n",
        encoding="utf-8",
    )
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with closing(opened_store(tmp_path / "hedgerow.db")) as store:
        for hour in range(21 * 24):
            at_ns = as_ns(today - timedelta(hours=hour + 1))
            use(store, 2 * hour, at_ns, "apps", "chat", 10**9)
            use(store, 2 * hour + 1, at_ns, "data", "chat", 3 * 10**9)
    quote = ("hedge", "quote", "-c", config)
    made = told(*quote, "--team", "apps", "--by", QUOTER)
    with writing(tmp_path / "hedgerow.db") as others:
        began_s = time.monotonic()
        told(*quote, "--team", "apps", "--by", QUOTER, "--months", "12")
        took_s = time.monotonic() - began_s
    # The scenarios are most of it: had they been drawn with the books locked, nobody had written.
    assert max(others) < took_s / 2
    parts = ("expected_usd", "risk_usd", "handling_usd")
    assert made["monthly_fee_usd"] == pytest.approx(sum(made[part] for part in parts))
    assert 600 < made["expected_usd"] < 1_000
    assert made["included"][0]["models"] == ["chat"]
    assert said(*quote, "--accept", made["quote"], "--by", QUOTER).exit_code == 1
    agreed = said(*quote, "--accept", made["quote"], "--by", TEAM_LEAD)
    assert (agreed.exit_code, "is agreed on, by lee" in agreed.stderr) == (0, True)
    (coming,) = told(*quote)["to_come"]
    assert (coming["quote"], coming["team"]) == (made["quote"], "apps")
    assert said(*quote).stdout.startswith("Team apps: $")
    own = load_config(config, {})
    for days, usd in ((60, "4"), (1, "2")):
        then = datetime.now(UTC) - timedelta(days=days)
        offers = quoted_offers(own, known_prices(own, then), then)["chat"]
        news = {"chat": [Quoted(one.offer, quote_of(usd, then)) for one in offers]}
        keep_history(own.ledger, news, then)
    halved = told(*quote, "--team", "apps")
    assert halved["expected_usd"] == pytest.approx(made["expected_usd"] / 2, rel=0.1)
    ghost = said(*quote, "--team", "ghost")
    assert (ghost.exit_code, ghost.stdout) == (1, "")
    assert "team ghost has used nothing" in ghost.stderr
