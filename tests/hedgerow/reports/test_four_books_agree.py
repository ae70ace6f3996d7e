"""One month, told by everything that tells it: reports, `hedgerow spend` and the rows of the
ledger, the FOCUS export, and the dashboard's pages. All say the same, to the nano-USD."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from click.testing import CliRunner

from hedge.book.book import HedgeBook
from hedge.book.settling import settle
from hedgerow.cli import hedgerow
from ledger.allowances import allowance
from ledger.attempts import Charge, Settlement
from ledger.budgets import Account
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.draws import Draw
from ledger.instants import day_ns, instant
from ledger.journal_records import Ended, Held, held_of, posted_as
from ledger.money import Money
from ledger.principals import Principal
from ledger.rates import RateCard
from ledger.store import Store
from ledger.tables.commitments import CommitmentTable
from ledger.usage import TokenUsage
from tests.hedge.book.contracts import at
from tests.hedge.effectiveness.months import buy_flat
from tests.ledger.entries import attempt, writer_of
from tests.serving import serving
from tests.web.browser import ADMIN
from tests.web.visitor import visiting

Row: TypeAlias = dict[str, Any]

RATES = RateCard.of(Decimal("0.0123456789"), Decimal("0.61"), cache_read=Decimal("0.001"))
"""A token costs parts of a nano-USD: each charge is rounded up."""
SEPTEMBER = ("--month", "2026-09")
DAYS = ("--from", "2026-09", "--to", "2026-10")
NOBODY = "(none)"
COLUMNS = {
    "team": "x_Team",
    "model": "x_Model",
    "provider": "ProviderName",
    "day": "ChargePeriodStart",
}
"""Of FOCUS."""
TABLES = {"model": "models", "provider": "used", "day": "days"}
"""Of the report."""
TEAMLESS = {"(no team)": NOBODY}
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A charged request. commitment: it drew on that; is_overage: beyond its quota."""

    when: str
    prompt: int
    completion: int
    team: str | None = "apps"
    provider: str = "acme"
    model: str = "llama"
    cached: int = 0
    estimated: bool = False
    commitment: str | None = None
    is_overage: bool = False


def _ended(sql: Sql, one: Asked) -> tuple[Held, Ended]:
    usage = TokenUsage(one.prompt, one.completion, one.cached)
    paid = RATES.charge(usage)
    key = f"key_{one.team}"
    its = attempt(
        f"a{next(_numbers):09}",
        paid + 1000,
        Principal(key, team=one.team, user="ada" if one.team == "apps" else None),
        at_ns=at(one.when),
        model=one.model,
        provider=one.provider,
        rates=RATES,
    )
    billed = effective = paid
    accounts: tuple[Account, ...] = ()
    if one.commitment is not None:
        owned = CommitmentTable(sql).one(one.commitment)
        assert owned is not None
        draw = Draw(allowance(owned, its.at_ns), 10**12, one.is_overage)
        its, accounts = replace(its, draw=draw), draw.accounts
        used = draw.used(usage, paid)
        billed, effective = draw.bills(used), draw.costs(used)
    elsewhere = Money(paid * 7 // 5 + 1), Money(paid * 4 // 5)
    charge = Charge(billed, effective, paid, Money(paid * 6 // 5), *elsewhere)
    end = Settlement(its.at_ns + 10**9, usage, RATES, charge, one.estimated, None, 12.5)
    spent = tuple(end.spends(its, account.measure) for account in accounts)
    return held_of(its, accounts), posted_as(its, end, spent, spent)


def fill(folder: Path) -> None:
    with closing(SqliteFile.open(folder / "hedgerow.db")) as sql:
        _fill(sql)


def _fill(sql: Sql) -> None:
    """Two teams and a key without one, pay-as-you-go at two providers; a flat plan from the 10th of
    September to the 10th of October that is used, exceeded and in part left; estimates; and charges
    a nanosecond outside of the month."""
    flat = buy_flat(sql, "2026-09-10")
    asked = [
        Asked("2026-08-31T23:59:59.999999", 11, 13),
        Asked("2026-09-01T00:00:00", 1_234_567, 7_891),
        Asked("2026-09-01T00:00:01", 3, 0, team="research"),
        Asked("2026-09-02T10:00", 90_001, 377, team="research", provider="beta", cached=4_003),
        Asked("2026-09-05T10:00", 17, 19, team=None, model="oak"),
        Asked("2026-09-05T11:00", 0, 0, team="research"),
        Asked("2026-09-08T10:00", 5_003, 211, estimated=True),
        Asked("2026-09-09T10:00", 701, 5, team="research", provider="beta", estimated=True),
        Asked("2026-09-11T10:00", 101, 7, commitment=flat),
        Asked("2026-09-12T10:00", 331, 29, cached=13, commitment=flat, team="research"),
        Asked("2026-09-13T10:00", 53, 3, estimated=True, commitment=flat),
        Asked("2026-09-14T10:00", 97, 11, commitment=flat, team="research", is_overage=True),
        Asked("2026-09-30T23:59:59.999999", 40_009, 1_009, team="research", model="oak"),
        Asked("2026-10-01T00:00:00", 23, 29),
        Asked("2026-10-03T10:00", 211, 17, commitment=flat),
    ]
    store = Store(sql)
    writer_id = writer_of(store)
    with store.transaction():
        store.writers.write(writer_id, [_ended(sql, one) for one in asked])
    with sql.transaction():
        settle(HedgeBook(sql, at("2026-10-15")))


def run(path: Path, *words: str) -> str:
    done = CliRunner().invoke(hedgerow, [*words, "-c", str(path)])
    assert done.exit_code == 0, done.output
    return done.stdout


def told(path: Path, *words: str) -> Any:
    return json.loads(run(path, *words), parse_float=Decimal)


def exported(path: Path, first: str, last: str) -> list[Row]:
    """Rows of the FOCUS export."""
    file = path.parent / f"{first}-{last}.csv"
    run(
        path,
        "ledger",
        "export",
        "--format",
        "focus",
        "--from",
        first,
        "--to",
        last,
        "-o",
        str(file),
    )
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def rows_of(report: Any, name: str) -> dict[str, Row]:
    """The rows of a table of a report: what each column says, amounts in USD."""
    tables = (block for section in report["sections"] for block in section["blocks"])
    found = next(one for one in tables if one["kind"] == "table" and one["id"] == name)
    return {
        row["key"]: {
            key: cell["value"] if isinstance(cell, dict) else cell
            for key, cell in row["cells"].items()
        }
        for row in found["rows"]
    }


def by_name(rows: Mapping[str, Row], name: str, *columns: str) -> dict[str, Decimal]:
    """Of rows that are no total, the sum of columns by name; zeros left out."""
    sums = {
        row[name]: sum(Decimal(row[column] or 0) for column in columns)
        for key, row in rows.items()
        if key not in ("total", "platform")
    }
    return {key: amount for key, amount in sums.items() if amount}


def summed(rows: Iterable[Row], by: str, column: str) -> dict[str, Decimal]:
    """By name, and by day of times; zeros left out."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        name = row[by] or NOBODY
        sums[name[:10] if by == COLUMNS["day"] else name] += Decimal(row[column])
    return {name: amount for name, amount in sums.items() if amount}


def of_ledger(path: Path) -> list[Row]:
    """September's charges, straight from the rows of the ledger, in USD."""
    names = ("team", "model", "provider", "at", "effective", "billed", "listed", "first", "drawn")
    with closing(SqliteFile.open(path.parent / "hedgerow.db")) as sql, sql.view():
        found = sql.execute(
            "SELECT team, model, provider, at_ns, effective_nanos, billed_nanos, list_nanos,"
            " first_offer_nanos, commitment IS NOT NULL AND overage_micro_units = 0 FROM entries"
            " JOIN subjects ON subjects.id = subject_id"
            " WHERE kind = 'posted' AND at_ns >= ? AND at_ns < ?",
            (day_ns(date(2026, 9, 1)), day_ns(date(2026, 10, 1))),
        ).fetchall()
    rows = [dict(zip(names, row, strict=True)) for row in found]
    for row in rows:
        row["day"] = instant(row["at"]).date().isoformat()
        for name in ("effective", "billed", "listed", "first"):
            row[name] = Decimal(row[name]).scaleb(-9)
    return rows


_BODY_ROW = re.compile(
    r"<tr(?: class=\"(\w+)\")?>\s*<th scope=\"row\">(.*?)</th>(.*?)</tr>", re.DOTALL
)
_VALUE = re.compile(r'<data class="money" value="([^"]*)"')
_TAG = re.compile(r"<[^>]*>")
_TILE = re.compile(r'<span data-spent><data class="money" value="([^"]*)"')


def of_page(html: str) -> dict[str, list[Decimal]]:
    """Each line of the page's table by its name (the total's is 'total'), and what exactly is meant
    by its amounts: cost, at the first offer, saved, list."""
    found = {}
    for _, name, cells in _BODY_ROW.findall(html):
        found[_TAG.sub("", name).strip()] = [Decimal(one) for one in _VALUE.findall(cells)]
    return found


async def test_reports_ledger_focus_and_dashboard_agree(tmp_path: Path) -> None:
    await asyncio.to_thread(fill, tmp_path)
    pages = {}
    async with (
        serving(tmp_path, server=f"{{port: 0, admin_key: {ADMIN}}}", honest=False) as proxy,
        visiting(proxy) as somebody,
    ):
        assert (await somebody.log_in(ADMIN)).status == 303
        for by in ("team", "model", "provider", "day"):
            answer = await somebody.get(f"/ui/spend?period=2026-09&by={by}")
            assert answer.status == 200
            pages[by] = answer.text
    await asyncio.to_thread(_compare, tmp_path / "hedgerow.yaml", pages)


def _compare(path: Path, pages: Mapping[str, str]) -> None:
    ledger, focus = of_ledger(path), exported(path, "2026-09", "2026-10")
    spend, hedge = (told(path, "report", one, *SEPTEMBER) for one in ("spend", "hedge"))
    owned = [row for row in focus if row["CommitmentDiscountId"]]
    asked = [row for row in focus if not row["CommitmentDiscountId"]]
    used = [row for row in owned if row["CommitmentDiscountStatus"] == "Used"]
    assert len(ledger) == 12
    assert len(used) == len([row for row in ledger if row["drawn"]]) == 3
    _what_was_asked(path, pages, spend, ledger, [*asked, *used])
    _what_was_billed(spend, hedge, ledger, asked, owned)
    _what_it_cost(path, spend, hedge, focus, used)
    _by_spans(path, focus)


def _what_was_asked(
    path: Path, pages: Mapping[str, str], spend: Any, ledger: list[Row], focus: list[Row]
) -> None:
    """What requests were charged, by team, model, provider and day: five times the same."""
    total = sum(row["effective"] for row in ledger)
    for by, page in pages.items():
        charged = summed(ledger, by, "effective")
        assert sum(charged.values()) == total
        counted = told(path, "spend", "--by", by, *DAYS, "--json")
        by_ours = {row[by] or NOBODY: row["cost_usd"] for row in counted["rows"]}
        assert {name: cost for name, cost in by_ours.items() if cost} == charged
        assert counted["total"]["cost_usd"] == total
        assert summed(focus, COLUMNS[by], "EffectiveCost") == charged
        lines = of_page(page)
        shown = lines.pop("total")
        assert {name: line[0] for name, line in lines.items() if line[0]} == charged
        listed, first = (sum(row[name] for row in ledger) for name in ("listed", "first"))
        assert shown == [total, first, first - total, listed]
        assert _TILE.findall(page) == [f"{total:f}"]
        if by == "team":
            reported = by_name(rows_of(spend, "teams"), "team", "went", "drawn")
        else:
            reported = by_name(rows_of(spend, TABLES[by]), "name", "cost")
        assert {TEAMLESS.get(name, name): cost for name, cost in reported.items()} == charged


def _what_was_billed(
    spend: Any, hedge: Any, ledger: list[Row], asked: list[Row], owned: list[Row]
) -> None:
    """Of usage, and of commitments; overage is of usage."""
    billed = sum(row["billed"] for row in ledger)
    kinds = rows_of(spend, "focus")
    assert sum(Decimal(row["BilledCost"]) for row in asked) == billed
    assert kinds["focus1"]["billed"] == rows_of(hedge, "cost")["billed"]["amount"] == billed
    assert rows_of(spend, "used")["total"]["billed"] == billed
    bought = sum(Decimal(row["BilledCost"]) for row in owned)
    assert kinds["focus2"]["billed"] == rows_of(spend, "commitments")["c1"]["billed"] == bought
    assert bought > 0


def _what_it_cost(path: Path, spend: Any, hedge: Any, focus: list[Row], used: list[Row]) -> None:
    """The month in all: what requests cost, and what commitments cost beyond their draws."""
    cost = sum(Decimal(row["EffectiveCost"]) for row in focus)
    teams, lines = rows_of(spend, "teams"), rows_of(hedge, "cost")
    assert teams["total"]["bears"] == cost
    assert sum(by_name(teams, "team", "bears").values()) + teams["platform"]["bears"] == cost
    assert told(path, "ledger", "chargeback", *SEPTEMBER, "--json")["total_usd"] == cost
    assert lines["total"]["amount"] == cost
    for report in (spend, hedge):
        assert report["verdict"]["headlines"][0]["figure"]["value"] == cost
    owned = [row for row in focus if row["CommitmentDiscountId"]]
    expensed = sum(Decimal(row["EffectiveCost"]) for row in owned)
    assert expensed == lines["expense"]["amount"] == rows_of(spend, "commitments")["c1"]["cost"]
    kinds = rows_of(spend, "focus")
    drawn = sum(Decimal(row["EffectiveCost"]) for row in used)
    assert drawn == kinds["focus3"]["effective"] == rows_of(hedge, "activity")["of_draws"]["number"]
    statuses = summed(owned, "CommitmentDiscountStatus", "EffectiveCost")
    assert kinds["focus4"]["effective"] == statuses["Unused"] > 0
    estimated = [row for row in focus if row["x_Estimated"] == "true"]
    rest_on = sum(Decimal(row["EffectiveCost"]) for row in estimated)
    assert teams["total"]["estimated"] == rest_on > 0


def _by_spans(path: Path, focus: list[Row]) -> None:
    """Exported in two parts the month is the same, and over its term a commitment is its fee."""
    parts = [
        row
        for days in (("2026-09", "2026-09-13"), ("2026-09-13", "2026-10"))
        for row in exported(path, *days)
    ]
    for column in ("BilledCost", "EffectiveCost"):
        assert sum(Decimal(row[column]) for row in parts) == sum(
            Decimal(row[column]) for row in focus
        )
        term = [row for row in exported(path, "2026-09", "2026-11") if row["CommitmentDiscountId"]]
        assert sum(Decimal(row[column]) for row in term) == 200
