"""The recorded teacher: a run's answers again, without its teacher."""

import json

import pytest

from instructgen.errors import MissingAnswer, RunError, TeacherError
from instructgen.filters.instruction_rules import InstructionRules
from instructgen.filters.rouge import Rouge
from instructgen.generators.self_instruct import SelfInstruct
from instructgen.recipe import Recipe
from instructgen.run import Run
from instructgen.sitting import generate
from instructgen.teachers.practice import answer
from instructgen.teachers.prices import FREE
from instructgen.teachers.recorded import RecordedTeacher
from instructgen.teachers.scripted import ScriptedTeacher

FILTERS = (InstructionRules(), Rouge())


def recipe(teacher, target=60, filters=FILTERS, seed=1):
    return Recipe(seed=seed, target=target, window=4, teacher=teacher, generator=SelfInstruct(ideas=3), filters=filters)


@pytest.fixture
def first(tmp_path):
    """A finished run of the practice teacher."""
    into = tmp_path / "first"
    generate(recipe(ScriptedTeacher(function=answer, model="practice-1", concurrency=2)), into)
    return into


def lines(folder):
    """The candidates' lines without the recipe's hash, which names the teacher's kind."""
    rows = [json.loads(line) for line in (folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row.pop("chain", None)
        (row.get("accepted") or row.get("rejected") or {}).get("provenance", {}).pop("recipe", None)
        ((row.get("rejected") or {}).get("sample") or {}).get("provenance", {}).pop("recipe", None)
    return rows


def test_a_run_can_be_repeated_from_its_answers(first, tmp_path):
    """Same decisions, under the recorded model's name and terms, at no cost."""
    teacher = RecordedTeacher(run=str(first))
    outcome = generate(recipe(teacher), tmp_path / "second")

    assert outcome.ending == "target"
    assert lines(tmp_path / "second") == lines(first)
    sample = next(Run(tmp_path / "second").samples())
    assert (sample.provenance.teacher, teacher.identity) == ("practice-1", "practice-1")
    assert sample.provenance.terms == teacher.licence == "scripted: as its author says"
    assert teacher.known_price() == FREE


def test_a_repeated_run_can_itself_be_repeated(first, tmp_path):
    """The model's name goes through."""
    generate(recipe(RecordedTeacher(run=str(first))), tmp_path / "second")
    outcome = generate(recipe(RecordedTeacher(run=str(tmp_path / "second"))), tmp_path / "third")

    assert outcome.ending == "target"
    assert lines(tmp_path / "third") == lines(first)


def test_a_request_that_was_never_asked_is_an_error_that_names_slot_and_prompt(first, tmp_path):
    """Beyond the end of the recorded run, and from the start with another seed."""
    with pytest.raises(MissingAnswer, match=r"slot \d+: .*first holds no answer to prompt 'self_instruct\.\w+'"):
        generate(recipe(RecordedTeacher(run=str(first)), target=600), tmp_path / "longer")
    assert len(lines(tmp_path / "longer")) >= len(lines(first))
    with pytest.raises(MissingAnswer, match=r"slot 0: .*its seed, seeds, prompts and generator"):
        generate(recipe(RecordedTeacher(run=str(first)), seed=2), tmp_path / "other")


def test_stricter_filters_decide_again_over_the_same_answers(first, tmp_path):
    """As far as the prompts stay the same: the first window draws from the seeds alone."""
    stricter = (InstructionRules(min_words=19), Rouge())
    outcome = generate(recipe(RecordedTeacher(run=str(first)), target=12, filters=stricter), tmp_path / "strict")

    assert outcome.ending == "target"
    assert outcome.progress.reasons["filter/too_short"] > 0


def test_something_that_is_no_run_is_an_error_that_names_it(tmp_path):
    """As for every command that reads a run."""
    with pytest.raises(RunError, match=r"nowhere is not a run"):
        generate(recipe(RecordedTeacher(run=str(tmp_path / "nowhere"))), tmp_path / "second")


def test_a_run_without_answers_is_an_error(first):
    """There is nothing to repeat, not even a model's name."""
    (first / "decisions.jsonl").write_bytes(b"")
    for path in first.glob("completions.db*"):
        path.unlink()
    Run(first).path.joinpath("completions.db").touch()
    with pytest.raises((TeacherError, RunError)):
        _ = RecordedTeacher(run=str(first)).identity


def test_the_model_is_known_from_the_store_where_nothing_was_accepted(first):
    """From the requests themselves."""
    (first / "decisions.jsonl").write_bytes(b"")
    assert RecordedTeacher(run=str(first)).identity == "practice-1"
