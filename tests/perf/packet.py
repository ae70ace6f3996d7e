"""A month's packet for finance: both reports in every format, by the command that people use."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from tests.perf.books import DAYS, make

MONTH, MONTH_DAYS = "2026-03", 31
"""The last one that the books hold in whole."""
_CONFIG = """
ledger: {{url: "sqlite:///{path}"}}
market: {{feeds: []}}
providers: {{a: {{dialect: openai, base_url: "http://127.0.0.1:9/v1"}}}}
models:
  model0: {{offers: [{{provider: a, model: m, price: {{input: 1, output: 2}}}}]}}
policies: [policy.yaml]
"""
_POLICY = "budgets: [{name: month, scope: {}, window: month, cap_usd: 1000000}]\n"


def rows(requests: int) -> Iterator[tuple[str, ...]]:
    """Each report: its wall and CPU time, and the size of its files; then both together."""
    with tempfile.TemporaryDirectory(prefix="packet-") as name:
        folder = Path(name)
        make(folder / "books.db", requests * DAYS // MONTH_DAYS)
        config = folder / "hedgerow.yaml"
        config.write_text(_CONFIG.format(path=folder / "books.db"))
        (folder / "policy.yaml").write_text(_POLICY)
        wall_s = cpu_s = 0.0
        for kind in ("hedge", "spend"):
            files = [folder / f"{kind}.{shape}" for shape in ("html", "pdf", "xlsx", "json")]
            before, began_s = getrusage(RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(
                [
                    *(sys.executable, "-c", "from hedgerow.cli import main; main()"),
                    *("report", kind, "-c", config, "--month", MONTH),
                    *(word for file in files for word in ("-o", file)),
                ],
                check=True,
                stderr=subprocess.DEVNULL,
            )
            took_s, after = time.perf_counter() - began_s, getrusage(RUSAGE_CHILDREN)
            used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            wall_s, cpu_s = wall_s + took_s, cpu_s + used_s
            sizes = sum(file.stat().st_size for file in files)
            yield (f"report {kind}, 4 formats", f"{took_s:.1f} s", f"{used_s:.1f} s", f"{sizes:,}")
        yield ("the packet", f"{wall_s:.1f} s", f"{cpu_s:.1f} s", "")
