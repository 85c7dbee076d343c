r"""Whether a list is in alphabetical order, as people write lists: marked lines, plain lines, or a line with commas.

"Here you are:\n1. iceberg\n2. ice cream"   ->   in order, letter by letter
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

_HEADING = re.compile(r"\A[^\n]*:[*_ \t]*\n+(?=\S)")
"""A first line that only says what follows."""


def without_heading(text: str) -> str:
    """Return a text without a first line that ends in a colon."""
    return _HEADING.sub("", text)


def out_of_order(answer: str) -> str:
    r"""Return the first entry that stands too late, "" when the order holds in any of the usual ways of sorting.

    Example: out_of_order("- b\n- a") -> "a"
    """
    entries = _entries(answer)
    found = [_first_wrong(list(map(key, entries)), entries) for key in (_by_word, _by_letter, _by_name)]
    return "" if "" in found else found[0]


def _entries(answer: str) -> list[str]:
    """Return the entries of a list: its marked lines, else its lines without heading, else what its commas separate."""
    text = answer.strip()
    marked = [found.group(1).strip() for found in _ENTRY.finditer(text)]
    full = [line.strip() for line in without_heading(text).splitlines() if line.strip()]
    entries = marked if len(marked) > 1 else full
    if len(entries) == 1:
        line = entries[0].rsplit(":", 1)[-1]
        said = re.sub(r"^.*\b(?:are|is)\s", "", line) if "," in line else line
        entries = re.split(r"[,;]\s*(?:and |or |& )?", said)
        if len(entries) == 1 and len(line.split()) <= 2:
            entries = line.split()
    return [entry.strip(" .[]'\"*") for entry in entries if entry.strip(" .[]'\"*")]


_ENTRY = re.compile(r"^[^\S\n]*(?:[-*•]|\(?(?:\d+|[A-Za-z])[.)])\s+(\S[^\n]*)", re.MULTILINE)


def _by_word(entry: str) -> str:
    plain = unicodedata.normalize("NFKD", entry.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def _by_letter(entry: str) -> str:
    return re.sub(r"[\W_]", "", _by_word(entry))


def _by_name(entry: str) -> str:
    return re.sub(r"^(?:the|an?) ", "", _by_word(entry))


def _first_wrong(keys: list[str], entries: list[str]) -> str:
    return next((entries[at + 1] for at, (before, after) in enumerate(pairwise(keys)) if before > after), "")
