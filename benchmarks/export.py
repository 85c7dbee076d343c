"""How fast a dataset is exported: instructgen beside `datasets`, both from one JSONL file to Parquet and JSON lines.

    python -m benchmarks.export [--rows 1000000]

`datasets` reads the file with a generator (`from_generator`, orjson), then `to_parquet` and `to_json`: rows are copied
as they are. instructgen validates each row, gives it an id and a provenance, numbers repeats, splits, checks, counts
for the card, hashes the files, and writes the same files: once as `instructgen export` reads plain rows
(`formats.single`), once with every row made a `Sample`, which is what rows with anything more take. Each runs in a
process of its own; peak memory at a tenth of the rows shows whether it grows. Asked for: 3x the rows per second of
`datasets`, memory flat.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from benchmarks.timing import in_child, table

OURS = """
from pathlib import Path
from instructgen.exporters.folder import Options, export
from instructgen.files import iter_rows
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.{module} import {reader} as read
samples = read(iter_rows(Path({source!r})), Alpaca(), "rows")
done = export(samples, [Alpaca()], Path({into!r}), Options(splits=dict(test=0.05)))
print(done.samples)
"""
THEIRS = """
import orjson
from datasets import Dataset
def rows():
    with open({source!r}, "rb") as file:
        for line in file:
            yield orjson.loads(line)
data = Dataset.from_generator(rows, cache_dir={into!r} + "/cache")
data.to_parquet({into!r} + "/data.parquet")
data.to_json({into!r} + "/data.jsonl")
print(len(data))
"""
CONTENDERS = {
    "datasets": THEIRS,
    "instructgen": OURS.replace("{module}", "single").replace("{reader}", "read_light"),
    "instructgen, by samples": OURS.replace("{module}", "detect").replace("{reader}", "read"),
}


def write_rows(path: Path, rows: int) -> None:
    """Write Alpaca rows of some 300 bytes."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(2_000)]
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            row = {
                "instruction": f"{n} {' '.join(rng.choices(words, k=10))}",
                "input": " ".join(rng.choices(words, k=8)) if n % 3 == 0 else "",
                "output": " ".join(rng.choices(words, k=30)),
            }
            file.write(json.dumps(row) + "\n")


def measure(code: str, source: Path, scratch: Path) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak MiB of one run."""
    into = Path(tempfile.mkdtemp(dir=scratch))
    begun = time.perf_counter()
    cpu, peak, _ = in_child(code.format(source=str(source), into=str(into)))
    return time.perf_counter() - begun, cpu, peak


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        large, small = scratch / "rows.jsonl", scratch / "tenth.jsonl"
        write_rows(large, rows)
        write_rows(small, rows // 10)
        lines, speeds = [], {}
        for who, code in CONTENDERS.items():
            _, _, low = measure(code, small, scratch)
            wall, cpu, peak = measure(code, large, scratch)
            speeds[who] = rows / cpu
            lines.append([who, f"{rows / wall:,.0f}", f"{rows / cpu:,.0f}", f"{low:,.0f}", f"{peak:,.0f}"])
        table(["exporter", "rows/s (wall)", "rows/s (CPU)", f"peak MiB, {rows // 10:,} rows", f"{rows:,} rows"], lines)
        for who, speed in speeds.items():
            print(f"{who} / datasets, rows per CPU second: {speed / speeds['datasets']:.2f}")


if __name__ == "__main__":
    main()
