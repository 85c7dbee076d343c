"""A stream of samples, or a file's blocks -> rendered batches, in the order of the input.

Blocks of lines are rendered beside each other: plain rows in threads, since Arrow, numpy and compression leave Python's
lock alone; other rows in processes, when there are enough of them to make up for the start. How many
workers there are changes no byte of the result.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import chain, islice

from instructgen.blocks import Batch, Block, Blocks, in_order
from instructgen.errors import ExportError
from instructgen.exporters.processes import pool as processes
from instructgen.exporters.processes import sendable
from instructgen.exporters.rendered import Rendered
from instructgen.exporters.rendering import Renderer
from instructgen.formats.chats import Chats
from instructgen.formats.single import Singles
from instructgen.records import Rejection, Sample

BATCH = 1_000
PROCESSES_FROM = 6
"""Blocks (of 4 MB) from which samples are made in processes; each of these takes about half a second to start."""
THREADS = 4
"""Threads at most: hashing row by row holds Python's lock for a fifth of the work, more of them would only wait."""
MOST = 8
"""Processes at most: one takes what they render, and writes it."""
Item = Sample | Singles | Chats | Rejection


@dataclass(frozen=True)
class Watch:
    """Who is told how an export goes."""

    unreadable: Callable[[Rejection], object] = lambda _: None
    """Of each row of the input that could not be read."""
    progress: Callable[[int], object] = lambda _: None
    """Of how many samples came, batch by batch."""


def counted(watch: Watch) -> tuple[Counter[str], Watch]:
    """Return a count by reason of the rows that could not be read, and the watch that keeps it."""
    reasons: Counter[str] = Counter()

    def unreadable(one: Rejection) -> None:
        reasons[one.reason] += 1
        watch.unreadable(one)

    return reasons, replace(watch, unreadable=unreadable)


def rendered(samples: Iterable[Item], renderer: Renderer, watch: Watch) -> Generator[Rendered, None, None]:
    """Yield all batches, rendered. Raises: what reading and `Renderer.render` raise."""
    of_blocks: Iterable[tuple[list[Rendered], list[Rejection]]]
    if isinstance(samples, Blocks):
        of_blocks = _of_blocks(iter(samples.blocks), renderer)
    else:
        of_blocks = (([renderer.render(batch)], list[Rejection]()) for batch in _batches(readable(samples, watch)))
    for batches, rejections in of_blocks:
        for rejection in rejections:
            watch.unreadable(rejection)
        for batch in batches:
            yield batch
            watch.progress(batch.counts.seen)


def readable(samples: Iterable[Item], watch: Watch) -> Iterator[Sample | Singles | Chats]:
    """Yield what could be read."""
    for one in samples:
        if isinstance(one, Rejection):
            watch.unreadable(one)
        else:
            yield one


def _batches(samples: Iterable[Sample | Singles | Chats]) -> Iterator[Sequence[Sample] | Singles | Chats]:
    batch: list[Sample] = []
    for one in samples:
        if isinstance(one, Sample):
            batch.append(one)
        if batch and (len(batch) == BATCH or not isinstance(one, Sample)):
            yield batch
            batch = []
        if not isinstance(one, Sample):
            yield one
    if batch:
        yield batch


def _of_block(renderer: Renderer, block: Block | Batch) -> tuple[list[Rendered], list[Rejection]]:
    rejections: list[Rejection] = []
    batches = _batches(readable(block.made(), Watch(unreadable=rejections.append)))
    return [renderer.render(batch) for batch in batches], rejections


def _of_blocks(blocks: Iterator[Block | Batch], renderer: Renderer) -> Iterator[tuple[list[Rendered], list[Rejection]]]:
    head = list(islice(blocks, PROCESSES_FROM))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(MOST, cores)
    pool: Executor
    if len(head) < PROCESSES_FROM or workers < 2 or not _pays(head[0], renderer):
        workers = max(2, min(THREADS, cores))
        pool = ThreadPoolExecutor(workers)
    else:
        pool = processes(workers)
    try:
        yield from in_order(lambda block: pool.submit(_of_block, renderer, block), chain(head, blocks), workers)
    except BrokenProcessPool as error:
        raise ExportError(
            "a process that rendered samples ended early (killed, or out of memory); export again, "
            "or keep it to one core: taskset -c 0 instructgen export ..."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _pays(block: Block | Batch, renderer: Renderer) -> bool:
    """Tell whether blocks like this one are work for processes: samples are made, and all it takes can be sent."""
    if not renderer.stand_alone:
        return False
    if renderer.takes_singles and isinstance(next(block.made(), None), Singles):
        return False
    return sendable((renderer, block.shape))
