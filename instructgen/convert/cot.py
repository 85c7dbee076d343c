r"""Chain of thought: a rationale column put before the answer, and the answer found again behind it.

think("How many?", "12", "3 rows of 4 make 12.", manner(rng))
-> ("How many?\n\nThink step by step, then give the answer.", "3 rows of 4 make 12.\nSo the answer is 12.")
"""

from __future__ import annotations

import re
from random import Random

CUES = (
    "Think step by step, then give the answer.",
    "Explain your reasoning before you answer.",
    "Work it out first, and end with the answer.",
    "Give the reasons, then the answer.",
    "Let us reason about this before we conclude.",
)
CLOSINGS = ("So the answer is {}.", "The answer is {}.", "Therefore: {}", "Answer: {}")
_TERSE = re.compile(
    r"\b(?:only|alone|short|brief|briefly|nothing but|nothing else|just the|one word|single|at once|right away|quickly|"
    r"in your head|no explanation|without|begin|start with|first word)\b|\.\.\.",
    re.IGNORECASE,
)
"""Words of a template that ask for the bare answer, or for a form that reasoning before it would break."""


Manner = tuple[str, str]
"""A cue and a closing: one for a sample and all of its examples."""


def manner(rng: Random) -> Manner:
    """Return how a sample asks for reasons and concludes. Two draws."""
    return CUES[int(rng.random() * len(CUES))], CLOSINGS[int(rng.random() * len(CLOSINGS))]


def think(asked: str, answer: str, rationale: str, how: Manner) -> tuple[str, str]:
    """Return the input with a cue, and a target that reasons and then answers."""
    cue, closing = how
    return f"{asked}\n\n{cue}", f"{rationale.strip()}\n{closing.format(answer)}"


def open_to_reasons(words: str) -> bool:
    """Tell whether a template's own words leave room for reasoning before the answer.

    Example: "What does the writer feel?" -> True; "Answer with the class alone." -> False
    """
    return _TERSE.search(words) is None
