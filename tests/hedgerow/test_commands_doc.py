"""The documents and the commands say the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hedgerow.config import load_config
from hedgerow.reference import commands, page

ROOT = Path(__file__).parents[2]
COMMANDS = {words[1:]: command for words, command in commands()}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_reference_is_of_today() -> None:
    """docs/reference/commands.md is what the commands write; if not, write it anew:
    python -m hedgerow.reference > docs/reference/commands.md"""
    written = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert written == page()


def test_defaults_are_as_they_are_written() -> None:
    """An amount in USD, not as we count it."""
    assert "| `--budget-usd USD` | `0.05` |" in page()


def blocks(path: Path, language: str) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def command_lines() -> list[tuple[str, str]]:
    """Every `hedgerow …` in a shell block or in backticks, by its page."""
    found: list[tuple[str, str]] = []
    for path in PAGES:
        lines = [line for block in blocks(path, "sh") for line in block.splitlines()]
        lines += re.findall(r"`((?:\.venv/bin/)?hedgerow [^`]*)`", path.read_text(encoding="utf-8"))
        for line in lines:
            command = line.strip().removeprefix(".venv/bin/")
            if command.startswith("hedgerow "):
                found.append((path.name, command))
    return found


@pytest.mark.parametrize(("file", "line"), command_lines(), ids=lambda text: text)
def test_each_command_that_is_shown_exists(file: str, line: str) -> None:
    """With each of its options."""
    words = shlex.split(line.replace("…", ""), comments=True)[1:]
    plain = [word for word in words if not word.startswith("-")]
    if words[0].startswith("-"):
        return
    names = [name for name in COMMANDS if tuple(plain[: len(name)]) == name]
    groups = {name[0] for name in COMMANDS if len(name) == 2}
    assert names or plain in [[group] for group in groups], f"{file} shows {line}"
    for name in sorted(names, key=len)[-1:]:  # a group may be a command, too
        options = {opt for one in COMMANDS[name].params for opt in one.opts} | {"--help"}
        shown = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert shown <= options, f"{file} shows {line}"


def test_the_readme_starts_with_a_configuration_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first YAML block is a whole hedgerow.yaml, with the variables that it names set; each
    other one is a policy file or a part that goes with it."""
    first, *others = blocks(ROOT / "README.md", "yaml")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hedgerow.yaml"
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", first), "sk-1")
    assert variables
    path.write_text(first)
    assert load_config(path, variables).models
    policies = [block for block in others if "budgets:" in block]
    for place, block in enumerate(policies):
        (tmp_path / f"{place}.policy").write_text(block)
    path.write_text(first + "policies: ['*.policy']\n")
    assert bool(policies) == bool(load_config(path, variables).budgets if policies else ())


def test_each_make_target_that_is_shown_exists() -> None:
    """In the README's shell blocks and in its prose."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    shown = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(blocks(ROOT / "README.md", "sh"))))
    shown |= set(re.findall(r"`make ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert shown
    assert shown <= targets
