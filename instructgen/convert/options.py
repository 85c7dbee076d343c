r"""Lists of possible answers, as a block under a question, and the way back from an answer to its label.

    Style("letters", "Options:", "({}) {}").block(["yes", "no"]) -> "\n\nOptions:\n(A) yes\n(B) no"
    recover("B", ["yes", "no"], letters=["A", "B"])             -> 1

Under lettered options the right answer is the letter; without, it is the words of the choice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar

from instructgen.filters.chosen import recover

__all__ = ["NO_OPTIONS", "STYLES", "Mode", "Order", "Style", "StyleDraw", "order_of", "pick", "recover", "reordered"]

T = TypeVar("T")
Mode = Literal["letters", "plain", "none"]


@dataclass(frozen=True)
class Style:
    """How a list of choices looks."""

    mode: Mode
    heading: str = ""
    form: str = "{}"
    """One item: `{}` twice for letter and words, once for words."""
    names: str = "A"
    """First of the item names: "A", "a" or "1"."""

    @property
    def lettered(self) -> bool:
        """True when an item has a name that stands for it."""
        return self.mode == "letters"

    def letters(self, count: int) -> list[str]:
        """Return the names of `count` items, without end: A, B, ..., Z, AA, AB, ..."""
        return [_name(self.names, number) for number in range(count)] if self.lettered else []

    def block(self, choices: Sequence[str]) -> str:
        """Return the block, which starts with a blank line; "" when this style shows no options."""
        if self.mode == "none":
            return ""
        if self.lettered:
            items = [self.form.format(*pair) for pair in zip(self.letters(len(choices)), choices, strict=True)]
        else:
            items = [self.form.format(choice) for choice in choices]
        return "\n\n" + "\n".join([self.heading, *items])


def _name(first: str, number: int) -> str:
    if first == "1":
        return str(number + 1)
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord(first) + rest) + name
    return name


NO_OPTIONS = Style("none")
STYLES: tuple[Style, ...] = (
    Style("letters", "Options:", "({}) {}"),
    Style("letters", "Choose one:", "{}) {}"),
    Style("letters", "Possible answers:", "{}. {}"),
    Style("letters", "Pick the letter of the right answer.", "[{}] {}"),
    Style("letters", "Choices:", "({}) {}", "a"),
    Style("letters", "Answer with the number of the right option.", "{}. {}", "1"),
    Style("plain", "Options:", "- {}"),
    Style("plain", "The answer is one of these:", "* {}"),
    Style("plain", "Choose from:", "- {}"),
    Style("plain", "Possible answers:", "{}"),
    NO_OPTIONS,
)
"""Our own wordings; FLAN used 16 headings with several item forms."""


class StyleDraw:
    """Draws a style a row: first the mode by weight, then evenly one of its styles.

    Example: StyleDraw({"letters": 1, "plain": 1, "none": 2}) leaves half of the rows without options.
    """

    def __init__(self, weights: dict[Mode, float]) -> None:
        modes: tuple[Mode, ...] = ("letters", "plain", "none")
        self.modes = [mode for mode in modes if weights.get(mode, 0) > 0]
        total = sum(weights[mode] for mode in self.modes)
        if not total:
            raise ValueError("options: all weights are 0; expected one above 0 of letters, plain, none")
        self.shares = [weights[mode] / total for mode in self.modes]
        self.by_mode = {mode: [style for style in STYLES if style.mode == mode] for mode in self.modes}

    def draw(self, rng: Random) -> Style:
        """Return a style; always two draws, so that the next row's do not depend on this one's."""
        mode = pick(self.modes, self.shares, rng.random())
        styles = self.by_mode[mode]
        return styles[int(rng.random() * len(styles))]


def pick(items: Sequence[T], shares: Sequence[float], at: float) -> T:
    """Return the item in whose share `at` (0 <= at < 1) falls."""
    for item, share in zip(items, shares, strict=True):
        at -= share
        if at < 0:
            return item
    return items[-1]


Order = tuple[int, ...]
"""Places of choices in the order in which a sample has them: (2, 0, 1) puts the third first."""
_SPEAKS_OF_OTHERS = re.compile(
    r"\b(?:all|none|both|neither|any|some|two) of (?:the )?(?:above|these|them|those|others?|following)\b"
    r"|\b(?:both|neither) \(?[a-e]\b|\b[a-e]\)? (?:and|or|&) \(?[a-e]\b",
    re.IGNORECASE,
)


def order_of(choices: Sequence[str], rng: Random) -> Order | None:
    """Return a drawn order (Fisher and Yates), or `None` where a choice speaks of the others: "none of the above"."""
    order = list(range(len(choices)))
    for last in range(len(order) - 1, 0, -1):
        at = int(rng.random() * (last + 1))
        order[at], order[last] = order[last], order[at]
    return None if any(map(_SPEAKS_OF_OTHERS.search, choices)) else tuple(order)


def reordered(items: Sequence[T], order: Order | None) -> Sequence[T]:
    """Return items in an order. Example: ["a", "b", "c"], (2, 0, 1) -> ["c", "a", "b"]."""
    return items if order is None else [items[place] for place in order]
