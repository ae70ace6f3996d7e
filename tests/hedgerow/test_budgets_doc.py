"""docs/budgets.md: its examples load, and what it says of windows and increases is so."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hedgerow.config import Config, load_config
from hedgerow.files.config_file import ConfigFile
from ledger.windows import span_of, window_of

PAGE = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")
MAIN = """\
providers: {groq: {api_key: k}}
models:
  opus: {offers: [{provider: groq, model: o, price: {input: 1, output: 1}}]}
  good-and-cheap: {offers: [{provider: groq, model: g, price: {input: 1, output: 1}}]}
policies: [policy.yaml]
"""
NOTIFY = "notify: {ops-webhook: {kind: log}, finance-mail: {kind: log}}\n"
POLICIES = [
    block
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    if "budgets:" in block
]
ROWS = re.findall(r"^\| (\w+) \| (\w+/\w+) \| (\S+) \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)


def loaded(folder: Path, policy: str) -> Config:
    has_channels = "notify" in ConfigFile.model_fields
    (folder / "hedgerow.yaml").write_text(MAIN + (NOTIFY if has_channels else ""))
    (folder / "policy.yaml").write_text(policy)
    return load_config(folder / "hedgerow.yaml", {})


@pytest.mark.parametrize("at", range(len(POLICIES)))
def test_every_example_loads(tmp_path: Path, at: int) -> None:
    """Each is a policy file, whose budgets the books can keep."""
    config = loaded(tmp_path, POLICIES[at])
    assert [one.budget().name for one in config.budgets]


@pytest.mark.parametrize(("window", "zone", "at", "begins", "ends"), ROWS)
def test_windows_are_as_the_page_says(
    window: str, zone: str, at: str, begins: str, ends: str
) -> None:
    """Each row of its table, computed."""
    moment, start, end = (datetime.fromisoformat(one) for one in (at, begins, ends))
    span = span_of(window_of(window), ZoneInfo(zone), moment)
    assert (span.start, span.end) == (start, end)


def test_there_are_rows() -> None:
    """The two tests above have something to do."""
    assert (len(ROWS), len(POLICIES)) == (6, 9)


def test_the_increase_lasts_as_long_as_the_page_says(tmp_path: Path) -> None:
    """From 1 to 7 December in Berlin, for one user."""
    (example,) = (one for one in POLICIES if "release week" in one)
    config = loaded(tmp_path, example)
    budget = config.budgets[0].budget()
    first = datetime(2026, 12, 1, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    last = datetime(2026, 12, 8, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    tick = timedelta(microseconds=1)

    def cap(member: str, now: datetime) -> int:
        found = budget.account(member, now, config.raises).cap
        assert found is not None
        return found // 10**9

    assert [cap("user=ada", now) for now in (first - tick, first, last - tick, last)] == [
        20,
        70,
        70,
        20,
    ]
    assert cap("user=bob", first) == 20
