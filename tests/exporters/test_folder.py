"""The exported folder: what loads it, what is in it, when it is refused."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from instructgen import files
from instructgen.cli.inputs import open_input
from instructgen.errors import ExportError, InstructgenError, RunError
from instructgen.exporters.card import split_card
from instructgen.exporters.folder import Options, export, split_of
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.detect import read
from instructgen.formats.messages import Messages
from instructgen.formats.sample import SampleRows
from instructgen.records import Provenance, Sample

BOTH = [Alpaca(), Messages()]
DESCRIBING = {"README.md", "manifest.json", "dataset_info.json", "croissant.json"}


def some(count, **provenance):
    """Return distinct samples, each third with an input."""
    return [
        Sample.single(
            f"Question {n}?",
            input="given\n\nthings" if n % 3 == 0 else "",
            output=f"Answer {n} 你好 🙂",
            labels={"category": "test"},
            provenance=Provenance(source="generated", parents=(f"seed-{n}",), **provenance),
        )
        for n in range(count)
    ]


def tree(folder):
    """Return path -> bytes of all files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_datasets_loads_every_config_with_the_stated_features(tmp_path, monkeypatch):
    """`load_dataset` gives each config's rows, the default being the first; streaming gives the same."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    export(some(300), BOTH, tmp_path / "out", Options(splits={"test": 0.1}, licence="cc-by-4.0"))
    script = """
import json, sys
from datasets import load_dataset
folder = sys.argv[1]
told = {}
for config in ("alpaca", "messages"):
    data = load_dataset(folder, config)
    live = load_dataset(folder, config, streaming=True)
    assert data["train"].features == live["train"].features
    assert list(data["test"]) == list(live["test"])
    told[config] = {split: list(rows) for split, rows in data.items()}
assert load_dataset(folder, split="test").column_names == ["instruction", "input", "output", "id", "provenance"]
json.dump(told, sys.stdout)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        check=True,
    )

    told = json.loads(done.stdout)
    samples = {sample.id: sample for sample in some(300)}
    for config, shape in (("alpaca", Alpaca()), ("messages", Messages())):
        rows = told[config]["train"] + told[config]["test"]
        assert set(samples) == {row["id"] for row in rows}
        assert all(shape.write(samples[row["id"]]).items() <= row.items() for row in rows)


def test_pandas_reads_the_shards(tmp_path):
    """Plain Parquet readers see the same columns and rows."""
    import pandas as pd

    export(some(5), [Alpaca()], tmp_path / "out")

    frame = pd.read_parquet(tmp_path / "out/alpaca")

    assert (list(frame.columns), len(frame)) == (["instruction", "input", "output", "id", "provenance"], 5)


def test_parquet_carries_no_schema_metadata(tmp_path):
    """Neither `huggingface` nor a serialised Arrow schema: old and new `datasets` take the card's features."""
    import pyarrow.parquet as pq

    export(some(5), BOTH, tmp_path / "out")

    assert [pq.read_metadata(p).metadata for p in sorted((tmp_path / "out").rglob("*.parquet"))] == [None, None]


def test_samples_come_back_from_either_config(tmp_path):
    """Ids, inputs, labels and provenance survive export and import, even where the shape joins texts."""
    samples = some(40, licence="mit", language="en")
    export(samples, BOTH, tmp_path / "out", Options(splits={"test": 0.2}))

    for shape in BOTH:
        back = list(read(files.iter_rows(tmp_path / "out" / shape.name), shape))
        assert sorted(samples, key=lambda s: s.id) == sorted(back, key=lambda s: s.id)


@pytest.mark.parametrize("provenance", ["json", "columns", "none"])
def test_samples_come_back_from_the_sample_config(tmp_path, provenance):
    """The lossless shape holds everything, and is known again whatever stands beside it."""
    samples = some(4)
    export(samples, [SampleRows()], tmp_path / "out", Options(provenance=provenance))

    given = open_input(str(tmp_path / "out"))
    assert given.format is not None
    assert given.format.name == "sample"
    assert samples == list(given)


def test_json_lines_hold_the_format_alone(tmp_path):
    """Trainers' files have no id and no provenance."""
    export(some(3), BOTH, tmp_path / "out")

    lines = (tmp_path / "out/jsonl/alpaca-train.jsonl").read_text(encoding="utf-8").splitlines()

    assert [Alpaca().write(sample) for sample in some(3)] == [json.loads(line) for line in lines]


def test_same_samples_give_the_same_bytes(tmp_path):
    """Every file, card and manifest too, depends on the samples and options alone."""
    for name in ("a", "b"):
        export(some(500), BOTH, tmp_path / name, Options(splits={"test": 0.1}, shard_bytes=2_000))

    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_shards_end_near_the_limit(tmp_path, monkeypatch):
    """Rows are cut into shards numbered n of N, in order, none lost."""
    monkeypatch.setattr("instructgen.exporters.shards.GROUP_ROWS", 100)

    export(some(1000), [Alpaca()], tmp_path / "out", Options(shard_bytes=5_000))

    names = sorted(path.name for path in (tmp_path / "out/alpaca").iterdir())
    assert len(names) > 2
    assert [f"train-{n:05d}-of-{len(names):05d}.parquet" for n in range(len(names))] == names
    assert [s.id for s in some(1000)] == [row["id"] for _, row in files.iter_rows(tmp_path / "out/alpaca")]


def test_an_empty_split_is_left_out_and_said(tmp_path):
    """An empty Parquet file would break `load_dataset`."""
    done = export(some(3), [Alpaca()], tmp_path / "out", Options(splits={"test": 0.0001}))

    front, _ = split_card((tmp_path / "out/README.md").read_text(encoding="utf-8"))
    assert done.empty_splits == ("alpaca/test",)
    assert front["configs"][0]["data_files"] == [{"split": "train", "path": "alpaca/train-*.parquet"}]
    assert not list((tmp_path / "out").rglob("*test*"))


def test_more_data_moves_no_sample_to_another_split():
    """The split is a function of seed and id; numbered repeats stay with the first."""
    ids = [sample.id for sample in some(2000)]
    splits = [split_of(name, {"test": 0.1}, seed=3) for name in ids]

    assert 150 < splits.count("test") < 250
    assert splits == [split_of(f"{name}-2", {"test": 0.1}, seed=3) for name in ids]
    assert splits != [split_of(name, {"test": 0.1}, seed=4) for name in ids]


def test_repeated_ids_are_numbered(tmp_path):
    """A stream may hold equal samples; each row has an id of its own."""
    done = export([*some(2), *some(2), *some(1)], [Alpaca()], tmp_path / "out")

    first, second = (sample.id for sample in some(2))
    assert done.repeated_ids == 3
    assert [first, second, f"{first}-2", f"{second}-2", f"{first}-3"] == [
        row["id"] for _, row in files.iter_rows(tmp_path / "out/alpaca")
    ]


def test_what_a_format_cannot_hold_is_counted(tmp_path):
    """A sample with a system message is left out of alpaca only, counted in result, card and manifest."""
    samples = [*some(2), Sample.single("Hi", output="Ho", system="Be kind.")]

    done = export(samples, BOTH, tmp_path / "out")

    assert done.left_out == {"alpaca": {"system": 1}}
    assert done.rows == {"alpaca": {"train": 2}, "messages": {"train": 3}}
    assert "`alpaca` leaves out 1 sample that it cannot hold (system)" in (tmp_path / "out/README.md").read_text()
    assert json.loads((tmp_path / "out/manifest.json").read_text())["left_out"] == {"alpaca": {"system": 1}}


def test_strict_stops_at_a_sample_that_does_not_fit(tmp_path):
    """The message names sample and part; the folder does not look complete."""
    with pytest.raises(ExportError, match="cannot hold a system message"):
        export([Sample.single("Hi", output="Ho", system="s")], BOTH, tmp_path / "out", Options(strict=True))

    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("samples", "problem"),
    [([], "no samples"), ([Sample.single("Hi", output="Ho", system="s")], "can hold none of the 1 samples")],
)
def test_nothing_to_write_is_an_error(tmp_path, samples, problem):
    """A dataset without rows is never written."""
    with pytest.raises(ExportError, match=problem):
        export(samples, [Alpaca()], tmp_path / "out")

    assert tree(tmp_path / "out") == {}


def test_a_folder_with_other_content_is_refused(tmp_path):
    """Without --overwrite nothing in it is touched; with it, it is replaced."""
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(ExportError, match="not ours to write"):
        export(some(2), [Alpaca()], tmp_path)
    assert tree(tmp_path) == {"thesis.txt": b"years of work"}

    export(some(2), [Alpaca()], tmp_path, Options(overwrite=True))
    assert "thesis.txt" not in tree(tmp_path)


def test_a_foreign_manifest_does_not_make_a_folder_ours(tmp_path):
    """`manifest.json` is a common name; its content tells."""
    (tmp_path / "manifest.json").write_text('{"name": "my web app"}')

    with pytest.raises(ExportError, match="was not written by instructgen"):
        export(some(2), [Alpaca()], tmp_path)


def test_a_second_export_replaces_the_first(tmp_path):
    """Old shards and configs go; files that are not ours stay."""
    export(some(300), BOTH, tmp_path, Options(shard_bytes=1))
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"png")

    export(some(2), [Alpaca()], tmp_path)

    data = {"alpaca/train-00000-of-00001.parquet", "axolotl/alpaca.yaml", "images/a.png", "jsonl/alpaca-train.jsonl"}
    assert set(tree(tmp_path)) == DESCRIBING | data


def test_a_failed_export_leaves_the_old_one_whole(tmp_path):
    """A stream that breaks in the middle changes nothing."""
    export(some(5), BOTH, tmp_path)
    before = tree(tmp_path)

    def broken():
        yield from some(2000)
        raise ExportError("the source broke")

    with pytest.raises(ExportError, match="the source broke"):
        export(broken(), BOTH, tmp_path)

    assert before == tree(tmp_path)


def test_two_exports_into_one_folder(tmp_path):
    """The second is refused while the first writes, and leaves it alone."""
    export(some(2), [Alpaca()], tmp_path)

    with files.locked(tmp_path / ".lock", "the test"), pytest.raises(RunError, match="in use by another process"):
        export(some(3), [Alpaca()], tmp_path)

    assert len(list(files.iter_rows(tmp_path / "alpaca"))) == 2


def test_a_swap_that_was_cut_short_is_seen_and_cleared(tmp_path, monkeypatch):
    """Killed between old and new, the folder has no manifest; the next export knows it as its own."""
    export(some(300), BOTH, tmp_path, Options(shard_bytes=1))

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("instructgen.exporters.folder.files.whole_file", die)
        with pytest.raises(KeyboardInterrupt):
            export(some(200), [Messages()], tmp_path)
    assert not (tmp_path / "manifest.json").exists()

    export(some(2), [Alpaca()], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == DESCRIBING | {"alpaca", "axolotl", "jsonl"}
    assert [path.name for path in (tmp_path / "jsonl").iterdir()] == ["alpaca-train.jsonl"]


def test_a_full_disk_leaves_nothing_that_looks_complete(tmp_path):
    """A write that the system refuses is one message; there is no manifest, and no data file under its name."""
    script = f"""
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(tmp_path.parent)!r})
from instructgen.errors import ExportError
from instructgen.exporters.folder import export
from instructgen.formats.alpaca import Alpaca
from instructgen.records import Sample
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    export((Sample.single(str(n), output="x" * 1000) for n in range(1000)), [Alpaca()], Path(sys.argv[1]))
except ExportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")], capture_output=True, text=True, check=True
    )

    assert "cannot be written" in done.stdout
    assert tree(tmp_path / "out") == {}


def test_a_path_below_a_file_is_an_error(tmp_path):
    """The message names the path and says that a part of it is a file."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(ExportError, match="a part of the path is a file"):
        export(some(1), [Alpaca()], tmp_path / "file/out")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (Options(splits={"te/st": 0.1}), "'te/st' is no name for a split"),
        (Options(splits={"test": 1.5}), "is no share"),
        (Options(splits={"a": 0.5, "b": 0.5}), "nothing is left for train"),
        (Options(licence="cc-by-4"), "no licence id of the Hub; nearest: 'cc-by-4.0'"),
        (Options(languages=("english",)), "'english' is no language code"),
        (Options(provenance="xml"), "expected json, columns or none"),
    ],
)
def test_wrong_options_are_named_before_any_work(tmp_path, options, problem):
    """Nothing is written, not even the folder."""
    with pytest.raises(ExportError, match=problem):
        export(some(1), [Alpaca()], tmp_path / "out", options)

    assert not (tmp_path / "out").exists()


def test_provenance_as_columns(tmp_path):
    """Each field is a column of its own, always there."""
    export(some(1, licence="mit"), [Alpaca()], tmp_path / "out", Options(provenance="columns"))

    (row,) = (row for _, row in files.iter_rows(tmp_path / "out/alpaca"))

    assert (
        row["provenance_source"], row["provenance_licence"], row["provenance_parents"],
    ) == ("generated", "mit", ["seed-0"])  # fmt: skip


def test_the_card_is_true_to_the_data(tmp_path):
    """Rows, sizes, languages and size class in the YAML are those of the files."""
    export(some(1200, language="zh-Hans"), BOTH, tmp_path, Options(splits={"test": 0.1}, languages=("en",)))

    front = yaml.safe_load((tmp_path / "README.md").read_text(encoding="utf-8").split("---")[1])
    info = {one["config_name"]: one for one in front["dataset_info"]}

    assert (front["language"], front["size_categories"], front["license"]) == (["en", "zh"], ["1K<n<10K"], "unknown")
    assert sum(split["num_examples"] for split in info["alpaca"]["splits"]) == 1200
    assert sum(p.stat().st_size for p in (tmp_path / "messages").iterdir()) == info["messages"]["download_size"]


def test_what_the_author_wrote_in_the_card_stays(tmp_path):
    """Text outside our blocks and YAML keys of the author survive; our blocks and counts are renewed."""
    export(some(2), [Alpaca()], tmp_path)
    card = tmp_path / "README.md"
    card.write_text(
        card.read_text(encoding="utf-8").replace("---\n\n", "pretty_name: Mine\n---\n\nMy words.\n\n", 1)
        + "\nThe end.\n",
        encoding="utf-8",
    )

    export(some(1001), [Alpaca()], tmp_path)

    front, body = split_card(card.read_text(encoding="utf-8"))
    assert (front["pretty_name"], front["size_categories"]) == ("Mine", ["1K<n<10K"])
    assert body.startswith("\nMy words.\n\n<!-- instructgen:begin title -->")
    assert "\nThe end.\n\n<!-- instructgen:begin changes -->" in body
    assert "- samples 2 -> 1,001" in body
    assert body.count("## Contents") == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("README.md", b"---\na: [\n---\n", "README.md: its YAML head cannot be read"),
        ("README.md", b"---\na: 2024-13-45\n---\n", "README.md: its YAML head cannot be read"),
        ("README.md", b"---\n- a\n---\n", "README.md: its YAML head holds"),
        ("README.md", b"caf\xe9", "not UTF-8"),
        ("README.md", None, "README.md is a folder"),
        ("croissant.json", None, "croissant.json is a folder"),
        ("messages", b"mine", "messages is a file; a folder of this name is to be written"),
    ],
)
def test_what_is_in_the_way_is_told_before_any_work(tmp_path, name, content, said):
    """A card that cannot be kept, a file where a folder belongs: no row is read, and the old dataset stays."""
    export(some(2), [Alpaca()], tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir() if content is None else (tmp_path / name).write_bytes(content)
    before = tree(tmp_path)

    def unread():
        raise AssertionError("a row was read")
        yield

    with pytest.raises(InstructgenError, match=said):
        export(unread(), BOTH, tmp_path)
    assert tree(tmp_path) == before


@pytest.mark.full
def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Ten times the rows take the same memory, give or take 60 MiB; half of them are repeats."""
    script = """
import resource, sys
from pathlib import Path
from instructgen.exporters.folder import Options, export
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.messages import Messages
from instructgen.records import Sample
count = int(sys.argv[1])
samples = (Sample.single(f"Question {n % (count // 2)}?", output="word " * 50) for n in range(count))
done = export(samples, [Alpaca(), Messages()], Path(sys.argv[2]), Options(splits={"test": 0.05}))
assert done.repeated_ids == count // 2
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    peaks = [
        float(
            subprocess.run(
                [sys.executable, "-c", script, str(count), str(tmp_path / str(count))],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for count in (40_000, 400_000)
    ]

    assert peaks[1] - peaks[0] < 60, peaks
