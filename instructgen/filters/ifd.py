"""Instruction-following difficulty: how much the instruction helps a small model to foresee the answer.

    {"kind": "ifd", "model": "path/to/model"}   ->   notes {"ratio": 0.62, "loss": 1.9, "loss_alone": 3.1}

A ratio near 0 is an answer that follows from the instruction at once, one near 1 an instruction of little use, and
above 1 one that misleads. Cherry_LLM keeps rows below 1 with the highest ratios (`select` with by: [ifd.ratio]).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from instructgen.errors import RecipeError
from instructgen.filters import Filter, Tools, Verdict
from instructgen.filters.selection import ifd, perplexity_ratio
from instructgen.records import Sample

Score = Callable[[Sequence[tuple[str, str]]], Sequence[dict[str, float]]]


class Ifd(Filter):
    """Note the ratio, and reject rows whose ratio is out of range.

    Example: highest=1.0 and losses 2.2 with, 2.0 without the instruction -> misleading_instruction
    """

    reasons: ClassVar[dict[str, str]] = {
        "misleading_instruction": "the answer is harder to foresee with the instruction than without",
        "too_easy": "the instruction gives the answer away",
        "not_measurable": "the answer has no tokens to measure",
    }

    kind: Literal["ifd"] = "ifd"
    model: str = Field(description="local causal language model: a folder that transformers loads, or a GGUF file")
    measure: Literal["loss", "perplexity"] = Field(
        default="loss", description="loss: Cherry_LLM; perplexity: Superfiltering"
    )
    lowest: float = Field(default=0.0, ge=0, description="ratio that a row needs")
    highest: float = Field(default=1.0, ge=0, description="ratio that a row may have")
    _score: Any = PrivateAttr(default=None)
    _known: dict[str, dict[str, float]] = PrivateAttr(default_factory=dict)

    def prepare(self, tools: Tools) -> Self:
        """Return a copy with a scoring model at hand. Raises: RecipeError when there is none."""
        if tools.scorer is None:
            raise RecipeError("filter 'ifd' needs a scoring model, and this command lends none")
        ready = super().prepare(tools)
        ready._score = tools.scorer(self.model)
        return ready

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Judge one sample."""
        return self.check_batch([sample])[0]

    def check_batch(self, samples: Sequence[Sample]) -> list[Verdict]:
        """Judge many samples with one call of the model."""
        self._known = self._measured(samples)
        return [self._verdict(sample) for sample in samples]

    def flags(self, sample: Sample) -> dict[str, Any]:
        """Return ratio and losses (nats per token)."""
        return self._known.get(sample.id) or self._measured([sample]).get(sample.id, {})

    def _verdict(self, sample: Sample) -> Verdict:
        found: dict[str, Any] | None = self._known.get(sample.id)
        if found is None:
            return sample.rejected("not_measurable")
        if found["ratio"] > self.highest:
            return sample.rejected("misleading_instruction", **found)
        if found["ratio"] < self.lowest:
            return sample.rejected("too_easy", **found)
        return None

    def _measured(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        pairs = [(_prompt(sample), sample.output) for sample in samples]
        losses = self._score([*pairs, *(("", answer) for _, answer in pairs)])
        half = len(pairs)
        known: dict[str, dict[str, float]] = {}
        for sample, with_it, alone in zip(samples, losses[:half], losses[half:], strict=True):
            if "loss" not in with_it or "loss" not in alone:
                continue
            if self.measure == "loss":
                ratio = ifd(with_it["loss"], alone["loss"])
            else:
                ratio = perplexity_ratio(with_it["loss"], alone["loss"])
            if ratio is not None:
                known[sample.id] = {
                    "ratio": round(ratio, 4), "loss": round(with_it["loss"], 4), "loss_alone": round(alone["loss"], 4),
                }  # fmt: skip
        return known


def _prompt(sample: Sample) -> str:
    return "\n\n".join(turn.text for turn in sample.turns[:-1]) + "\n\n"
