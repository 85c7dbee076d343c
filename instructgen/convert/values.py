"""What a row holds, as the kind of value that templates expect.

as_kind("answers", {"text": ["Oslo"], "answer_start": [3]}) -> ["Oslo"]
as_kind("pairs", {"area": "north", "food": None})           -> [["area", "north"]]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from instructgen.convert.jinja import Unrenderable
from instructgen.records import scrub

UNLABELLED = frozenset({"", "-", "-1", "nan", "null"})
"""Spellings of "no label": test rows carry -1, SNLI's files carry "-". "none" is one among numbers only."""


def as_kind(kind: str, value: Any) -> Any:
    """Return a value as the kind that templates expect, or `None` where there is none.

    Raises: Unrenderable (`wrong_type`) with what was found, for a value that cannot be one.
    """
    if value is None:
        return None
    try:
        return _KINDS[kind](value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unrenderable("wrong_type", f"expected {kind}, found {str(value)!r:.100}") from error


def text_of(value: Any) -> str | None:
    """Return a stripped text; tokens are joined, the first of several alternatives is taken. Empty counts as none."""
    if type(value) is str:
        return scrub(value.strip()) or None
    if isinstance(value, list):
        words = [str(part) for part in value if part is not None]
        return scrub(" ".join(words).strip()) or None
    if isinstance(value, Mapping):
        raise TypeError("a record is not a text")
    return str(value)


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise TypeError("a truth value is not a number")
    return value if isinstance(value, int | float) else float(str(value).replace(",", ""))


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):  # choices of commonsense_qa, answers of SQuAD
        value = value["text"] if "text" in value else list(value.values())
    if isinstance(value, str):
        parts: Iterable[Any] = (part.strip() for part in re.split(r"[;\n]|,(?=\s)", value.strip()))
        return [str(part) for part in parts if part]
    return [made for part in value if (made := text_of(part)) is not None]


def _answers(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        value = value.get("text", value.get("aliases", list(value.values())))
    if not isinstance(value, list):
        made = text_of(value)
        return [made] if made else []
    return list(dict.fromkeys(_texts(value)))


def _choices(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        value = value["text"]
    if not isinstance(value, list):
        raise TypeError("expected a list")
    parts = [part.get("text") if isinstance(part, Mapping) else part for part in value]
    return [str(part).strip() for part in parts if part is not None]


def _spans(value: Any) -> list[dict[str, str]]:
    if isinstance(value, Mapping):
        value = [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    kinds = ("type", "label", "entity_group", "tag")
    words = ("text", "word", "name", "entity", "mention")
    return [{"text": str(_any_of(span, words)), "type": str(_any_of(span, kinds))} for span in value]


def _any_of(record: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next(record[key] for key in keys if key in record) if set(keys) & record.keys() else record[keys[0]]


def _triples(value: Any) -> list[list[str]]:
    made = []
    for item in value:
        parts = item
        if isinstance(item, Mapping):
            parts = [_any_of(item, ("subject", "head")), _any_of(item, ("relation", "predicate", "type")),
                     _any_of(item, ("object", "tail"))]  # fmt: skip
        elif isinstance(item, str):
            parts = item.split(" | ")
        if len(parts) != 3:
            raise ValueError("expected three parts")
        made.append([str(part) for part in parts])
    return made


def _pairs(value: Any) -> list[list[str]]:
    if isinstance(value, Mapping):
        return [[str(name), str(said)] for name, said in value.items() if said is not None]
    made = []
    for item in value:
        if isinstance(item, Mapping) and {"text", "type"} <= item.keys():  # spans of slots
            made.append([str(item["type"]), str(item["text"])])
        elif isinstance(item, Mapping):
            made.append([str(_any_of(item, ("slot", "name"))), str(item["value"])])
        else:
            name, said = item
            made.append([str(name), str(said)])
    return made


def _turns(value: Any) -> list[dict[str, str]]:
    if isinstance(value, str):
        lines = [line for line in value.splitlines() if line.strip()]
        value = [dict(zip(("speaker", "text"), _speaker(line), strict=True)) for line in lines]
    made = []
    for turn in value:
        if isinstance(turn, Mapping):
            speaker = turn.get("speaker") or turn.get("role") or turn.get("from") or ""
            text = _any_of(turn, ("text", "content", "value", "utterance"))
            made.append({"speaker": str(speaker), "text": str(text).strip()})
        else:
            made.append({"speaker": "", "text": str(turn).strip()})
    return made


def _speaker(line: str) -> tuple[str, str]:
    found = re.match(r"\s*([^:]{1,30}):\s*(.*)", line)
    return (found[1], found[2]) if found else ("", line.strip())


def _table(value: Any) -> dict[str, Any]:
    if isinstance(value, list):  # records, or rows of which the first is the head
        if value and isinstance(value[0], Mapping):
            columns = list(value[0])
            return {"columns": columns, "rows": [[row.get(name) for name in columns] for row in value]}
        return {"columns": list(value[0]), "rows": [list(row) for row in value[1:]]}
    columns = _any_of(value, ("columns", "header"))
    return {"columns": list(columns), "rows": [list(row) for row in value["rows"]]}


def _record(value: Any) -> dict[str, Any]:
    return {str(name): cell for name, cell in value.items() if cell is not None}


_CREATE = re.compile(r"create\s+table\s+(?:if\s+not\s+exists\s+)?[`\"\[]?(\w+)[`\"\]]?\s*\(", re.IGNORECASE)
_NO_COLUMN = {"primary", "foreign", "unique", "constraint", "check", "key"}


def _schema(value: Any) -> dict[str, Any]:
    """Return {"id": ..., "tables": {name: [column, ...]}} of that shape, of Spider's `tables.json`, or of DDL."""
    if isinstance(value, str):
        return {"id": "db", "tables": _of_ddl(value)}
    name = str(value.get("id", value.get("db_id", "db")))
    if "tables" in value:
        return {"id": name, "tables": {str(table): list(map(str, cells)) for table, cells in value["tables"].items()}}
    tables: dict[str, list[str]] = {str(table): [] for table in value["table_names_original"]}
    names = list(tables)
    for table, column in value["column_names_original"]:
        if table >= 0:  # -1 is the star
            tables[names[table]].append(str(column))
    return {"id": name, "tables": tables}


def _of_ddl(text: str) -> dict[str, list[str]]:
    tables: dict[str, list[str]] = {}
    for found in _CREATE.finditer(text):
        depth, at, parts, start = 1, found.end(), list[str](), found.end()
        while at < len(text) and depth:
            depth += (text[at] == "(") - (text[at] == ")")
            if (text[at] == "," and depth == 1) or not depth:
                parts.append(text[start:at])
                start = at + 1
            at += 1
        words = [part.split()[0].strip('`"[]') for part in parts if part.split()]
        tables[found[1]] = [word for word in words if word.lower() not in _NO_COLUMN]
    if not tables:
        raise ValueError("expected CREATE TABLE statements")
    return tables


def _examples(value: Any) -> list[dict[str, str]]:
    keys = ("input", "output", "explanation")
    return [{key: str(one.get(key) or "").strip() for key in keys} for one in value]


_KINDS: dict[str, Callable[[Any], Any]] = {
    "text": text_of, "number": _number, "choices": _choices, "answers": _answers, "list": _texts, "spans": _spans,
    "triples": _triples, "pairs": _pairs, "turns": _turns, "table": _table, "label": lambda value: value,
    "examples": _examples, "record": _record, "schema": _schema,
}  # fmt: skip
