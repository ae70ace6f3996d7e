"""Fills: what is refused, and what stands in the books of those that are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill, roll_cost
from hedge.book.plans import approval_of
from hedge.book.settling import settle
from hedge.book.standing import standing
from hedge.errors import ApprovalRefused, BookRefused, EntryRefused, FillRefused, PlanUnknown
from ledger.accounting import GlAccount
from ledger.commitments import CommitmentKind
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.money import Money, usd
from ledger.tables.commitments import CommitmentTable
from tests.hedge.book.contracts import (
    APPROVER,
    DESK,
    EVENT,
    GPU1,
    MAKER,
    PERP,
    PTU,
    SWAP,
    approve,
    approved,
    at,
    day,
    keep,
    plan_json,
)

NOW = "2026-02-02T12:00"
FLAT: dict[str, object] = {key: PTU[key] for key in ("provider", "source", "covers")} | {
    "kind": "flat_plan",
    "name": "flat",
    "size": {"max": 10},
    "prices": [{"usd_per_month": "500"}],
    "quota_units": "1000000",
    "burndown": {"prompt": "1", "cached": "0.1", "completion": "8"},
    "overage": {"then": "bill", "usd_per_unit": "0.000000002"},
}
WEEK = FLAT | {"name": "week", "prices": [{"usd_per_month": "5214.29", "term_days": 7}]}
PENDING = GPU1 | {"name": "GPU2", "status": "pending"}
FORWARD = {key: value for key, value in GPU1.items() if key != "margin"} | {
    "kind": "forward",
    "name": "fwd",
    "delivery": "2026-03-15",
}
LIMITED = GPU1 | {"name": "limited", "position_limit": 5}
CONTRACTS = (GPU1, PERP, EVENT, SWAP, PTU, FLAT, WEEK, PENDING, FORWARD, LIMITED)
UNITS = {str(one["name"]): 100 for one in CONTRACTS} | {"H100-ABOVE-3": -100}


@pytest.fixture
def plan(sql: Sql) -> str:
    return approved(sql, "2026-02-01", UNITS, *CONTRACTS)


def fill(plan: str, contract: str, units: int, price: str, **more: object) -> Fill:
    derivative = Fill(plan, contract, units, Decimal(price), at("2026-02-02"))
    if contract in ("ptu", "flat", "week"):
        derivative = replace(derivative, months=1)
    elif contract != "H100-PERP":
        derivative = replace(derivative, month=day("2026-03-01"))
    return replace(derivative, **more)  # type: ignore[arg-type]


REFUSED: list[tuple[str, int, str, dict[str, object], str]] = [
    ("nothing", 1, "1", {}, "has no contract nothing; it has: GPU1, "),
    ("GPU1", 0, "2.50", {}, "0 units are no fill"),
    ("GPU1", 1, "2.505", {}, "ticks of 0.01 USD: 2.505 is between two"),
    ("GPU1", 1, "0", {}, "a price of 0 USD is none"),
    ("GPU1", 101, "2.50", {}, "approves 100 units of GPU1 for 2026-03, 0 are filled: 101 more"),
    ("GPU1", -1, "2.50", {}, "-1 more are not approved"),
    ("H100-ABOVE-3", 1, "0.40", {}, "approves -100 units"),
    ("GPU1", 1, "2.50", {"month": None}, "name its --month"),
    ("GPU1", 1, "2.50", {"months": 1}, "are of capacity"),
    ("GPU1", 1, "2.50", {"at_ns": at("2026-02-03")}, "still to come"),
    ("GPU1", 1, "2.50", {"at_ns": at("2026-01-31")}, "was not approved at 2026-01-31 00:00 UTC"),
    ("H100-PERP", 1, "2.50", {"month": day("2026-03-01")}, "leave --month out"),
    ("H100-ABOVE-3", -1, "1.01", {}, "pays 1 USD at most"),
    ("fwd", 1, "2.50", {"month": day("2026-04-01")}, "delivered in 2026-03"),
    ("GPU2", 1, "2.50", {}, "cannot be bought on 2026-02-02: it is pending"),
    ("limited", 6, "2.50", {}, "5 lots of a month, with this fill it would be 6"),
    ("GPU1", 10**16, "2.50", {"over": "x"}, "more than a fill can have, 1000000"),
    ("GPU1", 1, "2.50", {"month": day("2026-01-01")}, "of 2026-01 was over when it was traded"),
    ("GPU1", 1, "2.50", {"month": day("2262-01-01")}, "listed for 12 months ahead: 2262-01"),
    ("ptu", 15, "260", {"starts": day("2262-01-01")}, "more than 60 months after"),
    ("ptu", -15, "260", {}, "not sold short"),
    ("ptu", 16, "260", {}, "in 15 and steps of 5 up to 500"),
    ("ptu", 15, "260.01", {}, "costs 260 USD per unit and month, the fill says 260.01"),
    ("ptu", 15, "260", {"months": 2}, "no term of 2 months: write --months, one of 1, 12"),
    ("ptu", 15, "260", {"starts": day("2026-02-01")}, "before it was bought"),
    ("ptu", 15, "260", {"roll": "r"}, "no --roll"),
    ("week", 1, "1200.01", {}, "costs 1200.00 USD per unit and 7 days"),
]


@pytest.mark.parametrize(("contract", "units", "price", "more", "said"), REFUSED)
def test_refused(
    sql: Sql,
    plan: str,
    contract: str,
    units: int,
    price: str,
    more: dict[str, object],
    said: str,
) -> None:
    """What was not approved, or is not sold so, is refused with a sentence, and changes nothing."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        with pytest.raises(FillRefused) as refused:
            enter_fill(book, "fill:1", fill(plan, contract, units, price, **more), DESK)
        assert said in str(refused.value)
        assert not book.has("fill:1")
        assert CommitmentTable(sql).all() == []


def test_fills_of_a_position_add_up(sql: Sql, plan: str) -> None:
    """Parts of what was approved, whatever their number; a part of it can be closed and bought
    again; what is over is taken with a reason, which is kept."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        for number, units in enumerate((60, 40, -70, 70)):
            assert enter_fill(book, f"fill:{number}", fill(plan, "GPU1", units, "2.50"), DESK)
        with pytest.raises(FillRefused, match="100 are filled: 1 more"):
            enter_fill(book, "fill:9", fill(plan, "GPU1", 1, "2.50"), DESK)
        with pytest.raises(FillRefused, match="100 are filled: -101 more"):
            enter_fill(book, "fill:9", fill(plan, "GPU1", -101, "2.50"), DESK)
        over = fill(plan, "GPU1", 1, "2.50", over="the venue sold a lot too many")
        assert enter_fill(book, "fill:9", over, DESK)
        assert HedgeBook(sql, at(NOW)).fills["fill:9"].over == "the venue sold a lot too many"


def test_a_plan_says_of_which_month_and_term(sql: Sql) -> None:
    """Where a plan names them, units of another month or term are not approved."""
    positions: list[dict[str, object]] = [
        {"contract": "GPU1", "units": 5, "month": "2026-03-01"},
        {"contract": "ptu", "units": 15, "term_months": 12, "utilisation": 0.5},
    ]
    with sql.transaction():
        book = HedgeBook(sql, at("2026-02-01"))
        plan = keep(book, plan_json(positions))
        approve(book, plan)
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        april = fill(plan, "GPU1", 5, "2.50", month=day("2026-04-01"))
        with pytest.raises(FillRefused, match="approves 0 units of GPU1 for 2026-04"):
            enter_fill(book, "fill:1", april, DESK)
        with pytest.raises(FillRefused, match="approves 0 units of ptu for 1 months"):
            enter_fill(book, "fill:1", fill(plan, "ptu", 15, "260"), DESK)
        enter_fill(book, "fill:1", fill(plan, "ptu", 15, "221", months=12), DESK)
        (commitment,) = CommitmentTable(sql).all()
        half = commitment.micro_units * 365 * 24 * 60 // 10**6 // 2
        assert commitment.team_rate == commitment.fee * 10**6 // half


def test_capacity_becomes_a_commitment(sql: Sql, plan: str) -> None:
    """The router draws on what was filled: by the contract's units, over its term, at its fee."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        starts = day("2026-02-10")
        enter_fill(book, "fill:p", fill(plan, "ptu", 20, "259.99", starts=starts), DESK)
        rate = fill(plan, "flat", 2, "500", team_rate=usd("0.4"))
        enter_fill(book, "fill:f", rate, DESK)
        enter_fill(book, "fill:w", fill(plan, "week", 1, "1200"), DESK)
    flat, week, ptu = CommitmentTable(sql).all()
    assert (ptu.kind, ptu.units, ptu.capacity_units) == (CommitmentKind.THROUGHPUT, 20, 3400)
    assert (instant(ptu.starts_ns).date(), instant(ptu.ends_ns).date()) == (
        starts,
        day("2026-03-10"),
    )
    assert ptu.fee == usd("5199.80")
    assert (flat.kind, flat.is_monthly, flat.fee, flat.team_rate) == (
        CommitmentKind.QUOTA,
        True,
        usd("1000"),
        usd("0.4"),
    )
    takes = (
        flat.micro_units_per_prompt,
        flat.micro_units_per_cached,
        flat.micro_units_per_completion,
    )
    assert takes == (10**6, 10**5, 8 * 10**6)
    assert flat.overage_rate == Money(2 * 10**6)
    assert week.ends_ns - week.starts_ns == 7 * 86_400 * 10**9
    assert week.fee == usd("1200")


def test_capacity_has_the_plans_price_until_there_is_traffic(sql: Sql) -> None:
    """What a unit of a quota is worth by the plan's dual, in the books with the fill; none for
    capacity by the minute: what that is worth depends on the minute."""
    bids = [{"contract": name, "usd_per_unit": 2.5e-6} for name in ("ptu", "flat")]
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        kept = keep(book, plan_json({"ptu": 100, "flat": 2}, bid_prices=bids), *CONTRACTS)
        approve(book, kept)
        for name, units, price in (("ptu", 20, "260"), ("flat", 1, "500")):
            its = fill(kept, name, units, price, at_ns=at(NOW))
            assert enter_fill(book, f"fill:{name}", its, DESK)
    assert CommitmentTable(sql).bid_prices() == {"fill:flat": usd("2.5")}
    ((who,),) = sql.execute("SELECT who FROM bid_prices").fetchall()
    assert who == kept


def test_a_swap_is_one_of_each_of_its_months(sql: Sql, plan: str) -> None:
    """Its lots are open in every month, and it cannot be taken back once one of them is settled."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        enter_fill(book, "fill:s", fill(plan, "H100-SWAP", 4, "2.50"), DESK)
        months = [(key[1], one.units) for key, one in book.open_positions()]
    assert months == [(day(f"2026-0{month}-01"), 4) for month in (3, 4, 5)]


def test_a_roll(sql: Sql, plan: str) -> None:
    """One month is closed, the next opened; the roll cost is what the new lots cost above what the
    old ones brought, and the fees of both."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        enter_fill(book, "fill:1", fill(plan, "GPU1", 10, "2.50"), DESK)
        old = fill(plan, "GPU1", -10, "2.60", roll="march to april")
        new = fill(plan, "GPU1", 10, "2.65", roll="march to april", month=day("2026-04-01"))
        enter_fill(book, "fill:2", old, DESK)
        enter_fill(book, "fill:3", new, DESK)
        assert roll_cost(book, "march to april") == usd("365") + 2 * usd("55")
        assert [(key[1], one.units) for key, one in book.open_positions()] == [
            (day("2026-04-01"), 10)
        ]
        assert -book.balance(GlAccount.REALISED_RESULT) == usd("730")


def test_a_perpetuals_fee_is_of_its_notional(sql: Sql, plan: str) -> None:
    """0.25% of 2 lots of 100 at 2.81."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        enter_fill(book, "fill:1", fill(plan, "H100-PERP", 2, "2.81"), DESK)
        assert book.balance(GlAccount.FEES) == usd("1.405")


def test_approvals(sql: Sql) -> None:
    """By a second person, of a plan that buys something; one that breaks its cap needs a word."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        plan = book.plan(keep(book, plan_json({"GPU1": 1})))
        for spelled in (MAKER.upper() + " ", "Ada.", "a-d-a", "@adá", "\uff41da"):
            with pytest.raises(ApprovalRefused, match=f"made by {MAKER}, who cannot approve it"):
                approval_of(plan, spelled, book.now_ns, None)
        assert approval_of(plan, APPROVER, book.now_ns, None).sha256 == plan.sha256
        empty = book.plan(keep(book, plan_json({"GPU1": 0})))
        with pytest.raises(ApprovalRefused, match="buys nothing"):
            approval_of(empty, APPROVER, book.now_ns, None)
        broken = book.plan(keep(book, plan_json({"GPU1": 1}, status="cap_unreachable")))
        with pytest.raises(ApprovalRefused, match="does not keep its cap"):
            approval_of(broken, APPROVER, book.now_ns, None)
        assert approval_of(broken, APPROVER, book.now_ns, "the least bad").note == "the least bad"
        with pytest.raises(PlanUnknown, match="is the beginning of 3 plans"):
            book.plan("plan-")
        with pytest.raises(PlanUnknown, match="is no plan: "):
            keep(book, b'{"positions": 7}')


def test_a_fill_in_the_minute_of_its_approval(sql: Sql) -> None:
    """Entered to the minute it lies before the approval, and is told so by the second."""
    plan = approved(sql, "2026-02-01T12:00:22", {"GPU1": 10})
    with sql.transaction():
        book = HedgeBook(sql, at("2026-02-02"))
        early = fill(plan, "GPU1", 1, "2.50", at_ns=at("2026-02-01T12:00"))
        said = "not approved at 2026-02-01 12:00 UTC; it was from 2026-02-01 12:00:22 UTC"
        with pytest.raises(FillRefused, match=said):
            enter_fill(book, "fill:1", early, DESK)


def test_an_approval_expires(sql: Sql) -> None:
    """A fill of a time when it held is taken later; one of later is not, until it is approved
    anew."""
    with sql.transaction():
        book = HedgeBook(sql, at("2026-02-01"))
        plan = keep(book, plan_json({"GPU1": 10}))
        fact = approval_of(book.plan(plan), APPROVER, book.now_ns, None, valid_days=1)
        book.write("approval:1", fact, book.today, who=APPROVER)
    with sql.transaction():
        book = HedgeBook(sql, at("2026-02-20"))
        in_time = fill(plan, "GPU1", 1, "2.50", at_ns=at("2026-02-01T23:59"))
        assert enter_fill(book, "fill:1", in_time, DESK)
        late = fill(plan, "GPU1", 1, "2.50", at_ns=at("2026-02-02"))
        with pytest.raises(FillRefused, match="was not approved at 2026-02-02"):
            enter_fill(book, "fill:2", late, DESK)
        assert book.plan(plan).state(book.now_ns) == "expired or withdrawn"
        approve(book, plan)
        assert book.plan(plan).state(book.now_ns) == "approved"


def test_other_words_under_an_id_that_is_taken(sql: Sql, plan: str) -> None:
    """The same line again is known; other words are refused, since records are never changed."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        one = fill(plan, "GPU1", 1, "2.50")
        assert enter_fill(book, "fill:1", one, DESK)
        assert not enter_fill(book, "fill:1", one, "somebody else")
        with pytest.raises(EntryRefused, match="says something else"):
            enter_fill(book, "fill:1", replace(one, units=2), DESK)


def entry(kind: EntryKind, when: str, **fields: object) -> Entry:
    return Entry(f"{kind}-{when}", kind, at(when), **fields)  # type: ignore[arg-type]


def test_a_resale(sql: Sql, plan: str) -> None:
    """What is sold on leaves the books with its fee, to the nano-USD, and the router has only the
    rest from then on; a commitment that nobody may sell is refused."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        enter_fill(book, "fill:p", fill(plan, "ptu", 20, "221", months=12), DESK)
        enter_fill(book, "fill:f", fill(plan, "flat", 1, "500"), DESK)
    with sql.transaction():
        book = HedgeBook(sql, at("2026-05-15"))
        with pytest.raises(EntryRefused, match="cannot be sold on, by its terms"):
            enter(
                book, entry(EntryKind.RESALE, "2026-02-20", fill="fill:f", units=1, amount=1), DESK
            )
        early = entry(EntryKind.RESALE, "2026-02-01", fill="fill:p", units=5, amount=usd("1"))
        with pytest.raises(EntryRefused, match="bought on 2026-02-02: it was not sold on before"):
            enter(book, early, DESK)
        with pytest.raises(EntryRefused, match="sold on in lots of 5: 3 are none"):
            enter(
                book, entry(EntryKind.RESALE, "2026-05-10", fill="fill:p", units=3, amount=1), DESK
            )
        sold = entry(EntryKind.RESALE, "2026-05-10", fill="fill:p", units=5, amount=usd("9000"))
        assert enter(book, sold, DESK)
        left = book.holdings["fill:p"].schedule.days(book.today, day("2027-02-02"))
        (held, _) = standing(book).commitments
        assert held.resale_usd is not None
        assert abs(held.resale_usd * 10**9 - sum(one for _, one in left) * Decimal("0.75")) < 1
    with sql.transaction():
        book = HedgeBook(sql, at("2027-03-01"))
        settle(book)
        fee = usd("221") * 20 * 12
        expense = book.balance(GlAccount.COMMITMENT_EXPENSE, "fill:p")
        resale = book.balance(GlAccount.RESALE_RESULT, "fill:p")
        assert expense + resale + usd("9000") == fee
        assert book.balance(GlAccount.PREPAID_COMMITMENTS, "fill:p") == 0
        assert -book.balance(GlAccount.COMMITMENT_PAYABLE, "fill:p") == fee
    was, rest = (one for one in CommitmentTable(sql).all() if one.contract == "ptu")
    assert (was.units, rest.units) == (20, 15)
    assert was.ends_ns == rest.starts_ns == at("2026-05-10")
    assert was.fee + rest.fee + resale + usd("9000") == fee


def test_a_correction(sql: Sql, plan: str) -> None:
    """All that a wrong fill has moved goes back to zero, its payments too, and nothing draws on it
    any more; a fill that was closed is not taken back."""
    with sql.transaction():
        book = HedgeBook(sql, at("2026-03-20"))
        enter_fill(book, "fill:p", fill(plan, "ptu", 20, "260"), DESK)
        enter(book, entry(EntryKind.PAYMENT, "2026-03-01", fill="fill:p", amount=usd("5200")), DESK)
        with pytest.raises(EntryRefused, match="has 0 USD payable by 2026-03-20"):
            enter(
                book, entry(EntryKind.PAYMENT, "2026-03-20", fill="fill:p", amount=Money(1)), DESK
            )
        wrong = entry(EntryKind.CORRECTION, "2026-03-20", fill="fill:p", reason="another team's")
        assert enter(book, wrong, DESK)
        assert not enter(book, wrong, DESK)
        assert book.balances_about("fill:p") == {}
        assert CommitmentTable(sql).all() == []
        enter_fill(book, "fill:1", fill(plan, "GPU1", 2, "2.50"), DESK)
        enter_fill(book, "fill:2", fill(plan, "GPU1", -1, "2.60"), DESK)
        for name in ("fill:1", "fill:2"):
            closed = entry(EntryKind.CORRECTION, "2026-03-20", fill=name, reason="wrong")
            with pytest.raises(EntryRefused, match="goes the other way"):
                enter(book, closed, DESK)


def test_entries_name_what_they_lack(sql: Sql, plan: str) -> None:
    """A sentence for each: what is missing, what is too much, what is not there."""
    said: list[tuple[Entry, str]] = [
        (entry(EntryKind.FILL, NOW), "a fill needs plan"),
        (entry(EntryKind.PAYMENT, NOW, fill="fill:x"), "a payment needs an amount of USD"),
        (entry(EntryKind.PAYMENT, NOW, fill="fill:x", amount=1), "fill:x is no fill of capacity"),
        (entry(EntryKind.NOTICE, NOW, fill="fill:x", units=1), "a notice has no units"),
        (entry(EntryKind.DEPOSIT, NOW, counterparty="who", amount=1), "no contract of any plan"),
        (entry(EntryKind.DEPOSIT, NOW, counterparty="cme", amount=-1), "0 USD are free with cme"),
        (entry(EntryKind.CORRECTION, NOW, fill="x", reason="y"), "there is no record x"),
        (entry(EntryKind.CORRECTION, NOW, fill=plan, reason="y"), "cannot be corrected"),
    ]
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        for one, sentence in said:
            with pytest.raises(EntryRefused, match=sentence):
                enter(book, one, DESK)
        early = entry(EntryKind.DEPOSIT, "2026-02-03", counterparty="cme", amount=1)
        with pytest.raises(EntryRefused, match="is still to come"):
            enter(book, early, DESK)


def test_a_deposit_that_was_taken_back(sql: Sql, plan: str) -> None:
    """It is corrected only while it is there; the correction takes it out again."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        enter(book, entry(EntryKind.DEPOSIT, "2026-02-01", counterparty="cme", amount=5), DESK)
        enter(book, entry(EntryKind.DEPOSIT, "2026-02-02", counterparty="cme", amount=-3), DESK)
        first = entry(EntryKind.CORRECTION, NOW, fill="deposit:deposit-2026-02-01", reason="wrong")
        with pytest.raises(EntryRefused, match="some was taken back"):
            enter(book, first, DESK)
        back = replace(first, fill="deposit:deposit-2026-02-02")
        assert enter(book, back, DESK)
        assert enter(book, first, DESK)
        assert (book.deposits("cme"), book.balance(GlAccount.CASH)) == (0, 0)
        assert plan in book.plans


def test_notice(sql: Sql, plan: str) -> None:
    """It stops a renewal, if it is given in time; the book warns before, and after."""
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        enter_fill(book, "fill:p", fill(plan, "ptu", 20, "221", months=12), DESK)
        ends = book.holdings["fill:p"].ends
        last = ends - timedelta(days=30)
    warned = {
        f"{last - timedelta(days=31)}": (),
        f"{last}": (f"fill:p renews on {ends} unless notice is given by {last}",),
        f"{last + timedelta(days=1)}": (
            f"fill:p renews on {ends}: notice had to be given by {last}",
        ),
        f"{ends}": (
            f"fill:p has renewed itself on {ends}, by its terms: enter the fill of the new term",
        ),
    }
    for when, warnings in warned.items():
        with sql.view():
            assert standing(HedgeBook(sql, at(when))).warnings == warnings
    late = last + timedelta(days=1)
    with sql.transaction():
        book = HedgeBook(sql, at(f"{late}"))
        with pytest.raises(EntryRefused, match="notice for fill:p had to be given by"):
            enter(book, entry(EntryKind.NOTICE, f"{late}", fill="fill:p"), DESK)
        assert enter(book, entry(EntryKind.NOTICE, f"{last}", fill="fill:p"), DESK)
        seen = standing(book)
        assert (seen.warnings, seen.commitments[0].renews_on) == ((), None)


@pytest.mark.parametrize(
    ("contract", "price", "said"),
    [
        (GPU1 | {"multiplier": "1e18"}, "2.50", "more than the books can hold"),
        (
            FLAT | {"name": "GPU1", "size": {"max": 10**6}, "prices": [{"usd_per_month": "9e9"}]},
            "9000000000",
            "more than the books can hold",
        ),
        (
            FLAT | {"name": "GPU1", "burndown": {"prompt": "0.0000001"}},
            "500",
            "cannot be counted in millionths",
        ),
        (FLAT | {"name": "GPU1", "quota_units": "2.9"}, "500", "are counted whole"),
    ],
)
def test_numbers_that_the_books_cannot_hold(
    sql: Sql, contract: dict[str, object], price: str, said: str
) -> None:
    """Neither an amount beyond an int64, nor a token that would count as nothing: a sentence."""
    plan = approved(sql, "2026-02-01", {"GPU1": 10**6}, contract)
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        of_kind = {} if contract["kind"] == "future" else {"month": None, "months": 1}
        one = fill(plan, "GPU1", 10**6 if "9e9" in str(contract) else 1, price, **of_kind)
        with pytest.raises(BookRefused, match=said):
            enter_fill(book, "fill:1", one, DESK)


def test_spend_that_is_lost_by_the_hour_is_warned_of(sql: Sql) -> None:
    """The books count it by the month: nobody is to believe them in peak hours."""
    hourly = {key: value for key, value in FLAT.items() if key not in ("quota_units", "burndown")}
    hourly |= {"kind": "spend_commitment", "discount": "0.15", "per": "hour"}
    del hourly["overage"]
    plan = approved(sql, "2026-02-01", {"flat": 1}, hourly)
    with sql.transaction():
        book = HedgeBook(sql, at(NOW))
        enter_fill(book, "fill:1", fill(plan, "flat", 1, "500"), DESK)
        (said,) = standing(book).warnings
    assert "fill:1 is lost by the hour, and drawn on by the month" in said
