"""Tell which shape rows have, and read the samples in them.

found = detect(first_rows, formats)     # Detection(format=<Alpaca>, reason="100 of 100 rows have ...")
for made in read(rows, found.format, source="data.jsonl"): ...     # samples, and a rejection per unreadable row
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from instructgen.errors import DataError
from instructgen.formats import Format, Unreadable
from instructgen.formats.holds import carried_in
from instructgen.formats.reading import encoded, plain, wholes, without_ours
from instructgen.records import Provenance, Rejection, Sample

SPECIFIC_FIRST = (
    "sample", "oasst_tree", "oasst", "super_ni", "process", "stepwise", "llava", "openai_preference", "ranked",
    "preference_text", "preference", "preference_implicit", "unpaired", "openai", "messages",
    "sharegpt_tools", "sharegpt", "dolly", "self_instruct", "alpaca", "prompt_completion_chat", "prompt_completion",
    "flan", "text",
)  # fmt: skip
"""When several shapes fit as many rows, the earlier one here wins: it explains more of the row."""
LOOKED_AT = 100
"""Rows that callers should hand to `detect`: enough for a mixed file to show, cheap to spool."""


class Detection(NamedTuple):
    """The format that a dataset's rows have, and how one can tell."""

    format: Format
    reason: str


def detect(rows: Sequence[Mapping[str, Any]], formats: Iterable[Format]) -> Detection:
    """Return the format that fits most of the rows. Raises: DataError that names the columns seen.

    Example: detect([{"instruction": "Hi", "output": "Ho"}], formats).format.name -> "alpaca"
    """
    ranked = sorted(formats, key=_rank)
    counts = [(sum(shape.fits(row) for row in rows), shape) for shape in ranked]
    best = max((count for count, _ in counts), default=0)
    if not best:
        seen = ", ".join(sorted({str(key) for row in rows for key in row})) or "none: there are no rows"
        known = ", ".join(shape.name for shape in ranked)
        raise DataError(
            f"no known format fits; columns seen: {seen}. Say --from with one of: {known}. Columns of other names "
            "are put into words by: instructgen convert IN --task TASK (e.g. open_qa) --map ROLE=COLUMN"
        )
    shape = next(shape for count, shape in counts if count == best)
    return Detection(shape, f"{best} of the first {len(rows)} rows have the shape of {shape.name}: {shape.title}")


def _rank(shape: Format) -> tuple[int, str]:
    known = shape.name in SPECIFIC_FIRST
    return (SPECIFIC_FIRST.index(shape.name) if known else -1, shape.name)  # a plug-in knows its own rows best


def read(
    rows: Iterable[tuple[int, Mapping[str, Any]]], shape: Format, source: str = ""
) -> Iterator[Sample | Rejection]:
    """Yield the samples of numbered rows, and a rejection (stage `parse`) for each row without the shape.

    `source` goes into the provenance of samples that have none, with the row's number where it has no id.
    """
    for number, row in shape.gather(rows):
        yield from read_row(number, row, shape, source)


def read_row(number: int, row: Mapping[str, Any], shape: Format, source: str = "") -> Iterator[Sample | Rejection]:
    """Yield what is in one gathered row: its samples, or a rejection if it lacks the shape."""
    try:
        for sample in _samples(row, shape):
            if not sample.turns:
                raise Unreadable("no_turns", "the conversation is empty: expected at least one turn")
            yield _placed(sample, source, number)
    except Unreadable as error:
        yield _unreadable(error.reason, error.detail, number, row)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        yield _unreadable("wrong_type", f"{place}: {first['msg']}", number, row)


def _samples(row: Mapping[str, Any], shape: Format) -> list[Sample]:
    known = carried_in(shape.scatter(row)[0])
    if not known:
        return shape.read(row)
    row_id = shape.scatter(row)[0].get("id")
    return wholes(shape.read(without_ours(row)), known, row_id if isinstance(row_id, str) else "", shape)


def _placed(sample: Sample, source: str, number: int) -> Sample:
    known = sample.provenance
    if known.source or not source:
        return sample
    place = known.source_id or str(number)
    if known.model_fields_set <= {"source_id"}:  # nothing else is known: cheaper to make than to copy
        return sample.model_copy(update={"provenance": Provenance(source=source, source_id=place)})
    return sample.with_provenance(source=source, source_id=place)


def _unreadable(reason: str, detail: str, number: int, row: Mapping[str, Any]) -> Rejection:
    text = encoded(plain(row)).decode()
    return Rejection(stage="parse", reason=reason, evidence={"row": number, "detail": detail}, text=text)
