"""Our own lossless shape: one Sample as JSON a line, what `convert` writes and every command reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic_core import from_json

from instructgen.formats import Format, Row, Unreadable
from instructgen.formats.holds import GIVEN_ID, PARTS, demand, numbered
from instructgen.formats.reading import plain, without_ours
from instructgen.records import Sample


class SampleRows(Format):
    """A Sample as it is. Free-form parts are JSON texts when the rows become Parquet."""

    name: ClassVar[str] = "sample"
    title: ClassVar[str] = "a whole sample: turns, answers, labels, provenance"
    columns: ClassVar[Mapping[str, Any]] = {"sample": "string"}
    holds: ClassVar[frozenset[str]] = frozenset({*PARTS, "input", "step_keys", "provenance"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has turns, or is our Parquet form of a sample."""
        if isinstance(row.get("sample"), str) and without_ours(row).keys() <= {"sample", "id"}:
            return True
        turns = row.get("turns")
        return isinstance(turns, list) and bool(turns) and all(isinstance(t, dict) and "role" in t for t in turns)

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the sample, whose id is the hash of its content; another one that the row gives becomes a note.

        Raises: Unreadable for a text that is no JSON, pydantic's ValidationError for a field that is none of ours.
        """
        return [_identified(Sample.model_validate(plain(form))) for form in self.read_json(row)]

    def read_json(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the row, or what its text says; the id is not looked at. Raises: Unreadable."""
        text = row.get("sample")
        if isinstance(text, str):
            try:
                form = from_json(text)
            except ValueError as error:
                raise Unreadable("wrong_type", f"sample: not JSON: {error}") from error
            if not isinstance(form, dict):
                raise Unreadable("wrong_type", f"sample: expected a JSON object, found {form!r:.80}")
            return [form]
        return [{**row, "id": str(row["id"])} if isinstance(row.get("id"), int) else dict(row)]

    def write(self, sample: Sample) -> Row:
        """Return the sample as one JSON text: its free-form parts have no fixed schema. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        return {"sample": sample.model_dump_json(exclude_defaults=True)}


def _identified(sample: Sample) -> Sample:
    """Return the sample under the id of its content, or that one's `-2`; what it was called is noted."""
    own = sample.content_id()
    if sample.id == own or numbered(sample.model_copy(update={"id": own}), sample.id).id == sample.id:
        return sample
    known = sample.provenance
    noted = sample.with_provenance(
        source_id=known.source_id or sample.id, notes={**known.notes, GIVEN_ID: known.notes.get(GIVEN_ID, sample.id)}
    )
    return noted.model_copy(update={"id": own})
