"""What `convert` writes: `samples.jsonl`, `decisions.jsonl`, `summary.json`, from a stream of outcomes, in flat memory.

{"slot": 0, "candidate": 0, "accepted": {"id": "3f1c...", "row": 1}}
{"slot": 0, "candidate": 1, "rejected": {"stage": "parse", "reason": "unlabelled", "evidence": {"row": 2, ...}}}
{"slot": 0, "closed": {"parsed": 2, "accepted": 1}, "chain": "5d..."}
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from instructgen.convert.build import line
from instructgen.decisions import DecisionLog
from instructgen.errors import ExportError
from instructgen.files import CONVERTING, claim, whole_file
from instructgen.records import Rejection

SLOT = 10_000
"""Outcomes under one closing line."""
Outcome = tuple[int, "dict[str, Any] | Rejection"]


@dataclass
class Counts:
    """What became of the rows. parsed = accepted + rejected, always."""

    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    templates: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    """Accepted samples whose content came before; their ids carry -2, -3, ..."""
    unanswered: int = 0
    """Accepted samples of whose end an unanswered question was cut."""
    seconds: float = 0.0

    @property
    def parsed(self) -> int:
        """All outcomes."""
        return self.accepted + self.rejected.total()

    def as_json(self) -> dict[str, Any]:
        """Return the counts without time, so that the same conversion writes the same bytes."""
        return {"parsed": self.parsed, "accepted": self.accepted, "repeats": self.repeats,
                "unanswered": self.unanswered,
                "rejected": dict(sorted(self.rejected.items())), "sources": dict(sorted(self.sources.items())),
                "templates": dict(sorted(self.templates.items()))}  # fmt: skip


Progress = Callable[[Counts], None]


def write(
    outcomes: Iterable[Outcome],
    into: Path,
    about: dict[str, Any],
    *,
    overwrite: bool = False,
    progress: Progress = lambda _: None,
) -> Counts:
    """Write a conversion into a folder. `about` goes into `summary.json`: what was converted, and how.

    Raises: ExportError for a folder that holds something else, and when the disk is full.
    """
    claim(into, CONVERTING, overwrite=overwrite)
    try:
        (into / CONVERTING).touch()
        (into / "summary.json").unlink(missing_ok=True)  # it comes last: its presence says that all is there
    except OSError as error:
        raise ExportError(f"{into}: cannot be written: {error.strerror}") from error
    counts, began = Counts(), time.monotonic()
    log = DecisionLog(into / "decisions.jsonl")
    try:
        with whole_file(into / "samples.jsonl") as file:
            for slot in _slots(numbered(outcomes)):
                _write_slot(slot, file, log, counts)
                counts.seconds = time.monotonic() - began
                progress(counts)
    finally:
        log.close()
    with whole_file(into / "summary.json") as file:
        file.write(orjson.dumps({**about, **counts.as_json()}, option=orjson.OPT_INDENT_2) + b"\n")
    return counts


def _slots(outcomes: Iterable[Outcome]) -> Iterator[Iterator[Outcome]]:
    iterator = iter(outcomes)
    for first in iterator:
        yield _slot(first, iterator)


def _slot(first: Outcome, rest: Iterator[Outcome]) -> Iterator[Outcome]:
    yield first
    for _, outcome in zip(range(SLOT - 1), rest, strict=False):
        yield outcome


class Names:
    """Numbers the repeats of an id. 60 bits of it are kept: about 80 bytes a sample."""

    def __init__(self) -> None:
        self._ids: set[int] = set()
        self._times: dict[str, int] = {}

    def name(self, sample_id: str) -> str:
        """Return the id, with -2, -3 for a repeat."""
        short = int(sample_id[:15], 16)
        if short not in self._ids:
            self._ids.add(short)
            return sample_id
        times = self._times[sample_id] = self._times.get(sample_id, 1) + 1
        return f"{sample_id}-{times}"


def _write_slot(outcomes: Iterable[Outcome], file: IO[bytes], log: DecisionLog, counts: Counts) -> None:
    lines, texts, accepted = [], [], 0
    for number, made in outcomes:
        if isinstance(made, Rejection):
            counts.rejected[made.reason] += 1
            lines.append({"rejected": made.as_json()})
            continue
        accepted += 1
        counts.repeats += "-" in made["id"]
        texts.append(line(made))
        lines.append({"accepted": {"id": made["id"], "row": number}})
        provenance = made.get("provenance", {})
        counts.templates[provenance.get("template", "")] += 1
        counts.sources[provenance.get("source", "")] += 1
        counts.unanswered += "unanswered" in provenance.get("notes", ())
    counts.accepted += accepted
    file.write(b"".join(texts))
    log.append(lines, {"parsed": len(lines), "accepted": accepted})


def numbered(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield outcomes with ids made unique: a repeat of equal content carries -2, -3, ... in the order of the stream."""
    seen = Names()
    for number, made in outcomes:
        if not isinstance(made, Rejection):
            made["id"] = seen.name(made["id"])
        yield number, made
