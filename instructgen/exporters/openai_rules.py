"""OpenAI's rules for fine-tuning files, looked for in the lines as they are written.

    rules = OpenAIRules("jsonl/openai-train.jsonl")
    rules.look({"messages": [{"role": "user", "content": "Hi"}]})
    rules.findings()    # [Finding(check="openai_no_assistant", rows=1, first=(1,), file=...), ...]

There is no validator of OpenAI's left to ask; the rules are those of its guides to supervised fine-tuning and to direct
preference optimisation (platform.openai.com/docs/guides). Which roles and keys a message may have is seen to by the
shapes themselves, `formats.openai` and `formats.preference`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from instructgen.exporters.checks import Finding, Findings

LEAST = 10
"""A training file with fewer examples is refused."""
Message = Mapping[str, Any]


class OpenAIRules:
    """What the lines of one file break."""

    def __init__(self, file: str) -> None:
        self._file, self._found = file, Findings(file)
        self._lines = 0

    def look(self, row: Mapping[str, Any]) -> None:
        """Check the next line."""
        self._lines += 1
        broken = set(_pair(row) if "preferred_output" in row else _chat(row["messages"]))
        for check in broken:
            self._found.add(check, self._lines)

    def include(self, later: OpenAIRules) -> None:
        """Add what the lines behind break."""
        self._found.include(later._found, self._lines)
        self._lines += later._lines

    def findings(self) -> list[Finding]:
        """Return what was found."""
        few = [Finding(check="openai_too_few", rows=self._lines, first=(), file=self._file)]
        return self._found.findings() + (few if 0 < self._lines < LEAST else [])


def _chat(messages: Sequence[Message]) -> Iterator[str]:
    answers = [message for message in messages if message["role"] == "assistant"]
    if not answers:
        yield "openai_no_assistant"
    elif messages[-1]["role"] != "assistant":
        yield "openai_last"
    if answers and all(message.get("weight") == 0 for message in answers):
        yield "openai_no_weight"
    yield from _messages(messages)


def _pair(row: Mapping[str, Any]) -> Iterator[str]:
    asked, better, worse = row["input"]["messages"], row["preferred_output"], row["non_preferred_output"]
    if [message["role"] for message in asked if message["role"] not in ("system", "developer")] != ["user"]:
        yield "openai_single_turn"
    if better == worse:
        yield "openai_equal_answers"
    yield from _messages([*asked, *better, *worse])


def _messages(messages: Sequence[Message]) -> Iterator[str]:
    for message in messages:
        if not (message.get("content") or "").strip() and not message.get("tool_calls"):
            yield "openai_empty"
        if "weight" in message and message["role"] != "assistant":
            yield "openai_weight"
        if any(not call.get("id") or call.get("type") != "function" for call in message.get("tool_calls") or ()):
            yield "openai_call"
