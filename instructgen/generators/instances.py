"""Instances: the worked cases of one task, read from a teacher's reply, and the rules they must pass.

    Example 1                                   Class label: positive
    Input: 3, 1, 2                              I loved every minute of it.
    Output: 1, 2, 3
    -> Case("3, 1, 2", "1, 2, 3")               -> Case("I loved every minute of it.", "positive")

The rules are those of Self-Instruct (github.com/yizhongw/self-instruct, prepare_for_finetuning). The generator applies
them to all cases of a task, the filter `instance_rules` to one sample of any origin.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from instructgen.generators import Fidelity


class Case(NamedTuple):
    """One worked case of a task."""

    input: str
    output: str


class Leftover(NamedTuple):
    """A piece of a reply that became no case, and why."""

    reason: str
    text: str


Read = tuple[list[Case], list[Leftover]]


RULES = {
    "empty_output": "the output is empty",
    "output_repeats_input": "the output is the input again",
    "trailing_colon": "the input or the output ends with a colon: what should follow is missing",
}
"""Reasons of `problem`, in the order of checking."""

TASK_RULES = {
    "conflicting_outputs": "two cases of the task give the same input different outputs; all of its cases are dropped",
    "duplicate_instance": "the same input and output as an earlier case of the task",
}
"""Reasons that need all cases of a task."""

_COLONS = (":", "：")
_NO_INPUT = re.compile(
    r"[\W_]*+(?:no[ _-]*inputs?(?: (?:is )?(?:needed|required|necessary|provided|given))?"
    r"|none|n/?a|not applicable)[\W_]*",
    re.IGNORECASE,
)

_RELEASED = {
    "example": re.compile(r"Example\s?\d*\.?"),
    "input": re.compile(r"Input\s*+\d*+\s*+:"),
    "output": re.compile(r"Output\s*+\d*+\s*+:"),
    "label": re.compile(r"Class label:"),
}
"""What the released parser looks for, anywhere in the text: `for Example` in a sentence splits it."""


def _line_start(words: str, ending: str) -> re.Pattern[str]:
    # Possessive throughout: a run of spaces that no colon follows is read once, not once a way to divide it.
    return re.compile(rf"^[ \t#*]*+(?:{words})[ \t]*+\d*+[ \t]*+\**+{ending}[ \t]*+", re.MULTILINE | re.IGNORECASE)


_FIELD = _line_start("(?P<field>input|output)", r":\**+")
_EXAMPLE = _line_start("example", r"[.:]?+\**+[ \t]*+$")
_LABEL = _line_start("class label", r":\**+")
_INPUT_FIRST = re.compile(r"\A[ \t*]*+input[ \t]*+\d*+[ \t]*+\**+:\**+[ \t]*+", re.IGNORECASE)


def problem(case: Case, rules: Collection[str] = tuple(RULES)) -> str:
    """Return the first of the rules (keys of RULES) that a case breaks; "" for a good one.

    Example: problem(Case("Sort: 2, 1", "The result is:")) -> "trailing_colon"
    """
    given, output = case.input.strip(), case.output.strip()
    broken = {
        "empty_output": not output,
        "output_repeats_input": given == output != "",
        "trailing_colon": given.endswith(_COLONS) or output.endswith(_COLONS),
    }
    return next((rule for rule in RULES if rule in rules and broken[rule]), "")


def without_placeholder(given: str) -> str:
    """Return the input, or "" where it only says that there is none.

    Example: without_placeholder("< noinput >.") -> ""; of 9,229 released Alpaca rows, 114 hold such a spelling.
    """
    return "" if _NO_INPUT.fullmatch(given) else given


def task_problems(cases: Sequence[Case]) -> list[str]:
    """Return per case a key of TASK_RULES, or "" to keep it. Cases should have passed `problem`.

    Example: [("2+2", "4"), ("2+2", "5")] -> both conflicting_outputs; two equal cases -> the second is a duplicate.
    """
    outputs: dict[str, set[str]] = {}
    for case in cases:
        if case.input:
            outputs.setdefault(case.input, set()).add(case.output)
    if any(len(found) > 1 for found in outputs.values()):
        return ["conflicting_outputs"] * len(cases)
    seen: set[Case] = set()
    verdicts = []
    for case in cases:
        verdicts.append("duplicate_instance" if case in seen else "")
        seen.add(case)
    return verdicts


def read_input_first(text: str, fidelity: Fidelity = "fixed", *, truncated: bool = False) -> Read:
    """Read `Example n / Input: ... / Output: ...` blocks; every piece of text is in a case or a leftover.

    `as_released` splits on the words wherever they stand and reads the first pair of a block; `fixed` wants them at
    the beginning of a line and reads all pairs. The last case of a reply cut by length is left over as `truncated`.
    """
    if fidelity == "fixed":
        cases, leftovers = _input_first_fixed(text)
    else:
        cases, leftovers = _input_first_released(text)
    return _without_cut_case(cases, leftovers) if truncated else (cases, leftovers)


def read_output_first(text: str, fidelity: Fidelity = "fixed", *, truncated: bool = False) -> Read:
    r"""Read `Class label: ...` blocks: the first line is the label, the rest its input.

    Example: "Class label: spam\nWin a phone!" -> [Case("Win a phone!", "spam")]
    """
    pattern = _LABEL if fidelity == "fixed" else _RELEASED["label"]
    before, *blocks = pattern.split(text)
    leftovers = [Leftover("no_instance" if not blocks else "preamble", before.strip())] if before.strip() else []
    cases = []
    for block in blocks:
        label, _, given = block.strip().partition("\n")
        if fidelity == "fixed":
            label, given = label.strip(" \t*"), _INPUT_FIRST.sub("", given)
        cases.append(Case(given.strip(), label.strip()))
    return _without_cut_case(cases, leftovers) if truncated else (cases, leftovers)


def _without_cut_case(cases: list[Case], leftovers: list[Leftover]) -> Read:
    if not cases:
        return cases, leftovers
    cut = cases[-1]
    text = f"{cut.input}\n{cut.output}".strip()
    return cases[:-1], [*leftovers, Leftover("truncated", text)]


def _input_first_released(text: str) -> Read:
    blocks = [block.strip() for block in _RELEASED["example"].split(text.strip())]
    if len(blocks) == 1 and not _RELEASED["output"].search(text):
        return [], [Leftover("no_instance", text.strip())] if text.strip() else []
    cases, leftovers = [], []
    for block in filter(None, blocks):
        given, *outputs = _RELEASED["output"].split(block)
        if not outputs:  # a block without the word is all output
            given, outputs = "", [given]
        output, *later = _RELEASED["input"].split(outputs[0])
        opening = _RELEASED["input"].match(given.strip())
        given = given.strip()[opening.end() :] if opening else given
        cases.append(Case(given.strip(), output.strip()))
        leftovers += [Leftover("cut_off", piece.strip()) for piece in (*later, *outputs[1:]) if piece.strip()]
    return cases, leftovers


def _input_first_fixed(text: str) -> Read:
    before, *blocks = _EXAMPLE.split(text)
    if _FIELD.search(before):
        blocks, before = [before, *blocks], ""
    cases: list[Case] = []
    leftovers = [Leftover("preamble" if blocks else "no_instance", before.strip())] if before.strip() else []
    for block in blocks:
        some, rest = _pairs(block)
        cases += some
        leftovers += rest
    return cases, leftovers


def _pairs(block: str) -> Read:
    """Read the input/output pairs of one block in order."""
    opening, *parts = _FIELD.split(block)
    fields = [(name.lower(), value.strip()) for name, value in zip(parts[::2], parts[1::2], strict=True)]
    if not fields:  # as released: a block without the words is all output
        return ([Case("", opening.strip())] if opening.strip() else []), []
    cases, leftovers = [], [Leftover("preamble", opening.strip())] if opening.strip() else []
    given: str | None = None
    for number, (name, value) in enumerate(fields):
        if name == "input":
            leftovers += [Leftover("missing_output", given)] if given else []
            given = value
        elif given is None and number:
            leftovers += [Leftover("surplus_output", value)] if value else []
        else:
            cases.append(Case(given or "", value))
            given = None
    return cases, leftovers + ([Leftover("missing_output", given)] if given else [])
