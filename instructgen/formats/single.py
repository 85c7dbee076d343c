"""One question with its answer and nothing else: what most rows of instruction data are, many at a time.

A `Sample` takes 10 microseconds to validate. Streams that are only copied from shape to shape (exports) read such rows
by column, as `Singles`, and make the samples when anything more is asked of them: `singles.samples()` is what
`detect.read` makes of the same rows, ids and provenance included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from instructgen.formats import Format
from instructgen.formats.columns import are_empty, column, escaped, fixed_width, join, text, texts, texts_of, where
from instructgen.records import Provenance, Sample, canonical

if TYPE_CHECKING:
    import pyarrow as pa

CHARACTERS = 16 << 20
"""A row of more is read by itself."""
BLOCK_BYTES = 64 << 20
"""A block of lines above this is read row by row: one column of it could be more than Arrow's texts can hold."""


@dataclass(frozen=True)
class Singles:
    """Samples of two turns, whose provenance says no more than where they stood; three columns of texts."""

    instruction: pa.Array
    input: pa.Array
    """Empty where there is none."""
    output: pa.Array
    numbers: pa.Array
    """Of their rows in the source, int64."""
    source: str = ""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.instruction)

    def taken(self, mask: Any) -> Singles:
        """Return those where the mask (a numpy array) holds."""
        here = column(mask)
        columns = (self.instruction, self.input, self.output, self.numbers)
        instruction, given, output, numbers = (values.filter(here) for values in columns)
        return Singles(instruction, given, output, numbers, self.source)

    @cached_property
    def question(self) -> pa.Array:
        """What a model reads: the instruction, then a blank line and the input if there is one."""
        return where(self._no_input, self.instruction, join(self.instruction, "\n\n", self.input))

    @cached_property
    def _no_input(self) -> pa.Array:
        return are_empty(self.input)

    def samples(self) -> list[Sample]:
        """Return the samples that these are."""
        columns = (self.instruction, self.input, self.output, self.numbers)
        return [
            Sample.single(instruction, input=given, output=output, provenance=self._provenance(number))
            for instruction, given, output, number in zip(*(column.to_pylist() for column in columns), strict=True)
        ]

    def _provenance(self, number: int) -> Provenance:
        return Provenance(source=self.source, source_id=str(number)) if self.source else Provenance()

    def contents(self) -> pa.Array:
        """Return the JSON texts that ids are hashes of: `records.canonical` of each sample without its provenance."""
        instruction, given, output = escaped(self.instruction), escaped(self.input), escaped(self.output)
        given = where(self._no_input, "", join('"input":"', given, '",'))
        return join(
            '{"turns":[{', *_content(instruction), given, '"role":"user"},{', *_content(output), '"role":"assistant"}]}'
        )

    def carried(self, *, input_apart: bool) -> pa.Array:
        """Return what `holds.carried` returns for each sample, as `records.canonical` spells it."""
        import pyarrow as pa
        import pyarrow.compute as pc

        source = canonical(self.source).decode()
        known = join(f'"source":{source},"source_id":"', pc.cast(self.numbers, pa.string()), '"') if self.source else ""
        if input_apart:
            return join("{", known, "}") if self.source else fixed_width(b"{}" * len(self), 2)
        length = pc.cast(pc.utf8_length(self.input), pa.string())
        turns = where(self._no_input, "", join("," if self.source else "", '"turns":{"0":{"input":', length, "}}"))
        return join("{", known, turns, "}")


def _content(texts: pa.Array) -> list[pa.Array | str]:
    """Return the parts that spell a turn's content; an empty one is not spelled."""
    empty = are_empty(texts)
    if not empty.true_count:
        return ['"content":"', texts, '",']
    return [where(empty, "", join('"content":"', texts, '",'))]


def columns_of_block(data: bytes, shape: Format, first: int, source: str = "") -> Singles | None:
    """Return a block of JSON lines as columns; `None` when any line is more or other than a plain row of the shape.

    `first` is the number of its first line. Only one object a line, with the shape's plain columns as UTF-8 texts, is
    taken here; the full readers name what is wrong with anything else.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.json

    if not reads_singles(shape) or len(data) > BLOCK_BYTES or not data.endswith(b"\n") or not _is_utf8(data):
        return None
    line = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(line == ord("\n"))
    begins = np.concatenate([[0], ends[:-1] + 1])
    if not ((line[begins] == ord("{")).all() and (line[ends - 1] == ord("}")).all()):
        return None
    names = [name for name in shape.plain or () if name]
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(data),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=pa.schema([(name, pa.string()) for name in names]), unexpected_field_behavior="error"
            ),
        ).combine_chunks()
    except pa.ArrowInvalid:
        return None
    if len(table) != len(ends):  # several objects on a line
        return None
    return _made({name: table[name].chunk(0) for name in names}, shape, np.arange(first, first + len(table)), source)


def columns_of_batch(batch: pa.RecordBatch, shape: Format, first: int, source: str = "") -> Singles | None:
    """Return rows of Parquet as columns; `None` when any is more or other than a plain row of the shape."""
    import numpy as np
    import pyarrow as pa

    names = [name for name in shape.plain or () if name]
    if not reads_singles(shape) or batch.nbytes > BLOCK_BYTES or sorted(batch.schema.names) != sorted(names):
        return None
    columns = {}
    for name in names:
        values = batch[name]
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            return None
        columns[name] = pa.concat_arrays([values.cast(pa.string())])  # none is a slice
        try:
            columns[name].validate(full=True)
        except pa.ArrowInvalid:  # not UTF-8
            return None
    return _made(columns, shape, np.arange(first, first + len(batch)), source)


def _made(columns: Mapping[str, pa.Array], shape: Format, numbers: Any, source: str) -> Singles | None:
    """Return columns of the shape as `Singles`; `None` when a question or an answer is null."""
    import numpy as np
    import pyarrow.compute as pc

    instruction, given, output = shape.plain or ("", "", "")
    if columns[instruction].null_count or columns[output].null_count:
        return None
    if given:
        inputs = pc.coalesce(columns[given], text("")) if columns[given].null_count else columns[given]
    else:
        inputs = texts_of(b"", np.zeros(len(numbers) + 1, np.int32))
    return Singles(columns[instruction], inputs, columns[output], column(numbers.astype(np.int64)), source)


def gathered(plain: list[tuple[int, str, str, str]], source: str) -> Singles:
    """Return rows (number, instruction, input, output) as columns."""
    import numpy as np

    numbers, instruction, given, output = zip(*plain, strict=True)
    return Singles(texts(instruction), texts(given), texts(output), column(np.array(numbers, np.int64)), source)


def plain_of(row: Mapping[str, Any], names: tuple[str, str, str]) -> tuple[str, str, str] | None:
    """Return instruction, input and output of a row without other columns; `None` for anything but UTF-8 texts."""
    instruction, given, output = row.get(names[0]), row.get(names[1]) if names[1] else "", row.get(names[2])
    if given is None:
        given = ""
    if not (isinstance(instruction, str) and isinstance(given, str) and isinstance(output, str)):
        return None
    if not row.keys() <= set(filter(None, names)):
        return None
    if len(instruction) + len(given) + len(output) > CHARACTERS:
        return None
    return (instruction, given, output) if _is_utf8(instruction, given, output) else None


def reads_singles(shape: Format) -> bool:
    """Tell whether the shape's `plain` columns say what its `read` says, and rows stand alone."""
    alone = shape.plain is not None and type(shape).gather is Format.gather
    return alone and _beside(shape, "read_json" if type(shape).read is Format.read else "read", "plain")


def writes_singles(shape: Format) -> bool:
    """Tell whether `write_singles` says what `write` says of samples, and nothing else is to be done."""
    plain = type(shape).group is Format.group and type(shape).flat is Format.flat
    return plain and type(shape).write_singles is not Format.write_singles and _beside(shape, "write", "write_singles")


def writes_chats(shape: Format) -> bool:
    """Tell whether `write_chats` says what `write` says of chats that the shape holds, and that is all."""
    kind = type(shape)
    own = (kind.calls_beside, kind.flat, kind.group, kind.share, kind.shown)
    if own != (Format.calls_beside, Format.flat, Format.group, Format.share, Format.shown):
        return False
    if kind.write_chats is not Format.write_chats:
        return _beside(shape, "write", "write_chats")
    return writes_singles(shape) and shape.holds.isdisjoint(("system", "dialogue", "open"))


def _beside(shape: Format, full: str, short: str) -> bool:
    """Tell whether the short way is of the same class as the full one: a subclass may change one of them alone."""
    homes = [next(kind for kind in type(shape).__mro__ if name in vars(kind)) for name in (full, short)]
    return homes[0] is homes[1]


def _is_utf8(*texts: str | bytes) -> bool:
    """Tell whether texts can be written, or bytes read, as UTF-8: half a surrogate pair is for others to name."""
    if all(text.isascii() for text in texts):
        return True
    try:
        for text in texts:
            text.encode() if isinstance(text, str) else text.decode()
    except UnicodeError:
        return False
    return True
