"""Filter and deduplicate an existing dataset: a stream of rows in, the kept ones out, every decision written down.

    kept.jsonl       the kept rows, in the input's own shape and order
    decisions.jsonl  a line per sample, in the order of the rows; a closing line per 10,000 rows; rejected ones in full
    summary.json     written last: counts, clusters, borderline pairs

Order of checks, as in a run: filters without memory, then those with; list order within a kind. A row is remembered
only if it is kept; a row with several samples is kept only if all are.
"""

from __future__ import annotations

import math
import os
import pickle
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from instructgen.clean_screen import SLOT, Row, Screen, judged, together
from instructgen.clean_summary import Summary
from instructgen.convert.write import Names
from instructgen.decisions import DecisionLog
from instructgen.errors import ExportError, RecipeError, suggestion
from instructgen.files import CLEANING, claim, describe, dumps, whole_file
from instructgen.filters import Filter
from instructgen.filters.defaults import DEFAULT_SET
from instructgen.formats import Format
from instructgen.formats.reading import plain
from instructgen.formats.rewriting import changed_rows
from instructgen.recipe import Recipe, build
from instructgen.records import Rejection, Sample


@dataclass(frozen=True)
class Preference:
    """How much a row is wanted when one of several alike may stay: the greatest is judged first, then the oldest."""

    wish: Callable[[Row], float]
    """-inf for a row that lacks what the preference goes by."""
    goes_by: str
    """What that is, in words."""


def preference(keep: str, column: str = "score", sources: Sequence[str] = ()) -> Preference | None:
    """Return the preference of that name; `None` for "first", which needs none.

    longest: the most characters in answers. best: the greatest number in `column` (a label or a column without a
    field of its own). preferred: the earliest of `sources`, by provenance or a `source` column. Rows without come last;
    where no row has it, cleaning ends with an error. Raises: RecipeError for another name, and for "preferred" without
    sources.
    """
    if keep == "first":
        return None
    if keep == "longest":
        return Preference(lambda row: sum(len(sample.output) for sample in row.samples), "an answer")
    if keep == "best":
        return Preference(lambda row: max(_numbers(row, column), default=-math.inf), f"a number in column {column!r}")
    if keep == "preferred" and sources:
        places = {source: -place for place, source in enumerate(sources)}
        return Preference(
            lambda row: max((places.get(_source(sample), -math.inf) for sample in row.samples), default=-math.inf),
            f"the source {' or '.join(sources)}",
        )
    if keep == "preferred":
        raise RecipeError("keep: preferred needs to know which sources, best first: --prefer SOURCE")
    raise RecipeError(f"keep is {keep!r}{suggestion(keep, ('first', 'longest', 'best', 'preferred'))}")


def _numbers(row: Row, column: str) -> Iterator[float]:
    for sample in row.samples:
        value = sample.labels.get(column, sample.extra.get(column))
        try:
            number = float(value) if isinstance(value, int | float | str) else math.nan  # CSV has only texts
        except ValueError:
            continue
        if not math.isnan(number):
            yield number


def _source(sample: Sample) -> str:
    value = sample.extra.get("source", sample.labels.get("source"))
    return value if isinstance(value, str) else sample.provenance.source


def judged_by_preference(rows: Iterable[Row], screen: Screen, wanted: Preference, folder: Path) -> Iterator[Row]:
    """Yield rows with their verdicts, in order; of duplicates the most wanted stays.

    Rows wait in a temporary file in `folder`; in memory are a few numbers per row. Raises: ExportError, disk full;
    RecipeError when no row has what the preference goes by.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as spool:
            places, wants = array("q"), array("d")
            for some in together(rows):
                screen.free_checks(some)
                screen.paid_checks(some)
                for row in some:
                    places.append(_spooled(row, spool))
                    wants.append(wanted.wish(row) if row.kept else math.nan)
            order = sorted((n for n, want in enumerate(wants) if not math.isnan(want)), key=lambda n: -wants[n])
            if order and wants[order[0]] == -math.inf:
                raise RecipeError(f"keep: none of the {len(order):,} rows has {wanted.goes_by}; give one that is there")
            at = 0
            for some in together(_read(spool, places[n]) for n in order):
                screen.memory_checks(some)
                for row in some:
                    places[order[at]] = _spooled(row, spool)
                    at += 1
            for place in places:
                yield _read(spool, place)
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written: {describe(error)}") from error


def _spooled(row: Row, spool: IO[bytes]) -> int:
    place = spool.seek(0, os.SEEK_END)
    pickle.dump(row, spool)
    return place


def _read(spool: IO[bytes], place: int) -> Row:
    spool.seek(place)
    row: Row = pickle.load(spool)  # noqa: S301 - a file of our own, without a name
    return row


class Output:
    """The folder of a cleaned dataset, written in the order of the rows."""

    def __init__(self, into: Path, shape: Format, *, overwrite: bool = False) -> None:
        claim(into, CLEANING, overwrite=overwrite)
        try:
            (into / CLEANING).touch()
            (into / "summary.json").unlink(missing_ok=True)  # it comes last: its presence says that all is there
        except OSError as error:
            raise ExportError(f"{into}: cannot be written: {describe(error)}") from error
        self._into, self._shape, self._names = into, shape, Names()

    def write(self, rows: Iterable[Row], summary: Summary, progress: Callable[[Summary], None]) -> None:
        """Write kept rows and decisions. Raises: ExportError, RunError when the disk is full."""
        log = DecisionLog(self._into / "decisions.jsonl")
        try:
            with whole_file(self._into / "kept.jsonl") as kept:
                stream = iter(rows)
                while slot := list(islice(self._lines(stream, kept.write, summary), SLOT)):
                    lines = [line for lines in slot for line in lines]
                    log.append(lines, {"parsed": len(lines), "accepted": sum("accepted" in line for line in lines)})
                    progress(summary)
        finally:
            log.close()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary: all is there."""
        import orjson

        with whole_file(self._into / "summary.json") as file:
            file.write(orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n")

    def _lines(
        self, rows: Iterator[Row], write: Callable[[bytes], Any], summary: Summary
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield a row's lines; write the row if it is kept."""
        for row in rows:
            if row.kept:
                written = (
                    changed_rows(row.samples, row.row, self._shape) if row.changed else self._shape.scatter(row.row)
                )
                for source in written:
                    write(dumps(plain(source)) + b"\n")
            lines = [{"rejected": _placed(rejection, row.number)} for rejection in row.rejections]
            for rejection in row.rejections:
                summary.rejected("parse", rejection)
            why = next((verdict for verdict in row.verdicts if verdict), None)
            for sample, verdict, notes in zip(row.samples, row.verdicts, row.notes, strict=True):
                lines.append(self._line(row, sample, verdict, notes, why, summary))
            summary.row(kept=row.kept)
            yield lines

    def _line(
        self, row: Row, sample: Sample, verdict: tuple[str, Rejection] | None, notes: dict[str, Any],
        why: tuple[str, Rejection] | None, summary: Summary,
    ) -> dict[str, Any]:  # fmt: skip
        if row.kept:
            summary.accepted(sample, notes)
            line: dict[str, Any] = {"id": self._names.name(sample.id), "row": row.number}
            return {"accepted": line | ({"notes": notes} if notes else {})}
        if verdict is None:
            because = why[1].reason if why else row.rejections[0].reason
            verdict = ("row", sample.rejected("row_rejected", because=because))
        kind, rejection = verdict
        summary.rejected(kind, rejection)
        return {"rejected": _placed(rejection, row.number, kind)}


def _placed(rejection: Rejection, number: int, kind: str = "") -> dict[str, Any]:
    evidence = {"row": number} | ({"filter": kind} if kind else {}) | rejection.evidence
    return rejection.model_copy(update={"evidence": evidence}).as_json()


def clean(
    rows: Iterable[Row], shape: Format, screen: Screen, into: Path, about: Mapping[str, Any], *,
    wanted: Preference | None = None, overwrite: bool = False, progress: Callable[[Summary], None] = lambda _: None,
    known: Callable[[], Iterable[Sample]] = lambda: (),
) -> dict[str, Any]:  # fmt: skip
    """Clean a dataset into a folder; return its summary. `known` yields what the screen remembers from before.

    Raises: ExportError for a folder that holds something else, and when the disk is full.
    """
    output, summary = Output(into, shape, overwrite=overwrite), Summary(about)
    done = judged(rows, screen) if wanted is None else judged_by_preference(rows, screen, wanted, into)
    output.write(done, summary, progress)
    finished = summary.finished(screen.labelled, into, shape, known, screen.held)
    output.finish(finished)
    return finished


def recipe_filters(data: Mapping[str, Any] | None, where: str = "recipe") -> list[Filter]:
    """Return the filters of a recipe's plain data; the default set without one. Raises: RecipeError."""
    if data is None:
        return [build("filters", line, f"filters[{n}]") for n, line in enumerate(DEFAULT_SET)]
    unknown = [key for key in data if key not in Recipe.model_fields and key != "mixture"]
    if unknown:
        raise RecipeError(f"{where}: {unknown[0]} is not an option{suggestion(unknown[0], Recipe.model_fields)}")
    lines = data.get("filters")
    if not isinstance(lines, list) or not lines:
        raise RecipeError(f"{where}: filters is {lines!r}, expected a list of {{kind: NAME, ...}}")
    try:
        return [build("filters", line, f"filters[{n}]") for n, line in enumerate(lines)]
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
