"""The index at full size: 52,002 real instructions, their inputs, and 104,000 rows with mutations."""

import gzip
import json

import pytest
from brute_force import close_pairs, greedy_kept, reference_kept

from benchmarks.streams import alpaca, with_mutations
from instructgen.dedup.rouge_index import RougeIndex


def kept(found):
    return [number for number, near in enumerate(found) if not near]


@pytest.fixture
def instructions(data_dir):
    return [row["instruction"] for row in alpaca(data_dir)]


@pytest.mark.parametrize("rows", [300, pytest.param(1500, marks=pytest.mark.full)])
def test_the_first_rows_equal_the_reference_package(instructions, rows):
    """The first Alpaca rows, each scored with `rouge_score` against all kept before: the same rows stay."""
    for tie in ("reject", "as_released"):
        expected = reference_kept(instructions[:rows], 0.7, tie)
        assert kept(RougeIndex(0.7, tie, "reference").filter(instructions[:rows])) == expected


def test_ties_of_the_whole_file(instructions):
    """Of 52,002 rows 805 reach 0.7, every one an exact tie; the released code's float rule keeps them all."""
    found = RougeIndex(0.7, "reject", "reference").filter(instructions)

    assert sum(map(bool, found)) == 805
    assert {near[0].score for near in found if near} == {0.7}
    assert kept(RougeIndex(0.7, "as_released", "reference").filter(instructions)) == list(range(52_002))


@pytest.mark.full
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("stream", ["instruction", "instruction_input", "mutated"])
def test_whole_streams_equal_blocked_brute_force(data_dir, stream):
    """At 0.5, 0.6, 0.7 and with both tie rules the kept set is that of every pair computed."""
    rows = alpaca(data_dir)
    if stream == "instruction_input":
        texts = [f"{row['instruction']}\n\n{row['input']}" for row in rows]
    else:
        texts = [row["instruction"] for row in rows]
        texts = with_mutations(texts) if stream == "mutated" else texts
    pairs = close_pairs(texts, 0.5)
    for threshold in (0.5, 0.6, 0.7):
        for tie in ("reject", "as_released"):
            expected = greedy_kept(len(texts), pairs, threshold, tie)
            assert kept(RougeIndex(threshold, tie, "reference").filter(texts)) == expected


@pytest.mark.parametrize(("threshold", "count"), [(0.6, 15), (0.7, 34), (0.8, 213), (0.9, 1767)])
def test_similarity_ladder_of_a_templated_set(data_dir, threshold, count):
    """Known counts; no two kept rows reach the threshold, every dropped one has an earlier kept one that does."""
    with gzip.open(data_dir / "gpteacher/toolformer-dedupe-only.json.gz") as file:
        texts = [row["instruction"] for row in json.load(file)]
    found = RougeIndex(threshold, "reject", "reference").filter(texts)
    stayed = kept(found)

    assert len(stayed) == count
    alone = [texts[number] for number in stayed]
    assert len(close_pairs(alone, threshold)) == 0
    for number, near in enumerate(found):
        assert not near or (near[0].score >= threshold and stayed[near[0].entry] < number)
