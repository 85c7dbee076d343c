"""Answers that do not do what the instruction demands in a way that a program can check.

{"instruction": "Describe rain in at most five words.", "output": "Rain is water that falls."}   ->  unmet_words
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError, validate_call

from instructgen.filters.constraint_kinds import KINDS, Constraint, contradiction, unmet
from instructgen.filters.constraint_phrases import recognised
from instructgen.filters.rated import Exchange, Finding, RatedFilter, exchanges, labels_of
from instructgen.records import Sample


class Constraints(RatedFilter):
    """Reject answers that miss a demand which the instruction states, or which the sample declares.

    A sample declares demands in `labels.constraints`: [{"kind": "words", "max": 50}, ...];
    they hold for the last answer.
    Example: "Name a fruit in capital letters." -> "apple" -> unmet_uppercase
    """

    reasons: ClassVar[dict[str, str]] = {
        "unknown_constraint": "a declared constraint has an unknown kind or wrong arguments",
        "contradiction": "two declared demands cannot be met together",
        **{f"unmet_{kind}": (check.__doc__ or kind).strip().splitlines()[0] for kind, check in KINDS.items()},
    }

    kind: Literal["constraints"] = "constraints"
    read_instruction: bool = Field(default=True, description="recognise demands in the words of the instruction")
    slack: float = Field(
        default=0.0, ge=0, le=1, description="share by which recognised counts of words and characters may be missed"
    )

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield unmet demands that the instruction states."""
        if not self.read_instruction or not exchange.output:
            return
        demands = [self._relaxed(each) for each in recognised(exchange.instruction)]
        if contradiction(demands):  # "a) in two sentences, b) in five": demands on parts, which words alone do not tell
            return
        for demand in demands:
            yield from _missed(demand, exchange.output)

    def find_in(self, sample: Sample) -> Iterator[Finding]:
        """Yield unmet declared demands first, then those that instructions state."""
        yield from _declared(sample)
        yield from super().find_in(sample)

    def _relaxed(self, constraint: Constraint) -> Constraint:
        """Return the demand with its limits moved by the slack; exact numbers in prose are rarely meant to the word."""
        if not self.slack or constraint.kind not in ("words", "characters"):
            return constraint
        moved = dict(constraint.arguments)
        if moved.get("min") is not None:
            moved["min"] = int(moved["min"] * (1 - self.slack))
        if moved.get("max") is not None:
            moved["max"] = int(moved["max"] * (1 + self.slack) + 0.999)
        return Constraint(constraint.kind, moved)


def _missed(constraint: Constraint, answer: str) -> Iterator[Finding]:
    found = unmet(constraint, answer)
    if found:
        yield f"unmet_{constraint.kind}", {"wanted": constraint.arguments, "found": found[:80]}


def _declared(sample: Sample) -> Iterator[Finding]:
    declared = labels_of(sample).get("constraints")
    if declared is None:
        return
    rounds = exchanges(sample)
    answer = rounds[-1].output if rounds else None
    if answer is None:
        return
    known: list[Constraint] = []
    for each in declared if isinstance(declared, list) else [declared]:
        constraint = _parsed(each)
        if constraint is None:
            yield "unknown_constraint", {"constraint": str(each)[:80]}
        else:
            known.append(constraint)
    if kind := contradiction(known):
        yield "contradiction", {"kind": kind}
        return
    for constraint in known:
        yield from _missed(constraint, answer)


def _parsed(declared: JsonValue) -> Constraint | None:
    """Return a declared constraint, or `None` when its kind or its arguments are not known."""
    if not isinstance(declared, dict) or declared.get("kind") not in KINDS:
        return None
    kind, arguments = str(declared["kind"]), {name: value for name, value in declared.items() if name != "kind"}
    try:
        _strict(kind)("", **arguments)
    except ValidationError:
        return None
    return Constraint(kind, arguments)


@cache
def _strict(kind: str) -> Callable[..., Any]:
    """Return the check of a kind, with its arguments' types enforced."""
    return validate_call(config=ConfigDict(strict=True))(KINDS[kind])
