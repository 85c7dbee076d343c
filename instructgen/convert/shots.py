"""Worked examples before the question: of the same dataset, said by the same template, never the question itself.

Shots(fixed=False, most=5, budget=1920)  ->  between 1 and 5 examples, as many as fit into 1,920 tokens
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from instructgen.convert.jinja import Unrenderable
from instructgen.convert.render import Made
from instructgen.convert.tokens import Counter

POOL = 200
"""Rows, the first of the dataset, that examples are drawn from: memory stays bounded however many there are."""


class Shots(BaseModel):
    """How few-shot samples are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    share: float = Field(default=0.0, ge=0, le=1, description="share of the samples that get worked examples")
    fixed: bool = Field(default=False, description="true: always `most` examples, the same for all rows")
    most: int = Field(default=5, ge=1, le=100, description="most examples before a question")
    budget: int = Field(default=1920, ge=1, description="tokens that examples and question may take (FLAN: 1,920)")
    layout: Literal["text", "turns"] = Field(default="text", description="examples in one text, or as earlier turns")


Pool = Sequence[tuple[int, Made]]
"""Rendered rows that may serve as examples, with their row numbers."""


def exemplars(
    query: Made, number: int, pool: Pool, options: Shots, rng: Random, count: Counter
) -> list[tuple[str, str]]:
    """Return examples for a question, in order, that fit the budget together with it.

    The row itself is never among them, nor one that asks the same. Raises: Unrenderable when none is left.
    """
    others = [made for n, made in pool if n != number and made.input != query.input]
    wanted = options.most if options.fixed else 1 + int(rng.random() * options.most)
    drawn = others[:wanted] if options.fixed else _drawn(others, wanted, rng)
    left = options.budget - count(query.input)
    chosen = []
    for made in drawn:
        left -= count(made.input) + count(made.target)
        if left < 0:
            break
        chosen.append((made.input, made.target))
    if not chosen:
        raise Unrenderable("no_example_fits", f"no worked example fits into {options.budget} tokens with this question")
    return chosen


def _drawn(items: Sequence[Made], count: int, rng: Random) -> list[Made]:
    """Return `count` different items, with `rng.random()` alone (which Python keeps stable)."""
    left = list(items)
    return [left.pop(int(rng.random() * len(left))) for _ in range(min(count, len(left)))]


def as_text(query: Made, examples: Sequence[tuple[str, str]]) -> Made:
    """Return the question with its examples before it, each with its answer, divided by blank lines."""
    before = "".join(f"{asked}\n{said}\n\n" for asked, said in examples)
    return query._replace(input=before + query.input)
