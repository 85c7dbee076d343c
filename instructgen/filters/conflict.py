"""The same question with different answers: at most one of them is what a model should learn."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from instructgen.dedup.exact_index import ExactIndex, Spelling
from instructgen.filters import Filter, Tools, Verdict
from instructgen.records import Sample


class Conflict(Filter):
    """Reject a sample that asks what a kept one asks, and answers otherwise.

    What is asked is everything before the last answer, system message included. Equal answers pass: those are repeats,
    for `exact`. Turn it off where many answers to one question are wanted, as in a set of stories.

    Example: kept "Capital of Peru?" -> "Lima", new "Capital of Peru?" -> "Cusco"
             -> conflicting_answer (neighbours=[{"id": ...}])
    """

    memory: ClassVar[bool] = True
    pairwise: ClassVar[bool] = False  # an equal answer in one range excuses another answer in the other
    reads: ClassVar[frozenset[str]] = frozenset({"conversation"})
    reasons: ClassVar[dict[str, str]] = {"conflicting_answer": "the same was asked before and answered otherwise"}

    kind: Literal["conflict"] = "conflict"
    spelling: Spelling = Field(
        default="folded", description="what counts as the same: as_is; folded: case and space; words: punctuation too"
    )

    _questions: ExactIndex = PrivateAttr()
    _answers: ExactIndex = PrivateAttr()
    _ids: list[str] = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Start with an empty memory."""
        self._questions, self._answers, self._ids = ExactIndex(self.spelling), ExactIndex(self.spelling), []

    def prepare(self, tools: Tools) -> Self:
        """Return this filter with an empty memory of its own."""
        return type(self)(**self.model_dump())

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Reject a sample whose question has another answer in memory, and not its own."""
        question, whole = _texts(sample)
        asked = self._questions.nearest(question, 1, since, until)
        if not asked or self._answers.nearest(whole, 1, since, until):
            return None
        return sample.rejected("conflicting_answer", neighbours=[{"id": self._ids[asked[0].entry]}])

    def remember(self, sample: Sample) -> None:
        """Take the sample in."""
        question, whole = _texts(sample)
        self._questions.add(question)
        self._answers.add(whole)
        self._ids.append(sample.id)


def _texts(sample: Sample) -> tuple[str, str]:
    """Return what is asked, and the same with its answer; "" for a sample without an answer."""
    if not sample.output:
        return "", ""
    question = "\n".join(f"{turn.role}: {turn.text}" for turn in sample.turns[:-1])
    return question, f"{question}\nassistant: {sample.output}"
