"""What only a person can say about a dataset: asked at a terminal, an error elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from instructgen.errors import DataError


@dataclass(frozen=True)
class Open:
    """A question that only a person can answer: which of these columns plays a role."""

    role: str
    about: str
    columns: tuple[str, ...]


class Unsure(DataError):  # noqa: N818 - a question, not a failure
    """The mapping leaves questions open; `.questions` lists them."""

    def __init__(self, message: str, questions: Sequence[Open]) -> None:
        super().__init__(message)
        self.questions = tuple(questions)
