"""Several filters with memory: compared for many rows at once, and deciding as if it were row by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructgen.clean import clean as run_clean
from instructgen.clean_screen import Row, Screen, labels, together
from instructgen.filters import Tools
from instructgen.filters.conflict import Conflict
from instructgen.filters.exact import Exact
from instructgen.filters.fuzzy import Fuzzy
from instructgen.filters.minhash import MinHash
from instructgen.filters.rouge import Rouge
from instructgen.filters.semantic import Semantic
from instructgen.formats.alpaca import Alpaca
from instructgen.records import Sample


def embed(texts):
    """A toy encoder: counts of letters."""
    return np.array([[text.count(letter) for letter in "abcdef"] for text in texts], np.float32)


FILTERS = {
    "rouge": Rouge(threshold=0.6),
    "strict rouge": Rouge(threshold=0.9, compare="conversation", neighbours=2),
    "exact": Exact(compare="instruction_input"),
    "fuzzy": Fuzzy(threshold=0.8),
    "minhash": MinHash(threshold=0.5, words=2),
    "semantic": Semantic(threshold=0.95),
    "conflict": Conflict(),
}
texts = st.lists(st.sampled_from("abcdef"), min_size=0, max_size=6).map(" ".join)
samples = st.builds(lambda text, answer: Sample.single(text or "?", output=answer), texts, st.sampled_from("xy"))
streams = st.lists(st.lists(samples, min_size=1, max_size=3), max_size=30)


def rows_of(stream):
    return [
        Row(number, {}, list(made), [], [None] * len(made), [{} for _ in made]) for number, made in enumerate(stream, 1)
    ]


def row_by_row(filters, rows):
    """What is meant, as plainly as it can be said."""
    for row in rows:
        for place, sample in enumerate(row.samples):
            verdicts = ((label, check.check(sample)) for label, check in filters)
            row.verdicts[place] = next((found for found in verdicts if found[1] is not None), None)
        if row.kept:
            for sample in row.samples:
                for _, check in filters:
                    check.remember(sample)


@given(streams, st.lists(st.sampled_from(sorted(FILTERS)), min_size=1, max_size=4, unique=True), st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_verdicts_are_those_of_asking_row_by_row(stream, names, size):
    """Filters, reasons, scores and neighbours of every sample, whatever the filters, their order and the batches."""
    rows, expected = rows_of(stream), rows_of(stream)
    tools = Tools(embed=embed)
    screen = Screen([FILTERS[name].prepare(tools) for name in names])
    made = [FILTERS[name].prepare(tools) for name in names]
    row_by_row(list(zip(labels(made), made, strict=True)), expected)
    for some in together(rows, size):
        screen.memory_checks(some)

    assert [row.verdicts for row in rows] == [row.verdicts for row in expected]
    for (_, check), other in zip(screen.memory, made, strict=True):
        if not isinstance(check, Conflict):
            assert check._ids == other._ids
            assert len(check._index) == len(other._index)


def test_an_encoder_is_asked_for_many_texts_at_once(tmp_path):
    """Beside other filters too; texts that an earlier filter has dropped for a kept one are not embedded again."""
    asked = []

    def counted(batch):
        asked.append(len(batch))
        return np.array([np.random.default_rng(list(text.encode())).normal(size=8) for text in batch], np.float32)

    rows = [{"instruction": f"{'abcdef'[number % 6]} {number % 700}", "output": "x"} for number in range(3000)]
    rows += rows[-50:]
    made = [check.prepare(Tools(embed=counted)) for check in (Exact(), Semantic(threshold=1), Rouge(threshold=1))]
    stream = (row for number, row in enumerate(rows, 1) for row in rows_of([[sample(row)]]))
    run_clean(stream, Alpaca(), Screen(made), tmp_path / "out", {})

    assert asked == [1000, 1000, 100]  # 2,100 different texts, a call per thousand rows; the last fifty ask for none


def sample(row):
    return Sample.single(row["instruction"], output=row["output"])


def test_two_filters_of_one_kind_are_counted_apart(tmp_path):
    """In the recipe's order: counts, clusters, scores, pairs and decisions name which of them it was."""
    texts = ["write a poem about rain", "write a poem about the rain", "sing of rain", "sing of rain"]
    rows = rows_of([[Sample.single(text, output=answer)] for text, answer in zip(texts, "abcd", strict=True)])
    screen = Screen([Rouge(threshold=1), Exact(compare="conversation"), Rouge(threshold=0.8)])
    summary = run_clean(rows, Alpaca(), screen, tmp_path / "out", {})

    assert summary["rejected"] == {"rouge 1": {"near_duplicate": 1}, "rouge 2": {"near_duplicate": 1}}
    assert set(summary["clusters"]) == {"rouge 1", "rouge 2"}
    assert summary["borderline"]["rouge 2"]["dropped"][0]["score"] == pytest.approx(0.909091)
    assert '"filter":"rouge 2"' in (tmp_path / "out/decisions.jsonl").read_text(encoding="utf-8")


def test_labels():
    """A kind alone is its own label."""
    assert labels([Rouge(), Exact(), Rouge()]) == ["rouge 1", "exact", "rouge 2"]
