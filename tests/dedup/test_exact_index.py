"""Equal texts: what counts as equal, and ranges of entries."""

import pytest

from instructgen.dedup import Neighbour
from instructgen.dedup.exact_index import ExactIndex

ONE = Neighbour(0, 1.0)


@pytest.mark.parametrize(
    ("spelling", "same", "other"),
    [
        ("as_is", "Sort the list.", "sort the list."),
        ("folded", " sort\n THE  list.", "sort the list"),
        ("words", "sort: the LIST", "sort the lists"),
    ],
)
def test_spellings(spelling, same, other):
    """Each spelling forgives what it says and no more."""
    index = ExactIndex(spelling)
    index.add("Sort the list.")

    assert index.nearest(same) == [ONE]
    assert index.nearest(other) == []


def test_a_stream_keeps_the_first_of_equals():
    """Later equals name the first; empty texts are all kept."""
    index = ExactIndex()

    assert index.filter(["a", "", "A", "b", "", "a"]) == [[], [], [ONE], [], [], [ONE]]
    assert len(index) == 4


def test_entries_are_asked_by_range():
    """Equal entries are all known, and found within a range."""
    index = ExactIndex()
    for text in ["a", "b", "a", "a"]:
        index.add(text)

    assert [near.entry for near in index.nearest("a", 9)] == [0, 2, 3]
    assert [near.entry for near in index.nearest("a", 9, 1, 3)] == [2]
    assert index.nearest("a", 9, 1, 2) == []
    assert not index.sees(" ")


def test_a_million_identical_rows_are_one_entry():
    """Repeats cost no memory."""
    index = ExactIndex("as_is")
    found = index.filter(["tell me a joke"] * 1_000_000)

    assert len(index) == 1
    assert sum(map(bool, found)) == 999_999
