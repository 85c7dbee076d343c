"""UltraChat and LIMA: conversations as bare lists of texts, the user first.

{"id": "0", "data": ["How do I tie a bowline?", "Make a loop ...", "And a reef knot?", "Right over left ..."]}
{"conversations": ["How ...?", "First ..."], "source": "wikihow"}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from instructgen.formats import Format, Row, Unreadable, Unwritable
from instructgen.formats.holds import demand
from instructgen.formats.reading import rest_of
from instructgen.records import Role, Sample, Turn

COLUMNS = ("data", "conversations")
SPEAKERS: tuple[Role, Role] = ("user", "assistant")


class UltraChat(Format):
    """A conversation of alternating texts."""

    name: ClassVar[str] = "ultrachat"
    title: ClassVar[str] = "data: texts of user and assistant in turn"
    columns: ClassVar[Mapping[str, Any]] = {"id": "string", "data": ["string"]}
    holds: ClassVar[frozenset[str]] = frozenset({"dialogue", "open"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has a list of texts under one of the two names."""
        return any(_is_texts(row.get(column)) for column in COLUMNS)

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the row's conversation. Raises: Unreadable."""
        column = next((name for name in COLUMNS if row.get(name) is not None), None)
        if column is None:
            raise Unreadable("missing_field", "data: expected a list of texts, found nothing")
        said = row[column]
        if not _is_texts(said):
            raise Unreadable("wrong_type", f"{column}: expected a list of texts, found {said!r:.80}")
        turns = tuple(Turn(role=SPEAKERS[number % 2], content=text) for number, text in enumerate(said))
        return [Sample(turns=turns, **rest_of(row, frozenset({column})))]

    def write(self, sample: Sample) -> Row:
        """Return id and texts. Raises: Unwritable, also for turns that do not alternate from the user's on."""
        demand(sample, self.holds, self.name)
        if not sample.turns:
            raise Unwritable("open", f"format {self.name!r} needs at least one turn")
        for number, turn in enumerate(sample.turns):
            if turn.role != SPEAKERS[number % 2]:
                raise Unwritable("roles", f"turn {number} is {turn.role}'s, format 'ultrachat' needs them in turn")
        return {"id": sample.provenance.source_id or sample.id, "data": [turn.text for turn in sample.turns]}


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, str) for part in value)
