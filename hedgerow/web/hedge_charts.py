"""Charts of a hedge plan: what other caps would cost, and its months."""

from __future__ import annotations

from hedge.planning.plan import HedgePlan
from hedgerow.charts import Chart, Mark, Series


def frontier_chart(plan: HedgePlan) -> Chart | None:
    """None of a plan with one cap or none: that is no frontier."""
    points = sorted(plan.frontier, key=lambda one: one.cap_usd)
    if len(points) <= 1:
        return None
    caps = tuple(float(one.cap_usd) for one in points)
    costs = tuple(float(one.expected_usd - one.end_value_usd) for one in points)
    tails = tuple(float(one.cvar_usd) for one in points)
    return Chart(
        id="frontier",
        title="What a tighter cap costs",
        says=(
            f"From a cap of {caps[0]:,.0f} to one of {caps[-1]:,.0f} USD a month the expected month"
            f" goes from {costs[0]:,.0f} to {costs[-1]:,.0f} USD, less what lasts beyond the plan."
            f" This plan's cap is {plan.cap_usd:,.0f} USD."
        ),
        x_label="cap of a month, USD",
        y_label="USD a month",
        series=(
            Series("expected cost", Mark.LINE, caps, costs),
            Series(_worst(plan), Mark.LINE, caps, tails),
            Series(
                "this plan",
                Mark.POINTS,
                (float(plan.cap_usd),),
                (float(plan.expected_usd - plan.end_value_usd / max(1, len(plan.months))),),
            ),
        ),
    )


def months_chart(plan: HedgePlan) -> Chart | None:
    if not plan.months:
        return None
    months = tuple(f"{one.month:%Y-%m}" for one in plan.months)
    return Chart(
        id="months",
        title="The months ahead",
        says=(
            f"The cap is {plan.cap_usd:,.0f} USD a month; each month stays within it in at least"
            f" {plan.p_within_cap:.1%} of fresh scenarios."
        ),
        x_label="month",
        y_label="USD",
        series=(
            Series("fees", Mark.BAR, months, tuple(float(one.fees_usd) for one in plan.months)),
            Series(
                "expected", Mark.LINE, months, tuple(float(one.expected_usd) for one in plan.months)
            ),
            Series(
                _worst(plan), Mark.LINE, months, tuple(float(one.cvar_usd) for one in plan.months)
            ),
            Series("cap", Mark.LIMIT, months[:1], (float(plan.cap_usd),)),
        ),
    )


def _worst(plan: HedgePlan) -> str:
    return f"mean of the worst {(1 - plan.confidence) * 100:.3g}%"
