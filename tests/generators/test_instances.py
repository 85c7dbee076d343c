"""Instances read from replies, and the rules of one task."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructgen.generators.instances import (
    Case,
    read_input_first,
    read_output_first,
    task_problems,
    without_placeholder,
)


@pytest.mark.parametrize(
    ("text", "fixed", "as_released"),
    [
        ("Example 1\nInput: a\nOutput: b\nExample 2\nInput: c\nOutput: d", [("a", "b"), ("c", "d")],
         [("a", "b"), ("c", "d")]),
        ("Example 1\nOutput: b", [("", "b")], [("", "b")]),
        ("Example 1\nplain text", [("", "plain text")], [("", "plain text")]),
        ("Input: a\nOutput: b", [("a", "b")], [("a", "b")]),
        ("Output 1: b", [("", "b")], [("", "b")]),
        ("Input: a\nOutput: b\nInput: c\nOutput: d", [("a", "b"), ("c", "d")], [("a", "b")]),
        ("**Example 1:**\n**Input:** a\n**Output:** b", [("a", "b")], [("", "**"), (":**\n**Input:** a\n**", "** b")]),
        ("### Example 1\nInput: a\nOutput: b", [("a", "b")], [("", "###"), ("a", "b")]),
        ("Example 1\nInput: a\nOutput: For Example 2 is even", [("a", "For Example 2 is even")],
         [("a", "For"), ("", "is even")]),
        ("Example 1\nInput: a\nOutput: The Output: line", [("a", "The Output: line")], [("a", "The")]),
        ("Sorry, no.", [], []),
        ("", [], []),
    ],
)  # fmt: skip
def test_input_first(text, fixed, as_released):
    """Fixed wants its words at the beginning of a line; the release splits wherever they stand."""
    assert fixed == read_input_first(text)[0]
    assert as_released == read_input_first(text, "as_released")[0]


@pytest.mark.parametrize(
    ("text", "leftovers"),
    [
        ("Of course!\nExample 1\nInput: a\nOutput: b", [("preamble", "Of course!")]),
        ("Input: a\nOutput: b\nOutput: c", [("surplus_output", "c")]),
        ("Input: a\nInput: b\nOutput: c", [("missing_output", "a")]),
        ("Input: a\nOutput: b\nInput: c", [("missing_output", "c")]),
        ("Sorry, no.", [("no_instance", "Sorry, no.")]),
    ],
)
def test_what_is_no_case_is_left_over(text, leftovers):
    """Each piece that became no case is named with its reason."""
    assert leftovers == read_input_first(text)[1]


def test_the_release_cuts_off_later_pairs():
    """What the released parser throws away is told as cut off."""
    assert read_input_first("Input: a\nOutput: b\nInput: c\nOutput: d", "as_released") == (
        [("a", "b")],
        [("cut_off", "c"), ("cut_off", "d")],
    )


@pytest.mark.parametrize("fidelity", ["fixed", "as_released"])
def test_output_first(fidelity):
    """The label is the first line, its input the rest."""
    text = "Class label: spam\nWin a phone!\nCall now.\nClass label: no spam\nSee you."

    assert read_output_first(text, fidelity) == ([("Win a phone!\nCall now.", "spam"), ("See you.", "no spam")], [])


def test_output_first_in_other_dress():
    """Fixed also reads bold labels and drops the word Input; a reply without labels is left over."""
    assert read_output_first("**Class label:** spam\nInput: Win!")[0] == [("Win!", "spam")]
    assert read_output_first("spam") == ([], [("no_instance", "spam")])


@pytest.mark.parametrize("read", [read_input_first, read_output_first])
def test_the_last_case_of_a_cut_reply_is_not_trusted(read):
    """A reply cut by length loses its last case, told as truncated with its text."""
    text = "Output: a\nExample 2\nOutput: b" if read is read_input_first else "Class label: a\nx\nClass label: b\ny"
    cases, leftovers = read(text, truncated=True)

    assert len(cases) == 1
    assert [piece.reason for piece in leftovers] == ["truncated"]


@pytest.mark.parametrize(
    ("cases", "verdicts"),
    [
        ([("2+2", "4"), ("3+3", "6")], ["", ""]),
        ([("2+2", "4"), ("2+2", "5"), ("3+3", "6")], ["conflicting_outputs"] * 3),
        ([("2+2", "4"), ("2+2", "4")], ["", "duplicate_instance"]),
        ([("", "one poem"), ("", "another poem")], ["", ""]),
        ([], []),
    ],
)
def test_rules_of_a_whole_task(cases, verdicts):
    """The same input with different outputs drops the task; without an input, outputs may differ."""
    assert verdicts == task_problems([Case(*case) for case in cases])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<noinput>", ""), ("< No Input >.", ""), ("No input", ""), ("no-input", ""), ("<no_input>", ""), ("None.", ""),
        ("N/A", ""), ("n/a", ""), ("Not applicable", ""), ("No input is required.", ""), ("", ""),
        ("No inputs were late.", "No inputs were late."), ("Nonesuch", "Nonesuch"), ("0", "0"), ("Na", ""),
        ("无", "无"),
    ],
)  # fmt: skip
def test_spellings_of_no_input(text, expected):
    """What only says that there is no input is none; a real input stays."""
    assert expected == without_placeholder(text)


PARTS = [
    "Example 1\n",
    "\nExample 2\n",
    "\nInput: ",
    "\nOutput: ",
    "\nOutput 3:",
    "\nClass label: ",
    "\n",
    "river",
    "一二",
]


@given(
    st.lists(st.sampled_from(PARTS) | st.text(max_size=4), max_size=25).map("".join),
    st.sampled_from(["fixed", "as_released", "paper"]),
    st.booleans(),
)
def test_any_text_is_read(text, fidelity, truncated):
    """There is no text that the parsers fail on; a text with anything in it gives a case or a leftover."""
    for read in (read_input_first, read_output_first):
        cases, leftovers = read(text, fidelity, truncated=truncated)

        assert all(piece.text or piece.reason == "truncated" for piece in leftovers)
        assert cases or leftovers or not text.strip() or "Example" in text or "put" in text


@given(
    st.lists(st.sampled_from(PARTS), max_size=25).map("".join), st.sampled_from(["fixed", "as_released"]), st.booleans()
)
def test_no_word_is_lost(text, fidelity, truncated):
    """Every word is in a case or a leftover, as often as the teacher said it."""
    for read in (read_input_first, read_output_first):
        cases, leftovers = read(text, fidelity, truncated=truncated)
        found = " ".join([*(f"{case.input} {case.output}" for case in cases), *(piece.text for piece in leftovers)])

        assert [text.count("river"), text.count("一二")] == [found.count("river"), found.count("一二")]
