"""The page Keys: those of applications and of people; made, rotated, blocked, revoked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from aiohttp import web

from hedgerow.web.desk import WebDesk
from hedgerow.web.forms import Form
from hedgerow.web.views import Page, SeeOther
from hedgerow.web.visits import Visit
from ledger.databases.sql import Sql
from ledger.instants import as_ns, instant
from ledger.key_use import UNUSED, KeyUse, uses_of
from ledger.keys import KeyRecord, Role, hash_of, label_of, mint, new_key
from ledger.limits import KEY, Limits, Whose, limits_in, with_limits
from ledger.tables.policy import KeyFilter, PolicyTable
from ledger.windows import Window, span_of
from proxy.admin.asked import future_of, invalid, labels, models_of, window_named
from proxy.admin.keys import GRACE_S_MOST, live_key, no_key
from proxy.admin.limits_body import check_limits
from proxy.errors import RoleForbidden

PATH = "/ui/keys"
ON_A_PAGE = 100
_UTC = ZoneInfo("UTC")
WINDOWS = (Window.LIFETIME, Window.MONTH, Window.WEEK, Window.DAY)
GRACES = ((0, "at once"), (3600, "in an hour"), (86_400, "in a day"), (604_800, "in a week"))
"""When the secret that is replaced stops, in seconds."""
_WHOSE = ("applications", "people")


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key as a row of the page has it."""

    key: KeyRecord
    limits: Limits
    use: KeyUse
    state: str


@dataclass(frozen=True, slots=True)
class KeysPage:
    desk: WebDesk

    def routes(self) -> list[web.RouteDef]:
        desk, one = self.desk, f"{PATH}/{{id}}"
        return [
            web.get(PATH, desk.page(self._list), allow_head=False),
            web.post(PATH, desk.action(self._create)),
            web.get(f"{PATH}/new", desk.page(self._new, needs=Role.ADMIN), allow_head=False),
            web.get(one, desk.page(self._one), allow_head=False),
            web.post(f"{one}/limits", desk.action(self._limit)),
            web.post(f"{one}/rotate", desk.action(self._rotate)),
            web.post(f"{one}/block", desk.action(self._block)),
            web.post(f"{one}/unblock", desk.action(self._unblock)),
            web.post(f"{one}/revoke", desk.action(self._revoke)),
        ]

    # -- looks

    async def _list(self, visit: Visit) -> Page:
        asked, now_ns = visit.asked, visit.now_ns
        text = (asked.query("q") or "").strip()[:100]
        whose = asked.choice("whose", ("", *_WHOSE), "")
        is_all = asked.query("all") == "1"
        before = asked.query("before") or ""
        wanted = KeyFilter(
            text=text or None,
            has_role={"people": True, "applications": False}.get(whose),
            unrevoked_at_ns=None if is_all else now_ns,
        )

        def look(sql: Sql) -> tuple[list[KeyLine], int]:
            table = PolicyTable(sql)
            found = table.newest_keys(wanted, before=before, limit=ON_A_PAGE + 1)
            return _lines(sql, found, now_ns), table.count_keys(wanted)

        found, count = await self.desk.read(look)
        lines = found[:ON_A_PAGE]
        values = {
            "lines": lines,
            "count": count,
            "q": text,
            "whose": whose,
            "is_all": is_all,
            "before": before,
            "last": lines[-1].key.id if len(found) > ON_A_PAGE else None,
        }
        return Page("keys.html", "Keys", values)

    async def _one(self, visit: Visit) -> Page:
        key_id = visit.asked.part("id")

        def look(sql: Sql) -> KeyLine:
            key = PolicyTable(sql).key(key_id)
            if key is None:
                raise no_key(key_id)
            return _lines(sql, [key], visit.now_ns)[0]

        return self._shown(visit, await self.desk.read(look))

    def _shown(self, visit: Visit, line: KeyLine) -> Page:
        own = line.limits.window
        windows = list(dict.fromkeys([*WINDOWS, *([own] if line.limits.usd is not None else [])]))
        values = {
            "line": line,
            "windows": [str(one) for one in windows],
            "graces": GRACES,
            "may_change": visit.may(Role.ADMIN),
            "may_renew": _may_renew(visit, line.key),
        }
        return Page("key.html", line.key.name or line.key.label, values)

    async def _new(self, visit: Visit) -> Page:
        values = {
            "models": sorted(self.desk.admin.known_models()),
            "windows": [str(one) for one in WINDOWS],
            "roles": [str(one) for one in Role] if visit.person.is_root else [],
        }
        return Page("key_new.html", "New key", values)

    # -- changes

    async def _create(self, visit: Visit) -> Page:
        """The secret is on the page that answers, and nowhere else."""
        form, desk, now_ns = visit.form, self.desk.admin, visit.now_ns
        role = _role_of(visit)
        limits = Limits() if role else _limits_of(form, Limits(), desk.channels)
        chosen = form.all("models")
        ends = _day_of(form, "expires")
        secret, key = mint(
            now_ns,
            desk.random_bytes,
            name=form.label("name"),
            org=None if role else form.label("org"),
            team=None if role else form.label("team"),
            project=None if role else form.label("project"),
            user=None if role else form.label("user"),
            tags=() if role else _tags_of(form),
            models=models_of(chosen, desk.known_models(), "models")
            if chosen and not role
            else None,
            expires_at_ns=future_of(ends, now_ns, "expires"),
            role=role,
        )
        if role is not None:
            form.wanted("name")

        def create(table: PolicyTable) -> None:
            table.add_key(key, hash_of(secret))
            own = with_limits((), Whose(KEY, key.id), limits, desk.channels)
            table.set_limits(KEY, key.id, own, at_ns=now_ns)

        await self.desk.change(create)
        return Page("key_made.html", "Key made", {"key": key, "secret": secret, "earlier": None})

    async def _limit(self, visit: Visit) -> SeeOther:
        key_id, form, now_ns = visit.asked.part("id"), visit.form, visit.now_ns
        whose, channels = Whose(KEY, key_id), self.desk.admin.channels

        def change(table: PolicyTable) -> None:
            key = live_key(table, key_id, now_ns)
            if key.role is not None:
                raise invalid("a person's key spends nothing, and has no limits", "limits")
            there = table.limits_of(KEY, key_id)
            limits = _limits_of(form, limits_in(whose, there), channels)
            table.set_limits(KEY, key_id, with_limits(there, whose, limits, channels), at_ns=now_ns)

        await self.desk.change(change)
        return SeeOther(f"{PATH}/{key_id}", "The limits are set; they act within a second.")

    async def _rotate(self, visit: Visit) -> Page:
        key_id, now_ns = visit.asked.part("id"), visit.now_ns
        grace_s = visit.form.count("grace") or 0
        if grace_s > GRACE_S_MOST:
            raise invalid("the earlier secret works for 90 days at most", "grace")
        secret = new_key(self.desk.admin.random_bytes)
        until_ns = now_ns + grace_s * 1_000_000_000

        def rotate(table: PolicyTable) -> KeyRecord:
            key = live_key(table, key_id, now_ns)
            _check_renewal(visit, key)
            table.rotate_key(key_id, hash_of(secret), label_of(secret), until_ns)
            return replace(key, label=label_of(secret))

        key = await self.desk.change(rotate)
        values = {"key": key, "secret": secret, "earlier": until_ns}
        return Page("key_made.html", "New secret", values)

    async def _block(self, visit: Visit) -> SeeOther:
        return await self._set_blocked(visit, blocked=True)

    async def _unblock(self, visit: Visit) -> SeeOther:
        return await self._set_blocked(visit, blocked=False)

    async def _set_blocked(self, visit: Visit, *, blocked: bool) -> SeeOther:
        key_id = visit.asked.part("id")

        def change(table: PolicyTable) -> None:
            key = live_key(table, key_id, visit.now_ns)
            table.change_key(replace(key, blocked=blocked))

        await self.desk.change(change)
        done = "The key is blocked until it is unblocked." if blocked else "The key works again."
        return SeeOther(f"{PATH}/{key_id}", done)

    async def _revoke(self, visit: Visit) -> SeeOther:
        key_id = visit.asked.part("id")

        def revoke(table: PolicyTable) -> None:
            if not table.revoke_key(key_id, visit.now_ns):
                raise no_key(key_id)

        await self.desk.change(revoke)
        return SeeOther(f"{PATH}/{key_id}", "The key is revoked; what it spent stays in the books.")


# -- people's keys: whoever could make one, or renew it, could have its role


def _may_renew(visit: Visit, key: KeyRecord) -> bool:
    return visit.may(Role.ADMIN) and (key.role is None or visit.person.is_root)


def _check_renewal(visit: Visit, key: KeyRecord) -> None:
    """Raises RoleForbidden."""
    if not _may_renew(visit, key):
        raise RoleForbidden(
            f"key {key.label} has the role {key.role}: only who logs in with server.admin_key"
            " gives keys of people new secrets, or `hedgerow key rotate` where the books are"
        )


def _role_of(visit: Visit) -> Role | None:
    """Raises Invalid, RoleForbidden."""
    text = visit.form.text("role")
    if text is None:
        return None
    if text not in tuple(Role):
        raise invalid(f"role is one of {', '.join(Role)}", "role")
    if not visit.person.is_root:
        raise RoleForbidden(
            "only who logs in with server.admin_key makes keys of people; or run `hedgerow key"
            f" create --role {text}` where the books are"
        )
    return Role(text)


# -- what a form says


def _limits_of(form: Form, before: Limits, channels: tuple[str, ...]) -> Limits:
    """An empty field is no limit. Raises Invalid."""
    usd, window = form.money("budget"), form.text("window")
    limits = replace(
        before,
        usd=usd,
        window=Limits().window if window is None else window_named(window, "window"),
        rpm=form.count("rpm"),
        tpm=form.count("tpm"),
        parallel=form.count("parallel"),
    )
    check_limits(limits, channels, "budget")
    return limits


def _tags_of(form: Form) -> tuple[str, ...]:
    given = (form.text("tags") or "").split(",")
    return labels((one.strip() for one in given if one.strip()), "tags")


def _day_of(form: Form, name: str) -> datetime | None:
    """The end of a day of UTC. Raises Invalid."""
    text = form.text(name)
    if text is None:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise invalid(f"{name} is no day: write it as in 2027-01-31", name) from None
    return day.replace(hour=23, minute=59, second=59)


def _lines(sql: Sql, keys: list[KeyRecord], now_ns: int) -> list[KeyLine]:
    table = PolicyTable(sql)
    month = span_of(Window.MONTH, _UTC, instant(now_ns)).start
    uses: Mapping[str, KeyUse] = uses_of(sql, [one.id for one in keys], as_ns(month), now_ns)
    return [
        KeyLine(
            one,
            limits_in(Whose(KEY, one.id), table.limits_of(KEY, one.id)),
            uses.get(one.id, UNUSED),
            str(one.state(now_ns)),
        )
        for one in keys
    ]
