"""Is a text taken from a benchmark? Found by its words, in three ways.

whole     All words of a benchmark text stand in the sample's text, in order and side by side.
grams     They share `long` neighbouring words (13: GPT-3's rule), or at least `share` of the benchmark text's runs of
          `short` words (70 % of 8: PaLM's rule).
rouge     Their ROUGE-L F1 reaches a threshold.

Words are compared as hashes, so that an index can be saved and shipped without the benchmark's text: it holds the
hashes of runs of words alone, which tell nothing about a text that one does not have. The last way needs the order of
single words and is not in a saved index.

A run that more than ten texts of a benchmark share is its phrasing ("Choose the correct answer to the following
question") and says nothing; GPT-3's rule leaves those out as well. (Brown et al. 2020, appendix C; Chowdhery et al.
2022, section 8.)
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from instructgen.dedup.rouge_index import RougeIndex
from instructgen.dedup.tokens import words

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that powers of it never vanish modulo 2^64
_PHRASING = 10  # texts that may share a run before it counts as the benchmark's phrasing
_FORMAT = 1


class Match(NamedTuple):
    """A benchmark text found in a text."""

    way: str
    """`whole`, `grams` or `rouge`."""
    benchmark: str
    item: str
    """Which text of the benchmark: row number, then the field's name."""
    score: float
    """Share of the benchmark text that was found, 0..1; F1 for `rouge`."""
    start: int
    """The matching words are start <= n < end of the text's words; all of them for `rouge`."""
    end: int


class _Grams(NamedTuple):
    """Hashes of runs of words, ascending, and the benchmark text that each is from."""

    hashes: Hashes
    text: Numbers


class ContaminationIndex:
    """Benchmark texts, and the search for them.

    Example: index.add("mt_bench", "1.prompt", "Compose an engaging travel blog post about a trip to Hawaii ...")
             index.find("Please compose an engaging travel blog post about a trip to Hawaii ...")
             -> Match("whole", "mt_bench", "1.prompt", 1.0, start=1, end=20)
    Raises: ValueError unless 2 <= short <= long and 0 < share <= 1.
    """

    def __init__(
        self, long: int = 13, short: int = 8, share: float = 0.7, least: int = 6, rouge: float | None = 0.7
    ) -> None:
        if not 2 <= short <= long:
            raise ValueError(f"runs of {short} and {long} words: expected 2 <= short <= long")
        if not 0 < share <= 1:
            raise ValueError(f"share: expected 0 < share <= 1, found {share}")
        self.long, self.short, self.share, self.least = long, short, share, least
        self._rouge = RougeIndex(rouge, tokenizer_name="words") if rouge is not None else None
        self._hash_of: dict[str, int] = {}
        self._texts: list[tuple[str, str]] = []  # benchmark, item
        self._lengths: list[int] = []
        self._new: dict[str, list[tuple[int, Hashes]]] = {"long": [], "short": [], "head": [], "whole": []}
        self._grams: dict[str, _Grams] = {}
        self._short_counts = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Return the number of benchmark texts."""
        return len(self._texts)

    @property
    def benchmarks(self) -> dict[str, int]:
        """Benchmark -> texts of it."""
        counts: dict[str, int] = {}
        for benchmark, _ in self._texts:
            counts[benchmark] = counts.get(benchmark, 0) + 1
        return counts

    @property
    def has_rouge(self) -> bool:
        """True when texts are also compared by ROUGE-L: not so after loading."""
        return self._rouge is not None

    def add(self, benchmark: str, item: str, text: str) -> bool:
        """Take a benchmark text in; False if it has fewer than `least` words, which any text may share."""
        tokens = words(text)
        if len(tokens) < self.least:
            return False
        hashes, number = self._hashes(tokens), len(self._texts)
        self._texts.append((benchmark, item))
        self._lengths.append(len(tokens))
        self._new["long"].append((number, np.unique(_runs(hashes, self.long))))
        self._new["short"].append((number, np.unique(_runs(hashes, self.short))))
        self._new["head"].append((number, _runs(hashes, min(self.least, len(hashes)))[:1]))
        self._new["whole"].append((number, _runs(hashes, len(hashes))))
        if self._rouge is not None:
            self._rouge.add(text)
        self._grams = {}
        return True

    def find(self, text: str) -> Match | None:
        """Return the match that says most: whole before grams before rouge, then the greatest share."""
        tokens = words(text)
        if not tokens or not self._texts:
            return None
        hashes = self._hashes(tokens)
        best = max(self._matches(hashes), key=lambda match: (match.way == "whole", match.score), default=None)
        if best is None and self._rouge is not None:
            for near in self._rouge.nearest(text, 1):
                return self._match("rouge", near.entry, near.score, 0, len(tokens))
        return best

    def dump(self) -> bytes:
        """Return the index as a zip of arrays: hashes of runs of words and the items' names, no text."""
        about = {
            "format": _FORMAT, "long": self.long, "short": self.short, "share": self.share, "least": self.least,
            "texts": self._texts,
        }  # fmt: skip
        arrays = {"about": np.frombuffer(orjson.dumps(about), np.uint8), "lengths": np.array(self._lengths, np.int64)}
        for way in self._new:
            arrays[f"{way}_hashes"], arrays[f"{way}_text"] = self._sorted(way)
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def load(cls, data: bytes) -> ContaminationIndex:
        """Return the index that `dump` wrote. Raises: ValueError for anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                about = orjson.loads(arrays["about"].tobytes())
                index = cls(about["long"], about["short"], about["share"], about["least"], rouge=None)
                index._texts = [(str(benchmark), str(item)) for benchmark, item in about["texts"]]
                index._lengths = arrays["lengths"].tolist()
                for way in index._new:
                    grams = _Grams(arrays[f"{way}_hashes"], arrays[f"{way}_text"])
                    index._grams[way] = grams
                    order = np.argsort(grams.text, kind="stable")
                    bounds = np.searchsorted(grams.text[order], np.arange(len(index._texts) + 1))
                    index._new[way] = [
                        (number, grams.hashes[order][bounds[number] : bounds[number + 1]])
                        for number in range(len(index._texts))
                    ]
        except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"not a saved contamination index ({type(error).__name__})") from error
        return index

    def _hashes(self, tokens: list[str]) -> Hashes:
        known = self._hash_of
        for token in tokens:
            if token not in known:
                known[token] = int.from_bytes(blake2b(token.encode("utf-8", "replace"), digest_size=8).digest(), "big")
        return np.array([known[token] for token in tokens], np.uint64)

    def _sorted(self, way: str) -> _Grams:
        if way not in self._grams:
            parts = self._new[way]
            hashes = np.concatenate([part for _, part in parts]) if parts else np.empty(0, np.uint64)
            text = np.repeat([number for number, _ in parts], [len(part) for _, part in parts]).astype(np.int64)
            order = np.argsort(hashes, kind="stable")
            self._grams[way] = _Grams(hashes[order], text[order])
        return self._grams[way]

    def _found(self, way: str, runs: Hashes) -> tuple[Numbers, Numbers]:
        """Return (place in the text, benchmark text) of each run that is known, phrasing left out."""
        known = self._sorted(way)
        first, after = np.searchsorted(known.hashes, runs), np.searchsorted(known.hashes, runs, side="right")
        counts = after - first
        if way in ("long", "short"):
            counts[counts > _PHRASING] = 0
        place = np.repeat(np.arange(len(runs)), counts)
        inside = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return place, known.text[first[place] + inside]

    def _matches(self, hashes: Hashes) -> Iterator[Match]:
        for number, place in self._wholes(hashes):
            yield self._match("whole", number, 1.0, place, place + self._lengths[number])
        places, texts = self._found("long", _runs(hashes, self.long))
        for number in np.unique(texts).tolist():
            start, end = _first_stretch(places[texts == number], self.long)
            yield self._match("grams", number, (end - start) / self._lengths[number], start, end)
        runs = _runs(hashes, self.short)
        places, texts = self._found("short", runs)
        for number in np.unique(texts).tolist():
            mine = places[texts == number]
            score = len(np.unique(runs[mine])) / len(self._new["short"][number][1])
            if score >= self.share:
                start, end = _first_stretch(mine, self.short)
                yield self._match("grams", number, score, start, end)

    def _match(self, way: str, number: int, score: float, start: int, end: int) -> Match:
        benchmark, item = self._texts[number]
        return Match(way, benchmark, item, score, start, end)

    def _wholes(self, hashes: Hashes) -> Iterator[tuple[int, int]]:
        """Yield (benchmark text, place) of those that stand here as a whole: their first words, then all."""
        places, texts = self._found("head", _runs(hashes, self.least))
        for place, number in zip(places.tolist(), texts.tolist(), strict=True):
            length = self._lengths[number]
            if place + length <= len(hashes):
                whole = _runs(hashes[place : place + length], length)
                if whole[0] == self._new["whole"][number][1][0]:
                    yield number, place


def _runs(hashes: Hashes, size: int) -> Hashes:
    """Return the hash of each run of `size` words."""
    count = len(hashes) - size + 1
    if count < 1:
        return np.empty(0, np.uint64)
    joined = np.zeros(count, np.uint64)
    for place in range(size):
        joined = joined * _BASE + hashes[place : place + count]
    return joined


def _first_stretch(places: Numbers, size: int) -> tuple[int, int]:
    """Return the words covered by the longest stretch of runs that overlap or touch; the first of equals.

    Example: places 4, 5, 6 and size 8 -> (4, 14)
    """
    breaks = np.flatnonzero(np.diff(places) > size)
    starts, ends = places[np.concatenate([[0], breaks + 1])], places[np.concatenate([breaks, [len(places) - 1]])] + size
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])
