"""What a row shape can hold of a sample, and what it carries beside the row.

A format names its parts in `holds`; `demand` raises `Unwritable` for a sample with more than that, so that nothing
is lost silently. Labels, extra columns and the place where an instruction ends and its input begins are not lost
either: exporters write them into the provenance column (`carried`), and readers put them back (`restored`).

    demand(sample, frozenset({"system", "dialogue"}), "messages")     # raises for tools, other answers, steps, media
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue, ValidationError

from instructgen.formats import Unwritable
from instructgen.records import ID_LENGTH, Answer, Provenance, Record, Sample, Turn

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


def parts_of(sample: Sample) -> set[str]:
    """Return the parts that a sample has.

    Example: parts_of(Sample.single("Hi", output="Ho", system="Be kind.")) -> {"system"}
    """
    found = {name for name in ("tools", "answers", "steps", "media") if getattr(sample, name)}
    roles = []
    for turn in sample.turns:
        if turn.role == "system":
            found.add("system")
        else:
            roles.append(turn.role)
        if turn.role == "tool" or turn.tool_calls or turn.tool_call_id:
            found.add("tools")
        if turn.weight is not None:
            found.add("weight")
    if roles != ["user", "assistant"]:
        found.add("dialogue")
    if not sample.turns or sample.turns[-1].role != "assistant":
        found.add("open")
    return found


def demand(sample: Sample, holds: frozenset[str], name: str) -> None:
    """Raise `Unwritable` for the first part of a sample that `holds` does not name. The reason is the part's name."""
    more = parts_of(sample) - holds
    if more:
        part = next(part for part in PARTS if part in more)
        raise Unwritable(part, f"format {name!r} cannot hold {PARTS[part]}")


def carried(sample: Sample, *, input_apart: bool) -> dict[str, Any]:
    """Return the provenance of a sample as JSON, and beside it what a row has no place for.

    `labels` and `extra` are the sample's; `turns` maps a turn's number to its name and extra keys and, unless the
    format keeps the input apart, to the length of that input in characters; `answers` are rank, score and source of
    the other answers. Example: {"source": "generated", "turns": {"0": {"input": 7}}}
    """
    known: dict[str, Any] = sample.provenance.as_json()
    if sample.labels:
        known["labels"] = sample.labels
    if sample.extra:
        known["extra"] = sample.extra
    turns = {}
    for number, turn in enumerate(sample.turns):
        more = _beside(turn, input_apart=input_apart)
        if more:
            turns[str(number)] = more
    if turns:
        known["turns"] = turns
    if sample.answers:
        answers = [
            answer.model_dump(mode="json", exclude_defaults=True, exclude={"turns"}) for answer in sample.answers
        ]
        if any(answers):
            known["answers"] = answers
    return known


def _beside(turn: Turn, *, input_apart: bool) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if turn.input and not input_apart:
        more["input"] = len(turn.input)
    if turn.name:
        more["name"] = turn.name
    if turn.extra:
        more["extra"] = turn.extra
    return more


def restored(sample: Sample, known: Mapping[str, Any], row_id: str = "") -> Sample:
    """Return the sample with what `carried` had put beside its row, and with its id where that still fits.

    A provenance that is not ours (unknown keys, other types) is kept whole under the note `provenance`.
    """
    try:
        put_back = _put_back(sample, known)
    except ValidationError:
        return sample.with_provenance(notes={**sample.provenance.notes, "provenance": dict(known)})
    numbered = row_id.startswith(f"{put_back.id}-") and row_id[ID_LENGTH + 1 :].isdecimal()
    return put_back.model_copy(update={"id": row_id}) if numbered else put_back


class _TurnBeside(Record):
    """What `carried` says of a turn."""

    input: int = 0
    name: str = ""
    extra: dict[str, JsonValue] = Field(default_factory=dict)


class _Beside(Provenance):
    """What `carried` writes."""

    labels: dict[str, JsonValue] = Field(default_factory=dict)
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    turns: dict[int, _TurnBeside] = Field(default_factory=dict)
    answers: tuple[dict[str, JsonValue], ...] = ()


def _put_back(sample: Sample, known: Mapping[str, Any]) -> Sample:
    beside = _Beside.model_validate(known)
    answers = sample.answers
    if len(answers) == len(beside.answers):
        pairs = zip(answers, beside.answers, strict=True)
        answers = tuple(Answer.model_validate({**more, "turns": answer.turns}) for answer, more in pairs)
    provenance = beside.model_dump(exclude={"labels", "extra", "turns", "answers"}, exclude_defaults=True)
    return Sample(
        turns=tuple(_turn(turn, beside.turns.get(number)) for number, turn in enumerate(sample.turns)),
        tools=sample.tools,
        answers=answers,
        labels={**beside.labels, **sample.labels},
        steps=sample.steps,
        media=sample.media,
        extra={**sample.extra, **beside.extra},
        provenance=Provenance(**provenance),
    )


def _turn(turn: Turn, beside: _TurnBeside | None) -> Turn:
    if beside is None:
        return turn
    update: dict[str, Any] = {key: getattr(beside, key) for key in ("name", "extra") if getattr(beside, key)}
    if 0 < beside.input <= len(turn.content) - 2:
        joint = len(turn.content) - beside.input
        if turn.content[joint - 2 : joint] == "\n\n":
            update |= {"content": turn.content[: joint - 2], "input": turn.content[joint:]}
    return turn.model_copy(update=update)
