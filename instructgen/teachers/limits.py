"""How fast we may ask: a minute's limits as sliding windows, and a number of places that adapts to the endpoint.

Stated limits are kept in every window of 60 s, wherever it begins, not only on average: what was sent is remembered
until it has left the window. `MARGIN` is kept beside them because the endpoint's window is measured on arrival.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from random import Random

MINUTE = 60.0
MARGIN = 1 / 60
"""Share of the window by which it is taken longer: 1 s in a minute for differences in the way to the endpoint."""
EVEN_SHARES = 2.0
"""Providers enforce a minute's limit in smaller pieces (OpenAI: "60,000 RPM may be enforced as 1,000 requests per
second"), so no sixtieth of the window holds more than this many times its even share."""


class Spent:
    """One amount in a window; `amount` may be lowered or raised once the true cost is known."""

    __slots__ = ("amount", "moment")

    def __init__(self, moment: float, amount: float) -> None:
        self.moment = moment
        self.amount = amount


class Window:
    """A limit on what is spent in any `seconds` seconds.

    Example: Window(3, 60) lets three through at once, and the fourth 61 s after the first.
    """

    def __init__(self, limit: float, seconds: float = MINUTE) -> None:
        self.limit = limit
        self._length = seconds * (1 + MARGIN)
        self._log: deque[Spent] = deque()
        self._sum = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` fits; infinite when it never does."""
        if amount > self.limit:
            return math.inf
        log = self._log
        while log and now - log[0].moment >= self._length:
            self._sum -= log.popleft().amount
        over = self._sum + amount - self.limit
        if over <= 0:
            return 0.0
        for spent in log:
            over -= spent.amount
            if over <= 0:
                return spent.moment + self._length - now
        return 0.0  # pragma: no cover - the sum is the log's

    def take(self, amount: float, now: float) -> Spent:
        """Spend an amount that fits."""
        spent = Spent(now, amount)
        self._log.append(spent)
        self._sum += amount
        return spent

    def settle(self, spent: Spent, amount: float) -> None:
        """Replace an amount that was reserved by what it came to; one that has left the window is past."""
        if self._log and spent.moment >= self._log[0].moment:
            self._sum += amount - spent.amount
            spent.amount = amount


class Pace:
    """Stated limits of one endpoint and model, and the pauses that it asks for. Waiters go in the order they came."""

    def __init__(self, requests: int | None, tokens: int | None, rng: Random, minute: float = MINUTE) -> None:
        self._requests = Window(requests, minute) if requests else None
        self._even = Window(max(1, math.ceil(EVEN_SHARES * requests / 60)), minute / 60) if requests else None
        self._tokens = Window(tokens, minute) if tokens else None
        self._turn = asyncio.Lock()
        self._open_at = 0.0
        self._rng = rng

    @property
    def most_tokens(self) -> float:
        """The most tokens that a single request may hold."""
        return self._tokens.limit if self._tokens else math.inf

    def free(self, now: float) -> bool:
        """True when nothing has to be asked before sending: no stated limits and no pause."""
        return self._requests is None and self._tokens is None and now >= self._open_at

    def held(self, now: float) -> float:
        """Seconds until a pause that the endpoint asked for is over, at least 0."""
        return max(0.0, self._open_at - now)

    def hold(self, until: float) -> None:
        """Send nothing before `until` (loop time): the endpoint said so."""
        self._open_at = max(self._open_at, until)

    async def enter(self, tokens: int) -> Spent | None:
        """Wait until one request of this many tokens may be sent, and count it as sent."""
        clock = asyncio.get_running_loop().time
        async with self._turn:
            while (wait := self._wait(tokens, clock())) > 0:  # noqa: ASYNC110 - there is no event, only time
                await asyncio.sleep(wait)
            now = clock()
            for window in (self._requests, self._even):
                if window is not None:
                    window.take(1, now)
            return self._tokens.take(tokens, now) if self._tokens else None

    def _wait(self, tokens: int, now: float) -> float:
        waits = [window.wait(1, now) for window in (self._requests, self._even) if window is not None]
        if self._tokens is not None:
            waits.append(self._tokens.wait(tokens, now))
        # After a pause, not everyone at the same instant.
        pause = (self._open_at - now) * (1 + 0.1 * self._rng.random())
        return max([pause, *waits])

    def settle(self, spent: Spent | None, tokens: int) -> None:
        """Replace a request's reserved tokens by what it used."""
        if spent is not None and self._tokens is not None:
            self._tokens.settle(spent, tokens)


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
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def count(self) -> int:
        """Requests that may be in flight now, at least 1."""
        return int(self._room)

    async def enter(self) -> None:
        """Take a place, waiting for one in the order of coming."""
        if self.in_flight < self.count and not self._waiting:
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
        while self._waiting and self.in_flight < self.count:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

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
