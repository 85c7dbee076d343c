"""What prompts draw their examples from: seed tasks, and the machine instructions accepted so far.

The pool grows at commits only. A flow sees a `PoolView`, the pool as of its slot's snapshot, and draws with
`rng.random()` alone, the one method of `random.Random` that Python keeps stable between versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, TypeVar

from instructgen.records import Sample, Seed

T = TypeVar("T")


class Shot(NamedTuple):
    """An example task for a prompt."""

    id: str
    instruction: str
    input: str
    output: str
    is_classification: bool
    machine: bool


class Pool:
    """Seeds, and distinct accepted instructions in commit order."""

    def __init__(self, seeds: Sequence[Seed]) -> None:
        self.seeds = tuple(seeds)
        self._seed_shots = tuple(_seed_shot(seed) for seed in self.seeds)
        self._machine: list[Shot] = []
        self._known: set[str] = set()

    def __len__(self) -> int:
        """Return the number of distinct machine instructions."""
        return len(self._machine)

    def add(self, sample: Sample) -> None:
        """Take in an accepted sample; a second instance of a known instruction changes nothing."""
        if sample.instruction in self._known:
            return
        self._known.add(sample.instruction)
        is_classification = bool(sample.labels.get("is_classification", False))
        self._machine.append(
            Shot(sample.id, sample.instruction, sample.input, sample.output, is_classification, machine=True)
        )

    def view(self, size: int | None = None) -> PoolView:
        """Return the pool as of its first `size` machine instructions (default: all)."""
        return PoolView(self._seed_shots, self._machine, len(self._machine) if size is None else size)


class PoolView:
    """The pool as a flow sees it. Later growth of the pool does not show."""

    def __init__(self, seeds: Sequence[Shot], machine: Sequence[Shot], size: int) -> None:
        self._seeds, self._machine, self._size = seeds, machine, size

    @property
    def seed_count(self) -> int:
        """How many seeds there are."""
        return len(self._seeds)

    @property
    def machine_count(self) -> int:
        """How many distinct machine instructions this view holds."""
        return self._size

    def draw_seeds(self, k: int, rng: Random) -> list[Shot]:
        """Draw up to `k` distinct seeds, in random order."""
        return [self._seeds[i] for i in distinct(len(self._seeds), k, rng)]

    def draw_machine(self, k: int, rng: Random) -> list[Shot]:
        """Draw up to `k` distinct machine instructions, in random order."""
        return [self._machine[i] for i in distinct(self._size, k, rng)]

    def draw(self, k: int, rng: Random) -> list[Shot]:
        """Draw up to `k` distinct shots from seeds and machine instructions together."""
        count = len(self._seeds)
        chosen = distinct(count + self._size, k, rng)
        return [self._seeds[i] if i < count else self._machine[i - count] for i in chosen]


def distinct(count: int, k: int, rng: Random) -> list[int]:
    """Draw min(k, count) distinct numbers below `count`, in random order, with `rng.random()` alone.

    Example: sorted(distinct(3, 5, Random(0))) -> [0, 1, 2]
    """
    moved: dict[int, int] = {}  # a Fisher-Yates shuffle that stores only what it moved
    chosen = []
    for i in range(min(k, count)):
        j = i + int(rng.random() * (count - i))
        chosen.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return chosen


def shuffled(values: Sequence[T], rng: Random) -> list[T]:
    """Return the values in random order."""
    return [values[i] for i in distinct(len(values), len(values), rng)]


def _seed_shot(seed: Seed) -> Shot:
    case = seed.instances[0] if seed.instances else None
    return Shot(
        seed.id,
        seed.instruction,
        case.input if case else "",
        case.output if case else "",
        bool(seed.is_classification),
        machine=False,
    )
