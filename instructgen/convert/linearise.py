"""Structure into words: tables, triples, dialogues, slots, spans, SQL schemas; and back, where a label hides in them.

    table({"columns": ["city", "people"], "rows": [["Oslo", 700000]]}) -> "col : city | people row 1 : Oslo | 700000"
    spans([{"text": "Oslo", "type": "place"}])                         -> "Oslo (place)"

The forms of tables, triples and dialogue states follow UnifiedSKG (Xie et al. 2022): structure on one line, parts
divided by " | ", rows counted from 1. Every function is a filter in templates, by its own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

EMPTY = "none"
"""What an empty list is called: an answer that says nothing could not be told from a missing one."""


def _cell(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def table(value: Mapping[str, Any]) -> str:
    """Return a table on one line. `value` has `columns`, and `rows` as lists of cells.

    Example: {"columns": ["a", "b"], "rows": [[1, 2], [3, 4]]} -> "col : a | b row 1 : 1 | 2 row 2 : 3 | 4"
    """
    head = "col : " + " | ".join(_cell(name) for name in value["columns"])
    rows = (f"row {number} : " + " | ".join(map(_cell, row)) for number, row in enumerate(value["rows"], 1))
    return " ".join([head, *rows])


def markdown_table(value: Mapping[str, Any]) -> str:
    r"""Return a table as Markdown; a bar within a cell is written as `\|`.

    Example: {"columns": ["a"], "rows": [[1]]} -> "| a |\n| --- |\n| 1 |"
    """
    lines = [value["columns"], ["---"] * len(value["columns"]), *value["rows"]]
    return "\n".join("| " + " | ".join(_cell(cell).replace("|", r"\|") for cell in line) + " |" for line in lines)


def record_text(value: Mapping[str, Any]) -> str:
    """Return one record as `name: value` pairs. Example: {"name": "Oslo", "people": 7} -> "name: Oslo; people: 7"."""
    return "; ".join(f"{_cell(name)}: {_cell(cell)}" for name, cell in value.items()) or EMPTY


def triples(value: Sequence[Any]) -> str:
    """Return (subject, relation, object) triples. Example: [["Oslo", "capital of", "Norway"]] ->
    "Oslo | capital of | Norway"; several are divided by " ; ".
    """
    return " ; ".join(" | ".join(_cell(part) for part in _triple(item)) for item in value) or EMPTY


def _triple(item: Any) -> Sequence[Any]:
    if isinstance(item, Mapping):
        return [item["subject"], item["relation"], item["object"]]
    return list(item)


def spans(value: Sequence[Mapping[str, Any]]) -> str:
    """Return typed spans. Example: [{"text": "Oslo", "type": "place"}] -> "Oslo (place)"; divided by "; "."""
    return "; ".join(f"{_cell(span['text'])} ({_cell(span['type'])})" for span in value) or EMPTY


def spans_by_type(value: Sequence[Mapping[str, Any]]) -> str:
    r"""Return typed spans, one line a type. Example: -> "place: Oslo, Bergen\nperson: Ibsen"."""
    found: dict[str, list[str]] = {}
    for span in value:
        found.setdefault(_cell(span["type"]), []).append(_cell(span["text"]))
    return "\n".join(f"{kind}: {', '.join(texts)}" for kind, texts in found.items()) or EMPTY


def pairs(value: Sequence[Any] | Mapping[str, Any]) -> str:
    """Return slots and their values, as in a dialogue state.

    Example: [["area", "north"], ["food", "thai"]] -> "area: north; food: thai"
    """
    items = value.items() if isinstance(value, Mapping) else (_pair(item) for item in value)
    return "; ".join(f"{_cell(name)}: {_cell(said)}" for name, said in items) or EMPTY


def _pair(item: Any) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        return item.get("slot", item.get("name")), item.get("value")
    name, said = item
    return name, said


def turns(value: Sequence[Any]) -> str:
    r"""Return a dialogue, one line a turn.

    Example: [{"speaker": "Ann", "text": "Hi"}, {"speaker": "Bob", "text": "Hello"}] -> "Ann: Hi\nBob: Hello".
    Turns that are plain strings alternate between A and B.
    """
    lines = []
    for number, turn in enumerate(value):
        if isinstance(turn, Mapping):
            lines.append(f"{_cell(turn.get('speaker') or 'AB'[number % 2])}: {_cell(turn.get('text'))}")
        else:
            lines.append(f"{'AB'[number % 2]}: {_cell(turn)}")
    return "\n".join(lines)


def sql_schema(value: Mapping[str, Any]) -> str:
    """Return a database schema as in UnifiedSKG's text-to-SQL tasks.

    Example: {"id": "zoo", "tables": {"animal": ["id", "name"]}} -> "| zoo | animal : id , name"
    """
    tables = (f"{_cell(name)} : {' , '.join(map(_cell, columns))}" for name, columns in value["tables"].items())
    return " | ".join([f"| {_cell(value['id'])}", *tables])


def listed(value: Sequence[Any], separator: str = ", ") -> str:
    """Return a list in a line; an empty one as "none". Example: ["a", "b"] -> "a, b"."""
    return separator.join(_cell(part) for part in value) or EMPTY


def one_of(value: Sequence[Any], word: str = "or") -> str:
    """Return a list as a sentence has it. Example: ["a", "b", "c"] -> "a, b or c"."""
    parts = [str(part) for part in value]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}" if parts else EMPTY


def say(value: Sequence[str], words: Mapping[str, str] | None = None, **more: str) -> list[str]:
    """Return a list of names in other words; a name without other words stays.

    Example: ["negative", "neutral"] | say(negative="bad") -> ["bad", "neutral"]
    """
    known = {**(words or {}), **more}
    return [known.get(name, known.get(str(name).lower(), name)) for name in value]


FILTERS: dict[str, Callable[..., Any]] = {
    made.__name__: made
    for made in (table, markdown_table, record_text, triples, spans, spans_by_type, pairs, turns, sql_schema, listed,
                 one_of, say)
}  # fmt: skip

_SPAN = re.compile(r"(.*?) \(([^()]*)\)(?:; |$)", re.DOTALL)


def read_spans(text: str) -> list[dict[str, str]]:
    """Return what `spans` wrote. Example: "Oslo (place)" -> [{"text": "Oslo", "type": "place"}]."""
    made: list[dict[str, str]] = []
    at = 0
    while text != EMPTY and (found := _SPAN.match(text, at)):  # not finditer: what has no end here has none later
        made.append({"text": found[1], "type": found[2]})
        at = found.end()
    return made


def read_triples(text: str) -> list[list[str]]:
    """Return what `triples` wrote, as far as no part holds a divider itself."""
    return [] if text == EMPTY else [item.split(" | ") for item in text.split(" ; ")]


def read_pairs(text: str) -> list[list[str]]:
    """Return what `pairs` wrote, as far as no part holds a divider itself."""
    return [] if text == EMPTY else [list(item.split(": ", 1)) for item in text.split("; ")]
