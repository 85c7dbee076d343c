"""Prepare every exported config with Axolotl's own data pipeline, from the `axolotl/<config>.yaml` that we wrote.

    python axolotl_loads.py DATA      DATA holds exported folders

That is what `axolotl preprocess` does: load the files, apply the prompt strategy, mask what is not trained on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import tiny
import yaml
from exported import configs, corpus, folders, lost, rows, said_by_assistant, said_by_user

IGNORED = -100
_CHATS = ("messages", "sharegpt", "openai")


def settings(folder: Path, config: str, model: Path, work: Path) -> Any:
    """Return a run's settings: the stanza as written, and what an Axolotl config has beside its data."""
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.enums import RLType

    stanza = yaml.safe_load((folder / "axolotl" / f"{config}.yaml").read_text(encoding="utf-8"))
    if "rl" in stanza:
        stanza["rl"] = RLType(stanza["rl"])  # Axolotl's own validation does this; it asks for a graphics card
    return DictDefault(
        {
            "base_model": str(model), "base_model_config": str(model), "tokenizer_config": str(model),
            "sequence_len": 2048, "train_on_inputs": False, "dataset_num_proc": 1, "micro_batch_size": 1,
            "gradient_accumulation_steps": 1, "num_epochs": 1, "world_size": 1, "batch_size": 1, "val_set_size": 0,
            "is_preprocess": True,
            "dataset_prepared_path": str(work / f"{folder.name}-{config}"), "output_dir": str(work / "out"),
        }
        | stanza
    )  # fmt: skip


def prepared(cfg: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """Return the rows as Axolotl would train on them."""
    from axolotl.utils.data import prepare_datasets, prepare_preference_datasets

    made = prepare_preference_datasets(cfg, tokenizer) if cfg.rl else prepare_datasets(cfg, tokenizer)
    return list(made[0])


def check(config: str, row: dict[str, Any], example: dict[str, Any], tokenizer: Any) -> None:
    """Nothing of the row is lost, and a chat trains on what the assistant said and on nothing else."""
    if "input_ids" not in example:
        parts = {name: example[name] for name in ("prompt", "chosen", "rejected")}
        asked = row["prompt"] if "prompt" in row else row["chosen"][:-1]
        for name, said in (("prompt", asked), ("chosen", row["chosen"][-1:]), ("rejected", row["rejected"][-1:])):
            said = said if name == "prompt" or not isinstance(row[name], str) else row[name]
            assert not lost(said, parts[name]), f"{config}: {name} is {parts[name]!r}"
        return
    assert not lost(row, tokenizer.decode(example["input_ids"]), config), f"{config}: lost a text of {row}"
    for tool in row.get("tools") or ():
        text = tokenizer.decode(example["input_ids"])
        assert json.dumps(tool["function"]["parameters"]["properties"]) in text, f"{config}: tools are {text!r}"
    if config in _CHATS:
        learnt = tokenizer.decode([token for token in example["labels"] if token != IGNORED])
        assert all(text in learnt for text in said_by_assistant(row)), f"{config}: trains on {learnt!r} of {row}"
        assert not any(text in learnt for text in said_by_user(row)), f"{config}: trains on {learnt!r} of {row}"
    if config == "stepwise":
        assert [label for label in example["labels"] if label != IGNORED] == [int(good) for good in row["labels"]]


def main(data: Path) -> None:
    """Prepare every config that has a file for Axolotl."""
    from importlib.metadata import version

    os.environ |= {"AXOLOTL_IS_PREPROCESS": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
    print(f"axolotl {version('axolotl')}")
    tokenizer = tiny.save(data / "model", corpus(data))
    for folder in folders(data):
        os.chdir(folder)  # the stanza's paths start there
        for config, splits in configs(folder).items():
            given = rows(folder, config)
            seen = prepared(settings(folder, config, data / "model", data / "prepared"), tokenizer)
            assert len(seen) == len(given) == splits["train"], f"{config}: {len(seen)} of {len(given)} rows"
            for row, example in zip(in_order(given, seen, tokenizer), seen, strict=True):
                check(config, row, example, tokenizer)
            print(f"{folder.name:10} {config:24} {len(seen):3} rows", flush=True)


def in_order(given: list[dict[str, Any]], seen: list[dict[str, Any]], tokenizer: Any) -> list[dict[str, Any]]:
    """Return the rows in Axolotl's order: it sorts and shuffles. Each example takes the row with most texts in it."""
    left, found = list(given), []
    for example in seen:
        text = (
            tokenizer.decode(example["input_ids"]) if "input_ids" in example else " ".join(map(str, example.values()))
        )
        best = min(left, key=lambda row: len(lost(row, text)))
        left.remove(best)
        found.append(best)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
