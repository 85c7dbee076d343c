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
from collections.abc import Mapping
from typing import Any, ClassVar

from instructgen.records import Sample

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


class Format:
    """One row shape."""

    name: ClassVar[str]
    title: ClassVar[str]
    """One line for lists and cards."""
    consumers: ClassVar[tuple[str, ...]] = ()
    """Programs that load this shape, checked against the real ones."""
    columns: ClassVar[Mapping[str, Any]]
    """Column -> feature, as the card states it: "string", [..] for lists, {...} for structs."""
    holds: ClassVar[frozenset[str]] = frozenset()
    """Parts of a sample that a row has a place for, of `formats.holds.PARTS`; "input" = apart from the instruction."""

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row looks like this shape (used to detect a dataset's format)."""
        return False

    @abstractmethod
    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the samples of a row. Raises: Unreadable."""

    @abstractmethod
    def write(self, sample: Sample) -> Row:
        """Return the sample's row. Raises: Unwritable."""
