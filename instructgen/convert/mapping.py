"""Rows of a dataset in the roles of a task, each with the position of its label.

Mapping(pack, {"text": "sentence", "label": "stars"}, labels=("1", ..., "5"), values={"1": 0, ..., "5": 4})
.take({"sentence": "Fine.", "stars": 4}) -> ({"text": "Fine.", "label": "4"}, 3)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, cast

from instructgen.convert.bank import Pack
from instructgen.convert.jinja import Unrenderable
from instructgen.convert.paths import Place, place
from instructgen.convert.render import Batch
from instructgen.convert.sources import Chunk
from instructgen.convert.values import UNLABELLED, as_kind
from instructgen.records import scrub


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
    by_place: bool = False
    """Whether labels say by a letter or number which of a row's own choices is right, even where one reads the same."""
    letters: AnyMapping[str, str] = field(default_factory=dict)
    """Label value -> letter of the choice that it means, where the user says so."""
    columns: Collection[str] = ()
    """All columns of the dataset: a path that is one of them is that column, whatever signs it holds."""
    counts: dict[str, int] = field(default_factory=dict)
    """How often each class occurs, where the whole dataset was looked at for that."""
    say: AnyMapping[str, AnyMapping[str, str]] = field(default_factory=dict)
    """Role -> value -> the words that it stands for, where a layout speaks in marks."""
    gold_place: int | None = None
    """Where the right choice always stands, when that is the same place in all rows: such rows need shuffling."""

    def __post_init__(self) -> None:
        self.places: dict[str, Place] = {
            role: place(path, self.columns, self.tag_names) for role, path in self.roles.items()
        }
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
            rule, where = self.pack.fields[role], self.places.get(role)
            value = as_kind(rule.kind, where.read(row)) if where is not None else None
            if value is None and not rule.optional:
                raise self._lacking(role, row)
            if rule.least is not None and value is not None and value < rule.least:
                raise Unrenderable("unlabelled", f"{self.roles[role]} is {value!r}, expected {rule.least:g} or more")
            made[role] = self.say[role].get(str(value), value) if role in self.say else value
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
                where = self.places.get(role)
                if where is None:
                    columns[role] = [None] * len(chunk)
                elif self.pack.fields[role].kind == "text" and where.column and role not in self.say:
                    columns[role] = list(map(str.strip, chunk.column(where.column)))
                else:
                    return None
                if not _whole(columns[role]):
                    return None
            if self._label is None:
                return Batch(len(chunk), columns)
            column, names = self.places[self._label].column, self.labels
            if names is None or not column:
                return None
            ids = list(map(self._by_value.__getitem__, chunk.column(column)))
        except (KeyError, TypeError):  # another column, a null, a number, an unknown label: told row by row
            return None
        columns[self._label] = list(map(names.__getitem__, ids))
        return Batch(len(chunk), columns, ids)

    def _lacking(self, role: str, row: AnyMapping[str, Any]) -> Unrenderable:
        missing = sorted(self.places[role].columns - row.keys())
        if missing:
            return Unrenderable("missing_column", f"the row has no {missing}; it has {sorted(row)[:20]}")
        return Unrenderable("null_field", f"{self.roles[role]} is null or empty")

    def _position(self, row: AnyMapping[str, Any], made: AnyMapping[str, Any]) -> int:
        where = self.places[self._label or ""]
        value = where.read(row)
        if value is None and not where.columns <= row.keys():
            raise self._lacking(self._label or "", row)
        if self.labels is None:
            return self._own_position(value, row)
        if isinstance(value, list) and len(value) > 1:
            raise Unrenderable("several_labels", f"{where.path} is {value!r:.100}, expected one class")
        word = spelled(value)
        if word in self.values:
            return self.values[word]
        if unlabelled(word, self.values):
            raise Unrenderable("unlabelled", f"{where.path} is {value!r}")
        raise Unrenderable("label_unknown", f"{where.path} is {value!r}, known are {sorted(self.values)[:20]}")

    def _own_position(self, value: Any, row: AnyMapping[str, Any]) -> int:
        """Return the position of the right one among a row's own choices; those that are null do not count."""
        said, own = self.roles[self._label or ""], self.places[self._own or ""]
        choices = with_nulls(own.read(row))
        parts = [part.path for part in own.parts]
        position = parts.index(said) if said in parts else self._gold(value, choices, names_of(row, own))
        if not choices[position]:
            raise Unrenderable("null_field", f"the right choice, number {position + 1} of {own.path}, is null or empty")
        return position - choices[:position].count(None)

    def _gold(self, value: Any, choices: Sequence[str | None], names: Sequence[str]) -> int:
        if not self.letters:
            return _gold(value, choices, names, self.first, by_place=self.by_place)
        word = spelled(value)
        if word in self.letters and (position := ord(self.letters[word]) - 65) < len(choices):
            return position
        if word not in self.letters and unlabelled(word, self.letters):
            raise Unrenderable("unlabelled", f"the right choice is {word!r}")
        known = ", ".join(f"{one}={letter}" for one, letter in self.letters.items())
        raise Unrenderable("label_unknown", f"{word!r} of {len(choices)} choices, told are {known}")

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
            said = ", ".join(f"{value}={self.labels[at]}{self._counted(at)}" for value, at in self._spellings())
            lines.append(f"  classes: {said}")
        if self.gold_place is not None:
            lines.append(f"  the right choice is always number {self.gold_place + 1}: choices are shuffled by the seed")
        return lines

    def _counted(self, position: int) -> str:
        return f" ({self.counts[self.labels[position]]:,})" if self.counts and self.labels else ""

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


def spelled(value: Any) -> str:
    """Return how a label value is written: 1.0 as 1, true as True, a list of one as its content."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def is_number(word: str) -> bool:
    """Tell whether a class is spelled as a number."""
    return word.removeprefix("-").replace(".", "", 1).isdecimal()


def unlabelled(word: str, others: Collection[str] = ()) -> bool:
    """Tell whether a label says that there is none. "none" does so among numbers; among words it is a class."""
    low = word.lower()
    return low in UNLABELLED or (low == "none" and bool(others) and all(is_number(o) or o == word for o in others))


def names_of(row: AnyMapping[str, Any], own: Place) -> list[str]:
    """Return what the choices of a row are called, where it says: the letters of ARC, the columns A to D."""
    value = own.read(row)
    if isinstance(value, dict) and isinstance(value.get("label"), list):
        return [str(name) for name in value["label"]]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [str(part.get("label", "")) for part in value]
    return [part.path for part in own.parts]


def with_nulls(value: Any) -> list[str | None]:
    """Return a row's choices at their places, those that are null too."""
    parts = value["text"] if isinstance(value, AnyMapping) else value
    parts = [part.get("text") if isinstance(part, AnyMapping) else part for part in parts]
    return [None if part is None else str(part).strip() for part in parts]


def is_place(word: str) -> bool:
    """Tell whether a label can say where the right choice stands: a letter or a number."""
    return word.isdecimal() or (len(word) == 1 and word.isascii() and word.isalpha())


def _gold(
    value: Any, choices: Sequence[str | None], names: Sequence[str], first: int = 0, *, by_place: bool = False
) -> int:
    """Return which of a row's choices is right: said by its name, its words, a letter, or a position.

    A number that is not written as text is never words: 1 of ["4", "0", "1"] is "0". `first` counts from 0 or 1.
    `by_place`: no letter and no number is words, "A" of ["B", "A"] is "B".
    """
    word = spelled(value)
    if not word or word == "-1":
        raise Unrenderable("unlabelled", f"the right choice is {word!r}")
    if word in names:
        return list(names).index(word)
    by_position = (word.isdecimal() and (first > 0 or not isinstance(value, str))) or (by_place and is_place(word))
    if not by_position and choices.count(word) == 1:
        return list(choices).index(word)
    if len(word) == 1 and word.isascii() and word.isalpha() and ord(word.upper()) - 65 < len(choices):
        return ord(word.upper()) - 65
    if word.isdecimal() and 0 <= int(word) - first < len(choices):
        return int(word) - first
    raise Unrenderable("label_unknown", f"{word!r} is none of {list(choices)[:10]}")
