"""What a request costs beside the network: our path to an endpoint against bare aiohttp and the openai client.

    python -m benchmarks.hot_path                                    5,000 requests each, 50 ms and 0 ms, 64 and 256
    python -m benchmarks.hot_path --requests 1000 --latency 50 --concurrency 64 --only bare,ours

All contenders run in one process, in turns of a few hundred requests, against one server in a process of its own, so
that a slow moment of the machine hits all alike. CPU is this process's own, in milliseconds a request. Goals: `ours`
at least 0.9 of bare aiohttp's rate at 64 and 0.7 at 256, and at most 0.4 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import orjson

from benchmarks.bare_server import ANSWER, bare_server
from instructgen.records import Params, Request, Turn
from instructgen.store import Store
from instructgen.teachers import Connection
from instructgen.teachers.openai import OpenAITeacher

PROMPT = "Come up with a task that a language model could be given, unlike these: " + "sort the list; " * 60
EXPECTED = ANSWER["choices"][0]["message"]["content"]  # type: ignore[index]
TURNS = 5

Ask = Callable[[int], Awaitable[str]]
Client = Callable[[str, int], AbstractAsyncContextManager[Ask]]


@asynccontextmanager
async def bare(url: str, _concurrency: int) -> AsyncIterator[Ask]:
    """A session, a body, a JSON answer: the least that anyone can do."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(number: int) -> str:
            body = {
                "model": "bench",
                "messages": [{"role": "user", "content": PROMPT}],
                "max_tokens": 200,
                "seed": number,
            }
            headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-none"}
            async with session.post(f"{url}/chat/completions", data=orjson.dumps(body), headers=headers) as answer:
                said = orjson.loads(await answer.read())
                return str(said["choices"][0]["message"]["content"])

        yield ask


@asynccontextmanager
async def ours(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """The openai teacher as the engine uses it: hash, limits, retries, validation, and the store on disk."""
    teacher = OpenAITeacher(model="bench", base_url=url, concurrency=concurrency)
    async with teacher.connect() as connection:
        with TemporaryDirectory() as folder, closing(Store(Path(folder, "completions.db"))) as store:
            yield _stored(connection, store)


def _stored(connection: Connection, store: Store) -> Ask:
    async def ask(number: int) -> str:
        turns = (Turn(role="user", content=PROMPT),)
        request = Request(messages=turns, params=Params(max_tokens=200, seed=number), model="bench")
        completion = await connection.complete(request)
        await store.put(request.hash, request, completion)
        return completion.text

    return ask


@asynccontextmanager
async def _official(url: str, http_client: object) -> AsyncIterator[Ask]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key="sk-none", http_client=http_client) as client:  # type: ignore[arg-type]

        async def ask(number: int) -> str:
            said = await client.chat.completions.create(
                model="bench", messages=[{"role": "user", "content": PROMPT}], max_tokens=200, seed=number
            )
            return said.choices[0].message.content or ""

        yield ask


def openai_default(url: str, _concurrency: int) -> AbstractAsyncContextManager[Ask]:
    """The openai client as it comes."""
    return _official(url, None)


def openai_aiohttp(url: str, _concurrency: int) -> AbstractAsyncContextManager[Ask]:
    """The openai client over aiohttp."""
    from openai import DefaultAioHttpClient

    return _official(url, DefaultAioHttpClient())


CLIENTS: dict[str, Client] = {
    "bare": bare, "ours": ours, "openai": openai_default, "openai_aiohttp": openai_aiohttp,
}  # fmt: skip


@dataclass
class Clock:
    """Time of one contender: wall and CPU seconds, and requests."""

    wall: float = 0.0
    cpu: float = 0.0
    requests: int = 0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.wall


async def turn(ask: Ask, first: int, count: int, concurrency: int, clock: Clock) -> None:
    """Let one contender ask `count` times with `concurrency` workers."""
    numbers = iter(range(first, first + count))

    async def worker() -> None:
        for number in numbers:
            if await ask(number) != EXPECTED:
                raise SystemExit("a client lost an answer")

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    clock.wall += time.perf_counter() - wall
    clock.cpu += time.process_time() - cpu
    clock.requests += count


async def race(url: str, concurrency: int, requests: int, names: list[str]) -> dict[str, Clock]:
    """Let all contenders take turns; each keeps its connections, opened in a turn that does not count."""
    clocks = {name: Clock() for name in names}
    for number in range(TURNS):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            async with CLIENTS[name](url, concurrency) as ask:
                await turn(ask, -concurrency, concurrency, concurrency, Clock())
                await turn(ask, number * requests, requests // TURNS, concurrency, clocks[name])
    return clocks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--latency", type=float, nargs="+", default=[50.0, 0.0], help="of the server, ms")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--only", default=",".join(CLIENTS))
    options = parser.parse_args()
    print("| latency ms | concurrency | client | requests/s | of bare | CPU ms a request |\n|--:|--:|---|--:|--:|--:|")
    for latency in options.latency:
        with bare_server("fixed", latency / 1000) as url:
            for concurrency in options.concurrency:
                clocks = asyncio.run(race(url, concurrency, options.requests, options.only.split(",")))
                best = clocks.get("bare")
                for name, clock in clocks.items():
                    ratio = f"{clock.rate / best.rate:.2f}" if best else ""
                    cost = 1000 * clock.cpu / clock.requests
                    print(
                        f"| {latency:g} | {concurrency} | {name} | {clock.rate:.0f} | {ratio} | {cost:.2f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
