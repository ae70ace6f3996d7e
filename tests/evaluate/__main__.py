"""`make evaluate`: the deciders on real histories. Writes pages and pictures into docs.

`python -m tests.evaluate [PART …] [--data FOLDER] [--out FOLDER]`; the parts are `router`,
`prompts`, `hedge` and `bids`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.evaluate import bids, hedge, prompt_choice, router

ROOT = Path(__file__).parents[2]
PARTS: dict[str, Callable[[Path, Path], None]] = {
    "router": router.run,
    "prompts": prompt_choice.run,
    "hedge": hedge.run,
    "bids": bids.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    asked = parser.parse_args()
    unknown = [one for one in asked.parts if one not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}: take of {', '.join(PARTS)}")
    if not asked.data.is_dir():
        parser.error(f"there are no histories in {asked.data}: name their folder with --data")
    for one in asked.parts or PARTS:
        print(f"{one}: …", end=" ", file=sys.stderr, flush=True)
        began_s = time.monotonic()
        PARTS[one](asked.data, asked.out)
        print(f"{time.monotonic() - began_s:.0f} s, in {asked.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
