"""Embeddings: exact cosine against brute force, in blocks and one by one."""

import tracemalloc

import numpy as np
import pytest

from instructgen.dedup import Neighbour
from instructgen.dedup.semantic_index import SemanticIndex


def embed(texts):
    """A toy encoder: counts of letters."""
    return np.array([[text.count(letter) for letter in "abcdef"] for text in texts], np.float32)


def brute_force(stream, threshold):
    kept, found = [], []
    for text in stream:
        vector = embed([text])[0].astype(np.float64)
        near = []
        for entry, other in enumerate(kept):
            score = vector @ other / max(1e-9, np.linalg.norm(vector) * np.linalg.norm(other))
            if score >= threshold - 1e-7:
                near.append((entry, pytest.approx(score, abs=1e-5)))
        found.append(near)
        if not near:
            kept.append(vector)
    return found


def by_entry(found):
    return [[(near.entry, near.score) for near in sorted(row)] for row in found]


@pytest.mark.parametrize("threshold", [0.8, 0.95, 0.999])
def test_streams_equal_brute_force(threshold):
    """Every kept text with a cosine at the threshold is found; blocks and single questions agree."""
    rng = np.random.default_rng(3)
    stream = ["".join(rng.choice(list("abcdef"), size=12)) for _ in range(1500)]
    whole = SemanticIndex(embed, threshold).filter(stream, 9999)
    single, found = SemanticIndex(embed, threshold), []
    for text in stream[:400]:
        found.append(single.nearest(text, 9999))
        if not found[-1]:
            single.add(text)

    assert by_entry(whole) == brute_force(stream, threshold)
    assert found == whole[:400]
    assert 1 < sum(not near for near in whole) < 1500


def test_ranges_empty_texts_and_zero_vectors():
    """White space and texts that the encoder knows nothing of are like nothing."""
    index = SemanticIndex(embed, 0.9)

    assert index.filter([" ", "xyz", "xyz", "ab", "ba"]) == [[], [], [], [], [Neighbour(3, pytest.approx(1.0))]]
    assert index.nearest("ab", 1, 0, 3) == []
    assert index.nearest("ab", 1, 3)[0].entry == 3
    assert not index.sees(" ")


def test_the_closest_entries_whatever_the_threshold():
    """The best of all other entries; nothing for a vector of zeros."""
    index = SemanticIndex(embed, 0.99)
    index.add_all(["aab", "aabb", "cc", "xyz"])

    assert index.closest(0, 2) == [Neighbour(1, pytest.approx(0.948683)), Neighbour(2, 0.0)]
    assert index.closest(3) == []


@pytest.mark.parametrize("shape", [(3,), (1, 2), (2, 2, 2)])
def test_an_encoder_of_another_shape_is_refused(shape):
    """The message names the expected and the found shape."""
    index = SemanticIndex(lambda texts: np.ones(shape), 0.9)

    with pytest.raises(ValueError, match=r"expected an array of shape \(2, d\), found"):
        index.filter(["a", "b"])


def test_vectors_with_nan_are_refused():
    """Nothing is like a vector with nan: all rows would be kept in silence."""
    with pytest.raises(ValueError, match="nan"):
        SemanticIndex(lambda texts: np.full((len(texts), 3), np.nan), 0.9).filter(["a", "b"])


def test_many_alike_texts_are_compared_in_bounded_memory():
    """80,000 pairs at the threshold, as templated rows have them: 100 MB, not two matrices of 650 MB."""
    rng = np.random.default_rng(5)
    vectors = 1 + 0.01 * rng.random((400, 1024), np.float32)
    index = SemanticIndex(lambda texts: vectors[: len(texts)], 0.9)
    tracemalloc.start()
    found = index.filter([str(number) for number in range(400)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert sum(not near for near in found) == 1
    assert peak < 100_000_000


def test_an_encoder_that_changes_its_width_is_refused():
    """All vectors have one width."""
    index = SemanticIndex(lambda texts: np.ones((len(texts), len(texts))), 0.9)
    index.filter(["a", "b"])

    with pytest.raises(ValueError, match="vectors of 2 numbers before, now of 3"):
        index.add_all(["a", "b", "c"])
