"""What commands say on the way and at the end."""

import json
import time
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from instructgen import sitting
from instructgen.cli import app
from instructgen.cli import progress as shown
from instructgen.cli.generate import announce
from instructgen.cli.progress import Course, Mark, line_of
from instructgen.engine import Progress
from instructgen.generators.alpaca import Alpaca
from instructgen.generators.self_instruct import SelfInstruct
from instructgen.recipe import Recipe, parse_recipe
from instructgen.records import Usage
from instructgen.sitting import generate, hints
from instructgen.teachers.budget import Amount
from instructgen.teachers.scripted import ScriptedTeacher
from tests.servers.faults import Faults
from tests.servers.openai_server import serve
from tests.servers.practice_answers import answer


def line(seconds, monkeypatch, lately=None, *, priced=True):
    monkeypatch.setattr(shown.time, "monotonic", lambda: 100.0 + seconds)
    progress = Progress(target=400, parsed=150, accepted=100, spent=Usage(requests=60, completion_tokens=5_000))
    progress.reasons["filter/near_duplicate"] = 50
    progress.paid = Amount(Decimal("1.25"), 5_000, 60)
    return shown.line_of(progress, Mark(100.0, 20, 30, 0.25), lately, priced=priced)


def test_a_line_says_accepted_rejected_rate_spent_and_what_the_target_will_take(monkeypatch):
    """80 accepted in two minutes; the rest takes 7.5."""
    assert line(120, monkeypatch) == (
        "accepted 100/400 | rejected 50 (near_duplicate 50) | 40 a minute | 5,000 tokens | "
        "1.25 USD, 5.00 USD to the target | about 8 min left"
    )


def test_where_a_run_dries_up_the_rest_goes_by_what_came_of_late(monkeypatch):
    """10 accepted in the last minute, of 60: half an hour left and not 7.5 minutes, and the line says why."""
    assert line(120, monkeypatch, Mark(160.0, 90, 105, 0.85)) == (
        "accepted 100/400 | rejected 50 (near_duplicate 50) | 10 a minute | 5,000 tokens | "
        "1.25 USD, 13.25 USD to the target | about 30 min left | "
        "acceptance falls: 22% of late, 93% before; it will take longer"
    )


def test_the_last_third_of_a_sitting_is_what_came_of_late(monkeypatch):
    """A commit a second for ten minutes: what is counted began 200 seconds ago, and few marks are kept."""
    course, progress = Course(), Progress(target=9_999)
    for second in range(601):
        monkeypatch.setattr(shown.time, "monotonic", lambda now=second: float(now))
        progress.accepted = second
        course.note(progress)

    assert course.begun.accepted == 0
    assert course.lately() == Mark(400.0, 400)
    assert len(course._marks) <= 202


def test_a_run_whose_first_slot_takes_long_says_that_answers_come(tmp_path, monkeypatch):
    """A slot is complete with its slowest answer; until then the watch hears how many there are."""
    monkeypatch.setattr(sitting, "BEAT_SECONDS", 0.05)
    told = []
    with serve(answer=answer, faults=Faults(latency=0.2)) as server:
        teacher = {"kind": "openai", "model": "practice", "base_url": server.url}
        recipe = {
            "target": 3,
            "seeds": "seeds/general.jsonl",
            "teacher": teacher,
            "generator": {"kind": "self_instruct"},
        }
        generate(
            parse_recipe(recipe, "here"), tmp_path / "run",
            watch=lambda now: told.append((now.slots, now.bought, line_of(now, Mark.of(Progress(target=3))))),
        )  # fmt: skip
    before = [(bought, said) for slots, bought, said in told if not slots]
    assert before[-1][0] > 1
    assert before[-1][1].endswith(f"| {before[-1][0]} answers so far, no slot complete yet")
    assert "so far" not in told[-1][2]


def test_no_rate_is_made_of_the_first_moments(monkeypatch):
    """Eighty samples in a hundredth of a second are the store's, or one volley's, and no promise."""
    said = line(0.01, monkeypatch)

    assert "a minute" not in said
    assert "left" not in said


def test_no_dollars_without_a_price(monkeypatch):
    """Tokens are always known."""
    said = line(60, monkeypatch, priced=False)

    assert "5,000 tokens" in said
    assert "USD" not in said


def test_what_is_beyond_the_target_is_not_counted_as_its_part():
    """116 of 100 is 100 of 100 and 16 held back."""
    assert line_of(Progress(target=100, accepted=116), Mark(time.monotonic())).startswith(
        "accepted 100/100 and 16 beyond it"
    )


def recipe(generator, *, target=2000, window=128, concurrency=16):
    teacher = ScriptedTeacher(function="instructgen.teachers.practice:answer", concurrency=concurrency)
    return Recipe(generator=generator, teacher=teacher, target=target, window=window)


@pytest.mark.parametrize(
    ("given", "progress", "expected"),
    [
        # 2,000 samples at 10 a slot are 200 slots: below twice the window, so most slots saw seeds alone.
        (recipe(SelfInstruct()), {"slots": 20, "accepted": 200}, ["about 200 slots", "window: 50 draws more"]),
        (recipe(SelfInstruct()), {"slots": 200, "accepted": 200}, []),
        # Nothing that Alpaca makes returns into its prompts, so the window changes nothing of them.
        (recipe(Alpaca()), {"slots": 20, "accepted": 200}, []),
        (recipe(SelfInstruct(machine_shots=0)), {"slots": 20, "accepted": 200}, []),
        (recipe(Alpaca(), concurrency=64), {"slots": 20, "accepted": 200, "steps": 1}, ["window: 512 goes faster"]),
        # 17 requests in three steps: a slot keeps nearly six in flight.
        (recipe(SelfInstruct(), concurrency=64), {"slots": 200, "accepted": 200, "steps": 3}, []),
        (recipe(SelfInstruct()), {"slots": 3, "accepted": 0}, []),
    ],
)
def test_advice_on_the_window_counts_slots(given, progress, expected):
    """The window is counted in slots, the target in samples: what a slot gave so far tells how they compare."""
    notes = hints(given, Progress(target=given.target, **progress))

    assert len(notes) == (1 if expected else 0), notes
    for part in expected:
        assert part in notes[0]


def test_every_reason_is_listed_and_a_finished_run_is_one_database(tmp_path):
    """The end of `generate` has each reason with its count, and no write-ahead log stays beside the store."""
    done = CliRunner().invoke(app, ["generate", "practice.yaml", "--into", str(tmp_path / "run"), "--target", "60"])
    lines = [json.loads(line) for line in (tmp_path / "run" / "decisions.jsonl").read_text().splitlines()]
    reasons = {f"{line['rejected']['stage']}/{line['rejected']['reason']}" for line in lines if "rejected" in line}

    assert done.exit_code == 0, done.output
    assert len(reasons) > 5
    assert all(reason in done.output for reason in reasons)
    assert CliRunner().invoke(app, ["report", str(tmp_path / "run")]).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "run").glob("completions.db*")) == ["completions.db"]


def test_clean_says_its_counts_once(tmp_path):
    """Rows and samples are the same thing here, so one line has them."""
    rows = [{"instruction": f"Name the river number {n}.", "input": "", "output": f"River {n}"} for n in range(3)]
    rows.append({"instruction": "Name a lake.", "input": "", "output": ""})
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = CliRunner().invoke(app, ["clean", str(tmp_path / "in.jsonl"), "--into", str(tmp_path / "out")]).output

    assert said.count("3 kept") == 1
    assert "accepted" not in said


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        ({"model": "gpt-4.1-mini"}, ["price of a million tokens: 0.4 in, 1.6 out, USD (https://", ", read 20"]),
        ({"model": "gpt-4.1-mini", "mode": "batch"}, ["price of a million tokens by batch: 0.20 in, 0.80 out"]),
        ({"model": "m", "price": {"input": 1, "written": 1.25, "output": 2}}, ["1.25 in, 2 out", "teacher.price"]),
        ({"model": "m"}, []),
    ],
)
def test_a_run_begins_by_saying_what_its_tokens_cost(teacher, expected, capsys):
    """By which table and of which day; nothing where no price is known."""
    announce(parse_recipe({"teacher": {"kind": "openai"} | teacher, "generator": {"kind": "alpaca"}}))
    said = capsys.readouterr().err

    assert all(part in said for part in expected)
    assert ("price" in said) == bool(expected)


def test_a_live_line_never_wraps(monkeypatch):
    """What does not fit into the terminal is cut: a wrapped line cannot be written over."""
    monkeypatch.setenv("COLUMNS", "40")

    assert shown._cut("a" * 39) == "a" * 39
    assert shown._cut("a" * 60) == "a" * 38 + "…"
