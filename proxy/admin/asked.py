"""Asked: a request to the admin API, its parts read and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web
from msgspec import UnsetType

from ledger.budgets import EACH
from ledger.errors import NotAWindow, NotMoney
from ledger.instants import instant
from ledger.money import MAX_NANOS, Money, usd
from ledger.windows import AnyWindow, window_of
from proxy.admin.hints import decoded
from proxy.errors import Invalid, TooSlow
from proxy.wires import body as bodies

T = TypeVar("T")

Told: TypeAlias = dict[str, Any] | list[Any]
"""An answer, as the JSON that it becomes."""

MOST_LISTED, LISTED = 1000, 100
METADATA_BYTES = 16 * 1024
LABEL_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of somebody who may ask. content: its body, whole."""

    request: web.Request
    content: bytes

    def part(self, name: str) -> str:
        """A part of the path. Raises Invalid."""
        return _without_nul(self.request.match_info[name], name)

    def query(self, name: str) -> str | None:
        """Raises Invalid."""
        text = self.request.query.get(name)
        return None if text is None else _without_nul(text, name)

    def refuse_queries(self, *known: str) -> None:
        """A filter that is not known would bring too much. Raises Invalid."""
        if unknown := sorted(set(self.request.query) - set(known)):
            raise Invalid(
                f"{unknown[0][:80]} is not honoured here: leave it out, or filter by"
                f" {', '.join(known) or 'nothing'}",
                param=unknown[0][:80],
                code="not_honoured",
            )

    def count(self, name: str, usual: int, most: int) -> int:
        """A whole number from 1 on in the query. Raises Invalid."""
        text = self.query(name)
        if text is None:
            return usual
        if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most):
            raise invalid(f"{name} is a whole number from 1 to {most}", name)
        return int(text)

    def time(self, name: str, zone: tzinfo = UTC) -> int | None:
        """A day or a second in the query, of the zone if it names none, in ns since 1970. Raises
        Invalid."""
        text = self.query(name)
        if text is None:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise invalid(
                f"{name} is no date: write 2027-01-31 or 2027-01-31T18:00:00Z", name
            ) from None
        return nanos_of(at if at.tzinfo is not None else at.replace(tzinfo=zone), name)

    def choice(self, name: str, among: Iterable[str], usual: str) -> str:
        """Raises Invalid."""
        text = self.query(name)
        if text is not None and text not in (known := sorted(among)):
            raise invalid(f"{name} is one of {', '.join(known)}", name)
        return usual if text is None else text

    def body(self, kind: type[T], what: str) -> T:
        """Raises Invalid, naming the field that does not fit, or is not known."""
        return decoded(kind, self.content or b"{}", what)


Story: TypeAlias = Callable[[Asked], Awaitable[Told]]


async def content_of(request: web.Request, timeout_s: float) -> bytes:
    """Raises TooSlow."""
    try:
        async with asyncio.timeout(timeout_s):
            return await request.read()
    except TimeoutError:
        raise TooSlow(f"the body did not arrive in {timeout_s:g} s: send it faster") from None


def invalid(why: str, param: str) -> Invalid:
    return Invalid(why, param=param, code="invalid_type")


def _without_nul(text: str, param: str) -> str:
    """PostgreSQL takes none, and nothing that is looked for has one. Raises Invalid."""
    if "\0" in text:
        raise invalid(f"{param} has a NUL character: leave it out", param)
    return text


def listed(data: list[dict[str, Any]], limit: int) -> Told:
    """A page of at most `limit`, of which one more was looked for."""
    page = data[:limit]
    return {
        "object": "list",
        "data": page,
        "has_more": len(data) > limit,
        "last_id": page[-1]["id"] if page else None,
    }


def given_or(given: T | UnsetType, before: T) -> T:
    """What a change says, or what was before where it says nothing."""
    return before if isinstance(given, UnsetType) else given


# -- values, each from what a client wrote; all raise Invalid


def label(text: str, param: str) -> str:
    """Text that can stand in a table, in a message and in the books, as one's own name."""
    if text == EACH:
        raise invalid(f"{param} is {EACH}, which stands for each of them: write a name", param)
    if not text or text != text.strip() or not text.isprintable() or len(text) > LABEL_LIMIT:
        raise invalid(
            f"{param} is empty, longer than {LABEL_LIMIT}, or has control characters, or spaces"
            " at an end: write plain text",
            param,
        )
    return text


def maybe_label(text: str | None, param: str) -> str | None:
    return None if text is None else label(text, param)


def labels(texts: Iterable[str], param: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label(one, param) for one in texts))


def models_of(
    names: Iterable[str] | None, known: Collection[str], param: str
) -> frozenset[str] | None:
    """None is all of them, and stays so when there are more."""
    if names is None:
        return None
    wanted = frozenset(names)
    if unknown := sorted(wanted - set(known)):
        there = ", ".join(sorted(known)[:20])
        raise invalid(f"there is no model {unknown[0][:80]!r} here; there are: {there}", param)
    return wanted


def money_of(amount: Decimal | None, param: str) -> Money | None:
    if amount is None:
        return None
    try:
        money = usd(amount)
    except NotMoney as error:
        raise invalid(f"{param}: {error}", param) from None
    if money < 0:
        raise invalid(f"{param} is {amount}: write 0 or more", param)
    return money


def window_named(text: str, param: str) -> AnyWindow:
    try:
        return window_of(text)
    except NotAWindow as error:
        raise invalid(f"{param}: {error}", param) from None


def zone_named(text: str, param: str) -> ZoneInfo:
    """It is read from disk: not on the event loop."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # of names that are no files, or folders
        why = f"there is no time zone {text[:80]!r}: write one as in Europe/Berlin"
        raise invalid(why, param) from None


def nanos_of(at: datetime, param: str) -> int:
    """ns since 1970; a time without a zone is UTC."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    at_ns = int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1000
    if not 0 <= at_ns <= MAX_NANOS:
        raise invalid(f"{param} is outside 1970 to 2262, which the books can hold", param)
    return at_ns


def future_of(at: datetime | None, now_ns: int, param: str) -> int | None:
    if at is None:
        return None
    at_ns = nanos_of(at, param)
    if at_ns <= now_ns:
        raise invalid(f"{param} is over: write a later time", param)
    return at_ns


def metadata_of(given: dict[str, Any], param: str = "metadata") -> str:
    text = bodies.encode(given).decode()
    if len(text) > METADATA_BYTES:
        raise invalid(f"{param} is larger than {METADATA_BYTES} bytes", param)
    return text


def time_text(at_ns: int | None) -> str | None:
    """As clients read times: RFC 3339 in UTC."""
    if at_ns is None:
        return None
    return instant(at_ns).isoformat().replace("+00:00", "Z")
