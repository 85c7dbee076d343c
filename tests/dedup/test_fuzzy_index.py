"""The fuzzy index against RapidFuzz's `ratio` on every pair."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq

from benchmarks.streams import alpaca
from instructgen.dedup import Neighbour
from instructgen.dedup.fuzzy_index import FuzzyIndex, folded

texts = st.lists(st.text("abc ", max_size=12), max_size=25)
thresholds = st.sampled_from([0.3, 0.6, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0])


def brute_force(stream, threshold):
    kept, found = [], []
    for text in map(folded, stream):
        near = []
        for entry, other in enumerate(kept):
            score = Fraction(2 * LCSseq.similarity(text, other), max(1, len(text) + len(other)))
            if score >= Fraction(str(threshold)):
                near.append((-score, entry))
        found.append([Neighbour(entry, float(-score)) for score, entry in sorted(near)])
        if not near:
            kept.append(text)
    return found


@given(texts, thresholds)
@settings(deadline=None)
def test_neighbours_are_those_of_brute_force(stream, threshold):
    """Every kept text with ratio >= threshold is found, with its score."""
    assert FuzzyIndex(threshold).filter(stream, 99) == brute_force(stream, threshold)


@given(texts, thresholds)
@settings(deadline=None)
def test_one_by_one_is_the_same(stream, threshold):
    """Single questions give the answers of a batch."""
    index = FuzzyIndex(threshold)
    found = []
    for text in stream:
        found.append(index.nearest(text, 99))
        if not found[-1]:
            index.add(text)

    assert found == FuzzyIndex(threshold).filter(stream, 99)


def test_folding_ignores_case_width_and_space():
    """Texts that differ in spelling of the same characters are the same text."""
    index = FuzzyIndex(1.0)
    index.add("Sort  the\nLIST ")

    assert index.nearest("sort the ｌist") == [Neighbour(0, 1.0)]
    assert index.nearest(" ") == []
    assert not index.sees(" \n")


def test_real_instructions_equal_brute_force(data_dir):
    """The first 1,500 Alpaca instructions at 0.85."""
    stream = [row["instruction"] for row in alpaca(data_dir)[:1500]]
    found = FuzzyIndex(0.85).filter(stream, 99)

    assert found == brute_force(stream, 0.85)
    assert any(found)


def test_of_very_long_texts_the_first_characters_are_compared():
    """A megabyte is one row, compared by its first 10,000 characters."""
    long = "words " * 170_000
    index = FuzzyIndex(0.9)

    assert [len(near) for near in index.filter([long, long + "end", "words"])] == [0, 1, 0]
    assert not index.sees_all(long)
    assert index.sees_all("a" * 10_000)
    assert not index.sees_all("\ufdfa" * 600)  # 18 characters each
