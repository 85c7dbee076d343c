"""`instructgen judge-report`: a judge's scores against people's labels."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from instructgen.cli.shown import shown_errors

if TYPE_CHECKING:
    from instructgen.filters.agreement import Agreement, Bin, Judged

GOOD = frozenset({"good", "keep", "accept", "yes", "true", "1", "pass"})
BAD = frozenset({"bad", "drop", "reject", "no", "false", "0", "fail"})


def judge_report(
    labels: Annotated[
        Path,
        typer.Option("--labels", help="Rows (JSONL, JSON, CSV, Parquet) with a judge's score and a person's label."),
    ],
    score: Annotated[str, typer.Option("--score", help="Column of the judge's score.")] = "score",
    label: Annotated[
        str, typer.Option("--label", help="Column of the label: good/bad, 1/0, true/false, or 0..5.")
    ] = "label",
    keep_at_least: Annotated[float, typer.Option(help="Score from which the judge keeps a row.")] = 4.0,
    good_at_least: Annotated[float, typer.Option(help="Number from which a person's 0..5 label means good.")] = 4.0,
    precision: Annotated[float, typer.Option(min=0, max=1, help="Wanted share of good rows among the kept.")] = 0.9,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a judge with human labels: accuracy, kappa, calibration, and the score to keep from."""
    with shown_errors():
        from instructgen.errors import DataError
        from instructgen.filters.agreement import agreement

        if not (isfinite(keep_at_least) and isfinite(good_at_least) and isfinite(precision)):
            raise DataError("--keep-at-least, --good-at-least and --precision are numbers, not nan or inf")
        judged = _read(labels, score, label, good_at_least)
        if not judged:
            raise DataError(f"{labels} holds no rows; expected rows with {score!r} and {label!r}")
        found = agreement(judged, keep_at_least=keep_at_least, precision=precision)
        typer.echo(found.model_dump_json(indent=2) if as_json else _text(found, precision))


def _read(path: Path, score: str, label: str, good_at_least: float) -> list[Judged]:
    """Return the rows of a labels file. Raises: DataError that names file, row, value and what was expected."""
    from instructgen.errors import DataError
    from instructgen.files import iter_rows
    from instructgen.filters.agreement import Judged

    rows = list(iter_rows(path))
    numeric = any(_number(row.get(label)) not in (None, 0.0, 1.0) for _, row in rows)
    judged = []
    for number, row in rows:
        place = f"{path}: row {number}"
        for column in (score, label):
            if column in row and row[column] in (None, ""):
                raise DataError(f"{place}: {column} is empty; leave rows without it out of the file")
            if column not in row:
                known = ", ".join(sorted(map(str, row)))
                raise DataError(f"{place} has no {column!r}; it has {known}. Name the column with --score or --label.")
        value = _number(row[score])
        if value is None:
            raise DataError(f"{place}: {score} is {_shown_value(row[score])}, expected a finite number")
        good = _good(row[label], numeric, good_at_least)
        if good is None:
            wanted = (
                "a number like in other rows (a column holds words or numbers, not both)"
                if numeric
                else "good or bad, true or false, 1 or 0, or a number 0..5"
            )
            raise DataError(f"{place}: {label} is {_shown_value(row[label])}, expected {wanted}")
        judged.append(Judged(value, good))
    return judged


def _number(value: Any) -> float | None:
    """Return a value as a finite number; `None` for all else: no curve can be drawn through infinity."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _shown_value(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "an integer of over forty digits"
    return text if len(text) <= 60 else f"{text[:60]}..."


def _good(value: Any, numeric: bool, good_at_least: float) -> bool | None:
    """Return a person's word as a bool. A column with any number but 0 and 1 is a scale, and all of it is read so."""
    if isinstance(value, bool):
        return value
    number = _number(value)
    if numeric:
        return None if number is None else number >= good_at_least
    word = str(int(number) if number in (0.0, 1.0) else value).strip().lower()
    return True if word in GOOD else False if word in BAD else None


def _text(found: Agreement, precision: float) -> str:
    confusion = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in found.confusion.items())
    lines = [
        f"rows                 {found.rows}, of which people call {found.good} good",
        f"judge keeps from     {found.keep_at_least:g}",
        f"accuracy             {found.accuracy:.3f}",
        f"Cohen's kappa        {_shown(found.kappa)}",
        f"precision, recall    {_shown(found.precision)}, {_shown(found.recall)}",
        f"confusion            {confusion}",
        "",
        "calibration          score          rows   mean   good",
        *map(_bar, found.calibration),
        "",
    ]
    best = found.threshold
    if best is None:
        lines.append(f"No score reaches a precision of {precision:g}: this judge cannot be trusted to keep rows alone.")
    else:
        lines.append(
            f"For a precision of {precision:g}: keep_at_least: {best.score:g} keeps {best.kept} of {found.rows} rows, "
            f"precision {best.precision:.3f} (95 % sure of {best.at_least:.3f}), recall {best.recall:.3f}."
        )
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _bar(each: Bin) -> str:
    """Return one line of the curve, with the share of good rows drawn in twentieths."""
    scores = f"{each.low:5.2f} .. {each.high:5.2f}"
    return (
        f"{'':21}{scores}{each.rows:6}{each.mean_score:7.2f}{each.share_good:7.2f}  {'#' * round(20 * each.share_good)}"
    )
