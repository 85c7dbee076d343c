"""The embedded model: llama.cpp in this process, behind its own OpenAI-compatible server on loopback.

    teacher: {kind: local}                        SmolLM2-135M-Instruct, fetched once (98 MB)
    teacher: {kind: local, path: model.gguf}      any GGUF file

It is there so that everything runs with no key and no hub. A model of 135 million parameters shows the plumbing; of
ten of its answers, two to four are acceptable. For real data take an endpoint, or a larger GGUF file.

The server listens on 127.0.0.1, on a port that the system chooses, for as long as the connection is open.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt

from instructgen.errors import TeacherError
from instructgen.records import ID_LENGTH
from instructgen.teachers import Connection, Teacher, placed
from instructgen.teachers.openai import OpenAITeacher
from instructgen.teachers.prices import FREE, Price
from instructgen.teachers.weights import FILE, LICENCE, SHA256, fetch_weights, sha256_of

SILENT = -1
"""llama.cpp's verbosity for "nothing at all"; its log would run through ours."""


class LocalTeacher(Teacher):
    """The embedded model, or a GGUF file of the user's."""

    movable: ClassVar[frozenset[str]] = frozenset({"concurrency", "price", "slots", "threads", "timeout"})

    kind: Literal["local"] = "local"
    path: str = Field(default="", description="a GGUF file; empty: the embedded model, fetched on first use")
    concurrency: PositiveInt = Field(default=8, description="requests in flight at once")
    slots: PositiveInt = Field(default=8, description="answers that the engine writes side by side")
    context: PositiveInt = Field(default=2048, description="tokens of prompt and answer together, per request")
    threads: PositiveInt | None = Field(default=None, description="CPU threads; default: the CPUs we may use")
    timeout: float = Field(default=600, gt=0, description="seconds for one request, waiting for a slot included")
    keep_reasoning: bool = Field(
        default=False, description="put what a reasoning model thought before its answer, as <think>...</think>"
    )
    output_licence: str = Field(default="", description="licence of what the file at `path` writes, for the card")

    @property
    def identity(self) -> str:
        """The file's name, and for a user's file its hash: two files of one name never share answers."""
        if self.model:
            return self.model
        name = Path(self.path or FILE).stem
        return f"{name}@{self.revision[:ID_LENGTH]}" if self.path else name

    @property
    def revision(self) -> str:
        """The sha256 of the weights. Raises: TeacherError when a user's file cannot be read."""
        if not self.path:
            return SHA256
        try:
            return sha256_of(Path(self.path))
        except OSError as error:
            raise TeacherError(
                f"{self.path}: cannot be read as model: {error.strerror}; expected a GGUF file"
            ) from error

    def known_price(self) -> Price:
        """Nothing, unless the recipe says otherwise."""
        return self.price or FREE

    @property
    def licence(self) -> str:
        """The embedded model is Apache-2.0; of a user's file only the user knows."""
        return self.output_licence or ("unknown: see the licence of the model file" if self.path else LICENCE)

    def named_files(self) -> dict[str, str]:
        """A file of weights counts by its name and hash: it may move."""
        return {"path": self.identity} if self.path else {}

    def located(self, beside: Path) -> Self:
        """Return this teacher with its file taken relative to the recipe's folder, where it is there."""
        return self.model_copy(update={"path": placed(self.path, beside)}) if self.path else self

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        from instructgen.teachers.endpoint import Endpoint, OpenAIConnection
        from instructgen.teachers.http import open_http

        path = Path(self.path) if self.path else await fetch_weights()
        server = _Server(path, self)
        await asyncio.to_thread(server.start)
        try:
            # No key and no proxy from the environment: this server is ours. Its connections are closed first; it then
            # drops what it was writing and stops at once, while one with connections open would wait for them.
            client = OpenAITeacher(
                model=self.identity, concurrency=self.concurrency, timeout=self.timeout,
                keep_reasoning=self.keep_reasoning,
            )  # fmt: skip
            endpoint = Endpoint(url=f"{server.address}/v1", headers={"Content-Type": "application/json"})
            async with open_http(endpoint.headers, timeout=self.timeout, proxy=None, tls=True) as http:
                yield OpenAIConnection(client, endpoint, http)
        finally:
            server.stop()

    def check(self) -> None:
        """Raise TeacherError without the extra, before any weights are fetched."""
        _engine()

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Return a connection to an engine of its own, stopped when the connection closes."""
        return self._connected()


def _engine() -> Any:
    """Return llama.cpp's bindings. Raises: TeacherError without the extra."""
    # Read by the engine's OpenMP when it loads: idle threads that spin take the CPU from those that work
    # (7-11 tokens/s instead of 42-47 on a busy machine with two cores).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise TeacherError(
            "the local teacher needs its engine: pip install 'instructgen[local]'. "
            f"Or use an endpoint: teacher: {{kind: openai, ...}} ({error})"
        ) from error
    return xllamacpp


class _Server:
    """llama.cpp's server, for as long as the object inside lives."""

    def __init__(self, path: Path, options: LocalTeacher) -> None:
        self._path, self._options = path, options
        self._running: Any = None

    def start(self) -> None:
        """Load the model and listen. Raises: TeacherError without the extra, or for a file that is no model."""
        if not self._path.is_file():
            raise TeacherError(f"{self._path}: no such file; expected a GGUF model")
        xllamacpp = _engine()
        try:
            self._running = xllamacpp.Server(self._params(xllamacpp))
        except RuntimeError as error:
            raise TeacherError(f"{self._path}: the engine cannot load it as a GGUF model: {error}") from error

    def _params(self, engine: Any) -> Any:
        options = self._options
        params = engine.CommonParams()
        params.model.path = str(self._path)
        params.model_alias = {options.identity}
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.n_parallel = options.slots
        params.n_ctx = options.slots * options.context
        params.cpuparams.n_threads = options.threads or _cpus()
        params.verbosity = SILENT
        return params

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return str(self._running.listening_address)

    def stop(self) -> None:
        """Stop listening and free the model: the engine does so when its object goes."""
        self._running = None


def _cpus() -> int:
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
