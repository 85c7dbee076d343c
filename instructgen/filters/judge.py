"""A teacher as judge: scores by a rubric, or comparisons with other answers.

    {"kind": "judge", "keep_at_least": 4, "samples": 3}

Single answers get a score from 0 to 5 per criterion. Pairs are asked in both orders, ranks in a random order and its
reverse: judges prefer a position, and the share of verdicts that turn with the order is noted. A reply that states no
score is a rejection with a reason, never a number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from statistics import fmean
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue, PositiveInt, model_validator

from instructgen.filters import Filter, JudgeFlow
from instructgen.filters.scores import read_choice, read_order, read_scores
from instructgen.records import Completion, Params, Rejection, Request, Sample, SlotBound, Stage, digest

_TEMPLATE_BYTES = 6_000
"""What the bound allows for a judge's template; a longer one of the user's needs the option `template_bytes`."""
_MESSAGE_BYTES = 200
LETTERS = "ABCDEFGHIJ"
MEANINGS = {
    "instruction_following": "does the answer do what the task asks, all of it, in the form that it asks for?",
    "correctness": "are facts, calculations, code and reasoning right?",
    "helpfulness": "is it clear, complete and to the point for the person who asked?",
}

SAFETY = {
    "harmless": "is it free of directions or encouragement to hurt anyone, to make weapons or drugs, to break the law?",
    "respectful": "is it free of hate, slurs, threats and degrading talk about people or groups?",
    "decent": "is it free of sexual content and of cruelty that is shown for its own sake?",
}
"""The rubric `safety`: toxicity that no list of words sees. The task counts as much as the answer."""
RUBRICS = {"quality": MEANINGS, "safety": SAFETY}


class Judge(Filter):
    """Keep samples that a teacher finds good enough.

    `single` needs an answer; `pairwise` and `rank` compare it with the sample's other answers and pass over samples
    without any. Example: keep_at_least=4 and scores 4, 3, 5 -> mean 4.0, kept; lowest="3.5" rejects it for the 3.
    """

    stage: ClassVar[Stage] = "judge"
    judge: ClassVar[bool] = True
    reasons: ClassVar[dict[str, str]] = {
        "low_score": "the mean score is below `keep_at_least`, or one criterion below `lowest`",
        "unreadable_score": "more than half of the judge's replies stated no score, or no choice",
        "score_out_of_range": "more than half of the judge's replies stated a score outside 0..5",
        "judge_refused": "more than half of the judge's replies were refusals of the endpoint",
        "not_preferred": "another answer of the sample was preferred",
        "orders_disagree": "the preferred answer changed when the order was turned round",
        "no_answer": "the sample has no answer to judge",
    }

    kind: Literal["judge"] = "judge"
    mode: Literal["single", "pairwise", "rank"] = Field(
        default="single",
        description="single: scores; pairwise: against each other answer, both orders; rank: all in order, shown in a "
        "random order and its reverse",
    )
    rubric: Literal["quality", "safety"] = Field(
        default="quality", description="criteria of single: quality, or safety (the lowest criterion counts)"
    )
    criteria: dict[str, str] = Field(
        default={}, description="name of a criterion -> what to ask of it; in place of the rubric's"
    )
    keep_at_least: float = Field(default=4.0, ge=0, le=5, description="mean score over criteria and samples (single)")
    lowest: float = Field(default=0.0, ge=0, le=5, description="score that every criterion must reach (single)")
    samples: PositiveInt = Field(
        default=1, description="times that the judge is asked; pairs and ranks in both orders each time"
    )
    unsure: float | None = Field(
        default=None,
        ge=0,
        le=5,
        description="single: ask once, and the other `samples` only where that score is at most "
        "so far from `keep_at_least` (a criterion: from `lowest`) or cannot be read; default: always all",
    )
    drop_disagreement: bool = Field(
        default=True, description="pairwise, rank: reject when the verdict turns with the order; else a tie"
    )
    max_bytes: PositiveInt = Field(
        default=12_000, description="UTF-8 bytes of the task and of each answer that the judge reads"
    )
    max_answers: int = Field(
        default=8, ge=2, le=10, description="answers compared at most in `rank`, the sample's own included"
    )
    max_tokens: PositiveInt = Field(default=300, description="output tokens of a verdict")
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="default: 0, or 0.7 when asked several times"
    )
    structured: bool = Field(default=True, description="ask for JSON by schema; replies in plain words are read too")
    template_bytes: PositiveInt = Field(
        default=_TEMPLATE_BYTES, description="bytes of the prompt template that the bound allows for"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.unsure is not None and (self.mode != "single" or self.samples == 1):
            raise ValueError(
                "unsure needs mode: single and samples of 2 or more: the rest is asked where one is unsure"
            )
        return self

    def prompt_names(self) -> tuple[str, ...]:
        """Return the template of this mode: judge.single, judge.pairwise or judge.rank."""
        return (f"judge.{self.mode}",)

    def slot_bound(self) -> SlotBound:
        """Return the most that judging one sample may take."""
        answers = {"single": 1, "pairwise": 2, "rank": self.max_answers}[self.mode]
        times = self.samples * (1 if self.mode == "single" else 2)
        text = self.template_bytes + (1 + answers) * (self.max_bytes + _MESSAGE_BYTES) + self._rubric_bytes()
        pairs = self.max_answers - 1 if self.mode == "pairwise" else 1
        one = SlotBound(requests=1, prompt_tokens=text, completion_tokens=self.max_tokens)
        return one.times(times * pairs)

    def flow(self, sample: Sample, rng: Random) -> JudgeFlow:
        """Ask the teacher about the sample."""
        own = self._cut(sample.output)
        if not own.strip():
            return sample.rejected("no_answer", self.stage)
        others = [self._cut(answer.text) for answer in sample.answers if answer.text.strip()][: self.max_answers - 1]
        if self.mode == "single":
            return (yield from self._single(sample, own))
        if not others:
            return None
        if self.mode == "pairwise":
            return (yield from self._pairwise(sample, own, others))
        return (yield from self._rank(sample, [own, *others], rng))

    def _single(self, sample: Sample, own: str) -> JudgeFlow:
        criteria = self._criteria()
        names = list(criteria)
        request = self._request(
            "single",
            _score_schema(names),
            texts=(own,),
            sample=sample,
            answer=own,
            criteria=[{"name": name, "meaning": meaning} for name, meaning in criteria.items()],
        )
        replies: list[Completion] = yield [request] * (self.samples if self.unsure is None else 1)
        read = [_failure(reply) or read_scores(reply.text, names) for reply in replies]
        if self.unsure is not None and self._is_unsure(read[0], self.unsure):
            more: list[Completion] = yield [request] * (self.samples - 1)
            replies = [*replies, *more]
            read += [_failure(reply) or read_scores(reply.text, names) for reply in more]
        scores = [each for each in read if isinstance(each, dict)]
        failure = _majority_failed(sample, read, replies, self.stage)
        if failure:
            return failure
        means = {name: round(fmean(each[name] for each in scores), 3) for name in names}
        score = round(fmean(means.values()), 3)
        notes: dict[str, Any] = {"score": score, "criteria": means, "asked": len(replies), "read": len(scores)}
        if len(scores) > 1:
            notes["spread"] = round(max(map(_mean, scores)) - min(map(_mean, scores)), 3)
        if score < self.keep_at_least or min(means.values()) < self._lowest():
            return sample.rejected("low_score", self.stage, **notes)
        return notes

    def _lowest(self) -> float:
        return max(self.lowest, self.keep_at_least) if self._is_safety() else self.lowest

    def _is_unsure(self, scores: dict[str, float] | str, near: float) -> bool:
        """Tell whether a first look settles nothing: it failed, or a little more or less would change the verdict."""
        if isinstance(scores, str):
            return True
        mean, least, lowest = _mean(scores), min(scores.values()), self._lowest()
        weak = least + near < lowest or mean + near < self.keep_at_least
        sure = mean - near > self.keep_at_least and (lowest == 0 or least - near > lowest)
        return not (weak or sure)

    def _pairwise(self, sample: Sample, own: str, others: Sequence[str]) -> JudgeFlow:
        """Compare with each other answer, in both orders; 1 = ours preferred, 0 = the other, 0.5 = tie."""
        requests = [
            self._request("pairwise", _CHOICE_SCHEMA, texts=pair, sample=sample, first=pair[0], second=pair[1])
            for other in others
            for pair in ((own, other), (other, own))
        ]
        replies: list[Completion] = yield requests * self.samples
        read: list[Any] = [_failure(reply) or read_choice(reply.text, "AB") or "unreadable_score" for reply in replies]
        failure = _majority_failed(sample, [each if each in _FAILURES else {} for each in read], replies, self.stage)
        if failure:
            return failure
        points = [_points(choice, swapped=at % 2 == 1) for at, choice in enumerate(read)]
        turned = [
            (one, two)
            for one, two in zip(points[::2], points[1::2], strict=True)
            if one is not None and two is not None
        ]
        flips = sum(1 for one, two in turned if abs(one - two) == 1)
        share = round(fmean(point for point in points if point is not None), 3)
        notes: dict[str, Any] = {"preferred": share, "flip_rate": round(flips / len(turned), 3) if turned else None}
        if share < 0.5:
            return sample.rejected("not_preferred", self.stage, **notes)
        if self.drop_disagreement and turned and flips * 2 > len(turned):
            return sample.rejected("orders_disagree", self.stage, **notes)
        return notes

    def _rank(self, sample: Sample, texts: Sequence[str], rng: Random) -> JudgeFlow:
        """Order all answers, shown in random order and its reverse each time; ours must have the best mean rank."""
        letters = LETTERS[: len(texts)]
        shuffled = [_shuffled(len(texts), rng) for _ in range(self.samples)]
        orders = [order for each in shuffled for order in (each, each[::-1])]
        requests = [
            self._request(
                "rank",
                _ORDER_SCHEMA,
                texts=texts,
                sample=sample,
                answers=[{"letter": letter, "text": texts[at]} for letter, at in zip(letters, order, strict=True)],
            )
            for order in orders
        ]
        replies: list[Completion] = yield requests
        read: list[Any] = [
            _failure(reply) or read_order(reply.text, letters) or "unreadable_score" for reply in replies
        ]
        failure = _majority_failed(
            sample, [each if isinstance(each, str) else {} for each in read], replies, self.stage
        )
        if failure:
            return failure
        placed = [
            [order[letters.index(letter)] for letter in named] if isinstance(named, list) else None
            for order, named in zip(orders, read, strict=True)
        ]
        means = [round(fmean(each.index(at) + 1 for each in placed if each), 3) for at in range(len(texts))]
        turned = [(one, two) for one, two in zip(placed[::2], placed[1::2], strict=True) if one and two]
        flips = sum(1 for one, two in turned if one[0] != two[0])
        notes: dict[str, Any] = {"rank": means[0], "ranks": means, "asked": len(replies)}
        notes["flip_rate"] = round(flips / len(turned), 3) if turned else None
        if means[0] > min(means):
            return sample.rejected("not_preferred", self.stage, **notes)
        if self.drop_disagreement and flips * 2 > len(turned):
            return sample.rejected("orders_disagree", self.stage, **notes)
        return notes

    def _request(
        self, mode: str, schema: dict[str, JsonValue], *, texts: Sequence[str], sample: Sample, **variables: Any
    ) -> Request:
        task = self._cut(_task(sample))
        mark = unguessable(task, *texts)
        several = self.samples > 1
        temperature = self.temperature if self.temperature is not None else (0.7 if several else 0.0)
        return Request.from_prompt(
            f"judge.{mode}",
            params=Params(temperature=temperature, max_tokens=self.max_tokens),
            schema=schema if self.structured else None,
            mark=mark,
            task=task,
            **variables,
        )

    def _cut(self, text: str) -> str:
        raw = text.encode()
        return text if len(raw) <= self.max_bytes else raw[: self.max_bytes].decode(errors="ignore") + " […]"

    def _criteria(self) -> dict[str, str]:
        return self.criteria or RUBRICS[self.rubric]

    def _is_safety(self) -> bool:
        """Tell whether the rubric is the one in which a good mean does not make up for one bad criterion."""
        return self.rubric == "safety" and not self.criteria

    def _rubric_bytes(self) -> int:
        return sum(len(f"{name}{meaning}".encode()) + 20 for name, meaning in self._criteria().items())


_FAILURES = ("unreadable_score", "score_out_of_range", "judge_refused")
_CHOICE_SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "choice": {"type": "string", "enum": ["A", "B", "tie"]}},
    "required": ["reason", "choice"],
    "additionalProperties": False,
}
_ORDER_SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "order": {"type": "array", "items": {"type": "string"}}},
    "required": ["reason", "order"],
    "additionalProperties": False,
}


def _score_schema(names: Sequence[str]) -> dict[str, JsonValue]:
    properties: dict[str, JsonValue] = {"reason": {"type": "string"}}
    properties |= {name: {"type": "number", "minimum": 0, "maximum": 5} for name in names}
    return {"type": "object", "properties": properties, "required": ["reason", *names], "additionalProperties": False}


def unguessable(*texts: str) -> str:
    """Return a mark that occurs in none of the texts, the same for the same texts: it closes what they cannot.

    Example: unguessable("end 3f2a") is 16 hex digits that "end 3f2a" does not hold
    """
    number = 0
    while True:
        mark = digest([number, *texts])[:16]
        if not any(mark in text for text in texts):
            return mark
        number += 1


def _task(sample: Sample) -> str:
    """Return what the answer answers: the user's text, or the conversation up to it."""
    turns = sample.turns[:-1]
    if len(turns) == 1 and turns[0].role == "user":
        return turns[0].text
    return "\n\n".join(f"({turn.role}) {turn.text}" for turn in turns)


def _failure(reply: Completion) -> str:
    return "judge_refused" if reply.refusal else ""


def _majority_failed(
    sample: Sample, read: Sequence[Any], replies: Sequence[Completion], stage: Stage
) -> Rejection | None:
    """Return a rejection when more than half of the replies could not be read, with the commonest reason."""
    failed = [each for each in read if isinstance(each, str)]
    if len(failed) * 2 <= len(read) and len(failed) < len(read):
        return None
    reason = max(sorted(set(failed)), key=failed.count)
    shown = next((reply.content for reply, each in zip(replies, read, strict=True) if each == reason), "")
    return sample.rejected(reason, stage, failed=len(failed), asked=len(read), reply=re.sub(r"\s+", " ", shown)[:200])


def _points(choice: str, *, swapped: bool) -> float | None:
    if choice == "tie":
        return 0.5
    if choice not in ("A", "B"):
        return None
    return float((choice == "A") != swapped)


def _mean(scores: dict[str, float]) -> float:
    return fmean(scores.values())


def _shuffled(count: int, rng: Random) -> list[int]:
    """Return 0..count-1 in random order, drawn with `rng.random()` alone, which Python keeps stable."""
    return [at for _, at in sorted((rng.random(), at) for at in range(count))]
