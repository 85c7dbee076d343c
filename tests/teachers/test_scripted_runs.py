"""Whole runs with an ordered script: where it ends, and where the next sitting goes on."""

import json

import pytest

from instructgen.errors import MissingAnswer
from instructgen.filters.instruction_rules import InstructionRules
from instructgen.filters.rouge import Rouge
from instructgen.generators.self_instruct import SelfInstruct
from instructgen.recipe import Recipe
from instructgen.run import Run
from instructgen.sitting import generate
from instructgen.teachers.practice import answer
from instructgen.teachers.scripted import ScriptedTeacher


def recipe(teacher, target=12):
    return Recipe(
        seed=9, target=target, window=32, teacher=teacher, generator=SelfInstruct(ideas=2),
        filters=(InstructionRules(), Rouge()),
    )  # fmt: skip


@pytest.fixture
def script(tmp_path):
    """Lines that answer every request of the run in the order of asking, as the practice teacher would."""
    lines = []

    def noted(request):
        said = answer(request)
        line = {"refusal": said.refusal, "message": said.message} if said.refusal else {"reply": said.content}
        lines.append(json.dumps(line))
        return said

    # Window 1, as an ordered script has it: what is asked depends on it.
    alone = recipe(ScriptedTeacher(function=noted, concurrency=1, model="scripted"))
    generate(alone.model_copy(update={"window": 1}), tmp_path / "noted")
    return lines


def run(folder, lines, **more):
    path = folder.parent / f"{folder.name}.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return generate(recipe(ScriptedTeacher(replies=str(path)), **more), folder)


def test_a_list_answers_a_whole_run_in_order(tmp_path, script):
    """With window and concurrency 1, and a note that says so."""
    outcome = run(tmp_path / "list", script)

    assert outcome.ending == "target"
    assert Run(tmp_path / "list").recipe["window"] == 1
    assert any("in order: window and concurrency are 1" in note for note in outcome.notes)
    samples = [sample.id for sample in Run(tmp_path / "list").samples()]
    assert samples == [sample.id for sample in Run(tmp_path / "noted").samples()]


@pytest.mark.parametrize("share", [0.1, 0.35, 0.5, 0.8])
def test_a_list_that_ran_out_goes_on_where_it_stopped_once_it_has_grown(tmp_path, script, share):
    """The slot that found no reply stays open; the same bytes in the end as in one go."""
    run(tmp_path / "whole", script)
    with pytest.raises(MissingAnswer, match="replies and all are used; add more at its end"):
        run(tmp_path / "parts", script[: max(1, int(share * len(script)))])
    outcome = run(tmp_path / "parts", script)

    assert outcome.ending == "target"
    decisions = [(tmp_path / name / "decisions.jsonl").read_bytes() for name in ("whole", "parts")]
    assert decisions[0] == decisions[1]


def test_raising_the_target_takes_the_next_line(tmp_path, script):
    """Lines that were used are not handed out again."""
    run(tmp_path / "grown", script, target=5)
    outcome = run(tmp_path / "grown", script)
    run(tmp_path / "whole", script)

    assert outcome.ending == "target"
    decisions = [(tmp_path / name / "decisions.jsonl").read_bytes() for name in ("whole", "grown")]
    assert decisions[0] == decisions[1]
