"""Pairs just below a threshold: found among remembered samples, by comparing with all of them."""

import pytest

from instructgen.filters import Tools
from instructgen.filters.exact import Exact
from instructgen.filters.fuzzy import Fuzzy
from instructgen.filters.minhash import MinHash
from instructgen.filters.rouge import Rouge
from instructgen.records import Sample

SAMPLES = [
    Sample.single("a b c d e f g h i j", output="1"),
    Sample.single("one two three four five", output="2"),
    Sample.single("a b c d e f g h x y", output="3"),
    Sample.single("", output="4"),
]


@pytest.mark.parametrize(
    ("made", "score"),
    [(Rouge(threshold=0.9), 0.8), (Fuzzy(threshold=0.95), 0.894737), (MinHash(compare="instruction", words=2), 7 / 11)],
)
def test_the_closest_kept_pair_is_found_from_both_sides(made, score):
    """The two alike samples find each other; nothing is compared with an empty one."""
    ready = made.prepare(Tools())
    for sample in SAMPLES:
        ready.remember(sample)
    best = sorted(ready.close_calls(), key=lambda pair: -pair[2])[:2]

    assert {frozenset(pair[:2]) for pair in best} == {frozenset((SAMPLES[0].id, SAMPLES[2].id))}
    assert best[0][2] == pytest.approx(score, abs=1e-5)
    assert all(SAMPLES[3].id != pair[0] for pair in ready.close_calls())


def test_the_nearest_of_a_sample_that_passed():
    """What a rejection would have said, at whatever score; nothing for a sample with nothing to compare."""
    ready = Rouge(threshold=0.9, neighbours=2).prepare(Tools())
    for sample in SAMPLES[:2]:
        ready.remember(sample)
    found = ready.nearest(SAMPLES[2])

    assert found["score"] == 0.8
    assert [near["id"] for near in found["neighbours"]] == [SAMPLES[0].id, SAMPLES[1].id]
    assert ready.nearest(SAMPLES[3]) == {}
    assert Exact().prepare(Tools()).nearest(SAMPLES[0]) == {}


def test_detectors_without_a_threshold_have_no_close_calls():
    """Equal or not: there is nothing just below."""
    ready = Exact().prepare(Tools())
    for sample in SAMPLES:
        ready.remember(sample)

    assert ready.close_calls() == []
