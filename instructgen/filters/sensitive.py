"""What finders of sensitive passages share: spans, and what is done about them: drop, redact, flag or nothing.

    {"kind": "pii", "act": {"email": "redact", "phone": "off"}}

A finder yields (kind, start, end) in a text. `drop` rejects the sample, `redact` writes [EMAIL] in the place of what
was found, `flag` notes the kinds and counts in the provenance. What was found is never quoted in evidence or notes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, field_validator

from instructgen.errors import RecipeError, suggestion
from instructgen.filters import Filter, Tools, Verdict
from instructgen.records import Sample, Turn

Action = Literal["drop", "redact", "flag", "off"]


class Span(NamedTuple):
    """A passage of a text."""

    kind: str
    start: int
    end: int


class Sensitive(Filter):
    """A filter on passages. Subclasses set `reasons` (one a kind), `actions` and write `spans`."""

    actions: ClassVar[dict[str, Action]] = {}
    """Kind -> what is done unless the option `act` says otherwise."""

    act: dict[str, Action] = Field(default={}, description="kind -> drop, redact, flag or off, in place of its default")

    @field_validator("act")
    @classmethod
    def _known_kinds(cls, act: dict[str, Action]) -> dict[str, Action]:
        for kind in act:
            if kind not in cls.reasons:
                raise ValueError(f"{kind!r} is not a kind of this filter{suggestion(kind, cls.reasons)}")
        return act

    def prepare(self, tools: Tools) -> Self:
        """Return a copy. Raises: RecipeError when something is to be redacted where rows are kept as they are."""
        redacted = [kind for kind in self.reasons if self.action(kind) == "redact"]
        if redacted and not tools.rewrites:
            raise RecipeError(
                f"filter {self.kind!r} is to redact {', '.join(redacted)}, and this command keeps rows as they are; "
                "say drop or flag, or redact from Python with `rewrite`"
            )
        return super().prepare(tools)

    @abstractmethod
    def spans(self, text: str) -> Iterator[Span]:
        """Yield what is found in a text, in no order; overlaps are allowed."""

    def action(self, kind: str) -> Action:
        """Return what is done about a kind."""
        return self.act.get(kind) or self.actions.get(kind, "drop")

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Return the first kind that is to be dropped; evidence says where, not what."""
        for place, text in texts(sample):
            for span in self.spans(text):
                if self.action(span.kind) == "drop":
                    return sample.rejected(
                        span.kind, self.stage, place=place, start=span.start, length=span.end - span.start
                    )
        return None

    def flags(self, sample: Sample) -> dict[str, Any]:
        """Return kind -> count of what is flagged."""
        found = Counter(
            span.kind for _, text in texts(sample) for span in self.spans(text) if self.action(span.kind) == "flag"
        )
        return dict(sorted(found.items()))

    def rewrite(self, sample: Sample) -> Sample:
        """Return the sample with what is to be redacted written over; the same object if there is nothing."""
        return rewritten(sample, self.redacted)

    def redacted(self, text: str) -> str:
        """Return a text with [KIND] in the place of what is to be redacted.

        Example: redacted("Write to ann@firm.com") -> "Write to [EMAIL]" where `email` is redacted
        """
        end, parts = len(text), []
        for span in sorted(self.spans(text), key=lambda each: (-each.start, each.end)):
            if self.action(span.kind) == "redact" and span.end <= end:
                parts += [text[span.end : end], f"[{span.kind.upper()}]"]
                end = span.start
        return text[:end] + "".join(reversed(parts)) if parts else text


def texts(sample: Sample) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of everything that a sample says, other answers included."""
    for number, turn in enumerate(sample.turns):
        yield f"turn {number}", turn.content
        if turn.input:
            yield f"input {number}", turn.input
    for number, answer in enumerate(sample.answers):
        for turn in answer.turns:
            yield f"answer {number}", turn.content


def rewritten(sample: Sample, change: Callable[[str], str]) -> Sample:
    """Return a sample with every text changed; a changed one gets the id of its new content."""
    turns = tuple(_turn(turn, change) for turn in sample.turns)
    answers = tuple(
        answer.model_copy(update={"turns": tuple(_turn(turn, change) for turn in answer.turns)})
        for answer in sample.answers
    )
    if turns == sample.turns and answers == sample.answers:
        return sample
    changed: Sample = sample.model_copy(update={"turns": turns, "answers": answers})
    return changed.model_copy(update={"id": changed.content_id()})


def _turn(turn: Turn, change: Callable[[str], str]) -> Turn:
    return turn.model_copy(update={"content": change(turn.content), "input": change(turn.input)})
