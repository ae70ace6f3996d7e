"""Contract files: every error with its line, and what they offer to a plan."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from hedge.contracts.capacity import FlatPlan
from hedge.errors import QuotesUnreadable
from hedgerow.cli import hedgerow
from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigInvalid
from hedgerow.files.contract_warnings import contract_warnings
from hedgerow.hedging import contracts_in, offered

CONFIG = """\
providers: {azure: {base_url: http://127.0.0.1:9/v1}, acme: {base_url: http://127.0.0.1:9/v1}}
models:
  gpt-5.2: {offers: [{provider: azure, model: gpt-5.2, price: {input: 1.75, output: 14}}]}
  oak:
    offers:
      - {provider: acme, model: oak-1, price: {input: 0.60, output: 0.60}}
      - {provider: azure, model: oak-1, price: {input: 0.50, output: 0.50}}
  elm: {offers: [{provider: acme, model: elm-1, price: {input: 1, output: 1}}]}
market: {feeds: []}
contracts: [contracts/*.yaml]
"""
FULL = """\
uses:
  - {from: azure-ptu-gpt-5.2, covers: [{provider: azure}]}
  - {from: cme-gpu1-h100, status: listed, beta: 0.4}
contracts:
  - kind: flat_plan
    name: acme-plan
    provider: acme
    covers: [{provider: acme}]
    counterparty: acme-inc
    quota_units: 400_000_000
    overage: {then: bill, usd_per_unit: 0.0000006}
    size: {max: 10}
    prices: [{usd_per_month: 199}, {months: 12, usd_per_month: 1.79e2, upfront: 1}]
    auto_renew: true
    source: {url: offer of 2 November, retrieved_at: 2026-11-02, verification: primary}
counterparties:
  - name: acme-inc
    default_per_year: 0.05
    recovery: 0.2
    shortfall_chance: 0.02
    shortfall: 0.3
    limit_usd: 20000
    source: {url: own estimate, retrieved_at: 2026-11-20, verification: assumed}
workloads:
  - {name: bulk, models: [oak, elm], quality_at_least: 0.7}
limits: {provider_share: 0.6, quotes_hours: 12}
"""
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
PLAN = """\
  - kind: flat_plan
    name: NAME
    provider: acme
    covers: [{provider: acme}]
    quota_units: 1
    size: {max: 1}
    prices: [{usd_per_month: 1}]
    source: {url: x, retrieved_at: 2026-11-20, verification: primary}
"""


def written(folder: Path, *files: str, config: str = CONFIG) -> Path:
    """A configuration with contract files a.yaml, b.yaml …"""
    (folder / "contracts").mkdir()
    for name, text in zip("abc", files, strict=False):
        (folder / "contracts" / f"{name}.yaml").write_text(text)
    path = folder / "hedgerow.yaml"
    path.write_text(config)
    return path


def loaded(folder: Path, *files: str) -> Config:
    return load_config(written(folder, *files), {})


def errors_of(folder: Path, *files: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as invalid:
        loaded(folder, *files)
    return [str(error).removeprefix(f"{folder}/contracts/") for error in invalid.value.errors]


def test_all_that_a_file_may_say(tmp_path: Path) -> None:
    """Numbers are what is written; models are those whose offers are covered; the catalogue's
    contract serves the model that it names alone."""
    config = loaded(tmp_path, FULL)
    found = offered(config, NOW)
    plan, reservation, future = found.contracts
    assert isinstance(plan, FlatPlan)
    assert plan.models == ("oak", "elm")
    assert plan.owed_by == "acme-inc"
    assert [one.usd_per_month for one in plan.prices] == [Decimal(199), Decimal(179)]
    assert plan.overage.usd_per_unit == Decimal("0.0000006")
    assert getattr(reservation, "models", None) == ("gpt-5.2",)
    assert (future.status, getattr(future, "beta", None)) == ("listed", Decimal("0.4"))
    assert found.workload("bulk").models == ("oak", "elm")
    assert found.workload("gpt-5.2").models == ("gpt-5.2",)
    assert found.limits.provider_share == Decimal("0.6")
    owing = found.counterparty("acme-inc")
    assert owing is not None
    assert owing.limit_usd == 20000


def test_a_cover_with_a_model_is_of_its_offers_alone(tmp_path: Path) -> None:
    """Whatever the model is called by clients, and whoever else sells it."""
    uses = "uses:\n  - {from: flat-199, covers: [{provider: azure, model: oak-1}]}\n"
    (contract,) = contracts_in(loaded(tmp_path, uses))
    assert getattr(contract, "models", None) == ("oak",)


BROKEN = """\
uses:
  - {from: azure-ptu-gpt-5.2, covers: [{provider: azur}]}
  - {from: azure-ptu-gpt5}
  - {from: flat-39, prices: [{usd_per_month: 30}]}
contracts:
  - kind: flat_plan
    name: a
    provider: acme
    models: [oka]
    counterparty: nobody
    quota_units: 0
    size: {min: 5, max: 3}
    prices: [{usd_per_month: -4}]
    source: {url: x, retrieved_at: 2026-11-31, verification: sure}
  - kind: forward
    name: a
    provider: acme
    settlement: {index: SD, averaging: arith_bd, fixing_utc: noon}
    multiplier: x
    size: {max: 10}
    cleared: perhaps
    source: {url: x, retrieved_at: 2026-11-30, verification: primary}
  - {kind: barter, name: b}
  - {name: c}
workloads:
  - {name: one, models: [elm]}
  - {name: two, models: [oak, elm], quality_at_least: 3}
venues: [quotes/*.csv]
limits: {hedge_ratio: all}
"""


def test_every_error_with_its_line(tmp_path: Path) -> None:
    """All at once: the file, the line, the key, what is wrong and what to write."""
    assert errors_of(tmp_path, BROKEN) == [
        'a.yaml:2: uses[0].covers[0].provider: no provider is called "azur"; did you mean "azure"?',
        (
            'a.yaml:3: uses[1].from: the catalogue has no contract "azure-ptu-gpt5"; did you mean'
            ' "azure-ptu-gpt-5"?'
        ),
        (
            "a.yaml:4: uses[2]: prices of our own without a source; write source: {url: ...,"
            " retrieved_at: ..., verification: primary}"
        ),
        'a.yaml:9: contracts[0].models[0]: no model is called "oka"; did you mean "oak"?',
        (
            'a.yaml:10: contracts[0].counterparty: no counterparty is called "nobody"; name one'
            " under counterparties"
        ),
        'a.yaml:11: contracts[0].quota_units: "0" is too small; write more than 0',
        "a.yaml:12: contracts[0].size: max 3 is below min 5; write a max of 5 or more",
        'a.yaml:13: contracts[0].prices[0].usd_per_month: "-4" is too small; write 0 or more',
        (
            'a.yaml:14: contracts[0].source.retrieved_at: "2026-11-31" is no date; write, for'
            " example, 2026-11-20"
        ),
        (
            'a.yaml:14: contracts[0].source.verification: "sure" is not supported; write primary,'
            " transcribed, secondary or assumed"
        ),
        "a.yaml:15: contracts[1].delivery: is missing; write, for example, delivery: 2027-03-01",
        (
            f"a.yaml:16: contracts[1].name: a contract of this name stands in {tmp_path}/contracts/"
            "a.yaml:7; give one of them another name"
        ),
        (
            'a.yaml:18: contracts[1].settlement.fixing_utc: "noon" is no time; write, for example,'
            " 20:00"
        ),
        'a.yaml:19: contracts[1].multiplier: "x" is no number; write, for example, 730',
        'a.yaml:21: contracts[1].cleared: "perhaps" is neither true nor false; write one of them',
        (
            'a.yaml:23: contracts[2].kind: "barter" is not supported; write flat_plan,'
            " prepaid_quota, throughput_reservation, dedicated_endpoint, gpu_block,"
            " spend_commitment, future, swap, forward, perp or event"
        ),
        "a.yaml:24: contracts[3].kind: is missing; write, for example, kind: flat_plan",
        "a.yaml:27: workloads[1].models[1]: is in workload one already; keep it in one of them",
        'a.yaml:27: workloads[1].quality_at_least: "3" is too large; write 1.0 or less',
        (
            'a.yaml:28: venues[0]: no file matches "quotes/*.csv"; globs are relative to'
            f" {tmp_path}/contracts"
        ),
        'a.yaml:29: limits.hedge_ratio: "all" is no number; write, for example, 0.8',
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("uses: [{from: azure-ptu-gpt-5}]", "uses[0]: serves gpt-5, and no such model is here"),
        ("uses: [{from: flat-199}]", "uses[0]: serves no model yet; write covers, or models"),
        ("uses: [{from: flat-199, beta: 1}]", "flat-199 is a flat_plan and has no beta"),
        ("uses: [{from: cme-gpu1-h100, size: {max: 0}}]", 'size.max: "0" is too small'),
        (
            "contracts:\n" + PLAN.replace("    covers: [{provider: acme}]\n", ""),
            "contracts[0]: says not what it serves; write covers, or models",
        ),
        ("limits: {later: 1}", "limits.later: unknown key"),
        ("contract: []", "contract: unknown key; did you mean"),
        ("contracts: 7", "contracts: is not a list"),
    ],
)
def test_one_error(tmp_path: Path, text: str, says: str) -> None:
    """One thing is wrong, and is told once."""
    found = [one for one in errors_of(tmp_path, text) if says in one]
    assert len(found) == 1


def test_names_are_unique_over_all_files(tmp_path: Path) -> None:
    """Contracts, used ones too, under the name that they have here; limits stand in one file."""
    first = "limits: {}\nuses:\n  - {from: flat-39, name: ours, models: [oak]}\n"
    second = "limits: {}\ncontracts:\n" + PLAN.replace("NAME", "ours")
    errors = errors_of(tmp_path, first, second)
    assert f"b.yaml:4: contracts[0].name: a contract of this name stands in {tmp_path}" in errors[1]
    assert "b.yaml:1: limits: stand in" in errors[0]


def test_what_is_hardly_meant_is_warned_of(tmp_path: Path) -> None:
    """What has expired, and a price that the catalogue only assumes; not one of our own."""
    old = "contracts:\n" + PLAN.replace("NAME", "old") + "    valid_to: 2026-11-19\n"
    config = loaded(
        tmp_path,
        old + "uses: [{from: flat-39, models: [oak]}, {from: sfcompute-block-h100, models: [oak]}]",
    )
    told = [
        str(one).partition("a.yaml:")[2] for one in contract_warnings(config, date(2026, 12, 9))
    ]
    assert told == [
        "2: contracts[0]: old could be bought until 2026-11-19; take it out, or renew it",
        "11: uses[0]: the price of flat-39 is assumed by the catalogue; write prices, and source",
        (
            "11: uses[1]: the window of sfcompute-block-h100 began on 2026-12-01; take it out,"
            " or renew it"
        ),
    ]


def test_quotes_of_venues_are_read_with_their_age(tmp_path: Path) -> None:
    """Fresh books are offered, stale ones are told; a file that cannot be read is an error."""
    (tmp_path / "contracts").mkdir()
    quotes = tmp_path / "contracts" / "q.csv"
    quotes.write_text(
        "contract,month,at,bid,bid_lots,ask,ask_lots\n"
        "fresh,2027-01,2026-11-20T09:00:00Z,2.5,1,2.6,1\n"
        "stale,2027-01,2026-11-19T09:00:00Z,2.5,1,2.6,1\n"
    )
    (tmp_path / "contracts" / "a.yaml").write_text("venues: [q.csv]\nlimits: {quotes_hours: 12}\n")
    (tmp_path / "hedgerow.yaml").write_text(CONFIG)
    config = load_config(tmp_path / "hedgerow.yaml", {})
    found = offered(config, NOW)
    assert [book.contract for book in found.books] == ["fresh"]
    assert "stale 2027-01 is of 2026-11-19 09:00, older than 12 h" in found.refused[0]
    quotes.write_text("contract\n")
    with pytest.raises(QuotesUnreadable, match=r"q\.csv:1: no column month"):
        offered(config, NOW)


def test_quotes_that_nobody_can_use_are_warned_of(tmp_path: Path) -> None:
    """Of a contract that is nowhere, with the name that was meant; a file that cannot be read."""
    path = written(tmp_path, "uses: [{from: cme-gpu1-h100}]\nvenues: ['*.csv']\n")
    (tmp_path / "contracts" / "a.csv").write_text(
        "contract,month,at,bid,bid_lots,ask,ask_lots\n"
        "cme-gpu1-h100,2027-01,2026-11-20T09:00:00Z,2.5,1,2.6,1\n"
        "cme-gpu1,2027-01,2026-11-20T09:00:00Z,2.5,1,2.6,1\n"
    )
    (tmp_path / "contracts" / "b.csv").write_text("contract\n")
    idle, broken = map(str, contract_warnings(load_config(path, {}), date(2026, 11, 20)))
    assert 'a.csv: no contract is called cme-gpu1; did you mean "cme-gpu1-h100"?' in idle
    assert "b.csv:1: no column month" in broken
    assert "a.yaml:2: venues: " in broken


def test_check_counts_contracts(tmp_path: Path) -> None:
    """`hedgerow check` names how many there are, and warns on stderr."""
    found = CliRunner().invoke(hedgerow, ["check", "-c", str(written(tmp_path, FULL))])
    assert found.exit_code == 0
    assert "3 contracts" in found.stdout
