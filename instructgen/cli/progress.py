"""Progress of long work: a live line on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from instructgen.engine import Progress

PLAIN_SECONDS = 10.0
LIVE_SECONDS = 0.2
TOP_REASONS = 3
STEADY_SECONDS = 3.0
"""A rate over less time than this says nothing: the first commits of a sitting come all at once."""
MARK_SECONDS = 1.0


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


class Mark(NamedTuple):
    """How far a run was at a moment."""

    at: float
    accepted: int = 0
    parsed: int = 0
    usd: float = 0.0

    @classmethod
    def of(cls, progress: Progress) -> Mark:
        """Mark this moment."""
        return cls(time.monotonic(), progress.accepted, progress.parsed, float(progress.paid.usd))


class Course:
    """Where a sitting began, and where it was when its last third began: novelty runs out, and what a run gave at
    first says too much of what is to come.
    """

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()
        self.begun: Mark | None = None

    def note(self, progress: Progress) -> None:
        """Take a commit in."""
        mark = Mark.of(progress)
        self.begun = self.begun or mark
        if not self._marks or mark.at - self._marks[-1].at >= MARK_SECONDS:
            self._marks.append(mark)
        third = mark.at - (mark.at - self.begun.at) / 3
        while len(self._marks) > 1 and self._marks[1].at <= third:
            self._marks.popleft()

    def lately(self) -> Mark:
        """Return the mark since which the last third is counted."""
        return self._marks[0]


def line_of(progress: Progress, begun: Mark, lately: Mark | None = None, *, priced: bool = False) -> str:
    """Return one line: accepted, rejected by reason, rate, spent, forecast, time left, and whether the yield falls.

    Rate and forecasts go by what came since `lately`, or by the whole sitting where that is too short.
    """
    now = Mark.of(progress)
    since = lately if lately and now.at - lately.at >= STEADY_SECONDS else begun
    seconds = now.at - since.at
    rate = (progress.accepted - since.accepted) / seconds if seconds >= STEADY_SECONDS else 0.0
    left = max(progress.target - progress.accepted, 0)
    beyond = max(progress.accepted - progress.target, 0)
    reasons = ", ".join(
        f"{name.partition('/')[2]} {count}" for name, count in progress.reasons.most_common(TOP_REASONS)
    )
    parts = [
        f"accepted {progress.accepted - beyond}/{progress.target}{f' and {beyond} beyond it' if beyond else ''}",
        f"rejected {progress.parsed - progress.accepted}{f' ({reasons})' if reasons else ''}",
        *([f"{rate * 60:,.{0 if rate * 60 >= 10 else 1}f} a minute"] if seconds >= STEADY_SECONDS else []),
        *_spent(progress, since, priced=priced),
    ]
    if now == begun._replace(at=now.at) and left:
        answers = "1 answer" if progress.bought == 1 else f"{progress.bought} answers"
        parts.append(f"{answers} so far, no slot complete yet")
    if rate > 0 and left:
        parts.append(f"about {duration(left / rate)} left")
    if lately and left and (fall := _fall(begun, lately, now)):
        parts.append(fall)
    return " | ".join(parts)


def _fall(begun: Mark, lately: Mark, now: Mark) -> str:
    """Say it when much less is accepted of late than before; "" when not, or of too few candidates to tell."""
    from instructgen.forecast import fall_of

    before, after = lately.parsed - begun.parsed, now.parsed - lately.parsed
    fall = fall_of((lately.accepted - begun.accepted, before), (now.accepted - lately.accepted, after))
    return f"acceptance falls: {fall[1]:.0%} of late, {fall[0]:.0%} before; it will take longer" if fall else ""


def _spent(progress: Progress, since: Mark, *, priced: bool) -> list[str]:
    """Return what was spent, and what the target will take at the price of late; dollars where they cost any."""
    dollars = float(progress.paid.usd) if priced else 0.0
    left, came = progress.target - progress.accepted, progress.accepted - since.accepted
    each = (dollars - since.usd) / came if came and dollars > since.usd else dollars / max(progress.accepted, 1)
    forecast = f", {dollars + each * left:.2f} USD to the target" if progress.accepted and left > 0 else ""
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
    """Give a function to call after each commit, and between. With `machine`, JSON lines on standard output."""
    live = sys.stderr.isatty() and not machine
    course = Course()
    shown = 0.0
    last: list[Progress] = []

    def watch(progress: Progress) -> None:
        nonlocal shown
        now = time.monotonic()
        if course.begun is None:
            shown = now
        course.note(progress)
        last[:] = [progress]
        if now - shown >= (LIVE_SECONDS if live else PLAIN_SECONDS):
            shown = now
            show(progress)

    def show(progress: Progress) -> None:
        begun = course.begun or Mark.of(progress)
        if machine:
            reasons = dict(progress.reasons.most_common())
            told = {"accepted": progress.accepted, "target": progress.target, "parsed": progress.parsed,
                    "slots": progress.slots, "rejected": reasons, "tokens": progress.spent.tokens,
                    "usd": float(progress.paid.usd) if priced else None}  # fmt: skip
            typer.echo(json.dumps(told))
        elif live:
            sys.stderr.write(f"\r\x1b[2K{_cut(line_of(progress, begun, course.lately(), priced=priced))}")
            sys.stderr.flush()
        else:
            typer.echo(line_of(progress, begun, course.lately(), priced=priced), err=True)

    try:
        yield watch
    finally:
        if last:
            show(last[0])
        if live and last:
            sys.stderr.write("\n")
