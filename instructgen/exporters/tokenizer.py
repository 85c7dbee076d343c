"""A tokenizer's folder or file: how it counts, which tokens are special, its chat template.

Counting needs the `tokenizers` package; special tokens and the template are read from the JSON files alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructgen.errors import DataError, ExportError
from instructgen.files import loads, read_text
from instructgen.formats import Format
from instructgen.formats.text import Text

_MARK = re.compile(r"<\|[\w-]{1,40}\|>|\[/?[A-Z_]{3,20}\]|<</?[A-Z]{2,10}>>|</?(?:s|(?:start|end)_of_\w{1,20})>")
"""How the chat templates of published models spell their marks."""
TEMPLATE_FILE = "chat_template.jinja"


@dataclass(frozen=True)
class Tokenizer:
    """What an export needs of a tokenizer."""

    path: Path
    special: tuple[str, ...]
    template: str = ""
    """Its chat template in Jinja, "" when it has none."""
    marks: dict[str, str] = field(default_factory=dict)
    """`bos_token` and the like, which templates use by name."""

    def counter(self) -> Callable[[str], int]:
        """Return what counts the tokens of a text. Raises: ExportError without the `tokenizers` package."""
        try:
            from tokenizers import Tokenizer as Loaded
        except ImportError:
            raise ExportError(
                "--tokenizer counts with the package `tokenizers`, which is not installed: pip install tokenizers; "
                "without --tokenizer, --context uses an estimate"
            ) from None
        file = self.path / "tokenizer.json" if self.path.is_dir() else self.path
        try:
            loaded = Loaded.from_file(str(file))
        except Exception as error:  # its errors are bare `Exception`s
            raise DataError(f"{file}: no tokenizer that can be loaded: {error}") from error
        return lambda text: len(loaded.encode(text, add_special_tokens=False).ids)


def load_tokenizer(path: Path) -> Tokenizer:
    """Read `tokenizer.json` (a folder or the file itself) and the files beside it. Raises: DataError."""
    folder = path if path.is_dir() else path.parent
    known = _json(path / "tokenizer.json" if path.is_dir() else path)
    special = tuple(str(one["content"]) for one in known.get("added_tokens") or () if one.get("special"))
    config = _json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    marks = {key: _text(value) for key, value in config.items() if key.endswith("_token") and _text(value)}
    template = read_text(folder / TEMPLATE_FILE) if (folder / TEMPLATE_FILE).is_file() else config.get("chat_template")
    return Tokenizer(path, special, template if isinstance(template, str) else "", marks)


def template_marks(shape: Format) -> set[str]:
    """Return the marks that a text format's own chat template writes, such as "<|user|>"; they may not stand in texts.

    Example: template_marks(Text(template="<|{{ role }}|> [INST] </s>")) -> {"[INST]", "</s>"}
    """
    return set(_MARK.findall(shape.template)) if isinstance(shape, Text) else set()


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a tokenizer's folder with tokenizer.json, or that file")
    try:
        found = loads(read_text(path).encode())
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected a JSON object")
    return found


def _text(value: Any) -> str:
    """Return a token, which the files spell as a text or as an object with `content`."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""
