"""Near-duplicates by meaning: cosine similarity of embeddings, every pair, in blocks.

The embedding function is handed in: texts -> float32 array (n, d), rows of length 1. Blocks keep memory flat: a
block's similarities to a stretch of entries are one matrix product of at most 64 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from instructgen.dedup import Neighbour, ranked
from instructgen.dedup.greedy import LOW, ROW_BITS, GreedyIndex, Item, Mask, Numbers, Scores
from instructgen.dedup.rouge_index import checked

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]

_STRETCH = 16_384  # entries per matrix product
_PAIRS = 2048  # compared together: 50 MB for vectors of 1,536 numbers
_ROUNDING = 1e-4  # of a float32 product of two unit vectors of some thousand numbers; decided in float64


class _Embedded(NamedTuple):
    """Texts as vectors."""

    items: list[Item]
    vectors: Vectors


class SemanticIndex(GreedyIndex[_Embedded]):
    """Finds texts whose embedding has a cosine similarity of at least the threshold with a text's.

    Texts without anything but white space are like nothing, and so are those that the encoder gives a zero vector.
    Example: SemanticIndex(embed, 0.9)
    Raises: ValueError for a threshold outside 0 < threshold <= 1, and for vectors with nan or of another shape
    than (n, d).
    """

    block = 1024

    def __init__(self, embed: Embed, threshold: float = 0.9) -> None:
        super().__init__()
        self._embed, self._threshold = embed, float(checked(threshold))
        self._vectors = np.empty((0, 0), np.float32)

    def sees(self, text: str) -> bool:
        """Tell whether the text has anything but white space."""
        return bool(text.strip())

    def closest(self, entry: int, k: int = 1) -> list[Neighbour]:
        """Return the `k` other entries most like an entry, whatever the threshold."""
        vector = self._vectors[entry]
        if len(self._items) < 2 or not vector.any():
            return []
        scores = self._vectors[: len(self._items)] @ vector
        scores[entry] = -np.inf
        best = np.argsort(-scores, kind="stable")[: min(k, len(scores) - 1)]
        return ranked([Neighbour(int(other), float(scores[other])) for other in best], k)

    def _learn(self, texts: Sequence[str]) -> _Embedded:
        filled = [text for text in texts if text.strip()]
        if not filled:
            width = self._vectors.shape[1]
            vectors = np.zeros((len(texts), width), np.float32)
            return _Embedded([vector.copy() for vector in vectors], vectors)
        places = {text: place for place, text in enumerate(dict.fromkeys(filled))}  # a repeated text is asked for once
        given = np.asarray(self._embed(list(places)), np.float32)
        if given.ndim != 2 or len(given) != len(places):
            raise ValueError(f"encoder: expected an array of shape ({len(places)}, d), found {given.shape}")
        if not np.isfinite(given).all():
            raise ValueError("encoder: found nan or infinite numbers among its vectors")
        given = given[[places[text] for text in filled]]
        lengths = np.linalg.norm(given, axis=1, keepdims=True)
        vectors = np.zeros((len(texts), given.shape[1]), np.float32)
        vectors[[bool(text.strip()) for text in texts]] = given / np.where(lengths > 0, lengths, 1)
        return _Embedded([vector.copy() for vector in vectors], vectors)

    def _against(self, batch: _Embedded, start: int, stop: int, most: int | None) -> Numbers | None:
        return self._pairs(batch.vectors[start:stop], self._vectors[: len(self._items)], start, 0, most)

    def _among(self, batch: _Embedded, start: int, fresh: Mask, most: int | None) -> Numbers | None:
        block = batch.vectors[start : start + len(fresh)]
        pairs = self._pairs(block, block * fresh[:, None], start, start, most)
        return None if pairs is None else pairs[(pairs & LOW) < (pairs >> ROW_BITS)]

    def _take(self, batch: _Embedded, rows: Numbers) -> None:
        count, width = len(self._items), batch.vectors.shape[1]
        if self._vectors.shape[1] != width:
            old, self._vectors = self._vectors, np.zeros((max(1024, count), width), np.float32)
            if old.shape[1]:
                raise ValueError(f"encoder: gave vectors of {old.shape[1]} numbers before, now of {width}")
        if count + len(rows) > len(self._vectors):
            grown = np.zeros((2 * (count + len(rows)), width), np.float32)
            grown[:count] = self._vectors[:count]
            self._vectors = grown
        self._vectors[count : count + len(rows)] = batch.vectors[rows]

    def _take_one(self, text: str) -> Item:
        batch = self._learn([text])
        self._take(batch, np.zeros(1, np.int64))
        return batch.items[0]

    def _search(self, text: str, since: int) -> tuple[Item, Numbers]:
        batch = self._learn([text])
        pairs = self._pairs(batch.vectors, self._vectors[since : len(self._items)], 0, since, None)
        return batch.items[0], np.empty(0, np.int64) if pairs is None else pairs

    def _pairs(self, left: Vectors, right: Vectors, row: int, entry: int, most: int | None) -> Numbers | None:
        """Return the pairs of left (numbered from `row`) and right (from `entry`) about at the threshold or above."""
        parts, count = [np.empty(0, np.int64)], 0
        for at in range(0, len(right), _STRETCH):
            if not right.shape[1] or not left.shape[1]:
                continue
            mine, theirs = np.nonzero(left @ right[at : at + _STRETCH].T >= self._threshold - _ROUNDING)
            parts.append(((row + mine) << ROW_BITS) | (entry + at + theirs))
            count += len(mine)
            if most is not None and count > most:
                return None
        return np.sort(np.concatenate(parts))

    def _scored(self, left: list[Item], right: list[Item]) -> tuple[Scores, Mask]:
        scores = np.empty(len(left))
        for at in range(0, len(left), _PAIRS):
            some = slice(at, at + _PAIRS)
            one, other = np.stack(left[some]).astype(np.float64), np.stack(right[some]).astype(np.float64)
            scores[some] = np.minimum(np.einsum("nd,nd->n", one, other), 1.0)
        return scores, scores >= self._threshold - 1e-7  # unit vectors are so long only to float32's precision
