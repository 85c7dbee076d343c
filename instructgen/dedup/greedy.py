"""Judging rows in order against those kept before: what all indexes that compare pairs have in common.

A row is kept unless an entry is like it; a kept row is an entry for the rows after it. One row at a time that is
`nearest`, then `add`. Many rows are judged in blocks with the same outcome: first against the entries, then among
themselves, oldest first. Blocks grow with the index; one that is so repetitive that its pairs would not fit into
memory is halved.

An index says which pairs are worth a look (`_against`, `_among`, `_search`) and how alike they are (`_scored`). It
must not overlook a pair that reaches the threshold, unless its docstring says how often it does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from instructgen.dedup import Neighbour, ranked

Numbers = NDArray[np.int64]
Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]

Item = Any
"""What an index scores: a string for RapidFuzz, an array of numbers, ..."""

ROW_BITS = 32
LOW = (1 << ROW_BITS) - 1
"""A pair of rows is one number: row << ROW_BITS | other."""

_BLOCK, _SHARE = 256, 4  # a block has 256 rows, or a quarter of the index if that is more
_TOO_MANY = 1_000_000  # pairs of one block; beyond it, halving is faster than finishing
_SMALL = 16  # rows; a block of so few is finished whatever it costs


class Batch(Protocol):
    """Encoded rows that wait to be judged."""

    @property
    def items(self) -> list[Item]:
        """What is scored of each row."""
        ...


B = TypeVar("B", bound=Batch)


class GreedyIndex(ABC, Generic[B]):
    """Entries in the order of their adding, and the search for those that are like a text."""

    block: int | None = None
    """Rows per block; `None` = growing with the index."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    @abstractmethod
    def _learn(self, texts: Sequence[str]) -> B:
        """Encode texts, some of which will be entries."""

    @abstractmethod
    def _against(self, batch: B, start: int, stop: int, most: int | None) -> Numbers | None:
        """Return pairs (row, entry) for rows start <= n < stop, ascending; `None` if there are more than `most`."""

    @abstractmethod
    def _among(self, batch: B, start: int, fresh: Mask, most: int | None) -> Numbers | None:
        """Return pairs (row, earlier row) within the block that begins at `start`; only `fresh` rows are others."""

    @abstractmethod
    def _take(self, batch: B, rows: Numbers) -> None:
        """Put these rows, which are the next entries, into the search structure."""

    @abstractmethod
    def _take_one(self, text: str) -> Item:
        """Put a text, the next entry, into the search structure; return what is scored of it."""

    @abstractmethod
    def _search(self, text: str, since: int) -> tuple[Item, Numbers]:
        """Return what is scored of a text, and the entries >= since that are worth a look."""

    @abstractmethod
    def _scored(self, left: list[Item], right: list[Item]) -> tuple[Scores, Mask]:
        """Return each pair's score, and whether it reaches the threshold."""

    def _decided(self, left: list[Item], right: list[Item]) -> tuple[Scores, Mask]:
        """Return the same where only pairs that reach the threshold count: others may be left out, with any score."""
        return self._scored(left, right)

    @abstractmethod
    def sees(self, text: str) -> bool:
        """Tell whether there is anything in the text that this index can compare."""

    def sees_all(self, text: str) -> bool:
        """Tell whether the text is compared as a whole, not by its first part alone."""
        return True

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._items)

    def add(self, text: str) -> int:
        """Take a text in, whatever it is like; return its number."""
        self._items.append(self._take_one(text))
        return len(self._items) - 1

    def add_all(self, texts: Sequence[str]) -> None:
        """Take in texts that are known to stay, such as a dataset that new rows are held against."""
        batch = self._learn(texts)
        self._take(batch, np.arange(len(texts)))
        self._items += batch.items

    def nearest(self, text: str, k: int = 1, since: int = 0, until: int | None = None) -> list[Neighbour]:
        """Return up to `k` entries since <= n < until that reach the threshold; best first, then in order of age."""
        until = len(self._items) if until is None else min(until, len(self._items))
        if since >= until:
            return []
        mine, entries = self._search(text, since)
        entries = entries[(entries >= since) & (entries < until)]
        if not len(entries):
            return []
        others = [self._items[entry] for entry in entries.tolist()]
        scores, hit = self._decided([mine] * len(others), others)
        return ranked(list(map(Neighbour, entries[hit].tolist(), scores[hit].tolist())), k)

    def closest(self, entry: int, k: int = 1) -> list[Neighbour]:
        """Return the `k` other entries most like an entry, whatever the threshold. Compares with every one."""
        others = [other for other in range(len(self._items)) if other != entry]
        if not others or not len(self._items[entry]):
            return []
        scores, _ = self._scored([self._items[entry]] * len(others), [self._items[other] for other in others])
        return ranked([Neighbour(others[at], float(scores[at])) for at in np.argsort(-scores, kind="stable")[:k]], k)

    def filter(self, texts: Sequence[str], k: int = 1) -> list[list[Neighbour]]:
        """Judge texts in order: one with neighbours is a duplicate, any other is added before the next is judged.

        The same as `nearest` and `add` in turn, and much faster for many texts.
        """
        batch = self._learn(texts)
        found: list[list[Neighbour]] = [[] for _ in texts]
        start = 0
        while start < len(texts):
            size = self.block or max(_BLOCK, len(self._items) // _SHARE)
            start = self._filter_block(batch, start, min(len(texts), start + size), found, k)
        return found

    def together(self, texts: Sequence[str]) -> Together[B]:
        """Hold texts against the entries and against one another at once, to be asked for and added in order."""
        batch = self._learn(texts)
        old = self._hits(batch, 0, len(texts))
        fresh = np.ones(len(texts), bool)
        fresh[old.row] = False
        among = self._among(batch, 0, fresh, None)
        none = np.empty(0, np.int64)
        return Together(self, batch, old, self._verified(none if among is None else among, batch.items, batch.items))

    def _hits(self, batch: B, start: int, stop: int) -> _Pairs:
        """Return the pairs (row, entry) that reach the threshold, for rows start <= n < stop."""
        pairs = self._against(batch, start, stop, _TOO_MANY if stop - start > _SMALL else None)
        if pairs is not None:
            return self._verified(pairs, batch.items, self._items)
        half = (start + stop) // 2
        parts = self._hits(batch, start, half), self._hits(batch, half, stop)
        return _Pairs(*(np.concatenate(both) for both in zip(*parts, strict=True)))

    def _filter_block(self, batch: B, start: int, stop: int, found: list[list[Neighbour]], k: int) -> int:
        """Judge rows start <= n < stop, or fewer; add those that stay; return where the next block starts."""
        most = _TOO_MANY if stop - start > _SMALL else None
        before = self._against(batch, start, stop, most)
        if before is None:
            return self._filter_block(batch, start, (start + stop) // 2, found, k)
        old = self._verified(before, batch.items, self._items)
        fresh = np.ones(stop - start, bool)
        fresh[old.row - start] = False
        among = self._among(batch, start, fresh, most)
        if among is None:
            return self._filter_block(batch, start, (start + stop) // 2, found, k)
        new = self._verified(among, batch.items, batch.items)
        for row, other in zip((new.row - start).tolist(), (new.other - start).tolist(), strict=True):
            if fresh[other]:  # rows ascend, so the earlier one's fate is settled
                fresh[row] = False
        entries = len(self._items) + np.cumsum(fresh) - 1
        stays = fresh[new.other - start]
        _note(old, found)
        _note(_Pairs(new.row[stays], entries[new.other[stays] - start], new.score[stays]), found)
        for row in np.flatnonzero(~fresh).tolist():
            found[start + row] = ranked(found[start + row], k)
        self.take_rows(batch, (start + np.flatnonzero(fresh)).tolist())
        return stop

    def take_rows(self, batch: B, rows: list[int]) -> None:
        """Make these rows of a batch the next entries; called with those of the block last compared."""
        self._take(batch, np.array(rows, np.int64))
        self._items += [batch.items[row] for row in rows]

    def _verified(self, pairs: Numbers, items: list[Item], others: list[Item]) -> _Pairs:
        row, other = pairs >> ROW_BITS, pairs & LOW
        parts = [_Pairs(row[:0], other[:0], np.empty(0))]
        for at in range(0, len(row), _TOO_MANY):
            mine, theirs = row[at : at + _TOO_MANY], other[at : at + _TOO_MANY]
            scores, hit = self._decided([items[i] for i in mine.tolist()], [others[i] for i in theirs.tolist()])
            parts.append(_Pairs(mine[hit], theirs[hit], scores[hit]))
        return parts[-1] if len(parts) <= 2 else _Pairs(*map(np.concatenate, zip(*parts, strict=True)))


class _Pairs(NamedTuple):
    """Pairs (row, other) that reach the threshold, rows ascending."""

    row: Numbers
    other: Numbers
    score: Scores

    def of(self, row: int) -> Iterator[tuple[Any, Any, Any]]:
        """Return the pairs of one row."""
        first, after = np.searchsorted(self.row, [row, row + 1])
        return zip(self.row[first:after], self.other[first:after], self.score[first:after], strict=True)


class Together(Generic[B]):
    """Texts on their way into an index, encoded and compared once; what is asked of each is whether it is a duplicate
    of the entries and of those texts before it that were added.

    The same as `nearest` and `add` in turn, for a caller who decides in between. Use no other call of the index before
    `close`.
    """

    def __init__(self, index: GreedyIndex[B], batch: B, old: _Pairs, among: _Pairs) -> None:
        self._index, self._batch, self._old, self._among = index, batch, old, among
        self._first = len(index)
        self._added: dict[int, int] = {}  # row -> entry

    @property
    def rejected(self) -> set[int]:
        """Rows that are like an entry from before: duplicates, whatever is added."""
        return set(self._old.row.tolist())

    def nearest(self, row: int, k: int) -> list[Neighbour]:
        """Return up to `k` neighbours of a row among the entries and the rows added so far."""
        near = [Neighbour(int(entry), float(score)) for _, entry, score in self._old.of(row)]
        near += [
            Neighbour(self._added[int(other)], float(score))
            for _, other, score in self._among.of(row)
            if int(other) in self._added
        ]
        return ranked(near, k)

    def add(self, row: int) -> None:
        """Make a row, later than those added before, the next entry."""
        self._added[row] = self._first + len(self._added)

    def close(self) -> None:
        """Put the added rows into the index."""
        self._index.take_rows(self._batch, list(self._added))


def _note(pairs: _Pairs, found: list[list[Neighbour]]) -> None:
    for row, entry, score in zip(pairs.row.tolist(), pairs.other.tolist(), pairs.score.tolist(), strict=True):
        found[row].append(Neighbour(entry, score))
