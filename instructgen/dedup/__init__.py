"""The indexes behind novelty and dedup: exact ROUGE-L, fuzzy, MinHash, semantic, decontamination.

All answer the same three calls, and all explain themselves with entries and scores:

    index.add("Sort the list.")                 -> 0, the number of the new entry
    index.nearest("Sort this list.", k=3)       -> [Neighbour(entry=0, score=0.667)], those that reach the threshold
    index.filter(["Sort the list!", "Sing."])   -> [[Neighbour(entry=0, score=1.0)], []]; the second is now entry 1
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Neighbour(NamedTuple):
    """An entry that is like the text in question."""

    entry: int
    """Number of the entry, in the order of adding, from 0."""
    score: float
    """How alike, 0..1; 1 = the same to this detector."""


class Index(Protocol):
    """Finds the entries that are like a text. Entries are numbered 0, 1, ... as they are added."""

    def __len__(self) -> int:
        """Return the number of entries."""
        ...

    def add(self, text: str) -> int:
        """Take a text in, whatever it is like; return its number."""
        ...

    def nearest(self, text: str, k: int = 1, since: int = 0, until: int | None = None) -> list[Neighbour]:
        """Return up to `k` entries since <= n < until that reach the threshold; best first, then in order of age."""
        ...

    def filter(self, texts: Sequence[str], k: int = 1) -> list[list[Neighbour]]:
        """Judge texts in order: one with neighbours is a duplicate, any other is added before the next is judged."""
        ...

    def sees(self, text: str) -> bool:
        """Tell whether there is anything in the text that this index can compare."""
        ...

    def sees_all(self, text: str) -> bool:
        """Tell whether the text is compared as a whole, not by its first part alone."""
        ...


def ranked(found: list[Neighbour], k: int) -> list[Neighbour]:
    """Return the best `k`: highest score first, older entries first among equals."""
    return sorted(found, key=lambda neighbour: (-neighbour.score, neighbour.entry))[:k]
