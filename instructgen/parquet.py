"""Parquet files read in batches: as columns, or as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from instructgen.errors import DataError

BATCH_ROWS = 10_000
BATCH_BYTES = 4 << 20
BUFFER = 1 << 20
"""Bytes of a column that are read at once."""


def opened(path: Path) -> pq.ParquetFile:
    """Open a file that is read piece by piece: pyarrow's own setting would keep all that was read in memory."""
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield a file in batches of about 4 MB, of 10,000 rows at most. Raises: DataError."""
    try:
        with opened(path) as file:
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            size = sum(group.total_byte_size for group in groups)
            fit = BATCH_BYTES * file.metadata.num_rows // size if size else BATCH_ROWS
            yield from file.iter_batches(batch_size=max(1, min(BATCH_ROWS, fit)))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file: {str(error).rstrip('.')}") from error


def rows(batch: pa.RecordBatch, first: int, bad: Callable[[int, str], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a batch, numbered from `first`; one with a text that is not UTF-8 is reported."""
    try:
        values = batch.to_pylist()
    except UnicodeDecodeError:
        for place in range(len(batch)):
            try:
                (value,) = batch.slice(place, 1).to_pylist()
            except UnicodeDecodeError as error:
                bad(first + place, f"a text is not UTF-8 ({error.reason})")
            else:
                yield first + place, value
    else:
        yield from enumerate(values, first)
