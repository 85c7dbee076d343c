"""How much of a minute's limit is used: ours against a server that enforces it in every window of 60 s.

    python -m benchmarks.limits                     two and a half minutes of real time, all cases at once
    python -m benchmarks.limits --minutes 1

`stated`: the recipe gives the limit, and no request may be sent above it (`refused` has to be 0). `found`: nothing is
stated, the server answers 429 with or without Retry-After, and the client finds its way. Goal: at least 0.85.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from instructgen.records import Params, Request, Turn
from instructgen.teachers.ledger import Ledger
from instructgen.teachers.openai import OpenAITeacher
from tests.servers.faults import Faults
from tests.servers.openai_server import Spawned, spawn, tokens_in

REQUESTS, TOKENS = 600, 60_000
PROMPT = "Sort the list. " * 20
LATENCY = 1.0
COST = tokens_in(PROMPT) + 3 + 17
"""Tokens of one request and its answer here, about."""


@dataclass
class Case:
    """One way in which a limit is known."""

    name: str
    faults: dict[str, Any]
    options: dict[str, Any]
    allowed: float
    """Requests a minute."""


CASES = [
    Case("requests, stated", {"requests_per_minute": REQUESTS}, {"requests_per_minute": REQUESTS}, REQUESTS),
    Case("tokens, stated", {"tokens_per_minute": TOKENS}, {"tokens_per_minute": TOKENS}, TOKENS / COST),
    Case("requests, found by Retry-After", {"requests_per_minute": REQUESTS, "retry_after": 5.0}, {}, REQUESTS),
    Case("requests, found by 429 alone", {"requests_per_minute": REQUESTS}, {}, REQUESTS),
]


async def use(case: Case, server: Spawned, minutes: float) -> Ledger:
    """Ask as fast as the teacher lets us, for so long."""
    teacher = OpenAITeacher(
        model="m", base_url=server.url, **({"concurrency": 64, **case.options} if case.options else {})
    )
    async with teacher.connect() as connection:
        ledger: Ledger = connection.ledger  # type: ignore[attr-defined]
        end = time.monotonic() + 60 * minutes

        async def worker(first: int) -> None:
            number = first
            while time.monotonic() < end:
                turns = (Turn(role="user", content=PROMPT),)
                await connection.complete(Request(messages=turns, params=Params(seed=number, max_tokens=60), model="m"))
                number += 64

        workers = [asyncio.create_task(worker(first)) for first in range(64)]
        await asyncio.wait(workers, timeout=60 * minutes)
        counts = Ledger(**ledger.as_json())  # type: ignore[arg-type]
        for each in workers:
            each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return counts


async def measure(servers: list[Spawned], minutes: float) -> list[Ledger]:
    return await asyncio.gather(*(use(case, server, minutes) for case, server in zip(CASES, servers, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.5)
    options = parser.parse_args()
    with ExitStack() as open_ones:
        servers = [open_ones.enter_context(spawn(faults=Faults(latency=LATENCY, **case.faults))) for case in CASES]
        ledgers = asyncio.run(measure(servers, options.minutes))
        print("| limit | allowed | answered | of allowed | refused by the server |\n|---|--:|--:|--:|--:|")
        for case, server, ledger in zip(CASES, servers, ledgers, strict=True):
            allowed = case.allowed * math.ceil(options.minutes)  # a window may be filled as soon as it opens
            share = ledger.answered / allowed
            print(f"| {case.name} | {allowed:.0f} | {ledger.answered} | {share:.2f} | {server.bill().over_limit} |")


if __name__ == "__main__":
    main()
