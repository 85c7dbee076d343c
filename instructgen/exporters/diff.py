"""What differs between two datasets: rows by id, which fields of them, and their statistics side by side.

    difference(old_samples, new_samples).added    # ids that only the new one has

An id is a hash of the content, so a row whose text was edited has another one: such a row is found by its place in
its source (`source`, `source_id`) and counts as changed. Where it was read, a file's name and the number of a row, is
no part of a row: one that stands elsewhere now is unchanged, and counted as moved.
Held in memory: about 200 bytes a row of the old dataset.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from instructgen.exporters.numbering import Numbering
from instructgen.exporters.tally import Statistics, Tally
from instructgen.records import Sample, canonical

SHOWN = 20
"""Ids that a difference names of each kind; all are counted."""
FIELDS = ("turns", "tools", "answers", "labels", "steps", "media", "extra", "provenance")
_ROW = re.compile(r"\d+(?:[./#:-]\d+)*")
"""A `source_id` that only counts rows."""
_DIGEST = 6
"""Bytes of a field's digest: two different values are taken for equal with probability 4e-15."""


class Difference(BaseModel):
    """From an old dataset to a new one."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[int, int]
    """Rows of the old and the new dataset."""
    added: int
    removed: int
    changed: int
    unchanged: int
    moved: int
    """Unchanged rows that were read from another file or row."""
    fields: dict[str, int]
    """Field -> changed rows in which it differs."""
    first: dict[str, tuple[str, ...]]
    """"added", "removed", "changed" -> the first ids."""
    statistics: tuple[Statistics, Statistics]

    @property
    def is_empty(self) -> bool:
        """True when both hold the same rows."""
        return not (self.added or self.removed or self.changed)


class _Known(NamedTuple):
    id: str
    place: str
    fields: bytes


def difference(old: Iterable[Sample], new: Iterable[Sample]) -> Difference:
    """Compare two streams of samples; order plays no part."""
    tallies = Tally(), Tally()
    before: dict[str, _Known] = {}
    for name, sample in _named(old):
        tallies[0].add(sample)
        before[name] = _known(sample, name)
    sizes, unchanged, stand_elsewhere, fields = [len(before), 0], 0, 0, Counter[str]()
    changed, fresh = list[str](), list[_Known]()
    for name, sample in _named(new):
        tallies[1].add(sample)
        sizes[1] += 1
        now = _known(sample, name)
        then = before.pop(now.id, None)
        if then is None:
            fresh.append(now)
        elif then.fields == now.fields:
            unchanged += 1
            stand_elsewhere += then.place != now.place
        else:
            changed.append(now.id)
            fields.update(_differing(then, now))
    added = []
    places = {known.place: known for known in before.values() if known.place}
    for now in fresh:
        moved = places.pop(now.place, None) if now.place else None
        if moved is None:
            added.append(now.id)
            continue
        del before[moved.id]
        changed.append(now.id)
        fields.update(_differing(moved, now))
    return Difference(
        rows=(sizes[0], sizes[1]),
        added=len(added),
        removed=len(before),
        changed=len(changed),
        unchanged=unchanged,
        moved=stand_elsewhere,
        fields=dict(fields.most_common()),
        first={
            "added": tuple(added[:SHOWN]),
            "removed": tuple(list(before)[:SHOWN]),
            "changed": tuple(changed[:SHOWN]),
        },
        statistics=(tallies[0].statistics(), tallies[1].statistics()),
    )


def _named(samples: Iterable[Sample]) -> Iterator[tuple[str, Sample]]:
    """Yield samples with their ids, repeats numbered as exports number them: a file may hold a row twice."""
    numbering = Numbering()
    for sample in samples:
        yield numbering.number([sample.id])[0], sample


def _known(sample: Sample, name: str) -> _Known:
    dumped = sample.model_dump(mode="json", exclude_defaults=True, exclude={"id"})
    place = sample.provenance
    if "provenance" in dumped and _ROW.fullmatch(place.source_id):
        del dumped["provenance"]["source_id"]
        dumped["provenance"].pop("source", None)
        if not dumped["provenance"]:
            del dumped["provenance"]
    digests = [hashlib.blake2b(canonical(dumped.get(name)), digest_size=_DIGEST).digest() for name in FIELDS]
    return _Known(name, f"{place.source}\n{place.source_id}" if place.source_id else "", b"".join(digests))


def _differing(then: _Known, now: _Known) -> list[str]:
    places = range(0, len(FIELDS) * _DIGEST, _DIGEST)
    return [
        name
        for name, at in zip(FIELDS, places, strict=True)
        if then.fields[at : at + _DIGEST] != now.fields[at : at + _DIGEST]
    ]
