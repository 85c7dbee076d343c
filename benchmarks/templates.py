"""How fast rows are put into words: instructgen against promptsource, compiled Jinja and a hand-written f-string.

    python -m benchmarks.templates [--rows 100000] [--repeats 3] [--memory]

All start from one `datasets.Dataset` on disk and end with an Arrow table of inputs and targets, which are compared.
The contestants take turns within one run and one process; the best of the repeats counts, by the clock on the wall and
by the process's own (all threads), which a busy machine disturbs less. promptsource is measured on
1/50 of the rows (it needs minutes for all), the time is scaled. Asked for: at least 200x promptsource through
`datasets.map`, 3x batched `datasets.map` with compiled Jinja, 0.4x of the f-string. `--memory` converts 5 million rows
into samples and prints the peak.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import resource
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHARE_FOR_PROMPTSOURCE = 50
CLOCKS = (time.perf_counter, time.process_time)
PACK = {
    "version": 1,
    "task": "sentiment",
    "fields": {"text": {"kind": "text"}, "label": {"kind": "label"}},
    "templates": [
        {
            "name": "bench",
            "input": "{{ text }}\nIs this review positive or negative?\nAnswer with one word.",
            "target": "{{ answer }}",
            "choices_shown": True,
        }
    ],
}
JINJA = "{{text}}\nIs this review positive or negative?\nAnswer with one word. ||| {{ answer_choices[label] }}"
NAMES = ("negative", "positive")


def dataset(folder: Path, rows: int) -> Any:
    """Return a dataset on disk of reviews of 20 to 120 words."""
    from datasets import ClassLabel, Dataset, Features, Value

    rng = random.Random(1)
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(2000)]
    texts = [" ".join(rng.choices(vocabulary, k=rng.randint(20, 120))) for _ in range(min(rows, 20_000))]
    columns = {"text": [texts[i % len(texts)] for i in range(rows)], "label": [i % 2 for i in range(rows)]}
    features = Features({"text": Value("string"), "label": ClassLabel(names=list(NAMES))})
    Dataset.from_dict(columns, features=features).save_to_disk(str(folder / "data"))
    return Dataset.load_from_disk(str(folder / "data"))


def promptsource_map(data: Any) -> Any:
    """promptsource, one row at a time, as its README shows it."""
    from promptsource.templates import Template

    template = Template("bench", JINJA, "", answer_choices=" ||| ".join(NAMES))

    def apply(row: dict[str, Any]) -> dict[str, str]:
        asked, said = template.apply(row)
        return {"inputs": asked, "targets": said}

    return data.map(apply, remove_columns=data.column_names, load_from_cache_file=False)


def jinja_map(data: Any) -> Any:
    """Jinja compiled once, in batched `datasets.map`."""
    from jinja2 import Environment

    template = Environment().from_string(JINJA)

    def apply(batch: dict[str, list[Any]]) -> dict[str, list[str]]:
        made: dict[str, list[str]] = {"inputs": [], "targets": []}
        for text, label in zip(batch["text"], batch["label"], strict=True):
            asked, said = template.render(text=text, label=label, answer_choices=NAMES).split("|||")
            made["inputs"].append(asked.strip())
            made["targets"].append(said.strip())
        return made

    return data.map(apply, batched=True, remove_columns=data.column_names, load_from_cache_file=False)


def f_string(data: Any) -> Any:
    """What one would write by hand for this one template."""
    import pyarrow as pa

    batches = []
    for batch in data.with_format("arrow").iter(batch_size=1000):
        rows = batch.to_pylist()
        made = [
            (f"{row['text'].strip()}\nIs this review positive or negative?\nAnswer with one word.", NAMES[row["label"]])
            for row in rows
        ]
        batches.append(pa.table({"inputs": [a for a, _ in made], "targets": [b for _, b in made]}))
    return pa.concat_tables(batches)


def ours(data: Any) -> Any:
    """Our source, mapping and renderer: labels checked, nulls and separators looked for."""
    import pyarrow as pa

    from instructgen.convert.bank import Compiled, pack_of
    from instructgen.convert.choosing import choose_for
    from instructgen.convert.render import Renderer
    from instructgen.convert.sources import _of_dataset

    pack = pack_of(PACK, "bench")
    source = _of_dataset(data, "bench").look()
    mapping = choose_for(pack, source)
    renderer = Renderer(Compiled(pack, pack.templates[0]), mapping.labels)
    batches = []
    for chunk in source.chunks(print):
        _, batch, refused = mapping.take_all(chunk)
        made = renderer.render(batch)
        assert not refused
        inputs, targets, *_ = zip(*made, strict=True)  # a rejection would not unpack
        batches.append(pa.table({"inputs": inputs, "targets": targets}))
    return pa.concat_tables(batches)


def fingerprint(table: Any) -> str:
    """Return a hash over all inputs and targets."""
    made = hashlib.sha256()
    for name in ("inputs", "targets"):
        for text in table[name].to_pylist() if hasattr(table[name], "to_pylist") else table[name]:
            made.update(text.encode() + b"\0")
    return made.hexdigest()[:16]


def enable_promptsource() -> bool:
    """Make promptsource importable from its own environment, whose Python is the same."""
    from benchmarks.promptsource_compare import oracle_python

    site = next((oracle_python().parent.parent / "lib").glob("python3*/site-packages"))
    shim = types.ModuleType("pkg_resources")
    shim.resource_filename = lambda _, name: name  # type: ignore[attr-defined]
    sys.modules.setdefault("pkg_resources", shim)
    sys.path.append(str(site))
    return True


def measure(rows: int, repeats: int) -> None:
    from datasets import disable_caching, disable_progress_bars

    disable_caching()
    disable_progress_bars()
    enable_promptsource()
    with tempfile.TemporaryDirectory() as folder:
        data = dataset(Path(folder), rows)
        few = data.select(range(max(rows // SHARE_FOR_PROMPTSOURCE, 1)))
        contestants: dict[str, Callable[[], Any]] = {
            "promptsource, datasets.map": lambda: promptsource_map(few),
            "compiled Jinja, batched map": lambda: jinja_map(data),
            "hand-written f-string": lambda: f_string(data),
            "instructgen": lambda: ours(data),
        }
        best: dict[str, tuple[float, float]] = {}
        prints: dict[str, str] = {}
        for _ in range(repeats):
            for name, run in contestants.items():
                clocks = time.perf_counter(), time.process_time()
                made = run()
                scale = SHARE_FOR_PROMPTSOURCE if name.startswith("promptsource") else 1
                wall, cpu = ((now() - then) * scale for now, then in zip(CLOCKS, clocks, strict=True))
                before = best.get(name, (1e9, 1e9))
                best[name] = min(before[0], wall), min(before[1], cpu)
                prints[name] = fingerprint(made)
        part = fingerprint(ours(few))
    mine = best["instructgen"]
    print(f"{rows:,} rows, best of {repeats}; texts the same: {same(prints, part)}")
    wanted = {"promptsource, datasets.map": 200, "compiled Jinja, batched map": 3, "hand-written f-string": 0.4}
    for name, (wall, cpu) in best.items():
        ratio = f"{wall / mine[0]:8.2f}x, CPU {cpu / mine[1]:8.2f}x   wanted {wanted[name]}x" if name in wanted else ""
        print(f"{name:<30} {wall:8.2f} s, CPU {cpu:8.2f} s {rows / wall:12,.0f} rows/s {ratio}")


def same(prints: dict[str, str], part: str) -> bool:
    """Tell whether all contestants made the same texts (promptsource: of its part)."""
    first = prints.pop("promptsource, datasets.map")
    return first == part and len(set(prints.values())) == 1


def memory(rows: int) -> None:
    """Convert many rows into samples.jsonl and print time and peak memory."""
    import json

    from instructgen.convert.bank import find_pack
    from instructgen.convert.choosing import choose_for
    from instructgen.convert.conversion import Conversion, Options
    from instructgen.convert.sources import open_source
    from instructgen.convert.write import write

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for i in range(rows):
                file.write(json.dumps({"text": f"Film number {i} was {i % 97} times as good.", "label": i % 2}) + "\n")
        started = time.perf_counter()
        source = open_source(str(path))
        mapping = choose_for(find_pack("sentiment"), source)
        counts = write(Conversion(source, mapping, Options()).run(), Path(folder) / "out", {})
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{counts.accepted:,} samples written in {seconds:.0f} s ({rows / seconds:,.0f}/s), peak {peak:,.0f} MB")


def main() -> int:
    parser = argparse.ArgumentParser(description="Speed of rendering templates.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="?", const=5_000_000, help="rows; default 5 million")
    given = parser.parse_args()
    if given.memory:
        memory(given.memory)
    else:
        measure(given.rows, given.repeats)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
