r"""Token sequences as numbers: what the ROUGE-L index stores of a row.

tokens            a   b   a   c
token numbers     0   1   0   2          one number per distinct token
text             "\x01\x02\x01\x03"      one code point per token, which is what RapidFuzz compares fastest
elements          0   1   3   2          the second "a" is an element of its own
ranks             sorted places of the elements in one fixed order; a large rank is a rare element
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from instructgen.dedup import bounds

Text = str | tuple[int, ...]
"""A row for RapidFuzz: a string, or numbers where the vocabulary is larger than Unicode. It compares either with
either, code point by number."""

_ROW_BITS = 32
_LOW = (1 << _ROW_BITS) - 1
_SURROGATES = 0xD800, 0x800  # the first, and how many: no string for RapidFuzz can be decoded with them


class Row(NamedTuple):
    """One encoded row."""

    text: Text
    ranks: NDArray[np.int64]
    """Of its elements, rarest first."""
    signature: int
    length: int
    """Number of tokens."""


class Rows(NamedTuple):
    """Many encoded rows; row i has ranks[offsets[i]:offsets[i + 1]], rarest first."""

    texts: list[Text]
    ranks: NDArray[np.int64]
    offsets: NDArray[np.int64]
    signatures: NDArray[np.uint64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Rows:
        """Return single rows as many."""
        return cls(
            [row.text for row in rows],
            np.concatenate([row.ranks for row in rows]),
            np.fromiter(accumulate((len(row.ranks) for row in rows), initial=0), np.int64, len(rows) + 1),
            np.array([row.signature for row in rows], np.uint64),
            np.array([row.length for row in rows], np.int64),
        )


class Vocabulary:
    """Gives tokens their numbers and elements their ranks, in the order of being seen; none ever changes."""

    def __init__(self) -> None:
        self._numbers = _Numbers()  # token, or (token number, count so far), -> element
        self._ranks = np.empty(1024, np.int64)  # element -> rank; grows by doubling

    def __len__(self) -> int:
        """Return the number of distinct elements."""
        return len(self._numbers)

    def learn(self, rows: Iterable[list[str]]) -> Rows:
        """Encode rows; elements new in this call are ranked among themselves by how rare they are in it.

        Rows that are made on the way, by a generator, are not held: that takes a third of the time of a list of lists.
        """
        known = len(self._numbers)
        tokens, offsets = self._number(rows)
        elements = self._elements(tokens, offsets)
        self._rank_new(known, elements)
        ranks = _sorted_within(self._ranks[elements], offsets)
        return Rows(_texts(tokens, offsets), ranks, offsets, _signatures(tokens, offsets), np.diff(offsets))

    def learn_one(self, tokens: list[str]) -> Row:
        """Encode one row."""
        return self._encode(tokens, learn=True)

    def tokens(self) -> list[tuple[str, int]]:
        """Return the distinct tokens with their numbers."""
        return [(token, number) for token, number in self._numbers.items() if isinstance(token, str)]

    @staticmethod
    def numbers(text: Text) -> list[int]:
        """Return the token numbers that a row's text stands for."""
        first, count = _SURROGATES
        points = map(ord, text) if isinstance(text, str) else text
        return [point - 1 if point < first else point - 1 - count for point in points]

    def glance(self, tokens: list[str]) -> Row:
        """Encode one row without learning: elements not known yet get passing numbers that no stored row has."""
        return self._encode(tokens, learn=False)

    def _encode(self, tokens: list[str], *, learn: bool) -> Row:
        numbers = self._numbers if learn else _Passing(self._numbers)
        known, rank = len(self._numbers), self._ranks
        sequence, elements, seen = [], [], dict[int, int]()
        for token in tokens:
            number = numbers.setdefault(token, len(numbers))
            count = seen.get(number, 0)
            seen[number] = count + 1
            sequence.append(number)
            elements.append(numbers.setdefault((number, count), len(numbers)) if count else number)
        if learn:
            self._rank_new(known, np.array(elements, np.int64))
            rank = self._ranks
        ranks = [int(rank[element]) if element < known or learn else element for element in elements]
        ranks.sort(reverse=True)
        return Row(_text(sequence), np.array(ranks, np.int64), bounds.signature(sequence), len(sequence))

    def _number(self, rows: Iterable[list[str]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        flat, ends = list[int](), [0]
        number = self._numbers.__getitem__
        for row in rows:
            flat += map(number, row)
            ends.append(len(flat))
        return np.array(flat, np.int64), np.array(ends, np.int64)

    def _elements(self, tokens: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return each row's elements, in no particular order within the row."""
        pairs = np.sort((_row_of(offsets) << _ROW_BITS) | tokens)
        at = np.arange(len(pairs))
        first = np.ones(len(pairs), bool)
        first[1:] = pairs[1:] != pairs[:-1]
        count = at - np.maximum.accumulate(np.where(first, at, 0))  # how often it stood before in its row
        elements = pairs & _LOW
        repeated = np.flatnonzero(count)
        pairs_of_numbers = zip(elements[repeated].tolist(), count[repeated].tolist(), strict=True)
        elements[repeated] = list(map(self._numbers.__getitem__, pairs_of_numbers))
        return elements

    def _rank_new(self, known: int, elements: NDArray[np.int64]) -> None:
        """Rank what was seen first in these rows: after (rarer than) all known; frequent ones before rare ones."""
        size = len(self._numbers)
        if size > len(self._ranks):
            self._ranks = np.resize(self._ranks, max(size, 2 * len(self._ranks)))
        frequency = np.bincount(elements[elements >= known] - known, minlength=size - known)
        self._ranks[known + np.argsort(-frequency, kind="stable")] = np.arange(known, size)


class _Numbers(dict[str | tuple[int, int], int]):
    """Gives the next number to whatever is looked up for the first time."""

    def __missing__(self, key: str | tuple[int, int]) -> int:
        number = self[key] = len(self)
        return number


class _Passing(dict[str | tuple[int, int], int]):
    """A view of a vocabulary that takes new elements without changing it."""

    def __init__(self, known: dict[str | tuple[int, int], int]) -> None:
        super().__init__()
        self._known = known

    def __len__(self) -> int:
        return len(self._known) + super().__len__()

    def setdefault(self, key: str | tuple[int, int], default: int) -> int:
        number = self._known.get(key)
        return super().setdefault(key, default) if number is None else number


def _row_of(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def _sorted_within(ranks: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort each row's ranks, largest first."""
    return _LOW - (np.sort((_row_of(offsets) << _ROW_BITS) | (_LOW - ranks)) & _LOW)


def _signatures(tokens: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    joined = np.zeros(len(offsets) - 1, np.uint64)
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        joined[filled] = np.bitwise_or.reduceat(bounds.bits(tokens), offsets[filled])
    return joined


def _code_points(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers that stand for tokens: from 1, without surrogates."""
    first, count = _SURROGATES
    shifted = tokens + 1
    shifted[shifted >= first] += count
    return shifted


def _texts(tokens: NDArray[np.int64], offsets: NDArray[np.int64]) -> list[Text]:
    points = _code_points(tokens)
    ends = offsets.tolist()
    if not len(points) or int(points.max()) <= sys.maxunicode:
        whole = points.astype("<u4").tobytes().decode("utf-32-le")
        return [whole[start:end] for start, end in pairwise(ends)]
    return [_joined(points[start:end].tolist()) for start, end in pairwise(ends)]


def _text(tokens: list[int]) -> Text:
    first, count = _SURROGATES
    return _joined([number + 1 if number + 1 < first else number + 1 + count for number in tokens])


def _joined(points: list[int]) -> Text:
    return "".join(map(chr, points)) if max(points, default=0) <= sys.maxunicode else tuple(points)
