"""LiteLLM's management routes: what platform teams script against them, on a proxy that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.admin_server import Said
from tests.serving import MODEL, PACED, PATIENCE_S, Gate, Proxy, asking, serving

ADMIN = "sk-master-1234-of-these-tests"


@dataclass
class Script:
    """A script of a platform team, with the master key."""

    proxy: Proxy

    async def ask(self, method: str, path: str, body: Any = None, key: str = ADMIN) -> Said:
        url = self.proxy.server.admin_url + path
        headers = {"authorization": f"Bearer {key}"}
        async with self.proxy.http.request(method, url, json=body, headers=headers) as response:
            return Said(response.status, await response.json())

    async def get(self, path: str, key: str = ADMIN) -> Any:
        said = await self.ask("GET", path, key=key)
        assert said.status == 200, said.body
        return said.body

    async def post(self, path: str, **body: Any) -> Any:
        said = await self.ask("POST", path, body)
        assert said.status == 200, said.body
        return said.body

    async def refused(self, path: str, **body: Any) -> dict[str, Any]:
        said = await self.ask("POST", path, body)
        assert 400 <= said.status < 500
        return said.error | {"status": said.status}

    async def chat(self, key: str, **more: Any) -> Any:
        return await self.proxy.post(asking(**more), authorization=f"Bearer {key}")

    async def until(self, key: str, status: int) -> Any:
        """Ask with a key until it is answered so: changes act within a second."""
        async with asyncio.timeout(PATIENCE_S):
            while (reply := await self.chat(key)).status != status:
                pass
        return reply


@pytest.fixture
async def script(tmp_path: Path) -> AsyncIterator[Script]:
    async with serving(tmp_path, server=f"{{port: 0, admin_key: {ADMIN}}}") as proxy:
        yield Script(proxy)


async def test_what_platform_teams_script(script: Script) -> None:
    """A team, a key for it, requests, spend by key, user, team and day, a block, a new secret and
    the end: each step tells what LiteLLM's tells, and acts."""
    team = await script.post(
        "/team/new",
        team_alias="Research",
        team_id="lab",
        max_budget=100.0,
        budget_duration="30d",
        models=[MODEL],
        metadata={"cost_center": 7},
        members_with_roles=[{"role": "admin", "user_id": "ada"}],
    )
    assert (team["team_id"], team["max_budget"], team["spend"]) == ("lab", 100, 0)
    assert (team["budget_duration"], team["models"]) == ("30d", [MODEL])
    assert team["budget_reset_at"].endswith("-01T00:00:00Z")  # the first of the month, as there

    made = await script.post(
        "/key/generate",
        key_alias="lab-ci",
        team_id="lab",
        user_id="ada",
        models=[],
        max_budget=10,
        budget_duration="1d",
        rpm_limit=100_000,
        tpm_limit=100_000_000,
        max_parallel_requests=5,
        metadata={"service": "ci"},
        duration="30d",
        tags=["nightly"],
    )
    key = made["key"]
    assert made["token"] == made["token_id"] == sha256(key.encode()).hexdigest()
    assert key.startswith("sk-")
    assert made["key_name"] == f"sk-...{key[-4:]}"

    assert (await script.until(key, 200)).json["choices"]
    spent = float((await script.chat(key)).headers["x-hedgerow-cost-usd"])
    info = await script.get(f"/key/info?key={key}")
    assert info["key"] == key
    assert info["info"]["spend"] == pytest.approx(2 * spent)
    assert info["info"]["status"] == "active"
    assert info["info"]["metadata"] == {"service": "ci"}
    limits = {"max_budget": 10, "budget_duration": "1d", "rpm_limit": 100_000, "tpm_limit": 10**8}
    assert {name: info["info"][name] for name in limits} == limits
    assert (await script.get("/key/info", key=key))["info"] == info["info"]
    assert (await script.get(f"/key/info?key={made['token']}"))["info"] == info["info"]

    whole = await script.get("/team/info?team_id=lab")
    assert whole["team_info"]["spend"] == info["info"]["spend"]
    assert [one["token"] for one in whole["keys"]] == [made["token"]]
    assert [one["user_id"] for one in whole["team_memberships"]] == ["ada"]

    logs = await script.get(f"/spend/logs?api_key={key}")
    assert len(logs) == 2
    assert {(one["api_key"], one["team_id"], one["user"], one["model_group"]) for one in logs} == {
        (made["token"], "lab", "ada", MODEL)
    }
    assert sum(one["spend"] for one in logs) == pytest.approx(2 * spent)
    day = datetime.now(UTC).date()
    days = f"start_date={day - timedelta(days=1)}&end_date={day}"
    (daily,) = await script.get(f"/spend/logs?{days}&api_key={key}")
    assert daily["startTime"] == day.isoformat()
    assert daily["users"] == {"ada": daily["spend"]} == {"ada": daily["models"][MODEL]}
    (report,) = await script.get(f"/global/spend/report?{days}&group_by=team")
    assert [one["team_name"] for one in report["teams"]] == ["Research"]
    assert report["teams"][0]["metadata"][0]["api_key"] == made["token"]
    (by_key,) = await script.get(f"/global/spend/report?{days}&group_by=api_key")
    assert by_key["total_cost"] == report["teams"][0]["total_spend"] == daily["spend"]
    assert (await script.get("/global/spend"))["spend"] == daily["spend"]

    assert (await script.post("/key/block", key=key))["blocked"] is True
    await script.until(key, 401)
    await script.post("/key/unblock", key=key)
    await script.until(key, 200)

    renewed = (await script.post("/key/regenerate", key=key))["key"]
    await script.until(renewed, 200)
    assert (await script.chat(key)).status == 401
    assert await script.get("/key/list?team_id=lab") == {
        "keys": [sha256(renewed.encode()).hexdigest()],
        "total_count": 1,
        "current_page": 1,
        "total_pages": 1,
    }

    await script.post("/team/block", team_id="lab")
    await script.until(renewed, 401)
    await script.post("/team/unblock", team_id="lab")
    await script.until(renewed, 200)
    (gone,) = await script.post("/team/delete", team_ids=["lab"])
    assert gone["team_id"] == "lab"
    await script.until(renewed, 401)
    assert (await script.get(f"/key/info?key={renewed}"))["info"]["status"] == "deleted"


async def test_a_budget_refuses(script: Script) -> None:
    """A key's max_budget ends its requests with a 402 that says so; a raised one lets them on, and
    a temporary increase, too."""
    key = (await script.post("/key/generate", max_budget=0.0000001, key_alias="ci"))["key"]
    reply = await script.until(key, 402)
    assert "the own limit of key ci" in reply.error["message"]
    assert reply.error["code"] == "budget_exceeded"
    await script.post("/key/update", key=key, max_budget=1)
    await script.until(key, 200)
    await script.post("/key/update", key=key, max_budget=0.0000001)
    await script.until(key, 402)
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    told = await script.post(
        "/key/update", key=key, temp_budget_increase=1, temp_budget_expiry=until
    )
    assert told["max_budget"] == pytest.approx(0.0000001)
    await script.until(key, 200)


async def test_limits_of_models_and_windows(script: Script) -> None:
    """Per-model budgets and further windows are budgets of their own; a change of one dimension
    leaves the others."""
    key = (
        await script.post(
            "/key/generate",
            max_budget=50,
            budget_duration="7d",
            model_max_budget={MODEL: {"budget_limit": 5, "time_period": "1d"}},
            model_rpm_limit={MODEL: 7},
            budget_limits=[{"budget_duration": "1h", "max_budget": 2}],
        )
    )["key"]
    await script.post("/key/update", key=key, model_tpm_limit={MODEL: 900}, rpm_limit=30)
    told = (await script.get(f"/key/info?key={key}"))["info"]
    assert told["model_max_budget"] == {MODEL: {"max_budget": 5, "budget_duration": "1d"}}
    assert (told["model_rpm_limit"], told["model_tpm_limit"]) == ({MODEL: 7}, {MODEL: 900})
    assert (told["max_budget"], told["budget_duration"], told["rpm_limit"]) == (50, "7d", 30)
    (further,) = told["budget_limits"]
    assert (further["budget_duration"], further["max_budget"]) == ("1h", 2)
    await script.post("/key/update", key=key, model_max_budget={}, budget_limits=None)
    told = (await script.get(f"/key/info?key={key}"))["info"]
    assert (told["model_max_budget"], told["budget_limits"]) == ({}, [])
    assert (told["model_rpm_limit"], told["max_budget"]) == ({MODEL: 7}, 50)


async def test_budgets_that_many_keys_have(script: Script) -> None:
    """A change of a budget_id changes every key that has it; each counts for itself."""
    await script.post("/budget/new", budget_id="tier-1", max_budget=5, rpm_limit=10)
    first = (await script.post("/key/generate", budget_id="tier-1"))["key"]
    second = (await script.post("/key/generate", budget_id="tier-1"))["key"]
    await script.post("/budget/update", budget_id="tier-1", rpm_limit=20, budget_duration="1d")
    for key in (first, second):
        told = (await script.get(f"/key/info?key={key}"))["info"]
        assert (told["budget_id"], told["max_budget"], told["rpm_limit"]) == ("tier-1", 5, 20)
        assert told["budget_duration"] == "1d"
    refused = await script.refused("/key/update", key=first, max_budget=9)
    assert (refused["status"], refused["param"]) == (400, "budget_id")
    await script.post("/key/update", key=first, budget_id=None, max_budget=9)
    assert (await script.get(f"/key/info?key={first}"))["info"]["max_budget"] == 9
    (told,) = await script.post("/budget/info", budgets=["tier-1"])
    assert (told["budget_id"], told["max_budget"], told["budget_duration"]) == ("tier-1", 5, "1d")
    await script.post("/budget/delete", id="tier-1")
    assert (await script.get(f"/key/info?key={second}"))["info"]["max_budget"] is None
    assert await script.get("/budget/list") == []


async def test_users_customers_organizations_tags(script: Script) -> None:
    """Each is made, told, changed and deleted; a user's key ends with the user."""
    user = await script.post("/user/new", user_id="ada", user_email="ada@example.com", max_budget=3)
    await script.until(user["key"], 200)
    await script.post("/user/update", user_id="ada", rpm_limit=50)
    told = await script.get("/user/info?user_id=ada")
    assert told["user_info"]["user_email"] == "ada@example.com"
    assert (told["user_info"]["max_budget"], told["user_info"]["rpm_limit"]) == (3, 50)
    assert [one["user_id"] for one in told["keys"]] == ["ada"]
    listed = await script.get("/user/list")
    assert ([one["user_id"] for one in listed["users"]], listed["total"]) == (["ada"], 1)
    await script.post("/user/delete", user_ids=["ada"])
    await script.until(user["key"], 401)

    await script.post("/customer/new", user_id="acme", alias="Acme", max_budget=7)
    told = await script.get("/customer/info?end_user_id=acme")
    assert (told["alias"], told["litellm_budget_table"]["max_budget"]) == ("Acme", 7)
    await script.post("/customer/delete", user_ids=["acme"])

    org = await script.post("/organization/new", organization_alias="Acme", max_budget=9)
    told = await script.get(f"/organization/info?organization_id={org['organization_id']}")
    assert (told["organization_alias"], told["max_budget"]) == ("Acme", 9)
    gone = await script.ask(
        "DELETE", "/organization/delete", {"organization_ids": [org["organization_id"]]}
    )
    assert gone.status == 200

    await script.post("/tag/new", name="nightly", description="Jobs", max_budget=4)
    told = await script.post("/tag/info", names=["nightly"])
    assert (told["nightly"]["description"], told["nightly"]["max_budget"]) == ("Jobs", 4)
    await script.post("/tag/delete", name="nightly")
    assert await script.get("/tag/list") == []


async def test_members_of_teams(script: Script) -> None:
    """A member's budget in a team is within the team's; each member's by default."""
    await script.post("/team/new", team_id="t", max_budget=100, team_member_budget=5)
    await script.post(
        "/team/member_add",
        team_id="t",
        member={"role": "user", "user_id": "ada"},
        max_budget_in_team=0.0000001,
    )
    ada = (await script.post("/key/generate", team_id="t", user_id="ada"))["key"]
    bob = (await script.post("/key/generate", team_id="t", user_id="bob"))["key"]
    await script.until(ada, 402)
    await script.until(bob, 200)
    told = await script.get("/team/info?team_id=t")
    assert told["team_info"]["max_budget"] == 100
    assert told["team_memberships"][0]["litellm_budget_table"]["max_budget"] == pytest.approx(1e-7)
    await script.post("/team/member_update", team_id="t", user_id="ada", max_budget_in_team=1)
    await script.until(ada, 200)
    await script.post("/team/member_delete", team_id="t", user_id="ada")
    assert (await script.get("/team/info?team_id=t"))["team_memberships"] == []


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/key/generate", {"guardrails": ["pii"]}, "guardrails"),
        ("/key/generate", {"router_settings": {"num_retries": 5}}, "router_settings"),
        ("/key/generate", {"aliases": {"gpt-4": "x"}}, "aliases"),
        ("/key/generate", {"allowed_routes": ["/chat"]}, "allowed_routes"),
        ("/key/generate", {"spend": 3.5}, "spend"),
        ("/key/generate", {"key_type": "management"}, "key_type"),
        ("/key/generate", {"models": ["gpt-99"]}, "models"),
        ("/key/generate", {"team_id": "nobody"}, "team_id"),
        ("/key/generate", {"max_budget": -1}, "max_budget"),
        ("/key/generate", {"max_budget": 1, "budget_duration": "5x"}, "budget_duration"),
        ("/key/generate", {"max_budget": 1, "budget_duration": "30s"}, "budget_duration"),
        ("/key/generate", {"soft_budget": 1}, "soft_budget"),
        ("/key/generate", {"key": "sk-short"}, "key"),
        ("/key/generate", {"key": "sk-with a space in its middle"}, "key"),
        ("/key/generate", {"key": "no-prefix-but-long-enough"}, "key"),
        ("/key/update", {"max_budget": 1}, "key"),
        ("/team/new", {"model_aliases": {"a": "b"}}, "model_aliases"),
        ("/user/new", {"user_role": "proxy_admin"}, "user_role"),
        ("/budget/new", {"max_budget": 1, "model_max_budget": {"x": {}}}, "model_max_budget"),
        ("/customer/new", {"user_id": "x", "default_model": "gpt-4"}, "default_model"),
    ],
)
async def test_what_is_not_honoured_is_named(
    script: Script, path: str, body: dict[str, Any], param: str
) -> None:
    """A field that would change what a key may do, and cannot here, is a 400 that names it."""
    refused = await script.refused(path, **body)
    assert (refused["status"], refused["param"]) == (400, param)


async def test_nothing_is_written_out_as_well(script: Script) -> None:
    """Fields at the values that mean nothing are what clients fill in: they are no refusal."""
    made = await script.post(
        "/key/generate",
        guardrails=[],
        router_settings=None,
        aliases={},
        config={},
        spend=0,
        permissions={},
        send_invite_email=False,
        auto_rotate=False,
        models=[],
    )
    await script.until(made["key"], 200)


async def test_who_may_ask(script: Script) -> None:
    """The master key alone; a key about itself, and no other; monitors without any."""
    mine = (await script.post("/key/generate", key_alias="mine"))["key"]
    other = (await script.post("/key/generate", key_alias="other"))["key"]
    for path in ("/key/list", "/team/list", "/spend/logs", f"/key/info?key={other}"):
        assert (await script.ask("GET", path, key=mine)).status == 401
    assert (await script.ask("POST", "/key/generate", {}, key=mine)).status == 401
    assert (await script.get("/key/info", key=mine))["info"]["key_alias"] == "mine"
    assert (await script.refused("/key/generate", key_alias="mine"))["status"] == 409
    assert await script.get("/health/liveliness", key="") == "I'm alive!"
    assert (await script.get("/health/readiness", key=""))["status"] == "healthy"
    (model,) = (await script.get("/model/info"))["data"]
    assert model["model_name"] == MODEL
    assert model["model_info"]["input_cost_per_token"] == pytest.approx(1e-6)


async def test_a_key_about_itself(script: Script) -> None:
    """/v1/key and /v1/credits say what a key may spend and has spent, as OpenRouter's do."""
    key = (
        await script.post("/key/generate", key_alias="app", max_budget=2, budget_duration="1mo")
    )["key"]
    cost = float((await script.until(key, 200)).headers["x-hedgerow-cost-usd"])
    told = (await script.get("/v1/key", key=key))["data"]
    assert (told["label"], told["limit"], told["limit_reset"]) == ("app", 2, "monthly")
    assert told["limit_remaining"] == pytest.approx(2 - cost)
    for name in ("usage", "usage_daily", "usage_weekly", "usage_monthly"):
        assert told[name] == pytest.approx(cost)
    credits_ = (await script.get("/api/v1/credits", key=key))["data"]
    assert credits_["total_credits"] == 2
    assert credits_["total_usage"] == pytest.approx(cost)
    assert (await script.ask("GET", "/v1/key", key="sk-nobody")).status == 401


async def test_an_address_of_its_own(tmp_path: Path) -> None:
    """With server.admin the admin API is there alone, and the proxy where it was."""
    server = f"{{port: 0, admin_key: {ADMIN}, admin: {{port: 0}}}}"
    async with serving(tmp_path, server=server) as proxy:
        script = Script(proxy)
        made = await script.post("/key/generate")
        await script.until(made["key"], 200)
        assert proxy.server.admin_url != proxy.base_url.removesuffix("/v1")
        url = proxy.base_url.removesuffix("/v1") + "/key/generate"
        headers = {"authorization": f"Bearer {ADMIN}"}
        async with proxy.http.post(url, json={}, headers=headers) as response:
            assert response.status == 404


async def test_without_a_key_there_is_no_admin_api(tmp_path: Path) -> None:
    """No server.admin_key: its routes are a 404 like any other."""
    async with serving(tmp_path) as proxy:
        url = proxy.base_url.removesuffix("/v1")
        for path in ("/key/generate", "/admin/api/keys"):
            async with proxy.http.post(url + path, json={}) as response:
                assert response.status == 404


async def test_rates_of_a_key(script: Script) -> None:
    """A key's rpm_limit and tpm_limit are a 429 that says when to come back; what was refused has
    taken nothing of them."""
    few = (await script.post("/key/generate", rpm_limit=2))["key"]
    small = (await script.post("/key/generate", tpm_limit=5))["key"]
    await script.until(few, 200)
    reply = await script.until(few, 429)
    assert reply.error["code"] == "rate_limit_exceeded"
    assert 0 < int(reply.headers["retry-after"]) <= 60
    reply = await script.until(small, 429)
    assert reply.error["code"] == "rate_limit_exceeded"
    told = await script.get(f"/admin/api/balances?budget=key%20{await id_of(script, few)}%20rpm")
    (balance,) = told["data"]
    assert balance["cap_requests"] == 2
    assert balance["spent_requests"] + balance["held_requests"] <= 2
    told = await script.get(f"/admin/api/balances?budget=key%20{await id_of(script, small)}%20tpm")
    assert [one["spent_tokens"] for one in told["data"]] == [0]


async def id_of(script: Script, key: str) -> str:
    found: str = (await script.get(f"/key/info?key={key}"))["info"]["key_id"]
    return found


async def test_one_request_at_a_time(tmp_path: Path) -> None:
    """max_parallel_requests: one more at once is a 429, and when the first is over, a 200."""
    gate = Gate(0)
    server = f"{{port: 0, admin_key: {ADMIN}}}"
    async with serving(tmp_path, server=server, behaviour=PACED, gate=gate) as proxy:
        script = Script(proxy)
        key = (await script.post("/key/generate", max_parallel_requests=1))["key"]
        async with asyncio.timeout(PATIENCE_S):
            while (await proxy.get("/models", authorization=f"Bearer {key}")).status == 401:
                pass
        first = asyncio.create_task(script.chat(key))
        await proxy.a.tally.until(lambda tally: tally.requests == 1)
        second = await script.chat(key)
        assert (second.status, second.error["code"]) == (429, "concurrency_limit_exceeded")
        gate.open()
        assert (await first).status == 200
        assert (await script.until(key, 200)).status == 200


async def test_spend_and_requests_in_our_words(script: Script) -> None:
    """/admin/api/spend has the rows of `hedgerow spend`; a request is told with its charges."""
    key = (await script.post("/key/generate", user_id="ada", tags=["x"]))["key"]
    reply = await script.until(key, 200)
    cost = float(reply.headers["x-hedgerow-cost-usd"])
    for by, name in (("user", "ada"), ("tag", "x"), ("key", await id_of(script, key))):
        told = await script.get(f"/admin/api/spend?by={by}")
        assert [(one[by], one["requests"]) for one in told["rows"]] == [(name, 1)]
        assert told["rows"][0]["cost_usd"] == told["total"]["cost_usd"] == pytest.approx(cost)
    where = "by=user&per=month&timezone=Asia/Kathmandu&from=2001-01-01"
    told = await script.get(f"/admin/api/spend?{where}")
    assert [(len(one["month"]), one["user"], one["requests"]) for one in told["rows"]] == [
        (7, "ada", 1)
    ]
    assert (told["from"], told["to"]) == ("2000-12-31T18:15:00Z", None)
    for wrong in ("timezone=Europe/Berln", "per=hour", "by=day&per=month", "zone=UTC"):
        refused = await script.ask("GET", f"/admin/api/spend?{wrong}")
        assert (refused.status, refused.error["param"]) == (400, wrong.split("&")[-1].split("=")[0])
    team = await script.post("/team/new", team_alias="qa")
    its = (await script.post("/key/generate", team_id=team["team_id"], key_alias="ci"))["key"]
    await script.until(its, 200)
    for by, called in (("team", "qa"), ("key", "ci"), ("user", None)):
        rows = (await script.get(f"/admin/api/spend?by={by}"))["rows"]
        assert called in [one[f"{by}_name"] for one in rows]
    assert (await script.get("/admin/api/spend?to=2001-01-01"))["rows"] == []
    assert (await script.ask("GET", "/admin/api/spend?by=moon")).status == 400
    assert (await script.ask("GET", "/admin/api/spend?from=yesterday")).error["param"] == "from"

    told = await script.get(f"/admin/api/requests/{reply.headers['x-request-id']}")
    assert (told["outcome"], told["status"], told["user"]) == ("answered", 200, "ada")
    assert told["decision"]["candidates"]
    assert [one["cost_usd"] for one in told["charges"]] == [pytest.approx(cost)]
    gone = await script.ask("GET", "/admin/api/requests/req_none")
    assert (gone.status, gone.error["code"]) == (404, "request_not_found")


async def test_soft_budgets(tmp_path: Path) -> None:
    """With channels under `notify` a soft budget is kept: beside a cap, or alone, when it refuses
    nothing."""
    server, more = f"{{port: 0, admin_key: {ADMIN}}}", "notify: {ops: {kind: log}}"
    async with serving(tmp_path, server=server, more=more) as proxy:
        script = Script(proxy)
        alone = (await script.post("/key/generate", soft_budget=0.0000001))["key"]
        for _ in range(2):
            await script.until(alone, 200)
        told = (await script.get(f"/key/info?key={alone}"))["info"]
        assert (told["max_budget"], told["soft_budget"]) == (None, pytest.approx(1e-7))
        both = (await script.post("/key/generate", soft_budget=8, max_budget=10))["key"]
        await script.post("/key/update", key=both, rpm_limit=5)
        told = (await script.get(f"/key/info?key={both}"))["info"]
        assert (told["max_budget"], told["soft_budget"], told["rpm_limit"]) == (10, 8, 5)
        refused = await script.refused("/key/update", key=both, soft_budget=11)
        assert refused["param"] == "soft_budget"


async def test_secrets_that_somebody_chose(script: Script) -> None:
    """They work as they are, and nobody gets one that is there already."""
    chosen, other = "sk-chosen-by-a-platform-team", "sk-chosen-by-another-team"
    assert (await script.post("/key/generate", key=chosen))["key"] == chosen
    await script.until(chosen, 200)
    made = (await script.post("/key/generate"))["key"]
    assert (await script.refused("/key/generate", key=chosen))["status"] == 409
    assert (await script.refused("/key/regenerate", key=made, new_key=chosen))["status"] == 409
    await script.post("/key/regenerate", key=made, new_key=other, grace_period="1h")
    await script.until(other, 200)
    assert (await script.chat(made)).status == 200
    told = (await script.get("/key/info", key=made))["info"]
    assert told["token"] == sha256(other.encode()).hexdigest()
    assert told["key_name"] == f"sk-...{made[-4:]}"
