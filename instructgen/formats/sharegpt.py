"""ShareGPT rows: turns with `from` and `value`.

    {"id": "...", "conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}

The shape of Vicuna's training data and of most published chat logs. LLaMA-Factory's `system` column is read too, and so
are its turns `function_call` (calls as JSON) and `observation` with the column `tools`; `sharegpt_tools` writes those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from instructgen.formats import Format, Row, Unreadable
from instructgen.formats.called import calls_in, linked, tools_in
from instructgen.formats.columns import texts
from instructgen.formats.holds import demand
from instructgen.formats.reading import list_of, media_of, rest_of, without_head
from instructgen.records import Role, Sample, Turn

if TYPE_CHECKING:
    import pyarrow as pa

    from instructgen.formats.chats import Chats

SPEAKERS: dict[str, Role] = {
    "human": "user", "user": "user", "prompter": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
    "bot": "assistant", "model": "assistant", "function_call": "assistant",
    "system": "system",
    "tool": "tool", "observation": "tool", "function_response": "tool",
}  # fmt: skip
"""Names of speakers met in the wild -> our roles."""
NAMES: dict[Role, str] = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
CALLER = "function_call"
KNOWN = frozenset({"conversations", "conversation", "system"})


class ShareGPT(Format):
    """A conversation of human and gpt turns."""

    name: ClassVar[str] = "sharegpt"
    title: ClassVar[str] = "conversations: from and value"
    consumers: ClassVar[tuple[str, ...]] = ("LLaMA-Factory", "Axolotl", "torchtune")
    columns: ClassVar[Mapping[str, Any]] = {"id": "string", "conversations": [{"from": "string", "value": "string"}]}
    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue", "open"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has a list of turns with `from` and `value`."""
        said = row.get(_column(row))
        return (
            isinstance(said, list)
            and bool(said)
            and all(isinstance(t, dict) and {"from", "value"} <= set(t) for t in said)
        )

    def read_json(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the row's conversation. Raises: Unreadable."""
        column = _column(row)
        turns = forms_of(list_of(row, column), column)
        if isinstance(row.get("system"), str) and row["system"]:
            turns.insert(0, {"role": "system", "content": row["system"]})
        tools = tools_in(row.get("tools"))
        known = KNOWN if tools is None else KNOWN | {"tools"}  # a text of any kind is a column like others
        media, columns = media_of(row)
        more = {key: value for key, value in (("tools", tools), ("media", media)) if value}
        return [{"turns": without_head(turns, media), **more, **rest_of(row, known | columns)}]

    def write(self, sample: Sample) -> Row:
        """Return the conversation; `id` is the source row's, else the sample's. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        return {"id": sample.provenance.source_id or sample.id, "conversations": spoken(sample.turns)}

    def write_chats(self, chats: Chats) -> Mapping[str, pa.Array]:
        """Return ids and conversations."""
        ids = [chat.provenance.get("source_id") or chat.id for chat in chats.chats]
        return {"id": texts(ids), "conversations": chats.conversations("from", "value", NAMES)}


def _column(row: Mapping[str, Any]) -> str:
    return "conversation" if "conversation" in row and "conversations" not in row else "conversations"


def turns_of(said: Iterable[Mapping[str, Any]], where: str) -> tuple[Turn, ...]:
    """Return from/value pairs as turns; a speaker's unusual name stays in the turn's extra keys. Raises: Unreadable."""
    return tuple(Turn(**form) for form in forms_of(said, where))


def forms_of(said: Iterable[Mapping[str, Any]], where: str) -> list[dict[str, Any]]:
    """Return the same in their JSON form. Raises: Unreadable."""
    turns, with_tools = list[dict[str, Any]](), False
    for number, part in enumerate(said):
        speaker, text = part.get("from"), part.get("value")
        role = SPEAKERS.get(speaker) if isinstance(speaker, str) else None
        if role is None:
            known = ", ".join(SPEAKERS)
            raise Unreadable("unknown_role", f"{where}[{number}].from: expected one of {known}; found {speaker!r:.40}")
        if not isinstance(text, str):
            raise Unreadable("wrong_type", f"{where}[{number}].value: expected a text, found {text!r:.80}")
        with_tools = with_tools or role == "tool" or speaker == CALLER
        if speaker == NAMES[role] and len(part) == 2:  # as most have
            turns.append({"role": role, "content": text})
            continue
        extra = {key: value for key, value in part.items() if key not in ("from", "value") and value is not None}
        calls = calls_in(text) if speaker == CALLER else ()
        if speaker != NAMES[role] and not calls:
            extra["from"] = speaker
        turn = {"role": role, "tool_calls": calls} if calls else {"role": role, "content": text}
        turns.append({**turn, "extra": extra} if extra else turn)
    return list(linked(turns)) if with_tools else turns


def spoken(turns: Iterable[Turn]) -> list[dict[str, str]]:
    """Return turns as from/value pairs, an input joined to its instruction, under the names that trainers know."""
    return [{"from": NAMES[turn.role], "value": turn.text} for turn in turns]
