"""What a run was last told holds until a flag or an edit of its recipe file says otherwise."""

import os
import pty
import select
import shlex
import signal
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.cli.generate import go_on_command
from instructgen.recipe import held
from instructgen.run import Run

PRACTICE = "{kind: scripted, function: 'instructgen.teachers.practice:answer', concurrency: 4}"


@pytest.fixture
def recipe(tmp_path):
    """A recipe file of 30 samples."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"target: 30\nwindow: 3\nteacher: {PRACTICE}\ngenerator: {{kind: self_instruct}}\n")
    return path


def generate(recipe, *more, code=0):
    into = recipe.parent / "run"
    done = CliRunner().invoke(app, ["generate", str(recipe), "--into", str(into), *map(str, more)])
    assert done.exit_code == code, done.output
    return Run(into).target, done.output


def edit(recipe, **changes):
    recipe.write_text(yaml.safe_dump(yaml.safe_load(recipe.read_text()) | changes))


def test_a_target_without_a_flag_is_the_runs_own(recipe):
    """--target 12 holds at the next start, and the command says so and what would change it."""
    assert generate(recipe, "--target", 12)[0] == 12
    target, said = generate(recipe)

    assert target == 12
    assert "target 12, as this run was last told" in said
    assert "--target 30" in said
    assert generate(recipe, "--target", 14)[0] == 14
    assert generate(recipe)[0] == 14


def test_an_edit_of_the_recipe_file_counts_more_than_an_old_flag(recipe):
    """Whoever changes `target: 30` to 16 means it; a flag given now counts more than both."""
    generate(recipe, "--target", 12)
    edit(recipe, target=16)
    target, said = generate(recipe)

    assert target == 16
    assert "as this run was last told" not in said
    edit(recipe, target=20)
    assert generate(recipe, "--target", 18)[0] == 18
    assert generate(recipe)[0] == 18


def test_a_run_that_goes_on_without_its_recipe_still_knows_what_the_file_said(recipe):
    """A sitting without RECIPE in between does not make the file look edited."""
    generate(recipe, "--target", 12)
    CliRunner().invoke(app, ["generate", "--into", str(recipe.parent / "run"), "--target", "13"])

    assert generate(recipe)[0] == 13


def test_a_budget_by_flag_does_not_fall_away(recipe):
    """A cap that was given once still caps when the command is run again without it."""
    edit(recipe, teacher=yaml.safe_load(PRACTICE) | {"price": {"input": 1, "output": 1}})
    generate(recipe, "--target", 12, "--budget", 3, "--concurrency", 2)
    generate(recipe)
    frozen = Run(recipe.parent / "run").recipe

    assert frozen["budget"]["usd"] == 3
    assert frozen["teacher"]["concurrency"] == 2


def test_another_seed_is_another_run_and_the_message_says_how_to_go_on(recipe):
    """What decides the slots is not merged in silence."""
    generate(recipe, "--target", 12, "--seed", 5)
    said = generate(recipe, code=1)[1]

    assert "seed: 5 -> 0" in said
    assert "leaving the recipe out" in said


@pytest.mark.parametrize(
    ("told", "then", "now", "expected"),
    [
        ({"target": 100}, {"target": 2000}, {"target": 2000}, {"target": 100}),
        ({"target": 100}, {}, {}, {"target": 100}),
        ({"target": 100}, {"target": 2000}, {"target": 500}, {}),
        ({"target": 100}, {}, {"target": 500}, {}),
        ({"target": 100}, {"target": 2000}, {}, {}),
        ({"budget": {"usd": 5}}, {}, {}, {"budget": {"usd": 5}}),
        (
            {"teacher": {"kind": "openai", "base_url": "http://a", "concurrency": 4}},
            {"teacher.concurrency": 8},
            {"teacher": {"kind": "openai", "concurrency": 9}},
            {"teacher": {"base_url": "http://a"}},
        ),
        ({"teacher": {"kind": "openai", "concurrency": 4}}, {}, {"teacher": {"kind": "local"}}, {}),
        ({"seed": 5, "name": "a"}, {}, {}, {}),
    ],
)
def test_held(told, then, now, expected):
    """Key by key: the run's word, unless the file was edited at that key."""
    assert held(told, then, now) == expected


def test_ctrl_c_before_there_is_a_run_prints_the_command_that_was_typed(recipe, tmp_path):
    """The short form would name a run that does not exist; the long one works."""
    seeds = tmp_path / "my seeds.jsonl"
    os.mkfifo(seeds)  # nobody writes: reading the seeds takes for ever
    command = ["generate", str(recipe), "--into", str(tmp_path / "run"), "--seeds", str(seeds)]
    process = subprocess.Popen([sys.executable, "-m", "instructgen", *command], stderr=subprocess.PIPE, text=True)
    with seeds.open("wb"):  # returns when the command reads
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in said
    assert shlex.split(said.partition("go on with: ")[2]) == ["instructgen", *command]


def test_the_command_to_go_on_says_what_a_run_does_not_remember(recipe, tmp_path):
    """--reuse and --unsafe-code are of the sitting; recipe and target are the run's."""
    generate(recipe, "--target", 5)

    assert shlex.split(go_on_command(tmp_path / "run", ["--reuse", "an other"])) == [
        "instructgen", "generate", "--into", str(tmp_path / "run"), "--reuse", "an other"
    ]  # fmt: skip


def at_a_terminal(words, answer):
    """Run the command at a pseudo-terminal of its own and answer its question; returns (exit code, what it showed)."""
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, [sys.executable, "-m", "instructgen", *words])
    shown, answered = b"", False
    while True:
        try:
            waits = not select.select([terminal], [], [], 10)[0]  # Ctrl-C just before the read is not seen by Python
            if b"[y/N]" in shown and (waits or not answered):
                answered = os.write(terminal, answer) > 0
            said = b"" if waits else os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not said and not waits:
            break
        shown += said
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b"y\n", 0, "Target reached: 30 samples"),
        (b"n\n", 0, "The pilot is done; its answers are part of the run"),
        (b"\x03", 130, "Interrupted. Nothing bought is lost; go on with: instructgen generate --into"),
    ],
)
def test_the_pilots_question_at_a_terminal(recipe, answer, code, said):
    """Yes goes on at once, no ends after the pilot, Ctrl-C says how to go on."""
    recipe.write_text(recipe.read_text() + "filters: [{kind: shape}, {kind: rouge}]\n")
    into = str(recipe.parent / "run")
    ended, shown = at_a_terminal(["generate", str(recipe), "--into", into, "--estimate", "--pilot", "1"], answer)

    assert "Forecast for 30 samples" in shown
    assert "Go on to the target?" in shown
    assert said in shown
    assert ended == code


def test_without_a_terminal_the_pilot_ends_with_its_forecast(recipe):
    """Nobody is there to say yes to the cost."""
    _, said = generate(recipe, "--estimate", "--pilot", 1)

    assert "Forecast for 30 samples" in said
    assert "Go on to the target?" not in said
    assert "Go on without --estimate" in said
    assert "Target reached" in generate(recipe)[1]


def test_a_pilot_that_reaches_the_target_says_so(recipe):
    """Twenty slots can be more than was asked for: there is nothing left to forecast, and no question."""
    _, said = generate(recipe, "--estimate", "--target", 3)

    assert "There is nothing to forecast: the pilot of 20 slots reached the target" in said
    assert "Target reached: 3 samples" in said


def test_a_budget_for_no_slot_at_all_is_an_error(recipe):
    """Nothing was begun; a script that goes on to an export is stopped. A budget that ends later is an ending."""
    recipe.write_text(recipe.read_text().replace("target:", "budget: {tokens: 1}\ntarget:"))
    _, said = generate(recipe, code=1)

    assert "The budget does not cover another slot" in said
    assert "budget.tokens 1: 0 spent, and the next slot may take" in said
