"""Attempts: one try at one provider, what it may cost at most, and what it did cost."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.budgets import Account, Subject
from ledger.draws import Draw
from ledger.measures import Measure
from ledger.money import ZERO, Money
from ledger.principals import Principal
from ledger.rates import RateCard
from ledger.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one provider. `id` is time-ordered and makes every later step idempotent.

    model: the name that the client asked for; `upstream_model` is the provider's.
    worst_case: the most that this attempt can cost; what a hold reserves in every scope.
    most_tokens: the most that it can use, prompt and completion; reserved where tokens are counted.
    is_counted: it stands for its request where requests are counted; False once an earlier attempt
    of the same request has been charged.
    account: which of our several accounts at the provider pays; None where there is but one.
    batch: the batch job that it is a part of. Such a job outlives its process, so that its holds
    wait for whoever runs the job to end them: opening the books does not.
    draw: what it takes of a commitment instead of being paid for; None: it is paid for as it goes.
    """

    id: str
    request_id: str
    at_ns: int
    principal: Principal
    model: str
    provider: str
    upstream_model: str
    rates: RateCard
    streamed: bool
    worst_case: Money
    most_tokens: int = 0
    is_counted: bool = True
    account: str | None = None
    batch: str | None = None
    draw: Draw | None = None

    @property
    def subject(self) -> Subject:
        return Subject(self.principal, self.model, self.provider)

    def reserves(self, measure: Measure) -> int:
        """What its hold takes of an account that counts by this measure."""
        match measure:
            case Measure.USD:
                return self.worst_case
            case Measure.TOKENS:
                return self.most_tokens
            case Measure.REQUESTS:
                return int(self.is_counted)
            case Measure.PARALLEL:
                return 1
            case Measure.UNITS:
                return 0 if self.draw is None else self.draw.micro_units


@dataclass(frozen=True, slots=True)
class Rate:
    """How a limit by the minute stands with a hold in it: so much of `cap` is left."""

    measure: Measure
    cap: int
    left: int
    resets_at_ns: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Money reserved for an attempt in all of its accounts. Resolved exactly once.

    left: the least USD that any of the accounts had left after it; None without any that caps USD,
    and for one that was found again in the books.
    would_block: names of budgets in shadow mode that it does not fit into. rates: of limits by the
    minute, for each measure the tightest.
    """

    attempt: Attempt
    accounts: tuple[Account, ...]
    left: Money | None = None
    would_block: tuple[str, ...] = ()
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True, slots=True)
class Charge:
    """What an attempt cost, in FOCUS's words, and what it would have cost elsewhere.

    billed: what the provider will invoice; nothing for what was drawn on a commitment. effective:
    what budgets count; of a draw, at the rate that was fixed for it in advance.
    contracted: at the price agreed with the provider. list: at its public price.
    first_offer: at the model's first-listed offer. cheapest: at the cheapest eligible quote of the
    moment. Both at pay-as-you-go, None where no price was known, and nothing for an attempt that
    another of the same request overtook: without a second offer nobody had paid for two answers.
    """

    billed: Money
    effective: Money
    contracted: Money
    list: Money
    first_offer: Money | None
    cheapest: Money | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an attempt ended that the provider may have billed.

    rates: the card that this usage is charged at (a long prompt may have changed it).
    estimated: the provider did not say what it used; `usage` is our estimate.
    """

    at_ns: int
    usage: TokenUsage
    rates: RateCard
    charge: Charge
    estimated: bool
    ttft_ms: float | None
    total_ms: float

    def drawn(self, attempt: Attempt) -> int:
        """The micro-units that it took of its commitment."""
        draw = attempt.draw
        return 0 if draw is None else draw.used(self.usage, self.charge.contracted)

    def spends(self, attempt: Attempt, measure: Measure) -> int:
        """What it takes for good of an account that counts by this measure. Tokens that nobody
        counted are as many as were held."""
        match measure:
            case Measure.USD:
                return self.charge.effective
            case Measure.TOKENS:
                if self.usage.prompt is None or self.usage.completion is None:
                    return attempt.most_tokens
                return self.usage.prompt + self.usage.completion
            case Measure.REQUESTS:
                return int(attempt.is_counted)
            case Measure.PARALLEL:
                return 0
            case Measure.UNITS:
                return self.drawn(attempt)


def overrun(held: Money, effective: Money) -> Money:
    """What was charged above the hold; every scope bears it."""
    return Money(effective - held) if effective > held else ZERO
