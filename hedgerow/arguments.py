"""Arguments: the types of what is written on the command line."""

from __future__ import annotations

import enum
import math
import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final, Literal, TypeAlias, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from ledger.errors import NotAWindow, NotMoney
from ledger.money import MAX_NANOS, Money, usd
from ledger.windows import AnyWindow, Rolling, Window, window_of

T = TypeVar("T")

_NANOS_PER_S = 1_000_000_000
_CURRENCY = re.compile(r"[A-Z]{3}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_PLAIN = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10})?")


class _Usd(click.ParamType[Money]):
    """An amount above zero, or from zero on, exactly as written."""

    name = "usd"

    def __init__(self, least: int = 1) -> None:
        self._least = least

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Money:
        try:
            amount = usd(str(value))
        except NotMoney as error:
            self.fail(str(error), param, ctx)
        if amount < self._least:
            limit = "above 0" if self._least else "from 0 on"
            self.fail(f"{value} USD is too little: write an amount {limit}", param, ctx)
        return amount


class _Label(click.ParamType[str]):
    """Text that can stand in a table, an HTTP header's message and the books."""

    name = "text"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        text = str(value)
        if not text.isprintable() or text != text.strip() or not text:
            self.fail(
                f"{text!r} is empty, or has spaces at an end or control characters: "
                "write plain text",
                param,
                ctx,
            )
        return text


class _Labels(click.ParamType[tuple[str, ...]]):
    """Labels between commas, each once."""

    name = "text,text"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        labels = (LABEL.convert(one.strip(), param, ctx) for one in str(value).split(","))
        return tuple(dict.fromkeys(labels))


class _LocalMoment(click.ParamType[datetime]):
    """A day, a month's first or a second, in whatever zone the command counts in: `nanos` tells
    it."""

    name = "date"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            at = datetime.fromisoformat(f"{text}-01" if _MONTH.fullmatch(text) else text)
        except ValueError:
            self.fail(
                f"{value!r} is no date: write 2027-01-31, 2027-01 or 2027-01-31T18:00:00",
                param,
                ctx,
            )
        if not 0 <= nanos(at, UTC) <= MAX_NANOS:
            self.fail(f"{value} is outside 1970 to 2262, which the books can hold", param, ctx)
        return at


def nanos(at: datetime, zone: tzinfo) -> int:
    """A moment, of the zone if it names none itself, as nanoseconds since 1970."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return int(at.timestamp()) * _NANOS_PER_S


class _Moment(click.ParamType[int]):
    """A day or a second in UTC, as nanoseconds since 1970."""

    name = "date"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        return nanos(LOCAL_MOMENT.convert(value, param, ctx), UTC)


class _Zone(click.ParamType[ZoneInfo]):
    """A time zone by its name."""

    name = "zone"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> ZoneInfo:
        if isinstance(value, ZoneInfo):
            return value
        try:
            return ZoneInfo(str(value))
        except (
            ZoneInfoNotFoundError,
            ValueError,
            OSError,
        ):  # of names that are no files, or folders
            self.fail(f"{value!r} is no time zone: write one as in Europe/Berlin", param, ctx)


class _Window(click.ParamType[AnyWindow]):
    """A window by its name, rolling ones included."""

    name = "window"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> AnyWindow:
        if isinstance(value, Window | Rolling):
            return value
        try:
            return window_of(str(value))
        except NotAWindow as error:
            self.fail(str(error), param, ctx)


class _Seconds(click.ParamType[int]):
    """A length of time in whole seconds, as `30m` or `24h`, up to 90 days."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,8})([smhd]?)", str(value))
        seconds = int(found[1]) * _SECONDS[found[2]] if found else -1
        if not 0 <= seconds <= _MOST_SECONDS:
            self.fail(f"{value!r} is no length of time up to 90d: write 30m, 24h or 7d", param, ctx)
        return seconds


_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_MOST_SECONDS = 90 * 86_400


class _Nothing(enum.Enum):
    """What takes a limit away, on the command line `none`."""

    NOTHING = "none"


NOTHING: Final = _Nothing.NOTHING
Nothing: TypeAlias = Literal[_Nothing.NOTHING]


class _OrNothing(click.ParamType[T | Nothing]):
    """A value, or `none`."""

    def __init__(self, kind: click.ParamType[T]) -> None:
        self._kind = kind
        self.name = f"{kind.name}|none"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> T | Nothing:
        if value is NOTHING or value == NOTHING.value:
            return NOTHING
        return self._kind.convert(value, param, ctx)


class _Rate(click.ParamType[tuple[str, Decimal]]):
    """What one of a currency is in USD, exactly: `EUR=1.08`."""

    name = "currency=usd"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Decimal]:
        currency, _, rate = str(value).partition("=")
        exact = _decimal(rate)
        if not _CURRENCY.fullmatch(currency) or exact is None or exact <= 0:
            self.fail(f"{value!r} is no rate: write EUR=1.08 if a euro is 1.08 USD", param, ctx)
        return currency, exact


class _Percent(click.ParamType[Decimal]):
    """A part of a hundred, as a part of one, exactly."""

    name = "percent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        if isinstance(value, Decimal):
            return value
        exact = _decimal(str(value).removesuffix("%")) if str(value).endswith("%") else None
        if exact is None or not 0 <= exact < 100:
            self.fail(f"{value!r} is no percentage from 0 to below 100: write 12.5%", param, ctx)
        return exact / 100


def _decimal(text: str) -> Decimal | None:
    """A plain number of at most twenty digits."""
    return Decimal(text) if _PLAIN.fullmatch(text) else None


class Ratio(click.FloatRange):
    """A number within limits. click takes NaN for one: no comparison refuses it."""

    name = "number"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = super().convert(value, param, ctx)  # type: ignore[arg-type]
        if math.isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


COUNT = click.IntRange(0, 2**53)
USD = _Usd()
SECONDS = _Seconds()
WINDOW = _Window()
COUNT_OR_NONE = _OrNothing(COUNT)
USD_OR_NONE = _OrNothing(USD)
USD_FROM_ZERO = _Usd(least=0)
LABEL = _Label()
LABELS = _Labels()
LOCAL_MOMENT = _LocalMoment()
MOMENT = _Moment()
RATE = _Rate()
PERCENT = _Percent()
ZONE = _Zone()
