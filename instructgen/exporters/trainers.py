"""Files and snippets with which trainers load an exported folder without a hand edit.

dataset_info.json       LLaMA-Factory: `dataset_dir` is the folder, the dataset's name is <config>_<split>
axolotl/<config>.yaml   what to paste into a config of Axolotl that is run in the folder; else `path` is the folder's
snippets                the card's section: Python for TRL and torchtune, a line each for the other two

A config that is not in a trainer's table is one that it has no reader for, or would read with a loss.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from instructgen.exporters.card import PLACE

Rows = Mapping[str, Mapping[str, int]]
"""Config -> split -> rows."""

ROLE_TAGS = {
    "role_tag": "role", "content_tag": "content",
    "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system",
}  # fmt: skip
"""LLaMA-Factory: `formatting: openai` would add its own system text, so messages go as sharegpt with role tags."""
SPEAKER_TAGS = {
    "role_tag": "from", "content_tag": "value",
    "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system",
}  # fmt: skip
"""Without `system_tag` LLaMA-Factory skips every conversation that opens with a system message."""
LLAMAFACTORY: dict[str, dict[str, Any]] = {
    "alpaca": {"columns": {"prompt": "instruction", "query": "input", "response": "output"}},
    "dolly": {"columns": {"prompt": "instruction", "query": "context", "response": "response"}},
    "flan": {"columns": {"prompt": "inputs", "response": "targets"}},
    "prompt_completion": {"columns": {"prompt": "prompt", "response": "completion"}},
    "messages": {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": ROLE_TAGS},
    "sharegpt": {"formatting": "sharegpt", "columns": {"messages": "conversations"}, "tags": SPEAKER_TAGS},
    "sharegpt_tools": {
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "tools": "tools"},
        "tags": {**SPEAKER_TAGS, "function_tag": "function_call", "observation_tag": "observation"},
    },
    "llava": {
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "images": "image"},
        "tags": SPEAKER_TAGS,
    },
    "preference_text": {"ranking": True, "columns": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}},
    "text": {"columns": {"prompt": "text"}},
}  # fmt: skip
"""Config -> its entry without the file name."""
_TURNS = {"type": "chat_template", "roles_to_train": ["assistant"], "train_on_eos": "turn"}
AXOLOTL: dict[str, dict[str, Any]] = {
    "alpaca": {"type": "alpaca"},
    "text": {"type": "completion", "field": "text"},
    "messages": {**_TURNS, "field_messages": "messages"},
    "openai": {**_TURNS, "field_messages": "messages"},
    "sharegpt": {
        **_TURNS,
        "field_messages": "conversations",
        "message_property_mappings": {"role": "from", "content": "value"},
        "roles": {"user": ["human"], "assistant": ["gpt"], "system": ["system"]},
    },
    "preference": {"type": "chat_template.default", "field_messages": "prompt"},
    "preference_text": {"type": "chat_template.default", "field_messages": "prompt"},
    "preference_implicit": {"type": "chat_template.argilla_chat"},
    "stepwise": {"type": "stepwise_supervised"},
}
"""Config -> its entry of `datasets:` without the file name.

`argilla_chat` takes the prompt from `chosen`, so it reads whole chats only; pairs with a prompt apart need `default`.
"""
AXOLOTL_MODE: dict[str, dict[str, Any]] = {
    "preference": {"rl": "dpo"},
    "preference_text": {"rl": "dpo"},
    "preference_implicit": {"rl": "dpo"},
    "stepwise": {"process_reward_model": True},
}
"""Config -> top-level keys that choose the kind of training its rows are for."""
TRL: dict[str, tuple[str, list[str]]] = {
    "messages": ("SFTTrainer", ["messages"]),
    "openai": ("SFTTrainer", ["messages", "tools"]),
    "prompt_completion": ("SFTTrainer", ["prompt", "completion"]),
    "prompt_completion_chat": ("SFTTrainer", ["prompt", "completion"]),
    "text": ("SFTTrainer", ["text"]),
    "preference": ("DPOTrainer", ["prompt", "chosen", "rejected"]),
    "preference_implicit": ("DPOTrainer", ["chosen", "rejected"]),
    "preference_text": ("DPOTrainer", ["prompt", "chosen", "rejected"]),
    "unpaired": ("KTOTrainer", ["prompt", "completion", "label"]),
}
"""Config -> trainer and the columns that it looks at."""
TORCHTUNE: dict[str, tuple[str, dict[str, Any]]] = {
    "alpaca": ("alpaca_dataset", {}),
    "messages": ("chat_dataset", {"conversation_column": "messages", "conversation_style": "openai"}),
    "sharegpt": ("chat_dataset", {"conversation_column": "conversations", "conversation_style": "sharegpt"}),
    "prompt_completion": ("instruct_dataset", {"column_map": {"input": "prompt", "output": "completion"}}),
    "flan": ("instruct_dataset", {"column_map": {"input": "inputs", "output": "targets"}}),
    "text": ("text_completion_dataset", {"column": "text"}),
    "preference_implicit": ("preference_dataset", {}),
}
"""Config -> builder and its options. It knows no tools, so "openai" is absent; pairs must be whole chats."""


def trainer_files(rows: Rows) -> dict[str, str]:
    """Return path in the folder -> text of the trainers' files."""
    info = dataset_info(rows)
    texts = {"dataset_info.json": json.dumps(info, indent=2) + "\n"} if info else {}
    return texts | {
        f"axolotl/{config}.yaml": axolotl_config(config, rows[config]) for config in rows if config in AXOLOTL
    }


def dataset_info(rows: Rows) -> dict[str, dict[str, Any]]:
    """Return LLaMA-Factory's `dataset_info.json` for configs with their splits; {} when it reads none of them.

    Example: dataset_info({"alpaca": {"train": 9}})["alpaca_train"]["file_name"] -> "jsonl/alpaca-train.jsonl"
    """
    return {
        f"{config}_{split}": {"file_name": _jsonl(config, split), **LLAMAFACTORY[config]}
        for config, splits in rows.items()
        if config in LLAMAFACTORY
        for split in splits
    }


def axolotl_config(config: str, splits: Mapping[str, int]) -> str:
    """Return the part of an Axolotl config that trains on a config of ours, as YAML."""
    # Parquet, not JSON lines: read from those, each tool would get the parameters of all other tools as nulls.
    files = {
        "path": ".",
        "ds_type": "parquet",
        "data_files": f"{config}/{_training(splits)}-*.parquet",
        "split": "train",
    }
    entry = {**files, **AXOLOTL[config]}
    return yaml.safe_dump({**AXOLOTL_MODE.get(config, {}), "datasets": [entry]}, sort_keys=False)


def snippets(rows: Rows) -> str:
    """Return the card's section on the trainers that read the configs; "" when none does."""
    made = [told for make in (_trl, _torchtune, _llamafactory, _axolotl) if (told := make(rows))]
    return "\n\n".join(["## Training on it", *made]) if made else ""


def _jsonl(config: str, split: str) -> str:
    return f"jsonl/{config}-{split}.jsonl"


def _training(splits: Mapping[str, int]) -> str:
    """Return the split to train on: a tiny export may have no row in `train`."""
    return "train" if "train" in splits or not splits else next(iter(splits))


def _trl(rows: Rows) -> str:
    blocks = []
    for config in (config for config in rows if config in TRL):
        trainer, columns = TRL[config]
        load = f'load_dataset("{PLACE}", "{config}", split="{_training(rows[config])}")'
        blocks.append(
            f"from datasets import load_dataset\nfrom trl import {trainer}\n\n"
            f"data = {load}.select_columns({json.dumps(columns)})\n"
            f"{trainer}(model=MODEL, train_dataset=data).train()"
        )
    return _python("TRL", blocks)


def _torchtune(rows: Rows) -> str:
    blocks = []
    for config in (config for config in rows if config in TORCHTUNE):
        builder, options = TORCHTUNE[config]
        given = {"source": "json", "data_files": _jsonl(config, _training(rows[config])), "split": "train", **options}
        arguments = "".join(f"    {name}={json.dumps(value)},\n" for name, value in given.items())
        blocks.append(f"from torchtune.datasets import {builder}\n\ndata = {builder}(\n    TOKENIZER,\n{arguments})")
    return _python("torchtune, in this folder", blocks)


def _python(title: str, blocks: list[str]) -> str:
    return "\n\n".join([f"{title}:", *(f"```python\n{block}\n```" for block in blocks)]) if blocks else ""


def _llamafactory(rows: Rows) -> str:
    known = [f"`{config}_{_training(splits)}`" for config, splits in rows.items() if config in LLAMAFACTORY]
    return (
        f"LLaMA-Factory: `dataset_dir: PATH`, `dataset:` {' or '.join(known)} (see `dataset_info.json`)."
        if known
        else ""
    )


def _axolotl(rows: Rows) -> str:
    known = [f"`axolotl/{config}.yaml`" for config in rows if config in AXOLOTL]
    return f"Axolotl, in this folder: paste {' or '.join(known)} into the config." if known else ""
