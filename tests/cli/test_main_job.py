"""The main job through the command line: generate, report, why, verify, export, load."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.run import Run
from tests.conftest import ROOT

PRACTICE = "{kind: scripted, function: 'instructgen.teachers.practice:answer'}"


def run(*arguments, code=0):
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    """A finished run of the practice recipe, 60 samples."""
    into = tmp_path_factory.mktemp("practice") / "run"
    run("generate", "practice.yaml", "--into", into, "--target", 60)
    return into


def test_running_again_buys_nothing_and_says_so(practice):
    """A finished run goes on from its end."""
    before = (practice / "decisions.jsonl").read_bytes()
    said = run("generate", "practice.yaml", "--into", practice, "--target", 60).output

    assert "bought now: 0 (nothing" in said
    assert (practice / "decisions.jsonl").read_bytes() == before


def test_a_run_goes_on_without_naming_its_recipe(practice, tmp_path):
    """The directory is complete in itself: recipe, seeds and prompts are in it."""
    import shutil

    into = tmp_path / "copy"
    shutil.copytree(practice, into)
    said = run("generate", "--into", into, "--target", 70).output

    assert "70 samples" in said
    assert len(list(Run(into).samples())) == 70


def test_an_unfinished_run_is_said_to_be_so_at_export(practice, tmp_path):
    """A dataset smaller than its run's target never passes for a finished one."""
    import shutil

    into = tmp_path / "copy"
    shutil.copytree(practice, into)
    run("generate", "practice.yaml", "--into", into, "--target", 5_000, "--offline", code=1)

    assert "is not finished" in run("export", into, "--into", tmp_path / "dataset").output
    assert "is not finished" not in run("export", practice, "--into", tmp_path / "finished").output


def test_verbose_writes_a_log_into_the_run(tmp_path):
    """-v leaves run.log beside the other files; without it there is none."""
    for name, flags in (("quiet", []), ("loud", ["-v"])):
        run("generate", "practice.yaml", "--into", tmp_path / name, "--target", 5, *flags)

    assert "slot 0 closed" in (tmp_path / "loud" / "run.log").read_text()
    assert not (tmp_path / "quiet" / "run.log").exists()


def test_flags_alone_make_a_run(tmp_path):
    """No recipe file is needed."""
    teacher = "scripted:instructgen.teachers.practice:answer"
    run(
        "generate",
        "--into",
        tmp_path / "run",
        "--teacher",
        teacher,
        "--generator",
        "alpaca",
        "--target",
        12,
        "--seed",
        3,
    )
    recipe = Run(tmp_path / "run").recipe

    assert (recipe["generator"]["kind"], recipe["target"], recipe["seed"]) == ("alpaca", 12, 3)
    assert [f["kind"] for f in recipe["filters"]] == ["instruction_rules", "instance_rules", "rouge"]


def test_report_counts_add_up(practice):
    """The funnel holds every rejected candidate."""
    known = json.loads(run("report", practice, "--json").stdout)

    assert known["parsed"] == known["accepted"] + sum(count for _, _, count in known["funnel"])
    assert known["in_dataset"] == 60
    assert known["accepted"] == 60 + known["held_back"]
    assert known["ending"] == "target"
    text = run("report", practice).output
    assert "60 of 60 samples" in text
    for stage, reason, count in known["funnel"]:
        assert f"{stage}/{reason}" in text
        assert str(count) in text


def test_why_tells_the_life_of_an_accepted_row(practice):
    """Seeds, prompts, requests, raw replies and every filter's verdict."""
    sample = next(s for s in Run(practice).samples() if len(s.provenance.requests) >= 3)
    said = run("why", practice, sample.id[:12]).output

    assert "accepted" in said
    for parent in sample.provenance.parents:
        assert parent in said
    for request in sample.provenance.requests:
        assert request in said
    for name, value in sample.provenance.prompts.items():
        assert f"prompt {name}: sha256 {value}" in said
    assert "raw reply" in said
    assert sample.instruction in said
    for check in ("shape", "instruction_rules", "instance_rules", "rouge"):
        assert f"{check}: passed" in said


def test_why_tells_the_life_of_a_rejected_candidate(practice):
    """The reason and its evidence, and what led there."""
    for slot in Run(practice).slots():
        for number, line in enumerate(slot.lines):
            if line.get("rejected", {}).get("reason") == "too_short":
                said = run("why", practice, f"{slot.number}.{number}").output
                assert "rejected: filter/too_short" in said
                assert "raw reply" in said
                assert "shape: passed" in said
                assert "instruction_rules: too_short" in said
                return
    pytest.fail("no candidate was too short: the practice teacher has changed")


def test_a_rejected_one_is_found_from_the_report_with_what_it_is_too_close_to(tmp_path):
    """The report names a place for each reason; there `why` shows the nearest kept texts, not their ids alone."""
    into = tmp_path / "run"
    run("generate", "practice.yaml", "--into", into, "--target", 100)
    known = json.loads(run("report", into, "--json").output)
    place = known["examples"]["filter/near_duplicate"]

    assert f"filter/near_duplicate  (see: why DIR {place})" in run("report", into).output
    said = run("why", into, place).output
    assert "rejected: filter/near_duplicate" in said
    near, text = said.split("the nearest kept ones\n")[1].splitlines()[0].strip().split(": ", 1)
    kept = {sample.id: sample.instruction for sample in Run(into).samples(-1)}
    kept |= {seed.id: seed.instruction for seed in Run(into).seeds()}
    assert kept[near] == text


def test_verify_finds_a_sound_run_sound_and_a_changed_sample(practice, tmp_path):
    """A store that lacks a charged answer is not sound."""
    import shutil
    import sqlite3

    assert "sound" in run("verify", practice).output
    into = tmp_path / "copy"
    shutil.copytree(practice, into)
    charged = next(Run(into).slots()).closed["charged"][0]
    with sqlite3.connect(into / "completions.db") as database:
        database.execute("delete from completions where hash = ?", (charged,))
    said = run("verify", into, code=1).output
    assert "not in the store" in said


def test_scripted_replies_from_a_file_are_handed_out_in_order(tmp_path):
    """Window and concurrency are 1, and that is said; running out names the slot and leaves it open."""
    ideas = "Say the name of the third planet from the sun.\n10. Name three rivers that flow through Vienna today."
    replies = [ideas, "No", "No", "Output: Earth", "Output: Danube, Wien, Liesing"]
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps({"reply": text}) + "\n" for text in replies))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "teacher: {kind: scripted, replies: replies.jsonl}\ngenerator: {kind: self_instruct}\ntarget: 2\n"
    )
    said = run("generate", recipe, "--into", tmp_path / "run").output
    assert "window and concurrency are 1" in said
    assert [s.output for s in Run(tmp_path / "run").samples()] == ["Earth", "Danube, Wien, Liesing"]

    said = run("generate", recipe, "--into", tmp_path / "run", "--target", 3, code=1).output
    assert "replies.jsonl" in said
    assert sum(1 for _ in Run(tmp_path / "run").slots()) == 1


UNICODE = [
    {
        "instruction": "把下面的句子翻译成英文,并解释其中的成语。",
        "input": "他总是画蛇添足。",
        "output": "He always gilds the lily.",
    },
    {
        "instruction": "اكتب جملة قصيرة تصف شروق الشمس فوق البحر.",
        "input": "",
        "output": "أشرقت الشمس فوق البحر الهادئ.",
    },
    {
        "instruction": "Explain each emoji in one word 🦉🎻 please now.",
        "input": "🦉🎻👩🏽‍🚀",
        "output": "owl, violin, astronaut 👩🏽‍🚀",
    },
    {
        "instruction": "Summarise the long text in one sentence please.",
        "input": "字🦉é " * 12_000,
        "output": "x" * 50_000,
    },
]


def test_any_script_and_length_goes_through_unharmed(tmp_path):
    """Chinese, Arabic, emoji and 50 kB, in seeds and answers, whatever the locale of the process."""
    seeds, replies = tmp_path / "seeds.jsonl", tmp_path / "replies.jsonl"
    seeds.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in UNICODE), encoding="utf-8")
    texts = ["写一首关于秋天的短诗,四行即可,不要标题。", "No", f"Output: 秋叶🍁{'落' * 20_000}"]
    replies.write_text("".join(json.dumps({"reply": t}, ensure_ascii=False) + "\n" for t in texts), encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "target: 1\nseeds: seeds.jsonl\nteacher: {kind: scripted, replies: replies.jsonl}\n"
        "generator: {kind: self_instruct}\n"
        "filters: [{kind: instruction_rules}, {kind: instance_rules}, {kind: rouge}]\n"
    )
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PATH": "/usr/bin:/bin"}
    into = tmp_path / "run"
    for command in (
        ["generate", str(recipe), "--into", str(into)], ["report", str(into)], ["why", str(into), "0.0"],
        ["verify", str(into)], ["export", str(into), "--into", str(tmp_path / "dataset")],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "instructgen", *command], capture_output=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr.decode()

    (sample,) = Run(into).samples()
    assert (sample.instruction, sample.output) == (texts[0], texts[2].removeprefix("Output: "))
    row = json.loads((tmp_path / "dataset" / "jsonl" / "alpaca-train.jsonl").read_text(encoding="utf-8"))
    assert row["output"] == sample.output
    assert [seed.instances[0].input for seed in Run(into).seeds()] == [row["input"] for row in UNICODE]


def test_the_sample_in_data_is_current(tmp_path):
    """data/sample.jsonl is what the practice recipe writes today; `make sample` remakes it."""
    run("generate", "practice.yaml", "--into", tmp_path / "run", "--target", 22)
    run("export", tmp_path / "run", "--format", "alpaca", "--into", tmp_path / "dataset")
    made = (tmp_path / "dataset" / "jsonl" / "alpaca-train.jsonl").read_text(encoding="utf-8")

    assert (ROOT / "data" / "sample.jsonl").read_text(encoding="utf-8") == made


def test_init_gives_something_that_runs(tmp_path):
    """The scaffold's recipe works with its own seeds and prompts."""
    run("init", tmp_path / "mine")
    said = run("generate", tmp_path / "mine" / "recipe.yaml", "--into", tmp_path / "run", "--target", 5,
               "--teacher", "scripted:instructgen.teachers.practice:answer").output  # fmt: skip

    assert "5 samples" in said
    assert Path(Run(tmp_path / "run").recipe["seeds"]) == tmp_path / "mine" / "seeds.jsonl"
    assert Path(Run(tmp_path / "run").recipe["prompts"]) == tmp_path / "mine" / "prompts"


@pytest.mark.parametrize(
    "kind", ["filters", "formats", "generators", "prompts", "recipes", "seeds", "teachers", "templates"]
)
def test_list_shows_what_there_is(kind):
    """Each kind has members; classes show their options."""
    said = run("list", kind).stdout

    assert len(said.splitlines()) >= 1
    if kind == "filters":
        assert "threshold (default 0.7)" in said
