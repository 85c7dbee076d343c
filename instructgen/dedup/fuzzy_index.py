r"""Near-duplicates by characters: RapidFuzz's `ratio` (normalised Indel similarity), exact, without all pairs.

ratio = 2 LCS / (m + n) over characters: ROUGE-L's F1 with characters as tokens, so its `bounds` hold. Single
characters are too common for prefixes to help; instead each text has a signature of 256 bits, one for each
(character, how often before) in it, those of frequent characters apart. Texts are looked at in order of length, so
that the length bounds make the partners of a text one range, and a bit count rules out most of that range.

What it costs grows with the square of the number of texts, at about a seventh of RapidFuzz's own `cdist` per pair.
Of a text longer than 10,000 characters the first 10,000 are compared: a pair of megabytes would take seconds.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from instructgen.dedup.bounds import Bounds
from instructgen.dedup.greedy import ROW_BITS, GreedyIndex, Mask, Numbers, Scores
from instructgen.dedup.rouge_index import checked, common
from instructgen.dedup.rows import Text

LONGEST_COMPARED = 10_000
"""Characters of a text that are compared: 1.6 million steps for a pair of this length."""
_WORDS = 4  # 64-bit words in a signature
_STRIP = 64  # texts of similar length that are held against the same range together


def folded(text: str) -> str:
    r"""Return text in one spelling: NFKC, case folded, runs of white space as one space, none at the ends.

    Example: folded("Sort  the\nLIST ") -> "sort the list"
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class _Signed(NamedTuple):
    """Folded texts with their lengths in characters, and signatures (n, 4)."""

    items: list[Text]
    lengths: Numbers
    signatures: NDArray[np.uint64]

    def at(self, rows: Numbers) -> _Signed:
        return _Signed([], self.lengths[rows], self.signatures[rows])


class FuzzyIndex(GreedyIndex[_Signed]):
    """Finds texts whose `ratio` with a text, after `folded`, is at least the threshold (0..1, not percent).

    Example: FuzzyIndex(0.85).filter(["Sort the list.", "Sort this list."]) -> [[], [Neighbour(0, 0.896...)]]
    Raises: ValueError for a threshold outside 0 < threshold <= 1.
    """

    block = 2048

    def __init__(self, threshold: float | Fraction = 0.9) -> None:
        super().__init__()
        self._bounds = Bounds(checked(threshold))
        self._bits: dict[str, int] = {}
        self._lengths = np.empty(1024, np.int64)
        self._signatures = np.empty((1024, _WORDS), np.uint64)

    def sees(self, text: str) -> bool:
        """Tell whether the text has anything but white space."""
        return bool(text.strip())

    def sees_all(self, text: str) -> bool:
        """Tell whether the text has at most 10,000 characters, after `folded`."""
        return len(text) <= LONGEST_COMPARED // 18 or len(folded(text)) <= LONGEST_COMPARED  # NFKC: at most 18 for one

    def _signed(self, texts: Sequence[str]) -> _Signed:
        plain = [folded(text)[:LONGEST_COMPARED] for text in texts]
        packed = np.frombuffer(b"".join(map(self._signature, plain)), np.uint64).reshape(-1, _WORDS)
        return _Signed(list[Text](plain), np.fromiter(map(len, plain), np.int64, len(plain)), packed)

    def _signature(self, text: str) -> bytes:
        joined, bits = 0, self._bits
        for character in set(text):
            first = bits.setdefault(character, len(bits) * 7)  # 7: bits of later occurrences of others come between
            for count in range(text.count(character)):
                joined |= 1 << ((first + count * 31) % (64 * _WORDS))
        return joined.to_bytes(8 * _WORDS, "little")

    def _entries(self) -> _Signed:
        return _Signed(self._items, self._lengths[: len(self._items)], self._signatures[: len(self._items)])

    def _learn(self, texts: Sequence[str]) -> _Signed:
        return self._signed(texts)

    def _against(self, batch: _Signed, start: int, stop: int, most: int | None) -> Numbers | None:
        return self._pairs(batch, np.arange(start, stop), self._entries(), np.arange(len(self._items)), most)

    def _among(self, batch: _Signed, start: int, fresh: Mask, most: int | None) -> Numbers | None:
        rows = np.arange(start, start + len(fresh))
        pairs = self._pairs(batch, rows, batch, rows[fresh], most)
        return None if pairs is None else pairs[(pairs & ((1 << ROW_BITS) - 1)) < (pairs >> ROW_BITS)]

    def _take(self, batch: _Signed, rows: Numbers) -> None:
        count = len(self._items)
        if count + len(rows) > len(self._lengths):
            size = 2 * (count + len(rows))
            self._lengths = np.resize(self._lengths, size)
            self._signatures = np.resize(self._signatures, (size, _WORDS))
        self._lengths[count : count + len(rows)] = batch.lengths[rows]
        self._signatures[count : count + len(rows)] = batch.signatures[rows]

    def _take_one(self, text: str) -> Text:
        batch = self._signed([text])
        self._take(batch, np.zeros(1, np.int64))
        return batch.items[0]

    def _search(self, text: str, since: int) -> tuple[Text, Numbers]:
        batch = self._signed([text])
        entries = np.arange(since, len(self._items))
        pairs = self._pairs(batch, np.zeros(1, np.int64), self._entries(), entries, None)
        return batch.items[0], np.empty(0, np.int64) if pairs is None else pairs

    def _pairs(
        self, batch: _Signed, rows: Numbers, others: _Signed, numbers: Numbers, most: int | None
    ) -> Numbers | None:
        """Return the pairs of rows and others (by number) that length and signature bounds leave, ascending."""
        rows = rows[batch.lengths[rows] > 0]
        rows = rows[np.argsort(batch.lengths[rows], kind="stable")]
        numbers = numbers[np.argsort(others.lengths[numbers], kind="stable")]
        right = others.at(numbers)
        parts, count = [np.empty(0, np.int64)], 0
        for at in range(0, len(rows), _STRIP):
            strip = rows[at : at + _STRIP]
            left = batch.at(strip)
            first = np.searchsorted(right.lengths, self._bounds.shortest(int(left.lengths[0])))
            after = np.searchsorted(right.lengths, self._bounds.longest(int(left.lengths[-1])), side="right")
            window = np.arange(first, after)
            mine, theirs = np.nonzero(self._possible(left, right.at(window)))
            parts.append((strip[mine] << ROW_BITS) | numbers[window[theirs]])
            count += len(mine)
            if most is not None and count > most:
                return None
        return np.sort(np.concatenate(parts))

    def _possible(self, left: _Signed, right: _Signed) -> Mask:
        """Tell for each pair whether the bits that can be in common are enough for the threshold."""
        shared = np.zeros((len(left.lengths), len(right.lengths)), np.int16)
        for word in range(_WORDS):
            shared += np.bitwise_count(left.signatures[:, word, None] & right.signatures[None, :, word])
        m, n = left.lengths[:, None], right.lengths[None, :]
        mine = np.bitwise_count(left.signatures).sum(axis=1, dtype=np.int64)[:, None]
        theirs = np.bitwise_count(right.signatures).sum(axis=1, dtype=np.int64)[None, :]
        needed = self._bounds.overlap(m, n) + np.maximum(mine - m, theirs - n)
        possible: Mask = shared >= np.minimum(needed, np.iinfo(np.int16).max)
        return possible & (n >= self._bounds.shortest(m)) & (n <= self._bounds.longest(m))

    def _scored(self, left: list[Text], right: list[Text]) -> tuple[Scores, Mask]:
        lcs, m, n = common(left, right)
        return 2 * lcs / (m + n), self._bounds.reached(lcs, m, n)
