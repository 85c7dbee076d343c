"""Rows of comma- and tab-separated files, as people have them.

    text,label          ->  (2, {"text": "Fine, so far", "label": "1"})
    "Fine, so far",1

A quote that does not close takes no good rows with it; a row with too many fields is told, and the next one is read.
A TSV file has no quoting: a quote is text.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal

from instructgen.errors import DataError

BadRow = Callable[[int, str], None]
"""Told (line or row number, what is wrong) for a row that cannot be read."""


def delimited_rows(
    path: Path, raw: IO[bytes], bad: BadRow, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, row) of an opened CSV or TSV file; `columns` are its fields' names where it has no header line.

    Raises: DataError that names the line, for what the whole file suffers from: two columns of one name, other bytes
    than UTF-8.
    """
    csv.field_size_limit(1 << 30)  # the module's default of 128 kB is smaller than real fields
    tabs = ".tsv" in path.suffixes
    quoting: Literal[0, 3] = csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL
    delimiter = "\t" if tabs else ","
    lines = _Lines(_decoded(path, raw))
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
    try:
        names = list(columns) if columns else next(reader, [])
        _require_different(path, names)
        lines.take()
        for row in reader:
            read, open_quote = lines.take(), lines.ended
            first = lines.number - len(read) + 1
            if open_quote:
                again = lines.put_back(read[1:])
                lost = "" if again or not read[1:] else f"; the {len(read) - 1:,} lines behind it are lost"
                bad(first, f"the quote that opens here does not close{lost}")
            elif len(row) == len(names):
                yield lines.number, dict(zip(names, row, strict=True))
            elif row:
                bad(first, f"expected {len(names)} fields, found {len(row)}")
    except csv.Error as error:
        raise DataError(f"{path}:{lines.number + 1}: not {delimiter!r}-separated values: {error}") from error


def _require_different(path: Path, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{path}: two columns are called {twice[0]!r}; one of them would be lost. Rename it in the header"
        )


class _Lines:
    """Lines of a delimited file that can be put back: a quote that does not close takes no good rows with it."""

    MOST = 100
    """Times that lines are put back; a file with more of such quotes would be read again and again."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._waiting, self._taken, self._times = lines, deque[str](), list[str](), 0
        self.number = 0
        """The last line that was read; from 1."""
        self.ended = False
        """Whether the last line was read and another asked for: a row is open then, by a quote."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.ended = True
        line = self._waiting.popleft() if self._waiting else next(self._lines)
        self.ended, self.number = False, self.number + 1
        self._taken.append(line)
        return line

    def take(self) -> list[str]:
        """Return the lines read since the last call."""
        taken, self._taken = self._taken, []
        return taken

    def put_back(self, lines: Sequence[str]) -> bool:
        """Have lines read once more, unless that happened too often; tell whether they will be."""
        self._times += 1
        if self._times > self.MOST:
            return False
        self.ended = False
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)
        return True


def _decoded(path: Path, raw: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text file. Raises: DataError that names the line that is not UTF-8."""
    for number, line in enumerate(raw, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: not UTF-8 (byte {line[error.start]:#04x}); save it as UTF-8") from error
