"""Dolly rows: `{"instruction": "...", "context": "...", "response": "...", "category": "open_qa"}`.

The columns of databricks-dolly-15k; `context` is the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from instructgen.formats import Format, Row
from instructgen.formats.holds import demand
from instructgen.formats.reading import rest_of, text_of
from instructgen.records import Sample


class Dolly(Format):
    """Instruction, context, response and one of eight categories."""

    name: ClassVar[str] = "dolly"
    title: ClassVar[str] = "instruction, context, response, category"
    consumers: ClassVar[tuple[str, ...]] = ("LLaMA-Factory",)
    columns: ClassVar[Mapping[str, Any]] = {
        "instruction": "string", "context": "string", "response": "string", "category": "string",
    }  # fmt: skip
    holds: ClassVar[frozenset[str]] = frozenset({"input"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has instruction, context and response as texts."""
        return all(isinstance(row.get(key), str) for key in ("instruction", "context", "response"))

    def read_json(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the row's sample. Raises: Unreadable."""
        rest = rest_of(row, frozenset({"instruction", "context", "response"}))
        asked = {"role": "user", "content": text_of(row, "instruction")}
        if given := text_of(row, "context", missing_is_empty=True):
            asked["input"] = given
        return [{"turns": [asked, {"role": "assistant", "content": text_of(row, "response")}], **rest}]

    def write(self, sample: Sample) -> Row:
        """Return the four columns, the category null where none is known. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        question, answer = sample.turns
        category = sample.labels.get("category")
        return {
            "instruction": question.content,
            "context": question.input,
            "response": answer.text,
            "category": category if isinstance(category, str) else None,
        }
