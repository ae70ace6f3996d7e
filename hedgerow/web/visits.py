"""Visit: one look of somebody at a page, or one change they make there."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from hedgerow.web.forms import Form
from hedgerow.web.logins import LIVE, Login
from ledger.keys import Role
from proxy.admin.asked import Asked
from proxy.admin.people import Person

_NO_FORM = Form({})


@dataclass(frozen=True, slots=True)
class Visit:
    """asked: its path and query, read and checked. form: what was filled in, empty for a look.
    now_ns: when it came; a page has one time."""

    asked: Asked
    login: Login
    now_ns: int
    form: Form = _NO_FORM

    @property
    def request(self) -> web.Request:
        return self.asked.request

    @property
    def person(self) -> Person:
        return self.login.person

    @property
    def csrf(self) -> str:
        return self.login.csrf

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def is_live(self) -> bool:
        """Whether a page that is open asks, and not a person."""
        return LIVE in self.request.headers

    def may(self, needs: str) -> bool:
        """For templates: whether to show what only some may."""
        return self.person.may(Role(needs))
