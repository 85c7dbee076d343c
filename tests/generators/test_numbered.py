"""Numbered lists, as models write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructgen.generators.numbered import read_numbered


@pytest.mark.parametrize(
    ("text", "ideas", "leftovers"),
    [
        (" name a river.\n10. Sort it.", ["Name a river.", "Sort it."], []),
        ("9. Name a river.\n10. Sort it.", ["Name a river.", "Sort it."], []),
        ("Sure, here they are:\n\n9. Name a river.\n10. Sort it.", ["Name a river.", "Sort it."],
         [("preamble", "Sure, here they are:")]),
        ("Sure:\n1. Name it.\n2. Sort it.\n3. Sing.", ["Name it.", "Sort it.", "Sing."], [("preamble", "Sure:")]),
        ("9) Name a river.\n10 . Sort it.\n11: Sing.", ["Name a river.", "Sort it.", "Sing."], []),
        ("**9.** Name a river.", ["Name a river."], []),
        ("**9. Name a river.**\n**10. Sort it.**", ["Name a river.", "Sort it."], []),
        ("9. **Name a river.**\n- 10. Sort `a` and `b`", ["Name a river.", "Sort `a` and `b`"], []),
        ("Task 9: Name a river.\nTask 10: Sort it.", ["Name a river.", "Sort it."], []),
        ("9. A.\n9. B.\n9. C.", ["A.", "B.", "C."], []),
        ("Follow the steps\n1. read\n2. write\n10. Sing.", ["Follow the steps 1. read 2. write", "Sing."], []),
        ("9. Follow the steps\n1. read\n2. write\n10. Sing.", ["Follow the steps 1. read 2. write", "Sing."], []),
        ("9. A.\n\n10. B.\n\nLet me know if\n\nyou need more!", ["A.", "B."],
         [("after_list", "Let me know if\n\nyou need more!")]),
        ("Round 3.14159\nand 16. Then stop at 12:30\n10. B.", ["Round 3.14159 and 16. Then stop at 12:30", "B."], []),
        ("9. A in\n3.5 hours.\n10. B.", ["A in 3.5 hours.", "B."], []),
        ("10. 译成英文：\n你好", ["译成英文： 你好"], []),
        ("9.\n10. \n", [], []),
        ("", [], []),
    ],
)  # fmt: skip
def test_fixed_reads_lists_as_models_write_them(text, ideas, leftovers):
    """Greetings, restarts, marks, wrong numbers and steps inside an idea do not cost or glue ideas."""
    assert (ideas, leftovers) == read_numbered(text, 9)


@pytest.mark.parametrize(
    ("fidelity", "ideas"),
    [("as_released", ["Name nasa. 9) sort", "Sing."]), ("paper", ["Name NASA. 9) sort", "Sing."])],
)
def test_the_released_split(fidelity, ideas):
    """The release splits at a newline, a number, a dot and a space only; as_released also lower-cases."""
    assert (ideas, []) == read_numbered(" name  NASA.\n9) sort\n11 . sing.", 9, fidelity)


@given(st.text(), st.integers(1, 20), st.sampled_from(["fixed", "as_released", "paper"]))
def test_any_text_is_read(text, first, fidelity):
    """There is no text that the parser fails on, and no empty idea."""
    ideas, leftovers = read_numbered(text, first, fidelity)

    assert all(idea.strip() for idea in ideas)
    assert all(piece.text for piece in leftovers)


@given(st.lists(st.sampled_from(["9.", "10.", "1.", "2)", "\n", "\n\n", "river", "name", "一二", "3.14"]), max_size=25))
def test_no_word_is_lost(parts):
    """Every word is in an idea or a leftover, as often as the teacher said it."""
    text = " ".join(parts)
    ideas, leftovers = read_numbered(text, 9)
    found = " ".join([*ideas, *(piece.text for piece in leftovers)]).lower()

    for word in ("river", "name", "一二", "3.14"):
        assert parts.count(word) == found.count(word)
