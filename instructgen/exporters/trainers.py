"""Files and snippets with which trainers load an exported folder without a hand edit.

dataset_info.json    LLaMA-Factory: `dataset_dir` is the folder, the dataset's name is <config>_<split>
axolotl.yaml         a `datasets:` stanza to paste, per config
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

ROLE_TAGS = {
    "role_tag": "role", "content_tag": "content",
    "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system",
}  # fmt: skip
"""LLaMA-Factory: `formatting: openai` would add its own system text, so messages go as sharegpt with role tags."""
_CHAT = {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": ROLE_TAGS}
_ALPACA = {"columns": {"prompt": "instruction", "query": "input", "response": "output"}}
LLAMAFACTORY: dict[str, dict[str, Any]] = {
    "alpaca": _ALPACA,
    "dolly": {"columns": {"prompt": "instruction", "query": "context", "response": "response"}},
    "flan": {"columns": {"prompt": "inputs", "response": "targets"}},
    "prompt_completion": {"columns": {"prompt": "prompt", "response": "completion"}},
    "messages": _CHAT,
    "sharegpt": {
        "formatting": "sharegpt",
        "columns": {"messages": "conversations"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
                 "system_tag": "system"},
    },
    "llava": {
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "images": "image"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
    },
    "preference_text": {"ranking": True, "columns": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}},
    "text": {"columns": {"prompt": "text"}},
}  # fmt: skip
"""Config -> its entry without the file name. Shapes that LLaMA-Factory has no reader for are absent."""
_TURNS = {
    "type": "chat_template",
    "roles_to_train": ["assistant"],
    "train_on_eos": "turn",
}
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
    "preference": {
        "type": "chat_template.argilla_chat", "field_messages": "prompt",
        "field_chosen": "chosen", "field_rejected": "rejected",
    },
}  # fmt: skip
TORCHTUNE = {
    "alpaca": "alpaca_dataset",
    "messages": "chat_dataset, conversation_column='messages', conversation_style='openai'",
    "sharegpt": "chat_dataset, conversation_column='conversations', conversation_style='sharegpt'",
    "preference_implicit": "preference_dataset",
}


def dataset_info(rows: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, Any]]:
    """Return LLaMA-Factory's `dataset_info.json` for configs with their splits; {} when it reads none of them.

    Example: dataset_info({"alpaca": {"train": 9}})["alpaca_train"]["file_name"] -> "jsonl/alpaca-train.jsonl"
    """
    return {
        f"{config}_{split}": {"file_name": f"jsonl/{config}-{split}.jsonl", **LLAMAFACTORY[config]}
        for config, splits in rows.items()
        if config in LLAMAFACTORY
        for split in splits
    }


def axolotl_stanza(rows: Mapping[str, Mapping[str, int]]) -> str:
    """Return a YAML `datasets:` stanza for Axolotl, "" when it reads none of the configs."""
    stanzas = [
        {"path": f"jsonl/{config}-{next(iter(splits))}.jsonl", "ds_type": "json", **AXOLOTL[config]}
        for config, splits in rows.items()
        if config in AXOLOTL
    ]
    return yaml.safe_dump({"datasets": stanzas}, sort_keys=False) if stanzas else ""


def snippets(configs: Sequence[str]) -> str:
    """Return the card's section on the trainers that read the configs; "" when none does."""
    made = [make(configs) for make in (_trl, _torchtune, _llamafactory, _axolotl)]
    told = [text for text in made if text]
    return "\n\n".join(["## Training on it", *told]) if told else ""


def _first(configs: Sequence[str], known: Sequence[str] | Mapping[str, Any]) -> str:
    return next((config for config in configs if config in known), "")


def _trl(configs: Sequence[str]) -> str:
    pairs = _first(configs, ("preference", "preference_implicit", "preference_text"))
    plain = _first(configs, ("messages", "prompt_completion_chat", "prompt_completion", "text"))
    config, trainer = (pairs, "DPOTrainer") if pairs else (plain, "SFTTrainer")
    if not config:
        return ""
    return (
        f"TRL:\n\n```python\nfrom datasets import load_dataset\nfrom trl import {trainer}\n\n"
        f'data = load_dataset("PATH_OR_NAME", "{config}", split="train").select_columns({_columns(config)})\n'
        f"{trainer}(model=MODEL, train_dataset=data).train()\n```"
    )


def _columns(config: str) -> str:
    names: dict[str, Callable[[], list[str]]] = {
        "messages": lambda: ["messages"],
        "text": lambda: ["text"],
        "preference_implicit": lambda: ["chosen", "rejected"],
    }
    if config in names:
        return repr(names[config]()).replace("'", '"')
    return '["prompt", "chosen", "rejected"]' if config.startswith("preference") else '["prompt", "completion"]'


def _torchtune(configs: Sequence[str]) -> str:
    config = _first(configs, TORCHTUNE)
    if not config:
        return ""
    builder, *options = TORCHTUNE[config].split(", ")
    given = "".join(f", {option}" for option in options)
    return (
        f"torchtune:\n\n```python\nfrom torchtune.datasets import {builder}\n\n"
        f'data = {builder}(TOKENIZER, source="json", data_files="jsonl/{config}-train.jsonl", split="train"'
        f"{given})\n```"
    )


def _llamafactory(configs: Sequence[str]) -> str:
    config = _first(configs, LLAMAFACTORY)
    return f"LLaMA-Factory: `dataset_dir: PATH`, `dataset: {config}_train` (see `dataset_info.json`)." if config else ""


def _axolotl(configs: Sequence[str]) -> str:
    return "Axolotl: paste the stanza of `axolotl.yaml`." if _first(configs, AXOLOTL) else ""
