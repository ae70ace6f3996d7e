"""`hedgerow check`, as a person or a script calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hedgerow.commands.check import check

OFFERS = "".join(
    f"      - {{provider: u{at}, model: gpt-4o-mini, price: {{input: 0.{price}, output: 0.60}}}}\n"
    for at, price in enumerate(range(15, 25))
)
PROVIDERS = "".join(
    f"  u{at}: {{dialect: openai, base_url: http://127.0.0.1:19001/v1, api_key: ${{UPSTREAM}}}}\n"
    for at in range(10)
)
POLICIES = """\
budgets:
  - {name: everyone, scope: {}, window: month, cap_usd: 1000000}
  - {name: bench-team, scope: {team: bench}, window: month, cap_usd: 500000}
  - {name: bench-user, scope: {user: bench}, window: day, cap_usd: 100000}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration with ten offers of one model and three nested budgets."""
    (tmp_path / "policies.yaml").write_text(POLICIES)
    path = tmp_path / "hedgerow.yaml"
    path.write_text(
        "server: {host: 127.0.0.1, port: 18000, workers: 1, admin_key: sk-admin-bench}\n"
        f'ledger: {{url: "sqlite:///{tmp_path}/bench.db", durability: process}}\n'
        f"providers:\n{PROVIDERS}models:\n  gpt-4o-mini:\n    offers:\n{OFFERS}"
        f'policies: ["{tmp_path}/policies.yaml"]\n'
    )
    return path


def test_valid(path: Path) -> None:
    """A valid configuration: one line with what is in it, exit code 0, and no file is made."""
    done = CliRunner(env={"UPSTREAM": "sk"}).invoke(check, ["-c", str(path)])
    summary = "10 providers, 1 model, 10 offers, 3 budgets"
    assert (done.exit_code, done.stdout) == (0, f"{path}: ok ({summary})\n")
    assert sorted(file.name for file in path.parent.iterdir()) == ["hedgerow.yaml", "policies.yaml"]


def test_valid_as_json(path: Path) -> None:
    """The same for scripts."""
    done = CliRunner(env={"UPSTREAM": "sk"}).invoke(check, ["-c", str(path), "--json"])
    said = {"valid": True, "errors": [], "warnings": []}
    assert (done.exit_code, json.loads(done.stdout)) == (0, said)


def test_offers_that_nobody_can_price(path: Path) -> None:
    """A valid configuration may have offers that get no requests: each is named, exit code 0."""
    path.write_text(path.read_text().replace(", price: {input: 0.15, output: 0.60}", ""))
    done = CliRunner(env={"UPSTREAM": "sk"}).invoke(check, ["-c", str(path), "--json"])
    (warning,) = json.loads(done.stdout)["warnings"]
    assert done.exit_code == 0
    assert warning.startswith("models.gpt-4o-mini: nobody knows a price of u0/gpt-4o-mini")


KEYLESS = "providers.p: has no key: set GROQ_API_KEY, or write api_key"
OTHER_ACCOUNT = "providers.p: the account b has no key: write its api_key"
OTHER_HOST = "providers.p: has no key: write api_key"


@pytest.mark.parametrize(
    ("written", "key", "warning"),
    [
        ("{preset: groq}", None, KEYLESS),
        ("{preset: groq}", "", KEYLESS),
        ("{preset: groq}", "sk", None),
        ("{base_url: https://api.groq.com/openai/v1}", None, KEYLESS),
        ("{preset: groq, api_key: sk}", None, None),
        ("{preset: groq, accounts: [{name: a, api_key: sk}]}", None, None),
        ("{preset: groq, accounts: [{name: a, api_key: sk}, {name: b}]}", "sk", OTHER_ACCOUNT),
        ("{preset: groq, base_url: http://elsewhere/v1}", "sk", OTHER_HOST),
        ("{preset: vllm}", None, None),
        ("{base_url: http://elsewhere/v1}", None, None),
        ("{dialect: litellm, litellm_provider: bedrock}", None, None),
    ],
)
def test_a_host_that_wants_a_key(
    tmp_path: Path, written: str, key: str | None, warning: str | None
) -> None:
    """Where an account of a known host has no key, the variable that would do is named, if one
    would."""
    path = tmp_path / "hedgerow.yaml"
    offer = "{provider: p, model: m, price: {input: 1, output: 1}}"
    path.write_text(f"providers: {{p: {written}}}\nmodels: {{m: {{offers: [{offer}]}}}}\n")
    done = CliRunner(env={"GROQ_API_KEY": key}).invoke(check, ["-c", str(path)])
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{path}: ok ")
    assert done.stderr == (f"{path}: {warning}\n" if warning else "")


def test_what_a_provider_lacks_is_explained(tmp_path: Path) -> None:
    """Each provider that cannot be reached is an error that says what to write."""
    path = tmp_path / "hedgerow.yaml"
    path.write_text("""\
providers:
  groq: {api_key: k}
  ours: {api_key: k}
  azure: {api_key: k}
  bedrock: {dialect: litellm}
  fast: {preset: gorq}
models: {m: {offers: [{provider: groq, model: m}]}}
""")
    done = CliRunner().invoke(check, ["-c", str(path)])
    assert done.exit_code == 1
    lines = [line.removeprefix(f"{path}:") for line in done.stderr.splitlines()]
    example = "is missing; write, for example,"
    url = "base_url: https://RESOURCE.openai.azure.com/openai/v1"
    assert lines == [
        f"3: providers.ours.base_url: {example} base_url: https://api.groq.com/openai/v1",
        f"4: providers.azure.base_url: {example} {url}",
        f"5: providers.bedrock.litellm_provider: {example} litellm_provider: bedrock",
        '6: providers.fast.preset: no preset is called "gorq"; did you mean "groq"?',
    ]


def test_invalid(path: Path) -> None:
    """Every error is one line on stderr, stdout stays empty, exit code 1."""
    path.write_text(path.read_text().replace("dialect", "dialekt").replace("18000", "99999"))
    done = CliRunner(env={"UPSTREAM": "sk"}).invoke(check, ["-c", str(path)])
    assert (done.exit_code, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 11
    assert lines[0] == f'{path}:1: server.port: "99999" is too large; write 65535 or less'
    assert lines[1] == f'{path}:4: providers.u0.dialekt: unknown key; did you mean "dialect"?'


def test_invalid_as_json(path: Path) -> None:
    """The same errors as data on stdout, exit code 1, nothing on stderr."""
    path.write_text(path.read_text().replace("18000", "${PORT}"))
    done = CliRunner(env={"UPSTREAM": "sk", "PORT": None}).invoke(
        check, ["-c", str(path), "--json"]
    )
    assert (done.exit_code, done.stderr) == (1, "")
    assert json.loads(done.stdout) == {
        "valid": False,
        "errors": [
            {
                "file": str(path),
                "line": 1,
                "where": "server.port",
                "message": "environment variable PORT is not set",
                "hint": "set it, as in export PORT=...",
            }
        ],
        "warnings": [],
    }


def test_missing_file_is_invalid(tmp_path: Path) -> None:
    """A file that is not there is an error like any other, not a traceback."""
    done = CliRunner().invoke(check, ["-c", str(tmp_path / "none.yaml")])
    assert done.exit_code == 1
    assert done.stderr == f"{tmp_path / 'none.yaml'}: no such file; check the path\n"


@pytest.mark.parametrize("arguments", [[], ["-c"], ["--nonsense"]])
def test_wrong_usage(arguments: list[str]) -> None:
    """Without a file, or with an unknown option: exit code 2."""
    assert CliRunner().invoke(check, arguments).exit_code == 2
