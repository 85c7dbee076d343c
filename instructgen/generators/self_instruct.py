r"""Self-Instruct: new tasks from seed tasks and from the tasks made so far, then worked cases for each.

    8 shots -> "9. Name three rivers in Asia."             invent: one request, several ideas
            -> Draft(number=0, ...)                        only new ideas go on
            -> "No"                                        is it classification?
            -> "Example 1\nInput: ...\nOutput: ..."        instances, input first (output first for classification)

Wang et al. 2023, arXiv 2212.10560; github.com/yizhongw/self-instruct. All numbers and rules are theirs where no other
source is named; the prompts are our own. `form: short` is for small local models: the instruction by raw completion,
the answer by chat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from instructgen.errors import RecipeError
from instructgen.generators import Flow, Generator
from instructgen.generators.instances import (
    Case,
    Leftover,
    problem,
    read_input_first,
    read_output_first,
    task_problems,
    without_placeholder,
)
from instructgen.generators.numbered import read_numbered
from instructgen.generators.shots import REQUEST_TOKENS, folded, shown
from instructgen.pool import PoolView, Shot, distinct, shuffled
from instructgen.records import Completion, Draft, Params, Rejection, Request, Sample, SlotBound

BYTES_PER_TOKEN = 16
"""No tokeniser in use packs ordinary prose this tightly; bounds what a reply of n tokens adds to a later prompt."""
Draw = Callable[[int, Random], list[Shot]]
_YES = re.compile(r"\W*+(?:classification\W++)?yes\b", re.IGNORECASE)


class ShortForm(BaseModel):
    """Options of the short form; the defaults are what read best with SmolLM2-135M."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.7, ge=0, le=2, description="sampling temperature of the instruction")
    top_p: float = Field(default=0.9, gt=0, le=1, description="nucleus of the instruction")
    shot_chars: PositiveInt = Field(default=120, description="most characters of a task shown as an example")
    max_tokens: PositiveInt = Field(default=64, description="most tokens of an instruction")
    answer_temperature: float = Field(default=0.3, ge=0, le=2, description="sampling temperature of the answer")
    answer_frequency_penalty: float = Field(
        default=0.3, ge=-2, le=2, description="keeps a small model's answer from going in circles"
    )
    answer_tokens: PositiveInt = Field(default=256, description="most tokens of an answer")


class Plan(NamedTuple):
    """A new idea, the requests that led to it, and what kind of task it is."""

    draft: Draft
    requests: tuple[str, ...]
    is_classification: bool


class SelfInstruct(Generator):
    """Bootstrap tasks from seeds: invent, classify, then make instances.

    Example: SelfInstruct(seed_shots=6, machine_shots=2, fidelity="as_released")
    """

    source: ClassVar[str] = "arXiv 2212.10560; github.com/yizhongw/self-instruct"

    kind: Literal["self_instruct"] = "self_instruct"
    form: Literal["full", "short"] = Field(
        default="full",
        description="full: the method as published; short: one idea by raw text completion, its answer by chat, "
        "for small local models that no few-shot instance prompt works with",
    )
    endpoint: Literal["chat", "text"] = Field(
        default="chat", description="full form: ask by chat, or by raw text completion as the released code does"
    )
    seed_shots: NonNegativeInt = Field(default=6, description="seed tasks in a prompt")
    machine_shots: NonNegativeInt = Field(
        default=2, description="machine-made tasks in a prompt; while there are fewer, seeds take their places"
    )
    classification_seeds_only: bool = Field(
        default=False, description="draw only classification tasks, and ask for more of them"
    )
    ideas: PositiveInt = Field(default=8, description="new tasks to ask for, and the most to take, per prompt")
    instances: PositiveInt = Field(default=5, description="most instances to keep of one task")
    invent_temperature: float = Field(default=0.7, ge=0, le=2, description="sampling temperature of new tasks")
    invent_top_p: float = Field(default=0.5, gt=0, le=1, description="nucleus of new tasks")
    invent_presence_penalty: float = Field(default=2.0, ge=-2, le=2, description="presence penalty of new tasks")
    invent_tokens: PositiveInt = Field(default=1024, description="most tokens of a reply with new tasks")
    classify_tokens: PositiveInt = Field(default=3, description="most tokens of the answer: is it classification?")
    instance_presence_penalty: float = Field(default=1.5, ge=-2, le=2, description="presence penalty of instances")
    input_first_tokens: PositiveInt = Field(default=350, description="most tokens of a task's instances")
    output_first_tokens: PositiveInt = Field(default=300, description="the same for classification tasks")
    shot_bytes: PositiveInt = Field(
        default=2000, description="most UTF-8 bytes of a task shown as an example; a longer one is shown shortened"
    )
    template_bytes: PositiveInt = Field(
        default=6000, description="most UTF-8 bytes of one prompt template, for the budget's upper bound"
    )
    short: ShortForm = Field(default=ShortForm(), description="options of the short form")

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if self.seed_shots + self.machine_shots == 0:
            raise ValueError("at least one example in a prompt: seed_shots or machine_shots above 0")
        return self

    def flow(self, pool: PoolView, rng: Random) -> Flow:
        """Invent tasks, then pay for instances of the new ones only."""
        return self._short_flow(pool, rng) if self.form == "short" else self._full_flow(pool, rng)

    def slot_bound(self) -> SlotBound:
        """Return the most that one slot may take, from the options."""
        shots = self.seed_shots + self.machine_shots
        template = self.template_bytes + REQUEST_TOKENS
        invented = self.short.max_tokens if self.form == "short" else self.invent_tokens
        invent = SlotBound(
            requests=1, prompt_tokens=template + shots * (self.shot_bytes + 16), completion_tokens=invented
        )
        all_ideas = SlotBound(prompt_tokens=invented * BYTES_PER_TOKEN)
        if self.form == "short":
            answer = SlotBound(requests=1, prompt_tokens=template, completion_tokens=self.short.answer_tokens)
            return invent + all_ideas + answer
        classify = SlotBound(requests=1, prompt_tokens=template, completion_tokens=self.classify_tokens)
        longest = max(self.input_first_tokens, self.output_first_tokens)
        make = SlotBound(requests=1, prompt_tokens=template, completion_tokens=longest)
        return invent + (classify + make).times(self.ideas) + all_ideas.times(2)

    def most_samples(self) -> int:
        """Return the most samples of one slot: every idea new, with all its instances."""
        return 1 if self.form == "short" else self.ideas * self.instances

    def feeds_back(self) -> bool:
        """Say whether `machine_shots` asks for any."""
        return self.machine_shots > 0

    def prompt_names(self) -> tuple[str, ...]:
        """Return the templates of the chosen form."""
        if self.form == "short":
            return ("self_instruct.invent_short", "self_instruct.answer_short")
        names = ("invent", "classify", "input_first", "output_first")
        return tuple(f"self_instruct.{name}" for name in names)

    # The full form

    def _full_flow(self, pool: PoolView, rng: Random) -> Flow:
        shots = self._shots(pool, rng)
        reply = yield self._invent(shots)
        if reply.refusal:
            return [reply.rejected()]
        if reply.truncated:  # as released, in every fidelity: the whole reply, not only its last idea
            return [reply.rejected("truncated", text=reply.text, tokens=reply.usage.completion_tokens)]
        drafts, items = self._read_ideas(reply, first=len(shots) + 1)
        new = []
        for draft in drafts:
            known = yield draft
            if known is None:
                new.append(draft)
        if not new:
            return items
        plans = []
        for draft, said in zip(new, (yield [self._classify(draft) for draft in new]), strict=True):
            if said.refusal:
                items.append(_of_draft(said.rejected(), draft, ()))
            else:
                plans.append(Plan(draft, (*draft.requests, said.request), self._is_classification(said.text)))
        if not plans:
            return items
        parents = tuple(shot.id for shot in shots)
        for plan, said in zip(plans, (yield self._ask_instances(plans)), strict=True):
            items += self._read_instances(plan, said, parents, rng)
        return items

    def _shots(self, pool: PoolView, rng: Random) -> list[Shot]:
        """Draw machine instructions up to `machine_shots`, seeds in the places that are left: 8+0, 7+1, then 6+2."""
        total = self.seed_shots + self.machine_shots
        machine = self._draw(pool.draw_machine, pool.machine_count, self.machine_shots, rng)
        seeds = self._draw(pool.draw_seeds, pool.seed_count, total - len(machine), rng)
        if not seeds and not machine:
            raise RecipeError(f"generator: none of the {pool.seed_count} seeds suits its prompt: {self._suiting()}")
        return shuffled([*machine, *seeds], rng)

    def _draw(self, draw: Draw, count: int, k: int, rng: Random) -> list[Shot]:
        """Draw `k` of `count` shots; where not every shot suits the prompt, all are drawn and sifted."""
        if self.form == "full" and not self.classification_seeds_only:
            return draw(k, rng)
        return [shot for shot in draw(count, rng) if self._fits(shot)][:k]

    def _fits(self, shot: Shot) -> bool:
        """Tell whether a shot suits the prompt; the short form shows short tasks without input only."""
        if self.form == "short" and (shot.input or len(shot.instruction) > self.short.shot_chars):
            return False
        return shot.is_classification or not self.classification_seeds_only

    def _suiting(self) -> str:
        if self.form == "short":
            return (
                f"form: short shows tasks without input and of at most {self.short.shot_chars} characters; "
                "add such seeds, raise short.shot_chars, or use form: full"
            )
        return "classification_seeds_only wants seeds with is_classification: true; add some, or leave the option out"

    def _invent(self, shots: Sequence[Shot]) -> Request:
        end = len(shots) + self.ideas + 1
        released = 2 * len(shots)  # 16 for the released 8 shots
        stop: tuple[str, ...] = (f"\n{end}.", f"\n{end} .")
        if self.fidelity != "fixed":
            stop = ("\n\n", f"\n{released}", f"{released}.", f"{released} .")
        params = Params(
            temperature=self.invent_temperature,
            top_p=self.invent_top_p,
            presence_penalty=self.invent_presence_penalty,
            frequency_penalty=0,
            max_tokens=self.invent_tokens,
            stop=stop,
        )
        return Request.from_prompt(
            "self_instruct.invent",
            mode=self.endpoint,
            params=params,
            shots=shown(shots, self.shot_bytes),
            ideas=self.ideas,
            classification_only=self.classification_seeds_only,
        )

    def _read_ideas(self, reply: Completion, first: int) -> tuple[list[Draft], list[Sample | Rejection]]:
        ideas, leftovers = read_numbered(reply.text, first, self.fidelity)
        items: list[Sample | Rejection] = [reply.rejected(piece.reason, text=piece.text) for piece in leftovers]
        items += [reply.rejected("surplus_idea", text=idea, maximum=self.ideas) for idea in ideas[self.ideas :]]
        if not ideas:
            items.append(reply.rejected("no_idea", text=reply.text))
        taken = enumerate(ideas[: self.ideas])
        return [Draft(number=n, instruction=idea, requests=(reply.request,)) for n, idea in taken], items

    def _classify(self, draft: Draft) -> Request:
        stop = ("\nTask:",) if self.fidelity == "fixed" else ("\n", "Task")
        params = Params(temperature=0, max_tokens=self.classify_tokens, stop=stop)
        return Request.from_prompt(
            "self_instruct.classify", mode=self.endpoint, params=params, instruction=draft.instruction
        )

    def _is_classification(self, said: str) -> bool:
        """Read the answer; anything but a yes is a no. `fixed` takes a yes in any dress: "Yes.", "**yes**"."""
        if self.fidelity == "fixed":
            return _YES.match(said) is not None
        return said.strip() in ("Yes", "yes", "YES")

    def _ask_instances(self, plans: Sequence[Plan]) -> list[Request]:
        # The released code limits a whole batch by one classification task in it; its paper by 300 always.
        mixed = self.fidelity == "as_released" and any(plan.is_classification for plan in plans)
        stop = {
            "fixed": (f"\nExample {self.instances + 1}", "\nTask:"),
            "as_released": (f"Example {self.instances + 1}", "Task:"),
            "paper": ("Task:",),
        }[self.fidelity]
        requests = []
        for plan in plans:
            short = plan.is_classification or mixed or self.fidelity == "paper"
            params = Params(
                temperature=0,
                presence_penalty=self.instance_presence_penalty,
                max_tokens=self.output_first_tokens if short else self.input_first_tokens,
                stop=stop,
            )
            name = "self_instruct.output_first" if plan.is_classification else "self_instruct.input_first"
            requests.append(
                Request.from_prompt(name, mode=self.endpoint, params=params, instruction=plan.draft.instruction)
            )
        return requests

    def _read_instances(
        self, plan: Plan, said: Completion, parents: tuple[str, ...], rng: Random
    ) -> list[Sample | Rejection]:
        """Return one sample per good instance, and a rejection for everything else in the reply."""
        if said.refusal:
            return [_of_draft(said.rejected(), plan.draft, plan.requests[1:])]
        read = read_output_first if plan.is_classification else read_input_first
        cases, leftovers = read(said.text, self.fidelity, truncated=said.truncated)
        if self.fidelity == "fixed":
            cases = [Case(without_placeholder(case.input), case.output) for case in cases]
        items: list[Sample | Rejection] = [
            _of_draft(said.rejected(piece.reason, text=piece.text), plan.draft, plan.requests[1:])
            for piece in leftovers or ([] if cases else [Leftover("no_instance", said.text)])
        ]
        for case, reason in self._judged(cases, rng):
            sample = Sample.single(
                plan.draft.instruction,
                input=case.input,
                output=case.output,
                labels={"is_classification": plan.is_classification},
                parents=parents,
                requests=(*plan.requests, said.request),
                draft=plan.draft.number,
            )
            items.append(sample.rejected(reason, stage="parse") if reason else sample)
        return items

    def _judged(self, cases: Sequence[Case], rng: Random) -> list[tuple[Case, str]]:
        """Return each case with the rule that it breaks: those of a case, then of the task, then the random choice."""
        reasons = [problem(case) for case in cases]
        good = [number for number, reason in enumerate(reasons) if not reason]
        for number, reason in zip(good, task_problems([cases[number] for number in good]), strict=True):
            reasons[number] = reason
        kept = [number for number in good if not reasons[number]]
        chosen = {kept[n] for n in distinct(len(kept), self.instances, rng)}
        for number in kept:
            reasons[number] = "" if number in chosen else "surplus_instance"
        return list(zip(cases, reasons, strict=True))

    # The short form

    def _short_flow(self, pool: PoolView, rng: Random) -> Flow:
        shots = self._shots(pool, rng)
        idea = yield self._invent_short(shots)
        if idea.refusal:
            return [idea.rejected()]
        if idea.truncated:
            return [idea.rejected("truncated", text=idea.text, tokens=idea.usage.completion_tokens)]
        instruction = folded(idea.text)
        if not instruction:
            return [idea.rejected("no_idea")]
        draft = Draft(number=0, instruction=instruction, requests=(idea.request,))
        known = yield draft
        if known is not None:
            return []
        answer = yield self._answer_short(instruction)
        if answer.refusal or answer.truncated:
            rejection = answer.rejected("truncated", text=answer.content)
            return [_of_draft(rejection, draft, ())]
        sample = Sample.single(
            instruction,
            output=answer.text.strip(),
            parents=tuple(shot.id for shot in shots),
            requests=(*draft.requests, answer.request),
            draft=draft.number,
        )
        return [sample]

    def _invent_short(self, shots: Sequence[Shot]) -> Request:
        params = Params(
            temperature=self.short.temperature,
            top_p=self.short.top_p,
            max_tokens=self.short.max_tokens,
            stop=("\n",),
        )
        return Request.from_prompt(
            "self_instruct.invent_short", mode="text", params=params, shots=shown(shots, self.shot_bytes)
        )

    def _answer_short(self, instruction: str) -> Request:
        params = Params(
            temperature=self.short.answer_temperature,
            frequency_penalty=self.short.answer_frequency_penalty,
            max_tokens=self.short.answer_tokens,
        )
        return Request.from_prompt("self_instruct.answer_short", params=params, instruction=instruction)


def _of_draft(rejection: Rejection, draft: Draft, before: Sequence[str]) -> Rejection:
    """Return the rejection with its draft's number, and the requests that came before its own."""
    requests = (*draft.requests, *before, *rejection.requests)
    return rejection.model_copy(update={"draft": draft.number, "requests": requests})
