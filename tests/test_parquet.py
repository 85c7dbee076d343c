"""Parquet files are read piece by piece, whatever their row groups."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from instructgen import parquet

MEGABYTES = 32


@pytest.mark.parametrize("group", [1_000, 1_000_000], ids=["many groups", "one group"])
def test_the_memory_of_reading_does_not_grow_with_the_file(tmp_path: Path, group: int) -> None:
    texts = [random.Random(row).randbytes(2_048).hex() for row in range(MEGABYTES * 256)]
    table = pa.table({"output": texts})
    path = tmp_path / "data.parquet"
    pq.write_table(table, path, row_group_size=group, compression="none", use_dictionary=False)
    before, held, rows = pa.total_allocated_bytes(), 0, 0
    for batch in parquet.batches(path):
        held = max(held, pa.total_allocated_bytes() - before)
        rows += len(batch)
    assert rows == len(texts)
    assert path.stat().st_size > MEGABYTES << 20
    assert held < path.stat().st_size / 3
