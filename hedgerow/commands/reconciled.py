"""What `ledger export` and `ledger reconcile` print."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal

import click

from hedgerow.printing import table
from ledger.charges import ChargeRow
from ledger.invoices.causes import PriceGap
from ledger.invoices.reconcile import Explained, ReconciledRow, Reconciliation

_MICRO = Decimal("0.000001")
_SHOWN_EVERY = 10_000


def watched(charges: Iterable[ChargeRow]) -> Iterator[ChargeRow]:
    """The same, with a running count on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield from charges
        return
    count = 0
    for count, charge in enumerate(charges, start=1):
        if count % _SHOWN_EVERY == 0:
            click.echo(f"\r  {count:,} charges", err=True, nl=False)
        yield charge
    if count >= _SHOWN_EVERY:
        click.echo(err=True)


def reconciled_json(found: Reconciliation, form: str, tolerance: Decimal) -> dict[str, object]:
    """All of it, exactly."""
    return {
        "explained": found.is_explained(tolerance),
        "provider": found.provider,
        "form": form,
        "timezone": found.zone,
        "charges": found.charges,
        "estimated": found.estimated,
        "unvalued_lines": found.unvalued,
        "open_usd": _plain(found.open),
        **_sides(found.ours, found.theirs, found.causes),
        "rows": [
            {
                "model": row.model,
                "from": row.period.start.isoformat(),
                "to": row.period.end.isoformat(),
                **_sides(row.ours, row.theirs, row.causes),
                "prices": [
                    {
                        "meter": None if one.meter is None else one.meter.value,
                        "ours_usd": _plain(one.ours),
                        "theirs_usd": _plain(one.theirs),
                    }
                    for one in row.prices
                ],
            }
            for row in found.rows
        ],
    }


def reconciled_lines(found: Reconciliation, form: str, tolerance: Decimal) -> Iterator[str]:
    """The rows that differ, the sums, and what they mean, for people."""
    yield (
        f"{found.provider}, {form}, days of {found.zone}: {len(found.rows)} rows,"
        f" {found.charges:,} charges, {found.estimated:,} of them estimated"
    )
    differing = [row for row in found.rows if row.causes]
    if differing:
        yield ""
        yield table(
            ("model", "period", "ours", "theirs", "difference", "causes"),
            [_line(row) for row in differing],
        )
    yield ""
    yield table(
        ("", "USD"),
        [
            ("ours", _usd(found.ours)),
            ("theirs", _usd(found.theirs)),
            ("difference", _usd(found.difference)),
            *((f"  {one.cause.value}", _usd(one.usd)) for one in found.causes),
        ],
    )
    gaps = [(row, one) for row in differing for one in row.prices]
    if gaps:
        yield ""
        yield table(
            ("model", "period", "meter", "our price", "their price"),
            [_gap(row, one) for row, one in gaps],
        )
    yield ""
    if found.unvalued:
        yield f"{found.unvalued} lines have counts without an amount, of models that we never used"
    verdict = "explained" if found.is_explained(tolerance) else "not explained"
    yield f"{verdict}: {_usd(found.open)} USD are open, {tolerance:f} are tolerated"


def _sides(ours: Decimal, theirs: Decimal, causes: tuple[Explained, ...]) -> dict[str, object]:
    return {
        "ours_usd": _plain(ours),
        "theirs_usd": _plain(theirs),
        "difference_usd": _plain(theirs - ours),
        "causes": [{"cause": one.cause.value, "usd": _plain(one.usd)} for one in causes],
    }


def _plain(amount: Decimal) -> Decimal:
    """The same amount without trailing zeros, which arithmetic leaves."""
    text = f"{amount:f}"
    return Decimal(text.rstrip("0").rstrip(".")) if "." in text else amount


def _line(row: ReconciledRow) -> tuple[str, ...]:
    causes = (f"{one.cause.value} {_usd(one.usd)}" for one in row.causes)
    difference = row.theirs - row.ours
    amounts = (_usd(row.ours), _usd(row.theirs), _usd(difference))
    return (row.model or "(account)", str(row.period), *amounts, "; ".join(causes))


def _gap(row: ReconciledRow, gap: PriceGap) -> tuple[str, ...]:
    meter = "Tokens" if gap.meter is None else gap.meter.value
    return (row.model or "(all)", str(row.period), meter, _usd(gap.ours), _usd(gap.theirs))


def _usd(amount: Decimal) -> str:
    """To a millionth; what is less, but not nothing, is shown to be so."""
    rounded = amount.quantize(_MICRO)
    if amount and not rounded:
        return "<0.000001" if amount > 0 else ">-0.000001"
    return f"{rounded:,f}"
