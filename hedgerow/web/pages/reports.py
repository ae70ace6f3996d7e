"""The page Reports: ordered here, made by `hedgerow report`, kept to be downloaded."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from aiohttp import web

from hedgerow.errors import NotFound as NoSuchReport
from hedgerow.reports.formats import Format
from hedgerow.web.desk import WebDesk
from hedgerow.web.report_shelf import KEPT, MadeReport, Making, ReportKind
from hedgerow.web.views import Download, Fragment, Page, SeeOther
from hedgerow.web.visits import Visit
from ledger.calendar_months import months_later
from ledger.instants import instant
from ledger.keys import Role
from proxy.admin.asked import invalid
from proxy.errors import Conflict, NotFound

PATH = "/ui/reports"
MONTHS = 24
"""How many months back a form offers."""
_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class ReportsPage:
    desk: WebDesk

    def routes(self) -> list[web.RouteDef]:
        desk = self.desk
        return [
            web.get(PATH, desk.page(self._show), allow_head=False),
            # Who reads may have it on paper: it changes nothing.
            web.post(PATH, desk.action(self._order, needs=Role.READER)),
            web.get(f"{PATH}/made", desk.page(self._made), allow_head=False),
            web.get(f"{PATH}/{{id}}", desk.page(self._download), allow_head=False),
        ]

    async def _show(self, visit: Visit) -> Page:
        months = months_until(visit.now_ns)
        values = {
            "months": [(one, f"{one}, to date" if one == months[0] else one) for one in months],
            "month": visit.asked.query("month") or months[0],
            "kinds": [("hedge", "Hedge effectiveness"), ("spend", "Spend and chargeback")],
            "formats": [(str(one), str(one).upper()) for one in Format],
            "config_file": str(self.desk.config.path),
            "kept": KEPT,
            "reports": await self._all(visit),
            "now_ns": visit.now_ns,
        }
        return Page("reports.html", "Reports", values)

    async def _made(self, visit: Visit) -> Fragment:
        values = {"reports": await self._all(visit), "now_ns": visit.now_ns}
        return Fragment("_reports.html", values)

    async def _all(self, visit: Visit) -> list[MadeReport]:
        return await asyncio.to_thread(self.desk.reports.shelf.all, visit.now_ns)

    async def _order(self, visit: Visit) -> SeeOther:
        form, now_ns = visit.form, visit.now_ns
        month = form.wanted("month")
        if not _MONTH.fullmatch(month) or month > months_until(now_ns)[0]:
            raise invalid(f"{month[:20]} is no month that has begun: write it as 2027-01", "month")
        try:
            kind, shape = ReportKind(form.wanted("kind")), Format(form.wanted("format"))
        except ValueError as error:
            raise invalid(f"{error}: choose one of those that the page offers", "kind") from None
        report = MadeReport(
            id=self.desk.admin.new_id("rep"),
            kind=kind,
            month=month,
            format=shape,
            by=visit.person.name,
            asked_ns=now_ns,
            heard_ns=now_ns,
        )
        await self.desk.reports.order(report)
        return SeeOther(PATH, f"{report.name} is being made; it will stand below.")

    async def _download(self, visit: Visit) -> Download:
        shelf, report_id = self.desk.reports.shelf, visit.asked.part("id")
        try:
            report = await asyncio.to_thread(shelf.get, report_id, visit.now_ns)
        except NoSuchReport as error:
            raise NotFound(str(error), code="unknown_url") from None
        if report.state is not Making.DONE:
            raise Conflict(f"{report.name} is {report.state}: there is no file of it")
        return Download(shelf.file(report), report.name, report.format.media_type)


def months_until(now_ns: int) -> list[str]:
    """The newest first, as 2027-01."""
    first = instant(now_ns).date().replace(day=1)
    return [f"{months_later(first, -back):%Y-%m}" for back in range(MONTHS)]
