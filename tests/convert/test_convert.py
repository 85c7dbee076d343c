"""From a dataset to samples: mapping, sources, rejections, files; what the command says and refuses."""

import json
import re
import sys
from collections import Counter

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.convert.bank import find_pack
from instructgen.convert.choosing import choose, choose_for
from instructgen.convert.conversion import Conversion, Options
from instructgen.convert.options import recover
from instructgen.convert.questions import Unsure
from instructgen.convert.sources import Source, open_source
from instructgen.convert.tokens import estimate
from instructgen.convert.write import write
from instructgen.decisions import read_slots
from instructgen.errors import DataError, ExportError
from instructgen.records import Rejection, Sample

REVIEWS = [{"text": f"Film {i} was {'fine' if i % 2 else 'dull'}.", "label": i % 2} for i in range(60)]


def jsonl(tmp_path, rows, name="reviews.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def mapped(task, rows, given=None, names=None, labels=None):
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return choose(find_pack(task), columns, rows, given, names, labels)


def converted(path, task="sentiment", given=None, limit=None, **options):
    source = open_source(str(path))
    mapping = choose_for(find_pack(task), source, given)
    return list(Conversion(source, mapping, Options(**options), limit=limit).run())


def test_a_line_is_the_sample_it_stands_for(tmp_path):
    """The fast writer gives the bytes that the validated sample gives, and the same id."""
    for _, made in converted(jsonl(tmp_path, REVIEWS), shots={"share": 0.5, "layout": "turns"}):
        sample = Sample.model_validate(made)

        assert orjson.dumps(made) == orjson.dumps(sample.as_json())
        assert sample.id == sample.content_id()


def test_a_conversion_without_a_sample_is_no_success(tmp_path):
    """A script that goes on with an empty dataset would find out much later; the reasons are on disk."""
    path = jsonl(tmp_path, [{"text": "", "label": n % 2} for n in range(10)])
    done = CliRunner().invoke(app, ["convert", str(path), "--task", "sentiment", "--into", str(tmp_path / "out")])

    assert done.exit_code == 1
    assert "no sample was made" in done.output
    assert json.loads((tmp_path / "out/summary.json").read_bytes())["parsed"] == 10


def test_equal_seeds_give_equal_bytes(tmp_path):
    """Everything drawn depends on the seed alone."""
    path = jsonl(tmp_path, REVIEWS)
    options = {"shots": {"share": 0.5}, "each": "all"}

    assert converted(path, seed=3, **options) == converted(path, seed=3, **options)
    assert converted(path, seed=3, **options) != converted(path, seed=4, **options)


def test_class_names_come_from_the_user_then_the_dataset_then_the_layout():
    """Numbers are named by who knows best; spellings are put right for the templates."""
    assert mapped("sentiment", REVIEWS).labels == ("negative", "positive")
    assert mapped("sentiment", REVIEWS, names={"label": ("neg", "pos")}).labels == ("negative", "positive")
    assert mapped("sentiment", REVIEWS, labels={"1": "great", "0": "poor"}).labels == ("great", "poor")


def test_numbers_without_names_are_asked():
    """A class that is only a number means nothing in a text."""
    rows = [{"headline": "A", "body": "B", "kind": i % 7} for i in range(14)]

    with pytest.raises(Unsure, match=r"holds numbers without names: 0, 1.*--labels 0=NAME"):
        mapped("topic", rows, given={"text": "body", "label": "kind"})


def test_an_open_role_is_asked_with_the_columns():
    """What cannot be told is told to be open, with the columns and the option to say it."""
    with pytest.raises(Unsure, match=r"text_pair.*Columns: left, right, label.*--map") as unsure:
        mapped("nli", [{"left": "A", "right": "B", "label": "entailment"}])
    assert {question.role for question in unsure.value.questions} == {"text", "text_pair"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"txt": "text"}, "no field 'txt'; did you mean 'text'"),
        ({"text": "txet"}, "no column 'txet'; did you mean 'text'"),
    ],
)
def test_a_wrong_map_names_what_is_there(given, said):
    """Typos in roles and columns come with the nearest right one."""
    with pytest.raises(DataError, match=said):
        mapped("sentiment", REVIEWS, given=given)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "A", "label": -1}, "unlabelled"),
        ({"text": "A", "label": None}, "unlabelled"),
        ({"text": "A", "label": 7}, "label_unknown"),
        ({"text": None, "label": 1}, "null_field"),
        ({"text": "  ", "label": 1}, "null_field"),
        ({"label": 1}, "missing_column"),
        ({"text": {"a": 1}, "label": 1}, "wrong_type"),
    ],
)
def test_a_bad_row_is_a_counted_rejection(tmp_path, row, reason):
    """Unlabelled, null, missing: each its own reason with the row's number; the rows beside it go on."""
    outcomes = converted(jsonl(tmp_path, [*REVIEWS, row, *REVIEWS]))
    rejected = [(number, made) for number, made in outcomes if isinstance(made, Rejection)]

    assert [(number, made.reason) for number, made in rejected] == [(61, reason)]
    assert len(outcomes) == 121


def test_text_with_separators_and_markup_is_only_text(tmp_path):
    """Separators of ours and of promptsource, and Jinja within data, come out as they went in."""
    odd = ["a ||| b", "a \x1e b", "{{ label }} {% if %}", "b \x1f\x1d c", "\u2028 line", "nul \x00"]
    path = jsonl(tmp_path, [{"text": text, "label": i % 2} for i, text in enumerate(odd)])

    for (number, made), text in zip(converted(path, inverted=0.0), odd, strict=True):
        assert text.strip() in made["turns"][0]["content"], number


def test_a_field_of_ten_megabytes_is_rendered(tmp_path):
    """Size alone is no reason to refuse a row."""
    rows = [*REVIEWS, {"text": "x" * 10_000_000, "label": 1}]
    made = converted(jsonl(tmp_path, rows), inverted=0.0)[-1][1]

    assert len(made["turns"][0]["content"]) > 10_000_000


def test_large_rows_are_read_few_at_a_time(tmp_path):
    """What is held together is bounded in characters, not only in rows: from lines and from columns."""
    rows = [{"text": f"{i}" + "x" * 3_000_000, "label": i % 2} for i in range(30)]
    path = jsonl(tmp_path, rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")

    for name in (path, tmp_path / "a.parquet"):
        source = open_source(str(name))
        sizes = [len(chunk) for chunk in source.chunks(print)]
        numbers = [number for chunk in source.chunks(print) for number in chunk.numbers]

        assert len(source.head) < 15
        assert max(sizes) < 15
        assert numbers == list(range(1, 31))


def test_every_row_of_every_kind_of_file_is_read(tmp_path):
    """Parquet, CSV, TSV, JSON, JSONL, a folder and a saved dataset give the same samples."""
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["negative", "positive"])})
    data = Dataset.from_list(REVIEWS, features=features)
    jsonl(tmp_path, REVIEWS, "a.jsonl")
    (tmp_path / "a.json").write_text(json.dumps(REVIEWS))
    pq.write_table(pa.Table.from_pylist(REVIEWS), tmp_path / "a.parquet")
    data.to_csv(tmp_path / "a.csv")
    lines = "".join(f"{row['text']}\t{row['label']}\n" for row in REVIEWS)
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + lines)
    data.save_to_disk(tmp_path / "saved")
    (tmp_path / "folder").mkdir()
    data.to_parquet(tmp_path / "folder" / "train-00000-of-00001.parquet")
    expected = [made["id"] for _, made in converted(tmp_path / "a.jsonl")]

    for name in ("a.json", "a.parquet", "a.csv", "a.tsv", "saved", "folder"):
        assert [made["id"] for _, made in converted(tmp_path / name)] == expected, name
    assert open_source(str(tmp_path / "folder")).class_names == {"label": ("negative", "positive")}
    assert open_source(str(tmp_path / "saved")).class_names == {"label": ("negative", "positive")}


def test_a_file_without_header_takes_its_names_from_the_user(tmp_path):
    """FLAN's files have no header line; a quote in a TSV is only a quote."""
    path = tmp_path / "cot.tsv"
    path.write_text('Is "it" so?\tyes\tBecause.\nIs it "not?\tno\tNot so.\n')
    rows = list(open_source(str(path), columns=["question", "answer", "rationale"]).open(lambda n, said: None))

    assert rows[1][1] == {"question": 'Is it "not?', "answer": "no", "rationale": "Not so."}


def test_bytes_that_are_not_utf8_name_file_and_line(tmp_path):
    """A Latin-1 CSV is an error with its place, not mojibake."""
    path = tmp_path / "latin.csv"
    path.write_bytes(b"text,label\n" + b"fine,1\n" * 5000 + b"caf\xe9,1\n")

    with pytest.raises(DataError, match=r"latin\.csv:5002: not UTF-8 \(byte 0xe9\)"):
        list(open_source(str(path)).open(lambda n, said: None))


def test_a_dataset_that_is_nowhere_says_where_it_was_looked_for(monkeypatch):
    """No path, no Hub, no cache: one message, no traceback."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(DataError, match=r"nobody/nothing: no such file or folder here, not to be had from the Hub"):
        open_source("nobody/nothing")


def test_shots_never_show_the_question_itself(tmp_path):
    """Worked examples are other rows, said by the same template; the count in the labels is the truth."""
    rows = [*REVIEWS, *REVIEWS[:5]]  # repeats: another row with the same text is not shown either
    outcomes = converted(jsonl(tmp_path, rows), inverted=0.0, shots={"share": 1.0, "most": 3, "layout": "turns"})

    counts = Counter()
    for _, made in outcomes:
        asked = [turn["content"] for turn in made["turns"] if turn["role"] == "user"]
        assert asked[-1] not in asked[:-1]
        assert len(asked) - 1 == made["labels"]["shots"] <= 3
        counts[made["labels"]["shots"]] += 1
        opening = asked[-1].split("Film")[0]
        assert all(text.startswith(opening) for text in asked)
    assert set(counts) == {1, 2, 3}


def test_shots_fit_their_budget_or_the_row_is_rejected(tmp_path):
    """Examples are pruned to the tokens that are left; none left is a reason."""
    rows = [{"text": f"{i} " + "long text " * 40, "label": i % 2} for i in range(30)]
    for budget in (100, 400, 800):
        for _, made in converted(jsonl(tmp_path, rows), inverted=0.0, shots={"share": 1.0, "budget": budget}):
            if isinstance(made, Rejection):
                assert made.reason == "no_example_fits"
            else:
                assert estimate(made["turns"][0]["content"]) <= budget + 5


def test_fixed_shots_are_the_same_for_all_rows(tmp_path):
    """With `fixed` every row of a template gets the same examples, except itself."""
    outcomes = converted(
        jsonl(tmp_path, REVIEWS), templates=("choose-inline",), shots={"share": 1.0, "fixed": True, "most": 2}
    )
    shown = Counter(tuple(re.findall(r"Film \d+", made["turns"][0]["content"])[:-1]) for _, made in outcomes)

    assert shown.most_common(1)[0][1] >= 58
    assert {len(pair) for pair in shown} == {2}


def test_examples_come_from_the_whole_dataset(tmp_path):
    """A sorted dataset shows examples of all its classes; memory is bounded all the same."""
    rows = [{"text": f"Film {i} was {'fine' if i >= 3000 else 'dull'}.", "label": int(i >= 3000)} for i in range(4000)]
    outcomes = converted(
        jsonl(tmp_path, rows), templates=("choose-inline",), limit=None, shots={"share": 0.1, "layout": "turns"}
    )
    shown = Counter(turn["content"] for _, made in outcomes for turn in made["turns"][1:-1] if turn["role"] != "user")

    assert abs(shown["positive"] / shown.total() - 0.25) < 0.1
    assert len(shown) == 2


def test_a_rationale_becomes_reasoning(tmp_path):
    """Rows with a rationale reason before they answer, in the asked share."""
    rows = [
        {"question": f"Is {i} even?", "answer": "no" if i % 2 else "yes", "rationale": f"{i} halves."}
        for i in range(300)
    ]
    outcomes = converted(jsonl(tmp_path, rows), "boolean_qa", inverted=0.0, cot=0.5, templates=("settle-the-bet",))
    reasoned = [made for _, made in outcomes if made["labels"].get("reasoned")]

    assert abs(len(reasoned) - 150) < 3 * (300 * 0.25) ** 0.5
    for made in reasoned:
        assert "halves." in made["turns"][-1]["content"]


def test_examples_before_reasoning_reason_too(tmp_path):
    """Where the question asks for reasons, every example gives its own, in the same manner; rows without are left."""
    rows = [
        {"question": f"Is {i} even?", "answer": "no" if i % 2 else "yes", "rationale": f"{i} halves." if i % 3 else ""}
        for i in range(90)
    ]
    shots = {"share": 1.0, "layout": "turns"}
    outcomes = converted(jsonl(tmp_path, rows), "boolean_qa", cot=1.0, templates=("settle-the-bet",), shots=shots)
    seen = 0
    for _, made in outcomes:
        said = [turn["content"] for turn in made["turns"]]
        if made["labels"].get("reasoned"):
            cue = said[-2].rpartition("\n")[2]
            assert all(asked.endswith(cue) for asked in said[:-1:2])
            assert all("halves." in answer for answer in said[1::2])
            seen += len(said) > 2
        else:
            assert not any("halves." in answer for answer in said[1::2])
    assert seen == 60


def test_what_is_written_adds_up(tmp_path):
    """samples.jsonl, decisions.jsonl and summary.json tell one story; repeats are numbered."""
    rows = [*REVIEWS, {"text": "A", "label": -1}, *REVIEWS]
    outcomes = converted(jsonl(tmp_path, rows), templates=("choose-inline",), options={"none": 1.0})
    into = tmp_path / "out"
    counts = write(outcomes, into, {"task": "sentiment"})
    samples = [json.loads(line) for line in (into / "samples.jsonl").read_bytes().splitlines()]
    slots = list(read_slots(into / "decisions.jsonl"))
    summary = json.loads((into / "summary.json").read_bytes())

    assert (counts.parsed, counts.accepted, dict(counts.rejected)) == (121, 120, {"unlabelled": 1})
    assert counts.repeats == 60
    assert len({sample["id"] for sample in samples}) == 120
    assert sum(sample["id"].endswith("-2") for sample in samples) == 60
    assert [line["accepted"]["id"] for slot in slots for line in slot.lines if "accepted" in line] == [
        s["id"] for s in samples
    ]
    assert summary["accepted"] == 120


def test_a_foreign_folder_is_refused(tmp_path):
    """A folder that holds something else is not written to; an earlier conversion is replaced."""
    into = tmp_path / "out"
    into.mkdir()
    (into / "thesis.tex").touch()

    with pytest.raises(ExportError, match="not ours to write"):
        write([], into, {})
    (into / "thesis.tex").unlink()
    write([], into, {})
    write([], into, {})
    assert (into / "samples.jsonl").read_bytes() == b""


def run(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def test_the_command_shows_mapping_and_examples_and_writes(tmp_path):
    """The mapping and three rendered examples come before the result."""
    done = run(jsonl(tmp_path, REVIEWS), "--task", "sentiment", "--into", tmp_path / "out", "--json")

    assert done.exit_code == 0, done.output
    assert "text             <- text" in done.output
    assert "0=negative (30), 1=positive (30)" in done.output
    assert done.output.count("--- example") == 3
    assert (tmp_path / "out" / "samples.jsonl").read_bytes().count(b"\n") == 60


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--task", "sentimant"], 1, "did you mean 'sentiment'"),
        (["--task", "nli"], 1, "no column could be told for text_pair"),
        ([], 2, "--recipe with a mixture"),
        (["--task", "sentiment", "--map", "text"], 2, "is not NAME=VALUE"),
        (["--task", "sentiment", "--options", "letters=x"], 2, "expected NAME=NUMBER"),
        (["--task", "sentiment", "--options", "leters=1"], 2, "options.leters"),
        (["--task", "sentiment", "--templates", "thumb"], 1, "did you mean 'thumbs'"),
        (["--task", "sentiment", "--each", "some"], 2, "each"),
        (["--task", "topic"], 1, "holds numbers without names: 0, 1. Name them"),
        (["--task", "sentiment", "--total", "5"], 2, "--total has no meaning beside --task"),
        (["--from", "auto", "--shots", "0.5"], 2, "--shots has no meaning beside --from"),
        (["--recipe", "p3_style.yaml", "--seed", "2"], 2, "has no meaning beside --recipe"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, arguments, code, said):
    """A wrong option is a usage error, a wrong set-up one message; never a traceback."""
    done = run(jsonl(tmp_path, REVIEWS), *arguments, "--into", tmp_path / "out")

    assert done.exit_code == code, done.output
    assert said in " ".join(done.output.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_a_template_that_runs_away_is_named_by_the_command(tmp_path):
    """A sort within a loop: one message with file and template, nothing written."""
    wild = tmp_path / "wild.yaml"
    wild.write_text(
        "version: 1\ntask: wild\nfields: {text: {kind: text}}\ntemplates:\n  - {name: spin, target: x, input: "
        '"{% set b = range(99999) | list %}{% for i in b %}{% if text in (b | sort) %}{% endif %}{% endfor %}."}'
    )
    done = run(jsonl(tmp_path, REVIEWS), "--task", wild, "--into", tmp_path / "out")

    assert done.exit_code == 1
    assert "wild.yaml: template 'spin', input: stopped by the sandbox: it takes more than 100,000 steps" in done.output
    assert not (tmp_path / "out").exists()


def test_a_range_without_end_is_named_by_the_command(tmp_path):
    """It is the template that is wrong: not a rejection for every row, and exit code 0."""
    wild = tmp_path / "wild.yaml"
    wild.write_text(
        "version: 1\ntask: wild\nfields: {text: {kind: text}}\ntemplates:\n"
        '  - {name: spin, target: x, input: "{% for i in range(100000000) %}{{ i }}{% endfor %}{{ text }}"}\n'
    )
    done = run(jsonl(tmp_path, REVIEWS), "--task", wild, "--into", tmp_path / "out")

    assert done.exit_code == 1
    assert "wild.yaml: template 'spin', input: stopped by the sandbox: Range too big" in done.output


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(["What is a fjord?", "Who wrote Peer Gynt?", "Where is Skien?", "Why?"]), min_size=8),
    st.integers(30, 400),
    st.booleans(),
    st.integers(0, 9),
)
def test_shots_keep_their_promises(questions, budget, fixed, seed):
    """Whatever is drawn: never the question, however its choices are shuffled; within the budget; from 1 to most."""
    rows = [{"question": q, "a": f"x{i % 3}", "b": "y", "c": "z", "right": "c"} for i, q in enumerate(questions)]
    source = Source("rows", lambda _: enumerate(rows, 1), columns=list(rows[0]), head=list(enumerate(rows, 1)))
    mapping = choose_for(find_pack("mcq"), source, {"choices": "a+b+c", "label": "c"})
    shots = {"share": 1.0, "most": 3, "fixed": fixed, "budget": budget, "layout": "turns"}
    work = Conversion(source, mapping, Options(shuffle="all", inverted=0.0, shots=shots, seed=seed))
    for number, made in work.run():
        if isinstance(made, Rejection):
            assert made.reason in ("no_example_fits", "no_template_fits")
            continue
        said = [turn["content"] for turn in made["turns"]]
        assert 1 <= made["labels"]["shots"] == len(said) // 2 - 1 <= 3
        assert all(questions[number - 1] not in asked for asked in said[:-2:2])
        assert sum(map(estimate, said[:-1])) <= budget


def test_the_label_of_real_rows_is_recovered(data_dir, tmp_path):
    """StrategyQA: each label can be told from its target."""
    path = data_dir / "flan_cot" / "strategyqa_train.tsv"
    source = open_source(str(path), columns=["question", "answer", "rationale"])
    mapping = choose_for(find_pack("boolean_qa"), source)
    gold = {number: row["answer"] for number, row in source.open(lambda n, said: None)}
    seen = 0
    for number, made in Conversion(source, mapping, Options(inverted=0.0)).run():
        labels = made["labels"]
        if "options" in labels:
            at = recover(made["turns"][-1]["content"], labels["options"], labels.get("letters", []))
            assert labels["label"] == gold[number]
            seen += at is not None and labels["label"] == mapping.labels[at]
    assert seen > 1500


def test_a_person_is_asked(tmp_path, monkeypatch):
    """At a terminal the open roles are asked one by one, and the answers are used."""
    rows = [{"left": f"A {i}", "right": f"B {i}", "label": "entailment" if i % 2 else "neutral"} for i in range(20)]
    monkeypatch.setattr(sys.modules["instructgen.cli.convert"], "at_terminal", lambda: True)
    arguments = ["convert", str(jsonl(tmp_path, rows)), "--task", "nli", "--into", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments, input="left\nright\n")

    assert done.exit_code == 0, done.output
    assert "text_pair        <- right   (given)" in done.output


def test_a_person_names_the_classes(tmp_path, monkeypatch):
    """Numbers without names are asked at a terminal."""
    monkeypatch.setattr(sys.modules["instructgen.cli.convert"], "at_terminal", lambda: True)
    arguments = ["convert", str(jsonl(tmp_path, REVIEWS)), "--task", "topic", "--into", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments, input="0=ham,1=spam\n")

    assert done.exit_code == 0, done.output
    assert "0=ham, 1=spam" in done.output


def test_numbers_that_are_left_unnamed_are_asked_again(tmp_path, monkeypatch):
    """Half of the rows would be lost for a forgotten name; what is typed without = names nothing."""
    path, into = jsonl(tmp_path, REVIEWS), tmp_path / "out"
    done = run(path, "--task", "topic", "--labels", "0=ham", "--into", into)
    assert done.exit_code == 1
    assert "also holds 1 (" in done.output
    assert not into.exists()

    monkeypatch.setattr(sys.modules["instructgen.cli.convert"], "at_terminal", lambda: True)
    arguments = ["convert", str(path), "--task", "topic", "--into", str(into)]
    done = CliRunner().invoke(app, arguments, input="ham\n0=ham\n1=spam\n")
    assert done.exit_code == 0, done.output
    assert "0=ham, 1=spam" in done.output


def test_a_folder_of_splits_is_read_as_train(tmp_path):
    """Test rows beside the training rows stay out unless they are asked for."""
    (tmp_path / "d").mkdir()
    jsonl(tmp_path / "d", REVIEWS, "train.jsonl")
    jsonl(tmp_path / "d", REVIEWS[:3], "test.jsonl")

    assert len(list(open_source(str(tmp_path / "d")).open(print))) == 60
    assert len(list(open_source(str(tmp_path / "d"), "test").open(print))) == 3


def test_the_filter_on_answers_agrees_with_every_label(tmp_path):
    """What convert calls right, the filter that checks answers calls right: letters, numbers, frames, reasons."""
    from instructgen.filters.answers import Answers

    check = Answers()
    rows = [{"question": f"Is {i} odd?", "answer": "yes" if i % 2 else "no", "rationale": "A look."} for i in range(60)]
    outcomes = converted(jsonl(tmp_path, REVIEWS), each="all")
    outcomes += converted(jsonl(tmp_path, rows, "odd.jsonl"), "boolean_qa", each="all", cot=0.5)
    samples = [Sample.model_validate(made) for _, made in outcomes]

    assert len(samples) > 800
    assert [(sample.labels, sample.output) for sample in samples if check.check(sample)] == []
    other = next(sample for sample in samples if sample.labels.get("letters") and sample.labels["label"] == "negative")
    wrong = Sample.single(other.instruction, output=other.labels["letters"][1], labels=other.labels)
    assert check.check(wrong) is not None
