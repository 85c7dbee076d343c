"""The Batch API of OpenAI and those who copied it, through the `openai` client: make, find, watch, fetch, cancel.

Limits of the provider: 50,000 requests and 200 MB a batch, one model and one path in it, 24 hours. See
https://platform.openai.com/docs/guides/batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from instructgen.errors import (
    RecipeError,
    TeacherAuthError,
    TeacherError,
    TeacherRateError,
    TeacherRefusedError,
    TeacherTransportError,
)
from instructgen.files import dumps, loads
from instructgen.teachers.http import Reply
from instructgen.teachers.retry import backoff

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import Batch

    from instructgen.teachers.openai import OpenAITeacher
    from instructgen.teachers.route import Endpoint

T = TypeVar("T")
log = logging.getLogger(__name__)

ENDED = frozenset({"completed", "expired", "cancelled", "failed"})
LABEL = "instructgen"
"""Metadata key that carries our own name of a batch."""
MOST_LISTED = 1000
"""Batches looked through for one that may have been made without our hearing of it."""


class BatchApi:
    """One endpoint's Batch and Files API. Every call is tried again until the deadline, as far as that can help."""

    def __init__(self, client: AsyncOpenAI, endpoint: Endpoint, name: str, deadline: float) -> None:
        self._client, self._endpoint, self._name, self._deadline = client, endpoint, name, deadline
        self._rng = Random()

    async def make(self, key: str, path: str, lines: list[bytes]) -> str:
        """Upload the requests and make a batch of them; returns its id. Raises: TeacherError.

        A creation that failed on the wire may have happened: before it is tried again, the batch is looked for.
        """
        data = b"".join(line + b"\n" for line in lines)
        uploaded = await self._tried(
            "upload", lambda: self._client.files.create(file=(f"{key}.jsonl", data), purpose="batch")
        )
        tries = 0

        async def create() -> str:
            nonlocal tries
            tries += 1
            if tries > 1 and (found := await self._look(key)):
                return found
            batch = await self._client.with_options(max_retries=0).batches.create(
                input_file_id=uploaded.id,
                endpoint=path,  # type: ignore[arg-type]
                completion_window="24h",
                metadata={LABEL: key},
            )
            return batch.id

        return await self._tried("create", create)

    async def find(self, key: str) -> str:
        """Return the id of the batch that carries our key, "" when the provider has none. Raises: TeacherError."""
        return await self._tried("list", lambda: self._look(key))

    async def _look(self, key: str) -> str:
        seen = 0
        async for batch in self._client.batches.list(limit=100):
            if (batch.metadata or {}).get(LABEL) == key:
                return batch.id
            seen += 1
            if seen >= MOST_LISTED:
                break
        return ""

    async def look(self, batch: str) -> Batch:
        """Return a batch's state, our secrets taken out of what it says. Raises: TeacherError."""
        state = await self._tried("retrieve", lambda: self._client.batches.retrieve(batch))
        for problem in (state.errors.data if state.errors else None) or []:
            problem.message = self._endpoint.hide(problem.message or "")
        return state

    async def cancel(self, batch: str) -> None:
        """Ask the provider to stop a batch. Raises: TeacherError."""
        await self._tried("cancel", lambda: self._client.batches.cancel(batch))

    async def results(self, batch: Batch) -> dict[str, Reply]:
        """Return what a batch that has ended says to its requests, by their ids; silent ones are left out.

        Errors come without our secrets, which servers quote.
        Raises: TeacherError.
        """
        found: dict[str, Reply] = {}
        for file in (batch.error_file_id, batch.output_file_id):  # an answer wins over an error
            if file:
                content = await self._tried("download", lambda file=file: self._client.files.content(file))  # type: ignore[misc]
                found |= dict(filter(None, map(_result, content.content.splitlines())))
        return {
            name: reply if reply.status == 200 else reply._replace(body=self._endpoint.cleaned(reply.body))
            for name, reply in found.items()
        }

    async def _tried(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, again until the deadline where waiting helps. Raises: TeacherError."""
        from openai import APIConnectionError, APIError, InternalServerError, RateLimitError

        clock = asyncio.get_running_loop().time
        began, failures = clock(), 0
        while True:
            try:
                return await call()
            except (APIConnectionError, InternalServerError, RateLimitError) as error:
                failures += 1
                wait = backoff(failures, self._rng)
                late = clock() + wait > began + self._deadline
                trouble = self._error(what, error) if late or error.code == "insufficient_quota" else None
                words = self._words(what, error)
            except APIError as error:
                trouble = self._error(what, error)
            if trouble is not None:  # raised out here, so that the client's error, which may hold the key, stays behind
                raise trouble
            log.info("%s: %s; again in %.1f s", self._name, words, wait)
            await asyncio.sleep(wait)

    def _words(self, what: str, error: Exception) -> str:
        return f"batch {what}: {self._endpoint.hide(str(error))[:500]}"

    def _error(self, what: str, error: Any) -> TeacherError:
        """Say who failed at what, and what to do."""
        status = getattr(error, "status_code", 0)
        words = f"{self._name} refused or failed to serve its Batch API ({self._words(what, error)})"
        if status in (401, 403):
            return TeacherAuthError(f"{words}. Check the key in {self._endpoint.key_env} and its rights.")
        if status == 429:
            return TeacherRateError(f"{words}. Wait, or send less at once (a smaller window, or teacher.batch_size).")
        if status in (404, 405, 501):
            return TeacherRefusedError(f"{words}. Few endpoints have one; leave teacher.mode out to ask online.")
        if status and status < 500:
            return TeacherRefusedError(f"{words}. Check teacher.model and teacher.base_url.")
        return TeacherTransportError(f"{words}. Run again: open batches are gone on with, nothing bought is lost.")


def _result(line: bytes) -> tuple[str, Reply] | None:
    """Read a line of an output or error file; `None` for one that says nothing about a request."""
    try:
        data = loads(line)
        response = data.get("response") or {}
        if not response.get("status_code"):
            return None
        return str(data["custom_id"]), Reply(int(response["status_code"]), {}, dumps(response.get("body")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@asynccontextmanager
async def open_api(teacher: OpenAITeacher, endpoint: Endpoint, tls: Any) -> AsyncIterator[BatchApi]:
    """Open the client library with our settings of key, headers, TLS and proxy."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient, OpenAIError

    # Authorization included: the client would put "Bearer " before whatever it is told.
    headers = {name: value for name, value in endpoint.headers.items() if name.lower() != "content-type"}
    try:
        http = DefaultAsyncHttpxClient(verify=tls, proxy=endpoint.proxy, trust_env=False)
        client = AsyncOpenAI(
            api_key="none", base_url=endpoint.url, default_headers=headers, timeout=teacher.timeout, http_client=http
        )
    except (OpenAIError, ValueError, TypeError) as error:
        raise RecipeError(f"teacher: the Batch API's client cannot be set up: {endpoint.hide(str(error))}") from error
    name = f"{endpoint.shown} (model {teacher.model!r})"
    async with client:
        yield BatchApi(client, endpoint, name, teacher.deadline)
