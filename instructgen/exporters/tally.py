"""Statistics of what is exported, for the card: taken in one pass, in memory that the data's size does not change."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from instructgen.exporters.verbs import VERBS
from instructgen.filters.licence import licence_stated
from instructgen.formats.chats import ROLES, Chat, Chats, summed
from instructgen.formats.columns import bytes_of, texts_of
from instructgen.formats.single import Singles
from instructgen.records import Sample

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

DISTINCT = 5_000
"""The most different values that one counter keeps; further new ones count as `(others)`."""
OTHERS = "(others)"
NAMED = 80
"""Characters of a licence that a counter keeps."""
_WORD = re.compile(r"[^\W\d_]+")


class Statistics(BaseModel):
    """What a tally found."""

    model_config = ConfigDict(frozen=True)

    lengths: dict[str, tuple[int, int, int, int]] = {}
    """Part ("prompt", "answer") -> words: least, median, 95 %, most."""
    turns: dict[int, int] = {}
    """Turns of a conversation, without system messages -> samples."""
    languages: dict[str, int] = {}
    categories: dict[str, int] = {}
    openings: dict[str, int] = {}
    """First word of the instruction -> samples; the 20 most frequent."""
    verbs: dict[str, int] = {}
    """The same of words that are a verb (`verbs.VERBS`); all of them."""
    licences: dict[str, int] = {}
    sources: dict[str, int] = {}
    flags: dict[str, int] = {}
    """Filter that left a note in the provenance -> samples."""


def put(counter: Counter[str], value: str, times: int = 1) -> None:
    """Count a value in a counter that keeps `DISTINCT` different ones."""
    counter[value if value in counter or len(counter) < DISTINCT else OTHERS] += times


class Tally:
    """Counts so far.

    That of one batch keeps all of its values: which of them are among the `DISTINCT` first, only the whole stream says.
    """

    def __init__(self, *, of_batch: bool = False) -> None:
        self._of_batch = of_batch
        self._words: dict[str, Counter[int]] = {"prompt": Counter(), "answer": Counter()}
        self._turns: Counter[int] = Counter()
        self._counters: dict[str, Counter[str]] = {
            name: Counter() for name in ("languages", "categories", "openings", "licences", "sources", "flags")
        }

    def add(self, sample: Sample) -> None:
        """Count one sample."""
        known, output = sample.provenance, sample.output
        spoken = [turn for turn in sample.turns if turn.role != "system"]
        asked = 0
        for turn in spoken[:-1] if output else spoken:
            asked += len(turn.content.split()) + len(turn.input.split())
        self._words["prompt"][asked] += 1
        self._words["answer"][len(output.split())] += 1
        self._turns[len(spoken)] += 1
        category = sample.labels.get("category")
        opening = _WORD.match(sample.instruction)
        for name, value in (
            ("languages", known.language),
            ("categories", category if isinstance(category, str) else ""),
            ("openings", opening[0].lower() if opening else ""),
            ("licences", _licence(known.licence, sample.extra)),
            ("sources", known.source),
        ):
            if value:
                self._count(name, value)
        for flag in known.notes:
            self._count("flags", flag)

    def add_singles(self, batch: Singles, asked: np.ndarray, answered: np.ndarray) -> None:
        """Count what `add` counts of their samples; `asked` and `answered` are words of questions and answers."""
        self._add_words(asked, answered)
        self._turns[2] += len(batch)
        for word, rows in _openings(batch.instruction).items():
            self._count("openings", word, rows)
        self._count("licences", "not stated", len(batch))
        if batch.source:
            self._count("sources", batch.source, len(batch))

    def add_chats(self, batch: Chats) -> None:
        """Count what `add` counts of their samples."""
        self._add_words(*batch.asked_and_answered())
        self._turns.update(_counted(summed(batch.roles != ROLES.index("system"), batch.begins)))
        for word, rows in _openings(batch.first_questions()).items():
            self._count("openings", word, rows)
        beside = Counter([_beside(chat) for chat in batch.chats])  # few differ
        for (language, category, licence, source, flags), rows in beside.items():
            named = ("languages", language), ("categories", category), ("licences", licence), ("sources", source)
            for name, value in (*((name, value) for name, value in named if value), *(("flags", one) for one in flags)):
                self._count(name, value, rows)

    def _add_words(self, asked: np.ndarray, answered: np.ndarray) -> None:
        self._words["prompt"].update(_counted(asked))
        self._words["answer"].update(_counted(answered))

    def include(self, later: Tally) -> None:
        """Add what was counted of a batch that follows; a counter is full at the same value as in a single pass."""
        for part, words in later._words.items():
            self._words[part].update(words)
        self._turns.update(later._turns)
        for name, counter in later._counters.items():
            for value, times in counter.items():
                self._count(name, value, times)

    def _count(self, name: str, value: str, times: int = 1) -> None:
        if self._of_batch:
            self._counters[name][value] += times
        else:
            put(self._counters[name], value, times)

    def statistics(self) -> Statistics:
        """Return what was counted, most frequent first."""
        known = {name: ranked(counter) for name, counter in self._counters.items()}
        known["verbs"] = {word: count for word, count in known["openings"].items() if word in VERBS}
        known["openings"] = dict(list(known["openings"].items())[:20])
        lengths = {part: _quantiles(counter) for part, counter in self._words.items() if counter}
        return Statistics(lengths=lengths, turns=dict(sorted(self._turns.items())), **known)


def _beside(chat: Chat) -> tuple[str, str, str, str, tuple[str, ...]]:
    """Return language, category, licence, source and flags."""
    known, category = chat.provenance, chat.labels.get("category", "")
    return (
        known.get("language", ""), category if category.__class__ is str else "",
        _licence(known.get("licence", ""), chat.extra), known.get("source", ""), tuple(known.get("notes", ())),
    )  # fmt: skip


def _licence(known: str, extra: Mapping[str, Any]) -> str:
    """Return a sample's licence as it is counted: a text of its own words is cut."""
    return licence_stated(known, extra)[:NAMED] or "not stated"


def _counted(numbers: np.ndarray) -> dict[int, int]:
    """Return how often each number (0 or more) is there."""
    import numpy as np

    counted = np.bincount(numbers)
    found = counted.nonzero()[0]
    return dict(zip(found.tolist(), counted[found].tolist(), strict=True))


def _openings(texts: pa.Array) -> dict[str, int]:
    """Return how often each first word opens a text, words in the order in which they came."""
    import numpy as np
    import pyarrow.compute as pc

    data, ends = bytes_of(texts)
    letter = ((data | 32) - ord("a")) < 26  # uint8: what is below "a" wraps around
    others = np.append(np.flatnonzero(~letter), len(data))
    begin = ends[:-1]
    end = np.minimum(others[np.searchsorted(others, begin)], ends[1:])
    inside = end < ends[1:]
    if (data[end[inside]] >= 128).any():  # letters of other alphabets
        found = [_WORD.match(text) for text in texts.to_pylist()]
        return dict(Counter(opening[0].lower() for opening in found if opening))
    begin, end = begin[end > begin], end[end > begin]
    places = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int32)
    at = np.repeat(begin - places[:-1], end - begin) + np.arange(places[-1])
    words = texts_of(data[at] | 32, places)
    return {found["values"]: found["counts"] for found in pc.value_counts(words).to_pylist()}


def ranked(counter: Mapping[str, int]) -> dict[str, int]:
    """Return counts, the most frequent first."""
    return dict(sorted(counter.items(), key=lambda pair: (-pair[1], pair[0])))


def _quantiles(counter: Mapping[int, int]) -> tuple[int, int, int, int]:
    """Return least, median, 95th percentile (nearest rank) and most of counted whole numbers."""
    total = sum(counter.values())
    ordered = sorted(counter.items())
    found = []
    for share in (0.5, 0.95):
        need, seen = -(-total * share // 1), 0
        for value, times in ordered:
            seen += times
            if seen >= need:
                found.append(value)
                break
    return ordered[0][0], found[0], found[1], ordered[-1][0]
