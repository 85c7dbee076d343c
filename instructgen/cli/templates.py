"""`instructgen templates`: look after template packs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from instructgen.cli.shown import say, shown_errors

templates = typer.Typer(no_args_is_help=True, help="Look after template packs.")


@templates.callback()
def _group() -> None:
    """Look after template packs."""


@templates.command()
def lint(
    path: Annotated[
        Path | None,
        typer.Argument(help="A pack, a promptsource file, a Super-NI task, or a folder; default: the bank."),
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", help="Rows in the dataset's layout: a file, or a folder of NAME.jsonl.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one finding a line as JSON.")] = False,
) -> None:
    """Find what is wrong with templates: by reading them and by rendering rows. Exit code 1 when anything is."""
    with shown_errors():
        import orjson

        from instructgen.convert.lint import lint as find
        from instructgen.files import bundled_dir

        root = path or bundled_dir("templates")
        checked, found = _files(root), list[Any]()
        for file in checked:
            found += find(file, _rows_for(file, root, rows))
        for finding in found:
            typer.echo(orjson.dumps(finding.__dict__).decode() if as_json else str(finding))
        say(f"{root}: {len(checked)} files, {len(found)} findings")
        if found:
            raise typer.Exit(1)


def _files(root: Path) -> list[Path]:
    from instructgen.errors import TemplateError

    if not root.exists():
        raise TemplateError(f"{root}: no such file or folder")
    if root.is_file():
        return [root]
    found = sorted(one for kind in ("*.yaml", "*.yml", "*.json") for one in root.rglob(kind))
    if not found:
        raise TemplateError(
            f"{root}: no templates in it; expected .yaml packs, promptsource files or Super-NI .json tasks"
        )
    return found


def _rows_for(file: Path, root: Path, rows: Path | None) -> list[dict[str, Any]]:
    """Return rows for a file: `glue/mrpc/templates.yaml` takes ROWS/glue_mrpc.jsonl."""
    from instructgen.files import iter_rows

    if rows is None:
        return []
    if rows.is_dir():
        parts = file.relative_to(root).parts[:-1] if root.is_dir() else ()
        rows = rows / f"{'_'.join(parts) or file.stem}.jsonl"
        if not rows.exists():
            return []
    return [row for _, row in iter_rows(rows)]
