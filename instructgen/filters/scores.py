"""Scores and choices in a judge's words, read strictly.

    "Score: 4.5"  "4.5/5"  "**4**"  "Rating: [[4]]"  "4 out of 5"   ->   4.5 or 4.0
    "between 3 and 4"  "8/10"  "4 (out of 10)"  "4%"  "-1"  ""      ->   unreadable, out of range

Released parsers crash on "Score: 4.5", take "Score:4.5" for 4.0, or put a number in place of a failure (-1 in
AlpaGasus, 3.0 in Deita). Here a reply that does not state one score is a failure with a reason, never a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal

from instructgen.generators.structured import unfenced

Failure = Literal["unreadable_score", "score_out_of_range"]

# Possessive throughout: what dresses a number is read once, however long a reply draws it out.
_DRESS = r"[\s*_\"'`\[(<]*+"
_UNDRESS = r"[\s*_\"'`\])>]*+"
_TOP = r"(?P<scale>\d++(?:\.\d++)?+|five|ten|(?:a |one )?hundred)"
_SCALE = (
    rf"(?:points?\b|stars?\b)?[\s,(*]*+(?:(?:/|out of|of)\s*+|(?:on )?(?:an? |the )?scale (?:of |from )?"
    rf"(?:\d++\s*+(?:-|–|to)\s*+)?){_TOP}\b[\s)]*+(?:points?\b|stars?\b)?"
)
_SCORE = rf"(?P<value>[-−]?\d++(?:[.,]\d++)?+)(?:{_UNDRESS}{_SCALE})?+{_UNDRESS}"
_BARE = re.compile(rf"{_DRESS}{_SCORE}(?:points?|stars?)?{_UNDRESS}\.?", re.IGNORECASE)
_LABEL_SCALE = r"(?: ?[(\[](?:(?:scale |from )?\d++ ?(?:-|–|to) ?|out of |of |/ ?)(?P<top>\d++)[)\]])?"
"""A scale in the label: "Score (0-5):"."""
_LABELLED = re.compile(
    r"(?<![^\W_])(?P<other>(?:max(?:imum)?|min(?:imum)?|highest|lowest|possible|perfect|previous|no|not a|"
    rf"passing) )?(?:score|rating|grade){_LABEL_SCALE}{_UNDRESS}(?:(?<=\s)is|[:=]){_DRESS}{_SCORE}",
    re.IGNORECASE,
)
_UNCLEAR = re.compile(r"[%½¼¾+~^\\|]|[-–](?=\S)|[^\W_]|\s*+[/:|]\s*+\d|[.,]\d")
"""What must not follow a number: it would be part of something larger."""
_ANOTHER = re.compile(r"\d|%|[½¼¾]|\b(?:ten|twenty|hundred|percent|half)\b", re.IGNORECASE)
_ANOTHER_SCORE = re.compile(r"\d\s?(?:/|out of)|^\W*(?:to|or|and)\s+\d", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.;!?](?:\s|$)|\n")
_LOOK = 200
"""Characters behind a number that are looked at, and of a line that may be nothing but a number."""
_WORDS = {"five": 5.0, "ten": 10.0, "hundred": 100.0, "a hundred": 100.0, "one hundred": 100.0}
_LINE_DRESS = r"(?:[*_\"'`\[(<]|[^\S\n])*"
_CHOICE = re.compile(
    r"^\W*(?:(?:the )?(?:better|best|winner|verdict|choice|answer|preferred)(?: answer| response)?(?: is|"
    r"\s*[:=])\W*)?(?:answer |response |option )?"
    r"(?P<choice>[A-Za-z]|tie|equal|both|neither)\W*$",
    re.IGNORECASE,
)


def read_score(text: str, low: float = 0, high: float = 5) -> float | Failure:
    """Return the one score that a reply states, or why there is none.

    The reply is JSON with a "score", or its first or last line is a number, or it says "score:" (or rating, grade);
    wherever it says one it must say the same, and no other number may stand in the sentence ("4 or 5", "4 (3 if
    strict)"). A scale that does not end at `high` ("8/10", "4 (out of ten)") is out of range, not converted.
    Example: read_score("Score: 4.5/5. Clear and right.") -> 4.5
    """
    text = _said(text)
    structured = _json_object(text)
    if structured is not None:
        value = structured.get("score", structured.get("rating"))
        return _within(value, low, high) if _is_number(value) else "unreadable_score"
    stated = [found for found in _LABELLED.finditer(text) if not found.group("other")]
    lines = [line for each in text.splitlines() if (line := each.strip("\ufeff \t"))]
    alone = [found for line in (lines[:1] + lines[-1:]) if len(line) <= _LOOK and (found := _BARE.fullmatch(line))]
    return _agreed([*stated, *alone], low, high)


def read_scores(text: str, names: Sequence[str], low: float = 0, high: float = 5) -> dict[str, float] | Failure:
    """Return a score per name, from JSON with these keys or from lines `name: 4`; all must be there.

    Example: read_scores('{"correctness": 4}', ["correctness"]) -> {"correctness": 4.0}
    """
    text = _said(text)
    structured = _json_object(text)
    scores: dict[str, float] = {}
    for name in names:
        if structured is not None:
            value = structured.get(name)
            score = _within(value, low, high) if _is_number(value) else "unreadable_score"
        else:
            spelled = re.escape(name).replace("_", r"[\s_-]")
            line = re.compile(
                rf"^(?:{_LINE_DRESS}+(?:[-•]|\d++[.)]))?{_LINE_DRESS}{spelled}{_LABEL_SCALE}{_UNDRESS}[:=]{_DRESS}{_SCORE}",
                re.IGNORECASE | re.MULTILINE,
            )
            score = _agreed(list(line.finditer(text)), low, high)
        if isinstance(score, str):
            return score
        scores[name] = score
    return scores


def read_choice(text: str, letters: str, *, tie: bool = True) -> str | None:
    r"""Return the letter that a reply chooses, "tie", or `None` when it does not say.

    The reply is JSON with a "choice", or its last line is the choice: "B", "[[A]]", "Better: B".
    Example: read_choice("Both are short.\nBetter: B", "AB") -> "B"
    """
    text = _said(text)
    structured = _json_object(text)
    if structured is not None:
        said = str(structured.get("choice", ""))
    else:
        lines = [line for line in text.splitlines() if line.strip()]
        found = _CHOICE.match(lines[-1].strip()) if lines else None
        said = found.group("choice") if found else ""
    if said.upper() in letters and len(said) == 1:
        return said.upper()
    return "tie" if tie and said.lower() in ("tie", "equal", "both", "neither") else None


def read_order(text: str, letters: str) -> list[str] | None:
    """Return the letters from best to worst, or `None` unless each is named exactly once.

    The reply is JSON with an "order", or its last line is letters: "B > A > C", "B, A, C".
    Example: read_order("B > A > C", "ABC") -> ["B", "A", "C"]
    """
    text = _said(text)
    structured = _json_object(text)
    if structured is not None:
        given = structured.get("order")
        named = [str(each).strip().upper() for each in given] if isinstance(given, list) else _in_line(str(given))
    else:
        lines = [line for line in text.splitlines() if line.strip()]
        named = _in_line(
            re.sub(r"^\W*(?:order|ranking|best to worst)\s*[:=]", "", lines[-1], flags=re.IGNORECASE) if lines else ""
        )
    return named if sorted(named) == sorted(letters) else None


def _in_line(line: str) -> list[str]:
    """Return the letters of a line; none where a sign says that some are equal or that the last is the best."""
    ordered = not re.search(r"[=<≥≤~≈≺]", line.replace("=>", ">").replace("->", ">"))
    return re.findall(r"\b[A-Z]\b", line) if ordered and re.fullmatch(r"[\s\W]*(?:[A-Z][\s\W]*)+", line) else []


def _agreed(stated: Sequence[re.Match[str]], low: float, high: float) -> float | Failure:
    """Return the value that all matches state."""
    if not all(map(_is_clear, stated)):
        return "unreadable_score"
    values = {_value(found, high) for found in stated}
    if len(values) != 1:
        return "unreadable_score"
    value = values.pop()
    return "score_out_of_range" if value is None else _within(value, low, high)


def _is_clear(found: re.Match[str]) -> bool:
    """Tell whether what stands behind a number leaves it as it is: "4.5.1", "4%", "4 or 5" are no 4."""
    behind = found.string[found.end() : found.end() + _LOOK]
    touching = found.end() == max(found.end("value"), found.end("scale"))
    if (touching and _UNCLEAR.match(behind)) or re.match(r"\s*+[/:|\\]\s*+\d", behind):
        return False
    end = _SENTENCE_END.search(found.string[found.end() - 1] + behind)
    sentence = behind[: max(end.start() - 1, 0)] if end else behind
    if "\n" in found.string[max(found.end("value"), found.end("scale")) : found.end()]:
        sentence = ""  # the number ended its line
    return not (_ANOTHER if found.group("scale") is None else _ANOTHER_SCORE).search(sentence)


def _value(found: re.Match[str], high: float) -> float | None:
    """Return the number, or `None` where it is on another scale."""
    tops = [found.group("scale"), found.groupdict().get("top")]
    if any(_top(top) != high for top in tops if top):
        return None
    return float(found.group("value").replace(",", ".").replace("−", "-")) or 0.0  # -0.0 is 0


def _top(text: str) -> float:
    return _WORDS.get(text.lower()) or float(text)


def _within(value: object, low: float, high: float) -> float | Failure:
    number = float(str(value))
    return number if low <= number <= high else "score_out_of_range"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object whose keys are each said once; else nothing: two scores are none."""
    return dict(pairs) if len({key for key, _ in pairs}) == len(pairs) else {}


_THOUGHT = re.compile(r"\A\s*+<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_FENCED = re.compile(r"^```(?:json)?[ \t]*\n(\{.*?)\n?```[ \t]*$", re.DOTALL | re.MULTILINE | re.IGNORECASE)


def _said(text: str) -> str:
    r"""Return a reply without what a reasoning model thought before it; "" when it never came to its answer.

    Example: _said("<think>3? No.</think>\n4") -> "4"
    """
    plain = _THOUGHT.sub("", text).strip()
    return "" if plain.startswith(("<think>", "<thinking>")) else plain


def _json_object(text: str) -> dict[str, object] | None:
    """Return the reply as a JSON object, a code fence around it or one fence in it allowed; `None` without one.

    One that begins and does not parse (cut off, say) is an empty object: no score is picked from its pieces.
    """
    body = unfenced(text)
    if not body.startswith("{"):
        fenced = _FENCED.findall(body)
        if len(fenced) != 1:
            return None
        body = fenced[0]
    try:
        value = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError):  # a ValueError alone: an integer of thousands of digits
        return {}
    return value if isinstance(value, dict) else {}
