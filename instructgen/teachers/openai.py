"""Any OpenAI-compatible endpoint: OpenAI itself, vLLM, Ollama, llama.cpp, gateways.

    teacher: {kind: openai, model: gpt-4.1-mini, concurrency: 32}                              key in OPENAI_API_KEY
    teacher: {kind: openai, model: qwen3:8b, base_url: "http://127.0.0.1:11434/v1"}            Ollama

Completions go over a lean path of our own (teachers/http.py): the `openai` client spends 2-3 ms of CPU on a request.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from instructgen import __version__
from instructgen.errors import RecipeError, TeacherAuthError
from instructgen.teachers import Connection, Sitting, Teacher
from instructgen.teachers.prices import Price
from instructgen.teachers.urls import OPENAI_HOST, OPENAI_URL, SHORT, askable, host_of, secrets_of, spellings

if TYPE_CHECKING:
    from ssl import SSLContext

    from instructgen.teachers.route import Endpoint

log = logging.getLogger(__name__)

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_NAME = re.compile(r"auth|api[-_]?key|keys?\b|token\b|secret|password|cookie|credential|\bsig", re.IGNORECASE)
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_NAME = 64
"""Characters of an environment variable's name; a key may consist of the same characters, and is longer."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A token of RFC 9110, 5.6.2."""
_ADVICE = "recipes are kept with runs and shared, so name an environment variable in its place"
MOST_ADAPTIVE = 64
"""Requests in flight at most when no concurrency is stated: half of the default window."""


def _is_url(value: str) -> str:
    if value and not re.match(r"https?://[^/\s]", value):
        raise ValueError(f"is {value!r}, expected a URL such as http://127.0.0.1:8000/v1")
    if value and not _VARIABLE.search(value) and not askable(value):
        raise ValueError("is no address that can be asked, expected a URL such as http://127.0.0.1:8000/v1 with a "
                         "port up to 65535")  # fmt: skip
    if urlsplit(value).password and not _VARIABLE.search(value):
        raise ValueError(f"is an address that holds a password; {_ADVICE}: http://user:${{NAME}}@host")
    for name, said in parse_qsl(urlsplit(value).query):
        if _SECRET_NAME.search(name) and not _VARIABLE.search(said):
            raise ValueError(f"is an address that holds a secret in its query ({name!r}); {_ADVICE}: ?{name}=${{NAME}}")
    return value


def _is_variable(value: str) -> str:
    # The value is not said: who pastes the key itself would find it in logs.
    if value and (not _VARIABLE_NAME.fullmatch(value) or len(value) > _LONGEST_NAME or value.lower().startswith("sk_")):
        raise ValueError(
            "is not the name of an environment variable (letters, digits and _), perhaps the key itself; put the key "
            "into a variable (export MY_KEY=...) and name that: api_key_env: MY_KEY"
        )
    return value


def _without_secrets(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if _SECRET_NAME.search(name) and not _VARIABLE.search(value):
            raise ValueError(f"is refused: {name!r} looks like a secret; {_ADVICE}: {name}: ${{NAME}}")
    return headers


Variable = Annotated[str, AfterValidator(_is_variable)]
Url = Annotated[str, AfterValidator(_is_url)]
Headers = Annotated[dict[str, str], AfterValidator(_without_secrets)]


class EndpointOptions(BaseModel):
    """One of several endpoints, or keys, of a teacher. What is not said is the teacher's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    base_url: Url = Field(default="", description="where the API lives")
    api_key_env: Variable = Field(default="", description="name of the environment variable with the key")
    model: str = Field(default="", description="the model's name there, where it differs")
    weight: PositiveFloat = Field(default=1.0, description="share of the requests, relative to the others")
    requests_per_minute: PositiveInt | None = Field(default=None, description="never send it more in any 60 s")
    tokens_per_minute: PositiveInt | None = Field(default=None, description="never use more there in any 60 s")
    headers: Headers = Field(default={}, description="sent beside the teacher's")
    proxy: Url = Field(default="", description="proxy URL")


class OpenAITeacher(Teacher):
    """A model behind an OpenAI-compatible endpoint.

    Example: OpenAITeacher(kind="openai", model="gpt-4.1-mini", requests_per_minute=500)
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    movable: ClassVar[frozenset[str]] = frozenset({
        "concurrency", "price", "most_concurrency", "base_url", "api_key_env", "requests_per_minute",
        "tokens_per_minute", "timeout", "deadline", "headers", "proxy", "verify", "ca_file", "endpoints", "mode",
        "gather_seconds", "poll_seconds", "batch_size",
    })  # fmt: skip

    kind: Literal["openai"] = "openai"
    model: str = Field(min_length=1, description="the model's name, as the endpoint knows it")
    base_url: Url = Field(
        default="", description="where the API lives, with its /v1; empty: $OPENAI_BASE_URL, else OpenAI"
    )
    api_key_env: Variable = Field(default="OPENAI_API_KEY", description="name of the environment variable with the key")
    most_concurrency: PositiveInt | None = Field(
        default=None,
        description="let the requests in flight grow from concurrency up to this while the endpoint keeps up; "
        f"{MOST_ADAPTIVE} when no concurrency is given",
    )
    requests_per_minute: PositiveInt | None = Field(default=None, description="never send more in any 60 s")
    tokens_per_minute: PositiveInt | None = Field(default=None, description="never use more in any 60 s")
    timeout: PositiveFloat = Field(default=300.0, description="seconds for one try")
    deadline: PositiveFloat = Field(default=900.0, description="seconds that one request may be retried for")
    headers: Headers = Field(
        default={}, description="sent with every request; ${NAME} in a value is read from the environment"
    )
    proxy: Url = Field(default="", description="proxy URL; empty: HTTP_PROXY, HTTPS_PROXY and NO_PROXY decide")
    verify: bool = Field(default=True, description="check the endpoint's TLS certificate")
    ca_file: Path | None = Field(default=None, description="certificates (PEM) to trust beside the system's")

    output_licence: str = Field(
        default="", description="licence or terms of what this model writes, for provenance and the card"
    )
    keep_reasoning: bool = Field(
        default=False, description="put what a reasoning model thought before its answer, as <think>...</think>"
    )
    endpoints: tuple[EndpointOptions, ...] = Field(
        default=(), description="several endpoints or keys to spread over and fall back on; concurrency is of each"
    )

    mode: Literal["online", "batch"] = Field(
        default="online", description="batch: by the endpoint's Batch API, cheaper and within a day"
    )
    gather_seconds: PositiveFloat = Field(
        default=2.0, description="batch mode: a wave is sent when no new request has come for so long"
    )
    poll_seconds: PositiveFloat = Field(default=30.0, description="batch mode: how often to look at a batch")
    batch_size: Annotated[int, Field(gt=0, le=50_000)] = Field(
        default=50_000, description="batch mode: most requests in one batch"
    )

    @model_validator(mode="after")
    def _adaptive_unless_stated(self) -> Self:
        if not {"concurrency", "most_concurrency"} & self.model_fields_set:
            self.__dict__["most_concurrency"] = MOST_ADAPTIVE
        return self

    @property
    def in_batches(self) -> bool:
        """True in batch mode."""
        return self.mode == "batch"

    @property
    def places(self) -> int:
        """How many requests may ever be in flight at once, at all endpoints together."""
        return self.places_each * max(1, len(self.endpoints))

    @property
    def places_each(self) -> int:
        """How many requests may ever be in flight at one endpoint."""
        return max(self.concurrency, self.most_concurrency or 0)

    @property
    def licence(self) -> str:
        """Whose terms the output falls under."""
        if self.output_licence:
            return self.output_licence
        if OPENAI_HOST in {host_of(each.base_url or self.url) for each in self.endpoints or (EndpointOptions(),)}:
            return "OpenAI terms of use (output may not be used to develop competing models)"
        return f"unknown: see the licence of {self.model}"

    @property
    def url(self) -> str:
        """Where the API lives."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL

    def located(self, beside: Path) -> Self:
        """Return this teacher with `ca_file` relative to the recipe's folder."""
        if self.ca_file is None:
            return self
        return self.model_copy(update={"ca_file": beside / self.ca_file})

    def known_price(self) -> Price | None:
        """Return what tokens cost, in batch mode less."""
        return self.price_of(by_batch=self.in_batches)

    def price_of(self, *, by_batch: bool) -> Price | None:
        """Return what answers cost that were bought online, or by batch."""
        price = super().known_price()
        return price.in_batch() if price is not None and by_batch else price

    def connect_run(self, sitting: Sitting) -> AbstractAsyncContextManager[Connection]:
        """Connect for a run: its open batches are gone on with in batch mode, and named in the other."""
        if self.mode == "batch":
            return self._connect_batch(sitting)
        from instructgen.teachers.batch_log import BatchLog

        for sent in BatchLog(sitting.folder).open:
            log.warning("batch %s is still open: what is asked online meanwhile is paid twice", sent.batch)
        return self._connect(sitting.folder)

    @asynccontextmanager
    async def _connect_batch(self, sitting: Sitting) -> AsyncIterator[Connection]:
        from instructgen.teachers.batch import open_batches

        endpoint = self.endpoint((self.endpoints or (EndpointOptions(),))[0])
        async with open_batches(self, endpoint, sitting, self._tls()) as connection:
            yield connection

    def check(self) -> None:
        """Read keys, secrets and certificates. Raises: TeacherAuthError, RecipeError."""
        self._tls()
        for options in self.endpoints or (EndpointOptions(),):
            self.endpoint(options)

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Open the pool of connections. Raises: TeacherAuthError without a key where one is needed; RecipeError."""
        return self._connect()

    @asynccontextmanager
    async def _connect(self, folder: Path | None = None) -> AsyncIterator[Connection]:
        from instructgen.teachers.endpoint import OpenAIConnection
        from instructgen.teachers.http import open_http
        from instructgen.teachers.learnt import Learnt
        from instructgen.teachers.sent import SentBook

        tls = self._tls()
        async with AsyncExitStack() as open_ones:
            routes = []
            for options in self.endpoints or (EndpointOptions(),):
                endpoint = self.endpoint(options)
                session = open_http(endpoint.headers, timeout=self.timeout, proxy=endpoint.proxy, tls=tls)
                routes.append((endpoint, await open_ones.enter_async_context(session)))
            (first, http), *others = routes
            sent = SentBook(folder)
            open_ones.callback(sent.close)
            yield OpenAIConnection(self, first, http, others, Learnt(folder), sent)

    def _tls(self) -> SSLContext | bool:
        from instructgen.teachers.http import tls_context

        try:
            return tls_context(verify=self.verify, ca_file=str(self.ca_file) if self.ca_file else None)
        except OSError as error:  # ssl.SSLError is one
            raise RecipeError(
                f"teacher.ca_file: {self.ca_file} cannot be read as certificates (PEM): {error}"
            ) from error

    def endpoint(self, options: EndpointOptions) -> Endpoint:
        """Return address and headers of one endpoint, secrets filled in from the environment.

        Raises: TeacherAuthError when OpenAI itself is asked without a key; RecipeError for an unset ${NAME}.
        """
        from instructgen.teachers.http import environment_proxy
        from instructgen.teachers.route import Endpoint

        read: list[str] = []
        url = _address(options.base_url or self.url, "teacher.base_url", read)
        key_env = options.api_key_env or self.api_key_env
        key = _key(key_env, url)
        headers = {"Content-Type": "application/json", "User-Agent": f"instructgen/{__version__}"}
        if key:
            read.append(key)
        by_address = "@" in urlsplit(url).netloc
        if key and not by_address:  # a request has one way to say who asks; the address's own is meant for there
            headers["Authorization"] = f"Bearer {key}"
        for name, value in [*self.headers.items(), *options.headers.items()]:
            for earlier in [known for known in headers if known.lower() == name.lower()]:
                del headers[earlier]
            headers[name] = _expand(value, f"teacher.headers.{name}", read)
            if not _HEADER_NAME.fullmatch(name):
                raise RecipeError(f"teacher.headers: {name!r} is not the name of a header, expected e.g. X-Team")
            if not headers[name].isprintable():
                raise RecipeError(
                    f"teacher.headers.{name!r} holds a line break or another character that no header can"
                )
            if by_address and name.lower() == "authorization":
                raise RecipeError(
                    f"teacher.headers.{name} and the user in teacher.base_url both say who asks: leave one out"
                )
        proxy = _address(options.proxy or self.proxy, "teacher.proxy", read) or environment_proxy(url)
        if proxy and not askable(proxy):
            raise RecipeError(
                "the environment variable HTTP_PROXY or HTTPS_PROXY does not name an HTTP proxy that can be asked, "
                "expected http://host:port (SOCKS is not spoken). Set it right, name the endpoint's host in NO_PROXY, "
                "or state teacher.proxy"
            )
        # What a variable holds is secret, unless it is where to go: messages have to name the endpoint.
        hosts = {urlsplit(address).netloc.rpartition("@")[2] for address in (url, proxy or "")}
        secrets = {value for value in read if len(value) > SHORT and not any(value in host for host in hosts)}
        secrets -= {url, proxy}
        secrets |= {part for address in (url, proxy or "") for part in secrets_of(address)}
        secrets = {spelling for secret in secrets for spelling in spellings(secret)}
        longest_first = tuple(sorted(secrets, key=len, reverse=True))
        return Endpoint(
            url=url, headers=headers, secrets=longest_first, key_env=key_env, proxy=proxy,
            model=options.model, weight=options.weight,
            requests_per_minute=options.requests_per_minute or self.requests_per_minute,
            tokens_per_minute=options.tokens_per_minute or self.tokens_per_minute,
        )  # fmt: skip


def _address(value: str, where: str, found: list[str]) -> str:
    """Return a URL with ${NAME} filled in; "" stays so. Raises: RecipeError for one that nothing can be sent to."""
    address = _expand(value, where, found)
    if address and not askable(address):
        # What was filled in, and what OPENAI_BASE_URL says, may hold secrets; what stands in a recipe does not.
        said = f" ({value})" if _VARIABLE.search(value) else ""
        raise RecipeError(
            f"{where}{said} is no address that can be asked: expected a URL such as http://127.0.0.1:8000/v1, with a "
            "port up to 65535; check the recipe and its environment variables"
        )
    return address


def _key(variable: str, url: str) -> str:
    """Read the key; "" where an endpoint may go without."""
    key = os.environ.get(variable, "").strip()
    if not key and host_of(url) == OPENAI_HOST:
        raise TeacherAuthError(
            f"{OPENAI_URL} needs an API key, and the environment variable {variable} is not set. "
            f"Set it (export {variable}=...), name another with teacher.api_key_env, "
            f"or point teacher.base_url at an endpoint that needs none."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise TeacherAuthError(
            f"the environment variable {variable} does not hold an API key: it contains blanks or "
            f"characters outside ASCII, which no HTTP header can carry. Copy the key again."
        )
    return key


def _expand(value: str, where: str, found: list[str]) -> str:
    """Fill ${NAME} in from the environment, so that recipes hold no secrets; `found` collects what was filled in."""

    def read(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise RecipeError(f"{where} names ${{{match[1]}}}, and that environment variable is not set. Set it.")
        found.append(os.environ[match[1]])
        return found[-1]

    return _VARIABLE.sub(read, value)
