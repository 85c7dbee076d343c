"""A prompt and what follows it: TRL's prompt-completion, its unpaired preference, and FLAN's inputs and targets.

prompt_completion        {"prompt": "...", "completion": "..."}
prompt_completion_chat   {"prompt": [messages], "completion": [message]}
unpaired                 {"prompt": [messages], "completion": [message], "label": true}
flan                     {"inputs": "...", "targets": "..."}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from instructgen.formats import Format, Row, Unreadable, Unwritable
from instructgen.formats.chat import chat_rows, closed, messages_of, single_answer
from instructgen.formats.holds import demand
from instructgen.formats.reading import rest_of, text_of
from instructgen.records import Sample, Turn

if TYPE_CHECKING:
    import pyarrow as pa

    from instructgen.formats.single import Singles

_PLAIN = {"role": "string", "content": "string"}
KNOWN = frozenset({"prompt", "completion"})


def _answered(row: Mapping[str, Any]) -> tuple[Turn, ...]:
    """Return the turns of a row with prompt and completion, texts or messages. Raises: Unreadable."""
    answer = messages_of(row.get("completion"), "completion", role="assistant")
    return (*messages_of(row.get("prompt"), "prompt"), single_answer(answer, "completion"))


class PromptCompletion(Format):
    """Prompt and completion as texts."""

    name: ClassVar[str] = "prompt_completion"
    title: ClassVar[str] = "prompt, completion as texts"
    consumers: ClassVar[tuple[str, ...]] = ("TRL", "LLaMA-Factory", "torchtune")
    columns: ClassVar[Mapping[str, Any]] = {"prompt": "string", "completion": "string"}
    plain: ClassVar[tuple[str, str, str] | None] = ("prompt", "", "completion")

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has prompt and completion as texts."""
        return isinstance(row.get("prompt"), str) and isinstance(row.get("completion"), str)

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the row's question and answer. Raises: Unreadable."""
        return [Sample(turns=_answered(row), **rest_of(row, KNOWN))]

    def write(self, sample: Sample) -> Row:
        """Return the question, an input joined to it, and the answer. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        question, answer = sample.turns
        return {"prompt": question.text, "completion": answer.text}

    def write_singles(self, singles: Singles) -> Mapping[str, pa.Array]:
        """Return the questions, their inputs joined to them, and the answers."""
        return {"prompt": singles.question, "completion": singles.output}


class ChatPromptCompletion(Format):
    """Prompt and completion as messages."""

    name: ClassVar[str] = "prompt_completion_chat"
    title: ClassVar[str] = "prompt, completion as messages"
    consumers: ClassVar[tuple[str, ...]] = ("TRL",)
    columns: ClassVar[Mapping[str, Any]] = {"prompt": [_PLAIN], "completion": [_PLAIN]}
    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has prompt and completion as lists of messages."""
        return isinstance(row.get("prompt"), list) and isinstance(row.get("completion"), list)

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the row's conversation. Raises: Unreadable."""
        return [Sample(turns=_answered(row), **rest_of(row, KNOWN))]

    def write(self, sample: Sample) -> Row:
        """Return all turns but the last, and the last. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        prompt, answer = closed(sample.turns, self.name)
        return {"prompt": chat_rows(prompt), "completion": chat_rows([answer])}


class Unpaired(ChatPromptCompletion):
    """One answer with a thumb up or down, as KTO trains on."""

    name: ClassVar[str] = "unpaired"
    title: ClassVar[str] = "prompt, completion, label (true = desirable)"
    consumers: ClassVar[tuple[str, ...]] = ("TRL",)
    columns: ClassVar[Mapping[str, Any]] = {"prompt": [_PLAIN], "completion": [_PLAIN], "label": "bool"}

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has a prompt, a completion and a true or false label."""
        return {"prompt", "completion"} <= set(row) and isinstance(row.get("label"), bool)

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the row's conversation with the label `desirable`. Raises: Unreadable."""
        label = row.get("label")
        if not isinstance(label, bool):
            raise Unreadable("wrong_type", f"label: expected true or false, found {label!r:.40}")
        rest = rest_of(row, KNOWN | {"label"})
        rest["labels"] = {**rest.get("labels", {}), "desirable": label}
        return [Sample(turns=_answered(row), **rest)]

    def write(self, sample: Sample) -> Row:
        """Return prompt, completion and label. Raises: Unwritable when the sample is not said to be good or bad."""
        label = sample.labels.get("desirable")
        if not isinstance(label, bool):
            raise Unwritable("no_label", f"format {self.name!r} needs the label `desirable`, true or false")
        return {**super().write(sample), "label": label}

    def shown(self, sample: Sample) -> Collection[str]:
        """Return the label that is the column `label`."""
        return {"label desirable"}


class Flan(Format):
    """Inputs and targets as FLAN and T5 name them; P3's `*_pretokenized` columns are read too."""

    name: ClassVar[str] = "flan"
    title: ClassVar[str] = "inputs, targets"
    consumers: ClassVar[tuple[str, ...]] = ("LLaMA-Factory", "torchtune")
    columns: ClassVar[Mapping[str, Any]] = {"inputs": "string", "targets": "string"}
    plain: ClassVar[tuple[str, str, str] | None] = ("inputs", "", "targets")

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has inputs and targets as texts."""
        return all(isinstance(row.get(key), str) for key in _flan_keys(row))

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the row's question and answer. Raises: Unreadable."""
        inputs, targets = _flan_keys(row)
        turns = (Turn(role="user", content=text_of(row, inputs)), Turn(role="assistant", content=text_of(row, targets)))
        known = frozenset({inputs, targets} if inputs == "inputs" else {inputs, targets, "inputs", "targets"})
        return [Sample(turns=turns, **rest_of(row, known))]

    def write(self, sample: Sample) -> Row:
        """Return the question, an input joined to it, and the answer. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        question, answer = sample.turns
        return {"inputs": question.text, "targets": answer.text}

    def write_singles(self, singles: Singles) -> Mapping[str, pa.Array]:
        """Return the questions, their inputs joined to them, and the answers."""
        return {"inputs": singles.question, "targets": singles.output}


def _flan_keys(row: Mapping[str, Any]) -> tuple[str, str]:
    if "inputs_pretokenized" in row:  # in P3's own files `inputs` are token numbers and these are the texts
        return "inputs_pretokenized", "targets_pretokenized"
    return "inputs", "targets"
