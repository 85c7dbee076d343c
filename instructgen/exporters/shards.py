"""Writers of one split: Parquet in size-limited shards, and JSON lines. Both write into a working folder.

Rows wait until a row group is full (rows or bytes, whichever comes first), so memory does not grow with the data,
and the same rows always give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from instructgen.blocks import Behind
from instructgen.errors import ExportError
from instructgen.exporters.schema import size_in_memory

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

GROUP_ROWS = 10_000
GROUP_BYTES = 32 << 20
"""JSON bytes of rows that wait at most: keeps row groups near what the Hub's viewer reads in one go."""
ROW_BYTES = 1 << 30
"""The most that one row may hold; Arrow's string columns end at 2 GB."""
SHARD_BYTES = 300 << 20
"""Parquet bytes after which the next shard begins; the Hub recommends files below some hundred MB."""


class ParquetShards:
    """Rows of one split -> `<stem>-00000`, `<stem>-00001`, ... in a working folder; named for good by `close`."""

    def __init__(
        self, folder: Path, stem: str, schema: pa.Schema, shard_bytes: int = SHARD_BYTES, behind: Behind | None = None
    ) -> None:
        self._folder, self._stem, self._schema, self._limit = folder, stem, schema, shard_bytes
        self._behind = behind or Behind()
        self._waiting: list[pa.RecordBatch] = []
        self._rows: dict[str, list[Any]] = {name: [] for name in schema.names}
        """Those that wait behind `_waiting`, and are no columns yet."""
        self._waiting_rows = self._waiting_bytes = 0
        self._sink: Any = None
        self._writer: Any = None
        self.paths: list[Path] = []
        self.rows: list[int] = []
        """Rows of each shard."""
        self.arrow_bytes = 0
        """Size in memory of all rows, the card's `num_bytes`."""

    def write(self, row: dict[str, Any], size: int) -> None:
        """Take a row; `size` is its length as JSON in bytes. Raises: ExportError for a row above 1 GiB."""
        if size > ROW_BYTES:
            raise _too_long(row.get("id"), size)
        if self._waiting_rows and self._waiting_bytes + size > GROUP_BYTES:
            self._flush()
        for name, values in self._rows.items():
            values.append(row.get(name))
        self._count(1, size)

    def write_columns(self, columns: Mapping[str, pa.Array], sizes: np.ndarray) -> None:
        """Take many rows as columns: the same files as from `write` row by row."""
        import numpy as np
        import pyarrow as pa

        if (longest := int(sizes.max(initial=0))) > ROW_BYTES:
            raise _too_long(columns["id"][int(sizes.argmax())].as_py(), longest)
        batch = pa.record_batch([columns[name] for name in self._schema.names], schema=self._schema)
        upto = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        begun = 0
        while begun < len(sizes):
            fit = int(np.searchsorted(upto, upto[begun] + GROUP_BYTES - self._waiting_bytes, side="right")) - 1
            end = min(len(sizes), begun + GROUP_ROWS - self._waiting_rows, fit)
            if end <= begun and self._waiting_rows:
                self._flush()
                continue
            end = max(end, begun + 1)  # a row larger than a group is one of its own
            self._settle()
            self._waiting.append(batch.slice(begun, end - begun))
            self._count(end - begun, int(upto[end] - upto[begun]))
            begun = end

    def _settle(self) -> None:
        """Make columns of the rows that wait."""
        import pyarrow as pa

        if any(self._rows.values()):
            self._waiting.append(pa.RecordBatch.from_pydict(self._rows, schema=self._schema))
            self._rows = {name: [] for name in self._rows}

    def _count(self, rows: int, size: int) -> None:
        self._waiting_rows += rows
        self._waiting_bytes += size
        if self._waiting_rows >= GROUP_ROWS:
            self._flush()

    def close(self) -> list[Path]:
        """Write what waits; rename the shards to `-00000-of-0000n`; return their paths."""
        if self._waiting_rows:
            self._flush()
        self._behind.wait()
        self._end_shard()
        total = len(self.paths)
        for number, path in enumerate(self.paths):
            final = path.with_name(f"{self._stem}-{number:05d}-of-{total:05d}.parquet")
            path.rename(final)
            self.paths[number] = final
        return self.paths

    def _flush(self) -> None:
        """Hand the rows that wait over, as one row group."""
        self._settle()
        batches, self._waiting = self._waiting, []
        self._waiting_rows = self._waiting_bytes = 0
        self._behind.do(lambda: self._write_group(batches))

    def _write_group(self, batches: Sequence[pa.RecordBatch]) -> None:
        import pyarrow as pa

        table = pa.Table.from_batches(batches).combine_chunks()
        self.arrow_bytes += sum(size_in_memory(chunk) for column in table.columns for chunk in column.chunks)
        if self._writer is None:
            self._begin_shard()
        self._writer.write_table(table, row_group_size=len(table))
        self.rows[-1] += len(table)
        if self._sink.tell() >= self._limit:
            self._end_shard()

    def _begin_shard(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._stem}-{len(self.paths):05d}"
        self._sink = pa.OSFile(str(path), "wb")
        # store_schema=False: plain Parquet types for every reader, no serialised Arrow schema in the footer
        # use_dictionary=False: texts rarely repeat; zstd alone gives files 0.5 to 8 % smaller on published data
        self._writer = pq.ParquetWriter(
            self._sink, self._schema, compression="zstd", store_schema=False, use_dictionary=False
        )
        self.paths.append(path)
        self.rows.append(0)

    def _end_shard(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._sink.close()
        self._writer = None
        with self.paths[-1].open("rb+") as file:
            os.fsync(file.fileno())


def _too_long(row: Any, size: int) -> ExportError:
    return ExportError(
        f"row {row!r} is {size:,} bytes long; a Parquet column holds at most 2 GB, we stop at {ROW_BYTES:,}. "
        "Shorten or remove it (see `instructgen clean`)"
    )


class JsonLines:
    """Rows of one split -> one `.jsonl` file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file: IO[bytes] = path.open("wb", buffering=1 << 20)

    def write(self, lines: Iterable[bytes]) -> None:
        """Append lines, each with its newline, or the bytes of many."""
        self._file.writelines(lines)

    def close(self) -> Path:
        """Make the file durable; return its path."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self.path
