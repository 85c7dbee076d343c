"""Calls of tools as LLaMA-Factory's ShareGPT rows spell them: one JSON text per turn, and one for the tools of a row.

    calls_in('{"name": "add", "arguments": {"left": 2}}')
        -> ({"type": "function", "function": {"name": "add", "arguments": '{"left": 2}'}},)
    call_text(calls)    -> the text; a list of such objects for calls made at once

Such a row has no place for ids of calls; `linked` numbers them. Source: LLaMA-Factory, data/README.md and its
`FunctionFormatter`, which stops at a call that is no JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from instructgen.formats import Unwritable
from instructgen.formats.reading import plain

Call = dict[str, Any]


def calls_in(text: str) -> tuple[Call, ...]:
    """Return the calls of a `function_call` turn; () for a text that is no JSON of names and arguments."""
    found = _json(text)
    parts = found if isinstance(found, list) else [found]
    if not all(isinstance(part, dict) and set(part) == {"name", "arguments"} for part in parts):
        return ()
    if not all(isinstance(part["name"], str) and isinstance(part["arguments"], dict) for part in parts):
        return ()
    return tuple(_call(part["name"], _spelled(part["arguments"])) for part in parts)


def call_text(calls: Sequence[Mapping[str, Any]]) -> str:
    """Return calls as the text of a turn. Raises: Unwritable for a call that is no name with an object of arguments."""
    made = [_named(call) for call in calls]
    return _spelled(made[0] if len(made) == 1 else made)


def linked(turns: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield turns in their JSON form, calls numbered `call_1`, `call_2`, ..., the answer behind a call with its id."""
    count, asked = 0, ""
    for turn in turns:
        if calls := turn.get("tool_calls"):
            calls = [{"id": f"call_{count + n}", **call} for n, call in enumerate(calls, 1)]
            count += len(calls)
            asked = f"call_{count}" if len(calls) == 1 else ""
            yield {**turn, "tool_calls": calls}
        else:
            yield {**turn, "tool_call_id": asked} if turn["role"] == "tool" and asked else turn
            asked = ""


def tools_in(value: Any) -> tuple[dict[str, Any], ...] | None:
    """Return the tools of a `tools` column, a JSON text or a list, in OpenAI's shape; `None` if they are none.

    Example: tools_in('[{"name": "add", "parameters": {}}]')
             -> ({"type": "function", "function": {"name": "add", "parameters": {}}},)
    """
    found = _json(value) if isinstance(value, str) and value.strip() else value or []
    if not isinstance(found, list) or not all(isinstance(tool, dict) for tool in found):
        return None
    return tuple(tool if "function" in tool else {"type": "function", "function": tool} for tool in found)


def tools_text(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return tools as the text of the column, "" without any. Raises: Unwritable for a tool of another shape."""
    if not tools:
        return ""
    made = _spelled([tool.get("function") for tool in tools])
    if tools_in(made) != tuple(tools):
        raise Unwritable("tools", "tools: expected each as {type: function, function: {name, description, parameters}}")
    return made


def _call(name: str, arguments: str) -> Call:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def _named(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if isinstance(function, Mapping) and isinstance(function.get("arguments"), str):
        made = {"name": function.get("name"), "arguments": _json(function["arguments"])}
        if set(function) == {"name", "arguments"} and calls_in(_spelled(made)):
            return made
    raise Unwritable("tool_call", f"tool call {call!r:.120}: expected a function's name and its arguments, an object")


def _json(text: str) -> Any:
    try:
        return plain(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _spelled(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
