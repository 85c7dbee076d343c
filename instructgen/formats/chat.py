"""Chat messages of OpenAI's shape, as turns and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from instructgen.formats import Unreadable, Unwritable
from instructgen.formats.reading import list_of, media_of, rest_of, without_head
from instructgen.records import Role, Turn

ROLES: dict[str, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant",
    "tool": "tool", "function": "tool",
}  # fmt: skip
"""Role names met in the wild -> ours."""
KNOWN = frozenset({"messages", "tools"})
FIELDS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "weight"})


def conversation(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with `messages`, maybe `tools` and media, as a sample in its JSON form. Raises: Unreadable."""
    turns = forms_of(list_of(row, "messages"), "messages")
    tools = [dict(tool) for tool in list_of(row, "tools")] if row.get("tools") else []
    media, columns = media_of(row)
    more = {"tools": tools, "media": media}
    more = {"turns": without_head(turns, media)} | {key: value for key, value in more.items() if value}
    return {**more, **rest_of(row, KNOWN | columns)}


def turns_of(messages: Iterable[Mapping[str, Any]], where: str) -> tuple[Turn, ...]:
    """Return messages as turns. Raises: Unreadable that names the message, e.g. `messages[3].role`."""
    return tuple(Turn(**form) for form in forms_of(messages, where))


def forms_of(messages: Iterable[Mapping[str, Any]], where: str) -> list[dict[str, Any]]:
    """Return messages as turns in their JSON form, names and weights not looked at. Raises: Unreadable."""
    return [_form(message, where, number) for number, message in enumerate(messages)]


def chat_rows(turns: Iterable[Turn]) -> list[dict[str, str]]:
    """Return turns as role and content."""
    return [{"role": turn.role, "content": turn.text} for turn in turns]


def _form(message: Mapping[str, Any], where: str, number: int) -> dict[str, Any]:
    said, content = message.get("role"), message.get("content")
    role = ROLES.get(said) if isinstance(said, str) else None
    if role is not None and len(message) == 2 and isinstance(content, str) and said != "developer":  # as most are
        return {"role": role, "content": content}
    where = f"{where}[{number}]"
    if role is None:
        raise Unreadable("unknown_role", f"{where}.role: expected one of {', '.join(ROLES)}, found {said!r:.40}")
    content = _joined(content, where)
    calls = message.get("tool_calls") or ()
    if content is None and calls:
        content = ""
    if not isinstance(content, str):
        raise Unreadable("wrong_type", f"{where}.content: expected a text, found {content!r:.80}")
    if not all(isinstance(call, Mapping) for call in calls):
        raise Unreadable("wrong_type", f"{where}.tool_calls: expected a list of objects")
    weight = message.get("weight")
    if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int | float)):
        raise Unreadable("wrong_type", f"{where}.weight: expected 0 or 1, found {weight!r:.40}")
    extra = {key: value for key, value in message.items() if key not in FIELDS and value is not None}
    if said == "developer":
        extra["role"] = said
    more: dict[str, Any] = {
        "name": message.get("name"),
        "tool_calls": [_call(call) for call in calls],
        "tool_call_id": message.get("tool_call_id"),
        "extra": extra,
    }
    form = {"role": role, "content": content} | {key: value for key, value in more.items() if value}
    return form if weight is None else form | {"weight": weight}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool call in OpenAI's shape: no null fields, and arguments as a JSON text where they are an object."""
    made = {key: value for key, value in call.items() if value is not None}
    function = made.get("function")
    if isinstance(function, Mapping) and isinstance(function.get("arguments"), Mapping):
        arguments = orjson.dumps(function["arguments"], default=repr).decode()
        made["function"] = {**function, "arguments": arguments}
    return made


def _joined(content: Any, where: str) -> Any:
    """Return content parts (`[{"type": "text", "text": "..."}]`) as one text, a line each. Raises: Unreadable.

    Example: _joined([{"type": "text", "text": "Hi"}], "messages[0]") -> "Hi"; anything but a list comes back as it is
    """
    if not isinstance(content, list):
        return content
    texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
    if len(texts) != len(content) or not all(isinstance(text, str) for text in texts):
        raise Unreadable("content_parts", f"{where}.content: only parts of text are known, found {content!r:.80}")
    return "\n".join(str(text) for text in texts)


def closed(turns: Sequence[Turn], name: str) -> tuple[list[Turn], Turn]:
    """Return a conversation as (prompt, closing answer). Raises: Unwritable when the assistant does not close it."""
    if not turns or turns[-1].role != "assistant":
        raise Unwritable("open", f"format {name!r} needs a conversation that the assistant closes")
    if len(turns) == 1:
        raise Unwritable("no_prompt", f"format {name!r} needs a prompt before the answer")
    return list(turns[:-1]), turns[-1]


def messages_of(value: Any, where: str, role: str = "user") -> tuple[Turn, ...]:
    """Return a text (one turn of `role`), a message, or a list of messages as turns. Raises: Unreadable."""
    if isinstance(value, str):
        return turns_of([{"role": role, "content": value}], where)
    if isinstance(value, Mapping):
        return turns_of([value], where)
    if isinstance(value, list | tuple) and value and all(isinstance(part, Mapping) for part in value):
        return turns_of(value, where)
    raise Unreadable("wrong_type", f"{where}: expected a text or a list of messages, found {value!r:.80}")


def single_answer(turns: tuple[Turn, ...], where: str) -> Turn:
    """Return the one assistant turn that an answer consists of. Raises: Unreadable for anything longer."""
    if len(turns) != 1 or turns[0].role != "assistant":
        said = ", ".join(turn.role for turn in turns)
        raise Unreadable("answer_shape", f"{where}: expected one assistant message, found turns of {said or 'nobody'}")
    return turns[0]
