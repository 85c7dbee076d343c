"""How a server misbehaves, on a seeded schedule.

    Faults(seed=1, too_many=0.1, retry_after=0.05, reset=0.05, burst_every=50, burst_length=5)

What befalls a request depends on the seed, its content and how often it has been asked, never on the order of arrival:
so the same storm strikes at any concurrency. Bursts and limits alone follow arrival, as on a real server.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields
from random import Random
from typing import Any, Self

SHARES = (
    "too_many", "server_error", "reset", "reset_early", "drip", "empty", "html", "truncated", "late",
)  # fmt: skip
"""Faults of which at most one strikes a try, in this order; each field is the share of tries in 0..1."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong; the default is a server in perfect health. Times are in seconds."""

    seed: int = 0
    latency: float = 0.0
    tail: float = 0.0
    """Share of answers that take `tail_latency` instead."""
    tail_latency: float = 1.0

    too_many: float = 0.0
    """429."""
    retry_after: float | str | None = None
    """Sent with every 429: seconds, "date" for an HTTP date, `None` for no such header."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    minute: float = 60.0
    """Length of the hard window of the two limits."""
    capacity: int | None = None
    """More requests than this in flight are sent away with 503."""

    server_error: float = 0.0
    burst_every: int = 0
    """Of so many arrivals, the first `burst_length` meet a 500."""
    burst_length: int = 0

    reset: float = 0.0
    """The connection is cut in the middle of the body; billed."""
    reset_early: float = 0.0
    """The connection is cut before any answer; not billed."""
    drip: float = 0.0
    """The body comes in pieces over `drip_seconds`."""
    drip_seconds: float = 0.3
    empty: float = 0.0
    """200 without a body; billed."""
    html: float = 0.0
    """A proxy's page with 200, in place of an answer; not billed."""
    truncated: float = 0.0
    """Half of the JSON, with a matching length; billed."""
    late: float = 0.0
    """Answered and billed after `late_seconds`, when the client may have given up."""
    late_seconds: float = 2.0
    spared_after: int = 8
    """A request asked this often meets none of the shares above any more, so that every storm ends."""

    wrong_usage: float = 0.0
    """Share of answers whose usage is missing, null, negative or a word. A function of the content alone."""
    content_filter: float = 0.0
    """Share of requests that are refused, one half with 400, the other by finish_reason. Of the content alone."""
    context: int | None = None
    """Most prompt tokens; more is `context_length_exceeded`."""
    refused: tuple[str, ...] = ()
    """Parameters that the model does not take."""
    refusal_style: str = "openai"
    """How it says so: openai (400, param and code), vllm (400, words alone), mistral (422, a list of details)."""
    key: str = ""
    """The key that must be shown; "" takes anyone."""
    models: tuple[str, ...] = ()
    """Known models; () knows every name."""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        known = {each.name for each in fields(cls)}
        if unknown := set(data) - known:
            raise ValueError(f"unknown faults: {sorted(unknown)}")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})

    def as_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return asdict(self)

    def rng(self, *about: object) -> Random:
        """Return random numbers that depend on the seed and what they are about."""
        return Random(hashlib.sha256(repr((self.seed, *about)).encode()).digest())

    def strikes(self, key: str, asked: int) -> str:
        """Return the fault that strikes the n-th asking (from 1) of a request, or ""."""
        if asked > self.spared_after:
            return ""
        draw = self.rng("fault", key, asked).random()
        for name in SHARES:
            draw -= getattr(self, name)
            if draw < 0:
                return name
        return ""

    def delay(self, key: str, asked: int) -> float:
        """Return the seconds that this answer takes."""
        slow = self.tail and self.rng("tail", key, asked).random() < self.tail
        return self.tail_latency if slow else self.latency


@dataclass
class Bill:
    """What the server saw and charged; the ledger to hold a client's against."""

    arrived: dict[str, int] = field(default_factory=dict)
    """Content hash -> how often it came."""
    billed: dict[str, int] = field(default_factory=dict)
    """Content hash -> how often an answer to it was charged."""
    delivered: dict[str, int] = field(default_factory=dict)
    """Content hash -> how often a charged answer was written out whole, as far as the server can tell."""
    statuses: dict[str, int] = field(default_factory=dict)
    """What was answered: "200", "429", ... and the names of faults."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    delivered_tokens: int = 0
    """Prompt and completion tokens of the answers that were delivered."""
    over_limit: int = 0
    """Requests that came above a stated limit or the capacity."""
    most_in_flight: int = 0
    times: list[float] = field(default_factory=list)
    """Arrival times in seconds since the server began."""

    @property
    def requests(self) -> int:
        """All that came."""
        return sum(self.arrived.values())

    @property
    def answers(self) -> int:
        """All that was charged."""
        return sum(self.billed.values())

    @property
    def lost(self) -> int:
        """Charged answers that did not leave the server whole."""
        return self.answers - sum(self.delivered.values())

    @property
    def tokens(self) -> int:
        """All tokens charged."""
        return self.prompt_tokens + self.completion_tokens

    def busiest(self, seconds: float) -> int:
        """Return the most arrivals within any window of so many seconds."""
        most = start = 0
        for end, moment in enumerate(self.times):
            while moment - self.times[start] >= seconds:
                start += 1
            most = max(most, end - start + 1)
        return most
