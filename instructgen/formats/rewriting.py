"""A source row again, after its samples were changed (redacted, cleaned): new texts, everything else as it was.

changed_rows([redacted], {"instruction": "Mail a@b.org", "output": "Done", "votes": 3}, Alpaca())
# [{"instruction": "Mail [EMAIL]", "input": "", "output": "Done", "votes": 3}]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from instructgen.formats import Format, Row
from instructgen.formats.holds import carried, carried_in, columns_of
from instructgen.records import Sample, canonical


def changed_rows(samples: Sequence[Sample], row: Mapping[str, Any], shape: Format) -> list[Row]:
    """Return the rows of changed samples in the shape that they came in, with the other columns of their source.

    Only columns that became labels or extra keys are taken over: a text that the reader understood under another name
    (`response` for `output`) is in the sample, and its old wording must not stay. Raises: Unwritable.
    """
    sources, shared = shape.scatter(row), shape.share(samples)
    lines = [(line, part.samples, number) for part in shared for number, line in enumerate(part.rows)]
    if len(lines) != len(sources):  # which line was which row is not known
        return [line for line, *_ in lines]
    return [_with_rest(*parts, source, shape) for parts, source in zip(lines, sources, strict=True)]


def _with_rest(line: Row, samples: Sequence[Sample], number: int, source: Mapping[str, Any], shape: Format) -> Row:
    first = samples[0]
    beside: dict[str, Any] = {**first.labels, **first.extra}
    rest = {key: beside[key] for key in source if key in beside and key not in line}
    ours = carried_in(source)
    if "id" in source and "id" not in line:
        rest["id"] = first.id if ours and not number else source["id"]
    if ours and not number:  # recomputed: the border between an instruction and its input may have moved
        known = [carried(sample, shape) for sample in samples]
        told: Any = known if len(known) > 1 else known[0]
        rest |= {"provenance": canonical(told).decode()} if "provenance" in source else columns_of(known)
    return line | rest
