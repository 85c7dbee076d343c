r"""Alpaca: complete tasks, many in one reply, from three seeds.

    " Name a river.\n4. Input:\n<noinput>\n4. Output:\nThe Po\n###\n5. Instruction: Sort the words.\n5. Input: ..."
    -> Sample(instruction="Name a river.", output="The Po"), ...

github.com/tatsu-lab/stanford_alpaca: machine-made tasks never return into the prompt. All numbers are the released
ones; the prompt is our own. There is no paper beside the repository, so `paper` reads replies as `fixed` does and
keeps the released stop strings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, PositiveInt, model_validator

from instructgen.generators import Flow, Generator
from instructgen.generators.instances import without_placeholder
from instructgen.generators.shots import REQUEST_TOKENS, shown
from instructgen.generators.structured import ask_for, structured_bound
from instructgen.pool import PoolView, Shot
from instructgen.records import Completion, Params, Rejection, Request, Sample, SlotBound

END_OF_TEXT = "50256"
"""The end-of-text token of the released teacher's vocabulary; its bias of -100 keeps the list from ending early."""
_HEADER = re.compile(
    r"^[ \t#>*-]*+(?:(?P<n>\d{1,3})[ \t]?[.)][ \t]*+\**+)?"
    r"(?P<field>instructions?|inputs?|outputs?)[ \t]*+\**+:\**+[ \t]*+",
    re.MULTILINE | re.IGNORECASE,
)
_RELEASED_PART = re.compile(r"(?<!\d)(\d++)\.\s++(Instruction|Input|Output):")
_GLUE = re.compile(r"(?:^|\n)[ \t]*+#{2,}+[ \t]*+(?:\d{1,3}[ \t]?[.)]?)?\s*+\Z")
"""The separator behind a task, as models spell it: `###`, `##`, with the next number or without."""


class Task(NamedTuple):
    """One block of a reply: fields as far as they are there, and its text."""

    fields: dict[str, str]
    text: str


class WrittenTask(BaseModel):
    """One task of a structured reply. A field left out is empty, and so the task's own rejection, not the reply's."""

    instruction: str = ""
    input: str = ""
    output: str = ""


class WrittenTasks(BaseModel):
    """A structured reply."""

    tasks: list[WrittenTask]


class Alpaca(Generator):
    """Ask for a batch of complete tasks, three seeds shown.

    Example: Alpaca(seed_shots=3, count=20)
    """

    source: ClassVar[str] = "github.com/tatsu-lab/stanford_alpaca"

    kind: Literal["alpaca"] = "alpaca"
    endpoint: Literal["chat", "text"] = Field(
        default="chat", description="ask by chat, or by raw text completion as the released code does"
    )
    seed_shots: PositiveInt = Field(default=3, description="seed tasks in a prompt")
    count: PositiveInt = Field(
        default=20, description="number up to which tasks are asked for, the shown ones included"
    )
    temperature: float = Field(default=1.0, ge=0, le=2, description="sampling temperature")
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling")
    max_tokens: PositiveInt = Field(default=3072, description="most tokens of a reply")
    structured: bool = Field(
        default=False,
        description="ask for JSON by schema, once more with what is wrong if it does not fit; chat and fixed only",
    )
    shot_bytes: PositiveInt = Field(
        default=4000,
        description="most UTF-8 bytes of each field of a task shown as an example; a longer one is shown shortened",
    )
    template_bytes: PositiveInt = Field(
        default=6000, description="most UTF-8 bytes of the prompt template, for the budget's upper bound"
    )

    @model_validator(mode="after")
    def _structured_is_our_own(self) -> Self:
        if self.structured and (self.endpoint, self.fidelity) != ("chat", "fixed"):
            raise ValueError(
                "structured: true is no part of the released method, nor of text completion; it needs endpoint: chat "
                "and fidelity: fixed"
            )
        return self

    def flow(self, pool: PoolView, rng: Random) -> Flow:
        """Ask once, read everything."""
        shots = pool.draw_seeds(self.seed_shots, rng)
        if self.structured:
            return (yield from self._structured(shots))
        reply = yield self._ask(shots)
        if reply.refusal:
            return [reply.rejected()]
        read = read_released if self.fidelity == "as_released" else read_batch
        return _at_most(self.most_samples(), read(reply, shots))

    def most_samples(self) -> int:
        """Return how many tasks are asked for; what a teacher writes beyond them is a rejection."""
        return max(1, self.count - self.seed_shots)

    def slot_bound(self) -> SlotBound:
        """Return the request's bound, from the options; a structured one may be asked twice."""
        shots = self.seed_shots * (3 * self.shot_bytes + 64)
        single = SlotBound(
            requests=1,
            prompt_tokens=self.template_bytes + shots + REQUEST_TOKENS,
            completion_tokens=self.max_tokens,
        )
        return structured_bound(single) if self.structured else single

    def feeds_back(self) -> bool:
        """Return False: prompts show seeds alone."""
        return False

    def prompt_names(self) -> tuple[str, ...]:
        """Return the one template's name."""
        return ("alpaca.batch_json" if self.structured else "alpaca.batch",)

    def _structured(self, shots: Sequence[Shot]) -> Flow:
        """Ask for a list by its schema."""
        params = Params(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        request = Request.from_prompt(
            "alpaca.batch_json", params=params, shots=shown(shots, self.shot_bytes), count=self.count
        )
        written = yield from ask_for(WrittenTasks, request)
        if isinstance(written, Rejection):
            return [written]
        if not written.tasks:
            return [Rejection(stage="parse", reason="no_task")]
        return _at_most(self.most_samples(), [_from_task(task, shots) for task in written.tasks])

    def _ask(self, shots: Sequence[Shot]) -> Request:
        if self.fidelity == "fixed":  # the released strings fire inside any text with "20." in it
            stop: tuple[str, ...] = (f"\n{self.count + 1}. Instruction", f"\n###\n{self.count + 1}.")
        else:
            stop = (f"\n{self.count}", f"{self.count}.", f"{self.count}.")
        bias = {END_OF_TEXT: -100.0} if self.fidelity == "as_released" else {}
        params = Params(
            temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, stop=stop, logit_bias=bias
        )
        return Request.from_prompt(
            "alpaca.batch", mode=self.endpoint, params=params, shots=shown(shots, self.shot_bytes), count=self.count
        )


def read_released(reply: Completion, shots: Sequence[Shot]) -> list[Sample | Rejection]:
    """Read a reply as the released code does: blocks between `###`, seven parts each, numbered by position."""
    first = len(shots) + 1
    blocks = f"{first}. Instruction:{reply.text}".split("###")
    items: list[Sample | Rejection] = []
    for number, block in enumerate(blocks, first):
        if number == first + len(blocks) - 1 and reply.truncated:
            items.append(reply.rejected("truncated", text=block.strip()))
            continue
        parts = _released_parts(block, str(number))
        if len(parts) != 7:
            if block.strip():
                items.append(reply.rejected("wrong_parts", text=block.strip(), parts=len(parts), expected=7))
            continue
        given = parts[4].strip()
        items.append(
            _sample(reply, shots, parts[2].strip(), "" if given.lower() == "<noinput>" else given, parts[6].strip())
        )
    return items


def _released_parts(block: str, number: str) -> list[str]:
    r"""Return what `re.split` by `4\.\s+(Instruction|Input|Output):` does, 4 the number, without a pattern a number."""
    parts, end = [], 0
    for found in _RELEASED_PART.finditer(block):
        if found[1].endswith(number):
            parts += [block[end : found.end(1) - len(number)], found[2]]
            end = found.end()
    return [*parts, block[end:]]


def read_batch(reply: Completion, shots: Sequence[Shot]) -> list[Sample | Rejection]:
    """Read a reply by its field headers, whatever separates the tasks and however they are numbered.

    The last task of a reply cut by length is a rejection, and so is one without instruction or output. Spellings of
    "no input" become an empty input.
    """
    if not reply.text.strip():
        return [reply.rejected("no_task")]
    preamble, tasks = _tasks(reply.text)
    items: list[Sample | Rejection] = [reply.rejected("preamble", text=preamble)] if preamble else []
    cut = len(tasks) - 1 if reply.truncated else None
    for number, task in enumerate(tasks):
        missing = next((name for name in ("instruction", "output") if not task.fields.get(name)), "")
        if number == cut:
            items.append(reply.rejected("truncated", text=task.text))
        elif missing:
            items.append(reply.rejected(f"missing_{missing}", text=task.text))
        else:
            fields = task.fields
            given = without_placeholder(fields.get("input", ""))
            items.append(_sample(reply, shots, fields["instruction"], given, fields["output"]))
    return items


def _from_task(task: WrittenTask, shots: Sequence[Shot]) -> Sample | Rejection:
    """Return a task of a structured reply as a sample; the engine knows the requests."""
    for name in ("instruction", "output"):
        if not getattr(task, name).strip():
            return Rejection(stage="parse", reason=f"missing_{name}", text=task.model_dump_json())
    given = without_placeholder(task.input.strip())
    parents = [shot.id for shot in shots]
    return Sample.single(task.instruction.strip(), input=given, output=task.output.strip(), parents=parents)


def _at_most(most: int, items: Sequence[Sample | Rejection]) -> list[Sample | Rejection]:
    """Return the items, each sample beyond the first `most` as a rejection: judges are budgeted for no more."""
    kept: list[Sample | Rejection] = []
    count = 0
    for item in items:
        if isinstance(item, Sample):
            count += 1
            item = item.rejected("surplus_task", stage="parse", maximum=most) if count > most else item  # noqa: PLW2901
        kept.append(item)
    return kept


def _sample(reply: Completion, shots: Sequence[Shot], instruction: str, given: str, output: str) -> Sample:
    return Sample.single(
        instruction, input=given, output=output, parents=[shot.id for shot in shots], requests=(reply.request,)
    )


def _tasks(text: str) -> tuple[str, list[Task]]:
    """Return what stands before the first task, and the tasks."""
    headers = _own_headers(text)
    if not headers or _name(headers[0]) != "instruction":  # it goes on behind the prompt's "4. Instruction:"
        number = next((header["n"] for header in headers if header["n"]), None)
        text = f"{number}. Instruction: {text}" if number else f"Instruction: {text}"
        headers = _own_headers(text)
    tasks: list[tuple[int, dict[str, str]]] = []
    ends = [*(header.start() for header in headers[1:]), len(text)]
    for header, end in zip(headers, ends, strict=True):
        name = _name(header)
        if name == "instruction" or name in tasks[-1][1]:
            tasks.append((header.start(), {}))
        tasks[-1][1][name] = _clean(text[header.end() : end])
    stops = [*(start for start, _ in tasks[1:]), len(text)]
    read = [Task(fields, text[start:stop].strip()) for (start, fields), stop in zip(tasks, stops, strict=True)]
    return _clean(text[: headers[0].start()]), read


def _own_headers(text: str) -> list[re.Match[str]]:
    """Return the headers of fields; where a task numbers its fields, a bare `Input:` belongs to somebody's text."""
    headers = list(_HEADER.finditer(text))
    counted = any(header["n"] and _name(header) == "instruction" for header in headers)
    tasks: list[list[re.Match[str]]] = [[]]
    for header in headers:
        if _name(header) == "instruction":
            if counted and not header["n"]:
                continue
            tasks.append([])
        tasks[-1].append(header)
    return [header for task in tasks for header in _own_fields(task)]


def _own_fields(task: list[re.Match[str]]) -> list[re.Match[str]]:
    numbered = any(header["n"] for header in task if _name(header) != "instruction")
    return [header for header in task if header["n"] or not numbered or _name(header) == "instruction"]


def _name(header: re.Match[str]) -> str:
    return header["field"].lower().removesuffix("s")


def _clean(value: str) -> str:
    """Return a field's text without the separator that follows its task."""
    return _GLUE.sub("", value).strip()
