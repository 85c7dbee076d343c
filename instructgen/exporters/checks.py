"""What trainers stumble over, counted at export with the numbers of the first rows.

    checks = Checks(count_tokens, context=2048, special=("<|im_end|>",))
    checks.look(sample, number=17)
    checks.findings()    # [Finding(check="over_context", rows=3, first=(17, 20, 41), ...)]

Nothing is removed here: a finding is said, and stands in card and manifest. Looked for is what TRL, LLaMA-Factory and
Axolotl skip or train on by mistake; for OpenAI's own rules see `openai_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from instructgen.exporters.vocabulary import SHARE_ALIKE, licence_id
from instructgen.filters.licence import forbids_commerce, licence_class
from instructgen.formats.chats import Chats, summed
from instructgen.formats.columns import bytes_of, rows_with
from instructgen.formats.single import Singles
from instructgen.records import Role, Sample, Turn, canonical

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

FIRST = 5
"""Row numbers that a finding names."""
PER_TURN = 4
"""Tokens that a chat template adds to a turn, about: role and two marks."""
SPECIAL = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|begin_of_text|>", "<|end_of_text|>", "<|user|>", "<|assistant|>", "<|system|>", "<start_of_turn>",
    "<end_of_turn>", "[INST]", "[/INST]", "<<SYS>>",
)  # fmt: skip
"""Marks of common chat templates, looked for when no tokenizer is given; as text in a sample they end turns early."""
WORDS = {
    "system_not_first": "a system message after the first turn",
    "not_alternating": "two turns of one speaker in a row",
    "starts_with_answer": "the assistant speaks first",
    "last_not_assistant": "the last turn is not the assistant's",
    "empty_turn": "a turn without text or calls",
    "special_token": "a special token of a chat template in the text",
    "over_context": "longer than the context, and would be cut",
    "unanswered_call": "a tool call without its answer, or an answer without its call",
    "equal_answers": "chosen and rejected answer are the same",
    "openai_no_assistant": "OpenAI: no assistant message",
    "openai_last": "OpenAI: the last message is not the assistant's",
    "openai_empty": "OpenAI: a message without content or tool calls",
    "openai_call": "OpenAI: a tool call without an id, or of another type than function",
    "openai_weight": "OpenAI: a weight on a message that is not the assistant's",
    "openai_no_weight": "OpenAI: every assistant message has weight 0",
    "openai_single_turn": "OpenAI: preference data is to be one user message and its answers",
    "openai_equal_answers": "OpenAI: preferred and non-preferred output are the same",
    "openai_too_few": "OpenAI: fewer than 10 examples in the file",
    "non_commercial": "a non-commercial licence in a dataset whose own licence allows commerce",
    "share_alike": "a share-alike licence in a dataset with another licence",
}


class Finding(BaseModel):
    """One check that some rows did not pass."""

    model_config = ConfigDict(frozen=True)

    check: str
    rows: int
    first: tuple[int, ...]
    """Numbers of the first such rows, from 1, in the order of the input; in `file`, of its lines; () = of the whole."""
    file: str = ""
    """The written file that this is about; "" = the samples, whatever their format."""

    def __str__(self) -> str:
        """Say it in one line."""
        more = ", ..." if self.rows > len(self.first) else ""
        one = "" if self.rows == 1 else "s"
        if not self.first:
            return f"{self.rows:,} row{one}: {WORDS[self.check]} ({self.file})"
        numbers = ", ".join(map(str, self.first)) + more
        where = f"{self.file}, line{one} {numbers}" if self.file else f"sample{one} {numbers} of the input"
        return f"{self.rows:,} row{one}: {WORDS[self.check]} ({where})"


class Findings:
    """Counts of what was found, with the first numbers."""

    def __init__(self, file: str = "") -> None:
        self._file = file
        self._found: dict[str, tuple[int, list[int]]] = {}

    def add(self, check: str, number: int) -> None:
        """Count one."""
        rows, first = self._found.setdefault(check, (0, []))
        if len(first) < FIRST:
            first.append(number)
        self._found[check] = (rows + 1, first)

    def include(self, later: Findings, before: int) -> None:
        """Add what was found in rows that follow `before` others."""
        for check, (rows, first) in later._found.items():
            known, named = self._found.get(check, (0, []))
            self._found[check] = (known + rows, [*named, *(before + number for number in first)][:FIRST])

    def findings(self) -> list[Finding]:
        """Return what was found, in the order of `WORDS`."""
        known = [(name, *self._found[name]) for name in WORDS if name in self._found]
        return [Finding(check=name, rows=rows, first=tuple(first), file=self._file) for name, rows, first in known]


class Checks:
    """Counts of what was found so far."""

    def __init__(
        self,
        count_tokens: Callable[[str], int] | None = None,
        context: int | None = None,
        special: Sequence[str] = SPECIAL,
    ) -> None:
        self._count, self._context = count_tokens, context
        self._marked = re.compile("|".join(map(re.escape, special))) if special else None
        self._starts = sorted({mark[0] for mark in special if mark})
        self._found = Findings()
        self.tokens = 0
        """All tokens of all rows; 0 without a way to count them."""

    def look(self, sample: Sample, number: int) -> None:
        """Check one sample; `number` is its row, from 1."""
        found = {*_order(tuple(turn.role for turn in sample.turns)), *_content(sample, self._has_mark)}
        found.update(_calls(sample.turns))
        if any(_said(answer.turns) == _said(sample.turns[-1:]) for answer in sample.answers):
            found.add("equal_answers")
        if self._count is not None:
            length, longest = self._tokens(sample, self._count)
            self.tokens += length
            if self._context is not None and longest > self._context:
                found.add("over_context")
        for check in found:
            self.found(check, number)

    def _tokens(self, sample: Sample, count: Callable[[str], int]) -> tuple[int, int]:
        """Return the tokens of the conversation with its tools, and with the longest of its answers instead."""

        def of(turns: Sequence[Turn]) -> int:
            calls = (_as_json(turn.tool_calls) for turn in turns if turn.tool_calls)
            return sum(count(turn.text) + PER_TURN for turn in turns) + sum(map(count, calls))

        length = of(sample.turns) + (count(_as_json(sample.tools)) if sample.tools else 0)
        answers = [of(answer.turns) - of(sample.turns[-1:]) for answer in sample.answers]
        return length, length + max([0, *answers])

    def include(self, later: Checks, before: int) -> None:
        """Add what was found in samples that follow `before` others."""
        self._found.include(later._found, before)
        self.tokens += later.tokens

    def look_singles(self, batch: Singles, number: int, asked: np.ndarray, answered: np.ndarray) -> None:
        """Check what `look` checks of their samples; `number` is the row of the first.

        A question with its answer can have an empty turn or a special token, and nothing else of what is looked for.
        `asked` and `answered` are words of questions and answers: an empty turn has none.
        """
        for row in ((asked == 0) | (answered == 0)).nonzero()[0].tolist():
            self.found("empty_turn", number + row)
        for row in sorted(self._marked_rows(batch.question) | self._marked_rows(batch.output)):
            self.found("special_token", number + row)

    def look_chats(self, batch: Chats, numbers: Sequence[int]) -> None:
        """Check what `look` checks of their samples; `numbers` are their rows, from 1."""
        import numpy as np

        found: dict[str, set[int]] = {}
        if any(map(_order, {chat.roles for chat in batch.chats})):
            for row, chat in enumerate(batch.chats):
                for check in _order(chat.roles):
                    found.setdefault(check, set()).add(row)
        empty = np.flatnonzero(batch.words == 0)
        for check, turns in ("empty_turn", empty), ("special_token", np.array([*self._marked_rows(batch.texts)], int)):
            found[check] = {*(np.searchsorted(batch.begins, turns, side="right") - 1).tolist()}
        if self._count is not None:
            tokens = summed(np.array([self._count(text) + PER_TURN for text in batch.texts.to_pylist()]), batch.begins)
            self.tokens += int(tokens.sum())
            if self._context is not None:
                found["over_context"] = {*np.flatnonzero(tokens > self._context).tolist()}
        for check, rows in found.items():
            for row in sorted(rows):
                self.found(check, numbers[row])

    def _has_mark(self, text: str) -> bool:
        """Tell whether a text holds a mark; most hold none of the few characters that marks begin with."""
        if self._marked is None or not any(start in text for start in self._starts):
            return False
        return self._marked.search(text) is not None

    def _marked_rows(self, texts: pa.Array) -> set[int]:
        """Return the rows that hold a mark; most texts hold none of the few bytes that marks begin with."""
        if self._marked is None:
            return set()
        data, ends = bytes_of(texts)
        begun = [data == start for start in {start.encode()[0] for start in self._starts}]
        rows = {row for mask in begun if mask.any() for row in rows_with(mask, ends).tolist()}
        return {row for row in rows if self._marked.search(texts[row].as_py())}

    def found(self, check: str, number: int) -> None:
        """Count a finding."""
        self._found.add(check, number)

    def findings(self) -> list[Finding]:
        """Return what was found, in the order of `WORDS`."""
        return self._found.findings()


@lru_cache(maxsize=1_000)
def licence_checks(own: str, said: str) -> tuple[str, ...]:
    """Return the checks that a sample of licence `own` ("": none) does not pass in a dataset published under `said`.

    Example: licence_checks("CC BY-NC 4.0", "mit") -> ("non_commercial",)
    """
    if not own:
        return ()
    shared = licence_class(own) == "share_alike" or licence_id(own) in SHARE_ALIKE
    rules = {
        "non_commercial": forbids_commerce(own) and not forbids_commerce(said),
        "share_alike": shared and licence_id(own) != licence_id(said),
    }
    return tuple(name for name, broken in rules.items() if broken)


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has: a quarter of its UTF-8 bytes, good to +-30 % for English prose."""
    return -(-len(text.encode()) // 4)


@lru_cache(maxsize=10_000)  # most rows of a dataset have one of a few orders
def _order(roles: tuple[Role, ...]) -> frozenset[str]:
    spoken = [role for role in roles if role != "system"]
    rules = {
        "system_not_first": "system" in roles[1:],
        "starts_with_answer": spoken[:1] == ["assistant"],
        "not_alternating": any(one == other and one != "tool" for one, other in pairwise(spoken)),
        "last_not_assistant": spoken[-1:] != ["assistant"],
    }
    return frozenset(name for name, broken in rules.items() if broken)


def _content(sample: Sample, has_mark: Callable[[str], bool]) -> Iterable[str]:
    for turn in (*sample.turns, *(turn for answer in sample.answers for turn in answer.turns)):
        text = turn.text
        if not text.strip() and not turn.tool_calls:
            yield "empty_turn"
        if has_mark(text):
            yield "special_token"


def _calls(turns: Sequence[Turn]) -> Iterable[str]:
    if not any(turn.tool_calls or turn.role == "tool" for turn in turns):
        return
    asked = {str(call.get("id") or "") for turn in turns for call in turn.tool_calls}
    answered = {turn.tool_call_id for turn in turns if turn.role == "tool"}
    if asked != answered:
        yield "unanswered_call"


def _said(turns: Sequence[Turn]) -> list[tuple[Role, str, str]]:
    return [(turn.role, turn.text, _as_json(turn.tool_calls)) for turn in turns]


def _as_json(value: Any) -> str:
    return canonical(value).decode() if value else ""
