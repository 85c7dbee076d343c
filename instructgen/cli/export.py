"""`instructgen export`: a run or any dataset -> a folder that trainers and the Hub load."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from instructgen.cli.progress import Pace
from instructgen.cli.shown import say, shown_errors

if TYPE_CHECKING:
    from instructgen.exporters.batches import Watch
    from instructgen.exporters.folder import Exported
    from instructgen.formats import Format
    from instructgen.records import Rejection


NAMED = 6
"""Things that a config does not show which a line names."""


def export(
    source: Annotated[str, typer.Argument(metavar="IN", help="A run, a dataset (file or folder), or - for stdin.")],
    into: Annotated[Path, typer.Option("--into", help="Folder to write.")],
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="Row shape to write; repeat for several configs.")
    ] = None,
    shape: Annotated[str, typer.Option("--from", help="Row shape of IN, instead of detecting it.")] = "",
    licence: Annotated[str, typer.Option("--license", help="Licence id of the Hub, e.g. cc-by-4.0.")] = "",
    splits: Annotated[list[str] | None, typer.Option("--splits", help="Share of a split, e.g. test=0.05.")] = None,
    seed: Annotated[int, typer.Option(help="Decides which sample goes to which split.")] = 0,
    language: Annotated[list[str] | None, typer.Option(help="Language of the texts, e.g. en.")] = None,
    provenance: Annotated[str, typer.Option(help="json (one column), columns, or none.")] = "json",
    shard_size: Annotated[
        str, typer.Option("--shard-size", help="Size of a Parquet file after which the next begins, e.g. 500MB.")
    ] = "300MiB",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder with other content.")] = False,
    context: Annotated[int | None, typer.Option(help="Count the rows longer than this many tokens.")] = None,
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", help="tokenizer.json (or its folder): counts, special tokens.")
    ] = None,
    template: Annotated[
        str, typer.Option("--template", help="For --format text: alpaca, dolly, a Jinja file, or `tokenizer`.")
    ] = "alpaca",
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Refuse the export if a row's licence or terms bar commercial use.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written, for machines.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a sample that a format cannot hold.")] = False,
) -> None:
    """Write a dataset folder: Parquet per format, JSONL, a card, a manifest."""
    with shown_errors():
        from instructgen.cli.inputs import open_input
        from instructgen.errors import ExportError
        from instructgen.exporters import folder

        given = open_input(source, shape, said=say)
        if into.resolve() in (given.path.resolve(), *given.path.resolve().parents):
            raise ExportError(f"{into} is or holds the input itself; choose another --into")
        asked = _with_recipe(given.path, formats, licence, splits) if given.is_run else (formats, licence, splits)
        options = folder.Options(
            splits=_shares(asked[2] or []),
            seed=seed,
            licence=asked[1] or "unknown",
            languages=tuple(language or ()),
            provenance=provenance,
            shard_bytes=_bytes(shard_size),
            overwrite=overwrite,
            strict=strict,
            drop_empty=not formats,
            commercial=commercial,
            context=context,
            **_counting(tokenizer),
        )
        chosen = [_shape(name, template, tokenizer) for name in asked[0] or ["alpaca", "messages"]]
        facts = _facts(given.path, run=given.is_run)
        done = folder.export(given.light, chosen, into, options, facts, _watch())
        _tell(done, provenance)
        if given.is_run:
            _tell_unfinished(given.path, done.samples)
        typer.echo(done.model_dump_json(indent=2) if as_json else str(into))


def _bytes(shard_size: str) -> int:
    from instructgen.errors import ExportError
    from instructgen.exporters.options import bytes_in

    try:
        return bytes_in(shard_size)
    except ExportError as error:
        raise ExportError(f"--shard-size {error}") from None


def _counting(tokenizer: Path | None) -> dict[str, Any]:
    """Return the options that a tokenizer decides."""
    if tokenizer is None:
        return {}
    from instructgen.exporters.tokenizer import load_tokenizer

    loaded = load_tokenizer(tokenizer)
    return {
        "count_tokens": loaded.counter(),
        "tokenizer": str(tokenizer.name),
        **({"special_tokens": loaded.special} if loaded.special else {}),
    }


def _shape(name: str, template: str, tokenizer: Path | None) -> Format:
    """Return the format of a name; `text` with its wrapper or chat template."""
    from instructgen.errors import ExportError
    from instructgen.exporters.tokenizer import load_tokenizer
    from instructgen.files import read_text
    from instructgen.formats.text import Text
    from instructgen.registry import lookup

    if name != "text":
        made: Format = lookup("formats", name)()
        return made
    if template in ("alpaca", "dolly"):
        return Text(wrapper="dolly" if template == "dolly" else "alpaca")
    if template != "tokenizer":
        return Text(template=read_text(Path(template)))
    loaded = load_tokenizer(tokenizer) if tokenizer else None
    if loaded is None or not loaded.template:
        raise ExportError("--template tokenizer needs a --tokenizer whose files hold a chat template")
    return Text(template=loaded.template, special=loaded.marks)


def _with_recipe(
    run: Path, formats: list[str] | None, licence: str, splits: list[str] | None
) -> tuple[list[str] | None, str, list[str] | None]:
    """Return what was asked, with the gaps filled from the `export` section of the run's recipe."""
    from instructgen.run import Run

    said: dict[str, Any] = Run(run).recipe.get("export") or {}
    shares = [f"{name}={share}" for name, share in (said.get("splits") or {}).items()]
    return formats or said.get("formats"), licence or said.get("license") or "", splits or shares


def _shares(given: Iterable[str]) -> dict[str, float]:
    from instructgen.errors import ExportError

    shares = {}
    for part in (piece for text in given for piece in text.split(",")):
        name, _, share = part.partition("=")
        if name.strip() in shares:
            raise ExportError(f"--splits: {name.strip()!r} is given twice; name each split once")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise ExportError(f"--splits {part!r}: expected NAME=SHARE, e.g. test=0.05") from None
    return shares


def _facts(path: Path, *, run: bool) -> Any:
    """Return what is known of how the samples came about: for a run its report."""
    from instructgen import __version__
    from instructgen.exporters.card import Facts

    if not run:
        return Facts(version=__version__)
    from instructgen.report import facts
    from instructgen.run import Run

    return facts(Run(path))


def _watch() -> Watch:
    """Say how it goes, and of each reason the first row that cannot be read."""
    from instructgen.exporters.batches import Watch

    pace, count, known = Pace(), 0, set[str]()

    def progress(more: int) -> None:
        nonlocal count
        count += more
        if seconds := pace.due():
            say(f"{count:,} samples, {count / seconds:,.0f} a second")

    def rejected(one: Rejection) -> None:
        if one.reason not in known:
            known.add(one.reason)
            say(f"row {one.evidence.get('row')}: {one.evidence.get('detail')}")

    return Watch(rejected, progress)


def _tell_unfinished(path: Path, samples: int) -> None:
    """Say when a run's dataset is smaller than the target that it is to reach."""
    from instructgen.run import Run

    target = Run(path).target
    if samples < target:
        say(
            f"{path} is not finished: {samples:,} of {target:,} samples; go on with: instructgen generate --into {path}"
        )


def _tell(done: Exported, provenance: str) -> None:
    for config, rows in done.rows.items():
        say(f"{config}: " + ", ".join(f"{count:,} {split}" for split, count in rows.items()))
    for config, why in done.dropped.items():
        say(f"{config}: can hold none of the samples, and is left out ({why})")
    for config, reasons in done.left_out.items():
        for reason, count in reasons.items():
            said = "sample" if count == 1 else "samples"
            say(f"{config}: left out {count:,} {said} that the shape cannot hold ({reason})")
    for config, names in done.unshown.items():
        kept = "lost with --provenance none" if provenance == "none" else "kept in the provenance"
        more = [f"{name} ({count:,} sample{'s' * (count > 1)})" for name, count in names.items()]
        rest = f" and {len(more) - NAMED:,} more (see the manifest)" if len(more) > NAMED else ""
        say(f"{config}: its own columns do not show {', '.join(more[:NAMED])}{rest}; {kept}")
    _tell_all(done)
    for reason, count in done.unreadable.items():
        say(f"input: {count:,} rows could not be read ({reason})")
    if done.given_ids:
        where = "lost with --provenance none" if provenance == "none" else "kept in the provenance (note `id`)"
        say(f"input: {done.given_ids:,} samples had ids of their own; ids are hashes of the content, those are {where}")
    if done.repeated_ids:
        say(f"input: {done.repeated_ids:,} samples repeat an earlier one; their ids end on -2, -3, ...")


def _tell_all(done: Exported) -> None:
    """Say what is true of the folder as a whole."""
    if done.gone:
        say(f"{done.into}: the earlier export there is replaced; no longer in it: {', '.join(done.gone)}")
    for name in done.empty_splits:
        say(f"{name}: no row fell into this split; it is left out of files and card")
    for finding in done.findings:
        say(f"check {finding.check}: {finding}")
