"""Answers: from the store, from another run's store, or bought from the teacher.

Equal questions in flight or in the store are paid once. A request keeps its concurrency place until its answer is
durable. The most that a slot may ask is its declared bound: a request beyond it is not sent, whatever the budget, so
that what a slot contains never depends on the budget.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pydantic import ValidationError

from instructgen.defects import defect
from instructgen.errors import InstructgenError, MissingAnswer, RunError, TeacherError
from instructgen.filters import Filter
from instructgen.prompts import Prompts
from instructgen.records import Completion, Refused, Rejection, Request, Sample, SlotBound, Usage, digest
from instructgen.store import Store
from instructgen.teachers import Connection, leave
from instructgen.teachers.tokens import request_bound

OVER_DECLARED = "over_declared"
"""Why a request beyond its slot's declaration is refused, unsent."""
SEED_BITS = 31  # what the narrowest endpoints take as a seed


@dataclass
class SlotLedger:
    """What one slot has asked: its open bound, and the usage of every request it used."""

    slot: int
    left: SlotBound
    used: dict[str, tuple[str, Usage]] = field(default_factory=dict)
    """Request hash -> (model asked, usage)."""
    unsent: tuple[SlotBound, SlotBound] | None = None
    """The most that the first request which was not sent could take, and what was left of the declaration."""


Asked = list[tuple[Request, Completion]]
"""What a flow asked, and what was said."""


def run_random(run_seed: int, *parts: object) -> Random:
    """Return the random numbers of one place in a run."""
    return Random(int(digest([run_seed, *parts])[:16], 16))


class Gate:
    """Concurrency places, given to the lowest slot first, and to none from slot `until` on.

    `size` is asked again at every turn: it may adapt.
    """

    def __init__(self, size: Callable[[], int]) -> None:
        self._size, self._taken, self._count, self._closed = size, 0, 0, False
        self._until: float = math.inf
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._turns: dict[str, tuple[int, asyncio.Future[None]]] = {}

    async def enter(self, slot: int, key: str) -> None:
        """Wait for a place for the request `key`. Raises: CancelledError when the gate is closed, now or meanwhile."""
        if self._closed:
            raise asyncio.CancelledError
        if self._taken < self._size() and not self._waiting and slot < self._until:
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue(slot, key, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise
        finally:
            self._turns.pop(key, None)

    def _queue(self, slot: int, key: str, turn: asyncio.Future[None]) -> None:
        self._count += 1
        self._turns[key] = slot, turn
        heapq.heappush(self._waiting, (slot, self._count, turn))
        self._admit()

    def asked(self, slot: int, key: str) -> None:
        """Note that this slot wants the answer to `key` too: if that waits for a place, it waits as the lower of both.

        Else a slot could wait for ever for a question that a later one, held back, was the first to ask.
        """
        first, turn = self._turns.get(key, (slot, None))
        if turn is not None and slot < first:
            self._queue(slot, key, turn)

    def leave(self) -> None:
        """Give the place to whoever waits for the lowest slot."""
        self._taken -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] < self._until and self._taken < self._size():
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def open_until(self, slot: int) -> None:
        """Let in whoever waits for a slot below this one, and nobody else."""
        self._until = slot
        self._admit()

    def close(self) -> None:
        """Let nobody in any more; whoever waits goes home."""
        self._closed = True
        for _, _, turn in self._waiting:
            turn.cancel()
        self._waiting.clear()


class Purchases:
    """Answers requests for slots."""

    def __init__(
        self,
        store: Store,
        prompts: Prompts,
        *,
        model: str,
        run_seed: int,
        reuse: Sequence[Store] = (),
    ) -> None:
        self._store, self._prompts = store, prompts
        self._connection: Connection | None = None
        self._model, self._run_seed, self._reuse = model, run_seed, reuse
        self._gate = Gate(lambda: 1)
        self._flight: dict[str, asyncio.Task[Completion]] = {}
        self._asker: dict[str, int] = {}  # of a request in flight, the lowest slot that wants it
        self.bought = 0
        self.reused = store.reused()
        """Hashes of answers copied from another run; the budget does not count them."""
        self.by_batch = store.by_batch()
        """Hashes of answers bought by batch, at that price."""
        self._by_batch = False

    def connect(self, connection: Connection, places: Callable[[], int], *, by_batch: bool = False) -> None:
        """Buy from this teacher from now on, `places()` requests at once. Without one, nothing is bought."""
        self._connection, self._gate, self._by_batch = connection, Gate(places), by_batch

    def wanted(self, until: int) -> None:
        """Ask the teacher for slots below `until` alone; requests of later slots wait."""
        self._gate.open_until(until)

    def ready(self, request: Request, slot: int, path: str, bound: SlotBound) -> Request:
        """Render a request, name its model and limit, and seed it unless it is greedy.

        The seed comes from (run seed, slot, flow, step), never from a counter. A request without an output limit
        gets an equal share of its slot's declaration.
        """
        request = self._prompts.render(request)
        params = request.params
        changes: dict[str, int] = {}
        if params.max_tokens is None and bound.requests:
            changes["max_tokens"] = max(1, bound.completion_tokens // bound.requests)
        if not params.greedy and params.seed is None:
            changes["seed"] = int(digest([self._run_seed, slot, path])[:16], 16) >> (64 - SEED_BITS)
        params = params.model_copy(update=changes) if changes else params
        return request.model_copy(update={"params": params, "model": request.model or self._model})

    async def _all(self, requests: Sequence[Request], ledger: SlotLedger) -> list[Completion]:
        """Answer requests that `ready` made, concurrently.

        Raises: TeacherError, MissingAnswer, RunError (the store cannot be written).
        """
        found = [self._begun(request, ledger) for request in requests]
        waiting = [answer for answer in found if isinstance(answer, asyncio.Task)]
        if waiting:
            # Not `gather`: a slot that is dropped must not take an answer with it that another slot waits for.
            await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        for task in waiting:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        completions = [answer.result() if isinstance(answer, asyncio.Task) else answer for answer in found]
        for request, completion in zip(requests, completions, strict=True):
            if completion.refusal != OVER_DECLARED:
                ledger.used[completion.request] = (request.model, _once(completion.usage))
        return completions

    def _begun(self, request: Request, ledger: SlotLedger) -> Completion | asyncio.Task[Completion]:
        """Return what is known already, else the purchase that is on its way from now on."""
        key = request.hash
        if not _declared(request, ledger):
            return Completion(request=key, finish="refused", refusal=OVER_DECLARED)
        if (task := self._flight.get(key)) is not None:
            self._asker[key] = min(ledger.slot, self._asker[key])
            self._gate.asked(ledger.slot, key)
            return task
        if (completion := self._store.get(key)) is not None:
            return completion
        self._asker[key] = ledger.slot
        self._flight[key] = task = asyncio.create_task(self._fetch(key, request, ledger.slot))
        task.add_done_callback(_seen)  # whoever waited for it may be gone by then
        return task

    async def answers(
        self, ask: Request | list[Request], ledger: SlotLedger, path: str, bound: SlotBound, asked: Asked
    ) -> Completion | list[Completion]:
        """Answer a request, or a list of them concurrently; `asked` collects what was asked and said.

        What a slot may still ask is settled in the order of the list.
        """
        many = ask if isinstance(ask, list) else [ask]
        paths = [f"{path}.{i}" for i in range(len(many))] if isinstance(ask, list) else [path]
        ready = [self.ready(request, ledger.slot, where, bound) for request, where in zip(many, paths, strict=True)]
        replies = await self._all(ready, ledger)
        asked += zip(ready, replies, strict=True)
        return replies if isinstance(ask, list) else replies[0]

    async def verdict(
        self, judge: Filter, sample: Sample, place: str, ledger: SlotLedger, bound: SlotBound
    ) -> Rejection | dict[str, Any] | None:
        """Play a judge's flow: a rejection, or what to note of a sample that is kept."""
        flow = judge.flow(sample, run_random(self._run_seed, ledger.slot, place))
        asked: Asked = []
        step = 0
        reply: Any = None
        verdict: Rejection | dict[str, Any] | None
        while True:
            try:
                ask = flow.send(reply)
            except StopIteration as end:
                verdict = end.value
                break
            except Refused as refused:
                verdict = refused.completion.rejected()
                break
            except InstructgenError:
                raise
            except Exception as error:
                raise defect(judge, error, f"sample {sample.id}") from error
            reply = await self.answers(ask, ledger, f"{place}/{step}", bound, asked)
            step += 1
        if isinstance(verdict, Rejection):
            hashes = (*sample.provenance.requests, *(completion.request for _, completion in asked))
            return verdict.model_copy(update={"sample": sample, "requests": hashes})
        return verdict

    async def _fetch(self, key: str, request: Request, slot: int) -> Completion:
        """Copy or buy an answer; it is durable when this returns."""
        try:
            for other in self._reuse:
                if (completion := other.get(key)) is not None:
                    await self._store.put(key, request, completion, origin=str(other.path.parent))
                    self.reused.add(key)
                    return completion
            if self._connection is None:
                name = f"prompt {request.prompt!r}" if request.prompt else "a request"
                raise MissingAnswer(f"slot {slot}: the store has no answer to {name} ({key[:16]}), and offline "
                                    "nothing is bought; run the same command without --offline", request)  # fmt: skip
            await self._gate.enter(self._asker[key], key)
            try:
                completion = await self._connection.complete(request)
                if completion.request != key:
                    completion = completion.model_copy(update={"request": key})
                await self._store.put(key, request, completion, by_batch=self._by_batch)
                self.bought += 1
                if self._by_batch:
                    self.by_batch.add(key)
                # What a later sitting will read must decide as this does: JSON knows no tuples and few numbers.
                return completion if completion.logprobs is None else self._store.get(key) or completion
            except MissingAnswer as missing:
                raise MissingAnswer(f"slot {slot}: {missing}", request) from missing
            except (TeacherError, RunError):
                self.stop()  # the run will end: nobody else is to ask what cannot be answered
                raise
            finally:
                self._gate.leave()
        finally:
            del self._flight[key], self._asker[key]

    def stop(self) -> None:
        """Start nothing new; do not wait for a batch."""
        self._gate.close()
        leave(self._connection)

    async def land(self) -> None:
        """Let what is in flight land in the store."""
        while self._flight:
            await asyncio.gather(*self._flight.values(), return_exceptions=True)


def _once(usage: Usage) -> Usage:
    return usage if usage.requests == 1 else usage.model_copy(update={"requests": 1})


def _seen(task: asyncio.Task[Completion]) -> None:
    if not task.cancelled():
        task.exception()


def _declared(request: Request, ledger: SlotLedger) -> bool:
    """Take a request off what is left of the slot's declaration; False when it does not fit."""
    bound, left = request_bound(request, 0), ledger.left
    try:
        ledger.left = SlotBound(
            requests=left.requests - bound.requests,
            prompt_tokens=left.prompt_tokens - bound.prompt_tokens,
            completion_tokens=left.completion_tokens - bound.completion_tokens,
        )
    except ValidationError:  # a bound is never negative
        ledger.unsent = ledger.unsent or (bound, left)
        return False
    return True
