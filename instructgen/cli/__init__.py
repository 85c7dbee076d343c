"""The command line: one file a command group; each command parses, calls, prints.

Command modules import typer and nothing heavy; what a command needs is imported inside it.
"""

from __future__ import annotations

import typer

from instructgen.cli.export import export

app = typer.Typer(
    name="instructgen",
    help="Build instruction-tuning datasets: generate, convert, filter, export, publish.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command()(export)


def main() -> None:
    """Run the command line."""
    app()
