"""An exact index of ROUGE-L near-duplicates.

It answers as if the new text were compared with every entry by `rouge_score`, and touches almost none of them. The
mathematics is in `bounds`: rows that can reach the threshold share an element within both rows' prefixes. So:

1. The prefixes of all entries are kept as postings sorted by (element, length of the row). For an element of the new
   row's prefix, the length bounds make its candidates one range of that array.
2. The positional and signature bounds thin them out. Of the 1.35 billion pairs of Alpaca's 52,002 instructions about
   52,000 are left at threshold 0.7.
3. RapidFuzz computes the longest common subsequence of those: each row is a string with one code point a token.

A few new rows at a time wait in a short unsorted *tail*, looked through as a whole, and are sorted in together. Many
at a time are judged in blocks: first against what is there, then among themselves. Blocks grow with the index; one
that is so repetitive that its pairs would not fit into memory is halved.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from instructgen.dedup import Neighbour, ranked
from instructgen.dedup.bounds import Bounds
from instructgen.dedup.postings import LOW, NO_POSTINGS, ROW_BITS, Numbers, Postings, Tail, candidates, prefixes
from instructgen.dedup.rows import Row, Rows, Text, Vocabulary
from instructgen.dedup.tokens import TokenizerName, tokenizer

Tie = Literal["reject", "as_released"]

_BLOCK, _SHARE = 256, 4  # a block has 256 rows, or a quarter of the index if that is more
_TOO_MANY = 1_000_000  # pairs of one block; beyond it, halving is faster than finishing
_SLACK = Fraction(1, 10**12)  # more than the rounding error of the reference's float, less than any step of F1


class RougeIndex:
    """Finds rows whose ROUGE-L F1 with a text reaches the threshold.

    tie="reject":       F1 >= threshold, in exact arithmetic, as the papers say.
    tie="as_released":  rouge_score's float F1 > threshold, as the released code does.

    Example: RougeIndex(0.7).filter(["Write a poem about rain.", "Write a poem about the rain."])
             -> [[], [Neighbour(entry=0, score=0.909...)]]
    Raises: ValueError for a threshold outside 0 < threshold <= 1.
    """

    def __init__(
        self, threshold: float | Fraction = 0.7, tie: Tie = "reject", tokenizer_name: TokenizerName = "auto"
    ) -> None:
        exact = threshold if isinstance(threshold, Fraction) else Fraction(str(threshold))
        if not 0 < exact <= 1:
            raise ValueError(f"threshold: expected 0 < threshold <= 1, found {threshold}")
        self.threshold, self.tie, self.tokenizer_name = float(exact), tie, tokenizer_name
        self._tokens = tokenizer(tokenizer_name)
        self._bounds = Bounds(exact if tie == "reject" else max(exact - _SLACK, exact / 2))
        self._vocabulary = Vocabulary()
        self._texts: list[Text] = []
        self._postings = NO_POSTINGS
        self._tail = Tail(0)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._texts)

    def sees(self, text: str) -> bool:
        """Tell whether the text has any token."""
        return bool(self._tokens(text))

    def add(self, text: str) -> int:
        """Take a text in; return its number. Amortised: every 1,024th call sorts the waiting ones in."""
        rows = self._vocabulary.learn([self._tokens(text)])
        self._tail.add(Row(rows.texts[0], rows.ranks, int(rows.signatures[0])))
        self._texts.append(rows.texts[0])
        if self._tail.full:
            self._settle()
        return len(self._texts) - 1

    def add_all(self, texts: Sequence[str]) -> None:
        """Take in texts that are known to stay, such as a dataset that new rows are held against."""
        self._add_rows([self._tokens(text) for text in texts])

    def nearest(self, text: str, k: int = 1, since: int = 0, until: int | None = None) -> list[Neighbour]:
        """Return up to `k` entries since <= n < until that reach the threshold; best first, then in order of age."""
        row = self._vocabulary.glance(self._tokens(text))
        until = len(self._texts) if until is None else min(until, len(self._texts))
        if not len(row.ranks) or since >= until:
            return []
        entries = self._tail.candidates(row, self._bounds)
        if since < self._tail.start:
            entries = np.concatenate([self._settled_candidates(row), entries])
        entries = entries[(entries >= since) & (entries < until)]
        if not len(entries):
            return []
        others = [self._texts[entry] for entry in entries.tolist()]
        scores, hit = self._scored([row.text] * len(others), others)
        return ranked(list(map(Neighbour, entries[hit].tolist(), scores[hit].tolist())), k)

    def filter(self, texts: Sequence[str], k: int = 1) -> list[list[Neighbour]]:
        """Judge texts in order: one with neighbours is a duplicate, any other is added before the next is judged.

        The same as `nearest` and `add` in turn, and much faster for many texts.
        """
        self._settle()
        rows = self._vocabulary.learn([self._tokens(text) for text in texts])
        postings = prefixes(rows, self._bounds, first=0)
        found: list[list[Neighbour]] = [[] for _ in texts]
        start = 0
        while start < len(texts):
            size = max(_BLOCK, len(self._texts) // _SHARE)
            start = self._filter_block(rows, postings, start, min(len(texts), start + size), found, k)
        return found

    def dump(self) -> bytes:
        """Return the index as JSON: its options, and each entry's tokens."""
        words = {number: token for token, number in self._vocabulary.tokens()}
        rows = [" ".join(words[number] for number in self._vocabulary.numbers(text)) for text in self._texts]
        options = {"threshold": str(self.threshold), "tie": self.tie, "tokenizer": self.tokenizer_name}
        return orjson.dumps(options | {"rows": rows})

    @classmethod
    def load(cls, data: bytes) -> RougeIndex:
        """Return the index that `dump` wrote: it gives the same answers. Raises: ValueError for anything else."""
        saved = orjson.loads(data)
        if not isinstance(saved, dict) or saved.keys() != {"threshold", "tie", "tokenizer", "rows"}:
            raise ValueError("not a saved ROUGE-L index")
        index = cls(Fraction(saved["threshold"]), saved["tie"], saved["tokenizer"])
        index._add_rows([row.split() for row in saved["rows"]])
        return index

    def _add_rows(self, tokens: Sequence[list[str]]) -> None:
        self._settle()
        rows = self._vocabulary.learn(tokens)
        self._postings = self._postings.merged(prefixes(rows, self._bounds, first=len(self._texts)).by_element())
        self._texts += rows.texts
        self._tail = Tail(len(self._texts))

    def _settle(self) -> None:
        """Sort the tail in."""
        if self._tail.rows:
            new = prefixes(self._tail.as_rows(), self._bounds, first=self._tail.start)
            self._postings = self._postings.merged(new.by_element())
            self._tail = Tail(len(self._texts))

    def _settled_candidates(self, row: Row) -> Numbers:
        offsets = np.array([0, len(row.ranks)])
        rows = Rows([row.text], row.ranks, offsets, np.array([row.signature], np.uint64))
        query = prefixes(rows, self._bounds, first=0)
        pairs = candidates(self._postings, query, self._bounds)
        return pairs & LOW if pairs is not None else np.empty(0, np.int64)

    def _filter_block(
        self, rows: Rows, postings: Postings, start: int, stop: int, found: list[list[Neighbour]], k: int
    ) -> int:
        """Judge rows start <= n < stop, or fewer; add those that stay; return where the next block starts."""
        block = postings.of_rows(start, stop).by_element()
        most = _TOO_MANY if stop - start > 16 else None
        before = candidates(self._postings, block, self._bounds, most)
        if before is None:
            return self._filter_block(rows, postings, start, (start + stop) // 2, found, k)
        old = self._verified(before, rows.texts, self._texts)
        fresh = np.ones(stop - start, bool)
        fresh[old.row - start] = False
        among = candidates(block.where(fresh[block.row - start]), block, self._bounds, most, earlier=True)
        if among is None:
            return self._filter_block(rows, postings, start, (start + stop) // 2, found, k)
        new = self._verified(among, rows.texts, rows.texts)
        for row, other in zip((new.row - start).tolist(), (new.other - start).tolist(), strict=True):
            if fresh[other]:  # rows ascend, so the earlier one's fate is settled
                fresh[row] = False
        entries = len(self._texts) + np.cumsum(fresh) - 1
        stays = fresh[new.other - start]
        new = _Pairs(new.row[stays], entries[new.other[stays] - start], new.score[stays])
        for pairs in (old, new):
            _note(pairs, found)
        for row in np.flatnonzero(~fresh).tolist():
            found[start + row] = ranked(found[start + row], k)
        kept = block.where(fresh[block.row - start])
        self._postings = self._postings.merged(kept._replace(row=entries[kept.row - start].astype(np.int32)))
        self._texts += [rows.texts[start + row] for row in np.flatnonzero(fresh).tolist()]
        self._tail = Tail(len(self._texts))
        return stop

    def _verified(self, pairs: Numbers, texts: list[Text], others: list[Text]) -> _Pairs:
        row, other = pairs >> ROW_BITS, pairs & LOW
        if not len(row):
            return _Pairs(row, other, np.empty(0))
        left, right = [texts[i] for i in row.tolist()], [others[i] for i in other.tolist()]
        scores, hit = self._scored(left, right)
        return _Pairs(row[hit], other[hit], scores[hit])

    def _scored(self, left: list[Text], right: list[Text]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return each pair's F1, and whether it reaches the threshold."""
        lcs = process.cpdist(left, right, scorer=LCSseq.similarity, dtype=np.int32).astype(np.int64)
        m = np.fromiter(map(len, left), np.int64, len(left))
        n = np.fromiter(map(len, right), np.int64, len(right))
        scores: NDArray[np.float64] = 2 * lcs / (m + n)
        if self.tie == "reject":
            return scores, self._bounds.reached(lcs, m, n)
        precision, recall = lcs / n, lcs / m
        with np.errstate(invalid="ignore"):  # 0/0 where nothing is shared: not greater than any threshold
            released: NDArray[np.float64] = 2 * precision * recall / (precision + recall)
        return scores, released > self.threshold


class _Pairs(NamedTuple):
    """Pairs (row, other) that reach the threshold, rows ascending."""

    row: Numbers
    other: Numbers
    score: NDArray[np.float64]


def _note(pairs: _Pairs, found: list[list[Neighbour]]) -> None:
    for row, entry, score in zip(pairs.row.tolist(), pairs.other.tolist(), pairs.score.tolist(), strict=True):
        found[row].append(Neighbour(entry, score))
