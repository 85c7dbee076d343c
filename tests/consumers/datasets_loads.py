"""`datasets` of any version loads every format that there is, with the features and rows that were written.

Run by the tests with the installed version, and by hand with an old one (3.6 knows other list features):
python datasets_loads.py DIR, where DIR was made by `python -m tests.consumers.every_format DIR`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import datasets
from datasets import load_dataset


def check(folder: Path) -> None:
    """Rows beside those of the JSON lines: each key that a line has, a row has with the same value."""
    for one in sorted(path for path in folder.iterdir() if path.is_dir()):
        config = one.name
        lines = [json.loads(line) for line in (one / f"jsonl/{config}-train.jsonl").read_text("utf-8").splitlines()]
        data = load_dataset(str(one), config, split="train")
        live = list(load_dataset(str(one), config, split="train", streaming=True))
        if list(data) != live or len(data) != len(lines):
            raise SystemExit(f"{config}: {len(data)} rows, streamed {len(live)}, JSON lines {len(lines)}")
        for row, line in zip(data, lines, strict=True):
            for key, value in line.items():
                same = row[key] in (value, [value])  # one column, one type: one image is a list of one
                if isinstance(value, str | bool | int) and key != "id" and not same:
                    raise SystemExit(f"{config}: {key} is {row[key]!r}, not {value!r}")
        if any(feature is None or "null" in repr(feature) for feature in data.features.values()):
            raise SystemExit(f"{config}: a column without a type: {data.features}")
    print(f"datasets {datasets.__version__}: {', '.join(sorted(p.name for p in folder.iterdir()))}")


if __name__ == "__main__":
    check(Path(sys.argv[1]))
