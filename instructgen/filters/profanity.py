"""Rude texts, by the word model that alt-profanity-check carries (extra `safety`).

    {"instruction": "Insult me.", "output": "..."}   ->  profane

A linear model over words of English comments: fast, blind to what is rude without rude words. For toxicity in the
wider sense ask a judge with a criterion of your own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from instructgen.errors import RecipeError
from instructgen.filters import Filter, Tools, Verdict
from instructgen.filters.sensitive import texts
from instructgen.records import Sample


class Profanity(Filter):
    """Reject (or flag) samples with a passage that the model calls profane.

    Example: max_probability=0.8 rejects a sample whose rudest paragraph has 0.97
    """

    reasons: ClassVar[dict[str, str]] = {"profane": "a paragraph is profane with more than the allowed probability"}

    kind: Literal["profanity"] = "profanity"
    max_probability: float = Field(default=0.8, ge=0, le=1, description="of the model, for the rudest paragraph")
    action: Literal["drop", "flag"] = Field(
        default="drop", description="flag notes the probability and keeps the sample"
    )
    _model: Any = PrivateAttr(default=None)

    def prepare(self, tools: Tools) -> Self:
        """Return a copy with the model loaded. Raises: RecipeError when alt-profanity-check is not installed."""
        ready = super().prepare(tools)
        try:
            from profanity_check import predict_prob
        except ImportError as error:
            raise RecipeError(
                "filter 'profanity' needs alt-profanity-check: pip install 'instructgen[safety]'"
            ) from error
        ready._model = predict_prob
        return ready

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Judge one sample."""
        return self.check_batch([sample])[0]

    def check_batch(self, samples: Sequence[Sample]) -> list[Verdict]:
        """Judge many samples with one call of the model, which costs about the same for one as for a hundred."""
        if self.action == "flag":
            return [None] * len(samples)
        return [
            sample.rejected("profane", self.stage, probability=round(worst, 3))
            if worst > self.max_probability
            else None
            for sample, worst in zip(samples, self._worst(samples), strict=True)
        ]

    def flags(self, sample: Sample) -> dict[str, Any]:
        """Return the probability of the rudest paragraph where it is above the limit."""
        if self.action != "flag":
            return {}
        worst = self._worst([sample])[0]
        return {"probability": round(worst, 3)} if worst > self.max_probability else {}

    def _worst(self, samples: Sequence[Sample]) -> list[float]:
        paragraphs = [
            [part for _, text in texts(sample) for part in text.split("\n") if part.strip()] or [" "]
            for sample in samples
        ]
        flat = [part for parts in paragraphs for part in parts]
        scores = iter(float(score) for score in self._model(flat)) if flat else iter(())
        return [max(next(scores) for _ in parts) for parts in paragraphs]
