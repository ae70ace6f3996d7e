"""The JSON Schemas: of today, and as strict as they can be without refusing what is right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from hedgerow.cli import hedgerow
from hedgerow.demo import write_config
from hedgerow.errors import ConfigInvalid
from hedgerow.files.editor_schema import FILES, schema_of
from hedgerow.files.yaml_source import Data, Source, Steps, read_yaml
from tests.hedgerow import test_config
from tests.hedgerow.files import test_contracts_file, test_policy_file

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
VALIDATORS = {name: Draft7Validator(schema_of(name)) for name in FILES}
FILE_NAMES = {
    "config": "hedgerow.schema.json",
    "policy": "policy.schema.json",
    "contracts": "contracts.schema.json",
}
few = settings(max_examples=100, deadline=None)

_INT, _FLOAT = r"[-+]?[0-9]+", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"


def as_an_editor_reads(source: Source) -> Any:
    """The file's data by the rules of YAML 1.2: what looks like a number is one."""

    def plain(data: Data, steps: Steps) -> Any:
        if isinstance(data, dict):
            return {key: plain(value, (*steps, key)) for key, value in data.items()}
        if isinstance(data, list):
            return [plain(value, (*steps, at)) for at, value in enumerate(data)]
        text = source.written.get(steps, "")
        if re.fullmatch(_INT, text):
            return int(text)
        if re.fullmatch(_FLOAT, text):
            return float(text)
        if text in ("true", "false", "True", "False", "TRUE", "FALSE"):
            return text.lower() == "true"
        return text

    return plain(source.data, ())


def errors_of(folder: Path, name: str, text: str) -> list[str]:
    """What an editor shows for a file."""
    path = folder / f"{name}.yaml"
    path.write_text(text)
    data = as_an_editor_reads(read_yaml(path, {}))
    found = VALIDATORS[name].iter_errors(data)
    return [f"{'.'.join(map(str, one.absolute_path))}: {one.message}" for one in found]


@pytest.mark.parametrize("name", FILES)
def test_the_schema_is_of_today(name: str) -> None:
    """docs/schema/ has what the command prints; if not, write it anew:
    hedgerow schema config > docs/schema/hedgerow.schema.json, policy > policy.schema.json, and
    contracts > contracts.schema.json"""
    printed = CliRunner().invoke(hedgerow, ["schema", name]).stdout
    assert (ROOT / "docs" / "schema" / FILE_NAMES[name]).read_text(encoding="utf-8") == printed
    Draft7Validator.check_schema(json.loads(printed))


def parts(schema: Any) -> list[dict[str, Any]]:
    """Every object with properties in a schema."""
    if isinstance(schema, dict):
        inner = [one for value in schema.values() for one in parts(value)]
        return [schema, *inner] if "properties" in schema and "type" in schema else inner
    return [one for value in schema for one in parts(value)] if isinstance(schema, list) else []


@pytest.mark.parametrize("name", FILES)
def test_every_key_is_explained(name: str) -> None:
    """Each part has a title and refuses other keys; each key has a description; each example is
    one that the schema takes."""
    schema = schema_of(name)
    found = parts(schema)
    assert len(found) > 5
    for part in found:
        assert part["title"]
        assert part["additionalProperties"] is False
        for key, value in part["properties"].items():
            assert value["description"], key
            whole = {**value, "definitions": schema["definitions"]}
            for one in [*value.get("examples", []), value.get("default")]:
                if one is not None:
                    shown = [error.message for error in Draft7Validator(whole).iter_errors(one)]
                    assert shown == [], f"{key}: {one!r}"


def blocks() -> list[tuple[str, str, str]]:
    """Each whole YAML file in the documents, with its page."""
    found = []
    for page in PAGES:
        for at, block in enumerate(
            re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        ):
            keys = set(re.findall(r"^(\w+):", block, re.MULTILINE))
            if keys & {"budgets", "increases"}:
                found.append((f"{page.name}-{at}", "policy", block))
            elif keys & {"uses", "counterparties"}:
                found.append((f"{page.name}-{at}", "contracts", block))
            elif {"providers", "models"} <= keys:
                found.append((f"{page.name}-{at}", "config", block))
    return found


@pytest.mark.parametrize(("name", "text"), [pytest.param(*one[1:], id=one[0]) for one in blocks()])
def test_every_example_in_the_documents(tmp_path: Path, name: str, text: str) -> None:
    """An editor marks nothing in what the documents show."""
    assert errors_of(tmp_path, name, text) == []


def test_what_the_tests_and_the_demo_write(tmp_path: Path) -> None:
    """Every key that is read in tests, and the demo's files."""
    assert errors_of(tmp_path, "config", test_config.VALID.replace(" #!", "")) == []
    assert errors_of(tmp_path, "policy", test_policy_file.FULL) == []
    assert errors_of(tmp_path, "contracts", test_contracts_file.FULL) == []
    path = write_config(tmp_path / "demo")
    assert errors_of(tmp_path, "config", path.read_text()) == []
    policy = path.parent / "policies" / "demo.yaml"
    assert errors_of(tmp_path, "policy", policy.read_text()) == []


CLASS = """\
providers: {a: {base_url: http://127.0.0.1:9/v1}}
models:
  oak: {offers: [{provider: a, model: oak-1, price: {input: 1, output: 2}}]}
  good:
    any_of: [oak]
    quality: {benchmark: ours, at_least: VALUE}
    choose_by_prompt: {predictor: good.json, at_least: VALUE}
    routing: {miss_cost: VALUE, explore: VALUE}
"""


@pytest.mark.parametrize("value", ["0", "0.05", "1e-2", '"0.05"', "${FLOOR}"])
def test_numbers_with_decimals(tmp_path: Path, value: str) -> None:
    """A quality is a number to an editor, as it is to us."""
    assert errors_of(tmp_path, "config", CLASS.replace("VALUE", value)) == []
    assert len(errors_of(tmp_path, "config", CLASS.replace("VALUE", "much"))) == 4


TEXTS = {"config": test_config.VALID.replace(" #!", ""), "policy": test_policy_file.FULL}
LEAVES = {"config": test_config.LEAVES, "policy": test_policy_file.LEAVES}
EVERYWHERE = [(name, at) for name, leaves in LEAVES.items() for at in leaves]


@pytest.mark.parametrize(("name", "at"), EVERYWHERE)
def test_an_editor_sees_wrong_types_and_keys(tmp_path: Path, name: str, at: int) -> None:
    """Whatever value is of a wrong type and whatever key is misspelt, it is marked; a variable
    never is."""
    lines = TEXTS[name].splitlines()
    before, value = lines[at].split(": ", 1)

    def with_line(line: str) -> list[str]:
        return errors_of(tmp_path, name, "\n".join([*lines[:at], line, *lines[at + 1 :]]))

    assert with_line(f"{before}: {{wrong: [type]}}")
    assert with_line(f"{before}x: {value}")
    if "[" not in value:
        assert with_line(f'{before}: "${{NAME}}"') == []


@few
@given(
    st.sampled_from(EVERYWHERE),
    st.from_regex(r"[-+]?[0-9]{1,5}(\.[0-9]{1,5})?( ?(%|ms|s|m|h|KiB|MiB|d))?", fullmatch=True)
    | st.from_regex(
        r"rolling:[0-9]{1,4}[mhd]|20[0-9]{2}-1[0-2]-0[1-9]|[a-z./:]{1,12}", fullmatch=True
    )
    | st.sampled_from(["no", "true", "off", "1e3", "1_000", "day", "UTC", "allow", "block", "007"]),
)
def test_an_editor_refuses_nothing_that_is_right(place: tuple[str, int], value: str) -> None:
    """Whatever text a value has: what `check` takes, an editor does not mark."""
    name, at = place
    lines = TEXTS[name].splitlines()
    lines[at] = f"{lines[at].split(': ')[0]}: {value}"
    text = "\n".join(lines)
    try:
        loaded = test_config.load(text) if name == "config" else test_policy_file.load(a=text)
    except ConfigInvalid:
        return
    assert loaded.models
    with TemporaryDirectory() as folder:
        assert errors_of(Path(folder), name, text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rolling:30d", "rolling:30w"),
        ("spent: 70%", "spent: 70"),
        ("cap_usd: 20000.5", "cap_usd: much"),
        ("cap_usd: 20000.5", "cap_usd: 1\n    cap_tokens: 1"),
        ("    cap_usd: 20000.5\n", ""),
        ("cap_tokens: 1_000_000", "cap_tokens: -1"),
        ("        notify: [ops, mail, ops]\n", ""),
        ("[ops, mail, ops]", "[]"),
        ("mode: shadow", "mode: dry"),
        ("until: 2026-12-08", "until: tomorrow"),
        ("    until: 2026-12-08\n", ""),
        ("by_usd: 500", "by_usd: 500\n    by_tokens: 5"),
        ("- name: research", "- title: research"),
    ],
)
def test_what_an_editor_marks_in_a_policy(tmp_path: Path, old: str, new: str) -> None:
    """What people get wrong most is marked while they write."""
    assert test_policy_file.FULL.count(old) == 1
    assert errors_of(tmp_path, "policy", test_policy_file.FULL.replace(old, new))
