"""Form: what somebody filled in, its fields read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qs

from aiohttp import web

from ledger.errors import NotMoney
from ledger.money import Money, usd
from proxy.admin.asked import content_of, invalid, label
from proxy.errors import Invalid, TooLarge

FORM_BYTES = 256 * 1024
FIELDS = 500


@dataclass(frozen=True, slots=True)
class Form:
    """Fields as they were sent, without spaces at their ends; a field that is empty is None."""

    fields: Mapping[str, tuple[str, ...]]

    def text(self, name: str) -> str | None:
        given = self.fields.get(name, ("",))[-1].strip()
        return given or None

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(one.strip() for one in self.fields.get(name, ()) if one.strip())

    def wanted(self, name: str) -> str:
        """Raises Invalid."""
        text = self.text(name)
        if text is None:
            raise invalid(f"{name} is empty: fill it in", name)
        return text

    def label(self, name: str) -> str | None:
        """A name as it can stand in the books. Raises Invalid."""
        text = self.text(name)
        return None if text is None else label(text, name)

    def count(self, name: str) -> int | None:
        """A whole number from 0 on. Raises Invalid."""
        text = self.text(name)
        if text is None:
            return None
        digits = text.replace(",", "").replace(" ", "")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15):
            raise invalid(f"{name} is {text[:40]!r}: write a whole number, as in 600", name)
        return int(digits)

    def money(self, name: str) -> Money | None:
        """USD, digit by digit. Raises Invalid."""
        text = self.text(name)
        if text is None:
            return None
        try:
            amount = usd(text.removeprefix("$").replace(",", "").strip())
        except NotMoney as error:
            raise invalid(f"{name}: {error}", name) from None
        if amount < 0:
            raise invalid(f"{name} is {text[:40]}: write 0 or more", name)
        return amount

    def part(self, name: str) -> Decimal | None:
        """A percentage, as part of one. Raises Invalid."""
        text = self.text(name)
        if text is None:
            return None
        digits = text.removesuffix("%").strip()
        if not (digits.isascii() and digits.replace(".", "", 1).isdecimal() and len(digits) < 12):
            raise invalid(f"{name} is {text[:40]!r}: write a percentage, as in 85", name)
        return Decimal(digits) / 100


async def form_of(request: web.Request, timeout_s: float) -> Form:
    """Raises Invalid, TooLarge, TooSlow."""
    too_large = TooLarge(f"a form here has {FORM_BYTES} bytes at most")
    if (request.content_length or 0) > FORM_BYTES:
        raise too_large
    try:  # one that does not say its size is read no further, either
        content = await content_of(request.clone(client_max_size=FORM_BYTES), timeout_s)
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    if len(content) > FORM_BYTES:
        raise too_large
    if content and request.content_type != "application/x-www-form-urlencoded":
        raise Invalid(
            f"a form came as {request.content_type[:80]}: send application/x-www-form-urlencoded"
        )
    try:
        fields = parse_qs(
            content.decode(),
            keep_blank_values=True,
            strict_parsing=bool(content),
            max_num_fields=FIELDS,
        )
    except ValueError:  # of what is no UTF-8, too
        raise Invalid("the form cannot be read: send it from the page again") from None
    if any("\0" in one for values in fields.values() for one in values):
        raise Invalid("the form has a NUL character, which the books cannot hold")
    return Form({name: tuple(values) for name, values in fields.items()})
