"""How long a text is for a model: a tokenizer's count, or an estimate that needs none.

counter()("Sort the list.")             -> 4, estimated
counter(Path("tokenizer.json"))("...")  -> exact, with the `tokenizers` package
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from instructgen.errors import DataError

Counter = Callable[[str], int]
BYTES_PER_TOKEN = 4
"""UTF-8 bytes per token of English in today's vocabularies, rounded down: the estimate errs to more tokens."""


def estimate(text: str) -> int:
    """Return a number of tokens, from the text's UTF-8 bytes: 4 a token, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def counter(tokenizer: Path | None = None) -> Counter:
    """Return what counts tokens; `tokenizer` is a `tokenizer.json`, or a folder that holds one.

    Raises: DataError when the file or the package is missing.
    """
    if tokenizer is None:
        return estimate
    try:
        from tokenizers import Tokenizer  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise DataError("--tokenizer needs the package tokenizers: pip install tokenizers") from error
    path = tokenizer / "tokenizer.json" if tokenizer.is_dir() else tokenizer
    try:
        loaded = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises a plain Exception
        raise DataError(f"{path}: not a readable tokenizer.json: {error}") from error
    return lambda text: len(loaded.encode(text, add_special_tokens=False).ids)
