"""What the content validators share: exchanges of a sample, and reasons that are dropped, flagged or switched off.

    {"kind": "refusal", "rate": {"knowledge_date": "off"}}

A rated filter finds defects; the rating of a defect's reason decides what follows. `drop` rejects the sample, `flag`
leaves a note in its provenance under the filter's kind, `off` ignores it. Each reason has a default rating, set by
its measured precision: below 0.9 it is a flag.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, JsonValue, field_validator

from instructgen.errors import suggestion
from instructgen.filters import Filter, Verdict
from instructgen.records import Sample

Rating = Literal["drop", "flag", "off"]
Finding = tuple[str, dict[str, JsonValue]]
_SEPARATORS = re.compile(r"[\W_]+")
SNIPPET = 80
"""Characters of text that evidence quotes at most."""


class Exchange(NamedTuple):
    """A user turn and the assistant's answer to it; a draft has no answer yet."""

    instruction: str
    input: str
    output: str | None
    number: int
    """0, 1, ... within the conversation."""


def exchanges(sample: Sample) -> list[Exchange]:
    """Return each user turn with the last assistant text that follows before the next user turn.

    A user turn without any text after it has output `None`; tool turns and calls in between are skipped.
    Example: exchanges(Sample.single("Add.", input="1 2", output="3")) -> [Exchange("Add.", "1 2", "3", 0)]
    """
    found: list[Exchange] = []
    asked = None
    answer: str | None = None
    for turn in sample.turns:
        if turn.role == "user":
            if asked is not None:
                found.append(Exchange(asked.content, asked.input, answer, len(found)))
            asked, answer = turn, None
        elif turn.role == "assistant" and asked is not None and not (turn.tool_calls and not turn.content):
            answer = turn.content
    if asked is not None:
        found.append(Exchange(asked.content, asked.input, answer, len(found)))
    return found


def labels_of(sample: Sample) -> dict[str, JsonValue]:
    """Return the sample's labels; a row of an ordinary file may hold them as an object in a column `labels`.

    Example: {"instruction": ..., "output": ..., "labels": {"tests": "assert f(1) == 2"}} -> {"tests": ...}
    """
    column = sample.extra.get("labels")
    return {**column, **sample.labels} if isinstance(column, dict) else sample.labels


def snippet(text: str, at: int = 0) -> str:
    r"""Return a quotable piece of a text from a position on, line breaks made visible.

    Example: snippet("one\ntwo") -> "one⏎two"
    """
    return text[at : at + SNIPPET].replace("\n", "⏎")


def any_of(*words: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    """Compile alternatives, each a regular expression of whole words, into one pattern.

    Example: any_of("no", "not? a").search("It is not a cat")
    """
    return re.compile(rf"\b(?:{'|'.join(words)})\b", flags)


class RatedFilter(Filter):
    """A filter whose reasons are each rated drop, flag or off.

    Subclasses set `reasons` and `ratings`, and write `find`.
    """

    ratings: ClassVar[dict[str, Rating]] = {}
    """Reason -> what happens unless the option `rate` says otherwise."""

    rate: dict[str, Rating] = Field(
        default={}, description="reason -> drop, flag or off, in place of its default rating"
    )

    @field_validator("rate")
    @classmethod
    def _known_reasons(cls, rate: dict[str, Rating]) -> dict[str, Rating]:
        for reason in rate:
            if reason not in cls.reasons:
                raise ValueError(f"{reason!r} is not a reason of this filter{suggestion(reason, cls.reasons)}")
        return rate

    def rating(self, reason: str) -> Rating:
        """Return what happens to a sample for this reason."""
        return self.rate.get(reason) or self.ratings.get(reason, "drop")

    @abstractmethod
    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield the defects of one exchange as (reason, evidence), surest first."""

    def find_in(self, sample: Sample) -> Iterator[Finding]:
        """Yield the defects of a whole sample; in longer conversations evidence names the exchange."""
        rounds = exchanges(sample)
        for exchange in rounds:
            for reason, evidence in self.find(exchange):
                yield reason, (evidence if len(rounds) == 1 else {**evidence, "exchange": exchange.number})

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Return the first defect rated `drop`."""
        for reason, evidence in self.find_in(sample):
            if self.rating(reason) == "drop":
                return sample.rejected(reason, self.stage, **evidence)
        return None

    def flags(self, sample: Sample) -> dict[str, Any]:
        """Return the defects rated `flag`: reason -> evidence of the first one."""
        noted: dict[str, Any] = {}
        if all(self.rating(reason) != "flag" for reason in self.reasons):  # then there is nothing to look for
            return noted
        for reason, evidence in self.find_in(sample):
            if self.rating(reason) == "flag":
                noted.setdefault(reason, evidence)
        return noted


def folded(text: str) -> str:
    """Return letters and digits only, single-spaced and case-folded: what two spellings of one text share.

    Example: folded(" <No input>. ") -> "no input"
    """
    return _SEPARATORS.sub(" ", text).strip().casefold()
