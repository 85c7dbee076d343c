"""Which column plays which role: known layouts first, then likely names; what stays open is asked, never guessed.

choose(pack, ["sentence", "stars"], rows, given={"text": "sentence", "label": "stars"})
-> Mapping(roles={"text": "sentence", "label": "stars"}, labels=("1", "2", ...), why={...})
"""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from typing import Any

from instructgen.convert.bank import Pack
from instructgen.convert.classes import Values, name_classes
from instructgen.convert.jinja import Unrenderable
from instructgen.convert.layouts import ALIASES, LANGUAGES, LAYOUTS, TASK_ALIASES, Layout
from instructgen.convert.mapping import Mapping, is_place, names_of, spelled, unlabelled, with_nulls
from instructgen.convert.paths import place
from instructgen.convert.questions import Open, Unsure
from instructgen.convert.sources import Source
from instructgen.errors import DataError, suggestion

FEWEST_FOR_PLACE = 20
"""Rows from which on a right choice that always stands at one place is no accident (2 choices: 1 in 500,000)."""


def choose_for(
    pack: Pack, source: Source, given: AnyMapping[str, str] | None = None, labels: AnyMapping[str, str] | None = None
) -> Mapping:
    """Find the mapping of an opened dataset, as `choose`; all its labels are read where it can be read twice."""
    rows = [row for _, row in source.head]
    values = source.values if source.again else None
    return choose(pack, source.columns, rows, given, source.class_names, labels, name=source.identity, values=values)


def choose(
    pack: Pack,
    columns: Sequence[str],
    rows: Sequence[AnyMapping[str, Any]],
    given: AnyMapping[str, str] | None = None,
    class_names: AnyMapping[str, Sequence[str]] | None = None,
    labels: AnyMapping[str, str] | None = None,
    *,
    name: str = "",
    values: Values | None = None,
) -> Mapping:
    """Find the mapping of a dataset.

    `rows` are the first rows, `given` what the user said (role -> path), `class_names` the names that the dataset
    itself gives to a column's numbers, `labels` the user's names (value -> name), `name` what the dataset is called,
    `values` reads one place in all of its rows, so that a sorted dataset does not hide its classes.
    Raises: Unsure when roles or class names stay open; DataError for a role or column that does not exist.
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
    tags = _tags(roles, columns, rows, class_names or {}, labels)
    mapping = Mapping(pack, roles, why=why, tag_names=tags, columns=tuple(columns), say=layout.say if layout else {})
    name_classes(mapping, rows, class_names or {}, labels, name, values)
    _own_choices(mapping, rows, layout, labels)
    mapping.gold_place = _gold_place(mapping, rows)
    return mapping


def _check_given(pack: Pack, columns: Sequence[str], given: AnyMapping[str, str]) -> None:
    for role, path in given.items():
        if role not in pack.fields:
            raise DataError(
                f"--map {role}={path}: task {pack.task!r} has no field {role!r}{suggestion(role, pack.fields)}"
            )
        for column in sorted(place(path, columns).columns):
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
        places = [place(path) for role, path in layout.roles.items() if role in pack.fields and role not in given]
        places = [] if any(where.tagged for where in places) else places  # numbered tags have no names yet
        read = sum(all(where.read(row) is not None for where in places) for row in rows)
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
    taken = {column for path in roles.values() for column in place(path, columns).columns}
    for role in sorted(pack.fields, key=lambda name: pack.fields[name].optional):
        words = TASK_ALIASES.get((pack.task, role), ALIASES.get(role, role)).split()
        words += [pack.task] * (role == "label")  # a column `topic` for the task topic
        found = next((lower[word] for word in words if word in lower and lower[word] not in taken), None)
        if role not in roles and found is not None:
            roles[role], why[role] = found, "by its name"
            taken.add(found)


def _require(pack: Pack, columns: Sequence[str], roles: AnyMapping[str, str]) -> None:
    taken = {column for path in roles.values() for column in place(path, columns).columns}
    free = tuple(column for column in columns if column not in taken) or tuple(columns)
    questions = [
        Open(role, rule.about or rule.kind, free)
        for role, rule in pack.fields.items() if not rule.optional and role not in roles
    ]  # fmt: skip
    if not questions:
        return
    said = "; ".join(f"{question.role} ({question.about})" for question in questions)
    offered = [*free[: len(questions)], *["COLUMN"] * (len(questions) - len(free))]
    example = ",".join(f"{question.role}={column}" for question, column in zip(questions, offered, strict=True))
    known = "".join(f" {role}={path}" for role, path in roles.items())
    raise Unsure(
        f"task {pack.task!r}: no column could be told for {said}. Columns: {', '.join(columns)}."
        f"{' Found:' + known + '.' if known else ''} Say which, e.g. --map {example}",
        questions,
    )


def _tags(
    roles: AnyMapping[str, str],
    columns: Sequence[str],
    rows: Sequence[AnyMapping[str, Any]],
    class_names: AnyMapping[str, Sequence[str]],
    labels: AnyMapping[str, str] | None,
) -> tuple[str, ...] | None:
    """Return the names of numbered tags, by number; "" for a number that has none and does not occur.

    Raises: Unsure for numbers that neither the dataset nor the user names.
    """
    for path in roles.values():
        where = place(path, columns)
        if not where.tagged:
            continue
        marks = where.parts[1]
        seen = {mark for row in rows for mark in marks.read(row) or () if type(mark) is int}
        named = dict(enumerate(class_names.get(marks.path, ())))
        if labels:
            named = {int(number): name for number, name in labels.items() if number.isdecimal()}
        missing = sorted(seen - named.keys())
        if missing:
            shown = ", ".join(map(str, missing[:20]))
            raise Unsure(f"column {marks.path!r} holds numbers without names: {shown}. Name the tags, e.g. "
                         f"--labels 0=O,1=B-PER,2=I-PER (CoNLL-2003's are O,B-PER,I-PER,B-ORG,I-ORG,B-LOC,I-LOC,B-MISC,"
                         f"I-MISC, but it cannot be told that these are)", [])  # fmt: skip
        return tuple(named.get(number, "") for number in range(max(named, default=-1) + 1)) or None
    return None


def _own_choices(
    mapping: Mapping,
    rows: Sequence[AnyMapping[str, Any]],
    layout: Layout | None,
    labels: AnyMapping[str, str] | None,
) -> None:
    """Set how labels say which of a row's own choices is right: by words or place, and from where numbers count.

    Numbers count as the layout says, or else from 0.
    Raises: Unsure for labels 1 to n that never are 0, unless the layout or the user says so; and for those of a layout
    that counts from 1 where 0 occurs. Which of them is right is not guessed: each would be the answer of another row.
    """
    label, own = mapping.pack.label_field or "", mapping.pack.choices_field or ""
    if label not in mapping.roles or own not in mapping.roles:
        return
    said, path = mapping.roles[label], mapping.roles[own]
    if said in [part.path for part in mapping.places[own].parts]:
        return
    if labels:
        mapping.letters = _letters(labels)
        mapping.why[label] += ", by the letters of --labels"
        return
    known = layout is not None and (layout.roles.get(label), layout.roles.get(own)) == (said, path)
    mapping.first = layout.first if layout is not None and known else 0
    labelled, elsewhere, numbers, last = 0, 0, set[int](), False
    for row in rows:
        word, value = spelled(mapping.places[label].read(row)), mapping.places[own].read(row)
        if unlabelled(word, ("0",)) or not (
            isinstance(value, list) or (isinstance(value, AnyMapping) and "text" in value)
        ):
            continue
        choices, labelled = with_nulls(value), labelled + 1
        if word in names_of(row, mapping.places[own]):
            return
        elsewhere += is_place(word) and word not in choices
        if word.isdecimal() and word not in choices:
            numbers.add(int(word))
            last = last or int(word) == len(choices)
    mapping.by_place = 2 * elsewhere > labelled
    if (mapping.first == 0 and last and 0 not in numbers) or (mapping.first == 1 and 0 in numbers):
        shown = [str(number) for number in sorted(numbers)][:10]
        raise Unsure(
            f"column {said!r} holds the numbers {', '.join(shown)}: which choice is meant by each cannot be told. "
            f"Say it by letters, e.g. --labels {','.join(f'{n}={chr(65 + at)}' for at, n in enumerate(shown))}",
            [],
        )


def _letters(labels: AnyMapping[str, str]) -> dict[str, str]:
    for value, letter in labels.items():
        if not (len(letter) == 1 and "A" <= letter.upper() <= "Z"):
            raise DataError(
                f"--labels {value}={letter}: these rows bring their own choices; expected the letter of one of them, "
                f"e.g. {value}=A for the first"
            )
    return {value: letter.upper() for value, letter in labels.items()}


def _gold_place(mapping: Mapping, rows: Sequence[AnyMapping[str, Any]]) -> int | None:
    """Return where the right one of a row's own choices stands when that is the same place in all rows."""
    label, own = mapping.pack.label_field or "", mapping.pack.choices_field or ""
    if label not in mapping.roles or own not in mapping.roles:
        return None
    parts = [part.path for part in mapping.places[own].parts]
    if mapping.roles[label] in parts:
        return parts.index(mapping.roles[label])
    found: list[int | None] = []
    for row in rows:
        try:
            found.append(mapping.take(row)[1])
        except Unrenderable:
            continue
    return found[0] if len(found) >= FEWEST_FOR_PLACE and len(set(found)) == 1 else None
