"""Answers that stop before their end.

{"instruction": "Who won?", "output": "France won the World Cup, held in Russia in 20"}   ->  cut_at_stop
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, snippet

_DANGLING = re.compile(
    r"\s(?:the|an|and|or|but|nor|of|because|although|while|whereas|than|whose|such as|including|equal to|its|their|"
    r"his|our|your|my|every|"
    r"between|among|during|is|are|was|were|has|have|had|will|would|should|could|must|may|might|be|been|will be|a|"
    r"very|from \w+ to)$"
)
"""Words after which no sentence ends. Not `with`, `for`, `to`: "people to connect with"."""
_NEVER_LAST = re.compile(
    r"\bis equal to$|\b(?:value|answer|result|sum|product|total|number)(?: \w+){0,5}? (?:is|are)$|\d, (?:and|or)$"
)
"""Endings that are none even of a short line."""
_CUT_MARK = re.compile(r"[;(\[–—]$|\w-$|\d-$")
_LIST_MARK = re.compile(r"\s*(?:[-*•]|\d+[.)])\s")
_TITLE_LAST = re.compile(r"(?:,[^,]*,(?: and| or)?|\band) [A-Z]\w*(?: [\w']+){1,3} (?:be|been|was|were)$")
"""A list that ends in a title: "Yesterday, Help!, and Let it be"."""
_YEAR_CUT = re.compile(
    r"\b(?:in|of|since|by|until|till|to|from|on|for|year|during|before|after|around|early|late|mid|circa|"
    r"january|february|march|april|may|june|july|august|september|october|november|december|"
    r"(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?) 20$|"
    r"\b(?:\d{1,2}(?:st|nd|rd|th)|(?:january|february|march|april|may|june|july|august|september|october|november|"
    r"december|"
    r"(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?) \d{1,2}(?:st|nd|rd|th)?),? (?:20|1[5-9])$|\bfrom (?:19|"
    r"20)\d\d-20$|\bpp?\. ?\d+[-–]\d+, 20$",
    re.IGNORECASE,
)
"""A year that lost its last two digits: "20." and "16." stop at "2020." and "2016." alike, and leave the century."""
_CODE = re.compile(
    r"```|[{};]\s*$|^[^\S\n]*+(?:def|class|import|return|SELECT|function|var|let|const|#include|<\w+>)", re.MULTILINE
)


class Ending(RatedFilter):
    """Reject answers that were cut off: at a token limit, or by a stop string that also occurs in honest text.

    The released Alpaca code stopped at "20.", so "in 2019." survived and "in 2020." became "in 20".
    Example: "Add the eggs, the flour and the" -> truncated_output
    """

    reasons: ClassVar[dict[str, str]] = {
        "cut_at_stop": 'the answer ends in a year that lost two digits to a stop string such as "20."',
        "truncated_output": "the answer ends in the middle of a sentence",
    }
    ratings: ClassVar[dict[str, Rating]] = {}

    kind: Literal["ending"] = "ending"
    min_words: int = Field(default=8, ge=1, description="words that the last line needs to be asked to be a sentence")

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield the one sign of a cut."""
        text = (exchange.output or "").rstrip()
        if not text or text[-1] in ".!?\"'”’`}>*_…":
            return
        tail = text[-60:]
        if text[-1].isdigit():
            if _YEAR_CUT.search(tail):
                yield "cut_at_stop", {"tail": snippet(tail)}
            return
        last_line = text[text.rfind("\n") + 1 :]
        if _NEVER_LAST.search(last_line):
            yield "truncated_output", {"tail": snippet(tail)}
            return
        if len(last_line.split()) < self.min_words or _CODE.search(text):
            return
        dangles = _DANGLING.search(last_line) and not _LIST_MARK.match(last_line) and not _TITLE_LAST.search(last_line)
        if _CUT_MARK.search(last_line) or dangles:
            yield "truncated_output", {"tail": snippet(tail)}
