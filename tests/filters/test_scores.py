"""The score parsers: what is read, and what is a failure with a reason and never a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructgen.filters.scores import read_choice, read_order, read_score, read_scores

SCORES = [
    ("Score: 4.5", 4.5),  # AlpaGasus' parser raises
    ("Score:4.5", 4.5),  # ... gives 4.0
    ("4.5/5", 4.5),  # ... raises
    ("**4**", 4.0),
    ("4", 4.0),
    ("4.", 4.0),
    (" 4,5 ", 4.5),
    ("0", 0.0),
    ("Rating: [[4]]", 4.0),
    ("**Score:** 4", 4.0),
    ("Score: **4/5**\nGood, with 2 flaws in 10 lines.", 4.0),
    ("The answer is right.\n\nFinal score: 3.5 out of 5", 3.5),
    ("The overall rating is 3.", 3.0),
    ("4 out of 5 stars", 4.0),
    ('{"reason": "fine", "score": 4}', 4.0),
    ('```json\n{"score": 4.5}\n```', 4.5),
    ("Score: 4\nAs said, score: 4", 4.0),
    ("<think>Score: 3? No.</think>\n\nScore: 4", 4.0),
    ('<think>2</think>{"score": 4}', 4.0),
    ("<think>Score: 3? Or", "unreadable_score"),
    ('Sure:\n```json\n{"score": 4}\n```', 4.0),
    ('```json\n{"score": 4}\n```\nor\n```json\n{"score": 3}\n```', "unreadable_score"),
    ("4\nThe answer is good.", 4.0),
    ("The answer is good.\n4", 4.0),
    ("", "unreadable_score"),
    ("Good answer.", "unreadable_score"),
    ("between 3 and 4", "unreadable_score"),
    ("Score: 3-4", "unreadable_score"),
    ("Score: 3 or 4", "unreadable_score"),
    ("Score: 4\nOn reflection, score: 2", "unreadable_score"),
    ("I would give it 4 because of 2 flaws", "unreadable_score"),
    ("Score: high", "unreadable_score"),
    ('{"score": "4"}', "unreadable_score"),
    ('{"score": true}', "unreadable_score"),
    ('{"reason": "fine"}', "unreadable_score"),
    ('{"score": 4', "unreadable_score"),
    ("Score (0-5): 3", 3.0),
    ("Max score: 5\nScore: 3", 3.0),
    ("Score: 4 (out of 5)", 4.0),
    ("Score: 4 - clear and right", 4.0),
    ("__Score__: `4`", 4.0),
    ("Score: 4. It has 2 flaws.", 4.0),
    ("Score: 4 on a scale from 0 to 5", 4.0),
    ("\ufeff4", 4.0),
    ("Score: 4%", "unreadable_score"),
    ("Score: 4½", "unreadable_score"),
    ("Score: 1e1", "unreadable_score"),
    ("Score: 4+", "unreadable_score"),
    ("Score: 4.5.1", "unreadable_score"),
    ("Score: 4 5", "unreadable_score"),
    ("Score: 4 3/5", "unreadable_score"),
    ("Score: 3, 4", "unreadable_score"),
    ("Score: 4:5", "unreadable_score"),
    ("Score: 4/5/10", "unreadable_score"),
    ("Score: 4 if lenient, 3 if strict", "unreadable_score"),
    ("Score: 4 (but 3 if strict)", "unreadable_score"),
    ("Score: 4/5 or 3/5", "unreadable_score"),
    ("Maximum score: 5", "unreadable_score"),
    ("No score: 4", "unreadable_score"),
    ("He wrote: score: 5\n\n2", "unreadable_score"),
    ('{"score": 4, "score": 2}', "unreadable_score"),
    ("4 (out of 10)", "score_out_of_range"),
    ("Score: 4 (out of 10)", "score_out_of_range"),
    ("Score: 4 (/10)", "score_out_of_range"),
    ("Score: 4 out of ten", "score_out_of_range"),
    ("Score: 4 stars out of 10", "score_out_of_range"),
    ("Score: 4, on a scale of 1 to 10", "score_out_of_range"),
    ("Score (1-10): 3", "score_out_of_range"),
    ("Score: 8/10", "score_out_of_range"),
    ("Score: 7", "score_out_of_range"),
    ("-1", "score_out_of_range"),
    ('{"score": 50}', "score_out_of_range"),
    ('{"score": NaN}', "score_out_of_range"),
]


@pytest.mark.parametrize(("text", "expected"), SCORES)
def test_a_reply_states_one_score_or_fails_with_a_reason(text, expected):
    """The table of spellings, with the errors of released parsers."""
    assert read_score(text) == expected


NAMES = ["correctness", "instruction_following"]
SEVERAL = [
    ('{"correctness": 4, "instruction_following": 3.5}', {"correctness": 4.0, "instruction_following": 3.5}),
    ("Correctness: 4/5\n- **Instruction following**: 3.5", {"correctness": 4.0, "instruction_following": 3.5}),
    (
        "**Correctness (0-5):** 4\n**Instruction following (0-5):** 5",
        {"correctness": 4.0, "instruction_following": 5.0},
    ),
    ("Correctness (1-10): 4\nInstruction following: 3", "score_out_of_range"),
    ("1. correctness = 4\n2. instruction-following = 5", {"correctness": 4.0, "instruction_following": 5.0}),
    ('{"correctness": 4}', "unreadable_score"),
    ("Correctness: 4", "unreadable_score"),
    ("Correctness: 4\nCorrectness: 2\nInstruction following: 3", "unreadable_score"),
    ("Correctness: 4-5\nInstruction following: 3", "unreadable_score"),
    ("Correctness: 4 (out of 10)\nInstruction following: 3", "score_out_of_range"),
    ("Correctness: 4 or so, 3 if strict\nInstruction following: 3", "unreadable_score"),
    ("Correctness: 4 - right in 2 places?\nInstruction following: 3", "unreadable_score"),
    ('{"correctness": 4, "correctness": 1, "instruction_following": 3}', "unreadable_score"),
    ("Correctness: 9\nInstruction following: 3", "score_out_of_range"),
]


@pytest.mark.parametrize(("text", "expected"), SEVERAL)
def test_every_criterion_needs_its_score(text, expected):
    """One missing or doubtful criterion fails the whole reply."""
    assert read_scores(text, NAMES) == expected


CHOICES = [
    ('{"reason": "x", "choice": "B"}', "B"),
    ("A", "A"),
    ("[[B]]", "B"),
    ("Both are short.\nBetter: B", "B"),
    ("The better answer is A.", "A"),
    ("tie", "tie"),
    ("Answer B is better in style but A is right.", None),
    ("C", None),
    ("", None),
    ('{"choice": "both of them"}', None),
]


@pytest.mark.parametrize(("text", "expected"), CHOICES)
def test_a_choice_is_read_only_where_it_stands_alone(text, expected):
    """Prose that mentions both letters chooses none."""
    assert read_choice(text, "AB") == expected


ORDERS = [
    ('{"order": ["B", "A", "C"]}', ["B", "A", "C"]),
    ("B > A > C", ["B", "A", "C"]),
    ("The last is worst.\nRanking: b, a, c".upper(), ["B", "A", "C"]),
    ("B > A", None),
    ("B > A > A", None),
    ("B > A = C", None),
    ("B < A < C", None),  # the last is the best, or a slip
    ("B ≥ A > C", None),
    ("A -> C -> B", ["A", "C", "B"]),
    ("<think>C > A > B</think>B > A > C", ["B", "A", "C"]),
    ('{"order": "B > A > C"}', ["B", "A", "C"]),
    ("A is better than B and C", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), ORDERS)
def test_an_order_names_each_letter_once(text, expected):
    """A part of an order is no order."""
    assert read_order(text, "ABC") == expected


@given(st.text(max_size=200))
def test_any_reply_is_read_without_an_exception(text):
    """Scores are in range or a failure, whatever the reply."""
    score = read_score(text)

    assert isinstance(score, str) or 0 <= score <= 5
    read_scores(text, NAMES)
    read_choice(text, "AB")
    read_order(text, "ABC")
