"""Super-NaturalInstructions: one JSON file a task, checked, and read as rows for the pack `super_ni`.

    {"Definition": ["..."], "Positive Examples": [{"input": "", "output": "", "explanation": ""}],
     "Negative Examples": [...], "Instances": [{"id": "task001-1", "input": "...", "output": ["..."]}]}

The rules are those of the released checks (allenai/natural-instructions, `src/test_all.py`) where its messages and its
asserts agree, and its asserts where they do not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from instructgen.errors import DataError
from instructgen.files import loads, read_text

REQUIRED = ("Definition", "Positive Examples", "Negative Examples", "Instances", "Input_language", "Output_language",
            "Categories", "Source")  # fmt: skip
FEWEST, MOST = 26, 6500
"""Instances that a task may have."""
FEW_CLASSES, ENTROPY = 15, 0.8
"""Below so many different outputs, their normalised entropy must exceed this: no class may dominate."""


def is_task(data: object) -> bool:
    """Tell whether parsed JSON has the shape of a task."""
    return isinstance(data, Mapping) and "Definition" in data and "Instances" in data


def load_task(path: Path) -> dict[str, Any]:
    """Read a task. Raises: DataError for what is not one."""
    try:
        data = loads(read_text(path).encode())
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not is_task(data):
        raise DataError(f"{path}: expected a Super-NaturalInstructions task with Definition and Instances")
    return dict(data)


def task_rows(data: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield one row an instance: definition, positive, negative, input, answers, id.

    Definitions are given as a list of one, in old files as a text.
    """
    definition = data["Definition"]
    shared = {
        "definition": " ".join(definition) if isinstance(definition, list) else definition,
        "positive": data.get("Positive Examples") or [],
        "negative": data.get("Negative Examples") or [],
    }
    for number, instance in enumerate(data["Instances"]):
        output = instance.get("output")
        answers = output if isinstance(output, list) else [output]
        yield {
            **shared,
            "input": instance.get("input"),
            "answers": answers,
            "id": instance.get("id", f"{name}-{number}"),
        }


def problems(path: Path) -> list[str]:
    """Return which rules a task file breaks."""
    data = load_task(path)
    missing = [key for key in REQUIRED if key not in data]
    found = [f"misses the key {key!r}" for key in missing]
    if path.name != path.name.lower():
        found.append("its file name is not in lower case")
    return found + _instance_problems(data) + _example_problems(data)


def _instance_problems(data: Mapping[str, Any]) -> list[str]:
    instances = data["Instances"]
    found = []
    if not FEWEST <= len(instances) <= MOST:
        found.append(f"{len(instances)} instances, expected {FEWEST} to {MOST}")
    inputs = Counter(str(one.get("input")) for one in instances)
    twice = [text for text, count in inputs.items() if count > 1]
    if twice:
        found.append(f"{len(twice)} inputs occur more than once, e.g. {twice[0]!r:.60}")
    bad = [one for one in instances if not _is_texts(one.get("output"))]
    if bad:
        found.append(f"{len(bad)} outputs are not lists of texts, e.g. {str(bad[0].get('output'))!r:.60}")
    outputs = Counter(str(one["output"][0]) for one in instances if _is_texts(one.get("output")))
    if len(outputs) == 1:
        found.append(f"all outputs are {next(iter(outputs))!r:.60}")
    elif len(outputs) < FEW_CLASSES and outputs:
        spread = entropy(outputs)
        if spread <= ENTROPY:
            found.append(
                f"the {len(outputs)} outputs are uneven: normalised entropy {spread:.2f}, expected above {ENTROPY}"
            )
    return found


def entropy(counts: Counter[str]) -> float:
    """Return the entropy of counts over its maximum, 0..1. Example: {"yes": 1, "no": 1} -> 1.0."""
    total = counts.total()
    return -sum(n / total * math.log(n / total) for n in counts.values()) / math.log(len(counts))


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, str) and part for part in value)


def _example_problems(data: Mapping[str, Any]) -> list[str]:
    found = []
    positive, negative = data.get("Positive Examples") or [], data.get("Negative Examples") or []
    for name, examples, fewest in (("positive", positive, 2), ("negative", negative, 1)):
        if len(examples) < fewest:
            found.append(f"{len(examples)} {name} examples, expected at least {fewest}")
        found += [
            f"{name} example {i + 1} has no explanation" for i, one in enumerate(examples) if not one.get("explanation")
        ]
    inputs = {str(one.get("input")) for one in data["Instances"]}
    used = [one for one in positive if str(one.get("input")) in inputs]
    if used:
        found.append(f"{len(used)} positive examples are instances as well")
    languages = [one for one in data.get("Input_language", []) if one != "English"]
    definition = str(data["Definition"])
    found += [f"the definition does not name the language {one!r}" for one in languages if one not in definition]
    return found
