"""How fast a dataset is exported: instructgen beside `datasets`, both from one JSONL file to Parquet and JSON lines.

    python -m benchmarks.export [--rows 1000000] [--rounds 3] [--kinds plain,parquet]

    datasets            `from_generator` (a generator over the file, orjson), `to_parquet`, `to_json`: the texts are
                        copied as they are into one split
    datasets, as ours   the same, with what a user has to add for a folder like ours: an id from the text (sha256),
                        repeats numbered, `train_test_split`, both files for both splits, sha256 of each file
    instructgen         as `instructgen export` does it: every row validated, ids and provenance, repeats numbered,
                        splits by id, checks for trainers, statistics and card, both files for both splits, hashed and
                        flushed to disk

Five kinds of rows, each a file of as many: `plain` (instruction, input, output: by column, `formats.single`), `parquet`
(the same rows as a Parquet file, which `datasets` reads with `from_parquet`, without a generator),
`labelled` (the same and a category), `samples` (what a run holds: turns, a label, provenance with parents, prompts and
requests) and `chats` (six messages a row). These three are read row by row in several processes (`formats.chats`).

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
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.json
import pyarrow.parquet as pq

from benchmarks.timing import in_child, table
from instructgen.records import Provenance, Sample

OURS = """
from pathlib import Path
from instructgen.cli.inputs import open_input
from instructgen.exporters.folder import Options, export
from instructgen.registry import lookup
shape = lookup("formats", {shape!r})()
done = export(open_input({source!r}).light, [shape], Path({into!r}), Options(splits=dict(test=0.05)))
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
FROM_PARQUET = """
from datasets import Dataset
data = Dataset.from_parquet({source!r}, cache_dir={into!r} + "/cache")
data.to_parquet({into!r} + "/data.parquet")
data.to_json({into!r} + "/data.jsonl")
print(len(data))
"""
KINDS = {"plain": "alpaca", "parquet": "alpaca", "labelled": "alpaca", "samples": "alpaca", "chats": "messages"}
"""Kind of rows -> the shape that we write them in."""
EXPORTERS = {"datasets": THEIRS, "datasets, as ours": AS_OURS, "instructgen": OURS}


def contenders(kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Return (kind of rows, exporter) of all runs; only for plain rows does `datasets` make a folder like ours."""
    return [(kind, who) for kind in kinds for who in EXPORTERS if who != "datasets, as ours" or kind == "plain"]


def write_rows(folder: Path, rows: int) -> None:
    """Write `<kind>.jsonl` of each kind: Alpaca rows of some 300 bytes, samples of 1,100, chats of 700."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(2_000)]

    def text(count: int) -> str:
        return " ".join(rng.choices(words, k=count))

    with ExitStack() as stack:
        kinds = [kind for kind in KINDS if kind != "parquet"]
        opened = {kind: stack.enter_context((folder / f"{kind}.jsonl").open("w", encoding="utf-8")) for kind in kinds}
        for n in range(rows):
            row = {"instruction": f"{n} {text(10)}", "input": text(8) if n % 3 == 0 else "", "output": text(30)}
            chat = [{"role": ("user", "assistant")[turn % 2], "content": text(16)} for turn in range(6)]
            made = {"plain": row, "labelled": row | {"category": words[n % 7]}, "chats": {"messages": chat}}
            made["samples"] = _sample(row, rng, n)
            for kind, file in opened.items():
                file.write(json.dumps(made[kind]) + "\n")
    pq.write_table(pyarrow.json.read_json(folder / "plain.jsonl"), folder / "parquet.parquet", row_group_size=100_000)


def _sample(row: Mapping[str, str], rng: random.Random, number: int) -> dict[str, Any]:
    """Return a sample as a run of Self-Instruct holds it."""
    known = Provenance(
        source="generated", recipe="8c" * 32, generator="self_instruct", teacher="a-model", draft=number % 8 + 1,
        prompts={"self_instruct.invent": "fa" * 32, "self_instruct.answer": "1b" * 32},
        parents=tuple(f"general-{rng.randint(1, 247):03}" for _ in range(8)),
        requests=tuple(f"{rng.getrandbits(256):064x}" for _ in range(3)),
    )  # fmt: skip
    labels = {"is_classification": number % 4 == 0}
    given = {"instruction": row["instruction"], "input": row["input"], "output": row["output"]}
    return Sample.single(**given, labels=labels, provenance=known).as_json()


def measure(kind: str, who: str, folder: Path, scratch: Path) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak MiB of one run."""
    source = folder / f"{kind}.{'parquet' if kind == 'parquet' else 'jsonl'}"
    code = FROM_PARQUET if (kind, who) == ("parquet", "datasets") else EXPORTERS[who]
    with tempfile.TemporaryDirectory(dir=scratch) as into:
        begun = time.perf_counter()
        cpu, peak, _ = in_child(code.format(source=str(source), into=into, shape=KINDS[kind]))
        return time.perf_counter() - begun, cpu, peak


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of them, with commas between")
    options = parser.parse_args()
    rows, runs = options.rows, contenders(options.kinds.split(","))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        large, small = scratch / "all", scratch / "tenth"
        for folder, count in ((large, rows), (small, rows // 10)):
            folder.mkdir()
            write_rows(folder, count)
        low = {one: measure(*one, small, scratch)[2] for one in runs}
        found: dict[tuple[str, str], list[tuple[float, float, float]]] = {one: [] for one in runs}
        for _ in range(options.rounds):
            for one in runs:
                found[one].append(measure(*one, large, scratch))
        lines, speeds = [], {}
        for one, times in found.items():
            wall, cpu, peak = (statistics.median(figures) for figures in zip(*times, strict=True))
            speeds[one] = rows / wall, rows / cpu
            lines.append([*one, f"{rows / wall:,.0f}", f"{rows / cpu:,.0f}", f"{low[one]:,.0f}", f"{peak:,.0f}"])
        peaks = f"peak MiB, {rows // 10:,} rows", f"{rows:,} rows"
        table(["rows", "exporter", "rows/s (wall)", "rows/s (CPU)", *peaks], lines)
        for kind, peer in runs:
            if peer != "instructgen":
                pair = zip(speeds[kind, "instructgen"], speeds[kind, peer], strict=True)
                wall, cpu = (ours / theirs for ours, theirs in pair)
                print(f"{kind}: instructgen / {peer}: {wall:.2f} by wall clock, {cpu:.2f} by CPU")


if __name__ == "__main__":
    main()
