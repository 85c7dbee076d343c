"""One question with its answer and nothing else: what most rows of instruction data are, at a tenth of the price.

A `Sample` takes 10 microseconds to validate, a `Single` half of one. Streams that are only copied from shape to shape
(exports) read rows as `Single` where the shape can, and make the `Sample` when anything more is asked of it:
`single.sample()` is what `detect.read` makes of the same row, id and provenance included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from instructgen.formats import Format
from instructgen.formats.detect import read, read_row
from instructgen.records import Provenance, Rejection, Sample


class Single(NamedTuple):
    """A sample of two turns, whose provenance says no more than where it stood."""

    instruction: str
    input: str
    output: str
    source: str = ""
    source_id: str = ""

    def sample(self) -> Sample:
        """Return the sample that this is."""
        return Sample.single(
            self.instruction,
            input=self.input,
            output=self.output,
            provenance=Provenance(source=self.source, source_id=self.source_id),
        )

    def content(self) -> dict[str, Any]:
        """Return what the id is a hash of: the sample's JSON form without provenance, its keys in order."""
        question: dict[str, str] = {"content": self.instruction} if self.instruction else {}
        if self.input:
            question["input"] = self.input
        question["role"] = "user"
        answer = {"content": self.output, "role": "assistant"} if self.output else {"role": "assistant"}
        return {"turns": (question, answer)}

    def carried(self, *, input_apart: bool) -> dict[str, Any]:
        """Return what `holds.carried` returns for the sample, its keys in order."""
        known: dict[str, Any] = {"source": self.source} if self.source else {}
        if self.source_id:
            known["source_id"] = self.source_id
        if self.input and not input_apart:
            known["turns"] = {"0": {"input": len(self.input)}}
        return known


def read_light(
    rows: Iterable[tuple[int, Mapping[str, Any]]], shape: Format, source: str = ""
) -> Iterator[Single | Sample | Rejection]:
    """Yield what `detect.read` yields, with a `Single` in place of each sample that is no more than that."""
    if not _beside(shape, "read", "single_of"):
        yield from read(rows, shape, source)
        return
    single_of, make = shape.single_of, Single._make
    for number, row in shape.gather(rows):
        found = single_of(row)
        if found is None or not _is_text(found):
            yield from read_row(number, row, shape, source)
        elif source:
            yield make((*found, source, str(number)))
        else:
            yield make((*found, "", ""))


def as_sample(one: Single | Sample) -> Sample:
    """Return the sample."""
    return one.sample() if isinstance(one, Single) else one


def writes_singles(shape: Format) -> bool:
    """Tell whether `row_of` says for a `Single` what `write` says for its sample, and nothing else is to be done."""
    plain = type(shape).group is Format.group and type(shape).flat is Format.flat
    return plain and _beside(shape, "write", "row_of") and shape.row_of("", "", "") is not None


def _beside(shape: Format, full: str, short: str) -> bool:
    """Tell whether the short way is of the same class as the full one: a subclass may change one of them alone."""
    homes = [next(kind for kind in type(shape).__mro__ if name in vars(kind)) for name in (full, short)]
    return homes[0] is homes[1]


def _is_text(texts: tuple[str, str, str]) -> bool:
    """Tell whether UTF-8 can hold all texts: half a surrogate pair is for the full reader to name."""
    instruction, given, output = texts
    if instruction.isascii() and output.isascii() and given.isascii():
        return True
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True
