"""`hedgerow hedge backtest`, as it is run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = "import sys; from hedgerow.cli import main; sys.argv[0] = 'hedgerow'; main()"


def hedgerow(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, "hedge", "backtest", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo(tmp_path: Path) -> None:
    """The bundled sample, tried: a row for each rule, nothing below the clairvoyant, three
    pictures, and the label that says that it is simulated."""
    pytest.importorskip("matplotlib")
    done = hedgerow(
        "--demo", "--paths", "2", "--months", "1", "--json", "--pictures", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "imulated" in told["label"]
    assert {"never", "mean, 1 mo", "break-even, 1 mo"} <= {row["rule"] for row in told["rules"]}
    assert all(row["mean_usd"] >= told["clairvoyant_usd"] for row in told["rules"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "backtest-fan.svg",
        "backtest-frontier.svg",
        "backtest-exceedances.svg",
    }


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        ((), "say what to try it on", 2),
        (("--demo", "--contract", "nosuch"), "nosuch cannot be tried", 1),
        (
            ("--demo", "--contract", "sample-flat-2500"),
            "sample-flat-2500 cannot be tried: it takes a throughput reservation",
            1,
        ),
        (("-c", "nosuch.yaml"), "nosuch.yaml", 1),
    ],
)
def test_what_cannot_be_tried_is_said(arguments: tuple[str, ...], says: str, code: int) -> None:
    """In a sentence, without a traceback."""
    done = hedgerow(*arguments)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code
