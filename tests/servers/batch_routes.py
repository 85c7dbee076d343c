"""Files and batches for the loopback server: `serve(answer, extra=batches(...))`.

A batch is worked on while nobody looks: it ends `seconds` after it was made. What goes wrong is a pure function of the
batch's number (1, 2, ...) and of the request's name, so that storms repeat themselves.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from tests.servers.openai_server import OpenAIServer

SAID = "so it is"
"""What failures are explained with."""


@dataclass
class BatchFaults:
    """What goes wrong; numbers count batches from 1."""

    seconds: float = 0.05
    """Until a batch ends."""
    expire: dict[int, float] = field(default_factory=dict)
    """Batch number -> share of its requests that it still answers when it expires."""
    fail: dict[int, str] = field(default_factory=dict)
    """Batch number -> error code with which the whole batch fails validation."""
    cancel: dict[int, float] = field(default_factory=dict)
    """Batch number -> share answered when somebody cancels it from outside."""
    server_errors: dict[int, float] = field(default_factory=dict)
    """Batch number -> share of its requests that end with status 500."""
    lose_creations: frozenset[int] = frozenset()
    """Batches that are made while the answer to their creation is a broken connection."""
    lose_uploads: int = 0
    """The first so many uploads end with 503."""
    open: bool = True
    """False: batches never end, unless they are cancelled."""
    too_late: frozenset[int] = frozenset()
    """Batches whose cancellation is refused."""


class Batches:
    """The state of files and batches."""

    def __init__(self, server: OpenAIServer, faults: BatchFaults) -> None:
        self.server, self.faults = server, faults
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.sent: list[list[str]] = []
        """Per batch, the names of its requests."""
        self.billed: dict[str, int] = {}
        """Name of a request -> how often it was answered and charged."""
        self.bodies: dict[str, dict[str, Any]] = {}
        self.cancelled: list[str] = []
        self.uploads = 0
        routes = server.app.router
        routes.add_post("/v1/files", self._upload)
        routes.add_get("/v1/files/{id}/content", self._content)
        routes.add_post("/v1/batches", self._create)
        routes.add_get("/v1/batches", self._list)
        routes.add_get("/v1/batches/{id}", self._retrieve)
        routes.add_post("/v1/batches/{id}/cancel", self._cancel)

    async def _upload(self, request: web.Request) -> web.Response:
        self.uploads += 1
        if self.uploads <= self.faults.lose_uploads:
            return web.json_response({"error": {"message": "try later"}}, status=503)
        parts = {part.name: await part.read() async for part in await request.multipart()}
        assert parts["purpose"] == b"batch"
        name = f"file-{self.uploads}"
        self.files[name] = bytes(parts["file"])
        return web.json_response({"id": name, "object": "file", "bytes": len(parts["file"]), "created_at": 1,
                                  "filename": "x.jsonl", "purpose": "batch", "status": "processed"})  # fmt: skip

    async def _content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        number = len(self.batches) + 1
        lines = [orjson.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        assert {line["url"] for line in lines} == {asked["endpoint"]}
        self.sent.append([line["custom_id"] for line in lines])
        batch = {
            "id": f"batch_{number}", "object": "batch", "endpoint": asked["endpoint"], "status": "in_progress",
            "input_file_id": asked["input_file_id"], "completion_window": asked["completion_window"], "created_at": 1,
            "metadata": asked.get("metadata"), "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            "made": time.monotonic(), "number": number,
        }  # fmt: skip
        self.batches[batch["id"]] = batch
        if number in self.faults.lose_creations:
            request.transport.abort()
        return self._shown(batch)

    async def _list(self, request: web.Request) -> web.Response:
        data = [self._public(batch) for batch in reversed(self.batches.values())]
        return web.json_response({"object": "list", "data": data, "has_more": False, "first_id": None, "last_id": None})

    async def _retrieve(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        late = time.monotonic() - batch["made"] >= self.faults.seconds
        if (batch["status"] == "in_progress" and late and self.faults.open) or batch["status"] == "cancelling":
            self._end(batch)
        await asyncio.sleep(0)
        return self._shown(batch)

    async def _cancel(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        self.cancelled.append(batch["id"])
        if batch["status"] not in ("in_progress", "cancelling") or batch["number"] in self.faults.too_late:
            said = {"message": "Cannot cancel a batch with status 'completed'.", "type": "invalid_request_error"}
            return web.json_response({"error": said}, status=409)
        batch["status"] = "cancelling"
        return self._shown(batch)

    def _end(self, batch: dict[str, Any]) -> None:
        """Work a batch off, as far as its faults let it."""
        faults, number = self.faults, batch["number"]
        if number in faults.fail:
            batch["status"] = "failed"
            problem = {"code": faults.fail[number], "message": SAID, "line": 1, "param": None}
            batch["errors"] = {"object": "list", "data": [problem]}
            return
        stopped = batch["status"] == "cancelling"
        batch["status"] = "expired" if number in faults.expire else "completed"
        batch["status"] = "cancelled" if stopped or number in faults.cancel else batch["status"]
        share = faults.expire.get(number, faults.cancel.get(number, 0.0 if stopped else 1.0))
        good, bad = [], []
        for line in map(orjson.loads, self.files[batch["input_file_id"]].splitlines()):
            if _draw(number, line["custom_id"]) >= share:
                error = {"code": "batch_expired", "message": "This request could not be executed in time."}
                bad.append({"id": "r", "custom_id": line["custom_id"], "response": None, "error": error})
            elif _draw(-number, line["custom_id"]) < faults.server_errors.get(number, 0):
                body = {"error": {"message": SAID, "type": "server_error"}}
                bad.append(_response(line["custom_id"], 500, body))
            else:
                status, body = self.server.outcome(line["url"], line["body"])
                if status == 200:
                    self._charge(line, body)
                (good if status == 200 else bad).append(_response(line["custom_id"], status, body))
        good.reverse()  # the order of an output file is nobody's promise
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                batch[name] = f"{batch['id']}_{name}"
                self.files[batch[name]] = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}

    def _charge(self, line: dict[str, Any], body: dict[str, Any]) -> None:
        name = line["custom_id"]
        self.billed[name] = self.billed.get(name, 0) + 1
        self.bodies[name] = line["body"]
        self.server.bill.prompt_tokens += body["usage"]["prompt_tokens"]
        self.server.bill.completion_tokens += body["usage"]["completion_tokens"]

    def _public(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in batch.items() if key not in ("made", "number")}

    def _shown(self, batch: dict[str, Any]) -> web.Response:
        return web.json_response(self._public(batch))


def _response(name: str, status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "r",
        "custom_id": name,
        "response": {"status_code": status, "request_id": "q", "body": body},
        "error": None,
    }


def _draw(number: int, name: str) -> float:
    """A number in 0..1 that depends on both."""
    return int.from_bytes(hashlib.sha256(f"{number} {name}".encode()).digest()[:8]) / 2**64


def batches(faults: BatchFaults | None = None) -> Callable[[OpenAIServer], None]:
    """Add the routes to a server; its state is then `server.batches`."""

    def add(server: OpenAIServer) -> None:
        server.batches = Batches(server, faults or BatchFaults())

    return add


def calm(server: OpenAIServer) -> None:
    """Add the routes with nothing wrong, for a server in its own process; /batch_bill tells what was billed."""
    batches(BatchFaults(seconds=0.15))(server)

    async def bill(request: web.Request) -> web.Response:
        return web.json_response({"billed": server.batches.billed, "sent": server.batches.sent})

    server.app.router.add_get("/batch_bill", bill)
