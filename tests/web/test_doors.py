"""Who gets into the dashboard, how far, and for how long."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from hedgerow.books import books
from hedgerow.config import Config
from hedgerow.web.desk import WebDesk
from hedgerow.web.headers import HEADERS, guarded
from hedgerow.web.login_page import next_of
from hedgerow.web.routes import web_desk, web_routes
from hedgerow.web.tries import IN_ALL, OF_ADDRESS, WITHIN_S, Tries
from ledger.keys import KeyRecord, Role, hash_of, label_of, new_key
from ledger.tables.sessions import IDLE_NS, LASTS_NS, MOST_OF_A_KEY
from proxy.admin.desk import AdminDesk
from proxy.clock import SystemClock
from proxy.house import House
from tests.ledger.databases import Postgres
from tests.serving import ManualClock, Proxy, asking, make_key, serving
from tests.web.browser import ADMIN
from tests.web.visitor import SAME_SITE, Visitor, visiting

SERVER = f"{{port: 0, admin_key: {ADMIN}}}"


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with serving(tmp_path, server=SERVER) as proxy:
        yield proxy


async def person(proxy: Proxy, role: Role, name: str = "anna") -> str:
    return await asyncio.to_thread(make_key, proxy.config, name=name, role=role)


# -- in


async def test_a_login(proxy: Proxy) -> None:
    """Who has a key with a role comes in, where they wanted to; the cookie is out of the reach of
    scripts and of other sites. An application's key opens nothing."""
    async with visiting(proxy) as somebody:
        first = await somebody.get("/ui/keys?q=oak&all=1")
        asked = "%2Fui%2Fkeys%3Fq%3Doak%26all%3D1"
        assert (first.status, first.location) == (303, f"/ui/login?next={asked}")
        for wrong in ("", "nonsense", proxy.key):
            answer = await somebody.log_in(wrong)
            assert answer.status == 401
            assert "This key opens nothing here" in answer.text
        answer = await somebody.log_in(await person(proxy, Role.READER), "/ui/reports")
        assert (answer.status, answer.location) == (303, "/ui/reports")
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("hedgerow=")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert (await somebody.get("/ui/reports")).status == 200


async def test_over_https(proxy: Proxy) -> None:
    """Behind a proxy that speaks https the cookie is one that no plain connection ever carries."""
    async with visiting(proxy) as somebody:
        https = {"X-Forwarded-Proto": "https"}
        page = await somebody.get("/ui/login", **https)
        token = re.search(r'name="form_token" value="(\w+)"', page.text)
        assert token is not None
        answer = await somebody.ask(
            "POST",
            "/ui/login",
            data={"key": ADMIN, "form_token": token[1]},
            headers=SAME_SITE | https | {"Cookie": f"hedgerow-form={token[1]}"},
        )
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-hedgerow=")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        token_sent = cookie.split(";")[0]
        plain = await somebody.ask("GET", "/ui/keys", headers={"Cookie": token_sent})
        assert plain.status == 303  # over http that cookie counts for nothing
        secure = await somebody.ask("GET", "/ui/keys", headers={"Cookie": token_sent} | https)
        assert secure.status == 200


async def test_another_sites_page_logs_nobody_in(proxy: Proxy) -> None:
    """A login needs the page's own cookie, and must not come from elsewhere."""
    async with visiting(proxy) as somebody:
        form = {"key": ADMIN, "form_token": "a"}
        for headers in ({}, SAME_SITE, {"Cookie": "hedgerow-form=b"}):
            answer = await somebody.ask("POST", "/ui/login", data=form, headers=headers)
            assert answer.status == 403
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
            cookie = {"Cookie": "hedgerow-form=a"}
            answer = await somebody.ask("POST", "/ui/login", data=form, headers=headers | cookie)
            assert answer.status == 403
            assert "another site" in answer.text


@given(st.text(max_size=40) | st.sampled_from(["//elsewhere", "/\\elsewhere", "https://elsewhere"]))
def test_after_a_login_nobody_is_sent_elsewhere(path: str) -> None:
    """Whatever stands in the address: on to a page of ours."""
    assert next_of(path) == "/" or re.fullmatch(r"/ui/[!-~]*", next_of(path))
    assert next_of("/ui/" + path) in ("/", "/ui/" + path)
    assert "\\" not in next_of("/ui/" + path)


async def test_whoever_tries_keys_has_to_wait(proxy: Proxy) -> None:
    """After so many failures none is looked at, not even the right one."""
    async with visiting(proxy) as somebody:
        for _ in range(OF_ADDRESS):
            assert (await somebody.log_in("wrong")).status == 401
        refused = await somebody.log_in(ADMIN)
        assert refused.status == 429
        assert 0 < int(refused.headers["retry-after"]) <= WITHIN_S


async def test_tries_that_come_at_once(proxy: Proxy) -> None:
    """No more of them are looked at than of those that come one after the other; and one that was
    right is none of them."""
    async with visiting(proxy) as somebody:
        headers = SAME_SITE | {"Cookie": "hedgerow-form=a"}

        async def log_in(key: str) -> int:
            form = {"key": key, "form_token": "a"}
            return (await somebody.ask("POST", "/ui/login", data=form, headers=headers)).status

        for _ in range(OF_ADDRESS):
            assert await log_in(ADMIN) == 303
        statuses = await asyncio.gather(*(log_in(f"sk-{n}") for n in range(4 * OF_ADDRESS)))
        assert statuses.count(401) == OF_ADDRESS
        assert statuses.count(429) == 3 * OF_ADDRESS


async def test_a_form_without_an_end(proxy: Proxy) -> None:
    """Is read no further than a form can be long, whoever sends it."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(16):
            sent += 2**20
            yield b"a" * 2**20

    async with visiting(proxy) as somebody:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await somebody.ask("POST", "/ui/login", data=body(), headers=SAME_SITE | kind)
        assert answer.status == 413
        assert sent < 16 * 2**20


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefghijklmno"), st.floats(0, 60), st.booleans()),
        max_size=300,
    )
)
def test_tries(moves: list[tuple[str, float, bool]]) -> None:
    """As a naive list counts: so many of an address, so many in all, within the time; and whoever
    has waited as long as they were told may try."""
    now_s, failed = 0.0, list[tuple[float, str]]()
    tries = Tries(lambda: now_s)
    for address, pause_s, waits in moves:
        now_s += pause_s
        recent = [one for one in failed if one[0] > now_s - WITHIN_S]
        its = [one for one in recent if one[1] == address]
        wait_s = tries.wait_s(address)
        assert (wait_s > 0) == (len(its) >= OF_ADDRESS or len(recent) >= IN_ALL)
        if wait_s and waits:
            now_s += wait_s + 1e-6
            assert tries.wait_s(address) == 0
        if not tries.wait_s(address):
            tries.failed(address)
            failed.append((now_s, address))


# -- how long


def revoke(key: KeyRecord) -> Callable[[Proxy], None]:
    def change(proxy: Proxy) -> None:
        with books(proxy.config) as store, store.transaction():
            store.policy.revoke_key(key.id, time.time_ns())

    return change


def block(key: KeyRecord) -> Callable[[Proxy], None]:
    def change(proxy: Proxy) -> None:
        with books(proxy.config) as store, store.transaction():
            store.sql.execute("UPDATE keys SET blocked = 1 WHERE id = ?", (key.id,))

    return change


def rotate(key: KeyRecord) -> Callable[[Proxy], None]:
    def change(proxy: Proxy) -> None:
        secret = new_key(bytes)
        with books(proxy.config) as store, store.transaction():
            store.policy.rotate_key(key.id, hash_of(secret), label_of(secret), time.time_ns())

    return change


def take_its_role(key: KeyRecord) -> Callable[[Proxy], None]:
    def change(proxy: Proxy) -> None:
        with books(proxy.config) as store, store.transaction():
            store.sql.execute("UPDATE keys SET role = NULL WHERE id = ?", (key.id,))

    return change


@pytest.mark.parametrize("end", [revoke, block, rotate, take_its_role])
async def test_a_login_ends_with_its_key(
    proxy: Proxy, end: Callable[[KeyRecord], Callable[[Proxy], None]]
) -> None:
    """Revoked, blocked, renewed or without its role: the next look is none."""
    secret = await person(proxy, Role.ADMIN)
    async with visiting(proxy) as somebody, visiting(proxy) as root:
        await somebody.log_in(secret)
        await root.log_in(ADMIN)
        assert (await somebody.get("/ui/keys")).status == 200
        key = (await proxy.read(lambda store: store.policy.keys()))[hash_of(secret)]
        await asyncio.to_thread(end(key), proxy)
        assert (await somebody.get("/ui/keys")).status == 303
        assert (await somebody.get("/ui/keys", **{"X-Hedgerow-Live": "1"})).status == 401
        assert (await somebody.post(f"/ui/keys/{key.id}/revoke")).status == 401
        assert (await root.get("/ui/keys")).status == 200


async def test_a_login_ends_by_time(tmp_path: Path) -> None:
    """After twelve hours, and after two in which nobody asked: what a page fetches by itself keeps
    nobody logged in."""
    clock = ManualClock()
    idle_s, all_s = IDLE_NS / 1e9, LASTS_NS / 1e9
    async with serving(tmp_path, server=SERVER, clock=clock) as proxy, visiting(proxy) as somebody:
        await somebody.log_in(ADMIN)
        spent_s = 0.0
        while spent_s + idle_s - 120 < all_s:
            clock.advance(idle_s - 120)
            spent_s += idle_s - 120
            assert (await somebody.get("/ui/keys")).status == 200
        clock.advance(all_s - spent_s)
        assert (await somebody.get("/ui/keys")).status == 303
        await somebody.log_in(ADMIN)
        for status in (200, 401):
            clock.advance(idle_s / 2)
            live = await somebody.get("/ui/reports/made", **{"X-Hedgerow-Live": "1"})
            assert live.status == status
        assert (await somebody.get("/ui/keys")).status == 303


async def test_a_logout_ends_one_login(proxy: Proxy) -> None:
    """Its token opens nothing any more, the other login of the same key goes on; a new login ends
    the one before it in the same browser."""
    async with visiting(proxy) as one, visiting(proxy) as other:
        await one.log_in(ADMIN)
        await other.log_in(ADMIN)
        token = _token(one)
        assert (await one.post("/ui/logout")).location == "/ui/login"
        assert _token(one) == ""
        again = await one.ask("GET", "/ui/keys", headers={"Cookie": f"hedgerow={token}"})
        assert again.status == 303
        assert (await other.get("/ui/keys")).status == 200
        before = _token(other)
        kept = await proxy.read(
            lambda store: store.sql.execute("SELECT hash FROM sessions").fetchall()
        )
        assert [bytes(row[0]) for row in kept] == [hash_of(before)]  # and never the token itself


def _token(somebody: Visitor) -> str:
    return next((one.value for one in somebody.http.cookie_jar if one.key == "hedgerow"), "")


async def test_a_key_has_so_many_logins(proxy: Proxy) -> None:
    """One more ends the oldest."""
    async with visiting(proxy) as first:
        await first.log_in(ADMIN)
        for _ in range(MOST_OF_A_KEY):
            assert (await first.get("/ui/keys")).status == 200
            async with visiting(proxy) as another:
                await another.log_in(ADMIN)
        assert (await first.get("/ui/keys")).status == 303


# -- how far


async def test_forms_of_others_are_refused(proxy: Proxy) -> None:
    """No token, somebody else's, or another site's page: refused, and nothing is changed."""
    secret = await person(proxy, Role.ADMIN)
    async with visiting(proxy) as somebody, visiting(proxy) as other:
        await somebody.log_in(secret)
        await other.log_in(ADMIN)
        form = {"name": "stolen"}
        for csrf, headers in (
            ("", SAME_SITE),
            (other.csrf, SAME_SITE),
            (somebody.csrf[:-1], SAME_SITE),
            (somebody.csrf, {"Sec-Fetch-Site": "cross-site"}),
            (somebody.csrf, {"Sec-Fetch-Site": "same-site"}),
            (somebody.csrf, {"Origin": "https://elsewhere.example"}),
        ):
            answer = await somebody.post("/ui/keys", form | {"csrf": csrf}, headers)
            assert answer.status == 403
        names = [one.name for one in (await proxy.read(lambda s: s.policy.keys())).values()]
        assert "stolen" not in names
        by_header = SAME_SITE | {"X-CSRF-Token": somebody.csrf}
        answer = await somebody.post("/ui/keys", form | {"csrf": ""}, by_header)
        assert answer.status == 200


@pytest.mark.parametrize("role", list(Role))
async def test_roles(proxy: Proxy, role: Role, caplog: pytest.LogCaptureFixture) -> None:
    """Everybody reads, admins change, in the pages as in the API, and the log says who; none of
    these keys asks a model, and none renews a person's key."""
    caplog.set_level(logging.INFO)
    secret, other = await person(proxy, role), await person(proxy, Role.APPROVER, "bert")
    bert = (await proxy.read(lambda store: store.policy.keys()))[hash_of(other)]
    expected = 200 if role is Role.ADMIN else 403
    async with visiting(proxy) as somebody:
        await somebody.log_in(secret)
        assert (await somebody.get("/ui/keys")).status == 200
        assert (await somebody.get("/ui/keys/new")).status == expected
        assert (await somebody.post("/ui/keys", {"name": "ci"})).status == expected
        assert (await somebody.post(f"/ui/keys/{bert.id}/rotate")).status == 403
        api = {"authorization": f"Bearer {secret}"}
        assert (await somebody.get("/admin/api/keys", **api)).status == 200
        for path in ("/admin/api/keys", "/key/generate"):
            answer = await somebody.ask("POST", path, json={}, headers=api)
            assert answer.status == expected
        for path in (f"/admin/api/keys/{bert.id}/rotate", "/key/regenerate"):
            body = {"key": other} if path.startswith("/key") else {}
            answer = await somebody.ask("POST", path, json=body, headers=api)
            assert answer.status == (409 if role is Role.ADMIN else 403)
    did = [one.getMessage() for one in caplog.records if one.getMessage().startswith("anna: ")]
    changes = ["anna: POST /ui/keys", "anna: POST /admin/api/keys", "anna: POST /key/generate"]
    assert did == (changes if role is Role.ADMIN else [])
    assert secret not in caplog.text
    async with asyncio.timeout(10):
        while "unknown API key" in (reply := await proxy.post(asking(), **api)).body.decode():
            pass
    assert reply.status == 401
    assert "asks no model" in reply.error["message"]


async def test_nobody_renames_a_person(proxy: Proxy) -> None:
    """Under another name somebody could approve their own plan, and an admin whose key ends could
    make it last: of a person's key the API changes only whether it is blocked."""
    secret, other = await person(proxy, Role.ADMIN), await person(proxy, Role.APPROVER, "bert")
    before = (await proxy.read(lambda store: store.policy.keys()))[hash_of(other)]
    async with visiting(proxy) as somebody:
        for key in (secret, ADMIN):
            api = {"authorization": f"Bearer {key}"}
            for change in ({"name": "zoe"}, {"expires_at": "2099-01-01T00:00:00Z"}):
                path = f"/admin/api/keys/{before.id}"
                answer = await somebody.ask("PATCH", path, json=change, headers=api)
                assert answer.status == 409
            for change in ({"key_alias": "zoe"}, {"duration": "30d"}):
                body = {"key": before.id, **change}
                answer = await somebody.ask("POST", "/key/update", json=body, headers=api)
                assert answer.status == 409
            for blocked in (True, False):
                block = {"key": before.id, "blocked": blocked}
                answer = await somebody.ask("POST", "/key/update", json=block, headers=api)
                assert answer.status == 200
    assert (await proxy.read(lambda store: store.policy.keys()))[hash_of(other)] == before


def test_the_admin_key_approves_nothing() -> None:
    """An approval has somebody's name."""
    assert not Role.ADMIN.may(Role.APPROVER)
    assert Role.APPROVER.may(Role.READER)
    assert not Role.APPROVER.may(Role.ADMIN)
    assert Role.APPROVER.may(Role.APPROVER)


async def test_on_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    """The same books for all hosts: a login here is one there, and its end, too."""
    url = await asyncio.to_thread(postgres.new)
    both: dict[str, Any] = {"server": SERVER, "more": f'ledger: {{url: "{url}"}}'}
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with (
        serving(tmp_path / "one", **both) as one,
        visiting(one) as somebody,
        serving(tmp_path / "other", **both) as other,
    ):
        secret = await person(one, Role.ADMIN)
        await somebody.log_in(secret)
        there = Visitor(other.server.admin_url.rstrip("/"), somebody.http, somebody.csrf)
        assert (await there.get("/ui/keys?q=ann")).status == 200
        for path in ("/ui/keys?q=%00", "/ui/keys/%00", "/ui/spend?team=a%00b"):
            assert (await there.get(path)).status == 400  # it can look for no such text
        assert (await there.post("/ui/budgets/remove", {"budget": "a\0b"})).status == 400
        assert "shown" in (await there.post("/ui/keys", {"name": "ci"})).text
        assert (await somebody.post("/ui/logout")).status == 303
        assert (await there.get("/ui/keys")).status == 303


# -- every answer


def desk_of(config: Config) -> WebDesk:
    """A desk without books and without a market: for what needs neither."""
    nobody = cast("Any", None)
    house = cast("House", SimpleNamespace(clock=SystemClock()))
    return web_desk(AdminDesk(nobody, house.clock, bytes, None, nobody), house, config, nobody)


def addresses(config: Config) -> list[tuple[str, str]]:
    """Every method and path that the dashboard has, and some that it has not."""
    routes = web_routes(desk_of(config))
    known = {(one.method, re.sub(r"{[^}]*}", "none", one.path)) for one in routes}
    paths = {path for _, path in known} | {"/ui/keys/a/b/c", "/admin/api/keys", "/admin/none"}
    others = {(method, path) for path in paths for method in ("GET", "POST", "DELETE")}
    return sorted({(method, path) for method, path in known | others if method != "*"})


async def every_answer(
    proxy: Proxy, somebody: Visitor, see: Callable[[str, str], Awaitable[None]]
) -> None:
    for method, path in await asyncio.to_thread(addresses, proxy.config):
        await see(method, path)
    page = (await somebody.get("/ui/login")).text
    for path in re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', page):
        await see("GET", path)


async def test_every_answer_is_guarded(proxy: Proxy) -> None:
    """Whatever comes back, whoever asks, even when the books do not answer: the same policy, and
    no page is kept by anybody on the way."""
    async with visiting(proxy) as somebody:
        seen: set[int] = set()

        async def see(method: str, path: str) -> None:
            got = await somebody.ask(method, path)
            seen.add(got.status)
            for name, value in HEADERS.items():
                assert got.headers[name] == value, f"{method} {path}: {got.status}"
            is_file = path.startswith("/ui/static/") and got.status == 200
            kept = "immutable" if is_file else "no-store"
            assert kept in got.headers["Cache-Control"]
            assert "Set-Cookie" not in got.headers or kept == "no-store"

        await every_answer(proxy, somebody, see)
        await somebody.log_in(ADMIN)
        await every_answer(proxy, somebody, see)
        await asyncio.to_thread(_break, proxy)
        await every_answer(proxy, somebody, see)
        assert {200, 303, 401, 403, 404, 405, 503} <= seen


def _break(proxy: Proxy) -> None:
    with books(proxy.config) as store, store.transaction():
        store.sql.execute("DROP TABLE sessions")


async def test_nothing_is_open_without_a_login(proxy: Proxy) -> None:
    """Of all addresses under /ui only the login page and what it looks like."""
    async with visiting(proxy) as somebody:

        async def see(method: str, path: str) -> None:
            got = await somebody.ask(method, path)
            if path.startswith(("/ui/static/", "/ui/login", "/admin")) or path in ("/", "/ui"):
                return
            if method == "GET":
                assert got.status == 303
                assert got.location.startswith("/ui/login?next=")
            else:
                assert got.status in (303, 401), path

        await every_answer(proxy, somebody, see)


async def test_a_fault_of_ours(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    """Is a page like others, with an id by which the log has the rest; nothing of what went wrong
    gets out."""
    desk = await asyncio.to_thread(desk_of, proxy.config)

    async def broken(_request: web.Request) -> web.StreamResponse:
        raise RuntimeError("the inside of the house")

    app = web.Application()
    app.router.add_get("/ui/broken", desk.edge(broken))
    app.on_response_prepare.append(guarded)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        async with http.get(server.make_url("/ui/broken")) as response:
            text = await response.text()
            assert response.status == 500
            assert HEADERS.items() <= response.headers.items()
        async with http.get(
            server.make_url("/ui/broken"), headers={"X-Hedgerow-Live": "1"}
        ) as response:
            assert (response.status, response.content_type) == (500, "text/plain")
            text += await response.text()
    assert "house" not in text
    found = re.search(r"<code>(req_\w+)</code>", text)
    assert found is not None
    assert found[1] in caplog.text
    assert "the inside of the house" in caplog.text


def test_pages_have_nothing_inline() -> None:
    """No style, no handler, no code within a template: the policy would refuse it, unseen by
    whoever does not look at the console."""
    root = Path(__file__).parents[2] / "hedgerow" / "web" / "templates"
    for path in root.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<[^>]*\s(style|on[a-z]+)=", text), path.name
        assert "<style" not in text, path.name
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), path.name
        assert not re.search(r"(href|src|action)=\"(https?:)?//", text), path.name
        assert "| safe" not in text, path.name


async def test_from_another_site(proxy: Proxy) -> None:
    """Whoever follows a link from elsewhere comes without the cookie, to a page that comes back to
    itself: from there with it, or to the login."""
    async with visiting(proxy) as somebody:
        first = await somebody.get("/ui/keys", **{"Sec-Fetch-Site": "cross-site"})
        assert first.status == 200
        assert 'http-equiv="refresh" content="0"' in first.text
        assert (await somebody.get("/ui/keys", **SAME_SITE)).status == 303


async def test_an_address_of_its_own(tmp_path: Path) -> None:
    """With server.admin the pages are there alone, and all that it has is guarded."""
    server = f"{{port: 0, admin_key: {ADMIN}, admin: {{port: 0}}}}"
    async with serving(tmp_path, server=server) as proxy, visiting(proxy) as somebody:
        assert (await somebody.log_in(ADMIN)).status == 303
        assert (await somebody.get("/key/info")).headers["X-Content-Type-Options"] == "nosniff"
        for path in ("", "/ui/keys", "/ui/login"):
            url = proxy.base_url.removesuffix("/v1") + path
            async with proxy.http.get(url) as response:
                assert response.status == 404
