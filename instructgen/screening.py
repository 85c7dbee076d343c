"""The order of checks: free filters, memory against the snapshot, judges, and at commit memory for what came since.

Samples made from one draft share one novelty verdict and one memory entry; a sample without a draft stands alone.
Only accepted samples are remembered, and all filters with memory remember the same entries, so one number per slot
describes every snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from instructgen.defects import defect, verdict_of
from instructgen.errors import InstructgenError
from instructgen.filters import Filter, Verdict
from instructgen.filters.shape import Shape
from instructgen.records import Draft, Provenance, Rejection, Sample, Seed

INSTRUCTION_ONLY = frozenset({"instruction"})
AT_ONCE = 4_096
"""Samples of earlier sittings that are remembered together: an index takes many in faster than one by one."""


@dataclass
class Candidate:
    """A candidate on its way: kept so far while `rejection` is `None`."""

    sample: Sample | None
    rejection: Rejection | None = None

    @property
    def draft(self) -> int | None:
        """Number of the draft that it was made from."""
        return self.sample.provenance.draft if self.sample else None

    def line(self) -> dict[str, Any]:
        """Return the candidate's line in `decisions.jsonl`."""
        if self.rejection is not None:
            return {"rejected": self.rejection.as_json()}
        if self.sample is None:
            raise TypeError("a candidate is a sample or a rejection")
        return {"accepted": self.sample.as_json()}


def candidate_of(item: Sample | Rejection, stamp: Provenance) -> Candidate:
    """Return a flow's item as a candidate; what it leaves open in its provenance is filled in from `stamp`."""
    if isinstance(item, Rejection):
        return Candidate(item.sample, item if item.requests else item.model_copy(update={"requests": stamp.requests}))
    known = {name: value for name, value in item.provenance if value or name == "draft"}
    return Candidate(item.model_copy(update={"provenance": stamp.model_copy(update=known)}))


class Screening:
    """A recipe's filters at work. `entries` counts what the filters with memory remember, seeds first."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        shaped = any(isinstance(f, Shape) for f in filters)
        self.filters = tuple(filters) if shaped else (Shape(), *filters)
        self.free = [f for f in self.filters if not f.memory and not f.judge]
        self.judges = [f for f in self.filters if f.judge]
        self._memory = [f for f in self.filters if f.memory]
        self._early = [f for f in self._memory if f.pairwise]
        self._ids: set[str] = set()
        self.entries = 0

    def remember_seeds(self, seeds: Iterable[Seed]) -> None:
        """Take the seeds into memory, before anything else."""
        for seed in seeds:
            self._remember(seed.sample())

    def restored(self, slots: Iterable[list[Sample]]) -> Iterator[tuple[list[Sample], int]]:
        """Take in what closed slots accepted, as their commits did; yield it back with the entries after each.

        Many are remembered at a time, the last ones when the iterator ends.
        """
        waiting = list[Sample]()
        for accepted in slots:
            drafts = set[int]()
            for sample in accepted:
                self._ids.add(sample.id)
                number = sample.provenance.draft
                if number is None or number not in drafts:
                    waiting.append(sample)
                    self.entries += 1
                if number is not None:
                    drafts.add(number)
            if len(waiting) >= AT_ONCE:
                self._recall(waiting)
                waiting = []
            yield accepted, self.entries
        self._recall(waiting)

    def _recall(self, samples: Sequence[Sample]) -> None:
        for check in self._memory:
            check.remember_all(samples)

    def judge_draft(self, draft: Draft, until: int) -> Verdict:
        """Return why an idea is not worth paying for, by the filters that look at the instruction alone."""
        sample = draft.sample()
        for check in self.free:
            if check.looks_at() <= INSTRUCTION_ONLY and (verdict := verdict_on(check, sample)):
                return verdict
        for check in self._early:
            if check.looks_at() <= INSTRUCTION_ONLY and (verdict := verdict_on(check, sample, 0, until)):
                return verdict
        return None

    def before_judges(self, candidates: Sequence[Candidate], drafts: Sequence[Draft], until: int) -> None:
        """Apply the free filters, then memory against the snapshot of `until` entries."""
        for candidate in candidates:
            if candidate.rejection is None and candidate.sample is not None:
                candidate.rejection = _first(verdict_on(check, candidate.sample) for check in self.free)
            if candidate.rejection is None and candidate.sample is not None:
                candidate.sample = rewritten(candidate.sample, self.free)
        known = {draft.number: draft.instruction for draft in drafts}
        for group in _groups(candidates):
            sample = group[0].sample
            if sample is None:
                continue
            # What an accepted draft was already asked, against the same snapshot, is not asked again.
            asked = sample.provenance.draft is not None and known.get(sample.provenance.draft) == sample.instruction
            checks = [f for f in self._early if not (asked and f.looks_at() <= INSTRUCTION_ONLY)]
            _reject(group, _first(verdict_on(check, sample, 0, until) for check in checks))

    def at_commit(self, candidates: Sequence[Candidate], since: int) -> list[Sample]:
        """Check what came in since the snapshot; return the accepted samples, remembered, in order."""
        accepted = []
        for group in _groups(candidates):
            sample = group[0].sample
            if sample is None:
                continue
            checks = (verdict_on(f, sample, since if f.pairwise else 0, self.entries) for f in self._memory)
            _reject(group, _first(checks))
            for candidate in group:
                if candidate.sample is not None and candidate.rejection is None and candidate.sample.id in self._ids:
                    candidate.rejection = candidate.sample.rejected("exact_duplicate", id=candidate.sample.id)
                elif candidate.sample is not None and candidate.rejection is None:
                    self._ids.add(candidate.sample.id)
                    candidate.sample = self._flagged(candidate.sample)
                    accepted.append(candidate.sample)
            kept = [candidate.sample for candidate in group if candidate.rejection is None]
            if kept and kept[0] is not None:
                self._remember(kept[0])
        return accepted

    def _flagged(self, sample: Sample) -> Sample:
        notes = {check.kind: flags for check in self.filters if (flags := check.flags(sample))}
        return sample.with_provenance(notes=sample.provenance.notes | notes) if notes else sample

    def _remember(self, sample: Sample) -> None:
        for check in self._memory:
            check.remember(sample)
        self.entries += 1


def rewritten(sample: Sample, filters: Iterable[Filter]) -> Sample:
    """Return a kept sample as the filters want it kept: with what they redact taken out."""
    for check in filters:
        try:
            sample = check.rewrite(sample)
        except InstructgenError:
            raise
        except Exception as error:
            raise defect(check, error) from error
    return sample


def verdict_on(check: Filter, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
    """Return a filter's verdict. Raises: DefectError when the filter raises, or answers something else."""
    try:
        return verdict_of(check, check.check(sample, since, until) if check.memory else check.check(sample))
    except InstructgenError:
        raise
    except Exception as error:
        raise defect(check, error) from error


def _first(verdicts: Iterable[Verdict]) -> Verdict:
    return next((verdict for verdict in verdicts if verdict is not None), None)


def _groups(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """Yield the surviving candidates that share a verdict: those of one draft, any other alone; in order."""
    groups: dict[object, list[Candidate]] = {}
    for number, candidate in enumerate(candidates):
        if candidate.rejection is None and candidate.sample is not None:
            key = ("alone", number) if candidate.draft is None else ("draft", candidate.draft)
            groups.setdefault(key, []).append(candidate)
    yield from groups.values()


def _reject(group: Iterable[Candidate], verdict: Verdict) -> None:
    if verdict is not None:
        for candidate in group:
            candidate.rejection = verdict.model_copy(update={"sample": candidate.sample})
