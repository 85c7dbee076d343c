"""What going on with a run costs before anything new is done: `generate` on a finished run, beside `json.loads`.

    python -m benchmarks.resume [--decisions 50000]

A run of so many decisions is made by the engine itself, with a scripted teacher (Alpaca's generator, the usual filters,
ROUGE-L novelty). Then, in a process of its own and in turn: `json.loads` of every line of its `decisions.jsonl`;
`generate` again, which finds the target reached; and `generate` with the target raised by one, which must also
remember every accepted sample and the pool before it can buy the one slot that is missing. Imports are not counted.
Asked for: the finished run in at most 3 times the seconds of `json.loads`, below 500 MB.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path

from benchmarks.timing import in_child, table
from instructgen.recipe import Recipe, parse_recipe
from instructgen.records import Request
from instructgen.run import Run
from instructgen.sitting import generate

ROUNDS = 3
MOST_MB = 500
WORDS = ["".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=2 + n % 8)) for n in range(3_000)]
CHILD = """
import json, time
from statistics import median
from benchmarks.resume import recipe
from instructgen.sitting import generate
path, target, begun = {path!r}, {target}, {{}}
def timed(name, work):
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    begun.setdefault(name, []).append((time.perf_counter() - wall, time.process_time() - cpu))
    return found
def lines():
    with open(path + "/decisions.jsonl", "rb") as file:
        for line in file:
            json.loads(line)
for _ in range({rounds}):
    timed("json.loads", lines)
    done = timed("finished", lambda: generate(recipe(target), path))
    assert done.ending == "target" and not done.closed, done
    if {raised}:
        target = done.progress.accepted + 1
        assert timed("raised", lambda: generate(recipe(target), path)).closed, "nothing was added"
print(json.dumps({{name: [median(times) for times in zip(*both)] for name, both in begun.items()}}))
"""


def recipe(target: int) -> Recipe:
    """Return the recipe of the run that is gone on with."""
    return parse_recipe({
        "seed": 3, "target": target, "seeds": "seeds/general.jsonl", "window": 64, "exhausted": {"below": 0},
        "teacher": {"kind": "scripted", "function": "benchmarks.resume:answer"}, "generator": {"kind": "alpaca"},
        "filters": [{"kind": "instruction_rules"}, {"kind": "instance_rules"}, {"kind": "rouge"}],
    })  # fmt: skip


def answer(request: Request) -> str:
    """Write tasks of random words, some twice: a reply of Alpaca's shape."""
    rng = random.Random(request.hash)
    tasks = []
    for _ in range(17):
        verb = rng.choice(("Name", "Explain", "Describe", "Rewrite", "Sort"))
        idea = f"{verb} the {' '.join(rng.choices(WORDS, k=9))}."
        if tasks and rng.random() < 0.2:
            idea = rng.choice(tasks)[0]
        given = " ".join(rng.choices(WORDS, k=15)) if rng.random() < 0.4 else "<noinput>"
        tasks.append((idea, given, " ".join(rng.choices(WORDS, k=50))))
    blocks = [f"{n}. Instruction: {idea}\n{n}. Input:\n{given}\n{n}. Output:\n{output}\n"
              for n, (idea, given, output) in enumerate(tasks, 4)]  # fmt: skip
    return "###\n".join(blocks).removeprefix("4. Instruction:")


def made(path: Path, decisions: int) -> tuple[int, int]:
    """Make a run of about so many decisions; return how many it has, and how many of them are accepted."""
    outcome = generate(recipe(decisions), path, pilot=-(-decisions // 17))
    return outcome.progress.parsed, outcome.progress.accepted


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=50_000)
    wanted = parser.parse_args().decisions
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "run"
        parsed, accepted = made(path, wanted)
        size = (path / "decisions.jsonl").stat().st_size
        print(f"{parsed:,} decisions, {accepted:,} accepted, {size / 1e6:.0f} MB, {Run(path).target:,} asked for\n")
        rows, ratios = [], {}
        for raised in (False, True):
            code = CHILD.format(path=str(path), target=accepted, rounds=ROUNDS, raised=raised)
            _, peak, said = in_child(code)
            times = json.loads(said)
            for what in ["raised"] if raised else ["json.loads", "finished"]:
                wall, cpu = times[what]
                ratios[what] = cpu / times["json.loads"][1]
                memory = "" if what == "json.loads" else f"{peak:,.0f}"
                rows.append([what, f"{wall:.2f}", f"{cpu:.2f}", f"{ratios[what]:.2f}", memory])
        table(["work", "s (wall)", "s (CPU)", "x json.loads (CPU)", "peak MiB"], rows)


if __name__ == "__main__":
    main()
