"""Approving: a plan is kept, a second person approves it, and may withdraw that."""

from __future__ import annotations

from collections.abc import Iterable

from hedge.book.book import HedgeBook
from hedge.book.facts import Withdrawal
from hedge.book.plans import VALID_DAYS, AnyContract, Plan, approval_of, kept_plan, terms_json
from hedge.errors import ApprovalRefused


def keep(book: HedgeBook, plan: bytes, contracts: Iterable[AnyContract], made_by: str) -> Plan:
    """Keep a plan so that it can be approved; the same plan with the same terms is kept once, as of
    whom made it first.

    plan: as `hedgerow hedge plan --json` prints it. contracts: those that it was offered. Raises
    PlanUnknown for what is no plan.
    """
    plan_id, kept = kept_plan(plan, terms_json(contracts))
    book.write(plan_id, kept, book.today, who=made_by)
    return book.plans[plan_id]


def approve(
    book: HedgeBook, plan_id: str, who: str, note: str | None, days: int = VALID_DAYS
) -> tuple[Plan, int]:
    """The plan, and until when. Raises PlanUnknown, ApprovalRefused."""
    plan = book.plan(plan_id)
    approval = approval_of(plan, who, book.now_ns, note, days)
    book.write(f"approval:{plan.id}:{book.now_ns}", approval, book.today, who=who)
    return book.plans[plan.id], approval.expires_at_ns


def withdraw(book: HedgeBook, plan_id: str, who: str, note: str | None) -> Plan:
    """Raises PlanUnknown, ApprovalRefused for a plan that is not approved."""
    plan = book.plan(plan_id)
    if plan.state(book.now_ns) != "approved":
        raise ApprovalRefused(
            f"{plan.id} is {plan.state(book.now_ns)}: there is nothing to withdraw"
        )
    fact = Withdrawal(plan.id, note)
    book.write(f"withdrawal:{plan.id}:{book.now_ns}", fact, book.today, who=who)
    return book.plans[plan.id]
