"""What every command shares: errors shown as one message, exit codes, a seat for standard input."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from instructgen.errors import InstructgenError

INTERRUPTED = 130


def say(message: str) -> None:
    """Print a line for people, on standard error: standard output is for results."""
    typer.echo(message, err=True)


class _Said(logging.Handler):
    """Shows warnings of the package as notes: what an endpoint refused, limits that were met."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"Note: {record.getMessage()}")


@contextmanager
def logged(folder: Path | None = None, *, loud: bool = False) -> Iterator[None]:
    """Show the package's warnings; with a folder (`-v`), write everything it logs into `run.log` there.

    `loud` shows everything on standard error instead, for commands without a run.
    """
    package = logging.getLogger("instructgen")
    shown: logging.Handler = _Said(logging.WARNING)
    package.addHandler(shown)
    file: logging.Handler | None = None
    if loud:
        package.removeHandler(shown)
        shown = logging.StreamHandler()
        package.addHandler(shown)
        package.setLevel(logging.DEBUG)
    if folder is not None:
        # Opened by the first line, when the run has claimed its folder.
        file = logging.FileHandler(folder / "run.log", encoding="utf-8", delay=True)
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        package.addHandler(file)
        package.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        package.removeHandler(shown)
        package.setLevel(logging.NOTSET)
        if file is not None:
            package.removeHandler(file)
            file.close()


def typed_command() -> str:
    """Return this command as it was typed, for a shell."""
    return shlex.join(["instructgen", *sys.argv[1:]])


@contextmanager
def shown_errors(go_on: Callable[[], str] | None = None) -> Iterator[None]:
    """Turn our errors into one message and exit code 1, Ctrl-C into 130; `go_on` tells the command to go on with."""
    try:
        yield
    except InstructgenError as error:
        say(f"Error: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        say(f"\nInterrupted. Nothing bought is lost; go on with: {go_on()}" if go_on
            else "\nInterrupted. What was not finished is not in place; run the same command again")  # fmt: skip
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # `instructgen report ... | head`
        sys.stderr.close()
        raise typer.Exit(0) from None
