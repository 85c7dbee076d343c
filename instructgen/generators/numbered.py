r"""Numbered lists: the ideas in a reply that goes on with `9.`.

    "Name a river.\n10. Sort the list: 3, 1, 2\n11. **Tell a joke.**"
    -> ["Name a river.", "Sort the list: 3, 1, 2", "Tell a joke."]

A chat model may greet first, count from 1 again, use bold print, or say goodbye; a base model just goes on.
"""

from __future__ import annotations

import re
from itertools import pairwise

from instructgen.generators import Fidelity
from instructgen.generators.instances import Leftover
from instructgen.generators.shots import folded

_RELEASED = re.compile(r"\n\d+\s?\. ")
_NUMBER = re.compile(
    r"^[ \t#>*-]*+(?:(?:task|instruction)[ \t]++)?(?P<n>\d{1,3})[ \t]?[.):](?!\d)\**+[ \t]*+",
    re.MULTILINE | re.IGNORECASE,
)
_BOLD = re.compile(r"\*\*([^*]++)\*\*")


def read_numbered(text: str, first: int, fidelity: Fidelity = "fixed") -> tuple[list[str], list[Leftover]]:
    """Return the ideas of a reply whose prompt ended in the number `first`, and what is no idea.

    `fixed` takes a number at the beginning of a line as the next idea's, unless it is below where the list began: then
    it counts steps inside an idea. Every word of the text is in an idea or a leftover. `as_released` and `paper` split
    where the released code does, and lower-case all but the first letter (Python's `capitalize`) in `as_released`.
    """
    if fidelity == "fixed":
        return _fixed(text, first)
    pieces = filter(None, map(folded, _RELEASED.split(text)))
    return [piece.capitalize() if fidelity == "as_released" else _capital(piece) for piece in pieces], []


def _fixed(text: str, first: int) -> tuple[list[str], list[Leftover]]:
    numbers = _boundaries(text, first)
    if not numbers:
        idea = _idea(text)
        return [idea] if idea else [], []
    pieces, leftovers = [], []
    before = text[: numbers[0].start()]
    if int(numbers[0]["n"]) in (1, first):  # the list begins here: what stands before it is talk
        leftovers += [Leftover("preamble", before.strip())] if before.strip() else []
    else:
        pieces.append(before)
    pieces += [text[one.end() : other.start()] for one, other in pairwise(numbers)]
    last, _, after = text[numbers[-1].end() :].lstrip().partition("\n\n")
    pieces.append(last)
    leftovers += [Leftover("after_list", after.strip())] if after.strip() else []
    return [idea for idea in map(_idea, pieces) if idea], leftovers


def _boundaries(text: str, first: int) -> list[re.Match[str]]:
    """Return the numbers that begin an idea: those from `first` on, or all where the teacher began anew at 1."""
    numbers = list(_NUMBER.finditer(text))
    if not numbers or int(numbers[0]["n"]) >= first:
        return [found for found in numbers if int(found["n"]) >= first]
    # 1, 2, 10: steps inside the idea `first`, then the next idea. 1, 2, 3: the teacher's own count.
    jumps = any(int(a["n"]) + 1 != int(b["n"]) in (first, first + 1) for a, b in pairwise(numbers))
    return [found for found in numbers if int(found["n"]) >= first] if jumps else numbers


def _idea(piece: str) -> str:
    text = folded(piece)
    if text.count("**") == 1:  # its partner stood before the number: **9. Name a river.**
        text = text.removesuffix("**")
    bold = _BOLD.fullmatch(text)
    return _capital(bold[1].strip() if bold else text)


def _capital(idea: str) -> str:
    """Return the idea with a capital first letter, the rest as it is: names and code keep their case."""
    return idea[:1].upper() + idea[1:]
