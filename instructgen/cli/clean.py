"""`instructgen clean`: filter and deduplicate an existing dataset."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from instructgen.cli.progress import Pace
from instructgen.cli.shown import logged, say, shown_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from instructgen.clean import Preference
    from instructgen.clean_screen import Judge
    from instructgen.clean_summary import Summary
    from instructgen.filters import Filter
    from instructgen.records import Sample


def clean(
    source: Annotated[str, typer.Argument(metavar="IN", help="A run, a dataset (file or folder), or - for stdin.")],
    into: Annotated[Path, typer.Option("--into", help="Folder to write: kept.jsonl, decisions.jsonl, summary.json.")],
    recipe: Annotated[
        str, typer.Option("--recipe", help="Recipe with `filters`; default: the safe validators, without dedup.")
    ] = "",
    shape: Annotated[str, typer.Option("--from", help="Row shape of IN, instead of detecting it.")] = "",
    keep: Annotated[
        str, typer.Option("--keep", help="Which of several alike stays: first, longest, best or preferred.")
    ] = "first",
    score: Annotated[str, typer.Option("--score", help="For --keep best: the column with the score.")] = "score",
    prefer: Annotated[
        list[str] | None, typer.Option("--prefer", help="For --keep preferred: sources, best first; repeat.")
    ] = None,
    known: Annotated[
        list[str] | None,
        typer.Option("--known", help="A dataset or run that is there already: rows like its are dropped; repeat."),
    ] = None,
    unsafe_code: Annotated[
        bool, typer.Option("--unsafe-code", help="Let code in the data run without a sandbox.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder with other content.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say everything on standard error, tracebacks of filters too.")
    ] = False,
) -> None:
    """Filter and deduplicate a dataset; kept rows stay as they are, dropped ones are explained."""
    with shown_errors(), logged(loud=verbose):
        from instructgen.clean import preference, recipe_filters
        from instructgen.recipe import read_recipe

        data, path = read_recipe(recipe) if recipe else (None, Path())
        filters = recipe_filters(data, str(path))
        about = {"recipe": str(path) if recipe else "the default set", "keep": keep}
        wanted = preference(keep, score, prefer or ())
        with _judges(data, path, filters, into, overwrite=overwrite) as judge:
            done = cleaned(
                source, shape, filters, into, about, wanted, judge,
                known=known or (), unsafe_code=unsafe_code, overwrite=overwrite,
            )  # fmt: skip
        tell(done, as_json=as_json)
        say(f"Kept rows: {into / 'kept.jsonl'}")


@contextmanager
def _judges(
    data: dict[str, Any] | None, path: Path, filters: Sequence[Filter], into: Path, *, overwrite: bool
) -> Iterator[Judge | None]:
    """Open the teacher that judges ask, where the recipe has judges; their answers are stored in the folder."""
    judges = [check for check in filters if check.judge]
    if not judges or data is None:
        yield None
        return
    from instructgen.errors import RecipeError
    from instructgen.files import CLEANING, claim
    from instructgen.judging import judging
    from instructgen.recipe import build
    from instructgen.sitting import template_texts

    if "teacher" not in data:
        raise RecipeError(f"{path}: filter {judges[0].kind!r} asks a teacher; add `teacher` to the recipe")
    teacher = build("teachers", data["teacher"], "teacher").located(path.parent)
    own = str(path.parent / data["prompts"]) if data.get("prompts") else ""
    texts = template_texts({name for judge in judges for name in judge.prompt_names()}, own)
    claim(into, CLEANING, overwrite=overwrite)
    (into / CLEANING).touch()
    with judging(into, judges, teacher, texts, int(data.get("seed", 0))) as judge:
        yield judge


def cleaned(
    source: str, shape: str, filters: Sequence[Filter], into: Path, about: dict[str, Any],
    wanted: Preference | None = None, judge: Judge | None = None, *,
    known: Sequence[str] = (), unsafe_code: bool = False, overwrite: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Open IN, clean it into a folder, return the summary. Raises: our errors."""
    from instructgen.clean import clean as work
    from instructgen.clean_screen import Screen, rows_of
    from instructgen.cli.inputs import open_rows
    from instructgen.errors import ExportError
    from instructgen.tools import tools

    given = open_rows(source, shape, said=say)
    if into.resolve() in (given.path.resolve(), *given.path.resolve().parents):
        raise ExportError(f"{into} is or holds the input itself; choose another --into")
    if (before := _cleaned_before(into)) not in ("", source):
        say(f"{into}: the cleaning of {before} that is there is replaced")
    lent = tools(unsafe_code=unsafe_code)
    ready = [check.prepare(lent) for check in filters]
    screen = Screen(ready, judge)
    about = {"input": source, "format": given.format.name} | about
    if notices := [notice for check in ready for notice in check.notices()]:
        about["notices"] = notices
        say("\n".join(notices))
    about["filters"] = [{"kind": f.kind} | f.model_dump(mode="json", exclude_defaults=True) for f in filters]
    if known:
        about["known"] = {path: screen.remember(_known([path], into)) for path in known}
        say(f"held against {sum(about['known'].values()):,} known samples")
    rows = rows_of(given.rows, given.format, given.source, given.bad)
    return work(
        rows, given.format, screen, into, about,
        wanted=wanted, overwrite=overwrite, progress=_progress(), known=lambda: _known(known, into),
    )  # fmt: skip


def _cleaned_before(into: Path) -> str:
    """Return the input of a cleaning that is in this folder already; "" = there is none."""
    from instructgen.files import loads

    try:
        before = loads((into / "summary.json").read_bytes())
    except (OSError, ValueError):
        return ""
    return str(before.get("input", "")) if isinstance(before, dict) else ""


def _known(paths: Sequence[str], into: Path) -> Iterator[Sample]:
    """Yield the samples of datasets that are there already. Raises: DataError for a row that is not one."""
    from instructgen.cli.inputs import open_input
    from instructgen.errors import DataError, ExportError
    from instructgen.records import Rejection

    for path in paths:
        if path == "-" or into.resolve() == Path(path).resolve():
            raise ExportError(f"--known {path}: give a file or folder other than --into")
        for made in open_input(path):
            if isinstance(made, Rejection):
                row, detail = made.evidence.get("row", "?"), made.evidence.get("detail", made.reason)
                raise DataError(
                    f"--known {path}: row {row} cannot be read ({detail}), and nothing would be held against it; "
                    "mend or remove it"
                )
            yield made


def _progress() -> Callable[[Summary], None]:
    """Return what says from time to time how far it is."""
    pace = Pace()

    def tell(summary: Summary) -> None:
        if pace.due():
            say(f"{summary.rows:,} rows read, {summary.rows_kept:,} kept so far")

    return tell


def tell(summary: dict[str, Any], *, as_json: bool) -> None:
    """Print a summary, for machines or for people."""
    if as_json:
        import orjson

        typer.echo(orjson.dumps(summary).decode())
        return
    rows, samples = summary["rows"], summary["samples"]
    typer.echo(f"{rows['read']:,} rows read, {rows['kept']:,} kept, {rows['read'] - rows['kept']:,} dropped")
    if (samples["parsed"], samples["accepted"]) != (rows["read"], rows["kept"]):
        typer.echo("in them {parsed:,} samples: {accepted:,} accepted, {rejected:,} rejected".format(**samples))
    for kind, counts in summary["rejected"].items():
        for reason, count in counts.items():
            typer.echo(f"  {count:>9,}  {kind}: {reason}")
    for kind, share in summary["flip_rate"].items():
        typer.echo(f"{kind}: {share:.1%} of its comparisons turned with the order of the answers")
    for kind, clusters in summary["clusters"].items():
        sizes = ", ".join(f"{count} of {size}" for size, count in list(clusters["sizes"].items())[:8])
        typer.echo(f"{kind}: {clusters['count']:,} clusters ({sizes}{', ...' if len(clusters['sizes']) > 8 else ''})")
    for kind, back in summary["scores"].items():
        steps = ", ".join(f"{count:,} at {threshold}" for threshold, count in back.items())
        if steps:
            typer.echo(f"{kind}: a higher threshold would bring back about {steps}")
    for kind, sides in summary["borderline"].items():
        _tell_pairs(f"{kind}: dropped, only just", sides["dropped"])
        _tell_pairs(f"{kind}: kept, the closest of those looked at", sides["kept"])


def _tell_pairs(title: str, pairs: list[dict[str, Any]]) -> None:
    if pairs:
        typer.echo(title)
    for pair in pairs:
        typer.echo(f"  {pair['score']:.3f}  {_line(pair['kept']['text'])}\n         {_line(pair['other']['text'])}")


def _line(text: str) -> str:
    whole = " ".join(text.split())
    return whole if len(whole) <= 100 else f"{whole[:99]}…"
