"""The words that demands are put into: numbers, units, quoted lists; and rules, a pattern and what it demands."""

from __future__ import annotations

import re
from collections.abc import Callable

from instructgen.filters.constraint_kinds import Constraint

NUMBERS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "hundred": 100,
    "a": 1,
    "an": 1,
    "single": 1,
    "a single": 1,
    "a hundred": 100,
}
ANY_NUMBER = r"(\d{1,5}|a single|a hundred|" + "|".join(sorted(NUMBERS, key=len, reverse=True)) + ")"
NUMBER = (
    r"(\d{1,5}|a single|"
    + "|".join(sorted(set(NUMBERS) - {"a", "an", "zero", "single", "a single"}, key=len, reverse=True))
    + ")"
)
UNITS = {
    "word": "words",
    "sentence": "sentences",
    "paragraph": "paragraphs",
    "line": "lines",
    "character": "characters",
    "bullet point": "bullets",
    "bullet": "bullets",
    "hashtag": "hashtags",
}
UNIT = r"(words?|sentences?|paragraphs?|lines?|characters?|bullet points?|bullets?|hashtags?)"
TEXT = (
    r"(?:stor(?:y|ies)|poem|essay|summary|paragraph|description|article|letter|speech|review|tweet|title|headline|"
    r"response|answer|"
    r"song|e-?mail|report|introduction|biography|explanation|slogan|dialogue|post|verse|limerick)"
)
QUOTED = r"(?:[\"“]([^\"“”\n]{1,60})[\"”]|['‘]([^'‘’\n]{1,60})['’](?!\w))"
QUOTED_LIST = rf"{QUOTED}((?:(?:,|,? and|,? or) {QUOTED})*)"


Builder = Callable[[re.Match[str]], Constraint]


def number_of(text: str) -> int:
    """Return the number that digits or a word say.

    Example: number_of("twelve") -> 12
    """
    return int(text) if text.isdigit() else NUMBERS[text.lower()]


def kind_of(unit: str) -> str:
    """Return the kind that counts a unit.

    Example: kind_of("Sentences") -> "sentences"
    """
    singular = unit.lower().removesuffix("s")
    return UNITS[singular]


def rule(pattern: str, build: Builder) -> tuple[re.Pattern[str], Builder]:
    """Return a rule: a pattern, whatever its case, and what builds the demand from what it found."""
    return re.compile(pattern, re.IGNORECASE), build


def fixed(kind: str, arguments: dict[str, object] | None = None) -> Builder:
    """Return a builder of always the same demand."""
    return lambda _: Constraint(kind, dict(arguments or {}))


def quoted_words(found: re.Match[str]) -> list[str]:
    """Return what stands in quotes in a match."""
    return [double or single for double, single in re.findall(QUOTED, found.group(0))]
