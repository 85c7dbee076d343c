"""Is it a well-formed conversation at all? The first question to every sample.

    [system,] user, assistant [, user, assistant] ...          tool turns between an assistant's calls and its answer
    [{"role": "user", "content": "Hi"}]                        -> ends_without_answer

The conversation is a Pydantic model; what its validation says becomes a countable reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from instructgen.filters import Filter, Verdict
from instructgen.records import Answer, Sample, Stage, Turn

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Unicode category Cc, except tab, line feed and carriage return."""


def _wrong(reason: str, **evidence: Any) -> PydanticCustomError:
    return PydanticCustomError(reason, "{reason}", {"reason": reason, **evidence})


def _well_formed(turn: Turn, info: ValidationInfo) -> Turn:
    """Check one turn by itself: not empty, not too long, no control characters."""
    if not turn.tool_calls and not turn.content.strip() and not turn.input.strip():
        reasons = {"user": "empty_user_turn", "assistant": "empty_answer", "system": "empty_system"}
        if turn.role in reasons:  # a tool may return nothing
            raise _wrong(reasons[turn.role])
    limit, size = info.context["max_turn_chars"] if info.context else 0, len(turn.content) + len(turn.input)
    if limit and size > limit:
        raise _wrong("turn_too_long", characters=size, maximum=limit)
    for field in ("content", "input", "name"):
        found = CONTROL.search(getattr(turn, field))
        if found:
            code = f"U+{ord(found.group()):04X}"
            raise _wrong("control_character", field=field, character=code, position=found.start())
    return turn


def _in_order(turns: tuple[Turn, ...], info: ValidationInfo) -> tuple[Turn, ...]:
    """Check that the turns follow each other as a conversation does."""
    limit = info.context["max_turns"] if info.context else 0
    if limit and len(turns) > limit:
        raise _wrong("too_many_turns", turns=len(turns), maximum=limit)
    before: Turn | None = None
    for number, turn in enumerate(turns):
        _follows(before, turn, number)
        before = turn
    if before is None or before.role != "assistant":
        raise _wrong("ends_without_answer", last=before.role if before else "nothing")
    return turns


_MAY_FOLLOW = {
    "nothing": ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user",),
    "calls": ("tool",),  # an assistant turn that calls tools
    "tool": ("tool", "assistant"),
}


def _follows(before: Turn | None, turn: Turn, number: int) -> None:
    state = "nothing" if before is None else "calls" if before.tool_calls else before.role
    if turn.role in _MAY_FOLLOW[state]:
        return
    if turn.role == "system":
        raise _wrong("system_not_first", turn=number)
    if turn.role == "tool":
        raise _wrong("tool_without_call", turn=number, after=state)
    if state == "calls":
        raise _wrong("call_without_result", turn=number, found=turn.role)
    raise _wrong("roles_do_not_alternate", turn=number, after=state, found=turn.role)


CheckedTurn = Annotated[Turn, AfterValidator(_well_formed)]


class Conversation(BaseModel):
    """A conversation that can be trained on. Validation context: `max_turn_chars`, `max_turns` (no limit without)."""

    model_config = ConfigDict(frozen=True)

    turns: Annotated[tuple[CheckedTurn, ...], AfterValidator(_in_order)]
    answers: tuple[tuple[CheckedTurn, ...], ...] = ()
    """The turns of the alternative answers; each is checked by itself."""


class Shape(Filter):
    """Reject what is no well-formed conversation: roles, empty turns, control characters, sizes.

    Example: a user turn without an answer -> ends_without_answer (last="user")
    """

    stage: ClassVar[Stage] = "validate"
    reasons: ClassVar[dict[str, str]] = {
        "ends_without_answer": "there is no turn, or the last one is not the assistant's",
        "system_not_first": "a system turn stands behind other turns",
        "roles_do_not_alternate": "user and assistant do not take turns",
        "tool_without_call": "a tool turn that no assistant turn called for",
        "call_without_result": "a tool was called, and no tool turn follows before the next speaker",
        "empty_user_turn": "a user turn of white space",
        "empty_answer": "an assistant turn of white space that calls no tool",
        "empty_system": "a system turn of white space",
        "control_character": "a character of Unicode category Cc other than tab, line feed, carriage return",
        "turn_too_long": "more characters in a turn than max_turn_chars",
        "too_many_turns": "more turns than max_turns",
    }

    kind: Literal["shape"] = "shape"
    max_turn_chars: PositiveInt = Field(default=200_000, description="most characters in one turn, input included")
    max_turns: PositiveInt = Field(default=1_000, description="most turns, system and tool turns included")

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Return the first thing wrong with the conversation, and where it is."""
        limits = {"max_turn_chars": self.max_turn_chars, "max_turns": self.max_turns}
        try:
            Conversation.model_validate(
                {"turns": sample.turns, "answers": _alternatives(sample.answers)}, context=limits
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            evidence = {key: value for key, value in first.get("ctx", {}).items() if key != "reason"}
            where = ".".join(str(part) for part in first["loc"])
            return sample.rejected(first["type"], stage=self.stage, where=where, **evidence)
        return None


def _alternatives(answers: Sequence[Answer]) -> tuple[tuple[Turn, ...], ...]:
    return tuple(answer.turns for answer in answers)
