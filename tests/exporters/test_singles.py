"""Rows without more than a question and its answer are exported without making samples: the same folder, sooner."""

import json

import pytest

from instructgen import files
from instructgen.exporters import shards, tally
from instructgen.exporters.folder import Options, export
from instructgen.exporters.writing import Writing
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.detect import read
from instructgen.formats.messages import Messages
from instructgen.formats.single import Single, read_light, writes_singles
from instructgen.records import Rejection, Sample
from tests.exporters.test_folder import tree

BOTH = [Alpaca(), Messages()]
HARD = [
    {"instruction": "Say <|im_end|>", "input": "", "output": "[INST] no [/INST]"},
    {"instruction": "Half a pair \ud83d", "input": "", "output": "?"},
    {"instruction": "你好 é 🙂", "input": "\u2003wide\u00a0space\x1c", "output": "Ça va"},
    {"instruction": "", "input": "only this", "output": "x"},
    {"instruction": "   ", "input": "\n", "output": ""},
    {"instruction": "No input", "output": "is fine"},
    {"instruction": "Null", "input": None, "output": "too"},
    {"instruction": "Null answer", "input": None, "output": None},
    {"instruction": "Number", "input": "", "output": 7},
    {"instruction": "Under its own id", "input": "", "output": "x", "id": 12},
    {"instruction": "With a label", "input": "", "output": "x", "category": "qa"},
    {"instruction": "With more", "input": "a", "output": "x", "other": {"a": 1}},
    {"instruction": "As a response", "response": "x"},
    {"instruction": "With history", "input": "", "output": "x", "history": [["a", "b"]]},
    {"instruction": 'Quote " and \\ and \u0000 and \u2028', "input": "é", "output": "line\nline"},
]
PLAIN = [
    {"instruction": f"Word{n} {n}?", "input": "given" * (n % 3), "output": f"Answer {n // 2}"} for n in range(700)
] * 2


def both_ways(tmp_path, rows, formats=BOTH, source="rows", **options):
    """Export rows with and without the faster way; return both folders' bytes and what was rejected."""
    told, rejected = [], []
    for name, reader in (("full", read), ("light", read_light)):
        made = list(reader(list(enumerate(rows, 1)), Alpaca(), source))
        rejected.append([one for one in made if isinstance(one, Rejection)])
        export([one for one in made if not isinstance(one, Rejection)], formats, tmp_path / name, Options(**options))
        told.append(tree(tmp_path / name))
    assert rejected[0] == rejected[1]
    return told


@pytest.mark.parametrize("source", ["", "données.jsonl"])
@pytest.mark.parametrize("options", [
    {"splits": {"test": 0.2, "val": 0.1}, "seed": 3}, {"provenance": "none"}, {"provenance": "columns"},
    {"context": 8}, {"licence": "cc-by-4.0", "commercial": True}, {"special_tokens": ("\n\n", "Word7")},
    {"special_tokens": ()},
])  # fmt: skip
@pytest.mark.parametrize("rows", [PLAIN, HARD, PLAIN[:50] + HARD + PLAIN[:900]], ids=["plain", "hard", "mixed"])
def test_the_faster_way_gives_the_same_folder(tmp_path, rows, options, source):
    """Every byte of data, card and manifest is equal, for plain rows, for none of them, and for batches of both."""
    full, light = both_ways(tmp_path, rows, source=source, **options)
    assert full == light


def test_the_faster_way_is_the_same_for_real_files(tmp_path, data_dir):
    """Published data in Alpaca's shape comes out alike."""
    paths = sorted({*data_dir.glob("alpaca_nc/**/*.json*"), *data_dir.glob("gpteacher/**/*.json*")})
    shown = 0
    for place, path in enumerate(paths):
        rows = [row for _, (_, row) in zip(range(2_000), files.iter_rows(path), strict=False)]
        if not any(Alpaca().fits(row) for row in rows):
            continue
        full, light = both_ways(tmp_path / str(place), rows, splits={"test": 0.1})
        assert full == light
        shown += 1
    assert shown, f"no file of Alpaca's shape under {data_dir}"


def test_groups_end_at_the_same_rows(tmp_path, monkeypatch):
    """Row groups and shards end alike, be it at rows, at bytes or at one large row; so do full counters."""
    monkeypatch.setattr(shards, "GROUP_ROWS", 130)
    monkeypatch.setattr(shards, "GROUP_BYTES", 9_000)
    monkeypatch.setattr(tally, "DISTINCT", 40)
    large = [{"instruction": f"Large {n}", "input": "", "output": "x" * 4_000 * (n % 4)} for n in range(20)]
    full, light = both_ways(tmp_path, PLAIN[:300] + large + PLAIN[300:], shard_bytes=20_000)
    assert full == light
    assert sum("train-" in name and name.endswith(".parquet") for name in full) > 4, "several shards a config"


def test_plain_rows_do_not_become_samples(tmp_path, monkeypatch):
    """The faster way is taken where it can be: no sample is made of rows with the shape's own columns alone."""

    def refused(*_):
        raise AssertionError("a sample was made")

    monkeypatch.setattr(Writing, "_write_samples", refused)
    monkeypatch.setattr(Single, "sample", refused)
    done = export(read_light(enumerate(PLAIN, 1), Alpaca()), BOTH, tmp_path / "out")
    assert done.samples == len(PLAIN)
    assert done.repeated_ids == len(PLAIN) // 2


class Shouting(Alpaca):
    """A shape of someone else, who changed what is written and said nothing of the faster way."""

    name = "shouting"

    def write(self, sample: Sample):
        """Return the row in capitals."""
        return {key: text.upper() for key, text in super().write(sample).items()}


class Whispering(Alpaca):
    """A shape of someone else, who changed what is read."""

    name = "whispering"

    def read(self, row):
        """Return the row's sample in small letters."""
        return super().read({key: text.lower() for key, text in row.items()})


def test_shapes_that_change_one_way_alone_are_asked_in_full(tmp_path):
    """A subclass that overrides `write` or `read` is heard, though it inherits the faster way to both."""
    assert writes_singles(Alpaca())
    assert not writes_singles(Shouting())
    export(read_light(enumerate(PLAIN[:5], 1), Alpaca()), [Shouting()], tmp_path / "out")
    first = (tmp_path / "out/jsonl/shouting-train.jsonl").read_text().splitlines()[0]
    assert json.loads(first)["instruction"] == "WORD0 0?"
    made = next(read_light(enumerate(PLAIN[:5], 1), Whispering(), "rows"))
    assert isinstance(made, Sample)
    assert made.instruction == "word0 0?"


def test_a_single_is_its_sample():
    """A `Single` makes the very sample that the full reader makes, and knows its content for the id."""
    for row in PLAIN[:30] + HARD:
        full, light = (list(reader([(4, row)], Alpaca(), "rows")) for reader in (read, read_light))
        assert full == [one.sample() if isinstance(one, Single) else one for one in light]
