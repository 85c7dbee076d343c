"""Rows per second and CPU of each filter over the original Alpaca file, alone and as the default set.

python -m benchmarks.filters            52,002 rows, and ten times as many for the memory line
python -m benchmarks.filters --rows 5000
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence

from benchmarks.defects import alpaca, default_filters
from instructgen.errors import RecipeError
from instructgen.filters import Filter, Tools
from instructgen.records import Sample
from instructgen.registry import lookup

APART = ("constraints", "answers", "ambiguity", "pii", "secrets", "language", "profanity")
"""Opt-in filters, printed apart from the default set."""
GOAL = 5_000
"""Rows per second and core that the default set is to reach."""
BATCH = 1_000


def timed(work: Callable[[Sequence[Sample]], int], samples: Sequence[Sample]) -> tuple[float, float, int]:
    """Return wall seconds, CPU seconds and rejected rows of one pass."""
    wall, cpu, rejected = time.perf_counter(), time.process_time(), 0
    for at in range(0, len(samples), BATCH):
        rejected += work(samples[at : at + BATCH])
    return time.perf_counter() - wall, time.process_time() - cpu, rejected


def one(each: Filter) -> Callable[[Sequence[Sample]], int]:
    """Return a pass with one filter: its verdicts, and the notes of kept samples, as in `clean`."""

    def work(some: Sequence[Sample]) -> int:
        verdicts = each.check_batch(some)
        for sample, verdict in zip(some, verdicts, strict=True):
            if verdict is None:
                each.flags(sample)
        return sum(verdict is not None for verdict in verdicts)

    return work


def together(filters: Sequence[Filter]) -> Callable[[Sequence[Sample]], int]:
    """Return a pass with several filters, each on what the one before left; notes of what all keep."""

    def work(some: Sequence[Sample]) -> int:
        left = list(some)
        for each in filters:
            left = [sample for sample, verdict in zip(left, each.check_batch(left), strict=True) if verdict is None]
        for sample in left:
            for each in filters:
                each.flags(sample)
        return len(some) - len(left)

    return work


def line(name: str, samples: Sequence[Sample], work: Callable[[Sequence[Sample]], int]) -> float:
    wall, cpu, rejected = timed(work, samples)
    rate = len(samples) / cpu
    print(f"{name:24}{len(samples) / wall:12,.0f}{rate:14,.0f}{1e6 * cpu / len(samples):12.1f}{rejected:10,}")
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=0)
    options = parser.parse_args()
    samples = alpaca()[: options.rows or None]
    print(f"{len(samples):,} rows, one process\n")
    print(f"{'filter':24}{'rows/s':>12}{'rows/s CPU':>14}{'us a row':>12}{'rejected':>10}")
    filters = default_filters()
    for each in filters:
        line(each.kind, samples, one(each))
    rate = line("the default set", samples, together(filters))
    print(f"{'':24}{rate / GOAL:.2f} of the goal of {GOAL:,} rows/s per core\n")
    for kind in APART:
        try:
            each = lookup("filters", kind)().prepare(Tools())
        except RecipeError as error:
            print(f"{kind:24}{error}")
            continue
        line(kind, samples[:5_000] if kind == "profanity" else samples, one(each))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        timed(together(filters), samples)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"\nmemory after {3 * len(samples):,} more rows: {grown:+.1f} MB (peak resident)")


if __name__ == "__main__":
    main()
