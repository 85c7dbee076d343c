"""`instructgen decontaminate`: drop the rows in which a benchmark's text stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from instructgen.cli.shown import say, shown_errors


def decontaminate(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(metavar="[IN]", help="A run, a dataset, or -; not needed to save an index alone.")
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option("--against", help="Benchmark file, folder or saved index (.npz); repeat.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Folder to write: kept.jsonl, decisions.jsonl, summary.json.")
    ] = None,
    shape: Annotated[str, typer.Option("--from", help="Row shape of IN, instead of detecting it.")] = "",
    long: Annotated[int, typer.Option("--long", min=2, help="Neighbouring words that may not be shared.")] = 13,
    short: Annotated[int, typer.Option("--short", min=2, help="Neighbouring words, of which a share may be.")] = 8,
    share: Annotated[float, typer.Option("--share", help="Share of a benchmark text's short runs, 0..1.")] = 0.7,
    least: Annotated[int, typer.Option("--least", min=1, help="Words a benchmark text must have.")] = 6,
    rouge: Annotated[float, typer.Option("--rouge", help="ROUGE-L F1 that is too close, 0..1; 0 = off.")] = 0.7,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the benchmarks' index (.npz): hashes of runs, no text.")
    ] = None,
    item_names: Annotated[
        bool, typer.Option("--item-names", help="With --save: keep the names of fields beside the rows' numbers.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder with other content.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Check a dataset against benchmarks: whole texts, shared runs of words, ROUGE-L."""
    if not against or not (source or save) or (source and not into):
        raise typer.BadParameter("give IN, --against and --into, or --against and --save")
    with shown_errors():
        from instructgen.cli.clean import cleaned, tell
        from instructgen.filters.decontaminate import SAVED
        from instructgen.recipe import build

        options = {"long": long, "short": short, "share": share, "least": least, "rouge": rouge or None}
        given = {name: value for name, value in options.items() if _is_given(context, name)}
        check = build("filters", {"kind": "decontaminate", "against": against, **given}, "decontaminate")
        if save:
            _save(check, save, item_names=item_names)
        if source and into:
            for path in [path for path in against if path.endswith(SAVED)]:
                say(f"{path}: a saved index: its own run lengths are used, and nothing is compared by ROUGE-L")
            done = cleaned(source, shape, [check], into, {"against": against}, overwrite=overwrite)
            tell(done, as_json=as_json)
            say(f"Kept rows: {into / 'kept.jsonl'}")


def _is_given(context: typer.Context, name: str) -> bool:
    """Tell whether an option stands on the command line: defaults leave to a saved index what it was made with."""
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"


def _save(check: object, path: Path, *, item_names: bool) -> None:
    from instructgen.errors import ExportError
    from instructgen.files import whole_file
    from instructgen.filters.decontaminate import SAVED, Decontaminate
    from instructgen.tools import tools

    if path.suffix != SAVED:
        raise ExportError(f"{path}: the name of a saved index ends in {SAVED}")
    if not isinstance(check, Decontaminate):
        raise TypeError("only benchmarks can be saved")
    ready = check.prepare(tools())
    if len(ready.indexes) != 1:
        raise ExportError(f"{path}: --save makes one index of benchmark files; leave saved indexes out of --against")
    with whole_file(path) as file:
        file.write(ready.indexes[0].dump(item_names=item_names))
    for notice in ready.notices():
        say(notice)
    counts = ", ".join(f"{name} {count:,}" for name, count in ready.indexes[0].benchmarks.items())
    say(f"{path}: hashed runs of {len(ready.indexes[0]):,} different texts ({counts})")
    say(f"In clear it holds these names and the rows' numbers{' and field names' if item_names else ''}, no text")
