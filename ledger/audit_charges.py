"""The audit of one charge: by its rate card, and by the commitment that it drew on."""

from __future__ import annotations

from ledger.commitments import Commitment, rated
from ledger.databases.sql import Row
from ledger.errors import UsageUnknown
from ledger.findings import Findings
from ledger.money import ZERO, Money, usd_text
from ledger.rates import RateCard
from ledger.usage import TokenUsage


def audit_charge(row: Row, card: RateCard | None, findings: Findings) -> None:
    """A charge is what its card makes of its usage; one without a count that the card needs is an
    estimate, and its whole hold. row: the columns of ENTRY.

    Of what drew on no commitment, billed, effective and contracted are the same amount; of what
    did, the card says what is contracted alone.
    """
    attempt_id, contracted, held = row[0], row[19], row[23]
    if card is None:
        findings.add(attempt_id, f"names rate card {row[8]}, which is not there, or is none")
        return
    usage = _usage(row)
    try:
        expected = int(card.charge(usage))
    except UsageUnknown:
        expected = held
        if not row[28]:
            findings.add(attempt_id, "was charged without a count of what it used")
    if row[32] is not None:
        if contracted != expected:
            what = f"{_usd(contracted)} contracted, its card says {_usd(expected)}"
            findings.add(attempt_id, what)
    elif row[18] != expected:
        findings.add(attempt_id, f"charged {_usd(row[18])}, its card says {_usd(expected)}")
    if row[32] is None and (row[17] != row[18] or contracted != row[18]):
        amounts = f"{_usd(row[17])} billed, {_usd(contracted)} contracted"
        findings.add(attempt_id, f"{amounts}, but {_usd(row[18])} effective")
    if row[24] != max(0, row[18] - held):
        findings.add(attempt_id, f"overrun {_usd(row[24])} of a hold of {_usd(held)}")
    known = usage.prompt is not None and usage.completion is not None
    tokens = row[11] + row[12] if known else row[25]
    if row[26] != tokens:
        findings.add(attempt_id, f"counts {row[26]} tokens where {tokens} were used")


def audit_draw(row: Row, commitment: Commitment | None, findings: Findings) -> None:
    """A draw takes of its commitment what that says of its usage, and costs the rate that was fixed
    for it; beyond the quota it is billed at the rate of overage."""
    attempt_id, billed, effective, contracted = row[0], row[17], row[18], row[19]
    name, drawn, beyond = row[32:35]
    if commitment is None or drawn is None or beyond is None:
        findings.add(attempt_id, f"drew on commitment {name}, which is not there, or not so much")
        return
    if drawn and beyond:
        findings.add(attempt_id, "drew on its commitment and beyond it at once")
    usage = _usage(row)
    prompt, completion = usage.prompt, usage.completion
    if prompt is not None and completion is not None:
        cached = min(usage.cached or 0, prompt)
        takes = commitment.takes(prompt, cached, completion, contracted)
        if drawn + beyond != takes:
            what = f"drew {drawn + beyond} micro-units where its usage takes {takes}"
            findings.add(attempt_id, what)
    overage = ZERO if commitment.overage_rate is None else rated(beyond, commitment.overage_rate)
    expected = Money(rated(drawn, commitment.team_rate) + overage)
    if effective != expected:
        findings.add(attempt_id, f"charged {_usd(effective)}, its draw costs {_usd(expected)}")
    if billed != overage:
        findings.add(attempt_id, f"{_usd(billed)} billed, its overage is {_usd(overage)}")


def _usage(row: Row) -> TokenUsage:
    return TokenUsage(*row[11:17], *row[31:32])


def _usd(nanos: int) -> str:
    return f"{usd_text(Money(nanos))} USD"
