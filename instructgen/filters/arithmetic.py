"""Worked arithmetic inside a text, recomputed: "12 + 7 = 20" -> the text is wrong, it is 19.

Exact, with fractions; numbers are read with thousands commas, currency and percent marks. What stands on the right
may be rounded. Statements with letters in them (algebra, units in between) are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

_NUMBER = r"(?:[$€£]\s?)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?|(?:[$€£]\s?)?\.\d+%?"
_SIGNED = rf"[-−–]?[ ]?(?:{_NUMBER})"
_OPERATOR = r"[ ]*(?:\*\*|[+*/×÷·^−–-]|(?<=[\s\d)])x(?=[ ]*[\d($.]))[ ]*"
_OPERAND = rf"\(*[ ]?{_SIGNED}[ ]?\)*"
_BEFORE = r"\w)%=+*/×÷·^<>−–\-"
STATEMENT = re.compile(
    # Atomic groups: a space may end an operand or begin an operator, and trying both doubles the work per operand.
    rf"(?<![{_BEFORE}.,$€£])(?<![{_BEFORE}] )(?<!\d, )"
    rf"((?>{_OPERAND})(?:(?>{_OPERATOR})(?>{_OPERAND}))+)[ ]*(=|≈|is equal to|equals)[ ]*"
    rf"({_SIGNED}(?:/\d{{1,9}})?)(?![ ]?[\d,.]*\d)(?![ ]*(?:[+*/×÷·^(:]|[−–-][ ]?[\d(]|x[ ]?[\d(]))"
    rf"(?![ ]?(?:[rR]\b|remainder|mod\b))(?!\w)"
)
_SIGN = re.compile(r"(?:=|≈|is equal to|equals)(?=[ ]*+[-−–]?[ ]?(?:[$€£]\s?)?\.?\d)")
"""A sign with a number on its right; there is no statement without."""
_CALCULATED = re.compile(r"[+*/×÷·^−–x-]")
_WINDOW = 120
"""Characters before an equals sign in which its left side is looked for; a bound on the work per sign."""
_TOKEN = re.compile(rf"\s*({_NUMBER}|\*\*|[-−–+*/×÷·^x()])")
_SAME = {"×": "*", "·": "*", "x": "*", "÷": "/", "−": "-", "–": "-", "**": "^"}
_OTHER_RULES = re.compile(
    r"\b(?:binary|hex\w*|octal|base|modul\w+|mod|clock|boolean|bitwise|matrix|vectors?|logarithm\w*|riddle|joke|"
    r"puzzle)\b",
    re.IGNORECASE,
)
"""Words of tasks in which 1 + 1 may be 10."""
_MIXED = re.compile(r"\s*+([-−–]?)\s?(\d{1,9}) (\d{1,9}/\d{1,9})\s*+")
"""A mixed number: "3 1/2"."""
_HUGE = re.compile(r"[eE][+-]?\d{3}")
"""An exponent whose value would have hundreds of digits, or millions."""
_MAX_POWER = 64
_MAX_BITS = 1000
"""Size of a value beyond which nothing is recomputed: a few nested powers already make millions of digits."""


class Mistake(NamedTuple):
    """A statement that does not hold."""

    statement: str
    right: str
    """The value of its left side."""


def mistakes(text: str) -> Iterator[Mistake]:
    """Yield the arithmetic statements of a text that do not hold.

    Example: list(mistakes("So 12 + 7 = 20.")) -> [Mistake("12 + 7 = 20", "19")]
    """
    for found in statements(text):
        left = evaluate(found.group(1))
        right = number(found.group(3))
        if (
            left is None
            or right is None
            or _mark_of_full(found)
            or _agree(left, right, found.group(3), rough=found.group(2) == "≈")
        ):
            continue
        yield Mistake(found.group(0).strip(), _shown(left))


def _mark_of_full(found: re.Match[str]) -> bool:
    """Tell a result of so many out of so many from a fraction: on the left of one there are fractions."""
    return "/" in found.group(3) and "/" not in found.group(1)


def statements(text: str) -> Iterator[re.Match[str]]:
    """Yield what looks like a calculation with its result, each within one line."""
    if "=" not in text and "equal" not in text and "≈" not in text:
        return
    for line in text.splitlines():
        end = 0
        for sign in _SIGN.finditer(line):
            start = max(end, sign.start() - _WINDOW)
            left = line[start : sign.start()].rstrip(" ")
            if not left or not (left[-1].isdigit() or left[-1] in "%)") or not _CALCULATED.search(left):
                continue
            found = next(
                (each for each in STATEMENT.finditer(line, start, sign.end() + 40) if each.start(2) == sign.start()),
                None,
            )
            if found:
                yield found
                end = found.start(3)


def other_rules(instruction: str) -> bool:
    """Tell whether a task is about arithmetic of another kind (binary, modular)."""
    return _OTHER_RULES.search(instruction) is not None


def number(text: str) -> Fraction | None:
    """Return the value of a written number.

    Example: number("$1,250.50") -> Fraction(2501, 2)
    """
    mixed = _MIXED.fullmatch(text)
    if mixed:
        sign, whole, part = mixed.groups()
        share_of_one = number(part)
        return None if share_of_one is None else (int(whole) + share_of_one) * (-1 if sign else 1)
    plain = re.sub(r"[\s,$€£]", "", text).replace("−", "-").replace("–", "-")
    if _HUGE.search(plain):
        return None
    share = plain.endswith("%")
    try:
        value = Fraction(plain.rstrip("%"))
    except (ValueError, ZeroDivisionError):
        return None
    return value / 100 if share else value


def evaluate(expression: str) -> Fraction | None:
    """Return the exact value of numbers, + - * / ^ and brackets; `None` when it has none or is not well formed.

    Example: evaluate("2 x (3 + 4) / 7") -> Fraction(2, 1)
    """
    tokens = [_SAME.get(token, token) for token in _TOKEN.findall(expression)]
    if "".join(tokens).replace(" ", "") == "" or len(tokens) > 200:
        return None
    reader = _Reader(tokens)
    try:
        value = reader.sum()
    except (ValueError, ZeroDivisionError, IndexError, OverflowError):
        return None
    return value if reader.done and _bits(value) <= _MAX_BITS else None


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


class _Reader:
    """Recursive descent over tokens: sum, product, power, atom."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def done(self) -> bool:
        return self.at == len(self.tokens)

    def _next(self, *wanted: str) -> str:
        if not self.done and self.tokens[self.at] in wanted:
            self.at += 1
            return self.tokens[self.at - 1]
        return ""

    def sum(self) -> Fraction:
        value = self.product()
        while sign := self._next("+", "-"):
            other = self.product()
            value = value + other if sign == "+" else value - other
        return value

    def product(self) -> Fraction:
        value = self.power()
        while sign := self._next("*", "/"):
            other = self.power()
            value = value * other if sign == "*" else value / other
        return value

    def power(self) -> Fraction:
        if self._next("-"):
            return -self.power()
        base = self.atom()
        if self._next("^"):
            exponent = self.power()
            if exponent.denominator != 1 or abs(exponent) > _MAX_POWER or _bits(base) * abs(exponent) > 4 * _MAX_BITS:
                raise ValueError
            return Fraction(base ** int(exponent))
        return base

    def atom(self) -> Fraction:
        if self._next("("):
            value = self.sum()
            if not self._next(")"):
                raise ValueError
            return value
        value_or_none = number(self.tokens[self.at])
        if value_or_none is None:
            raise ValueError
        self.at += 1
        return value_or_none


def _agree(left: Fraction, right: Fraction, written: str, *, rough: bool) -> bool:
    """Compare exactly, or as far as the written decimals go; a percentage may be written for a ratio or alone."""
    if "/" in written:  # a fraction is exact, but for one that stands for an endless one
        return abs(left - right) <= abs(left) / 50
    candidates = {right, right * 100} if "%" in written else {right}
    decimals = len(written.rstrip("%").partition(".")[2])
    unit = Fraction(1, 10**decimals)
    for candidate in candidates:
        step = unit / 100 if "%" in written and candidate == right else unit
        difference = abs(left - candidate)
        # A rounded or cut result is off by less than one unit of its last decimal; no whole number is rounded.
        if difference == 0 or (difference < step and (decimals or left.denominator != 1)):
            return True
        if rough and difference <= abs(left) / 20:
            return True
    return False


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"
