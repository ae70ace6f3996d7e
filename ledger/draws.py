"""Draw: what an attempt takes of a commitment, instead of being paid for as it goes."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.allowances import Allowance
from ledger.budgets import Account
from ledger.commitments import Commitment, CommitmentKind, rated
from ledger.money import Money
from ledger.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class Draw:
    """micro_units: the most that it can take, and what its hold reserves of the allowance.
    is_overage: use beyond the quota, which the contract bills at a rate of its own: it is counted,
    and reserves nothing."""

    allowance: Allowance
    micro_units: int
    is_overage: bool = False

    @property
    def commitment(self) -> Commitment:
        return self.allowance.commitment

    @property
    def accounts(self) -> tuple[Account, ...]:
        """What its hold draws on, beside the accounts of budgets."""
        return (self.allowance.overage,) if self.is_overage else self.allowance.drawn_on

    def used(self, usage: TokenUsage, usual: Money) -> int:
        """The micro-units of what was used; what nobody counted is all that was held.
        usual: what it costs at pay-as-you-go."""
        commitment = self.commitment
        prompt, completion = usage.prompt, usage.completion
        if commitment.kind is CommitmentKind.SPEND:
            return commitment.takes(0, 0, 0, usual)
        if prompt is None or completion is None:
            return self.micro_units
        return commitment.takes(prompt, min(usage.cached or 0, prompt), completion, usual)

    def costs(self, micro_units: int) -> Money:
        """What budgets count of so much: the rate that was fixed in advance, or that of overage."""
        commitment = self.commitment
        rate = commitment.overage_rate if self.is_overage else commitment.team_rate
        if rate is None:
            raise AssertionError(f"commitment {commitment.id} bills no overage")
        return rated(micro_units, rate)

    def bills(self, micro_units: int) -> Money:
        """What the provider will invoice for it: what is drawn was paid for with the fee."""
        return self.costs(micro_units) if self.is_overage else Money(0)
