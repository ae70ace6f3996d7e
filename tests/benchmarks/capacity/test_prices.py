"""GPU-hours: what they are is told or refused, and prices of one grade are put together."""

from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.capacity.chips import CHIPS, REFERENCE, Basis, chip_of
from benchmarks.capacity.grades import Area, Term, area_of, term_of
from benchmarks.capacity.prices import (
    CAPACITY,
    CapacityPrice,
    graded,
    indices,
    keep,
    term_ratios,
    usd_per_mtok,
)
from benchmarks.errors import NotGraded
from benchmarks.tables.database import open_market
from benchmarks.tables.facts import Facts
from ledger.databases.sql import Sql

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "gpu_hour_prices.csv.gz"
AT = datetime(2026, 7, 20, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """As a feed's reader gives it."""

    usd_per_gpu_hour: Decimal
    provider: str = "lambda"
    gpu: str = "H100-SXM"
    region: str | None = "us"
    contract: str = "on-demand"
    at: datetime = AT
    stat: str = "list"
    source: str = "test"


def price(usd: str, provider: str = "lambda", **named: str) -> CapacityPrice:
    return graded(Row(Decimal(usd), provider, **named))  # type: ignore[arg-type]


# -- grades

PUBLISHED = {
    # NVIDIA H100, H200, A100, L4, L40S data sheets and AMD's of the MI300X: GB, TB/s, and TFLOPS of
    # BF16; NVIDIA's since 2022 are with sparsity, twice the dense ones
    "H100-SXM": (80, 3.35, 1979 / 2),
    "H100-PCIe": (80, 2.0, 1513 / 2),
    "H100-NVL": (94, 3.9, 1671 / 2),
    "H200": (141, 4.8, 1979 / 2),
    "A100-SXM-80": (80, 2.039, 312),
    "A100-PCIe-80": (80, 1.935, 312),
    "L4": (24, 0.3, 242 / 2),
    "L40S": (48, 0.864, 362.05),
    "MI300X": (192, 5.3, 1307.4),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_data_sheets(name: str) -> None:
    """Memory, bandwidth and dense throughput are those that the makers publish."""
    memory_gb, tb_s, tflops = PUBLISHED[name]
    chip = CHIPS[name]
    assert chip.memory_gb == memory_gb
    assert chip.bandwidth_gb_s == pytest.approx(1000 * tb_s)
    assert float(chip.tflops) == pytest.approx(tflops, rel=0.002)


def test_what_a_chip_is_worth() -> None:
    """By bandwidth and by arithmetic as the data sheets' ratio; balanced is between the two; the
    reference is worth itself; no chip is better than one that has more of both."""
    assert CHIPS["H200"].worth(Basis.BANDWIDTH) == Decimal(4800) / 3350
    assert CHIPS["H200"].worth(Basis.COMPUTE) == 1
    for chip in CHIPS.values():
        low, middle, high = sorted(chip.worth(basis) for basis in Basis)
        assert middle == chip.worth(Basis.BALANCED) or low == high
        assert low <= chip.worth(Basis.BALANCED) <= high
    assert {REFERENCE.worth(basis) for basis in Basis} == {1}


@pytest.mark.parametrize(
    ("name", "chip"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("h100_sxm5", "H100-SXM"),
        ("H100 PCIe", "H100-PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM-80"),
        ("A100 80GB", "A100-80"),
        ("GeForce RTX 4090", "RTX4090"),
        ("AMD Instinct MI300X", "MI300X"),
        *((name, name) for name in CHIPS),
    ],
)
def test_names_of_chips(name: str, chip: str) -> None:
    """The names that sources use for one chip are one chip."""
    assert chip_of(name).name == chip


@pytest.mark.parametrize("name", ["H100", "NVIDIA A100", "A100-SXM4", "A100-PCIe", "GH200"])
def test_a_name_of_several_chips(name: str) -> None:
    """A name that may mean several is refused with what it may mean, not taken for one of them."""
    with pytest.raises(NotGraded, match=r"may be .* or .*: name which"):
        chip_of(name)


@given(st.text("HhBbxyz 1\n'\"ß-", max_size=12))
def test_names_of_nothing(name: str) -> None:
    """No text is taken for a chip or a term that does not say one, and the refusal names it."""
    for word in (chip_of, term_of):
        with pytest.raises(NotGraded, match=re.escape(repr(name))):
            word(name)


def test_places_and_terms() -> None:
    """Clouds' regions, countries and continents are areas; years are twelve months."""
    assert area_of("us-east5") is area_of("US-South") is area_of("us") is Area.US
    assert area_of("northamerica-northeast1") is area_of("CA") is Area.CANADA
    assert area_of("europe-west12") is area_of("eu-north-1") is area_of("CZ") is Area.EUROPE
    assert area_of("me-west1") is area_of("IL") is Area.MIDDLE_EAST
    assert area_of("sa-east-1") is area_of("southamerica-east1") is Area.LATIN_AMERICA
    assert area_of(None) is area_of("global") is Area.UNSTATED
    assert term_of("reserved-1y") == term_of("Reserved_12mo") == Term("reserved", 12)
    assert str(term_of("reserved-6m")) == "reserved-6m"
    assert str(term_of("on-demand")) == "on-demand"
    with pytest.raises(NotGraded, match="is no term"):
        term_of("reserved")


@pytest.mark.parametrize("usd", ["0", "-1", "NaN", "Infinity", "1000.01"])
def test_what_is_no_price(usd: str) -> None:
    """What is not between 0 and a thousand USD is refused, with who asked it."""
    with pytest.raises(NotGraded, match=r"H100-SXM at lambda is no price"):
        price(usd)


# -- indices

asks = st.lists(
    st.tuples(
        st.sampled_from("abcdefghijklmn"), st.integers(1, 999), st.sampled_from(["H200", "L4"])
    ),
    min_size=1,
    max_size=40,
)


def naive_median(values: Iterable[Fraction]) -> Fraction:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


@given(asks, st.randoms())
def test_an_index_against_a_naive_judge(found: list[tuple[str, int, str]], draws: object) -> None:
    """The median over providers of their medians, exactly; the range without a tenth of them at
    either end; whatever the order of the rows."""
    prices = [price(str(usd), provider, gpu=gpu) for provider, usd, gpu in found]
    draws.shuffle(prices)  # type: ignore[attr-defined]
    told = indices([*prices, price("0.01", "zz", gpu="H200", stat="bid")])
    assert [one.grade.chip for one in told] == sorted({gpu for *_, gpu in found})
    for one in told:
        by_provider = defaultdict[str, list[Fraction]](list)
        for provider, usd, gpu in found:
            if gpu == one.grade.chip:
                by_provider[provider].append(Fraction(usd))
        medians = sorted(map(naive_median, by_provider.values()))
        out = len(medians) // 10
        kept = medians[out : len(medians) - out]
        assert Fraction(one.usd_per_gpu_hour) == naive_median(kept)
        assert (Fraction(one.low), Fraction(one.high)) == (kept[0], kept[-1])
        assert one.providers == len(by_provider)
        assert one.prices == sum(map(len, by_provider.values()))


def test_the_range_leaves_a_tenth_out() -> None:
    """Of ten providers the cheapest and the dearest; of nine nobody."""
    asked = [price(str(usd), provider) for usd, provider in enumerate("abcdefghij", 1)]
    (ten,), (nine,) = indices(asked), indices(asked[:-1])
    assert [str(one) for one in (ten.low, ten.usd_per_gpu_hour, ten.high)] == ["2", "5.5", "9"]
    assert [str(one) for one in (nine.low, nine.usd_per_gpu_hour, nine.high)] == ["1", "5", "9"]


def test_one_host_with_many_asks() -> None:
    """A marketplace with a hundred asks is one provider; a published index is none."""
    many = [price("9", "market") for _ in range(100)]
    others = [price("2", "a"), price("3", "b"), price("50", "index/x", stat="index")]
    (one,) = indices([*many, *others])
    assert one.usd_per_gpu_hour == 3
    assert (one.providers, one.prices) == (3, 102)
    assert one.usd_per_reference_hour(Basis.BALANCED) == 3


def test_what_a_term_is_worth() -> None:
    """By those who sell both, each by itself: who sells reserved hours alone does not count, though
    his are dearer than what others ask on demand."""
    found = [
        price("10", "hyper"),
        price("6", "hyper", contract="reserved-1y"),
        price("3", "neo"),
        price("2.4", "neo", contract="reserved-1y"),
        price("9", "other", contract="reserved-1y"),
        price("1.5", "neo", contract="spot"),
    ]
    ratios = term_ratios(found)
    year = ratios[Term("reserved", 12)]
    assert year.ratio == Decimal("0.7")
    assert year.providers == 2
    assert ratios[Term("spot")].ratio == Decimal("0.5")
    (reserved,) = [one for one in indices(found) if one.grade.term == Term("reserved", 12)]
    assert reserved.usd_per_gpu_hour == 6


# -- tokens


def test_what_tokens_cost() -> None:
    """USD per hour over tokens per hour, rounded up: 2.50 USD at 2,500 tokens/s are 27.8 cents per
    million."""
    assert usd_per_mtok(Decimal("2.50"), Decimal(2500)) == Decimal("0.277778")
    assert usd_per_mtok(Decimal("3.6"), Decimal(1000)) == 1


@given(st.decimals("0.01", 100, places=3), st.decimals("0.1", 10**6, places=2))
def test_tokens_never_cost_less_than_their_hour(usd: Decimal, tokens_per_s: Decimal) -> None:
    """An hour's tokens at that price cost what the hour does, and less than a millionth of a USD
    per million more."""
    told = Fraction(usd_per_mtok(usd, tokens_per_s))
    exact = Fraction(usd) * 10**6 / (Fraction(tokens_per_s) * 3600)
    assert 0 <= told - exact < Fraction(1, 10**6)


@pytest.mark.parametrize("tokens_per_s", ["0", "-1", "NaN"])
def test_no_throughput(tokens_per_s: str) -> None:
    """What was not measured has no price."""
    with pytest.raises(NotGraded, match="measure it"):
        usd_per_mtok(Decimal(1), Decimal(tokens_per_s))


# -- history, and what is really out there


def test_in_the_history(sql: Sql) -> None:
    """A price comes back from the history with its grade, exactly; what cannot be graded is told,
    and not kept; the same again is no news."""
    open_market(sql)
    row = Row(Decimal("2.4900"), region="us-east5", contract="reserved-3y")
    vague, of_eight = replace(row, gpu="H100"), replace(row, usd_per_gpu_hour=Decimal("2.01"))
    kept = keep(sql, [row, vague, vague, of_eight], AT)
    again = keep(sql, [of_eight, row], AT + timedelta(days=1))
    assert (kept.added, again.added, list(kept.refused.values())) == (1, 0, [2])
    (fact,) = Facts(sql, CAPACITY).all_as_of(AT).values()
    assert fact.said == replace(graded(row), usd_per_gpu_hour=Decimal("2.25"))


@pytest.mark.skipif(not DATA.exists(), reason="no recorded prices beside the checkout")
def test_recorded_prices() -> None:
    """Nearly all of what sources state can be graded; the rest is refused by names that may mean
    several chips, and by nothing else."""
    refused, priced = defaultdict[str, int](int), list[CapacityPrice]()
    with gzip.open(DATA, "rt", newline="") as file:
        for row in csv.DictReader(file):
            if not row["date"].endswith("-20"):
                continue
            usd = Decimal(row["usd_per_gpu_hour"])
            at = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)
            names = (row["provider"], row["gpu"], row["region"], row["contract"])
            try:
                priced.append(graded(Row(usd, *names, at, row["stat"], row["source"])))
            except NotGraded:
                refused[row["gpu"]] += 1
    assert set(refused) <= {"H100", "A100", "GH200", "A100-PCIe", "A100-SXM4"}
    assert sum(refused.values()) < 0.03 * len(priced)
    ratios = term_ratios(priced)
    assert ratios[Term("reserved", 36)].ratio < ratios[Term("reserved", 12)].ratio < 1
    assert ratios[Term("spot")].ratio < 1
