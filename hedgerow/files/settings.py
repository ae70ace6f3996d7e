"""What a setting is: the types that its text may have."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from hedgerow.files.config_errors import nearest, wrong
from ledger.errors import NotAWindow, NotMoney
from ledger.money import usd
from ledger.rates import MOST_DECIMALS
from ledger.windows import AnyWindow, Window, window_of
from proxy.endpoints import Endpoint
from proxy.presets import PRESETS


class Part(BaseModel):
    """Keys that belong together in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def with_own(self, own: Self) -> Self:
        """These keys, but as `own` has them where they are written there."""
        changed = {}
        for key in own.model_fields_set:
            common, value = getattr(self, key), getattr(own, key)
            changed[key] = common.with_own(value) if isinstance(common, Part) else value
        return self.model_copy(update=changed)


@dataclass(frozen=True, slots=True)
class Kind:
    """How the reference calls a type, and how None is written where a word stands for it.

    pattern: what its text looks like, as editors check it: more may be wrong, and is told by
    `hedgerow check`. bare: what else an editor may take it for, where it is not in quotes. words:
    what editors offer.
    """

    name: str
    none: str = ""
    pattern: str = ""
    bare: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


_NUMBER_TOO = ("number",)
_ANY = ("number", "boolean")  # a team may be called 7, or no


def number_kind(most: str) -> Kind:
    """A number that may have decimals, from 0."""
    return Kind(f"number from 0 to {most}", pattern=r"[0-9_.eE+-]+", bare=_NUMBER_TOO)


@dataclass(frozen=True, slots=True)
class SameAs:
    """Keys that stand in the reference already, under `path`."""

    path: str


@dataclass(frozen=True, slots=True)
class DayHours:
    """Hours of every day, the end not among them; over midnight where the end is not later."""

    begin_minute: int
    end_minute: int

    def holds(self, at: time) -> bool:
        minute = 60 * at.hour + at.minute
        if self.begin_minute < self.end_minute:
            return self.begin_minute <= minute < self.end_minute
        return minute >= self.begin_minute or minute < self.end_minute


def _one_value(value: object) -> str:
    if not isinstance(value, str):
        raise wrong("a list or a mapping stands where one value belongs")
    return value


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise wrong("has spaces at an end or control characters", "write plain text on one line")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[!-~]{1,200}", text):
        raise wrong(
            "a name with spaces or other characters that HTTP headers do not take",
            "use letters, digits and . _ - / : @ (at most 200)",
        )
    return text


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text:
        raise wrong("is empty", "write a key, or ${NAME} with the variable set")
    if not is_key(text):
        raise wrong(
            "has spaces, line ends or other characters that HTTP headers do not take",
            "check the key, or the variable that holds it",
        )
    return value


def is_key(text: str) -> bool:
    """Whether a text can be a provider's key, in an HTTP header."""
    return re.fullmatch(r"[!-~]{1,4096}", text) is not None


_OURS = re.compile(
    r"accept-encoding|connection|content-length|content-type|expect|host|keep-alive|te|trailer"
    r"|transfer-encoding|upgrade|x-litellm-(params|secret|setup)",
    re.IGNORECASE,
)
"""Headers that the proxy writes itself, or that are between it and the next hop."""


def _header_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", text):
        raise wrong("is no name of an HTTP header", "use letters, digits and -")
    if _OURS.fullmatch(text):
        raise wrong("is a header that Hedgerow writes itself", "take it out")
    return text


def _header_value(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]([ -~]{0,4094}[!-~])?", value.get_secret_value()):
        raise wrong(
            "is empty, or has line ends or other characters that HTTP headers do not take",
            "write plain text on one line",
        )
    return value


def _parameter(value: SecretStr) -> SecretStr:
    if not 0 < len(value.get_secret_value()) <= 16384:
        raise wrong("is empty or longer than 16384 characters", "write a value, or take it out")
    return value


def _preset(text: str) -> str:
    """The preset's own name."""
    if text not in PRESETS:
        near = nearest(text, PRESETS)
        hint = f'did you mean "{near}"?' if near else f"write one of {', '.join(PRESETS)}"
        raise wrong("no preset is called {written}", hint)
    return PRESETS[text].name


_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|m|h|)")
_LONGEST_S = 86400.0


def _duration(value: object) -> float:
    return _seconds(value, "write ")


def _seconds(value: object, write: str) -> float:
    """Seconds from `20s`, `5m`, `1h`, `500ms` or a bare number of seconds."""
    found = _DURATION.fullmatch(_one_value(value))
    if not found:
        raise wrong("{written} is no duration", f"{write}20s, 5m, 1h, 500ms or a number of seconds")
    seconds = float(found[1]) * _UNIT_S[found[2]]
    if not 0 < seconds <= _LONGEST_S:
        raise wrong("{written} is out of range", f"{write}more than 0 and at most 24h")
    return seconds


def _days(value: object) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,4})d", _one_value(value))
    if not found:
        raise wrong("{written} is no number of days", "write whole days, as in 90d")
    return int(found[1])


def _heartbeat(value: object) -> float | None:
    if value == "off":
        return None
    return _seconds(value, "write off, or ")


P95: Literal["p95"] = "p95"


def _hedge_after(value: object) -> float | str | None:
    if value in ("off", P95):
        return None if value == "off" else P95
    return _seconds(value, "write off, p95, or ")


_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")


def _day_hours(value: object) -> DayHours:
    found = _CLOCK.fullmatch(_one_value(value))
    begin, end = ((60 * int(found[at]) + int(found[at + 1])) for at in (1, 3)) if found else (0, 0)
    if begin == end or max(begin, end) > 24 * 60:
        raise wrong(
            "{written} are no hours of a day", 'write a begin and an end, as in "22:00-06:00"'
        )
    return DayHours(begin, end)


MOST_WORKERS = 64
MOST_BYTES = 2**50
_UNIT_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_BYTES = re.compile(r"([0-9]{1,9}) ?(KiB|MiB|GiB)")


def _bytes(value: object) -> int | str:
    """Bytes from `64 MiB`; a bare number is left to be read as one."""
    text = _one_value(value)
    found = _BYTES.fullmatch(text)
    return int(found[1]) * _UNIT_BYTES[found[2]] if found else text


# Few enough digits that no Decimal arithmetic on them is rounded or slow.
_NUMBER = re.compile(
    r"(?=[^eE]{1,28}(?:[eE]|$))\+?[0-9][0-9_]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?"
)


def _decimal(value: object) -> Decimal:
    text = _one_value(value)
    if text.startswith("-"):
        raise wrong("{written} is negative", "write 0 or more")
    if not _NUMBER.fullmatch(text):
        raise wrong("{written} is no amount of USD", "write digits, as in 12.50")
    return Decimal(text)


def _cap(amount: Decimal) -> Decimal:
    try:
        usd(amount)
    except NotMoney:
        raise wrong(
            "{written} USD is no amount that the books can hold",
            "write at most 9 decimals and at most 9 billion",
        ) from None
    return amount


_PERCENT = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,4})?) ?%")


def part_of_cap(text: str) -> Decimal | None:
    """The part that a percentage is, exactly; None if it is none from above 0 to 1000%."""
    found = _PERCENT.fullmatch(text)
    part = Decimal(found[1]).scaleb(-2) if found else Decimal(0)
    return part if 0 < part <= 10 else None


def _part_of_cap(value: object) -> Decimal:
    part = part_of_cap(_one_value(value))
    if part is None:
        raise wrong("{written} is no part of a cap", "write 70%: more than 0 and at most 1000%")
    return part


def _part_of_requests(value: object) -> Decimal:
    part = part_of_cap(_one_value(value))
    if part is None or part > 1:
        raise wrong("{written} is no part of them", "write 5%: more than 0 and at most 100%")
    return part


def _window(value: object) -> AnyWindow:
    text = _one_value(value)
    try:
        return window_of(text)
    except NotAWindow:
        near = nearest(text, list(Window))
        meant = f'did you mean "{near}"? ' if near else ""
        names = ", ".join(Window)
        hint = f"{meant}write one of {names}, or rolling:30d (m, h or d)"
        raise wrong("{written} is no window", hint) from None


_WHEN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_FIRST_YEAR, _LAST_YEAR = 1970, 2200  # with a margin to what an int64 of nanoseconds holds


def when_of(text: str) -> datetime | None:
    """A day or a moment; None if it is none. Without an offset it knows no time zone."""
    if not _WHEN.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if _FIRST_YEAR < found.year < _LAST_YEAR else None


def _when(value: object) -> datetime:
    found = when_of(_one_value(value))
    if found is None:
        hint = "write a day, as in 2026-12-01, or a moment, as in 2026-12-01 18:00"
        raise wrong("{written} is no date", hint)
    return found


# The longest first: one may end with another.
_ENDINGS = sorted((f"/{one.value}" for one in Endpoint), key=len, reverse=True)


def _base_url(url: str) -> str:
    """The URL without its last slash. Never shown: people write keys into URLs."""
    write = "write, for example, https://api.groq.com/openai/v1"
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError:
        raise wrong("is no URL", write) from None
    if parts.scheme not in ("http", "https"):
        raise wrong("is no http or https URL", write)
    if not parts.hostname or not port_is_good or re.search(r"\s", url):
        raise wrong("is no URL", write)
    has_user, has_more = "@" in parts.netloc, parts.query or parts.fragment
    if has_user and has_more:
        hint = "write the key under api_key, and the URL up to and with the version: .../v1"
        raise wrong("has a user or password in it, and a ? or #", hint)
    if has_user:
        raise wrong("has a user or password in it", "write the key under api_key")
    if has_more:
        raise wrong("has a ? or # in it", "write the URL up to and with the version: .../v1")
    plain = url.rstrip("/")
    for ending in _ENDINGS:
        if plain.endswith(ending):
            raise wrong(f"ends with {ending}, which is added for you", "write {written}", ending)
    return plain


_SLUG = re.compile(r"[A-Za-z0-9_.~-]{1,100}/[A-Za-z0-9_.~:-]{1,150}")


def _model_slug(name: str) -> str:
    if not _SLUG.fullmatch(name):
        raise wrong(
            "{written} is no author/slug", "write, for example, meta-llama/llama-3.3-70b-instruct"
        )
    return name


def _document_url(url: str) -> str:
    """Never shown as it is: people write keys into URLs."""
    write = "write, for example, https://mirror.example/prices.json"
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError:
        raise wrong("is no URL", write) from None
    if parts.scheme not in ("http", "https"):
        raise wrong("is no http or https URL", write)
    if not parts.hostname or not port_is_good or not re.fullmatch(r"[!-~]{1,2000}", url):
        raise wrong("is no URL", write)
    if "@" in parts.netloc:
        raise wrong("has a user or password in it", "let it be read by everybody, or from a file")
    return url


def _ledger_url(url: str) -> str:
    if re.match(r"postgres(ql)?://", url):
        return url
    found = re.fullmatch(r"sqlite:///([^?#]*[^?#/])", url)
    if not found or found[1].endswith(":memory:"):
        raise wrong(
            "is no URL of a SQLite file, nor of PostgreSQL",
            "write sqlite:///hedgerow.db, sqlite:////var/lib/hedgerow.db for an absolute path, or"
            " postgresql://user@host/database",
        )
    return url


def _timezone(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", name):
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            pass
        else:
            return name
    zones = zoneinfo.available_timezones()
    city = name.rpartition("/")[2].casefold()
    near = next((zone for zone in sorted(zones) if zone.casefold().endswith(f"/{city}")), None)
    near = near or nearest(name, [zone for zone in zones if zone[:1] == name[:1].upper()])
    hint = f'did you mean "{near}"?' if near else "write an IANA name, as in Europe/Berlin"
    raise wrong("{written} is no time zone", hint)


Text: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=1000),
    AfterValidator(_printable),
    Kind("text", bare=_ANY),
]
Name: TypeAlias = Annotated[
    str, AfterValidator(_name), Kind("name", pattern="[!-~]{1,200}", bare=_ANY)
]
Secret: TypeAlias = Annotated[SecretStr, AfterValidator(_secret), Kind("secret", bare=_ANY)]
PresetName: TypeAlias = Annotated[
    str, AfterValidator(_preset), Kind("preset", words=tuple(PRESETS))
]
HeaderName: TypeAlias = Annotated[
    str,
    AfterValidator(_header_name),
    Kind("name", pattern=r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"),
]
HeaderValue: TypeAlias = Annotated[
    SecretStr, AfterValidator(_header_value), Kind("secret text", bare=_ANY)
]
Parameter: TypeAlias = Annotated[
    SecretStr, AfterValidator(_parameter), Kind("secret text", bare=_ANY)
]
Heartbeat: TypeAlias = Annotated[
    float | None,
    BeforeValidator(_heartbeat),
    Kind(
        "`off` or duration",
        none="off",
        pattern=_DURATION.pattern,
        bare=_NUMBER_TOO,
        words=("off",),
    ),
]
HedgeAfter: TypeAlias = Annotated[
    float | Literal["p95"] | None,
    BeforeValidator(_hedge_after),
    Kind(
        "`off`, `p95` or duration",
        none="off",
        pattern=_DURATION.pattern,
        bare=_NUMBER_TOO,
        words=("off", P95),
    ),
]
Hours: TypeAlias = Annotated[
    DayHours, BeforeValidator(_day_hours), Kind("hours", pattern=_CLOCK.pattern)
]
Bytes: TypeAlias = Annotated[
    int,
    BeforeValidator(_bytes),
    Kind("bytes", pattern=f"[0-9_]+|{_BYTES.pattern}", bare=_NUMBER_TOO),
]
Seconds: TypeAlias = Annotated[
    float,
    BeforeValidator(_duration),
    Kind("duration", pattern=_DURATION.pattern, bare=_NUMBER_TOO),
]
_USD = Kind("USD", pattern=r"\+?[0-9][0-9_]*(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?", bare=_NUMBER_TOO)
Price: TypeAlias = Annotated[
    Decimal,
    Field(le=Decimal(1_000_000), decimal_places=MOST_DECIMALS),
    BeforeValidator(_decimal),
    _USD,
]
Cap: TypeAlias = Annotated[Decimal, AfterValidator(_cap), BeforeValidator(_decimal), _USD]
PartOfCap: TypeAlias = Annotated[
    Decimal, BeforeValidator(_part_of_cap), Kind("percentage", pattern=_PERCENT.pattern)
]
PartOfRequests: TypeAlias = Annotated[
    Decimal, BeforeValidator(_part_of_requests), Kind("percentage", pattern=_PERCENT.pattern)
]
WindowName: TypeAlias = Annotated[
    AnyWindow,
    BeforeValidator(_window),
    Kind("window", pattern="rolling:[1-9][0-9]{0,3}[mhd]", words=tuple(Window)),
]
WhenLocal: TypeAlias = Annotated[
    datetime, BeforeValidator(_when), Kind("date", pattern=_WHEN.pattern)
]
WorkerCount: TypeAlias = Annotated[int, Field(ge=1, le=MOST_WORKERS), Kind("whole number")]
BaseUrl: TypeAlias = Annotated[
    str, AfterValidator(_base_url), Kind("URL", pattern="https?://[^@?#]+")
]
ModelSlug: TypeAlias = Annotated[
    str, AfterValidator(_model_slug), Kind("author/slug", pattern=_SLUG.pattern)
]
DocumentUrl: TypeAlias = Annotated[
    str, AfterValidator(_document_url), Kind("URL", pattern="https?://[^@]+")
]
LedgerUrl: TypeAlias = Annotated[
    str,
    AfterValidator(_ledger_url),
    Kind("SQLite or PostgreSQL URL", pattern="(sqlite|postgres(ql)?)://.+"),
]
Days: TypeAlias = Annotated[int, BeforeValidator(_days), Kind("days", pattern="[1-9][0-9]{0,4}d")]
TimeZone: TypeAlias = Annotated[
    str,
    AfterValidator(_timezone),
    Kind("IANA time zone", pattern=r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*"),
]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000), Kind("whole number")]
Amount: TypeAlias = Annotated[int, Field(ge=0, le=10**15), Kind("whole number")]
