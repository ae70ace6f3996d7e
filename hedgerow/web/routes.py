"""Every route of the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from hedgerow.config import Config
from hedgerow.web.assets import read_assets
from hedgerow.web.desk import NavItem, WebDesk, see_other
from hedgerow.web.login_page import LoginPage
from hedgerow.web.pages.budgets import BudgetsPage
from hedgerow.web.pages.hedge import HedgePage
from hedgerow.web.pages.keys import KeysPage
from hedgerow.web.pages.market import MarketPage
from hedgerow.web.pages.reports import ReportsPage
from hedgerow.web.pages.requests import SpendPages
from hedgerow.web.pages.routing import RoutingPage
from hedgerow.web.report_maker import ReportMaker
from hedgerow.web.templating import templates
from hedgerow.web.tries import Tries
from hedgerow.web.views import SeeOther, View
from hedgerow.web.visits import Visit
from proxy.admin.desk import AdminDesk
from proxy.errors import NotFound
from proxy.house import House


class PageRoutes(Protocol):
    """A page, with all that it fetches and changes."""

    def routes(self) -> list[web.RouteDef]: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A page, and where the bar has it."""

    nav: NavItem
    page: Callable[[WebDesk], PageRoutes]


PAGES: tuple[Entry, ...] = (
    Entry(NavItem("Spend", "/ui/spend"), SpendPages),
    Entry(NavItem("Budgets", "/ui/budgets"), BudgetsPage),
    Entry(NavItem("Market", "/ui/market"), MarketPage),
    Entry(NavItem("Routing", "/ui/routing"), RoutingPage),
    Entry(NavItem("Hedge", "/ui/hedge"), HedgePage),
    Entry(NavItem("Keys", "/ui/keys"), KeysPage),
    Entry(NavItem("Reports", "/ui/reports"), ReportsPage),
)
"""In the order of the bar; `/` leads to the first."""


def web_desk(admin: AdminDesk, house: House, config: Config, reports: ReportMaker) -> WebDesk:
    """Reads the styles and scripts from disk: not on the event loop."""
    assets = read_assets()
    nav = tuple(one.nav for one in PAGES)
    return WebDesk(admin, house, config, assets, templates(assets), reports, nav)


def web_routes(desk: WebDesk) -> list[web.RouteDef]:
    """Those that open nothing without a login come first; what no route has is a page, too."""

    async def start(_request: web.Request) -> web.Response:
        return see_other(SeeOther(PAGES[0].nav.path))

    async def missing(visit: Visit) -> View:
        raise NotFound(f"there is no page {visit.path[:200]} here", code="unknown_url")

    return [
        web.get("/", start),
        *desk.assets.routes(),
        *LoginPage(desk, Tries(desk.admin.clock.monotonic_s)).routes(),
        *(route for one in PAGES for route in one.page(desk).routes()),
        web.get("/ui", start),
        web.route("*", "/ui/{path:.*}", desk.page(missing)),
    ]
