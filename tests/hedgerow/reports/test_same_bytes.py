"""The same document gives the same file, whoever makes it, and wherever."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from hedgerow.reports.pdf import pdf
from hedgerow.reports.xlsx import workbook
from tests.hedgerow.reports import documents

ROOT = Path(__file__).parents[3]
PRINTS_HASHES = """
import hashlib
from hedgerow.reports.pdf import pdf
from hedgerow.reports.xlsx import workbook
from tests.hedgerow.reports import documents
for make in (pdf, workbook):
    print(hashlib.sha256(make(documents.full())).hexdigest())
"""


def test_the_same_document_gives_the_same_bytes() -> None:
    """Another process with other hash seeds, in another time zone, writes the same files."""
    other = subprocess.run(
        [sys.executable, "-c", PRINTS_HASHES],
        env=os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Kolkata", "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    ours = [hashlib.sha256(make(documents.full())).hexdigest() for make in (pdf, workbook)]
    assert other.stdout.split() == ours
