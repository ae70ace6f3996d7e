"""What `check` warns of in policy files: budgets that guard less than they look."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from hedgerow.commands.check import check
from hedgerow.config import load_config
from hedgerow.files.policy_warnings import policy_warnings

MAIN = """\
providers:
  groq: {base_url: "http://h/v1", dialect: openai}
  mine: {base_url: "http://m/v1"}
models:
  llama: {offers: [{provider: groq, model: l, price: {input: 1, output: 1}}]}
  qwen: {offers: [{provider: mine, model: q, price: {input: 1, output: 1}}]}
notify: {x: {kind: log}}
policies: [policy.yaml]
"""
NOW = datetime(2026, 12, 8, tzinfo=UTC)


def config_of(folder: Path, policy: str) -> Path:
    (folder / "policy.yaml").write_text(policy)
    path = folder / "hedgerow.yaml"
    path.write_text(MAIN)
    return path


def warnings_of(folder: Path, policy: str, now: datetime = NOW) -> list[str]:
    """What is warned of, by line, without the file's folder."""
    config = load_config(config_of(folder, policy), {})
    found = sorted(policy_warnings(config, now), key=lambda one: (one.line or 0, one.where))
    return [str(one).replace(f"{folder}/policy.yaml:", "") for one in found]


def budget(*at: str, scope: str = "", more: str = "", cap: str = "cap_usd: 1") -> str:
    """One of which each threshold is in a line, from line 3 on."""
    steps = "".join(f"    - {{{one}}}\n" for one in at)
    return (
        f"budgets:\n  - {{name: b, scope: {{{scope}}}, window: day, {cap}{more}, at: [\n"
        + steps.replace("    - ", "      ").replace("}\n", "},\n")
        + "    ]}\n"
    )


BLOCK = "spent: 100%, then: block"
ALLOW = "3: budgets[0].at[0].then: the budget refuses nothing"
NEVER = "is never reached: the budget blocks at"
SELDOM = "is seldom reached: what does not fit is refused before all is spent; write what else"
OUT, LESS = "take it out, or write then: block at a higher part", "write less, or then: block"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ([BLOCK], []),
        (["spent: 70%, notify: [x]", "spent: 99%, notify: [x]", BLOCK], []),
        (["spent: 70%, notify: [x]"], []),
        (["spent: 100%, then: allow"], [f"{ALLOW}, and changes nothing; {OUT}"]),
        (
            ["spent: 100%, then: allow", "spent: 70%, notify: [x]"],
            [f"{ALLOW}, and changes nothing; {OUT}"],
        ),
        (["spent: 100%, then: allow", "spent: 70%, route: cheapest"], [f"{ALLOW}; {OUT}"]),
        (["spent: 100%, then: allow", "spent: 120%, then: block"], []),
        (
            ["spent: 120%, notify: [x]"],
            [f"3: budgets[0].at[0].spent: {NEVER} 100%; {LESS} at more"],
        ),
        (
            ["spent: 80%, then: block", "spent: 85.5%, notify: [x]"],
            [f"4: budgets[0].at[1].spent: {NEVER} 80%; {LESS} at more"],
        ),
        (
            ["spent: 100%, notify: [x], then: block"],
            [f"3: budgets[0].at[0].spent: {SELDOM} happens then at 99% or less"],
        ),
    ],
)
def test_what_a_budget_never_does(tmp_path: Path, at: list[str], expected: list[str]) -> None:
    """Budgets that never refuse and thresholds that are never reached are named, others are not."""
    assert warnings_of(tmp_path, budget(*at)) == expected


def test_requests_add_up(tmp_path: Path) -> None:
    """Requests are counted one by one: all of their cap is reached."""
    text = budget("spent: 100%, notify: [x]", cap="cap_requests: 10")
    assert warnings_of(tmp_path, text) == []


LEFT = "3: budgets[0].at[0].only_models: leaves nothing"


@pytest.mark.parametrize(
    ("scope", "names", "expected"),
    [
        ("", "llama", []),
        ("model: '*'", "llama", []),
        ("model: llama", "llama, qwen", []),
        ("model: llama", "qwen", [f'{LEFT}: the budget covers "llama" alone; add it, or write th']),
        ("provider: mine", "llama, qwen", []),
        ("provider: mine", "llama", [f'{LEFT}: "mine" sells none of them; add one that it sells,']),
    ],
)
def test_lists_that_leave_nothing(
    tmp_path: Path, scope: str, names: str, expected: list[str]
) -> None:
    """A list without what the budget covers is a block by another name."""
    found = warnings_of(tmp_path, budget(f"spent: 90%, only_models: [{names}]", scope=scope))
    assert len(found) == len(expected)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("scopes", "mode", "is_warned_of"),
    [
        (("team: a", "team: a"), "enforce", True),
        (("team: a", "team: b"), "enforce", False),
        (("team: a", "user: ada"), "enforce", True),
        (("team: a", "team: '*'"), "enforce", True),
        (("tag: a", "tag: b"), "enforce", True),
        (("", "user: ada"), "enforce", True),
        (("", "user: ada"), "shadow", False),
    ],
)
def test_lists_that_leave_nothing_together(
    tmp_path: Path, scopes: tuple[str, str], mode: str, is_warned_of: bool
) -> None:
    """Two budgets that one request may draw on, and no model that both let through."""
    lists = ("llama", "qwen")
    text = "budgets:\n" + "".join(
        f"  - {{name: {name}, scope: {{{scope}}}, window: day, cap_usd: 1, mode: {mode},"
        f" at: [{{spent: 90%, only_models: [{name}]}}]}}\n"
        for name, scope in zip(lists, scopes, strict=True)
    )
    found = [one for one in warnings_of(tmp_path, text) if "together" in one]
    warning = (
        "3: budgets[1].at[0].only_models: leaves nothing together with the list in 2;"
        " write a model that is in both"
    )
    assert found == ([warning] if is_warned_of else [])


def test_lists_that_leave_something_together(tmp_path: Path) -> None:
    """One model in both lists is enough, within a budget and across budgets."""
    at = "[{spent: 90%, only_models: [llama, qwen]}, {spent: 95%, only_models: [qwen]}]"
    text = "budgets:\n" + "".join(
        f"  - {{name: {name}, scope: {{}}, window: day, cap_usd: 1, at: {at}}}\n" for name in "ab"
    )
    assert warnings_of(tmp_path, text) == []


def test_shadow(tmp_path: Path) -> None:
    """A cap that is only tried is named, once, with whether anybody hears of it."""
    (found,) = warnings_of(tmp_path, budget(BLOCK, more=", mode: shadow"))
    assert found.startswith("2: budgets[0].mode: refuses nothing: what would be refused is let")
    assert "nobody is told" in found
    (found,) = warnings_of(tmp_path, budget("spent: 80%, notify: [x]", more=", mode: shadow"))
    assert "and told; write mode: enforce when its cap is right" in found


@pytest.mark.parametrize(
    ("window", "step"),
    [
        ("rolling:30d", "1 day"),
        ("rolling:1d", "1 hour"),
        ("rolling:12h", "30 minutes"),
        ("rolling:1m", "1 second"),
        ("rolling:3m", "5 seconds"),
    ],
)
def test_rolling_windows_say_their_steps(tmp_path: Path, window: str, step: str) -> None:
    """How much longer than the window something may count."""
    (found,) = warnings_of(tmp_path, budget(BLOCK).replace("window: day", f"window: {window}"))
    assert found.startswith(f"2: budgets[0].window: counts in steps of {step}: what was spent")


def test_increases_that_are_over(tmp_path: Path) -> None:
    """From the very moment that they end, where their budget's windows are."""
    text = budget(BLOCK, more=", timezone: Asia/Tokyo") + (
        "increases:\n  - {name: n, budget: b, by_usd: 1, until: 2026-12-08}\n"
    )
    until = datetime(2026, 12, 7, 15, tzinfo=UTC)
    (found,) = warnings_of(tmp_path, text, until)
    assert found == "6: increases[0].until: is over since 2026-12-07 15:00 UTC; take it out"
    assert warnings_of(tmp_path, text, until.replace(hour=14, minute=59)) == []


def test_check_shows_them(tmp_path: Path) -> None:
    """With file and line on stderr; the configuration is valid, and its increases are counted."""
    text = budget(BLOCK, more=", mode: shadow") + (
        "increases:\n  - {name: n, budget: b, by_usd: 1, until: 2199-12-08}\n"
    )
    path = config_of(tmp_path, text)
    done = CliRunner().invoke(check, ["-c", str(path)])
    summary = "2 providers, 2 models, 2 offers, 1 budget, 1 increase"
    assert (done.exit_code, done.stdout) == (0, f"{path}: ok ({summary})\n")
    assert done.stderr.startswith(f"{tmp_path}/policy.yaml:2: budgets[0].mode: refuses nothing")
