"""Novelty as in Self-Instruct and Alpaca: reject what is too close, by ROUGE-L, to anything kept before."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from instructgen.dedup.rouge_index import LONGEST_COMPARED, RougeIndex, Tie
from instructgen.dedup.tokens import TokenizerName
from instructgen.filters import Tools
from instructgen.filters.duplicates import Duplicates


class Rouge(Duplicates):
    """Reject a sample whose exact ROUGE-L F1 with a seed or a kept sample reaches the threshold.

    The reference implementation of that rule is self-instruct's and stanford_alpaca's, at 0.7 with `rouge_score`.
    There "ROUGE-L below 0.7 is kept" (paper) and "above 0.7 is dropped" (code) differ on exact ties, which are common:
    7 of 10 words shared is 0.7.

    Example: threshold=0.7, kept "Write a poem about rain.", new "Write a poem about the rain."
             -> near_duplicate (score=0.909091, neighbours=[{"id": ..., "score": 0.909091}])
    """

    reasons: ClassVar[dict[str, str]] = {"near_duplicate": "ROUGE-L F1 with one kept before reaches the threshold"}

    kind: Literal["rouge"] = "rouge"
    threshold: float = Field(default=0.7, gt=0, le=1, description="F1 from which a sample is too close, 0 < F1 <= 1")
    tie: Tie = Field(
        default="reject",
        description="reject: drop at F1 >= threshold, exactly; as_released: drop when rouge_score's float > threshold",
    )
    tokenizer: TokenizerName = Field(
        default="auto",
        description="reference: runs of a-z0-9 and nothing else; words: the same for texts in ASCII, Unicode words for "
        "others, single characters in scripts without spaces; characters; auto: words",
    )

    longest: int = Field(
        default=LONGEST_COMPARED, ge=1, lt=1 << 16, description="tokens of a text that are compared, the first ones"
    )

    def new_index(self, tools: Tools) -> RougeIndex:
        """Return an empty exact ROUGE-L index."""
        return RougeIndex(self.threshold, self.tie, self.tokenizer, self.longest)
