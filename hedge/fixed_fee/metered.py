"""Metered: what a team's usage is charged at, as the books have it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

import numpy as np

from hedge.book.facts import QuotedFee
from hedge.risk import Floats
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.ledger_demand import of_team
from ledger.calendar_months import months_later
from ledger.databases.sql import Sql
from ledger.fixed_fees import Metered
from ledger.instants import as_ns, day_ns
from ledger.money import Money
from ledger.statements import spend_of
from ledger.tables.rollups import QUARTER_S


def metered_share(sql: Sql, history: DemandHistory, team: str) -> Floats:
    """What each workload of a history in which the team stands apart was charged at, of its list
    cost [workloads]: owned capacity, agreed prices and caches are in it. 1 without any charge."""
    place = {model: w for w, one in enumerate(history.workloads) for model in one.models}
    charged, listed = np.zeros((2, len(history.workloads)))
    for its, model, effective, cost in sql.execute(
        "SELECT team, model, sum(effective_nanos), sum(list_nanos) FROM rollups"
        " JOIN subjects ON subjects.id = subject_id"
        " WHERE step_s = ? AND start_ns >= ? AND start_ns < ? GROUP BY 1, 2",
        (QUARTER_S, as_ns(history.since), as_ns(history.until)),
    ):
        at = place.get(of_team(team, model) if its == team else model)
        if at is not None:
            charged[at] += effective
            listed[at] += cost
    return np.divide(charged, listed, out=np.ones_like(charged), where=listed > 0)


def used_in(sql: Sql, quote: QuotedFee, month: date) -> dict[str, Metered]:
    """What the team of an agreement used in a month, by the workloads of the agreement."""
    workload = {model: name for name, models in quote.models.items() for model in models}
    until = months_later(month, 1)
    tokens: defaultdict[str, int] = defaultdict(int)
    cost: defaultdict[str, int] = defaultdict(int)
    for row in spend_of(sql, quote.fee.team, day_ns(month), day_ns(until)):
        name = workload.get(row.name or "", quote.others or "")
        tokens[name] += row.prompt_tokens + row.completion_tokens
        cost[name] += row.cost
    return {name: Metered(tokens[name], Money(cost[name])) for name in tokens}
