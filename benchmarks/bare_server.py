"""The cheapest possible HTTP server, so that a benchmark measures its clients: what it says costs it next to nothing.

python -m benchmarks.bare_server fixed --latency 0.05      prints its port; `fixed` says one answer to everything,
                                                           `practice` makes each practice answer once and looks it up
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import orjson

ANSWER = {
    "id": "chatcmpl-8f2c", "object": "chat.completion", "created": 1790000000, "model": "bench",
    "choices": [{
        "index": 0, "logprobs": None, "finish_reason": "stop",
        "message": {"role": "assistant", "refusal": None, "annotations": [], "content": "A measured answer. " * 40},
    }],
    "usage": {
        "prompt_tokens": 310, "completion_tokens": 160, "total_tokens": 470,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
    "service_tier": "default", "system_fingerprint": "fp_1",
}  # fmt: skip
_BODY = json.dumps(ANSWER).encode()
_FIXED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_1\r\n"
    b"x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n"
    b"x-ratelimit-reset-requests: 6ms\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class Bare(asyncio.Protocol):
    """Answers each request on a connection after `latency` seconds; reads no more of it than its length."""

    def __init__(self, answer: Callable[[bytes], bytes], latency: float) -> None:
        self._answer, self._latency = answer, latency
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a request is whole."""
        self._left += data
        head = self._left.find(b"\r\n\r\n")
        if head < 0:
            return
        fields = self._left[:head].lower()
        start = fields.find(b"content-length:")
        end = head + 4 + (int(fields[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0)
        if len(self._left) < end:
            return
        whole = self._answer(self._left[head + 4 : end])
        self._left = self._left[end:]
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._write, whole)
        else:
            self._write(whole)

    def _write(self, whole: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(whole)  # type: ignore[attr-defined]


def fixed(_: bytes) -> bytes:
    """Return the one answer, head and body."""
    return _FIXED


def practice() -> Callable[[bytes], bytes]:
    """Return what makes each practice answer once."""
    from tests.servers.openai_server import CHAT, OpenAIServer
    from tests.servers.practice_answers import answer

    maker = OpenAIServer(answer)

    @cache
    def made(body: bytes) -> bytes:
        status, said = maker.outcome(CHAT, orjson.loads(body))
        data = orjson.dumps(said)
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        return head.encode() + data

    return made


@contextmanager
def bare_server(answers: Literal["fixed", "practice"], latency: float) -> Iterator[str]:
    """Serve from a process of its own, each answer after `latency` seconds; yields the base URL."""
    command = [sys.executable, "-m", "benchmarks.bare_server", answers, "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.terminate()
        process.wait(10)


async def _serve(answers: str, latency: float) -> None:
    answer = fixed if answers == "fixed" else practice()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Bare(answer, latency), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers", choices=["fixed", "practice"])
    parser.add_argument("--latency", type=float, default=0.05)
    options = parser.parse_args()
    asyncio.run(_serve(options.answers, options.latency))
