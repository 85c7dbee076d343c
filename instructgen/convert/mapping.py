"""Which column plays which role: known layouts first, then likely names; what stays open is asked, never guessed.

choose(pack, ["sentence", "stars"], rows, given={"text": "sentence", "label": "stars"})
-> Mapping(roles={"text": "sentence", "label": "stars"}, labels=("1", "2", ...), why={...})
"""

from __future__ import annotations

import re
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from instructgen.convert.bank import Pack
from instructgen.convert.classes import name_classes, spelled
from instructgen.convert.jinja import Unrenderable
from instructgen.convert.layouts import ALIASES, LANGUAGES, LAYOUTS, TASK_ALIASES, Layout
from instructgen.convert.questions import Open, Unsure
from instructgen.convert.render import Batch
from instructgen.convert.sources import Chunk
from instructgen.convert.values import UNLABELLED, Reader, as_kind, at, columns_of
from instructgen.errors import DataError, suggestion
from instructgen.records import scrub

_PLAIN = re.compile(r"^\w+$")
"""A path that is a column and nothing else."""


@dataclass
class Mapping:
    """The columns of a dataset in the roles of a task."""

    pack: Pack
    roles: dict[str, str]
    labels: tuple[str, ...] | None = None
    """Names of the classes; `None` when the rows bring their own choices, or the task has none."""
    values: dict[str, int] = field(default_factory=dict)
    """What stands in the label column, as text -> position in `labels`."""
    why: dict[str, str] = field(default_factory=dict)
    """Role -> how it was found, for people."""
    tag_names: tuple[str, ...] | None = None
    first: int = 0
    """The number of the first of a row's own choices, where a label is a number."""

    def __post_init__(self) -> None:
        self._readers: dict[str, Reader] = {role: at(path, self.tag_names) for role, path in self.roles.items()}
        self._label = self.pack.label_field if self.pack.label_field in self.roles else None
        self._own = self.pack.choices_field
        self._by_value = _ByValue(self.values)
        self._plain = [role for role in self.pack.fields if role != self._label]

    def take(self, row: AnyMapping[str, Any]) -> tuple[dict[str, Any], int | None]:
        """Return a row in roles, and the position of its label.

        Raises: Unrenderable: `missing_column`, `null_field`, `wrong_type`, `unlabelled`, `label_unknown`.
        """
        made: dict[str, Any] = {}
        for role in self._plain:
            rule, reader = self.pack.fields[role], self._readers.get(role)
            value = as_kind(rule.kind, reader(row)) if reader is not None else None
            if value is None and not rule.optional:
                raise self._lacking(role, row)
            made[role] = value
        if self._label is None:
            return made, None
        position = self._position(row, made)
        names = self.labels if self.labels is not None else made[self._own or ""]
        made[self._label] = names[position]
        return made, position

    def take_all(self, chunk: Chunk) -> tuple[Sequence[int], Batch, list[tuple[int, Unrenderable]]]:
        """Return the numbers of the rows that can be read, these rows as columns, and the others with their reason."""
        fast = self._take_columns(chunk)
        if fast is not None:
            return chunk.numbers, fast, []
        numbers, rows, positions, refused = [], [], [], []
        for number, row in zip(chunk.numbers, chunk.rows, strict=True):
            try:
                made, position = self.take(row)
            except Unrenderable as problem:
                refused.append((number, problem))
                continue
            numbers.append(number)
            rows.append(made)
            positions.append(position)
        return numbers, self.batch(rows, positions), refused

    def _take_columns(self, chunk: Chunk) -> Batch | None:
        """Return rows as columns where each role is a plain text column; `None` where any row needs a closer look."""
        columns: dict[str, list[Any]] = {}
        try:
            for role in self._plain:
                path = self.roles.get(role)
                if path is None:
                    columns[role] = [None] * len(chunk)
                elif self.pack.fields[role].kind == "text" and _PLAIN.match(path):
                    columns[role] = list(map(str.strip, chunk.column(path)))
                else:
                    return None
                if not _whole(columns[role]):
                    return None
            if self._label is None:
                return Batch(len(chunk), columns)
            path, names = self.roles[self._label], self.labels
            if names is None or not _PLAIN.match(path):
                return None
            ids = list(map(self._by_value.__getitem__, chunk.column(path)))
        except (KeyError, TypeError):  # another column, a null, a number, an unknown label: told row by row
            return None
        columns[self._label] = list(map(names.__getitem__, ids))
        return Batch(len(chunk), columns, ids)

    def _lacking(self, role: str, row: AnyMapping[str, Any]) -> Unrenderable:
        missing = sorted(columns_of(self.roles[role]) - row.keys())
        if missing:
            return Unrenderable("missing_column", f"the row has no {missing}; it has {sorted(row)[:20]}")
        return Unrenderable("null_field", f"{self.roles[role]} is null or empty")

    def _position(self, row: AnyMapping[str, Any], made: AnyMapping[str, Any]) -> int:
        path = self.roles[self._label or ""]
        value = self._readers[self._label or ""](row)
        if value is None and not columns_of(path) <= row.keys():
            raise self._lacking(self._label or "", row)
        word = spelled(value)
        if self.labels is None:
            return self._own_position(value, row)
        if word in self.values:
            return self.values[word]
        if word.lower() in UNLABELLED:
            raise Unrenderable("unlabelled", f"{path} is {value!r}")
        raise Unrenderable("label_unknown", f"{path} is {value!r}, known are {sorted(self.values)[:20]}")

    def _own_position(self, value: Any, row: AnyMapping[str, Any]) -> int:
        """Return the position of the right one among a row's own choices; those that are null do not count."""
        path, said = self.roles[self._own or ""], self.roles[self._label or ""]
        choices = _with_nulls(self._readers[self._own or ""](row))
        parts = path.split("+")
        if said in parts and len(parts) > 1:
            position = parts.index(said)
        else:
            position = _gold(value, choices, _names_of(row, path), self.first)
        if not choices[position]:
            raise Unrenderable("null_field", f"the right choice, number {position + 1} of {path}, is null or empty")
        return position - choices[:position].count(None)

    def batch(self, rows: Sequence[dict[str, Any]], positions: Sequence[int | None]) -> Batch:
        """Return rows in roles as columns."""
        columns = {role: [row[role] for row in rows] for role in self.pack.fields if not rows or role in rows[0]}
        known = [position for position in positions if position is not None]
        return Batch(len(rows), columns, known if self._label is not None else None)

    def shown(self) -> list[str]:
        """Return lines that tell people which column plays which role, and what the classes are called."""
        lines = [f"  {role:<16} <- {path}   ({self.why.get(role, 'given')})" for role, path in self.roles.items()]
        unused = [role for role in self.pack.fields if role not in self.roles]
        if unused:
            lines.append(f"  not there: {', '.join(unused)}")
        if self.labels is not None:
            said = ", ".join(f"{value}={self.labels[at]}" for value, at in self._spellings())
            lines.append(f"  classes: {said}")
        return lines

    def _spellings(self) -> list[tuple[str, int]]:
        """Return the first spelling of each class that differs from its name, or else the name."""
        found: dict[int, str] = {}
        for value, position in self.values.items():
            if self.labels is not None and value != self.labels[position]:
                found.setdefault(position, value)
        return [(found.get(position, name), position) for position, name in enumerate(self.labels or ())]


def _whole(values: Sequence[str | None]) -> bool:
    """Tell whether texts are what `text_of` would make of them: not empty, without lone surrogates."""
    if values and values[0] is None:
        return True
    texts = cast("Sequence[str]", values)
    return all(texts) and (all(map(str.isascii, texts)) or all(scrub(text) is text for text in texts))


class _ByValue(dict[Any, int]):
    """Label value -> position, by the value itself: looked up by its spelling once."""

    def __init__(self, values: dict[str, int]) -> None:
        super().__init__()
        self._values = values

    def __missing__(self, value: Any) -> int:
        position = self[value] = self._values[spelled(value)]
        return position


def _names_of(row: AnyMapping[str, Any], path: str) -> list[str]:
    """Return what the choices of a row are called, where it says: the letters of ARC, the columns A to D."""
    value = at(path)(row)
    if isinstance(value, dict) and isinstance(value.get("label"), list):
        return [str(name) for name in value["label"]]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [str(part.get("label", "")) for part in value]
    return path.split("+") if "+" in path else []


def _with_nulls(value: Any) -> list[str | None]:
    """Return a row's choices at their places, those that are null too."""
    parts = value["text"] if isinstance(value, AnyMapping) else value
    parts = [part.get("text") if isinstance(part, AnyMapping) else part for part in parts]
    return [None if part is None else str(part).strip() for part in parts]


def _gold(value: Any, choices: Sequence[str | None], names: Sequence[str], first: int = 0) -> int:
    """Return which of a row's choices is right: said by its name, its words, a letter, or a position.

    A number that is not written as text is never words: 1 of ["4", "0", "1"] is "0". `first` counts from 0 or 1.
    """
    word = spelled(value)
    if not word or word == "-1":
        raise Unrenderable("unlabelled", f"the right choice is {word!r}")
    if word in names:
        return list(names).index(word)
    by_position = word.isdecimal() and (first > 0 or not isinstance(value, str))
    if not by_position and choices.count(word) == 1:
        return list(choices).index(word)
    if len(word) == 1 and word.isascii() and word.isalpha() and ord(word.upper()) - 65 < len(choices):
        return ord(word.upper()) - 65
    if word.isdecimal() and 0 <= int(word) - first < len(choices):
        return int(word) - first
    raise Unrenderable("label_unknown", f"{word!r} is none of {list(choices)[:10]}")


def _first_number(mapping: Mapping, rows: Sequence[AnyMapping[str, Any]], layout: Layout | None) -> int:
    """Return from where numbers count choices: as the layout says, or else 0.

    Raises: DataError for labels 1 to n that no layout speaks of: whether they count from 1 is not guessed.
    """
    label, own = mapping.pack.label_field or "", mapping.pack.choices_field or ""
    if label not in mapping.roles or own not in mapping.roles:
        return 0
    said, path = mapping.roles[label], mapping.roles[own]
    if layout is not None and (layout.roles.get(label), layout.roles.get(own)) == (said, path):
        return layout.first
    if said in path.split("+"):
        return 0
    from_one = False
    for row in rows:
        word, value = spelled(at(said)(row)), at(path)(row)
        if word.lower() in UNLABELLED or not (
            isinstance(value, list) or (isinstance(value, AnyMapping) and "text" in value)
        ):
            continue
        choices = _with_nulls(value)
        if not word.isdecimal() or int(word) == 0 or word in _names_of(row, path) or int(word) > len(choices):
            return 0
        from_one = from_one or (int(word) == len(choices) and word not in choices)
    if from_one:
        raise DataError(f"column {said!r} holds numbers from 1 to the number of choices, never 0; whether they count "
                        "from 1 cannot be told. Write letters (A, B, ...) or the words of the right choice "
                        "instead")  # fmt: skip
    return 0


def choose(
    pack: Pack,
    columns: Sequence[str],
    rows: Sequence[AnyMapping[str, Any]],
    given: AnyMapping[str, str] | None = None,
    class_names: AnyMapping[str, Sequence[str]] | None = None,
    labels: AnyMapping[str, str] | None = None,
) -> Mapping:
    """Find the mapping of a dataset.

    `rows` are the first rows, `given` what the user said (role -> path), `class_names` the names that the dataset
    itself gives to a column's numbers, `labels` the user's names (value -> name).
    Raises: Unsure when roles stay open; DataError for a role or column that does not exist.
    """
    given = dict(given or {})
    _check_given(pack, columns, given)
    layout = _layout_for(pack, columns, rows, given)
    roles = dict(given)
    why = dict.fromkeys(given, "given")
    if layout is not None:
        for role, path in layout.roles.items():
            if role not in roles and role in pack.fields:
                roles[role], why[role] = path, f"layout of {layout.name}"
    if pack.task == "translation":
        _translation(columns, rows, roles, why)
    _by_name(pack, columns, roles, why)
    _require(pack, columns, roles)
    roles = {role: roles[role] for role in pack.fields if role in roles}
    mapping = Mapping(pack, roles, why=why, tag_names=_tags(roles, class_names or {}, labels))
    name_classes(mapping, rows, layout, class_names or {}, labels)
    mapping.first = _first_number(mapping, rows, layout)
    return mapping


def _check_given(pack: Pack, columns: Sequence[str], given: AnyMapping[str, str]) -> None:
    for role, path in given.items():
        if role not in pack.fields:
            raise DataError(
                f"--map {role}={path}: task {pack.task!r} has no field {role!r}{suggestion(role, pack.fields)}"
            )
        for column in sorted(columns_of(path)):
            if column not in columns and path not in columns:
                raise DataError(
                    f"--map {role}={path}: the dataset has no column {column!r}{suggestion(column, columns)}"
                )


def _layout_for(
    pack: Pack, columns: Sequence[str], rows: Sequence[AnyMapping[str, Any]], given: AnyMapping[str, str]
) -> Layout | None:
    """Return the known layout with the most columns that reads at least half of the rows looked at."""
    fitting = [one for one in LAYOUTS if one.task == pack.task and one.columns <= set(columns)]
    for layout in sorted(fitting, key=lambda one: -len(one.columns)):
        readers = [at(path) for role, path in layout.roles.items() if role in pack.fields and role not in given]
        readers = readers if all("/" not in path for path in layout.roles.values()) else []
        read = sum(all(reader(row) is not None for reader in readers) for row in rows)
        if read * 2 >= len(rows):
            return layout
    return None


def _translation(
    columns: Sequence[str], rows: Sequence[AnyMapping[str, Any]], roles: dict[str, str], why: dict[str, str]
) -> None:
    """Read WMT's `translation: {de: ..., en: ...}`, and pairs of columns that are named by language codes."""
    first = rows[0] if rows else {}
    pair = first.get("translation")
    prefix, codes = ("translation.", list(pair)) if isinstance(pair, dict) else ("", list(columns))
    codes = [code for code in codes if code.split("_")[0].split("-")[0] in LANGUAGES]
    if len(codes) == 2 and "text" not in roles and "translation" not in roles:
        for role, path in (("text", prefix + codes[0]), ("translation", prefix + codes[1])):
            roles[role], why[role] = path, "named by language"
    for role, side in (("source_language", "text"), ("target_language", "translation")):
        code = roles.get(side, "").rsplit(".", 1)[-1].split("_")[0].split("-")[0]
        if role not in roles and code in LANGUAGES:
            roles[role], why[role] = f"={LANGUAGES[code]}", f"code {code}"


def _by_name(pack: Pack, columns: Sequence[str], roles: dict[str, str], why: dict[str, str]) -> None:
    lower = {column.lower(): column for column in columns}
    taken = {column for path in roles.values() for column in columns_of(path)}
    for role in sorted(pack.fields, key=lambda name: pack.fields[name].optional):
        words = TASK_ALIASES.get((pack.task, role), ALIASES.get(role, role)).split()
        found = next((lower[word] for word in words if word in lower and lower[word] not in taken), None)
        if role not in roles and found is not None:
            roles[role], why[role] = found, "by its name"
            taken.add(found)


def _require(pack: Pack, columns: Sequence[str], roles: AnyMapping[str, str]) -> None:
    taken = {column for path in roles.values() for column in columns_of(path)}
    free = tuple(column for column in columns if column not in taken) or tuple(columns)
    questions = [
        Open(role, rule.about or rule.kind, free)
        for role, rule in pack.fields.items() if not rule.optional and role not in roles
    ]  # fmt: skip
    if not questions:
        return
    said = "; ".join(f"{question.role} ({question.about})" for question in questions)
    example = ",".join(f"{question.role}={free[0] if free else 'COLUMN'}" for question in questions)
    known = "".join(f" {role}={path}" for role, path in roles.items())
    raise Unsure(
        f"task {pack.task!r}: no column could be told for {said}. Columns: {', '.join(columns)}."
        f"{' Found:' + known + '.' if known else ''} Say which, e.g. --map {example}",
        questions,
    )


def _tags(
    roles: AnyMapping[str, str], class_names: AnyMapping[str, Sequence[str]], labels: AnyMapping[str, str] | None
) -> tuple[str, ...] | None:
    for path in roles.values():
        if "/" in path and not path.startswith("="):
            names = class_names.get(path.split("/")[1])
            return tuple(names) if names else tuple(labels.values()) if labels else None
    return None
