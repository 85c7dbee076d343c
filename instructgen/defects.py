"""Defects of filters and generators that are somebody's own: one message that says whose, where, and which line.

    filter 'mine' (/site/my_rules.py, package my-rules 0.1) failed in row 12: ZeroDivisionError: division by zero.
    It comes from my_rules.py:14, in check: return 1 / 0

The whole traceback goes to the log, at level debug.
"""

from __future__ import annotations

import inspect
import logging
import sys
import traceback
from typing import Any

from instructgen.errors import InstructgenError
from instructgen.records import Rejection

log = logging.getLogger(__name__)


class DefectError(InstructgenError):
    """Code of a filter or generator went wrong. `place` (a slot, a row) is filled in by whoever knows it."""

    def __init__(self, who: str, what: str, place: str = "") -> None:
        super().__init__(who, what)
        self.who, self.what, self.place = who, what, place

    def __str__(self) -> str:
        where = f" in {self.place}" if self.place else ""
        return f"{self.who} failed{where}: {self.what}"


def defect(thing: Any, error: Exception | str, place: str = "") -> DefectError:
    """Return what to raise when `thing`, a filter or generator, raised `error`; or broke its contract, in words.

    Example: raise defect(check, error, "row 12") from error
    """
    who = f"{_noun(thing)} {thing.kind!r} ({origin(type(thing))})"
    tail = "Mend it there, or leave it out of the recipe; generate and clean show the traceback with -v"
    if origin(type(thing)) == "built in":
        tail = "That is a bug of instructgen: report it with the traceback, which generate and clean show with -v"
    if isinstance(error, str):
        return DefectError(who, f"{error}. {tail}", place)
    log.debug("%s failed", who, exc_info=error)
    said = f"{type(error).__name__}: {error}".rstrip(": .")
    line = own_line(error, _file(type(thing)))
    return DefectError(who, f"{said}.{f' It comes from {line}.' if line else ''} {tail}", place)


def verdict_of(check: Any, verdict: Any) -> Rejection | None:
    """Return a filter's verdict. Raises: DefectError for anything but a rejection or `None`."""
    if verdict is None or isinstance(verdict, Rejection):
        return verdict
    raise defect(check, f"it answered {shown(verdict)}, expected a Rejection (sample.rejected(...)) or None")


def origin(cls: type) -> str:
    """Return where a class comes from, for people: its file and the installed package, where there is one."""
    module = cls.__module__.partition(".")[0]
    if module == "instructgen":
        return "built in"
    packages = []
    if module in sys.modules:
        from importlib.metadata import packages_distributions, version

        names = sorted(set(packages_distributions().get(module, ())))
        packages = [f"package {name} {version(name)}" for name in names]
    return ", ".join([_file(cls) or cls.__module__, *packages])


def own_line(error: BaseException, file: str = "") -> str:
    """Return the last line of a traceback that stands in `file`, else its last line; "" without a traceback.

    Example: -> "my_rules.py:14, in check: return 1 / 0"
    """
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if frame.filename == file), frames[-1] if frames else None)
    return f"{last.filename}:{last.lineno}, in {last.name}: {last.line}" if last else ""


def shown(value: Any) -> str:
    """Return a wrong value for a message: its beginning and its type."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({type(value).__name__})"


def _noun(thing: Any) -> str:
    return "generator" if any(cls.__name__ == "Generator" for cls in type(thing).__mro__) else "filter"


def _file(cls: type) -> str:
    try:
        return inspect.getsourcefile(cls) or ""
    except (TypeError, OSError):
        return ""
