"""Coverage: how much of a month's work commitments covered, what they left, and its price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from hedge.book.utilisation import Utilisation
from hedge.effectiveness.query import Query
from ledger.money import Money, as_usd

_SIX = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Drawn:
    """The draws of a commitment in a month, of charged attempts. billed: overage. cheapest: at the
    cheapest eligible quote of their moments; a draw for which that is unknown (`unmeasured` of
    them) counts at pay-as-you-go of the offer that served it, as in `contracted`. charged: to
    teams."""

    requests: int
    tokens: int
    micro_units: int
    overage_micro: int
    billed: Money
    contracted: Money
    cheapest: Money
    charged: Money
    unmeasured: int


@dataclass(frozen=True, slots=True)
class CommitmentUse:
    """A commitment in a month. fee: the expense of its days so far. drawn: None where retention has
    deleted the rows. offered_tokens: all that the offers served that it covers. period: how it
    stands by the book, in its month, or (a quota of the whole term) in all of its term."""

    commitment: str
    contract: str
    provider: str
    units: int
    fee: Money
    drawn: Drawn | None
    offered_tokens: int
    period: Utilisation
    query: Query
    offered_query: Query

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
    def stranded(self) -> Money | None:
        """The fee of what nobody used in its period; None while somebody still may."""
        return self.period.stranded

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
