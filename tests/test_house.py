"""The house: what the design promises about its rooms, and no linter looks at."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from hedgerow.cli import ROOMS

ROOT = Path(__file__).parents[1]
MODULES = [path for room in ("hedgerow", *ROOMS) for path in sorted((ROOT / room).rglob("*.py"))]
LONGEST = 550


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module(path: Path) -> None:
    """It has a docstring, is not too long, and leaves nothing for later."""
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= LONGEST
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)


@pytest.mark.parametrize("room", ["hedgerow", *ROOMS])
def test_a_room_opens_with_a_docstring_alone(room: str) -> None:
    """`__init__.py` has no code: importing a room costs nothing, and the start-up check can tell
    it from a stranger's."""
    init = ROOT / room / "__init__.py"
    assert [type(node) for node in ast.parse(init.read_text(encoding="utf-8")).body] == [ast.Expr]


@pytest.mark.parametrize("room", [room for room in ("hedgerow", *ROOMS) if room != "routing"])
def test_the_tree_of_errors(room: str) -> None:
    """The module docstring of a room's errors.py draws its tree: each class stands in it, below
    its parent, and nothing else does."""
    path = ROOT / room / "errors.py"
    if not path.exists():
        pytest.skip(f"{room} has no errors of its own")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    drawn: dict[str, str | None] = {}
    above: list[str] = []
    for line in (ast.get_docstring(tree) or "").splitlines():
        if found := re.match(r"([│├└─ ]*[│├└─ ])?([A-Z]\w+)(  |$)", line):
            depth = len(found[1] or "") // 4
            above[depth:] = [found[2]]
            drawn[found[2]] = above[depth - 1] if depth else None
    classes = {
        node.name: ast.unparse(node.bases[0])
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.bases
    }
    errors = {
        name: base for name, base in classes.items() if base in classes or base == "Exception"
    }
    assert errors
    for name, base in errors.items():
        assert name in drawn, f"{name} does not stand in the tree of {name_of(path)}"
        assert drawn[name] == (None if base == "Exception" else base)
    assert set(drawn) == set(errors)
