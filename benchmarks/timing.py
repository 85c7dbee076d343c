"""Measuring side by side: contenders take turns, so that a busy machine is busy for all of them."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Times(NamedTuple):
    """Seconds of one contender, median of its rounds."""

    wall: float
    cpu: float
    """Of all threads of this process."""


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int = 3) -> dict[str, Times]:
    """Run all contenders in turn, `rounds` times; return the medians."""
    walls: dict[str, list[float]] = {name: [] for name in contenders}
    cpus: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            walls[name].append(time.perf_counter() - wall)
            cpus[name].append(time.process_time() - cpu)
    return {name: Times(statistics.median(walls[name]), statistics.median(cpus[name])) for name in contenders}


def in_child(code: str) -> tuple[float, float, str]:
    """Run code in a fresh interpreter; return its CPU seconds, its peak memory in MiB, and what it printed.

    CPU seconds are those of its processes as well, memory is its own.

    The code prints one line, and is measured as a whole: interpreter and imports included.
    """
    tail = (  # VmHWM begins anew with the interpreter; getrusage would count what this process held when it forked
        "\nimport os as _os, re as _re; _peak = _re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]"
        "\nprint(sum(_os.times()[:4]), int(_peak) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    *printed, numbers = done.stdout.strip().splitlines()
    cpu, peak = map(float, numbers.split())
    return cpu, peak, "\n".join(printed)


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    print(flush=True)
