"""When to ask again, and how long to wait before: full jitter, `Retry-After`, rate-limit headers.

    Retry-After: 20                            20 s
    Retry-After: Mon, 23 Nov 2026 10:00:20 GMT 20 s after the answer's own Date
    retry-after-ms: 350                        0.35 s (OpenAI, Azure)
    x-ratelimit-remaining-requests: 0  with  x-ratelimit-reset-requests: 1m6.5s      66.5 s
    x-ratelimit-remaining: 0  with  x-ratelimit-reset: 1790000000000                 until that moment (OpenRouter)

Full jitter (wait a random time between nothing and a growing cap) spreads out a crowd of clients best: Marc Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import Random

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Statuses that another try may cure: request time-out, conflict, too early, too many, and the server's own trouble.
520-524 are Cloudflare's, 529 is Anthropic's and others' "overloaded"."""
FIRST_CAP = 0.5
"""Seconds: the longest first wait."""
GROWTH = 1.5
"""How much longer each next wait may be. Places and the circuit breaker spare an endpoint in trouble; doubling would
only let the unluckiest request of a long run wait for minutes."""
LAST_CAP = 30.0
"""Seconds: no back-off without the server's own word is longer than this."""

SINCE_1970 = 1e8
"""Seconds from which a number is no duration but a moment; from a thousand times that on, in milliseconds."""
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_REMAINING = ("x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-remaining",
              "ratelimit-remaining")  # fmt: skip


def backoff(failures: int, rng: Random) -> float:
    """Return seconds to wait after a request's n-th failure (from 1): between 0 and a cap that grows.

    Example: failures=3 -> uniform in 0..1.125 s
    """
    cap = min(LAST_CAP, FIRST_CAP * GROWTH ** min(failures - 1, 30))
    return cap * rng.random()


def seconds(text: str) -> float | None:
    """Read a duration as rate-limit headers write it: "20", "1m6.5s", "350ms"; `None` when it is none.

    Example: seconds("1m6.5s") -> 66.5
    """
    text = text.strip()
    try:
        plain = float(text)
    except ValueError:
        match = _DURATION.fullmatch(text)
        if match is None or not any(match.groups()):
            return None
        return sum(unit * float(part) for unit, part in zip(_UNITS, match.groups(), strict=True) if part)
    return plain if 0 <= plain < float("inf") else None


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer asks us to wait before the next request, or `None` if it does not say."""
    if (text := headers.get("retry-after-ms")) is not None and (wait := seconds(text)) is not None:
        return wait / 1000
    text = headers.get("Retry-After")
    if text is None:
        return None
    return _wait(text, headers)


def _wait(text: str, headers: Mapping[str, str]) -> float | None:
    """Seconds that a duration or a moment asks for, moments by the server's own clock: ours may be wrong."""
    wait = seconds(text)
    if wait is not None and wait < SINCE_1970:
        return wait
    then = _moment(text) if wait is None else wait / (1000 if wait >= 1000 * SINCE_1970 else 1)
    if then is None:
        return None
    now = _moment(headers.get("Date") or "")
    return max(0.0, then - (time.time() if now is None else now))


def _moment(text: str) -> float | None:
    """Seconds since 1970 of a date as HTTP or RFC 3339 writes it (Anthropic's resets); `None` when it is none."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(text.strip()).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError, OSError):
            continue
    return None


def spent_wait(headers: Mapping[str, str]) -> float:
    """Return the seconds until a limit that these rate-limit headers call used up is open again; 0 if none is."""
    longest = 0.0
    for name in _REMAINING:
        left = headers.get(name)
        if left is None or left.strip() != "0":
            continue
        reset = headers.get(name.replace("remaining", "reset"))
        longest = max(longest, (_wait(reset, headers) if reset else None) or 0.0)
    return longest
