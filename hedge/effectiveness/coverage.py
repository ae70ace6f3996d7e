"""Coverage: how much of a month's work commitments covered, what they left, and its price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from hedge.book.book import HedgeBook, Holding
from hedge.book.utilisation import Utilisation, utilisations
from hedge.effectiveness.period import Period
from hedge.effectiveness.query import Query, literal
from hedge.effectiveness.usage import Drawn, Rows, Usage, offered_query
from ledger.accounting import GlAccount
from ledger.allowances import account_name
from ledger.commitments import Commitment
from ledger.instants import instant
from ledger.money import Money, as_usd
from ledger.tables.commitments import CommitmentTable

_SIX = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class CommitmentUse:
    """A commitment in a month. fee: the expense of its days so far. drawn: its draws; None where
    retention has deleted the rows. offered_tokens: all that the offers served that it covers.
    period: how it stands by the book in this month, or (a quota of the whole term) its term.
    stranded: the fee of what nobody used in its period, in the month in which that ends; None
    before: somebody still may. query: of its draws, beside those of others. fee_query: what is
    booked of its fee. used_query: what its period counts as used."""

    commitment: str
    contract: str
    provider: str
    units: int
    fee: Money
    drawn: Rows | None
    offered_tokens: int
    period: Utilisation
    stranded: Money | None
    query: Query
    offered_query: Query
    fee_query: Query
    used_query: Query

    @property
    def coverage(self) -> float | None:
        """Of the tokens of its offers, those that drew on it; None of none."""
        if self.drawn is None or not self.offered_tokens:
            return None
        return self.drawn.tokens / self.offered_tokens

    @property
    def utilisation(self) -> float | None:
        """Used of committed, of what is over of its period; None of nothing."""
        return self.period.utilisation

    @property
    def cost(self) -> Money | None:
        """Fee and overage."""
        return None if self.drawn is None else Money(self.fee + self.drawn.billed)

    @property
    def usd_per_mtok(self) -> Decimal | None:
        """What a million drawn tokens cost, the stranded part in it; None of none."""
        if self.drawn is None:
            return None
        return per_mtok(Money(self.fee + self.drawn.billed), self.drawn.tokens)

    @property
    def certainty(self) -> Money | None:
        """The price paid for certainty: fee and overage less what the draws would have cost at
        the cheapest eligible quotes. Below 0 the commitment was the cheaper one, too."""
        return (
            None
            if self.drawn is None
            else Money(self.fee + self.drawn.billed - self.drawn.cheapest)
        )


@dataclass(frozen=True, slots=True)
class Coverage:
    """uses: of every commitment that had a day in the month. tokens: of all usage; drawn_tokens: of
    those, drawn on any commitment. cost, stranded, certainty: of all uses; None where one of them
    is not known (stranded: of the periods that are over)."""

    uses: tuple[CommitmentUse, ...]
    tokens: int
    fee: Money
    drawn_tokens: int | None
    cost: Money | None
    stranded: Money
    certainty: Money | None

    @property
    def share(self) -> float | None:
        """Of all tokens, those that drew on a commitment."""
        if self.drawn_tokens is None or not self.tokens:
            return None
        return self.drawn_tokens / self.tokens

    @property
    def usd_per_mtok(self) -> Decimal | None:
        if self.cost is None or self.drawn_tokens is None:
            return None
        return per_mtok(self.cost, self.drawn_tokens)


def per_mtok(cost: Money, tokens: int) -> Decimal | None:
    """USD per million tokens, to six decimals; None of none."""
    if not tokens:
        return None
    return (as_usd(cost) * 1_000_000 / tokens).quantize(_SIX, ROUND_HALF_UP)


def coverage(book: HedgeBook, period: Period, used: Usage, drew: Drawn) -> Coverage:
    """used, drew: of the period. To be read within one `view`."""
    table = CommitmentTable(book.sql)
    owned = {
        name: (holding, table.one(name))
        for holding in book.holdings.values()
        for name in (*holding.earlier, holding.commitment)
    }
    uses = []
    for standing in utilisations(book, (period.month, period.ends)):
        holding, commitment = owned[standing.commitment]
        if commitment is not None:
            uses.append(_use(book, period, holding, commitment, standing, drew))
    rows = [one.drawn for one in uses]
    known = [one for one in rows if one is not None]
    is_known = len(known) == len(rows)
    fee = Money(sum(one.fee for one in uses))
    cost = fee + sum(one.billed for one in known)
    drawn_tokens = sum(one.tokens for one in known)
    return Coverage(
        uses=tuple(uses),
        tokens=used.total.tokens,
        fee=fee,
        drawn_tokens=drawn_tokens if is_known else None,
        cost=Money(cost) if is_known else None,
        stranded=Money(sum(one.stranded or 0 for one in uses)),
        certainty=Money(cost - sum(one.cheapest for one in known)) if is_known else None,
    )


def _use(
    book: HedgeBook,
    period: Period,
    holding: Holding,
    commitment: Commitment,
    standing: Utilisation,
    drew: Drawn,
) -> CommitmentUse:
    since_ns = max(period.since_ns, commitment.starts_ns)
    until_ns = min(period.until_ns, commitment.ends_ns)
    offered = offered_query(book.sql, commitment, since_ns, until_ns)
    return CommitmentUse(
        commitment=commitment.id,
        contract=commitment.contract,
        provider=commitment.provider,
        units=commitment.units,
        fee=fee_in(holding, commitment, period),
        drawn=drew.of(commitment.id),
        offered_tokens=int(offered.amount(book.sql)),
        period=standing,
        stranded=standing.stranded if standing.until <= period.ends else None,
        query=drew.query,
        offered_query=offered,
        fee_query=_fee_query(period, holding, commitment),
        used_query=Query(
            f"used_{commitment.id}",
            f"micro-units that were drawn on {commitment.id}, by window",
            "SELECT time_window, window_start_ns, posted FROM accounts WHERE measure = 'units'"
            f" AND budget = {literal(account_name(commitment.id))} AND time_window <> 'minute'"
            " ORDER BY window_start_ns",
        ),
    )


def _fee_query(period: Period, holding: Holding, commitment: Commitment) -> Query:
    since, until = _days(commitment, period)
    return Query(
        f"fee_{commitment.id}",
        f"booked expense of {holding.fill}, of the days of {commitment.id} in the month",
        "SELECT coalesce(sum(amount_nanos), 0) FROM record_lines"
        " JOIN records ON records.seq = record_lines.seq"
        f" WHERE account = '{GlAccount.COMMITMENT_EXPENSE}' AND about = {literal(holding.fill)}"
        f" AND day >= '{since}' AND day < '{until}'",
    )


def fee_in(holding: Holding, commitment: Commitment, period: Period) -> Money:
    """The expense of a commitment's days in a period, of those that are over."""
    since, until = _days(commitment, period)
    return Money(sum(amount for _, amount in holding.schedule.days(since, until)))


def _days(commitment: Commitment, period: Period) -> tuple[date, date]:
    since = max(period.month, instant(commitment.starts_ns).date())
    return since, min(period.whole_until, instant(commitment.ends_ns).date())
