"""Filters: keep or reject a sample, with a reason and evidence. One file a filter.

    class Length(Filter):
        kind: Literal["length"] = "length"
        min_words: PositiveInt = 4

        def check(self, sample): ...            # a Rejection, or None to keep

A filter *with memory* (novelty, dedup) also has `remember`, called for accepted samples only, in commit order;
its entries are numbered 0, 1, ... and `check(sample, since, until)` answers for entries since <= n < until.
A *judge* asks a teacher: it has `flow(sample)`, a Python generator like a generator's, and `slot_bound` per sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Generator as PythonGenerator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict

from instructgen.defects import defect, verdict_of
from instructgen.errors import InstructgenError
from instructgen.records import Rejection, Request, Sample, SlotBound, Stage

if TYPE_CHECKING:
    import numpy as np

Verdict = Rejection | None
JudgeFlow = PythonGenerator[Request | list[Request], Any, Verdict | dict[str, Any]]
"""Returns a rejection, or what to note in the provenance of the kept sample under the judge's kind."""
Field_ = Literal["instruction", "input", "output", "conversation"]


@dataclass(frozen=True)
class Tools:
    """What the edges lend to filters: loaded data and functions. A filter never opens a file or a socket itself."""

    read_rows: Callable[[str], Iterable[dict[str, Any]]] | None = None
    """Path -> rows of a dataset or benchmark file, each a dict."""
    read_bytes: Callable[[str], bytes] | None = None
    """Path -> the bytes of a file, e.g. a saved index."""
    embed: Callable[[Sequence[str]], np.ndarray] | None = None
    """Texts -> float32 array (n, d), rows of length 1; in place of whatever encoder a recipe names."""
    encoder: Callable[[str, str, str], Callable[[Sequence[str]], np.ndarray]] | None = None
    """(encoder, model, name of the key's variable) of a recipe -> the function that embeds."""
    scorer: Callable[[str], Callable[[Sequence[tuple[str, str]]], Sequence[dict[str, float]]]] | None = None
    """Path of a local model -> function from (prompt, answer) pairs to token losses; `{}` where there are none."""
    run_code: Callable[..., Any] | None = None
    """Runs untrusted code in the sandbox."""
    rewrites: bool = False
    """True when whoever lends these calls `rewrite` on kept samples; filters that redact refuse to work without."""


class Filter(BaseModel):
    """One question to a sample. Options are fields; state, if any, is private and starts empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stage: ClassVar[Stage] = "filter"
    reasons: ClassVar[dict[str, str]] = {}
    """Every reason that `check` can give -> one line on what it means."""
    reads: ClassVar[frozenset[str]] = frozenset({"instruction", "input", "output", "conversation"})
    """Which fields it looks at; `{"instruction"}` alone is also asked about drafts."""
    memory: ClassVar[bool] = False
    """True when it has `remember` and its verdict depends on what was remembered."""
    pairwise: ClassVar[bool] = True
    """With memory: True when the verdict over [a, c) is that over [a, b) or else that over [b, c).
    Any other is checked once, in full, at commit."""
    judge: ClassVar[bool] = False
    """True when it asks a teacher, through `flow`."""

    kind: str

    def prepare(self, tools: Tools) -> Self:
        """Return this filter ready to work: own empty memory, data loaded through `tools`."""
        return self.model_copy(deep=True)

    def notices(self) -> list[str]:
        """Return what a person should know of this filter once it is ready, such as what it cannot look for."""
        return []

    def looks_at(self) -> frozenset[str]:
        """Return the fields that this filter, with its options, looks at."""
        return self.reads

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Return why the sample is rejected, or `None`. With memory: against entries since <= n < until."""
        return None

    def remember(self, sample: Sample) -> None:
        """Take an accepted sample into memory (filters with memory only)."""

    def remember_all(self, samples: Sequence[Sample]) -> None:
        """Take many in, in order, as `remember` does one by one; filters that are faster at once override this."""
        for sample in samples:
            self.remember(sample)

    def check_batch(self, samples: Sequence[Sample]) -> list[Verdict]:
        """Return a verdict per sample of a stream, in order; a kept one is remembered before the next is judged.

        Filters that can do better than one by one override this; the verdicts stay the same.
        """
        verdicts: list[Verdict] = []
        for sample in samples:
            verdict = self.check(sample)
            if verdict is None and self.memory:
                self.remember(sample)
            verdicts.append(verdict)
        return verdicts

    def together(self, samples: Sequence[Sample]) -> Together:
        """Return samples of a stream as they are asked about one after another (filters with memory only).

        Filters that can compute for many at once override this; the verdicts stay the same.
        """
        return Together(self, samples)

    def flow(self, sample: Sample, rng: Random) -> JudgeFlow:
        """Ask a teacher about the sample (judges only)."""
        raise TypeError(f"filter {self.kind!r} is not a judge")

    def slot_bound(self) -> SlotBound:
        """Return the most that judging one sample may take (judges only)."""
        return SlotBound()

    def prompt_names(self) -> tuple[str, ...]:
        """Return the names of the prompt templates that a judge uses."""
        return ()

    def rewrite(self, sample: Sample) -> Sample:
        """Return what is kept in place of a kept sample (redaction); the same object for no change.

        Called after `check`, only where `Tools.rewrites` says so.
        """
        return sample

    def flags(self, sample: Sample) -> dict[str, Any]:
        """Return what to note in the provenance of a sample that is kept; {} for nothing."""
        return {}


class Together:
    """Samples that a filter with memory is asked about in order, while others decide which of them are kept.

    Example: asked = check.together(samples); asked.verdict(0) -> None; asked.remember(0); ...; asked.close()
    """

    def __init__(self, check: Filter, samples: Sequence[Sample], rejected: Iterable[int] = ()) -> None:
        self._check, self._samples = check, samples
        self.rejected = frozenset(rejected)
        """Places of samples that are rejected whatever is kept of the others: no later filter is asked about them."""

    def verdict(self, place: int) -> Verdict:
        """Return the verdict on a sample, given those remembered so far. Raises: DefectError, the filter's own."""
        try:
            return verdict_of(self._check, self._check.check(self._samples[place]))
        except InstructgenError:
            raise
        except Exception as error:
            raise defect(self._check, error) from error

    def remember(self, place: int) -> None:
        """Take a sample in, in the order of places."""
        self._check.remember(self._samples[place])

    def close(self) -> None:
        """End: what was remembered is now in the filter's memory."""
