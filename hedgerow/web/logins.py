"""Logins: a token in a cookie, its hash in the books, and what proves that a form is ours."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from aiohttp import web

from ledger.keys import hash_of
from ledger.tables.policy import PolicyTable
from ledger.tables.sessions import LASTS_NS, SessionTable
from proxy.admin.books import PolicyBooks
from proxy.admin.people import People, Person
from proxy.clock import Clock
from proxy.errors import RoleForbidden

COOKIE = "hedgerow"
SECURE_COOKIE = "__Host-hedgerow"
"""Over https. A browser takes it only from us, over https and for all paths."""
TOKEN_BYTES = 32
_TOKEN = re.compile(r"[0-9a-f]{64}")
LIVE = "X-Hedgerow-Live"
"""The header of what a page fetches by itself: that keeps nobody logged in."""
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who is logged in. csrf: what each of their forms has to bring."""

    person: Person
    csrf: str
    token: str


@dataclass(frozen=True, slots=True)
class Logins:
    """Who is logged in, as all workers know it."""

    books: PolicyBooks
    people: People
    clock: Clock
    random_bytes: Callable[[int], bytes]

    async def begin(self, key: str, before: str | None) -> Login | None:
        """Log in with a key; None if it is nobody's. before: the token of a login that this one
        takes the place of. Raises StoreUnavailable."""
        token, key_hash, now_ns = self._new_token(), hash_of(key), self.clock.now_ns()

        def begin(table: PolicyTable) -> Person | None:
            person = self.people.of_hash(table, key_hash, now_ns)
            if person is not None:
                sessions = SessionTable(table.sql)
                if before is not None:
                    sessions.end(hash_of(before))
                sessions.begin(hash_of(token), key_hash, now_ns)
            return person

        person = await self.books.change(begin)
        return None if person is None else Login(person, csrf_of(token), token)

    async def of(self, request: web.Request) -> Login | None:
        """Who asks; None for nobody, or somebody whose login or key is over. Raises
        StoreUnavailable."""
        token, now_ns = token_of(request), self.clock.now_ns()
        if token is None:
            return None
        is_live = LIVE in request.headers

        def look(table: PolicyTable) -> Person | None:
            sessions = SessionTable(table.sql)
            session = sessions.find(hash_of(token), now_ns)
            if session is None:
                return None
            if not is_live:
                sessions.seen(session, now_ns)
            return self.people.of_hash(table, session.key_hash, now_ns)

        person = await self.books.change(look)
        return None if person is None else Login(person, csrf_of(token), token)

    async def end(self, login: Login) -> None:
        await self.books.change(lambda table: SessionTable(table.sql).end(hash_of(login.token)))

    def _new_token(self) -> str:
        return self.random_bytes(TOKEN_BYTES).hex()


def is_https(request: web.Request) -> bool:
    """Whether the browser speaks https, to us or to a proxy before us."""
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    return (forwarded or request.scheme) == "https"


def token_of(request: web.Request) -> str | None:
    """None, too, for what cannot be one: nobody asks the books about that."""
    sent = request.cookies.get(SECURE_COOKIE if is_https(request) else COOKIE, "")
    return sent if _TOKEN.fullmatch(sent) else None


def remember(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Have the browser send the token with all that it asks for from our own pages."""
    is_secure = is_https(request)
    response.set_cookie(
        SECURE_COOKIE if is_secure else COOKIE,
        token,
        max_age=LASTS_NS // 1_000_000_000,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="Strict",
    )


def forget(request: web.Request, response: web.StreamResponse) -> None:
    is_secure = is_https(request)
    response.del_cookie(
        SECURE_COOKIE if is_secure else COOKIE,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="Strict",
    )


def csrf_of(token: str) -> str:
    """What the pages of a login know, and no page elsewhere can."""
    return hmac.new(token.encode(), b"csrf", sha256).hexdigest()


def check_origin(request: web.Request) -> None:
    """Refuse what a page of somebody else sends. Raises RoleForbidden.

    Browsers say where it comes from, over plain http by `Origin` alone; that is `null` from pages
    that send no referrer, ours among them, and says nothing.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "null")
    if site is not None:
        is_ours = site == "same-origin"
    else:
        host = request.headers.get("X-Forwarded-Host", request.host).partition(",")[0].strip()
        is_ours = origin == "null" or urlsplit(origin).netloc.lower() == host.lower()
    if not is_ours:
        raise RoleForbidden("this was sent by another site's page: open the dashboard itself")


def check_csrf(request: web.Request, sent: str | None, login: Login) -> None:
    """Refuse a form that no page of this login made. Raises RoleForbidden."""
    check_origin(request)
    given = sent or request.headers.get(CSRF_HEADER) or ""
    if not hmac.compare_digest(given.encode(), login.csrf.encode()):
        raise RoleForbidden("this form is of an earlier login: reload the page, and send it again")
