"""The command line: one file a command group; each command parses, calls, prints.

Command modules import typer and nothing heavy; what a command needs is imported inside it.
"""

from __future__ import annotations

import typer

from instructgen.cli.clean import clean
from instructgen.cli.convert import convert
from instructgen.cli.decontaminate import decontaminate
from instructgen.cli.demo import demo
from instructgen.cli.diff import diff
from instructgen.cli.export import export
from instructgen.cli.generate import generate
from instructgen.cli.judge_report import judge_report
from instructgen.cli.push import pull, push
from instructgen.cli.report import report, verify, why
from instructgen.cli.setup import init, list_
from instructgen.cli.templates import templates

app = typer.Typer(
    name="instructgen",
    help="Build instruction-tuning datasets: generate, convert, filter, export, publish.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for command in (init, generate, convert, clean, decontaminate, export, push, pull, diff, report, why, verify, demo):
    app.command()(command)
app.command("list")(list_)
app.command("judge-report")(judge_report)
app.add_typer(templates, name="templates")


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True)) -> None:
    if version:
        from instructgen import __version__

        typer.echo(f"instructgen {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    app()
