"""What the consumers are given: a run of the practice recipe, and hand-written rows of the kinds that it lacks.

Texts have quotes, braces, line breaks, other scripts and an emoji, because loaders break there first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Message = dict[str, Any]


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _system(text: str) -> Message:
    return {"role": "system", "content": text}


CHATS = [
    [_system("You answer in one line."), _user("Which sea lies north of Poland?"), _assistant("The Baltic Sea.")],
    [
        _user("Name a prime number."), _assistant("Seven."),
        _user('Now write {"n": 7} as YAML.'), _assistant("n: 7"),
    ],
    [
        _system("Du bist ein höflicher Gärtner."), _user("Wann schneidet man Rosen?"), _assistant("Im März 🌹."),
        _user("Und wie?\n- tief?\n- hoch?"), _assistant("Auf drei bis fünf Augen,\nschräg zur Knospe."),
        _user("Danke!"), _assistant("Gern geschehen."),
    ],
    [_user("把这句话翻译成英文：你好，世界。"), _assistant("Hello, world.")],
    [_user("What does `a if b else c` give when b is false?"), _assistant("`c`.")],
]  # fmt: skip
"""Conversations: system messages, several turns, other scripts."""


def _tool(name: str, **parameters: str) -> dict[str, Any]:
    fields = {key: {"type": kind} for key, kind in parameters.items()}
    schema = {"type": "object", "properties": fields, "required": sorted(fields)}
    return {"type": "function", "function": {"name": name, "description": f"Calls {name}.", "parameters": schema}}


def _call(number: int, name: str, **arguments: Any) -> Message:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None,
            "tool_calls": [{"id": f"call_{number}", "type": "function", "function": function}]}  # fmt: skip


TOOLS = [
    {
        "messages": [
            _user("How warm is it in Oslo?"), _call(1, "weather", city="Oslo"),
            {"role": "tool", "tool_call_id": "call_1", "content": '{"celsius": -3}'}, _assistant("Three below zero."),
        ],
        "tools": [_tool("weather", city="string")],
    },
    {
        "messages": [
            _system("Use the tools."), _user("Add 2 and 40, please."), _call(2, "add", left=2, right=40),
            {"role": "tool", "tool_call_id": "call_2", "content": "42"}, _assistant("That makes 42."),
        ],
        "tools": [_tool("add", left="integer", right="integer"), _tool("weather", city="string")],
    },
    {
        "messages": [_user("Hi"), {**_assistant("Hello."), "weight": 0}, _user("Say it in French."),
                     {**_assistant("Bonjour."), "weight": 1}],
    },
]  # fmt: skip
"""OpenAI rows: calls of tools with different parameters, then turns with weights."""

PAIRS = [
    {"prompt": [_user("What is 2 + 2?")], "chosen": [_assistant("4.")], "rejected": [_assistant("5.")]},
    {
        "prompt": [_system("Be brief."), _user("Who wrote Faust?"), _assistant("Goethe."), _user("When did he die?")],
        "chosen": [_assistant("In 1832.")],
        "rejected": [_assistant("He never did, poets are immortal.")],
    },
    {"prompt": [_user("Nenne eine Farbe.")], "chosen": [_assistant("Grün 🌿.")], "rejected": [_assistant("Vier.")]},
]
"""Pairs, two of them plain questions, one with a system message and several turns."""
QUESTIONS = [pair for pair in PAIRS if len(pair["prompt"]) == 1]
THUMBS = [
    {"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"}
    for pair in PAIRS
    for side in ("chosen", "rejected")
]
STEPS = [
    {"prompt": "Solve 2x + 1 = 7.", "completions": ["2x = 6", "x = 3"], "labels": [True, True]},
    {"prompt": "What is 12 * 12?", "completions": ["12 * 10 = 120", "120 + 20 = 140"], "labels": [True, False]},
]
RANKS = [
    {"prompt": [_user("Name a metal.")],
     "answers": [{"content": "Iron.", "rank": 1, "score": 9.5, "source": "a"},
                 {"content": "Glass.", "rank": 2, "score": 1.0, "source": "b"}]},
]  # fmt: skip
IMAGES = [
    {"id": "a", "image": "images/a.png",
     "conversations": [{"from": "human", "value": "<image>\nWhat is shown?"}, {"from": "gpt", "value": "A red dot."}]},
    {"id": "b", "image": "images/b.png",
     "conversations": [{"from": "system", "value": "Answer in German."},
                       {"from": "human", "value": "Which colour has <image>?"}, {"from": "gpt", "value": "Blau."}]},
    {"id": "c", "images": ["images/c.png"],
     "conversations": [{"from": "human", "value": "<image>\nAnd here?"}, {"from": "gpt", "value": "A line."}]},
    {"id": "d",
     "conversations": [{"from": "human", "value": "What is a pixel?"}, {"from": "gpt", "value": "A dot."}]},
]  # fmt: skip

CHAT_SHAPES = (
    "messages", "sharegpt", "sharegpt_tools", "prompt_completion_chat", "openai", "oasst", "oasst_tree", "sample",
)  # fmt: skip
PAIR_SHAPES = ("preference", "preference_implicit", "openai_preference", "sample")
SOURCES: dict[str, tuple[list[dict[str, Any]], str, tuple[str, ...]]] = {
    "chats": ([{"messages": chat} for chat in CHATS], "messages", CHAT_SHAPES),
    "tools": (TOOLS, "openai", ("openai", "sample")),
    "calls": (TOOLS[:2], "openai", ("sharegpt_tools",)),
    "pairs": (PAIRS, "preference", PAIR_SHAPES),
    "questions": (QUESTIONS, "preference", ("preference_text",)),
    "thumbs": (THUMBS, "unpaired", ("unpaired",)),
    "steps": (STEPS, "stepwise", ("stepwise", "process")),
    "ranks": (RANKS, "ranked", ("ranked",)),
    "images": (IMAGES, "llava", ("llava",)),
}
"""Name -> rows, their shape, and the formats that can hold all of them."""
PRACTICE_SHAPES = (
    "alpaca", "dolly", "flan", "messages", "openai", "prompt_completion", "prompt_completion_chat", "self_instruct",
    "sharegpt", "sharegpt_tools", "super_ni", "text", "ultrachat", "unnatural",
)  # fmt: skip
"""Formats that hold what the practice recipe makes: single turns, some with an input."""


def write(name: str, path: Path) -> None:
    """Write the rows of a source as JSONL."""
    rows = SOURCES[name][0]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
