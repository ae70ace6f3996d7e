"""Every route of the admin API."""

from __future__ import annotations

from aiohttp import web

from ledger.owners import OwnerKind
from proxy.admin.budgets import BudgetRoutes
from proxy.admin.desk import AdminDesk
from proxy.admin.keys import KeyRoutes
from proxy.admin.owners import OwnerRoutes
from proxy.admin.reports import ReportRoutes

PREFIX = "/admin/api"


def admin_routes(desk: AdminDesk) -> list[web.RouteDef]:
    """For the admin key alone."""
    owners = [OwnerRoutes(desk, kind).routes(PREFIX) for kind in OwnerKind]
    return [
        *KeyRoutes(desk).routes(PREFIX),
        *(route for routes in owners for route in routes),
        *BudgetRoutes(desk).routes(PREFIX),
        *ReportRoutes(desk).routes(PREFIX),
    ]
