"""Which language a text is in, and a filter on it.

{"kind": "language", "allow": ["en", "de"]}
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field

from instructgen.errors import RecipeError
from instructgen.filters import Filter, Tools, Verdict
from instructgen.filters.rated import exchanges
from instructgen.records import Sample

_CODE_SIGN = re.compile(r"[{}=<>|;_\\]|\w\(|://|:\s*$")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class Detected(NamedTuple):
    """A language (ISO 639-1) and the detector's share of belief in it, 0..1."""

    language: str
    confidence: float


@cache
def _ranker() -> Callable[[str], list[tuple[str, float]]] | None:
    """Return py3langid's ranking function, or `None` when the package is not installed."""
    try:
        from py3langid import rank
    except ImportError:
        return None
    return rank  # type: ignore[no-any-return]


@lru_cache(maxsize=2_048)  # `check` and `flags` ask about the same texts, a batch apart
def detect(text: str) -> Detected | None:
    """Return the likeliest language of a text; `None` without letters or without py3langid.

    The detector gives a log probability per language; they are normalised over all languages. On texts below some
    20 characters it guesses with confidence, so callers ask for a length too.
    Example: detect("Das ist ein deutscher Satz.").language -> "de"
    """
    rank = _ranker()
    if rank is None or not any(letter.isalpha() for letter in text[:200]):
        return None
    scores = [(name, score) for name, score in rank(text[:2_000]) if name != "zxx"]  # its class for "no language"
    best = scores[0][1]
    total = sum(math.exp(score - best) for _, score in scores)
    return Detected(scores[0][0], 1 / total)


def prose(text: str) -> str:
    r"""Return the lines of running text: what a detector can be asked about.

    Names, lists of words, code and tables make it speak with confidence and at random. A line of running text has no
    signs of code, at least six words and most of them in lower case; in scripts without case, at least ten letters.
    Example: prose("1. Tiger\n2. Elephant") -> ""
    """
    return "\n".join(line for line in text[:4_000].splitlines() if len(line) >= 10 and _is_running(line))


def _is_running(line: str) -> bool:
    if _CODE_SIGN.search(line):
        return False
    if line.lower() == line.upper():  # no letters with case
        return sum(letter.isalpha() for letter in line) >= 10
    words = _WORD.findall(line)
    small = sum(word[0].islower() for word in words)
    return len(words) >= 6 and small * 3 >= len(words) * 2 and line.count(",") * 3 <= len(words)


class Language(Filter):
    """Reject answers in another language than the allowed ones.

    Needs the extra `safety` (py3langid, with its model inside the package).
    Example: allow=["en"], output="Das ist ein deutscher Satz." -> other_language
    """

    reasons: ClassVar[dict[str, str]] = {
        "other_language": "an answer is, with enough confidence, in a language that is not allowed",
        "mixed_languages": "an answer is in another language than its instruction, which asks for none",
    }

    kind: Literal["language"] = "language"
    allow: tuple[str, ...] = Field(
        default=("en",), description="languages that answers may be in, ISO 639-1; empty = any"
    )
    same_as_instruction: bool = Field(
        default=False, description="answers must be in the instruction's language unless it names a language"
    )
    min_confidence: float = Field(default=0.95, ge=0, le=1, description="below this the detector's word is not taken")
    min_characters: int = Field(default=60, ge=1, description="with less running text nothing is judged")

    def prepare(self, tools: Tools) -> Self:
        """Return a copy. Raises: RecipeError when py3langid is not installed."""
        if _ranker() is None:
            raise RecipeError(
                "filter 'language' needs py3langid, which is not installed: pip install 'instructgen[safety]'"
            )
        return super().prepare(tools)

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Return the first answer in a wrong language."""
        for exchange in exchanges(sample):
            found = self._sure(exchange.output or "")
            if found is None:
                continue
            evidence: dict[str, Any] = {"language": found.language, "confidence": round(found.confidence, 3)}
            if self.allow and found.language not in self.allow:
                return sample.rejected("other_language", **evidence)
            asked = self._sure(exchange.instruction) if self.same_as_instruction else None
            if asked and asked.language != found.language and not _names_language(exchange.instruction):
                return sample.rejected("mixed_languages", asked=asked.language, **evidence)
        return None

    def flags(self, sample: Sample) -> dict[str, Any]:
        """Return the language of the last answer, when sure."""
        rounds = exchanges(sample)
        found = self._sure((rounds[-1].output or "") if rounds else "")
        return {"language": found.language, "confidence": round(found.confidence, 3)} if found else {}

    def _sure(self, text: str) -> Detected | None:
        running = prose(text) if len(text) >= self.min_characters else ""
        if len(running) < self.min_characters:
            return None
        found = detect(running)
        return found if found and found.confidence >= self.min_confidence else None


def _names_language(instruction: str) -> bool:
    from instructgen.filters.characters import ASKS_LANGUAGE

    return ASKS_LANGUAGE.search(instruction) is not None
