r"""Conversations about images, LLaVA's shape.

    {"id": "1", "image": "coco/1.jpg", "conversations": [{"from": "human", "value": "<image>\nWhat is this?"}, ...]}

A sample keeps the references in `media`. One image at the head of the first question is the rule and is not repeated
in the text; marks anywhere else stay where they are. Rows of text alone stand in such files too: they have no `image`.
Evaluation rows with `image, instruction, output` are read as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from instructgen.formats import Format, Row, Unreadable, Unwritable
from instructgen.formats.holds import demand
from instructgen.formats.reading import HEAD, MARK, list_of, media_of, rest_of, text_of, without_head
from instructgen.formats.sharegpt import forms_of, spoken
from instructgen.records import Sample

KNOWN = frozenset({"image", "images", "conversations", "instruction", "output"})


class Llava(Format):
    """A conversation with image references."""

    name: ClassVar[str] = "llava"
    title: ClassVar[str] = "image, conversations with <image> marks"
    consumers: ClassVar[tuple[str, ...]] = ("LLaMA-Factory",)
    columns: ClassVar[Mapping[str, Any]] = {
        "id": "string", "image": ["string"], "conversations": [{"from": "string", "value": "string"}],
    }  # fmt: skip
    optional: ClassVar[frozenset[str]] = frozenset({"image"})
    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue", "media"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row names an image and holds a conversation, or an instruction and its output."""
        named = bool(row.get("image") or row.get("images"))
        return named and (isinstance(row.get("conversations"), list) or {"instruction", "output"} <= set(row))

    def read_json(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the row's conversation with its images. Raises: Unreadable."""
        media, columns = media_of(row)
        for column in {"image", "images"} - columns:
            if row.get(column):
                raise Unreadable(
                    "wrong_type", f"{column}: expected a path or a list of paths, found {row[column]!r:.80}"
                )
        if "conversations" in row:
            turns = forms_of(list_of(row, "conversations"), "conversations")
        else:
            answer = {"role": "assistant", "content": text_of(row, "output")}
            turns = [{"role": "user", "content": text_of(row, "instruction")}, answer]
        more = {"media": media} if media else {}
        return [{"turns": without_head(turns, media), **more, **rest_of(row, KNOWN | columns)}]

    def write(self, sample: Sample) -> Row:
        """Return the conversation with a mark per image. Raises: Unwritable when marks and images do not agree."""
        demand(sample, self.holds, self.name)
        if any(medium.kind != "image" for medium in sample.media):
            raise Unwritable("media", f"format {self.name!r} holds images alone of all media")
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
        named = {"image": paths[0] if len(paths) == 1 else paths} if paths else {}
        return {"id": sample.provenance.source_id or sample.id, **named, "conversations": said}

    def flat(self, row: Row) -> Row:
        """Return the row with `image` as a list, where it has one: one column, one type."""
        return {**row, "image": [row["image"]]} if isinstance(row.get("image"), str) else row
