"""Export: charges into a file of a format."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import chain
from pathlib import Path

from ledger.charges import ChargeRow
from ledger.errors import PackageMissing
from ledger.exports.contract_commitments import (
    CONTRACT_COMMITMENT_COLUMNS,
    ContractCommitment,
    contract_commitment_cells,
)
from ledger.exports.csv_sheet import CsvSheet
from ledger.exports.focus import focus_rows
from ledger.exports.focus_row import FocusRow, FocusVersion, cells, columns
from ledger.exports.plain import COLUMNS, plain_rows
from ledger.exports.sheet import Opened, write_sheet


class Format(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"
    FOCUS = "focus"


class Dataset(StrEnum):
    """Of FOCUS."""

    COST_AND_USAGE = "cost-and-usage"
    CONTRACT_COMMITMENTS = "contract-commitments"


def export_csv(path: Path, charges: Iterable[ChargeRow]) -> int:
    """A row for each charge, as CSV. Returns how many. Raises FileRefused, as the others do."""
    return write_sheet(path, COLUMNS, plain_rows(charges), CsvSheet)


def export_parquet(path: Path, charges: Iterable[ChargeRow]) -> int:
    """The same as Parquet. Raises PackageMissing without pyarrow."""
    return write_sheet(path, COLUMNS, plain_rows(charges), parquet_sheet())


def export_focus(
    path: Path,
    charges: Iterable[ChargeRow],
    version: FocusVersion = FocusVersion.V1_2,
    committed: Iterable[FocusRow] = (),
) -> int:
    """FOCUS Cost and Usage: Parquet if the file's name ends so, CSV otherwise. committed: the rows
    of commitments, which come first."""
    return write_focus(path, chain(committed, focus_rows(charges)), version)


def write_focus(path: Path, rows: Iterable[FocusRow], version: FocusVersion) -> int:
    """The same of rows that are there, as those of commitments."""
    opened = parquet_sheet() if path.suffix == ".parquet" else CsvSheet
    return write_sheet(path, columns(version), map(cells(version), rows), opened)


def export_contract_commitments(path: Path, rows: Iterable[ContractCommitment]) -> int:
    """FOCUS Contract Commitment (1.4), in the same forms."""
    opened = parquet_sheet() if path.suffix == ".parquet" else CsvSheet
    cells = map(contract_commitment_cells, rows)
    return write_sheet(path, CONTRACT_COMMITMENT_COLUMNS, cells, opened)


def parquet_sheet() -> Opened:
    """Raises PackageMissing."""
    try:
        from ledger.exports.parquet_sheet import ParquetSheet
    except ModuleNotFoundError as error:
        raise PackageMissing(
            "Parquet needs pyarrow, which is not installed: pip install 'hedgerow[parquet]'"
        ) from error
    return ParquetSheet
