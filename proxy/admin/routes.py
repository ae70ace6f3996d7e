"""Every route of the admin API, in our words and in LiteLLM's, and those of a key about itself."""

from __future__ import annotations

from aiohttp import web

from ledger.owners import OwnerKind
from proxy.admin import budgets, keys, own_key, owners, reports
from proxy.admin.desk import AdminDesk
from proxy.admin.litellm import groups, models, spend, teams, users
from proxy.admin.litellm import keys as litellm_keys

PREFIX = "/admin/api"


def admin_routes(desk: AdminDesk) -> list[web.RouteDef]:
    """For the admin key alone, but for a monitor's, and a key's about itself."""
    of_owners = [owners.OwnerRoutes(desk, kind).routes(PREFIX) for kind in OwnerKind]
    return [
        *keys.KeyRoutes(desk).routes(PREFIX),
        *(route for routes in of_owners for route in routes),
        *budgets.BudgetRoutes(desk).routes(PREFIX),
        *reports.ReportRoutes(desk).routes(PREFIX),
        *litellm_keys.KeyRoutes(desk).routes(),
        *teams.TeamRoutes(desk).routes(),
        *users.UserRoutes(desk).routes(),
        *groups.OrganizationRoutes(desk).routes(),
        *groups.TagRoutes(desk).routes(),
        *groups.BudgetRoutes(desk).routes(),
        *spend.SpendRoutes(desk).routes(),
        *models.ModelRoutes(desk).routes(),
    ]


def own_routes(desk: AdminDesk, prefix: str) -> list[web.RouteDef]:
    """For whoever has a key, about that key."""
    return own_key.OwnKey(desk).routes(prefix)
