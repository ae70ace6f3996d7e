"""Grade: what a GPU-hour is, so that its price can be compared: chip, memory, interconnect, region
and term. What cannot be told from a source's words is refused by name, never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from benchmarks.capacity.chips import CHIPS, Chip, Interconnect, chip_of
from benchmarks.errors import NotGraded


class Area(StrEnum):
    """Where capacity stands, as far as prices differ by it."""

    US = "us"
    CANADA = "ca"
    LATIN_AMERICA = "latam"
    EUROPE = "eu"
    MIDDLE_EAST = "me"
    AFRICA = "af"
    ASIA_PACIFIC = "apac"
    UNSTATED = "unstated"
    """Anywhere, or its source does not say."""


@lru_cache(maxsize=4096)
def area_of(region: str | None) -> Area:
    """The area of a cloud's region, a country's code, or a continent. Raises NotGraded."""
    plain = (region or "").strip().lower().replace("_", "-")
    if plain in _NOWHERE:
        return Area.UNSTATED
    if (by_country := _BY_COUNTRY.get(plain)) is not None:
        return by_country
    for beginning, area in _BY_BEGINNING:
        if plain.startswith(beginning):
            return area
    raise NotGraded(f"region {region!r} is no place that is known: write a country's code")


_NOWHERE = frozenset({"", "any", "global", "other", "secure", "community"})
"""RunPod sells `secure` and `community` machines wherever they stand."""

_COUNTRIES = {
    Area.US: "us usa pr",
    Area.CANADA: "ca",
    Area.LATIN_AMERICA: "ar br cl co mx pe uy latam",
    Area.EUROPE: "ad al at ba be bg by ch cz de dk ee es eu europe fi fr gb gr hr hu ie is it lt lu"
    " lv mc md me mk mt nl no pl pt ro rs ru se si sk ua uk",
    Area.MIDDLE_EAST: "ae am bh il iq jo kw lb om qa sa tr",
    Area.AFRICA: "eg gh ke ma ng tn za africa",
    Area.ASIA_PACIFIC: "ap apac asia au bd cn hk id in jp kh kr kz lk mo my nz ph pk sg th tw vn",
}
_BY_COUNTRY = {code: area for area, codes in _COUNTRIES.items() for code in codes.split()}
_BY_BEGINNING = (
    ("northamerica-northeast", Area.CANADA),
    ("northamerica-south", Area.LATIN_AMERICA),
    ("southamerica-", Area.LATIN_AMERICA),
    ("us-", Area.US),
    ("ca-", Area.CANADA),
    ("sa-", Area.LATIN_AMERICA),
    ("europe-", Area.EUROPE),
    ("eu-", Area.EUROPE),
    ("me-", Area.MIDDLE_EAST),
    ("il-", Area.MIDDLE_EAST),
    ("africa-", Area.AFRICA),
    ("af-", Area.AFRICA),
    ("asia-", Area.ASIA_PACIFIC),
    ("australia-", Area.ASIA_PACIFIC),
    ("ap-", Area.ASIA_PACIFIC),
)


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """For how long capacity is bought. kind: `on-demand`, `spot` (it may be taken back), or
    `reserved` for so many months."""

    kind: str
    months: int = 0

    def __str__(self) -> str:
        return f"{self.kind}-{self.months}m" if self.months else self.kind


ON_DEMAND, SPOT = Term("on-demand"), Term("spot")


@lru_cache(maxsize=256)
def term_of(contract: str) -> Term:
    """The term of `on-demand`, `spot`, `reserved-1y` or `reserved-6m`. Raises NotGraded."""
    plain = contract.strip().lower().replace("_", "-")
    for one in (ON_DEMAND, SPOT):
        if plain == one.kind:
            return one
    found = re.fullmatch(r"reserved-([1-9][0-9]?)(y|m|mo)", plain)
    if found is None:
        raise NotGraded(
            f"contract {contract!r} is no term: write on-demand, spot, reserved-6m or reserved-1y"
        )
    return Term("reserved", int(found[1]) * (12 if found[2] == "y" else 1))


@dataclass(frozen=True, slots=True, order=True)
class Grade:
    """What is sold by the GPU-hour. Prices of one grade can be compared; those of others only by
    `Chip.worth` and by what terms are measured to be worth."""

    chip: str
    memory_gb: int
    interconnect: Interconnect
    area: Area
    term: Term

    @classmethod
    def of(cls, gpu: str, region: str | None, contract: str) -> Grade:
        """From the words of a source. Raises NotGraded, naming the word."""
        chip = chip_of(gpu)
        return cls(chip.name, chip.memory_gb, chip.interconnect, area_of(region), term_of(contract))

    @property
    def spec(self) -> Chip:
        return CHIPS[self.chip]

    def __str__(self) -> str:
        return f"{self.chip} {self.memory_gb} GB {self.interconnect} {self.area} {self.term}"
