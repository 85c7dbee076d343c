"""What the edges lend to filters: functions that read files and run code. Filters themselves do no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructgen.files import iter_rows, open_bytes
from instructgen.filters import Tools
from instructgen.sandbox import runner


def tools(*, unsafe_code: bool = False) -> Tools:
    """Return the tools of this machine; `unsafe_code` lets code from a dataset run without a sandbox.

    The functions raise (when a filter uses them): DataError for a file, RecipeError where code may not be run.
    """

    def read_rows(path: str) -> Iterator[dict[str, Any]]:
        return (row for _, row in iter_rows(Path(path)))

    def read_bytes(path: str) -> bytes:
        with open_bytes(Path(path)) as file:
            return file.read()

    def run_code(code: str) -> Any:
        return runner(unsafe=unsafe_code)(code)

    def encoder(name: str, model: str, key: str) -> Any:
        from instructgen.teachers.embeddings import encoder

        return encoder(name, model, key)

    def scorer(path: str) -> Any:
        from instructgen.scoring import load

        return load(path)

    return Tools(
        scorer=scorer, read_rows=read_rows, read_bytes=read_bytes, run_code=run_code, encoder=encoder, rewrites=True
    )
