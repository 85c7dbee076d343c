"""Unnatural Instructions: a task with its instances, and other wordings of it.

{"instruction": "Sort.", "instances": [{"instruction_with_input": "Sort. b a", "input": "b a", "constraints": "None.",
 "output": "a b"}], "reformulations": [{"instruction": "Order {INPUT}.", "instruction_with_input": "Order b a.",
 "input": "b a", "output": "a b"}]}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from instructgen.formats import Format, Row, Unreadable
from instructgen.formats.holds import demand
from instructgen.formats.reading import list_of, rest_of, text_of
from instructgen.records import Sample, Turn


class Unnatural(Format):
    """Instances of an instruction, with constraints, and its reformulations."""

    name: ClassVar[str] = "unnatural"
    title: ClassVar[str] = "instruction, instances with instruction_with_input and constraints, reformulations"
    columns: ClassVar[Mapping[str, Any]] = {
        "instruction": "string",
        "instances": [
            {"instruction_with_input": "string", "input": "string", "constraints": "string", "output": "string"}
        ],
    }
    holds: ClassVar[frozenset[str]] = frozenset({"input"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has instances with the instruction filled in."""
        instances = row.get("instances")
        return (
            isinstance(row.get("instruction"), str)
            and isinstance(instances, list)
            and bool(instances)
            and all(isinstance(one, dict) and {"instruction_with_input", "output"} <= set(one) for one in instances)
        )

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return a sample per instance and per reformulation. Raises: Unreadable."""
        instruction = text_of(row, "instruction")
        rest = rest_of(row, frozenset({"instruction", "instances", "reformulations"}))
        instances = list_of(row, "instances")
        if not instances:
            raise Unreadable("no_instances", "instances: expected at least one, found none")
        samples = [_sample(instruction, text_of(one, "input", missing_is_empty=True), one, rest) for one in instances]
        others = list_of(row, "reformulations") if row.get("reformulations") else []
        return samples + [_sample(text_of(one, "instruction_with_input"), "", one, rest) for one in others]

    def write(self, sample: Sample) -> Row:
        """Return a task with one instance. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        question, answer = sample.turns
        constraints = sample.extra.get("constraints")
        instance = {
            "instruction_with_input": question.text,
            "input": question.input,
            "constraints": constraints if isinstance(constraints, str) else "None.",
            "output": answer.text,
        }
        return {"instruction": question.content, "instances": [instance]}

    def shown(self, sample: Sample) -> Collection[str]:
        """Return the constraints, which stand in the instance."""
        return {"column constraints"} if isinstance(sample.extra.get("constraints"), str) else ()


def _sample(instruction: str, given: str, one: Mapping[str, Any], rest: dict[str, Any]) -> Sample:
    question = Turn(role="user", content=instruction, input=given)
    constraints = one.get("constraints")
    if isinstance(constraints, str) and constraints.strip(" .").lower() not in ("", "none"):
        rest = {**rest, "extra": {**rest.get("extra", {}), "constraints": constraints}}
    return Sample(turns=(question, Turn(role="assistant", content=text_of(one, "output"))), **rest)
