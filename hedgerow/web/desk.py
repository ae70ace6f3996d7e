"""WebDesk: what every page needs, and the one place where it is asked who may see it."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote

from aiohttp import web

from hedgerow.charts import Chart
from hedgerow.config import Config
from hedgerow.web.assets import Assets
from hedgerow.web.forms import form_of
from hedgerow.web.logins import CSRF_FIELD, LIVE, Login, Logins, check_csrf
from hedgerow.web.plots import plot_json
from hedgerow.web.report_maker import ReportMaker
from hedgerow.web.templating import Templates
from hedgerow.web.views import Download, Fragment, Page, SeeOther, Sheet, View
from hedgerow.web.visits import Visit
from ledger.databases.sql import Sql
from ledger.errors import NameTaken
from ledger.keys import Role
from ledger.tables.policy import PolicyTable
from proxy.admin.asked import Asked
from proxy.admin.desk import AdminDesk, Handler
from proxy.errors import Conflict, NotAuthenticated, as_answer
from proxy.house import House

T = TypeVar("T")
Story: TypeAlias = Callable[[Visit], Awaitable[View]]

SAID_COOKIE = "hedgerow-said"
SAID_CHARACTERS = 600
_LOGIN = web.RequestKey("login", Login)
log = logging.getLogger("hedgerow.web")


@dataclass(frozen=True, slots=True)
class NavItem:
    """An entry of the bar that leads through the pages."""

    title: str
    path: str

    def is_of(self, path: str) -> bool:
        return path == self.path or path.startswith(f"{self.path}/")


@dataclass(frozen=True, slots=True)
class WebDesk:
    """admin: the books as the admin API has them, and what changes keys and limits. house: the
    worker's parts: market, breakers, what was learned, what is owned. config: as it was read at
    the start; budgets of files as they are now are in `admin.books`. reports: makes them beside
    the proxy. nav: the pages."""

    admin: AdminDesk
    house: House
    config: Config
    assets: Assets
    templates: Templates
    reports: ReportMaker
    nav: tuple[NavItem, ...]

    @property
    def logins(self) -> Logins:
        admin = self.admin
        return Logins(admin.books, admin.people, admin.clock, admin.random_bytes)

    def now_ns(self) -> int:
        return self.admin.now_ns()

    async def read(self, look: Callable[[Sql], T]) -> T:
        """Look at the books in a thread, in one view, after all that was charged until now."""
        return await self.admin.books.read(look)

    async def change(self, work: Callable[[PolicyTable], T]) -> T:
        """Change the books in one transaction; it acts on every worker within a second."""
        return await self.admin.books.change(work)

    # -- who may: each route goes through one of these two

    def page(self, story: Story, *, needs: Role = Role.READER) -> Handler:
        """A story that looks, as a handler."""

        async def handler(request: web.Request) -> web.StreamResponse:
            login = await self._login(request)
            if login is None:
                return await self._log_in_first(request)
            login.person.check(needs)
            visit = Visit(Asked(request, b""), login, self.now_ns())
            return await self._answer(visit, await story(visit))

        return self.edge(handler)

    def action(self, story: Story, *, needs: Role = Role.ADMIN) -> Handler:
        """A story that changes something, as a handler: only for forms that a page of the same
        login made. Who did it is logged."""

        async def handler(request: web.Request) -> web.StreamResponse:
            login = await self._login(request)
            if login is None:
                raise _session_over()
            form = await form_of(request, self.admin.body_timeout_s)
            check_csrf(request, form.text(CSRF_FIELD), login)
            login.person.check(needs)
            visit = Visit(Asked(request, b""), login, self.now_ns(), form)
            answer = await self._answer(visit, await story(visit))
            log.info("%s: %s %s", login.person.name, request.method, request.path)
            return answer

        return self.edge(handler)

    def edge(self, handler: Handler) -> Handler:
        """What goes wrong in a handler is a page."""

        async def told(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except ConnectionError:
                raise
            except NameTaken as taken:
                return await self._problem(request, Conflict(str(taken)))
            except Exception as error:  # noqa: BLE001 - an edge: as_answer logs what is our fault
                return await self._problem(request, error)

        return told

    async def _login(self, request: web.Request) -> Login | None:
        login = await self.logins.of(request)
        if login is not None:
            request[_LOGIN] = login
        return login

    # -- answers

    async def _answer(self, visit: Visit, view: View) -> web.StreamResponse:
        match view:
            case Page():
                return await self.shown(visit.request, view, visit)
            case Fragment():
                values = {"visit": visit, **view.values}
                text = await self.templates.rendered(view.template, values)
                return web.Response(text=text, content_type="text/html")
            case Chart():
                return web.Response(body=plot_json(view), content_type="application/json")
            case SeeOther():
                return see_other(view)
            case Sheet():
                return _csv(view)
            case Download():
                headers = {
                    "Content-Disposition": f"attachment; filename*=UTF-8''{quote(view.name)}",
                    "Content-Type": view.content_type,
                    "Cache-Control": "no-store",
                }
                return web.FileResponse(view.path, headers=headers)

    async def shown(self, request: web.Request, page: Page, visit: Visit | None) -> web.Response:
        """A whole page, with what was said of the change before it."""
        said = unquote(request.cookies.get(SAID_COOKIE, ""))
        values: dict[str, Any] = {
            "visit": visit,
            "nav": self.nav,
            "title": page.title,
            "path": request.path,
            "said": said,
        }
        text = await self.templates.rendered(page.template, values | dict(page.values))
        response = web.Response(text=text, content_type="text/html", status=page.status)
        if said:
            response.del_cookie(SAID_COOKIE, path="/", httponly=True, samesite="Strict")
        return response

    async def _log_in_first(self, request: web.Request) -> web.StreamResponse:
        """To the login page, and from there back here; a script is told.

        Who follows a link of another site comes without a cookie, logged in or not: the page comes
        back to itself, and then it is there.
        """
        if LIVE in request.headers:
            raise _session_over()
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            return await self.shown(request, Page("arriving.html", "Hedgerow"), None)
        return see_other(SeeOther(f"/ui/login?next={quote(request.path_qs, safe='')}"))

    async def _problem(self, request: web.Request, error: Exception) -> web.StreamResponse:
        """What went wrong, as a page; to a script, as a sentence."""
        request_id = self.admin.new_id("req")
        told = as_answer(error, request_id)
        status = told.answer_status
        if LIVE in request.headers:
            response = web.Response(text=str(told), status=status)
        else:
            login = request.get(_LOGIN)
            visit = None if login is None else Visit(Asked(request, b""), login, self.now_ns())
            phrase = HTTPStatus(status).phrase
            values = {"status": status, "message": str(told), "request_id": request_id}
            response = await self.shown(request, Page("error.html", phrase, values, status), visit)
        response.headers.update(dict(told.headers) | {"x-request-id": request_id})
        return response


def _session_over() -> NotAuthenticated:
    return NotAuthenticated("your session has ended: log in again, and repeat this")


def _csv(sheet: Sheet) -> web.Response:
    text = io.StringIO()
    csv.writer(text).writerows(sheet.rows)
    response = web.Response(text=text.getvalue(), content_type="text/csv", charset="utf-8")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(sheet.name)}"
    return response


def see_other(view: SeeOther) -> web.Response:
    response = web.Response(status=303, headers={"Location": view.path})
    if view.said:
        response.set_cookie(
            SAID_COOKIE,
            quote(view.said[:SAID_CHARACTERS]),
            max_age=60,
            path="/",
            httponly=True,
            samesite="Strict",
        )
    return response
