"""`hedgerow hedge backtest`, as it is run."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.market import Quoted
from hedgerow.books import keep_history
from hedgerow.config import load_config
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers
from tests.hedge.scenarios.test_calibration import quote
from tests.hedgerow.test_hedge_plan import configured

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


RESERVATION = """
contracts:
  - kind: throughput_reservation
    name: lane
    provider: a
    models: [oak]
    source: {url: an offer, retrieved_at: 2026-11-20, verification: primary}
    size: {max: 20}
    prices: [{months: 1, usd_per_month: 20}]
    units_per_minute: 2000
"""


def test_our_own_books(tmp_path: Path) -> None:
    """Weeks of the ledger's days, at today's prices: where these were halved yesterday, never
    reserving costs half."""
    path = configured(tmp_path, 30, contracts=RESERVATION)
    config = load_config(path, {})
    never = []
    for days, usd in ((60, "4"), (1, "2")):
        then = datetime.now(UTC) - timedelta(days=days)
        offers = quoted_offers(config, known_prices(config, then), then)["oak"]
        news = {"oak": [Quoted(one.offer, quote(usd, then)) for one in offers]}
        keep_history(config.ledger, news, then)
        done = hedgerow("-c", str(path), "--paths", "2", "--months", "1", "--json")
        assert done.returncode == 0, done.stderr
        rows = {row["rule"]: row for row in json.loads(done.stdout)["rules"]}
        never.append(rows["never"]["mean_usd"])
    assert never[1] == pytest.approx(never[0] / 2, rel=0.02)
