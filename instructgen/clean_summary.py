"""What a cleaned dataset's `summary.json` says: how much was dropped by whom, what hangs together, what was close.

A person judges a threshold by the pairs just above and just below it; the recorded scores tell about how many rows a
higher threshold would bring back (the exact set is a re-run: rows that come back may drop others).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from instructgen.decisions import read_slots
from instructgen.files import iter_rows
from instructgen.filters import Filter
from instructgen.filters.duplicates import Compare, Duplicates, compared_text
from instructgen.formats import Format
from instructgen.formats.detect import read_row
from instructgen.records import Rejection, Sample

PAIRS = 5
"""Borderline pairs shown on each side of a threshold, and largest clusters shown."""
_STEP = 0.05  # width of the score classes
_SHOWN = 400  # characters of a text in the summary


class Pair(NamedTuple):
    """Two samples that are nearly too close, or only just."""

    score: float
    kept: str
    """Id of the kept one."""
    other: str
    """Id of the other."""
    sample: Sample | None = None
    """The other, where it is at hand: a dropped one."""


class Summary:
    """Counts while the rows go by; little is held per row: one number per kept sample with duplicates."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        self.about = dict(about)
        self.rows = self.rows_kept = self.samples = 0
        self.reasons: dict[str, Counter[str]] = {}
        self.clusters: dict[str, Counter[str]] = {}
        self._scores: dict[str, Counter[float]] = {}
        self._flips: dict[str, list[float]] = {}
        self._count = 0
        self._above: dict[str, list[tuple[float, int, Pair]]] = {}

    @property
    def parsed(self) -> int:
        """Samples, and pieces that could not become one: parsed = accepted + rejected."""
        return self.samples + sum(counts.total() for counts in self.reasons.values())

    def row(self, *, kept: bool) -> None:
        """Count a row."""
        self.rows += 1
        self.rows_kept += kept

    def accepted(self, sample: Sample, notes: Mapping[str, Any]) -> None:
        """Count a kept sample; `notes` is what filters noted of it, by filter."""
        self.samples += 1
        for kind, noted in notes.items():
            self._compared(kind, noted)

    def _compared(self, kind: str, noted: object) -> None:
        """Remember how often a judge's verdicts on one sample turned with the order of the answers."""
        share = noted.get("flip_rate") if isinstance(noted, Mapping) else None
        if isinstance(share, float):
            turned = self._flips.setdefault(kind, [0, 0.0])
            turned[0], turned[1] = turned[0] + 1, turned[1] + share

    def rejected(self, kind: str, rejection: Rejection) -> None:
        """Count a rejection by filter (its label) and reason; remember its nearest neighbour, and a close pair."""
        self.reasons.setdefault(kind, Counter())[rejection.reason] += 1
        self._compared(kind, rejection.evidence)
        near = rejection.evidence.get("neighbours")
        if not isinstance(near, list) or not near or not isinstance(near[0], dict):
            return
        kept, score = str(near[0]["id"]), near[0].get("score")
        self.clusters.setdefault(kind, Counter())[kept] += 1
        if isinstance(score, float) and rejection.sample is not None:
            self._scores.setdefault(kind, Counter())[_class(score)] += 1
            pair = Pair(score, kept, rejection.sample.id, rejection.sample)
            self._count += 1
            heap = self._above.setdefault(kind, [])
            heapq.heappush(heap, (-score, -self._count, pair))  # the lowest scores stay, the oldest among equals
            if len(heap) > PAIRS:
                heapq.heappop(heap)

    def finished(
        self, filters: Sequence[tuple[str, Filter]], folder: Path, shape: Format,
        known: Callable[[], Iterable[Sample]] = lambda: (), held: int = 0,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the whole summary, with the texts of the pairs and clusters that it shows. Filters by label.

        `known` yields the samples of other datasets that rows were held against, the first `held` in memory.
        """
        below = {label: _below(check, held) for label, check in filters if isinstance(check, Duplicates)}
        graded = {label for label, check in filters if "threshold" in type(check).model_fields}
        above = {
            label: [pair for _, _, pair in sorted(heap, reverse=True)]
            for label, heap in self._above.items()
            if label in graded
        }
        largest = {kind: sizes.most_common(PAIRS) for kind, sizes in self.clusters.items()}
        wanted = {
            key for pairs in (*above.values(), *below.values()) for pair in pairs for key in (pair.kept, pair.other)
        }
        wanted |= {key for sizes in largest.values() for key, _ in sizes}
        samples = _samples(wanted, folder, shape)
        if wanted - samples.keys():
            samples |= {one.id: one for one in known() if one.id in wanted and one.id not in samples}
        compares = {label: check.compare for label, check in filters if isinstance(check, Duplicates)}
        texts = {kind: _Texts(samples, compares.get(kind, "conversation")) for kind in {*above, *below, *largest}}
        rejected = {kind: dict(counts.most_common()) for kind, counts in sorted(self.reasons.items())}
        return self.about | {
            "rows": {"read": self.rows, "kept": self.rows_kept},
            "samples": {"parsed": self.parsed, "accepted": self.samples, "rejected": self.parsed - self.samples},
            "rejected": rejected,
            "flip_rate": {kind: round(share / count, 3) for kind, (count, share) in sorted(self._flips.items())},
            "clusters": {kind: _sizes(sizes, largest[kind], texts[kind]) for kind, sizes in self.clusters.items()},
            "scores": {label: _back(scores) for label, scores in self._scores.items() if label in graded},
            "borderline": {
                kind: {
                    "dropped": [texts[kind].shown(pair) for pair in above.get(kind, [])],
                    "kept": [texts[kind].shown(pair) for pair in below.get(kind, [])],
                }
                for kind in sorted({*above, *below})
                if above.get(kind) or below.get(kind)
            },
        }


def _class(score: float) -> float:
    return round(int(score / _STEP + 1e-9) * _STEP, 2)


def _below(check: Duplicates, since: int) -> list[Pair]:
    """Return the closest pairs among a sample of the kept ones, closest first."""
    pairs = {
        frozenset((one, other)): Pair(score, one, other) for one, other, score in check.close_calls(since) if score > 0
    }
    return sorted(pairs.values(), key=lambda pair: (-pair.score, pair.kept))[:PAIRS]


def _sizes(duplicates: Counter[str], largest: Iterable[tuple[str, int]], texts: _Texts) -> dict[str, Any]:
    """Return how many clusters have which size (the kept one counts), and the largest."""
    sizes = Counter(count + 1 for count in duplicates.values())
    return {
        "count": len(duplicates),
        "sizes": {str(size): sizes[size] for size in sorted(sizes)},
        "largest": [{"id": key, "size": count + 1, "text": texts.of(key)} for key, count in largest],
    }


def _back(scores: Counter[float]) -> dict[str, int]:
    """Return threshold -> about how many dropped rows it would bring back: those that score below it."""
    steps = sorted(scores)
    return {
        f"{step + _STEP:.2f}": sum(count for score, count in scores.items() if score <= step)
        for step in steps
        if step + _STEP <= 1
    }


class _Texts:
    """The compared texts of samples, cut to a readable length."""

    def __init__(self, samples: Mapping[str, Sample], compare: Compare) -> None:
        self._samples, self._compare = samples, compare

    def of(self, key: str, sample: Sample | None = None) -> str:
        """Return the text of a sample, by id if it is not at hand; "" for one that is not among the kept rows."""
        known = sample or self._samples.get(key)
        text = compared_text(known, self._compare) if known else ""
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"

    def shown(self, pair: Pair) -> dict[str, Any]:
        """Return a pair as the summary shows it."""
        return {
            "score": pair.score,
            "kept": {"id": pair.kept, "text": self.of(pair.kept)},
            "other": {"id": pair.other, "text": self.of(pair.other, pair.sample)},
        }


def _samples(wanted: set[str], folder: Path, shape: Format) -> dict[str, Sample]:
    """Return kept samples by id: found in what was just written, not held in memory."""
    if not wanted:
        return {}
    rows, kept, last = set[int](), -1, None  # places of wanted samples among the kept rows
    for slot in read_slots(folder / "decisions.jsonl"):
        for line in slot.lines:
            accepted = line.get("accepted")
            if accepted is None:
                continue
            kept += accepted["row"] != last
            last = accepted["row"]
            if accepted["id"] in wanted:
                rows.add(kept)
    found: dict[str, Sample] = {}
    for place, (number, row) in enumerate(shape.gather(iter_rows(folder / "kept.jsonl"))):
        if place in rows:
            made = read_row(number, row, shape)
            found |= {one.id: one for one in made if isinstance(one, Sample) and one.id in wanted}
    return found
