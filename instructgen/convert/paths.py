"""What of a row plays a role: a column, or a path into it.

    place("answers.text").read({"answers": {"text": ["Oslo"], "answer_start": [3]}}) -> ["Oslo"]

`a.b` goes inside, `a+b+c` collects columns into a list, `a[-1]` and `a[:-1]` take of a list, `=German` is a constant,
`a####before` and `a####after` part a text at the mark of GSM8K, `tokens/tags` joins tokens with BIO tags. A path that
is the whole name of a column is that column, whatever signs it holds; within a longer path such a name stands in
backticks: `` `in/out`+b ``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instructgen.convert.jinja import Unrenderable
from instructgen.errors import DataError

Row = Mapping[str, Any]
Reader = Callable[[Row], Any]
_SLICE = re.compile(r"^(.+)\[(-?\d*)(:?)(-?\d*)\]$")
_QUOTED = re.compile(r"`([^`]*)`")


@dataclass(frozen=True)
class Place:
    """Where a role is read from."""

    path: str
    columns: frozenset[str]
    """The columns that are read."""
    read: Reader
    """Gives `None` for what a row lacks."""
    column: str | None = None
    """The column, where the place is that and nothing else."""
    parts: tuple[Place, ...] = ()
    """The collected ones of `a+b+c`, or tokens and tags."""
    tagged: bool = False


def place(path: str, columns: Collection[str] = (), tags: Sequence[str] | None = None) -> Place:
    """Return what a path of a row means. `columns` are the dataset's, `tags` the names of numbered ones.

    Raises: DataError for a path that cannot be read as one.
    """
    if path in columns and path:
        return _column(path, path)
    if path.startswith("="):
        return Place(path, frozenset(), lambda _: path[1:])
    quoted: list[str] = []

    def kept(found: re.Match[str]) -> str:
        quoted.append(found[1])
        return f"\0{len(quoted) - 1}\0"

    return _parsed(path, _QUOTED.sub(kept, path), quoted, tags)


def _parsed(path: str, text: str, quoted: Sequence[str], tags: Sequence[str] | None) -> Place:
    """Read a path whose quoted names are numbers between NULs: they hold no signs."""

    def name(part: str) -> str:
        return re.sub("\0(\\d+)\0", lambda found: quoted[int(found[1])], part)

    def inner(part: str) -> Place:
        return _parsed(name(part), part, quoted, tags)

    if "+" in text:
        return _together(path, [inner(part) for part in text.split("+")])
    if "####" in text:
        column, _, side = text.partition("####")
        return Place(path, frozenset({name(column)}), _half(name(column), side))
    if "/" in text:
        words, marks = (inner(part) for part in text.split("/", 1))
        return Place(
            path, words.columns | marks.columns, _tagged(words.read, marks.read, tags), None, (words, marks), True
        )
    if found := _SLICE.match(text):
        whole = inner(found[1])
        return Place(path, whole.columns, _slice(whole.read, *found.groups()[1:]))
    if not text:
        raise DataError("a column path is empty; expected a column name, as in --map text=review")
    if "\0" in text or "." not in text:
        steps = [name(step) for step in text.split(".")]
        return _column(path, steps[0]) if len(steps) == 1 else _deep(path, steps)
    return _deep(path, text.split("."))


def _column(path: str, column: str) -> Place:
    return Place(path, frozenset({column}), lambda row: row.get(column), column)


def _deep(path: str, steps: Sequence[str]) -> Place:
    """Go inside; a column whose own name is the path, dots and all, goes first."""
    return Place(path, frozenset({steps[0]}), lambda row: row[path] if path in row else _inside(row, steps))


def _inside(row: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(row, Mapping):
            row = row.get(step)
        elif isinstance(row, list):
            row = [part.get(step) if isinstance(part, Mapping) else None for part in row]
        else:
            return None
    return row


def _together(path: str, parts: Sequence[Place]) -> Place:
    readers = [part.read for part in parts]
    columns = frozenset[str]().union(*(part.columns for part in parts))
    return Place(path, columns, lambda row: [read(row) for read in readers], None, tuple(parts))


def _half(column: str, side: str) -> Reader:
    if side not in ("before", "after"):
        raise DataError(f"path {column}####{side}: expected {column}####before or {column}####after")

    def read(row: Row) -> Any:
        text = row.get(column)
        if not isinstance(text, str) or "####" not in text:
            return None
        before, _, after = text.rpartition("####")
        return re.sub(r"<<[^<>]*>>", "", before) if side == "before" else after  # GSM8K's calculator marks

    return read


def _slice(inner: Reader, start: str, colon: str, stop: str) -> Reader:
    def read(row: Row) -> Any:
        value = inner(row)
        if not isinstance(value, list):
            return None
        if colon:
            return value[int(start) if start else None : int(stop) if stop else None]
        return value[int(start)] if -len(value) <= int(start) < len(value) else None

    return read


def _tagged(words: Reader, tags: Reader, names: Sequence[str] | None) -> Reader:
    def read(row: Row) -> Any:
        tokens, marks = words(row), tags(row)
        if not isinstance(tokens, list) or not isinstance(marks, list):
            return None
        if len(tokens) != len(marks):
            raise Unrenderable("tags_count", f"{len(tokens)} tokens and {len(marks)} tags")
        return bio_spans(tokens, [_tag(mark, names) for mark in marks])

    return read


def _tag(mark: Any, names: Sequence[str] | None) -> str:
    if isinstance(mark, int) and names is not None and 0 <= mark < len(names) and names[mark]:
        return names[mark]
    if isinstance(mark, int):
        raise Unrenderable("label_unknown", f"tag {mark} has no name; name it with --labels {mark}=B-PER,...")
    return str(mark)


def bio_spans(tokens: Sequence[str], tags: Sequence[str]) -> list[dict[str, str]]:
    """Return the spans of BIO (or IO) tags. Example: ["in", "New", "York"], ["O", "B-place", "I-place"] -> New York."""
    spans: list[dict[str, str]] = []
    before = "O"
    for token, tag in zip(tokens, tags, strict=True):
        mark, _, kind = tag.partition("-") if "-" in tag else ("I" if tag != "O" else "O", "", tag)
        if mark != "O":
            if mark in ("B", "S") or before != kind or not spans:
                spans.append({"text": str(token), "type": kind})
            else:
                spans[-1]["text"] += f" {token}"
        before = kind if mark != "O" else "O"
    return spans
