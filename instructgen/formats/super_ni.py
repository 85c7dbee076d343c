"""Super-NaturalInstructions' task files: one JSON object a task, with all its instances.

    {"Definition": ["..."], "Positive Examples": [{"input", "output", "explanation"}], "Negative Examples": [...],
     "Instances": [{"id": "...", "input": "...", "output": ["...", "..."]}], "Categories": [...], ...}

A row is a task, an instance is a sample: the definition is its instruction, the first output its answer, further ones
are the label `outputs`. The task's other keys travel in `extra["task"]`; samples of one task that stand side by side
share a row again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from instructgen.formats import Format, Row, Shared, Unreadable
from instructgen.formats.holds import demand
from instructgen.formats.reading import list_of, rest_of, text_of
from instructgen.records import Provenance, Sample, Turn, digest

_EXAMPLE = {"input": "string", "output": "string", "explanation": "string"}
LISTS = ("Contributors", "Source", "URL", "Categories", "Reasoning", "Input_language", "Output_language",
         "Instruction_language", "Domains", "Instance License")  # fmt: skip


class SuperNI(Format):
    """A task with definition, examples and instances."""

    name: ClassVar[str] = "super_ni"
    title: ClassVar[str] = "Definition, examples, Instances (Super-NaturalInstructions)"
    columns: ClassVar[Mapping[str, Any]] = {
        **{name: ["string"] for name in LISTS},
        "Definition": ["string"],
        "Positive Examples": [_EXAMPLE],
        "Negative Examples": [_EXAMPLE],
        "Instances": [{"id": "string", "input": "string", "output": ["string"]}],
    }
    optional: ClassVar[frozenset[str]] = frozenset(LISTS)
    holds: ClassVar[frozenset[str]] = frozenset({"input"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has a definition and instances."""
        return "Definition" in row and isinstance(row.get("Instances"), list)

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return a sample per instance. Raises: Unreadable."""
        definition = row.get("Definition")
        lines = [definition] if isinstance(definition, str) else definition
        if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
            raise Unreadable("wrong_type", f"Definition: expected texts, found {definition!r:.80}")
        instruction = "\n".join(lines)
        instances = list_of(row, "Instances")
        if not instances:
            raise Unreadable("no_instances", "Instances: expected at least one, found none")
        rest = rest_of(row, frozenset({"Definition", "Instances"}))
        task = {key: value for key, value in row.items() if key not in ("Instances", "id") and value not in (None, [])}
        extra = {"task": task} if set(task) != {"Definition"} or definition != [instruction] else {}
        row_id = rest["provenance"]["source_id"] if "provenance" in rest else ""
        return [_sample(instruction, extra, one, number, row_id) for number, one in enumerate(instances)]

    def write(self, sample: Sample) -> Row:
        """Return a task with one instance. Raises: Unwritable."""
        return self.write_all([sample])[0]

    def group(self, sample: Sample) -> str:
        """Return the hash of all that the samples of a task have in common."""
        return digest([sample.instruction, sample.extra.get("task")])

    def share(self, samples: Sequence[Sample]) -> list[Shared]:
        """Return one task with an instance per sample. Raises: Unwritable."""
        for sample in samples:
            demand(sample, self.holds, self.name)
        task, instruction = samples[0].extra.get("task"), samples[0].instruction
        known: Row = dict(task) if isinstance(task, dict) else {}
        if "\n".join(_texts(known.get("Definition"))) != instruction:  # it was changed since, or is another's key
            known["Definition"] = [instruction]
        row: Row = {"Definition": [], "Positive Examples": [], "Negative Examples": [], **known}
        return [Shared([{**row, "Instances": [_instance(sample) for sample in samples]}], list(samples))]

    def shown(self, sample: Sample) -> Collection[str]:
        """Return the outputs that stand in the instance, and the task if all its keys have columns."""
        outputs, task = sample.labels.get("outputs"), sample.extra.get("task")
        found = {"label outputs"} if outputs == _instance(sample)["output"] else set()
        return found | ({"column task"} if isinstance(task, dict) and set(task) <= set(self.columns) else set())

    def flat(self, row: Row) -> Row:
        """Return the row with lists of texts where task files have either a text or a list."""
        known = {key: _texts(value) if key in (*LISTS, "Definition") else value for key, value in row.items()}
        for key in ("Positive Examples", "Negative Examples"):
            known[key] = [{name: str(one.get(name, "")) for name in _EXAMPLE} for one in _objects(row.get(key))]
        return known


def _sample(instruction: str, extra: dict[str, Any], one: Mapping[str, Any], number: int, row_id: str) -> Sample:
    given = one.get("output")
    outputs = [given] if isinstance(given, str) else given
    if not isinstance(outputs, list) or not outputs or not all(isinstance(output, str) for output in outputs):
        raise Unreadable("wrong_type", f"Instances[{number}].output: expected texts, found {given!r:.80}")
    question = Turn(role="user", content=instruction, input=text_of(one, "input", missing_is_empty=True))
    return Sample(
        turns=(question, Turn(role="assistant", content=outputs[0])),
        labels={"outputs": list(outputs)} if len(outputs) > 1 else {},
        extra=extra,
        provenance=Provenance(source_id=str(one.get("id") or row_id)),
    )


def _instance(sample: Sample) -> Row:
    outputs, said = sample.labels.get("outputs"), sample.turns[-1].text
    known = [str(output) for output in outputs] if isinstance(outputs, list) and outputs else [said]
    if known[0] != said:  # the answer was changed since
        known = [said]
    return {"id": sample.provenance.source_id or sample.id, "input": sample.input, "output": known}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else [str(value)]
