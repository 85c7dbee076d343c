"""Run the TRL snippets of the exported cards: two training steps each, on a random tiny Llama.

    python trl_loads.py DATA      DATA holds exported folders

The snippet gets what it leaves open (path, model and settings); the data comes only through its own lines.
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import tiny
from exported import configs, corpus, folders, lost, rows, said_by_assistant, said_by_user, snippets

STEPS = 2


def settings(trainer: str, into: Path, *, chat: bool) -> Any:
    """Return the trainer's own config object."""
    import trl

    options: dict[str, Any] = {
        "output_dir": str(into), "max_steps": STEPS, "use_cpu": True, "bf16": False, "report_to": [],
        "per_device_train_batch_size": 2, "max_length": None, "logging_strategy": "no", "disable_tqdm": True,
    }  # fmt: skip
    if chat:
        options["assistant_only_loss"] = True
    return getattr(trl, trainer.replace("Trainer", "Config"))(**options)


def trained(snippet: str, folder: Path, model: Path, into: Path) -> tuple[str, Any, Any]:
    """Run a snippet; return its config, the trainer, and what training said."""
    config = re.search(r'"PATH_OR_NAME", "(\w+)"', snippet)[1]
    trainer = re.search(r"from trl import (\w+)", snippet)[1]
    known = {"MODEL": str(model), "ARGS": settings(trainer, into, chat=config in ("messages", "openai"))}
    code = snippet.replace("PATH_OR_NAME", str(folder))
    code = code.replace(f"{trainer}(model=MODEL,", f"made = {trainer}(model=MODEL, args=ARGS,")
    code = code.replace(").train()", ")\nsaid = made.train()")
    exec(code, known)  # the card's own code is what is tested
    return config, known["made"], known["said"]


def check(folder: Path, config: str, made: Any, said: Any, tokenizer: Any) -> str:
    """Compare what the trainer was left with to the exported rows; return a line to print."""
    given, seen = rows(folder, config), list(made.train_dataset)
    assert said.global_step == STEPS, f"{config}: {said.global_step} steps"
    assert math.isfinite(said.training_loss), f"{config}: loss {said.training_loss}"
    assert len(seen) == len(given) == configs(folder)[config]["train"], f"{config}: {len(seen)} of {len(given)} rows"
    for row, example in zip(given, seen, strict=True):
        ids = [token for name in example if name.endswith("_ids") for token in example[name]]
        assert not lost(row, tokenizer.decode(ids), config), f"{config}: lost a text of {row}"
        if "assistant_masks" in example:
            pairs = zip(example["input_ids"], example["assistant_masks"], strict=True)
            learnt = tokenizer.decode([token for token, mask in pairs if mask])
            assert all(text in learnt for text in said_by_assistant(row)), f"{config}: {learnt!r}"
            assert not any(text in learnt for text in said_by_user(row)), f"{config}: {learnt!r}"
    return (
        f"{folder.name:10} {config:24} {type(made).__name__:11} {len(seen):3} rows, "
        f"{said.global_step} steps, loss {said.training_loss:.4f}"
    )


def main(data: Path) -> None:
    """Train on every config that a card has a snippet for."""
    from importlib.metadata import version

    print(f"trl {version('trl')}, torch {version('torch')}, transformers {version('transformers')}")
    tokenizer = tiny.save(data / "model", corpus(data))
    done = set()
    for folder in folders(data):
        for snippet in snippets(folder, "trl"):
            config, made, said = trained(snippet, folder, data / "model", data / "trained")
            print(check(folder, config, made, said, tokenizer), flush=True)
            done.add((folder.name, config))
    expected = {(folder.name, config) for folder in folders(data) for config in configs(folder)}
    assert done == expected, f"no snippet ran for {sorted(expected - done)}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
