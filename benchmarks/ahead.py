"""What a run buys beyond what its dataset needs, and how long it takes, beside a run that starts its whole window.

    python -m benchmarks.ahead                                          targets 1, 8, 20, 100; yields 100, 50, 10 %
    python -m benchmarks.ahead --targets 8 --windows 128 --concurrency 16

Needed are the answers of the slots that the run ended with: bought one slot after another, there would be no others.
Time is in latencies of one answer (50 ms here, a half to one and a half of it by chance). `short` is a slot of two
requests and at most one sample (Self-Instruct's short form); `full` one of 17 requests, 8 ideas and up to 8 samples,
of which it declares 40 at most.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple
from unittest.mock import patch

from benchmarks.timing import table
from instructgen.ahead import Ahead
from instructgen.generators import Flow, Generator
from instructgen.pool import PoolView
from instructgen.recipe import Recipe
from instructgen.records import Params, Request, Sample, SlotBound, Turn
from instructgen.sitting import generate
from instructgen.teachers.scripted import ScriptedTeacher

LATENCY = 0.05
IDEAS = 8


def _ask(text: str) -> Request:
    return Request(messages=(Turn(role="user", content=text),), params=Params(temperature=1, max_tokens=9))


class Yielding(Generator):
    """A slot whose ideas turn into samples with a fixed chance each."""

    kind: Literal["yielding"] = "yielding"
    ideas: int = 1
    chance: float = 1.0

    def flow(self, pool: PoolView, rng: Random) -> Flow:
        """Ask for ideas; then for each its kind, where there are several, and its answer."""
        idea = yield _ask(f"idea {rng.random()}")
        names = [f"{idea.text} {n} {rng.random()}" for n in range(self.ideas)]
        if self.ideas > 1:
            yield [_ask(f"kind {name}") for name in names]
        said = yield [_ask(f"answer {name}") for name in names]
        return [
            Sample.single(f"Do {name}", output=answer.text, requests=(answer.request,))
            if rng.random() < self.chance
            else answer.rejected("unlucky")
            for name, answer in zip(names, said, strict=True)
        ]

    def slot_bound(self) -> SlotBound:
        """Two requests, or 17."""
        return SlotBound(requests=2 * self.ideas + 1, prompt_tokens=9_999 * self.ideas, completion_tokens=9 * 20)

    def most_samples(self) -> int:
        """One; or as many as Self-Instruct's full form declares for its eight ideas."""
        return 1 if self.ideas == 1 else 40

    def feeds_back(self) -> bool:
        """Return False: prompts show nothing."""
        return False


async def _answer(request: Request) -> str:
    await asyncio.sleep(LATENCY * (0.5 + random.random()))
    return f"words of {request.hash[:9]}"


class Case(NamedTuple):
    """One line of the table."""

    ideas: int
    target: int
    chance: float
    window: int
    concurrency: int


class Seen(NamedTuple):
    """What a case came to."""

    needed: int
    bought: int
    latencies: float


def run(case: Case, seed: int, *, whole_window: bool) -> Seen:
    """Generate into a folder that is thrown away."""
    everything = patch.object(Ahead, "horizon", lambda *_: case.window)
    with tempfile.TemporaryDirectory() as folder, everything if whole_window else nullcontext():
        recipe = Recipe(
            seed=seed, target=case.target, window=case.window, seeds="seeds/general.jsonl",
            teacher=ScriptedTeacher(function=_answer, concurrency=case.concurrency),
            generator=Yielding(ideas=case.ideas, chance=case.chance), exhausted={"below": 0},
        )  # fmt: skip
        outcome = generate(recipe, Path(folder) / "run")
        needed = sum(usage.requests for usage in outcome.progress.usage.values())
    return Seen(needed, outcome.bought, outcome.seconds / LATENCY)


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """Yield what is asked for."""
    for numbers in product(options.ideas, options.targets, options.yields, options.windows, options.concurrency):
        yield Case(*numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ideas", type=int, nargs="+", default=[1, IDEAS])
    parser.add_argument("--targets", type=int, nargs="+", default=[1, 8, 20, 100])
    parser.add_argument("--yields", type=float, nargs="+", default=[1.0, 0.5, 0.1])
    parser.add_argument("--windows", type=int, nargs="+", default=[16, 128])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    lines = []
    for case in cases(options):
        ours, whole = list[Seen](), list[Seen]()
        for seed in range(options.seeds):
            ours.append(run(case, seed, whole_window=False))
            whole.append(run(case, seed, whole_window=True))
        shape = "short" if case.ideas == 1 else "full"
        shown = [_shown(seen) for seen in (ours, whole)]
        lines.append([
            shape, f"{case.target}", f"{case.chance:.0%}", f"{case.window}", f"{case.concurrency}",
            shown[0][0], *shown[0][1:], *shown[1][1:],
        ])  # fmt: skip
    head = ["slot", "target", "yield", "window", "in flight", "needed", "bought", "ratio", "time"]
    table([*head, "bought: whole window", "ratio", "time"], lines)


def _shown(seen: list[Seen]) -> list[str]:
    needed, bought, latencies = (sum(column) / len(seen) for column in zip(*seen, strict=True))
    return [f"{needed:.0f}", f"{bought:.0f}", f"{bought / needed:.2f}", f"{latencies:.1f}"]


if __name__ == "__main__":
    main()
