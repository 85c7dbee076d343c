"""Whole runs in batch mode: same store, same decisions as online, left and gone on with, killed at any moment."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from instructgen.cli.generate import batch_line
from instructgen.filters.instruction_rules import InstructionRules
from instructgen.filters.rouge import Rouge
from instructgen.forecast import waves
from instructgen.generators.alpaca import Alpaca
from instructgen.generators.self_instruct import SelfInstruct
from instructgen.recipe import Recipe
from instructgen.report import pilot_forecast, report
from instructgen.run import Run
from instructgen.sitting import generate
from instructgen.teachers.openai import OpenAITeacher
from instructgen.teachers.prices import Price
from tests.servers.batch_routes import BatchFaults, batches
from tests.servers.faults import Faults
from tests.servers.openai_server import serve, spawn
from tests.servers.practice_answers import answer

ROOT = Path(__file__).parents[1]
WINDOW = 6


def recipe(url, mode="batch", target=120, **more):
    teacher = OpenAITeacher(model="m", base_url=url, mode=mode, gather_seconds=0.1, poll_seconds=0.02, concurrency=4)
    return Recipe(
        seed=3, target=target, window=WINDOW, teacher=teacher, generator=SelfInstruct(ideas=3),
        filters=(InstructionRules(), Rouge()), **more,
    )  # fmt: skip


def decisions(folder):
    return (folder / "decisions.jsonl").read_bytes()


def answers(folder):
    store = Run(folder).store()
    try:
        return {row.completion.request: row.completion for row in store.rows()}
    finally:
        store.close()


@pytest.fixture
def online(tmp_path):
    """The same run online."""
    with serve(answer) as server:
        generate(recipe(server.url, mode="online"), tmp_path / "online")
    return tmp_path / "online"


@pytest.mark.parametrize(
    "faults",
    [
        BatchFaults(),
        BatchFaults(
            expire={2: 0.5, 7: 0.1}, server_errors={3: 0.3, 5: 0.6}, lose_creations=frozenset({1, 6}), lose_uploads=1
        ),
    ],
)
def test_same_decisions_and_same_answers_as_online(tmp_path, online, faults):
    """In calm and in storm; nothing is bought twice, and one wave is one step of a window."""
    with serve(answer, extra=batches(faults)) as server:
        outcome = generate(recipe(server.url), tmp_path / "batch")

        assert outcome.ending == "target"
        assert decisions(tmp_path / "batch") == decisions(online)
        shared = answers(online).keys() & answers(tmp_path / "batch").keys()
        assert len(shared) > 100
        assert all(answers(online)[key] == answers(tmp_path / "batch")[key] for key in shared)
        assert set(server.batches.billed.values()) == {1}
        if not faults.expire:
            slots = outcome.progress.slots
            assert len(server.batches.sent) <= 3 * (slots // WINDOW + 2)


def test_a_run_may_change_over_at_any_time(tmp_path, online):
    """Online, then by batch, then online again: the mode decides nothing."""
    with serve(answer, extra=batches()) as server:
        for mode, target in (("online", 30), ("batch", 70), ("online", 120)):
            generate(recipe(server.url, mode=mode, target=target), tmp_path / "mixed")

    assert decisions(tmp_path / "mixed") == decisions(online)


def test_a_mixed_run_is_priced_by_how_each_answer_was_bought(tmp_path):
    """The report, by stage too, progress and a forecast, whichever mode the run is in by then."""
    price, bills, spent = Price(input=2, output=8, batch="0.5"), [], []
    with serve(answer, extra=batches()) as server:
        for mode, target in (("online", 30), ("batch", 70), ("online", 120)):
            before = server.bill.prompt_tokens * 2 + server.bill.completion_tokens * 8
            asked = recipe(server.url, mode=mode, target=target)
            asked = asked.model_copy(update={"teacher": asked.teacher.model_copy(update={"price": price})})
            outcome = generate(asked, tmp_path / "mixed")
            bill = server.bill.prompt_tokens * 2 + server.bill.completion_tokens * 8 - before
            bills.append(bill / 1e6 * (0.5 if mode == "batch" else 1))
            known = report(outcome.run)
            assert known.usd == pytest.approx(sum(bills))
            spent.append(float(outcome.progress.paid.usd))
            assert 0 < spent[-1] <= known.usd
            unused = float(price.cost(known.unused))
            assert sum(known.usd_by_prompt.values()) == pytest.approx(spent[-1])
            assert known.usd - unused <= spent[-1] + 1e-9
        again = generate(asked, tmp_path / "mixed")  # nothing to do: the fold alone
        found = pilot_forecast(again.run, asked.teacher, None, again.progress.paid.usd)

    assert float(again.progress.paid.usd) == spent[-1]
    assert found.usd == pytest.approx((spent[-1],) * 3)
    rows = list(Run(tmp_path / "mixed").store().rows())
    assert {row.by_batch for row in rows} == {True, False}


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_a_structured_run_is_the_same_whether_the_endpoint_takes_schemas_or_not(tmp_path, mode):
    """The schema goes by parameter or in the prompt; which, is found out once a run and kept for its later sittings."""
    runs, asked_again = {}, 0
    for refused in ((), ("response_format",)):
        sent, first = Counter(), 0
        with serve(answer, Faults(refused=refused), extra=batches()) as server:
            plain = server.outcome

            def outcome(path, body, plain=plain, sent=sent):
                sent["response_format" in body] += 1
                return plain(path, body)

            server.outcome = outcome
            asked = recipe(server.url, mode=mode).model_copy(update={"generator": Alpaca(structured=True)})
            for target in (20, 100):
                done = generate(asked.model_copy(update={"target": target}), tmp_path / str(refused))
                first = first or sent[True]
        assert done.ending == "target"
        assert (sent[True], sent[False] > 0) == ((first, True) if refused else (sum(sent.values()), False))
        lines = map(json.loads, decisions(tmp_path / str(refused)).splitlines())
        runs[refused] = [line for line in lines if "closed" not in line]
        rows = answers(tmp_path / str(refused)).values()
        asked_again += sum(row.content == "I would rather talk about the weather." for row in rows)
    assert runs[()] == runs["response_format",]
    assert asked_again > 0


def test_a_budget_in_dollars_lasts_longer_in_batch_mode(tmp_path):
    """Half the price, and still within the cap."""
    slots = {}
    for mode in ("online", "batch"):
        with serve(answer, extra=batches()) as server:
            priced = recipe(server.url, mode=mode, target=5000, budget={"usd": 0.048})
            teacher = priced.teacher.model_copy(update={"model": "gpt-4.1-mini"})
            outcome = generate(priced.model_copy(update={"teacher": teacher}), tmp_path / mode)
            bill = server.bill.prompt_tokens * 0.4 + server.bill.completion_tokens * 1.6
            assert outcome.ending == "budget"
            assert outcome.notes[0].startswith("budget.usd 0.048: 0.0")
            assert bill * (0.5 if mode == "batch" else 1) / 1e6 <= 0.048
            slots[mode] = outcome.progress.slots

    assert slots["batch"] > slots["online"] > 0


SCRIPT = """
    import sys
    from pathlib import Path
    from tests.test_batch_runs import recipe
    from instructgen.sitting import generate
    outcome = generate(recipe(sys.argv[1]), Path(sys.argv[2]))
    print(outcome.ending)
"""


def sitting(url, into):
    """Start a process that works on the run."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), url, str(into)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def batch_bill(server):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(server.url.removesuffix("/v1") + "/batch_bill", timeout=10) as reply:
        return json.load(reply)


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.full)])
def test_killed_at_any_moment_nothing_is_bought_twice(tmp_path, online, kills):
    """`kill -9` of a real process, again and again; the last one finishes with the same bytes."""
    rng = random.Random(kills)
    with spawn("tests.servers.practice_answers:answer", extra="tests.servers.batch_routes:calm") as server:
        killed = 0
        while killed < kills:
            process = sitting(server.url, tmp_path / "killed")
            time.sleep(0.5 + rng.random() * 1.1)
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
        process = sitting(server.url, tmp_path / "killed")
        said, problems = process.communicate(timeout=120)
        bill = batch_bill(server)

    assert said == "target\n", problems
    assert killed >= 0.75 * kills, "too few kills to show anything"
    assert decisions(tmp_path / "killed") == decisions(online)
    assert set(bill["billed"].values()) == {1}


def test_ctrl_c_leaves_at_once_and_the_next_sitting_goes_on(tmp_path, online):
    """Open batches are not waited for; their answers are fetched later."""
    with serve(answer, extra=batches(BatchFaults(open=False))) as server:
        process = sitting(server.url, tmp_path / "left")
        while not server.batches.sent and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        said, problems = process.communicate(timeout=15)
        assert said == "interrupted\n", problems
        server.batches.faults.open = True
        generate(recipe(server.url), tmp_path / "left")

        assert decisions(tmp_path / "left") == decisions(online)
        assert set(server.batches.billed.values()) == {1}


def test_a_pilot_says_how_many_batches_follow_each_other(tmp_path):
    """Three steps a window: invent, classify, instances; a wider window takes fewer."""
    with serve(answer, extra=batches()) as server:
        asked = recipe(server.url, target=400)
        outcome = generate(asked, tmp_path / "pilot", pilot=10)
        found = pilot_forecast(outcome.run, asked.teacher, outcome.seconds)

    assert outcome.progress.steps == 3
    assert waves(found.slots[0], WINDOW, 3) == 3 * math.ceil(round(found.slots[0]) / WINDOW)
    assert (waves(500, 128, 3), waves(500, 512, 3), waves(1, 128, 1)) == (12, 3, 1)
    line = batch_line(found, asked, outcome)
    assert line.startswith(f"  batches in a row: {waves(found.slots[0], WINDOW, 3)} (")
    assert f"window: {4 * WINDOW} takes {waves(found.slots[0], 4 * WINDOW, 3)}" in line
    outcome.room = lambda spent, most: 2
    assert batch_line(found, asked, outcome).startswith(f"  batches in a row: {waves(found.slots[0], 2, 3)} (")
    assert "The budget makes waves smaller: 2 slots fit at once now" in batch_line(found, asked, outcome)
