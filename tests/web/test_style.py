"""The style: text that can be read, in the light and in the dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STYLE = Path(__file__).parents[2] / "hedgerow" / "web" / "static" / "app.css"
COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);",
        STYLE.read_text(encoding="utf-8"),
    )
}
TEXT = [
    *((ink, paper) for ink in ("ink", "ink-soft", "accent") for paper in ("page", "surface")),
    *((ink, "sunk") for ink in ("ink", "ink-soft")),
    *((tone, f"{tone}-soft") for tone in ("good", "warn", "bad", "accent")),
    ("accent-ink", "accent"),
    ("bad", "surface"),
]
LINES = [f"series-{number}" for number in range(1, 7)] + ["limit", "warn", "bad", "accent"]


def luminance(colour: str) -> float:
    """As WCAG 2 has it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_as_published() -> None:
    """Black on white is 21; #767676 on white is the lightest grey that passes for text."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_what_is_written_can_be_read(scheme: int) -> None:
    """Text has a contrast of 4.5 to what it stands on, lines and meters one of 3: WCAG 2, AA."""
    for ink, paper in TEXT:
        found = contrast(COLOURS[ink][scheme], COLOURS[paper][scheme])
        assert found >= 4.5, f"{ink} on {paper}: {found:.2f}"
    for line in LINES:
        found = contrast(COLOURS[line][scheme], COLOURS["surface"][scheme])
        assert found >= 3, f"{line}: {found:.2f}"


def test_every_variable_is_there() -> None:
    """What the style and the charts name is defined, and what is defined is named."""
    root = STYLE.parents[1]
    style = STYLE.read_text(encoding="utf-8")
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", style))
    plots = (root / "plots.py").read_text(encoding="utf-8")
    used |= set(re.findall(r"var\(--([a-z0-9-]+)\)", plots))
    used |= {f"series-{number}" for number in range(1, 7)} | {"band-1", "band-2", "band-3"}
    assert used == set(re.findall(r"^ *--([a-z0-9-]+):", style, flags=re.MULTILINE))
