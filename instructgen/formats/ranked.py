"""Ranked lists of answers to one prompt, best first.

    {"prompt": [messages], "answers": [{"content": "...", "rank": 1, "score": null, "source": "model-a"}, ...]}

The conversation's own answer is rank 1; equal numbers are ties. Nectar's rows (`prompt` with Human and Assistant marks,
answers with `answer`, `model`, `rank`) and NeMo's (`context`, `completions` with rank 0 as the best) are read as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from instructgen.formats import Format, Row, Unreadable, Unwritable
from instructgen.formats.chat import chat_rows, closed, messages_of, single_answer
from instructgen.formats.holds import demand
from instructgen.formats.reading import list_of, rest_of
from instructgen.records import Answer, Sample, Turn

_MARKS = re.compile(r"\b(Human|Assistant): ?")
KNOWN = frozenset({"prompt", "context", "answers", "completions"})


class Ranked(Format):
    """One prompt, several answers with their ranks."""

    name: ClassVar[str] = "ranked"
    title: ClassVar[str] = "prompt, answers with ranks"
    columns: ClassVar[Mapping[str, Any]] = {
        "prompt": [{"role": "string", "content": "string"}],
        "answers": [{"content": "string", "rank": "int64", "score": "float64", "source": "string"}],
    }
    holds: ClassVar[frozenset[str]] = frozenset({"system", "dialogue", "answers"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has a list of answers with ranks."""
        answers = row.get("answers", row.get("completions"))
        return isinstance(answers, list) and bool(answers) and all(isinstance(a, dict) and "rank" in a for a in answers)

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the prompt with the best answer, the others beside it in the row's order. Raises: Unreadable."""
        nemo = "completions" in row and "answers" not in row
        given = [
            _answer(part, number, nemo)
            for number, part in enumerate(list_of(row, "completions" if nemo else "answers"))
        ]
        if not given:
            raise Unreadable("missing_field", "answers: expected at least one, found none")
        best = next((answer for answer in given if answer.rank == 1), None)  # of ties the first
        if best is None:
            raise Unreadable("no_best", f"answers: expected one of rank 1, found ranks {[a.rank for a in given]}")
        others = tuple(answer for answer in given if answer is not best)
        prompt = _prompt(row["context"] if nemo and "context" in row else row.get("prompt"))
        more = {
            key: value for key, value in (("score", best.score), ("source", best.source)) if value not in (None, "")
        }
        return [
            Sample(
                turns=(*prompt, best.turns[0].model_copy(update={"extra": more})), answers=others, **rest_of(row, KNOWN)
            )
        ]

    def write(self, sample: Sample) -> Row:
        """Return the prompt and all answers, the closing one as rank 1. Raises: Unwritable for an unranked one."""
        demand(sample, self.holds, self.name)
        prompt, own = closed(sample.turns, self.name)
        answers = [{"content": own.text, "rank": 1, "score": None, "source": "", **_rated(own)}]
        for other in sample.answers:
            if other.rank is None:
                raise Unwritable("unranked", f"format {self.name!r} needs a rank for each answer; one has none")
            if other.rank < 1:
                raise Unwritable("rank", f"format {self.name!r} counts ranks from 1, the best; here is {other.rank}")
            if len(other.turns) != 1 or other.turns[0].role != "assistant":
                raise Unwritable("answer_shape", f"format {self.name!r} holds answers of one assistant turn")
            answers.append(
                {"content": other.turns[0].text, "rank": other.rank, "score": other.score, "source": other.source}
            )
        return {"prompt": chat_rows(prompt), "answers": answers}

    def shown(self, sample: Sample) -> Collection[str]:
        """Return what an answer has of its own: the other ones', and those keys of the closing one."""
        found = {f"{name} of an answer" for name in ("rank", "score", "source")}
        above = {key for turn in sample.turns[:-1] for key in turn.extra}
        own = set(_rated(sample.turns[-1])) - above
        return found | {f"turn key {key}" for key in own}


def _rated(turn: Turn) -> dict[str, Any]:
    """Return score and source of a closing answer, where its extra keys hold them."""
    score, source = turn.extra.get("score"), turn.extra.get("source")
    known: dict[str, Any] = {}
    if isinstance(score, int | float) and not isinstance(score, bool):
        known["score"] = score
    return known | ({"source": source} if isinstance(source, str) else {})


def _answer(part: Mapping[str, Any], number: int, nemo: bool) -> Answer:
    where = f"answers[{number}]"
    rank = part.get("rank")
    least = 0 if nemo else 1
    if isinstance(rank, bool) or not isinstance(rank, int | float) or rank != rank // 1 or rank < least:
        raise Unreadable("wrong_type", f"{where}.rank: expected a whole number from {least}, found {rank!r:.40}")
    said = part.get("content", part.get("answer", part.get("completion")))
    turn = single_answer(messages_of(said, where, role="assistant"), where)
    source = part.get("source", part.get("model"))
    return Answer(
        turns=(turn,),
        rank=int(rank) + (1 if nemo else 0),
        score=part.get("score"),
        source=source if isinstance(source, str) else "",
    )


def _prompt(given: Any) -> tuple[Turn, ...]:
    """Return a prompt's turns; a text with Human and Assistant marks is cut there."""
    if not isinstance(given, str) or not given.lstrip().startswith("Human:"):
        return messages_of(given, "prompt")
    pieces = _MARKS.split(given.lstrip())[1:]  # mark, text, mark, text, ...
    pairs = list(zip(pieces[::2], pieces[1::2], strict=True))
    if pairs and pairs[-1] == ("Assistant", ""):  # where the answer goes
        pairs.pop()
    return tuple(Turn(role="user" if mark == "Human" else "assistant", content=text.strip()) for mark, text in pairs)
