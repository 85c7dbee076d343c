"""Is a text taken from a benchmark? Found by its words, in three ways.

whole     All words of a benchmark text stand in the sample's text, in order and side by side.
grams     They share `long` neighbouring words (13: GPT-3's rule), or at least `share` of the benchmark text's runs of
          `short` words (70 % of 8: PaLM's rule).
rouge     Their ROUGE-L F1 reaches a threshold.

Words are compared as hashes, so that an index can be saved and shipped without the benchmark's text: it holds the
hashes of runs of words alone, which tell nothing about a text that one does not have. The last way needs the order of
single words and is not in a saved index.

A run that more than ten different texts share is phrasing ("Choose the correct answer to the following question") and
says nothing by itself; GPT-3's rule leaves those out as well. A text that stands in many rows of a benchmark, such as
the passage that its questions are about, counts once. In many different texts a passage may be part of each prompt:
so a stretch of 50 words or more is evidence however many share it, the length from which verbatim repeats are cut out
of training data. (Brown et al. 2020, appendix C; Chowdhery et al. 2022, section 8; Lee et al. 2022, "Deduplicating
training data makes language models better", section 4.)
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
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
_WORD = (1 << 64) - 1
_PHRASING = 10  # different texts that may share a run before it counts as phrasing
_PASSAGE = 50  # words in a row that are no phrasing
_CACHED = 1_000_000  # hashes of words held at a time: 100 MB
_FORMAT = 2


class Match(NamedTuple):
    """A benchmark text found in a text."""

    way: str
    """`whole`, `grams` or `rouge`."""
    benchmark: str
    item: str
    """Which text of the benchmark: row number, then the field's name; of equal texts the first."""
    score: float
    """Share of the benchmark text that was found, 0..1; F1 for `rouge`."""
    start: int
    """The matching words are start <= n < end of the text's words; all of them for `rouge`."""
    end: int


class _Grams(NamedTuple):
    """Hashes of runs of words, ascending, and the benchmark text that each is from."""

    hashes: Hashes
    text: Numbers


_DAMAGE = (
    KeyError, IndexError, AttributeError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error,
    struct.error, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What reading a cut or altered .npz raises, by where it is hurt; the last two for methods that zip files never use."""


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
        self._known: dict[int, int] = {}  # hash of a whole text -> its number
        self._counts: dict[str, int] = {}
        self._new: dict[str, list[tuple[int, Hashes]]] = {"long": [], "short": [], "head": [], "whole": []}
        self._grams: dict[str, _Grams] = {}
        self._short_counts = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Return the number of different benchmark texts."""
        return len(self._texts)

    @property
    def benchmarks(self) -> dict[str, int]:
        """Benchmark -> texts of it that were taken in, equal ones included."""
        return dict(self._counts)

    @property
    def options(self) -> dict[str, int | float]:
        """What the hashes were made with: long, short, share, least."""
        return {"long": self.long, "short": self.short, "share": self.share, "least": self.least}

    def add(self, benchmark: str, item: str, text: str) -> bool:
        """Take a benchmark text in; False if it has fewer than `least` words, which any text may share."""
        tokens = words(text)
        if len(tokens) < self.least:
            return False
        self._counts[benchmark] = self._counts.get(benchmark, 0) + 1
        hashes, number = self._hashes(tokens), len(self._texts)
        whole = _runs(hashes, len(hashes))
        if int(whole[0]) in self._known:
            return True
        self._known[int(whole[0])] = number
        self._texts.append((benchmark, item))
        self._lengths.append(len(tokens))
        self._new["long"].append((number, np.unique(_runs(hashes, self.long))))
        self._new["short"].append((number, np.unique(_runs(hashes, self.short))))
        self._new["head"].append((number, _runs(hashes, min(self.least, len(hashes)))[:1]))
        self._new["whole"].append((number, whole))
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

    def dump(self, *, item_names: bool = False) -> bytes:
        """Return the index as a zip of arrays: hashes of runs of words, the benchmarks' names, and of each item's name
        the row number. `item_names` keeps whole names, such as `1.question`: fields may be named by the text itself.
        """
        texts = (
            self._texts
            if item_names
            else [(benchmark, _row_of(item) or f"text {n}") for n, (benchmark, item) in enumerate(self._texts, 1)]
        )
        about = {"format": _FORMAT, **self.options, "texts": texts, "counts": self._counts}
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
                index._counts = {str(name): int(count) for name, count in about["counts"].items()}
                index._lengths = arrays["lengths"].tolist()
                wholes = arrays["whole_hashes"].tolist(), arrays["whole_text"].tolist()
                index._known = dict(zip(*wholes, strict=True))
                for way in index._new:
                    grams = _Grams(arrays[f"{way}_hashes"], arrays[f"{way}_text"])
                    index._grams[way] = grams
                    order = np.argsort(grams.text, kind="stable")
                    bounds = np.searchsorted(grams.text[order], np.arange(len(index._texts) + 1))
                    index._new[way] = [
                        (number, grams.hashes[order][bounds[number] : bounds[number + 1]])
                        for number in range(len(index._texts))
                    ]
        except _DAMAGE as error:
            raise ValueError(f"not a saved contamination index ({type(error).__name__})") from error
        return index

    def _hashes(self, tokens: list[str]) -> Hashes:
        known = self._hash_of
        if len(known) > _CACHED:
            known.clear()
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
        """Return, for each run, its place among the known ones and how many texts have it."""
        known = self._sorted(way).hashes
        first = np.searchsorted(known, runs)
        return first, np.searchsorted(known, runs, side="right") - first

    def _texts_of(self, way: str, first: Numbers, counts: Numbers) -> tuple[Numbers, Numbers]:
        """Return (place in the text, benchmark text) of the first `counts` texts of each run."""
        place = np.repeat(np.arange(len(counts)), counts)
        inside = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return place, self._sorted(way).text[first[place] + inside]

    def _matches(self, hashes: Hashes) -> Iterator[Match]:
        yield from self._wholes(hashes)
        runs = _runs(hashes, self.long)
        first, counts = self._found("long", runs)
        places, texts = self._texts_of("long", first, np.where(counts > _PHRASING, 0, counts))
        for number in np.unique(texts).tolist():
            start, end = _first_stretch(places[texts == number], self.long)
            yield self._match("grams", number, (end - start) / self._lengths[number], start, end)
        yield from self._passages(runs, first, counts)
        runs = _runs(hashes, self.short)
        first, counts = self._found("short", runs)
        _, texts = self._texts_of("short", first, np.where(counts > _PHRASING, 0, counts))
        for number in np.unique(texts).tolist():
            mine = np.flatnonzero(np.isin(runs, self._new["short"][number][1]))  # its phrasing counts as well
            score = len(np.unique(runs[mine])) / len(self._new["short"][number][1])
            if score >= self.share:
                start, end = _first_stretch(mine, self.short)
                yield self._match("grams", number, score, start, end)

    def _passages(self, runs: Hashes, first: Numbers, counts: Numbers) -> Iterator[Match]:
        """Yield the texts of which a passage stands here that more of them have than may share a phrase.

        A passage covers `stride` places in a row, so one of those that `stride` divides.
        """
        stride = max(1, _PASSAGE - self.long + 1)
        known = np.flatnonzero(counts > 0)
        if not (counts > _PHRASING).any() or np.diff(_first_stretch(known, self.long, apart=1))[0] < _PASSAGE:
            return
        asked = np.where(np.arange(len(counts)) % stride == 0, np.minimum(counts, _PHRASING), 0)
        for number in np.unique(self._texts_of("long", first, asked)[1]).tolist():
            mine = np.flatnonzero(np.isin(runs, self._new["long"][number][1]))
            start, end = _first_stretch(mine, self.long, apart=1)
            if end - start >= _PASSAGE:
                yield self._match("grams", number, (end - start) / self._lengths[number], start, end)

    def _match(self, way: str, number: int, score: float, start: int, end: int) -> Match:
        benchmark, item = self._texts[number]
        return Match(way, benchmark, item, score, start, end)

    def _wholes(self, hashes: Hashes) -> list[Match]:
        """Return those that stand here as a whole, in order of place: their first words, then all.

        Texts with equal first words, such as one prompt around many questions, are asked about together, by length.
        """
        first, counts = self._found("head", _runs(hashes, self.least))
        places = np.flatnonzero(counts)
        places = places[np.argsort(first[places], kind="stable")]
        heads, starts = np.unique(first[places], return_index=True)
        known, spans, wholes = self._sorted("whole"), _Spans(hashes), list[Match]()
        for head, here in zip(heads.tolist(), np.split(places, starts[1:]), strict=False):
            texts = self._sorted("head").text[head : head + int(counts[here[0]])]
            for length in {self._lengths[number] for number in texts.tolist()}:
                fits = here[here + length <= len(hashes)]
                joined = spans.joined(fits, length)
                found = np.searchsorted(known.hashes, joined)
                hit = np.flatnonzero(known.hashes[np.minimum(found, len(known.hashes) - 1)] == joined)
                for place, number in zip(fits[hit].tolist(), known.text[found[hit]].tolist(), strict=True):
                    if self._lengths[number] == length:
                        wholes.append(self._match("whole", number, 1.0, place, place + length))
        return sorted(wholes, key=lambda match: (match.start, match.end))


class _Spans:
    """Hashes of stretches of any place and length, each as `_runs` gives it, from two sums.

    A run's hash is the sum of word j times B^(end - 1 - j), so B^(end - 1) times a difference of sums of word j times
    B^-j; B is odd, so it has an inverse modulo 2^64.
    """

    def __init__(self, hashes: Hashes) -> None:
        count = len(hashes) + 1
        self._powers = _powers_of(int(_BASE), count)
        self._sums = np.zeros(count, np.uint64)
        np.cumsum(hashes * _powers_of(pow(int(_BASE), -1, _WORD + 1), count)[:-1], out=self._sums[1:])

    def joined(self, places: Numbers, length: int) -> Hashes:
        """Return the hash of the `length` words from each place on."""
        ends = places + length
        joined: Hashes = (self._sums[ends] - self._sums[places]) * self._powers[ends - 1]
        return joined


def _powers_of(base: int, count: int) -> Hashes:
    factors = np.full(count, base, np.uint64)
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _row_of(item: str) -> str:
    row = item.partition(".")[0]
    return row if row.isdecimal() else ""


def _runs(hashes: Hashes, size: int) -> Hashes:
    """Return the hash of each run of `size` words."""
    count = len(hashes) - size + 1
    if count < 1:
        return np.empty(0, np.uint64)
    joined = np.zeros(count, np.uint64)
    for place in range(size):
        joined = joined * _BASE + hashes[place : place + count]
    return joined


def _first_stretch(places: Numbers, size: int, apart: int | None = None) -> tuple[int, int]:
    """Return the words covered by the longest stretch of runs that overlap or touch; the first of equals.

    `apart` is how far the next run may begin: 1 asks for a stretch without a gap.
    Example: places 4, 5, 6 and size 8 -> (4, 14)
    """
    breaks = np.flatnonzero(np.diff(places) > (apart or size))
    starts, ends = places[np.concatenate([[0], breaks + 1])], places[np.concatenate([breaks, [len(places) - 1]])] + size
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])
