"""The page to log in at, and the way out."""

from __future__ import annotations

import hmac
import logging
import re
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from hedgerow.web.desk import WebDesk, see_other
from hedgerow.web.forms import form_of
from hedgerow.web.logins import check_origin, forget, is_https, remember, token_of
from hedgerow.web.tries import Tries
from hedgerow.web.views import Page, SeeOther
from hedgerow.web.visits import Visit
from ledger.errors import LedgerError
from ledger.keys import Role
from proxy.errors import NotAuthenticated, ProxyError, RateLimited, RoleForbidden

PATH = "/ui/login"
FORM_COOKIE = "hedgerow-form"
"""Shows that a login was filled in on our own page: another site's cannot have us set it."""
_FORM_LASTS_S = 3600
_HERE = re.compile(r"/(ui/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")
log = logging.getLogger("hedgerow.web")


@dataclass(frozen=True, slots=True)
class LoginPage:
    desk: WebDesk
    tries: Tries

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH, self.desk.edge(self._form), allow_head=False),
            web.post(PATH, self.desk.edge(self._log_in)),
            web.post("/ui/logout", self._leave),
        ]

    async def _form(self, request: web.Request) -> web.StreamResponse:
        if await self.desk.logins.of(request) is not None:
            return see_other(SeeOther(next_of(request.query.get("next"))))
        return await self._shown(request, request.query.get("next"))

    async def _shown(
        self, request: web.Request, next_path: str | None, wrong: ProxyError | None = None
    ) -> web.StreamResponse:
        token = self.desk.admin.random_bytes(16).hex()
        values = {
            "next": next_of(next_path),
            "form_token": token,
            "wrong": None if wrong is None else str(wrong),
            "is_open": not (is_https(request) or _is_near(request)),
            "config_file": str(self.desk.config.path),
        }
        status = 200 if wrong is None else wrong.answer_status
        page = Page("login.html", "Log in", values, status)
        response = await self.desk.shown(request, page, None)
        if wrong is not None:
            response.headers.update(dict(wrong.headers))
        response.set_cookie(
            FORM_COOKIE,
            token,
            max_age=_FORM_LASTS_S,
            path=PATH,
            httponly=True,
            samesite="Strict",
            secure=is_https(request),
        )
        return response

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        next_path: str | None = None
        try:
            check_origin(request)
            form = await form_of(request, self.desk.admin.body_timeout_s)
            next_path = form.text("next")
            cookie, token = request.cookies.get(FORM_COOKIE, ""), form.text("form_token") or ""
            if not token or not hmac.compare_digest(cookie.encode(), token.encode()):
                raise RoleForbidden("this page is too old, or cookies are off: try again")
            return await self._logged_in(request, form.text("key") or "", next_path)
        except (NotAuthenticated, RateLimited, RoleForbidden) as wrong:
            return await self._shown(request, next_path, wrong)

    async def _logged_in(
        self, request: web.Request, key: str, next_path: str | None
    ) -> web.StreamResponse:
        """Raises NotAuthenticated, RateLimited."""
        address = request.remote or ""
        if wait_s := self.tries.wait_s(address):
            raise RateLimited(
                f"too many logins have failed: wait {wait_s:.0f} s, then try again",
                retry_after_s=wait_s,
            )
        self.tries.failed(address)  # before it is known: many may come at once
        try:
            login = await self.desk.logins.begin(key, token_of(request))
        except LedgerError:
            self.tries.take_back(address)
            raise
        if login is None:
            log.warning("a login from %s failed", address)
            raise NotAuthenticated(
                "this key opens nothing here: it has no role, as those of applications, or it has"
                " ended"
            )
        self.tries.take_back(address)
        log.info("%s (%s) logged in from %s", login.person.name, login.person.role, address)
        response = see_other(SeeOther(next_of(next_path)))
        remember(request, response, login.token)
        return response

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        response = await self.desk.action(self._log_out, needs=Role.READER)(request)
        if response.status == HTTPStatus.SEE_OTHER:
            forget(request, response)
        return response

    async def _log_out(self, visit: Visit) -> SeeOther:
        await self.desk.logins.end(visit.login)
        return SeeOther(PATH)


def next_of(path: str | None) -> str:
    """Where to go on after a login: a page of ours, and nothing elsewhere."""
    if path is None or not _HERE.fullmatch(path) or path.startswith(PATH):
        return "/"
    return path


def _is_near(request: web.Request) -> bool:
    return (request.remote or "") in ("127.0.0.1", "::1")
