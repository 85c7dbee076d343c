"""Instruction data that exists already, into samples: tree paths, cleaning, splitting, in that order.

outcomes(samples, Chats(clean=Cleaning(), limit=2048)) -> (number, JSON form of a sample | Rejection)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from instructgen.convert.cleaning import Cleaner, Cleaning
from instructgen.convert.splitting import split
from instructgen.convert.tokens import Counter, estimate
from instructgen.convert.trees import Paths, conversations
from instructgen.records import Rejection, Sample

Made = Sample | Rejection


class Chats(BaseModel):
    """What happens to conversations between reading and writing."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    paths: Paths | None = Field(default=None, description="for trees: which paths, and how good")
    clean: Cleaning | None = Field(default=None, description="for scraped logs: markup, leftovers, broken turns")
    limit: int | None = Field(default=None, ge=16, description="tokens of a chunk; longer chats are split")


def prepare(made: Iterable[Made], options: Chats, count: Counter = estimate) -> Iterator[Made]:
    """Yield what becomes of samples; a rejection among them passes through."""
    if options.paths is not None:
        made = _tree_paths(made, options.paths)
    if options.clean is not None:
        made = _each(made, Cleaner(options.clean).clean)
    for one in made:
        if isinstance(one, Sample) and options.limit is not None:
            yield from split(one, options.limit, count)
        else:
            yield one


def _tree_paths(made: Iterable[Made], options: Paths) -> Iterator[Made]:
    """Yield the conversations of trees; paths of one tree stand side by side."""
    for tree, paths in groupby(made, key=lambda one: one.provenance.source_id if isinstance(one, Sample) else None):
        if tree is None:
            yield from paths
        else:
            yield from conversations((one for one in paths if isinstance(one, Sample)), options)


def _each(made: Iterable[Made], clean: Any) -> Iterator[Made]:
    for one in made:
        yield clean(one) if isinstance(one, Sample) else one


def outcomes(
    made: Iterable[Made], options: Chats, count: Counter = estimate
) -> Iterator[tuple[int, dict[str, Any] | Rejection]]:
    """Yield what `write` takes: a number (that of the source row where it is known) and the sample or rejection."""
    for number, one in enumerate(prepare(made, options, count), 1):
        if isinstance(one, Rejection):
            row = one.evidence.get("row")
            yield row if isinstance(row, int) else number, one
        else:
            source = one.provenance.source_id.partition("_")[0]
            yield int(source) if source.isdecimal() else number, one.as_json()
