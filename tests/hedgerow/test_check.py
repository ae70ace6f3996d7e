"""`hedgerow check`, as a person or a script calls it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from hedgerow.commands.check import check
from hedgerow.files.config_file import ConfigFile
from hedgerow.files.model_spec import Model, OfferSpec

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
    assert warning == {
        "file": str(path),
        "line": 17,
        "where": "models.gpt-4o-mini.offers[0]",
        "message": "nobody knows its price, so it gets no requests",
        "hint": "give it a price",
    }


def test_a_model_that_nobody_can_price(path: Path) -> None:
    """Where no offer of a model has a price, that is said too, at the model's line."""
    path.write_text(re.sub(r", price: \{.*?\}", "", path.read_text()))
    done = CliRunner(env={"UPSTREAM": "sk"}).invoke(check, ["-c", str(path)])
    first, *offers = done.stderr.splitlines()
    why = "every request will be refused, for want of a price; give an offer a price"
    assert first == f"{path}:15: models.gpt-4o-mini: {why}"
    assert [line.removeprefix(f"{path}:").partition(":")[0] for line in offers] == [
        str(line) for line in range(17, 27)
    ]


def test_the_examples_in_hints_have_a_price(tmp_path: Path) -> None:
    """The model that hints tell people to write is in the installed price file, and its whole
    example is a configuration without a warning."""
    fields = ConfigFile.model_fields
    keys = ("providers", "models")
    path = tmp_path / "hedgerow.yaml"
    path.write_text("".join(f"{key}: {(fields[key].examples or [])[0]}\n" for key in keys))
    done = CliRunner(env={"GROQ_API_KEY": "sk"}).invoke(check, ["-c", str(path)])
    assert (done.exit_code, done.stderr) == (0, "")
    offer = OfferSpec.model_fields
    (provider,), (model,) = (offer[key].examples for key in ("provider", "model"))  # type: ignore[misc]
    assert f"[{{provider: {provider}, model: {model}}}]" in (
        Model.model_fields["offers"].examples or []
    )
    assert f"{{provider: {provider}, model: {model}}}" in path.read_text()


KEYLESS = "providers.p: has no key; set GROQ_API_KEY, or write api_key"
OTHER_ACCOUNT = "providers.p.accounts[1]: has no key; write its api_key"
OTHER_HOST = "providers.p: has no key; write api_key"
NOT_ITS_OWN = (
    "providers.p: has no key: GROQ_API_KEY goes to https://api.groq.com/openai/v1 only;"
    " write api_key: ${GROQ_API_KEY} if that is for this base_url, too"
)


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
        ("{preset: groq, base_url: http://elsewhere/v1}", None, OTHER_HOST),
        ("{preset: groq, base_url: http://elsewhere/v1}", "sk", NOT_ITS_OWN),
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
    assert done.stderr == (f"{path}:1: {warning}\n" if warning else "")


def warnings_of(path: Path, providers: str, more: str = "", own: str = "") -> list[str]:
    """What `check` warns of: two providers, one a line; routing from line 4 on; `own` in line 3."""
    offer = "{provider: mine, model: m, price: {input: 1, output: 1}}"
    path.write_text(
        f"providers:\n  {providers}\n  mine: {{base_url: 'http://h/v1'}}\n"
        f"models: {{m: {{offers: [{offer}]{own}}}}}\n{more}"
    )
    done = CliRunner(env=dict.fromkeys(["GROQ_API_KEY", "TOGETHER_API_KEY"], "sk")).invoke(
        check, ["-c", str(path)]
    )
    assert done.exit_code == 0, done.stderr
    return [line.removeprefix(f"{path}:") for line in done.stderr.splitlines()]


NOT_AZURE = (
    "2: providers.azure.base_url: its name is a preset's, which with a base_url is not meant by"
    " its name alone; write preset: azure if it is one"
)
NOT_GROQ = (
    "2: providers.groq.base_url: its name is a preset's, but its base_url is {}'s;"
    " write preset: groq if it is one"
)


@pytest.mark.parametrize(
    ("provider", "warning"),
    [
        ("groq: {base_url: http://h/v1}", NOT_GROQ.format("another")),
        ("groq: {base_url: https://api.together.ai/v1}", NOT_GROQ.format("together")),
        ("groq: {base_url: https://api.groq.com/openai/v1}", None),
        ("groq: {preset: groq, base_url: http://h/v1, api_key: k}", None),
        ("groq: {dialect: openai, base_url: http://h/v1}", None),
        ("other: {base_url: http://h/v1}", None),
        (
            "azure: {base_url: http://h/v1}",
            NOT_AZURE,
        ),
    ],
)
def test_a_name_that_does_not_mean_its_preset(
    tmp_path: Path, provider: str, warning: str | None
) -> None:
    """Whoever is called as a preset, and is none for its URL, is warned of, once."""
    found = warnings_of(tmp_path / "hedgerow.yaml", provider)
    assert found == ([warning] if warning else [])


FIRST_BYTE = "is longer than deadline: one attempt may take all the time that there is; write less"
DEADLINE = "shorter than first_byte_timeout: one attempt may take all the time that there is; write"
NEVER = "never comes to that: "
ONE_ATTEMPT = f"{NEVER}a second offer is a second attempt; let attempts be 2 or more"
TOO_LATE = f"{NEVER}first_byte_timeout ends the first attempt before; write less"
HEARTBEAT = "is longer than idle_timeout: a silence that long ends the answer; write less"


@pytest.mark.parametrize(
    ("routing", "own", "expected"),
    [
        ("first_byte_timeout: 61s", "", [f"5: routing.first_byte_timeout: {FIRST_BYTE}"]),
        ("deadline: 19s", "", [f"5: routing.deadline: is {DEADLINE} more"]),
        ("heartbeat: 31s", "", [f"5: routing.heartbeat: {HEARTBEAT}"]),
        ("first_byte_timeout: 60s, heartbeat: 30s", "", []),
        ("heartbeat: off, idle_timeout: 1s", "", []),
        ("attempts: 1", "heartbeat: 31s", [f"4: models.m.routing.heartbeat: {HEARTBEAT}"]),
        ("deadline: 90s", "first_byte_timeout: 61s", []),
        ("hedge: {after: 20s}", "", [f"5: routing.hedge.after: {TOO_LATE}"]),
        ("attempts: 1, hedge: {after: p95}", "", [f"5: routing.hedge.after: {ONE_ATTEMPT}"]),
        (
            "attempts: 1, hedge: {after: p95}",
            "attempts: 2",
            [f"5: routing.hedge.after: {ONE_ATTEMPT}"],
        ),
        ("attempts: 1, hedge: {share: 1%}", "", []),
        ("hedge: {after: p95}", "hedge: {after: 19s}", []),
        ("heartbeat: 31s", "heartbeat: off", [f"5: routing.heartbeat: {HEARTBEAT}"]),
        ("heartbeat: 31s", "attempts: 1", [f"5: routing.heartbeat: {HEARTBEAT}"]),
    ],
)
def test_waits_that_another_cuts_off(
    tmp_path: Path, routing: str, own: str, expected: list[str]
) -> None:
    """For all models and for one, at the line where the wait is written; equal waits are good."""
    more, own = f"routing: {{{routing}}}\n", own and f", routing: {{{own}}}"
    groq = "groq: {}"
    assert warnings_of(tmp_path / "hedgerow.yaml", groq, more, own) == expected


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
