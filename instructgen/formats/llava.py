r"""Conversations about images, LLaVA's shape.

    {"id": "1", "image": "coco/1.jpg", "conversations": [{"from": "human", "value": "<image>\nWhat is this?"}, ...]}

A sample keeps the references in `media`. One image at the head of the first question is the rule and is not repeated
in the text; marks anywhere else stay where they are. Evaluation rows with `image, instruction, output` are read too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from instructgen.formats import Format, Row, Unreadable, Unwritable
from instructgen.formats.holds import demand
from instructgen.formats.reading import list_of, rest_of, text_of
from instructgen.formats.sharegpt import spoken, turns_of
from instructgen.records import Media, Sample, Turn

MARK = "<image>"
HEAD = f"{MARK}\n"
KNOWN = frozenset({"image", "images", "conversations", "instruction", "output"})


class Llava(Format):
    """A conversation with image references."""

    name: ClassVar[str] = "llava"
    title: ClassVar[str] = "image, conversations with <image> marks"
    consumers: ClassVar[tuple[str, ...]] = ("LLaMA-Factory",)
    columns: ClassVar[Mapping[str, Any]] = {
        "id": "string", "image": ["string"], "conversations": [{"from": "string", "value": "string"}],
    }  # fmt: skip
    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue", "media"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row names an image and holds a conversation, or an instruction and its output."""
        named = bool(row.get("image") or row.get("images"))
        return named and (isinstance(row.get("conversations"), list) or {"instruction", "output"} <= set(row))

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the row's conversation with its images. Raises: Unreadable."""
        media = tuple(Media(path=path) for path in _paths(row))
        if "conversations" in row:
            turns = turns_of(list_of(row, "conversations"), "conversations")
        else:
            turns = Sample.single(text_of(row, "instruction"), output=text_of(row, "output")).turns
        if len(media) == 1:
            turns = _without_head(turns)
        return [Sample(turns=turns, media=media, **rest_of(row, KNOWN))]

    def write(self, sample: Sample) -> Row:
        """Return the conversation with a mark per image. Raises: Unwritable when marks and images do not agree."""
        demand(sample, self.holds, self.name)
        if not sample.media or any(medium.kind != "image" for medium in sample.media):
            raise Unwritable(
                "no_image" if not sample.media else "media", f"format {self.name!r} needs images, and only images"
            )
        said = spoken(sample.turns)
        marks = sum(part["value"].count(MARK) for part in said)
        first = next((n for n, turn in enumerate(sample.turns) if turn.role == "user"), None)
        if len(sample.media) == 1 and first is not None and said[first]["value"].startswith(HEAD) and marks == 1:
            raise Unwritable("image_marks", f"the first question begins with {MARK}, which this format adds: remove it")
        if marks == 0 and len(sample.media) == 1 and first is not None:
            said[first]["value"] = HEAD + said[first]["value"]
        elif marks != len(sample.media):
            raise Unwritable("image_marks", f"{len(sample.media)} images, but {marks} {MARK} marks in the text")
        paths = [medium.path for medium in sample.media]
        return {
            "id": sample.provenance.source_id or sample.id,
            "image": paths[0] if len(paths) == 1 else paths,
            "conversations": said,
        }

    def flat(self, row: Row) -> Row:
        """Return the row with `image` as a list always: one column, one type."""
        return row if isinstance(row["image"], list) else {**row, "image": [row["image"]]}


def _paths(row: Mapping[str, Any]) -> list[str]:
    given = row.get("image") or row.get("images")
    paths = [given] if isinstance(given, str) else given
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
        raise Unreadable("wrong_type", f"image: expected a path or a list of paths, found {given!r:.80}")
    return paths


def _without_head(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return the turns without the mark that opens the first question, if it is the only one there is."""
    first = next((n for n, turn in enumerate(turns) if turn.role == "user"), None)
    if first is None or not turns[first].content.startswith(HEAD) or sum(t.content.count(MARK) for t in turns) != 1:
        return turns
    opened = turns[first].model_copy(update={"content": turns[first].content.removeprefix(HEAD)})
    return (*turns[:first], opened, *turns[first + 1 :])
