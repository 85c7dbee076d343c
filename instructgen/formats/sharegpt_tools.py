r"""ShareGPT rows with tools, LLaMA-Factory's shape.

    {"id": "...", "tools": "[{\"name\": \"add\", \"parameters\": {...}}]", "conversations": [
        {"from": "human", "value": "2 + 40?"},
        {"from": "function_call", "value": "{\"name\": \"add\", \"arguments\": {\"left\": 2, \"right\": 40}}"},
        {"from": "observation", "value": "42"}, {"from": "gpt", "value": "42."}]}

A shape apart from `sharegpt`, because other trainers know no such speakers. Ids of calls and the spelling of
arguments have no place in a row; exports carry them beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from instructgen.formats import Row, Unwritable
from instructgen.formats.called import call_text, tools_in, tools_text
from instructgen.formats.sharegpt import CALLER, ShareGPT, spoken, turns_of
from instructgen.records import Sample, Turn


class ShareGPTTools(ShareGPT):
    """A conversation of human and gpt turns, calls and observations."""

    name: ClassVar[str] = "sharegpt_tools"
    title: ClassVar[str] = "conversations with function_call and observation, tools"
    consumers: ClassVar[tuple[str, ...]] = ("LLaMA-Factory",)
    columns: ClassVar[Mapping[str, Any]] = {**ShareGPT.columns, "tools": "string"}
    holds: ClassVar[frozenset[str]] = ShareGPT.holds | {"tools"}

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a ShareGPT row has tools."""
        return super().fits(row) and bool(tools_in(row.get("tools")))

    def write(self, sample: Sample) -> Row:
        """Return the conversation; `tools` is "" where there are none. Raises: Unwritable."""
        if any(one.role == other.role == "tool" for one, other in pairwise(sample.turns)):
            raise Unwritable("tool_answers", f"format {self.name!r} wants one answer between calls, found two in a row")
        return {**super().write(sample), "conversations": _said(sample.turns), "tools": tools_text(sample.tools)}

    def calls_beside(self, turns: Sequence[Turn]) -> Mapping[int, Mapping[str, Any]]:
        """Return calls and ids that reading the row would give otherwise, by number of the turn."""
        beside: dict[int, dict[str, Any]] = {}
        for number, (turn, back) in enumerate(zip(turns, turns_of(_said(turns), ""), strict=True)):
            if back.tool_calls != turn.tool_calls:
                beside.setdefault(number, {})["tool_calls"] = list(turn.tool_calls)
            if back.tool_call_id != turn.tool_call_id:
                beside.setdefault(number, {})["tool_call_id"] = turn.tool_call_id
        return beside


def _said(turns: Sequence[Turn]) -> list[dict[str, str]]:
    said = spoken(turns)
    for turn, part in zip(turns, said, strict=True):
        if not turn.tool_calls:
            continue
        if turn.role != "assistant" or turn.text:
            raise Unwritable("tool_call", "a turn has no place for calls beside a text, and only the assistant calls")
        part |= {"from": CALLER, "value": call_text(turn.tool_calls)}
    return said
