"""Chat logs scraped from web pages, cleaned: page markup, leftovers of the interface, broken turns.

    [user "Hi", assistant "<div class=x><p>Say <b>hello</b></p></div>", user "thanks"]
    -> [user "Hi", assistant "Say **hello**"]

The order and the rules follow FastChat's cleaning of ShareGPT; where its rules lose good data they are repaired: a
paragraph break stays one, a question *about* a product stays, numbered lists of one line stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field

from instructgen.filters.language import detect
from instructgen.filters.refusal import declines
from instructgen.records import Rejection, Sample, Turn, digest

_TAG = re.compile(
    r"</?(?:div|span|p|br|b|i|em|strong|ul|ol|li|pre|code|table|tr|td|th|h[1-6]|a|img|svg|button)\b[^>]*>"
)
_PAGE = re.compile(r"</(?:div|p|ul|ol|li|pre|table|tr|td|th|h[1-6])>|<(?:div|span|p|code|pre|a|img) [^<>]{0,20}=")
"""What a page has and prose that only speaks of tags has not: a closed block, or an element with attributes."""
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_HELD = re.compile("\ue000(\\d+)\ue001")
"""Stands for code while the words around it are worked on; characters of Unicode's private use."""
_COPY_CODE = re.compile(r"^[ \t]*+(?:```[ \t]*+)?([\w+#.-]{0,20}?)Copy code[ \t]*+\n?", re.MULTILINE)
_PAGER = re.compile(r"(?<!\S)\d++ / \d++"), re.compile(r"\s*")
"""The pager between alternative answers, and what goes with it."""
_COPIED = re.compile(r"Copy\d+ chars / \d+ words"), re.compile(r"\s*")
_BUTTON = (
    re.compile(r"Regenerate response|Share Prompt|Stop generating|Copy to clipboard"),
    re.compile(r"\s*$", re.MULTILINE),
)
_EMPTY_FENCE = re.compile(r"```\w*\s*```")
LONGEST_RUN = 100
_LONG_RUN = re.compile(rf"[ \t]{{{LONGEST_RUN},}}+")
"""Spaces of a page that are read as they are; a page shows a run of any length as one."""
_BLANKS = re.compile(r"\n{3,}")
_RATE_LIMIT = re.compile(
    r"too many requests in 1 hour|you've reached (?:the|our) (?:current )?(?:usage cap|limit)|"
    r"error generating a response|network error|conversation not found|only one message at a time",
    re.IGNORECASE,
)
_IDENTITY = re.compile(
    r"\b(?:i am|i'm|i’m|my name is|call me) (?:chatgpt|gpt-?\d|claude|bard|vicuna)\b|"
    r"\b(?:trained|developed|created|made|built) by (?:openai|anthropic|google)\b",
    re.IGNORECASE,
)
_PLUGIN = re.compile(r"^[^\S\n]*+(?:Used|Using) (?:unknown )?\w[\w ]{0,40}plugin\b|^[^\S\n]*+Used \*\*\w", re.MULTILINE)
_SPECIAL = re.compile(r"<\|?(/?)(s|im_start|im_end|endoftext|eot_id|pad|unk|bos|eos)\|?>", re.IGNORECASE)
_SAME_DIGITS = re.compile(r"(\d)\1{8}")
_NUMBERED_ONE = re.compile(r"^1\. .*\n(?:1\. )", re.MULTILINE)
SHORTEST = 16
"""Characters of a conversation; below it nothing is said (FastChat: 16)."""


class Cleaning(BaseModel):
    """What is cleaned and what is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    languages: tuple[str, ...] = Field(default=(), description="ISO 639-1 codes to keep; empty: all")
    identity: bool = Field(default=True, description="refuse chats whose assistant says which product it is")
    refusals: bool = Field(default=True, description="refuse chats whose first answer is a refusal")
    same_digits: bool = Field(default=False, description="refuse chats with nine equal digits in a row")
    numbering: bool = Field(default=False, description="refuse chats with neighbouring list items that are both 1.")


def clean_text(text: str, *, typed: bool = False) -> str:
    r"""Return a message as Markdown without page markup and interface leftovers. Code in fences stays as it is.

    Example: "<p>Say <b>hello</b></p>" -> "Say **hello**"; "pythonCopy code\nprint(1)" opens a fence.
    What a person `typed` is a page only as a whole: "How do I use <div>?" and pasted HTML stay.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "Copy code" in text:
        text = _fence(text)
    if _is_page(text, typed=typed):
        text = _around_code(text)
        if "Copy code" in text:  # the head of a code box, which its markup hid
            text = _fence(text)
    for words, behind in (_PAGER, _COPIED, _BUTTON):
        text = _without_lines(text, words, behind)
    text = _EMPTY_FENCE.sub("", text)
    text = _SPECIAL.sub(lambda found: f"<{found[1]}{found[2][:1]}|{found[2][1:]}>", text)
    return _outside_code(text, lambda words: _BLANKS.sub("\n\n", words)).strip()


def _is_page(text: str, *, typed: bool) -> bool:
    """Tell whether a message was copied with its markup; one that only speaks of tags was not."""
    whole = text.strip()
    if _TAG.match(whole) and whole.endswith(">"):
        return True
    return not typed and _PAGE.search(_CODE.sub("", text)) is not None


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return the text with its words changed and its code as it was."""
    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        held.append(found[0])
        return f"\ue000{len(held) - 1}\ue001"

    made = change(_CODE.sub(hold, text))
    return _HELD.sub(lambda found: held[int(found[1])] if int(found[1]) < len(held) else found[0], made)


def _without_lines(text: str, words: re.Pattern[str], behind: re.Pattern[str]) -> str:
    """Return the text without the words that begin a line, the white space before them and what is `behind`.

    A pattern that began with white space would read a run of blank lines once from each of them.
    """
    kept: list[str] = []
    end = 0
    for found in words.finditer(text):
        after = behind.match(text, found.end())
        start = end + len(text[end : found.start()].rstrip())
        if start and text[start - 1] != "\n":
            start = text.find("\n", start, found.start()) + 1
            if not start:
                continue
        if after:
            kept.append(text[end:start])
            end = after.end()
    return "".join([*kept, text[end:]])


def _around_code(text: str) -> str:
    """Return the text with its markup as Markdown, and its code as it was."""
    return _outside_code(text, _markdown) if _has_tag(text) else text


def _has_tag(text: str) -> bool:
    # Up to the last ">": a "<a" before it is a tag, and none is looked for the end of in vain.
    return _TAG.search(text, 0, text.rfind(">") + 1) is not None


def _markdown(text: str) -> str:
    if not _has_tag(text):
        return text
    from markdownify import markdownify

    # The parser looks for the end of each "<a" to the end of the text, and the writer reads a run of spaces once from
    # each of them: neither is given more of them than a page has.
    end = text.rfind(">") + 1
    page = _LONG_RUN.sub(" " * LONGEST_RUN, text[:end] + text[end:].replace("<", "&lt;"))
    try:
        made: str = markdownify(
            page, heading_style="ATX", bullets="-", escape_asterisks=False, escape_underscores=False
        )
    except RecursionError:  # hundreds of tags inside each other are no page that anybody wrote
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return before + made.strip() + after


def _fence(text: str) -> str:
    """Return the text with a fence where the page had a code box: its head reads `pythonCopy code`.

    The box ends where the page said so; where it does not, at the end of the text.
    """
    parts = _COPY_CODE.split(text)
    made = [parts[0]]
    for language, code in zip(parts[1::2], parts[2::2], strict=True):
        while made and not (last := made.pop().rstrip("`\n ")):
            pass
        closed = "```" in code
        made += [last, f"\n```{language}\n" + code.strip("\n") + ("" if closed else "\n```\n")]
    return "".join(made)


@dataclass
class Cleaner:
    """Cleans a stream of chats; remembers ids and first exchanges to find repeats."""

    options: Cleaning = field(default_factory=Cleaning)
    _ids: set[str] = field(default_factory=set)
    _openings: set[str] = field(default_factory=set)

    def clean(self, sample: Sample) -> Sample | Rejection:
        """Return the chat, cleaned, or why it is refused. What was cut is noted in the provenance."""
        turns, cut = _ordered(sample.turns)
        made, broken = _cleaned(turns)
        cut |= broken
        reason = self._refused(made, sample.provenance.source_id)
        if reason:
            return sample.rejected(reason[0], stage="parse", detail=reason[1])
        notes = {**sample.provenance.notes, **({"cut": sorted(cut)} if cut else {})}
        kept = Sample.model_validate(
            {**sample.model_dump(exclude={"id"}), "turns": [turn.model_dump() for turn in made]}
        )
        return kept.with_provenance(notes=notes)

    def _refused(self, turns: Sequence[Turn], source_id: str) -> tuple[str, str] | None:
        """Return the reason and its evidence for a chat that is not kept."""
        spoken = [turn for turn in turns if turn.role != "system"]
        text = "\n".join(turn.text for turn in spoken)
        if len(spoken) < 2:
            return "nothing_left", "no exchange of user and assistant is left"
        if any(a.role == b.role for a, b in pairwise(spoken)):
            return "roles_do_not_alternate", " ".join(turn.role for turn in spoken)[:200]
        if len(text) < SHORTEST:
            return "too_short", f"{len(text)} characters, expected {SHORTEST} or more"
        return _said_badly(spoken, text, self.options) or self._repeated(spoken, source_id)

    def _repeated(self, spoken: Sequence[Turn], source_id: str) -> tuple[str, str] | None:
        if source_id and source_id in self._ids:
            return "repeated_id", source_id
        opening = digest([spoken[0].text, spoken[1].text])[:20]
        if opening in self._openings:
            return "repeated_opening", spoken[0].text[:100]
        self._openings.add(opening)
        if source_id:
            self._ids.add(source_id)
        return None


def _ordered(turns: Sequence[Turn]) -> tuple[list[Turn], set[str]]:
    """Return the turns from the first user's to the last assistant's, system turns kept, and what was cut."""
    system = [turn for turn in turns if turn.role == "system"]
    spoken = [turn for turn in turns if turn.role != "system"]
    cut: set[str] = set()
    while spoken and spoken[0].role != "user":
        spoken, cut = spoken[1:], cut | {"leading"}
    while spoken and spoken[-1].role != "assistant":
        spoken, cut = spoken[:-1], cut | {"trailing"}
    return system + spoken, cut


def _cleaned(turns: Sequence[Turn]) -> tuple[list[Turn], set[str]]:
    """Return the turns with clean texts, up to the first that is empty or cannot be printed."""
    made: list[Turn] = []
    for turn in turns:
        text = clean_text(turn.content, typed=turn.role == "user")
        if not text or not any(letter.isprintable() and not letter.isspace() for letter in text):
            while made and made[-1].role == "user":
                made.pop()
            return made, {"empty_turn"}
        made.append(turn.model_copy(update={"content": text}))
    return made, set()


def _said_badly(spoken: Sequence[Turn], text: str, options: Cleaning) -> tuple[str, str] | None:
    answers = [turn.text for turn in spoken if turn.role == "assistant"]
    limited = next((answer for answer in answers if len(answer) < 500 and _RATE_LIMIT.search(answer)), None)
    if limited is not None:
        return "error_reply", limited[:100]
    if any(_PLUGIN.search(answer) for answer in answers):
        return "plugin_chat", "the assistant used a plug-in whose output is not in the log"
    named = next((found for answer in answers if (found := _IDENTITY.search(answer))), None)
    if options.identity and named is not None:
        return "says_its_name", named[0]
    if options.refusals and declines(answers[0]):
        return "refusal", answers[0][:100]
    if options.same_digits and _SAME_DIGITS.search(text):
        return "same_digits", "nine equal digits in a row"
    if options.numbering and _NUMBERED_ONE.search(text):
        return "wrong_numbering", "neighbouring list items are both numbered 1"
    language = detect(text) if options.languages else None
    if language is not None and language.language not in options.languages:
        return "other_language", f"{language.language} ({language.confidence:.2f})"
    return None
