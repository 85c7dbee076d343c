"""Judges on a stream of samples, for `clean`: the same store, the same one-time purchase as in a run.

    DIR/recipe.yaml       what was judged with: filters, teacher, prompts
    DIR/completions.db    what the teacher said; a second `clean` into DIR asks for nothing that is in it

A sampled request is seeded by (recipe seed, sample id, judge, step): a verdict does not depend on where the row
stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

import instructgen
from instructgen.errors import RunMismatch
from instructgen.files import locked, read_text, whole_file
from instructgen.filters import Filter, Verdict
from instructgen.prompts import Prompts
from instructgen.purchases import Purchases, SlotLedger
from instructgen.records import Rejection, Sample
from instructgen.store import Store
from instructgen.teachers import Sitting, Teacher, places_now

LOCK = ".instructgen-judging"
NO_SLOT = 0
"""A stream has no slots; places go to whoever came first."""


class Judging:
    """Judges at work on samples, many at once. Call it with samples; it returns a verdict each, in order."""

    def __init__(self, judges: Sequence[Filter], purchases: Purchases, runner: asyncio.Runner) -> None:
        self._judges, self._purchases, self._runner = judges, purchases, runner
        self.noted: dict[str, dict[str, Any]] = {}
        """Sample id -> what judges noted of samples they kept, by judge; the caller clears it."""

    def __call__(self, samples: Sequence[Sample]) -> list[Verdict]:
        """Judge samples side by side. Raises: TeacherError, RunError; what was bought is stored."""
        return self._runner.run(self._all(samples))

    async def _all(self, samples: Sequence[Sample]) -> list[Verdict]:
        return list(await asyncio.gather(*(self._one(sample) for sample in samples)))

    async def _one(self, sample: Sample) -> Verdict:
        for judge in self._judges:
            bound = judge.slot_bound()
            place = f"judge/{sample.content_id()}/{judge.kind}"
            verdict = await self._purchases.verdict(judge, sample, place, SlotLedger(NO_SLOT, bound), bound)
            if isinstance(verdict, Rejection):
                return verdict
            if verdict:
                self.noted.setdefault(sample.id, {})[judge.kind] = verdict
        return None


@contextmanager
def judging(
    into: Path, judges: Sequence[Filter], teacher: Teacher, prompts: dict[str, str], seed: int = 0
) -> Iterator[Judging]:
    """Open DIR's store and the teacher, and judge; closes both, whatever happens.

    Raises: RunError when another process works there or the store cannot be written; RunMismatch when DIR was judged
    otherwise.
    """
    with locked(into / LOCK, f"{into}"):
        _freeze(into, judges, teacher, prompts, seed)
        store = Store(into / "completions.db")
        try:
            purchases = Purchases(store, Prompts(prompts), model=teacher.identity, run_seed=seed)
            with asyncio.Runner() as runner:
                live = teacher.connect_run(Sitting(folder=into, answered=store.count(bought=True)))
                connection = runner.run(live.__aenter__())
                purchases.connect(connection, lambda: places_now(connection, teacher), by_batch=teacher.in_batches)
                try:
                    yield Judging(judges, purchases, runner)
                finally:
                    purchases.stop()
                    runner.run(purchases.land())
                    runner.run(live.__aexit__(None, None, None))
        finally:
            store.close()


def _freeze(into: Path, judges: Sequence[Filter], teacher: Teacher, prompts: dict[str, str], seed: int) -> None:
    """Write what is judged with; refuse a folder whose answers were given to other questions."""
    path = into / "recipe.yaml"
    frozen = {
        "seed": seed,
        "teacher": teacher.model_dump(mode="json"),
        "judges": [judge.model_dump(mode="json") for judge in judges],
        "prompts": {name: Prompts(prompts).hash(name) for name in sorted(prompts)},
        "version": instructgen.__version__,
    }
    if path.is_file():
        old = yaml.safe_load(read_text(path)) or {}
        differing = [key for key in ("seed", "judges", "prompts") if old.get(key) != frozen[key]]
        if old.get("teacher", {}).get("model") != teacher.model:
            differing.append("teacher.model")
        if differing:
            raise RunMismatch(
                f"{into} was judged with other values of {', '.join(differing)}. Use a new directory, or restore them"
            )
    with whole_file(path) as file:
        file.write(yaml.safe_dump(frozen, sort_keys=False, allow_unicode=True).encode())
