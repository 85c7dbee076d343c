"""`instructgen push` and `pull`: an exported folder to the Hugging Face Hub and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from instructgen.cli.shown import logged, say, shown_errors

if TYPE_CHECKING:
    from instructgen.exporters.hub import Access, Plan

Token = Annotated[str, typer.Option(help="Access token; default: HF_TOKEN, or the one saved by `hf auth login`.")]
Endpoint = Annotated[str, typer.Option(help="Address of the Hub; default: HF_ENDPOINT, else huggingface.co.")]
Revision = Annotated[str, typer.Option(help="Branch.")]

NAMED = 6
"""Replaced parts of a card that a line names."""


def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `instructgen export` wrote.")],
    name: Annotated[str, typer.Argument(metavar="USER/NAME", help="The dataset on the Hub; made if there is none.")],
    private: Annotated[bool, typer.Option("--private", help="Only you can see it.")] = False,
    revision: Revision = "main",
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")] = False,
    tag: Annotated[str, typer.Option(help="Name this version, e.g. v1.")] = "",
    message: Annotated[str, typer.Option("--message", help="Title of the commit.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, change nothing.")] = False,
    token: Token = "",
    endpoint: Endpoint = "",
) -> None:
    """Publish an exported folder: data, card and manifest in one commit."""
    with shown_errors(), logged():
        from instructgen.exporters import hub

        access = hub.Access(token=token, endpoint=endpoint)
        if dry_run:
            planned = hub.plan(folder, name, access, revision=revision, tag=tag)
            _tell(planned)
            if tag:
                say(f"{name}: the tag {tag} " + ("is there, on this version" if planned.tagged else "would be set"))
            if not planned.creates:
                _tell_rows(folder, name, access, planned.parent)
            return
        done = hub.push(
            folder, name, access, private=private, revision=revision, create_pr=create_pr, tag=tag, message=message
        )
        _tell(done.plan)
        if tag:
            say(f"{name}: the tag {tag} " + ("is there already, on this version" if done.plan.tagged else "is set"))
        typer.echo(done.url)


def pull(
    name: Annotated[str, typer.Argument(metavar="USER/NAME", help="A dataset on the Hub.")],
    into: Annotated[Path, typer.Option("--into", help="Folder to write.")],
    revision: Revision = "main",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder with other content.")] = False,
    token: Token = "",
    endpoint: Endpoint = "",
) -> None:
    """Fetch a dataset from the Hub; every command reads the folder."""
    with shown_errors():
        from instructgen.cli.inputs import open_input
        from instructgen.exporters import hub
        from instructgen.records import Sample

        hub.pull(name, into, hub.Access(token=token, endpoint=endpoint), revision=revision, overwrite=overwrite)
        count = sum(isinstance(made, Sample) for made in open_input(str(into), said=say))
        say(f"{count:,} samples")
        typer.echo(str(into))


def _tell(planned: Plan) -> None:
    if planned.creates:
        say(f"{planned.repo}: a new dataset")
    if planned.branches:
        say(f"{planned.repo}: a new branch")
    if planned.is_empty:
        say(f"{planned.repo}: nothing to change, the Hub has all of it")
        return
    say(f"{planned.repo}: {len(planned.add)} files to send ({planned.bytes:,} bytes)")
    say(f"  {len(planned.unchanged)} files unchanged")
    for path in planned.add:
        say(f"  + {path}")
    for path in planned.delete:
        say(f"  - {path}")
    if planned.replaced:
        more = f" and {len(planned.replaced) - NAMED} more" if len(planned.replaced) > NAMED else ""
        say(f"  of the card there this one replaces: {', '.join(planned.replaced[:NAMED])}{more}")


def _tell_rows(folder: Path, name: str, access: Access, revision: str) -> None:
    """Say how the rows differ from those that the Hub holds, which are fetched for it."""
    import tempfile

    from instructgen.cli.diff import compared, told
    from instructgen.exporters import hub

    with tempfile.TemporaryDirectory() as scratch:
        there = hub.pull(name, Path(scratch) / "dataset", access, revision=revision)
        for line in told(compared(str(there), str(folder))):
            say(line)
