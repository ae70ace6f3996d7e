"""The audit of commitments' fees: what its months cost is the fee of each that was ours."""

from __future__ import annotations

from ledger.databases.sql import Sql
from ledger.findings import Findings
from ledger.money import Money, usd_text


def audit_fees(sql: Sql, findings: Findings) -> None:
    """Within one view."""
    for name, fee, cost in sql.execute(
        "SELECT id, fee_nanos, coalesce(sum(cost_nanos), 0) FROM held_commitments"
        " LEFT JOIN held_fees ON commitment = id AND held_fees.kind = 'cost'"
        " GROUP BY id, fee_nanos ORDER BY id"
    ):
        if cost != fee:
            findings.add(
                f"commitment {name}",
                f"its fee is {usd_text(Money(fee))} USD, its months cost {usd_text(Money(cost))}",
            )
