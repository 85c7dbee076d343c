"""Which requests went out in which batch: `batches.jsonl` in the run directory, so that another process can go on.

    {"key":"5f1c…","path":"/v1/chat/completions","requests":["9b2e…","c077…"]}     before the batch is made
    {"key":"5f1c…","batch":"batch_abc"}                                            once the provider has named it
    {"key":"5f1c…","cancelled":true}                                               before we ask to cancel it
    {"key":"5f1c…","ended":"completed"}                                            when it has ended

Each line is on disk before the next step is taken. A kill between the first two leaves a batch that the provider may
have or not; its key stands in the batch's metadata, so it can be looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructgen.errors import RunError
from instructgen.files import append_line, describe, loads

NAME = "batches.jsonl"


@dataclass
class Sent:
    """One batch, as far as we know."""

    key: str
    path: str
    """Where each of its requests goes, e.g. /v1/chat/completions."""
    requests: int
    """How many requests are in it."""
    batch: str = ""
    """The provider's name for it; "" = not known to have been made."""
    ended: str = ""
    """Its last status; "" = not known to have ended."""
    cancelled: bool = False
    """True when we asked the provider to stop it."""


@dataclass
class BatchLog:
    """The batches of a run, oldest first. Without a folder nothing is kept."""

    folder: Path | None = None
    sent: dict[str, Sent] = field(default_factory=dict)
    _last: dict[str, str] = field(default_factory=dict)
    """Request -> key of the batch that it went out in last."""

    def __post_init__(self) -> None:
        """Read what earlier sittings have noted. Raises: RunError for a file that is damaged before its last line."""
        if self.folder is None or not (self.folder / NAME).exists():
            return
        path = self.folder / NAME
        raw = path.read_bytes()
        *lines, torn = raw.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                self._take(loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"{path}:{number}: not a line of a batch log ({error}); restore it, or take it away: then open "
                    "batches are not looked for, and their requests are sent again"
                ) from error
        if torn:  # killed in the middle of a line: what it was to say had not been done yet, or is found again
            with path.open("r+b") as file:
                file.truncate(len(raw) - len(torn))

    def _take(self, line: dict[str, Any]) -> None:
        if "requests" in line:
            self.sent[line["key"]] = Sent(line["key"], line["path"], len(line["requests"]))
            self._last.update(dict.fromkeys(line["requests"], line["key"]))
        elif "batch" in line:
            self.sent[line["key"]].batch = line["batch"]
        elif "cancelled" in line:
            self.sent[line["key"]].cancelled = bool(line["cancelled"])
        else:
            self.sent[line["key"]].ended = line["ended"]

    def note(self, **line: Any) -> None:
        """Take in a line, and have it on disk when this returns. Raises: RunError when it cannot be written."""
        self._take(line)
        if self.folder is None:
            return
        path = self.folder / NAME
        try:
            append_line(path, line)
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {describe(error)}") from error

    def newest(self, request: str) -> Sent | None:
        """Return the batch that a request went out in last."""
        return self.sent[self._last[request]] if request in self._last else None

    @property
    def open(self) -> list[Sent]:
        """The batches that the provider still works on, for all that we know."""
        return [sent for sent in self.sent.values() if sent.batch and not sent.ended]
