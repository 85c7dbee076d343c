"""The budget: what a run has spent, what its open slots may still take, and whether one more fits.

    caps = Budget(usd=5, price=Price(input=0.4, output=1.6))
    caps.fits(caps.spent(usage), open_slots=3, bound=generator.slot_bound())

A slot starts only if the cost of the closed slots, plus the highest price of every open slot, plus its own, stays
within every cap. So calls in flight cannot overshoot, and where the run ends does not depend on timing. All sums are
exact. Requests that were sent and never answered (time-outs, broken connections, kills) are outside the caps.
"""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal
from math import ceil
from typing import NamedTuple

from instructgen.errors import RecipeError
from instructgen.records import SlotBound, Usage
from instructgen.teachers.prices import FREE, Price


class Amount(NamedTuple):
    """Dollars, tokens and requests."""

    usd: Decimal
    tokens: int
    requests: int

    def plus(self, more: Amount) -> Amount:
        """Return the sum of the two."""
        return Amount(self.usd + more.usd, self.tokens + more.tokens, self.requests + more.requests)

    def times(self, share: float) -> Amount:
        """Return a multiple, counts rounded up."""
        return Amount(self.usd * Decimal(share), ceil(self.tokens * share), ceil(self.requests * share))


NOTHING = Amount(Decimal(0), 0, 0)


class Budget:
    """Caps on a run; `None` is no cap.

    `price` is what tokens cost that are bought online, `batch_price` by batch (default: as online). `only_batch` says
    that no open slot can hold an answer bought online, so that the lower price may be reserved.
    Raises: RecipeError for a cap in dollars without a price.
    """

    def __init__(
        self,
        *,
        usd: Decimal | float | None = None,
        tokens: int | None = None,
        requests: int | None = None,
        price: Price | None = None,
        batch_price: Price | None = None,
        only_batch: bool = False,
        model: str = "",
    ) -> None:
        if usd is not None and price is None:
            raise RecipeError(
                f"budget.usd is {usd}, and the price of model {model!r} is not known. Give it in dollars per million "
                "tokens, teacher: {price: {input: 0.4, output: 1.6}} (0 for a server of your own), or cap tokens or "
                "requests instead. These are keys of a recipe; `instructgen init DIR` makes one to edit"
            )
        self.usd = None if usd is None else Decimal(str(usd))
        self.tokens, self.requests = tokens, requests
        self._price = price or FREE
        self._batch_price = batch_price or self._price
        self._reserving = self._batch_price if only_batch else self._price

    def spent(self, usage: Usage, by_batch: Usage | None = None) -> Amount:
        """Return what answered requests have taken; `by_batch` is the part of `usage` that was bought so."""
        if by_batch is None or not by_batch.requests:
            return Amount(self._price.cost(usage), usage.tokens, usage.requests)
        dollars = self._price.cost(usage - by_batch) + self._batch_price.cost(by_batch)
        return Amount(dollars, usage.tokens, usage.requests)

    def reserved(self, bound: SlotBound, slots: int) -> Amount:
        """Return the most that so many slots of this bound may take."""
        tokens = bound.prompt_tokens + bound.completion_tokens
        return Amount(self._reserving.bound(bound) * slots, tokens * slots, bound.requests * slots)

    def fits(self, spent: Amount, open_slots: int, bound: SlotBound) -> bool:
        """Say whether one more slot may start, beside those that are open."""
        return not self._broken(spent, open_slots, bound)

    def room(self, spent: Amount, bound: SlotBound, most: int) -> int:
        """Return how many slots may be open at once, `most` at most.

        Example: Budget(requests=10).room(Amount(Decimal(0), 0, 4), SlotBound(requests=2), 64) -> 3
        """
        return bisect_left(range(most), True, key=lambda slots: not self.fits(spent, slots, bound))

    def explain(self, spent: Amount, open_slots: int, bound: SlotBound) -> str:
        """Say which caps one more slot might break; "" when it fits.

        Example: "budget.usd 5: 4.98 spent, and the next slot may take 0.031"
        """
        return "; ".join(self._broken(spent, open_slots, bound))

    def _broken(self, had: Amount, open_slots: int, bound: SlotBound) -> list[str]:
        more = self.reserved(bound, open_slots + 1)
        slots = "the next slot" if open_slots == 0 else f"{open_slots} open slots and the next one"
        problems = []
        for name in Amount._fields:
            cap = getattr(self, name)
            if cap is not None and getattr(had, name) + getattr(more, name) > cap:
                problems.append(
                    f"budget.{name} {_shown(cap)}: {_shown(getattr(had, name))} spent, and {slots} may take "
                    f"{_shown(getattr(more, name))}"
                )
        return problems


def _shown(amount: Decimal | int) -> str:
    """Dollars with four digits after the point at most, counts with separators."""
    if isinstance(amount, int):
        return f"{amount:,}"
    text = f"{amount:.4f}".rstrip("0").rstrip(".")
    return text or "0"
