"""An OpenAI-compatible server on loopback that misbehaves to order, and counts what it saw and charged.

    with serve(answer=lambda body: "4", faults=Faults(latency=0.05, too_many=0.1)) as server:     # in a thread
        OpenAITeacher(model="m", base_url=server.url)
        server.bill.requests, server.bill.tokens

    with spawn(answer="tests.servers.openai_server:echo", faults=Faults(...)) as server:          # its own process
        server.url, server.bill()

    python -m tests.servers.openai_server --port 0 --faults '{"latency": 0.05}'                   # prints {"url": ...}

An answer is a pure function of the request's body. Routes of other modules (batches, files) are added by a function
`extra(server)` that calls `server.app.router.add_post(...)` and may use `server.outcome(path, body)`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from email.utils import formatdate
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tests.servers.faults import Bill, Faults

Body = dict[str, Any]
Answer = Callable[[Body], str | Body]
"""A body in; a text, or a whole choice (`{"message": {...}, "finish_reason": ...}`, with `usage` if it likes), out."""
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
CHARACTERS_PER_TOKEN = 3
HTML = "<!doctype html>\n<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
WRONG_USAGES: tuple[Any, ...] = (
    None, {}, {"prompt_tokens": -5, "completion_tokens": 3}, {"prompt_tokens": "many"}, "none", {"total_tokens": 7},
)  # fmt: skip


def tokens_in(text: str) -> int:
    """Tokens as this server counts them; never more than bytes."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def prompt_of(body: Body) -> str:
    """All text of the prompt."""
    if "messages" in body:
        return "\n".join(str(message.get("content") or "") for message in body["messages"])
    return str(body.get("prompt", ""))


def echo(body: Body) -> str:
    """The default answer: depends on everything that was asked."""
    key = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"You said: {prompt_of(body)[-80:]} ({key[:12]})"


def error(status: int, message: str, kind: str = "invalid_request_error", **more: Any) -> tuple[int, Body]:
    """An error as OpenAI writes it."""
    return status, {"error": {"message": message, "type": kind, "param": None, "code": None} | more}


class OpenAIServer:
    """The server's state and routes."""

    def __init__(self, answer: Answer = echo, faults: Faults | None = None) -> None:
        self.answer = answer
        self.faults = faults or Faults()
        self.bill = Bill()
        self.app = web.Application(client_max_size=1 << 30)
        self.app.router.add_post(CHAT, self._complete)
        self.app.router.add_post(TEXT, self._complete)
        self.app.router.add_get("/v1/models", self._models)
        self.app.router.add_get("/bill", self._show_bill)
        self.url = ""
        self._began = time.monotonic()
        self._in_flight = 0
        self._window: deque[tuple[float, int]] = deque()

    # ---- what is said, without the ways in which saying it can fail

    def outcome(self, path: str, body: Body) -> tuple[int, Body]:
        """Return status and JSON of the answer to a request in calm weather. Pure."""
        faults, text = self.faults, prompt_of(body)
        if faults.models and body.get("model") not in faults.models:
            words = f"The model `{body.get('model')}` does not exist or you do not have access to it."
            return error(404, words, code="model_not_found")
        for name in faults.refused:
            if name in body:
                return self._refusal(name)
        if faults.context is not None and tokens_in(text) > faults.context:
            words = (
                f"This model's maximum context length is {faults.context} tokens. However, your messages "
                f"resulted in {tokens_in(text)} tokens. Please reduce the length of the messages."
            )
            return error(400, words, param="messages", code="context_length_exceeded")
        filtered = faults.content_filter and faults.rng("filter", text).random()
        if faults.content_filter and filtered < faults.content_filter / 2:
            return error(400, "The prompt was filtered due to content management policy.", code="content_filter")
        said = self.answer(body)
        choice = {"message": {"role": "assistant", "content": said}} if isinstance(said, str) else dict(said)
        if faults.content_filter and filtered < faults.content_filter:
            choice = {"message": {"role": "assistant", "content": None}, "finish_reason": "content_filter"}
        return 200, self._whole(path, body, choice)

    def _whole(self, path: str, body: Body, choice: Body) -> Body:
        """A completion around a choice: cut at stops and at the limit, with usage."""
        usage = choice.pop("usage", None)
        message = choice.setdefault("message", {"role": "assistant", "content": ""})
        finish = choice.get("finish_reason", "stop")
        if isinstance(message.get("content"), str) and "finish_reason" not in choice:
            message["content"], finish = cut(message["content"], body)
        said = str(message.get("content") or "") + str(message.get("reasoning_content") or "")
        asked, spoken = tokens_in(prompt_of(body)) + 3, max(1, tokens_in(said))
        choice = {"index": 0, "logprobs": None, **choice, "finish_reason": finish}
        if path == TEXT:
            choice["text"] = choice.pop("message")["content"]
        return {
            "id": "cmpl-1",
            "object": "text_completion" if path == TEXT else "chat.completion",
            "created": 1,
            "model": body.get("model", ""),
            "choices": [choice],
            "usage": usage or {"prompt_tokens": asked, "completion_tokens": spoken, "total_tokens": asked + spoken},
        }

    def _refusal(self, name: str) -> tuple[int, Body]:
        if self.faults.refusal_style == "mistral":
            detail = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}]
            return 422, {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"}
        if self.faults.refusal_style == "vllm":
            return 400, {"object": "error", "message": f"{name} is not supported by this model", "code": 400}
        instead = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
        words = f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
        return error(400, words, param=name, code="unsupported_parameter")

    # ---- over the wire

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        faults, bill = self.faults, self.bill
        raw = await request.read()
        body: Body = orjson.loads(raw)
        key = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
        asked = bill.arrived[key] = bill.arrived.get(key, 0) + 1
        bill.times.append(time.monotonic() - self._began)
        self._in_flight += 1
        bill.most_in_flight = max(bill.most_in_flight, self._in_flight)
        try:
            if faults.key and request.headers.get("Authorization") != f"Bearer {faults.key}":
                shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
                return self._plain(*error(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key"))
            if refused := self._too_much(body):
                return refused
            struck = faults.strikes(key, asked)
            if faults.burst_every and (bill.requests - 1) % faults.burst_every < faults.burst_length:
                struck = "server_error"
            await asyncio.sleep(faults.late_seconds if struck == "late" else faults.delay(key, asked))
            return await self._fail_or_answer(request, body, key, struck)
        finally:
            self._in_flight -= 1

    def _too_much(self, body: Body) -> web.Response | None:
        """Refuse what is above the hard limits: a request that would make the window hold more than is allowed."""
        faults = self.faults
        if faults.capacity is not None and self._in_flight > faults.capacity:
            self.bill.over_limit += 1
            return self._plain(*error(503, "The server is overloaded.", "server_error"))
        if faults.requests_per_minute is None and faults.tokens_per_minute is None:
            return None
        now = time.monotonic()
        while self._window and now - self._window[0][0] >= faults.minute:
            self._window.popleft()
        tokens = tokens_in(prompt_of(body)) + 3
        over_requests = faults.requests_per_minute is not None and len(self._window) >= faults.requests_per_minute
        spent = sum(each for _, each in self._window) + tokens if faults.tokens_per_minute else 0
        if over_requests or (faults.tokens_per_minute is not None and spent > faults.tokens_per_minute):
            self.bill.over_limit += 1
            return self._too_many("the window is full")
        self._window.append((now, tokens))
        return None

    def _too_many(self, why: str) -> web.Response:
        headers = {}
        if (wait := self.faults.retry_after) is not None:
            headers["Retry-After"] = formatdate(time.time() + 1, usegmt=True) if wait == "date" else str(wait)
        kind = "rate_limit_exceeded"
        return self._plain(*error(429, f"Rate limit reached: {why}.", kind, code=kind), headers=headers)

    async def _fail_or_answer(self, request: web.Request, body: Body, key: str, struck: str) -> web.StreamResponse:
        if struck == "too_many":
            return self._too_many("a fault")
        if struck == "server_error":
            return self._plain(*error(500, "The server had an error.", "server_error"))
        if struck == "reset_early":
            self._count("reset_early")
            request.transport.abort()
            return web.Response()
        if struck == "html":
            self._count("html")
            return web.Response(text=HTML, content_type="text/html")
        status, said = self.outcome(request.path, body)
        if status != 200:
            return self._plain(status, said)
        tokens = self._charge(key, said)
        if self.faults.wrong_usage and self.faults.rng("usage", key).random() < self.faults.wrong_usage:
            said["usage"] = self.faults.rng("which", key).choice(WRONG_USAGES)
        return await self._deliver(request, orjson.dumps(said), key, struck, tokens)

    def _charge(self, key: str, said: Body) -> int:
        bill, usage = self.bill, said["usage"]
        bill.billed[key] = bill.billed.get(key, 0) + 1
        bill.prompt_tokens += usage["prompt_tokens"]
        bill.completion_tokens += usage["completion_tokens"]
        if self.faults.tokens_per_minute is not None:
            self._window.append((time.monotonic(), usage["completion_tokens"]))
        return int(usage["prompt_tokens"] + usage["completion_tokens"])

    async def _deliver(
        self, request: web.Request, data: bytes, key: str, struck: str, tokens: int
    ) -> web.StreamResponse:
        """Write a charged answer, whole or not."""
        self._count(struck or "200")
        if struck in ("empty", "truncated"):
            return web.Response(body=data[: len(data) // 2] if struck == "truncated" else b"")
        if struck in ("reset", "drip"):
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            response.content_length = len(data)
            await response.prepare(request)
            pieces = 10 if struck == "drip" else 2
            size = -(-len(data) // pieces)
            for start in range(0, len(data), size):
                if start:
                    await asyncio.sleep(self.faults.drip_seconds / (pieces - 1) if struck == "drip" else 0.01)
                if struck == "reset" and start:
                    request.transport.abort()
                    return response
                await response.write(data[start : start + size])
            self._delivered(request, key, tokens)
            return response
        self._delivered(request, key, tokens)
        return web.Response(body=data, content_type="application/json")

    def _delivered(self, request: web.Request, key: str, tokens: int) -> None:
        if request.transport is not None and not request.transport.is_closing():
            self.bill.delivered[key] = self.bill.delivered.get(key, 0) + 1
            self.bill.delivered_tokens += tokens

    def _plain(self, status: int, data: Body, headers: dict[str, str] | None = None) -> web.Response:
        self._count(str(status))
        body = orjson.dumps(data)
        return web.Response(status=status, body=body, headers=headers, content_type="application/json")

    def _count(self, what: str) -> None:
        self.bill.statuses[what] = self.bill.statuses.get(what, 0) + 1

    async def _models(self, request: web.Request) -> web.Response:
        names = self.faults.models or ("m",)
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    async def _show_bill(self, request: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(asdict(self.bill)), content_type="application/json")


def cut(text: str, body: Body) -> tuple[str, str]:
    """Apply `stop` and the output limit. Returns text and finish_reason."""
    stops = body.get("stop") or []
    places = [place for stop in ([stops] if isinstance(stops, str) else stops) if (place := text.find(stop)) >= 0]
    text = text[: min(places)] if places else text
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit and tokens_in(text) > limit:
        return text[: limit * CHARACTERS_PER_TOKEN], "length"
    return text, "stop"


async def _listen(server: OpenAIServer, port: int, ssl: Any = None) -> web.AppRunner:
    # Answers that are still being thought about when a test ends are nobody's any more.
    runner = web.AppRunner(server.app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=ssl, backlog=1024)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"{'https' if ssl else 'http'}://127.0.0.1:{port}/v1"
    return runner


@contextmanager
def serve(
    answer: Answer = echo,
    faults: Faults | None = None,
    extra: Callable[[OpenAIServer], None] | None = None,
    *,
    ssl: Any = None,
    port: int = 0,
) -> Iterator[OpenAIServer]:
    """Serve from a thread of this process; `server.bill` is live."""
    server = OpenAIServer(answer, faults)
    if extra:
        extra(server)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(_listen(server, port, ssl), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.shutdown(), loop).result(10)
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(70)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Spawned:
    """A server in its own process."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def bill(self) -> Bill:
        """Fetch what the server saw and charged so far."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url.removesuffix("/v1") + "/bill", timeout=30) as answer:
            return Bill(**json.load(answer))


@contextmanager
def spawn(
    answer: str = "tests.servers.openai_server:echo", faults: Faults | None = None, extra: str = "", port: int = 0
) -> Iterator[Spawned]:
    """Serve from a process of its own; `answer` and `extra` are "module:name"."""
    settings = json.dumps((faults or Faults()).as_json())
    command = [sys.executable, "-m", __name__, "--port", str(port), "--answer", answer, "--faults", settings]
    command += ["--extra", extra] if extra else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        yield Spawned(process, json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def named(path: str) -> Any:
    """Return what "module:name" names."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer", default=f"{__package__}.openai_server:echo")
    parser.add_argument("--faults", default="{}", help="JSON of tests.servers.faults.Faults")
    parser.add_argument("--extra", default="", help="module:function that adds routes")
    options = parser.parse_args()
    server = OpenAIServer(named(options.answer), Faults.from_json(json.loads(options.faults)))
    if options.extra:
        named(options.extra)(server)

    async def run() -> None:
        await _listen(server, options.port)
        sys.stdout.write(json.dumps({"url": server.url}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
