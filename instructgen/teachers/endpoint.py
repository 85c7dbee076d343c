"""The live connection to OpenAI-compatible endpoints: choose one, ask, ask again or give up.

Trouble that another try may cure is retried until the deadline, at another endpoint where there is one; everything
else is an error that names the endpoint, the model and the server's own words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from random import Random

from instructgen.errors import TeacherAuthError, TeacherError, TeacherRateError, TeacherTransportError
from instructgen.errors import TeacherRefusedError as Refused
from instructgen.records import Completion, Request
from instructgen.teachers.http import Http
from instructgen.teachers.learnt import Learnt
from instructgen.teachers.ledger import Ledger
from instructgen.teachers.openai import OpenAITeacher
from instructgen.teachers.retry import backoff
from instructgen.teachers.route import GONE, Endpoint, Route, Trouble
from instructgen.teachers.sent import SentBook
from instructgen.teachers.tokens import most_usage

__all__ = ["Endpoint", "OpenAIConnection"]

log = logging.getLogger(__name__)

FIRST_CONTACT = 20.0
"""Seconds of trouble until an endpoint that has not answered once is taken for a wrong address."""
MOST_UNREADABLE = 5
"""How often one request is bought whose answers cannot be read (no choices, cut JSON): each may be billed."""


class OpenAIConnection:
    """A live connection. See `instructgen.teachers.Connection`.

    Several endpoints share the requests by weight: each goes where the fewest are in flight for its weight, past those
    that are held back or broken.
    """

    def __init__(
        self,
        teacher: OpenAITeacher,
        endpoint: Endpoint,
        http: Http,
        others: Sequence[tuple[Endpoint, Http]] = (),
        learnt: Learnt | None = None,
        sent: SentBook | None = None,
    ) -> None:
        self.ledger = Ledger()
        self._deadline = teacher.deadline
        self._asleep = 0
        self._left = asyncio.Event()
        self._most_asleep = teacher.places
        self._readable = -1
        self._rng = Random()  # jitter has to differ between processes, and decides nothing that is stored
        learnt, sent = learnt or Learnt(), sent or SentBook()
        self._routes = [
            Route(teacher, each, its_http, self.ledger, self._rng, learnt, sent)
            for each, its_http in [(endpoint, http), *others]
        ]
        for route in self._routes:
            route.alone = len(self._routes) == 1

    @property
    def places(self) -> int:
        """How many requests we can do with now: those that may be in flight, and those that wait for another try.

        Else a handful of unlucky requests would keep the places of all others while they sleep.
        """
        return sum(route.places.count for route in self._routes) + min(self._asleep, self._most_asleep)

    def leave(self) -> None:
        """Send nothing more and end all waits but those for answers that are on their way."""
        self._left.set()
        for route in self._routes:
            route.leave()

    async def complete(self, request: Request) -> Completion:
        """Answer a request. Raises: TeacherError."""
        key = request.hash
        clock = asyncio.get_running_loop().time
        tried, readable = _Tried(), self.ledger.answered + self.ledger.refused
        while True:
            route = self._choose(tried, clock())
            if self._left.is_set():
                raise self._error(GONE, tried, route, request)
            if pause := route.pause(clock()):
                tried.began(clock())
                await self._sleep(pause, tried, route, request, clock())
                continue
            outcome = await route.ask(request, key)
            if isinstance(outcome, Completion):
                return outcome
            if outcome is None:  # learnt what the model does not take: ask again at once
                continue
            tried.met(outcome, route, clock())
            if tried.unreadable == MOST_UNREADABLE:
                if self._nothing_readable(readable):
                    raise self._error(outcome, tried, route, request)
                return _unreadable(key, request, outcome)
            if self._elsewhere(tried, clock()):
                self.ledger.retried += 1
                continue
            wait = backoff(tried.failures, self._rng)
            if outcome.wait is not None:  # not at the same instant as all the others, and never in a tight loop
                wait = max(wait, outcome.wait + backoff(1, self._rng))
            await self._sleep(wait, tried, route, request, clock())
            self.ledger.retried += 1

    def _nothing_readable(self, before: int) -> bool:
        """One more request's answers could not be read; say whether nothing could be since the last such request.

        One is its own fault; two in a row are the endpoint's, and the run stops before it buys more of the kind. Nor
        is it the endpoint's if others were answered since this one was asked: `before` counts those until then.
        """
        last, self._readable = self._readable, self.ledger.answered + self.ledger.refused
        return self._readable == last == before

    def _choose(self, tried: _Tried, now: float) -> Route:
        if len(self._routes) == 1:
            return self._routes[0]

        def burden(route: Route) -> tuple[float, bool, float, float]:
            weight = route.endpoint.weight
            return route.pause(now), route is tried.route, (route.places.load + 1) / weight, route.sent / weight

        return min(self._routes, key=burden)

    def _elsewhere(self, tried: _Tried, now: float) -> bool:
        """True when another endpoint can be asked at once, and this request has not been round them all."""
        if tried.failures % len(self._routes) == 0:
            return False
        return any(not route.pause(now) for route in self._routes if route is not tried.route)

    async def _sleep(self, wait: float, tried: _Tried, route: Route, request: Request, now: float) -> None:
        """Wait before another try. Raises: TeacherError when none may help, or the deadline comes first."""
        trouble = tried.trouble or route.trouble
        if trouble is not None and trouble.last:
            raise self._error(trouble, tried, route, request)
        if now + wait > tried.since + self._patience(trouble):
            trouble = trouble or Trouble("nothing but failures", TeacherTransportError)
            raise self._error(trouble, tried, route, request)
        if trouble is not None:
            log.info("%s: %s; asking again in %.1f s", route.name, trouble.words, wait)
        self.ledger.waited += wait
        in_order = not route.breaker.pause(now)
        self._asleep += in_order
        try:
            async with asyncio.timeout(wait):
                await self._left.wait()
            raise self._error(trouble or GONE, tried, route, request)
        except TimeoutError:
            pass
        finally:
            self._asleep -= in_order

    def _patience(self, trouble: Trouble | None) -> float:
        """Seconds for which trouble is borne; little for endpoints that have never answered: a wrong address."""
        unknown = not self.ledger.answered and (trouble is None or trouble.error is TeacherTransportError)
        return min(self._deadline, FIRST_CONTACT) if unknown else self._deadline

    def _error(self, trouble: Trouble, tried: _Tried, route: Route, request: Request) -> TeacherError:
        """Return the error that ends the run: who, what it said, what to do."""
        words = trouble.words.rstrip(".")
        count = "" if trouble.last or tried.failures < 2 else f" in {tried.failures} tries"
        asked = f" (it asks to wait {trouble.wait:.0f} s)" if trouble.wait else ""
        return trouble.error(f"{route.name} gave no answer{count}: {words}{asked}. {_advice(trouble, route)}", request)


class _Tried:
    """What a request has been through."""

    __slots__ = ("failures", "route", "since", "trouble", "unreadable")

    def __init__(self) -> None:
        self.failures = 0
        self.unreadable = 0
        self.route: Route | None = None
        self.since = 0.0
        self.trouble: Trouble | None = None

    def began(self, now: float) -> None:
        """Trouble began now, unless it had before."""
        self.since = self.since or now

    def met(self, trouble: Trouble, route: Route, now: float) -> None:
        """A try ended in trouble."""
        self.began(now)
        self.failures += 1
        self.unreadable += trouble.unreadable
        self.trouble, self.route = trouble, route


def _unreadable(key: str, request: Request, trouble: Trouble) -> Completion:
    """Return the outcome of a request whose answers come and cannot be read, so that the run goes on without it.

    It counts as one answer of the longest kind; what the other tries were billed is among the possibly billed.
    """
    words = f"{MOST_UNREADABLE} times {trouble.words}"
    outcome = Completion(request=key, finish="length", message=words)
    update = {"finish": "refused", "refusal": "unreadable_reply", "usage": most_usage(request, outcome)}
    return outcome.model_copy(update=update)


def _advice(trouble: Trouble, route: Route) -> str:
    if trouble.error is TeacherAuthError:
        return f"Check the key in {route.endpoint.key_env or 'its environment variable'}, and what it may do."
    if trouble.error is Refused:
        return "Check teacher.model, teacher.base_url (most end in /v1) and the generator's parameters."
    if trouble.spent:
        return "Add credit to the account, then run the same command again: nothing bought is lost."
    if trouble.error is TeacherRateError:
        return "State teacher.requests_per_minute or tokens_per_minute, or run again later: nothing bought is lost."
    if trouble.unreadable:
        return (
            "No answer of the last requests could be read, and each may be billed: check what stands before the server."
        )
    if trouble.timed_out:
        return "Raise teacher.timeout: each request that timed out may have been billed. Then run again."
    return "Check that the server runs and speaks the OpenAI API there, then run again: nothing bought is lost."
