"""Books with a past, so that the pages of the market and the router have something to show."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from benchmarks.capacity.prices import keep as keep_capacity
from benchmarks.evals.history import EvalHistory, EvalRun
from benchmarks.market import Quoted
from benchmarks.offers import Offer
from benchmarks.quotes import Quote
from benchmarks.stats import Percentiles, Stats
from benchmarks.tables.database import open_market
from benchmarks.tables.history import MarketHistory
from benchmarks.traffic.hours import add_up
from benchmarks.traffic.observations import Observation, Observations, Outcome
from benchmarks.traffic.observed import tell
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.instants import instant
from ledger.rates import RateCard
from ledger.requests import FailedAttempt, RequestRecord
from ledger.tables.requests import RequestTable
from ledger.usage import TokenUsage
from tests.ledger.entries_of import HOUR_NS, SECOND_NS, Made, Who, write

MODEL, UPSTREAM = "oak", "oak-70b"
HOURS = 24 * 10


@dataclass(frozen=True)
class Asked:
    """A price of capacity, as a feed states it."""

    provider: str
    usd_per_gpu_hour: Decimal
    at: datetime
    contract: str = "on-demand"
    gpu: str = "H100-SXM"
    region: str = "us"
    stat: str = "list"
    source: str = "feed"


def fill(path: Path, now_ns: int, providers: tuple[str, ...] = ("a", "b", "c")) -> None:
    """Ten days of offers, requests, failures, evals and GPU-hours, until an hour ago."""
    with closing(SqliteFile.open(path)) as sql:
        open_market(sql)
        random = Random(7)
        _charged(sql, now_ns, random, providers)
        _seen(sql, now_ns, random, providers)
        _market(sql, instant(now_ns), random, providers)
        _requests(sql, now_ns, providers)


def _charged(sql: Sql, now_ns: int, random: Random, providers: tuple[str, ...]) -> None:
    made = []
    for hour in range(1, HOURS):
        for _ in range(random.randint(1, 5)):
            provider = random.choices(providers, (6, 3, 1)[: len(providers)])[0]
            usage = TokenUsage(random.randint(10, 200), random.randint(10, 100))
            at_ns = now_ns - hour * HOUR_NS - random.randrange(HOUR_NS)
            one = Made(at_ns, who=Who(model=MODEL, provider=provider), usage=usage, held=10**6)
            elsewhere = (int(one.cost * random.uniform(1, 3)), int(one.cost * 0.9))
            made.append(
                Made(
                    at_ns,
                    who=one.who,
                    usage=usage,
                    held=10**6,
                    first_offer=elsewhere[0],
                    cheapest=elsewhere[1],
                )
            )
    write(sql, made)


def _seen(sql: Sql, now_ns: int, random: Random, providers: tuple[str, ...]) -> None:
    for hour in range(HOURS, 0, -1):
        seen, at_ns = Observations(), now_ns - hour * HOUR_NS
        for place, provider in enumerate(providers):
            if hour % 24 < 3 and place == 2:
                continue  # a gap
            usual = 200 * (1 + place) * (1 + 0.3 * math.sin(hour / 4))
            for _ in range(random.randint(5, 30)):
                outcome = random.choices(list(Outcome)[:4], (90, 3 if place else 1, 5 * place, 1))[
                    0
                ]
                at_s = at_ns / SECOND_NS
                seen.note(
                    f"{provider}/{UPSTREAM}",
                    Observation(at_s, outcome, usual * random.lognormvariate(0, 0.4), 12.0),
                )
        later_ns = at_ns + 300 * SECOND_NS
        with sql.transaction():
            tell(sql, "w", seen.published(), later_ns)
        add_up(sql, later_ns)


def _market(sql: Sql, now: datetime, random: Random, providers: tuple[str, ...]) -> None:
    for day in range(10, 0, -1):
        at, offers = now - timedelta(days=day), []
        for place, provider in enumerate(providers):
            cents = Decimal(100 * (place + 1) + random.choice((0, 0, 5, -5, 10)))
            card = RateCard.of(cents / 100, cents / 50, cents / 1000)
            stats = Stats(at, "openrouter", Percentiles(p50=300.0 + 20 * day))
            quote = Quote(card, card, (), "feed 1", at)
            offers.append(Quoted(Offer(provider, UPSTREAM), quote, stats))
        with sql.transaction():
            MarketHistory(sql).keep({MODEL: offers}, at)
            if day % 3 == 0:
                score = 0.7 + 0.01 * day
                offer, low, high = f"{providers[0]}/{UPSTREAM}", score - 0.05, score + 0.05
                run = EvalRun("ours", offer, MODEL, score, low, high, 60, 0, 0, 0, 0, None, {})
                EvalHistory(sql).keep([run], at, at)
    rows = [
        Asked(name, Decimal(200 + 10 * place + day % 7) / 100, now - timedelta(days=day))
        for day in range(60)
        for place, name in enumerate(("lambda", "crusoe", "runpod", "nebius"))
    ]
    keep_capacity(sql, rows, now)


def _requests(sql: Sql, now_ns: int, providers: tuple[str, ...]) -> None:
    table = RequestTable(sql)
    first = f"{providers[0]}/{UPSTREAM}"
    decision = f'{{"candidates":[{{"offer":"{first}"}}],"first":"%s","exploring_nanos":%d}}'
    with sql.transaction():
        for number in range(60):
            at_ns = now_ns - HOUR_NS - number * 60 * SECOND_NS
            outcome, status, attempts = "answered", 200, 1
            failures: tuple[FailedAttempt, ...] = ()
            if number % 10 == 3:
                failures = (FailedAttempt(first, None, "status 503", 240.0 + number),)
                attempts = 2
            elif number % 10 == 7:
                failures = (FailedAttempt(first, None, "no answer in 20 s", 20_000.0),)
                outcome, status = "upstream_timeout", 504
            elif number % 20 == 9:
                outcome, status, attempts = "budget_exceeded", 402, 0
            table.add(
                RequestRecord(
                    f"req_{at_ns:016x}{number:010x}",
                    *(at_ns, "key_1", "research", None, MODEL, outcome, status, attempts, None),
                    decision % (("value", "tie", "explored")[number % 3], number % 3 // 2 * 900),
                    failures,
                )
            )


def as_books(folder: Path) -> Path:
    """Where `serving` has its books."""
    return folder / "hedgerow.db"
