"""What the classes of a label column are called: by the user, the dataset, its layout, or their own values.

{"0", "1"} of a sentiment layout -> 0=negative, 1=positive;  "neg" -> negative;  numbers without names are asked
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from collections.abc import Mapping as AnyMapping
from typing import TYPE_CHECKING, Any

from instructgen.convert.layouts import RENAMED, Layout
from instructgen.convert.questions import Unsure
from instructgen.convert.values import UNLABELLED, at
from instructgen.errors import DataError

if TYPE_CHECKING:
    from instructgen.convert.mapping import Mapping

MOST_CLASSES = 200
"""A column with more different values among the rows looked at is not taken for a class."""


def spelled(value: Any) -> str:
    """Return how a label value is written: 1.0 as 1, true as True, a list of one as its content."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def name_classes(
    mapping: Mapping,
    rows: Sequence[AnyMapping[str, Any]],
    layout: Layout | None,
    class_names: AnyMapping[str, Sequence[str]],
    given: AnyMapping[str, str] | None,
) -> None:
    """Set `labels` and `values`: the user's names, the dataset's, the layout's, or the values themselves."""
    role = mapping.pack.label_field
    if role is None or role not in mapping.roles or mapping.pack.choices_field is not None:
        return
    path = mapping.roles[role]
    found = Counter(spelled(at(path)(row)) for row in rows)
    seen = Counter({word: count for word, count in found.items() if word.lower() not in UNLABELLED})
    if given:
        pairs = list(given.items())
        mapping.why[role] += ", named by --labels"
    elif path in class_names:
        pairs = [(str(number), name) for number, name in enumerate(class_names[path])]
        mapping.why[role] += ", named by the dataset"
    elif layout is not None and layout.names and layout.roles.get(role) == path and _numbers(seen, len(layout.names)):
        pairs = [(str(number), name) for number, name in enumerate(layout.names)]
        mapping.why[role] += f", numbers named as in {layout.name}"
    else:
        pairs = [(word, word) for word in sorted(seen, key=_in_order)]
        _require_names(mapping.pack.task, path, seen)
    _set_classes(mapping, pairs, rename=not given)


def _set_classes(mapping: Mapping, pairs: Sequence[tuple[str, str]], *, rename: bool) -> None:
    other = RENAMED.get(mapping.pack.task, {}) if rename else {}
    names = [other.get(name.lower(), name) for _, name in pairs]
    mapping.labels = tuple(dict.fromkeys(names))
    for (value, original), name in zip(pairs, names, strict=True):
        for spelling in (original, value):
            mapping.values[spelling] = mapping.labels.index(name)
    if {"0", "1"} == {value for value, _ in pairs}:
        mapping.values.update({"False": mapping.values["0"], "True": mapping.values["1"]})


def _numbers(seen: Counter[str], count: int) -> bool:
    """Tell whether the values are positions among `count` names, but for 1 in 20 at most: those will be rejected."""
    right = sum(n for word, n in seen.items() if word in ("True", "False") or (word.isdecimal() and int(word) < count))
    return right * 20 >= seen.total() * 19


def _in_order(word: str) -> tuple[int, float, str]:
    order = {"no": 0, "false": 0, "yes": 1, "true": 1}
    number = float(word) if word.lstrip("-").replace(".", "", 1).isdecimal() else None
    return (0, number, word) if number is not None else (1, order.get(word.lower(), 0), word)


def _require_names(task: str, path: str, seen: Collection[str]) -> None:
    shown = ", ".join(sorted(seen, key=_in_order)[:20])
    if not seen:
        raise DataError(f"column {path!r} holds no label in the rows looked at; choose another with --map label=COLUMN")
    if len(seen) > MOST_CLASSES:
        raise DataError(f"column {path!r} has more than {MOST_CLASSES} different values; it is not a class. "
                        "Choose another with --map label=COLUMN")  # fmt: skip
    graded = task == "sentiment" and len(seen) > 2  # stars and points speak for themselves
    if all(word.lstrip("-").isdecimal() for word in seen) and not graded:
        raise Unsure(
            f"column {path!r} holds numbers without names: {shown}. Name them, e.g. --labels "
            + ",".join(f"{word}=NAME" for word in sorted(seen, key=_in_order)[:3]),
            [],
        )
