"""What a connection did on the wire: the counts to hold against the endpoint's own bill.

sent 2051 = answered 2000 + refused 0 + throttled 12 + failed 39; of these 3 possibly billed
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Ledger:
    """Counts of one connection since it was opened; all are numbers of HTTP requests unless they say otherwise."""

    sent: int = 0
    answered: int = 0
    """Came back with an answer that could be read."""
    refused: int = 0
    """Came back with a refusal that is the request's own outcome (content filter, context overflow)."""
    adapted: int = 0
    """Refused because of a parameter that the model does not take, and sent again without it."""
    throttled: int = 0
    """Sent away with 429."""
    failed: int = 0
    """Time-outs, broken connections, 5xx, unreadable bodies, and errors that ended the run."""
    possibly_billed: int = 0
    """Failed after they were sent, so that the endpoint may have answered and billed what never reached us."""
    timed_out: int = 0
    retried: int = 0
    """Sent again after a failure or a 429."""
    outages: int = 0
    """Times that an endpoint was left alone because it did nothing but fail."""
    waited: float = 0.0
    """Seconds that requests were held back by limits and back-off, summed over requests."""

    def as_json(self) -> dict[str, int | float]:
        """Return the counts as plain data."""
        return asdict(self)
