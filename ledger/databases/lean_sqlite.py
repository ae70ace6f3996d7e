"""sqlite-utils without pandas, which it would load wherever that is installed: a second of every
start, for columns of types that nothing here has."""

from __future__ import annotations

import sys

_HAS_PANDAS = "pandas" in sys.modules
if not _HAS_PANDAS:
    sys.modules["pandas"] = None  # type: ignore[assignment] # as not installed, while it looks
try:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
finally:
    if not _HAS_PANDAS:
        del sys.modules["pandas"]

__all__ = ["Database", "Migrations"]
