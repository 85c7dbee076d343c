"""`decisions.jsonl`: one line per candidate, one closing line per slot, a hash chain over all of it.

    {"slot":0,"candidate":0,"accepted":{"id":"3f1c…","turns":[…],"provenance":{…}}}
    {"slot":0,"candidate":1,"rejected":{"stage":"filter","reason":"near_duplicate","evidence":{…},"sample":{…}}}
    {"slot":0,"closed":{"parsed":2,"accepted":1,"usage":{"gpt-4.1-mini":{…}},"charged":["9b…"]},"chain":"5d…"}

The chain of a slot is the sha256 of the chain before it, its candidate lines and its closing line without `chain`.
Nothing here carries time, order of arrival or concurrency. A run's file and those of `clean`, `decontaminate` and
`convert` share this schema; there an accepted line holds `{"id", "row", ...}` in place of the whole sample.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from instructgen.errors import RunError
from instructgen.files import describe, dumps
from instructgen.records import Sample, canonical

FIRST_CHAIN = "0" * 64
FSYNC_SECONDS = 1.0


class ClosedSlot(NamedTuple):
    """A slot as it stands in the file."""

    number: int
    lines: list[dict[str, Any]]
    """Candidate lines."""
    closed: dict[str, Any]
    """What the closing line says: parsed, accepted, usage per model, charged request hashes."""
    chain: str
    end: int
    """Byte offset behind the closing line."""

    def samples(self, limit: int = -1) -> list[Sample]:
        """Return what a slot of a run accepted, at most the first `limit` of it; -1: all."""
        return [Sample.model_validate(said) for said in self.accepted(limit)]

    def accepted(self, limit: int = -1) -> list[dict[str, Any]]:
        """Return the same as JSON."""
        accepted = [line["accepted"] for line in self.lines if "accepted" in line]
        return accepted if limit < 0 else accepted[:limit]


class _Chain:
    """Hashes lines as they come."""

    def __init__(self, before: str = FIRST_CHAIN) -> None:
        self._hash = hashlib.sha256(before.encode())

    def add(self, line: bytes) -> None:
        self._hash.update(line)

    def close(self, closing: dict[str, Any]) -> str:
        self._hash.update(canonical(closing))
        return self._hash.hexdigest()


def read_slots(path: Path) -> Iterator[ClosedSlot]:
    """Yield the closed slots of a file; a tail without a closing line is left out.

    Raises: RunError that names the line, when the chain is broken or a line is not JSON before a later closing line.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        yield from _slots(path, file)


def _slots(path: Path, file: IO[bytes]) -> Iterator[ClosedSlot]:
    before, count, offset = FIRST_CHAIN, 0, 0
    chain, lines = _Chain(before), list[dict[str, Any]]()
    for number, raw in enumerate(file, 1):
        offset += len(raw)
        line = _parse(raw)
        if line is None:
            return _require_tail(path, file, number, "is not a complete JSON line")
        if "closed" not in line:
            chain.add(raw)
            lines.append(line)
            continue
        said = line.pop("chain", None)
        before = chain.close(line)
        if said != before or line.get("slot") != count:
            raise _damaged(path, number, "does not fit the hash chain: this slot was changed after it was written")
        yield ClosedSlot(count, lines, line["closed"], before, offset)
        chain, lines, count = _Chain(before), [], count + 1
    return None


def _parse(raw: bytes) -> dict[str, Any] | None:
    """Return a line's object, or `None` for a torn or unreadable line."""
    if not raw.endswith(b"\n"):
        return None
    try:
        value = orjson.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _require_tail(path: Path, file: IO[bytes], number: int, problem: str) -> None:
    """Accept an unreadable line as a torn tail only if no slot was closed behind it."""
    for later in file:
        line = _parse(later)
        if line is not None and "closed" in line:
            raise _damaged(path, number, problem)


def _damaged(path: Path, number: int, problem: str) -> RunError:
    return RunError(
        f"{path}:{number}: {problem}. Restore the file from a copy, or move it away and rebuild it without buying "
        f"anything: instructgen generate --into {path.parent} --offline"
    )


class DecisionLog:
    """Appends whole slots; makes them durable about once a second and at the end.

    `last` is the slot that the file ends with (`None` for an empty file): a torn tail behind it is cut.
    """

    def __init__(self, path: Path, last: ClosedSlot | None = None) -> None:
        self.path = path
        self._chain = last.chain if last else FIRST_CHAIN
        self._count = last.number + 1 if last else 0
        self._synced = time.monotonic()
        try:
            self._file = path.open("ab", buffering=0)
            self._file.truncate(last.end if last else 0)
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, lines: Sequence[dict[str, Any]], closed: dict[str, Any]) -> None:
        """Write the next slot: its candidate lines and its closing line.

        Raises: RunError when the disk is full or the file cannot be written; the slot is then open.
        """
        number, chain = self._count, _Chain(self._chain)
        data = [dumps({"slot": number, "candidate": i} | line) + b"\n" for i, line in enumerate(lines)]
        for line in data:
            chain.add(line)
        closing: dict[str, Any] = {"slot": number, "closed": closed}
        self._chain = chain.close(closing)
        data.append(dumps(closing | {"chain": self._chain}) + b"\n")
        self._write(b"".join(data))
        self._count += 1

    def _write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            if time.monotonic() - self._synced >= FSYNC_SECONDS:
                self.sync()
        except OSError as error:
            raise self._unwritable(error) from error

    def sync(self) -> None:
        """Make everything written durable."""
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Make everything durable and close the file."""
        if not self._file.closed:
            try:
                self.sync()
            except OSError as error:
                raise self._unwritable(error) from error
            finally:
                self._file.close()

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(f"{self.path}: cannot be written: {describe(error)}. Nothing bought is lost: run again")
