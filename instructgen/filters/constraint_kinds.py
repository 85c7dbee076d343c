"""Checks that a program can make of an answer: one function a constraint kind.

    {"kind": "words", "max": 50}   {"kind": "json_only"}   {"kind": "contains", "words": ["rain", "sun"]}

Each takes the answer and its arguments and returns what it found when the demand is not met, "" when it is met, and
`None` when it cannot tell (an optional library is missing). The idea of instructions that a program can verify is
IFEval's (Zhou et al. 2023); kinds and code are our own.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from instructgen.filters.constraint_order import out_of_order, without_heading

Outcome = str | None
"""What was found instead, "" for met, `None` for cannot tell."""

_WORD = re.compile(r"\w+(?:['’.,-]\w+)*")
_STOPS = re.compile(r"[.!?。！？]+")
_LETTER = re.compile(r"[^\W_]")
_ABBREVIATION = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|a\.m|p\.m|U\.S|No|approx)\.|(?<=\d)\.(?=\d)|\b[A-Z]\.(?=\s?[A-Z])|"
    r"\.(?=\w)",
)
_BULLET = re.compile(r"^[^\S\n]*+[-*•‣▪+–]\s++\S", re.MULTILINE)
_NUMBERED = re.compile(r"^[^\S\n]*+\(?\d++\s?[.):]\s*+\S", re.MULTILINE)
_LABELLED = re.compile(r"^[^\S\n]*+(?:[A-Za-z]|[ivxIVX]+|[A-Z][a-z]+ \d+)\s?[.):]\s*+\S", re.MULTILINE)
_FENCED = re.compile(r"\A```[^\n]*\n(.*?)\n?```\Z", re.DOTALL)


class Constraint(NamedTuple):
    """A demand on an answer: a kind and its arguments."""

    kind: str
    arguments: dict[str, Any]


def _range(count: int, minimum: int | None, maximum: int | None) -> str:
    """Return the count as a finding when it is out of range."""
    low, high = minimum is not None and count < minimum, maximum is not None and count > maximum
    return str(count) if low or high else ""


def words(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of words; "don't" and "3.5" are one word each."""
    return _range(len(_WORD.findall(answer)), min, max)


def characters(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of characters, spaces included."""
    return _range(len(answer.strip()), min, max)


def sentences(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of sentences; abbreviations and decimals do not end one."""
    return _range(count_sentences(answer), min, max)


def count_sentences(text: str) -> int:
    """Count sentences.

    Example: count_sentences("Dr. Lee paid $3.50. Why?") -> 2
    """
    plain = _ABBREVIATION.sub("", text)
    return sum(1 for line in plain.splitlines() for piece in _STOPS.split(line) if _LETTER.search(piece))


def paragraphs(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of blocks of text separated by blank lines."""
    return _range(len([block for block in re.split(r"\n\s*\n", answer.strip()) if block.strip()]), min, max)


def lines(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of lines that are not blank."""
    return _range(len([line for line in answer.splitlines() if line.strip()]), min, max)


def bullets(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of lines that begin with a bullet."""
    return _range(len(_BULLET.findall(answer)), min, max)


def items(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of list entries, in whichever way the answer lists: numbers, bullets, lines or commas.

    A list may be written in several ways at once, so the demand is met when any way of counting meets it.
    """
    counts = sorted({count for count in item_counts(answer) if count})
    if any(not _range(count, min, max) for count in counts):
        return ""
    return "/".join(map(str, counts)) or "0"


def item_counts(answer: str) -> list[int]:
    """Return the plausible numbers of list entries of an answer."""
    text = answer.strip()
    full = [line for line in text.splitlines() if line.strip()]
    body = full[1:] if full and full[0].rstrip().endswith(":") else full
    inline = [_pieces(part) for part in (text, text.rsplit(":", 1)[-1], text.split(":", 1)[-1])]
    return [
        len(_NUMBERED.findall(text)), len(_BULLET.findall(text)), len(_LABELLED.findall(text)), len(body), len(full),
        *inline, len(re.findall(r"(?:^|\s)\(?\d+[.)]\s", text)),
        len([p for p in re.split(r"\n\s*\n", text) if p.strip()]),
        count_sentences(text),
    ]  # fmt: skip


def _pieces(text: str) -> int:
    """Count what commas, semicolons and "and" separate."""
    return len(
        [
            piece
            for piece in re.split(r",\s*(?:and |or |& )?|;\s*|(?<!\s)\s++(?:and|or|&)\s+", text)
            if piece.strip(" .")
        ]
    )


def numbered(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of lines that begin with a running number."""
    return _range(len(_NUMBERED.findall(answer)), min, max)


def hashtags(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of #hashtags."""
    return _range(len(re.findall(r"(?<!\w)#\w+", answer)), min, max)


def highlights(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of *marked* or **bold** pieces."""
    return _range(len(re.findall(r"(\*\*|\*)(?=\S)[^*\n]+?(?<=\S)\1", answer)), min, max)


def headings(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of Markdown headings."""
    return _range(len(re.findall(r"^#{1,6} \S", answer, re.MULTILINE)), min, max)


def placeholders(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Number of [square-bracketed] slots."""
    return _range(len(re.findall(r"\[[^\[\]\n]++\]", answer)), min, max)


def unfenced(answer: str) -> str:
    """Return the content of an answer that is one fenced block, else the answer itself."""
    found = _FENCED.match(answer.strip())
    return (found.group(1) if found else answer).strip()


def json_only(answer: str) -> Outcome:
    """The whole answer is one JSON value that is an object or a list; a single code fence around it is allowed."""
    try:
        value = json.loads(unfenced(answer))
    except (ValueError, RecursionError) as error:  # a ValueError alone: an integer of thousands of digits
        return str(error)[:80]
    return "" if isinstance(value, dict | list) else type(value).__name__


def json_keys(answer: str, keys: list[str]) -> Outcome:
    """The answer is a JSON object that has these keys."""
    if failure := json_only(answer):
        return failure
    value = json.loads(unfenced(answer))
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    return f"without {', '.join(missing)}" if missing else ""


def csv_columns(answer: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """Every row of the answer, read as CSV, has the same number of columns, within the range."""
    try:
        rows = [row for row in csv.reader(io.StringIO(unfenced(answer))) if row]
    except csv.Error as error:
        return str(error)
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        return f"{len(widths)} widths"
    return _range(widths.pop(), 2 if min is None else min, max)


def table(answer: str) -> Outcome:
    """The answer holds a Markdown table."""
    return "" if re.search(r"^[^\n|]*+\|[^\n]*+\n\s*+\|?\s*+:?-{2,}+:?\s*+\|", answer, re.MULTILINE) else "no table"


def fenced(answer: str, language: str = "") -> Outcome:
    """The answer holds a fenced code block (of this language)."""
    found = [
        name.lower() for name in re.findall(r"^```[ \t]*+([\w+-]*+)[^\n]*+\n.*?^```", answer, re.MULTILINE | re.DOTALL)
    ]
    met = language.lower() in found if language else bool(found)
    return "" if met else f"blocks: {', '.join(found) or 'none'}"


def _has(answer: str, word: str) -> bool:
    """Tell whether a word or phrase occurs, case aside, not as a part of a longer word."""
    return re.search(rf"(?<!\w){re.escape(word.strip())}(?!\w)", answer, re.IGNORECASE) is not None


def contains(answer: str, words: list[str]) -> Outcome:
    """All these words or phrases occur; other endings of a word are accepted ("defy", "defied")."""
    missing = [word for word in words if not re.search(rf"(?<!\w){re.escape(_stem(word))}", answer, re.IGNORECASE)]
    return f"without {', '.join(missing)}" if missing else ""


def _stem(word: str) -> str:
    """Return a phrase without punctuation at its ends; a single word of four letters or more loses its last one."""
    plain = word.strip(" .,;:!?…")
    return plain[:-1] if len(plain) >= 4 and " " not in plain else plain


def excludes(answer: str, words: list[str]) -> Outcome:
    """None of these words or phrases occurs."""
    return ", ".join(word for word in words if _has(answer, word))


def frequency(answer: str, word: str, min: int | None = None, max: int | None = None) -> Outcome:  # noqa: A002
    """How often a word occurs."""
    return _range(len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", answer, re.IGNORECASE)), min, max)


def excludes_letter(answer: str, letter: str) -> Outcome:
    """A letter never occurs (a lipogram)."""
    return letter if letter.casefold() in answer.casefold() else ""


def uppercase(answer: str) -> Outcome:
    """All letters that have a case are capitals."""
    return "" if answer.upper() == answer and answer.lower() != answer else "other case"


def lowercase(answer: str) -> Outcome:
    """No letter is a capital."""
    return "" if answer.lower() == answer and answer.upper() != answer else "other case"


_SMALL = {
    "a", "an", "and", "as", "at", "but", "by", "for", "from", "if", "in", "into", "nor", "of", "off", "on", "onto",
    "or", "over", "per", "so", "than", "that", "the", "to", "up", "via", "vs", "with", "yet",
}  # fmt: skip


def title_case(answer: str) -> Outcome:
    """Each word begins with a capital, but for short function words inside and names such as iPhone."""
    found = re.findall(r"(?<![\w'’-])[^\W\d_][\w'’]*", without_heading(answer.strip()))
    wrong = [word for at, word in enumerate(found) if word.islower() and (at == 0 or word not in _SMALL)]
    return ", ".join(wrong[:3])


def starts_with(answer: str, text: str) -> Outcome:
    """The answer begins with these words; case, quotes, marks of emphasis and space before them do not matter."""
    begin = answer.replace("*", "").lstrip(" \n\t\"'“‘_")
    wanted = re.escape(text.strip(" \"'“”‘’.…,!?*"))
    return "" if re.match(rf"{wanted}(?!\w)", begin, re.IGNORECASE) else begin[:40]


def ends_with(answer: str, text: str) -> Outcome:
    """The answer ends with these words; final punctuation, quotes and case do not matter."""
    trimmed = answer.rstrip(" \n\t\"'”’*.!?…")
    wanted = re.escape(text.strip(" \"'“”‘’.!?…"))
    return "" if re.search(rf"(?<!\w){wanted}\Z", trimmed[-len(wanted) - 1 :], re.IGNORECASE) else answer.rstrip()[-40:]


def initial(answer: str, letter: str) -> Outcome:
    """Every word begins with this letter."""
    wrong = [word for word in re.findall(r"[^\W\d_][\w'’]*", answer) if word[0].casefold() != letter.casefold()]
    return ", ".join(wrong[:3])


def quoted(answer: str) -> Outcome:
    """The whole answer stands in double quotes."""
    text = answer.strip()
    return "" if len(text) > 1 and text[0] in '"“' and text[-1] in '"”' else text[:20]


def no_commas(answer: str) -> Outcome:
    """No comma occurs."""
    return "comma" if "," in answer else ""


def no_digits(answer: str) -> Outcome:
    """No digit occurs."""
    return "".join(re.findall(r"\d", answer)[:5])


def question(answer: str) -> Outcome:
    """The answer ends with a question mark."""
    return "" if answer.rstrip(" \n\"”'*").endswith(("?", "？")) else answer.rstrip()[-20:]


def one_of(answer: str, options: list[str]) -> Outcome:
    """The answer is one of the options, but for case and punctuation around it."""
    text = answer.strip(" \n\t.!\"'*()").casefold()
    return "" if text in {option.strip(" .!\"'").casefold() for option in options} else answer.strip()[:40]


def opens_with_one_of(answer: str, options: list[str]) -> Outcome:
    """The answer begins with one of the options as a whole word."""
    return (
        ""
        if any(re.match(rf"\W*{re.escape(option)}(?!\w)", answer, re.IGNORECASE) for option in options)
        else answer[:40]
    )


def mentions_one_of(answer: str, options: list[str]) -> Outcome:
    """At least one of the options occurs as a whole word."""
    return "" if any(_has(answer, option) for option in options) else answer[:40]


def number_only(answer: str) -> Outcome:
    """The answer is a number (with a sign, currency or percent mark)."""
    return (
        ""
        if re.fullmatch(r"[-+−]?[$€£]?\s?\d[\d,]*(?:\.\d+)?(?:/\d+)?\s?%?\.?", answer.strip())
        else answer.strip()[:40]
    )


def titled(answer: str) -> Outcome:
    """The answer holds a title in double angle brackets: <<a title>>."""
    return "" if re.search(r"<<[^<>\n]+>>", answer) else "no <<title>>"


def postscript(answer: str) -> Outcome:
    """A line begins with P.S."""
    return "" if re.search(r"^[^\w\n]*+P\.?\s?S\b", answer, re.MULTILINE | re.IGNORECASE) else "no P.S."


def comma_list(answer: str) -> Outcome:
    """The entries stand behind each other with commas between, not below each other with bullets or numbers."""
    below = len(_BULLET.findall(answer)) + len(_NUMBERED.findall(answer))
    if below > 1:
        return f"{below} lines"
    return "" if re.search(r"[,،，、]", answer) or len(answer.split()) <= 3 else "no comma"


def alphabetical(answer: str) -> Outcome:
    """The entries of the list are in alphabetical order, word by word or letter by letter, with or without articles."""
    return out_of_order(answer)


def language(answer: str, language: str) -> Outcome:
    """The answer is in this language (ISO 639-1), by py3langid, of the extra `safety`; short answers cannot be told."""
    from instructgen.filters.language import detect

    found = detect(answer)
    if found is None or found.confidence < 0.8 or len(answer) < 20:
        return None
    return "" if found.language == language else found.language


KINDS: dict[str, Callable[..., Outcome]] = {
    each.__name__: each
    for each in (
        words, characters, sentences, paragraphs, lines, bullets, items, numbered, hashtags, highlights, headings,
        placeholders, json_only, json_keys, csv_columns, table, fenced, contains, excludes, frequency, excludes_letter,
        uppercase, lowercase,
        title_case, starts_with, ends_with, initial, quoted, no_commas, no_digits, question, one_of, opens_with_one_of,
        mentions_one_of, number_only, titled, postscript, comma_list, alphabetical, language,
    )
}  # fmt: skip
"""Kind -> its check."""
COUNTED = {
    "words", "characters", "sentences", "paragraphs", "lines", "bullets", "items", "numbered", "hashtags", "highlights",
    "headings", "placeholders",
}  # fmt: skip
"""Kinds whose only arguments are `min` and `max`."""


def unmet(constraint: Constraint, answer: str) -> Outcome:
    """Return what the answer has instead of what is demanded, "" when it is met, `None` when it cannot be told.

    Raises: KeyError for an unknown kind, TypeError for arguments that it does not take.
    Example: unmet(Constraint("words", {"max": 2}), "one two three") -> "3"
    """
    return KINDS[constraint.kind](answer, **constraint.arguments)


def contradiction(constraints: list[Constraint]) -> str:
    """Return the kind of two demands that no answer can meet together, or "".

    Example: contradiction([Constraint("words", {"min": 9}), Constraint("words", {"max": 5})]) -> "words"
    """
    for kind in COUNTED:
        ranges = [each.arguments for each in constraints if each.kind == kind]
        low = max((each.get("min") or 0 for each in ranges), default=0)
        high = min((each["max"] for each in ranges if each.get("max") is not None), default=None)
        if high is not None and low > high:
            return kind
    kinds = {each.kind for each in constraints}
    if {"uppercase", "lowercase"} <= kinds:
        return "uppercase"
    wanted = {word.casefold() for each in constraints if each.kind == "contains" for word in each.arguments["words"]}
    banned = {word.casefold() for each in constraints if each.kind == "excludes" for word in each.arguments["words"]}
    return "contains" if wanted & banned else ""
