"""A circuit breaker: an endpoint that only fails is left alone for a while, then asked once to see.

closed  -> every request may go
open    -> none may, for `REST` seconds, twice as long after each failed probe, at most `MOST_REST`
probing -> one may; its success closes, its failure opens again
"""

from __future__ import annotations

import math

OPEN_AFTER = 12
"""Failures in a row, one after the other: those of one volley count once. Even a path that loses every third request
comes to 12 only once in half a million."""
REST = 5.0
MOST_REST = 60.0


class Breaker:
    """Watches one endpoint. Times are of the event loop, in seconds."""

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at = -math.inf
        self._rest = REST
        self._open_until = -math.inf
        self._probing = False
        self._broken_for_good = False

    def pause(self, now: float) -> float:
        """Return the seconds until the endpoint may be asked; 0 when it may be now, infinite when never again."""
        if self._failures < OPEN_AFTER and not self._broken_for_good:
            return 0.0
        if self._broken_for_good:
            return math.inf
        if now < self._open_until:
            return self._open_until - now
        # One probe at a time; whoever comes meanwhile looks again when it may be over.
        return 1.0 if self._probing else 0.0

    def asking(self) -> bool:
        """A request goes out; return True if it is the probe of an open breaker."""
        if self._failures < OPEN_AFTER:
            return False
        self._probing = True
        return True

    def probe_ended(self) -> None:
        """The probe came back, or was given up."""
        self._probing = False

    def went_well(self) -> bool:
        """The endpoint answered; return True if that closes an open breaker."""
        was_open = self._failures >= OPEN_AFTER
        self._failures = 0
        self._rest = REST
        return was_open

    def failed(self, sent_at: float, now: float, *, probe: bool = False) -> float:
        """A request sent at `sent_at` failed; return the seconds that the breaker now opens for, 0 if it does not.

        What was in flight when another failed, or when the breaker opened, says nothing new.
        """
        if not probe:
            if sent_at < self._failed_at or self._failures >= OPEN_AFTER:
                return 0.0
            self._failures += 1
            self._failed_at = now
            if self._failures < OPEN_AFTER:
                return 0.0
        rest, self._rest = self._rest, min(MOST_REST, self._rest * 2)
        self._open_until = now + rest
        return rest

    def give_up(self) -> bool:
        """The endpoint will never answer us: open for good. Return True the first time."""
        first, self._broken_for_good = not self._broken_for_good, True
        return first
