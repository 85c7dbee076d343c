"""Our own lossless shape: one Sample as JSON a line, what `convert` writes and every command reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from instructgen.formats import Format, Row
from instructgen.formats.holds import PARTS
from instructgen.formats.reading import plain
from instructgen.records import Sample


class SampleRows(Format):
    """A Sample as it is. Free-form parts are JSON texts when the rows become Parquet."""

    name: ClassVar[str] = "sample"
    title: ClassVar[str] = "a whole sample: turns, answers, labels, provenance"
    columns: ClassVar[Mapping[str, Any]] = {"sample": "string"}
    holds: ClassVar[frozenset[str]] = frozenset({*PARTS, "input", "step_keys", "provenance"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has turns, or is our Parquet form of a sample."""
        if set(row) <= {"sample", "id", "provenance"} and isinstance(row.get("sample"), str):
            return True
        turns = row.get("turns")
        return isinstance(turns, list) and bool(turns) and all(isinstance(t, dict) and "role" in t for t in turns)

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the sample. Raises: pydantic's ValidationError for a field that is none of ours."""
        text = row.get("sample")
        return [Sample.model_validate_json(text) if isinstance(text, str) else Sample.model_validate(plain(row))]

    def write(self, sample: Sample) -> Row:
        """Return the sample as one JSON text: its free-form parts have no fixed schema."""
        return {"sample": sample.model_dump_json(exclude_defaults=True)}
