"""Rows of an existing dataset, and the filters that judge them: what `clean` does before it writes.

    for row in judged(rows_of(numbered, shape, "data.jsonl"), Screen(filters)): row.kept

A row becomes its samples; a row with several is kept only if all are. Filters without memory judge many rows at once,
then judges that ask a teacher, then filters with memory, one row after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from instructgen.defects import DefectError, defect, verdict_of
from instructgen.errors import InstructgenError, RecipeError
from instructgen.files import dumps
from instructgen.filters import Filter, Together, Verdict
from instructgen.filters.shape import Shape
from instructgen.formats import Format
from instructgen.formats.detect import read_row
from instructgen.formats.reading import plain
from instructgen.records import Rejection, Sample
from instructgen.screening import rewritten

SLOT = 10_000
"""Rows under one closing line; also how many known ones are remembered at once."""
TOGETHER = 1_000
"""Rows judged together; fewer when they are long."""
_LONG = 4_000_000  # characters judged together

Check = Callable[[Sequence[Sample]], list[Verdict]]
"""A verdict per sample, in order."""


class Judge(Protocol):
    """Asks a teacher about samples that the free filters left; `judging.Judging` is one."""

    noted: dict[str, dict[str, Any]]
    """Sample id -> what its judges noted, by judge."""

    def __call__(self, samples: Sequence[Sample], /) -> list[Verdict]:
        """Return a verdict per sample, in order."""


@dataclass
class Row:
    """A row on its way. It is kept while no verdict on any of its samples is a rejection."""

    number: int
    row: Mapping[str, Any]
    samples: list[Sample]
    rejections: list[Rejection] = field(default_factory=list)
    """Of pieces that could not become samples."""
    verdicts: list[tuple[str, Rejection] | None] = field(default_factory=list)
    """Per sample: which filter (its label) rejected it, and why."""
    notes: list[dict[str, Any]] = field(default_factory=list)
    """Per sample: what filters noted, by filter."""
    changed: bool = False
    """True when a filter redacted something: the row is then written from its samples."""

    @property
    def kept(self) -> bool:
        """True while nothing speaks against it."""
        return not self.rejections and not any(self.verdicts) and bool(self.samples)

    def size(self) -> int:
        """Return how many characters its samples hold."""
        return sum(len(turn.content) + len(turn.input) for sample in self.samples for turn in sample.turns)


def rows_of(
    rows: Iterable[tuple[int, Mapping[str, Any]]], shape: Format, source: str, bad: list[Rejection]
) -> Iterator[Row]:
    """Yield rows with their samples; `bad` is filled by the file reader with rows that it could not parse."""
    for number, row in shape.gather(rows):
        while bad and _row_number(bad[0]) < number:  # the first rows are read ahead, to detect the format
            yield _broken(bad.pop(0))
        made = list(read_row(number, row, shape, source))
        samples = [one for one in made if isinstance(one, Sample)]
        rejections = [one for one in made if isinstance(one, Rejection)]
        if not made:
            rejections = [Rejection(stage="parse", reason="no_sample", text=dumps(plain(row)).decode())]
        yield Row(number, row, samples, rejections, [None] * len(samples), [{} for _ in samples])
    yield from map(_broken, bad)


def _broken(rejection: Rejection) -> Row:
    return Row(_row_number(rejection), {}, [], [rejection])


def _row_number(rejection: Rejection) -> int:
    number = rejection.evidence.get("row", 0)
    return number if isinstance(number, int) else 0


class Screen:
    """The filters at work on rows, in order. `judge` stands between the free filters and those with memory."""

    def __init__(self, filters: Sequence[Filter], judge: Judge | None = None) -> None:
        judges = [check.kind for check in filters if check.judge]
        if judges and judge is None:
            raise RecipeError(f"filters: {judges[0]!r} asks a teacher, and this command has none; leave it out")
        shaped = any(isinstance(check, Shape) for check in filters)
        self.filters = tuple(filters) if shaped else (Shape(), *filters)
        self.labelled = list(zip(labels(self.filters), self.filters, strict=True))
        self.free = [(label, check) for label, check in self.labelled if not check.memory and not check.judge]
        self.memory = [(label, check) for label, check in self.labelled if check.memory]
        self._judge = judge
        self.held = 0
        """Samples of datasets from before that the filters with memory hold: their first entries."""

    def remember(self, samples: Iterable[Sample]) -> int:
        """Take a dataset in that is there already: rows like its samples are dropped. Return how many samples it has.

        Raises: RecipeError without a filter that has a memory.
        """
        if not self.memory:
            raise RecipeError("known: no filter of this recipe compares rows, so nothing would be held against them")
        count, stream = 0, iter(samples)
        while some := list(islice(stream, SLOT)):
            for _, check in self.memory:
                check.remember_all(some)
            count += len(some)
        self.held += count
        return count

    def free_checks(self, rows: Sequence[Row]) -> None:
        """Apply the filters without memory."""
        for label, check in self.free:
            self._batch(label, rows, check.check_batch, check)
        for row in rows:
            if row.kept:
                with _placed_defects(row):
                    made = [rewritten(sample, [check for _, check in self.free]) for sample in row.samples]
                row.changed = any(new is not old for new, old in zip(made, row.samples, strict=True))
                row.samples = made

    def paid_checks(self, rows: Sequence[Row]) -> None:
        """Ask the judge about what is left."""
        if self._judge is None:
            return
        self._batch("judge", rows, self._judge)
        for row in rows:
            row.notes = [self._judge.noted.get(sample.id, {}) for sample in row.samples]
        self._judge.noted.clear()

    def memory_checks(self, rows: Sequence[Row]) -> None:
        """Apply the filters with memory, row by row in this order; kept rows are remembered."""
        left = [row for row in rows if row.kept]
        if len(self.memory) == 1 and all(len(row.samples) == 1 for row in left):
            label, check = self.memory[0]
            self._batch(label, left, check.check_batch, check)  # remembers what it keeps
        elif self.memory:
            self._together(left)
        for row in left:
            if row.kept:
                pairs = zip(row.notes, row.samples, strict=True)
                with _placed_defects(row):
                    row.notes = [noted | self._notes(sample) for noted, sample in pairs]

    def _batch(self, label: str, rows: Sequence[Row], check: Check, owner: Filter | None = None) -> None:
        asked = [(row, place) for row in rows if row.kept for place in range(len(row.samples))]
        samples = [row.samples[place] for row, place in asked]
        verdicts = check(samples) if owner is None else _verdicts(owner, samples, [row.number for row, _ in asked])
        for (row, place), verdict in zip(asked, verdicts, strict=True):
            if verdict is not None:
                row.verdicts[place] = (label, verdict)

    def _together(self, rows: Sequence[Row]) -> None:
        """Decide row by row; what several filters have to compute for that, each computes for all rows at once.

        A sample that an earlier filter rejects whatever is kept of these rows is not shown to later ones.
        """
        left = [(row, place) for row in rows for place in range(len(row.samples))]
        asked: list[list[_Asked]] = [[] for _ in left]  # per sample
        batches = []
        numbers = list(range(len(left)))
        for label, check in self.memory:
            batch = check.together([left[n][0].samples[left[n][1]] for n in numbers])
            batches.append(batch)
            for place, n in enumerate(numbers):
                asked[n].append((label, batch, place))
            gone = batch.rejected
            numbers = [n for place, n in enumerate(numbers) if place not in gone]
        questions = iter(asked)
        for row in rows:
            of_row = [next(questions) for _ in row.samples]
            for place, filters in enumerate(of_row):
                with _placed_defects(row):
                    row.verdicts[place] = _first_verdict(filters)
            if row.kept:
                for filters in of_row:
                    for _, batch, place in filters:
                        batch.remember(place)
        for batch in batches:
            batch.close()

    def _notes(self, sample: Sample) -> dict[str, Any]:
        noted = {}
        for label, check in self.labelled:
            try:
                if flags := check.flags(sample):
                    noted[label] = flags
            except InstructgenError:
                raise
            except Exception as error:
                raise defect(check, error) from error
        return noted


@contextmanager
def _placed_defects(row: Row) -> Iterator[None]:
    """Name the row in what a filter does wrong."""
    try:
        yield
    except DefectError as error:
        error.place = error.place or f"row {row.number}"
        raise


def _verdicts(check: Filter, samples: Sequence[Sample], numbers: Sequence[int]) -> list[Verdict]:
    """Return a filter's verdicts. Raises: DefectError with the row, or the rows where it takes many at once."""
    if not samples:
        return []
    own = not type(check).__module__.startswith("instructgen.")  # ours are taken to be right, and are faster at once
    one_by_one = own and type(check).check_batch is Filter.check_batch
    groups = [[sample] for sample in samples] if one_by_one else [samples]
    verdicts, at = list[Verdict](), 0
    try:
        for at, group in enumerate(groups):  # noqa: B007 - where it went wrong
            verdicts += [verdict_of(check, verdict) for verdict in check.check_batch(group)]
        if len(verdicts) != len(samples):
            raise defect(check, f"it gave {len(verdicts)} verdicts on {len(samples)} samples")
    except DefectError as error:
        error.place = _rows_said(numbers, at, one_by_one)
        raise
    except InstructgenError:
        raise
    except Exception as error:
        raise defect(check, error, _rows_said(numbers, at, one_by_one)) from error
    return verdicts


def _rows_said(numbers: Sequence[int], at: int, one_by_one: bool) -> str:
    return f"row {numbers[at]}" if one_by_one or len(numbers) == 1 else f"rows {numbers[0]} to {numbers[-1]}"


_Asked = tuple[str, Together, int]
"""A filter's label, the samples it was shown, and which of them is meant."""


def _first_verdict(filters: Sequence[_Asked]) -> tuple[str, Rejection] | None:
    for label, batch, place in filters:
        verdict = batch.verdict(place)
        if verdict is not None:
            return label, verdict
    return None


def labels(filters: Sequence[Filter]) -> list[str]:
    """Return what decisions and summary call each filter: its kind, numbered where a kind occurs more than once.

    Example: rouge, exact, rouge -> ["rouge 1", "exact", "rouge 2"]
    """
    kinds = [check.kind for check in filters]
    return [
        kind if kinds.count(kind) == 1 else f"{kind} {kinds[: number + 1].count(kind)}"
        for number, kind in enumerate(kinds)
    ]


def together(rows: Iterable[Row], most: int = TOGETHER) -> Iterator[list[Row]]:
    """Yield rows in lists that are judged together: up to `most`, fewer when they are long."""
    some, size = list[Row](), 0
    for row in rows:
        some.append(row)
        size += row.size()
        if len(some) == most or size > _LONG:
            yield some
            some, size = [], 0
    if some:
        yield some


def judged(rows: Iterable[Row], screen: Screen) -> Iterator[Row]:
    """Yield rows with their verdicts, in order; the first of duplicates stays."""
    for some in together(rows):
        screen.free_checks(some)
        screen.paid_checks(some)
        screen.memory_checks(some)
        yield from some
