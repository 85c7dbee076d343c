"""Tasks whose material is missing: "Summarise the following article." with no article.

{"instruction": "Correct the following sentence.", "input": "", "output": "She goes home."}   ->  missing_input
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, any_of, folded, snippet

_MATERIAL = (
    r"(?:sentences?|paragraphs?|texts?|passages?|articles?|poems?|stor(?:y|ies)|documents?|e-?mails?|letters?|essays?|"
    r"code(?: snippets?)?|snippets?|functions?|programs?|quer(?:y|ies)|tables?|data ?sets?|data|lists?|reviews?|"
    r"tweets?|comments?|posts?|"
    r"equations?|expressions?|quotes?|quotations?|dialogues?|conversations?|lyrics|excerpts?|abstracts?|blocks?|"
    r"numbers|words|items|songs?|logos?|web ?sites?|designs?|shapes?|figures?|circuits?|puzzles?|verbs?|nouns?|"
    r"adjectives?|ingredients?|amounts?|materials?|examples?|options?|pdfs?|spreadsheets?|charts?|images?|symbols?|"
    r"statements?|phrases?|questions?|reports?|summar(?:y|ies)|inputs?|headlines?|recipes?|array|string|matrix|json|"
    r"xml|html)"
)
POINTER = re.compile(
    rf"\bthe (?:following|above|below|attached|enclosed)(?: \w+){{0,3}}? {_MATERIAL}\b|"
    rf"\b(?:the|this|these) (?:\w+ )?{_MATERIAL} (?:below|above|attached|provided below|given below)\b|"
    rf"^(?:\w+ ){{1,4}}(?:this|these) (?:\w+ )?{_MATERIAL}(?: (?:for|with|using|to|into|as|from|in|has|is|contains?) "
    rf"[\w ,-]{{1,60}}+)?[.?]?$|"
    rf"\bthe (?:given|provided)(?: \w+){{0,2}}? {_MATERIAL}\b"
)
"""Words that point at material (in a case-folded instruction)."""
_WORDS_THAT_POINT = ("this", "these", "following", "above", "below", "attached", "enclosed", "given", "provided")
_INLINE = re.compile(r"[:\n\"“”‘’`«»\[{<|=]|(?<!\w)'|\d|\((?!s\))|[.?!]\s+\w+\s+\w+|\s[-–—]\s|\w-\s")
"""Signs that the material stands in the instruction itself, such as a second sentence."""
_PROGRAMS = any_of(
    r"functions?|algorithms?|programs?|code|quer(?:y|ies)|methods?|scripts?|regex|apis?|class|classes|"
    r"systems?|procedures?|templates?|tasks?|instructions?"
)
"""What works on any "given text" without being shown one."""
_USES_LINK = any_of(
    r"domains?|hostnames?|web address|parse|program|scripts?|crawl\w*|scrap\w*|code|functions?|shorten|encode|cite|"
    r"citation|urls? (?:given|format|structure)|given (?:a )?url|http|api|requests?|html|hyperlink|"
    r"markdown"
)
"""Tasks for which a link is the material itself."""
URL_ONLY = re.compile(
    r"(?:[\w ]{0,20}:)?[\s(<\[]*(?:https?://|www\.)[^\s]++[\s)>\]]*+|"
    r"!?\[[^\]\n]{0,80}\]\(\s*+(?:https?://|www\.)[^\s)]++(?:\s++\"[^\"\n]{0,80}\")?\s*+\)\.?",
    re.IGNORECASE,
)
"""A link alone, bare, in brackets or as Markdown, or a Markdown image."""

LINKED = re.compile(
    r"\b(?:articles?|pages?|videos?|trailers?|web ?sites?|sites?|blogs?|posts?|papers?|documents?|images?|photos?)\b"
    r"[^\n]{0,60}?\s{1,4}(?:https?://|www\.)\S++\s*+$",
    re.IGNORECASE,
)
"""An instruction that ends in a link to what it is about."""


class References(RatedFilter):
    """Reject tasks that point at material which is not there, is only a link, or only repeats the instruction.

    Example: instruction="Sort the numbers below." input="" -> missing_input
    """

    reasons: ClassVar[dict[str, str]] = {
        "url_only_input": "the input is a link and nothing else: a text model cannot follow it",
        "url_as_material": "the input is a link and nothing else, but the task may be about the link itself",
        "input_repeats_instruction": "the input is the instruction again",
        "input_in_instruction": "the input stands in the instruction already, word for word",
        "missing_input": 'the instruction points at material ("the following text") that is not there',
    }
    ratings: ClassVar[dict[str, Rating]] = {"url_as_material": "flag", "input_in_instruction": "flag"}

    kind: Literal["references"] = "references"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield links without content, repeated instructions and pointers to nothing."""
        material = exchange.input.strip()
        if material:
            if URL_ONLY.fullmatch(material):
                reason = "url_as_material" if _USES_LINK.search(exchange.instruction) else "url_only_input"
                yield reason, {"input": snippet(material)}
            elif len(material) <= len(exchange.instruction) + 10:
                reason = _repetition(material, exchange.instruction)
                if reason:
                    yield reason, {"input": snippet(material)}
        elif exchange.number == 0:  # later turns may point at earlier ones
            pointer = missing_material(exchange.instruction)
            if pointer:
                yield "missing_input", {"pointer": pointer}
            elif "http" in exchange.instruction or "www." in exchange.instruction:
                link = LINKED.search(exchange.instruction)
                if link and not _USES_LINK.search(exchange.instruction[: exchange.instruction.find("://")]):
                    yield "url_only_input", {"input": snippet(link.group().strip())}


def _repetition(material: str, instruction: str) -> str:
    """Return how the input repeats the instruction; fewer than three words prove nothing."""
    words = folded(material)
    if words.count(" ") < 2:
        return ""
    asked = folded(instruction)
    if words == asked:
        return "input_repeats_instruction"
    return "input_in_instruction" if words in asked else ""


def missing_material(instruction: str) -> str:
    """Return the words of an instruction that point at absent material, or "".

    Example: missing_material("Edit the following sentence") -> "the following sentence"
    """
    text = instruction.casefold()
    if not any(word in text for word in _WORDS_THAT_POINT):
        return ""
    found = POINTER.search(text)
    if found is None or _INLINE.search(instruction):
        return ""
    if _PROGRAMS.search(text) or len(text[found.end() :].split()) > 12:  # enough words for the material to follow
        return ""
    return found.group(0)
