"""Shots as prompts show them: on one line, without a dangling colon, and no longer than the prompt's bound allows.

{"number": 1, "instruction": "Sort the list", "input": "3, 1, 2", "output": "1, 2, 3"}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instructgen.pool import Shot

REQUEST_TOKENS = 96
"""Tokens that a chat template adds to a prompt of a system and a user turn, at most: 16 a message, 64 a request."""
_ELLIPSIS = " […]"


def folded(text: str) -> str:
    r"""Return the text with each run of white space as one space.

    Example: folded(" a\n b ") -> "a b"
    """
    return " ".join(text.split())


def shortened(text: str, most_bytes: int) -> str:
    """Return the text, its end cut off and marked where it takes more UTF-8 bytes than allowed."""
    data = text.encode()
    if len(data) <= most_bytes:
        return text
    return data[: max(0, most_bytes - len(_ELLIPSIS.encode()))].decode(errors="ignore") + _ELLIPSIS


def shown(shots: Sequence[Shot], most_bytes: int) -> list[dict[str, Any]]:
    """Return the shots as template variables, numbered from 1; each text takes at most `most_bytes`.

    Instructions are folded and lose a final colon, as both released systems do.
    """
    return [
        {
            "number": number,
            "instruction": shortened(folded(shot.instruction).rstrip(":"), most_bytes),
            "input": shortened(shot.input.strip(), most_bytes),
            "output": shortened(shot.output.strip(), most_bytes),
        }
        for number, shot in enumerate(shots, 1)
    ]
