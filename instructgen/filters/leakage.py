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
    r"<｜[^｜>]{1,40}｜>|\[\|(?:Human|AI)\|\]"
)
WRAPPER = re.compile(
    r"###\s*End\b|###\s*(?:Instruction|Response|Input|Output|Human|Assistant|User)\s*:|"
    r"Below is an instruction that describes a task|Write a response that appropriately completes the request|"
    r"You are asked to come up with a set of|Come up with a series of tasks"
)
TRANSCRIPT = re.compile(
    r"\n[^\S\n]*+(?:#++ ?|\*\*)?(?:Human|User|USER|Assistant|ASSISTANT)(?:\*\*)? ?:(?:\*\*)?(?:\s|$)"
)
"""A later line that begins the next turn of a chat: the teacher went on by itself."""
_SPEAKERS = ("\nHuman", "\nUser", "\nUSER", "\nAssistant", "\nASSISTANT", "\n#", "\n**", "\n ")
_CHAT_ASKED = re.compile(
    r"dialog|convers|chat|talk|script|user|human|assistant|interview|\bbot\b|exchange|interact|play|scene|transcript|speak",
    re.IGNORECASE,
)
"""Tasks whose answer may be a talk between a person and a machine."""
NO_FIELD = re.compile(r"<\s*+no\s?(?:in|out)puts?\s*+>", re.IGNORECASE)
"""What prompts ask for in place of an empty field; inside an answer it is a piece of the prompt's form."""
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
FIELD = re.compile(
    r"\{(?:insert|your|enter|fill|paste|placeholder|(?:first_?|last_?|user_?|full_?)?name|company|date|recipient|city|address|"
    r"topic|product|event|input|instruction|question|context|text)\}",
    re.IGNORECASE,
)
"""A slot of a Python or JavaScript template, in a task; in answers it is mostly code."""
UNFILLED = re.compile(
    r"(?:\w+:\s*)?[\[<{(]+\s*(?:insert|link to|attach|enter|paste|description|image|picture|photo|audio|video|"
    r"document|article|text|file|sound|excel|data ?set|web ?site|link|song|clip|recording|flag|figure|graphic|map|"
    r"logo|screenshot|spreadsheet|"
    r"your|the|a|an|data|paragraph|passage|story|essay|poem|code|sample|sentence|table|chart|graph|content|email|"
    r"list of|given|provided|url|some)"
    r"(?:[ _][\w'’ _-]{0,60})?\s*[\]>})]+\.?|"
    r"[\[<(][\w'’ -]{1,30} (?:image|picture|photo|file|video|recording|logo)[\]>)]",
    re.IGNORECASE,
)
"""An input that is nothing but one slot."""
NAMED_ONLY = re.compile(
    r"(?:(?:see|view) )?(?:the )?(?:(?:entire|full|whole|provided|given) )?(?:attached|enclosed) "
    r"(?:article|photo|image|picture|file|document|text|table|chart|video)\.?|"
    r"the (?:(?:entire|full|whole|provided|given) )?(?:article|photo|passage|document|file)\.?",
    re.IGNORECASE,
)
"""An input that only names the material: "Attached photo", "The entire article"."""
_MADE = (
    r"(?:insert|output|images?|pictures?|photos?|charts?|graphs?|diagrams?|drawings?|sketch|logos?|posters?|melody|"
    r"music\w*|compositions?|presentations?|visuali[sz]ations?|designs?|word clouds?|maps?|videos?|audio|songs?|"
    r"attach\w*|here|tables?|infographics?|puzzles?|sheets?|screenshots?|gifs?|web page|plots?|notes|patterns?|"
    r"section)"
)
UNFILLED_OUTPUT = re.compile(
    rf"!\[[^\]\n]{{0,200}}\]\([^)\n]{{0,2000}}\)|[<\[(](?=[^\]>)\n]{{0,140}}\b{_MADE}\b)[A-Za-z][^\]>)=\n]{{0,140}}[>\])]\.?",
    re.IGNORECASE,
)
"""An answer that is nothing but a slot for a thing, or a picture that nobody made."""
_SLOTS_ASKED = re.compile(
    r"\b(?:placeholders?|place-holders?|templates?|blanks?|fill|mask(?:ed|s)?|slots?|variables?|format|html|tags?|"
    r"jinja|brackets?|replace)\b",
    re.IGNORECASE,
)

_SLOT_LENGTH, _NAME_LENGTH = 2_300, 40
"""Characters beyond which a text is no slot, and no mere name of an attachment."""
_MARKDOWN = re.compile(r"\b(?:markdown|code|tokens?|regex|tuples?)\b|!\[", re.IGNORECASE)
"""Tasks whose answer may be a picture's mark-up or something in brackets."""


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
        "unfilled_output": "the answer is nothing but a slot or an invented picture: [Flow chart], ![Logo](https://...)",
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
        wrapper = WRAPPER.search(output)
        if wrapper is None and "<" in output and not NO_FIELD.search(asked):
            wrapper = NO_FIELD.search(output)
        if wrapper is None and any(sign in output for sign in _SPEAKERS) and not _CHAT_ASKED.search(asked):
            wrapper = TRANSCRIPT.search(output)
        if (found := wrapper) is not None:
            yield "prompt_leak", {"text": snippet(output, found.start())}
        answer = output.strip()
        if _is_slot(answer) and not (_SLOTS_ASKED.search(exchange.instruction) or _MARKDOWN.search(asked)):
            yield "unfilled_output", {"text": snippet(answer)}
        material = exchange.input.strip()
        if _is_unfilled(material):
            yield "unfilled_input", {"text": snippet(material)}
        elif any(sign in asked for sign in "{[<") and (found := SLOT.search(asked) or FIELD.search(asked)):
            if not _SLOTS_ASKED.search(exchange.instruction):
                yield "placeholder_in_task", {"text": snippet(asked, found.start())}
        else:
            yield from _search(SLOT, "placeholder_in_answer", output, "{[<")


def _is_slot(answer: str) -> bool:
    """Tell whether an answer is nothing but a slot; signs and length are looked at first."""
    return answer[:1] in ("<", "[", "(", "!") and len(answer) < _SLOT_LENGTH and bool(UNFILLED_OUTPUT.fullmatch(answer))


def _is_unfilled(material: str) -> bool:
    """Tell whether an input is an empty slot, or only names what it should hold."""
    if material[:1] in ("[", "<", "{", "("):
        return bool(UNFILLED.fullmatch(material))
    return len(material) < _NAME_LENGTH and bool(NAMED_ONLY.fullmatch(material))


def _search(pattern: re.Pattern[str], reason: str, text: str, signs: str) -> Iterator[Finding]:
    if any(sign in text for sign in signs) and (found := pattern.search(text)) is not None:
        yield reason, {"text": snippet(text, found.start())}
