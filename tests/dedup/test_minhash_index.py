"""MinHash: verified by exact Jaccard, at known odds of overlooking a pair."""

import pytest

from benchmarks.streams import alpaca, with_mutations
from instructgen.dedup import Neighbour
from instructgen.dedup.minhash_index import MinHashIndex, choose_bands
from instructgen.dedup.tokens import words


def shingles(text, size=3):
    tokens = words(text)
    return {tuple(tokens[at : at + size]) for at in range(max(min(1, len(tokens)), len(tokens) - size + 1))}


def brute_force(stream, threshold):
    kept, found = [], []
    for text in stream:
        mine = shingles(text)
        near = []
        for entry, other in enumerate(kept):
            shared = len(mine & other)
            if shared and shared >= threshold * (len(mine) + len(other) - shared) - 1e-12:
                near.append((-shared / len(mine | other), entry))
        found.append([Neighbour(entry, -score) for score, entry in sorted(near)])
        if not near:
            kept.append(mine)
    return found


def rows(data_dir, count):
    return [" ".join((row["instruction"], row["input"], row["output"])) for row in alpaca(data_dir)[:count]]


@pytest.mark.parametrize(("count", "threshold"), [(600, 0.8), (600, 0.6), (600, 0.95)])
def test_whole_rows_equal_brute_force(data_dir, count, threshold):
    """Real rows and their mutations: the same neighbours as by comparing every pair, recall 1.0."""
    stream = with_mutations(rows(data_dir, count), copies=1, seed=3)
    stream += [text + " indeed" for text in stream[:100]]
    found = MinHashIndex(threshold).filter(stream, 99)

    assert found == brute_force(stream, threshold)
    assert any(found)


def test_one_by_one_is_the_same(data_dir, monkeypatch):
    """Single questions give the answers of a batch, also when recent entries are sorted in between."""
    monkeypatch.setattr("instructgen.dedup.minhash_index._RECENT", 50)
    stream = with_mutations(rows(data_dir, 300), copies=1, seed=3)
    index = MinHashIndex(0.6)
    found = []
    for text in stream:
        found.append(index.nearest(text, 3))
        if not found[-1]:
            index.add(text)

    assert found == MinHashIndex(0.6).filter(stream, 3)
    whole = MinHashIndex(0.6)
    whole.add_all(stream)
    late = [near for near in whole.nearest(stream[-1], 9) if near.entry >= 100]
    assert whole.nearest(stream[-1], 9, since=100) == late


def test_templated_rows_are_not_drawn_into_one():
    """Neighbouring rows of a chain are alike, its ends are not: only rows like a kept one are dropped."""
    letters = [f"w{number}" for number in range(60)]
    chain = [" ".join(letters[at : at + 30]) for at in range(0, 30, 3)]
    found = MinHashIndex(0.8).filter(chain)

    assert found == brute_force(chain, 0.8)
    assert sum(not near for near in found) > 1


@pytest.mark.parametrize("threshold", [0.4, 0.5, 0.8, 0.9, 1.0])
def test_bands_keep_to_the_miss_at_the_threshold(threshold):
    """1 - (1 - J^r)^b is at least 1 - miss, with no more bands than that takes."""
    bands, values = choose_bands(threshold, 1e-4)

    assert (1 - threshold**values) ** bands <= 1e-4
    assert bands == 1 or (1 - threshold**values) ** (bands - 1) > 1e-4


def test_the_share_of_pairs_overlooked_is_as_promised():
    """With a miss of one half, about half of the pairs at the threshold are found."""
    index, hits = MinHashIndex(0.6, words=1, miss=0.5), 0
    for pair in range(300):
        tokens = [f"p{pair}w{number}" for number in range(100)]
        index.add(" ".join(tokens))
        hits += bool(index.nearest(" ".join(tokens[:75] + [f"{token}x" for token in tokens[75:]])))

    assert 0.45 < hits / 300 < 0.65  # 1 - (1 - 0.6^3)^3 = 0.52


def test_short_and_empty_texts():
    """Fewer words than a shingle holds are one shingle; no words at all are like nothing."""
    index = MinHashIndex(0.8)

    assert index.filter(["Hello!", "hello", "", "…", "hello there"]) == [[], [Neighbour(0, 1.0)], [], [], []]
    assert not index.sees("…")


@pytest.mark.parametrize("threshold", [0, 1.5])
def test_a_threshold_outside_0_to_1_is_refused(threshold):
    """The message names the range."""
    with pytest.raises(ValueError, match="0 < threshold <= 1"):
        MinHashIndex(threshold)


def test_a_threshold_too_low_for_minhash_is_refused():
    """It says what to use in its place."""
    with pytest.raises(ValueError, match="too low for MinHash"):
        MinHashIndex(0.1)
