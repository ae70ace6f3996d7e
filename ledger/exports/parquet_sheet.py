"""ParquetSheet: rows as Parquet. The one module that needs pyarrow."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ledger.exports.columns import Cell, Column, Kind, Row

ROWS_PER_GROUP = 100_000
_ROWS_PER_BATCH = 10_000
"""So many are kept as Python's objects, which take ten times the room of Arrow's."""

_LABELS = pa.dictionary(pa.int32(), pa.string())
_TYPES = {
    Kind.TEXT: _LABELS,
    Kind.ID: pa.string(),
    Kind.LABEL: _LABELS,
    Kind.FLAG: pa.bool_(),
    Kind.COUNT: pa.int64(),
    Kind.MILLISECONDS: pa.float64(),
    Kind.NANOS: pa.decimal128(38, 9),
    Kind.FINEST: pa.decimal128(38, 21),
    Kind.MOMENT: pa.timestamp("ns", "UTC"),
    Kind.SECOND: pa.timestamp("ns", "UTC"),
}


class ParquetSheet:
    """An open Parquet file, in row groups of ROWS_PER_GROUP."""

    def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
        self._schema = pa.schema([(column.name, _TYPES[column.kind]) for column in columns])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []
        self._batched = 0

    def write(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) == _ROWS_PER_BATCH:
            self._batch()
            if self._batched == ROWS_PER_GROUP:
                self._group()

    def close(self) -> None:
        if self._rows:
            self._batch()
        if self._batches:
            self._group()
        self._writer.close()

    def _batch(self) -> None:
        cells: list[tuple[Cell, ...]] = list(zip(*self._rows, strict=True))
        arrays = [
            pa.array(column, field.type) for column, field in zip(cells, self._schema, strict=True)
        ]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        self._batched += len(self._rows)
        self._rows = []

    def _group(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._batches), ROWS_PER_GROUP)
        self._batches, self._batched = [], 0
