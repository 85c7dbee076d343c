"""Teachers: answer requests. One file a kind.

A teacher is a Pydantic model of its options; `connect` gives a live `Connection`. The engine holds a concurrency
place for each `complete` until the answer is durable. Retries, back-off and rate limits are the connection's work:
`complete` returns an outcome (an answer, or a refusal that belongs to the request) or raises `TeacherError`.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from instructgen.records import Completion, Request
from instructgen.teachers.ledger import Ledger
from instructgen.teachers.prices import Price, listed


@dataclass(frozen=True)
class Sitting:
    """What a run tells its teacher when it starts or goes on."""

    folder: Path | None = None
    """The run directory. A teacher keeps there what it has learnt of its model, and the ids of its open batches."""
    answered: int = 0
    """Answers of this teacher that the run's store already holds, copies from another run left out."""


class Connection(Protocol):
    """A live teacher.

    Some things are there on some connections only; ask with the functions below: `places`, how many requests may be in
    flight at this moment (adaptive concurrency); `ledger`, what was sent, retried and possibly billed; `leave` and
    `cancel`, where answers take hours. A connection keeps to its `places` by itself; whoever reads it only queues less.
    """

    async def complete(self, request: Request) -> Completion:
        """Answer a rendered request.

        Raises: TeacherError (the run stops, slots stay open), MissingAnswer (the slot stays open, and it is an
        error only when that slot is the next to commit).
        """
        ...


def places_now(connection: Connection, teacher: Teacher) -> int:
    """Return how many requests may be in flight at this moment, at least 1."""
    places: int = getattr(connection, "places", teacher.places)
    return places


def ledger_of(connection: Connection) -> Ledger | None:
    """Return a connection's counts of what went over the wire; `None` for a teacher without one."""
    ledger: Ledger | None = getattr(connection, "ledger", None)
    return ledger


def leave(connection: Connection | None) -> None:
    """Give back what waits for answers that are not due soon (batch mode); they are fetched by a later sitting."""
    if connection is not None and hasattr(connection, "leave"):
        connection.leave()


async def cancel(connection: Connection) -> int:
    """Stop answers that are still being made and that nobody wants any more (batch mode); returns how many batches."""
    return await connection.cancel() if hasattr(connection, "cancel") else 0


def placed(path: str, beside: Path) -> str:
    """Return an option's path relative to the recipe's folder, if that exists, else as it is."""
    return str(beside / path) if (beside / path).exists() else path


class Teacher(BaseModel):
    """Options of a teacher. `model` names it in request hashes and provenance."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    movable: ClassVar[frozenset[str]] = frozenset({"concurrency", "price"})
    """Options that may change between two sittings of one run: they do not decide what is answered."""
    kind: str
    model: str = Field(
        default="", description="name that requests are hashed and samples attributed under; default: the teacher's own"
    )
    concurrency: PositiveInt = Field(default=16, description="requests in flight at once")
    price: Price | None = Field(
        default=None, description="US dollars per million tokens, {input, output, ...}; default: the price table"
    )

    @property
    def ordered(self) -> bool:
        """True when answers depend on the order of asking; window and concurrency are then 1."""
        return False

    @property
    def in_batches(self) -> bool:
        """True when answers come hours later, a whole wave of requests at once."""
        return False

    @property
    def places(self) -> int:
        """How many requests the engine may have in flight; batch mode never lets it bind."""
        return self.concurrency

    def known_price(self) -> Price | None:
        """Return what tokens cost: the option, else the table's price of the model; `None` = unknown."""
        if self.price is not None:
            return self.price
        found = listed(self.model)
        return found.price if found else None

    def price_source(self) -> str:
        """Say where the price comes from.

        Example: "openai.com/api/pricing, read 2026-05-02"
        """
        if self.price is not None:
            return "the recipe's teacher.price"
        found = listed(self.model)
        return f"{found.source}, read {found.read}; yours differs? teacher.price" if found else "no price"

    def price_of(self, *, by_batch: bool) -> Price | None:
        """Return what answers cost that were bought in one of the two ways; differs where a teacher has two prices."""
        return self.known_price()

    @property
    def identity(self) -> str:
        """The name under which requests are hashed and samples attributed."""
        return self.model or self.kind

    @property
    def revision(self) -> str:
        """Exact revision where it is known (a weights file's sha256), else ""."""
        return ""

    @property
    def licence(self) -> str:
        """Licence or terms that the teacher's output falls under, in a few words."""
        return "unknown: see the terms of the model's provider"

    def check(self) -> None:
        """Raise what the set-up alone already lets us know `connect` would raise; asked before a folder is cleared."""

    @abstractmethod
    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Return a context manager that starts what has to be started and stops it again."""

    def connect_run(self, sitting: Sitting) -> AbstractAsyncContextManager[Connection]:
        """Return `connect()` for a run that starts or goes on; what the engine calls.

        A teacher that has to know its place in the run (an ordered script, open batches) overrides this.
        """
        return self.connect()

    def named_files(self) -> dict[str, str]:
        """Return the options that name files, as they count for the recipe's hash: by name, wherever they lie."""
        return {}

    def located(self, beside: Path) -> Self:
        """Return this teacher with the paths in its options taken relative to `beside`, the recipe's folder."""
        return self
