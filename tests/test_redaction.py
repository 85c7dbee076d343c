"""Redaction reaches what is written: in `clean` and in a run."""

import json

from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.run import Run

MAIL = "It is ann.lee@firm-post.com, as agreed."
ROWS = [
    {"instruction": "Write the address of the office down.", "input": "", "output": MAIL},
    {"instruction": "Say what the office sells.", "input": "", "output": "It sells paper.", "topic": "shop"},
]  # fmt: skip


def run(*arguments):
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_clean_writes_redacted_rows(tmp_path):
    """A kept row is written with what was redacted taken out; the others stay as they are."""
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "recipe.yaml").write_text("filters: [{kind: pii, act: {email: redact}}]\n")
    run("clean", tmp_path / "rows.jsonl", "--recipe", tmp_path / "recipe.yaml", "--into", tmp_path / "out")
    kept = [json.loads(line) for line in (tmp_path / "out" / "kept.jsonl").read_text().splitlines()]

    assert kept[0]["output"] == "It is [EMAIL], as agreed."
    assert kept[1] == ROWS[1]


def test_a_run_accepts_redacted_samples(tmp_path):
    """What the teacher said stays in the store; the accepted sample is redacted."""
    replies = ["Write the address of the office down.", "No", f"Output: {MAIL}"]
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps({"reply": text}) + "\n" for text in replies))
    (tmp_path / "recipe.yaml").write_text(
        "target: 1\nteacher: {kind: scripted, replies: replies.jsonl}\ngenerator: {kind: self_instruct}\n"
        "filters: [{kind: pii, act: {email: redact}}]\n"
    )
    run("generate", tmp_path / "recipe.yaml", "--into", tmp_path / "run")
    (sample,) = Run(tmp_path / "run").samples()

    assert sample.output == "It is [EMAIL], as agreed."
    assert sample.id == sample.content_id()
    run("verify", tmp_path / "run")
