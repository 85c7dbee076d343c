"""What every command shares: errors shown as one message, exit codes, a seat for standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from instructgen.errors import InstructgenError

INTERRUPTED = 130


def say(message: str) -> None:
    """Print a line for people, on standard error: standard output is for results."""
    typer.echo(message, err=True)


@contextmanager
def shown_errors(go_on: str = "") -> Iterator[None]:
    """Turn our errors into one message and exit code 1, Ctrl-C into 130; `go_on` is the command to go on with."""
    try:
        yield
    except InstructgenError as error:
        say(f"Error: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        say(f"\nInterrupted. Nothing bought is lost{f'; go on with: {go_on}' if go_on else '.'}")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # `instructgen report ... | head`
        sys.stderr.close()
        raise typer.Exit(0) from None
