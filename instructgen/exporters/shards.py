"""Writers of one split into a working folder: a file that knows its hash, and Parquet in size-limited shards of it.

Rows wait until a row group is full (rows or bytes, whichever comes first), so memory does not grow with the data,
and the same rows always give the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from instructgen.blocks import Behind
from instructgen.errors import ExportError
from instructgen.exporters.schema import size_in_memory

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from typing_extensions import Buffer

GROUP_ROWS = 10_000
GROUP_BYTES = 32 << 20
"""JSON bytes of rows that wait at most: keeps row groups near what the Hub's viewer reads in one go."""
ROW_BYTES = 1 << 30
"""The most that one row may hold; Arrow's string columns end at 2 GB."""
SHARD_BYTES = 300 << 20
"""Parquet bytes after which the next shard begins; the Hub recommends files below some hundred MB."""

AHEAD = 32 << 20
"""Bytes after which a file that is being written is sent to the disk."""


class DataFile:
    """A file that is hashed as it is written, and durable once closed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file: IO[bytes] = path.open("wb", buffering=1 << 20)
        self._hash = hashlib.sha256()
        self._bytes = self._sent = 0

    def write(self, data: Buffer) -> int:
        """Append."""
        self._file.write(data)
        self._hash.update(data)
        self._bytes += memoryview(data).nbytes
        if self._bytes - self._sent >= AHEAD and hasattr(os, "posix_fadvise"):
            self._file.flush()  # the disk begins now, so that `close` has little to wait for
            os.posix_fadvise(self._file.fileno(), self._sent, self._bytes - self._sent, os.POSIX_FADV_DONTNEED)
            self._sent = self._bytes
        return memoryview(data).nbytes

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._bytes

    def flush(self) -> None:
        """Do nothing: `close` does."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._file.closed

    def close(self) -> None:
        """Make the file durable."""
        if not self.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def rename(self, name: str) -> None:
        """Give the file another name in its folder."""
        self.path = self.path.rename(self.path.with_name(name))

    def fingerprint(self) -> dict[str, Any]:
        """Return size and hash, as the manifest holds them."""
        return {"bytes": self._bytes, "sha256": self._hash.hexdigest()}


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
        self._writer: Any = None
        self._files: list[DataFile] = []
        self.rows: list[int] = []
        """Rows of each shard."""
        self.arrow_bytes = 0
        """Size in memory of all rows, the card's `num_bytes`."""

    @property
    def file_bytes(self) -> int:
        """Size of all shards."""
        return sum(file.tell() for file in self._files)

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

    def close(self) -> list[DataFile]:
        """Write what waits; rename the shards to `-00000-of-0000n`; return them."""
        if self._waiting_rows:
            self._flush()
        self._behind.wait()
        self._end_shard()
        total = len(self._files)
        for number, file in enumerate(self._files):
            file.rename(f"{self._stem}-{number:05d}-of-{total:05d}.parquet")
        return self._files

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
        if self._files[-1].tell() >= self._limit:
            self._end_shard()

    def _begin_shard(self) -> None:
        import pyarrow.parquet as pq

        self._files.append(DataFile(self._folder / f"{self._stem}-{len(self._files):05d}"))
        # store_schema=False: plain Parquet types for every reader, no serialised Arrow schema in the footer
        # use_dictionary=False: texts rarely repeat; zstd alone gives files 0.5 to 8 % smaller on published data
        self._writer = pq.ParquetWriter(
            self._files[-1], self._schema, compression="zstd", store_schema=False, use_dictionary=False
        )
        self.rows.append(0)

    def _end_shard(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        self._files[-1].close()


def _too_long(row: Any, size: int) -> ExportError:
    return ExportError(
        f"row {row!r} is {size:,} bytes long; a Parquet column holds at most 2 GB, we stop at {ROW_BYTES:,}. "
        "Shorten or remove it (see `instructgen clean`)"
    )
