"""What was sent in the last minute, kept with the run in `sent.jsonl`, so that a limit holds across sittings.

    {"boot": "3f9c...", "since_boot": 5021.32, "wall": 1795000000.11}        the clocks when the file was begun
    {"to": "https://api.openai.com/v1 gpt-4.1-mini OPENAI_API_KEY", "number": 17, "at": 5027.41, "tokens": 4120}
    {"to": ..., "number": 17, "at": 5027.02, "tokens": 812}                  answered: when, and what it took

`at` is the latest moment at which the request can have reached the endpoint, in seconds since the machine started:
nobody sets that clock, and it goes on through kills and sleep. After a restart, or on another machine, the wall clock
says how long ago that was; what it puts into the future counts as just sent, and delays nothing by more than a minute.
A kill loses no line. The file is an aid: one that is torn, gone or cannot be written costs waiting for refusals.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from instructgen.files import dumps, loads
from instructgen.teachers.limits import ON_THE_WAY

NAME = "sent.jsonl"
BEGUN_ANEW = 120.0
"""Seconds after which the file is written anew with what still counts."""
COUNTED = 70.0
"""Seconds for which a line is kept: a minute's window, and the time to the endpoint, with some to spare."""


class Clocks(NamedTuple):
    """A moment, by the clocks that another process can read too."""

    boot: str
    """What names this start of the machine; "" where nothing does."""
    since_boot: float
    wall: float

    @classmethod
    def now(cls) -> Clocks:
        """Read them."""
        boot = ""
        with suppress(OSError):
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return cls(boot, _since_boot(), time.time())


def _since_boot() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", None)  # counts through sleep; Linux alone has it
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Sent(NamedTuple):
    """What one endpoint and model was sent."""

    book: SentBook
    to: str

    def earlier(self) -> list[tuple[float, int]]:
        """Return (seconds since it arrived, tokens) of what earlier sittings sent and still counts, oldest first."""
        return self.book.earlier(self.to)

    def note(self, tokens: int) -> int:
        """Note a request that is being sent; return its number."""
        return self.book.add(self.to, tokens)

    def settle(self, number: int, tokens: int | None) -> None:
        """Note that it was answered, and took so many tokens where that is known."""
        self.book.settle(number, tokens)


class SentBook:
    """The last minute of a run. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = None if folder is None else folder / NAME
        self._lines: dict[int, dict[str, Any]] = {}
        self._file: FileIO | None = None
        self._begun = 0.0
        self._earlier = [] if self._path is None else list(self._read(self._path, Clocks.now()))
        self._number = 0

    def earlier(self, to: str) -> list[tuple[float, int]]:
        """Return (seconds since it arrived, tokens) for one endpoint, oldest first."""
        return sorted(((age, tokens) for name, age, tokens in self._earlier if name == to), reverse=True)

    def add(self, to: str, tokens: int) -> int:
        """Note a request that is being sent."""
        self._number += 1
        if self._path is not None:
            self._write({"to": to, "number": self._number, "at": _since_boot() + ON_THE_WAY, "tokens": tokens})
        return self._number

    def settle(self, number: int, tokens: int | None) -> None:
        """Note that it was answered."""
        if (line := self._lines.get(number)) is not None:
            known = line["tokens"] if tokens is None else tokens
            self._write(line | {"at": min(line["at"], _since_boot()), "tokens": known})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        if self._path is None:
            return
        self._lines[line["number"]] = line
        with suppress(OSError):
            if self._file is None or _since_boot() - self._begun > BEGUN_ANEW:
                self._begin(self._path)
            else:
                self._file.write(dumps(line) + b"\n")  # at once and whole: a kill loses nothing of it

    def _begin(self, path: Path) -> None:
        """Write the file anew: the clocks, and what still counts, of earlier sittings as well."""
        now = Clocks.now()
        old = [
            {"to": to, "number": -place, "at": now.since_boot - age, "tokens": tokens}
            for place, (to, age, tokens) in enumerate(self._read(path, now), 1)
        ] if self._file is None else []  # fmt: skip
        live = [line for line in [*old, *self._lines.values()] if line["at"] > now.since_boot - COUNTED]
        self._lines = {line["number"]: line for line in live}
        self.close()
        beside = path.with_name(f".{NAME}.part")
        beside.write_bytes(b"".join(dumps(line) + b"\n" for line in [now._asdict(), *live]))
        beside.replace(path)
        self._file, self._begun = FileIO(path, "ab"), now.since_boot

    def _read(self, path: Path, now: Clocks) -> Iterator[tuple[str, float, int]]:
        """Yield (endpoint, seconds since it arrived, tokens) of what still counts; the last line of a number holds."""
        clocks, lines = None, dict[Any, dict[str, Any]]()
        with suppress(OSError):
            for raw in path.read_bytes().split(b"\n"):
                with suppress(ValueError, TypeError, KeyError):  # torn by a kill, or written by somebody else
                    line = loads(raw)
                    if "boot" in line:
                        clocks = Clocks(str(line["boot"]), float(line["since_boot"]), float(line["wall"]))
                    else:
                        kept = {"to": line["to"], "at": float(line["at"]), "tokens": int(line["tokens"])}
                        lines[line["number"]] = kept
        if clocks is None:
            return
        same = bool(now.boot) and clocks.boot == now.boot
        elapsed = now.since_boot - clocks.since_boot if same else now.wall - clocks.wall
        for line in lines.values():
            age = max(-ON_THE_WAY, elapsed - (line["at"] - clocks.since_boot))
            if age < COUNTED:
                yield line["to"], age, line["tokens"]
