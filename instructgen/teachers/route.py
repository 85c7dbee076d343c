"""One endpoint and key: send a request once, keep to its limits, and judge what came back.

An outcome is a `Completion` (an answer, or a refusal that belongs to the request), a `Trouble` (no outcome; another
try may help or not), or `None` (the model does not take a parameter; ask again, in another shape).
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

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
from instructgen.teachers.breaker import Breaker
from instructgen.teachers.http import Broken, Http, Reply
from instructgen.teachers.limits import Pace, Places
from instructgen.teachers.retry import RETRIED, asked_wait, spent_wait
from instructgen.teachers.sent import Sent
from instructgen.teachers.tokens import prompt_bound
from instructgen.teachers.urls import HIDDEN, OPENAI_HOST, host_of, joined, shown_url
from instructgen.teachers.wire import (
    CHAT_PATH,
    TEXT_PATH,
    Complaint,
    NotAnAnswer,
    beginning,
    complaint_of,
    completion_of,
)

if TYPE_CHECKING:
    from instructgen.teachers.learnt import Learnt
    from instructgen.teachers.ledger import Ledger
    from instructgen.teachers.openai import OpenAITeacher
    from instructgen.teachers.sent import SentBook

log = logging.getLogger(__name__)

OVERLOADED = frozenset({429, 503, 529})
"""Statuses that say "too much at once", for which fewer requests are kept in flight."""
KEY_LENGTH = 16
"""Characters from which on a secret with a digit is taken for a key; the keys of all providers we know are longer."""
_DIGIT = re.compile(r"\d")
UNSTATED_OUTPUT = 1024
"""Tokens reserved for an answer without an output limit, until longer ones have been seen."""


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom we ask, and how much."""

    url: str
    headers: dict[str, str]
    secrets: tuple[str, ...] = ()
    """What must not be shown: keys, and header values that came from the environment."""
    key_env: str = ""
    """The environment variable that the key came from, for messages."""
    proxy: str | None = None
    model: str = ""
    """The model's name here, where it differs from the teacher's."""
    weight: float = 1.0
    """Share of the requests, relative to the others."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __repr__(self) -> str:
        """Secrets stay out of logs and tracebacks."""
        return f"Endpoint({self.shown})"

    @property
    def shown(self) -> str:
        """The address as messages and files may have it."""
        return self.hide(shown_url(self.url))

    def hide(self, text: str) -> str:
        """Return text without the secrets: servers quote keys in their messages."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def betrayed(self, answer: Completion) -> bool:
        """Say whether an answer holds a secret that looks like a key, in any spelling.

        A short word in a variable (a team's name in a header) may stand in any answer, and betrays nothing.
        """
        said = f"{answer.content}\n{answer.reasoning}"
        return any(secret in said for secret in self.secrets if len(secret) >= KEY_LENGTH and _DIGIT.search(secret))

    def cleaned(self, body: bytes) -> bytes:
        """Return the bytes of what cannot be read without the secrets, before they are cut to length."""
        for secret in self.secrets:
            body = body.replace(secret.encode(), HIDDEN.encode())
        return body


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a try did not end in an outcome, and whether another may."""

    words: str
    """What was said, without our secrets."""
    error: type[TeacherError]
    wait: float | None = None
    """Seconds that the endpoint asked for."""
    last: bool = False
    """True when no other try can help."""
    hopeless: bool = False
    """True when the endpoint will not answer any other request of ours either."""
    spent: bool = False
    """True when the account's money or quota is used up."""
    unreadable: bool = False
    """True when an answer came, and was billed, that cannot be read."""
    timed_out: bool = False


Outcome = Completion | Trouble | None
GONE = Trouble("the run was left before this request was sent", TeacherTransportError, last=True)


class Route:
    """One endpoint and key of a teacher, with its limits, its health and what its model does not take."""

    def __init__(
        self,
        teacher: OpenAITeacher,
        endpoint: Endpoint,
        http: Http,
        ledger: Ledger,
        rng: Random,
        learnt: Learnt,
        sent: SentBook,
    ) -> None:
        self.endpoint = endpoint
        self.places = Places(teacher.concurrency, teacher.places_each)
        self.breaker = Breaker()
        model = endpoint.model or teacher.model
        book = Sent(sent, f"{endpoint.shown} {model} {endpoint.key_env}")
        self.pace = Pace(endpoint.requests_per_minute, endpoint.tokens_per_minute, rng, book=book)
        self.name = f"{endpoint.shown} (model {model!r})"
        self.alone = True
        """False when the teacher has other endpoints."""
        self.sent = 0
        self.trouble: Trouble | None = None
        """What went wrong last."""
        self._left = False
        self._keep_reasoning = teacher.keep_reasoning
        self._http = http
        self._ledger = ledger
        self._deadline = teacher.deadline
        self._urls = {"chat": URL(joined(endpoint.url, CHAT_PATH)), "text": URL(joined(endpoint.url, TEXT_PATH))}
        limit_name = "max_completion_tokens" if host_of(endpoint.url) == OPENAI_HOST else "max_tokens"
        self._shape = Adaptation(model, limit_name, learnt.of(endpoint.shown, model))
        self._longest = UNSTATED_OUTPUT
        self._overrun = False
        self._betrayals = self._cut = 0

    async def ask(self, request: Request, key: str) -> Outcome:
        """Send a request once, when there is place and the pace allows it. Raises: TeacherRefusedError."""
        clock = asyncio.get_running_loop().time
        await self.places.enter()
        began = clock()
        ticket = None
        probe = False
        outcome: Outcome = None
        try:
            if not self.pace.free(clock()):
                if not self.alone and self.pace.delay(began):  # others may be free by now
                    return None
                ticket = await self.pace.enter(self._reservation(request))
            if self._left:
                return GONE
            if self.breaker.pause(clock()):  # it opened while we waited
                return None
            probe = self.breaker.asking()
            body = self._shape.body(request)
            sent_at = clock()
            self.sent += 1
            self._ledger.sent += 1
            self._ledger.waited += sent_at - began
            try:
                reply = await self._http.post(self._urls[request.mode], body)
            except Broken as broken:
                outcome = self._broken(broken, sent_at, clock())
            except asyncio.CancelledError:
                self._ledger.failed += 1
                self._ledger.possibly_billed += 1
                raise
            else:
                outcome = self._judge(request, key, body, reply, sent_at)
        finally:
            self.places.leave()
            if probe:
                self.breaker.probe_ended()
        now = clock()
        used = outcome.usage if isinstance(outcome, Completion) else None
        if used is not None:
            self._longest = max(self._longest, used.completion_tokens)
        if ticket is not None:
            self.pace.landed(ticket, now, used.tokens if used is not None else None)
        self._watch(outcome, sent_at, now, probe=probe)
        return outcome

    def pause(self, now: float) -> float:
        """Return the seconds until this endpoint is worth asking; a lone one is asked to wait in line instead."""
        rest = self.breaker.pause(now)
        return rest if self.alone else max(rest, self.pace.delay(now))

    def leave(self) -> None:
        """Send nothing more; whoever waits for a place or a limit goes home. What is in flight may land."""
        self._left = True
        self.places.close()
        self.pace.close()

    def _reservation(self, request: Request) -> int:
        """The most tokens that a request may use; without an output limit, as many as the longest answer yet."""
        tokens = prompt_bound(request) + (request.params.max_tokens or self._longest)
        if tokens > self.pace.most_tokens:
            raise TeacherRefusedError(
                f"{self.name} may be sent {self.pace.most_tokens:g} tokens per minute, and this request alone may "
                f"take {tokens} (bytes of its prompt and its output limit). Raise teacher.tokens_per_minute, or lower "
                f"the generator's max_tokens.",
                request,
            )
        return tokens

    def _watch(self, outcome: Outcome, sent_at: float, now: float, *, probe: bool) -> None:
        """Tell the breaker how it went; it is the endpoint's health that counts, not ours."""
        if not isinstance(outcome, Trouble):
            if self.breaker.went_well():
                log.warning("%s: answers again", self.name)
            return
        self.trouble = outcome
        if outcome.hopeless:
            if not self.alone and self.breaker.give_up():
                log.warning("%s: given up (%s)", self.name, outcome.words)
        elif outcome.error is TeacherTransportError and (rest := self.breaker.failed(sent_at, now, probe=probe)):
            self._ledger.outages += 1
            log.warning("%s: nothing but failures (%s); left alone for %.0f s", self.name, outcome.words, rest)

    def _broken(self, broken: Broken, sent_at: float, now: float) -> Trouble:
        """Count a try without an HTTP answer."""
        words = self.endpoint.hide(str(broken))
        self._ledger.failed += 1
        self._ledger.possibly_billed += broken.sent
        if broken.timed_out:
            self._ledger.timed_out += 1
            self.places.overloaded(sent_at, now)
            count = self._ledger.timed_out
            log.log(_loudness(count), "%s: %s; it may have been billed (%d so far)", self.name, words, count)
        else:
            self._cut += 1
            log.log(_loudness(self._cut), "%s: %s; it is tried again (%d so far)", self.name, words, self._cut)
        return Trouble(words, TeacherTransportError, timed_out=broken.timed_out)

    def _judge(self, request: Request, key: str, body: bytes, reply: Reply, sent_at: float) -> Outcome:
        """Tell an outcome of the request from trouble."""
        if reply.status >= 300:
            complaint = complaint_of(reply.status, reply.body, self.endpoint.hide)
            return self._complained(request, key, body, complaint, reply, sent_at)
        try:
            read = completion_of(request, key, reply.body, self.endpoint.hide)
        except NotAnAnswer:
            self._ledger.failed += 1
            self._ledger.possibly_billed += 1
            raw = self.endpoint.cleaned(reply.body)
            # Any other JSON is a wrong address as long as nothing has been answered, and HTML is a proxy's page.
            unreadable = b'"choices"' in raw or (self._ledger.answered > 0 and raw.lstrip()[:1] != b"<")
            words = f"the answer cannot be read, it is or begins with {beginning(raw)}"
            return Trouble(words, TeacherTransportError, unreadable=unreadable)
        if isinstance(read, Complaint):
            outcome = self._complained(request, key, body, read, reply, sent_at)
            self._ledger.possibly_billed += isinstance(outcome, Trouble)  # part of an answer may have been written
            return outcome
        self._ledger.answered += 1
        self.places.went_well()
        if wait := spent_wait(reply.headers):
            self._hold(wait)
        if not (self._overrun or read.usage.estimated):
            self._watch_bound(request, read.usage)
        if lesson := self._shape.notice(request, read):
            log.warning("%s %s", self.name, lesson)
        answer = self._shape.finish(request, read)
        if self.endpoint.betrayed(answer):
            self._betrayals += 1
            log.log(
                _loudness(self._betrayals),
                "%s: an answer held a key of ours (%d so far); it is neither kept nor shown: look who stands between "
                "us and the model", self.name, self._betrayals,
            )  # fmt: skip
            return Completion(request=key, finish="refused", refusal="secret_in_answer", usage=answer.usage)
        return _thinking_aloud(answer) if self._keep_reasoning else answer

    def _watch_bound(self, request: Request, usage: Usage) -> None:
        """Say, once, that the endpoint counts more for a request than it can take: no budget bounds that."""
        limit = request.params.max_tokens
        for what, counted, most in (
            ("completion", usage.completion_tokens, limit),
            ("prompt", usage.prompt_tokens, prompt_bound(request)),
        ):
            if most is not None and counted > most:
                self._overrun = True
                log.warning(
                    "%s: counts %d %s tokens for a request that may take %d at most, so a budget may be overdrawn by "
                    "what is in flight; it is counted as the endpoint says", self.name, counted, what, most,
                )  # fmt: skip

    def _complained(
        self, request: Request, key: str, body: bytes, complaint: Complaint, reply: Reply, sent_at: float
    ) -> Outcome:
        status = complaint.status
        # llama.cpp has said "too long" with 500; 429 is also said to a request that no minute's limit has room for.
        own_outcome = status not in RETRIED or status in (429, 500)
        if own_outcome and (refusal := complaint.refusal):
            self._ledger.refused += 1
            usage = Usage(requests=1)
            return Completion(request=key, finish="refused", refusal=refusal, message=complaint.message, usage=usage)
        adaptable = status in (400, 422, 501)
        if adaptable and reply.earlier and self._shape.known(complaint, body):  # what is sent now is another body
            self._ledger.adapted += 1
            return None
        lesson = self._shape.learn(complaint, body) if adaptable else None
        if lesson is not None and self._shape.body(request) != body:
            self._ledger.adapted += 1
            if lesson:
                log.warning("%s %s", self.name, lesson)
            return None
        if status == 429:
            self._ledger.throttled += 1
            count = self._ledger.throttled
            said = f"HTTP 429: {complaint.message:.200}".rstrip(".")
            log.log(_loudness(count), "%s: %s; asked again, more slowly (%d so far)", self.name, said, count)
        else:
            self._ledger.failed += 1
        return self._trouble(complaint, reply, sent_at)

    def _trouble(self, complaint: Complaint, reply: Reply, sent_at: float) -> Trouble:
        status = complaint.status
        words = f"HTTP {status}: {complaint.message}"
        if status == 402:
            words = f"{words.rstrip('.')}: the account's balance is used up"
            return Trouble(words, TeacherRateError, last=True, hopeless=True, spent=True)
        if status in (401, 403):
            return Trouble(words, TeacherAuthError, last=True, hopeless=True)
        if status == 407:
            return Trouble(
                f"{words}, from the proxy: check teacher.proxy", TeacherTransportError, last=True, hopeless=True
            )
        if 300 <= status < 400:
            there = self.endpoint.hide(shown_url(reply.headers.get("Location", "nowhere")))
            words = f"{words}, redirected to {there}"
        if status not in RETRIED:
            return Trouble(words, TeacherRefusedError, last=True, hopeless=status < 400 or status == 404)
        error = TeacherRateError if status == 429 else TeacherTransportError
        if complaint.no_credit:
            return Trouble(words, error, last=True, spent=True)
        wait = asked_wait(reply.headers)
        if status in OVERLOADED:
            self.places.overloaded(sent_at, asyncio.get_running_loop().time())
            if wait is None and status == 429:
                wait = spent_wait(reply.headers) or None
            if wait is not None:
                self._hold(wait)
        return Trouble(words, error, wait=wait)

    def _hold(self, wait: float) -> None:
        """Send nothing for so many seconds; what waits longer than the deadline is each request's own error."""
        if wait <= self._deadline:
            self.pace.hold(asyncio.get_running_loop().time() + wait)


def _thinking_aloud(answer: Completion) -> Completion:
    """Return an answer with its reasoning in front, as reasoning models' own templates write it."""
    if not answer.reasoning or answer.refusal:
        return answer
    return answer.model_copy(update={"content": f"<think>\n{answer.reasoning}\n</think>\n\n{answer.content}"})


def _loudness(count: int) -> int:
    """The level at which the n-th event of a kind is logged: the 1st, 10th, 100th ... are for everyone."""
    return logging.WARNING if str(count).strip("0") == "1" else logging.INFO
