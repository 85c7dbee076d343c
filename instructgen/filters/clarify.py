"""Tasks that the ambiguity linter flags, put into definite words by a teacher, judged, and answered.

    "Summarise it."   ->   {"instruction": "Summarise the letter in two sentences.", "input": "Dear Ann, ..."}

A generator (`generator: {kind: clarify}`) that works through the run's seeds: give it the dataset to repair as seeds.
"""

from __future__ import annotations

import json
from random import Random
from typing import Literal

from pydantic import Field, PositiveInt

from instructgen.filters.ambiguity import Ambiguity
from instructgen.filters.judge import unguessable
from instructgen.filters.rated import Exchange
from instructgen.filters.scores import read_scores
from instructgen.generators import Flow, Generator
from instructgen.generators.structured import unfenced
from instructgen.pool import PoolView, Shot
from instructgen.records import Completion, Params, Request, Sample, SlotBound

_MESSAGES = 400
"""Bytes that chat messages may add to a prompt."""


class Clarify(Generator):
    """Rewrite one ambiguous seed a slot; a clear one costs nothing and gives nothing.

    Example: seed "Summarise it." -> rewrite asked, found clear by the linter, judged the same task, answered
    """

    kind: Literal["clarify"] = "clarify"
    same_at_least: float = Field(default=4, ge=0, le=5, description="how much the rewritten task must be the same")
    clear_at_least: float = Field(default=4, ge=0, le=5, description="how clear it must be")
    max_bytes: PositiveInt = Field(default=6_000, description="UTF-8 bytes of a task; longer ones are passed over")
    max_tokens: PositiveInt = Field(default=1_000, description="output tokens of a rewrite and of an answer")
    template_bytes: PositiveInt = Field(default=6_000, description="bytes of a template that the bound allows for")

    def flow(self, pool: PoolView, rng: Random) -> Flow:
        """Draw a seed, find what is open, ask for a rewrite, have it judged, ask for the answer."""
        shot = next(iter(pool.draw_seeds(1, rng)), None)
        if shot is None or len(f"{shot.instruction}{shot.input}".encode()) > self.max_bytes:
            return []
        problems = open_points(shot.instruction, shot.input)
        if not problems:
            return []
        reply: Completion = yield self._rewrite(shot, problems)
        if reply.refusal:
            return [reply.rejected()]
        rewritten = read_task(reply.text)
        if rewritten is None:
            return [reply.rejected("unreadable_rewrite", text=reply.content)]
        instruction, material = rewritten
        left = open_points(instruction, material)
        if left:
            return [reply.rejected("still_ambiguous", text=instruction, open=", ".join(sorted(left)))]
        verdict: Completion = yield self._judge(shot, instruction, material)
        if verdict.refusal:
            return [verdict.rejected()]
        scores = read_scores(verdict.text, ["same_task", "clear"])
        if isinstance(scores, str):
            return [verdict.rejected(scores, text=verdict.content)]
        if scores["same_task"] < self.same_at_least or scores["clear"] < self.clear_at_least:
            return [verdict.rejected("rewrite_not_better", text=instruction, **scores)]
        answer: Completion = yield Request.from_prompt(
            "clarify.answer",
            params=Params(temperature=0.0, max_tokens=self.max_tokens),
            task=f"{instruction}\n\n{material}" if material else instruction,
        )
        if answer.refusal or answer.truncated:
            return [answer.rejected("truncated", text=answer.content)]
        requests = (reply.request, verdict.request, answer.request)
        return [Sample.single(instruction, input=material, output=answer.text, parents=[shot.id], requests=requests)]

    def slot_bound(self) -> SlotBound:
        """Return three requests at their longest."""
        prompt = self.template_bytes + _MESSAGES + 2 * self.max_bytes + 8 * self.max_tokens
        return SlotBound(requests=3, prompt_tokens=3 * prompt, completion_tokens=2 * self.max_tokens + 100)

    def most_samples(self) -> int:
        """Return 1: a slot repairs one task."""
        return 1

    def feeds_back(self) -> bool:
        """Return False: a slot sees its seed alone."""
        return False

    def prompt_names(self) -> tuple[str, ...]:
        """Return the three templates."""
        return ("clarify.rewrite", "clarify.judge", "clarify.answer")

    def _rewrite(self, shot: Shot, problems: dict[str, str]) -> Request:
        return Request.from_prompt(
            "clarify.rewrite",
            params=Params(temperature=0.0, max_tokens=self.max_tokens),
            instruction=shot.instruction,
            material=shot.input,
            problems=[f"{Ambiguity.reasons[reason]} ({words})" for reason, words in sorted(problems.items())],
            mark=unguessable(shot.instruction, shot.input),
        )

    def _judge(self, shot: Shot, instruction: str, material: str) -> Request:
        original, edited = f"{shot.instruction}\n\n{shot.input}".strip(), f"{instruction}\n\n{material}".strip()
        return Request.from_prompt(
            "clarify.judge",
            params=Params(temperature=0.0, max_tokens=100),
            original=original,
            edited=edited,
            mark=unguessable(original, edited),
        )


def open_points(instruction: str, material: str) -> dict[str, str]:
    """Return what the linter finds open: reason -> the words.

    Example: open_points("Summarise it.", "") -> {"dangling_reference": "it", ...}
    """
    found = Ambiguity().find(Exchange(instruction, material, None, 0))
    return {reason: str(evidence.get("words", "")) for reason, evidence in found}


def read_task(text: str) -> tuple[str, str] | None:
    """Return (instruction, input) of a reply in JSON; `None` when it holds none."""
    body = unfenced(text)
    try:
        value = json.loads(body)
    except (json.JSONDecodeError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("instruction"), str):
        return None
    material = value.get("input") or ""
    instruction = value["instruction"].strip()
    return (instruction, material.strip()) if instruction and isinstance(material, str) else None
