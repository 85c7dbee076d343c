"""Formats: row shapes of instruction datasets, read and written. One file a shape.

    class Alpaca(Format):
        name = "alpaca"
        def fits(row): ...      {"instruction", "output"} in row
        def read(row): ...      -> [Sample]
        def write(sample): ...  -> {"instruction": ..., "input": ..., "output": ...}

`write` raises `Unwritable` for a sample that the shape cannot hold: never a silent loss.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from instructgen.records import Sample, Turn

if TYPE_CHECKING:
    import pyarrow as pa

    from instructgen.formats.chats import Chats
    from instructgen.formats.single import Singles

Row = dict[str, Any]


class Unwritable(Exception):  # noqa: N818 - says something about one sample; exporters count it or name it
    """A sample that a format cannot hold. `reason` is countable, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Unreadable(Exception):  # noqa: N818 - says something about one row; readers count it
    """A row that does not have the format's shape. `reason` is countable, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Shared(NamedTuple):
    """Rows, and the samples that `read` finds in them, in its order."""

    rows: list[Row]
    samples: list[Sample]


class Format:
    """One row shape."""

    name: ClassVar[str]
    title: ClassVar[str]
    """One line for lists and cards."""
    consumers: ClassVar[tuple[str, ...]] = ()
    """Trainers that load this shape, checked with the real ones; `datasets` and pandas load every shape."""
    columns: ClassVar[Mapping[str, Any]]
    """Column -> feature, as the card states it: "string", [..] for lists, {...} for structs."""
    optional: ClassVar[frozenset[str]] = frozenset()
    """Columns, and keys inside of them, that a written row may lack, or that `flat` puts into another form."""
    plain: ClassVar[tuple[str, str, str] | None] = None
    """Columns of instruction, input ("" = the shape has none) and output: a row with these texts and no other column
    is read as a question and its answer, many at a time (`formats.single`). The input may be missing or null."""
    holds: ClassVar[frozenset[str]] = frozenset()
    """Parts of a sample that a row has a place for, of `formats.holds.PARTS`; "input" = apart from the instruction,
    "step_keys" = what a step has beside text and rating, "provenance" = all of it."""

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row looks like this shape (used to detect a dataset's format)."""
        return False

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the samples of a row. Raises: Unreadable; pydantic's ValidationError for a wrong type."""
        return [Sample.model_validate(form) for form in self.read_json(row)]

    def read_json(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the samples of a row in their JSON form, which `read` validates; a shape has this or its own `read`.

        Exports take most rows from here without making samples (`formats.light`). Raises: Unreadable.
        """
        raise NotImplementedError(f"format {self.name!r} reads nothing")

    @abstractmethod
    def write(self, sample: Sample) -> Row:
        """Return the sample's row. Raises: Unwritable."""

    def write_singles(self, singles: Singles) -> Mapping[str, pa.Array]:
        """Return, by column, what `write` makes of many samples of two turns and no more, whatever their texts.

        A faster way to the same, for `formats.single`; shapes without one need not have it.
        """
        raise NotImplementedError(f"format {self.name!r} writes row by row")

    def write_chats(self, chats: Chats) -> Mapping[str, pa.Array]:
        """Return, by column, what `write` makes of many conversations of texts, all of which `holds` allows.

        A faster way to the same, for `formats.chats`, where `write` refuses no other of them. A shape with
        `write_singles` that holds no more than questions with their answers has it already.
        """
        return self.write_singles(chats.singles())

    def flat(self, row: Row) -> Row:
        """Return a written row as its `columns` hold it in Parquet: free-form parts become JSON texts."""
        return row

    def group(self, sample: Sample) -> str:
        """Return the key of samples that share a row (instances of a task, paths of a tree); "" = a row of its own."""
        return ""

    def share(self, samples: Sequence[Sample]) -> list[Shared]:
        """Return samples with one `group` key, which stood side by side, in as few rows as hold all of each.

        Raises: Unwritable when `write` would for one of them.
        """
        return [Shared([self.write(sample)], [sample]) for sample in samples]

    def write_all(self, samples: Sequence[Sample]) -> list[Row]:
        """Return the rows of `share`. Raises: Unwritable."""
        return [row for shared in self.share(samples) for row in shared.rows]

    def more_keys(self, turn: Turn) -> Mapping[str, Any]:
        """Return those of a turn's extra keys that a row has no place for."""
        return turn.extra

    def shown(self, sample: Sample) -> Collection[str]:
        """Return what a sample's row shows in another place than a column of the same name.

        Named as `formats.unshown` names it. Example: a column `label` shows {"label desirable"}.
        """
        return ()

    def calls_beside(self, turns: Sequence[Turn]) -> Mapping[int, Mapping[str, Any]]:
        """Return, by number of the turn, `tool_calls` and `tool_call_id` that a row has no place for."""
        return {}

    def gather(self, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield numbered rows as `read` wants them; shapes that spread a sample over several rows join those here."""
        yield from rows

    def scatter(self, row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return the source rows that `gather` joined into this one."""
        return [row]
