"""Kill it anywhere, cut its files: it heals, ends with the same bytes, and buys nothing twice."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from instructgen.errors import RunError
from instructgen.run import Run
from instructgen.store import Store
from tests.servers.faults import Faults
from tests.servers.openai_server import serve
from tests.servers.practice_answers import answer

TARGET, WINDOW, CONCURRENCY = 60, 8, 8

RECIPE = f"""
seed: 3
target: {TARGET}
teacher: {{kind: openai, model: practice, concurrency: {CONCURRENCY}}}
generator: {{kind: self_instruct}}
window: {WINDOW}
filters: [{{kind: instruction_rules}}, {{kind: instance_rules}}, {{kind: rouge}}]
"""


class Counted:
    """The practice teacher, remembering every question; `at(n)` is set when the n-th arrives."""

    def __init__(self):
        self.asked, self.lock, self.wake_at, self.wake = [], threading.Lock(), None, threading.Event()

    def __call__(self, body):
        with self.lock:
            self.asked.append(question(body["messages"], body.get("seed")))
            if self.wake_at is not None and len(self.asked) >= self.wake_at:
                self.wake.set()
        return answer(body)

    def at(self, count):
        with self.lock:
            self.wake.clear()
            self.wake_at = len(self.asked) + count


def question(messages, seed):
    return (tuple((m["role"], m["content"]) for m in messages), seed)


def stored_questions(folder):
    store = Store(folder / "completions.db", read_only=True)
    try:
        return [question(row.request["messages"], row.request.get("params", {}).get("seed")) for row in store.rows()]
    finally:
        store.close()


def start(recipe, into, url, target=TARGET):
    command = [sys.executable, "-m", "instructgen", "generate", str(recipe), "--into", str(into), "--base-url", url]
    command += ["--target", str(target)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(recipe, into, url, target=TARGET):
    process = start(recipe, into, url, target)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def calm(recipe, tmp_path_factory):
    """A run that nothing befell."""
    into = tmp_path_factory.mktemp("calm") / "run"
    with serve(answer=Counted(), faults=Faults(latency=0.002)) as server:
        finish(recipe, into, server.url)
    return into


def kills(recipe, into, url, counted, count, chance, target=TARGET):
    """Start and kill a run `count` times at random points; returns the questions that were asked again in vain."""
    again = []
    while count:
        known = set(stored_questions(into)) if (into / "completions.db").exists() else set()
        before = len(counted.asked)
        counted.at(chance.randrange(1, 12))
        process = start(recipe, into, url, target)
        while not counted.wake.wait(0.01) and process.poll() is None:
            pass
        time.sleep(chance.random() * 0.02)
        done = process.poll() is not None
        process.kill()
        process.wait()
        process.stderr.close()
        again += [asked for asked in counted.asked[before:] if asked in known]
        count -= 1
        if done:
            break
    return again, count


@pytest.mark.parametrize(("count", "target"), [(5, TARGET), pytest.param(24, 400, marks=pytest.mark.full)])
def test_killed_at_many_points(recipe, tmp_path, count, target):
    """kill -9 in mid-run: the same bytes in the end, and no stored answer is asked for again."""
    counted, into, calm = Counted(), tmp_path / "run", tmp_path / "calm"
    with serve(answer=counted, faults=Faults(latency=0.002, tail=0.05, tail_latency=0.05)) as server:
        finish(recipe, calm, server.url, target)
        counted.asked.clear()
        again, left = kills(recipe, into, server.url, counted, count, random.Random(count), target)
        known, before = set(stored_questions(into)), len(counted.asked)
        finish(recipe, into, server.url, target)

    assert left == 0, "the run was over before the last kill"
    assert again == []
    assert known.isdisjoint(counted.asked[before:])
    assert len(counted.asked) - len(set(counted.asked)) <= count * CONCURRENCY
    assert (into / "decisions.jsonl").read_bytes() == (calm / "decisions.jsonl").read_bytes()
    assert Run(into).verify() == []


def test_bytes_cut_from_the_end_of_decisions_heal(recipe, calm, tmp_path):
    """A torn tail is cut off and decided again; what the store holds is not asked for again."""
    known = set(stored_questions(calm))
    whole = (calm / "decisions.jsonl").read_bytes()
    chance = random.Random(1)
    counted = Counted()
    with serve(answer=counted) as server:
        for cut in (1, 40, *(chance.randrange(1, len(whole)) for _ in range(2))):
            into = tmp_path / f"cut{cut}"
            shutil.copytree(calm, into)
            os.truncate(into / "decisions.jsonl", len(whole) - cut)
            finish(recipe, into, server.url)
            assert (into / "decisions.jsonl").read_bytes() == whole

    assert known.isdisjoint(counted.asked)


@pytest.mark.parametrize("torn", ["half a frame more", "a third less"])
def test_a_torn_database_heals(recipe, calm, tmp_path, torn):
    """A kill in mid-write leaves half a frame: nothing is lost. Even a log that lost its end gives the same bytes."""
    counted, into = Counted(), tmp_path / "run"
    with serve(answer=counted, faults=Faults(latency=0.002)) as server:
        while not (into / "completions.db-wal").exists():
            kills(recipe, into, server.url, counted, 1, random.Random(7))
        log = into / "completions.db-wal"
        if torn == "half a frame more":
            with log.open("ab") as file:
                file.write(random.Random(1).randbytes(2_000))
        else:
            os.truncate(log, log.stat().st_size * 2 // 3 + 13)
        finish(recipe, into, server.url)

    assert (into / "decisions.jsonl").read_bytes() == (calm / "decisions.jsonl").read_bytes()
    if torn == "half a frame more":  # else answers that were durable are gone, and verify says which
        assert Run(into).verify() == []


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_flipped_byte_in_the_middle_is_an_error_that_names_the_line(recipe, calm, tmp_path, where):
    """Damage further up is never repaired in silence."""
    into = tmp_path / "run"
    shutil.copytree(calm, into)
    data = bytearray((into / "decisions.jsonl").read_bytes())
    place = int(len(data) * where)
    while data[place : place + 1] in (b"\n", b"") or not chr(data[place]).isalnum():
        place += 1
    data[place] ^= 1
    (into / "decisions.jsonl").write_bytes(data)

    with pytest.raises(RunError, match=r"decisions\.jsonl:\d+: .*--offline"):
        list(Run(into).slots())
    done = subprocess.run(
        [sys.executable, "-m", "instructgen", "generate", str(recipe), "--into", str(into)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("Error:")) == (1, 1)
    assert "Traceback" not in done.stderr


def test_interrupted_by_hand_lands_what_is_in_flight(recipe, calm, tmp_path):
    """Ctrl-C: exit 130, the command to go on, every answer that was sent is in the store."""
    counted, into = Counted(), tmp_path / "run"
    with serve(answer=counted, faults=Faults(latency=0.1)) as server:
        counted.at(20)
        process = start(recipe, into, server.url)
        assert counted.wake.wait(60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert f"instructgen generate --into {into}" in said
        assert sorted(set(counted.asked)) == sorted(stored_questions(into))
        assert Run(into).store().unsettled() == (0, 0)
        finish(recipe, into, server.url)

    assert len(counted.asked) == len(set(counted.asked))
    assert (into / "decisions.jsonl").read_bytes() == (calm / "decisions.jsonl").read_bytes()


def test_interrupted_twice_does_not_wait(recipe, tmp_path):
    """A second Ctrl-C ends at once, with exit 130 and no traceback; the run goes on from the store."""
    counted, into = Counted(), tmp_path / "run"
    with serve(answer=counted, faults=Faults(latency=600)) as server:
        process = start(recipe, into, server.url)
        while server.bill.requests < 3 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert "Ctrl-C again" in wait_for(process, "Ctrl-C again")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=240)  # the answers would take longer

    assert process.returncode == 130, said
    assert "Traceback" not in said


def wait_for(process, words):
    """Read the process's messages until one holds these words."""
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"the process ended without saying {words!r}")


def test_a_second_process_is_kept_out(recipe, tmp_path):
    """Two processes on one run directory: the second refuses, by lock, while the first waits for its answers."""
    into = tmp_path / "run"
    with serve(answer=Counted(), faults=Faults(latency=600)) as server:
        first = start(recipe, into, server.url)
        while server.bill.requests < 3 and first.poll() is None:
            time.sleep(0.05)
        second = start(recipe, into, server.url)
        _, said = second.communicate(timeout=240)
        first.kill()
        first.communicate()

    assert second.returncode == 1
    assert "in use by another process" in said


def test_conservation(calm):
    """parsed = accepted + rejected in every slot, and the closing lines say so."""
    for slot in Run(calm).slots():
        accepted = sum("accepted" in line for line in slot.lines)
        rejected = sum("rejected" in line for line in slot.lines)
        assert (slot.closed["parsed"], slot.closed["accepted"]) == (accepted + rejected, accepted)
    lines = (calm / "decisions.jsonl").read_text().splitlines()
    assert any("rejected" in json.loads(line) for line in lines)
