"""OpenAssistant's trees as training conversations: which paths, and how good their messages must be.

    root -> a1 -> u1 -> a2        a2's path
                  `---> (none)
         -> a3 -> u2              u2 is unanswered: the path ends with a3 and is not lost

The format reader gives a sample for each path from the root to a leaf; message ids, ranks and labels are in the turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from instructgen.records import Rejection, Sample, Turn


class Paths(BaseModel):
    """Which paths of a tree become samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    ends: Literal["leaves", "all"] = Field(default="leaves", description="a sample per leaf, or per assistant message")
    best: int | None = Field(
        default=None, ge=1, description="assistant messages among the best N of their siblings only"
    )
    labels: dict[str, float] = Field(default={}, description="label -> least value, 0..1; an unrated message passes")
    languages: tuple[str, ...] = Field(default=(), description="languages of the messages; empty: all")


def conversations(samples: Iterable[Sample], options: Paths | None = None) -> Iterator[Sample | Rejection]:
    """Yield the conversations of paths that stand side by side. Paths that become equal are given once.

    Unanswered turns at the end are cut and noted (`provenance.notes.unanswered`: how many); the path before them stays,
    so no answer is lost.
    """
    options = options or Paths()
    seen: set[str] = set()
    for sample in samples:
        ends = _ends(sample.turns, options)
        if not ends:
            yield sample.rejected("no_answer", stage="parse", detail="no assistant message on this path")
            continue
        for end in ends:
            made = _until(sample, end)
            if end == ends[-1] and end < len(sample.turns):
                made = made.with_provenance(notes={**made.provenance.notes, "unanswered": len(sample.turns) - end})
            if made.id in seen:
                continue
            seen.add(made.id)
            problem = _problem(made, options)
            yield made if problem is None else made.rejected(problem[0], stage="parse", detail=problem[1])


def _ends(turns: tuple[Turn, ...], options: Paths) -> list[int]:
    """Return behind which turns a sample ends."""
    ends = [at + 1 for at, turn in enumerate(turns) if turn.role == "assistant"]
    return ends if options.ends == "all" else ends[-1:]


def _until(sample: Sample, end: int) -> Sample:
    if end == len(sample.turns):
        return sample
    data = sample.model_dump(exclude={"id"})
    return Sample.model_validate({**data, "turns": data["turns"][:end]})


def _problem(sample: Sample, options: Paths) -> tuple[str, str] | None:
    for turn in sample.turns:
        known: Mapping[str, Any] = turn.extra
        if known.get("deleted") or known.get("review_result") is False:
            return "removed_message", str(known.get("message_id", ""))
        if options.languages and known.get("lang") and known["lang"] not in options.languages:
            return "other_language", str(known["lang"])
        rank = known.get("rank")
        if options.best and turn.role == "assistant" and isinstance(rank, int) and rank >= options.best:
            return "rank", f"rank {rank}, expected below {options.best}"
        for label, least in options.labels.items():
            value = label_value(known.get("labels"), label)
            if value is not None and value < least:
                return "label", f"{label} is {value:.2f}, expected at least {least}"
    return None


def label_value(labels: Any, name: str) -> float | None:
    """Return a message's mean label, in either form that was published; `None` for an unrated one.

    Example: {"quality": {"value": 0.75, "count": 3}} or {"name": ["quality"], "value": [0.75]} -> 0.75
    """
    if not isinstance(labels, Mapping):
        return None
    one = labels.get(name)
    if isinstance(one, Mapping) and isinstance(one.get("value"), int | float):
        return float(one["value"])
    names, values = labels.get("name"), labels.get("value")
    if isinstance(names, list) and isinstance(values, list) and name in names:
        return float(values[names.index(name)])
    return None
