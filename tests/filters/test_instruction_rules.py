"""Instruction rules: one row per rule, and the golden counts of the released lists."""

import gzip
import json
from collections import Counter

import pytest
from pydantic import ValidationError

from instructgen.filters.instruction_rules import InstructionRules
from instructgen.records import Draft
from instructgen.testing import evidence_of, make_sample

RELEASED = {"fidelity": "as_released"}


@pytest.mark.parametrize(
    ("options", "instruction", "reason", "evidence"),
    [
        ({}, "Sort this list", "too_short", {"words": 3, "minimum": 4}),
        ({}, "Sort this list now", "", {}),
        ({}, "  ", "too_short", {"words": 0, "minimum": 4}),
        ({}, "word " * 150, "", {}),
        ({}, "word " * 151, "too_long", {"words": 151, "maximum": 150}),
        ({}, "Please DRAW me a sheep", "blacklisted", {"word": "draw"}),
        ({}, "Tell me where to go to in Rome", "blacklisted", {"word": "go to"}),
        ({}, "Say who drew the bitmap here", "", {}),
        ({}, "Name the composer of this music", "", {}),
        ({"blacklist": "alpaca"}, "Name the composer of this music", "blacklisted", {"word": "music"}),
        ({"blacklist": "none"}, "Draw a map of the river", "", {}),
        ({"blacklist": ("c++", "sql")}, "Say what C++ is good for", "blacklisted", {"word": "c++"}),
        ({"blacklist": ("c++", "sql")}, "Say what mysqldump is for", "", {}),
        ({}, "Write a program that adds numbers", "write_a_program", {}),
        ({}, "write a program that adds numbers", "write_a_program", {}),
        (RELEASED, "write a program that adds numbers", "", {}),
        ({"write_a_program": False}, "Write a program that adds numbers", "", {}),
        ({}, "- list the planets in order", "leading_punctuation", {"character": "-"}),
        ({"leading_punctuation": False}, "- list the planets in order", "", {}),
        ({}, "Écris une phrase sur la mer", "", {}),
        (RELEASED, "Écris une phrase sur la mer", "leading_non_ascii", {"character": "É"}),
        ({"leading_non_ascii": True}, "Écris une phrase sur la mer", "leading_non_ascii", {"character": "É"}),
        ({}, "اكتب جملة قصيرة عن البحر", "", {}),
        ({}, "把下面的句子翻译成英文", "", {}),
        ({}, "翻译成英文", "too_short", {"words": 3, "minimum": 4}),
        (RELEASED, "把下面的句子翻译成英文", "too_short", {"words": 1, "minimum": 4}),
        ({}, "🌊 write a line about the sea", "", {}),
    ],
)
def test_each_rule_names_its_reason(options, instruction, reason, evidence):
    """Every rule gives its own reason with evidence, and only where it applies."""
    assert (reason, evidence) == evidence_of(InstructionRules(**options).check(make_sample(instruction)))


def test_a_draft_can_be_asked():
    """The rules read the instruction alone, so an idea is judged before anything is paid for it."""
    rules = InstructionRules()

    assert frozenset({"instruction"}) == rules.looks_at()
    assert rules.check(Draft(number=0, instruction="Plot the sine of x").sample()).reason == "blacklisted"


def test_every_reason_is_explained():
    """A reason that a report shows stands in the table of reasons."""
    given = {"too_short", "too_long", "blacklisted", "write_a_program", "leading_punctuation", "leading_non_ascii"}

    assert given == set(InstructionRules.reasons)


def test_a_range_that_nothing_can_pass_is_an_error():
    """min_words above max_words is a mistake in the recipe, not a filter that rejects everything."""
    with pytest.raises(ValidationError, match=r"min_words \(9\) up to max_words \(5\)"):
        InstructionRules(min_words=9, max_words=5)


def test_released_alpaca_rows_pass_their_own_rules(data_dir):
    """The rows that Alpaca kept are those that its rules keep: none of every fifth released row is rejected."""
    rows = json.loads(gzip.decompress((data_dir / "alpaca_nc" / "alpaca_data.json.gz").read_bytes()))[::5]
    rules = InstructionRules(fidelity="as_released", blacklist="alpaca")

    assert len(rows) == 10_401
    assert [row["instruction"] for row in rows if rules.check(make_sample(row["instruction"]))] == []


@pytest.mark.parametrize(
    ("file", "preset", "passed", "rejected"),
    [
        ("seed_tasks", "self_instruct", 172, {"too_short": 2, "write_a_program": 1}),
        ("seed_tasks", "alpaca", 171, {"too_short": 2, "write_a_program": 1, "music": 1}),
        ("user_oriented_instructions", "self_instruct", 247, {"draw": 1, "files": 1, "plot": 2, "too_short": 1}),
        (
            "user_oriented_instructions",
            "alpaca",
            245,
            {"draw": 1, "files": 1, "plot": 2, "too_short": 1, "video": 2},
        ),
    ],
)
@pytest.mark.parametrize("fidelity", ["as_released", "fixed"])
def test_golden_counts_of_the_released_rules(data_dir, file, preset, passed, rejected, fidelity):
    """On Self-Instruct's own files the presets give the counts that the released code gives."""
    rules = InstructionRules(fidelity=fidelity, blacklist=preset)
    counts = Counter()
    for line in (data_dir / "self_instruct" / f"{file}.jsonl").read_text(encoding="utf-8").splitlines():
        verdict = rules.check(make_sample(" ".join(json.loads(line)["instruction"].split())))
        counts[verdict.evidence.get("word", verdict.reason) if verdict else "passed"] += 1

    assert {"passed": passed, **rejected} == counts
