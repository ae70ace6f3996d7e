"""The admin API over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ledger.budgets import Budget, Scope
from ledger.errors import KeyRefused
from ledger.money import usd
from ledger.windows import Window
from proxy.admin.books import FileBudget
from proxy.admin.desk import AdminDesk
from proxy.admin.routes import admin_routes
from tests.ledger.databases import Books, on_sqlite
from tests.proxy.admin_server import ADMIN, AdminServer, admin_server

DESK = AdminDesk(cast("Any", None), cast("Any", None), bytes, "", cast("Any", None))
OF_FILE = Budget("all", Scope(), Window.MONTH, "UTC", usd(100))


@pytest.fixture
async def admin(books: Books) -> AsyncIterator[AdminServer]:
    """On SQLite and on PostgreSQL."""
    files = {"all": FileBudget(OF_FILE, "policies/all.yaml")}
    async with admin_server(books, files) as server:
        yield server


def at(server: AdminServer, **later: float) -> str:
    now = datetime.fromtimestamp(server.clock.now_ns() / 1e9, UTC)
    return (now + timedelta(**later)).isoformat()


async def test_the_admin_key_alone_opens_it(admin: AdminServer) -> None:
    """Every route is a 401 without the admin key, with another, and with an application's."""
    made = (await admin.post("/admin/api/keys", {})).body
    of_anybody = ("/health/", "/key/info")
    for route in admin_routes(DESK):
        if route.path.startswith(of_anybody):
            continue
        path = re.sub(r"\{\w+\}", made["id"], route.path)
        for key in (None, "", ADMIN + "x", ADMIN[:-1], made["key"]):
            said = await admin.ask(route.method, path, key=key)
            assert (said.status, said.error["code"]) == (401, "invalid_api_key")


async def test_a_keys_life(admin: AdminServer) -> None:
    """Made, shown, changed, blocked, rotated, revoked: at each step it may what it is told to."""
    said = await admin.post(
        "/admin/api/keys",
        {
            "name": "ci",
            "team": "research",
            "user": "ada",
            "tags": ["x"],
            "models": ["oak"],
            "metadata": {"cost_center": 7},
            "expires_at": at(admin, days=30),
            "limits": {"budget_usd": 12.345678901, "window": "month", "rpm": 60, "tpm": 1000},
        },
    )
    assert said.status == 200
    key, secret = said.body, said.body["key"]
    assert key["limits"] == {
        "budget_usd": 12.345678901,
        "window": "month",
        "soft_budget_usd": None,
        "rpm": 60,
        "tpm": 1000,
        "parallel": None,
    }
    assert (key["metadata"], key["models"], key["blocked"]) == ({"cost_center": 7}, ["oak"], False)
    assert (await admin.owner(secret)).models == frozenset({"oak"})
    path = f"/admin/api/keys/{key['id']}"
    shown = (await admin.get(path)).body
    assert shown == {name: value for name, value in key.items() if name != "key"}

    change = {"models": None, "name": None, "limits": {"rpm": None, "budget_usd": "7"}}
    changed = (await admin.ask("PATCH", path, change)).body
    assert (changed["models"], changed["name"], changed["team"]) == (None, None, "research")
    assert changed["limits"] == key["limits"] | {"budget_usd": 7, "rpm": None}

    assert (await admin.post(f"{path}/block")).body["blocked"] is True
    with pytest.raises(KeyRefused, match="is blocked"):
        await admin.owner(secret)
    assert (await admin.post(f"{path}/unblock")).body["blocked"] is False

    rotated = (await admin.post(f"{path}/rotate", {"grace_s": 60})).body
    assert (rotated["id"], rotated["label"]) != (key["id"], key["label"])
    assert await admin.owner(secret) == await admin.owner(rotated["key"])
    admin.clock.advance(60)
    with pytest.raises(KeyRefused, match="was replaced"):
        await admin.owner(secret)
    await admin.owner(rotated["key"])

    assert (await admin.ask("DELETE", path)).body["revoked_at"] is not None
    with pytest.raises(KeyRefused, match="was revoked"):
        await admin.owner(rotated["key"])
    for again in (admin.post(f"{path}/rotate"), admin.ask("PATCH", path, {})):
        said = await again
        assert (said.status, said.error["code"]) == (409, "conflict")


async def test_pages_of_keys(admin: AdminServer) -> None:
    """Page by page every key of a team comes once."""
    made = []
    for number in range(5):
        admin.clock.advance(1)
        team = "ab"[number % 2]
        made.append((await admin.post("/admin/api/keys", {"team": team})).body["id"])
    found: list[str] = []
    after = ""
    while True:
        page = (await admin.get(f"/admin/api/keys?team=a&limit=2&after={after}")).body
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = page["last_id"]
    assert found == made[::2]


@pytest.mark.parametrize("kind", ["org", "team", "user", "tag"])
async def test_an_owners_life(admin: AdminServer, kind: str) -> None:
    """Made, shown, changed, forgotten; made twice it is a conflict."""
    path = f"/admin/api/{kind}s"
    body = {"id": "a b/ü", "name": "A", "metadata": {"x": 1}, "limits": {"budget_usd": 5}}
    made = (await admin.post(path, body)).body
    assert made["limits"]["window"] == "lifetime"
    said = await admin.post(path, body)
    assert (said.status, said.error["code"]) == (409, "conflict")
    one = f"{path}/a%20b%2F%C3%BC"
    assert (await admin.get(one)).body == made
    change = {"name": "B", "limits": {"budget_usd": None, "parallel": 2}}
    changed = (await admin.ask("PATCH", one, change)).body
    assert (changed["name"], changed["metadata"]) == ("B", {"x": 1})
    assert (changed["limits"]["budget_usd"], changed["limits"]["parallel"]) == (None, 2)
    assert [it["id"] for it in (await admin.get(path)).body["data"]] == ["a b/ü"]
    assert (await admin.ask("DELETE", one)).body["deleted"] is True
    assert (await admin.get(one)).error["code"] == "owner_not_found"


async def test_owners_bar_their_keys(admin: AdminServer) -> None:
    """A team that is blocked bars its keys at once; its models are the most that they may."""
    secret = (await admin.post("/admin/api/keys", {"team": "research"})).body["key"]
    await admin.post("/admin/api/teams", {"id": "research", "models": ["oak"], "org": "acme"})
    who = await admin.owner(secret)
    assert (who.models, who.org) == (frozenset({"oak"}), "acme")
    await admin.post("/admin/api/teams/research/block")
    with pytest.raises(KeyRefused, match="team research is blocked"):
        await admin.owner(secret)
    said = await admin.post("/admin/api/tags", {"id": "x", "blocked": True})
    assert said.status == 400


BUDGET: dict[str, Any] = {
    "name": "research-month",
    "scope": {"team": "research", "user": "*"},
    "window": "rolling:30d",
    "timezone": "Europe/Berlin",
    "cap_usd": 20000.5,
    "at": [
        {"spent": "70%", "notify": ["ops"]},
        {"spent": "85.5%", "route": "cheapest", "throttle": {"requests_per_minute": 10}},
        {"spent": "95%", "only_models": ["oak"]},
        {"spent": "110%", "then": "block"},
    ],
    "mode": "shadow",
    "on_ledger_error": "allow",
}


async def test_a_budgets_life(admin: AdminServer) -> None:
    """What is written is read again, word for word; a budget of a file is read alone."""
    made = (await admin.post("/admin/api/budgets", BUDGET)).body
    assert made == BUDGET | {"id": "research-month", "file": None}
    path = "/admin/api/budgets/research-month"
    assert (await admin.get(path)).body == made
    changed = {"name": "research-month", "scope": {}, "cap_parallel": 3}
    assert (await admin.ask("PUT", path, changed)).body["cap_parallel"] == 3
    listed = (await admin.get("/admin/api/budgets")).body["data"]
    assert [(one["name"], one["file"]) for one in listed] == [
        ("all", "policies/all.yaml"),
        ("research-month", None),
    ]
    for method, body in (("PUT", BUDGET | {"name": "all"}), ("DELETE", None)):
        said = await admin.ask(method, "/admin/api/budgets/all", body)
        assert said.status == 409
        assert "policies/all.yaml" in said.error["message"]
    assert (await admin.post("/admin/api/budgets", BUDGET | {"name": "all"})).status == 409
    assert (await admin.ask("DELETE", path)).body["deleted"] is True
    assert (await admin.get(path)).error["code"] == "budget_not_found"


async def test_limits_are_changed_at_their_owner(admin: AdminServer) -> None:
    """A limit is a budget, and no route for budgets takes it away."""
    key = (await admin.post("/admin/api/keys", {"limits": {"rpm": 1}})).body["id"]
    name = f"key%20{key}%20rpm"
    assert (await admin.get(f"/admin/api/budgets/{name}")).body["cap_requests"] == 1
    said = await admin.ask("DELETE", f"/admin/api/budgets/{name}")
    assert (said.status, said.error["code"]) == (409, "conflict")


async def test_increases(admin: AdminServer) -> None:
    """Of a budget of a file, or of the books, in its own unit; until they are ended."""
    body = {"budget": "all", "by_usd": 50, "until": at(admin, days=1), "name": "release week"}
    made = (await admin.post("/admin/api/increases", body)).body
    assert (made["by_usd"], made["member"], made["name"]) == (50, None, "release week")
    assert (await admin.get("/admin/api/increases")).body["data"] == [made]
    for wrong in ({"by": 5}, {"by_usd": 0}, {"by_usd": None}, {"until": at(admin, days=-1)}):
        assert (await admin.post("/admin/api/increases", body | wrong)).status == 400
    assert (await admin.post("/admin/api/increases", body | {"budget": "no"})).status == 404
    path = f"/admin/api/increases/{made['id']}"
    assert (await admin.ask("DELETE", path)).body["ended"] is True
    assert (await admin.ask("DELETE", path)).error["code"] == "increase_not_found"
    assert (await admin.get("/admin/api/increases")).body["data"] == []


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("keys", {"teem": "x"}, "teem"),
        ("keys", {"team": " x"}, "team"),
        ("keys", {"team": 5}, "team"),
        ("keys", {"models": ["yew"]}, "models"),
        ("keys", {"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ("keys", {"limits": {"budget_usd": -1}}, "limits.budget_usd"),
        ("keys", {"limits": {"budget_usd": 0.0000000001}}, "limits.budget_usd"),
        ("keys", {"limits": {"rpm": -1}}, "limits.rpm"),
        ("keys", {"limits": {"window": "month"}}, "limits.window"),
        ("keys", {"limits": {"budget_usd": 1, "window": "moon"}}, "limits.window"),
        ("keys", {"limits": {"burst": 1}}, "burst"),
        ("keys", {"metadata": {"x": "y" * 20_000}}, "metadata"),
        ("teams", {}, "id"),
        ("budgets", BUDGET | {"name": "key x"}, "name"),
        ("budgets", BUDGET | {"name": "x throttle at 90%"}, "name"),
        ("budgets", BUDGET | {"at": [{"spent": "90%"}, {"spent": "90.0%"}]}, "at"),
        ("teams", {"id": "*"}, "id"),
        ("budgets", BUDGET | {"cap_tokens": 1}, "cap_usd"),
        ("budgets", BUDGET | {"cap_usd": None}, "cap_usd"),
        ("budgets", BUDGET | {"window": None}, "window"),
        ("budgets", BUDGET | {"timezone": "Europe"}, "timezone"),
        ("budgets", BUDGET | {"scope": {"galaxy": "x"}}, "galaxy"),
        ("budgets", BUDGET | {"at": [{"spent": "0%"}]}, "at[0].spent"),
        (
            "budgets",
            BUDGET | {"at": [{"spent": "5%", "only_models": ["yew"]}]},
            "at[0].only_models",
        ),
    ],
)
async def test_what_does_not_fit_is_named(
    tmp_path: Path, path: str, body: dict[str, Any], param: str
) -> None:
    """A 400 that names the field, unknown ones included; nothing is kept of it."""
    async with admin_server(on_sqlite(tmp_path)()) as admin:
        said = await admin.post(f"/admin/api/{path}", body)
        assert said.status == 400
        assert param in f"{said.error['param']} {said.error['message']}"
        assert (await admin.get(f"/admin/api/{path}")).body["data"] == []


async def test_litellms_routes_on_either_database(admin: AdminServer) -> None:
    """What is told of keys, teams, users, plans and spend is read from both alike."""
    await admin.post("/budget/new", {"budget_id": "tier", "max_budget": 5, "rpm_limit": 9})
    await admin.post("/team/new", {"team_id": "t", "max_budget": 10, "budget_duration": "30d"})
    made = (
        await admin.post("/key/generate", {"team_id": "t", "user_id": "ada", "budget_id": "tier"})
    ).body
    await admin.post("/user/new", {"user_id": "ada", "auto_create_key": False})
    info = (await admin.get(f"/key/info?key={made['token']}")).body["info"]
    assert (info["max_budget"], info["rpm_limit"], info["spend"]) == (5, 9, 0)
    team = (await admin.get("/team/info?team_id=t")).body
    assert [one["token"] for one in team["keys"]] == [made["token"]]
    assert (await admin.get("/user/info?user_id=ada")).body["teams"][0]["team_id"] == "t"
    assert (await admin.get("/key/list?user_id=ada")).body["keys"] == [made["token"]]
    assert (await admin.get(f"/key/list?key_hash={made['token']}")).body["total_count"] == 1
    days = "start_date=2027-01-01&end_date=2027-01-31"
    for path in (
        "/spend/logs",
        f"/spend/logs?{days}",
        f"/spend/logs?{days}&summarize=false&api_key={made['token']}",
        f"/global/spend/report?{days}",
        f"/global/spend/report?{days}&group_by=api_key",
    ):
        assert (await admin.get(path)).body == []
    assert (await admin.get("/global/spend")).body == {"spend": 0, "max_budget": None}
    for wrong in ("start_date=2027-01-02&end_date=2027-01-01", "start_date=x&end_date=x", "team=t"):
        assert (await admin.get(f"/global/spend/report?{wrong}")).status == 400
    (gone,) = (await admin.post("/team/delete", {"team_ids": ["t"]})).body
    assert gone["team_id"] == "t"
    with pytest.raises(KeyRefused, match="was revoked"):
        await admin.owner(made["key"])
    said = await admin.post("/team/delete", {"team_ids": ["t"]})
    assert (said.status, said.error["code"]) == (404, "owner_not_found")
