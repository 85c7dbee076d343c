"""The shape of a conversation: one row per reason, and honest text that must pass."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructgen.filters.shape import CONTROL, Shape
from instructgen.records import Answer, Sample, Turn
from instructgen.testing import make_sample

CALL = ({"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}},)
SAY = {
    "S": Turn(role="system", content="Be brief."),
    "U": Turn(role="user", content="Hi"),
    "u": Turn(role="user", content=" \n "),
    "i": Turn(role="user", content="", input="the material"),
    "A": Turn(role="assistant", content="Hello"),
    "a": Turn(role="assistant", content="\t"),
    "C": Turn(role="assistant", tool_calls=CALL),
    "T": Turn(role="tool", content="12:00", tool_call_id="c1"),
    "t": Turn(role="tool", content=""),
    "s": Turn(role="system", content=" "),
}


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ("UA", ""),
        ("SUA", ""),
        ("UAUAUA", ""),
        ("iA", ""),
        ("SUCTA", ""),
        ("UCTTA", ""),
        ("UCtA", ""),
        ("UC", ""),
        ("UCTAUA", ""),
        ("", "ends_without_answer"),
        ("U", "ends_without_answer"),
        ("S", "ends_without_answer"),
        ("UAU", "ends_without_answer"),
        ("UCT", "ends_without_answer"),
        ("USA", "system_not_first"),
        ("SSUA", "system_not_first"),
        ("UAS", "system_not_first"),
        ("A", "roles_do_not_alternate"),
        ("AUA", "roles_do_not_alternate"),
        ("UUA", "roles_do_not_alternate"),
        ("UAA", "roles_do_not_alternate"),
        ("SA", "roles_do_not_alternate"),
        ("UCTUA", "roles_do_not_alternate"),
        ("UAT", "tool_without_call"),
        ("UTA", "tool_without_call"),
        ("UCUA", "call_without_result"),
        ("UCA", "call_without_result"),
        ("uA", "empty_user_turn"),
        ("Ua", "empty_answer"),
        ("UaUA", "empty_answer"),
        ("sUA", "empty_system"),
    ],
)
def test_who_speaks_when(turns, reason):
    """Roles alternate, a system turn comes first only, tools answer calls, the assistant has the last word."""
    verdict = Shape().check(Sample(turns=tuple(SAY[letter] for letter in turns)))

    assert reason == (verdict.reason if verdict else "")
    assert verdict is None or verdict.stage == "validate"
    assert verdict is None or verdict.reason in Shape.reasons


def test_evidence_says_where():
    """The verdict names the turn, what was found there and what came before."""
    verdict = Shape().check(Sample(turns=(SAY["U"], SAY["A"], SAY["A"])))

    assert verdict.evidence == {"where": "turns", "turn": 2, "after": "assistant", "found": "assistant"}


@pytest.mark.parametrize("field", ["content", "input", "name"])
def test_control_characters_are_named(field):
    """A control character in any text of a turn is rejected, with its code point and place."""
    turn = SAY["U"].model_copy(update={field: "ab\x00"})
    verdict = Shape().check(Sample(turns=(turn, SAY["A"])))

    assert verdict.reason == "control_character"
    assert {"where": "turns.0", "field": field, "character": "U+0000", "position": 2} == verdict.evidence


def test_control_characters_are_exactly_category_cc():
    """All of Unicode's Cc but tab, line feed and carriage return, and nothing else."""
    every = {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) == "Cc"}

    assert every - set("\t\n\r") == {c for c in map(chr, range(sys.maxunicode + 1)) if CONTROL.match(c)}


@pytest.mark.parametrize(
    ("options", "sample", "reason", "evidence"),
    [
        ({"max_turn_chars": 5}, make_sample("abc", input="de", output="x"), "", {}),
        (
            {"max_turn_chars": 5},
            make_sample("abc", input="def", output="x"),
            "turn_too_long",
            {"where": "turns.0", "characters": 6, "maximum": 5},
        ),
        (
            {"max_turns": 3},
            Sample(turns=(SAY["U"], SAY["A"]) * 2),
            "too_many_turns",
            {"where": "turns", "turns": 4, "maximum": 3},
        ),
        ({}, make_sample("译" * 50_000, input="🌊" * 50_000, output="ب" * 50_000), "", {}),
    ],
)
def test_sizes_are_options(options, sample, reason, evidence):
    """Limits count characters, input included, and say both numbers; long text within them goes through."""
    verdict = Shape(**options).check(sample)

    assert (reason, evidence) == ((verdict.reason, verdict.evidence) if verdict else ("", {}))


def test_alternative_answers_are_checked_too():
    """A rejected answer that holds nothing is no preference data."""
    sample = make_sample().model_copy(update={"answers": (Answer(turns=(SAY["A"],)), Answer(turns=(SAY["a"],)))})
    verdict = Shape().check(sample)

    assert (verdict.reason, verdict.evidence["where"]) == ("empty_answer", "answers.1.0")


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.text(max_size=5)), max_size=6))
def test_any_conversation_gets_a_verdict(turns):
    """Whatever the turns are, the answer is a known reason or nothing, never an exception."""
    verdict = Shape().check(Sample(turns=tuple(Turn(role=role, content=text) for role, text in turns)))

    assert verdict is None or verdict.reason in Shape.reasons
