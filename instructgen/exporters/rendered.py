"""What batches of samples add to an export: rows by config and split, and counts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from instructgen.exporters.checks import Checks
from instructgen.exporters.openai_rules import OpenAIRules
from instructgen.exporters.tally import Tally, put
from instructgen.formats import Format, Row
from instructgen.formats.openai import OpenAI
from instructgen.formats.preference import OpenAIPreference
from instructgen.records import Sample

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from typing_extensions import Buffer


@dataclass
class Counts:
    """What is counted of samples; of a batch, then of all."""

    tally: Tally
    checks: Checks
    rules: dict[str, OpenAIRules] = field(default_factory=dict)
    """File -> what its lines break of OpenAI's rules."""
    left_out: dict[str, Counter[str]] = field(default_factory=dict)
    """Config -> reason -> samples that it cannot hold."""
    first_left_out: dict[str, str] = field(default_factory=dict)
    """Config -> the first of them, for people."""
    examples: dict[str, str] = field(default_factory=dict)
    """Config -> its first row as the card shows it."""
    languages: set[str] = field(default_factory=set)
    unshown: dict[str, Counter[str]] = field(default_factory=dict)
    """Config -> what its own columns do not show (`formats.unshown`) -> samples."""
    seen: int = 0
    """Samples of the input."""
    samples: int = 0
    """Those of them that at least one config holds."""

    def add(self, later: Counts) -> None:
        """Add the counts of the batch behind."""
        self.tally.include(later.tally)
        self.checks.include(later.checks, self.seen)
        for file, rules in later.rules.items():
            self.rules.setdefault(file, OpenAIRules(file)).include(rules)
        for config, reasons in later.left_out.items():
            self.left_out.setdefault(config, Counter()).update(reasons)
        self.first_left_out = later.first_left_out | self.first_left_out
        self.examples |= {config: row for config, row in later.examples.items() if config not in self.examples}
        for config, names in later.unshown.items():
            for name, times in names.items():
                put(self.unshown.setdefault(config, Counter()), name, times)
        self.languages |= later.languages
        self.seen += later.seen
        self.samples += later.samples

    def hide(self, config: str, name: str, times: int = 1) -> None:
        """Count samples of a batch with something that the columns of a config do not show."""
        self.unshown.setdefault(config, Counter())[name] += times

    def look(self, shape: Format, split: str, row: Row) -> None:
        """Take a row that is written."""
        if isinstance(shape, OpenAI | OpenAIPreference):
            file = f"jsonl/{shape.name}-{split}.jsonl"
            self.rules.setdefault(file, OpenAIRules(file)).look(row)
        if shape.name not in self.examples:
            self.examples[shape.name] = shown(row)


@dataclass
class Part:
    """The rows of a batch in one split of one config."""

    places: np.ndarray
    """Of their samples in the batch."""
    lines: Buffer
    """Of JSON, each with its newline."""
    columns: dict[str, pa.Array]
    """All but the id."""
    sizes: np.ndarray
    """Bytes of each row as JSON, without its id."""


@dataclass
class Rendered:
    """What a batch adds."""

    ids: pa.Array
    """As the samples have them, repeats not numbered."""
    bits: np.ndarray
    """64 bits of each id (`numbering.bits_of`)."""
    counts: Counts
    parts: dict[tuple[str, str], Part] = field(default_factory=dict)
    """(config, split) -> rows, for shapes whose samples stand alone."""
    groups: dict[str, list[tuple[int, Sample, str]]] = field(default_factory=dict)
    """Config -> (place, sample, split), for shapes that join samples."""


def shown(row: Row) -> str:
    """Return a row as the card shows it: at most 1,200 characters, no comment mark that could end our block."""
    text = json.dumps(row, ensure_ascii=False, indent=2).replace("<!--", "<\\u0021--")
    return text if len(text) <= 1200 else f"{text[:1200]} ..."
