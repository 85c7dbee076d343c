"""Demands in words -> constraints: "in at most 50 words" -> {"kind": "words", "max": 50}.

Only phrasings that speak of the answer itself are recognised: a wrong reading would reject a good row, a missed one
costs nothing. "A story about five words" has no demand; "in five words" has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from instructgen.filters.constraint_kinds import Constraint

_NUMBERS = {
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
_N = r"(\d{1,5}|a single|a hundred|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + ")"
_NUMBER = (
    r"(\d{1,5}|a single|"
    + "|".join(sorted(set(_NUMBERS) - {"a", "an", "zero", "single", "a single"}, key=len, reverse=True))
    + ")"
)
_UNITS = {
    "word": "words",
    "sentence": "sentences",
    "paragraph": "paragraphs",
    "line": "lines",
    "character": "characters",
    "bullet point": "bullets",
    "bullet": "bullets",
    "hashtag": "hashtags",
}
_UNIT = r"(words?|sentences?|paragraphs?|lines?|characters?|bullet points?|bullets?|hashtags?)"
_AT_MOST = (
    r"(?:at most|no more than|not more than|up to|a maximum of|maximum|max\.?|within|under|less than|fewer than|"
    r"below|not exceed(?:ing)?|not to exceed|(?:must|should|can|does|do) not exceed)"
)
_AT_LEAST = (
    r"(?:at least|no (?:less|fewer) than|not (?:less|fewer) than|a minimum of|minimum|more than|over|upwards of)"
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
_QUOTED = r"(?:[\"“]([^\"“”\n]{1,60})[\"”]|['‘]([^'‘’\n]{1,60})['’](?!\w))"
_QUOTED_LIST = rf"{_QUOTED}((?:(?:,|,? and|,? or) {_QUOTED})*)"


Builder = Callable[[re.Match[str]], Constraint]


def _value(text: str) -> int:
    return int(text) if text.isdigit() else _NUMBERS[text.lower()]


def _kind(unit: str) -> str:
    singular = unit.lower().removesuffix("s")
    return _UNITS[singular]


def _at_most(found: re.Match[str]) -> Constraint:
    limit = _value(found.group(2)) - (found.group(1).lower() in _STRICT_LESS)
    return Constraint(_kind(found.group(3)), {"max": limit})


def _at_least(found: re.Match[str]) -> Constraint:
    limit = _value(found.group(2)) + (found.group(1).lower() in _STRICT_MORE)
    return Constraint(_kind(found.group(3)), {"min": limit})


def _between(found: re.Match[str]) -> Constraint:
    return Constraint(_kind(found.group(3)), {"min": _value(found.group(1)), "max": _value(found.group(2))})


def _exactly(found: re.Match[str]) -> Constraint:
    number, unit = (group for group in found.groups() if group)
    count = _value(number)
    return Constraint(_kind(unit), {"min": count, "max": count})


def _rule(pattern: str, build: Builder) -> tuple[re.Pattern[str], Builder]:
    return re.compile(pattern, re.IGNORECASE), build


def _fixed(kind: str, arguments: dict[str, object] | None = None) -> Builder:
    return lambda _: Constraint(kind, dict(arguments or {}))


def _plain(found: re.Match[str]) -> Constraint:
    count, kind = _value(found.group(2)), _kind(found.group(3))
    if kind in ("words", "characters") and count >= _ROUGH and not found.group(1):
        return Constraint(kind, {"min": round(0.8 * count), "max": round(1.2 * count)})
    return Constraint(kind, {"min": count, "max": count})


def _times(found: re.Match[str]) -> Constraint:
    word = next(group for group in found.groups() if group)
    said = found.group("times").lower()
    return Constraint("frequency", {"word": word, "min": 2 if said == "twice" else _value(said)})


def _listed(found: re.Match[str]) -> list[str]:
    return [double or single for double, single in re.findall(_QUOTED, found.group(0))]


def _quote(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group)


_TEXT = (
    r"(?:stor(?:y|ies)|poem|essay|summary|paragraph|description|article|letter|speech|review|tweet|title|headline|"
    r"response|answer|"
    r"song|e-?mail|report|introduction|biography|explanation|slogan|dialogue|post|verse|limerick)"
)
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
_ROUGH = 20
"""From this many words on, "in 200 words" is taken as about so many: within a fifth."""

_RULES: list[tuple[re.Pattern[str], Builder]] = [
    _rule(
        rf"(?<!no )(?<!not )\b({_AT_MOST}) {_N} {_UNIT}\b(?! (?:per|each|long titles))",
        _at_most,
    ),
    _rule(
        rf"\b()({_N[1:-1]}) {_UNIT} or (?:less|fewer|under|shorter)\b",
        lambda m: Constraint(_kind(m.group(3)), {"max": _value(m.group(2))}),
    ),
    _rule(
        rf"\b({_AT_LEAST}) {_N} {_UNIT}\b(?! (?:per|each))",
        _at_least,
    ),
    _rule(
        rf"\b()({_N[1:-1]}) {_UNIT} or (?:more|longer)\b",
        lambda m: Constraint(_kind(m.group(3)), {"min": _value(m.group(2))}),
    ),
    _rule(
        rf"\b(?:between )?{_NUMBER}(?: and | to |-|–){_NUMBER} {_UNIT}\b",
        _between,
    ),
    _rule(
        rf"\b(?:(?:in|using|into)|{_TEXT} (?:of|with)) (?:just |only )?(exactly |"
        rf"precisely )?{_NUMBER} {_UNIT}(?=[\s.,;:]|$)(?! (?:from|of|that|which|per|each|above|below|given|or|can|"
        rf"to|pairs?|long)\b){_ALONE}",
        _plain,
    ),
    _rule(
        rf"\b(?:exactly|precisely) {_N} {_UNIT}\b(?! (?:per|each))|"
        rf"^(?:please )?(?:write|compose|draft) {_N} (paragraphs) (?:about|on|describing|explaining)\b",
        _exactly,
    ),
    _rule(
        r"\b(?:output|respond|reply|answer|return)\b[^.\n]{0,30}\b(?:only|just|nothing but) (?:with |in |a |the |"
        r"valid )*json\b|\bjson only\b|\bin (?:valid )?json format\b",
        _fixed("json_only"),
    ),
    _rule(
        rf"\b(?:use|include|mention) the (?:word|keyword|phrase|term) {_QUOTED} (?:exactly |precisely )?"
        rf"(?:{_AT_LEAST} )?"
        r"(?P<times>\d{1,2}|twice|two|three|four|five|six|seven|eight|nine|ten)(?: times)?\b",
        _times,
    ),
    _rule(
        rf"(?<!not )(?<!n't )(?<!without )(?<!avoid )(?<!people )(?<!we )(?<!they )"
        rf"(?<!how to )(?<!when to )\b(?:include|contain|use|mention)s?(?:ing)? the (?:words?|"
        rf"phrases?|keywords?|terms?) {_QUOTED_LIST}",
        lambda m: Constraint("contains", {"words": _listed(m)}),
    ),
    _rule(
        rf"\b(?:without (?:using|mentioning|including)|(?:do|does|must|should|to) not (?:use|include|mention|"
        rf"contain)|(?:doesn't|don't) (?:use|mention|include|contain)|avoid(?:ing)?(?: using)?) the (?:words?|"
        rf"phrases?|terms?) {_QUOTED_LIST}",
        lambda m: Constraint("excludes", {"words": _listed(m)}),
    ),
    _rule(
        r"\bwithout (?:using )?the letter ['\"“‘]?([a-z])['\"”’]?\b",
        lambda m: Constraint("excludes_letter", {"letter": m.group(1)}),
    ),
    _rule(
        r"\bin (?:all |only )?(?:upper ?case|capital letters|all caps|block letters)(?: letters| only)?\s*(?:[.!]|:|$)|"
        r"\b(?:your |the )?(?:entire|whole) (?:response|answer|reply|text) (?:should|must) be in (?:english, and in )?"
        r"(?:all )?(?:capital letters|upper ?case|all caps)\b",
        _fixed("uppercase"),
    ),
    _rule(
        r"\bin (?:all |only )?lower ?case(?: letters| only)?\s*(?:[.!]|:|$)|"
        r"\b(?:your |the )?(?:entire|whole) (?:response|answer|reply|text) (?:should|must) be in (?:english, and in )?"
        r"(?:all )?lower ?case\b|\bno capital letters (?:are |is )?allowed\b",
        _fixed("lowercase"),
    ),
    _rule(
        rf"(?<!words that )(?<!words which )(?<!word that )(?<!strings )\b(?:start|begin)s?(?:ning|"
        rf"ing)? (?:the (?:answer|response|sentence|story|letter|poem|paragraph|text) )?with (?:the (?:words?|"
        rf"phrase|sentence) )?{_QUOTED}",
        lambda m: Constraint("starts_with", {"text": _quote(m)}),
    ),
    _rule(
        rf"\b(?:end|finish|conclude)s?(?:ing)? (?:the (?:answer|response|sentence|story|letter|poem|paragraph|"
        rf"text) |it )?with (?:the (?:words?|phrase|sentence) )?{_QUOTED}",
        lambda m: Constraint("ends_with", {"text": _quote(m)}),
    ),
    _rule(
        r"\b(?:without (?:any )?(?:using )?commas|(?:do not|don't) use (?:any )?commas|"
        r"refrain from using commas)\b",
        _fixed("no_commas"),
    ),
    _rule(
        r"\b(?:without (?:any )?(?:using )?(?:digits|numerals)|(?:do not|don't) use (?:any )?(?:digits|"
        r"numerals))\b",
        _fixed("no_digits"),
    ),
    _rule(
        r"\b(?:answer|respond|reply)(?: (?:the|this|each) (?:following )?questions?)?(?: only)? with (?:only |"
        r"either |a )?['\"“]?yes['\"”]? or ['\"“]?no\b['\"”]?",
        _fixed("opens_with_one_of", {"options": ["yes", "no"]}),
    ),
    _rule(
        r"\b(?:answer|respond|output|reply|state|say|classify|"
        r"write)\b[^.\n]{0,40}\b(?:either )?['\"“]?true['\"”]? or ['\"“]?false\b['\"”]?",
        _fixed("mentions_one_of", {"options": ["true", "false"]}),
    ),
    _rule(
        r"\b(?:output|return|give|answer with|respond with) (?:only|just) (?:a|the|one) number\b",
        _fixed("number_only"),
    ),
    _rule(
        r"\bwrap (?:the|your) (?:entire |whole )?(?:answer|response|output) in double quot(?:es|ation marks)\b",
        _fixed("quoted"),
    ),
    _rule(
        r"\bin double angle(?:d|ular)? brackets\b",
        _fixed("titled"),
    ),
    _rule(
        r"\b(?:add|include|end with) a (?:postscript|p\.?\s?s\.?)",
        _fixed("postscript"),
    ),
    _rule(
        rf"\b(?:include|contain|with|have) (?:{_AT_LEAST} )?{_NUMBER} placeholders?\b",
        lambda m: Constraint("placeholders", {"min": _value(m.group(1))}),
    ),
    _rule(
        rf"\b(?:highlight|mark) (?:{_AT_LEAST} )?{_NUMBER} (?:sections?|words?|phrases?|parts?)\b",
        lambda m: Constraint("highlights", {"min": _value(m.group(1))}),
    ),
    _rule(
        r"\b(?:end|finish|conclude) (?:your |the |it )?(?:answer |response |reply |text )?with a question(?: mark)?\b",
        _fixed("question"),
    ),
    _rule(
        r"\b(?:put|give|return|wrap) (?:your|the) (?:answer|response|output|result|code) (?:with)?in(?:side)? a "
        r"(?:fenced )?code block\b",
        _fixed("fenced"),
    ),
    _rule(
        r"\b(?:as|in|with) a markdown table\b|\ba table in markdown\b",
        _fixed("table"),
    ),
    _rule(
        r"\bwhere (?:every|each) word (?:starts|begins) with (?:the letter )?['\"“]?([a-z])['\"”]?\b",
        lambda m: Constraint("initial", {"letter": m.group(1)}),
    ),
    _rule(
        rf"^(?:please )?(?:list|name|give(?: me)?|provide(?: me)?(?: with)?|suggest|identify|generate|write|create|"
        rf"come up with|make a list of|list out|state|mention|find|think of|"
        rf"brainstorm) (?:a list of )?(?:at least )?{_NUMBER} (?:\w+[ -]){{0,3}}?(?:examples|ways|reasons|tips|"
        rf"ideas|benefits|advantages|disadvantages|facts|questions|steps|adjectives|synonyms|antonyms|nouns|verbs|"
        rf"countries|cities|books|movies|animals|fruits|titles|names|characteristics|items|points|things|"
        rf"strategies|topics)\b(?! or more)",
        lambda m: Constraint("items", {"min": _value(m.group(1))}),
    ),
    _rule(
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
    r"make|state|mention|find|think|brainstorm)|answer|respon|reply|writ",
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
        and (each.kind not in ("starts_with", "ends_with") or not _SEVERAL.search(instruction))
    ]


def _found(instruction: str) -> Iterator[tuple[tuple[int, int], Constraint]]:
    for pattern, builder in _RULES:
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
