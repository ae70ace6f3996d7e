"""Quoting: the fee at which the platform can take a team's variable cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

import numpy as np

from hedge.errors import ConfidenceOutOfRange, NothingToQuote
from hedge.fixed_fee.allocation import euler_shares
from hedge.risk import Floats, highest_confidence
from hedge.scenarios.months import Months, TokenKind
from ledger.fixed_fees import FixedFee
from ledger.money import NANOS_PER_USD, ZERO, Money, usd

INCLUDED_AT = 0.95
"""What is included suffices in so many of the scenarios, for each workload."""
_TOKENS = (TokenKind.PROMPT, TokenKind.CACHED, TokenKind.COMPLETION)


@dataclass(frozen=True, slots=True)
class Priced:
    """p_covered: the part of the scenarios in which the fees of all months are enough for what the
    team then costs, within what is included."""

    fee: FixedFee
    p_covered: float


def fixed_fee(
    team: str,
    of_team: Sequence[int],
    months: Months,
    cost_usd: Floats,
    confidence: float,
    handling: Money = ZERO,
) -> Priced:
    """The fee for all the months.

    of_team: the places of the team's workloads in months.workloads; the others are the rest of the
    platform, whose tail counts. cost_usd: what the platform pays for each workload, contracts that
    it owns taken into account [scenarios, months, workloads].
    Raises NothingToQuote for a team that uses nothing, and ConfidenceOutOfRange.
    """
    highest = highest_confidence(months.count)
    if not 0.5 <= confidence <= highest + 1e-12:
        raise ConfidenceOutOfRange(confidence, highest)
    mine = list(of_team)
    tokens = months.amounts[..., _TOKENS].sum(axis=(2, 4))
    included = np.ceil(np.quantile(tokens, INCLUDED_AT, axis=0).max(axis=0))
    covered = np.minimum(
        1.0, np.divide(included, tokens, out=np.ones_like(tokens), where=tokens > 0)
    )
    taken = (cost_usd[..., mine] * covered[..., mine]).sum(axis=(1, 2))
    if not taken.any():
        raise NothingToQuote(
            f"team {team} has used nothing that a forecast could be made of: let it run for some"
            " days, or look at the name with `hedgerow spend --by team`"
        )
    rest = np.delete(cost_usd, mine, axis=2).sum(axis=(1, 2))
    count = len(months.firsts)
    expected = float(taken.mean())
    risk = max(0.0, float(euler_shares(np.stack([taken, rest]), confidence)[0]) - expected)
    fee = FixedFee(
        team,
        months.firsts[0],
        count,
        confidence,
        _up_to_a_cent(expected / count),
        _up_to_a_cent(risk / count),
        handling,
        {months.workloads[w]: int(included[w]) for w in mine if included[w] > 0},
    )
    fees_usd = fee.monthly / NANOS_PER_USD * count
    return Priced(fee, float((taken <= fees_usd).mean()))


def _up_to_a_cent(amount_usd: float) -> Money:
    return usd(Decimal(repr(amount_usd)).quantize(Decimal("0.01"), ROUND_CEILING))
