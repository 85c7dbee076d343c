"""Answers that only give back what was asked.

{"instruction": "Fix the grammar.", "input": "He go home.", "output": "He go home."}   ->  output_equals_input
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, folded, snippet


class Copying(RatedFilter):
    """Reject answers equal to the input or the instruction, but for case, spaces and punctuation.

    Example: instruction="What is love?", output="What is love" -> output_equals_instruction
    """

    reasons: ClassVar[dict[str, str]] = {
        "output_equals_instruction": "the answer is the instruction again",
        "output_equals_input": "the answer is the input again, to the letter",
    }
    ratings: ClassVar[dict[str, Rating]] = {"output_equals_input": "flag"}

    kind: Literal["copying"] = "copying"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield whole copies; lengths are compared first because nearly all texts already differ there."""
        output = (exchange.output or "").strip()
        if not output:
            return
        material = exchange.input.strip()
        if material and output == material:
            yield "output_equals_input", {"output": snippet(output)}
        instruction = exchange.instruction
        if abs(len(output) - len(instruction)) <= 10 and (words := folded(output)) and words == folded(instruction):
            yield "output_equals_instruction", {"output": snippet(output)}
