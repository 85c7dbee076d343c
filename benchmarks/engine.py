"""A whole `generate` (slots, window, store, screening, decisions) against bare aiohttp, and where the rest goes.

    python -m benchmarks.engine                                        runs of about 5,000 requests, 50 ms, 64 and 256
    python -m benchmarks.engine --target 500 --concurrency 64 --no-profile

Self-Instruct's full form with the practice teacher's answers, which a server in a process of its own gives after
`--latency` ms (a first run, not measured, lets it make them); the window is 8 times the concurrency, as advised. Bare
aiohttp then sends the very same bodies to the same server with as many workers; both take turns, so that a slow moment
of the machine hits both. CPU is this process's own, in milliseconds a request, start and end of the run included; the
run itself also has waits that a flood of independent requests has not: a slot's second request needs its first. The
profile is of one more run.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Self

import aiohttp
import orjson

from benchmarks.bare_server import bare_server
from instructgen.recipe import Recipe, parse_recipe
from instructgen.sitting import Outcome, generate

PLACES = {
    "teachers/": "teacher", "aiohttp": "network", "asyncio": "event loop", "selectors": "event loop",
    "store.py": "store", "sqlite3": "store", "screening.py": "screening", "filters/": "screening",
    "dedup/": "screening", "rapidfuzz": "screening", "prompts.py": "rendering", "jinja2": "rendering",
    "decisions.py": "decisions", "generators/": "flows", "pool.py": "flows", "engine.py": "engine",
    "purchases.py": "engine", "records.py": "records", "pydantic": "records",
}  # fmt: skip
"""Part of a file's path, first match wins -> what its time is counted as."""


def recipe(url: str, concurrency: int, target: int) -> Recipe:
    teacher = {"kind": "openai", "model": "practice", "base_url": url, "concurrency": concurrency}
    return parse_recipe({
        "seed": 3, "target": target, "seeds": "seeds/general.jsonl", "teacher": teacher, "window": 8 * concurrency,
        "generator": {"kind": "self_instruct"}, "exhausted": {"below": 0},
        "filters": [{"kind": "instruction_rules"}, {"kind": "instance_rules"}, {"kind": "rouge"}],
    })  # fmt: skip


class Clock:
    """Wall and CPU seconds of one contender, and its requests."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self.requests = 0

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._wall
        self.cpu += time.process_time() - self._cpu

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.wall


def bodies_of(outcome: Outcome) -> list[bytes]:
    """Return what a run sent, in the order in which it was stored."""
    from instructgen.records import Request
    from instructgen.teachers.wire import body_of

    store = outcome.run.store()
    try:
        rows = [Request.model_validate(row.request) for row in store.rows()]
    finally:
        store.close()
    return [orjson.dumps(body_of(request, "practice")) for request in rows]


async def bare(url: str, concurrency: int, bodies: list[bytes]) -> None:
    """Send all bodies and read the answers: the least that anyone can do."""
    left = iter(bodies)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker() -> None:
            for body in left:
                async with session.post(f"{url}/chat/completions", data=body, headers=headers) as answer:
                    orjson.loads(await answer.read())["choices"][0]["message"]["content"]

        await asyncio.gather(*(worker() for _ in range(concurrency)))


def race(url: str, concurrency: int, target: int, turns: int) -> tuple[Clock, Clock]:
    """Let a whole run and bare aiohttp take turns."""
    ours, theirs = Clock(), Clock()
    bodies: list[bytes] = []
    for number in range(turns + 1):
        with tempfile.TemporaryDirectory() as folder, ours if number else Clock() as clock:
            outcome = generate(recipe(url, concurrency, target), Path(folder) / "run")
            clock.requests += outcome.bought
            bodies = bodies or bodies_of(outcome)
        if not number:
            continue
        with theirs:
            asyncio.run(bare(url, concurrency, bodies))
        theirs.requests += len(bodies)
    return ours, theirs


def profile(url: str, concurrency: int, target: int) -> tuple[Counter[str], int]:
    """Return CPU seconds by group of one run (the profiler's own cost included), and its requests."""
    profiler = cProfile.Profile(time.thread_time)
    with tempfile.TemporaryDirectory() as folder:
        outcome = profiler.runcall(generate, recipe(url, concurrency, target), Path(folder) / "run")
    groups: Counter[str] = Counter()
    stats = pstats.Stats(profiler)
    for (file, _, name), (_, _, own, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        if file != "~":
            groups[group_of(file)] += own
            continue
        for (caller, _, _), (_, _, share, _) in callers.items():  # a function in C counts for whoever calls it
            groups["hashing" if "sha256" in name else group_of(caller)] += share
    return groups, outcome.bought


def group_of(file: str) -> str:
    file = re.split(r"/(?:instructgen|site-packages)/", file)[-1]  # whatever the folders above are called
    return next((group for part, group in PLACES.items() if part in file), "other")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=int, default=2500, help="accepted samples of a run; 4,000 to 5,000 requests")
    parser.add_argument("--latency", type=float, default=50.0, help="of the server, ms")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--turns", type=int, default=2, help="of each contender")
    parser.add_argument("--profile", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    print(f"a whole run at {options.latency:g} ms, window 8 x concurrency")
    print("| concurrency | client | requests | requests/s | of bare | CPU ms a request |\n|--:|---|--:|--:|--:|--:|")
    with bare_server("practice", options.latency / 1000) as url:
        for concurrency in options.concurrency:
            ours, theirs = race(url, concurrency, options.target, options.turns)
            for name, clock in (("generate", ours), ("bare aiohttp", theirs)):
                ratio, cost = clock.rate / theirs.rate, 1000 * clock.cpu / clock.requests
                row = f"| {concurrency} | {name} | {clock.requests} | {clock.rate:.0f} | {ratio:.2f} | {cost:.2f} |"
                print(row, flush=True)
        if options.profile:
            groups, requests = profile(url, options.concurrency[0], options.target)
            total = sum(groups.values())
            print(f"\nwhere the CPU of a run goes ({requests} requests at {options.concurrency[0]}; under a profiler)")
            print("| group | share |\n|---|--:|")
            for name, seconds in groups.most_common():
                print(f"| {name} | {seconds / total:.0%} |")


if __name__ == "__main__":
    main()
