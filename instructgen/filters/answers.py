"""Answers that can be verified: worked arithmetic, a known final answer, options, labels.

{"instruction": "What is 12 + 7?", "output": "12 + 7 = 20"}   ->  wrong_arithmetic
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue

from instructgen.errors import RecipeError
from instructgen.filters import Tools
from instructgen.filters.arithmetic import mistakes, number, other_rules
from instructgen.filters.chosen import recover
from instructgen.filters.rated import Exchange, Finding, RatedFilter, exchanges, folded, labels_of, snippet
from instructgen.records import Sample

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_BOXED = re.compile(r"\\boxed\{((?:[^{}]++|\{[^{}]*+\})*+)\}")
_STATED = re.compile(
    r"(?:####|\b(?:final )?answer(?: is|:)|\bresult(?: is|:)|\btherefore,?[^.\n]{0,40}? is)"
    r"\s*+\**+\s*+([^\n]++|(?<=[^\S\n])|(?<=\*))",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"[-−]?[$€£]?\d++(?: \d++/\d++|[\d,]*+(?:\.\d++)?+(?:[eE][+-]?\d++)?+(?:/\d++)?+%?+)"
    r"(?!\s*+(?:\\(?:pi|sqrt|[dt]?frac|times|cdot)|[π√^]))"
)
"""A number that is the whole value: "2\\pi" is not 2."""
_LATEX = (
    (re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}"), r"\1/\2"),
    (re.compile(r"\{,\}|\\[,!]"), ""),
    (re.compile(r"\\([%$])"), r"\1"),
)
"""How numbers are written in LaTeX."""
_LETTER = re.compile(
    r"\s*+[\"'*(\[]*+(?:(?:option |answer:? ?|the (?:correct )?answer is:? ?)[\"'*(\[]*+)?([A-Ja-j])[\"'*)\]]*"
    r"(?:[.:,)\s]|$)",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"\W*[AI] (?!is\b|because\b|since\b|as\b|would\b|seems\b)[a-z]", re.IGNORECASE)
"""A first word that is a letter, and no option: "A dog barks"."""
_SEVERAL = re.compile(r"\W*[A-J]\W{1,4}(?:(?:or|and|nor)\W{1,4})?[A-J]\b(?!['’])")
_DENIAL = (
    r"(?:not|never|neither|nor|cannot be|rather than|instead of|"
    r"(?:is|was|are|were|does|did|do|ca|could|wo) ?n t(?: be)?)"
    r"(?: (?:the|a|an|in|at|be|by|it|really|necessarily|option))*+"
)
"""What stands directly before a folded option that is denied: "definitely not Paris", "it isn't Paris"."""
_LONGEST = 400
"""Characters of an expression that is handed to the algebra library: what it does with more can take for ever."""


class Answers(RatedFilter):
    """Reject answers that recomputing or the sample's own labels prove wrong.

    `labels.answer` holds a known final answer (a number, an expression, a text), `labels.options` the options of a
    multiple-choice question, `labels.label` the right one of them (its text or its letter).
    Example: labels={"answer": "19"}, output="It is 20." -> wrong_answer
    """

    reasons: ClassVar[dict[str, str]] = {
        "wrong_arithmetic": "a calculation in the answer does not hold when recomputed",
        "wrong_answer": "the final answer differs from the known one",
        "no_final_answer": "a final answer is known, and none can be read from the output",
        "not_an_option": "the answer is none of the options",
        "wrong_option": "the answer is an option, but not the right one",
        "unreadable_label": "the label is none of the options, so nothing can be compared",
    }

    kind: Literal["answers"] = "answers"
    recompute: bool = Field(default=True, description="recompute arithmetic in answers")
    algebra: bool = Field(
        default=False, description="compare expressions with math-verify (extra `verify`), not only numbers"
    )

    def prepare(self, tools: Tools) -> Self:
        """Return a copy. Raises: RecipeError when `algebra` is on and math-verify is not installed."""
        if self.algebra:
            try:
                import math_verify  # noqa: F401
            except ImportError as error:
                raise RecipeError(
                    "filter 'answers' with algebra: true needs math-verify: pip install 'instructgen[verify]'"
                ) from error
        return super().prepare(tools)

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield calculations that do not hold; code is not looked at."""
        if not self.recompute or not exchange.output or other_rules(exchange.instruction):
            return
        for mistake in mistakes(_FENCED.sub("", exchange.output)):
            yield "wrong_arithmetic", {"statement": snippet(mistake.statement), "right": mistake.right}

    def find_in(self, sample: Sample) -> Iterator[Finding]:
        """Yield what the labels prove first, then what recomputing shows."""
        rounds = exchanges(sample)
        output = rounds[-1].output if rounds else None
        if output:
            yield from self._by_labels(labels_of(sample), output)
        yield from super().find_in(sample)

    def _by_labels(self, labels: dict[str, JsonValue], output: str) -> Iterator[Finding]:
        options = labels.get("options")
        if isinstance(options, list) and options:
            names = labels.get("letters")
            letters = [str(name) for name in names] if isinstance(names, list) else []
            label = labels.get("label", labels.get("answer"))
            named = labels.get("is_classification") is True
            yield from _by_options([str(option) for option in options], label, output, letters, named=named)
        elif labels.get("answer") is not None:
            known = str(labels["answer"])
            given = final_answer(output, numeric=number(known) is not None)
            if not given and self.algebra:
                given = final_answer(output, numeric=False)
            if not given:
                yield "no_final_answer", {"known": snippet(known)}
            elif not self._same(known, given):
                yield "wrong_answer", {"known": snippet(known), "given": snippet(given)}

    def _same(self, known: str, given: str) -> bool:
        return same_answer(known, given) or (self.algebra and _equivalent(known, given))


def final_answer(output: str, *, numeric: bool) -> str:
    """Return what an output gives as its final answer: boxed, announced, or else its last number or whole text.

    Example: final_answer("3 + 4 = 7, so the answer is 7.", numeric=True) -> "7"
    """
    boxed = _BOXED.findall(output)
    stated = _STATED.findall(output)
    text = boxed[-1] if boxed else stated[-1] if stated else output
    if not numeric:
        return str(text).strip().rstrip(".")
    numbers = _NUMBER.findall(_plain(text))
    if not numbers and not boxed:
        numbers = _NUMBER.findall(_plain(output))
    if not numbers:
        return ""
    return str(numbers[0] if boxed or stated else numbers[-1])


def _plain(text: str) -> str:
    """Return a text with its LaTeX numbers as plain ones."""
    for pattern, plain in _LATEX if "\\" in text or "{" in text else ():
        text = pattern.sub(plain, text)
    return text


def same_answer(known: str, given: str) -> bool:
    """Compare two answers as exact numbers where both are, else as texts but for case and punctuation.

    A percent mark on one side alone may be a unit: 50% is 0.5, and 50 where 50 is asked for.

    Example: same_answer("0.5", "1/2") -> True
    """
    left, right = number(known), number(given)
    if left is not None and right is not None:
        unit = known.rstrip(" %") if "%" in known else known, given.rstrip(" %") if "%" in given else given
        return left == right or (("%" in known) != ("%" in given) and number(unit[0]) == number(unit[1]))
    words = folded(known)
    return bool(words) and words == folded(given)


def _equivalent(known: str, given: str) -> bool:
    """Compare two expressions algebraically. Its own time limits need signals, so texts are kept short instead."""
    if max(len(known), len(given)) > _LONGEST or re.search(r"\^\s*\{?\d{3,}|\*\*\s*\d{3,}|!", known + given):
        return False
    from math_verify import parse, verify

    try:
        left, right = (parse(f"${each.strip('$ ')}$", parsing_timeout=None) for each in (known, given))
        return bool(left and right and verify(left, right, timeout_seconds=None))
    except Exception:  # noqa: BLE001 - the library raises many kinds on text that is no mathematics
        return False


def chosen_option(output: str, options: list[str]) -> int | None:
    """Return the index of the option that an output names by letter or text; `None` for none or several.

    Example: chosen_option("B) Paris", ["Rome", "Paris"]) -> 1
    """
    exact = [at for at, option in enumerate(options) if folded(option) == folded(output)]
    if len(exact) == 1:
        return exact[0]
    boxed = _BOXED.findall(output)
    stated = boxed or _STATED.findall(output)
    text = stated[-1] if stated else output
    letter = None if _ARTICLE.match(text) or _SEVERAL.match(text) else _LETTER.match(text)
    by_letter = ord(letter.group(1).upper()) - ord("A") if letter else None
    words = f" {folded(text)} "
    named = [at for at, option in enumerate(options) if folded(option) and f" {folded(option)} " in words]
    whole = [at for at in named if not any(_inside(options[at], options[other]) for other in named if other != at)]
    named = [at for at in whole if not _denied(options[at], words)]
    if whole and not named:
        return None
    if len(named) == 1 and (
        by_letter is None or by_letter == named[0] or not letter or len(letter.group().strip()) < 2
    ):
        return named[0]
    if by_letter is not None and by_letter < len(options) and not named:
        return by_letter
    return by_letter if by_letter is not None and by_letter in named else None


def _denied(option: str, words: str) -> bool:
    """Tell whether a folded text names an option only to say that it is not the one."""
    mentions = len(re.findall(rf"(?= {re.escape(folded(option))} )", words))
    return 0 < mentions == len(re.findall(rf" {_DENIAL}(?= {re.escape(folded(option))} )", words))


def _inside(short: str, long: str) -> bool:
    return folded(short) != folded(long) and f" {folded(short)} " in f" {folded(long)} "


def _by_options(
    options: list[str], label: JsonValue, output: str, letters: list[str], *, named: bool
) -> Iterator[Finding]:
    """`letters` are the names that the options had in the task, where it gave them other ones than A, B, C.

    With `named` the label is a class's name, and the options may put it into other words ("thumbs up" for "positive").
    """
    chosen = recover(output, options, letters) if letters else chosen_option(output, options)
    if chosen is None:  # in a sentence of its own at the end, behind reasons
        last = output.rstrip().rpartition("\n")[2]
        chosen = recover(last, options, letters)
        if chosen is not None and _denied((letters or options)[chosen], f" {folded(last)} "):
            chosen = None
    if chosen is None:
        yield "not_an_option", {"output": snippet(output), "options": len(options)}
        return
    if label is None:
        return
    by_index = isinstance(label, int) and not isinstance(label, bool)  # true is a word here: "True", not option 1
    right = label if by_index else _index_of(str(label), options)
    if right is None and named:
        return
    if not isinstance(right, int) or not 0 <= right < len(options):
        yield "unreadable_label", {"label": snippet(str(label)), "options": len(options)}
    elif chosen != right:
        yield "wrong_option", {"given": snippet(options[chosen]), "label": snippet(str(label))}


def _index_of(label: str, options: list[str]) -> int | None:
    texts = [folded(option) for option in options]
    if folded(label) in texts:
        return texts.index(folded(label))
    letter = label.strip().upper()
    at = ord(letter) - ord("A") if len(letter) == 1 else -1
    return at if 0 <= at < len(options) else None
