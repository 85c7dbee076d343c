"""Seeds files: our own layout, Self-Instruct's, plain Alpaca; told apart row by row.

    {"id": "general-001", "category": "classification", "is_classification": true,
     "instruction": "Is the integer prime or composite?", "input": "91", "output": "composite"}

Self-Instruct's rows have `instances`, a list of {"input", "output"}, in place of `input` and `output`; Alpaca's have
no more than `instruction`, `input` and `output`. The file is anything that `files.iter_rows` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from instructgen.errors import DataError, SeedError
from instructgen.files import bundled_dir, data_files, iter_rows
from instructgen.records import Instance, Seed

KEYS = ("instruction", "input", "output", "instances", "is_classification", "category", "language", "licence")
"""What is read of a row, beside `id`. Other columns, such as Self-Instruct's `name`, are passed over."""

_LOOKALIKE = 0.8
"""Similarity (difflib ratio, 0..1) from which an unknown key is taken for a misspelt one: "imput" has 0.8."""

_SHOWN = 60
"""Characters of a wrong value that a message shows."""


def load_seeds(path: Path | str) -> list[Seed]:
    """Read a seeds file, or all data files of a folder. Seeds without an id get its name and their line:
    `mine.jsonl` line 3 -> "mine-3"; in a folder the numbers run on through its files.

    A row may have no output at all (an instruction alone); an input without its output is an error.

    A path that does not exist is looked for among the bundled ones.

    Example: load_seeds("seeds/general.jsonl")[0].instruction
    Raises: SeedError for a file that is missing, empty or broken, and for the first row that is no seed, naming file,
    line (row number in JSON and Parquet), value, expectation and next move.
    """
    path = Path(path)
    bundled = bundled_dir("seeds") / str(path).removeprefix("seeds/")
    if not path.exists() and bundled.is_file():
        path = bundled
    seeds: list[Seed] = []
    first_use: dict[str, str] = {}
    before = 0
    try:
        if path.is_file() and path.stat().st_size == 0:
            _none_in(path)
        for file in data_files(path) if path.is_dir() else [path]:
            number = 0
            for number, row in iter_rows(file):
                place = f"{file}:{number}"
                seed = _Row(path, before + number, row, place).seed()
                if seed.id in first_use:
                    raise SeedError(
                        f"{place}: id {seed.id!r} is taken by {first_use[seed.id]}; expected an id of its own. "
                        "Rename one of the two, or leave the ids out to get them made"
                    )
                first_use[seed.id] = place
                seeds.append(seed)
            before += number
    except DataError as error:
        raise SeedError(f"{error}. Correct the seeds file, or name another one") from error
    if not seeds:
        _none_in(path)
    return seeds


def _none_in(path: Path) -> NoReturn:
    raise SeedError(
        f"{path}: holds no seeds; expected at least one line such as "
        '{"instruction": "...", "input": "", "output": "..."}. `instructgen init DIR` writes a file to start from'
    )


@dataclass(frozen=True)
class _Row:
    """One row on its way to a seed; every complaint knows its place."""

    path: Path
    number: int
    row: Mapping[str, Any]
    place: str
    """The file and the line in it."""

    def seed(self) -> Seed:
        self._spelling()
        instruction = self._text(self.row, "instruction")
        if not instruction.strip():
            self._fail(
                f"instruction is {'empty' if 'instruction' in self.row else 'missing'}, expected the task in words. "
                f"Write one, or remove the line (its keys: {', '.join(map(str, self.row)) or 'none'})"
            )
        return Seed(
            id=self._id(),
            instruction=instruction,
            instances=self._instances(),
            is_classification=self._flag("is_classification"),
            category=self._text(self.row, "category"),
            language=self._text(self.row, "language"),
            licence=self._text(self.row, "licence"),
        )

    def _instances(self) -> tuple[Instance, ...]:
        if self.row.get("instances") is None:
            case = self._case(self.row, "")
            return (case,) if case else ()
        given = self.row["instances"]
        if not isinstance(given, list) or not all(isinstance(case, Mapping) for case in given):
            self._wrong("instances", given, 'a list of {"input": "...", "output": "..."}')
        cases = [self._case(case, f"instances[{index}].") for index, case in enumerate(given)]
        return tuple(case for case in cases if case)

    def _case(self, fields: Mapping[str, Any], prefix: str) -> Instance | None:
        text, output = self._text(fields, "input", prefix), self._text(fields, "output", prefix)
        if output.strip():
            return Instance(input=text, output=output)
        if text.strip():
            self._wrong(f"{prefix}output", output, "the answer to the input beside it", "Add it, or remove the input")
        return None

    def _id(self) -> str:
        given = self.row.get("id")
        if given is None or given == "":
            stem = self.path.name.split(".")[0] or "seed"
            return f"{stem}-{self.number}"
        if isinstance(given, bool) or not isinstance(given, str | int):
            self._wrong("id", given, "a text or a whole number")
        return str(given)

    def _text(self, fields: Mapping[str, Any], key: str, prefix: str = "") -> str:
        value = fields.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self._wrong(f"{prefix}{key}", value, "a text", "Put it in quotes, or take it out")
        return value

    def _flag(self, key: str) -> bool | None:
        value = self.row.get(key)
        if value is not None and not isinstance(value, bool):
            self._wrong(key, value, "true, false or null", "Write it without quotes")
        return value

    def _spelling(self) -> None:
        """Refuse a key that looks like a misspelt one: what stands under it would be lost without a word."""
        absent = [key for key in KEYS if key not in self.row]
        for key in self.row.keys() - KEYS:
            if near := get_close_matches(str(key), absent, n=1, cutoff=_LOOKALIKE):
                self._fail(f"unknown key {key!r}; did you mean {near[0]!r}? Rename it")

    def _wrong(self, key: str, value: object, expected: str, move: str = "Correct it") -> NoReturn:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        self._fail(f"{key} is {shown}, expected {expected}. {move}")

    def _fail(self, problem: str) -> NoReturn:
        raise SeedError(f"{self.place}: {problem}")
