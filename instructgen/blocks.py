"""JSON lines and Parquet read in blocks of a few million bytes, and work done beside ours in a thread.

Arrow, numpy, hashing and writing do not hold Python's lock, so reading, working and writing overlap on several cores;
one thread each, in order, so that what comes out does not depend on how many cores there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import instructgen.files as files
from instructgen.delimited import BadRow
from instructgen.formats import Format
from instructgen.formats.chats import Chats
from instructgen.formats.light import read_light
from instructgen.formats.single import Singles, columns_of_batch, columns_of_block
from instructgen.records import Rejection, Sample

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 4 << 20
"""Bytes of a block; a longer line makes a block of its own."""
T = TypeVar("T")
Made = TypeVar("Made")


def line_blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number of its first line, from 1; whole lines) of a file, unpacked. Raises: DataError."""
    import numpy as np

    number = 1
    with files.open_bytes(path) as file:
        while data := file.read(BLOCK):
            block = data + file.readline() if not data.endswith(b"\n") else data
            yield number, block
            number += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))


@dataclass(frozen=True)
class Block:
    """Lines of JSON that are rows of a shape whose rows stand alone."""

    data: bytes
    first: int
    """Number of the first line, from 1."""
    shape: Format
    source: str
    """What provenance calls the file."""

    def made(self) -> Iterator[Singles | Chats | Sample | Rejection]:
        """Yield what is in it: by column, else, if any line is not plain, row by row."""
        singles = columns_of_block(self.data, self.shape, self.first, self.source)
        if singles is not None:
            yield singles
            return
        yield from _row_by_row(self._rows, self.shape, self.source)

    def _rows(self, bad: BadRow) -> Iterator[tuple[int, dict[str, Any]]]:
        return files.objects(files.values_of_lines(BytesIO(self.data), self.first, bad), bad)


@dataclass(frozen=True)
class Batch:
    """Rows of a Parquet file, by column, of a shape whose rows stand alone."""

    columns: pa.RecordBatch
    first: int
    """Number of the first row, from 1."""
    shape: Format
    source: str

    def made(self) -> Iterator[Singles | Chats | Sample | Rejection]:
        """Yield what is in it: by column, else, if any row is not plain, row by row."""
        singles = columns_of_batch(self.columns, self.shape, self.first, self.source)
        if singles is not None:
            yield singles
            return
        from instructgen import parquet

        yield from _row_by_row(partial(parquet.rows, self.columns, self.first), self.shape, self.source)


def _row_by_row(
    rows: Callable[[BadRow], Iterable[tuple[int, dict[str, Any]]]], shape: Format, source: str
) -> Iterator[Singles | Chats | Sample | Rejection]:
    """Yield what is in rows; `rows` takes who is told of those that cannot be read."""
    bad: list[Rejection] = []
    told = rows(lambda number, problem: bad.append(broken(number, problem)))
    yield from with_broken(read_light(told, shape, source), bad)


def batches_of(paths: Iterable[Path], shape: Format, source: str) -> Iterator[Batch]:
    """Yield Parquet files; rows are numbered through all of them. Raises: DataError."""
    from instructgen import parquet

    first = 1
    for path in paths:
        for columns in parquet.batches(path):
            yield Batch(columns, first, shape, source)
            first += len(columns)


def blocks_of(rows: Iterable[Mapping[str, Any]], shape: Format) -> Iterator[Block]:
    """Yield rows of a shape that are in memory as blocks, to be rendered elsewhere; they have no source to name."""
    lines, size, first = list[bytes](), 0, 1
    for row in rows:
        lines.append(files.dumps(row) + b"\n")
        size += len(lines[-1])
        if size >= BLOCK:
            yield Block(b"".join(lines), first, shape, "")
            lines, size, first = [], 0, first + len(lines)
    if lines:
        yield Block(b"".join(lines), first, shape, "")


class Blocks:
    """A file as its blocks; or what is in them, made ahead of its use."""

    def __init__(self, blocks: Iterable[Block | Batch]) -> None:
        self.blocks = blocks

    def __iter__(self) -> Iterator[Singles | Chats | Sample | Rejection]:
        """Yield samples, plain ones by column, and a rejection for each row that cannot be read."""
        for made in ahead(list(block.made()) for block in self.blocks):
            yield from made


def broken(number: int, problem: str) -> Rejection:
    """Return the rejection of a row that the file reader could not parse."""
    return Rejection(stage="parse", reason="unreadable_row", evidence={"row": number, "detail": problem})


def with_broken(made: Iterable[T], bad: list[Rejection]) -> Iterator[T | Rejection]:
    """Yield what was made, and beside it the rows that the file reader could not parse."""
    for one in made:
        while bad:
            yield bad.pop(0)
        yield one
    yield from bad


def in_order(begin: Callable[[T], Future[Made]], items: Iterable[T], at_once: int) -> Iterator[Made]:
    """Yield the results of work begun on items, in their order; `at_once` are under way, as many wait behind them."""
    under_way: deque[Future[Made]] = deque()
    for item in items:
        under_way.append(begin(item))
        if len(under_way) >= 2 * at_once:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


def ahead(stream: Iterable[T]) -> Iterator[T]:
    """Yield what a stream yields, whose next one is made in a thread meanwhile."""
    ready = iter(stream)
    with ThreadPoolExecutor(1) as pool:
        coming: Future[T | None] = pool.submit(next, ready, None)
        while (one := coming.result()) is not None:
            coming = pool.submit(next, ready, None)
            yield one


class Behind:
    """Does in one thread, in order, what it is told; two pieces of work wait at most.

    Example: behind.do(lambda: writer.write(table)); behind.wait()
    """

    WAITING = 2

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._under_way: deque[Future[None]] = deque()

    def do(self, work: Callable[[], None]) -> None:
        """Have it done. Raises: what earlier work raised."""
        self._under_way.append(self._pool.submit(work))
        while len(self._under_way) > self.WAITING:
            self._under_way.popleft().result()

    def wait(self) -> None:
        """Return when all is done. Raises: what any of it raised."""
        while self._under_way:
            self._under_way.popleft().result()

    def close(self) -> None:
        """End: what has not begun is not done."""
        self._pool.shutdown(cancel_futures=True)
