"""Progress of long work: a live line on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from instructgen.engine import Progress

PLAIN_SECONDS = 10.0
LIVE_SECONDS = 0.2
TOP_REASONS = 3


def line_of(progress: Progress, started: tuple[float, int]) -> str:
    """Return one line: accepted, rejected by reason, rate, tokens, time left."""
    seconds = max(time.monotonic() - started[0], 1e-9)
    rate = (progress.accepted - started[1]) / seconds
    left = max(progress.target - progress.accepted, 0)
    total = sum(cost.tokens for cost in progress.usage.values())
    reasons = ", ".join(
        f"{name.partition('/')[2]} {count}" for name, count in progress.reasons.most_common(TOP_REASONS)
    )
    parts = [
        f"accepted {progress.accepted}/{progress.target}",
        f"rejected {progress.parsed - progress.accepted}{f' ({reasons})' if reasons else ''}",
        f"{rate * 60:.1f} a minute",
        f"{total:,} tokens",
    ]
    if rate > 0 and left:
        parts.append(f"about {_duration(left / rate)} left")
    return " | ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@contextmanager
def shown_progress(*, machine: bool = False) -> Iterator[Callable[[Progress], None]]:
    """Give a function to call after each commit. With `machine`, JSON lines on standard output."""
    live = sys.stderr.isatty() and not machine
    started: list[tuple[float, int]] = []
    shown = 0.0
    last: list[Progress] = []

    def watch(progress: Progress) -> None:
        nonlocal shown
        now = time.monotonic()
        if not started:
            started.append((now, progress.accepted))
            shown = now
        last[:] = [progress]
        if now - shown >= (LIVE_SECONDS if live else PLAIN_SECONDS):
            shown = now
            show(progress)

    def show(progress: Progress) -> None:
        if machine:
            reasons = dict(progress.reasons.most_common())
            told = {"accepted": progress.accepted, "target": progress.target, "parsed": progress.parsed,
                    "slots": progress.slots, "rejected": reasons}  # fmt: skip
            typer.echo(json.dumps(told))
        elif live:
            sys.stderr.write(f"\r\x1b[2K{line_of(progress, started[0])}")
            sys.stderr.flush()
        else:
            typer.echo(line_of(progress, started[0]), err=True)

    try:
        yield watch
    finally:
        if last:
            show(last[0])
        if live and last:
            sys.stderr.write("\n")
