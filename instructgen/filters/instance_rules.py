"""Rules on one worked case: an output that is there, says something new, and is whole.

    input "2, 1", output ""                 -> empty_output
    input "Hello", output "Hello"           -> output_repeats_input
    output "The three rivers are:"          -> trailing_colon

The rules are Self-Instruct's and live beside the parser of instances, whose generator applies them too, together with
those that need all cases of a task.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from instructgen.filters import Field_, Filter, Verdict
from instructgen.generators.instances import RULES, Case, problem
from instructgen.records import Sample

Rule = Literal["empty_output", "output_repeats_input", "trailing_colon"]


class InstanceRules(Filter):
    """Reject samples whose output is empty, repeats the input, or that end in a colon.

    Example: output "The three rivers are:" -> trailing_colon
    """

    reads: ClassVar[frozenset[Field_]] = frozenset({"input", "output"})
    reasons: ClassVar[dict[str, str]] = RULES

    kind: Literal["instance_rules"] = "instance_rules"
    rules: tuple[Rule, ...] = Field(
        default=("empty_output", "output_repeats_input", "trailing_colon"), description="the rules that apply"
    )

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Return the first rule that the sample's case breaks."""
        reason = problem(Case(sample.input, sample.output), self.rules)
        if not reason:
            return None
        return sample.rejected(reason, input_end=sample.input[-40:], output_end=sample.output[-40:])
