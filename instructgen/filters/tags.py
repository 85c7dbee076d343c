"""Open tags on what a task asks for, by a teacher (InsTag).

    {"kind": "tags"}   ->   notes {"tags": ["creative writing", "poetry"], "count": 2}

The number of tags stands for complexity, the tags of a set together for its diversity: `select` with strategy `tags`.
"""

from __future__ import annotations

import json
import re
from random import Random
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from instructgen.filters import Filter, JudgeFlow
from instructgen.filters.judge import unguessable
from instructgen.filters.selection import normal_tag
from instructgen.generators.structured import unfenced
from instructgen.records import Completion, Params, Request, Sample, SlotBound, Stage

_SCHEMA = {
    "type": "object",
    "properties": {"tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["tags"],
    "additionalProperties": False,
}


class Tags(Filter):
    """Ask a teacher for tags of the task and note them; reject only what cannot be read.

    Example: '{"tags": ["Creative-Writings", "Poetry"]}' -> ["creative writing", "poetry"]
    """

    stage: ClassVar[Stage] = "judge"
    judge: ClassVar[bool] = True
    reasons: ClassVar[dict[str, str]] = {
        "unreadable_tags": "the reply is no list of tags",
        "too_few_tags": "the task has fewer tags than asked for",
    }

    kind: Literal["tags"] = "tags"
    min_tags: int = Field(default=1, ge=0, description="tags that a kept sample has")
    max_tags: PositiveInt = Field(default=12, description="tags beyond this many are not noted")
    max_bytes: PositiveInt = Field(default=8_000, description="UTF-8 bytes of the task that the teacher reads")
    max_tokens: PositiveInt = Field(default=200, description="output tokens of a reply")
    structured: bool = Field(default=True, description="ask for JSON by schema; a JSON list in plain text is read too")

    def prompt_names(self) -> tuple[str, ...]:
        """Return the one template."""
        return ("judge.tags",)

    def slot_bound(self) -> SlotBound:
        """Return the most that tagging one sample may take."""
        return SlotBound(requests=1, prompt_tokens=self.max_bytes + 6_000, completion_tokens=self.max_tokens)

    def flow(self, sample: Sample, rng: Random) -> JudgeFlow:
        """Ask for tags."""
        text = "\n\n".join(turn.text for turn in sample.turns if turn.role == "user")
        raw = text.encode()
        task = text if len(raw) <= self.max_bytes else raw[: self.max_bytes].decode(errors="ignore") + " […]"
        reply: Completion = yield Request.from_prompt(
            "judge.tags",
            params=Params(temperature=0.0, max_tokens=self.max_tokens),
            schema=_SCHEMA if self.structured else None,  # type: ignore[arg-type]
            task=task,
            mark=unguessable(task),
        )
        tags = read_tags(reply.text)
        if tags is None:
            return sample.rejected("unreadable_tags", self.stage, reply=re.sub(r"\s+", " ", reply.content)[:200])
        if len(tags) < self.min_tags:
            return sample.rejected("too_few_tags", self.stage, tags=len(tags))
        return {"tags": tags[: self.max_tags], "count": len(tags)}


def read_tags(text: str) -> list[str] | None:
    """Return the tags of a reply in one spelling, each once; `None` when it is no list of texts.

    Example: read_tags('["Poetry", {"tag": "Rhymes"}]') -> ["poetry", "rhyme"]
    """
    body = unfenced(text)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    given = value.get("tags") if isinstance(value, dict) else value
    if not isinstance(given, list):
        return None
    named = [each.get("tag") if isinstance(each, dict) else each for each in given]
    if not all(isinstance(each, str) for each in named):
        return None
    return [tag for tag in dict.fromkeys(normal_tag(str(each)) for each in named) if tag]
