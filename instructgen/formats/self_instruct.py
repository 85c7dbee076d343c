"""Self-Instruct's tasks: `{"id", "name", "instruction", "instances": [{"input", "output"}], "is_classification"}`.

A row is a task, an instance is a sample; samples of one instruction that stand side by side share a row again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from instructgen.formats import Format, Row, Shared, Unreadable
from instructgen.formats.holds import demand
from instructgen.formats.reading import list_of, rest_of, text_of
from instructgen.records import Sample, Turn, digest


class SelfInstruct(Format):
    """A task with its instances."""

    name: ClassVar[str] = "self_instruct"
    title: ClassVar[str] = "instruction, instances of input and output"
    columns: ClassVar[Mapping[str, Any]] = {
        "id": "string", "name": "string", "instruction": "string",
        "instances": [{"input": "string", "output": "string"}], "is_classification": "bool",
    }  # fmt: skip
    holds: ClassVar[frozenset[str]] = frozenset({"input"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has an instruction and a list of instances with outputs."""
        instances = row.get("instances")
        return (
            isinstance(row.get("instruction"), str)
            and isinstance(instances, list)
            and all(isinstance(one, dict) and "output" in one for one in instances)
        )

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return a sample per instance. Raises: Unreadable."""
        instruction = text_of(row, "instruction")
        rest = rest_of(row, frozenset({"instruction", "instances"}))
        instances = list_of(row, "instances")
        if not instances:
            raise Unreadable("no_instances", "instances: expected at least one, found none")
        samples = []
        for one in instances:
            question = Turn(role="user", content=instruction, input=text_of(one, "input", missing_is_empty=True))
            samples.append(Sample(turns=(question, Turn(role="assistant", content=text_of(one, "output"))), **rest))
        return samples

    def write(self, sample: Sample) -> Row:
        """Return a task with one instance. Raises: Unwritable."""
        return self.write_all([sample])[0]

    def group(self, sample: Sample) -> str:
        """Return the hash of what the instances of a task have in common: id, name, instruction, kind."""
        kind = sample.labels.get("is_classification")
        return digest([sample.provenance.source_id, sample.extra.get("name"), kind, sample.instruction])

    def share(self, samples: Sequence[Sample]) -> list[Shared]:
        """Return one task with an instance per sample. Raises: Unwritable."""
        for sample in samples:
            demand(sample, self.holds, self.name)
        first = samples[0]
        name, kind = first.extra.get("name"), first.labels.get("is_classification")
        row: Row = {
            "id": first.provenance.source_id or first.id,
            "name": name if isinstance(name, str) else None,
            "instruction": first.instruction,
            "instances": [{"input": sample.input, "output": sample.turns[-1].text} for sample in samples],
            "is_classification": kind if isinstance(kind, bool) else None,
        }
        return [Shared([row], list(samples))]
