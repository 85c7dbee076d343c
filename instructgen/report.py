"""Decisions -> counts: the funnel by stage and reason, tokens, lengths.

    {"accepted": 2003, "in_dataset": 2000, "held_back": 3, "parsed": 2841,
     "funnel": [["filter", "near_duplicate", 611], ...]}

Everything is counted from `decisions.jsonl`, nothing from memory, so it can be asked for at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from instructgen.exporters.card import Facts
from instructgen.forecast import Forecast, SlotCost, forecast
from instructgen.recipe import build
from instructgen.records import Sample, Usage
from instructgen.run import Run
from instructgen.teachers import Teacher

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Lengths(BaseModel):
    """Whitespace-separated words: minimum, quartiles, maximum."""

    model_config = ConfigDict(frozen=True)

    instruction: tuple[int, ...] = ()
    input: tuple[int, ...] = ()
    """Of the samples that have one."""
    output: tuple[int, ...] = ()


class Report(BaseModel):
    """What a run has come to."""

    model_config = ConfigDict(frozen=True)

    name: str
    target: int
    ending: str
    """"target", "novelty exhausted", or "open": stopped by its budget, by the user or by an error; it can go on."""
    slots: int
    parsed: int
    """Candidates: accepted and rejected."""
    accepted: int
    in_dataset: int
    held_back: int
    """Accepted beyond the target, in the last slot."""
    funnel: tuple[tuple[str, str, int], ...]
    """(stage, reason, count), most frequent first."""
    usage: dict[str, Usage]
    """Model -> requests and tokens charged."""
    by_prompt: dict[str, Usage]
    """Prompt name (or "own" for requests that a flow wrote itself) -> usage: what each stage of the method costs."""
    usd: float | None
    """What all of it cost by the price of the teacher; `None` = no price known."""
    possibly_billed: int
    """Requests that may have been billed without an answer, killed sittings included: an upper bound."""
    with_input: int
    classification: int
    first_words: tuple[tuple[str, int], ...]
    """The most frequent first words of instructions, lower case: a rough view of the verbs."""
    lengths: Lengths

    @property
    def total(self) -> Usage:
        """Return the usage of all models."""
        return sum(self.usage.values(), Usage())

    @property
    def acceptance(self) -> float:
        """Return accepted / parsed, 0..1."""
        return self.accepted / self.parsed if self.parsed else 0.0


def report(run: Run) -> Report:
    """Return the report of a run. Raises: RunError when it is damaged."""
    funnel, usage, charged = Counter[tuple[str, str]](), dict[str, Usage](), set[str]()
    samples, parsed, accepted, slots, recent = list[Sample](), 0, 0, 0, list[tuple[int, int]]()
    for slot in run.slots():
        slots += 1
        parsed += slot.closed["parsed"]
        accepted += slot.closed["accepted"]
        recent.append((slot.closed["parsed"], slot.closed["accepted"]))
        funnel.update(
            (line["rejected"]["stage"], line["rejected"]["reason"]) for line in slot.lines if "rejected" in line
        )
        for model, cost in slot.closed["usage"].items():
            usage[model] = usage.get(model, Usage()) + Usage.model_validate(cost)
        charged.update(slot.closed["charged"])
        lines = (line["accepted"] for line in slot.lines if "accepted" in line)
        samples += [Sample.model_validate(line) for line in lines if len(samples) < run.target]
    samples = samples[: run.target]
    by_prompt, possibly_billed = _of_store(run, charged)
    price = build("teachers", run.recipe["teacher"], "teacher").known_price()
    return Report(
        name=run.recipe["name"],
        target=run.target,
        ending=_ending(run, accepted, recent),
        slots=slots,
        parsed=parsed,
        accepted=accepted,
        in_dataset=len(samples),
        held_back=accepted - len(samples),
        funnel=tuple((stage, reason, count) for (stage, reason), count in funnel.most_common()),
        usage=usage,
        by_prompt=by_prompt,
        usd=None if price is None else float(price.cost(sum(usage.values(), Usage()))),
        possibly_billed=possibly_billed,
        with_input=sum(bool(sample.input) for sample in samples),
        classification=sum(bool(sample.labels.get("is_classification")) for sample in samples),
        first_words=tuple(first_words(samples).most_common(12)),
        lengths=lengths(samples),
    )


def _ending(run: Run, accepted: int, recent: Sequence[tuple[int, int]]) -> str:
    if accepted >= run.target:
        return "target"
    slots, below = run.recipe["exhausted"]["slots"], run.recipe["exhausted"]["below"]
    if len(recent) >= slots:
        parsed = sum(count for count, _ in recent[-slots:])
        if not parsed or sum(count for _, count in recent[-slots:]) / parsed < below:
            return "novelty exhausted"
    return "open"


def _of_store(run: Run, charged: set[str]) -> tuple[dict[str, Usage], int]:
    """Return the usage of charged requests by prompt, and how many others may have been billed."""
    by_prompt: dict[str, Usage] = {}
    store = run.store()
    try:
        for row in store.rows():
            if row.hash in charged:
                name = row.request.get("prompt") or "own"
                cost = row.completion.usage.model_copy(update={"requests": 1})
                by_prompt[name] = by_prompt.get(name, Usage()) + cost
        return dict(sorted(by_prompt.items())), sum(store.unsettled())
    finally:
        store.close()


def pilot_forecast(run: Run, teacher: Teacher, seconds: float) -> Forecast | None:
    """Carry the closed slots of a run on to its target; `seconds` is what they took.

    `None` when nothing was accepted yet.
    """
    closed = [
        SlotCost(
            slot.closed["parsed"],
            slot.closed["accepted"],
            sum((Usage.model_validate(cost) for cost in slot.closed["usage"].values()), Usage()),
        )
        for slot in run.slots()
    ]
    return forecast(closed, run.target, seconds, teacher.known_price())


def first_words(samples: Iterable[Sample]) -> Counter[str]:
    """Count the first words of instructions, lower case, without punctuation at their ends."""
    return Counter(
        word for sample in samples if (word := (sample.instruction.split() or [""])[0].strip(".,:;!?\"'()").lower())
    )


def lengths(samples: Sequence[Sample]) -> Lengths:
    """Return length quartiles of instructions, inputs and outputs."""
    return Lengths(
        instruction=_quartiles(len(sample.instruction.split()) for sample in samples),
        input=_quartiles(len(sample.input.split()) for sample in samples if sample.input),
        output=_quartiles(len(sample.output.split()) for sample in samples),
    )


def _quartiles(values: Iterable[int]) -> tuple[int, ...]:
    ordered = sorted(values)
    return tuple(ordered[round(q * (len(ordered) - 1))] for q in QUANTILES) if ordered else ()


def facts(run: Run) -> Facts:
    """Return what a run's card says of how the dataset came about."""
    known, frozen = report(run), run.frozen
    recipe, deciding = run.recipe, frozen["deciding"]
    first = next(run.samples(1), None)
    provenance = first.provenance if first else None
    return Facts(
        name=known.name,
        version=frozen["version"],
        recipe=frozen["recipe_hash"],
        generator=recipe["generator"]["kind"],
        teacher=provenance.teacher if provenance else recipe["teacher"].get("model", ""),
        teacher_revision=provenance.teacher_revision if provenance else "",
        terms=provenance.terms if provenance else "",
        seeds={Path(recipe["seeds"]).name: deciding["seeds"]},
        prompts=deciding["prompts"],
        parsed=known.parsed,
        accepted=known.accepted,
        funnel=known.funnel,
        requests=known.total.requests,
        prompt_tokens=known.total.prompt_tokens,
        completion_tokens=known.total.completion_tokens,
        cost_usd=known.usd,
        ending={"open": ""}.get(known.ending, known.ending),
    )
