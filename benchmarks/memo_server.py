"""A server for measuring clients with real answers: it makes each answer once and afterwards only looks it up.

python -m benchmarks.memo_server --latency 0.05             prints its port; POST anything, practice answers come back
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from tests.servers.openai_server import CHAT, OpenAIServer
from tests.servers.practice_answers import answer


class Memo(asyncio.Protocol):
    """Answers the requests of a connection one by one, each after `latency` seconds."""

    latency = 0.0
    known: dict[bytes, bytes] = {}  # noqa: RUF012 - shared by all connections
    maker = OpenAIServer(answer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self.transport = transport
        self.left = b""

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a request is whole."""
        self.left += data
        head = self.left.find(b"\r\n\r\n")
        if head < 0:
            return
        fields = self.left[:head].lower()
        start = fields.find(b"content-length:")
        end = head + 4 + int(fields[start + 15 :].split(b"\r\n", 1)[0])
        if len(self.left) < end:
            return
        body, self.left = self.left[head + 4 : end], self.left[end:]
        whole = self.known.get(body) or self.made(body)
        asyncio.get_running_loop().call_later(self.latency, self.write, whole)

    def made(self, body: bytes) -> bytes:
        """Make an answer and keep it."""
        status, said = self.maker.outcome(CHAT, orjson.loads(body))
        data = orjson.dumps(said)
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        whole = self.known[body] = head.encode() + data
        return whole

    def write(self, whole: bytes) -> None:
        """Send an answer."""
        if not self.transport.is_closing():
            self.transport.write(whole)  # type: ignore[attr-defined]


@contextmanager
def memo_server(latency: float) -> Iterator[str]:
    """Serve from a process of its own; yields the base URL."""
    command = [sys.executable, "-m", "benchmarks.memo_server", "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.terminate()
        process.wait(10)


async def _serve(latency: float) -> None:
    Memo.latency = latency
    server = await asyncio.get_running_loop().create_server(Memo, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.05)
    asyncio.run(_serve(parser.parse_args().latency))
