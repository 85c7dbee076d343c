"""Judges in `clean`: asked through a teacher, stored, never asked twice."""

import json

import pytest
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.store import Store
from tests.servers.openai_server import serve

ROWS = [
    {"instruction": f"Name the capital of country number {i}.", "input": "", "output": f"City {i} is the capital."}
    for i in range(12)
]


def score(body):
    """Give even rows 5 and odd rows 1, in JSON."""
    text = body["messages"][-1]["content"]
    number = next(i for i in range(11, -1, -1) if f"country number {i}." in text)
    criteria = ("instruction_following", "correctness", "helpfulness")
    return json.dumps(dict.fromkeys(criteria, 5 if number % 2 == 0 else 1))


@pytest.fixture
def work(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def clean(url, *more, model="judge-model"):
        (tmp_path / "recipe.yaml").write_text(
            f"teacher: {{kind: openai, model: {model}, base_url: '{url}', concurrency: 4}}\n"
            "filters: [{kind: judge, keep_at_least: 4}, {kind: exact}]\n"
        )
        arguments = ["clean", str(tmp_path / "rows.jsonl"), "--recipe", str(tmp_path / "recipe.yaml"),
                     "--into", str(tmp_path / "out"), *more]  # fmt: skip
        return CliRunner().invoke(app, arguments)

    return tmp_path, clean


def test_a_judge_decides_what_is_kept_and_its_scores_stay(work):
    """Six of twelve are kept; accepted lines carry the score, rejected ones the evidence."""
    folder, clean = work
    with serve(answer=score) as server:
        done = clean(server.url)
    assert done.exit_code == 0, done.output
    kept = [json.loads(line) for line in (folder / "out" / "kept.jsonl").read_text().splitlines()]
    assert kept == ROWS[::2]
    lines = [json.loads(line) for line in (folder / "out" / "decisions.jsonl").read_text().splitlines()]
    scores = [line["accepted"]["notes"]["judge"]["score"] for line in lines if "accepted" in line]
    reasons = [(line["rejected"]["stage"], line["rejected"]["reason"]) for line in lines if "rejected" in line]
    assert scores == [5.0] * 6
    assert reasons == [("judge", "low_score")] * 6


def test_a_second_clean_asks_nothing(work):
    """The answers are in the folder's store."""
    folder, clean = work
    with serve(answer=score) as server:
        clean(server.url)
        before, kept = server.bill.requests, (folder / "out" / "kept.jsonl").read_bytes()
        done = clean(server.url)
    assert done.exit_code == 0, done.output
    assert (server.bill.requests, before) == (12, 12)
    assert (folder / "out" / "kept.jsonl").read_bytes() == kept
    store = Store(folder / "out" / "completions.db", read_only=True)
    assert store.count() == 12
    store.close()


def test_another_judge_model_is_another_folder(work):
    """Answers of one model do not stand for another's."""
    _, clean = work
    with serve(answer=score) as server:
        clean(server.url)
        done = clean(server.url, model="other-model")

    assert done.exit_code == 1
    assert "teacher.model" in done.output


def test_a_judge_without_a_teacher_is_told(work):
    """The recipe of a judge needs a teacher."""
    folder, _ = work
    (folder / "recipe.yaml").write_text("filters: [{kind: judge}]\n")
    done = CliRunner().invoke(
        app, ["clean", str(folder / "rows.jsonl"), "--recipe", str(folder / "recipe.yaml"), "--into", str(folder / "o")]
    )

    assert done.exit_code == 1
    assert "asks a teacher; add `teacher`" in done.output


def test_how_often_comparisons_turn_with_the_order_is_told(work):
    """A judge that names the first shown better: every comparison turns, and the screen and the summary say so."""
    folder, _ = work
    rows = [{"prompt": f"Name lake {i}.", "chosen": f"Lake {i}", "rejected": "No"} for i in range(3)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serve(answer=lambda body: json.dumps({"reason": "first", "choice": "A"})) as server:
        (folder / "recipe.yaml").write_text(
            f"teacher: {{kind: openai, model: m, base_url: '{server.url}'}}\n"
            "filters: [{kind: judge, mode: pairwise}]\n"
        )
        done = CliRunner().invoke(
            app,
            ["clean", str(folder / "rows.jsonl"), "--recipe", str(folder / "recipe.yaml"), "--into", str(folder / "p")],
        )

    assert done.exit_code == 0, done.output
    assert "100.0% of its comparisons turned" in done.output
    assert json.loads((folder / "p" / "summary.json").read_text())["flip_rate"] == {"judge": 1.0}
