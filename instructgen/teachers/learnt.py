"""What models do not take, kept with the run in `learnt.jsonl`, so that no later sitting pays for it again.

    {"endpoint":"https://api.openai.com/v1","model":"o4-mini","without":"temperature"}
    {"endpoint":"https://api.openai.com/v1","model":"o4-mini","limit":"max_completion_tokens"}

Online a lesson costs one refused request, or two answers without the shape that was asked for; in batch mode it costs
every request of a wave, and a day. The file may be taken away at any time: what is true is then learnt again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructgen.errors import RunError
from instructgen.files import append_line, describe, loads

NAME = "learnt.jsonl"


@dataclass
class Lessons:
    """What one model at one endpoint does not take."""

    book: Learnt
    endpoint: str
    """Its address without secrets."""
    model: str
    without: set[str] = field(default_factory=set)
    """Parameters that are left out."""
    limit: str = ""
    """What it calls the output limit; "" = not found out."""

    def leave_out(self, name: str) -> None:
        """Keep that a parameter is not taken."""
        self.without.add(name)
        self.book.note(self, without=name)

    def call_limit(self, name: str) -> None:
        """Keep what the output limit is called."""
        self.limit = name
        self.book.note(self, limit=name)


class Learnt:
    """The lessons of a run. Without a folder they last as long as the connection."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = None if folder is None else folder / NAME
        self._lines: list[dict[str, Any]] = []
        if self._path is not None and self._path.exists():
            self._lines = list(_readable(self._path.read_bytes()))

    def of(self, endpoint: str, model: str) -> Lessons:
        """Return what is known of a model at an endpoint."""
        lessons = Lessons(self, endpoint, model)
        for line in self._lines:
            if (line.get("endpoint"), line.get("model")) == (endpoint, model):
                lessons.without |= {line["without"]} if "without" in line else set()
                lessons.limit = line.get("limit", lessons.limit)
        return lessons

    def note(self, lessons: Lessons, **lesson: str) -> None:
        """Have a lesson on disk when this returns. Raises: RunError when it cannot be written."""
        if self._path is None:
            return
        try:
            append_line(self._path, {"endpoint": lessons.endpoint, "model": lessons.model} | lesson)
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {describe(error)}") from error


def _readable(raw: bytes) -> list[dict[str, Any]]:
    """The lines that can be read: one torn by a kill is a lesson that is learnt again."""
    found = []
    for line in raw.split(b"\n"):
        try:
            said = loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            found.append(said)
    return found
