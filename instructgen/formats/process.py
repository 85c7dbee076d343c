"""Solutions whose steps are rated: PRM800K's rows and TRL's stepwise supervision.

    process    {"question": {"problem": "..."},
                "label": {"steps": [{"completions": [{"text": "...", "rating": 1, "flagged": false}],
                                     "human_completion": null, "chosen_completion": 0}]}}
    stepwise   {"prompt": "...", "completions": ["step 1", "step 2"], "labels": [true, false]}

A sample's steps are the ones on the solution's path; what else was proposed there stands in their `alternatives`.
Ratings: -1 wrong, 0 neutral, +1 right, null not rated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from instructgen.formats import Format, Row, Unreadable, Unwritable
from instructgen.formats.holds import demand
from instructgen.formats.reading import list_of, rest_of, text_of
from instructgen.records import Sample, Step, Turn

_COMPLETION = {"text": "string", "rating": "int64", "flagged": "bool", "source": "string"}


def _solved(problem: str, steps: Sequence[Step], **rest: Any) -> Sample:
    """Return a problem and its steps; the answer is the steps' texts, a line each."""
    answer = "\n".join(step.text for step in steps)
    turns = (Turn(role="user", content=problem), Turn(role="assistant", content=answer))
    return Sample(turns=turns, steps=tuple(steps), **rest)


class Process(Format):
    """PRM800K: every proposed step with its rating, and which one was taken."""

    name: ClassVar[str] = "process"
    title: ClassVar[str] = "question, label with rated steps (PRM800K)"
    columns: ClassVar[Mapping[str, Any]] = {
        "question": {"problem": "string", "ground_truth_answer": "string"},
        "label": {
            "steps": [
                {"completions": [_COMPLETION], "human_completion": _COMPLETION, "chosen_completion": "int64"}
            ],
            "finish_reason": "string",
        },
    }  # fmt: skip
    holds: ClassVar[frozenset[str]] = frozenset({"steps", "step_keys"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has a problem and a label with steps."""
        label, question = row.get("label"), row.get("question")
        return isinstance(label, dict) and "steps" in label and isinstance(question, dict) and "problem" in question

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the problem with the path that was taken. Raises: Unreadable."""
        question, label = row.get("question"), row.get("label")
        if not isinstance(question, Mapping) or not isinstance(label, Mapping):
            raise Unreadable("missing_field", "expected question and label as objects")
        steps = [_step(part, f"label.steps[{number}]") for number, part in enumerate(list_of(label, "steps"))]
        if not steps:
            raise Unreadable("no_steps", "label.steps: expected at least one, found none")
        rest = rest_of(row, frozenset({"question", "label"}))
        more = {"question": _rest(question, "problem"), "label": _rest(label, "steps")}
        rest["extra"] = {**rest.get("extra", {}), **{key: value for key, value in more.items() if value}}
        return [_solved(text_of(question, "problem"), steps, **rest)]

    def write(self, sample: Sample) -> Row:
        """Return the problem and all proposed steps. Raises: Unwritable."""
        _demand_steps(sample, self.holds, self.name)
        question, label = (sample.extra.get(key) for key in ("question", "label"))
        truth = question.get("ground_truth_answer") if isinstance(question, dict) else None
        finish = label.get("finish_reason") if isinstance(label, dict) else None
        return {
            "question": {"problem": sample.turns[0].text, "ground_truth_answer": truth},
            "label": {"steps": [_unstep(step) for step in sample.steps], "finish_reason": finish},
        }

    def shown(self, sample: Sample) -> Collection[str]:
        """Return those of the two objects of which no other keys are known."""
        own = (("question", "ground_truth_answer"), ("label", "finish_reason"))
        return {f"column {name}" for name, key in own if _is_only(sample.extra.get(name), key)}


class Stepwise(Format):
    """Rows for process reward models as TRL named them: steps that are right or wrong."""

    name: ClassVar[str] = "stepwise"
    title: ClassVar[str] = "prompt, completions (steps), labels (right or wrong)"
    consumers: ClassVar[tuple[str, ...]] = ("Axolotl",)
    columns: ClassVar[Mapping[str, Any]] = {"prompt": "string", "completions": ["string"], "labels": ["bool"]}
    holds: ClassVar[frozenset[str]] = frozenset({"steps"})

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row has steps as texts and as many labels."""
        steps, labels = row.get("completions"), row.get("labels")
        return (
            isinstance(steps, list)
            and isinstance(labels, list)
            and bool(steps)
            and all(isinstance(s, str) for s in steps)
        )

    def read(self, row: Mapping[str, Any]) -> list[Sample]:
        """Return the prompt with its rated steps. Raises: Unreadable."""
        steps, labels = row.get("completions"), row.get("labels")
        if not isinstance(steps, list) or not isinstance(labels, list) or len(steps) != len(labels) or not steps:
            raise Unreadable("wrong_type", "expected completions and labels as lists of one length")
        if not all(isinstance(label, bool) for label in labels) or not all(isinstance(step, str) for step in steps):
            raise Unreadable("wrong_type", "expected completions as texts and labels as true or false")
        rated = [Step(text=text, rating=1 if good else -1) for text, good in zip(steps, labels, strict=True)]
        return [_solved(text_of(row, "prompt"), rated, **rest_of(row, frozenset({"prompt", "completions", "labels"})))]

    def write(self, sample: Sample) -> Row:
        """Return prompt, steps and labels. Raises: Unwritable for alternatives and ratings beside -1 and +1."""
        _demand_steps(sample, self.holds, self.name)
        if any(step.alternatives for step in sample.steps):
            raise Unwritable("alternatives", f"format {self.name!r} holds one solution; here are alternative steps")
        if any(step.rating not in (-1, 1) for step in sample.steps):
            raise Unwritable("rating", f"format {self.name!r} knows right and wrong; a step is rated neither")
        return {
            "prompt": sample.turns[0].text,
            "completions": [step.text for step in sample.steps],
            "labels": [step.rating == 1 for step in sample.steps],
        }


def _demand_steps(sample: Sample, holds: frozenset[str], name: str) -> None:
    demand(sample, holds, name)
    if not sample.steps:
        raise Unwritable("no_steps", f"format {name!r} needs rated steps; here are none")
    if sample.turns[-1].text != "\n".join(step.text for step in sample.steps):
        raise Unwritable("other_answer", f"format {name!r} holds the steps alone; the answer says something else")


def _is_only(value: Any, key: str) -> bool:
    return isinstance(value, dict) and set(value) == {key} and isinstance(value[key], str)


def _rest(part: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != key and value is not None}


def _step(part: Mapping[str, Any], where: str) -> Step:
    """Return the step that was taken, what else was proposed as its alternatives."""
    proposed = [_proposal(one, f"{where}.completions[{n}]") for n, one in enumerate(list_of(part, "completions"))]
    chosen, human = part.get("chosen_completion"), part.get("human_completion")
    if human is not None:
        taken = _proposal(human, f"{where}.human_completion")
        return taken.model_copy(update={"alternatives": tuple(proposed), "extra": {**taken.extra, "human": True}})
    at = chosen
    if chosen is None and proposed:  # nothing was good enough: the solution ended at its best proposal
        at = max(range(len(proposed)), key=lambda n: -2 if proposed[n].rating is None else proposed[n].rating or 0)
    if isinstance(at, bool) or not isinstance(at, int) or not 0 <= at < len(proposed):
        raise Unreadable("no_choice", f"{where}.chosen_completion: expected a place in the list, found {chosen!r:.40}")
    others = tuple(step for n, step in enumerate(proposed) if n != at)
    extra = dict(proposed[at].extra)
    if at:
        extra["place"] = at
    if chosen is None:
        extra["chosen"] = None
    return proposed[at].model_copy(update={"alternatives": others, "extra": extra})


def _proposal(one: Any, where: str) -> Step:
    if not isinstance(one, Mapping):
        raise Unreadable("wrong_type", f"{where}: expected an object, found {one!r:.80}")
    rating = one.get("rating")
    if rating is not None and rating not in (-1, 0, 1):
        raise Unreadable("rating", f"{where}.rating: expected -1, 0, 1 or null, found {rating!r:.40}")
    extra = {key: value for key, value in one.items() if key not in ("text", "rating") and value is not None}
    return Step(text=text_of(one, "text"), rating=rating, extra=extra)


def _unstep(step: Step) -> Row:
    others = [_unproposal(other) for other in step.alternatives]
    own = _unproposal(step)
    if step.extra.get("human"):
        return {"completions": others, "human_completion": own, "chosen_completion": None}
    place = step.extra.get("place", 0)
    at = place if isinstance(place, int) and 0 <= place <= len(others) else 0
    chosen = None if "chosen" in step.extra else at
    return {"completions": [*others[:at], own, *others[at:]], "human_completion": None, "chosen_completion": chosen}


def _unproposal(step: Step) -> Row:
    strange = set(step.extra) - {"flagged", "source", "human", "place", "chosen"}
    if strange:
        raise Unwritable("step_keys", f"a step has keys that the shape does not know: {', '.join(sorted(strange))}")
    row: Row = {"text": step.text, "rating": step.rating}
    return row | {key: step.extra[key] for key in ("flagged", "source") if key in step.extra}
