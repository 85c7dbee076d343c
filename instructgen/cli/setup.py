"""`instructgen init`, `list`: begin with something to edit, and see what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from instructgen.cli.shown import shown_errors

MARKER = ".instructgen-init"
KINDS = ("filters", "formats", "generators", "prompts", "recipes", "seeds", "teachers", "templates")


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder with other content.")] = False,
) -> None:
    """Make a folder with a recipe, seeds and prompts to edit."""
    with shown_errors():
        from instructgen.files import bundled_dir, claim, read_text, whole_file

        claim(folder, MARKER, overwrite=overwrite)
        (folder / MARKER).touch()
        recipe = read_text(bundled_dir("recipes") / "self_instruct.yaml")
        recipe = recipe.replace("\nseeds: seeds/general.jsonl", "\nseeds: seeds.jsonl\nprompts: prompts")
        files = {"recipe.yaml": recipe, "seeds.jsonl": read_text(bundled_dir("seeds") / "general.jsonl")}
        for path in sorted(bundled_dir("prompts").glob("self_instruct.*.txt")):
            files[f"prompts/{path.name}"] = read_text(path)
        for name, text in files.items():
            if not (folder / name).exists():
                with whole_file(folder / name) as file:
                    file.write(text.encode())
        typer.echo(f"{folder}: recipe.yaml, seeds.jsonl, prompts/. Edit them; then:\n"
                   f"instructgen generate {folder / 'recipe.yaml'} --into {folder / 'run'}")  # fmt: skip


def list_(kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join(KINDS))] = "") -> None:
    """List what there is of a kind, with options and their meaning; without a kind, the kinds."""
    with shown_errors():
        from instructgen.errors import suggestion

        if not kind:
            typer.echo("\n".join(KINDS))
            return
        if kind not in KINDS:
            raise typer.BadParameter(f"{kind!r} is no kind{suggestion(kind, KINDS)}", param_hint="KIND")
        for line in _files(kind) if kind in ("prompts", "recipes", "seeds", "templates") else _classes(kind):
            typer.echo(line)


def _files(kind: str) -> list[str]:
    from instructgen.files import bundled

    return [path.name for path in bundled(kind)]


def _classes(kind: str) -> list[str]:
    from instructgen import registry
    from instructgen.errors import RecipeError

    lines = []
    for name in registry.names(kind):  # type: ignore[arg-type]
        try:
            cls = registry.lookup(kind, name)  # type: ignore[arg-type]
        except RecipeError as error:  # a package of somebody else's; the others are there all the same
            lines.append(f"{name}: BROKEN. {error}")
            continue
        summary = getattr(cls, "title", "") or (cls.__doc__ or "").strip().partition("\n")[0]
        lines.append(f"{name}: {summary}")
        for option, field in getattr(cls, "model_fields", {}).items():
            if option != "kind":
                default = (
                    "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)!r}"
                )
                lines.append(f"    {option} ({default}): {field.description or ''}")
        lines += [f"    rejects {reason}: {meaning}" for reason, meaning in getattr(cls, "reasons", {}).items()]
    return lines
