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
_CHUNK = 1 << 17  # postings looked at together: 5 MB of temporary arrays


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
    first = np.searchsorted(index.key, query.key - m + bounds.shortest(m))
    counts = np.searchsorted(index.key, query.key - m + query.reach, side="right") - first
    asked = np.flatnonzero(counts > 0)
    query, first, counts = query.where(asked), first.take(asked), counts.take(asked)
    ends = np.concatenate([[0], np.cumsum(counts)])
    parts, found, start = [np.empty(0, np.int64)], 0, 0
    while start < len(asked):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + _CHUNK, side="right")) - 1)
        within = slice(start, stop)
        parts.append(_possible(index, query.where(within), first[within], counts[within], bounds, earlier=earlier))
        found += len(parts[-1])
        if most is not None and found > most:
            return None
        start = stop
    return np.unique(np.concatenate(parts))


def _possible(
    index: Postings, query: Postings, first: Numbers, counts: Numbers, bounds: Bounds, *, earlier: bool
) -> Numbers:
    """Return the possible pairs of each posting of the query with those of the index from `first`, `counts` many.

    The cheapest questions come first, since each has fewer left to ask about. (`take` at the places of what is true
    takes a fifth of the time of a mask.)
    """
    m = query.key & LONGEST
    posting = np.arange(int(counts.sum())) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    left = np.flatnonzero(index.reach.take(posting) >= np.repeat(m.astype(np.int32), counts))
    posting, asked = posting.take(left), np.repeat(np.arange(len(m)), counts).take(left)
    mine, theirs, n = query.signature.take(asked), index.signature.take(posting), index.key.take(posting) & LONGEST
    left = np.flatnonzero(np.bitwise_count(mine ^ theirs) <= bounds.spare(m).take(asked) + bounds.spare(n))
    posting, asked = posting.take(left), asked.take(left)
    row, other = query.row.take(asked).astype(np.int64), index.row.take(posting)
    possible = bounds.signatures_allow(m.take(asked), n.take(left), mine.take(left), theirs.take(left))
    if earlier:
        possible &= other < row
    pairs: Numbers = (row << ROW_BITS) | other
    return pairs[possible]


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
