"""The same bytes at any concurrency, in any order of arrival, at any target."""

import json
import random

import pytest

from instructgen import screening
from instructgen.ahead import Ahead
from instructgen.filters.rouge import Rouge
from instructgen.recipe import Recipe
from instructgen.sitting import generate
from instructgen.teachers.scripted import ScriptedTeacher
from tests.toys.loop import Delayed, ToyGenerator, ToyJudge, topic


@pytest.fixture
def seeds(tmp_path):
    path = tmp_path / "seeds.jsonl"
    rows = [
        {"id": f"s{i}", "instruction": topic(TOPIC), "input": "", "output": "x"}
        for i, TOPIC in enumerate(range(900, 908))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def toy_recipe(seeds, teacher, *, concurrency=4, window=8, target=100, **more):
    return Recipe(
        seed=5,
        target=target,
        seeds=str(seeds),
        teacher=ScriptedTeacher(function=teacher, concurrency=concurrency),
        generator=ToyGenerator(),
        window=window,
        filters=(Rouge(threshold=0.6), ToyJudge()),
        **more,
    )


def decisions(folder):
    return (folder / "decisions.jsonl").read_bytes()


@pytest.mark.parametrize("window", [8, 64])
def test_same_bytes_at_any_concurrency(tmp_path, seeds, window):
    """Concurrency and delays change when a slot runs, never what it decides."""
    target = 12 * window if window == 8 else 5 * window
    written = []
    for concurrency in (1, 4, 64):
        into = tmp_path / f"c{concurrency}"
        recipe = toy_recipe(seeds, Delayed(concurrency), concurrency=concurrency, window=window, target=target)
        assert generate(recipe, into).ending == "target"
        written.append(decisions(into))

    assert written[0] == written[1] == written[2]
    slots = written[0].count(b'"closed"')
    assert slots >= 5 * window, "too short to show anything"
    lines = [json.loads(line) for line in written[0].splitlines()]
    machine = {line["accepted"]["id"] for line in lines if "accepted" in line}
    drawn = {p for line in lines if "accepted" in line for p in line["accepted"]["provenance"]["parents"]}
    assert machine & drawn, "no machine instruction was drawn into a prompt"
    reasons = {(line["rejected"]["stage"], line["rejected"]["reason"]) for line in lines if "rejected" in line}
    assert {("judge", "low_score"), ("teacher", "content_filter"), ("parse", "garbled")} <= reasons
    assert late_rejections(lines, window), "no candidate was rejected at commit, for what came in since its snapshot"


def late_rejections(lines, window):
    """Near duplicates of something that was accepted within the last window: unseen by the snapshot."""
    accepted_in = {line["accepted"]["id"]: line["slot"] for line in lines if "accepted" in line}
    late = []
    for line in lines:
        if line.get("rejected", {}).get("reason") == "near_duplicate":
            nearest = line["rejected"]["evidence"]["neighbours"][0]["id"]
            if accepted_in.get(nearest, -window) > line["slot"] - window:
                late.append(line)
    return late


def test_a_higher_target_goes_on_as_a_larger_run_would_have(tmp_path, seeds):
    """100 raised to 200 gives the bytes of 200 at once."""
    generate(toy_recipe(seeds, Delayed(1), target=100), tmp_path / "raised")
    first = decisions(tmp_path / "raised")
    generate(toy_recipe(seeds, Delayed(2), target=200), tmp_path / "raised")
    generate(toy_recipe(seeds, Delayed(3), target=200, concurrency=16), tmp_path / "at_once")

    assert decisions(tmp_path / "raised").startswith(first)
    assert decisions(tmp_path / "raised") == decisions(tmp_path / "at_once")


def test_a_run_raised_again_and_again_remembers_all_it_had(tmp_path, seeds, monkeypatch):
    """Remembered a few at a time, seen from window to window: the bytes of a run that never stopped."""
    monkeypatch.setattr(screening, "AT_ONCE", 7)
    for target in (40, 41, 90, 150):
        generate(toy_recipe(seeds, Delayed(target), target=target), tmp_path / "raised")
    generate(toy_recipe(seeds, Delayed(3), target=150, concurrency=16), tmp_path / "at_once")

    assert decisions(tmp_path / "raised") == decisions(tmp_path / "at_once")


def test_a_finished_run_is_counted_not_remembered(tmp_path, seeds, monkeypatch):
    """Nothing will be compared, so nothing is taken into memory; the figures are those of the first time."""
    first = generate(toy_recipe(seeds, Delayed(1)), tmp_path / "run")
    monkeypatch.setattr(screening.Screening, "restored", None)
    again = generate(toy_recipe(seeds, Delayed(1)), tmp_path / "run")

    assert again.ending == "target"
    for name in ("slots", "parsed", "accepted", "reasons", "usage", "spent"):
        assert getattr(again.progress, name) == getattr(first.progress, name), name


def test_however_far_ahead_is_bought_the_bytes_are_the_same(tmp_path, seeds, monkeypatch):
    """A horizon that jumps about, or is always 1 or the window, decides what is bought, not what is decided."""
    chance = random.Random(9)
    written = set()
    for number, far in enumerate([lambda w: 1, lambda w: w, lambda w: chance.randint(1, w)]):
        monkeypatch.setattr(Ahead, "horizon", lambda *args, far=far: far(args[4]))
        generate(toy_recipe(seeds, Delayed(number), concurrency=8, target=60), tmp_path / str(number))
        written.add(decisions(tmp_path / str(number)))

    assert len(written) == 1


def test_exactly_target_samples_and_the_rest_held_back(tmp_path, seeds):
    """The last slot is committed whole; the dataset is the first N accepted lines."""
    outcome = generate(toy_recipe(seeds, Delayed(1), target=33), tmp_path / "run")

    assert outcome.progress.accepted >= 33
    assert len(list(outcome.run.samples())) == 33


def test_equal_greedy_questions_are_bought_once(tmp_path, seeds):
    """No request is asked twice, in flight or from the store."""
    teacher = Delayed(1)
    outcome = generate(toy_recipe(seeds, teacher, concurrency=64, window=64, target=100), tmp_path / "run")

    assert len(teacher.asked) == len(set(teacher.asked)) == outcome.bought


def test_offline_rebuilds_the_same_bytes_and_buys_nothing(tmp_path, seeds):
    """Without decisions.jsonl, the store alone gives it back."""
    generate(toy_recipe(seeds, Delayed(1), target=60), tmp_path / "run")
    before = decisions(tmp_path / "run")
    (tmp_path / "run" / "decisions.jsonl").unlink()
    teacher = Delayed(2)
    outcome = generate(toy_recipe(seeds, teacher, target=60), tmp_path / "run", offline=True)

    assert decisions(tmp_path / "run") == before
    assert (outcome.bought, teacher.asked) == (0, [])


def test_reused_answers_are_copied_not_bought(tmp_path, seeds):
    """Another run's store answers what it can; the copy says where it came from, and the bytes are the same."""
    generate(toy_recipe(seeds, Delayed(1), target=60), tmp_path / "a")
    teacher = Delayed(2)
    outcome = generate(toy_recipe(seeds, teacher, target=60), tmp_path / "b", reuse=[tmp_path / "a"])

    assert decisions(tmp_path / "a") == decisions(tmp_path / "b")
    assert outcome.bought == len(teacher.asked)
    assert outcome.bought < outcome.reused
    assert outcome.run.store().reused()
