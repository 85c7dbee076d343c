"""The bundled template packs, on hand-written rows laid out as the usual datasets are.

tests/fixtures/rows/<task>.<layout>.jsonl holds the rows of one dataset; a task may have several layouts.
"""

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from instructgen.convert.bank import Compiled, find_pack, pack_of, tasks
from instructgen.convert.choosing import choose
from instructgen.convert.linearise import read_pairs, read_spans, read_triples
from instructgen.convert.lint import lint, lint_pack
from instructgen.convert.options import NO_OPTIONS, STYLES, recover
from instructgen.convert.render import Made, Renderer
from instructgen.files import bundled_dir, iter_rows

FIXTURES = sorted((Path(__file__).parent / "fixtures" / "rows").glob("*.jsonl"))
PROMISED = {
    "sentiment", "topic", "nli", "paraphrase", "mcq", "extractive_qa", "open_qa", "boolean_qa", "summarisation",
    "title", "translation", "grammar", "ner", "relation_extraction", "keywords", "slot_filling", "table_to_text",
    "dialogue", "code_explanation", "arithmetic", "classification", "similarity", "text_to_sql", "dialogue_state",
}  # fmt: skip
UNPRINTED = re.compile(r"\{\{|\}\}|\{%|%\}|\bNone\b|\bUndefined\b|[ \t]\n|\n{4,}|  +\S")
"""Traces of a template that went wrong: braces, Python's None, spaces at the end of a line, double spaces."""


def task_of(path):
    return path.name.split(".")[0]


@cache
def prepared(path):
    """Return (mapping, batch) of a fixture, mapped as `instructgen convert` maps it, with no help."""
    rows = [row for _, row in iter_rows(path)]
    mapping = choose(find_pack(task_of(path)), list(rows[0]), rows, name=path.stem)
    taken = [mapping.take(row) for row in rows]
    return mapping, mapping.batch([row for row, _ in taken], [position for _, position in taken])


def renderings(path, style=NO_OPTIONS, *, by_row=False):
    """Yield (template, row in roles, what it became) for every template and every row that it fits."""
    mapping, batch = prepared(path)
    for template in mapping.pack.templates:
        renderer = Renderer(Compiled(mapping.pack, template), mapping.labels, by_row=by_row)
        fitting = [at for at, fits in enumerate(renderer.fits(batch)) if fits]
        part = batch.take(fitting)
        for number, made in enumerate(renderer.render(part, style)):
            yield template, {role: column[number] for role, column in part.columns.items()}, made


FIXTURE = pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
TASK = pytest.mark.parametrize("task", sorted(PROMISED))


def test_every_task_has_a_pack_and_rows_to_try_it_on():
    """Twenty-four task types; each fixture has ten rows or more."""
    assert set(tasks()) >= PROMISED
    assert {task_of(path) for path in FIXTURES} == PROMISED
    assert min(len(path.read_text(encoding="utf-8").splitlines()) for path in FIXTURES) >= 10


@TASK
def test_pack_is_rich_in_wordings_and_styles(task):
    """At least 8 templates, 2 of them inverted; questions, commands and scenarios; no two ask the same."""
    templates = find_pack(task).templates
    straight = [template for template in templates if not template.inverted]
    words = {re.sub(r"\W+", " ", template.input).lower().strip() for template in templates}

    assert len(templates) >= 8
    assert sum(template.inverted for template in templates) >= 2
    assert {template.style for template in straight} >= {"question", "imperative", "scenario"}
    assert len(words) == len(templates)


@TASK
def test_inverted_templates_do_not_count_as_the_original_task(task):
    """A template that turns the task round asks for something that the dataset was not made for."""
    assert not [t.name for t in find_pack(task).templates if t.inverted and t.original_task]


@pytest.mark.parametrize("style", [NO_OPTIONS, STYLES[0], STYLES[4], STYLES[6]], ids=["none", "A", "a", "plain"])
@FIXTURE
def test_every_rendering_is_whole(path, style):
    """Every template puts every row that it fits into words: nothing empty, no trace of Jinja or of missing values."""
    made = list(renderings(path, style))

    assert [f"{t.name}: {m}" for t, _, m in made if not isinstance(m, Made)] == []
    assert [f"{t.name}: {m}" for t, _, m in made if not m.input or not m.target] == []
    traces = [(t.name, m) for t, row, m in made if UNPRINTED.search(m.input + m.target) and "code" not in row]
    assert traces == []


@TASK
def test_every_template_fits_some_row(task):
    """No condition is false for all rows of all fixtures of its task."""
    used = {t.name for path in FIXTURES if task_of(path) == task for t, _, _ in renderings(path)}

    assert {t.name for t in find_pack(task).templates} - used == set()


@FIXTURE
def test_every_layout_gets_many_templates(path):
    """A dataset without the optional fields, or with unusual classes, is still put into words in many ways."""
    assert len({t.name for t, _, _ in renderings(path)}) >= 7


@FIXTURE
def test_batches_and_single_rows_say_the_same(path):
    """Rendering a batch at once and row by row give the same texts."""
    assert list(renderings(path)) == list(renderings(path, by_row=True))


@pytest.mark.parametrize("style", STYLES, ids=lambda style: f"{style.mode} {style.form} {style.names}")
@FIXTURE
def test_label_is_recoverable_from_the_target(path, style):
    """Of every straight template, with any list of options, the target alone gives back the row's own label."""
    mapping, _ = prepared(path)
    if mapping.pack.label_field is None:
        return
    for template, row, made in renderings(path, style):
        if template.inverted or not template.original_task:
            continue
        at = recover(made.target, made.choices, made.letters)
        labels = mapping.labels or row[mapping.pack.choices_field]

        assert at is not None, (template.name, made)
        assert labels[at] == row[mapping.pack.label_field], (template.name, made)


@FIXTURE
def test_options_flag_says_what_the_input_shows(path):
    """A template marked `choices_shown` prints every choice in its input; no other one prints all of them by itself."""
    mapping, _ = prepared(path)
    if mapping.pack.label_field is None:
        return
    for template, _, made in renderings(path):
        shown = all(choice in made.input for choice in made.choices)
        if template.choices_shown:
            assert shown, (template.name, made)
        elif not template.inverted:
            assert "choices" not in template.input, template.name


READERS = {
    "ner": ("spans", "| spans }}", read_spans),
    "relation_extraction": ("triples", "| triples }}", read_triples),
    "slot_filling": ("slots", "| pairs }}", read_pairs),
}


@pytest.mark.parametrize("path", [p for p in FIXTURES if task_of(p) in READERS], ids=lambda path: path.stem)
def test_structure_is_recoverable_from_the_target(path):
    """Spans, triples and slots that were put into words are read back as they were."""
    field, mark, read = READERS[task_of(path)]
    checked = 0
    for template, row, made in renderings(path):
        if not template.inverted and template.target.strip().endswith(mark) and "|" not in template.target[:-20]:
            assert read(made.target) == row[field], template.name
            checked += 1

    assert checked >= 30


@FIXTURE
def test_json_answers_parse(path):
    """Where JSON is asked for, the target is JSON that holds what the row holds."""
    for template, row, made in renderings(path):
        if "JSON" in template.input:
            value = json.loads(made.target)
            field = {"ner": "spans", "relation_extraction": "triples", "keywords": "keywords"}.get(task_of(path))
            expected = row[field] if field else dict(row["slots"])

            assert value == expected, template.name


ANSWERS = {
    "summarisation": "summary", "title": "title", "translation": "translation", "grammar": "corrected",
    "dialogue": "response", "code_explanation": "explanation", "arithmetic": "answer_text", "table_to_text": "text",
}  # fmt: skip


@pytest.mark.parametrize("path", [p for p in FIXTURES if task_of(p) in ANSWERS], ids=lambda path: path.stem)
def test_answer_of_the_row_is_in_the_target_and_not_in_the_input(path):
    """The dataset's own answer is what a straight template has the assistant say, and the user does not say it."""
    field = ANSWERS[task_of(path)]
    for template, row, made in renderings(path):
        if template.inverted or not template.original_task or ("corrected" in row and row["text"] == row["corrected"]):
            continue

        assert row[field] in made.target, template.name
        if field != "answer_text":  # a small number may well occur in the problem
            assert row[field] not in made.input, template.name


@pytest.mark.parametrize("path", [p for p in FIXTURES if "_qa" in task_of(p)], ids=lambda path: path.stem)
def test_inverted_questions_are_the_datasets_own(path):
    """Templates that ask for the question get it, and do not show it."""
    asked = [(t, row, m) for t, row, m in renderings(path) if t.inverted and t.target == "{{ question }}"]

    assert asked
    assert [t.name for t, row, m in asked if m.target != row["question"] or row["question"] in m.input] == []


def test_unanswerable_questions_are_said_to_be_so():
    """Rows without an answer are not answered: the target says so, or the template does not fit."""
    (path,) = [p for p in FIXTURES if task_of(p) == "extractive_qa"]
    said = {m.target for t, row, m in renderings(path) if not row["answers"] and not t.inverted}

    assert said == {"not answerable", "My notes do not say.", "no"}


@pytest.mark.parametrize("task", tasks())
def test_lint_finds_nothing(task):
    """Every bundled pack is clean under our own lint."""
    assert [str(finding) for finding in lint(bundled_dir("templates") / f"{task}.yaml")] == []


def damaged(task, **changes):
    """Return what lint says of a pack whose first template was changed."""
    data = yaml.safe_load((bundled_dir("templates") / f"{task}.yaml").read_text(encoding="utf-8"))
    data["templates"][0].update({key: change(data["templates"][0][key]) for key, change in changes.items()})
    return {finding.kind for finding in lint_pack(pack_of(data, task))}


@TASK
def test_lint_sees_damage_to_a_pack(task):
    """A stray "n" and a template that was copied are found in any of the packs: the clean result means something."""
    first, second = find_pack(task).templates[:2]
    copied = {"input": lambda _: second.input, "target": lambda _: second.target}
    same_rules = first.choices == second.choices and first.condition == second.condition

    assert damaged(task, input=lambda text: text + "\n{{ " + next(iter(find_pack(task).fields)) + " }}n") >= {
        "leftover"
    }
    assert not same_rules or "duplicate" in damaged(task, **copied)


@pytest.mark.parametrize("task", ["topic", "boolean_qa", "sentiment", "paraphrase", "nli"])
def test_lint_sees_a_label_that_is_lost(task):
    """A target that no longer depends on the label is found."""
    assert damaged(task, target=lambda _: "It is hard to say.") >= {"unrecoverable"}


@TASK
def test_readme_table_names_the_fields_of_the_pack(task):
    """templates/README.md lists every pack with its fields; optional ones carry a question mark."""
    readme = (bundled_dir("templates") / "README.md").read_text(encoding="utf-8")
    (told,) = re.findall(rf"^\| {task} \| (.*) \|$", readme, re.MULTILINE)

    for name, role in find_pack(task).fields.items():
        assert re.search(rf"\b{name}\?" if role.optional else rf"\b{name}\b(?!\?)", told), name
