"""export, push, pull and diff as commands: inputs of every kind, options, what is said, exit codes."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.exporters.folder import read_manifest
from instructgen.exporters.options import bytes_in
from instructgen.files import iter_rows
from instructgen.records import Answer, Media, Sample, Turn
from tests.conftest import ROOT

ROWS = [
    {"instruction": "Sort.", "input": "2, 1", "output": "1, 2", "id": "same"},
    {"instruction": "Say hi.", "input": "", "output": "hi", "id": "same"},
    {"instruction": "Say hi.", "input": "", "output": "hi"},
]


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_the_format_is_detected_and_said(rows, tmp_path):
    """What was found, why, and where the dataset is."""
    done = run("export", rows, "--into", tmp_path / "out")

    assert "3 of the first 3 rows have the shape of alpaca: instruction, input, output" in done.stderr
    assert done.stdout == f"{tmp_path / 'out'}\n"
    assert {"alpaca", "messages"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_ids_of_the_input_may_repeat(rows, tmp_path):
    """Our ids come from the content: rows that share an id stay apart, equal rows are numbered, and that is said."""
    done = run("export", rows, "--format", "alpaca", "--into", tmp_path / "out")

    ids = [row["id"] for _, row in iter_rows(tmp_path / "out/alpaca")]
    assert len(set(ids)) == 3
    assert ids[2] == f"{ids[1]}-2"
    assert "1 samples repeat an earlier one" in done.stderr


def test_progress_and_json(rows, tmp_path, monkeypatch):
    """Long work says how far it is; --json prints what was written and nothing else."""
    monkeypatch.setattr("instructgen.cli.progress.PLAIN_SECONDS", 0.0)

    done = run("export", rows, "--format", "alpaca", "--into", tmp_path / "out", "--json")

    assert "3 samples, " in done.stderr
    assert json.loads(done.stdout)["rows"] == {"alpaca": {"train": 3}}


def test_from_overrides_detection(rows, tmp_path):
    """Every row is then held against the shape that was named."""
    done = run("export", rows, "--from", "sharegpt", "--into", tmp_path / "out", code=1)

    assert "there are no samples to export" in done.stderr
    assert "row 1: conversations: expected a list of objects, found nothing" in done.stderr


def test_an_unknown_format_suggests(rows, tmp_path):
    """A slip of the hand, or a name with a slash."""
    assert (
        "did you mean 'alpaca'?" in run("export", rows, "--format", "alpacca", "--into", tmp_path / "o", code=1).stderr
    )
    assert "is not known" in run("export", rows, "--format", "../alpaca", "--into", tmp_path / "o", code=1).stderr


def test_standard_input(tmp_path):
    """A dash reads rows from a pipe."""
    text = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})
    command = [
        sys.executable,
        "-m",
        "instructgen",
        "export",
        "-",
        "--format",
        "sharegpt",
        "--into",
        str(tmp_path / "out"),
    ]

    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True, cwd=ROOT)

    assert b"standard input: 1 of the first 1 rows" in done.stderr
    assert json.loads((tmp_path / "out/jsonl/sharegpt-train.jsonl").read_text())["conversations"][1]["value"] == "b"


def test_an_export_is_an_input_again(rows, tmp_path):
    """One config is read, not each sample twice; ids and inputs are those of before."""
    run("export", rows, "--format", "messages", "--format", "alpaca", "--into", tmp_path / "one")
    done = run("export", tmp_path / "one", "--format", "alpaca", "--into", tmp_path / "two")

    assert "an exported dataset with configs alpaca, messages; reading" in done.stderr
    keys = ("id", "instruction", "input", "output", "provenance")
    one, two = (
        [[row[key] for key in keys] for _, row in iter_rows(tmp_path / name / "alpaca")] for name in ("one", "two")
    )
    assert one == two


def test_splits_of_the_input_become_one_and_that_is_said(tmp_path):
    """Test rows never return to train in silence."""
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"instruction": f"Say {n}.", "output": str(n)}) + "\n" for n in range(40)))
    run("export", path, "--format", "alpaca", "--splits", "test=0.5", "--into", tmp_path / "one")

    assert (
        "its splits test, train are read as one"
        in run("export", tmp_path / "one", "--format", "alpaca", "--into", tmp_path / "two").stderr
    )


def test_the_input_is_never_overwritten(rows, tmp_path):
    """--overwrite on a folder that holds the input would destroy it."""
    done = run("export", rows, "--into", tmp_path, "--overwrite", code=1)

    assert "is or holds the input itself" in done.stderr
    assert rows.is_file()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "x.jsonl holds no rows"),
        ('{"spam": 1}\n', "columns seen: spam. Say --from with one of: "),
        ("broken\n", "no row of 1 can be read; row 1: not JSON"),
        ("\xff", None),
    ],
)
def test_files_that_hold_nothing_known(tmp_path, content, said):
    """One message names what was seen and what to do."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(content.encode("latin-1"))

    done = run("export", path, "--into", tmp_path / "out", code=1)

    assert (said or "not UTF-8") in done.stderr
    assert not (tmp_path / "out").exists()


def test_broken_rows_are_counted_beside_good_ones(rows, tmp_path):
    """The first of each kind is shown with its number; the rest is counted."""
    with rows.open("a", encoding="utf-8") as file:
        file.write('{"instruction": "x"}\nnot json\n{"instruction": 1, "output": "y"}\n{"instruction": "z"}\n')

    done = run("export", rows, "--format", "alpaca", "--into", tmp_path / "out")

    assert "row 4: output: expected a text, found nothing" in done.stderr
    assert "row 5: not JSON" in done.stderr
    assert "input: 2 rows could not be read (missing_field)" in done.stderr


TOLD = [
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "reasoning_content": "hm"}],
     "kto_tag": True},
    {"messages": [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "So."}], "kto_tag": False},
    {"messages": []},
    {"messages": [{"role": "king", "content": "Hi"}]},
    {"messages": []},
]  # fmt: skip


@pytest.mark.parametrize("provenance", ["json", "columns", "none"])
def test_what_the_columns_do_not_show_is_told(tmp_path, provenance):
    """By name and number of samples, with where it is, or that it is lost: screen, manifest and card."""
    path = tmp_path / "told.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in TOLD), encoding="utf-8")
    shapes = ("--format", "messages", "--format", "sample", "--provenance", provenance)
    done = run("export", path, *shapes, "--into", tmp_path / "out", "--json")

    kept = "lost with --provenance none" if provenance == "none" else "kept in the provenance"
    said = "messages: its own columns do not show column kto_tag (2 samples), turn key reasoning_content (1 sample); "
    assert said + kept in done.stderr
    assert "sample: its own" not in done.stderr
    names = {"messages": {"column kto_tag": 2, "turn key reasoning_content": 1}}
    assert json.loads(done.stdout)["unshown"] == names == read_manifest(tmp_path / "out")["unshown"]
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "| samples with | not in `messages` |" in card
    assert "| turn key reasoning_content | 1 |" in card
    assert ("the column `provenance` has it" in card) == (provenance == "json")
    assert ("it is not in this dataset" in card) == (provenance == "none")


def test_rows_that_cannot_be_read_are_in_manifest_and_card(tmp_path):
    """By reason, as on the screen; an empty conversation is such a row, a broken line too."""
    path = tmp_path / "told.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in TOLD) + "{broken\n", encoding="utf-8")
    done = run("export", path, "--format", "messages", "--into", tmp_path / "out")

    counts = {"no_turns": 2, "unknown_role": 1, "unreadable_row": 1}
    assert read_manifest(tmp_path / "out")["unreadable"] == counts
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    for reason, count in counts.items():
        assert f"input: {count} rows could not be read ({reason})" in done.stderr
        assert f"| input row | {reason} | {count} |" in card
    assert "row 3: the conversation is empty: expected at least one turn" in done.stderr


def test_an_input_of_which_nothing_can_be_read(tmp_path):
    """The error says what became of the rows."""
    path = tmp_path / "told.jsonl"
    path.write_text(json.dumps({"messages": []}) + "\n{broken\n", encoding="utf-8")

    done = run("export", path, "--from", "messages", "--into", tmp_path / "out", code=1)

    assert "no row of the input could be read (1 no_turns, 1 unreadable_row)" in done.stderr


def test_ids_that_sample_rows_bring_are_kept_and_told(tmp_path):
    """Ids are hashes of the content; what a row of our own shape says instead is a note, and found again."""
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    own = Sample.model_validate({"turns": turns}).id
    rows = [{"id": "foo", "turns": turns}, {"id": 7, "turns": turns, "provenance": {"source": "x", "source_id": "q"}},
            {"id": own, "turns": turns}, {"id": f"{own}-9", "turns": turns}, {"turns": turns}]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = run("export", path, "--format", "alpaca", "--format", "sample", "--into", tmp_path / "out")

    assert "input: 2 samples had ids of their own; ids are hashes of the content" in done.stderr
    assert "2 samples had another one in the source" in (tmp_path / "out/README.md").read_text(encoding="utf-8")
    for name in ("alpaca", "sample"):
        found = [row for _, row in iter_rows(tmp_path / "out" / name)]
        assert [row["id"] for row in found] == [own, f"{own}-2", f"{own}-3", f"{own}-9", f"{own}-4"]
        known = [json.loads(row["provenance"]) for row in found]
        assert [one.get("notes") for one in known] == [{"id": "foo"}, {"id": "7"}, None, None, None]
        assert [one["source_id"] for one in known] == ["foo", "q", "3", "4", "5"]


def test_giant_row_groups_are_cut(tmp_path, monkeypatch):
    """One row group is read in batches and written in small ones; a row above the limit is named."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"instruction": [f"q{n}" for n in range(5000)], "output": ["x" * 1000] * 5000})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=5000)
    monkeypatch.setattr("instructgen.exporters.shards.GROUP_BYTES", 200_000)
    run("export", tmp_path / "in.parquet", "--format", "alpaca", "--into", tmp_path / "out")

    (path,) = (tmp_path / "out/alpaca").glob("*.parquet")
    sizes = [
        pq.ParquetFile(path).metadata.row_group(n).total_byte_size for n in range(pq.ParquetFile(path).num_row_groups)
    ]
    assert len(sizes) > 20
    assert max(sizes) < 250_000
    monkeypatch.setattr("instructgen.exporters.shards.ROW_BYTES", 500)
    done = run("export", tmp_path / "in.parquet", "--format", "alpaca", "--into", tmp_path / "out2", code=1)
    assert "a Parquet column holds at most 2 GB" in done.stderr


def test_shards_end_after_the_asked_size(rows, tmp_path, monkeypatch):
    """The size is given as the Hub's tools spell it; what is no size is told by name, before anything is read."""
    monkeypatch.setattr("instructgen.exporters.shards.GROUP_ROWS", 1)
    run("export", rows, "--format", "alpaca", "--into", tmp_path / "out", "--shard-size", "100B")
    run("export", rows, "--format", "alpaca", "--into", tmp_path / "one", "--shard-size", "1 GiB")

    assert [len(list((tmp_path / name / "alpaca").iterdir())) for name in ("out", "one")] == [3, 1]
    for given in ("big", "", "-5MB", "0", "0.1B", "5 MBit", "NaN", "1e3", "५MB", "9" * 400 + "GB"):
        refused = run("export", rows, "--into", tmp_path / "no", f"--shard-size={given}", code=1)
        assert f"--shard-size {given!r} is no size of a file; expected a number with KB, MB" in refused.stderr
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("size", "count"),
    [("500MB", 500e6), ("500 mb", 500e6), ("1.5GiB", 1.5 * 2**30), ("7", 7), ("2k", 2e3), ("1TB", 1e12)],
)
def test_sizes(size, count):
    """Decimal and binary units."""
    assert bytes_in(size) == count


def test_splits_and_licence_are_checked(rows, tmp_path):
    """Each wrong option is told before anything is written."""
    for option, value, said in (
        ("--splits", "test", "expected NAME=SHARE"),
        ("--splits", "test=2", "is no share"),
        ("--splits", "test=0.1,test=0.2", "'test' is given twice"),
        ("--license", "cc-by-5.0", "no licence id of the Hub"),
        ("--tokenizer", tmp_path / "none", "expected a tokenizer's folder"),
    ):
        assert said in run("export", rows, option, value, "--into", tmp_path / "out", code=1).stderr
    assert not (tmp_path / "out").exists()
    assert "File name too long" in run("export", rows, "--into", tmp_path / ("x" * 300), code=1).stderr


def test_text_through_a_jinja_file(rows, tmp_path):
    """A user's own chat template."""
    (tmp_path / "chat.jinja").write_text("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}")

    run("export", rows, "--format", "text", "--template", tmp_path / "chat.jinja", "--into", tmp_path / "out")

    first = json.loads((tmp_path / "out/jsonl/text-train.jsonl").read_text().splitlines()[0])
    assert first == {"text": "[user]Sort.\n\n2, 1[assistant]1, 2"}


def test_a_tokenizers_special_tokens_and_template(rows, tmp_path):
    """Read from its JSON files; counting without the package says what to install."""
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text('{"added_tokens": [{"content": "hi", "special": true}]}')
    (folder / "tokenizer_config.json").write_text(
        '{"bos_token": {"content": "<s>"}, "chat_template": "{{ bos_token }}{{ messages[0].content }}"}'
    )
    from instructgen.exporters.tokenizer import load_tokenizer

    loaded = load_tokenizer(folder)

    assert (loaded.special, loaded.marks) == (("hi",), {"bos_token": "<s>"})
    assert loaded.template.startswith("{{ bos_token }}")


def test_a_second_export_says_what_changed(rows, tmp_path):
    """The change log of the card, and diff between two folders, agree."""
    run("export", rows, "--format", "alpaca", "--into", tmp_path / "one")
    rows.write_text(json.dumps({"instruction": "New", "output": "row"}) + "\n" + rows.read_text(), encoding="utf-8")
    run("export", rows, "--format", "alpaca", "--into", tmp_path / "two")

    done = run("diff", tmp_path / "one", tmp_path / "two")

    assert "rows: 3 -> 4" in done.stdout
    assert "added 1, removed 0" in done.stdout


def test_a_second_export_says_what_is_gone(rows, tmp_path):
    """A folder holds one export: configs and splits that the new one has not are named; the same again says nothing."""
    into = ["--into", tmp_path / "out"]
    run("export", rows, "--format", "alpaca", "--format", "messages", "--splits", "test=0.5", *into)
    said = run("export", rows, "--format", "alpaca", *into).stderr
    assert "the earlier export there is replaced; no longer in it: alpaca/test, messages" in said
    assert "is replaced" not in run("export", rows, "--format", "alpaca", *into).stderr


def test_a_format_that_nobody_asked_for_may_be_left_out(tmp_path):
    """Dialogues are no rows of alpaca: without --format the other default is written; asked for, it is an error."""
    chat = [{"role": role, "content": "Hi"} for role in ("user", "assistant", "user", "assistant")]
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps({"messages": chat}) + "\n")
    done = run("export", path, "--into", tmp_path / "out")
    assert "alpaca: can hold none of the samples, and is left out" in done.stderr
    assert sorted(json.loads((tmp_path / "out/manifest.json").read_text())["configs"]) == ["messages"]
    both = ["--format", "alpaca", "--format", "messages"]
    said = " ".join(run("export", path, *both, "--into", tmp_path / "both", code=1).stderr.split())
    assert "format 'alpaca' can hold none of the 1 samples" in said
    assert "leave it out: messages can" in said
    assert (
        "none of the 1 samples" in run("export", path, "--format", "alpaca", "--into", tmp_path / "one", code=1).stderr
    )


def test_the_whole_chain():
    """CSV -> convert -> clean -> export -> push -> load, and generate -> export -> push: counts agree throughout."""
    command = [sys.executable, str(ROOT / "tests/chain.py"), sys.executable, "-m", "instructgen"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loaded from the Hub") == 2


def test_samples_of_all_configs_are_read_again(tmp_path):
    """Where no config holds all samples, all are read, each once; who reads one config is told what it lacks."""
    bad = Answer(turns=(Turn(role="assistant", content="bad"),))
    one, two, three, four = (Sample.single(f"q{n}", output="a", labels={"desirable": True} if n == 3 else None)
                             for n in (1, 2, 3, 4))  # fmt: skip
    given = [
        one, Sample(turns=two.turns, answers=(bad,)), three, one,
        Sample(turns=four.turns, media=(Media(path="x.png"),)),
    ]  # fmt: skip
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(sample.as_json()) + "\n" for sample in given), encoding="utf-8")
    asked = [word for name in ("messages", "preference", "llava", "unpaired") for word in ("--format", name)]
    for provenance in ("json", "columns"):
        out = tmp_path / provenance
        run("export", path, *asked, "--provenance", provenance, "--into", out)

        found = json.loads(run("diff", path, out, "--json").stdout)
        assert (found["rows"], found["unchanged"]) == ([5, 5], 5)
    assert "5 instruction-tuning samples (in the first config, `messages`, 3 train)." in (out / "README.md").read_text()

    told = run("clean", out, "--into", tmp_path / "cleaned").stderr
    assert "llava lacks 1 of its samples, which that shape cannot hold" in told
