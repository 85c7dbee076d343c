"""promptsource files and Super-NI tasks, read as they are."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.convert.bank import find_pack
from instructgen.convert.choosing import choose
from instructgen.convert.conversion import Conversion, Options
from instructgen.convert.lint import lint, lint_prompts
from instructgen.convert.promptsource import PromptConversion, load_prompts, most_frequent
from instructgen.convert.sources import open_source
from instructgen.convert.superni import entropy, problems
from instructgen.errors import TemplateError
from instructgen.files import iter_rows
from instructgen.records import Rejection, Sample

ROWS = Path(__file__).parent / "rows"
FILE = """
dataset: pets
templates:
  aa: !Template
    answer_choices: {choices}
    id: aa
    jinja: {jinja}
    metadata: !TemplateMetadata
      choices_in_prompt: {shown}
      languages: [en]
      original_task: true
    name: one
    reference: ''
"""


def template(tmp_path, jinja, choices="'no ||| yes'", shown="false", **options):
    path = tmp_path / "templates.yaml"
    path.write_text(FILE.format(jinja=json.dumps(jinja), choices=choices, shown=shown), encoding="utf-8")
    return load_prompts(path, **options)[0]


def test_a_file_is_read_as_it_is(tmp_path):
    """Tags, choices and metadata of the original format."""
    made = template(tmp_path, "{{text}} Nice? ||| {{answer_choices[label]}}")

    assert made.parts({"text": " Cats. ", "label": 1}) == ["Cats.  Nice?", "yes"]
    assert made.choices({}) == ["no", "yes"]
    assert made.metadata["languages"] == ["en"]
    assert made.fields == {"text", "label"}


def test_separators_within_data_are_only_text(tmp_path):
    """`|||` in a field, or in a list of the row, parts nothing."""
    made = template(tmp_path, "{{text}} {{words | join(' ')}} ||| {{answer_choices[0]}}")

    assert made.parts({"text": "a ||| b", "words": ["c ||| d"]}) == ["a ||| b c ||| d", "no"]


def test_fields_are_cut_as_the_original_cuts_them(tmp_path):
    """With `truncate`, every printed field ends after 2,048 characters."""
    made = template(tmp_path, "{{text}} ||| {{answer_choices[0]}}", truncate=True)

    assert len(made.parts({"text": "word " * 1000})[0]) <= 2048
    assert made.parts({"text": "word " * 1000})[0].endswith("...")


def test_a_batch_says_what_its_rows_say(tmp_path):
    """One call for many rows, or a call for each: the same results, with separators, nulls and missing columns."""
    made = template(tmp_path, "{{text}} {{more}}{% if label == 1 %}!{% endif %} ||| {{answer_choices[label]}}")
    rows = [
        {"text": "a", "label": 0, "more": 1},
        {"text": "b ||| c", "label": 1, "more": None},
        {"text": "d", "label": 1},
    ]

    for part in (rows, rows[:2], rows[:1]):
        assert [str(one) for one in made.made_all(part)] == [str(made.made(row)) for row in part]
    assert made._in_one_call(rows[:2]) is not None


def test_a_template_that_changes_lists_does_not_change_the_row(tmp_path):
    """The next template sees the row as it was."""
    made = template(tmp_path, "{% set _ = words.append('x') %}{{words | join(' ')}} ||| {{answer_choices[0]}}")
    row = {"words": ["a"]}

    assert made.parts(row)[0] == "a x"
    assert row == {"words": ["a"]}


def test_helpers():
    """promptsource's own filters."""
    assert most_frequent(["a", "b", "b", "c", "c"]) == ["b", "c"]
    assert most_frequent([]) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("templates: [", "not YAML"),
        ("dataset: x", "expected promptsource's shape"),
        ("templates:\n  aa: !Template {name: x}", "template aa: expected name, jinja"),
        ("templates:\n  aa: !Template {name: x, jinja: y, answer_choices: [a]}", "answer_choices is"),
        ("templates:\n  aa: !Danger {}", "not YAML"),
    ],
)
def test_a_bad_file_is_told(tmp_path, text, said):
    """Never a traceback of the YAML library, never an object built by a tag."""
    path = tmp_path / "templates.yaml"
    path.write_text(text)

    with pytest.raises(TemplateError, match=said):
        load_prompts(path)


def test_test_rows_are_not_given_an_answer(tmp_path):
    """Label -1 would take the last choice; it is a rejection."""
    path = tmp_path / "rows.jsonl"
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": -1}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = template(tmp_path, "{{text}} ||| {{answer_choices[label]}}")
    outcomes = list(PromptConversion(open_source(str(path)), [made], every=True).run())

    assert [one.reason if isinstance(one, Rejection) else one["labels"]["label"] for _, one in outcomes] == [
        "yes",
        "unlabelled",
    ]
    assert Sample.model_validate(outcomes[0][1]).as_json() == outcomes[0][1]


def kinds(tmp_path, jinja, rows=(), **options):
    return {finding.kind for finding in lint_prompts([template(tmp_path, jinja, **options)], rows)}


GOOD = "{{text}} Nice? ||| {{answer_choices[label]}}"
TWO = [{"text": "a long sentence", "label": 0}, {"text": "another sentence", "label": 1}]


@pytest.mark.parametrize(
    ("jinja", "options", "kind"),
    [
        ("{{text}} {{answer_choices[label]}}", {}, "separator"),
        ("{{text}} ||| {{answer_choices[label]}} ||| x", {}, "separator"),
        ("{{txt}} ||| {{answer_choices[label]}}", {}, "unknown_field"),
        ("{{text}}n\nNice? ||| {{answer_choices[label]}}", {}, "leftover"),
        ("Is {hypothesis}n\n so? ||| {{answer_choices[label]}}", {}, "leftover"),
        ("{text} Nice? ||| {{answer_choices[label]}}", {}, "leftover"),
        ("{{text}}.. Nice? ||| {{answer_choices[label]}}", {}, "leftover"),
        ("{{text}} ||| {{text}}", {"choices": "null"}, "target_in_input"),
        ("{{text}} ||| maybe", {}, "gold_not_in_choices"),
        ("Nice? ||| {{answer_choices[label]}}", {"shown": "true"}, "gold_not_in_choices"),
        ("{{text}} ||| {{nothing}}", {}, "empty"),
        ("{{text}} ||| {{answer_choices[0]}} {{label * 0}}", {}, "unrecoverable"),
        ("{{text}} no or yes? ||| {{answer_choices[label]}}", {}, "choices_flag"),
        ("{{text} ||| x", {}, "syntax"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}||| x", {}, "syntax"),
    ],
)
def test_lint_finds_each_kind(tmp_path, jinja, options, kind):
    """Every finding has a template that shows it, and a sound template shows none."""
    assert kind in kinds(tmp_path, jinja, TWO, **options)
    assert kinds(tmp_path, GOOD, TWO) == set()


def test_lint_finds_duplicates_and_unlabelled_answers(tmp_path):
    """Two templates with one text; an answer for a row that has none."""
    made = template(tmp_path, GOOD)

    assert "duplicate" in {finding.kind for finding in lint_prompts([made, made], TWO)}
    assert "unlabelled" in kinds(tmp_path, GOOD, [{"text": "a", "label": -1}])


def test_lint_reports_what_is_wrong_with_p3s_files(data_dir):
    """The 14 released files: a list of choices without E, orders that leave out the right answer, a wrong flag."""
    folder = data_dir / "promptsource"
    found = set()
    for path in sorted(folder.rglob("templates.yaml")):
        name = "_".join(path.parent.relative_to(folder).parts)
        rows = [row for _, row in iter_rows(ROWS / f"{name}.jsonl")]
        found |= {(name, finding.where.split("'")[1], finding.kind) for finding in lint(path, rows)}

    assert {
        ("commonsense_qa", "question_to_answer_index", "gold_not_in_choices"),
        ("sciq", "Multiple Choice", "gold_not_in_choices"),
        ("sciq", "Multiple Choice (Closed Book)", "gold_not_in_choices"),
        ("trec", "fine_grained_DESC_context_first", "choices_flag"),
        ("hellaswag", "complete_first_then", "unlabelled"),
        ("imdb", "Reviewer Enjoyment", "unlabelled"),
    } <= found
    assert not {name for name, _, kind in found if kind in ("syntax", "unknown_field")}


def test_every_released_template_renders(data_dir):
    """All templates of the 14 files are compiled and render at least one hand-written row."""
    folder = data_dir / "promptsource"
    count = 0
    for path in sorted(folder.rglob("templates.yaml")):
        rows = [row for _, row in iter_rows(ROWS / f"{'_'.join(path.parent.relative_to(folder).parts)}.jsonl")]
        for one in load_prompts(path):
            assert any(len(one.parts(row)) == 2 and all(one.parts(row)) for row in rows), one.where
            count += 1
    assert count == 138


TASK = {
    "Definition": ["Say whether the number is even."], "Categories": ["Maths"], "Source": ["made"],
    "Input_language": ["English"], "Output_language": ["English"],
    "Positive Examples": [{"input": "4", "output": "yes", "explanation": "2 * 2"},
                          {"input": "5", "output": "no", "explanation": "odd"}],
    "Negative Examples": [{"input": "6", "output": "no", "explanation": "6 is even"}],
    "Instances": [{"id": f"task1-{i}", "input": str(i), "output": ["no" if i % 2 else "yes"]} for i in range(10, 60)],
}  # fmt: skip


def task(tmp_path, **changes):
    path = tmp_path / "task001.json"
    path.write_text(json.dumps({**TASK, **changes}))
    return path


def test_a_super_ni_task_is_converted(tmp_path):
    """Each instance under one of the encodings, its references kept."""
    source = open_source(str(task(tmp_path)))
    mapping = choose(find_pack("super_ni"), source.columns, [row for _, row in source.head])
    outcomes = list(Conversion(source, mapping, Options(inverted=0.0)).run())

    assert len(outcomes) == 50
    for number, made in outcomes:
        assert made["turns"][1]["content"] == ("no" if number % 2 == 0 else "yes")
        assert made["labels"]["answers"] == [made["turns"][1]["content"]]
    assert len({made["provenance"]["template"] for _, made in outcomes}) == 5


UNEVEN = [{**one, "output": ["no" if at < 3 else "yes"]} for at, one in enumerate(TASK["Instances"])]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"Instances": TASK["Instances"][:5]}, "5 instances, expected 26 to 6500"),
        ({"Instances": TASK["Instances"] + TASK["Instances"][:1]}, "occur more than once"),
        ({"Instances": [{**one, "output": "yes"} for one in TASK["Instances"]]}, "not lists of texts"),
        ({"Instances": [{**one, "output": ["yes"]} for one in TASK["Instances"]]}, "all outputs are 'yes'"),
        ({"Instances": UNEVEN}, "entropy 0.33"),
        ({"Positive Examples": TASK["Positive Examples"][:1]}, "1 positive examples"),
        ({"Negative Examples": []}, "0 negative examples"),
        ({"Positive Examples": [{"input": "10", "output": "yes", "explanation": "x"}] * 2}, "instances as well"),
        ({"Negative Examples": [{"input": "6", "output": "no"}]}, "has no explanation"),
        ({"Input_language": ["Tamil"]}, "does not name the language 'Tamil'"),
    ],
)  # fmt: skip
def test_task_rules(tmp_path, changes, said):
    """Each rule of the released checks has a task that breaks it; a sound task breaks none."""
    found = problems(task(tmp_path, **changes))

    assert found == [] if said is None else any(said in problem for problem in found), found


def test_entropy():
    """Two even classes are 1, one of many near 0."""
    from collections import Counter

    assert entropy(Counter(yes=5, no=5)) == pytest.approx(1.0)
    assert entropy(Counter(yes=99, no=1)) < 0.1


def test_the_lint_command(tmp_path):
    """Findings on standard output with file and template, exit code 1; nothing found is 0."""
    folder = tmp_path / "pets"
    folder.mkdir()
    template(folder, "{{txt}} ||| {{answer_choices[label]}}")
    rows = tmp_path / "rows"
    rows.mkdir()
    (rows / "pets.jsonl").write_text('{"text": "a", "label": 0}\n')
    bad = CliRunner().invoke(app, ["templates", "lint", str(tmp_path), "--rows", str(rows)])
    good = CliRunner().invoke(app, ["templates", "lint"])

    assert bad.exit_code == 1
    assert "template 'one': unknown_field: uses ['txt']" in bad.output
    assert good.exit_code == 0, good.output
    assert "0 findings" in good.output


def test_the_command_converts_through_a_released_file(data_dir, tmp_path):
    """`--task` takes a promptsource file as it is: every template for every row that has a label."""
    path = data_dir / "promptsource" / "imdb" / "templates.yaml"
    arguments = [
        "convert",
        str(ROWS / "imdb.jsonl"),
        "--task",
        str(path),
        "--each",
        "all",
        "--into",
        str(tmp_path / "out"),
    ]
    done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 0, done.output
    samples = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_bytes().split(b"\n") if line]
    assert len(samples) == 4 * 11
    assert "unlabelled 1" in done.output
