"""Books made of nothing but rows: a second way to write what the ledger's own code writes.

It shares no code with the books' own writing, chains, balances or sums; it is slow and plain, and
so it can judge them.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from hypothesis import strategies as st

from ledger.commitments import Commitment, CommitmentKind, Covered
from ledger.databases.sql import Sql, Value
from ledger.money import Money
from ledger.rates import RateCard
from ledger.tables import outlines
from ledger.tables.commitments import CommitmentTable
from ledger.tables.ddl import ENTRY, ROLLUP, ROLLUP_STEPS_S, SUBJECT
from ledger.usage import TokenUsage

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
DAY_0_NS = 20_500 * DAY_NS
"""A midnight, in UTC, of February 2026."""

PRICES_PER_TOKEN = ((1, 2), (3, 5))
"""Of two cards: nano-USD for a token in, and out."""
CARDS = tuple(
    RateCard.of(Decimal(one).scaleb(-3), Decimal(other).scaleb(-3))
    for one, other in PRICES_PER_TOKEN
)

ACCOUNTS = (
    ("everyone", "usd", "", "month", DAY_0_NS),
    ("teams", "tokens", "team=a", "day", DAY_0_NS),
    ("each", "requests", "user=ada", "lifetime", 0),
    ("each-model", "requests", "model=llama", "year", DAY_0_NS),
    ("rolling", "usd", "team=a", "rolling:30d", DAY_0_NS),
    ("commitment c1", "units", "", "month", DAY_0_NS),
    ("commitment c2 overage", "units", "", "month", DAY_0_NS),
)
DRAWN = ((), (1,), (1, 2, 3, 4, 5), (3, 4), (1, 6), (1, 7))
"""Sets of them, by their numbers from 1 on."""
OF_COMMITMENT = {4: ("c1", 7_000_001), 5: ("c2", 30_000_007)}
"""Of those sets that are draws: on what, and what a million capacity units cost."""
_TAKES = (1_000_000, 100_000, 4_000_000, 500_000)
"""The micro-units of a token in, of one from a cache, of one out, and of a request."""


FEW = TokenUsage(10, 5)


@dataclass(frozen=True)
class Who:
    org: str | None = None
    team: str | None = None
    project: str | None = None
    user: str | None = None
    key: str = "key_1"
    tags: tuple[str, ...] = ()
    model: str = "llama"
    provider: str = "acme"
    account: str | None = None

    @property
    def names(self) -> tuple[str | None, ...]:
        return (self.org, self.team, self.project, self.user, self.key)

    @property
    def where(self) -> tuple[str | None, ...]:
        return (self.model, self.provider, f"{self.provider}-{self.model}", self.account)

    @property
    def columns(self) -> tuple[object, ...]:
        """Those of SUBJECT."""
        return (*self.names, list(self.tags), *self.where)


@dataclass(frozen=True)
class Made:
    """An attempt; with a kind, one that has ended."""

    at_ns: int
    took_ns: int = SECOND_NS
    kind: str | None = "posted"
    who: Who = Who()
    writer: int = 1
    card: int = 0
    drawn: int = 0
    usage: TokenUsage = FEW
    held: int = 100
    held_tokens: int = 100
    is_counted: bool = True
    estimated: bool = False
    first_offer: int | None = None
    cheapest: int | None = None
    is_durable: bool = False

    @property
    def is_charged(self) -> bool:
        return self.kind == "posted"

    @property
    def drawn_on(self) -> str | None:
        """Its commitment."""
        return OF_COMMITMENT[self.drawn][0] if self.is_charged and self.drawn > 3 else None

    @property
    def micro_units(self) -> int:
        if self.drawn_on is None:
            return 0
        use = self.usage
        if use.prompt is None or use.completion is None:
            return self.held_tokens * 10**6
        cached = min(use.cached or 0, use.prompt)
        counts = (use.prompt - cached, cached, use.completion, 1)
        return sum(per * count for per, count in zip(_TAKES, counts, strict=True))

    @property
    def cost(self) -> int:
        """What budgets count."""
        if self.drawn_on is None:
            return self.contracted
        return -(-self.micro_units * OF_COMMITMENT[self.drawn][1] // 10**12)

    @property
    def billed(self) -> int:
        return 0 if self.drawn_on == "c1" else self.cost

    @property
    def contracted(self) -> int:
        if not self.is_charged:
            return 0
        if self.usage.prompt is None or self.usage.completion is None:
            return self.held
        per_in, per_out = PRICES_PER_TOKEN[self.card]
        return self.usage.prompt * per_in + self.usage.completion * per_out

    @property
    def tokens(self) -> int:
        if not self.is_charged:
            return 0
        if self.usage.prompt is None or self.usage.completion is None:
            return self.held_tokens
        return self.usage.prompt + self.usage.completion

    @property
    def requests(self) -> int:
        return int(self.is_charged and self.is_counted)

    def spends(self, measure: str) -> int:
        return {
            "usd": self.cost,
            "tokens": self.tokens,
            "requests": self.requests,
            "units": self.micro_units,
        }[measure]

    def reserves(self, measure: str) -> int:
        return {
            "usd": self.held,
            "tokens": self.held_tokens,
            "requests": int(self.is_counted),
            "units": 0,  # holds in the books draw on no commitment
        }[measure]

    @property
    def sums(self) -> tuple[int, ...]:
        """What it adds to its rollups."""
        use, cost = self.usage, self.cost
        counts = (use.prompt, use.completion, use.cached, use.cache_write, use.reasoning)
        at_first = cost if self.first_offer is None else self.first_offer
        at_cheapest = cost if self.cheapest is None else self.cheapest
        over = max(0, cost - self.held)
        own = (self.billed, cost, self.contracted, self.contracted)
        elsewhere = (at_first, at_cheapest)
        return (1, *(one or 0 for one in counts), *own, *elsewhere, over, int(self.estimated))


def attempt_id(number: int, one: Made) -> str:
    return f"req_{one.at_ns // 1_000_000:012x}{number:016x}.1"


def write(sql: Sql, made: Sequence[Made], slices: Sequence[tuple[int, int, int, int]] = ()) -> None:
    """Books of these attempts: those that have ended, by their ends, as entries; others as holds.

    slices: writer, account, amount, and how much of it is held.
    """
    with sql.transaction():
        _write(sql, made, slices)


def own(sql: Sql, made: Sequence[Made]) -> None:
    """The commitments that they drew on."""
    drawn_on = {one.drawn_on for one in made} - {None}
    for name, rate in OF_COMMITMENT.values():
        if name in drawn_on:
            CommitmentTable(sql).add(
                Commitment(
                    *(name, "flat", "acme", CommitmentKind.QUOTA, (Covered("acme", None),)),
                    *(3, 10**6, *_TAKES, DAY_0_NS, DAY_0_NS + 30 * DAY_NS),
                    is_monthly=True,
                    fee=Money(10**9),
                    team_rate=Money(rate),
                    overage_rate=Money(rate) if name == "c2" else None,
                )
            )


@contextmanager
def books_of(
    sql: Sql, made: Sequence[Made], slices: Sequence[tuple[int, int, int, int]] = ()
) -> Iterator[None]:
    """The same in empty books, which are empty again after the block."""
    with undone(sql):
        _write(sql, made, slices)
        yield


@contextmanager
def undone(sql: Sql) -> Iterator[None]:
    """After the block the books are as they were before."""
    try:
        with sql.transaction():
            yield
            raise _Undone
    except _Undone:
        pass


class _Undone(Exception):
    pass


def _write(sql: Sql, made: Sequence[Made], slices: Sequence[tuple[int, int, int, int]]) -> None:
    sql.insert(
        "rate_cards",
        "version, input, output, cache_read, cache_write, request, unit, per, reasoning,"
        " cache_write_1h",
        [(one.version, *one.row) for one in CARDS],
    )
    subjects = list(dict.fromkeys(one.who for one in made))
    ids = {who: number for number, who in enumerate(subjects, start=1)}
    sql.insert(
        "subjects",
        f"id, key, {SUBJECT}",
        [
            (ids[who], _json(who.columns), *who.names, _json(list(who.tags)), *who.where)
            for who in subjects
        ],
    )
    sql.insert("draws", "id, accounts", [(n, _json(ids_)) for n, ids_ in enumerate(DRAWN, start=1)])
    numbered = list(enumerate(made))
    ended = [(n, one) for n, one in numbered if one.kind is not None]
    ended.sort(key=lambda pair: pair[1].at_ns + pair[1].took_ns)
    heads: dict[int, bytes] = defaultdict(lambda: bytes(32))
    seqs: dict[int, int] = defaultdict(int)
    rows = []
    for number, one in ended:
        row = _entry(number, one, ids[one.who])
        keys = sorted(ACCOUNTS[account - 1] for account in DRAWN[one.drawn])
        said = [*row[:6], _json(one.who.columns), _json(keys), *row[8:31]]
        later = list(row[31:])
        while later and later[-1] is None:
            later.pop()
        said += later
        heads[one.writer] = hashlib.sha256(heads[one.writer] + _json(said).encode()).digest()
        seqs[one.writer] += 1
        rows.append((*row, one.writer, seqs[one.writer], heads[one.writer]))
    writers = {1, 2, *(one.writer for one in made), *(one[0] for one in slices)}
    sql.insert(
        "writers",
        "id, name, segment, position, seq, head, is_open, seen_at_ns",
        [(n, f"w{n}", 0, 0, seqs[n], heads[n], 0, DAY_0_NS) for n in sorted(writers)],
    )
    sql.insert(
        "accounts",
        "id, budget, measure, member, time_window, window_start_ns, posted, pending, leased",
        [
            (
                n,
                *key,
                sum(one.spends(key[1]) for _, one in ended if n in DRAWN[one.drawn]),
                sum(
                    one.reserves(key[1])
                    for one in made
                    if one.kind is None and n in DRAWN[one.drawn]
                ),
                sum(amount for _, account, amount, _ in slices if account == n),
            )
            for n, key in enumerate(ACCOUNTS, start=1)
        ],
    )
    own(sql, made)
    durable = [(n, one) for n, one in numbered if one.kind is None or one.is_durable]
    sql.insert(
        "holds",
        "attempt_id, request_id, at_ns, subject_id, draws_id, rate_card, streamed, batch,"
        " amount_nanos, tokens, requests, expires_at_ns",
        [
            (
                attempt_id(n, one),
                f"req_{n}",
                one.at_ns,
                ids[one.who],
                one.drawn + 1,
                CARDS[one.card].version,
                0,
                "batch_1" if one.is_durable else None,
                one.held,
                one.held_tokens,
                int(one.is_counted),
                None,
            )
            for n, one in durable
        ],
    )
    sql.insert(
        "dispatches", "attempt_id, at_ns", [(attempt_id(n, one), one.at_ns) for n, one in durable]
    )
    sql.insert("entries", ENTRY, rows)
    sql.insert("leases", "writer_id, account_id, amount, held", slices)
    sql.insert("rollups", ROLLUP, [(*key, *sums) for key, sums in rollups_of(made).items()])
    outlines.fill(sql)


def _entry(number: int, one: Made, subject_id: int) -> tuple[Value, ...]:
    """The columns of ENTRY without writer_id, seq, hash."""
    use, cost, elsewhere = one.usage, one.cost, (one.first_offer, one.cheapest)
    took = None if one.drawn_on is None else one.micro_units
    beyond = one.drawn_on == "c2"
    if not one.is_charged:
        use, elsewhere = TokenUsage(None, None), (None, None)
    return (
        attempt_id(number, one),
        f"req_{number}",
        one.at_ns,
        one.at_ns + one.took_ns,
        one.kind,
        "" if one.is_charged else "not connected",
        subject_id,
        one.drawn + 1,
        CARDS[one.card].version,
        0,
        "batch_1" if one.is_durable else None,
        *(use.prompt, use.completion, use.cached, use.cache_write, use.reasoning, use.units),
        *(one.billed, cost, one.contracted, one.contracted, *elsewhere),
        one.held,
        max(0, cost - one.held),
        one.held_tokens,
        one.tokens,
        one.requests,
        int(one.estimated),
        None,
        12.5,
        use.cache_write_1h,
        *(one.drawn_on, took and (0 if beyond else took), took and (took if beyond else 0)),
    )


def rollups_of(made: Sequence[Made]) -> dict[tuple[int, int, int], list[int]]:
    """The sums that there must be, by step, start and subject (numbered as they first come)."""
    subjects = list(dict.fromkeys(one.who for one in made))
    found: dict[tuple[int, int, int], list[int]] = {}
    for one in made:
        if not one.is_charged:
            continue
        for step_s in ROLLUP_STEPS_S:
            start_ns = one.at_ns // (step_s * SECOND_NS) * (step_s * SECOND_NS)
            key = (step_s, start_ns, subjects.index(one.who) + 1)
            before = found.get(key, [0] * 14)
            found[key] = [old + new for old, new in zip(before, one.sums, strict=True)]
    return found


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# -- attempts to make books of


def various(count: int) -> list[Made]:
    """Attempts of every kind, a few of them still held, always the same."""
    draw = Random(count)
    maybe = [None, "a", "b"]
    made = [
        Made(
            at_ns=DAY_0_NS + draw.randrange(-3 * DAY_NS, 3 * DAY_NS),
            took_ns=draw.choice([0, SECOND_NS, HOUR_NS, 30 * HOUR_NS]),
            kind=draw.choice(["posted", "posted", "posted", "voided", "expired", None]),
            who=Who(
                org=draw.choice(maybe),
                team=draw.choice(maybe),
                user=draw.choice(maybe),
                tags=draw.choice([(), ("x", "y")]),
            ),
            writer=draw.randint(1, 3),
            card=draw.randint(0, 1),
            drawn=draw.randrange(4),
            usage=draw.choice(
                [
                    TokenUsage(draw.randint(20, 90), draw.randint(1, 90), 7, 4, 1),
                    TokenUsage(90, 9, 7, 4, cache_write_1h=draw.randint(0, 4)),
                    TokenUsage(None, None),
                ]
            ),
            held=draw.randint(1, 300),
            held_tokens=draw.randint(1, 300),
            is_counted=draw.random() < 0.9,
            first_offer=draw.choice([None, 50]),
            cheapest=draw.choice([None, 20]),
            is_durable=draw.random() < 0.3,
            estimated=True,
        )
        for _ in range(count)
    ]
    return [
        replace(one, drawn=4 + at % 2) if at % 3 == 0 and one.drawn != 2 else one
        for at, one in enumerate(made)
    ]


_maybe = st.sampled_from([None, "a", "b"])
_count = st.integers(0, 1000)
whos = st.builds(
    Who,
    org=_maybe,
    team=_maybe,
    project=_maybe,
    user=_maybe,
    key=st.sampled_from(["key_1", "key_2"]),
    tags=st.sampled_from([(), ("x",), ("x", 'ÿ,"')]),
    model=st.sampled_from(["llama", "qwen"]),
    provider=st.sampled_from(["acme", "zeta"]),
    account=_maybe,
)
_counted = st.builds(
    lambda prompt, completion, cached, reasoning: TokenUsage(
        prompt, completion, cached and min(cached, prompt), None, reasoning
    ),
    _count,
    _count,
    st.none() | _count,
    st.none() | _count,
)


def _valid(one: Made) -> Made:
    """Only an estimate may be without a count."""
    return replace(one, estimated=one.estimated or one.usage.prompt is None)


moments = st.builds(
    lambda days, minutes, nanos: DAY_0_NS + days * DAY_NS + minutes * 60 * SECOND_NS + nanos,
    st.integers(-3, 3),
    st.sampled_from([0, 5, 14, 15, 16, 60, 700, 1425, 1439]),
    st.sampled_from([0, 1, 59 * SECOND_NS]),
)
attempts = st.builds(
    Made,
    at_ns=moments,
    took_ns=st.sampled_from([0, SECOND_NS, HOUR_NS, 30 * HOUR_NS, -HOUR_NS]),  # a clock set back
    kind=st.sampled_from(["posted", "posted", "posted", "voided", "expired"]),
    who=whos,
    writer=st.integers(1, 3),
    card=st.integers(0, 1),
    drawn=st.integers(0, len(DRAWN) - 1),
    usage=_counted | st.just(TokenUsage(None, None)),
    held=_count,
    held_tokens=_count,
    is_counted=st.booleans(),
    estimated=st.booleans(),
    first_offer=st.none() | _count,
    cheapest=st.none() | _count,
    is_durable=st.booleans(),
).map(_valid)
open_holds = attempts.map(lambda one: replace(one, kind=None))
