"""Pairs of a better and a worse answer: TRL's three spellings, and OpenAI's.

    preference            {"prompt": [messages], "chosen": [message], "rejected": [message]}
    preference_implicit   {"chosen": [messages], "rejected": [messages]}        the prompt is what both begin with
    preference_text       {"prompt": "...", "chosen": "...", "rejected": "..."}
    openai_preference     {"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]}

In a sample the better answer closes the conversation, the worse one is its only entry in `answers`. Two shapes of the
literature are read as well: `user_input, completion_a, completion_b` (a is better) and SPIN's `real, generated`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import orjson

from instructgen.formats import Format, Row, Unreadable, Unwritable
from instructgen.formats.chat import chat_rows, closed, messages_of, single_answer
from instructgen.formats.holds import demand
from instructgen.formats.openai import MESSAGE, OPTIONAL, full_messages, shown_in_messages
from instructgen.formats.reading import list_of, rest_of
from instructgen.records import Answer, Sample, Turn

_PLAIN = {"role": "string", "content": "string"}
_SPELLINGS = (
    ("prompt", "chosen", "rejected"),
    ("user_input", "completion_a", "completion_b"),
    ("", "real", "generated"),
)
KNOWN = frozenset({name for spelling in _SPELLINGS for name in spelling})


def other_answer(sample: Sample, name: str) -> Turn:
    """Return the one turn that stands against the closing answer. Raises: Unwritable when there is not just one."""
    if len(sample.answers) != 1:
        reason = "answers" if sample.answers else "no_other_answer"
        raise Unwritable(
            reason, f"format {name!r} holds pairs; here are {len(sample.answers)} other answers (see ranked)"
        )
    turns = sample.answers[0].turns
    if len(turns) != 1 or turns[0].role != "assistant":
        raise Unwritable(
            "answer_shape", f"format {name!r} holds answers of one assistant turn; here are {len(turns)} turns"
        )
    return turns[0]


def paired(prompt: tuple[Turn, ...], chosen: Turn, rejected: Turn, **rest: Any) -> Sample:
    """Return prompt, better and worse answer as a sample."""
    return Sample(turns=(*prompt, chosen), answers=(Answer(turns=(rejected,)),), **rest)


def _spelling(row: Mapping[str, Any]) -> tuple[str, str, str] | None:
    return next((names for names in _SPELLINGS if names[1] in row and names[2] in row), None)


class _Pairs(Format):
    """What the three spellings of TRL share: reading."""

    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue", "answers"})

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the row's pair, whichever spelling it has. Raises: Unreadable."""
        names = _spelling(row)
        if names is None:
            raise Unreadable("missing_field", "expected chosen and rejected")
        prompt_key, better, worse = names
        chosen = messages_of(row[better], better, role="assistant")
        rejected = messages_of(row[worse], worse, role="assistant")
        given = row.get(prompt_key)
        if given is None or len(chosen) > 1 or len(rejected) > 1:  # full chats, whether the prompt is repeated or not
            shared = _shared(chosen, rejected)
            prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
        else:
            prompt = messages_of(given, prompt_key)
        rest = rest_of(row, KNOWN)
        return [paired(prompt, single_answer(chosen, better), single_answer(rejected, worse), **rest)]


def _shared(one: tuple[Turn, ...], other: tuple[Turn, ...]) -> int:
    """Return how many turns both begin with, leaving each at least one."""
    most = min(len(one), len(other)) - 1
    return next((n for n in range(most) if one[n] != other[n]), max(most, 0))


class Preference(_Pairs):
    """Conversational pairs with the prompt apart."""

    name: ClassVar[str] = "preference"
    title: ClassVar[str] = "prompt, chosen, rejected as messages"
    consumers: ClassVar[tuple[str, ...]] = ("TRL", "Axolotl")
    columns: ClassVar[Mapping[str, Any]] = {"prompt": [_PLAIN], "chosen": [_PLAIN], "rejected": [_PLAIN]}

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has two answers, not as texts, and a prompt."""
        names = _spelling(row)
        return names is not None and row.get(names[0]) is not None and not isinstance(row[names[1]], str)

    def write(self, sample: Sample) -> Row:
        """Return prompt and both answers as messages. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        prompt, chosen = closed(sample.turns, self.name)
        rejected = other_answer(sample, self.name)
        return {"prompt": chat_rows(prompt), "chosen": chat_rows([chosen]), "rejected": chat_rows([rejected])}


class ImplicitPreference(_Pairs):
    """Conversational pairs as two whole chats."""

    name: ClassVar[str] = "preference_implicit"
    title: ClassVar[str] = "chosen, rejected as whole chats"
    consumers: ClassVar[tuple[str, ...]] = ("TRL", "Axolotl", "torchtune")
    columns: ClassVar[Mapping[str, Any]] = {"chosen": [_PLAIN], "rejected": [_PLAIN]}

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has two chats and no prompt."""
        names = _spelling(row)
        return names is not None and row.get(names[0]) is None and not isinstance(row[names[1]], str)

    def write(self, sample: Sample) -> Row:
        """Return both chats. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        prompt, chosen = closed(sample.turns, self.name)
        rejected = other_answer(sample, self.name)
        return {"chosen": chat_rows([*prompt, chosen]), "rejected": chat_rows([*prompt, rejected])}


class TextPreference(_Pairs):
    """Pairs of plain texts to one question."""

    name: ClassVar[str] = "preference_text"
    title: ClassVar[str] = "prompt, chosen, rejected as texts"
    consumers: ClassVar[tuple[str, ...]] = ("TRL", "LLaMA-Factory", "Axolotl")
    columns: ClassVar[Mapping[str, Any]] = {"prompt": "string", "chosen": "string", "rejected": "string"}
    holds: ClassVar[frozenset[str]] = frozenset({"answers"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has a prompt and two answers as texts."""
        names = _spelling(row)
        return names is not None and all(isinstance(row.get(name), str) for name in names)

    def write(self, sample: Sample) -> Row:
        """Return the question and both answers. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        question, chosen = sample.turns
        return {"prompt": question.text, "chosen": chosen.text, "rejected": other_answer(sample, self.name).text}


class OpenAIPreference(Format):
    """OpenAI's shape for direct preference optimisation."""

    name: ClassVar[str] = "openai_preference"
    title: ClassVar[str] = "OpenAI preference: input, preferred and non-preferred output"
    columns: ClassVar[Mapping[str, Any]] = {
        "input": {"messages": [MESSAGE], "tools": "string", "parallel_tool_calls": "bool"},
        "preferred_output": [MESSAGE],
        "non_preferred_output": [MESSAGE],
    }
    optional: ClassVar[frozenset[str]] = OPTIONAL
    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue", "tools", "answers"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has both outputs."""
        return isinstance(row.get("input"), dict) and {"preferred_output", "non_preferred_output"} <= set(row)

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the row's pair. Raises: Unreadable."""
        given = row.get("input")
        if not isinstance(given, Mapping):
            raise Unreadable("wrong_type", f"input: expected an object with messages, found {given!r:.80}")
        prompt = messages_of(given.get("messages"), "input.messages")
        better = messages_of(row.get("preferred_output"), "preferred_output")
        worse = messages_of(row.get("non_preferred_output"), "non_preferred_output")
        rest = rest_of(row, frozenset({"input", "preferred_output", "non_preferred_output"}))
        if given.get("parallel_tool_calls") is not None:
            rest["extra"] = {**rest.get("extra", {}), "parallel_tool_calls": given["parallel_tool_calls"]}
        tools = tuple(dict(tool) for tool in list_of(given, "tools")) if given.get("tools") else ()
        pair = single_answer(better, "preferred_output"), single_answer(worse, "non_preferred_output")
        return [paired(prompt, *pair, tools=tools, **rest)]

    def write(self, sample: Sample) -> Row:
        """Return the pair. Raises: Unwritable."""
        demand(sample, self.holds, self.name)
        prompt, chosen = closed(sample.turns, self.name)
        asked: Row = {"messages": full_messages(prompt)}
        if sample.tools:
            asked["tools"] = [dict(tool) for tool in sample.tools]
        if isinstance(sample.extra.get("parallel_tool_calls"), bool):
            asked["parallel_tool_calls"] = sample.extra["parallel_tool_calls"]
        rejected = other_answer(sample, self.name)
        return {
            "input": asked,
            "preferred_output": full_messages([chosen]),
            "non_preferred_output": full_messages([rejected]),
        }

    def shown(self, sample: Sample) -> Collection[str]:
        """Return names, the role of developers, and the one key beside messages and tools that has a place."""
        answers = (turn for answer in sample.answers for turn in answer.turns)
        found = shown_in_messages([*sample.turns, *answers])
        known = isinstance(sample.extra.get("parallel_tool_calls"), bool)
        return found | ({"column parallel_tool_calls"} if known else set())

    def flat(self, row: Row) -> Row:
        """Return the row with the input's `tools` as a JSON text."""
        asked = row["input"]
        if "tools" not in asked:
            return row
        return {**row, "input": {**asked, "tools": orjson.dumps(asked["tools"]).decode()}}
