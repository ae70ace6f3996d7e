"""How the market's figures are written on pages: prices, times, ages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from markupsafe import Markup

from hedgerow.web.formats import UNKNOWN


def price(value: Decimal | None) -> Markup:
    """USD, with all digits that were said."""
    if value is None:
        return UNKNOWN
    text = f"{value.normalize():f}"
    return Markup('<data value="{0}">{1}</data>').format(text, f"{value:f}" if value else "0")


def effective(value: Decimal | None) -> Markup:
    """USD, the first digits that tell offers apart."""
    if value is None:
        return UNKNOWN
    shown = f"{float(value):.3g}" if value < 1000 else f"{value:,.0f}"
    if "e" in shown:
        shown = f"{value:.9f}".rstrip("0")
    return Markup('<data value="{}">{}</data>').format(f"{value:f}", shown)


def ms(value: float | None) -> Markup:
    """Milliseconds, or seconds and minutes where they are many."""
    if value is None:
        return UNKNOWN
    shown = f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"
    if value >= 600_000:
        shown = f"{value / 60_000:,.0f} min"
    if 0 < value < 10:
        shown = f"{value:.1f} ms"
    return Markup('<data value="{}">{}</data>').format(f"{value:.3f}", shown)


def age(seconds: float) -> str:
    """As in `3 h`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return "now" if seconds < 1 else f"{seconds:.0f} s"


def ago(since: datetime | None, at: datetime) -> Markup:
    """How long before `at`, with the moment itself."""
    if since is None:
        return UNKNOWN
    text = age(max(0.0, (at - since).total_seconds()))
    said = since.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(said, text)


FORMATS: Mapping[str, object] = {
    "price": price,
    "effective": effective,
    "ms": ms,
    "age": age,
    "ago": ago,
}
"""Variables for templates, beside the filters that every page has."""
