"""`instructgen demo`: the main job for real, with the embedded model: seeds, run, filters, dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from instructgen.cli.generate import announce, tell
from instructgen.cli.progress import shown_progress
from instructgen.cli.shown import INTERRUPTED, logged, say, shown_errors, typed_command


def demo(
    into: Annotated[Path, typer.Option("--into", help="Folder for the run and the dataset.")] = Path("data/demo"),
    target: Annotated[int, typer.Option(min=1, help="Accepted samples wanted.")] = 32,
) -> None:
    """Expand the bundled seeds with a small model that runs here, and write a dataset. No key needed."""
    with logged(), shown_errors(typed_command):
        from instructgen.api import export_run, generate, load_recipe

        recipe = load_recipe("demo.yaml", target=target)
        announce(recipe)
        say("The embedded model shows that everything works; it is too small to write good training data.")
        with shown_progress() as watch:
            outcome = generate(recipe, into / "run", watch=watch)
        tell(outcome, machine=False)
        if outcome.ending == "interrupted":
            raise typer.Exit(INTERRUPTED)
        done = export_run(outcome.run, into / "dataset", languages=("en",))
        for name in done.empty_splits:
            say(f"{name}: no row fell into this split; it is left out")
        say(f'Load it: datasets.load_dataset("{into / "dataset"}")')
        typer.echo(str(into / "dataset"))
