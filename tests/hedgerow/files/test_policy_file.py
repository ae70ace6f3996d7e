"""Policy files: budgets and increases as they are written, and all that can be wrong with them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigError, ConfigInvalid
from hedgerow.files.policy_checks import check_channels
from hedgerow.files.yaml_source import read_yaml
from ledger.budgets import Mode, Raise, Threshold, Throttle
from ledger.measures import Measure
from ledger.windows import Window, window_of

few = settings(max_examples=60, deadline=None)

MAIN = """\
providers: {groq: {dialect: openai, base_url: "http://127.0.0.1:1/v1/"}}
models:
  llama: {offers: [{provider: groq, model: llama-3}]}
  qwen: {offers: [{provider: groq, model: qwen-3}]}
policies: [a.yaml, "b*.yaml"]
"""
# One key per line, so that a line names a key.
FULL = """\
budgets:
  - name: research
    scope:
      team: research
      user: "*"
    window: rolling:30d
    timezone: Europe/Berlin
    cap_usd: 20000.5
    at:
      - spent: 70%
        notify: [ops, mail, ops]
      - spent: 85.5%
        route: cheapest
        only_models: [qwen]
        throttle:
          requests_per_minute: 10
      - spent: 120%
        then: block
    mode: shadow
    on_ledger_error: allow
  - name: tokens
    scope: {}
    window: day
    cap_tokens: 1_000_000
  - name: at-once
    scope: {}
    cap_parallel: 50
increases:
  - name: release week
    budget: research
    member: user=ada
    by_usd: 500
    from: 2026-12-01
    until: 2026-12-08
  - name: migration
    budget: tokens
    by_tokens: 1000
    until: 2026-03-29T18:00:00+05:30
"""
LINES = FULL.splitlines()
LEAVES = [at for at, line in enumerate(LINES) if not line.endswith(":") and "scope: {}" not in line]


CHANNELS = "notify: {ops: {kind: log}, mail: {kind: log}}\n"


def load(**policies: str) -> Config:
    """The configuration with policy files `a` and `b…`."""
    with TemporaryDirectory() as folder:
        for name, content in {"hedgerow": MAIN + CHANNELS, "b": SOME, **policies}.items():
            Path(folder, f"{name}.yaml").write_text(content)
        return load_config(Path(folder, "hedgerow.yaml"), {})


SOME = "budgets: [{name: some, scope: {team: '*', user: '*'}, window: week, cap_requests: 0}]\n"


def errors_of(**policies: str) -> list[ConfigError]:
    with pytest.raises(ConfigInvalid) as caught:
        load(**policies)
    return [replace(error, file=Path(error.file).name) for error in caught.value.errors]


# What is right


def test_every_key_is_read() -> None:
    """Each value arrives in the books' types, exactly."""
    research, tokens, parallel, some = (one.budget() for one in load(a=FULL).budgets)
    assert research.thresholds == (
        Threshold(Decimal("0.7"), notify=("ops", "mail")),
        Threshold(
            Decimal("0.855"),
            cheapest=True,
            only_models=frozenset({"qwen"}),
            throttle=Throttle(10),
        ),
        Threshold(Decimal("1.2"), blocks=True),
    )
    assert (research.window, research.mode) == (window_of("rolling:30d"), Mode.SHADOW)
    assert (research.measure, research.cap) == (Measure.USD, 20_000_500_000_000)
    assert (research.timezone, research.on_ledger_error) == ("Europe/Berlin", "allow")
    assert (tokens.measure, tokens.cap, tokens.window) == (Measure.TOKENS, 10**6, Window.DAY)
    assert (tokens.mode, tokens.on_ledger_error, tokens.most) == (Mode.ENFORCE, "deny", 10**6)
    assert (parallel.measure, parallel.window) == (Measure.PARALLEL, Window.LIFETIME)
    assert (some.measure, some.cap, some.thresholds) == (Measure.REQUESTS, 0, ())


def _ns(*at: int) -> int:
    return int(datetime(*at, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[misc,arg-type]


def test_increases_are_read_where_their_budgets_are() -> None:
    """A day without a zone begins at midnight where the budget's windows do; what names one, there;
    what has no begin has begun."""
    ada, all_of_them = load(a=FULL).raises
    begins, until = _ns(2026, 11, 30, 23), _ns(2026, 12, 7, 23)
    name = "release week"
    assert replace(ada, id="") == Raise(
        "", "research", "user=ada", 500 * 10**9, begins, until, name
    )
    until = _ns(2026, 3, 29, 12, 30)
    assert replace(all_of_them, id="") == Raise("", "tokens", None, 1000, 0, until, "migration")
    assert ada.id != all_of_them.id


@few
@given(st.integers(1, 10_000_000))
def test_percentages_are_exact(ten_thousandths: int) -> None:
    """Every percentage of four decimals is the part that it says, whatever zeros it is written
    with."""
    for text in (f"{Decimal(ten_thousandths).scaleb(-4):f}%", f"{ten_thousandths / 10**4:.4f} %"):
        threshold = f"at: [{{spent: {text}, then: allow}}]"
        one = f"{{name: x, scope: {{}}, window: day, cap_usd: 1, {threshold}}}"
        (budget, _) = load(a=f"budgets: [{one}]").budgets
        assert budget.at is not None
        assert budget.at[0].spent * 10**6 == ten_thousandths


def test_increases_alone_are_a_policy_file() -> None:
    """An increase may stand in another file than its budget, with nothing else."""
    one = "{name: n, budget: some, member: 'team=a\\,b,user=c', by_requests: 1, until: 2030-01-01}"
    (found,) = load(a=f"increases: [{one}]").raises
    assert found.member == "team=a\\,b,user=c"


# What is wrong: any of it


@few
@given(st.sets(st.sampled_from(LEAVES), min_size=1))
def test_each_mistyped_value_is_named_by_its_line(broken: set[int]) -> None:
    """Whatever values are of a wrong type, there is one error for each line and no other."""
    text = "\n".join(
        line.split(": ")[0] + ": {wrong: [type]}" if at in broken else line
        for at, line in enumerate(LINES)
    )
    found = [one for one in errors_of(a=text) if "no budget is called" not in one.message]
    assert [error.line for error in found] == [at + 1 for at in sorted(broken)]


@few
@given(st.sets(st.sampled_from(LEAVES), min_size=1))
def test_each_misspelt_key_is_named_by_its_line(broken: set[int]) -> None:
    """A misspelt key is one error, with the right spelling, and not also a missing key."""
    text = "\n".join(
        line.replace(": ", "x: ", 1) if at in broken else line for at, line in enumerate(LINES)
    )
    found = [one for one in errors_of(a=text) if "no budget is called" not in one.message]
    assert [error.line for error in found] == [at + 1 for at in sorted(broken)]
    keys = [LINES[at].split(":")[0].lstrip(" -") for at in sorted(broken)]
    assert [error.hint for error in found] == [f'did you mean "{key}"?' for key in keys]


ALONE = re.compile("- |requests_per_minute")  # what would leave an empty part behind
REQUIRED = {
    "window": "window: month",
    "cap_usd": "cap_usd: 20000",
    "cap_tokens": "cap_usd: 20000",
    "cap_parallel": "cap_usd: 20000",
    "notify": "write notify, route",
    "then": "write notify, route",
    "budget": "budget: research-month",
    "by_usd": "by_usd: 500",
    "by_tokens": "by_usd: 500",
    "until": "until: 2026-12-08",
}


@pytest.mark.parametrize("at", [at for at in LEAVES if not ALONE.search(LINES[at])])
def test_each_dropped_key_is_an_error_or_has_a_default(at: int) -> None:
    """What is required and left out is one error, with an example; the rest has a default."""
    text = "\n".join(LINES[:at] + LINES[at + 1 :])
    key = LINES[at].split(":")[0].strip()
    if key == "user":
        (error,) = errors_of(a=text)
        assert error.where == "increases[0].member"
    elif key in REQUIRED:
        error, *_ = errors_of(a=text)
        assert REQUIRED[key] in error.hint
    else:
        load(a=text)


def test_a_throttle_says_how_much() -> None:
    """One without its number is an error with an example."""
    text = FULL.replace("throttle:\n          requests_per_minute: 10", "throttle: {}")
    (error,) = errors_of(a=text)
    assert error.where == "budgets[0].at[1].throttle.requests_per_minute"
    assert error.hint == "write, for example, requests_per_minute: 10"


@few
@given(
    st.integers(0, len(FULL)),
    st.integers(0, 12),
    st.text("ab:-[]{}&*!'\"#%, \n0129.=\\", max_size=6),
)
def test_no_text_makes_it_fail_otherwise(at: int, cut: int, put: str) -> None:
    """However a policy file is mangled, it is one, whose increases can be kept, or every error has
    a place and a line of its own."""
    try:
        config = load(a=FULL[:at] + put + FULL[at + cut :])
    except ConfigInvalid as invalid:
        lines = str(invalid).splitlines()
        assert_printable(lines, len(invalid.errors))
    else:
        rules = config.rules()
        assert len(rules.raises) == sum(len(one.increases) for one in config.policies)
        assert all(one.cap >= 0 for one in rules.budgets)


def assert_printable(lines: list[str], count: int) -> None:
    assert len(lines) == count > 0
    assert all(line.isprintable() for line in lines)


# What is wrong: one by one


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("rolling:30d", "rolling:30w", "window", "is no window; write one of minute"),
        ("rolling:30d", "rolling:0d", "window", "is no window"),
        ("    cap_usd: 20000.5\n", "", "", "has no cap; write, for example, cap_usd"),
        ("cap_usd: 20000.5", "cap_usd: 1\n    cap_tokens: 1", "cap_tokens", "stands beside cap_u"),
        ("cap_usd: 20000.5", "cap_tokens: 1e6", "cap_tokens", '"1e6" is no whole number'),
        ("cap_usd: 20000.5", "cap_tokens: -1", "cap_tokens", "write 0 or more"),
        ("    window: rolling:30d\n", "", "window", "is missing; write, for example, window"),
        ("spent: 70%", "spent: 0%", "at[0].spent", "more than 0 and at most 1000%"),
        ("spent: 70%", "spent: 1000.0001%", "at[0].spent", '"1000.0001%" is no part of a cap'),
        ("spent: 70%", "spent: 0.7", "at[0].spent", "write 70%"),
        ("spent: 70%", "spent: 85.50%", "at[1].spent", '"85.5%" is in line 10 already; write all'),
        ("        notify: [ops, mail, ops]\n", "", "at[0]", "nothing happens then; write notify"),
        ("[ops, mail, ops]", "[]", "at[0].notify", "is empty; write at least 1: [ops-webhook]"),
        ("[ops, mail, ops]", "ops", "at[0].notify", "is not a list; write, for example, [ops-w"),
        ("route: cheapest", "route: fastest", "at[1].route", "write cheapest"),
        ("[qwen]", "[qwen, lama]", "at[1].only_models[1]", 'did you mean "llama"? known here: l'),
        ("[qwen]", "[]", "at[1].only_models", "is empty; write at least 1: [llama-3.3-70b]"),
        ("minute: 10", "minute: 0", "at[1].throttle.requests_per_minute", "write 1 or more"),
        ("then: block", "then: stop", "at[2].then", "write block or allow"),
        ("mode: shadow", "mode: dry", "mode", "write enforce or shadow"),
        ("name: research", "name: key k1", "name", "begin with `key ` are those of budgets made"),
        ("name: research", "name: team x", "name", "begin with `team ` are those of budgets made"),
        ("name: research", "name: a throttle at 5%", "name", "names with `throttle at` in them"),
    ],
)
def test_bad_budget(old: str, new: str, where: str, says: str) -> None:
    """One wrong value is one error, at its path, that says what to write."""
    text = FULL[: FULL.index("  - name: tokens")]
    assert text.count(old) == 1
    (error,) = errors_of(a=text.replace(old, new))
    assert error.where == f"budgets[0].{where}".rstrip(".")
    assert says in str(error)


def test_what_is_under_way_has_no_window_and_no_thresholds() -> None:
    """Of requests at once nothing stays counted: no window ends, and no part is ever spent. A
    lifetime may be written."""
    cap = "cap_parallel: 50\n    at: [{spent: 90%, then: block}]\n    window: day"
    window, at = sorted(
        errors_of(a=FULL.replace("cap_parallel: 50", cap)),
        key=lambda one: one.line or 0,
        reverse=True,
    )
    assert (at.where, window.where) == ("budgets[2].at", "budgets[2].window")
    assert at.message == "goes with no cap_parallel: nothing of it is ever spent"
    assert window.message == "goes with no cap_parallel: it counts what is under way now"
    load(a=FULL.replace("cap_parallel: 50", "cap_parallel: 50\n    window: lifetime"))


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("budget: research", "budget: reserch", "budget", 'did you mean "research"? known here: '),
        ("by_usd: 500", "by_usd: 0", "by_usd", "write more than 0"),
        ("by_usd: 500", "by_usd: -1", "by_usd", "is negative"),
        ("by_usd: 500", "by_tokens: 5", "by_tokens", "a budget that has cap_usd; write by_usd"),
        ("    by_usd: 500\n", "", "", "says not by how much; write, for example, by_usd: 500"),
        ("by_usd: 500", "by_usd: 500\n    by_tokens: 5", "by_tokens", "stands beside by_usd"),
        ("member: user=ada", "member: ada", "member", "is no member of its budget; write user=NA"),
        ("member: user=ada", "member: team=x", "member", "write user=NAME"),
        ("member: user=ada", "member: 'user=a,b'", "member", "is no member of its budget"),
        ("until: 2026-12-08", "until: 2026-12-01", "until", "is not after from; write a later day"),
        ("until: 2026-12-08", "until: 2026-11-30T22:59Z", "until", "is not after from"),
        ("until: 2026-12-08", "until: 8.12.2026", "until", '"8.12.2026" is no date; write a day'),
        ("until: 2026-12-08", "until: 2026-02-30", "until", '"2026-02-30" is no date'),
        ("until: 2026-12-08", "until: 9999-12-31", "until", '"9999-12-31" is no date'),
        ("from: 2026-12-01", "form: 2026-12-01", "form", 'unknown key; did you mean "from"?'),
        ("    until: 2026-12-08\n", "", "until", "is missing; write, for example, until: 2026-12"),
        ("- name: release week\n    budget", "- budget", "name", "is missing; write, for example"),
    ],
)
def test_bad_increase(old: str, new: str, where: str, says: str) -> None:
    """One wrong value is one error, at its path, that says what to write."""
    text = FULL[: FULL.index("  - name: migration")]
    assert text.count(old) == 1
    (error,) = errors_of(a=text.replace(old, new))
    assert error.where == f"increases[0].{where}".rstrip(".")
    assert says in str(error)


def test_a_member_of_a_budget_that_has_none() -> None:
    """A budget without "*" is one for all."""
    one = "{name: n, budget: all, member: 'user=c', by_usd: 1, until: 2030-01-01}"
    budget = "{name: all, scope: {}, window: day, cap_usd: 1}"
    (error,) = errors_of(a=f"budgets: [{budget}]\nincreases: [{one}]")
    assert error.message.startswith("its budget is one for all")


def test_increases_are_named_once() -> None:
    """The second of two increases of a budget with a name is an error, over all files; of another
    member it is none."""
    one = "{name: n, budget: some, by_requests: 1, until: 2030-01-01}"
    other = one.replace("by_", "member: 'team=a,user=b', by_")
    (error,) = errors_of(a=f"increases: [{one}, {other}]", b2=f"increases: [{one}]")
    assert (error.file, error.where) == ("b2.yaml", "increases[0].name")
    assert 'increase "n" of this budget is already in' in error.message


@pytest.mark.parametrize("content", ["{}", "other: 1"])
def test_a_file_of_nothing(content: str) -> None:
    """A policy file without budgets and increases is an error, and only one."""
    (error,) = errors_of(a=content)
    assert error.hint.startswith(("write budgets", "known here: budgets, increases"))


def test_channels_that_there_are_not(tmp_path: Path) -> None:
    """Every name of a channel that nobody configured is an error, with its line."""
    path = tmp_path / "a.yaml"
    path.write_text(FULL)
    source = read_yaml(path, {})
    check_channels([source], {"ops", "mails"})
    (error,) = source.errors.values()
    assert (error.line, error.where) == (11, "budgets[0].at[0].notify[1]")
    assert (error.message, error.hint) == ('no channel is called "mail"', 'did you mean "mails"?')
