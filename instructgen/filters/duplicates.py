"""What all filters share that compare a sample with those kept before: which text, which evidence, whose memory.

sample.rejected("near_duplicate", score=0.82, neighbours=[{"id": "3f1c…", "score": 0.82}])
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, PrivateAttr

from instructgen.dedup import Index, Neighbour
from instructgen.dedup.greedy import GreedyIndex
from instructgen.dedup.greedy import Together as Texts
from instructgen.filters import Filter, Together, Tools, Verdict
from instructgen.records import Sample

Compare = Literal["instruction", "instruction_input", "conversation"]

_LOOKED_AT = 200  # remembered samples whose nearest others are looked for, and
_COMPARED = 4_000_000  # comparisons that this may take: a few seconds

_READS = {
    "instruction": frozenset({"instruction"}),
    "instruction_input": frozenset({"instruction", "input"}),
    "conversation": frozenset({"conversation"}),
}


def compared_text(sample: Sample, compare: Compare) -> str:
    """Return the text of a sample that is held against others; the system message is part of a conversation only."""
    if compare == "instruction":
        return sample.instruction
    if compare == "instruction_input":
        return f"{sample.instruction}\n\n{sample.input}" if sample.input else sample.instruction
    return "\n".join(turn.text for turn in sample.turns)


class Duplicates(Filter):
    """Reject samples that are like one kept before. Memory is one index; each remembered sample is one entry of it."""

    memory: ClassVar[bool] = True
    pairwise: ClassVar[bool] = True
    reason: ClassVar[str] = "near_duplicate"

    compare: Compare = Field(
        default="instruction", description="what is compared: the instruction, with its input, or all turns"
    )
    neighbours: PositiveInt = Field(default=3, description="how many of the nearest kept samples the evidence names")

    _index: Index = PrivateAttr()
    _ids: list[str] = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Start with an empty memory."""
        self._index, self._ids = self.new_index(Tools()), []

    @abstractmethod
    def new_index(self, tools: Tools) -> Index:
        """Return an empty index with this filter's options."""

    def prepare(self, tools: Tools) -> Self:
        """Return this filter with an empty memory of its own."""
        ready = self.model_copy()
        ready._index, ready._ids = ready.new_index(tools), []
        return ready

    def looks_at(self) -> frozenset[str]:
        """Return the compared fields."""
        return _READS[self.compare]

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Reject a sample that is like one remembered as number since <= n < until."""
        found = self._index.nearest(compared_text(sample, self.compare), self.neighbours, since, until)
        return self._verdict(sample, found)

    def remember(self, sample: Sample) -> None:
        """Take the sample in as the next entry, whatever it is like."""
        self._index.add(compared_text(sample, self.compare))
        self._ids.append(sample.id)

    def remember_all(self, samples: Sequence[Sample]) -> None:
        """Take samples in as the next entries; in one call where the index has one."""
        at_once = getattr(self._index, "add_all", None)
        if at_once is None or type(self).remember is not Duplicates.remember:
            super().remember_all(samples)
        elif samples:
            at_once([compared_text(sample, self.compare) for sample in samples])
            self._ids += [sample.id for sample in samples]

    def check_batch(self, samples: Sequence[Sample]) -> list[Verdict]:
        """Return a verdict per sample, in order; kept ones are remembered. One call to the index."""
        found = self._index.filter([compared_text(sample, self.compare) for sample in samples], self.neighbours)
        self._ids += [sample.id for sample, near in zip(samples, found, strict=True) if not near]
        return [self._verdict(sample, near) for sample, near in zip(samples, found, strict=True)]

    def together(self, samples: Sequence[Sample]) -> Together:
        """Return the samples, compared with one call to the index where it can."""
        texts = [compared_text(sample, self.compare) for sample in samples]
        if isinstance(self._index, GreedyIndex):
            return _Compared(self, samples, self._index.together(texts))
        return Together(self, samples, [place for place, text in enumerate(texts) if self._index.nearest(text)])

    def flags(self, sample: Sample) -> dict[str, Any]:
        """Note a sample that has nothing to compare, so was kept unseen, or one that was compared in part."""
        text = compared_text(sample, self.compare)
        if not self._index.sees(text):
            return {"not_compared": True}
        return {} if self._index.sees_all(text) else {"compared_in_part": True}

    def nearest(self, sample: Sample) -> dict[str, Any]:
        """Return the evidence that a rejection would hold, whatever the threshold; {} when nothing can be said.

        For a look back at one sample: it is compared with every remembered one, and remembered itself.
        """
        closest = getattr(self._index, "closest", None)
        if closest is None or not self._index.sees(compared_text(sample, self.compare)):
            return {}
        self.remember(sample)
        found = closest(len(self._index) - 1, self.neighbours)
        return self._evidence(found) if found else {}

    def close_calls(self, since: int = 0) -> list[tuple[str, str, float]]:
        """Return pairs of remembered samples that are close and yet below the threshold: (id, id, score).

        A look at some hundred samples, spread evenly over the entries from `since` on, each against all entries:
        enough to judge a threshold.
        """
        count, judged = len(self._index), len(self._index) - since
        closest = getattr(self._index, "closest", None)
        if closest is None or judged < 1 or count < 2:
            return []
        looked_at = min(judged, _LOOKED_AT, max(1, _COMPARED // count))
        return [
            (self._ids[entry], self._ids[near.entry], round(near.score, 6))
            for entry in range(since, count, max(1, judged // looked_at))
            for near in closest(entry)
        ]

    def _verdict(self, sample: Sample, found: list[Neighbour]) -> Verdict:
        if not found:
            return None
        return sample.rejected(self.reason, **self._evidence(found))

    def _evidence(self, found: list[Neighbour]) -> dict[str, Any]:
        near = [{"id": self._ids[entry], "score": round(score, 6)} for entry, score in found]
        return {"score": round(found[0].score, 6), "neighbours": near}


class _Compared(Together):
    """Samples that an index has compared with its entries and with one another."""

    def __init__(self, check: Duplicates, samples: Sequence[Sample], texts: Texts[Any]) -> None:
        super().__init__(check, samples, texts.rejected)
        self._duplicates, self._texts = check, texts

    def verdict(self, place: int) -> Verdict:
        check = self._duplicates
        return check._verdict(self._samples[place], self._texts.nearest(place, check.neighbours))

    def remember(self, place: int) -> None:
        self._texts.add(place)
        self._duplicates._ids.append(self._samples[place].id)

    def close(self) -> None:
        self._texts.close()
