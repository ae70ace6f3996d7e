"""Chips: what a GPU that is sold by the hour can do, by its maker's data sheet.

Work on language models is bound by memory (tokens written one after the other) or by arithmetic
(prompts): so a chip counts by bandwidth, by dense 16-bit throughput, or by both. Data sheets name
throughput with sparsity; here stands the half of it. What no data sheet says is `assumed`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from benchmarks.errors import NotGraded


class Interconnect(StrEnum):
    """How chips of one machine are joined."""

    NVLINK = "nvlink"
    PCIE = "pcie"
    INFINITY_FABRIC = "infinity-fabric"
    UNSTATED = "unstated"
    """The name that it is sold by does not say."""


class Basis(StrEnum):
    """By what chips are compared."""

    BANDWIDTH = "bandwidth"
    """Tokens written one after the other, in small batches."""
    COMPUTE = "compute"
    """Prompts, and large batches."""
    BALANCED = "balanced"
    """The geometric mean of both: assumed, for work that nobody has measured."""


@dataclass(frozen=True, slots=True)
class Chip:
    """tflops: of dense FP16 or BF16, of its tensor or matrix cores. source: the data sheet, or what
    is assumed."""

    name: str
    memory_gb: int
    interconnect: Interconnect
    bandwidth_gb_s: int
    tflops: Decimal
    source: str

    def worth(self, basis: Basis) -> Decimal:
        """How many hours of the reference chip one of its hours is worth."""
        bandwidth = Decimal(self.bandwidth_gb_s) / REFERENCE.bandwidth_gb_s
        compute = self.tflops / REFERENCE.tflops
        match basis:
            case Basis.BANDWIDTH:
                return bandwidth
            case Basis.COMPUTE:
                return compute
            case Basis.BALANCED:
                return (bandwidth * compute).sqrt()


def _chip(
    name: str,
    memory_gb: int,
    interconnect: Interconnect,
    bandwidth_gb_s: int,
    tflops: str,
    source: str,
) -> Chip:
    return Chip(name, memory_gb, interconnect, bandwidth_gb_s, Decimal(tflops), source)


_NVLINK, _PCIE = Interconnect.NVLINK, Interconnect.PCIE
_FABRIC, _UNSTATED = Interconnect.INFINITY_FABRIC, Interconnect.UNSTATED
_A100 = "NVIDIA A100 data sheet; the lower bandwidth, of PCIe, assumed where SXM is not said"
_H100 = "NVIDIA H100 data sheet"
_BLACKWELL = "NVIDIA Blackwell data sheet, a machine's figures by its chips"

REFERENCE = _chip("H100-SXM", 80, _NVLINK, 3350, "989.5", _H100)

CHIPS: Mapping[str, Chip] = {
    one.name: one
    for one in (
        REFERENCE,
        _chip("H100-PCIe", 80, _PCIE, 2000, "756.5", _H100),
        _chip("H100-NVL", 94, _PCIE, 3900, "835.5", _H100),
        _chip("A100-40", 40, _UNSTATED, 1555, "312", _A100),
        _chip("A100-80", 80, _UNSTATED, 1935, "312", _A100),
        _chip("A100-SXM-80", 80, _NVLINK, 2039, "312", _A100),
        _chip("A100-PCIe-80", 80, _PCIE, 1935, "312", _A100),
        _chip("H200", 141, _NVLINK, 4800, "989.5", "NVIDIA H200 data sheet; SXM assumed"),
        _chip("H200-NVL", 141, _PCIE, 4800, "835.5", "NVIDIA H200 data sheet"),
        _chip("GH200-96", 96, _NVLINK, 4000, "990", "NVIDIA GH200 data sheet"),
        _chip("GH200-144", 144, _NVLINK, 4900, "990", "NVIDIA GH200 data sheet"),
        _chip("B200", 180, _NVLINK, 8000, "2250", _BLACKWELL),
        _chip("GB200", 186, _NVLINK, 8000, "2500", _BLACKWELL),
        _chip("B300", 288, _NVLINK, 8000, "2250", _BLACKWELL),
        _chip("L4", 24, _PCIE, 300, "121", "NVIDIA L4 data sheet"),
        _chip("L40", 48, _PCIE, 864, "181", "NVIDIA L40 data sheet"),
        _chip("L40S", 48, _PCIE, 864, "362", "NVIDIA L40S data sheet"),
        _chip("A10", 24, _PCIE, 600, "125", "NVIDIA A10 data sheet"),
        _chip("A10G", 24, _PCIE, 600, "70", "assumed: its maker has no public data sheet"),
        _chip("MI300X", 192, _FABRIC, 5300, "1307.4", "AMD Instinct MI300X data sheet"),
        _chip("MI325X", 256, _FABRIC, 6000, "1307.4", "AMD Instinct MI325X data sheet"),
        _chip("MI355X", 288, _FABRIC, 8000, "2516.6", "AMD Instinct MI355X data sheet"),
        _chip("RTX4090", 24, _PCIE, 1008, "165.2", "NVIDIA Ada white paper, FP32 sums"),
        _chip("RTX5090", 32, _PCIE, 1792, "209.5", "NVIDIA RTX Blackwell white paper, FP32 sums"),
        _chip("RTXPRO6000", 96, _PCIE, 1597, "503.8", "assumed: the server edition"),
    )
}

_AMBIGUOUS = {
    "H100": ("H100-SXM", "H100-PCIe", "H100-NVL"),
    "A100": ("A100-40", "A100-80"),
    "A100SXM": ("A100-40", "A100-SXM-80"),
    "A100PCIE": ("A100-40", "A100-PCIe-80"),
    "GH200": ("GH200-96", "GH200-144"),
}

_ALIASES = {
    "H100SXM5": "H100-SXM",
    "H100SXM80": "H100-SXM",
    "H100SXM580": "H100-SXM",
    "H10080HBM3": "H100-SXM",
    "H100PCIE80": "H100-PCIe",
    "H100NVL94": "H100-NVL",
    "A100SXM440": "A100-40",
    "A100PCIE40": "A100-40",
    "A100SXM480": "A100-SXM-80",
    "A100PCIE80": "A100-PCIe-80",
    "H200SXM": "H200",
    "H200SXM141": "H200",
    "H200NVL141": "H200-NVL",
    "B200SXM": "B200",
    "B300SXM": "B300",
    "RTXPRO6000BLACKWELL": "RTXPRO6000",
}


@lru_cache(maxsize=4096)
def chip_of(name: str) -> Chip:
    """The chip that a source calls `name`: spaces, hyphens, the maker and `GB` do not matter.

    Raises NotGraded, for a name that may mean several, too: nothing is guessed.
    """
    plain = re.sub(r"NVIDIA|AMD|INSTINCT|TESLA|GEFORCE|[^A-Z0-9]", "", name.upper())
    plain = re.sub(r"(?<=[0-9])GB", "", plain)
    several = _AMBIGUOUS.get(re.sub("(?<=^A100SXM)4$", "", plain))
    if several is not None:
        raise NotGraded(f"GPU {name!r} may be {' or '.join(several)}: name which")
    known = _ALIASES.get(plain) or _NAMES.get(plain)
    if known is None:
        raise NotGraded(f"GPU {name!r} is in no table of ours: name one of {', '.join(CHIPS)}")
    return CHIPS[known]


_NAMES = {re.sub("[^A-Z0-9]", "", one.upper()): one for one in CHIPS}
