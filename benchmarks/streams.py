"""Streams of rows for measurements and heavy tests: real rows, and seeded mutations of them."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

DATA = Path(os.environ.get("INSTRUCTGEN_TEST_DATA", Path(__file__).parent.parent / "../shared/data"))


def alpaca(data: Path = DATA) -> list[dict[str, str]]:
    """Return the 52,002 rows of the original Alpaca file: instruction, input, output."""
    with gzip.open(data / "alpaca_nc/alpaca_data.json.gz") as file:
        rows: list[dict[str, str]] = json.load(file)
    return rows


def mutated(text: str, words: list[str], rng: random.Random) -> str:
    """Return the text with 10-50 % of its words replaced, dropped, doubled or moved, at least one."""
    tokens = text.split()
    for _ in range(max(1, round(rng.uniform(0.1, 0.5) * len(tokens)))):
        if not tokens:
            break
        at = rng.randrange(len(tokens))
        edit = rng.randrange(4)
        if edit == 0:
            tokens[at] = rng.choice(words)
        elif edit == 1:
            del tokens[at]
        elif edit == 2:
            tokens.insert(at, tokens[at])
        else:
            tokens.insert(rng.randrange(len(tokens)), tokens.pop(at))
    return " ".join(tokens)


def with_mutations(texts: list[str], copies: int = 1, seed: int = 7) -> list[str]:
    """Return the texts and `copies` mutations of each, shuffled."""
    rng = random.Random(seed)
    words = sorted({word for text in texts[:5000] for word in text.split()})
    stream = texts + [mutated(text, words, rng) for _ in range(copies) for text in texts]
    rng.shuffle(stream)
    return stream
