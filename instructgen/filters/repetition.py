"""Answers that got stuck.

{"instruction": "Describe rain.", "output": "It is wet. It is wet. It is wet. It is wet. It is wet."}   ->  loop
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from operator import eq
from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, any_of, snippet

_REPEATS = any_of(
    r"songs?|lyrics|repeat\w*|chants?|poems?|carols?|tunes?|melod(?:y|ies)|chorus|times|mantra|music\w*|"
    r"tables?|html|patterns?"
)
"""Tasks whose right answer may repeat itself."""
_DRAWN = frozenset(" \t\n_=*#.~|+/\\<>─━═█░▓·•…-0123456789")
"""Characters that people repeat on purpose: rules, dots, digits."""
_RUN = 20
"""Equal characters at a place divisible by as much: any run of twice as many has such a block."""


class Repetition(RatedFilter):
    """Reject answers in which the same words come again and again.

    Example: "very very very very very very good" -> loop
    """

    reasons: ClassVar[dict[str, str]] = {
        "loop": "the same words stand several times directly in a row",
        "repeated_ngrams": "most word n-grams of a long answer occur more than once",
        "repeated_lines": "most lines of an answer are the same as another line",
    }
    ratings: ClassVar[dict[str, Rating]] = {"repeated_ngrams": "flag", "repeated_lines": "flag"}

    kind: Literal["repetition"] = "repetition"
    min_loops: int = Field(default=4, ge=2, description="times that 1 to 20 words must stand in a row")
    min_loop_words: int = Field(default=10, ge=2, description="words that such a run must hold in all")
    ngram: int = Field(default=4, ge=2, description="words of an n-gram")
    max_repeated: float = Field(default=0.4, ge=0, le=1, description="share of n-grams or lines that may be repeats")
    min_words: int = Field(default=40, ge=1, description="words of an answer from which n-grams are counted")

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield loops first, then shares of repeats."""
        output = exchange.output or ""
        if (stuck := _stuck(output)) and not _REPEATS.search(exchange.instruction):
            yield "loop", {"words": stuck, "period": 1}
            return
        words = output.split()
        if len(words) < self.min_loop_words:
            return
        found = self._loop(words)
        if found and not _REPEATS.search(exchange.instruction):
            yield "loop", found
            return
        # A text has at most 3 more distinct words than distinct n-grams of 4: most texts need not be cut into n-grams.
        most = (1 - self.max_repeated) * (len(words) - self.ngram + 1) + self.ngram - 1
        if len(words) >= self.min_words and len(set(words)) <= most:
            grams = list(zip(*(words[i:] for i in range(self.ngram)), strict=False))
            share = 1 - len(set(grams)) / len(grams)
            if share > self.max_repeated:
                yield "repeated_ngrams", {"share": round(share, 3)}
        lines = [line.strip() for line in output.splitlines() if len(line.split()) > 2]
        if len(lines) >= self.min_loops:
            share = 1 - len(set(lines)) / len(lines)
            if share > self.max_repeated:
                yield "repeated_lines", {"share": round(share, 3)}

    def _loop(self, words: list[str]) -> dict[str, JsonValue] | None:
        """Return the first run of equal words with a period of 1 to 20 words that is long enough.

        A period p stands k times in a row where p * (k - 1) words in a row equal the one p places before.
        """
        count = len(words)
        repeats = self.min_loop_words * (self.min_loops - 1) // self.min_loops - 1
        if count - 1 - len(set(pairwise(words))) < repeats:  # too few word pairs again for any loop
            return None
        prose = {word for word in set(words) if _is_prose(word)}
        for period in range(1, min(20, count // self.min_loops) + 1):
            wanted = max(period * (self.min_loops - 1), self.min_loop_words - period)
            if sum(map(eq, words[period:], words)) < wanted:  # too few equal words at this distance, in a row or not
                continue
            run = 0
            spoken = -1
            for at in range(count):
                spoken = at if words[at] in prose else spoken
                run = run + 1 if at >= period and words[at] == words[at - period] else 0
                if run >= wanted and spoken > at - period:
                    said = " ".join(words[at - period + 1 : at + 1])
                    return {"words": snippet(said), "period": period, "run": run + period}
        return None


def _stuck(text: str) -> str:
    """Return a letter or mark that stands some forty times in a row, or ""."""
    for at in range(0, len(text) - _RUN + 1, _RUN):
        one = text[at]
        if text[at + 1] == one and one not in _DRAWN and text[at : at + 2 * _RUN - 1] == one * (2 * _RUN - 1):
            return one
    return ""


def _is_prose(word: str) -> bool:
    """Tell words from table rules, digits and mark-up, which repeat by nature; of two letters: "ha", "no"."""
    plain = word.strip(".,;:!?\"'")
    return plain.isalpha() and (len(word) > 2 or (len(plain) == 2 and plain[1] in "aeo"))
