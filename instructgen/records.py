"""The values that everything else passes around. All are frozen; nothing here does I/O.

    {"id": "3f1c…", "turns": [{"role": "user", "content": "Sort the list.", "input": "3, 1, 2"},
                              {"role": "assistant", "content": "1, 2, 3"}],
     "provenance": {"source": "generated", "generator": "self_instruct", "parents": ["general-17"]}}

An id is the hash of the content without provenance, so equal content has one id wherever it comes from.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Role = Literal["system", "user", "assistant", "tool"]
Stage = Literal["teacher", "parse", "validate", "filter", "judge"]
Finish = Literal["stop", "length", "refused"]

_SURROGATE = re.compile("[\ud800-\udfff]")
ID_LENGTH = 20
"""Hex digits of a content id: 80 bits, so that 5 million rows collide with probability 1e-11."""


def canonical(value: object) -> bytes:
    """Return the one JSON spelling of a value: sorted keys, UTF-8, no spaces.

    Example: canonical({"b": 1, "a": "é"}) -> b'{"a":"é","b":1}' in UTF-8
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits, which JSON allows and orjson does not
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def digest(value: object) -> str:
    """Return the sha256 of a value's canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def scrub(text: str) -> str:
    """Return text without lone surrogates, which no UTF-8 file can hold: each becomes U+FFFD.

    JSON escapes can carry half a pair; every reader at the edge calls this. Halves that form a pair are joined.
    """
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Record(BaseModel):
    """A frozen value; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="utf8")

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form: defaults left out, so that a new optional field changes no old id."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Turn(Record):
    """One message of a conversation."""

    role: Role
    content: str = ""
    input: str = ""
    """User turns of instruction data may keep the task (`content`) and its material (`input`) apart."""
    name: str = ""
    """Who speaks, where a format says so (a tool's name, a persona)."""
    tool_calls: tuple[dict[str, JsonValue], ...] = ()
    """Calls that an assistant turn makes, in OpenAI's shape."""
    tool_call_id: str = ""
    """On a tool turn: the call that it answers."""
    weight: float | None = None
    """Training weight of an assistant turn, 0 or 1 in OpenAI's fine-tuning files; `None` = unsaid."""
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of the source message that have no field here, kept for lossless export."""

    @property
    def text(self) -> str:
        """What a model reads: the content, then a blank line and the input if there is one."""
        return f"{self.content}\n\n{self.input}" if self.input else self.content


class Answer(Record):
    """An alternative answer, beside the one that the conversation holds: rejected, ranked or rated."""

    turns: tuple[Turn, ...]
    """The turns that would stand in place of the conversation's last assistant turn; usually one."""
    rank: int | None = None
    """1 is best; equal numbers are ties; `None` = unranked. The conversation's own answer is rank 1."""
    score: float | None = None
    source: str = ""
    """Who wrote it: a model's name, "human"."""

    @property
    def text(self) -> str:
        """The last turn's content."""
        return self.turns[-1].content if self.turns else ""


class Step(Record):
    """One step of a worked solution with its rating (process reward data, PRM800K: -1, 0, +1)."""

    text: str
    rating: int | None = None
    alternatives: tuple[Step, ...] = ()
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of the source step that have no field here (flags, its place among the alternatives)."""


class Media(Record):
    """A reference to an image or other medium; the bytes stay where they are."""

    kind: Literal["image", "audio", "video"] = "image"
    path: str
    sha256: str = ""


class Provenance(Record):
    """Where a sample comes from. Nothing here enters the sample's id."""

    source: str = ""
    """"generated", or the dataset or file that it was read from."""
    source_id: str = ""
    """The row's own id or number there."""
    recipe: str = ""
    """Hash of the frozen recipe."""
    generator: str = ""
    teacher: str = ""
    teacher_revision: str = ""
    prompts: dict[str, str] = Field(default_factory=dict)
    """Prompt name -> sha256 of its text."""
    parents: tuple[str, ...] = ()
    """Ids of the seeds and samples shown to the teacher, or that this one was made from."""
    requests: tuple[str, ...] = ()
    """Hashes of the requests that made it."""
    draft: int | None = None
    """Number of the idea within its slot; instances of one idea share one novelty verdict."""
    template: str = ""
    """Template of the bank that put it into words."""
    licence: str = ""
    """SPDX id, or "unknown"."""
    terms: str = ""
    """Terms of the teacher that the sample falls under."""
    language: str = ""
    """BCP 47 tag."""
    notes: dict[str, JsonValue] = Field(default_factory=dict)
    """Flags and scores that filters left, by filter."""


class Sample(Record):
    """One training example.

    Example: Sample.single("Translate to French.", input="Good day", output="Bonjour")
    """

    id: str = ""
    """Hash of the content (set when left empty); a repeat in a stream carries "-2", "-3"."""
    turns: tuple[Turn, ...]
    tools: tuple[dict[str, JsonValue], ...] = ()
    """Tool definitions in OpenAI's shape."""
    answers: tuple[Answer, ...] = ()
    """Other answers to the same conversation: rejected, ranked."""
    labels: dict[str, JsonValue] = Field(default_factory=dict)
    """What is known of the sample: `is_classification`, `label`, `options`, `category`, `desirable`, scores."""
    steps: tuple[Step, ...] = ()
    media: tuple[Media, ...] = ()
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """Columns of the source row that have no field here, kept for lossless export; not part of the id."""
    provenance: Provenance = Field(default_factory=Provenance)

    @classmethod
    def single(
        cls,
        instruction: str,
        *,
        output: str,
        input: str = "",  # noqa: A002 - the field's own word
        system: str = "",
        labels: dict[str, JsonValue] | None = None,
        parents: Sequence[str] = (),
        requests: Sequence[str] = (),
        draft: int | None = None,
        provenance: Provenance | None = None,
    ) -> Self:
        """Make a single-turn sample. `parents`, `requests` and `draft` go into its provenance."""
        known = provenance or Provenance(parents=tuple(parents), requests=tuple(requests), draft=draft)
        opening = (Turn(role="system", content=system),) if system else ()
        turns = (*opening, Turn(role="user", content=instruction, input=input), Turn(role="assistant", content=output))
        return cls(turns=turns, labels=labels or {}, provenance=known)

    @model_validator(mode="after")
    def _identify(self) -> Self:
        if not self.id:
            self.__dict__["id"] = self.content_id()
        return self

    def content_id(self) -> str:
        """Return the hash of everything but id, extra and provenance."""
        content = self.model_dump(mode="json", exclude_defaults=True, exclude={"id", "extra", "provenance"})
        return digest(content)[:ID_LENGTH]

    def _first(self, role: Role) -> Turn | None:
        for turn in self.turns:
            if turn.role == role:
                return turn
        return None

    @property
    def system(self) -> str:
        """The system message, or ""."""
        turn = self._first("system")
        return turn.content if turn else ""

    @property
    def instruction(self) -> str:
        """The first user turn's content, or ""."""
        turn = self._first("user")
        return turn.content if turn else ""

    @property
    def input(self) -> str:
        """The first user turn's input, or ""."""
        turn = self._first("user")
        return turn.input if turn else ""

    @property
    def output(self) -> str:
        """The last turn's content if the assistant speaks last, else ""."""
        return self.turns[-1].content if self.turns and self.turns[-1].role == "assistant" else ""

    def with_provenance(self, **changes: Any) -> Self:
        """Return the same sample with some provenance fields replaced; the id stays."""
        return self.model_copy(update={"provenance": self.provenance.model_copy(update=changes)})

    def rejected(self, reason: str, stage: Stage = "filter", **evidence: JsonValue) -> Rejection:
        """Return this sample as a rejection."""
        return Rejection(stage=stage, reason=reason, evidence=evidence, sample=self, requests=self.provenance.requests)


class Rejection(Record):
    """A candidate that was not kept, and the evidence."""

    stage: Stage
    reason: str
    """Short, stable, countable: `too_short`, `near_duplicate`. Never a sentence."""
    evidence: dict[str, JsonValue] = Field(default_factory=dict)
    """What a person needs to disagree: scores in 0..1, lengths in words, ids of neighbours."""
    sample: Sample | None = None
    """The candidate, where it got as far as being a sample."""
    text: str = ""
    """Else the piece of text that could not become one."""
    requests: tuple[str, ...] = ()
    draft: int | None = None


class Instance(Record):
    """One worked case of a seed task."""

    input: str = ""
    output: str


class Seed(Record):
    """A hand-written or imported task that a generator starts from."""

    id: str
    instruction: str = Field(min_length=1)
    instances: tuple[Instance, ...] = ()
    is_classification: bool | None = None
    """`None` = not said; treated as "no" by generators that need it."""
    category: str = ""
    language: str = ""
    licence: str = ""

    def sample(self) -> Sample:
        """Return the seed as a sample, with its first instance, under its own id: evidence names it so."""
        case = self.instances[0] if self.instances else Instance(output="")
        made = Sample.single(self.instruction, input=case.input, output=case.output)
        return made.model_copy(update={"id": self.id})


class Params(Record):
    """Sampling parameters; `None` leaves the endpoint's default."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, gt=0)
    stop: tuple[str, ...] = ()
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] = Field(default_factory=dict)
    logprobs: bool = False
    seed: int | None = None
    """Set by the engine on sampled requests, derived from (run seed, slot, flow, step)."""

    @property
    def greedy(self) -> bool:
        """True when equal questions may share one answer: temperature 0."""
        return self.temperature == 0


class Request(Record):
    """What is asked of a teacher. Made by hand, or by `from_prompt` and rendered by the engine."""

    prompt: str = ""
    """Name of the prompt template; "" when the messages were written by the flow itself."""
    variables: dict[str, Any] = Field(default_factory=dict)
    mode: Literal["chat", "text"] = "chat"
    """`text` is raw completion of one string, without a chat template."""
    messages: tuple[Turn, ...] = ()
    following: tuple[Turn, ...] = ()
    """Chat turns to put behind the rendered prompt: its answer, and what to say to that."""
    text: str = ""
    params: Params = Field(default_factory=Params)
    answer_schema: dict[str, JsonValue] | None = None
    """JSON schema that the answer must fit (structured output)."""
    model: str = ""
    """Filled in by the engine with the teacher's model."""

    @classmethod
    def from_prompt(
        cls,
        name: str,
        *,
        params: Params | None = None,
        mode: Literal["chat", "text"] = "chat",
        schema: dict[str, JsonValue] | None = None,
        **variables: Any,
    ) -> Self:
        """Ask with the prompt template `name` of the run and these variables.

        Example: Request.from_prompt("alpaca.batch", seeds=shots, params=Params(temperature=1.0))
        """
        return cls(prompt=name, variables=variables, mode=mode, params=params or Params(), answer_schema=schema)

    @cached_property
    def hash(self) -> str:
        """sha256 over everything that decides the answer: model, messages, parameters, schema, seed."""
        asked = {
            "model": self.model,
            "mode": self.mode,
            "messages": [turn.as_json() for turn in self.messages],
            "text": self.text,
            "params": self.params.as_json(),
            "schema": self.answer_schema,
        }
        return digest(asked)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values; its hash is its own."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("hash", None)
        return copied

    @property
    def prompt_bytes(self) -> int:
        """UTF-8 bytes of all that is sent as prompt; an upper bound of its tokens, with a constant per message."""
        texts = [self.text, *(turn.text for turn in self.messages)]
        return sum(len(text.encode()) for text in texts)


class Usage(Record):
    """What one or more requests cost, in tokens. Money is computed from the price table, never stored."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Reasoning tokens included."""
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the endpoint says it took from its cache."""
    estimated: bool = False
    """True when the endpoint gave no usage for at least one of them."""

    def __add__(self, other: Usage) -> Usage:
        """Return the sum; estimated if either is."""
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            estimated=self.estimated or other.estimated,
        )

    def __sub__(self, other: Usage) -> Usage:
        """Return the difference; estimated if this one is."""
        return Usage(
            requests=self.requests - other.requests,
            prompt_tokens=self.prompt_tokens - other.prompt_tokens,
            completion_tokens=self.completion_tokens - other.completion_tokens,
            reasoning_tokens=self.reasoning_tokens - other.reasoning_tokens,
            cached_tokens=self.cached_tokens - other.cached_tokens,
            estimated=self.estimated,
        )

    def times(self, factor: float) -> Usage:
        """Return this usage scaled, rounded to whole numbers: what so many times as much work takes."""
        counts = {name: round(count * factor) for name, count in self if name != "estimated"}
        return Usage(**counts, estimated=self.estimated)

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


class Refused(Exception):  # noqa: N818 - an outcome of one request, not an error of ours
    """Raised by `Completion.text` when there is none; a flow that does not look ends there (`generators.unread`)."""

    def __init__(self, completion: Completion) -> None:
        super().__init__(completion.refusal)
        self.completion = completion


class Completion(Record):
    """What a teacher said to one request, or why it would not."""

    request: str = ""
    """Hash of the request."""
    content: str = ""
    finish: Finish = "stop"
    refusal: str = ""
    """Countable reason when the request itself was refused: `content_filter`, `context_overflow`, ..."""
    message: str = ""
    """The endpoint's own words on the refusal."""
    reasoning: str = ""
    """What a reasoning model thought aloud; kept in the store, never in samples unless the recipe asks."""
    model: str = ""
    """The model that answered, as the endpoint names it."""
    usage: Usage = Usage()
    logprobs: JsonValue = None

    @property
    def text(self) -> str:
        """The answer.

        Raises: Refused, when there is none; never an empty string in place of an answer.
        """
        if self.refusal:
            raise Refused(self)
        return self.content

    @property
    def truncated(self) -> bool:
        """True when the output limit cut the answer."""
        return self.finish == "length"

    def rejected(self, reason: str = "", text: str = "", **evidence: JsonValue) -> Rejection:
        """Return a rejection of (a piece of) this reply; without a reason, of a refused request."""
        if self.refusal:
            message: dict[str, JsonValue] = {"message": self.message} if self.message else {}
            return Rejection(
                stage="teacher", reason=self.refusal, evidence=message | evidence, requests=(self.request,)
            )
        return Rejection(stage="parse", reason=reason, evidence=evidence, text=text, requests=(self.request,))


class Draft(Record):
    """An idea that a flow shows to the engine before more is paid for it."""

    number: int
    """0, 1, ... within the slot; samples made from it carry it in `provenance.draft`."""
    instruction: str
    requests: tuple[str, ...] = ()

    def sample(self) -> Sample:
        """Return the idea as a sample without an answer, for filters that look at the instruction alone."""
        turn = Turn(role="user", content=self.instruction)
        return Sample(turns=(turn,), provenance=Provenance(draft=self.number, requests=self.requests))


class SlotBound(Record):
    """The most that one slot may take; the budget reserves this much before the slot starts."""

    requests: Annotated[int, Field(ge=0)] = 0
    prompt_tokens: Annotated[int, Field(ge=0)] = 0
    completion_tokens: Annotated[int, Field(ge=0)] = 0

    def __add__(self, other: SlotBound) -> SlotBound:
        """Return the sum of two bounds."""
        return SlotBound(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )

    def times(self, count: int) -> SlotBound:
        """Return this bound `count` times."""
        return SlotBound(
            requests=self.requests * count,
            prompt_tokens=self.prompt_tokens * count,
            completion_tokens=self.completion_tokens * count,
        )
