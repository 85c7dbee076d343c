r"""Pieces of prompts and of other examples that ended up in a sample.

{"instruction": "Name a lake.", "output": "Baikal.\n##\n18. Instruction: Name a river."}   ->  merged_example
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, snippet

MERGED = re.compile(r"\n[^\w\n]*+(?:\d++[^\S\n]*+[.)]?(?:[#*]|[^\S\n])*+)?Instruction\s*+:\s*+\S", re.IGNORECASE)
"""An "Instruction:" that begins a later line, with or without a running number."""
TOKENS = re.compile(
    r"<\|(?:im_(?:start|end|sep)|endoftext|end_?of_?text|begin_of_text|eot_id|start_header_id|end_header_id|system|"
    r"user|assistant|end|"
    r"pad|fim_\w+|start_of_role|end_of_role|channel|message|return)\|>|"
    r"\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</s>|<s>(?=\s*\[INST\])|<(?:unk|pad|bos|eos)>|\[(?:PAD|UNK|CLS|"
    r"SEP|MASK|BOS|EOS)\]|"
    r"<｜[^｜>]{1,40}｜>"
)
WRAPPER = re.compile(
    r"###\s*(?:Instruction|Response|Input|Output|Human|Assistant|User)\s*:|"
    r"Below is an instruction that describes a task|Write a response that appropriately completes the request|"
    r"You are asked to come up with a set of|Come up with a series of tasks"
)
_SLOT_WORD = (
    r"(?:insert|your|enter|fill|paste|placeholder|name|company|date|recipient|sender|city|address|"
    r"topic|product|event|number|phone|email|location|amount|author|job|position|customer|client|x{2,})"
)
SLOT = re.compile(
    r"\{\{\s*[\w.]+\s*\}\}|\{%[^%]{0,80}%\}|"
    rf"\[(?:{_SLOT_WORD})(?:[ _'’/-][\w'’/ _-]{{0,40}})?\]|"
    r"<(?:insert|your|enter|paste|add|link to|placeholder)[ _][\w _]{0,40}>|"
    r"\b(?:lorem ipsum)\b",
    re.IGNORECASE,
)
"""A slot somewhere in a text. HTML tags such as <title> are none."""
UNFILLED = re.compile(
    r"(?:\w+:\s*)?[\[<{(]+\s*(?:insert|link to|attach|enter|paste|description|image|picture|photo|audio|video|"
    r"document|article|text|file|"
    r"your|the|a|an|data|paragraph|passage|story|essay|poem|code|sample|sentence|table|chart|graph|content|email|"
    r"list of|given|provided|url|some)"
    r"(?:[ _][\w'’ _-]{0,60})?\s*[\]>})]+\.?",
    re.IGNORECASE,
)
"""An input that is nothing but one slot."""
_SLOTS_ASKED = re.compile(
    r"\b(?:placeholders?|place-holders?|templates?|blanks?|fill|mask(?:ed|s)?|slots?|variables?|format|html|tags?|"
    r"jinja|brackets?|replace)\b",
    re.IGNORECASE,
)


class Leakage(RatedFilter):
    """Reject samples that hold parts of a prompt, of a chat template or of the next example.

    Templates may be what a task asks for, so slots in answers (`[Your name]`) are rated apart from slots in tasks.
    Example: output="Paris</s>" -> template_token
    """

    reasons: ClassVar[dict[str, str]] = {
        "merged_example": 'a second "Instruction:" stands in the answer: two examples were not separated',
        "template_token": "a token of a chat template or tokeniser stands in the text",
        "prompt_leak": "words of a prompt wrapper or transcript stand in the answer",
        "unfilled_input": "the input is nothing but an empty slot: [Link to article], <insert text>",
        "placeholder_in_task": "the instruction or the input holds a slot that was never filled",
        "placeholder_in_answer": "the answer holds a slot that was never filled",
    }
    ratings: ClassVar[dict[str, Rating]] = {"placeholder_in_task": "flag", "placeholder_in_answer": "flag"}

    kind: Literal["leakage"] = "leakage"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield what leaked in, surest first."""
        output = exchange.output or ""
        asked = f"{exchange.instruction}\n{exchange.input}"
        if "nstruction" in output:
            found = MERGED.search(output, len(output) - len(output.lstrip()))  # the first line is no later one
            if found and "nstruction" not in asked:
                yield "merged_example", {"text": snippet(output, len(output[: found.start()].rstrip()))}
        yield from _search(TOKENS, "template_token", f"{asked}\n{output}", "<[")
        if (found := WRAPPER.search(output)) is not None:
            yield "prompt_leak", {"text": snippet(output, found.start())}
        material = exchange.input.strip()
        if material[:1] in ("[", "<", "{", "(") and UNFILLED.fullmatch(material):
            yield "unfilled_input", {"text": snippet(material)}
        elif any(sign in asked for sign in "{[<") and (found := SLOT.search(asked)):
            if not _SLOTS_ASKED.search(exchange.instruction):
                yield "placeholder_in_task", {"text": snippet(asked, found.start())}
        else:
            yield from _search(SLOT, "placeholder_in_answer", output, "{[<")


def _search(pattern: re.Pattern[str], reason: str, text: str, signs: str) -> Iterator[Finding]:
    if any(sign in text for sign in signs) and (found := pattern.search(text)) is not None:
        yield reason, {"text": snippet(text, found.start())}
