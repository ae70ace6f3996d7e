"""The page of contract files and of the shipped catalogue, written from the catalogue.

`python -m hedgerow.contracts_page > docs/contracts.md`
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from decimal import Decimal

from hedge.contracts.comparison import Compared, Mix, compared
from hedge.contracts.shipped import catalogue

_WIDTH = 100
_MIX = Mix(Decimal(70), Decimal(10), Decimal(20))
_INTRODUCTION = """\
# Contracts

Written by `python -m hedgerow.contracts_page` from the catalogue in hedge/contracts/catalogue; a
test holds both together. Every key is in [the reference of
settings](reference/settings.md#contract-files).

What can be bought at fixed prices stands in contract files, which hedgerow.yaml names:

```yaml
providers:
  azure: {preset: azure, base_url: https://RESOURCE.openai.azure.com/openai/v1}
  acme: {base_url: https://api.acme.example/v1}
models:
  gpt-5.2: {offers: [{provider: azure, model: gpt-5.2}]}
  oak: {offers: [{provider: acme, model: oak-70b, price: {input: 0.59, output: 0.79}}]}
contracts: [contracts/*.yaml]
```

```yaml
# contracts/ours.yaml
uses:                        # of the catalogue below, with what is different for us
  - {from: azure-ptu-gpt-5.2, covers: [{provider: azure, model: gpt-5.2}]}
  - {from: cme-gpu1-h100, name: gpu1, status: listed, beta: 0.3}   # once it trades; beta: our own
contracts:                   # our own
  - kind: flat_plan
    name: acme-plan
    provider: acme
    covers: [{provider: acme}]
    quota_units: 400_000_000           # capacity units: here a token counts one
    overage: {then: bill, usd_per_unit: 0.0000006}
    size: {max: 10}
    prices: [{usd_per_month: 199}, {months: 12, usd_per_month: 179, upfront: 1}]
    quality: 0.8
    source: {url: offer of 2 November, retrieved_at: 2026-11-02, verification: primary}
counterparties:              # who owes what is paid ahead, and how sure that is
  - name: acme
    default_per_year: 0.05
    recovery: 0.2
    shortfall_chance: 0.02
    shortfall: 0.3
    limit_usd: 20000
    source: {url: own estimate, retrieved_at: 2026-11-20, verification: assumed}
workloads:                   # demand that the same contracts may serve; any other model is its own
  - {name: interactive, models: [gpt-5.2], ttft_ms_p95_max: 1500}
  - {name: bulk, models: [oak], quality_at_least: 0.7}
limits: {provider_share: 0.6, liquidity_usd: 50000}
```

`hedgerow check` names every error with file and line, and warns of what has expired; `hedgerow
hedge contracts -c hedgerow.yaml` compares them beside the market's prices. A plan reads the files
anew each time; a running proxy does not.

- **Units.** A contract sells capacity units, and `burndown` says how many a token takes: per
  minute where they perish, per month or term where they are a quota. Requests may take some of
  their own.
- **What it serves.** A contract serves the models that have an offer which it `covers`, or those
  under `models`. It serves a workload only if it serves all of its models, and meets its quality
  and its time to first token: what a contract does not say, meets nothing.
- **Terms.** Each price is of one term length; `upfront` is due on the first day, the rest
  monthly. What a plan holds beyond its last month is worth what is left of the upfront fee ×
  `later_use` × (1 − `haircut`), and nothing where it cannot be sold on; fees that are due later
  count as far as they are not used.
- **Who owes it.** A counterparty that fails delivers nothing from then on, on all of its
  contracts; what was prepaid is lost but for `recovery`. `limit_usd` is of what is prepaid in any
  month.
- **Derivatives** pay a difference and serve nothing. They have no price in these files: a plan
  takes what venues quote, and without a quote, without a `beta`, or without fixings of the index
  (`hedgerow hedge settle --prices FILE` takes them in), it holds none. How far list prices of
  tokens follow an index is not known; that nothing is hedged is a normal answer.

## What venues quote

`venues: [quotes/*.csv]` in a contract file names files of one shape, CSV or a JSON list of
objects:

```
contract,month,at,bid,bid_lots,ask,ask_lots,valid_until
gpu1,2027-01,2026-11-20T15:00:00Z,2.55,40,2.58,25,
gpu1,2027-01,2026-11-20T15:00:00Z,2.54,100,2.60,80,
```

A row is a level: an order book has several, a quote one; what an auction came to is a row with
its price on both sides and its volume as lots. `month` is empty for what has no expiry, a side
where nobody stands. Prices are USD per index unit, of an event per lot, of a GPU block per
GPU-hour: a block is then planned at what stands there at its own price or below, and not at all
where nothing does. A plan buys at the asks and sells at the bids, level by level, never at the
middle. A book that is stale (`limits.quotes_hours`), expired or crossed is left out, and the plan
says so; a file with a negative price, a time without offset or anything else that cannot be read
is an error.

## In the editor

`hedgerow schema contracts` prints a JSON Schema
([contracts.schema.json](schema/contracts.schema.json)).
"""
_CATALOGUE = """\
## The catalogue

Terms only, no market's data: read on the day that each note says, never tried. `sure` is of the
price: `primary` is the seller's own page, `transcribed` somebody's copy of it, `secondary` a
report, `assumed` what it says; the notes below say what is assumed beside it. At full use and 70
prompt, 10 cached and 20 completion tokens of a hundred; PAYG is USD per million tokens of the
same model at list price. **At list prices most reservations hardly pay:** a break-even near 100%
buys capacity, latency and certainty, not a discount, and above 100% it never is the cheaper way.
"""


def page() -> str:
    rows = [row for contract in catalogue().values() for row in compared(contract, _MIX)]
    return "\n".join([_INTRODUCTION, _CATALOGUE, *_table(rows), "", *_notes(rows)]) + "\n"


def _table(rows: list[Compared]) -> Iterator[str]:
    yield "| Contract | Kind | Term | USD/month | USD/Mtok | PAYG | Break-even | Sure | Status |"
    yield "|---|---|---|--:|--:|--:|--:|---|---|"
    for row in rows:
        share = "" if row.break_even is None else f"{row.break_even:.1%}"
        cells = (
            f"`{row.contract}`",
            row.kind.replace("_", " "),
            row.term,
            _usd(row.usd_per_month, 2),
            _usd(row.usd_per_mtok, 3),
            _usd(row.against_usd_per_mtok, 3),
            share,
            row.sure,
            row.status,
        )
        yield f"| {' | '.join(cells)} |"


def _usd(amount: Decimal | None, places: int) -> str:
    return "" if amount is None else f"{amount:,.{places}f}"


def _notes(rows: list[Compared]) -> Iterator[str]:
    """Each note once, with all contracts that it is of."""
    of: dict[str, list[Compared]] = {}
    for row in rows:
        of.setdefault(row.note or "", []).append(row)
    for note, having in of.items():
        names = ", ".join(dict.fromkeys(f"`{row.contract}`" for row in having))
        text = f"- {names}: {note} Source: {having[0].source}, {having[0].retrieved_at}."
        yield from textwrap.wrap(
            text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
        )


if __name__ == "__main__":
    print(page(), end="")
