"""`completions.db`: what the teacher said, durable before it is used.

One row per request hash: the request as the flow asked it, the completion, where the answer came from ("" for one
bought here, else the run it was copied from), and whether it was bought by batch, at that price. SQLite, WAL,
synchronous=FULL; one writer thread commits whatever is queued, without a timer, so that many answers share one disk
flush when they come fast and none waits when they do not.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from instructgen.errors import RunError
from instructgen.records import Completion, Request

MOST_ROWS = 199
"""Rows of one statement: with 5 values each below the 999 variables that every build of SQLite allows."""
SWITCH_SECONDS = 0.0005
"""How long the event loop may hold the interpreter while the writer wants it. Python's own 5 ms, several times a
commit, are a good part of what a request takes. It holds for the process while a store is written to."""
_SELECT = "select hash, request, completion, origin, by_batch from completions"
_INSERT, _PLACES = "insert or ignore into completions values ", "(?, ?, ?, ?, ?)"
_SCHEMA = """
create table if not exists completions (
    hash text primary key, request blob not null, completion blob not null, origin text not null default '',
    by_batch integer not null default 0);
create table if not exists sittings (
    number integer primary key, concurrency integer not null, ended integer not null default 0,
    possibly_billed integer not null default 0);
"""


class Stored(NamedTuple):
    """A row of the store."""

    hash: str
    request: dict[str, Any]
    completion: Completion
    origin: str
    by_batch: bool


class _Row(NamedTuple):
    values: tuple[str, bytes, bytes, str, bool]
    loop: asyncio.AbstractEventLoop
    durable: asyncio.Future[None]


class Store:
    """The completions of a run. `put` is for the event loop's thread, as is everything else here.

    Raises: RunError when the file is not a completions store or cannot be written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path, self._read_only = path, read_only
        self._queue: queue.SimpleQueue[_Row | None] = queue.SimpleQueue()
        try:
            self._reader = self._connect()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        self._writer: threading.Thread | None = None
        self._switch_before = sys.getswitchinterval()

    def _connect(self) -> sqlite3.Connection:
        if self._read_only:
            # Not immutable=1: a run in progress may be read by `report` at the same time.
            return sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None)
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=full")
        connection.executescript(_SCHEMA)
        return connection

    def _ask(self, query: str, *values: str | int) -> sqlite3.Cursor:
        try:
            return self._reader.execute(query, values)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def get(self, request_hash: str) -> Completion | None:
        """Return the stored answer to a request, or `None`."""
        row = self._ask("select completion from completions where hash = ?", request_hash).fetchone()
        return Completion.model_validate_json(row[0]) if row else None

    def row(self, request_hash: str) -> Stored | None:
        """Return everything stored about a request, or `None`."""
        row = self._ask(f"{_SELECT} where hash = ?", request_hash).fetchone()
        return _stored(row) if row else None

    def rows(self) -> Iterator[Stored]:
        """Yield every row, in no particular order."""
        yield from map(_stored, self._ask(_SELECT))

    def count(self, *, bought: bool = False) -> int:
        """Return the number of answers; with `bought`, without those copied from another run."""
        everything, own = "select count(*) from completions", "select count(*) from completions where origin = ''"
        return int(self._ask(own if bought else everything).fetchone()[0])

    def reused(self) -> set[str]:
        """Return the hashes of answers copied from another run: counted like any other, but not by the budget."""
        return {row[0] for row in self._ask("select hash from completions where origin != ''")}

    def by_batch(self) -> set[str]:
        """Return the hashes of answers bought by batch: money counts them at that price."""
        return {row[0] for row in self._ask("select hash from completions where by_batch and origin = ''")}

    async def put(
        self, request_hash: str, request: Request, completion: Completion, origin: str = "", *, by_batch: bool = False
    ) -> None:
        """Store an answer; returns when it is durable. Raises: RunError when it cannot be written."""
        if self._writer is None:
            self._writer = self._started()
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[None] = loop.create_future()
        asked = request.model_dump_json(exclude_defaults=True, exclude={"variables"}).encode()
        said = completion.model_dump_json(exclude_defaults=True).encode()
        self._queue.put(_Row((request_hash, asked, said, origin, by_batch), loop, durable))
        await durable

    def _started(self) -> threading.Thread:
        writer = threading.Thread(target=self._write_all, name="completions", daemon=True)
        sys.setswitchinterval(min(self._switch_before, SWITCH_SECONDS))
        try:
            writer.start()
        except RuntimeError as error:
            raise RunError(f"{self.path}: no thread to write it with ({error}): this machine runs too many; then run "
                           "the same command again: nothing that was stored is lost") from error  # fmt: skip
        return writer

    def _write_all(self) -> None:
        """Commit whatever is queued, until `None` comes (the writer's thread, which outlives every error)."""
        connection: sqlite3.Connection | None = None
        while (rows := self._next_rows()) is not None:
            problem: RunError | None = None
            try:
                connection = connection or self._connect()
                # One statement for all rows, which commits itself: a thread that asks for the interpreter once per
                # row waits each time for the event loop to give it up, 5 ms on a busy one.
                connection.execute(
                    _INSERT + ",".join([_PLACES] * len(rows)), [value for row in rows for value in row.values]
                )
            except sqlite3.Error as error:
                problem = self._unusable(error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more, but what is queued is paid for
                rows[0].loop.call_soon_threadsafe(_settle, rows, problem)
        if connection is not None:
            connection.close()

    def _next_rows(self) -> list[_Row] | None:
        rows = []
        row = self._queue.get()
        while row is not None:
            rows.append(row)
            if len(rows) == MOST_ROWS:
                return rows
            try:
                row = self._queue.get_nowait()
            except queue.Empty:
                return rows
        if rows:
            self._queue.put(None)  # the end comes back after these are committed
        return rows or None

    def begin_sitting(self, concurrency: int) -> int:
        """Note that a process starts buying; returns the sitting's number."""
        cursor = self._ask("insert into sittings (concurrency) values (?)", concurrency)
        return int(cursor.lastrowid or 0)

    def note_lost(self, number: int, possibly_billed: int) -> None:
        """Note how many requests of a sitting that goes on may have been billed without an answer."""
        self._ask("update sittings set possibly_billed = ? where number = ?", possibly_billed, number)

    def end_sitting(self, number: int, possibly_billed: int) -> None:
        """Note that it ended by itself, and how many requests may have been billed without an answer."""
        query = "update sittings set ended = 1, possibly_billed = ? where number = ?"
        self._ask(query, possibly_billed, number)

    def unsettled(self) -> tuple[int, int]:
        """Return (requests that may have been billed without an answer, at most this many more in killed sittings)."""
        billed, killed = 0, 0
        for concurrency, ended, possibly in self._reader.execute(
            "select concurrency, ended, possibly_billed from sittings"
        ):
            billed += possibly
            killed += 0 if ended else concurrency
        return billed, killed

    def close(self) -> None:
        """Let the writer finish, then close. What is left is one file, which a read-only medium may hold as well."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            sys.setswitchinterval(self._switch_before)
        if not self._read_only:
            with suppress(sqlite3.Error):  # somebody reads it at this moment: then the log stays beside it
                self._reader.execute("pragma busy_timeout=0")
                self._reader.execute("pragma journal_mode=delete")
        self._reader.close()

    def _unusable(self, error: sqlite3.Error) -> RunError:
        if any(word in str(error) for word in ("malformed", "not a database")):
            return RunError(f"{self.path}: {error}. Restore the file from a copy; a new run buys its answers again")
        return RunError(
            f"{self.path}: {error}. If the disk is full, free some space; then run the same command again: "
            "nothing that was stored is lost"
        )


def _stored(row: tuple[str, bytes, bytes, str, int]) -> Stored:
    return Stored(row[0], orjson.loads(row[1]), Completion.model_validate_json(row[2]), row[3], bool(row[4]))


def _settle(rows: list[_Row], problem: RunError | None) -> None:
    for row in rows:
        if row.durable.done():
            continue
        if problem:
            row.durable.set_exception(problem)
        else:
            row.durable.set_result(None)
