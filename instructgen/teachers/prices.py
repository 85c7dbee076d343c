"""What tokens cost: the table of prices, a user's own price, and exact sums in `Decimal`.

    teacher: {kind: openai, model: my-deployment, price: {input: 0.4, cached: 0.1, output: 1.6}}

Money is computed from token counts when somebody asks, never stored: prices change, counts do not.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from instructgen.errors import InstructgenError
from instructgen.records import Record, SlotBound, Usage

TABLE = Path(__file__).parent / "prices.yaml"
MILLION = Decimal(1_000_000)
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$|-\d{8}$")
"""How providers name a model of one day: gpt-4.1-mini-2025-04-14, claude-haiku-4-5-20251001."""

Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class Price(Record):
    """US dollars per million tokens.

    Example: Price(input="0.4", output="1.6").cost(Usage(prompt_tokens=1000, completion_tokens=500)) -> 0.0012
    """

    input: Dollars = Field(description="prompt tokens")
    output: Dollars = Field(description="completion tokens, reasoning included")
    cached: Dollars | None = Field(default=None, description="prompt tokens read from the cache; default: as input")
    written: Dollars | None = Field(
        default=None, description="prompt tokens put into the cache, and, to be safe, every other; default: as input"
    )
    batch: Annotated[Decimal, Field(gt=0, le=1)] = Field(
        default=Decimal(1), description="factor of the Batch API, 0.5 for half price"
    )

    @property
    def fresh(self) -> Decimal:
        """The price at which prompt tokens are counted that did not come from the cache: the highest they may cost."""
        return max(self.input, self.written or self.input)

    def in_batch(self) -> Price:
        """Return the price in batch mode. Cached tokens keep theirs, which some providers do not halve."""
        reduced = {name: getattr(self, name) * self.batch for name in ("input", "output")}
        if self.written is not None:
            reduced["written"] = self.written * self.batch
        if self.cached is not None:
            reduced["cached"] = min(self.cached, reduced["input"])
        return self.model_copy(update=reduced | {"batch": Decimal(1)})

    def cost(self, usage: Usage) -> Decimal:
        """Return the dollars of a usage, exactly."""
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        cached_price = self.fresh if self.cached is None else self.cached
        fresh = usage.prompt_tokens - cached
        return (fresh * self.fresh + cached * cached_price + usage.completion_tokens * self.output) / MILLION

    def bound(self, bound: SlotBound) -> Decimal:
        """Return the most that a bound can cost: nothing from the cache, every output token used."""
        highest = max(self.fresh, self.cached or Decimal(0))
        return (bound.prompt_tokens * highest + bound.completion_tokens * self.output) / MILLION


FREE = Price(input=Decimal(0), output=Decimal(0))


class Listed(NamedTuple):
    """A price of the table, and where it was read."""

    price: Price
    provider: str
    source: str
    read: str
    """Year and month, and day where known."""


def listed(model: str) -> Listed | None:
    """Return the table's price of a model, by its name with or without the date of a snapshot; `None` = unknown."""
    table = _table()
    return table.get(model) or table.get(_DATED.sub("", model))


@cache
def _table() -> dict[str, Listed]:
    import yaml

    from instructgen.files import read_text

    found: dict[str, Listed] = {}
    for provider, group in yaml.safe_load(read_text(TABLE))["providers"].items():
        for model, numbers in group["models"].items():
            if model in found:
                raise InstructgenError(f"{TABLE}: {model} stands twice")
            found[model] = Listed(Price.model_validate(numbers), provider, group["source"], str(group["read"]))
    return found
