"""What a consumer needs to know of an exported folder. Standard library alone: this runs where the trainers are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ABOUT = frozenset({"id", "role", "from", "type", "weight", "tool_call_id", "image", "source", "category"})
"""Keys of a row whose values are not text to train on."""


def folders(data: Path) -> list[Path]:
    """Return the finished exports below a folder."""
    found = sorted(path.parent for path in data.glob("*/manifest.json"))
    assert found, f"{data}: no export in it"
    return found


def configs(folder: Path) -> dict[str, dict[str, int]]:
    """Return config -> split -> rows, as the manifest says."""
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["configs"]


def rows(folder: Path, config: str, split: str = "train") -> list[dict[str, Any]]:
    """Return the JSONL rows of a config."""
    lines = (folder / "jsonl" / f"{config}-{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def snippets(folder: Path, module: str) -> Iterator[str]:
    """Yield the Python blocks of the card that import a module."""
    for block in _PYTHON.findall((folder / "README.md").read_text(encoding="utf-8")):
        if f"from {module}" in block:
            yield block


def texts(value: Any, key: str = "") -> list[str]:
    """Return the texts of a row that training must not lose, in order."""
    if isinstance(value, dict):
        return [text for name, part in value.items() if name not in _ABOUT for text in texts(part, name)]
    if isinstance(value, list):
        return [text for part in value for text in texts(part, key)]
    return [value] if isinstance(value, str) and value else []


def said_by_assistant(row: dict[str, Any]) -> list[str]:
    """Return the assistant's texts in a chat row of any spelling."""
    return [
        turn.get("content") or turn.get("value") or ""
        for turn in row.get("messages") or row["conversations"]
        if turn.get("role", turn.get("from")) in ("assistant", "gpt")
    ]


def said_by_user(row: dict[str, Any]) -> list[str]:
    """Return the user's texts in a chat row of any spelling."""
    turns = row.get("messages") or row["conversations"]
    return [
        turn.get("content") or turn["value"]
        for turn in turns
        if turn.get("role", turn.get("from")) in ("user", "human")
    ]


def corpus(data: Path) -> list[str]:
    """Return every text of every folder, to train a tokenizer on."""
    return [
        text
        for folder in folders(data)
        for config in configs(folder)
        for row in rows(folder, config)
        for text in texts(row)
    ]


def lost(row: Any, seen: str, config: str = "") -> list[str]:
    """Return the texts of a row that a loaded example has lost.

    Tools and calls stand in a prompt as JSON of the template's making, so of those only the names are looked for.
    """
    if isinstance(row, dict) and isinstance(row.get("tools"), str):
        said = [turn["value"] for turn in row["conversations"] if turn["from"] != "function_call"]
        called = [turn["value"] for turn in row["conversations"] if turn["from"] == "function_call"]
        tools = json.loads(row["tools"] or "[]") + [json.loads(text) for text in called]
        return lost(said, seen) + [tool["name"] for tool in tools if tool["name"] not in seen]
    if config != "openai":
        return [text for text in texts(row) if text not in seen]
    plain = [{key: value for key, value in turn.items() if key != "tool_calls"} for turn in row["messages"]]
    names = [tool["function"]["name"] for tool in row.get("tools") or ()]
    return lost(plain, seen) + [name for name in names if f'"{name}"' not in seen]
