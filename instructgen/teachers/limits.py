"""How fast we may ask: a minute's limits as sliding windows, and a number of places that adapts to the endpoint.

Stated limits are kept in every window of 60 s, wherever it begins, not only on average, as the endpoint sees it: what
was sent counts until 60 s after it arrived there. That was before its answer came, and at most `ON_THE_WAY` after it
was sent.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from random import Random
from typing import Protocol

MINUTE = 60.0
ON_THE_WAY = 1.0
"""Seconds that a request takes to the endpoint at most, a new connection included."""
EVEN_SHARES = 2.0
"""Providers enforce a minute's limit in smaller pieces (OpenAI: "60,000 RPM may be enforced as 1,000 requests per
second"), so no sixtieth of the window holds more than this many times its even share."""


class Spent:
    """One amount in a window, from its sending until it has left the window."""

    __slots__ = ("amount", "arrived", "gone")

    def __init__(self, arrived: float, amount: float) -> None:
        self.arrived = arrived
        """The latest moment at which it can have reached the endpoint."""
        self.amount = amount
        self.gone = False


class Window:
    """A limit on what arrives in any `seconds` seconds; `on_the_way` is the longest way to the endpoint.

    Example: Window(3, 60, on_the_way=0) lets three through at once, and the fourth 60 s after the first.
    """

    def __init__(self, limit: float, seconds: float = MINUTE, on_the_way: float = ON_THE_WAY) -> None:
        self.limit = limit
        self._length = seconds
        self._on_the_way = on_the_way
        self._log: deque[Spent] = deque()
        self._sum = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` fits; infinite when it never does."""
        if amount > self.limit:
            return math.inf
        log = self._log
        # Answers come out of order; one that waits behind an older one counts a little longer than it must.
        while log and now >= log[0].arrived + self._length:
            spent = log.popleft()
            spent.gone = True
            self._sum -= spent.amount
        over = self._sum + amount - self.limit
        until = now
        for spent in log:
            if over <= 0:
                break
            over -= spent.amount
            until = max(until, spent.arrived + self._length)
        return until - now

    def take(self, amount: float, now: float) -> Spent:
        """Spend an amount that fits."""
        spent = Spent(now + self._on_the_way, amount)
        self._log.append(spent)
        self._sum += amount
        return spent

    def recall(self, amount: float, arrived: float) -> None:
        """Count what was sent before this window was made; oldest first, before anything is taken."""
        self._log.append(Spent(arrived, amount))
        self._sum += amount

    def settle(self, spent: Spent, amount: float) -> None:
        """Replace an amount that was reserved by what it came to; one that has left the window is past."""
        if not spent.gone:
            self._sum += amount - spent.amount
            spent.amount = amount


class Ticket:
    """One request's entries in the windows of a `Pace`, and its number in the book of what was sent."""

    __slots__ = ("number", "requests", "tokens")

    def __init__(self, requests: Spent | None, tokens: Spent | None, number: int | None = None) -> None:
        self.requests = requests
        self.tokens = tokens
        self.number = number


class Book(Protocol):
    """Where a sitting finds what earlier ones sent, and leaves for later ones what it sends."""

    def earlier(self) -> list[tuple[float, int]]:
        """Return (seconds since it arrived, tokens) of each request that still counts, oldest first."""

    def note(self, tokens: int) -> int:
        """Note a request that is being sent; return its number."""

    def settle(self, number: int, tokens: int | None) -> None:
        """Note that it was answered, and took so many tokens where that is known."""


class Pace:
    """Stated limits of one endpoint and model, and the pauses that it asks for. Waiters go in the order they came.

    With a `book`, limits hold across sittings.
    """

    def __init__(
        self,
        requests: int | None,
        tokens: int | None,
        rng: Random,
        minute: float = MINUTE,
        book: Book | None = None,
    ) -> None:
        self._requests = Window(requests, minute) if requests else None
        share = math.ceil(EVEN_SHARES * requests / 60) if requests else 1
        self._even = Window(share, minute / 60, on_the_way=0) if requests else None
        self._tokens = Window(tokens, minute) if tokens else None
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()
        self._open_at = -math.inf
        self._closed = False
        self._rng = rng
        self._book = book if requests or tokens else None
        now = time.monotonic()  # an event loop's clock
        for age, took in self._book.earlier() if self._book else ():
            for window, amount in ((self._requests, 1), (self._tokens, took)):
                if window is not None:
                    window.recall(amount, now - age)

    @property
    def most_tokens(self) -> float:
        """The most tokens that a single request may hold."""
        return self._tokens.limit if self._tokens else math.inf

    def free(self, now: float) -> bool:
        """True when nothing has to be asked before sending: no stated limits and no pause."""
        return self._requests is None and self._tokens is None and now >= self._open_at

    def delay(self, now: float) -> float:
        """Return the seconds until a small request could be sent, were nobody waiting."""
        return max(0.0, self._open_at - now, *self._waits(1, now))

    def hold(self, until: float) -> None:
        """Send nothing before `until` (loop time): the endpoint said so."""
        self._open_at = max(self._open_at, until)

    async def enter(self, tokens: int) -> Ticket:
        """Wait until one request of this many tokens may be sent, and count it as sent."""
        clock = asyncio.get_running_loop().time
        async with self._turn:
            while not self._closed and (wait := self._wait(tokens, clock())) > 0:
                self._freed.clear()
                try:
                    await asyncio.wait_for(self._freed.wait(), wait)
                except TimeoutError:
                    continue
            if self._closed:
                return Ticket(None, None)
            now = clock()
            if self._even is not None:
                self._even.take(1, now)
            return Ticket(
                self._requests.take(1, now) if self._requests else None,
                self._tokens.take(tokens, now) if self._tokens else None,
                self._book.note(tokens) if self._book else None,
            )

    def close(self) -> None:
        """End all waits, now and later: nothing is sent any more, and whoever waited has to look before sending."""
        self._closed = True
        self._freed.set()

    def _waits(self, tokens: int, now: float) -> list[float]:
        waits = [window.wait(1, now) for window in (self._requests, self._even) if window is not None]
        if self._tokens is not None:
            waits.append(self._tokens.wait(tokens, now))
        return waits

    def _wait(self, tokens: int, now: float) -> float:
        # After a pause, not everyone at the same instant.
        pause = (self._open_at - now) * (1 + 0.1 * self._rng.random()) if self._open_at > now else 0.0
        return max([pause, *self._waits(tokens, now)])

    def landed(self, ticket: Ticket, now: float, used: int | None = None) -> None:
        """The answer came: the request has arrived by now, and took `used` tokens where it says so."""
        for spent in (ticket.requests, ticket.tokens):
            if spent is not None:
                spent.arrived = min(spent.arrived, now)
        if ticket.tokens is not None and self._tokens is not None and used is not None:
            self._tokens.settle(ticket.tokens, used)
        if ticket.number is not None and self._book is not None:
            self._book.settle(ticket.number, used)
        self._freed.set()


DECREASE = 0.7
"""What an overload leaves of the places; TCP CUBIC's factor, RFC 9438 section 4.6. Half would starve on stray 429s."""


class Places:
    """How many requests may be in flight: one more for each round that went well, 0.7 times as many after an overload.

    Additive increase, multiplicative decrease (Chiu and Jain, 1989): all clients of an endpoint come to fair shares.
    One overload counts once: what was already in flight when it struck says nothing new.
    """

    def __init__(self, start: int, most: int) -> None:
        self.in_flight = 0
        self._room = float(min(start, most))
        self._most = most
        self._cut_at = -math.inf
        self._closed = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def count(self) -> int:
        """Requests that may be in flight now, at least 1."""
        return int(self._room)

    @property
    def load(self) -> int:
        """Requests in flight, and those that wait for a place."""
        return self.in_flight + len(self._waiting)

    async def enter(self) -> None:
        """Take a place, waiting for one in the order of coming."""
        if self._closed or (self.in_flight < self.count and not self._waiting):
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place came together with the cancellation
                self.leave()
            else:
                self._waiting.remove(turn)
            raise

    def leave(self) -> None:
        """Give a place back."""
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and (self._closed or self.in_flight < self.count):
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

    def close(self) -> None:
        """Let everyone in, now and later: nothing is sent any more, and whoever waited has to look before sending."""
        self._closed = True
        self._admit()

    def went_well(self) -> None:
        """A request came back in order; the number grows only while it is being used."""
        if self._room < self._most and self.in_flight * 2 >= self._room:
            self._room = min(self._most, self._room + 1 / self._room)
            self._admit()

    def overloaded(self, sent_at: float, now: float) -> bool:
        """A request sent at `sent_at` met an overload; return True if the number was cut for it."""
        if sent_at <= self._cut_at:
            return False
        self._cut_at = now
        self._room = max(1.0, self._room * DECREASE)
        return True
