"""Repeats: texts that are the same, up to spelling."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from instructgen.dedup.exact_index import ExactIndex, Spelling
from instructgen.filters import Tools
from instructgen.filters.duplicates import Duplicates


class Exact(Duplicates):
    """Reject a sample whose compared text is the same as a kept one's, after normalisation.

    Example: kept "Sort the list.", new " sort THE list." -> exact_duplicate (score=1.0, neighbours=[...])
    """

    reason: ClassVar[str] = "exact_duplicate"
    reasons: ClassVar[dict[str, str]] = {"exact_duplicate": "the same text was kept before"}

    kind: Literal["exact"] = "exact"
    spelling: Spelling = Field(
        default="folded",
        description="as_is; folded: case, width and white space do not count; words: nor does punctuation",
    )

    def new_index(self, tools: Tools) -> ExactIndex:
        """Return an empty index of equal texts."""
        return ExactIndex(self.spelling)
