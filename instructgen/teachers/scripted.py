"""A teacher that follows a script: for tests, examples and dry runs, without a model, a key or a network.

    teacher: {kind: scripted, function: "mypackage.replies:answer"}       any Request -> str | Completion
    teacher: {kind: scripted, replies: replies.jsonl}                     {"reply": "..."} a line, handed out in order

A function is asked about requests in any order, so it should look at nothing but its argument. A list is handed out
in the order of asking, so the run's window and concurrency are 1. When it is used up, the next request raises
`MissingAnswer`: its slot stays open, and the run goes on from there once the list has grown.

Resuming an ordered script: each line handed out becomes one answer in the run's store, and a request that the store
can answer takes no line. So the place in the script is the number of answers in the store (`Sitting.answered`); the
lines before it are history, and editing them changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from inspect import isawaitable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SkipValidation, ValidationError, field_serializer, model_validator

from instructgen.errors import DataError, InstructgenError, MissingAnswer, RecipeError, TeacherError, suggestion
from instructgen.files import iter_rows
from instructgen.records import Completion, Finish, Record, Request, scrub
from instructgen.teachers import Connection, Sitting, Teacher, placed
from instructgen.teachers.prices import FREE, Price
from instructgen.teachers.tokens import estimated

Said = str | Completion
Answerer = Callable[[Request], Said | Awaitable[Said]]


class Reply(Record):
    """One line of a script."""

    reply: str = ""
    finish: Finish = "stop"
    refusal: str = ""
    """Countable reason, when the script plays an endpoint that refuses: `content_filter`, `context_overflow`."""
    message: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.refusal and self.reply:
            raise ValueError("holds both a reply and a refusal")
        if not self.refusal and "reply" not in self.model_fields_set:
            raise ValueError("has neither 'reply' nor 'refusal'")
        return self

    def completion(self) -> Completion:
        """Return the line as a teacher's answer."""
        finish: Finish = "refused" if self.refusal else self.finish
        return Completion(content=self.reply, finish=finish, refusal=self.refusal, message=self.message)


class ScriptedTeacher(Teacher):
    """Answers from a function, or from a list in order."""

    movable: ClassVar[frozenset[str]] = frozenset({"concurrency", "price", "replies"})  # a list that ran out may grow

    kind: Literal["scripted"] = "scripted"
    replies: str | tuple[str | dict[str, Any], ...] | None = Field(
        default=None,
        description="a JSONL file of lines {reply, finish, refusal, message}, or a list of texts or such objects; "
        "handed out in order, with window and concurrency 1",
    )
    function: SkipValidation[Answerer] | str | None = Field(
        default=None, description="'module:function' or 'file.py:function': Request -> text or Completion, in any order"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.replies is None) == (self.function is None):
            raise ValueError("a scripted teacher takes either 'replies' (a file or list) or 'function'")
        if not (self.function is None or isinstance(self.function, str) or callable(self.function)):
            raise ValueError(f"'function' is a {type(self.function).__name__}; expected a function, or its name")
        return self

    @field_serializer("function")
    def _function_name(self, function: Answerer | str | None) -> str | None:
        if function is None or isinstance(function, str):
            return function
        return f"{function.__module__}:{getattr(function, '__qualname__', type(function).__name__)}"

    @property
    def ordered(self) -> bool:
        """True for a list: its answers depend on the order of asking."""
        return self.replies is not None

    @property
    def places(self) -> int:
        """One request at a time for a list."""
        return 1 if self.ordered else self.concurrency

    def known_price(self) -> Price:
        """Nothing, unless the recipe says otherwise."""
        return self.price or FREE

    @property
    def licence(self) -> str:
        """A script's output is its author's."""
        return "scripted: as its author says"

    def named_files(self) -> dict[str, str]:
        """A function in a file counts by the file's name: the folder may move."""
        if isinstance(self.function, str) and ".py:" in self.function:
            return {"function": Path(self.function).name}
        return {}

    def located(self, beside: Path) -> Self:
        """Return this teacher with its file taken relative to the recipe's folder, where it is there."""
        if isinstance(self.replies, str):
            return self.model_copy(update={"replies": placed(self.replies, beside)})
        if isinstance(self.function, str) and ".py:" in self.function:
            file, _, name = self.function.rpartition(":")
            return self.model_copy(update={"function": f"{placed(file, beside)}:{name}"})
        return self

    def check(self) -> None:
        """Read the script, or find the function. Raises: DataError, RecipeError."""
        if self.replies is not None:
            self.lines()
        else:
            self._answerer()

    def connect(self) -> Any:
        """Return a connection at the start of the script."""
        return self.connect_run(Sitting())

    @asynccontextmanager
    async def connect_run(self, sitting: Sitting) -> AsyncIterator[Connection]:
        """Return a connection; a list goes on after the answers that the run already has."""
        if self.replies is not None:
            yield _List(self.lines(), sitting.answered, self._place())
        else:
            yield _Function(self._answerer())

    def lines(self) -> list[Reply]:
        """Return the script. Raises: DataError that names file, line and what a line holds."""
        if isinstance(self.replies, str):
            return [_reply(row, f"{self.replies}:{number}") for number, row in iter_rows(Path(self.replies))]
        rows = self.replies or ()
        return [_reply({"reply": row} if isinstance(row, str) else row, f"reply {n}") for n, row in enumerate(rows, 1)]

    def _place(self) -> str:
        return self.replies if isinstance(self.replies, str) else "the list of replies"

    def _answerer(self) -> Answerer:
        function = self.function
        if isinstance(function, str):
            return _load(function)
        if function is None:  # refused by the validator; here for the type checker
            raise RecipeError("a scripted teacher without a function")
        return function


class _Function:
    """Asks a function, about any request at any time."""

    def __init__(self, function: Answerer) -> None:
        self._function = function

    async def complete(self, request: Request) -> Completion:
        """Return what the function says. Raises: TeacherError when it fails or returns something else."""
        try:
            said = self._function(request)
            said = await said if isawaitable(said) else said
        except InstructgenError:
            raise
        except Exception as error:
            raise TeacherError(f"the scripted function failed: {type(error).__name__}: {error}", request) from error
        if isinstance(said, str):
            said = Completion(content=scrub(said))
        if not isinstance(said, Completion):
            raise TeacherError(
                f"the scripted function returned a {type(said).__name__}; expected a str or a Completion", request
            )
        return _complete(said, request)


class _List:
    """Hands out lines in order, from place `start` on."""

    def __init__(self, lines: Sequence[Reply], start: int, place: str) -> None:
        self._lines, self._next, self._place = lines, start, place

    async def complete(self, request: Request) -> Completion:
        """Return the next line. Raises: MissingAnswer when there is none."""
        if self._next >= len(self._lines):
            raise MissingAnswer(
                f"{self._place} holds {len(self._lines)} replies and all are used; "
                "add more at its end, then run the same command again",
                request,
            )
        self._next += 1
        return _complete(self._lines[self._next - 1].completion(), request)


def _complete(said: Completion, request: Request) -> Completion:
    """Fill in what a script need not say: the request's hash, and usage."""
    usage = said.usage if said.usage.requests else estimated(request, said)
    return said.model_copy(update={"request": request.hash, "usage": usage})


def _reply(row: dict[str, Any], place: str) -> Reply:
    try:
        return Reply.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        unknown = first["type"] == "extra_forbidden"
        problem = f"key {key!r} is not known{suggestion(key, Reply.model_fields)}" if unknown else (
            f"{key + ': ' if key else ''}{first['msg'].removeprefix('Value error, ')}")  # fmt: skip
        raise DataError(
            f'{place}: {problem} (a line is {{"reply": "text"}}, with "finish" or "refusal" if need be)'
        ) from (error)


def _load(name: str) -> Answerer:
    """Import 'module:function' or 'file.py:function'. Raises: RecipeError that says which part is wrong."""
    module, _, attribute = name.rpartition(":")
    if not module:
        raise RecipeError(f"function {name!r}: expected 'module:function' or 'file.py:function'")
    try:
        loaded = _load_file(Path(module)) if module.endswith(".py") else import_module(module)
        function = getattr(loaded, attribute)
    except (ImportError, OSError, SyntaxError) as error:
        raise RecipeError(f"function {name!r}: {module} cannot be imported: {error}") from error
    except AttributeError as error:
        raise RecipeError(f"function {name!r}: {module} has no {attribute!r}") from error
    if not callable(function):
        raise RecipeError(f"function {name!r} is a {type(function).__name__}, not a function")
    return function  # type: ignore[no-any-return]


def _load_file(path: Path) -> Any:
    spec = spec_from_file_location(f"instructgen_script_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up there
    spec.loader.exec_module(module)
    return module
