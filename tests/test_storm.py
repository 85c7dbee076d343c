"""A whole run through every kind of bad weather: the same bytes, exactly the target, and a ledger that adds up.

Each storm strikes a run of Self-Instruct's full form. Its outcomes are those of a calm run, because an answer depends
on the request alone; so must be the decisions. The server's bill is held against the run's store.
"""

import subprocess
import sys
import threading
import time
from functools import partial
from typing import Any, NamedTuple

import orjson
import pytest
import yaml

from instructgen.recipe import parse_recipe
from instructgen.run import Run
from instructgen.sitting import generate
from instructgen.teachers.limits import Pace
from tests.servers.faults import Bill, Faults
from tests.servers.openai_server import serve
from tests.servers.practice_answers import answer

SMALL, WHOLE = 200, 2_000
CONCURRENCY = 16
MINUTE = 2.0
"""Seconds of a shortened minute, on both sides."""
OUTCOMES = ("seed", "wrong_usage", "content_filter", "context")
"""Faults that change what a request comes to; a calm run has them too."""


class Storm(NamedTuple):
    """What goes wrong, and how the teacher is set up for it."""

    faults: Faults
    teacher: dict[str, Any]


def storms(target: int) -> dict[str, Storm]:
    """Return every schedule of `Faults`, alone and all together; limits grow with the run, so that it ends in time."""
    per_minute, tokens = target // 2, target * 600
    impatient = {"timeout": 1.0}
    alone = {
        "tails": Storm(Faults(latency=0.002, tail=0.05, tail_latency=0.4), {}),
        "429": Storm(Faults(too_many=0.1), {}),
        "429_retry_after": Storm(Faults(too_many=0.1, retry_after=0.05), {}),
        "429_retry_after_date": Storm(Faults(too_many=2 / target, retry_after="date"), {}),
        "requests_per_minute": Storm(
            Faults(requests_per_minute=per_minute, minute=MINUTE), {"requests_per_minute": per_minute}
        ),
        "tokens_per_minute": Storm(Faults(tokens_per_minute=tokens, minute=MINUTE), {"tokens_per_minute": tokens}),
        "capacity": Storm(Faults(latency=0.01, capacity=8), {"concurrency": 4, "most_concurrency": 64}),
        "500": Storm(Faults(server_error=0.1), {}),
        "500_bursts": Storm(Faults(burst_every=50, burst_length=6), {}),
        "resets": Storm(Faults(reset=0.05, reset_early=0.05), {}),
        "drip": Storm(Faults(drip=0.1, drip_seconds=0.2), {}),
        "unreadable": Storm(Faults(empty=0.04, html=0.04, truncated=0.04), {}),
        "late": Storm(Faults(late=6 / target, late_seconds=1.6), impatient),
        "wrong_usage": Storm(Faults(wrong_usage=0.3), {}),
        "refusals": Storm(Faults(content_filter=0.1, context=976), {}),
    }
    together = Faults(
        seed=4, latency=0.002, tail=0.02, tail_latency=0.3, too_many=0.03, retry_after=0.05, server_error=0.02,
        burst_every=80, burst_length=4, reset=0.02, reset_early=0.02, drip=0.02, drip_seconds=0.2, empty=0.02,
        html=0.02, truncated=0.02, late=3 / target, late_seconds=1.6, wrong_usage=0.1,
        requests_per_minute=2 * per_minute, minute=MINUTE,
    )  # fmt: skip
    return alone | {"all": Storm(together, impatient | {"requests_per_minute": 2 * per_minute})}


def recipe(url, target, **teacher):
    options = {"kind": "openai", "model": "practice", "base_url": url, "concurrency": CONCURRENCY} | teacher
    return parse_recipe({
        "seed": 3, "target": target, "seeds": "seeds/general.jsonl", "teacher": options, "window": 64,
        "generator": {"kind": "self_instruct"},
        "filters": [{"kind": "instruction_rules"}, {"kind": "instance_rules"}, {"kind": "rouge"}],
    })  # fmt: skip


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """Return the decisions of a run that meets the same outcomes in calm weather."""
    known = {}

    def decisions(target, faults):
        kept = {name: getattr(faults, name) for name in OUTCOMES}
        key = (target, *kept.values())
        if key not in known:
            into = tmp_path_factory.mktemp("calm") / "run"
            with serve(answer, Faults(**kept)) as server:
                assert generate(recipe(server.url, target), into).ending == "target"
            known[key] = (into / "decisions.jsonl").read_bytes()
        return known[key]

    return decisions


def settled(server) -> Bill:
    """Return the bill once the server has done with what its client gave up on."""
    until = time.monotonic() + 10
    while server._in_flight and time.monotonic() < until:
        time.sleep(0.02)
    assert not server._in_flight
    return server.bill


def assert_ledger(run: Run, bill: Bill, faults: Faults) -> None:
    """Our store is the server's bill, but for answers that never arrived; those are counted as possibly billed."""
    store = run.store()
    try:
        rows = list(store.rows())
        possibly, killed = store.unsettled()
    finally:
        store.close()
    assert killed == 0
    assert len(rows) == len(bill.arrived), "asked and not stored, or stored and never asked"
    assert set(bill.delivered.values()) <= {1}, "an answer that had arrived was bought again"
    assert bill.delivered.keys() == bill.billed.keys(), "what was billed came in the end"
    unbilled = [row for row in rows if row.completion.refusal and not row.completion.usage.tokens]
    assert len(rows) - len(unbilled) == len(bill.billed)
    # A proxy's page and a connection that breaks before the answer look as if they might have been billed.
    looked_billed = bill.statuses.get("html", 0) + bill.statuses.get("reset_early", 0)
    assert possibly == bill.lost + looked_billed
    if not faults.wrong_usage:
        assert sum(row.completion.usage.tokens for row in rows) == bill.delivered_tokens
        assert bill.tokens >= bill.delivered_tokens
    else:
        assert any(row.completion.usage.estimated for row in rows)
    charged = [key for slot in run.slots() for key in slot.closed["charged"]]
    assert len(charged) == len(set(charged)), "charged twice"
    assert set(charged) <= {row.hash for row in rows}


def assert_struck(bill: Bill, faults: Faults) -> None:
    """The storm did happen."""
    for name in ("reset", "reset_early", "drip", "empty", "html", "truncated", "late"):
        assert not getattr(faults, name) or bill.statuses.get(name), f"no {name}: the storm shows nothing"
    if faults.too_many:
        assert bill.statuses.get("429")
    if faults.server_error or faults.burst_every:
        assert bill.statuses.get("500")
    if faults.context:
        assert bill.statuses.get("400")
    if faults.capacity:
        assert bill.statuses.get("503"), "the capacity was never reached"


@pytest.mark.parametrize("target", [SMALL, pytest.param(WHOLE, marks=[pytest.mark.full, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("name", storms(SMALL))
def test_storm(name, target, calm, tmp_path, monkeypatch):
    """Exactly the target, the calm run's bytes, the server's bill, and nothing sent above a stated limit."""
    monkeypatch.setattr("instructgen.teachers.route.Pace", partial(Pace, minute=MINUTE))
    faults, teacher = storms(target)[name]
    expected = calm(target, faults)
    with serve(answer, faults) as server:
        outcome = generate(recipe(server.url, target, **teacher), tmp_path / "run")
        bill = settled(server)

    assert outcome.ending == "target"
    assert len(list(outcome.run.samples())) == target
    assert (tmp_path / "run/decisions.jsonl").read_bytes() == expected
    assert outcome.run.verify() == []
    assert_struck(bill, faults)
    assert_ledger(outcome.run, bill, faults)
    if not faults.capacity:  # there the client looks for the limit, which nobody stated
        assert bill.over_limit == 0
        if not faults.late:  # the server works on for whoever has given up
            assert bill.most_in_flight <= CONCURRENCY
    seen = any("may have been billed" in note for note in outcome.notes)
    assert seen == bool(outcome.run.store().unsettled()[0])


def test_little_is_bought_in_vain(tmp_path):
    """Slots ahead of the target are started with thrift, also while nothing is known yet of what a slot gives."""
    with serve(answer, Faults(latency=0.02, tail=0.05, tail_latency=0.2)) as server:
        outcome = generate(recipe(server.url, SMALL, concurrency=64), tmp_path / "run")
    charged = sum(usage.requests for usage in outcome.progress.usage.values())

    assert charged <= outcome.bought <= 1.2 * charged


class Gone:
    """The practice teacher, whose server is to be switched off after so many answers; it remembers all it was asked."""

    def __init__(self, after=None):
        self.asked, self.after, self.enough, self.lock = [], after, threading.Event(), threading.Lock()

    def __call__(self, body):
        with self.lock:
            self.asked.append(orjson.dumps(body))
            if self.after is not None and len(self.asked) >= self.after:
                self.enough.set()
        return answer(body)


def commanded(into, url):
    """Start the command line on a run that gives an endpoint up after two seconds of silence."""
    file = into.parent / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe("http://127.0.0.1:1/v1", SMALL, deadline=2.0).dump()))
    command = [sys.executable, "-m", "instructgen", "generate", str(file), "--into", str(into), "--base-url", url]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_an_outage_ends_the_run_with_its_slots_open(calm, tmp_path):
    """The server goes away for good: exit 1 and one message; the rerun buys only what is missing, to the same bytes."""
    into, before, after = tmp_path / "run", Gone(after=90), Gone()
    with serve(before, Faults(latency=0.02)) as server:
        process = commanded(into, server.url)
        assert before.enough.wait(60)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 1, said
    assert (said.count("Error:"), said.count("Traceback")) == (1, 0)
    assert "cannot connect to 127.0.0.1" in said
    assert "nothing bought is lost" in said
    stopped = (into / "decisions.jsonl").read_bytes()
    whole = calm(SMALL, Faults())
    assert whole.startswith(stopped)
    assert len(stopped) < len(whole)

    with serve(after) as server:
        process = commanded(into, server.url)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert (into / "decisions.jsonl").read_bytes() == whole
    lost = Run(into).store().unsettled()[0]
    assert len(set(before.asked) & set(after.asked)) <= lost, "bought again, though the answer had arrived"
