"""Decisions -> counts: the funnel by stage and reason, tokens, lengths.

    {"accepted": 2003, "in_dataset": 2000, "held_back": 3, "parsed": 2841,
     "funnel": [["filter", "near_duplicate", 611], ...]}

Everything is counted from `decisions.jsonl`, nothing from memory, so it can be asked for at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from instructgen.decisions import ClosedSlot, read_slots
from instructgen.exporters.card import Facts
from instructgen.exporters.tally import Statistics, Tally
from instructgen.forecast import Forecast, SlotCost, forecast
from instructgen.recipe import build
from instructgen.records import Rejection, Sample, Usage
from instructgen.run import Run
from instructgen.teachers import Teacher
from instructgen.teachers.prices import FREE


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
    examples: dict[str, str]
    """"stage/reason" -> the place, slot.candidate, of the first candidate that was rejected so: for `why`."""
    usage: dict[str, Usage]
    """Model -> requests and tokens charged."""
    by_prompt: dict[str, Usage]
    """Prompt name (or "own" for requests that a flow wrote itself) -> usage: what each stage of the method costs."""
    usd_by_prompt: dict[str, float]
    """The same in dollars; answers taken from other runs are free. Empty = no price known."""
    unused: Usage
    """Bought here and used by no closed slot: begun for slots that the target did not need, or still open."""
    usd: float | None
    """What everything bought for this run cost by the price of the teacher, each answer's by how it was bought (online
    or by batch), unused answers included, answers taken from other runs not; `None` = no price known."""
    possibly_billed: int
    """Requests that may have been billed without an answer, killed sittings included: an upper bound."""
    with_input: int
    classification: int
    statistics: Statistics
    """Lengths, first words, categories, languages of the dataset."""

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
    examples: dict[str, str] = {}
    parsed, accepted, slots, recent = 0, 0, 0, list[tuple[int, int]]()
    tally, in_dataset, with_input, classification = Tally(), 0, 0, 0
    for slot in run.slots():
        slots += 1
        parsed += slot.closed["parsed"]
        accepted += slot.closed["accepted"]
        recent.append((slot.closed["parsed"], slot.closed["accepted"]))
        funnel.update(_rejections(slot))
        for place, line in enumerate(slot.lines):
            if "rejected" in line:
                said = line["rejected"]
                examples.setdefault(f"{said['stage']}/{said['reason']}", f"{slot.number}.{place}")
        for model, cost in slot.closed["usage"].items():
            usage[model] = usage.get(model, Usage()) + Usage.model_validate(cost)
        charged.update(slot.closed["charged"])
        for sample in slot.samples(run.target - in_dataset):
            in_dataset += 1
            tally.add(sample)
            with_input += bool(sample.input)
            classification += bool(sample.labels.get("is_classification"))
    bought = _bought(run, charged)
    return Report(
        name=run.recipe["name"],
        target=run.target,
        ending=_ending(run, accepted, recent),
        slots=slots,
        parsed=parsed,
        accepted=accepted,
        in_dataset=in_dataset,
        held_back=accepted - in_dataset,
        funnel=tuple((stage, reason, count) for (stage, reason), count in funnel.most_common()),
        examples=examples,
        usage=usage,
        **bought,
        with_input=with_input,
        classification=classification,
        statistics=tally.statistics(),
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


def _bought(run: Run, charged: set[str]) -> dict[str, Any]:
    """Return the part of the report that the store tells: usage and dollars by prompt, in all, and what is unused."""
    teacher = build("teachers", run.recipe["teacher"], "teacher")
    prices = [teacher.price_of(by_batch=by_batch) for by_batch in (False, True)]
    known = None not in prices
    by_prompt: dict[str, Usage] = {}
    dollars, usd, unused = dict[str, Decimal](), Decimal(0), Usage()
    store = run.store()
    try:
        for row in store.rows():
            usage = row.completion.usage.model_copy(update={"requests": 1})
            price = FREE if row.origin else prices[row.by_batch] or FREE
            cost = price.cost(usage)
            usd += cost
            if row.hash in charged:
                name = row.request.get("prompt") or "own"
                by_prompt[name] = by_prompt.get(name, Usage()) + usage
                dollars[name] = dollars.get(name, Decimal(0)) + cost
            elif not row.origin:
                unused += usage
        return {
            "by_prompt": dict(sorted(by_prompt.items())),
            "usd_by_prompt": {name: float(cost) for name, cost in sorted(dollars.items())} if known else {},
            "unused": unused,
            "usd": float(usd) if known else None,
            "possibly_billed": sum(store.unsettled()),
        }
    finally:
        store.close()


def pilot_forecast(run: Run, teacher: Teacher, seconds: float | None, paid: Decimal | None = None) -> Forecast | None:
    """Carry the closed slots of a run on to its target; `seconds` is what they took, if that is known, `paid` what they
    cost, if not all at today's price.

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
    return forecast(closed, run.target, seconds, teacher.known_price(), paid)


class Outline(BaseModel):
    """What a dataset that is no run holds, and what was decided about it where `decisions.jsonl` stands beside."""

    model_config = ConfigDict(frozen=True)

    samples: int
    unreadable: dict[str, int]
    """Reason -> rows that could not be read."""
    statistics: Statistics
    parsed: int = 0
    accepted: int = 0
    funnel: tuple[tuple[str, str, int], ...] = ()


def outline(made: Iterable[Sample | Rejection], decisions: Path | None = None) -> Outline:
    """Count a stream of samples, and the decisions file of a `clean`, `convert` or `decontaminate`."""
    tally, samples, unreadable = Tally(), 0, Counter[str]()
    for one in made:
        if isinstance(one, Rejection):
            unreadable[one.reason] += 1
        else:
            samples += 1
            tally.add(one)
    funnel, parsed, accepted = Counter[tuple[str, str]](), 0, 0
    for slot in read_slots(decisions) if decisions else ():
        parsed += slot.closed["parsed"]
        accepted += slot.closed["accepted"]
        funnel.update(_rejections(slot))
    return Outline(
        samples=samples,
        unreadable=dict(unreadable.most_common()),
        statistics=tally.statistics(),
        parsed=parsed,
        accepted=accepted,
        funnel=tuple((stage, reason, count) for (stage, reason), count in funnel.most_common()),
    )


def _rejections(slot: ClosedSlot) -> Iterator[tuple[str, str]]:
    return ((line["rejected"]["stage"], line["rejected"]["reason"]) for line in slot.lines if "rejected" in line)


def _filter_said(options: Mapping[str, Any]) -> str:
    """Return a filter of a recipe as a card names it.

    Example: _filter_said({"kind": "rouge", "threshold": 0.7}) -> "rouge: threshold 0.7"
    """
    named = {name: value for name, value in options.items() if name != "kind" and value not in (None, "", [], {})}
    more = "; ".join(f"{name} {_option_said(value)}" for name, value in named.items())
    return f"{options.get('kind')}: {more}" if more else str(options.get("kind"))


def _option_said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={said}" for name, said in value.items())
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


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
        filters=tuple(_filter_said(one) for one in recipe.get("filters") or ()),
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
