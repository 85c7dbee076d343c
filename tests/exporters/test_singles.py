"""Rows without more than a question and its answer are exported without making samples: the same folder, sooner."""

import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructgen import blocks, files
from instructgen.cli.inputs import open_input
from instructgen.exporters import shards, tally
from instructgen.exporters.folder import Options, export
from instructgen.exporters.rendering import Renderer
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.detect import read
from instructgen.formats.light import read_light, samples_of
from instructgen.formats.messages import Messages
from instructgen.formats.prompt_completion import Flan, PromptCompletion
from instructgen.formats.single import Singles, columns_of_batch, writes_singles
from instructgen.records import Rejection, Sample
from tests.exporters.test_folder import tree

BOTH = [Alpaca(), Messages()]
ALL = [*BOTH, PromptCompletion(), Flan()]
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


def texts():
    """Return texts as they come, and what the faster way must not trip over."""
    pieces = st.sampled_from(["word", "Two words", " ", "\n", "\n\n", "<|x|>", "<|", '"', "\\", "\x1c", "\x00", "\x7f",
                              "\u2003", "\x85", "é", "Éa", "你好", "🙂", "²", "_a", "7b"])  # fmt: skip
    return st.lists(pieces | st.text(max_size=3), max_size=6).map("".join)


def both_ways(tmp_path, rows, formats=ALL, source="rows", **options):
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

    monkeypatch.setattr(Renderer, "_of_samples", refused)
    monkeypatch.setattr(Singles, "samples", refused)
    done = export(read_light(enumerate(PLAIN, 1), Alpaca()), ALL, tmp_path / "out")
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


def test_plain_rows_do_not_wait_for_pandas(tmp_path):
    """Arrow's constants and columns are made without `pa.scalar` and `pa.array`, which import pandas."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(files.dumps(row) + b"\n" for row in PLAIN))
    code = f"""
import sys
from instructgen.cli.inputs import open_input
from instructgen.exporters.folder import Options, Path, export
from instructgen.formats import alpaca, messages, prompt_completion
shapes = [alpaca.Alpaca(), messages.Messages(), prompt_completion.PromptCompletion(), prompt_completion.Flan()]
done = export(open_input({str(path)!r}).light, shapes, Path({str(tmp_path / "out")!r}), Options(splits=dict(test=0.2)))
print(done.samples)
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(PLAIN)), "False"]


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


@pytest.mark.parametrize("shape", [Alpaca(), PromptCompletion(), Flan()], ids=lambda shape: shape.name)
def test_singles_are_their_samples(shape):
    """`Singles` make the very samples that the full reader makes of the same rows, ids and provenance included."""
    names = dict(zip(("instruction", "input", "output"), shape.plain, strict=True))
    rows = [{names.get(key, key): value for key, value in row.items() if names.get(key, key)} for row in PLAIN + HARD]
    rows += [{**rows[0], "": "a column without a name"}]
    full = list(read(enumerate(rows, 4), shape, "rows"))
    light = list(read_light(enumerate(rows, 4), shape, "rows"))
    assert any(isinstance(one, Singles) and len(one) > 1000 for one in light)
    assert full == [made for one in light for made in (samples_of(one) if isinstance(one, Singles) else [one])]
    shown = [json.loads(text) for one in light if isinstance(one, Singles) for text in one.contents().to_pylist()]
    kept = [made.as_json() for one in light if isinstance(one, Singles) for made in one.samples()]
    assert shown == [{"turns": one["turns"]} for one in kept]


LINES = [
    b'{"instruction":"a","input":"","output":"b"}',
    b' { "output" : "b" , "instruction" : "\\u00e9\\ud83d\\ude42\\/" } ',
    b'{"instruction":"a","input":null,"output":"tab\\tline\\nquote\\"back\\\\bell\\u0007nil\\u0000del\x7f"}',
    "{\"instruction\":\"\u2003wide\u0085\",\"output\":\"\u4f60\u597d\"}".encode(),
    b'{"instruction":"a","output":"b"}\r',
    b'{"instruction":"a","instruction":"again","output":"b"}',
    b'{"instruction":"a","output":"b","id":3}', b'{"instruction":"a","output":null}', b'{"instruction":"a","output":7}',
    b'{"instruction":"a"}', b"{}", b"", b"  ", b"[1]", b'"text"', b"null", b'{"instruction":"torn',
    b'{"instruction":"a","output":"b"}{"instruction":"c","output":"d"}', b'{"instruction":"a","output":"b"} more',
    b'{"instruction":"\xff","output":"b"}', b'{"instruction":"\xed\xa0\x80","output":"b"}',
    b'{"instruction":"half \\ud83d","output":"b"}', b'{"instruction":"a\tb","output":"c"}',
    b'{"instruction":NaN,"output":"b"}', b'{"instruction":"a","output":"b",}',
    b'{"instruction":"<|im_end|>","output":"[INST]"}',
    b'{"instruction":"2020-01-01","output":"12:00"}', b'{"instruction":{"a":1},"output":["b"]}',
    b'{"instr\\u0075ction":"escaped name","output":"b"}', b'{"instruction":"","input":"x","output":""}',
]  # fmt: skip


def told(path, name):
    """Return what is in a file of Alpaca lines, read one way or the other, and what could not be read."""
    made = [one for kept in getattr(open_input(str(path), "alpaca"), name) for one in
            (samples_of(kept) if not isinstance(kept, Rejection) else [kept])]  # fmt: skip
    return ([one for one in made if not isinstance(one, Rejection)],
            sorted(str(one.as_json()) for one in made if isinstance(one, Rejection)))  # fmt: skip


@given(
    lines=st.lists(st.sampled_from(LINES) | st.sampled_from(LINES[:4]), max_size=40),
    block=st.sampled_from([1, 60, 400, 1 << 20]), mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    end=st.sampled_from([b"\n", b""]),
)  # fmt: skip
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_of_lines_are_read_as_line_by_line(tmp_path, lines, block, mark, end):
    """Whatever stands in a file, and wherever blocks end: the same samples, the same row numbers, the same errors."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(mark + b"\n".join([*lines, LINES[0]]) + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", block)
        assert told(path, "light") == told(path, "made")


@given(
    rows=st.lists(
        st.fixed_dictionaries({name: texts() for name in ("instruction", "input", "output")}), min_size=1, max_size=60
    )
)
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_texts_give_the_same_folder(tmp_path, rows):
    """Controls, quotes, spaces and letters of all alphabets, marks of templates, repeats: every byte is equal."""
    full, light = both_ways(tmp_path, rows, splits={"test": 0.3}, special_tokens=("<|x|>", "\n\n", "é"))
    assert full == light


def test_plain_lines_of_a_file_are_columns(tmp_path):
    """A file of plain lines becomes no sample on its way, blocks apart, and numbers run on."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in PLAIN))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 10_000)
        made = list(open_input(str(path)).light)
    assert len(made) > 5
    assert all(isinstance(one, Singles) for one in made)
    assert [number for one in made for number in one.numbers.to_pylist()] == list(range(1, len(PLAIN) + 1))


def table(**columns):
    """Return a batch of texts; what is given as bytes need not be UTF-8."""
    raw = {name: [v.encode() if isinstance(v, str) else v for v in values] for name, values in columns.items()}
    arrays = {name: pa.array(values, pa.binary()).view(pa.string()) for name, values in raw.items()}
    return pa.RecordBatch.from_pydict(arrays)


@pytest.mark.parametrize(("rows", "by_column"), [
    (table(instruction=["a", "é"], input=["", "x"], output=["1", "2"]), True),
    (table(instruction=["cut", "a", "b"], input=["", "", "x"], output=["0", "1", "2"]).slice(1), True),
    (table(instruction=["a"], input=[None], output=["1"]), True),
    (table(instruction=["a"], input=["x"], output=["1"]).cast(
        pa.schema([(name, pa.large_string()) for name in ("instruction", "input", "output")])), True),
    (table(instruction=["a", "b"], input=["", ""], output=["1", None]), False),
    (table(instruction=["a", b"\xff", "c"], input=["", "", ""], output=["1", "2", "3"]), False),
    (table(instruction=["a"], output=["1"]), False),
    (table(instruction=["a"], input=["x"], output=["1"], category=["qa"]), False),
])  # fmt: skip
def test_rows_of_parquet_are_read_as_row_by_row(tmp_path, rows, by_column):
    """By column where all are plain, else one by one: the same samples, and the same rejections, either way."""
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    given = open_input(str(tmp_path / "rows.parquet"))
    light = list(given.light)
    assert isinstance(columns_of_batch(rows, Alpaca(), 1), Singles) == by_column
    flat = [one for made in light for one in ([made] if isinstance(made, Rejection) else samples_of(made))]
    expected = list(open_input(str(tmp_path / "rows.parquet")).made)
    assert sorted(str(one.as_json()) for one in flat) == sorted(str(one.as_json()) for one in expected)
    assert len(flat) == len(rows)
