"""Reports from the dashboard: ordered, made one at a time in processes of their own, downloaded."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from hedgerow.reports.formats import Format
from hedgerow.web.report_maker import MOST_WAITING, Command, ReportMaker, making
from hedgerow.web.report_shelf import (
    KEPT,
    LOST_AFTER_NS,
    MadeReport,
    Making,
    ReportKind,
    ReportShelf,
)
from ledger.calendar_months import months_later
from ledger.databases.sqlite_file import SqliteFile
from ledger.instants import day_ns, instant
from ledger.money import Money, as_usd
from proxy.clock import SystemClock
from proxy.errors import RateLimited
from tests.ledger.entries_of import Made, Who, write
from tests.web.browser import browsing
from tests.web.past import as_books

NOW_NS = 1_800_000_000_000_000_000


def ordered(number: int, **changes: object) -> MadeReport:
    return MadeReport(
        id=f"rep_{number:04}",
        kind=ReportKind.HEDGE,
        month="2027-01",
        format=Format.JSON,
        by="anna",
        asked_ns=NOW_NS,
        heard_ns=SystemClock().now_ns(),
    ).now(**changes)


def running(program: str) -> Command:
    """A program instead of `hedgerow report`; the file is its first argument."""

    def command(report: MadeReport, file: Path) -> Sequence[str]:
        return (sys.executable, "-c", program, str(file), report.id)

    return command


async def made(shelf: ReportShelf, when: Callable[[list[MadeReport]], bool]) -> list[MadeReport]:
    async with asyncio.timeout(20):
        while True:
            found = await asyncio.to_thread(shelf.all, SystemClock().now_ns())
            if when(found):
                return found
            await asyncio.sleep(0)


def all_over(found: list[MadeReport]) -> bool:
    return all(one.state.is_over for one in found)


async def test_a_report_is_made_and_kept(tmp_path: Path) -> None:
    """Its file is as the program wrote it; its size and digest are those of the file."""
    program = "import sys; open(sys.argv[1], 'w').write('{}')"
    async with making(tmp_path / "reports", running(program), SystemClock()) as maker:
        await maker.order(ordered(1))
        (report,) = await made(maker.shelf, all_over)
        assert (report.state, report.size) == (Making.DONE, 2)
        assert report.digest == hashlib.sha256(b"{}").hexdigest()
        assert maker.shelf.file(report).read_bytes() == b"{}"


async def test_those_that_failed_go_too(tmp_path: Path) -> None:
    """However often one fails, what is known of it does not fill the disk."""
    async with making(tmp_path, running("import sys; sys.exit(1)"), SystemClock()) as maker:
        for number in range(KEPT):
            await asyncio.to_thread(maker.shelf.put, ordered(number, state=Making.FAILED))
        await maker.order(ordered(KEPT))
        await made(maker.shelf, lambda found: all_over(found) and len(found) == KEPT)


async def test_one_that_fails_says_why(tmp_path: Path) -> None:
    """The last line that it said is told, nothing is left of its file, and the next is made."""
    program = (
        "import sys; open(sys.argv[1], 'w').write('half')\n"
        "if sys.argv[2].endswith('1'): print('x\\nno such month', file=sys.stderr); sys.exit(1)"
    )
    async with making(tmp_path, running(program), SystemClock()) as maker:
        for number in (1, 2):
            await maker.order(ordered(number))
        good, bad = await made(maker.shelf, all_over)
        assert (bad.state, bad.why) == (Making.FAILED, "no such month")
        assert good.state is Making.DONE
    left = {one.name for one in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))}
    abouts = {f"rep_000{number}.about.json" for number in (1, 2)}
    assert left - {"making.lock"} == {*abouts, "rep_0002.json"}


async def test_one_at_a_time(tmp_path: Path) -> None:
    """Two workers of a host make reports: never two at once."""
    program = (
        "import sys, os, time\n"
        f"place = {str(tmp_path / 'here')!r}\n"
        "os.mkdir(place); time.sleep(0.05); os.rmdir(place); open(sys.argv[1], 'w').close()"
    )
    folder = tmp_path / "reports"
    async with (
        making(folder, running(program), SystemClock()) as one,
        making(folder, running(program), SystemClock()) as other,
    ):
        for number, maker in enumerate((one, other, one, other)):
            await maker.order(ordered(number))
        found = await made(one.shelf, all_over)
        assert [report.state for report in found] == [Making.DONE] * 4


async def test_the_queue_is_bounded_and_the_end_of_a_worker_ends_its_report(tmp_path: Path) -> None:
    """One more than may wait is refused; what was under way at the end is listed as lost."""
    program = "import time; time.sleep(600)"
    async with making(tmp_path, running(program), SystemClock()) as maker:
        for number in range(MOST_WAITING):
            await maker.order(ordered(number))
        with pytest.raises(RateLimited, match="are waiting already"):
            await maker.order(ordered(MOST_WAITING))
        await made(maker.shelf, lambda found: any(one.state is Making.RUNNING for one in found))
    later_ns = SystemClock().now_ns() + LOST_AFTER_NS + 1
    found = await asyncio.to_thread(ReportShelf(tmp_path).all, later_ns)
    assert {one.state for one in found} == {Making.FAILED}
    assert "make it again" in found[0].why


def test_the_oldest_go(tmp_path: Path) -> None:
    """So many are kept, the newest; the files of the others are gone."""
    shelf = ReportShelf(tmp_path)
    for number in range(KEPT + 3):
        report = ordered(number)
        shelf.put(report)
        draft = tmp_path / "draft"
        draft.write_bytes(b"x")
        shelf.finished(report, draft, NOW_NS)
    found = shelf.all(NOW_NS)
    assert [one.id for one in found] == [f"rep_{one:04}" for one in range(KEPT + 2, 2, -1)]
    assert len(list(tmp_path.glob("rep_*.json"))) == 2 * KEPT


async def test_the_maker_needs_no_folder_before(tmp_path: Path) -> None:
    """Nothing is written until something is ordered."""
    async with making(tmp_path / "reports", running(""), SystemClock()) as maker:
        assert isinstance(maker, ReportMaker)
    assert not (tmp_path / "reports").exists()


def charged_before(folder: Path) -> tuple[str, Decimal]:
    """Books of a request in the month before this one; that month, and what it cost."""
    day = months_later(instant(SystemClock().now_ns()).date().replace(day=15), -1)
    one = Made(day_ns(day), who=Who(provider="elsewhere"), held=10**6)
    with closing(SqliteFile.open(as_books(folder))) as sql:
        write(sql, [one])
    return f"{day:%Y-%m}", as_usd(Money(one.cost))


async def test_the_page(tmp_path: Path) -> None:
    """A report is ordered in the page, its end is seen there without reloading, and its cost is
    what was charged."""
    month, cost = await asyncio.to_thread(charged_before, tmp_path)
    async with browsing(tmp_path) as desk:
        page = desk.page
        await desk.log_in(path="/ui/reports")
        await desk.pictures("reports-none")
        await page.get_by_label("Report", exact=True).select_option("spend")
        await page.get_by_label("Month").select_option(month)
        await page.get_by_label("Format").select_option("json")
        await page.get_by_role("button", name="Make report").click()
        await page.get_by_role("status").filter(has_text="is being made").wait_for()
        await page.locator("#made .badge.good, #made .badge.bad").wait_for(timeout=60_000)
        await desk.pictures("reports")
        reports = desk.proxy.config.files.path / "reports"
        (kept,) = await asyncio.to_thread(ReportShelf(reports).all, SystemClock().now_ns())
        assert (kept.by, kept.state, kept.why) == ("the admin key", Making.DONE, "")
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name=kept.name).click()
        download = await downloading.value
        assert download.suggested_filename == kept.name
        got = await asyncio.to_thread(Path(await download.path()).read_bytes)
        assert hashlib.sha256(got).hexdigest() == kept.digest
        told = json.loads(got, parse_float=Decimal)
        assert told["verdict"]["headlines"][0]["figure"]["value"] == cost
