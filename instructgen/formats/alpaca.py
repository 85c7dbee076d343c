"""Alpaca rows: `{"instruction": "...", "input": "", "output": "..."}`.

The shape of the 52,002 rows of Stanford Alpaca, read by nearly every trainer. LLaMA-Factory's `system` and `history`
columns and GPTeacher's `response` are read too; what is written has the three columns alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from instructgen.formats import Format, Row, Unreadable
from instructgen.formats.holds import demand
from instructgen.formats.reading import rest_of, text_of
from instructgen.records import Sample

if TYPE_CHECKING:
    import pyarrow as pa

    from instructgen.formats.single import Singles

ANSWERS = ("output", "response")
KNOWN = frozenset({"instruction", "input", "output", "response", "system", "history"})


class Alpaca(Format):
    """One instruction, an optional input, one output."""

    name: ClassVar[str] = "alpaca"
    title: ClassVar[str] = "instruction, input, output"
    consumers: ClassVar[tuple[str, ...]] = ("LLaMA-Factory", "Axolotl", "torchtune")
    columns: ClassVar[Mapping[str, Any]] = {"instruction": "string", "input": "string", "output": "string"}
    plain: ClassVar[tuple[str, str, str] | None] = ("instruction", "input", "output")
    holds: ClassVar[frozenset[str]] = frozenset({"input"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has an instruction and an answer as texts."""
        return isinstance(row.get("instruction"), str) and any(isinstance(row.get(key), str) for key in ANSWERS)

    def read_json(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the row's sample; `history` (pairs of question and answer) comes before it. Raises: Unreadable."""
        answer = next((key for key in ANSWERS if row.get(key) is not None), "output")
        turns: list[dict[str, str]] = []
        if row.get("system"):
            turns.append({"role": "system", "content": text_of(row, "system")})
        history = row.get("history") or ()
        for pair in history if isinstance(history, list | tuple) else [history]:
            if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(p, str) for p in pair)):
                raise Unreadable("history", f"history: expected pairs of texts, found {pair!r:.80}")
            turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
        given = text_of(row, "input", missing_is_empty=True)
        asked = {"role": "user", "content": text_of(row, "instruction")}
        turns.append({**asked, "input": given} if given else asked)
        turns.append({"role": "assistant", "content": text_of(row, answer)})
        return [{"turns": turns, **rest_of(row, KNOWN)}]

    def write(self, sample: Sample) -> Row:
        """Return instruction, input, output. Raises: Unwritable for system messages, dialogues, tools, ..."""
        demand(sample, self.holds, self.name)
        question, answer = sample.turns
        return {"instruction": question.content, "input": question.input, "output": answer.text}

    def write_singles(self, singles: Singles) -> Mapping[str, pa.Array]:
        """Return instruction, input, output."""
        return {"instruction": singles.instruction, "input": singles.input, "output": singles.output}
