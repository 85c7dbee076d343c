"""One text a row, `{"text": "..."}`: a conversation put through a template.

    Text()                                  the Alpaca wrapper
    Text(wrapper="dolly")                   Dolly's
    Text(template="{% for m in messages %}...")   a chat template in Jinja, as tokenizers carry it

Rows of the two wrappers are read back; what a free template wrote has no way back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

from instructgen.formats import Format, Row, Unreadable, Unwritable
from instructgen.formats.holds import demand
from instructgen.formats.reading import rest_of, text_of
from instructgen.records import Sample, Turn

ALPACA = (
    (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n"
    ),
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n",
)
"""Preambles with and without an input, as Alpaca-trained models know them (Stanford Alpaca, train.py)."""
DOLLY = (ALPACA[1], ALPACA[1])
Wrapper = Literal["alpaca", "dolly"]
_INPUT: dict[Wrapper, str] = {"alpaca": "\n\n### Input:\n", "dolly": "\n\nInput:\n"}
_PREAMBLE: dict[Wrapper, tuple[str, str]] = {"alpaca": ALPACA, "dolly": DOLLY}
_TAIL: dict[Wrapper, str] = {"alpaca": "", "dolly": "\n\n### End"}
_INSTRUCTION, _RESPONSE = "### Instruction:\n", "\n\n### Response:\n"


class Text(Format):
    """A conversation as one text."""

    name: ClassVar[str] = "text"
    title: ClassVar[str] = "text: a conversation through a template"
    consumers: ClassVar[tuple[str, ...]] = ("TRL", "LLaMA-Factory", "Axolotl", "torchtune")
    columns: ClassVar[Mapping[str, Any]] = {"text": "string"}
    holds: ClassVar[frozenset[str]] = frozenset({"input"})

    def __init__(
        self, wrapper: Wrapper = "alpaca", template: str = "", special: Mapping[str, str] | None = None
    ) -> None:
        self.wrapper, self.template, self.special = wrapper, template, dict(special or {})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row is a text of one of the wrappers."""
        text = row.get("text")
        return isinstance(text, str) and text.startswith(ALPACA) and _INSTRUCTION in text and _RESPONSE in text

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the instruction, input and answer in a wrapped text. Raises: Unreadable for any other text."""
        text = text_of(row, "text")
        preamble = next((opening for opening in ALPACA if text.startswith(opening + _INSTRUCTION)), None)
        if preamble is None or _RESPONSE not in text:
            raise Unreadable(
                "no_wrapper", "text: neither the Alpaca nor the Dolly wrapper; its parts cannot be told apart"
            )
        asked, _, answer = text.removeprefix(preamble + _INSTRUCTION).partition(_RESPONSE)
        dolly = answer.endswith(_TAIL["dolly"])
        mark = _INPUT["dolly" if dolly else "alpaca"]
        wants_input = dolly or preamble == ALPACA[0]
        instruction, _, given = asked.partition(mark) if wants_input else (asked, "", "")
        single = Sample.single(
            instruction, input=given, output=answer.removesuffix(_TAIL["dolly"]) if dolly else answer
        )
        return [Sample(turns=single.turns, **rest_of(row, frozenset({"text"})))]

    def write(self, sample: Sample) -> Row:
        """Return the text. Raises: Unwritable when it could not be told apart again, or the template fails."""
        return {"text": self._through_template(sample) if self.template else self._wrapped(sample)}

    def _wrapped(self, sample: Sample) -> str:
        demand(sample, self.holds, self.name)
        question, answer = sample.turns
        parts = (question.content, question.input, answer.text)
        if any(
            mark.strip() in part
            for part in parts
            for mark in (_INSTRUCTION, _INPUT["alpaca"], _RESPONSE, _TAIL["dolly"])
        ):
            raise Unwritable("marks", "the text holds a heading of the wrapper itself, such as '### Response:'")
        if self.wrapper == "dolly" and _INPUT["dolly"] in question.content:
            raise Unwritable("marks", "the instruction holds the wrapper's own 'Input:' line")
        given = f"{_INPUT[self.wrapper]}{question.input}" if question.input else ""
        preamble = _PREAMBLE[self.wrapper][0 if question.input else 1]
        return f"{preamble}{_INSTRUCTION}{question.content}{given}{_RESPONSE}{answer.text}{_TAIL[self.wrapper]}"

    def _through_template(self, sample: Sample) -> str:
        from jinja2 import TemplateError

        demand(sample, frozenset({"system", "dialogue", "open", "tools"}), self.name)
        tools = [dict(tool) for tool in sample.tools] or None
        messages = [_message(turn) for turn in sample.turns]
        try:
            return str(
                self._compiled.render(messages=messages, tools=tools, add_generation_prompt=False, **self.special)
            )
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise Unwritable("template", f"the chat template refuses it: {error}") from error

    @cached_property
    def _compiled(self) -> Any:
        from instructgen.formats.templates import compiled

        return compiled(self.template)


def _message(turn: Turn) -> dict[str, Any]:
    """Return a turn as templates expect it: arguments of calls are an object, as transformers documents it."""
    named = {"name": turn.name, "tool_call_id": turn.tool_call_id}
    message: dict[str, Any] = {"role": turn.role, "content": turn.text} | {key: v for key, v in named.items() if v}
    return message | ({"tool_calls": [_call(call) for call in turn.tool_calls]} if turn.tool_calls else {})


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return dict(call)
    try:
        arguments = json.loads(function["arguments"])
    except (ValueError, RecursionError):
        return dict(call)
    return {**call, "function": {**function, "arguments": arguments}} if isinstance(arguments, dict) else dict(call)
