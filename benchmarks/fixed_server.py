"""The cheapest possible HTTP server, so that a benchmark measures its clients: one fixed answer after a fixed time.

python -m benchmarks.fixed_server --latency 0.05            prints its port
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
_WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_1\r\n"
    b"x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n"
    b"x-ratelimit-reset-requests: 6ms\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class Fixed(asyncio.Protocol):
    """Answers each request on a connection after `latency` seconds; reads no more of it than its length."""

    latency = 0.0

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
        length = int(fields[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
        if len(self.left) < head + 4 + length:
            return
        self.left = self.left[head + 4 + length :]
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.answer)
        else:
            self.answer()

    def answer(self) -> None:
        """Write the one answer."""
        if not self.transport.is_closing():
            self.transport.write(_WHOLE)  # type: ignore[attr-defined]


@contextmanager
def fixed_server(latency: float) -> Iterator[str]:
    """Serve from a process of its own; yields the base URL."""
    command = [sys.executable, "-m", "benchmarks.fixed_server", "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.terminate()
        process.wait(10)


async def _serve(latency: float) -> None:
    Fixed.latency = latency
    server = await asyncio.get_running_loop().create_server(Fixed, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.05)
    asyncio.run(_serve(parser.parse_args().latency))
