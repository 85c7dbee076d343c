"""Progress of long work: a live line on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import shutil
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
STEADY_SECONDS = 3.0
"""A rate over less time than this says nothing: the first commits of a sitting come all at once."""


class Pace:
    """Tells when another line of progress is due."""

    def __init__(self) -> None:
        self._begun = self._told = time.monotonic()

    def due(self) -> float:
        """Return the seconds since the beginning if a line is due, else 0."""
        now = time.monotonic()
        if now - self._told < PLAIN_SECONDS:
            return 0.0
        self._told = now
        return now - self._begun


def line_of(progress: Progress, started: tuple[float, int], *, priced: bool = False) -> str:
    """Return one line: accepted, rejected by reason, rate, spent, forecast, time left."""
    seconds = time.monotonic() - started[0]
    rate = (progress.accepted - started[1]) / seconds if seconds >= STEADY_SECONDS else 0.0
    left = max(progress.target - progress.accepted, 0)
    beyond = max(progress.accepted - progress.target, 0)
    reasons = ", ".join(
        f"{name.partition('/')[2]} {count}" for name, count in progress.reasons.most_common(TOP_REASONS)
    )
    parts = [
        f"accepted {progress.accepted - beyond}/{progress.target}{f' and {beyond} beyond it' if beyond else ''}",
        f"rejected {progress.parsed - progress.accepted}{f' ({reasons})' if reasons else ''}",
        *([f"{rate * 60:,.{0 if rate * 60 >= 10 else 1}f} a minute"] if seconds >= STEADY_SECONDS else []),
        *_spent(progress, priced=priced),
    ]
    if rate > 0 and left:
        parts.append(f"about {duration(left / rate)} left")
    return " | ".join(parts)


def _spent(progress: Progress, *, priced: bool) -> list[str]:
    """Return what was spent, and what the target will take at this rate; dollars where they cost any."""
    dollars = float(progress.paid.usd) if priced else 0.0
    share = progress.target / progress.accepted if progress.accepted else 0.0
    forecast = f", {dollars * share:.2f} USD to the target" if share > 1 else ""
    return [f"{progress.spent.tokens:,} tokens", *([f"{dollars:.2f} USD{forecast}"] if dollars else [])]


def _cut(line: str) -> str:
    """Return what fits into one line of the terminal: a line that wraps cannot be written over."""
    width = max(shutil.get_terminal_size().columns - 1, 10)
    return line if len(line) <= width else f"{line[: width - 1]}…"


def duration(seconds: float) -> str:
    """Return a time as people say it: 42 s, 5 min, 1.3 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@contextmanager
def shown_progress(*, machine: bool = False, priced: bool = False) -> Iterator[Callable[[Progress], None]]:
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
                    "slots": progress.slots, "rejected": reasons, "tokens": progress.spent.tokens,
                    "usd": float(progress.paid.usd) if priced else None}  # fmt: skip
            typer.echo(json.dumps(told))
        elif live:
            sys.stderr.write(f"\r\x1b[2K{_cut(line_of(progress, started[0], priced=priced))}")
            sys.stderr.flush()
        else:
            typer.echo(line_of(progress, started[0], priced=priced), err=True)

    try:
        yield watch
    finally:
        if last:
            show(last[0])
        if live and last:
            sys.stderr.write("\n")
