"""The wheel: what is in it, and that it works without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hedgerow.cli import ROOMS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.iterdir()
    return built


def test_the_top_level(wheel: Path) -> None:
    """The six rooms and the metadata: nothing else lands beside other people's packages."""
    with zipfile.ZipFile(wheel) as archive:
        top = {name.partition("/")[0] for name in archive.namelist()}
    (metadata,) = (name for name in top if name.endswith(".dist-info"))
    assert top - {metadata} == {"hedgerow", *ROOMS}


def test_every_module_and_every_data_file(wheel: Path) -> None:
    """What lies in the rooms, and no cache, test or editor's leftover."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    here = {
        path.relative_to(ROOT).as_posix()
        for room in ("hedgerow", *ROOMS)
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == here
    assert {"benchmarks/data/azure_llm_2023_conv.csv", "hedge/planning/data/sample.yaml"} <= packed
    assert {"hedgerow/web/templates/base.html", "hedgerow/web/static/app.css"} <= packed


def test_contents_are_checked(wheel: Path) -> None:
    """check-wheel-contents finds nothing."""
    checker = Path(sys.executable).parent / "check-wheel-contents"
    done = subprocess.run([checker, wheel], cwd=ROOT, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_works_unpacked(wheel: Path, tmp_path: Path) -> None:
    """From the wheel's files alone: its trace, its prices, its sample, a request, the books."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = "import hedgerow.cli as cli; print(cli.__file__, file=cli.sys.stderr); cli.main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "demo", "--once", "--json", "--requests", "100",
         "--speedup", "1000"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    )  # fmt: skip
    assert done.stderr.strip() == str(tmp_path / "site" / "hedgerow" / "cli.py")
    assert '"ledger_verified":true' in done.stdout
