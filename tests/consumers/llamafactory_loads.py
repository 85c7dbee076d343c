"""Load every dataset that our `dataset_info.json` names with LLaMA-Factory's own loader and tokenising.

    python llamafactory_loads.py DATA      DATA holds exported folders

LLaMA-Factory drops a row that it cannot read with a warning, so rows are counted and their texts looked for.
"""

from __future__ import annotations

import json
import os
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import tiny
from exported import configs, corpus, folders, lost, rows, said_by_assistant, said_by_user

os.environ["DISABLE_VERSION_CHECK"] = "1"
# LLaMA-Factory imports torchaudio for audio rows; it has no build that works without a graphics card everywhere.
sys.modules["torchaudio"] = types.ModuleType("torchaudio")
sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)
IGNORED = -100


def stage_of(entry: dict[str, Any]) -> str:
    """Return the kind of training an entry is for: pairs, plain texts, or answers."""
    if entry.get("ranking"):
        return "rm"
    return "sft" if "response" in entry["columns"] or "messages" in entry["columns"] else "pt"


def loaded(folder: Path, name: str, stage: str, model: Path) -> tuple[list[Any], list[Any], Any]:
    """Return the aligned rows, the tokenised rows and the tokenizer."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.data.loader import _get_merged_dataset
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import AutoTokenizer, Seq2SeqTrainingArguments

    of_model = ModelArguments(model_name_or_path=str(model))
    of_data = DataArguments(dataset=name, dataset_dir=str(folder), template="chatml", cutoff_len=2048)
    of_training = Seq2SeqTrainingArguments(output_dir=str(model / "out"), use_cpu=True, bf16=False, report_to=[])
    tokenizer = AutoTokenizer.from_pretrained(str(model))
    template = get_template_and_fix_tokenizer(tokenizer, of_data)
    aligned = _get_merged_dataset([name], of_model, of_data, of_training, stage)
    if "_images" in aligned.column_names and any(aligned["_images"]):
        return list(aligned), [], tokenizer  # tokenising an image needs its file and a model that sees
    made = get_dataset(template, of_model, of_data, of_training, stage, tokenizer=tokenizer)
    return list(aligned), list(made["train_dataset"]), tokenizer


def check_aligned(row: dict[str, Any], aligned: dict[str, Any], name: str) -> None:
    """What LLaMA-Factory understood of a row holds all its texts, and its images."""
    understood = json.dumps([aligned["_system"], aligned["_prompt"], aligned["_response"]], ensure_ascii=False)
    said = [text for turn in (*aligned["_prompt"], *aligned["_response"]) for text in [turn["content"]]]
    whole = "\n".join([aligned["_system"], *said, aligned["_tools"] or ""])
    assert not lost(row, whole), f"{name}: {understood} lost {lost(row, whole)}"
    if "image" in row:
        images = row["image"] if isinstance(row["image"], list) else [row["image"]]
        assert aligned["_images"] == images, f"{name}: images {aligned['_images']}"


def check_tokens(row: dict[str, Any], example: dict[str, Any], stage: str, tokenizer: Any, name: str) -> None:
    """No text is gone after tokenising, and a chat trains on the assistant's words alone."""
    keys = ("chosen_input_ids", "rejected_input_ids") if stage == "rm" else ("input_ids",)
    seen = "".join(tokenizer.decode(example[key]) for key in keys)
    assert not lost(row, seen), f"{name}: lost {lost(row, seen)}"
    if "messages" in row or "conversations" in row:
        learnt = tokenizer.decode([token for token in example["labels"] if token != IGNORED])
        assert all(text in learnt for text in said_by_assistant(row)), f"{name}: trains on {learnt!r}"
        assert not any(text in learnt for text in said_by_user(row)), f"{name}: trains on {learnt!r}"


def main(data: Path) -> None:
    """Load every dataset of every `dataset_info.json`."""
    from importlib.metadata import version

    print(f"llamafactory {version('llamafactory')}, transformers {version('transformers')}")
    tiny.save(data / "model", corpus(data))
    for folder in folders(data):
        info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
        expected = {f"{config}_{split}" for config, splits in configs(folder).items() for split in splits}
        assert set(info) == expected, f"{folder.name}: dataset_info.json names {sorted(info)}, not {sorted(expected)}"
        for name, entry in info.items():
            config, _, split = name.rpartition("_")
            given, stage = rows(folder, config, split), stage_of(entry)
            aligned, made, tokenizer = loaded(folder, name, stage, data / "model")
            assert len(aligned) == len(given) == configs(folder)[config][split], f"{name}: {len(aligned)} rows"
            for row, one in zip(given, aligned, strict=True):
                check_aligned(row, one, name)
            if config == "text":  # pretraining joins the rows and cuts them anew
                whole = "".join(tokenizer.decode(example["input_ids"]) for example in made)
                assert all(row["text"][:40] in whole for row in given[:3]), f"{name}: {whole[:200]!r}"
            elif config != "llava":
                assert len(made) == len(given), f"{name}: {len(made)} of {len(given)} rows tokenised"
                for row, example in zip(given, made, strict=True):
                    check_tokens(row, example, stage, tokenizer, name)
            print(f"{folder.name:10} {name:26} stage {stage:4} {len(aligned):3} rows", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
