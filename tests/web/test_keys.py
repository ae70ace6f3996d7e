"""The page Keys, in a browser."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ledger.keys import Role
from tests.serving import asking, make_key
from tests.web.browser import Desk, browsing


async def test_a_key_made_in_the_page_works_and_revoked_there_is_refused(desk: Desk) -> None:
    """The secret is shown once and asks a model; what it spent is in the list; within a second of
    its end in the page it is refused."""
    page = desk.page
    await desk.open("/ui/keys")
    await page.get_by_role("link", name="New key").click()
    await page.get_by_label("Name").first.fill("ci of <b>oak</b>")
    await page.get_by_label("Team").fill("research")
    await page.get_by_label("Budget, USD").fill("12.50")
    await desk.pictures("key-new")
    await page.get_by_role("button", name="Make key").click()
    secret = await page.locator("#secret").inner_text()
    await desk.pictures("key-made")
    key = f"Bearer {secret}"
    async with asyncio.timeout(10):
        while (await desk.proxy.get("/models", authorization=key)).status == 401:
            pass
    reply = await desk.proxy.post(asking(), authorization=key)
    assert reply.status == 200
    await desk.open("/ui/keys")
    row = page.get_by_role("row").filter(has_text="ci of <b>oak</b>")
    spent = await row.locator("data.money").first.get_attribute("value")
    assert spent == reply.headers["x-hedgerow-cost-usd"]
    await desk.pictures("keys")
    await row.get_by_role("link").click()
    await page.get_by_label("Requests a minute").fill("600")
    await page.get_by_role("button", name="Set limits").click()
    await page.get_by_role("status").filter(has_text="limits are set").wait_for()
    assert await page.get_by_label("Budget, USD").input_value() == "12.5"
    assert await page.get_by_label("Requests a minute").input_value() == "600"
    await desk.pictures("key")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Revoke").click()
    await page.get_by_role("status").filter(has_text="revoked").wait_for()
    async with asyncio.timeout(10):
        while (await desk.proxy.get("/models", authorization=key)).status != 401:
            pass
    refused = await desk.proxy.post(asking(), authorization=key)
    assert refused.status == 401
    assert "was revoked" in refused.error["message"]


async def test_only_root_hands_out_roles(tmp_path: Path) -> None:
    """Whoever has the admin key makes a person's key; that person makes keys of applications, and
    none with a role, nor a new secret for one."""
    async with browsing(tmp_path) as desk:
        await desk.log_in(path="/ui/keys/new")
        page = desk.page
        await page.locator("#p-name").fill("anna")
        await page.locator("#p-role").select_option("admin")
        await page.get_by_role("button", name="Make a person's key").click()
        secret = await page.locator("#secret").inner_text()
        reply = await desk.proxy.get("/models", authorization=f"Bearer {secret}")
        assert reply.status == 401  # it asks no model
        await page.get_by_role("button", name="Log out").click()
        await desk.log_in(secret, "/ui/keys/new")
        assert await page.get_by_text("For a person").count() == 0
        csrf = await page.locator("input[name=csrf]").first.input_value()
        assert await page.locator(".who .name").inner_text() == "anna"
        desk.expect("403")
        for path, form in (
            ("/ui/keys", {"name": "eve", "role": "approver"}),
            (await _path_of(desk, "bert"), {}),
        ):
            status = await page.evaluate(
                "async ([path, form]) => (await fetch(path, {method: 'POST',"
                " body: new URLSearchParams(form)})).status",
                [path, form | {"csrf": csrf}],
            )
            assert status == 403


async def _path_of(desk: Desk, name: str) -> str:
    """Where an approver's key would be given a new secret."""
    await asyncio.to_thread(make_key, desk.proxy.config, name=name, role=Role.APPROVER)
    found = await desk.proxy.read(lambda store: store.policy.keys())
    (key,) = (one for one in found.values() if one.name == name)
    return f"/ui/keys/{key.id}/rotate"
