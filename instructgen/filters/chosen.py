"""Which of several choices an answer names: by its letter, its very words, or as the one that a sentence holds.

recover("B", ["yes", "no"], letters=["A", "B"])   -> 1
recover("The answer is no.", ["yes", "no"])       -> 1
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def recover(answer: str, choices: Sequence[str], letters: Sequence[str] = ()) -> int | None:
    """Return which choice an answer names: the letter, the very words, or the one choice that occurs in a sentence.

    `None` when none or several could be meant. A choice within a longer one that also occurs there does not count.
    """
    names = list(letters) or list(choices)
    if names.count(answer) == 1:
        return names.index(answer)
    at = {number: _places(name, answer) for number, name in enumerate(names)}
    found = {number for number, places in at.items() if any(not _covered(place, number, at) for place in places)}
    return found.pop() if len(found) == 1 else None


def _places(words: str, text: str) -> list[tuple[int, int]]:
    pattern = r"(?<!\w)" + re.escape(words) + r"(?!\w)"
    return [match.span() for match in re.finditer(pattern, text)] if words else []


def _covered(place: tuple[int, int], number: int, at: dict[int, list[tuple[int, int]]]) -> bool:
    start, end = place
    return any(
        a <= start and end <= b and b - a > end - start
        for other, places in at.items() if other != number
        for a, b in places
    )  # fmt: skip
