"""One live connection to an OpenAI-compatible endpoint: ask, judge what came back, ask again or give up.

An answer or a refusal that belongs to the request is returned; trouble that another try may cure is retried until the
deadline; everything else is an error that names the endpoint, the model and the server's own words.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from random import Random

from yarl import URL

from instructgen.errors import (
    TeacherAuthError,
    TeacherError,
    TeacherRateError,
    TeacherRefusedError,
    TeacherTransportError,
)
from instructgen.records import Completion, Request, Usage
from instructgen.teachers.adapt import Adaptation
from instructgen.teachers.http import Broken, Http, Reply
from instructgen.teachers.ledger import Ledger
from instructgen.teachers.limits import Pace, Places, Spent
from instructgen.teachers.openai import OpenAITeacher, hidden, joined, shown_url
from instructgen.teachers.retry import RETRIED, asked_wait, backoff, spent_wait
from instructgen.teachers.tokens import prompt_bound
from instructgen.teachers.wire import CHAT_PATH, TEXT_PATH, Complaint, NotAnAnswer, complaint_of, completion_of

log = logging.getLogger(__name__)

OVERLOADED = frozenset({429, 503, 529})
"""Statuses that say "too much at once", for which fewer requests are kept in flight."""
FIRST_CONTACT = 20.0
"""Seconds of trouble until an endpoint that has not answered once is taken for a wrong address."""
UNSTATED_OUTPUT = 1024
"""Tokens reserved for an answer without an output limit, until longer ones have been seen."""


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom we ask."""

    url: str
    headers: dict[str, str]
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Secrets stay out of logs and tracebacks."""
        return f"Endpoint({shown_url(self.url)})"


def _loudness(count: int) -> int:
    """The level at which the n-th event of a kind is logged: the 1st, 10th, 100th ... are for everyone."""
    return logging.WARNING if str(count).strip("0") == "1" else logging.INFO


@dataclass(frozen=True)
class _Trouble:
    """Why a try did not end in an outcome, and whether another may."""

    words: str
    error: type[TeacherError]
    wait: float | None = None
    """Seconds that the endpoint asked for."""
    last: bool = False
    """True when no other try can help."""


class OpenAIConnection:
    """A live connection. See `instructgen.teachers.Connection`."""

    def __init__(self, teacher: OpenAITeacher, endpoint: Endpoint, http: Http) -> None:
        self._teacher = teacher
        self._endpoint = endpoint
        self._http = http
        self._rng = Random()  # jitter has to differ between processes, and decides nothing that is stored
        self._urls = {"chat": URL(joined(endpoint.url, CHAT_PATH)), "text": URL(joined(endpoint.url, TEXT_PATH))}
        is_openai = "//api.openai.com" in endpoint.url
        self._shape = Adaptation(teacher.model, "max_completion_tokens" if is_openai else "max_tokens")
        self._places = Places(teacher.concurrency, teacher.places)
        self._pace = Pace(teacher.requests_per_minute, teacher.tokens_per_minute, self._rng)
        self._longest = UNSTATED_OUTPUT
        self.ledger = Ledger()

    @property
    def places(self) -> int:
        """How many requests may be in flight now."""
        return self._places.count

    async def complete(self, request: Request) -> Completion:
        """Answer a request. Raises: TeacherError."""
        key = request.hash
        clock = asyncio.get_running_loop().time
        since: float | None = None
        failures = 0
        while True:
            outcome = await self._try(request, key)
            if isinstance(outcome, Completion):
                return outcome
            if outcome is None:  # learnt what the model does not take: ask again at once
                continue
            failures += 1
            now = clock()
            since = now if since is None else since
            wait = outcome.wait if outcome.wait is not None else backoff(failures, self._rng)
            if outcome.last or now + wait > since + self._patience(outcome):
                raise self._error(outcome, failures, request)
            log.info("%s: %s; asking again in %.1f s", self._name, hidden(outcome.words, self._endpoint.secrets), wait)
            self.ledger.retried += 1
            self.ledger.waited += wait
            await asyncio.sleep(wait)

    def _patience(self, trouble: _Trouble) -> float:
        """Seconds for which trouble is borne; little for an endpoint that has never answered: a wrong address."""
        first_contact = trouble.error is TeacherTransportError and not self.ledger.answered
        return min(self._teacher.deadline, FIRST_CONTACT) if first_contact else self._teacher.deadline

    async def _try(self, request: Request, key: str) -> Completion | _Trouble | None:
        """Send a request once, when there is place and the pace allows it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._places.enter()
        spent = None
        used: Usage | None = None
        try:
            if not self._pace.free(began):
                spent = await self._pace.enter(self._reservation(request))
            body = self._shape.body(request)
            sent_at = loop.time()
            self.ledger.waited += sent_at - began
            self.ledger.sent += 1
            try:
                reply = await self._http.post(self._urls[request.mode], body)
            except Broken as broken:
                return self._broken(broken, sent_at, loop.time())
            outcome = self._judge(request, key, body, reply, sent_at)
            if isinstance(outcome, Completion):
                used = outcome.usage
            return outcome
        finally:
            self._settle(spent, used)
            self._places.leave()

    def _reservation(self, request: Request) -> int:
        """The most tokens that a request may use; without an output limit, as many as the longest answer yet."""
        tokens = prompt_bound(request) + (request.params.max_tokens or self._longest)
        if tokens > self._pace.most_tokens:
            raise TeacherRefusedError(
                f"{self._name} may be sent {self._pace.most_tokens:g} tokens per minute, and this request alone may "
                f"take {tokens} (bytes of its prompt and its output limit). Raise teacher.tokens_per_minute, or lower "
                f"the generator's max_tokens.",
                request,
            )
        return tokens

    def _settle(self, spent: Spent | None, used: Usage | None) -> None:
        if used is not None:
            self._longest = max(self._longest, used.completion_tokens)
            self._pace.settle(spent, used.tokens)

    def _broken(self, broken: Broken, sent_at: float, now: float) -> _Trouble:
        """Count a try without an HTTP answer."""
        self.ledger.failed += 1
        self.ledger.possibly_billed += broken.sent
        if broken.timed_out:
            self.ledger.timed_out += 1
            self._places.overloaded(sent_at, now)
            log.log(
                _loudness(self.ledger.timed_out),
                "%s: %s; the request may have been billed (%d so far)", self._name, broken, self.ledger.timed_out,
            )  # fmt: skip
        return _Trouble(str(broken), TeacherTransportError)

    def _judge(
        self, request: Request, key: str, body: bytes, reply: Reply, sent_at: float
    ) -> Completion | _Trouble | None:
        """Tell an outcome of the request from trouble; `None` = ask again, in another shape."""
        if 200 <= reply.status < 300:
            try:
                read = completion_of(request, key, reply.body)
            except NotAnAnswer as error:
                self.ledger.failed += 1
                self.ledger.possibly_billed += 1
                return _Trouble(f"the answer cannot be read: {error}", TeacherTransportError)
            if isinstance(read, Completion):
                return self._answered(request, read, reply)
            complaint = read
        else:
            complaint = complaint_of(reply.status, reply.body)
        return self._complained(key, body, complaint, reply, sent_at)

    def _answered(self, request: Request, completion: Completion, reply: Reply) -> Completion:
        self.ledger.answered += 1
        self._places.went_well()
        if wait := spent_wait(reply.headers):
            self._hold(wait)
        return self._shape.finish(request, completion)

    def _complained(
        self, key: str, body: bytes, complaint: Complaint, reply: Reply, sent_at: float
    ) -> Completion | _Trouble | None:
        status = complaint.status
        own_outcome = status not in RETRIED or status == 500  # llama.cpp has said "too long" with 500
        if own_outcome and (refusal := complaint.refusal):
            self.ledger.refused += 1
            words = hidden(complaint.message, self._endpoint.secrets)
            usage = Usage(requests=1)
            return Completion(request=key, finish="refused", refusal=refusal, message=words, usage=usage)
        if status in (400, 422, 501) and (lesson := self._shape.learn(complaint, body)) is not None:
            self.ledger.adapted += 1
            if lesson:
                log.warning("%s %s", self._name, hidden(lesson, self._endpoint.secrets))
            return None
        if status == 429:
            self.ledger.throttled += 1
        else:
            self.ledger.failed += 1
        return self._trouble(complaint, reply, sent_at)

    def _trouble(self, complaint: Complaint, reply: Reply, sent_at: float) -> _Trouble:
        status = complaint.status
        words = f"HTTP {status}: {complaint.message}"
        if status in (401, 403):
            return _Trouble(words, TeacherAuthError, last=True)
        if status not in RETRIED:
            return _Trouble(words, TeacherRefusedError, last=True)
        error = TeacherRateError if status == 429 else TeacherTransportError
        if complaint.no_credit:
            return _Trouble(words, error, last=True)
        now = asyncio.get_running_loop().time()
        wait = asked_wait(reply.headers)
        if status in OVERLOADED:
            self._places.overloaded(sent_at, now)
            if wait is None and status == 429:
                wait = spent_wait(reply.headers) or None
            if wait is not None:
                self._hold(wait)
        return _Trouble(words, error, wait=wait)

    def _hold(self, wait: float) -> None:
        """Send nothing for so many seconds; what waits longer than the deadline is each request's own error."""
        if wait <= self._teacher.deadline:
            self._pace.hold(asyncio.get_running_loop().time() + wait)

    @property
    def _name(self) -> str:
        return f"{shown_url(self._endpoint.url)} (model {self._teacher.model!r})"

    def _error(self, trouble: _Trouble, tries: int, request: Request) -> TeacherError:
        """Return the error that ends the run: who, what it said, what to do."""
        words = hidden(trouble.words, self._endpoint.secrets)
        tried = "" if trouble.last else f" in {tries} tries"
        return trouble.error(f"{self._name} gave no answer{tried}: {words}. {self._advice(trouble)}", request)

    def _advice(self, trouble: _Trouble) -> str:
        if trouble.error is TeacherAuthError:
            return f"Check the key in {self._teacher.api_key_env} and its rights."
        if trouble.error is TeacherRefusedError:
            return "Check teacher.model, teacher.base_url (most end in /v1) and the generator's parameters."
        if trouble.error is TeacherRateError:
            return "State teacher.requests_per_minute or tokens_per_minute, or run again later: nothing bought is lost."
        return "Check that the server runs and speaks the OpenAI API there, and run again: nothing bought is lost."
