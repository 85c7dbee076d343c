"""The `decontaminate` filter: benchmark files of any shape, evidence, and files that are not what they say."""

import json

import pytest

from instructgen.errors import DataError
from instructgen.filters.decontaminate import Decontaminate, texts_of
from instructgen.records import Sample, Turn
from instructgen.tools import tools

QUESTION = "Compose an engaging travel blog post about a recent trip to Hawaii, with many must-see attractions."


@pytest.fixture
def bench(tmp_path):
    path = tmp_path / "bench.jsonl"
    rows = [{"id": 1, "turns": ["Short one.", "And what else would you like to ask me today?"]}, {"q": QUESTION}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_evidence_names_benchmark_item_span_and_score(bench):
    """All that a person needs to look the item up and disagree."""
    ready = Decontaminate(against=(str(bench),)).prepare(tools())
    found = ready.check(Sample.single("Do this:", input=f"{QUESTION} Thanks!", output="Aloha."))

    assert found.reason == "benchmark_text"
    assert found.evidence == {
        "benchmark": "bench", "item": "2.q", "score": 1.0, "turn": 0, "words": [2, 19],
        "span": "compose an engaging travel blog post about a recent trip to hawaii with many must see attractions",
    }  # fmt: skip


def test_rows_too_short_to_be_looked_for_are_told(bench):
    """Nobody takes a benchmark of short questions for checked."""
    with bench.open("a", encoding="utf-8") as file:
        file.write('{"q": "Who won?"}\n{"q": "How far?", "a": "Two miles."}\n')

    (notice,) = Decontaminate(against=(str(bench),)).prepare(tools()).notices()
    assert "2 rows hold no text of 6 words" in notice
    assert Decontaminate(against=(str(bench),), least=2).prepare(tools()).notices() == []


def test_every_turn_and_every_text_is_looked_at(bench):
    """A benchmark text in a later turn or in a list counts as well."""
    ready = Decontaminate(against=(str(bench),)).prepare(tools())
    chat = Sample(
        turns=(
            Turn(role="user", content="Hi"),
            Turn(role="assistant", content="And what else would you like to ask me today?"),
        )
    )

    assert ready.check(chat).evidence["item"] == "1.turns.1"
    assert ready.check(chat).evidence["turn"] == 1
    assert ready.check(Sample.single("Short one.", output="Yes.")) is None


def test_texts_of_nested_rows():
    """Names lead to the place of a text in its row."""
    row = {"a": "x", "b": ["y", {"c": "z"}], "n": 3}

    assert list(texts_of(row)) == [("a", "x"), ("b.0", "y"), ("b.1.c", "z")]


def test_a_saved_index_stands_for_the_files(bench, tmp_path):
    """An index made once is used in place of the benchmark."""
    made = Decontaminate(against=(str(bench),), rouge=None).prepare(tools())
    (tmp_path / "bench.npz").write_bytes(made.indexes[0].dump(item_names=True))
    ready = Decontaminate(against=(str(tmp_path / "bench.npz"),)).prepare(tools())
    sample = Sample.single(QUESTION, output="Aloha.")

    assert ready.check(sample) == made.check(sample) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"long": 10}, "long is 10, but this index was made with 13; leave long out"),
        ({"short": 5}, "short is 5"),
        ({"least": 3}, "least is 3"),
        ({"rouge": 0.7}, "holds no text to compare by ROUGE-L"),
        ({"long": 13, "short": 8, "least": 6, "rouge": None, "share": 0.9}, ""),
    ],
)
def test_options_that_a_saved_index_cannot_follow_are_refused(bench, tmp_path, options, message):
    """What it was made with counts; the share is asked at the search, so that may be chosen."""
    saved = tmp_path / "bench.npz"
    saved.write_bytes(Decontaminate(against=(str(bench),)).prepare(tools()).indexes[0].dump())
    made = Decontaminate(against=(str(saved),), **options)
    if message:
        with pytest.raises(DataError, match=message):
            made.prepare(tools())
    else:
        assert made.prepare(tools()).indexes[0].share == 0.9


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bench.jsonl", b"not json\n", "bench.jsonl:1: not JSON"),
        ("bench.jsonl", b"", "no text of at least 6 words in its 0 rows"),
        ("bench.jsonl", b'{"q": "too short"}\n', "no text of at least 6 words in its 1 rows"),
        ("bench.parquet", b"PAR1 no", "not a readable Parquet file"),
        ("bench.npz", b"PK no", "not a saved contamination index"),
        ("bench.txt", b"What is this?", "neither its name nor its content"),
    ],
)
def test_a_benchmark_file_that_is_not_what_it_says(tmp_path, name, content, message):
    """The error names the file and what was expected."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(DataError, match=message):
        Decontaminate(against=(str(path),)).prepare(tools())


def test_a_missing_benchmark_is_an_error(tmp_path):
    """The path is named."""
    with pytest.raises(DataError, match=r"nothing\.jsonl"):
        Decontaminate(against=(str(tmp_path / "nothing.jsonl"),)).prepare(tools())


def test_real_benchmarks(data_dir):
    """MT-bench questions are found in a set made of them, and not in the seeds."""
    path = data_dir / "fastchat/mt_bench_question.jsonl"
    ready = Decontaminate(against=(str(path),)).prepare(tools())
    questions = [json.loads(line)["turns"][0] for line in path.read_text(encoding="utf-8").splitlines()]
    seeds = (data_dir / "self_instruct/seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()

    long_ones = [question for question in questions if len(question.split()) >= 6]
    assert all(ready.check(Sample.single(question, output="x")) for question in long_ones)
    hits = [ready.check(Sample.single(json.loads(line)["instruction"], output="x")) for line in seeds]
    assert sum(map(bool, hits)) <= 2
