"""What one rendering may use: steps and sizes, counted where Jinja works, so that no template can hang or fill memory.

    meter = Meter({"text": "hello"})
    meter.weigh([["a", "b"], "c"])      # one step a part, one more for each 100 characters
    metered(meter_now, str.upper)       # the filter, with its arguments weighed before and its result measured

Time is not measured: a limit in seconds would make the result depend on the machine. What Python does in one call is
bounded by the size of what it is given, and that is what is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sized
from functools import cached_property, wraps
from html import unescape
from typing import Any

from jinja2.exceptions import SecurityError

STEPS = 100_000
"""Loop rounds, calls and parts of arguments that one rendering may take, plus 10 for each character of its row."""
OUTPUT = 1_000_000
"""Characters that one rendering, or one value within it, may reach, plus 4 for each character of its row."""
_BLOCK = 1000
_FORMAT = re.compile(r"%(?:\([^)]{0,100}\))?[-+ #0]*(\*|\d+)?(?:\.(\*|\d+))?")


class Meter:
    """What one rendering has used. Limits grow with the row, so that large data is not a runaway template."""

    def __init__(self, row: Mapping[str, Any], rows: int = 1) -> None:
        self.row, self.rows, self.steps = row, rows, 0

    @cached_property
    def weight(self) -> int:
        """Characters of the row."""
        return _weight(self.row)

    def step(self, count: int = 1) -> None:
        """Count steps. Raises: SecurityError when they are too many."""
        self.steps += count
        if self.steps > STEPS * self.rows and self.steps > STEPS * self.rows + 10 * self.weight:
            raise SecurityError(f"it takes more than {STEPS:,} steps: a loop too long, or work on too much within it")

    def size(self, length: int) -> None:
        """Check a length. Raises: SecurityError when it is too large."""
        if length > OUTPUT * self.rows and length > OUTPUT * self.rows + 4 * self.weight:
            raise SecurityError(f"it makes a text or list of more than {OUTPUT:,} characters or items")

    def weigh(self, *values: Any) -> int:
        """Count the parts of values, however deep, as steps; return about how many characters they print as.

        A list that holds itself many times over is walked as often as printing or comparing it would walk it.
        """
        left, steps, length = list(values), 0, 0
        while left:
            value = left.pop()
            steps += 1
            length += 4
            if isinstance(value, str):
                steps += len(value) // 100
                length += len(value)
            elif isinstance(value, list | tuple | set | frozenset):
                left.extend(value)
            elif isinstance(value, dict):
                left.extend(value.values())
                steps += len(value)
                length += sum(len(key) for key in value if isinstance(key, str))
            elif isinstance(value, range):
                steps += len(value)
                length += 8 * len(value)
            if steps >= _BLOCK:
                self.step(steps)
                self.size(length)
                steps = 0
        self.step(steps)
        self.size(length)
        return length

    def counted(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield what a lazy filter yields, each a step."""
        for item in items:
            self.step()
            yield item


def _weight(value: object) -> int:
    """Return the characters of all strings within a value, and 1 for each other part."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return 1 + sum(_weight(part) for part in value.values())
    if isinstance(value, list | tuple):
        return 1 + sum(_weight(part) for part in value)
    return 1


def metered(now: Callable[[], Meter], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter or test whose arguments are weighed and whose result is measured. `now` gives the meter."""

    @wraps(function)  # keeps Jinja's marks for what wants the context or the environment first
    def run(*values: Any, **named: Any) -> Any:
        meter = now()
        meter.weigh(*(value for value in (*values, *named.values()) if not isinstance(value, Iterator)))
        result = function(*(_lazy(meter, value) for value in values), **named)
        if isinstance(result, str | list | tuple):
            meter.size(len(result))
            meter.step(len(result) // 100 if isinstance(result, str) else len(result))
        return _lazy(meter, result)

    return run


def _lazy(meter: Meter, value: Any) -> Any:
    return meter.counted(value) if isinstance(value, Iterator) and not isinstance(value, Sized) else value


def formatted(meter: Meter, text: str, values: Any) -> str:
    """Return `text % values`, unless its widths or the repeats of its values make it too large."""
    specs = _FORMAT.findall(text)
    if any("*" in pair for pair in specs):
        raise SecurityError("it formats with a width that is itself a value")
    if any(len(digits) > 6 for pair in specs for digits in pair):
        raise SecurityError("it formats with a width of more than 6 digits")
    widths = sum(int(digits) for pair in specs for digits in pair if digits)
    length = meter.weigh(values)
    meter.size(len(text) + widths + len(specs) * length)
    meter.step((len(text) + widths + len(specs) * length) // 100)
    return str(text % values)


def without_tags(text: str) -> str:
    """Return a text without markup, entities resolved, white space made single; in time linear in its length."""
    text = _without(_without(text, "<!--", "-->"), "<", ">")
    return unescape(" ".join(text.split()))


def _without(text: str, start: str, end: str) -> str:
    kept, at = [], 0
    while (begin := text.find(start, at)) != -1 and (stop := text.find(end, begin)) != -1:
        kept.append(text[at:begin])
        at = stop + len(end)
    return "".join([*kept, text[at:]])
