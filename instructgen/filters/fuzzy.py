"""Near-duplicates by characters: typing errors, changed endings, punctuation."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from instructgen.dedup.fuzzy_index import FuzzyIndex
from instructgen.filters import Tools
from instructgen.filters.duplicates import Duplicates


class Fuzzy(Duplicates):
    """Reject a sample whose compared text has a RapidFuzz `ratio` of at least the threshold with a kept one's.

    Exact, for short texts: the time grows with the square of their number. Long ones are `minhash`'s.

    Example: threshold=0.85, kept "Sort the list.", new "Sort this list." -> near_duplicate (score=0.896552)
    """

    reasons: ClassVar[dict[str, str]] = {"near_duplicate": "the ratio with one kept before reaches the threshold"}

    kind: Literal["fuzzy"] = "fuzzy"
    threshold: float = Field(default=0.9, gt=0, le=1, description="ratio from which two texts are too close, 0..1")

    def new_index(self, tools: Tools) -> FuzzyIndex:
        """Return an empty index by characters."""
        return FuzzyIndex(self.threshold)
