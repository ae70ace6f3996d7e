"""Configuration: what is right is read exactly, and all that is wrong is named at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigError, ConfigInvalid
from ledger.money import as_usd, usd
from ledger.rates import RateCard

few = settings(max_examples=60, deadline=None)

# One key per line, so that a line names a key. "#!" marks keys that must be there.
VALID = """\
server:
  host: 0.0.0.0
  port: 18000
  workers: 1
  admin_key: sk-admin
  max_body_bytes: 1000
  max_header_bytes: 4096
  body_timeout: 30s
  parallel_per_key: 7
ledger:
  url: sqlite:///books.db
  durability: disk
providers:
  groq:
    dialect: openai
    base_url: https://api.groq.com/openai/v1 #!
    api_key: sk-groq
    litellm_provider: groq
    max_tokens_field: max_tokens
    endpoints: [chat/completions]
  together:
    preset: together
    accounts:
      - api_key: sk-pool
        name: a #!
        parallel: 5
        requests_per_minute: 60
      - api_key: sk-other
        name: b #!
models:
  llama-3.3-70b:
    offers:
      - region: eu
        provider: groq #!
        model: llama-3.3-70b-versatile #!
        context_tokens: 131072
        max_output_tokens: 32768
        price:
          input: 0.59 #!
          output: 0.79 #!
          cache_read: 0.10
          cache_write: 0.60
          request: 0.001
      - region: us
        provider: groq #!
        model: llama-3.3-70b-versatile #!
        quantization: fp8
        service_tier: flex
    routing:
      attempts: 5
      heartbeat: 10s
routing:
  ttft_ms_p95_max: 1500
  attempts: 2
  first_byte_timeout: 500ms
  idle_timeout: 45
  deadline: 1.5m
  stream_rescue: buffer
  heartbeat: off
idempotency:
  keep: 5m
  max_bytes: 1000
files:
  path: uploads
  max_bytes_per_file: 10 MiB
  max_bytes: 1 GiB
batches:
  hours: ["22:00-06:00"]
  timezone: Europe/Berlin
  parallel: 2
"""
LINES = VALID.splitlines()
LEAVES = [at for at, line in enumerate(LINES) if not line.removesuffix(" #!").endswith(":")]
REQUIRED = [at for at, line in enumerate(LINES) if line.endswith("#!")]
POLICY = """\
budgets:
  - name: research
    scope: {team: research, user: "*"}
    window: month
    timezone: Europe/Berlin
    cap_usd: 20000.5
    at: [{spent: 100%, then: block}]
    on_ledger_error: deny
"""
BARE = """\
providers: {groq: {dialect: openai, base_url: "http://127.0.0.1:1/v1/"}}
models: {llama: {offers: [{provider: groq, model: llama-3}]}}
"""


def load(
    text: str | bytes, environ: Mapping[str, str] | None = None, **policies: str | bytes
) -> Config:
    """The configuration of a text, and of policy files by the name that `policies:` may use."""
    with TemporaryDirectory() as folder:
        for name, content in {"hedgerow": text, **policies}.items():
            as_bytes = content.encode() if isinstance(content, str) else content
            Path(folder, f"{name}.yaml").write_bytes(as_bytes)
        return load_config(Path(folder, "hedgerow.yaml"), environ or {})


def outcome(text: str | bytes, environ: Mapping[str, str] | None = None) -> Config | ConfigInvalid:
    """What becomes of a text."""
    try:
        return load(text, environ)
    except ConfigInvalid as invalid:
        return invalid


def errors_of(
    text: str | bytes, environ: Mapping[str, str] | None = None, **policies: str | bytes
) -> list[ConfigError]:
    """Its errors, with the file's name only."""
    with pytest.raises(ConfigInvalid) as caught:
        load(text, environ, **policies)
    assert len(str(caught.value).splitlines()) == len(caught.value.errors)
    return [replace(error, file=Path(error.file).name) for error in caught.value.errors]


def only_error_of(text: str | bytes, environ: Mapping[str, str] | None = None) -> ConfigError:
    (error,) = errors_of(text, environ)
    return error


def with_policy(policy: str | bytes) -> Config:
    return load(BARE + "policies: [policy.yaml]\n", policy=policy)


def policy_errors(policy: str | bytes) -> list[ConfigError]:
    return errors_of(BARE + "policies: [policy.yaml]\n", policy=policy)


def parent_line(at: int) -> int:
    """The index of the line that the key in line `at` stands under; `- ` opens an item."""
    indent = len(LINES[at]) - len(LINES[at].lstrip())
    for above in range(at - 1, -1, -1):
        if len(LINES[above]) - len(LINES[above].lstrip()) < indent:
            return above
    raise AssertionError(at)


# What is right


def test_every_key_is_read() -> None:
    """Each value arrives in the type and unit that it means."""
    config = load(VALID)
    assert config.server.port == 18000
    assert config.server.admin_key is not None
    assert config.server.admin_key.get_secret_value() == "sk-admin"
    assert config.ledger.durability == "disk"
    first, second = config.models["llama-3.3-70b"].offers
    assert first.price is not None
    assert first.price.rate_card() == RateCard.of(
        Decimal("0.59"), Decimal("0.79"), Decimal("0.10"), Decimal("0.60"), Decimal("0.001")
    )
    assert (first.context_tokens, second.context_tokens) == (131072, None)
    assert (second.price, second.quantization, second.features) == (None, "fp8", None)
    routing = config.routing
    assert (routing.first_byte_timeout, routing.idle_timeout, routing.deadline) == (0.5, 45, 90)
    server = config.server
    assert (server.max_header_bytes, server.body_timeout, server.parallel_per_key) == (4096, 30, 7)
    assert (config.idempotency.keep, config.idempotency.max_bytes) == (300, 1000)
    assert (config.files.max_bytes_per_file, config.files.max_bytes) == (10 * 2**20, 2**30)
    assert config.files.path.is_absolute()
    assert config.files.path.name == "uploads"
    accounts = config.providers["together"].accounts
    assert [(one.name, one.parallel, one.requests_per_minute) for one in accounts] == [
        ("a", 5, 60),
        ("b", None, None),
    ]


def test_defaults_need_no_more_than_providers_and_models() -> None:
    """Without the other keys: loopback, SQLite beside the file, no budgets, routing's defaults."""
    config = load(BARE)
    assert (config.server.host, config.server.port, config.server.admin_key) == (
        "127.0.0.1",
        8400,
        None,
    )
    assert config.server.max_body_bytes == 32 * 1024 * 1024
    assert [feed.kind for feed in config.market.feeds] == ["litellm"]
    assert config.ledger.durability == "process"
    assert config.budgets == ()
    assert config.routing.model_dump() == {
        "ttft_ms_p95_max": 2000,
        "total_ms_p95_max": None,
        "late": "priced",
        "miss_cost": 1.0,
        "explore": 0.01,
        "attempts": 3,
        "first_byte_timeout": 20.0,
        "idle_timeout": 30.0,
        "deadline": 60.0,
        "stream_rescue": "error",
        "heartbeat": None,
        "hedge": {"after": None, "share": Decimal("0.05"), "plain": False},
    }
    assert (config.server.max_header_bytes, config.server.body_timeout) == (32768, 60)
    assert config.server.parallel_per_key is None
    assert (config.idempotency.keep, config.idempotency.max_bytes) == (600, 67108864)
    assert (config.files.max_bytes_per_file, config.files.max_bytes) == (209715200, 10 * 2**30)
    assert (config.batches.hours, config.batches.parallel) == ((), 8)
    assert config.providers["groq"].base_url == "http://127.0.0.1:1/v1"


def test_flow_style_takes_variables() -> None:
    """`{api_key: ${KEY}}`, as people write it, is read although YAML itself would refuse it."""
    text = """\
server: {host: 127.0.0.1, port: ${PORT}, admin_key: ${ADMIN}}
providers:
  a: {dialect: openai, base_url: "https://${HOST}/v1", api_key: ${KEY}}   # ${NOT_SET}
models: {m: {offers: [{provider: a, model: m, price: {input: ${PRICE}, output: 1}}]}}
"""
    environ = {"PORT": "1", "ADMIN": "adm", "HOST": "h", "KEY": "a}: ${b}", "PRICE": "0.15"}
    with pytest.raises(ConfigInvalid, match="api_key: has spaces"):
        load(text, environ)
    config = load(text, environ | {"KEY": "a}:'${b}"})
    key = config.providers["a"].api_key
    assert key is not None
    assert key.get_secret_value() == "a}:'${b}", "a value is data, never structure or a variable"
    assert (config.server.port, config.providers["a"].base_url) == (1, "https://h/v1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///books.db", "FOLDER/books.db"),
        ("sqlite:///data/b.db", "FOLDER/data/b.db"),
        ("sqlite:////var/lib/b.db", "/var/lib/b.db"),
    ],
)
def test_ledger_path_is_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, expected: str
) -> None:
    """A relative SQLite path counts from the file's folder, wherever the command is started."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "h.yaml").write_text(BARE + f"ledger: {{url: '{url}'}}\n")
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("conf/h.yaml"), {})
    assert config.ledger.path == Path(expected.replace("FOLDER", str(tmp_path / "conf")))
    assert config.files.path == tmp_path / "conf" / "hedgerow-files"
    assert config.path == Path("conf/h.yaml")


def test_policies_by_glob_and_absolute_path(tmp_path: Path) -> None:
    """Globs count from their file, absolute paths work, and a file matched twice is read once."""
    (tmp_path / "policies").mkdir()
    for name in ("b", "a"):
        text = POLICY.replace("name: research", f"name: {name}")
        (tmp_path / "policies" / f"{name}.yaml").write_text(text)
    path = tmp_path / "hedgerow.yaml"
    path.write_text(
        BARE + f'policies: ["policies/*.yaml", "{tmp_path}/policies/../policies/a.yaml"]\n'
    )
    budgets = load_config(path, {}).budgets
    assert [budget.name for budget in budgets] == ["a", "b"]
    assert budgets[0].scope.model_dump(exclude_none=True) == {"team": "research", "user": "*"}
    assert budgets[0].cap_usd == Decimal("20000.5")


@pytest.mark.parametrize(
    ("url", "given_field", "expected"),
    [
        ("https://api.openai.com/v1", None, "max_completion_tokens"),
        ("https://api.openai.com.evil.example/v1", None, "max_tokens"),
        ("https://api.groq.com/openai/v1", None, "max_tokens"),
        ("https://api.openai.com/v1", "max_tokens", "max_tokens"),
    ],
)
def test_output_limit_field(url: str, given_field: str | None, expected: str) -> None:
    """The field given wins; otherwise the host decides."""
    text = BARE.replace("http://127.0.0.1:1/v1/", url)
    if given_field:
        text = text.replace("openai,", f"openai, max_tokens_field: {given_field},")
    assert load(text).providers["groq"].output_limit_field == expected


def test_yaml_guesses_no_types() -> None:
    """What YAML 1.1 would make False, octal or a sexagesimal number stays what was written."""
    policy = POLICY.replace("{team: research,", "{team: no, project: 1:30, org: 007,")
    scope = with_policy(policy).budgets[0].scope
    assert (scope.team, scope.project, scope.org) == ("no", "1:30", "007")


def test_anchors_and_merge_keys() -> None:
    """`<<: *a` fills in what a mapping has not itself."""
    text = """\
providers:
  a: &a {dialect: openai, base_url: http://a/v1, api_key: k}
  b: {<<: *a, base_url: http://b/v1}
models: {m: {offers: [{provider: b, model: m}]}}
"""
    b = load(text).providers["b"]
    assert b.base_url == "http://b/v1"
    assert b.api_key is not None


@few
@given(nanos=st.integers(0, 2**63 - 1), zeros=st.integers(0, 5))
def test_caps_are_exact(nanos: int, zeros: int) -> None:
    """Every amount of nano-USD that the books can hold is read without a digit lost."""
    whole, part = divmod(nanos, 10**9)
    text = f"{whole}.{part:09d}" + "0" * zeros
    cap = with_policy(POLICY.replace("20000.5", text)).budgets[0].cap_usd
    assert cap is not None
    assert as_usd(usd(cap)) * 10**9 == nanos


@few
@given(st.decimals(0, 1_000_000, places=12).filter(lambda price: len(price.as_tuple().digits) < 28))
def test_prices_are_exact(price: Decimal) -> None:
    """A price is the Decimal of its text: no float comes between."""
    text = BARE.replace("model: llama-3", f"model: x, price: {{input: {price:f}, output: 0}}")
    read = load(text).models["llama"].offers[0].price
    assert read is not None
    assert read.input == price


@few
@given(st.integers(1, 10**6), st.sampled_from(["ms", "s", "m", "h", ""]))
def test_durations_are_seconds(count: int, unit: str) -> None:
    """A duration is read in seconds, and refused beyond a day."""
    seconds = count * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "": 1}[unit]
    text = BARE + f"routing: {{deadline: {count}{unit}}}\n"
    if seconds <= 86400:
        assert load(text).routing.deadline == pytest.approx(seconds)
    else:
        assert only_error_of(text).where == "routing.deadline"


# What is wrong: any of it, anywhere


@few
@given(st.sets(st.sampled_from(LEAVES), min_size=1))
def test_each_mistyped_value_is_named_by_its_line(broken: set[int]) -> None:
    """Whatever values are of a wrong type, there is one error for each line and no other."""
    text = "\n".join(
        line.split(": ")[0] + ": {wrong: [type]}" if at in broken else line
        for at, line in enumerate(LINES)
    )
    errors = errors_of(text)
    assert [error.line for error in errors] == [at + 1 for at in sorted(broken)]
    keys = [LINES[at].split(":")[0].lstrip(" -") for at in sorted(broken)]
    assert [error.where.rpartition(".")[2] for error in errors] == keys


@few
@given(st.sets(st.sampled_from(LEAVES), min_size=1))
def test_each_misspelt_key_is_named_by_its_line(broken: set[int]) -> None:
    """A misspelt key is one error, with the right spelling, and not also a missing key."""
    text = "\n".join(
        line.replace(": ", "x: ", 1) if at in broken else line for at, line in enumerate(LINES)
    )
    errors = errors_of(text)
    assert [error.line for error in errors] == [at + 1 for at in sorted(broken)]
    keys = [LINES[at].split(":")[0].lstrip(" -") for at in sorted(broken)]
    assert [error.hint for error in errors] == [f'did you mean "{key}"?' for key in keys]


@pytest.mark.parametrize("at", [at for at in LEAVES if "- " not in LINES[at]])
def test_each_dropped_key_is_an_error_or_has_a_default(at: int) -> None:
    """A required key that is missing is named with the line it belongs under, and an example."""
    text = "\n".join(LINES[:at] + LINES[at + 1 :])
    if at not in REQUIRED:
        load(text)
        return
    error = only_error_of(text)
    key = LINES[at].split(":")[0].strip()
    assert (error.message, error.where.rpartition(".")[2]) == ("is missing", key)
    assert error.line == parent_line(at) + 1
    assert error.hint.startswith(f"write, for example, {key}: ")


@pytest.mark.parametrize("at", LEAVES)
def test_each_empty_or_doubled_line_is_an_error(at: int) -> None:
    """`key:` with nothing behind it is no default, and a key's second copy is named, not used."""
    key = LINES[at].split(":")[0]
    empty = only_error_of("\n".join([*LINES[:at], f"{key}:", *LINES[at + 1 :]]))
    assert (empty.line, empty.message) == (at + 1, "is empty")
    copy = LINES[at].replace("- ", "  ")
    doubled = only_error_of("\n".join([*LINES[: at + 1], copy, *LINES[at + 1 :]]))
    assert (doubled.line, doubled.hint) == (at + 2, "keep one of them")
    assert f"line {at + 1}" in doubled.message


@few
@given(st.sets(st.sampled_from(LEAVES), min_size=1))
def test_each_missing_variable_is_named(broken: set[int]) -> None:
    """A variable that is not set is one error with its name and line; nothing else follows."""
    text = "\n".join(
        line.split(": ")[0] + f": ${{V{at}}}" if at in broken else line
        for at, line in enumerate(LINES)
    )
    errors = errors_of(text)
    assert [error.line for error in errors] == [at + 1 for at in sorted(broken)]
    for at, error in zip(sorted(broken), errors, strict=True):
        assert error.message == f"environment variable V{at} is not set"


@few
@given(
    st.sampled_from(LEAVES),
    st.sampled_from(["", "https://", "http://u:", "sqlite:///", "20", "sk-"]),
    st.sampled_from(["", "/chat/completions", "@host/v1", "?", "s", "\n", "\udcff"]),
)
def test_no_value_of_a_variable_is_ever_shown(at: int, before: str, after: str) -> None:
    """Whatever key a variable stands at, its value is in no error and in no repr of a secret."""
    text = "\n".join([*LINES[:at], LINES[at].split(": ")[0] + ": ${V}", *LINES[at + 1 :]])
    result = outcome(text, {"V": f"{before}confidential{after}"})
    if isinstance(result, ConfigInvalid) or "_key" in LINES[at]:
        assert "confidential" not in f"{result} {result!r}"
    assert "sk-admin" not in repr(result)
    assert "sk-groq" not in repr(result)
    assert "sk-pool" not in repr(result)


@few
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text("ab:-[]{}&*!|>'\"#%@,? \n\t${}<\\U\ud7ff\ue000\x00", max_size=80).map(str.encode),
        st.tuples(st.integers(0, len(VALID)), st.binary(min_size=1, max_size=3)).map(
            lambda cut: VALID.encode()[: cut[0]] + cut[1] + VALID.encode()[cut[0] :]
        ),
    )
)
def test_no_bytes_make_it_fail_otherwise(content: bytes) -> None:
    """Any bytes are a configuration or ConfigInvalid with at least one printable line."""
    for text in (content, BARE.encode() + b"policies: [hedgerow.yaml]\n" + content):
        result = outcome(text)
        if isinstance(result, ConfigInvalid):
            lines = str(result).splitlines()
            assert len(lines) == len(result.errors) > 0
            assert all(line.isprintable() for line in lines)


# What is wrong: one by one


def change(old: str, new: str) -> str:
    assert VALID.count(old) == 1, old
    return VALID.replace(old, new)


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        (change("port: 18000", "port: 70000"), "server.port", '"70000" is too large; write 65535'),
        (change("port: 18000", "port: -1"), "server.port", '"-1" is too small; write 0 or more'),
        (change("port: 18000", "port: http"), "server.port", '"http" is no whole number'),
        (change("workers: 1", "workers: 65"), "server.workers", '"65" is too large; write 64'),
        (change("workers: 1", "workers: 0"), "server.workers", '"0" is too small; write 1 or more'),
        (change("sqlite:///books.db", "mysql://h/d"), "ledger.url", "write sqlite:///hedgerow.db"),
        (change("sqlite:///books.db", "'sqlite:///:memory:'"), "ledger.url", "write sqlite:///"),
        (change("durability: disk", "durability: ram"), "ledger.durability", "process or disk"),
        (
            change("dialect: openai", "dialect: grpc"),
            "providers.groq.dialect",
            "write openai, anthropic or litellm",
        ),
        (change("https://api.groq", "api.groq"), "providers.groq.base_url", "no http or https"),
        (change("https://api.groq", "https://k@api.groq"), "providers.groq.base_url", "api_key"),
        (
            change("https://api.groq.com/openai/v1", "https://k:k@api.groq.com/openai/v1?a=b"),
            "providers.groq.base_url",
            "has a user or password in it, and a ? or #; write the key under api_key, and the URL",
        ),
        (change("https://api.groq.com", "https://"), "providers.groq.base_url", "is no URL"),
        (change("api.groq.com/", "api.groq.com:x/"), "providers.groq.base_url", "is no URL"),
        (
            change("groq.com/openai/v1", "groq.com/openai/v1/chat/completions"),
            "providers.groq.base_url",
            'write "https://api.groq.com/openai/v1"',
        ),
        (change("sk-groq", "sk groq"), "providers.groq.api_key", "HTTP headers"),
        (
            change("input: 0.59", "input: -0.59"),
            "models.llama-3.3-70b.offers[0].price.input",
            "neg",
        ),
        (
            change("input: 0.59", "input: .nan"),
            "models.llama-3.3-70b.offers[0].price.input",
            "no am",
        ),
        (
            change("input: 0.59", "input: .inf"),
            "models.llama-3.3-70b.offers[0].price.input",
            "no am",
        ),
        (
            change("input: 0.59", "input: 1e7"),
            "models.llama-3.3-70b.offers[0].price.input",
            "large",
        ),
        (change("  llama-3.3-70b:", "  my llama:"), 'models."my llama"', "name with spaces"),
        (
            change("131072", "131072\n        features: [tool]"),
            "models.llama-3.3-70b.offers[0].features[0]",
            "tools, vision, json_schema or logprobs",
        ),
        (change("attempts: 2", "attempts: 0"), "routing.attempts", "write 1 or more"),
        (change("deadline: 1.5m", "deadline: 0s"), "routing.deadline", "more than 0"),
        (change("heartbeat: off", "heartbeat: never"), "routing.heartbeat", "write off, or 20s"),
        (change("heartbeat: off", "heartbeat: 0s"), "routing.heartbeat", "write off, or more than"),
        (change("heartbeat: off", "heartbeat: 25h"), "routing.heartbeat", "at most 24h"),
        (change("buffer", "splice"), "routing.stream_rescue", "error, buffer or prefix_match"),
        (
            change("attempts: 5", "attempts: 0"),
            "models.llama-3.3-70b.routing.attempts",
            "write 1 or more",
        ),
        (change("10 MiB", "10 MB"), "files.max_bytes_per_file", '"10 MB" is no whole number'),
        (change("1 GiB", "0"), "files.max_bytes", "write 1 or more"),
        (change("22:00-06:00", "22-6"), "batches.hours[0]", '"22-6" are no hours of a day'),
        (change("22:00-06:00", "22:00-22:00"), "batches.hours[0]", "are no hours"),
        (change("22:00-06:00", "22:00-24:30"), "batches.hours[0]", "are no hours"),
        (change("deadline: 1.5m", "deadline: 3 days"), "routing.deadline", "is no duration"),
        (change("deadline: 1.5m", "deadline: -3s"), "routing.deadline", "is no duration"),
        (VALID + "market: {feeds: [{kind: openroute}]}", "market.feeds[0].kind", "write litellm"),
        (VALID + "policies: policies/*.yaml", "policies", "is not a list"),
        (VALID + "policies: [policies/*.yml]", "policies[0]", 'no file matches "policies/*.yml"'),
        (VALID + "contract: [c.yaml]", "contract", "unknown key"),
        (VALID + "contracts: [c.yaml]", "contracts[0]", 'no file matches "c.yaml"'),
        (VALID + "routing: {}", "routing", "a second time; the first is in line 52"),
    ],
)
def test_bad_value(text: str, where: str, says: str) -> None:
    """One wrong value is one error, at its path, that says what to write."""
    error = only_error_of(text)
    assert error.where == where
    assert says in str(error)


def test_errors_across_keys_show_besides_others() -> None:
    """References are checked although other keys are wrong too; sorted by line."""
    text = """\
providers: {groq: {dialect: openai, base_url: "http://g/v1"}}
server: {port: x}
models:
  m:
    offers:
      - {provider: grok, model: m}
      - {provider: groq, model: m}
      - {provider: groq, model: m, price: {input: 1, output: 1}}
  none: {offers: []}
market: {feeds: []}
"""
    prices = "write price: {input: 0.88, output: 0.88}, or feed litellm"
    either = "give it `offers`, or the names of other models in `any_of`"
    assert [str(error).removeprefix("hedgerow.yaml:") for error in errors_of(text)] == [
        '2: server.port: "x" is no whole number; write, for example, 8400',
        f"6: models.m.offers[0]: has no price, and there are no feeds; {prices}",
        '6: models.m.offers[0].provider: no provider is called "grok"; did you mean "groq"?',
        f"7: models.m.offers[1]: has no price, and there are no feeds; {prices}",
        "8: models.m.offers[2]: the same offer stands in line 7; keep one of them",
        f"9: models.none: has neither offers nor any_of; {either}",
    ]


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("20000.5", "-1", "cap_usd", "is negative"),
        ("20000.5", ".nan", "cap_usd", "no amount of USD"),
        ("20000.5", "1e-10", "cap_usd", "at most 9 decimals"),
        ("20000.5", "0.0000000001", "cap_usd", "at most 9 decimals"),
        ("20000.5", "1.00000000000000000000000000001", "cap_usd", "no amount of USD"),
        ("20000.5", "1e99", "cap_usd", "at most 9 billion"),
        ("20000.5", "1e999999999", "cap_usd", "no amount of USD"),
        ("team:", "teem:", "scope.teem", 'did you mean "team"?'),
        ("window: month", "window: monthly", "window", 'did you mean "month"? write one of'),
        ("Europe/Berlin", "Berlin", "timezone", 'did you mean "Europe/Berlin"?'),
        ("Europe/Berlin", "../Berlin", "timezone", "is no time zone"),
        ("Europe/Berlin", "Europe", "timezone", "is no time zone"),
        ("spent: 100%", "spent: 70", "at[0].spent", "write 70%: more than 0"),
        ("then: block", "then: block, tell: [x]", "at[0].tell", "unknown key"),
        ("[{spent: 100%, then: block}]", "[]", "at", "is empty"),
        (
            "on_ledger_error: deny",
            "on_ledger_error: pass",
            "on_ledger_error",
            "write deny or allow",
        ),
    ],
)
def test_bad_budget(old: str, new: str, where: str, says: str) -> None:
    """One wrong value in a policy file is one error, with that file and its line."""
    assert POLICY.count(old) == 1
    line = next(at for at, line in enumerate(POLICY.splitlines(), 1) if old in line)
    (error,) = policy_errors(POLICY.replace(old, new))
    assert (error.file, error.line, error.where) == ("policy.yaml", line, f"budgets[0].{where}")
    assert says in str(error)


@pytest.mark.parametrize(
    ("scope", "where", "says"),
    [
        ("model: lama", "model", 'model is called "lama"; did you mean "llama"? known here: llama'),
        ("model: x", "model", 'no model is called "x"; known here: llama'),
        ("provider: grok", "provider", 'is called "grok"; did you mean "groq"? known here: groq'),
        ("provider: llama", "provider", 'no provider is called "llama"; known here: groq'),
    ],
)
def test_a_budget_of_nothing_there_is(scope: str, where: str, says: str) -> None:
    """A scope's model or provider that is not configured would guard nothing: it is an error."""
    (error,) = policy_errors(POLICY.replace("team: research", scope))
    assert (error.file, error.line, error.where) == ("policy.yaml", 3, f"budgets[0].scope.{where}")
    assert says in str(error)


@pytest.mark.parametrize("scope", ["model: llama, provider: groq", 'model: "*", provider: "*"'])
def test_a_budget_of_what_there_is(scope: str) -> None:
    """Of a configured model or provider, or of each; a key's id is not looked up here."""
    (budget,) = with_policy(POLICY.replace("team: research", f"{scope}, key: key_01")).budgets
    assert budget.scope.key == "key_01"


def test_many_known_names_are_cut() -> None:
    """The names that there are fit on a line, however many they are."""
    models = ", ".join(f"m{at}: {{offers: [{{provider: groq, model: m}}]}}" for at in range(25))
    text = BARE.replace("llama: {offers: [{provider: groq, model: llama-3}]}", models)
    policy = POLICY.replace("team: research", "model: zzz")
    (error,) = errors_of(text + "policies: [policy.yaml]\n", policy=policy)
    assert error.hint.endswith("m18, m19, and 5 more")


def test_budget_names_are_unique_over_files() -> None:
    """The second of two budgets with a name is an error that names the first one's place."""
    (error,) = errors_of(BARE + "policies: [a.yaml, b.yaml]\n", a=POLICY, b="\n" + POLICY)
    assert (error.file, error.line) == ("b.yaml", 3)
    assert 'budget "research" is already in ' in error.message
    assert error.message.endswith("a.yaml:2")


def test_errors_of_all_files_come_together() -> None:
    """A policy file that cannot be read hides neither the other files' errors nor its own."""
    text = BARE + "policies: [a.yaml, b.yaml, c.yaml]\nservers: {}\n"
    errors = errors_of(text, a="budgets: [", b="- 1", c=POLICY.replace("month", "moon"))
    assert [(error.file, error.line) for error in errors] == [
        ("a.yaml", 1),
        ("b.yaml", 1),
        ("c.yaml", 4),
        ("hedgerow.yaml", 4),
    ]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"", None, "the file is empty"),
        (b"# nothing\n", None, "the file is empty"),
        (b"\n- a\n", 2, "the file holds a list"),
        (b"text", 1, "the file holds a single value"),
        (b"a: 1\nb: \xff", 2, "not UTF-8"),
        (b"a: 1\nb: \x00", 2, "a control character"),
        (b"a: 1\n\tb: 2", 2, "a tab where YAML wants spaces"),
        (b"a: 1\nb: c: d", 2, "put the value in quotes"),
        (b"a: 1\n---\nb: 1", 2, "a second document"),
        (b"a: *nowhere", 1, "put text with a `*` in quotes"),
        (b'a: "\\UFFFFFFFF"', 1, "out of range"),
        (b"[" * 100_000, 1, "nested deeper than 20 levels"),
        (b"a: &a [*a]", 1, "nested deeper than 20 levels"),
        (b"a: &a {<<: *a}", 1, "nested deeper than 20 levels"),
        (b"a: " + b"x" * 2**20, None, "larger than 1 MiB"),
    ],
)
def test_unreadable_file(content: bytes, line: int | None, says: str) -> None:
    """What is no YAML mapping is one error with the line, if there is one."""
    error = only_error_of(content)
    assert (error.file, error.line, error.where) == ("hedgerow.yaml", line, "")
    assert says in str(error)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("providers\n  groq: {api_key: k}\nmodels: {}\n", 1),
        ("providers # hosts\n  groq: {api_key: k}\n", 1),
        ("# hosts\n\nproviders\n\n  # the first\n  groq:\n    api_key: k\n", 3),
        ("\r\nproviders\r\n  groq: {api_key: k}\r\n", 2),
        ("providers\n  - groq\nmodels: {}\n", 1),
        ("a: b\nproviders\n  groq: {api_key: k}\n", 2),
        ("providers:\n  groq\n    api_key: k\n", 2),
        ("a:\n  - provider groq\n    model: m\n", 2),
    ],
)
def test_a_lost_colon(content: str, line: int) -> None:
    """A key without its colon is named by its own line, not by that of the next colon."""
    error = only_error_of(content)
    assert (error.line, error.message) == (line, "a key without its colon")
    assert error.hint == "write `key: value`, or `key:` above a block"


def test_names_are_shown_on_one_line() -> None:
    """A key with line ends, escapes or bells is named without them."""
    error = only_error_of(VALID + '"a\\n\\e[31m\\u2028\\a": 1\n')
    assert error.where == '"a\\n\\x1b[31m\\u2028\\x07"'


def test_alias_bomb_is_refused() -> None:
    """Aliases of aliases, a billion values in ten lines, end at the limit of values."""
    bomb = "a0: &a0 [1, 1]\n" + "".join(
        f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]\n" for at in range(1, 10)
    )
    assert "more than 50000 values" in only_error_of(bomb).message


def test_tags_construct_nothing() -> None:
    """A YAML tag that would run code is an error."""
    error = only_error_of(change("host: 0.0.0.0", "host: !!python/name:os.system"))
    assert (error.where, error.line) == ("server.host", 2)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_file_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    """No such file, or a folder: the same kind of error, without a line."""
    with pytest.raises(ConfigInvalid, match=r"no such file|cannot be read") as caught:
        load_config(tmp_path / name, {})
    assert [error.line for error in caught.value.errors] == [None]


@pytest.mark.parametrize("written", ["${}", "${A-B}", "${A", "${1A}"])
def test_malformed_variable(written: str) -> None:
    """What looks like a variable and is none never passes as text."""
    error = only_error_of(change("api_key: sk-groq", f"api_key: '{written}'"))
    assert (error.where, error.line) == ("providers.groq.api_key", 17)


def test_import_is_light() -> None:
    """Reading the configuration loads none of the heavy packages."""
    heavy = "{'aiohttp', 'numpy', 'litellm', 'cvxpy', 'sqlite_utils'}"
    code = f"import sys, hedgerow.config; print(sorted({heavy} & sys.modules.keys()))"
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout == "[]\n"
