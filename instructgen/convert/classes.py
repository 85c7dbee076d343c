"""What the classes of a label column are called. Never a guess: by the user, by the dataset itself, by what is known of
a dataset that is recognised, or by their own words; numbers that none of these names are asked.

{"0", "1"} of a review set -> 0=negative, 1=positive;  "neg" -> negative;  0, 1 of an unknown topic set -> Unsure
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Mapping as AnyMapping
from typing import Any

from instructgen.convert.layouts import CODINGS, RENAMED, Coding
from instructgen.convert.mapping import Mapping, is_number, spelled, unlabelled
from instructgen.convert.paths import Place
from instructgen.convert.questions import Unsure
from instructgen.errors import DataError

MOST_CLASSES = 200
"""A column with more different values is not taken for a class."""
STRAY = 0.01
"""Share of the rows whose label may lie outside of a known coding: those rows are rejected one by one."""
Values = Callable[[Place], Iterable[Any]]
"""All values that stand at a place, of the whole dataset."""


def name_classes(
    mapping: Mapping,
    rows: Sequence[AnyMapping[str, Any]],
    class_names: AnyMapping[str, Sequence[str]],
    given: AnyMapping[str, str] | None,
    name: str,
    values: Values | None,
) -> None:
    """Set `labels` and `values`. `name` is the dataset's; `values` reads all of it, where it can be read twice.

    Raises: Unsure for numbers without names, DataError for a column that holds no class.
    """
    role = mapping.pack.label_field
    if role is None or role not in mapping.roles or mapping.pack.choices_field is not None:
        return
    where = mapping.places[role]
    own = class_names.get(where.column or where.path, ())
    if given:
        _check_given(where, given, counted(where, rows, values))
        mapping.why[role] += ", named by --labels"
        _set_classes(mapping, list(given.items()), rename=False)
        return
    if own and not all(is_number(word) for word in own):  # PAWS calls its classes "0" and "1"
        mapping.why[role] += ", named by the dataset"
        own = next((one.names for one in CODINGS if one.spelled == tuple(own)), own)
        _set_classes(mapping, [(str(number), word) for number, word in enumerate(own)])
        return
    found = counted(where, rows, values)
    seen = Counter({word: count for word, count in found.items() if not unlabelled(word, found)})
    _require_classes(where.path, seen)
    coding = known_coding(mapping.pack.task, name, mapping.columns, found)
    if coding is not None:
        mapping.why[role] += f", numbers named as in {coding.name}"
        pairs = [(str(coding.first + number), word) for number, word in enumerate(coding.names)]
    else:
        _require_words(mapping.pack.task, where, found, seen)
        mapping.why[role] += f", classes of the first {len(rows):,} rows" if values is None else ""
        pairs = [(word, word) for word in sorted(seen, key=_in_order)]
    _set_classes(mapping, pairs)
    for word, count in seen.items() if values is not None else ():
        if word in mapping.values and mapping.labels is not None:
            label = mapping.labels[mapping.values[word]]
            mapping.counts[label] = mapping.counts.get(label, 0) + count


def counted(where: Place, rows: Sequence[AnyMapping[str, Any]], values: Values | None) -> Counter[str]:
    """Count the labels as they are spelled, of the whole dataset or of the rows at hand; lists of several do not count.

    It stops at more than `MOST_CLASSES` different ones.
    """
    found = Counter[str]()
    for value in values(where) if values is not None else map(where.read, rows):
        if not (isinstance(value, list) and len(value) > 1):
            found[spelled(value)] += 1
        if len(found) > 2 * MOST_CLASSES:
            break
    return found


def known_coding(task: str, name: str, columns: Collection[str], found: Counter[str]) -> Coding | None:
    """Return what the numbers of a recognised dataset stand for.

    Recognised by its name, then its numbers need not all occur; or by its columns, then all of them must. In both cases
    at most one row in a hundred may hold another number.
    """
    words = f" {' '.join(re.findall('[a-z0-9]+', name.lower()))} "
    for coding in (one for one in CODINGS if one.task == task):
        wanted = [str(coding.first + number) for number in range(len(coding.names))]
        seen = Counter[str]()
        for word, count in found.items():
            word = {"False": "0", "True": "1"}.get(word, word)  # noqa: PLW2901 - truth values are 0 and 1
            if word in wanted or not _no_label(task, word):
                seen[word] += count
        stray = sum(count for word, count in seen.items() if word not in wanted)
        if not seen or stray > STRAY * seen.total():
            continue
        if any(f" {known} " in words for known in coding.datasets):
            return coding
        if any(marks <= set(columns) for marks in coding.columns) and set(wanted) <= seen.keys():
            return coding
    return None


def _no_label(task: str, word: str) -> bool:
    return unlabelled(word, ("0",)) and not (task == "sentiment" and word == "-1")  # -1 may well be "negative"


def _check_given(where: Place, given: AnyMapping[str, str], found: Counter[str]) -> None:
    """Raise: DataError when --labels names nothing that occurs; Unsure when it leaves out numbers that do.

    Words may be left out, to leave a class out; a number left out is more likely forgotten, and one row in a hundred
    may be damaged.
    """
    named = {*given, *given.values()}
    if not found.keys() & named:
        shown = ", ".join(sorted(found, key=_in_order)[:20])
        raise DataError(f"--labels names {', '.join(given)}, but column {where.path!r} holds {shown}")
    seen = Counter({word: count for word, count in found.items() if not unlabelled(word, found)})
    left = {word: count for word, count in seen.items() if word not in named and is_number(word)}
    if sum(left.values()) > STRAY * seen.total() and not ({"True", "False"} & seen.keys()):
        shown = ", ".join(f"{word} ({left[word]:,} rows)" for word in sorted(left, key=_in_order)[:20])
        raise Unsure(
            f"--labels names {', '.join(given)}, but column {where.path!r} also holds {shown}. Name them all", []
        )


def _set_classes(mapping: Mapping, pairs: Sequence[tuple[str, str]], *, rename: bool = True) -> None:
    other = RENAMED.get(mapping.pack.task, {}) if rename else {}
    names = [other.get(name.lower(), name) for _, name in pairs]
    mapping.labels = tuple(dict.fromkeys(names))
    for (value, original), name in zip(pairs, names, strict=True):
        for spelling in (original, value):
            mapping.values[spelling] = mapping.labels.index(name)
    if {"0", "1"} == {value for value, _ in pairs}:
        mapping.values.update({"False": mapping.values["0"], "True": mapping.values["1"]})


def _in_order(word: str) -> tuple[int, float, str]:
    order = {"no": 0, "false": 0, "yes": 1, "true": 1}
    return (0, float(word), word) if is_number(word) else (1, order.get(word.lower(), 0), word)


def _require_classes(path: str, seen: Collection[str]) -> None:
    if not seen:
        raise DataError(f"column {path!r} holds no label in the rows looked at; choose another with --map label=COLUMN")
    if len(seen) > MOST_CLASSES:
        raise DataError(f"column {path!r} has more than {MOST_CLASSES} different values; it is not a class. "
                        "Choose another with --map label=COLUMN")  # fmt: skip


def _require_words(task: str, where: Place, found: AnyMapping[str, int], seen: AnyMapping[str, int]) -> None:
    """Take words for names, and marks of a scale from 1 up (stars, points); ask what other numbers mean."""
    truth = set(seen) <= {"True", "False"} and task != "boolean_qa"
    if not truth and not all(is_number(word) for word in seen):
        return
    graded = task == "sentiment" and len(seen) > 2 and "-1" not in found
    if graded and min(map(float, seen)) >= 1:
        return
    values = sorted({*seen, *(["-1"] if "-1" in found and task == "sentiment" else [])}, key=_in_order)
    known = "".join(f" {one.said()};" for one in CODINGS if one.task == task and len(one.names) == len(values))
    raise Unsure(
        f"column {where.path!r} holds numbers without names: {', '.join(values[:20])}. Name them, e.g. --labels "
        + ",".join(f"{word}=NAME" for word in values[:3])
        + (f". Known sets of this task have them as{known.rstrip(';')}, but it cannot be told that this is one" if known
           else ""),
        [],
    )  # fmt: skip
