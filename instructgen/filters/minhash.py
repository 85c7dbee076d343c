"""Near-duplicates of long texts: whole conversations, documents."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from instructgen.dedup.minhash_index import MinHashIndex
from instructgen.filters import Tools
from instructgen.filters.duplicates import Compare, Duplicates


class MinHash(Duplicates):
    """Reject a sample whose word shingles have a Jaccard similarity of at least the threshold with a kept one's.

    Pairs are proposed by MinHash-LSH and decided by their exact similarity. On short instructions most near-duplicates
    share too few shingles to be found by any threshold worth setting: use `rouge` there.

    Example: threshold=0.8, compare="conversation": two chats that share 9 of 10 shingles -> near_duplicate (score=0.9)
    """

    reasons: ClassVar[dict[str, str]] = {
        "near_duplicate": "Jaccard similarity with one kept before reaches the threshold"
    }

    kind: Literal["minhash"] = "minhash"
    compare: Compare = Field(
        default="conversation", description="what is compared: the instruction, with its input, or all turns"
    )
    threshold: float = Field(
        default=0.8, ge=0.3, le=1, description="Jaccard similarity from which two texts are too close"
    )
    words: PositiveInt = Field(default=3, description="neighbouring words in a shingle")
    miss: float = Field(
        default=1e-4, gt=0, lt=1, description="chance to overlook a pair that is exactly at the threshold"
    )

    def new_index(self, tools: Tools) -> MinHashIndex:
        """Return an empty index by shingles."""
        return MinHashIndex(self.threshold, self.words, self.miss)
