"""The loop: slots with a window, commits in slot order, endings. The only module beside `teachers/` that awaits
(with `purchases`, its errand boy).

Slot s may start once slot s - W is committed, and it sees the pool and the filters' memory as of that commit. Slots
finish in any order and are committed strictly in slot order. *When* a slot starts may depend on anything; *what it
contains* depends only on the frozen recipe, the seeds, s, that snapshot and the outcomes of its requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from instructgen.ahead import Ahead
from instructgen.decisions import ClosedSlot
from instructgen.defects import DefectError, defect, shown
from instructgen.errors import InstructgenError, MissingAnswer
from instructgen.generators import Generator, unread
from instructgen.pool import Pool
from instructgen.purchases import Purchases, SlotLedger, run_random
from instructgen.recipe import Recipe
from instructgen.records import (
    Completion,
    Draft,
    Provenance,
    Refused,
    Rejection,
    Request,
    Sample,
    SlotBound,
    Usage,
)
from instructgen.run import Frozen, OpenRun
from instructgen.screening import Candidate, Screening, candidate_of
from instructgen.teachers.budget import NOTHING, Amount, Budget

log = logging.getLogger(__name__)

UNSENT = 8
"""Slots: when so many first ones of a sitting exceed the generator's declaration and bring nothing, it stops."""
Ending = Literal["target", "exhausted", "budget", "interrupted", "pilot"]


@dataclass
class Progress:
    """How far a run is; what progress displays and endings look at."""

    target: int
    slots: int = 0
    parsed: int = 0
    accepted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """"stage/reason" -> count."""
    usage: dict[str, Usage] = field(default_factory=dict)
    """Model -> everything charged so far."""
    steps: int = 0
    """How many times in a row a slot of this sitting waited for answers, at most; judges wait once each."""
    spent: Usage = field(default_factory=Usage)
    """What the budget counts: usage without answers copied from another run."""
    paid: Amount = NOTHING
    """That with its price, each answer's by how it was bought; 0 dollars where no price is known."""
    bought: int = 0
    """Answers that this sitting has bought, those of open slots too."""


@dataclass
class Snapshot:
    """The pool and the filters' memory as of a commit."""

    pool: int
    entries: int


@dataclass
class PlayedSlot:
    """A slot that waits for its commit."""

    candidates: list[Candidate]
    snapshot: Snapshot
    ledger: SlotLedger

    @property
    def kept(self) -> int:
        """How many of its candidates stand so far; what came in since its snapshot may still reject some."""
        return sum(candidate.rejection is None for candidate in self.candidates)


class Engine:
    """Works on one open run until it ends, or until `pilot` slots are closed.

    Raises (from `work`): TeacherError or MissingAnswer when the next slot cannot be answered, RunError when the run
    cannot be written; whatever was bought is stored by then, and running again goes on.
    """

    def __init__(
        self,
        recipe: Recipe,
        frozen: Frozen,
        opened: OpenRun,
        purchases: Purchases,
        screening: Screening,
        *,
        budget: Budget,
        pilot: int | None = None,
        watch: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self.recipe, self._opened, self._purchases, self._screening = recipe, opened, purchases, screening
        self._budget, self._watch, self._pilot = budget, watch, pilot
        self._recipe_hash = frozen.recipe_hash
        self._prompt_hashes: dict[str, str] = frozen.deciding["prompts"]
        self._pool = Pool(frozen.seeds)
        screening.remember_seeds(frozen.seeds)
        self._first_snapshot = Snapshot(0, screening.entries)
        self._snapshots: dict[int, Snapshot] = {}
        self._charged: set[str] = set()
        self._recent: deque[tuple[int, int]] = deque(maxlen=recipe.exhausted.slots)
        self._played: dict[int, PlayedSlot] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._failed: dict[int, BaseException] = {}
        self._changed = asyncio.Event()
        self._interrupted = False
        self._next = 0
        self._fruitful = False  # has a slot of this sitting brought something, or kept within its declaration?
        self._unsent = 0
        self._ahead = Ahead(recipe.generator.most_samples(), by_batch=recipe.teacher.in_batches)
        self.bound = self._slot_bound()
        self.progress = Progress(recipe.target)

    def tell(self) -> None:
        """Tell the watch how far the run is."""
        self.progress.bought = self._purchases.bought
        self._watch(self.progress)

    def _slot_bound(self) -> SlotBound:
        judged = SlotBound()
        for judge in self._screening.judges:
            judged += judge.slot_bound()
        return self.recipe.generator.slot_bound() + judged.times(self.recipe.generator.most_samples())

    # -- the loop ------------------------------------------------------------------------------------------------

    def fold(self) -> Ending | None:
        """Take in the closed slots; return the ending if the run has already ended.

        Only a run that goes on needs the pool and the filters' memory, which take longer than all the counting.
        """
        for slot in self._opened.closed():
            self._fold(slot)
        self._next = self.progress.slots
        ending = self._ending()
        if ending is None:
            self._remember()
        return ending

    async def work(self) -> Ending:
        """Start slots, commit them, until an ending; `fold` comes first."""
        try:
            while (ending := self._step()) is None:
                self._changed.clear()
                await self._changed.wait()
        finally:
            await self._wind_up()
        return ending

    def interrupt(self) -> None:
        """Start nothing more; what is in flight lands in the store, then `work` returns."""
        self._interrupted = True
        self._changed.set()

    def _step(self) -> Ending | None:
        """Commit what is ready, see whether the run has ended, start what may start."""
        while not self._ending() and self.progress.slots in self._played:
            self._commit(self.progress.slots)
        if ending := self._ending():
            return ending
        if self._interrupted:
            return "interrupted"
        self._raise_failure()
        wanted = self.progress.slots + self._horizon()
        self._purchases.wanted(wanted)
        while self._next < wanted and self._may_start(self._next):
            self._tasks[self._next] = asyncio.create_task(self._play_slot(self._next))
            self._next += 1
        return None

    def _raise_failure(self) -> None:
        """Raise what stops the run: a missing answer only when its slot is the next to commit, anything else now."""
        for slot, error in sorted(self._failed.items()):
            if not isinstance(error, MissingAnswer) or slot == self.progress.slots:
                raise error

    def _ending(self) -> Ending | None:
        progress = self.progress
        if progress.accepted >= self.recipe.target:
            return "target"
        if len(self._recent) == self.recipe.exhausted.slots:
            parsed = sum(parsed for parsed, _ in self._recent)
            rate = sum(accepted for _, accepted in self._recent) / parsed if parsed else 0.0
            if rate < self.recipe.exhausted.below:
                return "exhausted"
        if not self._budget.fits(progress.paid, 0, self.bound):
            return "budget"
        return "pilot" if self._pilot is not None and progress.slots >= self._pilot else None

    def _may_start(self, slot: int) -> bool:
        if not self._budget.fits(self.progress.paid, slot - self.progress.slots, self.bound):
            return False
        return self._pilot is None or slot < self._pilot

    def _horizon(self) -> int:
        """Return how many slots from the next commit on may be worked on: those likely needed, within the window."""
        progress = self.progress
        kept = {slot: played.kept for slot, played in self._played.items()}
        seen = (accepted for _, accepted in self._recent)
        missing = self.recipe.target - progress.accepted
        return self._ahead.horizon(missing, kept, progress.slots, self.recipe.window, seen)

    async def _wind_up(self) -> None:
        """Let sent requests land: they are paid for. Slots that are not committed are dropped; the store has them."""
        self._purchases.stop()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._purchases.land()

    # -- one slot ------------------------------------------------------------------------------------------------

    async def _play_slot(self, slot: int) -> None:
        try:
            self._played[slot] = await self._played_slot(slot)
        except asyncio.CancelledError:
            raise
        except DefectError as error:
            error.place = ", ".join(filter(None, (f"slot {slot}", error.place)))
            self._failed[slot] = error
        except BaseException as error:  # noqa: BLE001 - raised again by the loop, in slot order
            self._failed[slot] = error
        finally:
            del self._tasks[slot]
            self._changed.set()

    async def _played_slot(self, slot: int) -> PlayedSlot:
        snapshot = self._snapshots.get(slot - self.recipe.window, self._first_snapshot)
        ledger = SlotLedger(slot, self.recipe.generator.slot_bound())
        drafts: list[Draft] = []
        candidates = await self._generate(slot, snapshot, ledger, drafts)
        self._screening.before_judges(candidates, drafts, snapshot.entries)
        if self._screening.judges:
            kept = [(n, c) for n, c in enumerate(candidates) if c.rejection is None]
            await asyncio.gather(*(self._judge(slot, number, candidate, ledger) for number, candidate in kept))
        return PlayedSlot(candidates, snapshot, ledger)

    async def _generate(
        self, slot: int, snapshot: Snapshot, ledger: SlotLedger, drafts: list[Draft]
    ) -> list[Candidate]:
        """Play the generator's flow; `drafts` collects the ideas that passed."""
        generator = self.recipe.generator
        flow: Any = None
        rejected: list[Candidate] = []
        asked: list[tuple[Request, Completion]] = []
        step = 0
        reply: Any = None
        while True:
            try:
                if flow is None:
                    flow = generator.flow(self._pool.view(snapshot.pool), run_random(self.recipe.seed, slot, "flow"))
                    if not hasattr(flow, "send"):
                        raise defect(generator, f"its flow returned {shown(flow)} at once, expected a function that "
                                     "yields requests")  # fmt: skip
                ask = flow.send(reply)
            except StopIteration as end:
                items = _items(generator, end.value)
                break
            except Refused:  # the flow did not look; what it had parsed is not to be had, so its answers are told
                items = list[Sample | Rejection](unread(completion for _, completion in asked))
                break
            except InstructgenError:
                raise
            except Exception as error:
                raise defect(generator, error) from error
            _check_ask(generator, ask)
            if isinstance(ask, Draft):
                reply = self._screening.judge_draft(ask, snapshot.entries)
                if reply is None:
                    drafts.append(ask)
                else:
                    rejected.append(Candidate(reply.sample, reply.model_copy(update={"draft": ask.number})))
            else:
                reply = await self._purchases.answers(ask, ledger, f"generate/{step}", self.bound, asked)
                step += 1
        self.progress.steps = max(self.progress.steps, step + len(self._screening.judges))
        stamp = self._stamp(asked)
        return rejected + [candidate_of(item, stamp) for item in items]

    async def _judge(self, slot: int, number: int, candidate: Candidate, ledger: SlotLedger) -> None:
        for judge in self._screening.judges:
            if candidate.sample is not None and candidate.rejection is None:
                # Each verdict has a declaration of its own: verdicts run side by side, and what one may still ask
                # must not depend on which was first.
                own = SlotLedger(slot, judge.slot_bound(), ledger.used)
                place = f"judge/{number}/{judge.kind}"
                verdict = await self._purchases.verdict(judge, candidate.sample, place, own, self.bound)
                if isinstance(verdict, Rejection):
                    candidate.rejection = verdict
                elif verdict:
                    notes = candidate.sample.provenance.notes | {judge.kind: verdict}
                    candidate.sample = candidate.sample.with_provenance(notes=notes)

    def _stamp(self, asked: list[tuple[Request, Completion]]) -> Provenance:
        """Return what the provenance of every candidate of a flow has in common."""
        teacher = self.recipe.teacher
        names = sorted({request.prompt for request, _ in asked if request.prompt})
        models = [completion.model for _, completion in asked if completion.model not in ("", teacher.identity)]
        return Provenance(
            source="generated",
            recipe=self._recipe_hash,
            generator=self.recipe.generator.kind,
            teacher=teacher.identity,
            teacher_revision=teacher.revision or (models[0] if models else ""),
            prompts={name: self._prompt_hashes[name] for name in names if name in self._prompt_hashes},
            requests=tuple(completion.request for _, completion in asked),
            terms=teacher.licence,
        )

    # -- commit and fold -----------------------------------------------------------------------------------------

    def _commit(self, slot: int) -> None:
        played = self._played.pop(slot)
        try:
            accepted = self._screening.at_commit(played.candidates, played.snapshot.entries)
        except DefectError as error:
            error.place = ", ".join(filter(None, (f"slot {slot}", error.place)))
            raise
        charged = sorted(key for key in played.ledger.used if key not in self._charged)
        usage: dict[str, Usage] = {}
        for key in charged:
            model, cost = played.ledger.used[key]
            usage[model] = usage.get(model, Usage()) + cost
        closed = {
            "parsed": len(played.candidates),
            "accepted": len(accepted),
            "usage": {model: cost.as_json() for model, cost in sorted(usage.items())},
            "charged": charged,
        }
        lines = [candidate.line() for candidate in played.candidates]
        self._opened.log.append(lines, closed)
        bought = {key: played.ledger.used[key][1] for key in charged if key not in self._purchases.reused}
        by_batch = (bought[key] for key in self._purchases.by_batch.intersection(bought))
        self._count(lines, closed, sum(bought.values(), Usage()), sum(by_batch, Usage()))
        self._admit(slot, accepted, self._screening.entries)
        log.debug("slot %d closed: %d of %d accepted", slot, len(accepted), len(lines))
        self.tell()
        self._see_unsent(played.ledger, accepted=bool(accepted))

    def _see_unsent(self, ledger: SlotLedger, *, accepted: bool) -> None:
        """Stop a sitting whose first slots all exceed what the generator declares: the others would cost as much."""
        self._fruitful = self._fruitful or accepted or ledger.unsent is None
        self._unsent += 1
        if self._fruitful or self._unsent < UNSENT or ledger.unsent is None:
            return
        kind, (most, left) = self.recipe.generator.kind, ledger.unsent
        raise InstructgenError(
            f"generator {kind!r} asks more than its slot_bound() declares, in each of the first {UNSENT} slots: "
            f"requests were not sent (over_declared) and nothing was accepted. One may take {_bound_said(most)}, when "
            f"{_bound_said(left)} were left. Raise slot_bound of {kind!r} and use a new directory; what was bought can "
            "be taken over with --reuse"
        )

    def _remember(self) -> None:
        """Take what the closed slots accepted into the pool and the filters' memory."""
        slots = (slot.samples() for slot in self._opened.run.slots())
        for number, (accepted, entries) in enumerate(self._screening.restored(slots)):
            self._admit(number, accepted, entries)

    def _admit(self, slot: int, accepted: list[Sample], entries: int) -> None:
        """Add to the pool what a slot accepted, and note what later slots see of it and of `entries` in memory."""
        for sample in accepted:
            self._pool.add(sample)
        self._snapshots[slot] = Snapshot(len(self._pool), entries)
        self._snapshots.pop(slot - self.recipe.window, None)

    def _fold(self, slot: ClosedSlot) -> None:
        total = sum((Usage.model_validate(cost) for cost in slot.closed["usage"].values()), Usage())
        charged = set(slot.closed["charged"])
        copied, by_batch = charged & self._purchases.reused, charged & self._purchases.by_batch
        total -= self._stored_usage(copied)
        share = total if by_batch == charged - copied else self._stored_usage(by_batch)
        self._count(slot.lines, slot.closed, total, share)

    def _stored_usage(self, keys: Iterable[str]) -> Usage:
        answers = filter(None, map(self._opened.store.get, keys))
        return sum((answer.usage.model_copy(update={"requests": 1}) for answer in answers), Usage())

    def _count(self, lines: list[dict[str, Any]], closed: dict[str, Any], spent: Usage, by_batch: Usage) -> None:
        """Move on to the counts after a closed slot."""
        accepted = sum("accepted" in line for line in lines)
        self._charged.update(closed["charged"])
        self._recent.append((len(lines), accepted))
        progress = self.progress
        progress.slots += 1
        progress.parsed += len(lines)
        progress.accepted += accepted
        for line in lines:
            if "rejected" in line:
                progress.reasons[f"{line['rejected']['stage']}/{line['rejected']['reason']}"] += 1
        for model, cost in closed["usage"].items():
            progress.usage[model] = progress.usage.get(model, Usage()) + Usage.model_validate(cost)
        progress.spent += spent
        progress.paid = progress.paid.plus(self._budget.spent(spent, by_batch))


def _items(generator: Generator, returned: Any) -> list[Sample | Rejection]:
    """Return what a flow returned. Raises: DefectError for anything but samples and rejections."""
    if returned is None:
        return []
    if isinstance(returned, list | tuple) and all(isinstance(item, Sample | Rejection) for item in returned):
        return list(returned)
    wrong = returned
    if isinstance(returned, list | tuple):
        wrong = next(item for item in returned if not isinstance(item, Sample | Rejection))
    raise defect(generator, f"its flow returned {shown(wrong)}, expected a list of Sample and Rejection")


def _check_ask(generator: Generator, ask: Any) -> None:
    """Raise DefectError for what a flow may not yield."""
    if isinstance(ask, Draft | Request) or (isinstance(ask, list) and all(isinstance(one, Request) for one in ask)):
        return
    raise defect(generator, f"its flow yielded {shown(ask)}, expected a Request, a list of them or a Draft")


def _bound_said(bound: SlotBound) -> str:
    return (
        f"{bound.requests} requests, {bound.prompt_tokens:,} prompt and {bound.completion_tokens:,} completion tokens"
    )
