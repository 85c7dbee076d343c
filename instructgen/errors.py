"""What a user can meet when the set-up is wrong; bad *data* is a `Rejection`, never one of these.

    InstructgenError
    |-- RecipeError        a recipe, or an option in it
    |-- SeedError          a seeds file
    |-- PromptError        a prompt template: missing, unreadable, a variable too few or too many
    |-- DataError          an input file or dataset: place, value, what was expected
    |-- TemplateError      a template of the template bank
    |-- TeacherError       a teacher that cannot answer; carries `.request` where there is one
    |   |-- TeacherAuthError       401, 403, a missing key
    |   |-- TeacherRateError       the endpoint still says "too many" when the deadline is over
    |   |-- TeacherTransportError  no connection, time-out, 5xx, a body that is not JSON
    |   `-- TeacherRefusedError    400, 404: the request or the model name is wrong
    |-- MissingAnswer      offline or replaying, and the store lacks an answer
    |-- RunError           a run directory: locked, damaged, not writable
    |   `-- RunMismatch    ... or built with another recipe
    |-- ExportError        rows that a format cannot hold, a folder that is not ours
    |-- HubError           the Hub said no
    `-- DefectError        a filter or generator of somebody's own went wrong (in `defects`)

Every message names the place, the value, what was expected and the next move.
The command line prints it and exits with 1.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from instructgen.records import Request


class InstructgenError(Exception):
    """Root of everything that instructgen raises on purpose."""


class RecipeError(InstructgenError):
    """A recipe or an option is wrong."""


class SeedError(InstructgenError):
    """A seeds file is missing, empty or unreadable."""


class PromptError(InstructgenError):
    """A prompt template cannot be found or filled in."""


class DataError(InstructgenError):
    """An input dataset cannot be read."""


class TemplateError(InstructgenError):
    """A template of the bank cannot be loaded or rendered."""


class TeacherError(InstructgenError):
    """A teacher cannot answer. The run stops, its open slots stay open."""

    def __init__(self, message: str, request: Request | None = None) -> None:
        super().__init__(message)
        self.request = request


class TeacherAuthError(TeacherError):
    """The endpoint does not know us: key missing, wrong, or without the right."""


class TeacherRateError(TeacherError):
    """Rate limits outlasted the deadline."""


class TeacherTransportError(TeacherError):
    """The endpoint could not be reached, or did not speak the protocol."""


class TeacherRefusedError(TeacherError):
    """The endpoint says that every such request is wrong (400, 404)."""


class MissingAnswer(InstructgenError):  # noqa: N818 - names what is missing
    """The store has no answer to a request, and none may be bought."""

    def __init__(self, message: str, request: Request | None = None) -> None:
        super().__init__(message)
        self.request = request


class RunError(InstructgenError):
    """A run directory is locked, damaged or cannot be written."""


class RunMismatch(RunError):  # noqa: N818 - the word of the design
    """A run directory was built with another recipe."""


class ExportError(InstructgenError):
    """A dataset cannot be written as asked."""


class HubError(InstructgenError):
    """The Hub refused or could not be reached."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known word, else the list of all.

    Example: suggestion("treshold", ["threshold", "tie"]) -> "; did you mean 'threshold'?"
    """
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names) or 'none'}"
