"""Budgets of whole runs: no cap is ever overshot, and where a run ends depends on nothing but the recipe."""

import json
import random
import re
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from pydantic import NonNegativeInt

from instructgen.cli.generate import budget_lines
from instructgen.errors import RecipeError
from instructgen.filters.rouge import Rouge
from instructgen.recipe import BudgetOptions, Recipe, parse_recipe
from instructgen.records import SlotBound, Usage
from instructgen.report import pilot_forecast
from instructgen.run import Run
from instructgen.sitting import generate
from instructgen.teachers.prices import Price
from instructgen.teachers.scripted import ScriptedTeacher
from instructgen.teachers.tokens import request_bound
from tests.servers.faults import Faults
from tests.servers.openai_server import serve
from tests.servers.practice_answers import answer
from tests.toys.loop import Delayed, ToyGenerator, ToyJudge, topic

SETTINGS = [20, pytest.param(200, marks=[pytest.mark.full, pytest.mark.timeout(1200)])]


class Declared(ToyGenerator):
    """The toy generator with a declaration of choice; a small one leaves some requests unsent."""

    requests: NonNegativeInt = 6
    prompt_tokens: NonNegativeInt = 4_000
    completion_tokens: NonNegativeInt = 1_200

    def slot_bound(self):
        return SlotBound(
            requests=self.requests, prompt_tokens=self.prompt_tokens, completion_tokens=self.completion_tokens
        )


class Greedy(Delayed):
    """Answers after random delays and takes up to all the tokens that a request allows, by the request's hash."""

    def __init__(self, seed, appetite=1.0):
        super().__init__(seed)
        self.appetite = appetite

    async def __call__(self, request):
        completion = await super().__call__(request)
        most, chance = request_bound(request, 0), random.Random(request.hash)
        prompt, output = (
            round(limit * chance.random() ** (1 / self.appetite))
            for limit in (most.prompt_tokens, most.completion_tokens)
        )
        cached = round(prompt * chance.random())
        usage = Usage(requests=1, prompt_tokens=prompt, completion_tokens=output, cached_tokens=cached)
        return completion.model_copy(update={"usage": usage})


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    path = tmp_path_factory.mktemp("seeds") / "seeds.jsonl"
    rows = [{"id": f"s{i}", "instruction": topic(900 + i), "input": "", "output": "x"} for i in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def swift_path():
    """A folder in memory where there is one: flushes to disk are most of the time of runs with one place."""
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


def toy(seeds, teacher, budget, *, price=None, concurrency=16, target=10_000, generator=None):
    return Recipe(
        seed=5, target=target, seeds=str(seeds), window=64, budget=budget, generator=generator or Declared(),
        teacher=ScriptedTeacher(function=teacher, concurrency=concurrency, price=price),
        filters=(Rouge(threshold=0.6), ToyJudge()),
    )  # fmt: skip


def decisions(folder):
    return (folder / "decisions.jsonl").read_bytes()


def bought(run):
    """Everything that the teacher was paid for, used or not."""
    store = run.store()
    try:
        return sum((row.completion.usage.model_copy(update={"requests": 1}) for row in store.rows()), Usage())
    finally:
        store.close()


def random_setting(rng):
    """A price, a cap and an appetite; the cap lets between none and a dozen slots start."""
    cents = {name: Decimal(f"{10 ** rng.uniform(-2, 2):.4f}") for name in ("input", "output", "cached", "written")}
    price = Price(
        input=cents["input"],
        output=cents["output"],
        cached=rng.choice([None, cents["cached"]]),
        written=rng.choice([None, cents["written"]]),
    )
    bound = Declared().slot_bound() + ToyJudge().slot_bound().times(Declared().most_samples())
    room = rng.uniform(0.5, 4)
    budget = {
        "usd": {"usd": float(price.bound(bound)) * room},
        "tokens": {"tokens": int((bound.prompt_tokens + bound.completion_tokens) * room)},
        "requests": {"requests": int(bound.requests * room) + 1},
    }
    kinds = rng.sample(sorted(budget), rng.choice([1, 1, 2]))
    caps = {key: value for kind in kinds for key, value in budget[kind].items()}
    return price, caps, rng.choice([0.5, 2.0, 20.0])


@pytest.mark.parametrize("count", SETTINGS)
def test_no_cap_is_overshot_and_all_end_at_the_same_slot(seeds, swift_path, count):
    """Random prices, caps and usages up to all that is declared: the same bytes at 1, 16 and 64 requests in flight."""
    rng, ends = random.Random(count), set()
    for number in range(count):
        price, caps, appetite = random_setting(rng)
        written = []
        for concurrency in (1, 16, 64):
            into = swift_path / f"{number}-{concurrency}"
            recipe = toy(seeds, Greedy(concurrency, appetite), caps, price=price, concurrency=concurrency)
            outcome = generate(recipe, into)
            paid = bought(outcome.run)
            assert price.cost(paid) <= Decimal(str(caps.get("usd", "inf"))), caps
            assert paid.tokens <= caps.get("tokens", float("inf")), caps
            assert paid.requests <= caps.get("requests", float("inf")), caps
            assert outcome.ending == "budget"
            ends.add(outcome.progress.slots)
            written.append(decisions(into))
        assert written[0] == written[1] == written[2]
    assert min(ends) == 0, "no cap was too small for a single slot"
    assert len(ends) > 4, "all runs ended at the same few slots"


@pytest.mark.parametrize("cap", [{"usd": 0.9}, {"tokens": 90_000}, {"requests": 150}])
def test_a_raised_budget_goes_on_as_a_larger_one_would_have(seeds, swift_path, cap):
    """Twice the cap in two sittings, or at once: the same bytes, and nothing is bought twice."""
    price = Price(input="10", output="10")
    double = {key: 2 * value for key, value in cap.items()}
    generate(toy(seeds, Greedy(1), cap, price=price), swift_path / "raised")
    first = decisions(swift_path / "raised")
    teacher = Greedy(2)
    generate(toy(seeds, teacher, double, price=price, concurrency=64), swift_path / "raised")
    generate(toy(seeds, Greedy(3), double, price=price, concurrency=1), swift_path / "at_once")

    assert 0 < len(first) < len(decisions(swift_path / "raised"))
    assert decisions(swift_path / "raised").startswith(first)
    assert decisions(swift_path / "raised") == decisions(swift_path / "at_once")
    assert bought(Run(swift_path / "raised")) == bought(Run(swift_path / "at_once"))
    assert len(teacher.asked) < bought(Run(swift_path / "raised")).requests


def test_a_run_out_of_budget_buys_nothing_when_run_again(seeds, tmp_path):
    """The ending is found in the closed slots, before a teacher is asked anything."""
    cap = {"requests": 100}
    generate(toy(seeds, Greedy(1), cap), tmp_path / "run")
    teacher = Greedy(2)
    outcome = generate(toy(seeds, teacher, cap), tmp_path / "run")

    assert (outcome.ending, outcome.bought, teacher.asked) == ("budget", 0, [])


@pytest.mark.parametrize("declared", [{"requests": 3}, {"prompt_tokens": 600}, {"completion_tokens": 450}])
def test_what_exceeds_a_slots_declaration_is_a_rejection_whatever_the_budget(seeds, tmp_path, declared):
    """`over_declared` depends on the declaration alone: a budget only decides where the file ends."""
    generator, written = Declared(**declared), []
    for number, budget in enumerate([{}, {"requests": 60}, {"tokens": 25_000, "requests": 90}]):
        teacher = Greedy(number, 0.2)
        recipe = toy(seeds, teacher, budget, concurrency=(1, 16, 64)[number], target=60, generator=generator)
        outcome = generate(recipe, tmp_path / str(number))
        written.append(decisions(tmp_path / str(number)))
        assert outcome.progress.reasons["teacher/over_declared"] > 0
        assert outcome.run.verify() == []
    longest = max(written, key=len)

    assert all(longest.startswith(one) for one in written)
    assert len({len(one) for one in written}) > 1, "every budget was large enough: the test shows nothing"


def test_a_forecast_says_where_the_budget_ends_the_run(seeds, swift_path):
    """Known before anybody is asked to go on; a cap that suffices is not spoken of."""
    recipe = toy(seeds, Greedy(1), {"requests": 300}, target=400)
    outcome = generate(recipe, swift_path / "run", pilot=8)
    found = pilot_forecast(outcome.run, recipe.teacher, None)
    (line,) = budget_lines(found, recipe, outcome)
    ended = generate(recipe, swift_path / "run")

    assert ended.ending == "budget"
    said = int(re.search(r"The budget \(requests 300\) ends the run at about ([\d,]+) samples", line)[1])
    assert 0.7 * ended.progress.accepted < said < 1.4 * ended.progress.accepted
    enough = recipe.model_copy(update={"budget": BudgetOptions(requests=10_000)})
    assert budget_lines(found, enough, generate(enough, swift_path / "enough", pilot=8)) == []


def test_an_answer_copied_from_another_run_is_not_counted(seeds, tmp_path):
    """The budget is for what is bought: with all answers at hand, a cap for one slot suffices for a whole run."""
    generate(toy(seeds, Greedy(1), {}, target=80), tmp_path / "a")
    teacher = Greedy(2)
    recipe = toy(seeds, teacher, {"requests": 14}, target=80)
    outcome = generate(recipe, tmp_path / "b", reuse=[tmp_path / "a"])

    assert (outcome.ending, teacher.asked) == ("target", [])
    assert decisions(tmp_path / "a") == decisions(tmp_path / "b")


@pytest.mark.parametrize("told", [None, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}])
def test_an_endpoint_that_does_not_count_cannot_overdraw_a_cap(tmp_path, monkeypatch, told):
    """Usage that is missing or all zeros counts by its bound: the endpoint's own bill stays below the cap."""
    monkeypatch.setattr("tests.servers.openai_server.WRONG_USAGES", (told,))
    with serve(answer, Faults(wrong_usage=1.0)) as server:
        recipe = parse_recipe({
            "seed": 3, "target": 400, "budget": {"tokens": 200_000}, "generator": "self_instruct", "filters": ["rouge"],
            "teacher": {"kind": "openai", "model": "practice", "base_url": server.url},
        })  # fmt: skip
        outcome = generate(recipe, tmp_path / "run")

        assert (outcome.ending, outcome.progress.spent.estimated) == ("budget", True)
        assert 0 < server.bill.tokens <= outcome.progress.spent.tokens <= 200_000


# -- through the command line, against a server ------------------------------------------------------------------------

PRICE = {"input": 2, "output": 8}
LOST_A_SECOND = 8
"""Time-outs between two notes: two places, 0.3 s each."""
CAP = 0.9


def recipe_file(folder, url, **more):
    data = {
        "seed": 3, "target": 5_000, "seeds": "seeds/general.jsonl", "window": 512,
        "teacher": {"kind": "openai", "model": "practice", "base_url": url, "concurrency": 64, "price": PRICE},
        "generator": {"kind": "self_instruct"},
        "filters": [{"kind": "instruction_rules"}, {"kind": "instance_rules"}, {"kind": "rouge"}],
    } | more  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def start(recipe, into, *flags):
    command = [sys.executable, "-m", "instructgen", "generate", str(recipe), "--into", str(into), *flags]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def command(recipe, into, *flags):
    process = start(recipe, into, *flags)
    said, errors = process.communicate(timeout=120)
    return process.returncode, said + errors


class Watched:
    """The practice teacher; sets an event at the n-th question and counts questions by their content."""

    def __init__(self):
        self.asked, self.lock, self.at, self.there = [], threading.Lock(), None, threading.Event()

    def __call__(self, body):
        with self.lock:
            self.asked.append(json.dumps(body, sort_keys=True))
            if self.at is not None and len(self.asked) >= self.at:
                self.there.set()
        return answer(body)


def test_killed_with_64_in_flight_the_cap_holds(tmp_path):
    """kill -9 twice under a cap in dollars: what was answered stays below it; what was lost is reported apart."""
    watched, cap = Watched(), Price(**PRICE)
    with serve(watched, Faults(latency=0.03, tail=0.1, tail_latency=0.2)) as server:
        recipe = recipe_file(tmp_path, server.url, budget={"usd": CAP})
        for kills in (1, 2):
            watched.there.clear()
            watched.at = len(watched.asked) + 60
            process = start(recipe, tmp_path / "killed")
            assert watched.there.wait(60)
            time.sleep(0.05 * kills)
            process.kill()
            process.communicate()
        code, said = command(recipe, tmp_path / "killed")
        bill = server.bill
    assert code == 0, said
    run = Run(tmp_path / "killed")
    paid, (seen, killed) = bought(run), run.store().unsettled()

    assert "The budget does not cover another slot" in said
    assert "in sittings that were killed" in said
    assert cap.cost(paid) <= Decimal(str(CAP))
    lost = bill.answers - paid.requests
    assert (seen, killed) == (0, 128)
    assert 0 <= lost <= killed
    lost_tokens = bill.tokens - paid.tokens
    assert (lost_tokens > 0) == (lost > 0)

    with serve(Watched()) as server:
        calm = recipe_file(tmp_path, server.url, budget={"usd": CAP})
        code, said = command(calm, tmp_path / "calm", "--concurrency", "4")
        assert code == 0, said
        assert cap.cost(Usage(
            prompt_tokens=server.bill.prompt_tokens, completion_tokens=server.bill.completion_tokens
        )) <= Decimal(str(CAP))  # fmt: skip
    assert decisions(tmp_path / "killed") == decisions(tmp_path / "calm")


def test_a_kill_does_not_forget_the_time_outs_before_it(tmp_path):
    """Every second answer comes too late; when the run is killed, those stand in the store beside the places."""
    watched = Watched()
    teacher = {"kind": "openai", "model": "practice", "timeout": 0.3, "concurrency": 2, "price": PRICE}
    with serve(watched, Faults(late=0.5, late_seconds=0.6)) as server:
        recipe = recipe_file(tmp_path, server.url, teacher=teacher | {"base_url": server.url}, window=4)
        watched.at = 40
        process = start(recipe, tmp_path / "run")
        assert watched.there.wait(60)
        process.kill()
        process.communicate()
        time.sleep(0.7)
        answered = server.bill.answers
    run = Run(tmp_path / "run")
    seen, killed = run.store().unsettled()

    assert seen > 0
    assert answered - bought(run).requests <= seen + killed + LOST_A_SECOND


def test_dollars_without_a_price_are_refused_before_anything_is_sent(tmp_path):
    """An unknown model: the message says how to give a price, and doing so goes on."""
    watched = Watched()
    with serve(watched) as server:
        teacher = {"kind": "openai", "model": "my-own-model", "base_url": server.url}
        code, said = command(recipe_file(tmp_path, server.url, teacher=teacher, target=20), tmp_path / "run",
                             "--budget", "5")  # fmt: skip
        assert (code, watched.asked) == (1, [])
        assert "teacher: {price: {input:" in said
        assert "my-own-model" in said
        assert "Traceback" not in said
        priced = recipe_file(tmp_path, server.url, teacher=teacher | {"price": PRICE}, target=20)
        code, said = command(priced, tmp_path / "run", "--budget", "5")
    assert (code, "Target reached: 20 samples" in said) == (0, True), said


def test_the_library_refuses_them_as_well(tmp_path):
    """The same error, from Python."""
    recipe = parse_recipe({
        "teacher": {"kind": "openai", "model": "my-own-model", "base_url": "http://127.0.0.1:1/v1"},
        "generator": "self_instruct", "budget": {"usd": 1},
    })  # fmt: skip
    with pytest.raises(RecipeError, match="price of model 'my-own-model' is not known"):
        generate(recipe, tmp_path / "run")


def test_the_pilot_of_an_estimate_is_part_of_the_run(tmp_path):
    """A forecast in words and as JSON; the run that follows buys only what the pilot has not, to the same bytes."""
    watched = Watched()
    with serve(watched) as server:
        recipe = recipe_file(tmp_path, server.url, target=300, window=16)
        code, said = command(recipe, tmp_path / "run", "--estimate", "--pilot", "6")
        assert code == 0, said
        assert "Forecast for 300 samples" in said
        assert "requests:" in said and "cost:" in said and "time:" in said and "acceptance:" in said
        pilot = decisions(tmp_path / "run")
        assert pilot.count(b'"closed"') == 6
        asked = len(watched.asked)
        code, said = command(recipe, tmp_path / "run", "--estimate", "--pilot", "6", "--json")
        assert (code, len(watched.asked)) == (0, asked)
        line = next(line for line in said.splitlines() if '"forecast"' in line)
        assert json.loads(line)["forecast"]["seconds"] is None, "nothing was asked: there is no pace"
        middle, low, high = json.loads(line)["forecast"]["requests"]
        code, said = command(recipe, tmp_path / "run")
        assert code == 0, said
        total = len(watched.asked)
        code, said = command(recipe, tmp_path / "at_once")
        assert code == 0, said

    assert len(set(watched.asked[:total])) == total, "something was bought twice"
    assert decisions(tmp_path / "run").startswith(pilot)
    assert decisions(tmp_path / "run") == decisions(tmp_path / "at_once")
    assert low <= middle <= high
    assert 0.5 * middle < total < 2 * middle, "the forecast was far off"
