"""What a row shape can hold of a sample, and what it carries beside the row.

A format names its parts in `holds`; `demand` raises `Unwritable` for a sample with more than that, so that nothing
is lost silently. Labels, extra columns, names, and the place where an instruction ends and its input begins are not
lost either: exporters write them into the provenance column (`carried`), and readers put them back (`restored`).

    demand(sample, frozenset({"system", "dialogue"}), "messages")     # raises for tools, other answers, steps, media
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import Field, JsonValue, ValidationError

from instructgen.formats import Format, Unwritable
from instructgen.records import ID_LENGTH, Answer, Provenance, Record, Sample, Turn, canonical

PARTS: dict[str, str] = {
    "tools": "tools, tool calls or tool answers",
    "answers": "other answers beside the conversation's own",
    "steps": "rated steps",
    "media": "images or other media",
    "weight": "training weights on turns",
    "system": "a system message",
    "dialogue": "more turns than one question and its answer",
    "open": "a conversation without a closing answer",
}
"""Part -> how to say it, in the order in which a refusal names one."""


GIVEN_ID = "id"
"""Note of a sample whose row gave it another id than that of its content."""


def parts_of(sample: Sample) -> set[str]:
    """Return the parts that a sample has.

    Example: parts_of(Sample.single("Hi", output="Ho", system="Be kind.")) -> {"system"}
    """
    found = {name for name in ("tools", "answers", "steps", "media") if getattr(sample, name)}
    for turn in (*sample.turns, *(turn for answer in sample.answers for turn in answer.turns)):
        if turn.role == "tool" or turn.tool_calls or turn.tool_call_id:
            found.add("tools")
        if turn.weight is not None:
            found.add("weight")
    return found | _parts_of_roles([turn.role for turn in sample.turns])


def _parts_of_roles(roles: Sequence[str]) -> set[str]:
    found = set[str]()
    if "system" in roles:
        found.add("system")
    if [role for role in roles if role != "system"] != ["user", "assistant"]:
        found.add("dialogue")
    if not roles or roles[-1] != "assistant":
        found.add("open")
    return found


def demand(sample: Sample, holds: frozenset[str], name: str) -> None:
    """Raise `Unwritable` for the first part of a sample that `holds` does not name. The reason is the part's name.

    No shape holds a sample without turns: `no_turns`.
    """
    if not sample.turns:
        raise Unwritable("no_turns", f"format {name!r} cannot hold a conversation without a turn")
    if more := parts_of(sample) - holds:
        raise _refusal(more, name)


def refusal(roles: Sequence[str], shape: Format) -> Unwritable | None:
    """Return what `demand` raises for a sample of turns by these, and nothing else; `None` when the shape holds it."""
    more = _parts_of_roles(roles) - shape.holds
    return _refusal(more, shape.name) if more else None


def _refusal(more: set[str], name: str) -> Unwritable:
    part = next(part for part in PARTS if part in more)
    return Unwritable(part, f"format {name!r} cannot hold {PARTS[part]}")


def carried(sample: Sample, shape: Format) -> dict[str, Any]:
    """Return the provenance of a sample as JSON, and beside it what a row of `shape` has no place for.

    `labels` and `extra` are the sample's; `turns` maps a turn's number to its name and extra keys and, unless the
    format keeps the input apart, to the length of that input in characters; `answers` are rank, score and source of
    the other answers, and the same of their turns; `steps` are the steps' extra keys, `media` the hashes.
    Example: {"source": "generated", "turns": {"0": {"input": 7}}}
    """
    known: dict[str, Any] = sample.provenance.as_json()
    if sample.labels:
        known["labels"] = sample.labels
    if sample.extra:
        known["extra"] = sample.extra
    if turns := _turns_beside(sample.turns, shape):
        known["turns"] = turns
    lists: dict[str, list[Any]] = {
        "answers": [_answer_beside(answer, shape) for answer in sample.answers],
        "steps": [] if "step_keys" in shape.holds else [step.extra for step in sample.steps],
        "media": [medium.sha256 for medium in sample.media],
    }
    return known | {name: values for name, values in lists.items() if any(values)}


def _turns_beside(turns: Sequence[Turn], shape: Format) -> dict[str, dict[str, Any]]:
    beside = {}
    calls = shape.calls_beside(turns)
    for number, turn in enumerate(turns):
        more: dict[str, Any] = dict(calls.get(number, {}))
        if turn.input and not ("input" in shape.holds and turn.role == "user"):
            more["input"] = len(turn.input)
        if turn.name:
            more["name"] = turn.name
        if turn.extra and (keys := shape.more_keys(turn)):
            more["extra"] = dict(keys)
        if more:
            beside[str(number)] = more
    return beside


def _answer_beside(answer: Answer, shape: Format) -> dict[str, Any]:
    more = answer.model_dump(mode="json", exclude_defaults=True, exclude={"turns"})
    turns = _turns_beside(answer.turns, shape)
    return more | ({"turns": turns} if turns else {})


COLUMNS: dict[str, Any] = {
    "source": "string", "source_id": "string", "generator": "string", "teacher": "string", "recipe": "string",
    "licence": "string", "language": "string", "parents": ["string"],
}  # fmt: skip
"""Fields of `Provenance` that become columns (`provenance_source`, ...) when that is chosen over one JSON text."""
MORE = "provenance_more"
"""The column beside them: whatever else is carried, as a JSON text."""


def columns_of(carried_by_row: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the samples of one row carry as values of `COLUMNS` and `MORE`, by column.

    Example: columns_of([{"source": "generated", "labels": {"label": 1}}])
             -> {"provenance_source": "generated", ..., "provenance_more": '{"labels":{"label":1}}'}
    """
    first = carried_by_row[0]
    shared = {name for name in COLUMNS if all(known.get(name) == first.get(name) for known in carried_by_row)}
    empty: dict[str, Any] = {name: [] if isinstance(kind, list) else "" for name, kind in COLUMNS.items()}
    values = {f"provenance_{name}": first.get(name, empty[name]) if name in shared else None for name in COLUMNS}
    rest = [{name: value for name, value in known.items() if name not in shared} for known in carried_by_row]
    more: Any = rest if len(rest) > 1 else rest[0]
    return values | {MORE: canonical(more).decode() if any(rest) else None}


def carried_in(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a row of ours carries, for each of its samples; [] for a row that is none of ours.

    Read from the column `provenance`, else from the columns that `columns_of` made.
    """
    if isinstance(text := row.get("provenance"), str):
        return _dicts(text)
    if MORE not in row:
        return []
    common = {name: row[column] for name in COLUMNS if row.get(column := f"provenance_{name}")}
    more = _dicts(row[MORE]) if isinstance(row[MORE], str) else [{}]
    return [{**common, **part} for part in more]


def _dicts(text: str) -> list[dict[str, Any]]:
    try:
        found = orjson.loads(text)
    except ValueError:
        return []
    many = found if isinstance(found, list) else [found]
    return many if all(isinstance(one, dict) for one in many) else []


def restored(sample: Sample, known: Mapping[str, Any], row_id: str = "") -> Sample:
    """Return the sample with what `carried` had put beside its row, and with its id where that still fits.

    A provenance that is not ours (unknown keys, other types) is kept whole under the note `provenance`.
    """
    try:
        put_back = _put_back(sample, known)
    except ValidationError:
        return noted(sample, dict(known))
    return numbered(put_back, row_id)


def noted(sample: Sample, known: JsonValue) -> Sample:
    """Return the sample with a provenance that is not ours in its notes."""
    return sample.with_provenance(notes={**sample.provenance.notes, "provenance": known})


def numbered(sample: Sample, row_id: str) -> Sample:
    """Return the sample with the id of its row if that is its own, numbered as a repeat."""
    return sample.model_copy(update={"id": row_id}) if is_repeat_of(row_id, sample.id) else sample


def is_repeat_of(row_id: str, own: str) -> bool:
    """Tell whether an id is another one of ours with the number of a repeat."""
    return row_id.startswith(f"{own}-") and row_id[ID_LENGTH + 1 :].isdecimal()


class _TurnBeside(Record):
    """What `carried` says of a turn."""

    input: int = 0
    name: str = ""
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    tool_calls: tuple[dict[str, JsonValue], ...] = ()
    tool_call_id: str | None = None


class _AnswerBeside(Record):
    """What it says of another answer."""

    rank: int | None = None
    score: float | None = None
    source: str = ""
    turns: dict[int, _TurnBeside] = Field(default_factory=dict)


class _Beside(Provenance):
    """What `carried` writes."""

    labels: dict[str, JsonValue] = Field(default_factory=dict)
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    turns: dict[int, _TurnBeside] = Field(default_factory=dict)
    answers: tuple[_AnswerBeside, ...] = ()
    steps: tuple[dict[str, JsonValue], ...] = ()
    media: tuple[str, ...] = ()


def _put_back(sample: Sample, known: Mapping[str, Any]) -> Sample:
    beside = _Beside.model_validate(known)
    answers, steps, media = sample.answers, sample.steps, sample.media
    if len(answers) == len(beside.answers):
        answers = tuple(_answer(*pair) for pair in zip(answers, beside.answers, strict=True))
    if len(steps) == len(beside.steps):
        pairs = zip(steps, beside.steps, strict=True)
        steps = tuple(step.model_copy(update={"extra": {**step.extra, **extra}}) for step, extra in pairs)
    if len(media) == len(beside.media):
        media = tuple(one.model_copy(update={"sha256": known}) for one, known in zip(media, beside.media, strict=True))
    own = set(_Beside.model_fields) - set(Provenance.model_fields)
    return Sample(
        turns=_turns(sample.turns, beside.turns),
        tools=sample.tools,
        answers=answers,
        labels={**beside.labels, **sample.labels},
        steps=steps,
        media=media,
        extra={**sample.extra, **beside.extra},
        provenance=Provenance(**beside.model_dump(exclude=own, exclude_defaults=True)),
    )


def _answer(answer: Answer, beside: _AnswerBeside) -> Answer:
    more = beside.model_dump(exclude={"turns"}, exclude_defaults=True)
    return answer.model_copy(update={**more, "turns": _turns(answer.turns, beside.turns)})


def _turns(turns: Sequence[Turn], beside: Mapping[int, _TurnBeside]) -> tuple[Turn, ...]:
    return tuple(_turn(turn, beside.get(number)) for number, turn in enumerate(turns))


def _turn(turn: Turn, beside: _TurnBeside | None) -> Turn:
    if beside is None:
        return turn
    update: dict[str, Any] = {"extra": {**turn.extra, **beside.extra}}
    update |= {name: value for name in ("name", "tool_calls") if (value := getattr(beside, name))}
    if beside.tool_call_id is not None:
        update["tool_call_id"] = beside.tool_call_id
    content, given = parted(turn.content, beside.input)
    if given:
        update |= {"content": content, "input": given}
    return turn.model_copy(update=update)


def parted(text: str, length: int) -> tuple[str, str]:
    """Return what a model reads of a turn as content and input, which has this length; "" if it is no input's."""
    joint = len(text) - length
    if length > 0 and joint >= 2 and text[joint - 2 : joint] == "\n\n":
        return text[: joint - 2], text[joint:]
    return text, ""
