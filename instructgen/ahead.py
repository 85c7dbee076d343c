"""How far ahead of the next commit a run buys: as many slots as the missing samples likely take, and no more.

    horizon(missing=8, kept={}, next_slot=0, window=128, seen=[]) -> 8     nothing known, a slot gives at most 1 sample
    horizon(missing=4, ..., seen=[1, 0, 1, 0, 0, 1, 0, 1])        -> 10    half of them give one

A matter of thrift, never of content: whatever this says, a slot's candidates and its line in `decisions.jsonl` are the
same. What was bought for slots that the target turned out not to need stays in the store, for a raised target.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

MARGIN = 0.5
"""Standard deviations by which open slots are expected to stay below their mean. At 0 every second round of answers
falls short and another has to follow; at 1 small targets buy up to a third more in vain: benchmarks/ahead.py."""
WAVE_SHARE, WAVE_SAMPLES = 1.1, 2
"""What a wave of batches is made larger by, a tenth and two samples: each wave that follows may take a day."""


class Ahead:
    """How many slots, from the next to commit on, are likely needed.

    `most_samples` is what a slot may give at most; half of it, but one whole sample, is the guess until slots are seen.
    Beside n of them it counts as 1 / sqrt(n + 1) of a slot: a few poor slots outweigh a guess that is far too good, and
    one alone does not open the window. By batch the guess is low and the wave large.
    """

    def __init__(self, most_samples: int, *, by_batch: bool = False) -> None:
        self._by_batch = by_batch
        self._guess = most_samples / 2 if by_batch else max(1.0, most_samples / 2)

    def horizon(self, missing: int, kept: Mapping[int, int], next_slot: int, window: int, seen: Iterable[int]) -> int:
        """Return that number, in 1..window.

        `missing` are the samples that the target lacks; `kept` what slots that wait for their commit will give, if no
        slot before them gives the same; `seen` what the latest slots gave, those of `kept` not among them.
        """
        gave = [*seen, *kept.values()]
        weight = 1 / math.sqrt(len(gave) + 1)
        slots_known = len(gave) + weight
        mean = (sum(gave) + weight * self._guess) / slots_known
        spread = math.sqrt(sum((samples - mean) ** 2 for samples in gave) / slots_known)
        wanted = missing * WAVE_SHARE + WAVE_SAMPLES if self._by_batch else missing

        def likely(slots: int) -> float:
            return max(0.0, slots * mean - MARGIN * spread * math.sqrt(slots))

        if likely(window) + sum(kept.values()) < wanted:  # the usual case of a large run, and cheap to tell
            return window
        waiting, open_slots = 0, 0
        for ahead in range(window):
            if ahead and likely(open_slots) + waiting >= wanted:
                return ahead
            samples = kept.get(next_slot + ahead)
            waiting += samples or 0
            open_slots += samples is None
        return window
