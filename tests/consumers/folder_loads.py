"""Load every config of the exported folders with `datasets` and with pandas.

python folder_loads.py DATA      DATA holds exported folders
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from exported import configs, folders, rows


def unlike(line: dict, row: dict) -> list[str]:
    """Return the keys whose text, number or flag is not that of the JSON line."""
    return [
        key for key, value in line.items() if isinstance(value, str | bool | int) and row[key] not in (value, [value])
    ]


def main(data: Path) -> None:
    """Compare rows, streamed rows and pandas' rows of all splits with the JSON lines."""
    import datasets
    import pandas as pd

    print(f"datasets {datasets.__version__}, pandas {pd.__version__}")
    for folder in folders(data):
        for config, splits in configs(folder).items():
            for split, count in splits.items():
                lines = rows(folder, config, split)
                loaded = datasets.load_dataset(str(folder), config, split=split)
                streamed = datasets.load_dataset(str(folder), config, split=split, streaming=True)
                assert list(loaded) == list(streamed), f"{config}: streamed rows differ"
                assert len(loaded) == len(lines) == count, f"{config}: {len(loaded)} of {count} rows"
                frame = pd.concat(
                    pd.read_parquet(path) for path in sorted((folder / config).glob(f"{split}-*.parquet"))
                )
                assert list(frame["id"]) == loaded["id"][:], f"{config}: pandas' rows differ"
                assert list(frame.columns) == loaded.column_names, f"{config}: {list(frame.columns)}"
                assert len(pd.read_json(folder / f"jsonl/{config}-{split}.jsonl", lines=True)) == count
                if config in ("sample", "oasst"):  # one line becomes a JSON text, or takes the ids of its own
                    continue
                for line, row in zip(lines, loaded, strict=True):
                    assert not unlike({k: v for k, v in line.items() if k != "id"}, row), json.dumps(line)
            print(f"{folder.name:10} {config:24} {dict(splits)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
