"""What a run will take to its target, from the slots that are closed: a mean and an interval.

    Forecast(requests=(4100, 3700, 4600), tokens=(...), usd=(...), seconds=(...), acceptance=(0.81, 0.77, 0.85))

The interval is the middle 80 % of a bootstrap over slots (Efron 1979): slots are drawn again with replacement, and each
draw is carried on to the target. Novelty runs out, and late slots accept less than early ones: where that shows
already, the later half of the slots is carried on, not all of them. Where it does not, nothing is known of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import NamedTuple

from instructgen.records import Usage
from instructgen.teachers.prices import Price

DRAWS = 1_000
LOW, HIGH = 0.1, 0.9
FEW_CANDIDATES = 40
"""Of fewer, acceptance differs by chance."""
FALL = 0.75
"""What is left of the acceptance at most when it is said to fall."""

Interval = tuple[float, float, float]
"""(mean, low end, high end)."""


class SlotCost(NamedTuple):
    """What one closed slot gave and took."""

    parsed: int
    accepted: int
    usage: Usage


class Forecast(NamedTuple):
    """The whole run, what is closed included."""

    slots: Interval
    requests: Interval
    tokens: Interval
    usd: Interval | None
    """`None` without a price."""
    seconds: Interval | None
    """At the rate of the pilot; `None` where that is not known."""
    acceptance: Interval
    """Accepted / parsed, 0..1."""
    fall: tuple[float, float] | None = None
    """Acceptance in the earlier and the later half of the slots where it falls; the forecast is then of the later."""


def fall_of(before: tuple[int, int], after: tuple[int, int]) -> tuple[float, float] | None:
    """Return the acceptance before and after, each of (accepted, parsed), if it falls; `None` if not, or of too few.

    Example: fall_of((40, 50), (20, 50)) -> (0.8, 0.4)
    """
    if min(before[1], after[1]) < FEW_CANDIDATES:
        return None
    first, last = before[0] / before[1], after[0] / after[1]
    return (first, last) if last < FALL * first else None


def forecast(
    closed: Sequence[SlotCost], target: int, seconds: float | None, price: Price | None, paid: Decimal | None = None
) -> Forecast | None:
    """Carry closed slots on to the target; `None` when nothing was accepted yet.

    `seconds` is what the closed slots took together, if that is known; `paid` what they cost, if not all at `price`.
    Example: 10 slots that accepted 2 each with 3 requests each, target 100 -> slots (50, 50, 50), requests (150, ...)
    """
    if not sum(slot.accepted for slot in closed):
        return None
    middle = len(closed) // 2
    fall = fall_of(_counts(closed[:middle]), _counts(closed[middle:]))
    like = closed[middle:] if fall and fall[1] else closed
    if price is not None and paid is None:
        paid = price.cost(_sum(closed))
    chance = Random(0)
    draws = [_totals([like[int(chance.random() * len(like))] for _ in like], closed, target, price, paid)
             for _ in range(DRAWS)]  # fmt: skip
    known = [draw for draw in draws if draw is not None]
    mean = _totals(like, closed, target, price, paid)
    if mean is None:
        return None
    spread = [sorted(draw[place] for draw in known) for place in range(len(mean))]
    ends = [(values[int(LOW * (len(values) - 1))], values[round(HIGH * (len(values) - 1))]) for values in spread]
    slots, requests, tokens, usd, acceptance = ((middle, *end) for middle, end in zip(mean, ends, strict=True))
    pace = None if seconds is None else seconds / len(closed)
    time = None if pace is None else (slots[0] * pace, slots[1] * pace, slots[2] * pace)
    return Forecast(slots, requests, tokens, usd if price else None, time, acceptance, fall)


def _counts(slots: Sequence[SlotCost]) -> tuple[int, int]:
    return sum(slot.accepted for slot in slots), sum(slot.parsed for slot in slots)


def _totals(
    drawn: Sequence[SlotCost], closed: Sequence[SlotCost], target: int, price: Price | None, paid: Decimal | None
) -> tuple[float, ...] | None:
    """Return slots, requests, tokens, dollars and acceptance of the whole run if all further slots are like `drawn`."""
    accepted = sum(slot.accepted for slot in drawn)
    if not accepted:
        return None
    left = max(0, target - sum(slot.accepted for slot in closed))
    more = left / (accepted / len(drawn))  # slots still to come
    spent, drawn_usage = _sum(closed), _sum(drawn)
    share = more / len(drawn)
    cost = Decimal(0) if price is None else (paid or Decimal(0)) + price.cost(drawn_usage) * Decimal(share)
    parsed = sum(slot.parsed for slot in drawn)
    return (
        len(closed) + more,
        spent.requests + drawn_usage.requests * share,
        spent.tokens + drawn_usage.tokens * share,
        float(cost),
        accepted / parsed if parsed else 0.0,
    )


def _sum(slots: Sequence[SlotCost]) -> Usage:
    return sum((slot.usage for slot in slots), Usage())


def waves(slots: float, window: int, steps: int, room: Callable[[int], int] | None = None) -> int:
    """Return how many batches in a row a run in batch mode takes: each step of each window's slots is one wave.

    `room` says how many slots the budget lets be open beside so many closed ones; at none the run ends.
    Example: waves(500, 128, 3) -> 12; with window=512 it is 3; waves(500, 128, 3, lambda closed: 50) -> 30
    """
    left, count, closed = int(slots + 0.5), 0, 0
    while closed < left:
        started = min(window, left - closed, room(closed) if room else window)
        if started < 1:
            break
        closed += started
        count += steps
    return count
