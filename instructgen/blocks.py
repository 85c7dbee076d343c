"""JSON lines read in blocks of a few million bytes, and work done beside ours in a thread.

Arrow, numpy, hashing and writing do not hold Python's lock, so reading, working and writing overlap on several cores;
one thread each, in order, so that what comes out does not depend on how many cores there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from instructgen.files import open_bytes

BLOCK = 4 << 20
"""Bytes of a block; a longer line makes a block of its own."""
T = TypeVar("T")


def line_blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number of its first line, from 1; whole lines) of a file, unpacked. Raises: DataError."""
    number = 1
    with open_bytes(path) as file:
        while data := file.read(BLOCK):
            block = data + file.readline() if not data.endswith(b"\n") else data
            yield number, block
            number += block.count(b"\n")


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
