"""How fast a dataset is exported: instructgen beside `datasets`, both from one JSONL file to Parquet and JSON lines.

    python -m benchmarks.export [--rows 1000000] [--rounds 3]

    datasets            `from_generator` (a generator over the file, orjson), `to_parquet`, `to_json`: the texts are
                        copied as they are into one split
    datasets, as ours   the same, with what a user has to add for a folder like ours: an id from the text (sha256),
                        repeats numbered, `train_test_split`, both files for both splits, sha256 of each file
    instructgen         as `instructgen export` does it: every row validated, ids and provenance, repeats numbered,
                        splits by id, checks for trainers, statistics and card, both files for both splits, hashed and
                        flushed to disk; plain rows by column (`formats.single`)
    ..., by samples     the same where each row has a label beside, and so becomes a `Sample`: what rows with anything
                        more than a question and its answer take; several processes

Each is a process of its own, in turn; imports and start are counted. Seconds are the median of the rounds. CPU seconds
are those of all processes, peak memory is the first one's: at a tenth of the rows it shows whether it grows. Asked for:
3x the rows per second of `datasets`, memory flat.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.timing import in_child, table

OURS = """
from pathlib import Path
from instructgen.cli.inputs import open_input
from instructgen.exporters.folder import Options, export
from instructgen.formats.alpaca import Alpaca
done = export(open_input({source!r}).light, [Alpaca()], Path({into!r}), Options(splits=dict(test=0.05)))
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
AS_OURS = """
import hashlib, orjson
from collections import Counter
from datasets import Dataset
seen = Counter()
def rows():
    with open({source!r}, "rb") as file:
        for line in file:
            row = orjson.loads(line)
            name = hashlib.sha256(orjson.dumps([row["instruction"], row["input"], row["output"]])).hexdigest()[:20]
            seen[name] += 1
            yield row | dict(id=name if seen[name] == 1 else f"{{name}}-{{seen[name]}}")
data = Dataset.from_generator(rows, cache_dir={into!r} + "/cache").train_test_split(0.05, seed=0)
for split, part in data.items():
    part.to_parquet(f"{into}/{{split}}.parquet")
    part.remove_columns("id").to_json(f"{into}/{{split}}.jsonl")
    for kind in ("parquet", "jsonl"):
        with open(f"{into}/{{split}}.{{kind}}", "rb") as file:
            hashlib.file_digest(file, "sha256").hexdigest()
print(sum(map(len, data.values())))
"""
CONTENDERS = {
    "datasets": THEIRS,
    "datasets, as ours": AS_OURS,
    "instructgen": OURS,
    "instructgen, by samples": OURS.replace("{source!r}", "{source!r} + '.labelled'"),
}


def write_rows(path: Path, rows: int) -> None:
    """Write Alpaca rows of some 300 bytes, and in `<path>.labelled` the same with a category."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(2_000)]
    with path.open("w", encoding="utf-8") as file, Path(f"{path}.labelled").open("w", encoding="utf-8") as labelled:
        for n in range(rows):
            row = {
                "instruction": f"{n} {' '.join(rng.choices(words, k=10))}",
                "input": " ".join(rng.choices(words, k=8)) if n % 3 == 0 else "",
                "output": " ".join(rng.choices(words, k=30)),
            }
            file.write(json.dumps(row) + "\n")
            labelled.write(json.dumps(row | {"category": words[n % 7]}) + "\n")


def measure(code: str, source: Path, scratch: Path) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak MiB of one run."""
    with tempfile.TemporaryDirectory(dir=scratch) as into:
        begun = time.perf_counter()
        cpu, peak, _ = in_child(code.format(source=str(source), into=into))
        return time.perf_counter() - begun, cpu, peak


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = options.rows
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        large, small = scratch / "rows.jsonl", scratch / "tenth.jsonl"
        write_rows(large, rows)
        write_rows(small, rows // 10)
        low = {who: measure(code, small, scratch)[2] for who, code in CONTENDERS.items()}
        found: dict[str, list[tuple[float, float, float]]] = {who: [] for who in CONTENDERS}
        for _ in range(options.rounds):
            for who, code in CONTENDERS.items():
                found[who].append(measure(code, large, scratch))
        lines, speeds = [], {}
        for who, times in found.items():
            wall, cpu, peak = (statistics.median(figures) for figures in zip(*times, strict=True))
            speeds[who] = rows / wall, rows / cpu
            lines.append([who, f"{rows / wall:,.0f}", f"{rows / cpu:,.0f}", f"{low[who]:,.0f}", f"{peak:,.0f}"])
        table(["exporter", "rows/s (wall)", "rows/s (CPU)", f"peak MiB, {rows // 10:,} rows", f"{rows:,} rows"], lines)
        for peer in ("datasets", "datasets, as ours"):
            for who in ("instructgen", "instructgen, by samples"):
                wall, cpu = (ours / theirs for ours, theirs in zip(speeds[who], speeds[peer], strict=True))
                print(f"{who} / {peer}: {wall:.2f} by wall clock, {cpu:.2f} by CPU")


if __name__ == "__main__":
    main()
