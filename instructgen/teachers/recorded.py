"""A teacher that repeats what another run's teacher said: no key, no network.

    teacher: {kind: recorded, run: runs/first}

It answers from that run's store, and bears the name of the model that was asked there, so that equal requests have
equal hashes: the recipe's seed, prompts, seeds file and generator have to be those of the recorded run. Filters may
differ; where other samples are accepted, other examples are drawn into later prompts, and those were never asked. A
request without a recorded answer raises `MissingAnswer`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from instructgen.errors import MissingAnswer, TeacherError
from instructgen.records import Completion, Provenance, Request
from instructgen.teachers import Connection, Teacher, placed
from instructgen.teachers.prices import FREE, Price

if TYPE_CHECKING:
    from instructgen.store import Store


class RecordedTeacher(Teacher):
    """Answers from a run directory."""

    movable: ClassVar[frozenset[str]] = frozenset({"concurrency", "price", "run"})

    kind: Literal["recorded"] = "recorded"
    run: str = Field(min_length=1, description="the run directory whose answers are repeated")

    @cached_property
    def _origin(self) -> Provenance:
        """Teacher, revision and terms as the recorded run's samples name them."""
        from instructgen.run import Run

        run = Run(Path(self.run))
        sample = next(run.samples(limit=1), None)
        if sample is not None:
            return sample.provenance
        store = run.store()
        try:
            models = Counter(str(row.request.get("model", "")) for row in store.rows())
        finally:
            store.close()
        if not models:
            raise TeacherError(f"{self.run} holds no answers to repeat; name a run whose teacher has answered")
        return Provenance(teacher=models.most_common(1)[0][0])

    @property
    def identity(self) -> str:
        """The model that the recorded run asked. Raises: RunError for no run, TeacherError for one without answers."""
        return self.model or self._origin.teacher

    @property
    def revision(self) -> str:
        """The recorded teacher's."""
        return self._origin.teacher_revision

    @property
    def licence(self) -> str:
        """The recorded teacher's: repeating an answer does not change whose it is."""
        return self._origin.terms or super().licence

    def known_price(self) -> Price:
        """Nothing, unless the recipe says otherwise: it was paid when it was recorded."""
        return self.price or FREE

    def located(self, beside: Path) -> Self:
        """Return this teacher with its run taken relative to the recipe's folder, where it is there."""
        return self.model_copy(update={"run": placed(self.run, beside)})

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Return a connection to the recorded run's store."""
        return self._connected()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        from instructgen.run import Run

        store = Run(Path(self.run)).store()
        try:
            yield _Recording(store, self.run)
        finally:
            store.close()


class _Recording:
    """A store, read only."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    async def complete(self, request: Request) -> Completion:
        """Return the recorded answer. Raises: MissingAnswer."""
        key = request.hash
        completion = self._store.get(key)
        if completion is None:
            asked = f"prompt {request.prompt!r}" if request.prompt else "a request without a prompt template"
            raise MissingAnswer(
                f"{self._name} holds no answer to {asked} ({key[:16]}, model {request.model!r}): its seed, seeds, "
                "prompts and generator have to be this run's, and the pool must have grown alike",
                request,
            )
        return completion
