"""Batch mode: the same requests at half the price, answered within a day.

    teacher: {kind: openai, model: gpt-4.1-mini, mode: batch}

A batch takes the place of the wire: `BatchTransport.post` looks like a POST that takes hours, so that everything else
(what an answer is, refusals, parameters that a model does not take) is the online connection's. Requests are gathered
until no new one has come for a moment; that is when every slot of the window waits, so one wave is one step of a whole
window. A run can be left at any time and gone on with later, from any process: see `batch_log`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from instructgen.errors import TeacherError, TeacherRateError, TeacherRefusedError, TeacherTransportError
from instructgen.files import dumps, loads
from instructgen.records import Completion, Request
from instructgen.teachers import Connection, Sitting
from instructgen.teachers.batch_api import ENDED, BatchApi, open_api
from instructgen.teachers.batch_log import BatchLog, Sent
from instructgen.teachers.endpoint import OpenAIConnection
from instructgen.teachers.http import Http, Reply
from instructgen.teachers.learnt import Learnt
from instructgen.teachers.retry import RETRIED

if TYPE_CHECKING:
    import ssl

    from openai.types import Batch
    from yarl import URL

    from instructgen.teachers.ledger import Ledger
    from instructgen.teachers.openai import OpenAITeacher
    from instructgen.teachers.route import Endpoint

log = logging.getLogger(__name__)

PLACES = 1_000_000
"""Requests in flight: never what a wave has to wait for."""
MOST_BYTES = 190_000_000
"""Of one batch's file; the provider's limit is 200 MB."""
LAST_WORDS = 30.0
"""Seconds that a batch which is just being made may still take when the sitting ends."""
MOST_SENDINGS = 5
"""How often a request goes out that a batch came back without an answer to (expired, 429, 5xx)."""
_asking: ContextVar[str] = ContextVar("_asking")
"""Hash of the request that this task asks: its name in batches, whatever the body has been adapted to."""

Results = dict[str, Reply]


class Waiting(TeacherTransportError):  # noqa: N818 - nothing is wrong
    """The sitting ends while the answer is still being made elsewhere."""


class BatchTransport(Http):
    """Sends requests in batches and answers each when its batch has ended."""

    def __init__(self, api: BatchApi, sent: BatchLog, *, gather: float, poll: float, size: int) -> None:
        self._api, self._log = api, sent
        self._gather, self._poll, self._size = gather, poll, size
        self._next: dict[str, tuple[str, bytes, asyncio.Future[Sent]]] = {}
        self._asked: set[tuple[str, str]] = set()
        self._watches: dict[str, asyncio.Task[Results]] = {}
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._sending: asyncio.Task[None] | None = None
        self._left = asyncio.Event()

    async def post(self, url: URL, body: bytes) -> Reply:
        """Answer as an online endpoint would, hours later. Raises: TeacherError."""
        request = _asking.get()
        reply = None
        for _ in range(MOST_SENDINGS):
            found = self._newest(request)
            batch = found or await self._send(request, url.path, body)
            self._asked.add((batch.key, request))
            reply = (await self._ended(batch)).pop(request, None)
            if reply is not None and reply.status not in RETRIED:
                return reply._replace(earlier=found is not None)
        said = "the last one without a word"
        if reply:
            said = f"the last one with HTTP {reply.status}: {reply.body[:200].decode('utf-8', 'replace')}"
        raise TeacherTransportError(f"{MOST_SENDINGS} batches came back without an answer to a request, {said}")

    def _newest(self, request: str) -> Sent | None:
        """Return the batch that a request is in, if we have not heard that batch's answer to it yet."""
        batch = self._log.newest(request)
        return None if batch is None or (batch.key, request) in self._asked else batch

    # -- sending a wave

    async def _send(self, request: str, path: str, body: bytes) -> Sent:
        """Put a request into the next wave; returns the batch that it went out in."""
        if self._left.is_set():
            raise _unsent()
        gone: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self._next[request] = (path, body, gone)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_waves())
        return await gone

    async def _send_waves(self) -> None:
        """Send what has gathered, until nothing more comes."""
        while self._next:
            count = 0
            while count != len(self._next) and not self._left.is_set():
                count = len(self._next)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._left.wait(), self._gather)
            wave, self._next = self._next, {}
            try:
                for path in sorted({path for path, _, _ in wave.values()}):
                    await self._send_wave(path, {name: parts for name, parts in wave.items() if parts[0] == path})
            finally:
                _fail(wave, _unsent())  # only what a cancellation left without an outcome

    async def _send_wave(self, path: str, wave: dict[str, tuple[str, bytes, asyncio.Future[Sent]]]) -> None:
        try:
            lines = {name: _line(name, path, body) for name, (_, body, _) in wave.items()}
            for names in _parts(lines, self._size):
                if self._left.is_set():
                    raise _unsent()
                batch = await self._make(path, {name: lines[name] for name in names})
                for name in names:
                    gone = wave[name][2]
                    if not gone.done():
                        gone.set_result(batch)
        except asyncio.CancelledError:
            _fail(wave, Waiting("the run was left while its batch was being made; the next sitting looks for it"))
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits for the wave raises it
            _fail(wave, error)

    async def _make(self, path: str, lines: dict[str, bytes]) -> Sent:
        key = uuid4().hex
        self._log.note(key=key, path=path, requests=sorted(lines))
        self._log.note(key=key, batch=await self._api.make(key, path, list(lines.values())))
        batch = self._log.sent[key]
        log.warning("batch %s: %d requests sent; the run may be left (Ctrl-C) and gone on with later",
                    batch.batch, len(lines))  # fmt: skip
        return batch

    # -- waiting for its end

    async def _ended(self, batch: Sent) -> Results:
        """Wait for the end of a batch. Raises: Waiting when the sitting ends before; TeacherError."""
        watch = self._watches.get(batch.key)
        if watch is None:
            watch = self._watches[batch.key] = asyncio.create_task(self._watch(batch))
            watch.add_done_callback(lambda _: self._wake(batch.key))
        if not watch.done():
            if self._left.is_set():
                raise _still_open(batch)
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.setdefault(batch.key, []).append(waiter)
            await waiter
        return watch.result()

    def _wake(self, key: str, error: Exception | None = None) -> None:
        """Tell everyone who waits for a batch that it has ended, or that we have."""
        for waiter in self._waiters.pop(key, []):
            if not waiter.done():
                waiter.set_exception(error) if error else waiter.set_result(None)

    async def _watch(self, batch: Sent) -> Results:
        """Look at a batch until it has ended; return its results."""
        if not batch.batch:
            found = await self._api.find(batch.key)
            if not found:
                return {}
            self._log.note(key=batch.key, batch=found)
        state = await self._api.look(batch.batch)
        while state.status not in ENDED:
            await asyncio.sleep(self._poll)
            state = await self._api.look(batch.batch)
            done = state.request_counts.completed if state.request_counts else 0
            log.info("batch %s: %s, %d of %d answered", batch.batch, state.status, done, batch.requests)
        heard_before = batch.ended
        if not heard_before:
            self._log.note(key=batch.key, ended=state.status)
        results = await self._api.results(state)
        ours = state.status == "cancelled" and batch.cancelled  # wanted again: what it left open is sent anew
        if state.status in ("failed", "cancelled") and not heard_before and not ours:
            raise _stopped(state, len(results))
        return results

    # -- the end of a sitting

    def leave(self) -> None:
        """Send nothing more; open batches go on without us, and one that is being made has LAST_WORDS left."""
        if not self._left.is_set() and self._sending is not None:
            asyncio.get_running_loop().call_later(LAST_WORDS, self._sending.cancel)
        self._left.set()
        wave, self._next = self._next, {}
        _fail(wave, _unsent())
        for key in list(self._waiters):
            self._wake(key, _still_open(self._log.sent[key]))

    async def close(self) -> None:
        """Let a batch that is being made get its name into the log, and stop watching."""
        self.leave()
        tasks: list[asyncio.Task[Any]] = [*self._watches.values()]
        if self._sending is not None and not self._sending.done():
            await asyncio.wait({self._sending}, timeout=LAST_WORDS)
            tasks.append(self._sending)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def cancel(self) -> int:
        """Stop the batches that are still open; returns how many. What they have answered stays fetchable.

        One that cannot be cancelled (it has just ended, or the provider is in trouble) does not keep the others.
        """
        return sum(await asyncio.gather(*map(self._cancel, self._log.open)))

    async def _cancel(self, batch: Sent) -> bool:
        self._log.note(key=batch.key, cancelled=True)
        try:
            await self._api.cancel(batch.batch)
        except TeacherError as error:
            log.warning("batch %s may go on and be billed: %s", batch.batch, error)
            return False
        log.warning(
            "batch %s: cancelled, its %d requests are not needed any more; what it has answered is billed, and a "
            "raised target uses it", batch.batch, batch.requests,
        )  # fmt: skip
        return True


class BatchConnection:
    """A live connection in batch mode. See `instructgen.teachers.Connection`."""

    places = PLACES

    def __init__(self, teacher: OpenAITeacher, endpoint: Endpoint, transport: BatchTransport, learnt: Learnt) -> None:
        unlimited = {"concurrency": PLACES, "most_concurrency": None, "endpoints": ()}
        self._inner = OpenAIConnection(teacher.model_copy(update=unlimited), endpoint, transport, learnt=learnt)
        self._transport = transport

    @property
    def ledger(self) -> Ledger:
        """What was sent and answered."""
        return self._inner.ledger

    async def complete(self, request: Request) -> Completion:
        """Answer a request, when its batch has ended. Raises: TeacherError."""
        _asking.set(request.hash)
        return await self._inner.complete(request)

    def leave(self) -> None:
        """Give back every request that still waits; its batch goes on, and another sitting fetches the answer."""
        self._transport.leave()

    async def cancel(self) -> int:
        """Stop the batches that nobody waits for any more; returns how many."""
        return await self._transport.cancel()


@asynccontextmanager
async def open_batches(
    teacher: OpenAITeacher, endpoint: Endpoint, sitting: Sitting, tls: ssl.SSLContext | bool
) -> AsyncIterator[Connection]:
    """Connect in batch mode; batches of earlier sittings are gone on with."""
    sent = BatchLog(sitting.folder)
    # The Batch API has limits of its own; those per minute are the online path's.
    endpoint = replace(endpoint, requests_per_minute=None, tokens_per_minute=None)
    async with open_api(teacher, endpoint, tls) as api:
        transport = BatchTransport(
            api, sent, gather=teacher.gather_seconds, poll=teacher.poll_seconds, size=teacher.batch_size
        )
        try:
            yield BatchConnection(teacher, endpoint, transport, Learnt(sitting.folder))
        finally:
            await transport.close()


def _line(name: str, path: str, body: bytes) -> bytes:
    """Return a request as a line of a batch's file."""
    return dumps({"custom_id": name, "method": "POST", "url": path, "body": loads(body)})


def _parts(lines: dict[str, bytes], size: int) -> list[list[str]]:
    """Divide a wave into batches of at most `size` requests and MOST_BYTES."""
    parts: list[list[str]] = [[]]
    filled = 0
    for name, line in lines.items():
        if parts[-1] and (len(parts[-1]) == size or filled + len(line) > MOST_BYTES):
            parts.append([])
            filled = 0
        parts[-1].append(name)
        filled += len(line) + 1
    return parts


def _fail(wave: dict[str, tuple[str, bytes, asyncio.Future[Sent]]], error: Exception) -> None:
    for _, _, gone in wave.values():
        if not gone.done():
            gone.set_exception(error)


def _unsent() -> Waiting:
    return Waiting("the run was left before this request was sent")


def _still_open(batch: Sent) -> Waiting:
    return Waiting(f"batch {batch.batch} is still open; the same command goes on with it, now or later")


def _stopped(state: Batch, answered: int) -> TeacherError:
    """Say why a batch failed as a whole, or that somebody cancelled it."""
    if state.status == "cancelled":
        return TeacherRefusedError(
            f"batch {state.id} was cancelled; its {answered} answers are kept. Run again to send the rest anew"
        )
    problems = [problem for problem in (state.errors.data if state.errors else None) or [] if problem.message]
    words = "; ".join(f"{problem.code}: {problem.message}" for problem in problems[:3]) or "no reason given"
    if any(problem.code == "token_limit_exceeded" for problem in problems):
        return TeacherRateError(
            f"batch {state.id} is more than the account may have waiting ({words}). Wait for other batches to end, or "
            "take a smaller teacher.batch_size or window"
        )
    return TeacherRefusedError(f"batch {state.id} failed ({words}). Check teacher.model and the generator's parameters")
