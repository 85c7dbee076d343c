"""OpenAI's fine-tuning rows: chat with tools and weights.

    {"messages": [{"role": "user", "content": "..."},
                  {"role": "assistant", "content": "...", "weight": 1}],
     "tools": [...], "parallel_tool_calls": false}

Keys that a message does not use are left out, as the endpoint wants it. In Parquet, `tools` is a JSON text: parameter
schemas have no fixed shape.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

import orjson

from instructgen.formats import Format, Row, Unwritable
from instructgen.formats.chat import conversation
from instructgen.formats.holds import demand
from instructgen.formats.unshown import NAME
from instructgen.records import Sample, Turn

MESSAGE: dict[str, Any] = {
    "role": "string", "content": "string", "name": "string",
    "tool_calls": [{"id": "string", "type": "string", "function": {"name": "string", "arguments": "string"}}],
    "tool_call_id": "string", "weight": "int64",
}  # fmt: skip
OPTIONAL = frozenset({"tools", "parallel_tool_calls", "name", "tool_calls", "tool_call_id", "weight"})
_ONLY_HERE = frozenset({"tool_calls", "tool_call_id", "weight", "name"})


class OpenAI(Format):
    """A fine-tuning example of OpenAI's chat models."""

    name: ClassVar[str] = "openai"
    title: ClassVar[str] = "OpenAI fine-tuning: messages with tools and weights"
    consumers: ClassVar[tuple[str, ...]] = ("TRL", "Axolotl")
    columns: ClassVar[Mapping[str, Any]] = {"messages": [MESSAGE], "tools": "string", "parallel_tool_calls": "bool"}
    optional: ClassVar[frozenset[str]] = OPTIONAL
    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue", "open", "tools", "weight"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has messages with what only this shape has: tools, calls, weights or names."""
        messages = row.get("messages")
        if (
            not isinstance(messages, list)
            or not messages
            or not all(isinstance(m, dict) and "role" in m for m in messages)
        ):
            return False
        return "tools" in row or any(m.get(key) is not None for m in messages for key in _ONLY_HERE)

    def read_json(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the row's conversation. Raises: Unreadable."""
        return [conversation(row)]

    def write(self, sample: Sample) -> Row:
        """Return messages, and tools where there are any. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        row: Row = {"messages": full_messages(sample.turns)}
        if sample.tools:
            row["tools"] = [dict(tool) for tool in sample.tools]
        if isinstance(sample.extra.get("parallel_tool_calls"), bool):
            row["parallel_tool_calls"] = sample.extra["parallel_tool_calls"]
        return row

    def shown(self, sample: Sample) -> Collection[str]:
        """Return names, and the role of developers."""
        return shown_in_messages(sample.turns)

    def flat(self, row: Row) -> Row:
        """Return the row with `tools` as a JSON text."""
        return {**row, "tools": orjson.dumps(row["tools"]).decode()} if "tools" in row else row


def shown_in_messages(turns: Iterable[Turn]) -> set[str]:
    """Return what `full_messages` shows of turns beside role and content, as `formats.unshown` names it."""
    roles = [turn for turn in turns if "role" in turn.extra]
    developers = bool(roles) and all(map(_is_developer, roles))
    return {NAME} | ({"turn key role"} if developers else set())


def _is_developer(turn: Turn) -> bool:
    return turn.role == "system" and turn.extra.get("role") == "developer"


def full_messages(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Return turns as OpenAI messages, unused keys left out. Raises: Unwritable for a tool call of another shape."""
    return [_message(turn) for turn in turns]


def _message(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "developer" if _is_developer(turn) else turn.role}
    if turn.text or not turn.tool_calls:
        message["content"] = turn.text
    if turn.name:
        message["name"] = turn.name
    if turn.tool_calls:
        message["tool_calls"] = [_call(call) for call in turn.tool_calls]
    if turn.tool_call_id:
        message["tool_call_id"] = turn.tool_call_id
    if turn.weight is not None:
        if turn.weight not in (0, 1):
            raise Unwritable("weight", f"weight {turn.weight}: OpenAI's files know 0 and 1")
        message["weight"] = int(turn.weight)
    return message


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not set(call) <= {"id", "type", "function"} or not isinstance(function, Mapping):
        raise Unwritable("tool_call", f"tool call {call!r:.120}: expected id, type and function")
    if set(function) != {"name", "arguments"} or not all(isinstance(value, str) for value in function.values()):
        raise Unwritable("tool_call", f"tool call {call!r:.120}: expected function with name and arguments as texts")
    if not all(isinstance(call.get(key, ""), str) for key in ("id", "type")):
        raise Unwritable("tool_call", f"tool call {call!r:.120}: expected id and type as texts")
    return {**{key: call[key] for key in ("id", "type") if key in call}, "function": dict(function)}
