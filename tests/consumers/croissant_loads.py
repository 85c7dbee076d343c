"""mlcroissant validates the description of each folder and reads every record set back.

Run by `make test-croissant`, in an environment of its own: python croissant_loads.py DIR
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mlcroissant


def check(folder: Path) -> None:
    """An error of the validation, or a record set of another length than the manifest says, fails."""
    for one in sorted(path for path in folder.iterdir() if path.is_dir()):
        configs = json.loads((one / "manifest.json").read_text(encoding="utf-8"))["configs"]
        dataset = mlcroissant.Dataset(str(one / "croissant.json"))  # raises on an error
        for records in dataset.metadata.record_sets:
            config, _, split = str(records.name).rpartition("-")
            rows = sum(1 for _ in dataset.records(records.uuid))
            if rows != configs[config][split]:
                raise SystemExit(f"{one.name}/{config}: {rows} rows, the manifest says {configs[config][split]}")
            print(f"croissant {one.name}/{config}: {rows} rows")


if __name__ == "__main__":
    check(Path(sys.argv[1]))
