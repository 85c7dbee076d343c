"""Chat rows: `{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}`.

What TRL, Axolotl, NeMo and the Hub's viewer call conversational data. Rows are read with all that OpenAI's shape
allows (tools, tool calls, weights, names); what is written holds role and content alone, one schema for all shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from instructgen.formats import Format, Row
from instructgen.formats.chat import chat_rows, conversation
from instructgen.formats.columns import chat
from instructgen.formats.holds import demand
from instructgen.records import Sample

if TYPE_CHECKING:
    import pyarrow as pa

    from instructgen.formats.chats import Chats
    from instructgen.formats.single import Singles


class Messages(Format):
    """A conversation of system, user and assistant turns."""

    name: ClassVar[str] = "messages"
    title: ClassVar[str] = "messages: role and content"
    consumers: ClassVar[tuple[str, ...]] = ("TRL", "LLaMA-Factory", "Axolotl", "torchtune")
    columns: ClassVar[Mapping[str, Any]] = {"messages": [{"role": "string", "content": "string"}]}
    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue", "open"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has a `messages` list of objects with a role."""
        messages = row.get("messages")
        return (
            isinstance(messages, list)
            and bool(messages)
            and all(isinstance(part, dict) and "role" in part for part in messages)
        )

    def read_json(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the row's conversation. Raises: Unreadable."""
        return [conversation(row)]

    def write(self, sample: Sample) -> Row:
        """Return role and content of each turn, an input joined to its instruction. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        return {"messages": chat_rows(sample.turns)}

    def write_singles(self, singles: Singles) -> Mapping[str, pa.Array]:
        """Return questions, their inputs joined to them, and the answers."""
        return {"messages": chat(singles.question, singles.output)}

    def write_chats(self, chats: Chats) -> Mapping[str, pa.Array]:
        """Return role and content of each turn, inputs joined to their instructions."""
        return {"messages": chats.conversations("role", "content")}
