"""Generators: methods that turn a pool and a teacher into candidates. One file a method.

A generator's `flow` is a Python generator function that does no I/O. It yields

    Request          and is sent its `Completion`
    list[Request]    sent concurrently, and is sent the list of their completions
    Draft            an idea; is sent the `Rejection` of the filters that look at the instruction alone, or `None`

and returns its samples and parse rejections. The engine records a draft's rejection itself: the flow only goes on.

A flow looks at `completion.refusal` where one answer of several may be missing. One that reads a refused completion's
text without looking ends there, and every answer that it had is a rejection (`unread`): paid for, counted, not kept.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator as PythonGenerator
from collections.abc import Iterable
from random import Random
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from instructgen.pool import PoolView
from instructgen.records import Completion, Draft, Rejection, Request, Sample, SlotBound

Ask = Request | list[Request] | Draft
Flow = PythonGenerator[Ask, Any, list[Sample | Rejection]]
Fidelity = Literal["paper", "as_released", "fixed"]


class Generator(BaseModel):
    """A method; its options are fields. Subclasses set `kind` and write `flow` and `slot_bound`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    source: ClassVar[str] = ""
    """Paper or repository whose rules these are."""

    kind: str
    fidelity: Fidelity = Field(
        default="fixed",
        description="paper: the paper's words; as_released: bug-compatible with the released code; "
        "fixed: the released numbers with the listed defects repaired",
    )

    @abstractmethod
    def flow(self, pool: PoolView, rng: Random) -> Flow:
        """Tell one slot's story: ask, read, return samples and parse rejections."""

    @abstractmethod
    def slot_bound(self) -> SlotBound:
        """Return the most requests and tokens that one slot may take."""

    def most_samples(self) -> int:
        """Return the most samples that one slot may yield; judges are budgeted for so many."""
        return 20

    def feeds_back(self) -> bool:
        """Say whether prompts draw machine-made samples: only then does the window decide what a slot sees of them."""
        return True

    def prompt_names(self) -> tuple[str, ...]:
        """Return the names of the prompt templates that flows use; they are frozen with the run."""
        return ()


def unread(answers: Iterable[Completion]) -> list[Rejection]:
    """Return what becomes of a slot's answers when its flow ended at a refusal: each is a rejection.

    The refused ones have stage `teacher` and the endpoint's reason, the others `lost_to_refusal` and their text.
    Example: [r.reason for r in unread([said, refused])] -> ["lost_to_refusal", "content_filter"]
    """
    return [answer.rejected("lost_to_refusal", text=answer.content) for answer in answers]
