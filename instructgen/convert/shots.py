"""Worked examples before the question: of the same dataset, said by the same template, never the question itself.

Shots(fixed=False, most=5, budget=1920)  ->  between 1 and 5 examples, as many as fit into 1,920 tokens
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from instructgen.convert.jinja import Unrenderable
from instructgen.convert.render import Made
from instructgen.convert.sources import HEAVY, Chunk, Numbered
from instructgen.convert.tokens import Counter

POOL = 500
"""Rows that examples are drawn from, themselves drawn evenly from the whole dataset: memory stays bounded."""
HEAVIEST = HEAVY // POOL
"""Characters of a row above which it is no example: it would not fit a budget, and would fill the memory."""


class Shots(BaseModel):
    """How few-shot samples are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    share: float = Field(default=0.0, ge=0, le=1, description="share of the samples that get worked examples")
    fixed: bool = Field(default=False, description="true: always `most` examples, the same for all rows")
    most: int = Field(default=5, ge=1, le=100, description="most examples before a question")
    budget: int = Field(default=1920, ge=1, description="tokens that examples and question may take (FLAN: 1,920)")
    layout: Literal["text", "turns"] = Field(default="text", description="examples in one text, or as earlier turns")


class Example(NamedTuple):
    """A rendered row that may serve as an example."""

    number: int
    """Of its row."""
    asks: int
    """Hash of what the row asks, however it is said: a repeat of the question is none of its examples."""
    made: Made
    rationale: Any = None


Say = Callable[[Example], "tuple[str, str] | None"]
"""How an example is said; `None` for one that cannot be said so."""


def bare(example: Example) -> tuple[str, str]:
    """Say an example as its template does."""
    return example.made.input, example.made.target


def exemplars(
    query: Example, pool: Sequence[Example], options: Shots, rng: Random, count: Counter, say: Say = bare
) -> list[tuple[str, str]]:
    """Return examples for a question, in order, that fit the budget together with it.

    The row itself is never among them, nor one that asks the same. Raises: Unrenderable when none is left.
    """
    wanted = options.most if options.fixed else 1 + int(rng.random() * options.most)
    left = options.budget - count(query.made.input)
    chosen: list[tuple[str, str]] = []
    for example in pool if options.fixed else _shuffled(pool, rng):
        if len(chosen) == wanted:
            break
        if example.number == query.number or example.asks == query.asks:
            continue
        said = say(example)
        if said is None:
            continue
        left -= count(said[0]) + count(said[1])
        if left < 0:
            break
        chosen.append(said)
    if not chosen:
        raise Unrenderable("no_example_fits", f"no worked example fits into {options.budget} tokens with this question")
    return chosen


def _shuffled(items: Sequence[Example], rng: Random) -> Iterator[Example]:
    """Yield items in a drawn order, with `rng.random()` alone (which Python keeps stable), as far as it is asked."""
    moved: dict[int, int] = {}
    for left in range(len(items), 0, -1):
        at = int(rng.random() * left)
        yield items[moved.get(at, at)]
        moved[at] = moved.get(left - 1, left - 1)


def drawn_rows(chunks: Iterable[Chunk], rng: Random, size: int = POOL) -> list[Numbered]:
    """Return up to `size` rows, each of the dataset equally likely (Vitter's algorithm R), in row order."""
    held: list[Numbered] = []
    seen = 0
    for chunk in chunks:
        for at, number in enumerate(chunk.numbers):
            seen += 1
            place = len(held) if len(held) < size else int(rng.random() * seen)
            if place >= size:
                continue
            row = chunk.rows[at]
            if _heavy(row):
                continue
            held[place : place + 1] = [(number, row)]
    return sorted(held, key=lambda numbered: numbered[0])


def _heavy(row: dict[str, Any]) -> bool:
    return sum(len(value) for value in row.values() if isinstance(value, str)) > HEAVIEST


def as_text(query: Made, examples: Sequence[tuple[str, str]]) -> Made:
    """Return the question with its examples before it, each with its answer, divided by blank lines."""
    before = "".join(f"{asked}\n{said}\n\n" for asked, said in examples)
    return query._replace(input=before + query.input)
