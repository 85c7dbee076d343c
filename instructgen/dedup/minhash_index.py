"""Near-duplicates of long texts: MinHash-LSH proposes pairs, exact Jaccard similarity decides.

A text is the set of its *shingles*: each `words` neighbouring words. MinHash keeps, for each of b x r hash functions,
the least value in the set: two sets agree there with probability J, their Jaccard similarity. Texts that agree in all
r values of one of b bands are proposed, which happens with probability 1 - (1 - J^r)^b. Each proposed pair is then
verified by its exact J, and only with texts that are kept: no chains of pairs that draw a whole family of templated
texts into one. (Broder 1997; Leskovec, Rajaraman, Ullman: "Mining of Massive Datasets", 3.4.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from instructgen.dedup import Neighbour, ranked
from instructgen.dedup.greedy import LOW, ROW_BITS, GreedyIndex, Item, Mask, Numbers, Scores
from instructgen.dedup.rouge_index import checked
from instructgen.dedup.tokens import spaced_words

Hashes = NDArray[np.uint64]

_ROWS_AT_ONCE = 2048  # texts whose shingles are hashed together: 8 MB of temporary arrays per hash function
_RECENT = 1024  # single texts that wait unsorted
_MOST_FUNCTIONS = 512


class _Hashed(NamedTuple):
    """Texts as arrays of shingle hashes (repeats included), and their bands' keys (n, b)."""

    items: list[Item]
    keys: Hashes
    compared: Mask
    """False for texts without words."""


class MinHashIndex(GreedyIndex[_Hashed]):
    """Finds texts whose Jaccard similarity with a text is at least the threshold.

    `miss` is the chance of overlooking a pair that is exactly at the threshold; more similar ones are overlooked less.
    Example: MinHashIndex(0.8).bands -> (16, 3): 48 hash functions
    Raises: ValueError for a threshold outside 0 < threshold <= 1, or one too low for `miss`.
    """

    def __init__(self, threshold: float = 0.8, words: int = 3, miss: float = 1e-4) -> None:
        super().__init__()
        self._threshold = float(checked(threshold))
        self._words = words
        self.bands = choose_bands(self._threshold, miss)
        self._keys = np.empty(0, np.uint64)  # of all sorted entries, ascending; `_entry` beside it
        self._entry = np.empty(0, np.int64)
        self._recent: dict[int, list[int]] = {}
        self._sorted = 0  # entries below this number are in the arrays, the others in `_recent`

    def sees(self, text: str) -> bool:
        """Tell whether the text has any word."""
        return bool(spaced_words(text).split())

    def _learn(self, texts: Sequence[str]) -> _Hashed:
        self._settle()
        return self._hashed(texts)

    def _against(self, batch: _Hashed, start: int, stop: int, most: int | None) -> Numbers | None:
        rows = np.arange(start, stop)[batch.compared[start:stop]]
        return _equal(batch.keys, rows, self._keys, self._entry, most)

    def _among(self, batch: _Hashed, start: int, fresh: Mask, most: int | None) -> Numbers | None:
        rows = np.arange(start, start + len(fresh))
        others = rows[fresh & batch.compared[rows]]
        keys, entry = _flat(batch.keys, others, others)
        pairs = _equal(batch.keys, rows[batch.compared[rows]], keys, entry, most)
        return None if pairs is None else pairs[(pairs & LOW) < (pairs >> ROW_BITS)]

    def _take(self, batch: _Hashed, rows: Numbers) -> None:
        numbers = len(self._items) + np.arange(len(rows))
        seen = batch.compared[rows]
        keys, entry = _flat(batch.keys, rows[seen], numbers[seen])
        at = np.searchsorted(self._keys, keys)
        self._keys, self._entry = np.insert(self._keys, at, keys), np.insert(self._entry, at, entry)
        self._sorted = len(self._items) + len(rows)

    def _settle(self) -> None:
        """Sort the recent entries in."""
        keys = np.array([key for key, entries in self._recent.items() for _ in entries], np.uint64)
        entry = np.array([number for entries in self._recent.values() for number in entries], np.int64)
        order = np.argsort(keys, kind="stable")
        at = np.searchsorted(self._keys, keys[order])
        self._keys = np.insert(self._keys, at, keys[order])
        self._entry = np.insert(self._entry, at, entry[order])
        self._recent, self._sorted = {}, len(self._items)

    def _take_one(self, text: str) -> Item:
        if len(self._items) - self._sorted >= _RECENT:
            self._settle()
        batch = self._hashed([text])
        if batch.compared[0]:
            for key in batch.keys[0].tolist():
                self._recent.setdefault(key, []).append(len(self._items))
        return batch.items[0]

    def closest(self, entry: int, k: int = 1) -> list[Neighbour]:
        """Return the `k` other entries most like an entry among those that a band proposes, whatever the threshold."""
        shingles = self._items[entry]
        if not len(shingles):
            return []
        near = self._proposed(_band_keys(shingles, np.zeros(1, np.int64), *self.bands), 0)
        near = near[near != entry]
        if not len(near):
            return []
        scores, _ = self._scored([shingles] * len(near), [self._items[other] for other in near.tolist()])
        return ranked(list(map(Neighbour, near.tolist(), scores.tolist())), k)

    def _search(self, text: str, since: int) -> tuple[Item, Numbers]:
        batch = self._hashed([text])
        found = self._proposed(batch.keys, since) if batch.compared[0] else np.empty(0, np.int64)
        return batch.items[0], found

    def _proposed(self, keys: Hashes, since: int) -> Numbers:
        """Return the entries >= since that share a band with these keys of one text."""
        recent = {entry for key in keys[0].tolist() for entry in self._recent.get(key, ())}
        entries = np.array(sorted(recent), np.int64)
        if since < self._sorted:
            pairs = _equal(keys, np.zeros(1, np.int64), self._keys, self._entry, None)
            entries = entries if pairs is None else np.concatenate([pairs & LOW, entries])
        return entries

    def _scored(self, left: list[Item], right: list[Item]) -> tuple[Scores, Mask]:
        scores = np.array([_jaccard(one, other) for one, other in zip(left, right, strict=True)])
        return scores, scores >= self._threshold

    def _hashed(self, texts: Sequence[str]) -> _Hashed:
        items: list[Item] = []
        keys = np.zeros((len(texts), self.bands[0]), np.uint64)
        for at in range(0, len(texts), _ROWS_AT_ONCE):
            words, lengths = _words(texts[at : at + _ROWS_AT_ONCE])
            shingles, counts = _shingles(words, lengths, self._words)
            ends = np.cumsum(counts)
            # Copies: a view of one kept row would hold the memory of all rows of its batch.
            items += [part.copy() for part in np.split(shingles, ends[:-1])]
            seen = counts > 0
            if seen.any():
                keys[at : at + len(counts)][seen] = _band_keys(shingles, (ends - counts)[seen], *self.bands)
        return _Hashed(items, keys, np.array([len(item) > 0 for item in items], bool))


def choose_bands(threshold: float, miss: float) -> tuple[int, int]:
    """Return (bands, values per band) with the fewest hash functions that keep to `miss` at the threshold.

    Three values per band at least: with fewer, unlike texts are proposed too often.
    Raises: ValueError when that takes more than 512 functions.
    """
    best: tuple[int, int] | None = None
    for values in range(3, 16):
        agree = threshold**values
        bands = 1 if agree == 1 else math.ceil(math.log(miss) / math.log1p(-agree))
        if bands * values <= _MOST_FUNCTIONS and (best is None or bands * values < best[0] * best[1]):
            best = bands, values
    if best is None:
        raise ValueError(f"threshold: {threshold} is too low for MinHash; use fuzzy or rouge, or allow more misses")
    return best


def _mixed(numbers: Hashes) -> Hashes:
    """Return numbers spread over 64 bits, one to one (the finaliser of splitmix64, Steele et al. 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _constants(count: int) -> Hashes:
    return _mixed(np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)


_POWERS = np.cumprod(np.full(4096, 0x9E3779B97F4A7C15, np.uint64), dtype=np.uint64)  # of places in a word


def _words(texts: Sequence[str]) -> tuple[Hashes, Numbers]:
    """Return the hash of each word of each text, one after another, and how many each text has.

    A word's hash is a sum over its UTF-8 bytes, each with a factor of its own and one of its place in the word.
    """
    rows = [spaced_words(text) for text in texts]
    blob = np.frombuffer(b" ".join([b"", *rows, b""]), np.uint8)
    inside = blob > ord(" ")
    places = np.flatnonzero(inside)
    first = np.flatnonzero(inside[1:] & ~inside[:-1]) + 1
    ends = np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)) + 1)
    lengths = np.diff(np.searchsorted(first, ends), prepend=0)
    if not len(first):
        return np.empty(0, np.uint64), lengths
    sizes = np.flatnonzero(~inside[1:] & inside[:-1]) + 1 - first
    factors = _constants(256)[blob[places]] * _POWERS[(places - np.repeat(first, sizes)) % len(_POWERS)]
    return _mixed(np.add.reduceat(factors, np.cumsum(sizes) - sizes) + sizes.astype(np.uint64)), lengths


def _shingles(words: Hashes, lengths: Numbers, size: int) -> tuple[Hashes, Numbers]:
    """Return the hash of each `size` neighbouring words of each text, one after another, and how many each text has.

    A text with fewer words has one shingle of them all.
    """
    gap = size - 1  # blanks behind each text, so that no shingle reaches into the next
    starts = np.cumsum(lengths) - lengths
    row = np.repeat(np.arange(len(lengths)), lengths)
    spaced = np.zeros(len(words) + gap * len(lengths), np.uint64)
    spaced[np.arange(len(words)) + gap * row] = words
    joined = np.zeros(len(spaced) - gap, np.uint64)
    for place, factor in enumerate(_constants(size)):
        joined += spaced[place : place + len(joined)] * factor
    counts = np.where(lengths > 0, np.maximum(1, lengths - gap), 0)
    inside = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return _mixed(joined[np.repeat(starts + gap * np.arange(len(lengths)), counts) + inside]), counts


def _band_keys(shingles: Hashes, starts: Numbers, bands: int, values: int) -> Hashes:
    """Return the key of each band (n, bands) of n texts whose shingles begin at `starts`."""
    keys = np.empty((len(starts), bands), np.uint64)
    high = shingles >> np.uint64(32)  # a product's low bits depend on low bits alone: these bring in the others
    factors = _constants(bands * values)
    hashed = np.empty_like(shingles)
    for band in range(bands):
        key = np.full(len(starts), band + 1, np.uint64)
        for value in range(values):
            np.multiply(shingles, factors[band * values + value], out=hashed)
            hashed ^= high
            key = _mixed(key + np.minimum.reduceat(hashed, starts))
        keys[:, band] = key
    return keys


def _flat(keys: Hashes, rows: Numbers, numbers: Numbers) -> tuple[Hashes, Numbers]:
    """Return the keys of some rows in order, and beside each the number given for its row."""
    flat = keys[rows].ravel()
    order = np.argsort(flat, kind="stable")
    return flat[order], np.repeat(numbers, keys.shape[1])[order]


def _equal(keys: Hashes, rows: Numbers, known: Hashes, entry: Numbers, most: int | None) -> Numbers | None:
    """Return the pairs (row, entry) that have a key in common, ascending; `None` if there are more than `most`."""
    asked, row = _flat(keys, rows, rows)  # sorted questions walk through memory in order
    first = np.searchsorted(known, asked)
    hit = np.flatnonzero(known[np.minimum(first, len(known) - 1)] == asked) if len(known) else np.empty(0, np.int64)
    counts = np.searchsorted(known, asked[hit], side="right") - first[hit]
    total = int(counts.sum())
    if most is not None and total > most:
        return None
    place = np.arange(total) + np.repeat(first[hit] - (np.cumsum(counts) - counts), counts)
    return np.unique((np.repeat(row[hit], counts) << ROW_BITS) | entry[place])


def _jaccard(left: Hashes, right: Hashes) -> float:
    one, other = set(left.tolist()), set(right.tolist())
    return len(one & other) / len(one | other)
