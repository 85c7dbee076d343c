"""Prefixes of rows as sorted arrays, and the search that the bounds allow on them.

    element      7    7    7    9    9   ...      rank of a shared element; postings are sorted by it,
    length      10   12   31    8   11            then by the length of the row that holds it

A row of 10 tokens with element 7 in its prefix finds its candidates of lengths 6..18 as one range: the first two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from instructgen.dedup.bounds import LENGTH_BITS, LONGEST, Bounds
from instructgen.dedup.greedy import ROW_BITS, Numbers
from instructgen.dedup.rows import Row, Rows

Signatures = NDArray[np.uint64]


_TAIL = 1024  # rows that wait unsorted: looking through them takes as long as one search of the sorted ones
_CHUNK = 1 << 18  # postings looked at together: 10 MB of temporary arrays


class Postings(NamedTuple):
    """Elements in the prefixes of rows, as parallel arrays."""

    key: Numbers
    """rank << LENGTH_BITS | length of the row."""
    row: NDArray[np.int32]
    reach: NDArray[np.int32]
    """Greatest length of a partner whose first shared element is this one."""
    signature: Signatures

    def where(self, chosen: NDArray[np.bool_] | Numbers | slice) -> Postings:
        """Return the chosen ones."""
        return Postings(self.key[chosen], self.row[chosen], self.reach[chosen], self.signature[chosen])

    def of_rows(self, start: int, stop: int) -> Postings:
        """Return those of rows start <= n < stop, while still in order of rows."""
        first, last = np.searchsorted(self.row, [start, stop])
        return self.where(slice(int(first), int(last)))

    def by_element(self) -> Postings:
        """Return them in order of elements, then of lengths: as an index holds them."""
        return self.where(np.argsort(self.key, kind="stable"))

    def merged(self, new: Postings) -> Postings:
        """Return both together; both are in order of elements."""
        at = np.searchsorted(self.key, new.key)
        return Postings(
            np.insert(self.key, at, new.key),
            np.insert(self.row, at, new.row),
            np.insert(self.reach, at, new.reach),
            np.insert(self.signature, at, new.signature),
        )


NO_POSTINGS = Postings(
    np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint64)
)  # fmt: skip


def prefixes(rows: Rows, bounds: Bounds, first: int) -> Postings:
    """Return the prefixes of rows, in order of rows, which are numbered from `first`."""
    row = np.repeat(np.arange(len(rows.texts)), np.diff(rows.offsets))
    m = rows.lengths[row]
    reach = bounds.reach(m, np.arange(len(row)) - rows.offsets[row])
    prefix = np.flatnonzero(reach >= bounds.shortest(m))
    row, m = row[prefix], m[prefix]
    key = (rows.ranks[prefix] << LENGTH_BITS) | m
    return Postings(
        key, (row + first).astype(np.int32), np.minimum(reach[prefix], LONGEST).astype(np.int32), rows.signatures[row]
    )


def candidates(
    index: Postings, query: Postings, bounds: Bounds, most: int | None = None, *, earlier: bool = False
) -> Numbers | None:
    """Return the pairs row << 32 | other, ascending, that the bounds leave of index and query.

    `earlier` asks for pairs with other < row only. Returns `None` as soon as there are more than `most`.
    """
    m = query.key & LONGEST
    element = query.key - m
    first = np.searchsorted(index.key, element | bounds.shortest(m))
    after = np.searchsorted(index.key, element | query.reach, side="right")
    ends = np.concatenate([[0], np.cumsum(np.maximum(after - first, 0))])
    parts, count, start = [], 0, 0
    while start < len(m):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + _CHUNK, side="right")) - 1)
        asked = np.repeat(np.arange(start, stop), np.diff(ends[start : stop + 1]))
        posting = np.arange(ends[start], ends[stop]) + (first - ends[:-1])[asked]
        near = np.flatnonzero(index.reach[posting] >= m[asked])
        asked, posting = asked[near], posting[near]
        n = index.key[posting] & LONGEST
        possible = bounds.signatures_allow(m[asked], n, query.signature[asked], index.signature[posting])
        row, other = query.row[asked], index.row[posting]
        if earlier:
            possible &= other < row
        parts.append((row[possible].astype(np.int64) << ROW_BITS) | other[possible])
        count += len(parts[-1])
        if most is not None and count > most:
            return None
        start = stop
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


class Tail:
    """The newest rows, unsorted."""

    def __init__(self, start: int) -> None:
        self.start = start  # number of its first row
        self.rows: list[Row] = []
        self._lengths = np.empty(_TAIL, np.int64)
        self._signatures = np.empty(_TAIL, np.uint64)

    @property
    def full(self) -> bool:
        """True when it is time to sort them in."""
        return len(self.rows) == _TAIL

    def add(self, row: Row) -> None:
        """Take in the next row."""
        self._lengths[len(self.rows)] = row.length
        self._signatures[len(self.rows)] = row.signature
        self.rows.append(row)

    def candidates(self, row: Row, bounds: Bounds) -> Numbers:
        """Return the numbers of the rows that length and signature bounds leave."""
        n = self._lengths[: len(self.rows)]
        m = np.full_like(n, row.length)
        likely = np.flatnonzero((n >= bounds.shortest(m)) & (n <= bounds.longest(m)))
        m, n, theirs = m[likely], n[likely], self._signatures[likely]
        mine = np.full_like(theirs, row.signature)
        return self.start + likely[bounds.signatures_allow(m, n, mine, theirs)]
