"""Demands in words -> constraints: "in at most 50 words" -> {"kind": "words", "max": 50}.

Only phrasings that speak of the answer itself are recognised: a wrong reading would reject a good row, a missed one
costs nothing. "A story about five words" has no demand; "in five words" has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from instructgen.filters.constraint_forms import FORM_CUE, FORMS
from instructgen.filters.constraint_kinds import Constraint
from instructgen.filters.constraint_words import (
    ANY_NUMBER,
    NUMBER,
    QUOTED,
    QUOTED_LIST,
    TEXT,
    UNIT,
    Builder,
    fixed,
    kind_of,
    number_of,
    quoted_words,
    rule,
)

_AT_MOST = (
    r"(?:at most|no more than|not more than|up to|a maximum of|maximum|max\.?|within|under|less than|fewer than|"
    r"below|(?:no|not) longer than|limit(?:ed|ing)?(?: (?:it|yourself|(?:your|the) \w+))? to(?: just| only)?|"
    r"not exceed(?:ing)?|not to exceed|(?:must|should|can|does|do) not exceed)"
)
_AT_LEAST = (
    r"(?:at least|no (?:less|fewer|shorter) than|not (?:less|fewer) than|a minimum of|minimum|more than|over|"
    r"upwards of)"
)
_STRICT_LESS = ("under", "less than", "fewer than", "below")
_STRICT_MORE = ("more than", "over", "upwards of")
_LANGUAGES = {
    "english": "en",
    "french": "fr",
    "german": "de",
    "spanish": "es",
    "italian": "it",
    "portuguese": "pt",
    "dutch": "nl",
    "russian": "ru",
    "chinese": "zh",
    "japanese": "ja",
    "korean": "ko",
    "arabic": "ar",
    "hindi": "hi",
    "polish": "pl",
    "turkish": "tr",
    "swedish": "sv",
    "greek": "el",
    "ukrainian": "uk",
}


def _at_most(found: re.Match[str]) -> Constraint:
    limit = number_of(found.group(2)) - (found.group(1).lower() in _STRICT_LESS)
    return Constraint(kind_of(found.group(3)), {"max": limit})


def _at_least(found: re.Match[str]) -> Constraint:
    limit = number_of(found.group(2)) + (found.group(1).lower() in _STRICT_MORE)
    return Constraint(kind_of(found.group(3)), {"min": limit})


def _between(found: re.Match[str]) -> Constraint:
    return Constraint(kind_of(found.group(3)), {"min": number_of(found.group(1)), "max": number_of(found.group(2))})


def _exactly(found: re.Match[str]) -> Constraint:
    number, unit = (group for group in found.groups() if group)
    count = number_of(number)
    return Constraint(kind_of(unit), {"min": count, "max": count})


def _plain(found: re.Match[str]) -> Constraint:
    count, kind = number_of(found.group(2)), kind_of(found.group(3))
    if kind in ("words", "characters") and count >= _ROUGH and not found.group(1):
        return Constraint(kind, {"min": round(0.8 * count), "max": round(1.2 * count)})
    return Constraint(kind, {"min": count, "max": count})


def _times(found: re.Match[str]) -> Constraint:
    word = next(group for group in found.groups() if group)
    said = found.group("times").lower()
    return Constraint("frequency", {"word": word, "min": 2 if said == "twice" else number_of(said)})


def _quote(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group)


_ALONE = r"(?!,? (?:then|and then|followed|plus)\b)"
_VERSE = re.compile(r"poem|poetry|poetic|verse|song|lyric|rhym|limerick|haiku|stanza|couplet|sonnet", re.IGNORECASE)
"""Elsewhere a "line" depends on the width of the page."""
_CODE = re.compile(
    r"\b(?:code|program|function|script|regex|regular expression|algorithm|query|sql|html|css|class|method|"
    r"password|strings?)\b",
    re.IGNORECASE,
)
"""Tasks whose demands are on what a program does, not on the answer."""
_SEVERAL = re.compile(
    r"\b(?:list|titles|terms|questions|words|names|sentences|examples|clause|jokes?|not (?:begin|start|end))\b",
    re.IGNORECASE,
)
"""Tasks in which "starting with" speaks of parts of the answer."""
_EACH = re.compile(r"\b(?:each|every)\b", re.IGNORECASE)
"""Tasks in which a length may be that of parts of the answer."""
_ROUGH = 20
"""From this many words on, "in 200 words" is taken as about so many: within a fifth."""

_RULES: list[tuple[re.Pattern[str], Builder]] = [
    rule(
        rf"(?<!no )(?<!not )\b({_AT_MOST}) {ANY_NUMBER} {UNIT}\b(?! (?:per|each|long titles))",
        _at_most,
    ),
    rule(
        rf"\b()({ANY_NUMBER[1:-1]}) {UNIT} (?:or (?:less|fewer|under|shorter)|max(?:imum)?|at (?:the )?most)\b",
        lambda m: Constraint(kind_of(m.group(3)), {"max": number_of(m.group(2))}),
    ),
    rule(
        rf"\b({_AT_LEAST}) {ANY_NUMBER} {UNIT}\b(?! (?:per|each))",
        _at_least,
    ),
    rule(
        rf"\b()({ANY_NUMBER[1:-1]}) {UNIT} or (?:more|longer)\b",
        lambda m: Constraint(kind_of(m.group(3)), {"min": number_of(m.group(2))}),
    ),
    rule(
        rf"\b(?:between )?{NUMBER}(?: and | to |-|–){NUMBER} {UNIT}\b",
        _between,
    ),
    rule(
        rf"\b(?:(?:in|using|into)|{TEXT} (?:of|with)) (?:just |only )?(exactly |"
        rf"precisely )?{NUMBER} {UNIT}(?=[\s.,;:]|$)(?! (?:from|of|that|which|per|each|above|below|given|or|can|"
        rf"to|pairs?|long)\b){_ALONE}",
        _plain,
    ),
    rule(
        rf"\b(?:exactly|precisely) {ANY_NUMBER} {UNIT}\b(?! (?:per|each))|"
        rf"^(?:please )?(?:write|compose|draft) {ANY_NUMBER} (paragraphs) (?:about|on|describing|explaining)\b",
        _exactly,
    ),
    rule(
        r"\b(?:output|respond|reply|answer|return)\b[^.\n]{0,30}\b(?:only|just|nothing but) (?:with |in |a |the |"
        r"valid )*json\b|\bjson only\b|\bin (?:valid )?json format\b",
        fixed("json_only"),
    ),
    rule(
        rf"\b(?:use|include|mention) the (?:word|keyword|phrase|term) {QUOTED} (?:exactly |precisely )?"
        rf"(?:{_AT_LEAST} )?"
        r"(?P<times>\d{1,2}|twice|two|three|four|five|six|seven|eight|nine|ten)(?: times)?\b",
        _times,
    ),
    rule(
        rf"(?<!not )(?<!n't )(?<!without )(?<!avoid )(?<!people )(?<!we )(?<!they )"
        rf"(?<!how to )(?<!when to )\b(?:include|contain|use|mention)s?(?:ing)? the (?:words?|"
        rf"phrases?|keywords?|terms?) {QUOTED_LIST}",
        lambda m: Constraint("contains", {"words": quoted_words(m)}),
    ),
    rule(
        rf"\b(?:without (?:using|mentioning|including)|(?:do|does|must|should|to) not (?:use|include|mention|"
        rf"contain)|(?:doesn't|don't) (?:use|mention|include|contain)|avoid(?:ing)?(?: using)?) the (?:words?|"
        rf"phrases?|terms?) {QUOTED_LIST}",
        lambda m: Constraint("excludes", {"words": quoted_words(m)}),
    ),
    rule(
        r"\bwithout (?:using )?the letter ['\"“‘]?([a-z])['\"”’]?\b",
        lambda m: Constraint("excludes_letter", {"letter": m.group(1)}),
    ),
    rule(
        r"\bin (?:all |only )?(?:upper ?case|capital letters|all caps|block letters)(?: letters| only)?\s*(?:[.!]|:|$)|"
        r"\b(?:your |the )?(?:entire|whole) (?:response|answer|reply|text) (?:should|must) be in (?:english, and in )?"
        r"(?:all )?(?:capital letters|upper ?case|all caps)\b",
        fixed("uppercase"),
    ),
    rule(
        r"\bin (?:all |only )?lower ?case(?: letters| only)?\s*(?:[.!]|:|$)|"
        r"\b(?:your |the )?(?:entire|whole) (?:response|answer|reply|text) (?:should|must) be in (?:english, and in )?"
        r"(?:all )?lower ?case\b|\bno capital letters (?:are |is )?allowed\b",
        fixed("lowercase"),
    ),
    rule(
        rf"(?<!words that )(?<!words which )(?<!word that )(?<!strings )\b(?:start|begin)s?(?:ning|"
        rf"ing)? (?:(?:the|your) (?:answer|response|reply|sentence|story|letter|poem|paragraph|text) )?"
        rf"with (?:the (?:words?|phrase|sentence) )?{QUOTED}",
        lambda m: Constraint("starts_with", {"text": _quote(m)}),
    ),
    rule(
        rf"\b(?:end|finish|conclude)s?(?:ing)? (?:(?:the|your) (?:answer|response|reply|sentence|story|letter|poem|"
        rf"paragraph|text) |it )?with (?:the (?:words?|phrase|sentence) )?{QUOTED}",
        lambda m: Constraint("ends_with", {"text": _quote(m)}),
    ),
    rule(
        r"\b(?:without (?:any )?(?:using )?commas|(?:do not|don't) use (?:any )?commas|"
        r"refrain from using commas)\b",
        fixed("no_commas"),
    ),
    rule(
        r"\b(?:without (?:any )?(?:using )?(?:digits|numerals)|(?:do not|don't) use (?:any )?(?:digits|"
        r"numerals))\b",
        fixed("no_digits"),
    ),
    rule(
        r"\b(?:answer|respond|reply)(?: (?:the|this|each) (?:following )?questions?)?(?: only)? with (?:only |"
        r"either |a )?['\"“]?yes['\"”]? or ['\"“]?no\b['\"”]?",
        fixed("opens_with_one_of", {"options": ["yes", "no"]}),
    ),
    rule(
        r"\b(?:answer|respond|output|reply|state|say|classify|"
        r"write)\b[^.\n]{0,40}\b(?:either )?['\"“]?true['\"”]? or ['\"“]?false\b['\"”]?",
        fixed("mentions_one_of", {"options": ["true", "false"]}),
    ),
    rule(
        r"\b(?:output|return|give|answer with|respond with) (?:only|just) (?:a|the|one) number\b",
        fixed("number_only"),
    ),
    rule(
        r"\bwrap (?:the|your) (?:entire |whole )?(?:answer|response|output) in double quot(?:es|ation marks)\b",
        fixed("quoted"),
    ),
    rule(
        r"\bin double angle(?:d|ular)? brackets\b",
        fixed("titled"),
    ),
    rule(
        r"\b(?:add|include|end with) a (?:postscript|p\.?\s?s\.?)",
        fixed("postscript"),
    ),
    rule(
        rf"\b(?:include|contain|with|have) (?:{_AT_LEAST} )?{NUMBER} placeholders?\b",
        lambda m: Constraint("placeholders", {"min": number_of(m.group(1))}),
    ),
    rule(
        rf"\b(?:highlight|mark) (?:{_AT_LEAST} )?{NUMBER} (?:sections?|words?|phrases?|parts?)\b",
        lambda m: Constraint("highlights", {"min": number_of(m.group(1))}),
    ),
    rule(
        r"\b(?:end|finish|conclude) (?:your |the |it )?(?:answer |response |reply |text )?with a question(?: mark)?\b",
        fixed("question"),
    ),
    rule(
        r"\b(?:put|give|return|wrap) (?:your|the) (?:answer|response|output|result|code) (?:with)?in(?:side)? a "
        r"(?:fenced )?code block\b",
        fixed("fenced"),
    ),
    rule(
        r"\b(?:as|in|with) a markdown table\b|\ba table in markdown\b",
        fixed("table"),
    ),
    rule(
        r"\bwhere (?:every|each) word (?:starts|begins) with (?:the letter )?['\"“]?([a-z])['\"”]?\b",
        lambda m: Constraint("initial", {"letter": m.group(1)}),
    ),
    rule(
        rf"^(?:please )?(?:list|name|give(?: me)?|provide(?: me)?(?: with)?|suggest|identify|generate|write|create|"
        rf"come up with|make a list of|list out|state|mention|find|think of|"
        rf"brainstorm) (?:a list of )?(?:at least )?{NUMBER} (?:\w+[ -]){{0,3}}?(?:examples|ways|reasons|tips|"
        rf"ideas|benefits|advantages|disadvantages|facts|questions|steps|adjectives|synonyms|antonyms|nouns|verbs|"
        rf"countries|cities|books|movies|animals|fruits|titles|names|characteristics|items|points|things|"
        rf"strategies|topics)\b(?! or more)",
        lambda m: Constraint("items", {"min": number_of(m.group(1))}),
    ),
    rule(
        r"\b(?:respond|answer|reply|write|written)(?: \w+)? (?:only )?in ("
        + "|"
        r"".join(_LANGUAGES)
        + r")\b(?! (?:class|literature|words|translation))",
        lambda m: Constraint("language", {"language": _LANGUAGES[m.group(1).lower()]}),
    ),
]
_CUE = re.compile(
    r"words?|sentence|paragraph|line|character|bullet|hashtag|json|letter|case|caps|with|comma|digit|numeral|true|"
    r"number|bracket|postscript|p\.s|table|placeholder|highlight|question mark|block|times|"
    r"twice|^\W*(?:list|name|give|provide|suggest|identify|generate|write|create|come|"
    r"make|state|mention|find|think|brainstorm)|answer|respon|reply|writ|alphabet|a to z|capitali|yes or no|list",
    re.IGNORECASE,
)
"""One cheap look: an instruction without any of these has no demand that we know."""


def recognised(instruction: str) -> list[Constraint]:
    """Return the demands on the answer that an instruction states in a usual phrasing.

    Example: recognised("Describe rain in fewer than ten words.") -> [Constraint("words", {"max": 9})]
    """
    if len(instruction) > 4_000 or not _CUE.search(instruction):
        return []
    in_code, in_verse = _CODE.search(instruction), _VERSE.search(instruction)
    return [
        each
        for each in _merged(_found(instruction))
        if (not in_code or each.kind in ("json_only", "language", "fenced"))
        and (each.kind != "lines" or in_verse)
        and (each.kind not in ("words", "characters", "sentences") or not _EACH.search(instruction))
        and (each.kind not in ("starts_with", "ends_with") or not _SEVERAL.search(instruction))
    ]


def _found(instruction: str) -> Iterator[tuple[tuple[int, int], Constraint]]:
    for pattern, builder in (*_RULES, *(FORMS if FORM_CUE.search(instruction) else ())):
        for found in pattern.finditer(instruction):
            yield found.span(), builder(found)


def _merged(found: Iterator[tuple[tuple[int, int], Constraint]]) -> Iterator[Constraint]:
    """Drop readings of words that an earlier rule has read already: "at least" wins over the plain number in it."""
    taken: list[tuple[int, int]] = []
    for (start, end), constraint in found:
        if any(start < other_end and other_start < end for other_start, other_end in taken):
            continue
        taken.append((start, end))
        yield constraint
