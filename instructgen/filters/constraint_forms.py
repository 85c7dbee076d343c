"""Demands on the form of an answer: case, order, lists, hashtags, the words of a list without quotes.

"Sort the names alphabetically." -> {"kind": "alphabetical"}    "Add 3 fun hashtags." -> {"kind": "hashtags", "min": 3}
"""

from __future__ import annotations

import re

from instructgen.filters.constraint_kinds import Constraint
from instructgen.filters.constraint_words import (
    NUMBER,
    QUOTED_LIST,
    TEXT,
    Builder,
    fixed,
    kind_of,
    number_of,
    quoted_words,
    rule,
)

_ROUGH = 20
"""From this many on, "a 200-word essay" is taken as about so many: within a fifth."""
_PLAIN_LIST = r"(\w++(?:(?:,? (?:and|or) |, )\w++)++)(?=\s*+[.!?;]|\s*+$)"
"""Words without quotes that end the sentence: "sun, moon and stars."; one alone is too easily something else."""
_POINTERS = r"(?!(?:below|above|given|provided|following|listed)\b)"
_MAKE = r"(?:write|compose|create|generate|draft|craft|make|come up with|design|prepare|produce|construct|give|provide)"


def _plain_words(found: re.Match[str]) -> list[str]:
    return re.split(r",? (?:and|or) |, ", found.group(1))


def _of_length(found: re.Match[str]) -> Constraint:
    count, kind = number_of(found.group(1)), kind_of(found.group(2))
    if kind in ("words", "characters") and count >= _ROUGH:
        return Constraint(kind, {"min": round(0.8 * count), "max": round(1.2 * count)})
    return Constraint(kind, {"min": count, "max": count})


def _hashtags(found: re.Match[str]) -> Constraint:
    count = number_of(found.group(2))
    if (found.group(1) or "").strip().lower() in ("exactly", "only", "just"):
        return Constraint("hashtags", {"min": count, "max": count})
    return Constraint("hashtags", {"min": count})


def _bullets(found: re.Match[str]) -> Constraint:
    count = number_of(found.group(1))
    return Constraint("bullets", {"min": count, "max": count})


FORM_CUE = re.compile(
    r"alphabet|a to z|title[ -]case|capital|hashtags?|commas?\b|bullet|(?:ordered|numbered) list|json|"
    r"the (?:following )?words?\b|yes or no|single|only one|"
    r"[- ](?:word|sentence|paragraph|line|character)s?[- ]|case\b|"
    r"(?:answer|respon|reply|classify|label)[^\n]*[\"'“‘]",
    re.IGNORECASE,
)
"""One cheap look: an instruction without any of these states no demand of form."""
FORMS: list[tuple[re.Pattern[str], Builder]] = [
    rule(
        rf"\b(?:{_MAKE}(?: me| us)?|in|as) an? {NUMBER}[- ](word|sentence|paragraph|line|character)s?[- ](?:long )?"
        rf"(?:[\w-]+ ){{0,2}}?{TEXT}\b",
        _of_length,
    ),
    rule(
        r"\b(?:answer|respond|reply)(?: \w+)? (?:with|using) (?:only |just )?(?:a single|only one|one) "
        rf"(word|sentence|paragraph)\b(?! or){_POINTERS}",
        lambda m: Constraint(kind_of(m.group(1)), {"min": 1, "max": 1}),
    ),
    rule(
        r"^(?:please )?(?:convert|change|rewrite|put|format|transform|turn|capitali[sz]e|"
        r"write (?:it|this|the (?:following|title|phrase|sentence)))\b[^.\n]{0,80}? "
        r"(?:to|in|into|using|as) title[ -]case\b|"
        r"\b(?:answer|respond|response|reply|output)\b[^.\n]{0,30}? (?:in|using|be) title[ -]case\b|"
        r"^(?:please )?capitali[sz]e (?:the )?first letter (?:of|in) (?:each|every|all) (?:of the )?words?\b|"
        r"\b(?:each|every) word (?:must|should|has to) (?:start|begin) with a capital(?: letter)?\b",
        fixed("title_case"),
    ),
    rule(
        r"^(?:please )?(?:sort|arrange|rearrange|order|organi[sz]e|list|put|place|name|reorder)\b"
        r"(?![^.\n]*\b(?:revers\w*|descending|backwards?|then|within|surnames?|last names?|authors?|each|groups?|"
        r"letters?)\b)"
        r"[^.\n]{0,100}?\b(?:alphabetically|in (?:ascending )?alphabetical order|from a to z|by alphabetical order)\b"
        r"(?! (?:by|within|and|then|of)\b)|"
        r"^(?:please )?alphabeti[sz]e (?:the|this|these|a) (?:\w+ ){0,2}?(?:lists?|words|names|items|terms)\b",
        fixed("alphabetical"),
    ),
    rule(
        r"\b(?:include|includes|including|add|adding|use|using|with|contain|contains|suggest|generate|create|write|"
        r"come up with|give|give me|provide|list|propose|attach) (exactly |only |just |at least |a minimum of )?"
        rf"{NUMBER} (?:[\w-]+ ){{0,2}}?hashtags?\b(?! (?:or (?:less|fewer)|at most|max|per|each))",
        _hashtags,
    ),
    rule(
        r"\bwithout (?:using |including |adding )?(?:any |the use of )?hashtags\b|"
        r"\b(?:do not|don't|never) (?:use|include|add) (?:any )?hashtags\b|\bavoid (?:using )?(?:any )?hashtags\b|"
        r"[,;.(] ?no hashtags\b",
        fixed("hashtags", {"max": 0}),
    ),
    rule(
        rf"^(?:please )?{_MAKE}\b[^.\n]{{0,60}}?\b(?:tweet|post|caption)\b[^\n]{{0,100}}?\b(?:with|using|include|"
        rf"including|"
        r"add|use|and) (?:an? |some |(?:a few )|(?:and )?(?:relevant|appropriate|popular|suitable|fun|"
        r"trending) )*hashtags?\b",
        fixed("hashtags", {"min": 1}),
    ),
    rule(
        r"\b(?:as|in|into|using|with|give|give me|provide|create|return|output|make|write|generate|produce) "
        r"(?:a |one )?(?:single )?comma[- ](?:separated|delimited) (?:list|line|string|format)\b|"
        r"^(?:please )?(?:list|name|give|provide|answer|respond|output|return|write)\b"
        r"(?![^.\n]*\b(?:following|given|these|this|below|above|containing)\b)[^.\n:]{0,80}? "
        r"(?:separated|delimited) (?:by|with) (?:a )?commas?\b|"
        r"\bseparate (?:them|each (?:item|word|name|entry)|the (?:items|entries|answers|words|names)|items|entries|"
        r"your answers?) (?:with|by|using) (?:a )?commas?\b",
        fixed("comma_list"),
    ),
    rule(
        rf"\b(?:use|using|give|give me|write|provide|with) {NUMBER} (?:short |brief |concise |"
        rf"key )?bullet(?: ?points?|s)?\b",
        _bullets,
    ),
    rule(
        r"\b(?:in|as|using|into) (?:a |the form of )?bullet(?:ed)?[- ]?(?:points?|lists?|format)\b(?! (?:above|below))",
        fixed("bullets", {"min": 1}),
    ),
    rule(
        rf"\b(?:as|in|create|write|make|give|give me|provide|use) an? (?:ordered|numbered) list(?: of {NUMBER}\b)?",
        lambda m: Constraint("numbered", {"min": number_of(m.group(1)) if m.group(1) else 1}),
    ),
    rule(
        rf"\bjson (?:object |format )?(?:with|containing|that has) (?:the |these )?(?:following )?(?:keys|fields|"
        rf"properties)"
        rf":? {QUOTED_LIST}",
        lambda m: Constraint("json_keys", {"keys": quoted_words(m)}),
    ),
    rule(
        r"\b(?:reply|respond|answer) (?:only )?(?:in|as|with|using) (?:valid |a |an )*json\b(?! (?:file|schema))",
        fixed("json_only"),
    ),
    rule(
        r"\b(?:do not|don't|never|without|avoid) (?:use|using|include|including|mention|mentioning) the words?:? "
        rf"{_POINTERS}{_PLAIN_LIST}",
        lambda m: Constraint("excludes", {"words": _plain_words(m)}),
    ),
    rule(
        r"(?<!not )(?<!n't )(?<!without )(?<!avoid )(?<!never )(?<!people )(?<!how to )(?<!when to )\b(?:use|using|"
        r"include|"
        rf"including|containing|contains?) (?:all )?(?:of )?the (?:following )?words:? {_POINTERS}{_PLAIN_LIST}",
        lambda m: Constraint("contains", {"words": _plain_words(m)}),
    ),
    rule(
        r"\b(?:start|begin)(?:ing)? (?:(?:the|your) (?:answer|response|reply|sentence|story|letter|poem|text) )?"
        r"with the word (\w+)\b",
        lambda m: Constraint("starts_with", {"text": m.group(1)}),
    ),
    rule(
        r"(?:^|[.;,(] ?)no commas\b",
        fixed("no_commas"),
    ),
    rule(r"\buse only lower[ -]?case\b|\bonly lower[ -]?case letters\b", fixed("lowercase")),
    rule(
        r"\buse only (?:upper[ -]?case|capital letters)\b|\bonly (?:upper[ -]?case|capital) letters\b",
        fixed("uppercase"),
    ),
    rule(
        r"\b(?:answer|respond|reply|say)(?: only| simply| just)? yes or no\b",
        fixed("opens_with_one_of", {"options": ["yes", "no"]}),
    ),
    rule(
        rf"\b(?:answer|respond|reply|classify|label)\b[^.\n\"'“‘]{{0,40}}? (?:with|as) (?:either |one of |only |just )*"
        rf"{QUOTED_LIST}(?=[^\"'“”‘’]*+$)",
        lambda m: Constraint("mentions_one_of", {"options": quoted_words(m)}),
    ),
]
"""More rules of the same kind, asked after those of lengths and words in quotes."""
