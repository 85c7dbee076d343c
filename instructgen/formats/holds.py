"""What a row shape can hold of a sample, and what it carries beside the row.

A format names its parts in `holds`; `demand` raises `Unwritable` for a sample with more than that, so that nothing
is lost silently. Labels, extra columns and the place where an instruction ends and its input begins are not lost
either: exporters write them into the provenance column (`carried`), and readers put them back (`restored`).

    demand(sample, frozenset({"system", "dialogue"}), "messages")     # raises for tools, other answers, steps, media
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from instructgen.formats import Unwritable
from instructgen.records import ID_LENGTH, Provenance, Sample, Turn

PARTS: dict[str, tuple[Callable[[Sample], bool], str]] = {
    "tools": (
        lambda s: bool(s.tools) or any(t.tool_calls or t.tool_call_id or t.role == "tool" for t in s.turns),
        "tools, tool calls or tool answers",
    ),
    "answers": (lambda s: bool(s.answers), "other answers beside the conversation's own"),
    "steps": (lambda s: bool(s.steps), "rated steps"),
    "media": (lambda s: bool(s.media), "images or other media"),
    "weight": (lambda s: any(t.weight is not None for t in s.turns), "training weights on turns"),
    "system": (lambda s: any(t.role == "system" for t in s.turns), "a system message"),
    "dialogue": (lambda s: not s.is_single_turn, "more turns than one question and its answer"),
    "open": (lambda s: not s.turns or s.turns[-1].role != "assistant", "a conversation without a closing answer"),
}  # fmt: skip
"""Part -> (does a sample have it?, how to say it)."""


def demand(sample: Sample, holds: frozenset[str], name: str) -> None:
    """Raise `Unwritable` for the first part of a sample that `holds` does not name. The reason is the part's name."""
    for part, (has, words) in PARTS.items():
        if part not in holds and has(sample):
            raise Unwritable(part, f"format {name!r} cannot hold {words}")


def carried(sample: Sample, *, input_apart: bool) -> dict[str, Any]:
    """Return the provenance of a sample as JSON, with what a row has no place for: `labels`, `extra`, `turns`.

    `turns` maps a turn's number to its name and extra keys and, unless the format keeps the input apart, to the
    length of that input in characters. Example: {"source": "generated", "turns": {"0": {"input": 7}}}
    """
    known: dict[str, Any] = sample.provenance.as_json()
    if sample.labels:
        known["labels"] = sample.labels
    if sample.extra:
        known["extra"] = sample.extra
    turns = {}
    for number, turn in enumerate(sample.turns):
        more: dict[str, Any] = {}
        if turn.input and not input_apart:
            more["input"] = len(turn.input)
        if turn.name:
            more["name"] = turn.name
        if turn.extra:
            more["extra"] = turn.extra
        if more:
            turns[str(number)] = more
    if turns:
        known["turns"] = turns
    return known


def restored(sample: Sample, known: Mapping[str, Any], row_id: str = "") -> Sample:
    """Return the sample with what `carried` had put beside its row, and with its id where that still fits.

    A provenance that is not ours (unknown keys) is kept whole under the note `provenance`.
    """
    rest = dict(known)
    labels, extra, turns = rest.pop("labels", None), rest.pop("extra", None), rest.pop("turns", None)
    try:
        provenance = Provenance.model_validate(rest)
    except ValidationError:
        return sample.with_provenance(notes={**sample.provenance.notes, "provenance": dict(known)})
    put_back = Sample(
        **{name: getattr(sample, name) for name in ("tools", "answers", "steps", "media")},
        turns=_turns(sample.turns, turns or {}),
        labels=sample.labels | (labels or {}),
        extra=sample.extra | (extra or {}),
        provenance=provenance,
    )
    numbered = row_id.startswith(f"{put_back.id}-") and row_id[ID_LENGTH + 1 :].isdecimal()
    return put_back.model_copy(update={"id": row_id}) if numbered else put_back


def _turns(turns: tuple[Turn, ...], more: Mapping[str, Mapping[str, Any]]) -> tuple[Turn, ...]:
    out = list(turns)
    for number, fields in more.items():
        turn = out[int(number)] if number.isdecimal() and int(number) < len(out) else None
        if turn is None:
            continue
        update: dict[str, Any] = {key: fields[key] for key in ("name", "extra") if key in fields}
        length = fields.get("input", 0)
        joint = turn.content[: -length - 2] if length else ""
        if length and turn.content[len(joint) : -length] == "\n\n":
            update |= {"content": joint, "input": turn.content[-length:]}
        out[int(number)] = turn.model_copy(update=update)
    return tuple(out)
