"""A forward proxy on loopback, for plain HTTP and for CONNECT; it counts what passes.

with proxy(user="me", password="secret") as through:
    OpenAITeacher(model="m", base_url=..., proxy=through.url)
    through.seen        ["POST http://127.0.0.1:8000/v1/chat/completions", "CONNECT 127.0.0.1:8443"]
"""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on; one request per connection for plain HTTP."""

    def __init__(self, user: str, password: str) -> None:
        self.seen: list[str] = []
        self.url = ""
        self._expected = base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
        self._credentials = f"{user}:{password}@" if user else ""

    async def start(self) -> asyncio.Server:
        """Listen."""
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.url = f"http://{self._credentials}127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            self.seen.append(f"{method} {target}")
            if self._expected and f"basic {self._expected}".lower() not in head.decode().lower():
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            elif method == "CONNECT":
                host, _, port = target.rpartition(":")
                far_reader, far_writer = await asyncio.open_connection(host, int(port))
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            else:
                parts = urlsplit(target)
                far_reader, far_writer = await asyncio.open_connection(parts.hostname, parts.port)
                path = head.replace(target.encode(), parts.path.encode(), 1)
                far_writer.write(path.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def proxy(user: str = "", password: str = "") -> Iterator[Proxy]:
    """Serve from a thread."""
    through, loop = Proxy(user, password), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(through.start(), loop).result(10)
    try:
        yield through
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
