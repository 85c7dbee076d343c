"""`clean` and `decontaminate`: what is kept and in which shape, what is written down, and bad input."""

import json
import random
import resource

import orjson
import pytest
from typer.testing import CliRunner

from instructgen.clean import clean as run_clean
from instructgen.clean import preference
from instructgen.clean_screen import Screen, rows_of
from instructgen.cli import app
from instructgen.decisions import read_slots
from instructgen.errors import ExportError, RecipeError
from instructgen.filters.decontaminate import Decontaminate
from instructgen.filters.exact import Exact
from instructgen.filters.judge import Judge
from instructgen.filters.rouge import Rouge
from instructgen.formats.alpaca import Alpaca
from instructgen.formats.oasst import Oasst
from instructgen.tools import tools

ROWS = [
    {"instruction": "Write a poem about rain.", "input": "", "output": "Drip.", "lang": "en", "score": 3},
    {"instruction": "Write a poem about the rain.", "input": "", "output": "Drip drop drip.", "source": "gold"},
    {"instruction": "Sing.", "input": "", "output": ""},
    {"instruction": "Name a colour.", "input": "", "output": "Red", "score": 1},
    {"wrong": "shape"},
    {"instruction": "Name a colour!", "input": "", "output": "Blue", "score": 5},
]


def cli(*arguments, **options):
    return CliRunner().invoke(app, list(map(str, arguments)), **options)


def write(path, rows):
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def recipe(tmp_path, *filters):
    return write(tmp_path / "recipe.yaml", [{"filters": filters}])


@pytest.fixture
def cleaned(tmp_path):
    data = write(tmp_path / "data.jsonl", ROWS)
    result = cli("clean", data, "--recipe", recipe(tmp_path, {"kind": "rouge"}), "--into", tmp_path / "out")
    assert result.exit_code == 0, result.output
    return tmp_path / "out"


def test_kept_rows_stay_as_they_are_and_in_order(cleaned):
    """Columns that we do not know are kept; nothing is added."""
    assert lines(cleaned / "kept.jsonl") == [ROWS[0], ROWS[3]]


def test_every_row_is_decided_and_explained(cleaned):
    """A line per sample in the order of the rows, with filter, reason and evidence; rejected ones in full."""
    (slot,) = read_slots(cleaned / "decisions.jsonl")
    verdicts = [(line.get("accepted") or line["rejected"]) for line in slot.lines]

    assert [v.get("reason") for v in verdicts] == [
        None, "near_duplicate", "empty_answer", None, "missing_field", "near_duplicate",
    ]  # fmt: skip
    assert [v.get("row") or v["evidence"]["row"] for v in verdicts] == [1, 2, 3, 4, 5, 6]
    assert verdicts[1]["evidence"]["filter"] == "rouge"
    assert verdicts[1]["evidence"]["neighbours"] == [{"id": verdicts[0]["id"], "score": 0.909091}]
    assert verdicts[1]["sample"]["turns"][1]["content"] == "Drip drop drip."
    assert json.loads(verdicts[4]["text"]) == ROWS[4]
    assert slot.closed == {"parsed": 6, "accepted": 2}


def test_the_summary_counts_by_filter_and_shows_borderline_pairs(cleaned):
    """Counts add up; the pairs that were only just dropped are shown with their texts."""
    summary = json.loads((cleaned / "summary.json").read_text(encoding="utf-8"))

    assert summary["rows"] == {"read": 6, "kept": 2}
    assert summary["samples"] == {"parsed": 6, "accepted": 2, "rejected": 4}
    assert summary["rejected"] == {
        "parse": {"missing_field": 1}, "rouge": {"near_duplicate": 2}, "shape": {"empty_answer": 1},
    }  # fmt: skip
    assert summary["clusters"]["rouge"]["sizes"] == {"2": 2}
    assert summary["scores"] == {"rouge": {"0.95": 1}}
    just = summary["borderline"]["rouge"]["dropped"][0]
    assert (just["kept"]["text"], just["other"]["text"]) == (ROWS[0]["instruction"], ROWS[1]["instruction"])
    assert summary["borderline"]["rouge"]["kept"][0]["score"] < 0.7


def test_cleaning_again_gives_the_same_bytes(cleaned, tmp_path):
    """The same rows and recipe write the same files, over the earlier ones."""
    before = {path.name: path.read_bytes() for path in cleaned.iterdir()}
    result = cli("clean", tmp_path / "data.jsonl", "--recipe", tmp_path / "recipe.yaml", "--into", cleaned)

    assert result.exit_code == 0
    assert {path.name: path.read_bytes() for path in cleaned.iterdir()} == before


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        (["--keep", "first"], [0, 3]),
        (["--keep", "longest"], [1, 5]),
        (["--keep", "best"], [0, 5]),
        (["--keep", "preferred", "--prefer", "gold"], [1, 3]),
    ],
)
def test_which_of_several_alike_stays(tmp_path, flags, kept):
    """First, longest answer, best score, preferred source; the file keeps the order of the input."""
    data = write(tmp_path / "data.jsonl", ROWS)
    result = cli("clean", data, "--recipe", recipe(tmp_path, {"kind": "rouge"}), "--into", tmp_path / "out", *flags)

    assert result.exit_code == 0, result.output
    assert lines(tmp_path / "out/kept.jsonl") == [ROWS[number] for number in kept]
    (slot,) = read_slots(tmp_path / "out/decisions.jsonl")
    assert [(v.get("accepted") or v["rejected"]["evidence"])["row"] for v in slot.lines] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--keep", "best", "--score", "stars"], "none of the 4 rows has a number in column 'stars'"),
        (["--keep", "preferred", "--prefer", "gld"], "none of the 4 rows has the source gld"),
    ],
)
def test_a_preference_for_what_no_row_has_is_an_error(tmp_path, flags, message):
    """A mistyped column would otherwise be the same as `first`, in silence; a good one still works afterwards."""
    data = write(tmp_path / "data.jsonl", ROWS)
    given = "clean", data, "--recipe", recipe(tmp_path, {"kind": "rouge"}), "--into", tmp_path / "out"
    result = cli(*given, *flags)

    assert (result.exit_code, message in result.stderr) == (1, True), result.output
    assert not (tmp_path / "out/kept.jsonl").exists()
    assert cli(*given).exit_code == 0


def alpaca_rows(rows):
    return rows_of(enumerate(rows, 1), Alpaca(), "test", [])


def test_a_row_is_remembered_only_if_every_filter_keeps_it(tmp_path):
    """A row that the second filter drops is nothing that the first one compares with."""
    rows = [
        {"instruction": "Write a poem about rain.", "output": "One."},
        {"instruction": "Write a poem about the rain.", "output": "Two."},
        {"instruction": "Say two.", "output": "Two."},
    ]
    screen = Screen([Exact(compare="conversation"), Rouge()])
    summary = run_clean(alpaca_rows([*rows, rows[1]]), Alpaca(), screen, tmp_path / "out", {})

    assert summary["rejected"] == {"rouge": {"near_duplicate": 2}}  # the repeat of row 2 is no exact_duplicate
    assert lines(tmp_path / "out/kept.jsonl") == [rows[0], rows[2]]


def test_a_row_with_several_samples_is_kept_only_if_all_are(tmp_path):
    """A tree whose one path has no answer is dropped whole; the other path's line says why."""
    tree = [
        {"message_id": "a", "parent_id": None, "message_tree_id": "a", "text": "Hi", "role": "prompter"},
        {"message_id": "b", "parent_id": "a", "message_tree_id": "a", "text": "Hello.", "role": "assistant"},
        {"message_id": "c", "parent_id": "a", "message_tree_id": "a", "text": " ", "role": "assistant"},
        {"message_id": "d", "parent_id": None, "message_tree_id": "d", "text": "Ho", "role": "prompter"},
        {"message_id": "e", "parent_id": "d", "message_tree_id": "d", "text": "Hm.", "role": "assistant"},
    ]
    rows = rows_of(enumerate(tree, 1), Oasst(), "test", [])
    summary = run_clean(rows, Oasst(), Screen([]), tmp_path / "out", {})
    (slot,) = read_slots(tmp_path / "out/decisions.jsonl")

    assert lines(tmp_path / "out/kept.jsonl") == tree[3:]
    assert summary["rejected"] == {"row": {"row_rejected": 1}, "shape": {"empty_answer": 1}}
    assert [line["rejected"]["evidence"].get("because") for line in slot.lines[:2]] == ["empty_answer", None]


def test_broken_lines_are_counted_in_their_place(tmp_path):
    """A line that is not JSON is a rejection with its number; the rest goes on."""
    data = tmp_path / "data.jsonl"
    data.write_bytes(orjson.dumps(ROWS[0]) + b"\n{broken\n" + orjson.dumps(ROWS[3]) + b"\nnot json")
    result = cli("clean", data, "--into", tmp_path / "out", "--json")
    summary = json.loads(result.stdout)
    (slot,) = read_slots(tmp_path / "out/decisions.jsonl")

    assert summary["rejected"] == {"parse": {"unreadable_row": 2}}
    assert [line["rejected"]["evidence"]["row"] if "rejected" in line else 0 for line in slot.lines] == [0, 2, 0, 4]
    assert summary["rows"] == {"read": 4, "kept": 2}


def test_a_closing_line_every_ten_thousand_rows(tmp_path):
    """Slots are numbered, and the chain holds."""
    rows = [{"instruction": f"Say {number}.", "output": str(number)} for number in range(10_001)]
    run_clean(alpaca_rows(rows), Alpaca(), Screen([Exact()]), tmp_path / "out", {})

    assert [(slot.number, slot.closed["parsed"]) for slot in read_slots(tmp_path / "out/decisions.jsonl")] == [
        (0, 10_000), (1, 1),
    ]  # fmt: skip


def test_batches_and_one_by_one_decide_alike(tmp_path):
    """The fast path of a single filter with memory gives the files of the slow one."""
    rng = random.Random(4)
    rows = [{"instruction": " ".join(rng.choices("abcdef", k=6)), "output": "x"} for _ in range(3000)]
    both = []
    for name, filters in [("fast", [Rouge(threshold=0.8)]), ("slow", [Rouge(threshold=0.8), Exact()])]:
        run_clean(alpaca_rows(rows), Alpaca(), Screen(filters), tmp_path / name, {})
        both.append((tmp_path / name / "kept.jsonl").read_bytes())

    assert both[0] == both[1]
    assert 10 < both[0].count(b"\n") < 3000


def test_samples_without_the_compared_field_are_kept_and_noted(tmp_path):
    """A row whose instruction has no token is kept; its line says that it was not compared."""
    rows = [{"instruction": "😀", "output": "x"}, {"instruction": "😀", "output": "y"}]
    run_clean(alpaca_rows(rows), Alpaca(), Screen([Rouge()]), tmp_path / "out", {})
    (slot,) = read_slots(tmp_path / "out/decisions.jsonl")

    assert [line["accepted"]["notes"] for line in slot.lines] == [{"rouge": {"not_compared": True}}] * 2


def test_empty_texts_and_very_long_ones(tmp_path):
    """An empty instruction is a counted rejection; half a megabyte of text is compared like any other."""
    long = "word " * 100_000
    rows = [{"instruction": text, "output": "x"} for text in ("", "", long, long, "a b c")]
    summary = run_clean(alpaca_rows(rows), Alpaca(), Screen([Rouge()]), tmp_path / "out", {})
    rejected = {reason: count for counts in summary["rejected"].values() for reason, count in counts.items()}

    assert summary["rows"]["read"] == 5 == summary["rows"]["kept"] + sum(rejected.values())
    assert lines(tmp_path / "out/kept.jsonl")[-1] == rows[-1]


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_a_million_identical_rows_in_bounded_memory(tmp_path):
    """One is kept; memory does not grow with the rows."""
    rows = ({"instruction": "tell me a joke", "output": "no"} for _ in range(1_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    summary = run_clean(alpaca_rows(rows), Alpaca(), Screen([Rouge()]), tmp_path / "out", {})

    assert summary["rows"] == {"read": 1_000_000, "kept": 1}
    assert summary["clusters"]["rouge"]["sizes"] == {"1000000": 1}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024  # KiB


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filters: [{kind: rouge, threshold: 7}]", "did you mean 0.7"),
        ("filters: [{kind: rouge, threshold: 1.5}]", "is 1.5, expected less than or equal to 1. It is a ratio"),
        ("filters: [{kind: rouge, threshold: 70}]", "did you mean 0.7"),
        ("filters: [{kind: rouge, threshold: 0}]", "threshold is 0"),
        ("filters: [{kind: rouge, treshold: 0.7}]", "did you mean 'threshold'"),
        ("filters: [{kind: rogue}]", "did you mean 'rouge'"),
        ("filtres: [{kind: rouge}]", "did you mean 'filters'"),
        ("filters: rouge", "expected a list"),
        ("name: x", "expected a list"),
        ("filters: [", "not YAML"),
    ],
)
def test_wrong_recipes(tmp_path, text, message):
    """Exit 1 and one message that names the file, the place and the nearest right word."""
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    result = cli("clean", write(tmp_path / "d.jsonl", ROWS), "--recipe", tmp_path / "r.yaml", "--into", tmp_path / "o")

    assert result.exit_code == 1
    assert "r.yaml" in result.stderr
    assert message in result.stderr


def test_a_judge_needs_a_teacher():
    """A filter that asks a teacher is refused where there is none."""
    with pytest.raises(RecipeError, match="asks a teacher"):
        Screen([Judge()])


@pytest.mark.parametrize(("keep", "message"), [("preferred", "--prefer"), ("longst", "did you mean 'longest'")])
def test_wrong_preferences(keep, message):
    """The message says what to do."""
    with pytest.raises(RecipeError, match=message):
        preference(keep)


def test_a_folder_with_other_content_is_not_touched(tmp_path):
    """Exit 1, and the file in it is still there."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    data = write(tmp_path / "data.jsonl", ROWS)
    result = cli("clean", data, "--into", tmp_path / "out")

    assert result.exit_code == 1
    assert "not empty" in result.stderr
    assert (tmp_path / "out/mine.txt").read_text() == "mine"
    assert cli("clean", data, "--into", tmp_path / "out", "--overwrite").exit_code == 0


def test_the_input_is_never_written_over(tmp_path):
    """--into that holds the input is refused."""
    data = write(tmp_path / "data.jsonl", ROWS)

    assert cli("clean", data, "--into", tmp_path).exit_code == 1


def test_an_unwritable_place_is_an_error(tmp_path):
    """A path below a file cannot be made a folder, for root neither."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ExportError, match="cannot be written"):
        run_clean(alpaca_rows(ROWS[:1]), Alpaca(), Screen([]), tmp_path / "file/out", {})


def test_standard_input(tmp_path):
    """`-` reads JSONL from standard input."""
    text = b"".join(orjson.dumps(row) + b"\n" for row in ROWS[:1])
    result = cli("clean", "-", "--into", tmp_path / "out", input=text)

    assert result.exit_code == 0, result.output
    assert lines(tmp_path / "out/kept.jsonl") == ROWS[:1]


QUESTION = "Compose an engaging travel blog post about a recent trip to Hawaii, with many must-see attractions."


def test_decontaminate_drops_benchmark_rows(tmp_path):
    """The row that holds the question is dropped with the item and the span; saved index and file agree."""
    bench = write(tmp_path / "bench.jsonl", [{"question": QUESTION}])
    rows = [*ROWS[:1], {"instruction": f"Please {QUESTION.lower()}", "input": "", "output": "Aloha."}]
    data = write(tmp_path / "data.jsonl", rows)
    saved = cli("decontaminate", "--against", bench, "--save", tmp_path / "bench.npz")
    assert saved.exit_code == 0, saved.output
    for against in (bench, tmp_path / "bench.npz"):
        folder = tmp_path / f"out-{against.suffix}"
        result = cli("decontaminate", data, "--against", against, "--into", folder)
        assert result.exit_code == 0, result.output
        (slot,) = read_slots(folder / "decisions.jsonl")

        assert lines(folder / "kept.jsonl") == rows[:1]
        assert slot.lines[1]["rejected"]["reason"] == "benchmark_text"
        assert slot.lines[1]["rejected"]["evidence"]["item"] == {".jsonl": "1.question", ".npz": "1"}[against.suffix]
        assert ("saved index" in result.stderr) == (against.suffix == ".npz")
    refused = cli("decontaminate", data, "--against", tmp_path / "bench.npz", "--into", tmp_path / "o", "--long", "9")
    assert refused.exit_code == 1
    assert "long is 9, but this index was made with 13" in refused.stderr


def test_a_benchmark_that_is_not_what_it_says(tmp_path):
    """Exit 1; the message names the file."""
    (tmp_path / "bench.jsonl").write_text("<html>", encoding="utf-8")
    data = write(tmp_path / "data.jsonl", ROWS)
    result = cli("decontaminate", data, "--against", tmp_path / "bench.jsonl", "--into", tmp_path / "out")

    assert result.exit_code == 1
    assert "bench.jsonl:1: not JSON" in result.stderr
    assert not (tmp_path / "out").exists()


def test_decontaminate_needs_its_flags(tmp_path):
    """A usage error is exit 2."""
    assert cli("decontaminate", write(tmp_path / "d.jsonl", ROWS)).exit_code == 2


def test_decontaminate_works_beside_other_filters(tmp_path):
    """The filter is one of a recipe's, asked before those with memory."""
    bench = write(tmp_path / "bench.jsonl", [{"question": QUESTION}])
    check = Decontaminate(against=(str(bench),)).prepare(tools())
    rows = [{"instruction": QUESTION, "output": "Aloha."}, *ROWS[:2]]
    summary = run_clean(alpaca_rows(rows), Alpaca(), Screen([Rouge(), check]), tmp_path / "out", {})

    assert summary["rejected"] == {"decontaminate": {"benchmark_text": 1}, "rouge": {"near_duplicate": 1}}


def test_rows_are_held_against_a_dataset_that_is_there_already(tmp_path):
    """--known: what is like one of its rows is dropped, by every filter with memory; its rows are not written."""
    old = write(tmp_path / "old.jsonl", [ROWS[0], ROWS[3], ROWS[0]])
    data = write(tmp_path / "data.jsonl", [ROWS[1], ROWS[5], {"instruction": "Run home.", "input": "", "output": "Ok"}])
    use = recipe(tmp_path, {"kind": "exact", "spelling": "words"}, {"kind": "rouge"})
    result = cli("clean", data, "--recipe", use, "--known", old, "--into", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)

    assert summary["known"] == {str(old): 3}
    assert summary["rows"] == {"read": 3, "kept": 1}
    assert summary["rejected"] == {"exact": {"exact_duplicate": 1}, "rouge": {"near_duplicate": 1}}
    assert summary["clusters"]["rouge"]["largest"][0]["text"] == ROWS[0]["instruction"]
    assert "exact" not in summary["borderline"]
    assert all(pair["score"] < 0.7 for pair in summary["borderline"].get("rouge", {"kept": []})["kept"])
    assert [row["instruction"] for row in lines(tmp_path / "out/kept.jsonl")] == ["Run home."]


def test_another_cleaning_in_the_folder_is_named(tmp_path):
    """A folder holds one cleaning; the same input again is nothing to tell."""
    use, into = recipe(tmp_path, {"kind": "emptiness"}), tmp_path / "out"
    one, two = write(tmp_path / "one.jsonl", ROWS[:1]), write(tmp_path / "two.jsonl", ROWS[:2])
    cli("clean", one, "--recipe", use, "--into", into)
    assert "is replaced" not in cli("clean", one, "--recipe", use, "--into", into).stderr
    assert (
        f"the cleaning of {one} that is there is replaced" in cli("clean", two, "--recipe", use, "--into", into).stderr
    )


@pytest.mark.parametrize(
    ("known", "filters", "message"),
    [
        ("old.jsonl", [{"kind": "emptiness"}], "no filter of this recipe compares rows"),
        ("nothing.jsonl", [{"kind": "rouge"}], "nothing.jsonl"),
        ("bad.jsonl", [{"kind": "rouge"}], "row 2 cannot be read"),
    ],
)
def test_a_known_dataset_that_cannot_be_used(tmp_path, known, filters, message):
    """Exit 1 before anything is written; a row that is no sample is named, since it could not be compared."""
    write(tmp_path / "old.jsonl", ROWS[:1])
    write(tmp_path / "bad.jsonl", [ROWS[0], {"wrong": "shape"}])
    data = write(tmp_path / "data.jsonl", ROWS[:1])
    result = cli(
        "clean", data, "--recipe", recipe(tmp_path, *filters), "--known", tmp_path / known, "--into", tmp_path / "out"
    )

    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "out").exists()
