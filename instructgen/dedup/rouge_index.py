"""Exact ROUGE-L F1 near-duplicates: the rule of Self-Instruct and Alpaca, without its hours.

It answers as if the new row were compared with every entry by `rouge_score`, and touches almost none of them. By the
`bounds`, rows that can reach the threshold share an element within both rows' prefixes. So:

1. The prefixes of all entries are kept as postings sorted by (element, length of the row). For an element of the new
   row's prefix, the length bounds make its candidates one range of that array.
2. The positional and signature bounds thin them out. Of the 1.35 billion pairs of Alpaca's 52,002 instructions about
   52,000 are left at a threshold of 0.7.
3. RapidFuzz finds the longest common subsequence of those: each row is a string with one code point a token.

Single new rows wait in a short unsorted *tail*, looked through as a whole, and are sorted in together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple, get_args

import numpy as np
import orjson
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from instructgen.dedup.bounds import Bounds
from instructgen.dedup.greedy import LOW, GreedyIndex, Mask, Numbers, Scores
from instructgen.dedup.postings import NO_POSTINGS, Postings, Tail, candidates, prefixes
from instructgen.dedup.profiles import possible
from instructgen.dedup.rows import Rows, Text, Vocabulary
from instructgen.dedup.tokens import TOKENIZERS, TokenizerName, tokenizer

Tie = Literal["reject", "as_released"]

_SLACK = Fraction(1, 10**12)  # more than the rounding error of the reference's float, less than any step of F1


class _Encoded(NamedTuple):
    """Rows to be judged, and their prefixes in order of rows."""

    items: list[Text]
    prefixes: Postings


LONGEST_COMPARED = 4096
"""Tokens of a text that are compared, unless an index is told otherwise. A subsequence takes m n / 64 steps: 0.2 ms for
two rows of this length, half a second for two of a megabyte."""


class RougeIndex(GreedyIndex[_Encoded]):
    """Finds rows whose ROUGE-L F1 with a text reaches the threshold.

    tie="reject":       F1 >= threshold, in exact arithmetic, as the papers say.
    tie="as_released":  rouge_score's float F1 > threshold, as the released code does.

    Of texts longer than `longest` tokens, 1..65,535, the first `longest` are compared.

    Example: RougeIndex(0.7).filter(["Write a poem about rain.", "Write a poem about the rain."])
             -> [[], [Neighbour(entry=0, score=0.909...)]]
    Raises: ValueError for a threshold outside 0 < threshold <= 1, a `longest` out of its range, or a `tie` or
    `tokenizer_name` that there is not.
    """

    def __init__(
        self, threshold: float | Fraction = 0.7, tie: Tie = "reject", tokenizer_name: TokenizerName = "auto",
        longest: int = LONGEST_COMPARED,
    ) -> None:  # fmt: skip
        super().__init__()
        self._exact = exact = checked(threshold)
        self.threshold, self.tie, self.tokenizer_name = float(exact), tie, tokenizer_name
        for name, value, known in (("tie", tie, get_args(Tie)), ("tokenizer_name", tokenizer_name, TOKENIZERS)):
            if value not in known:
                raise ValueError(f"{name}: expected {' or '.join(map(repr, known))}, found {value!r}")
        if not 1 <= longest < 1 << 16:
            raise ValueError(f"longest: expected 1 to 65,535 tokens, found {longest}")
        self.longest = longest
        self._all_tokens = tokenizer(tokenizer_name)
        self._bounds = Bounds(exact if tie == "reject" else max(exact - _SLACK, exact / 2))
        self._vocabulary = Vocabulary()
        self._postings = NO_POSTINGS
        self._tail = Tail(0)
        self._sorted: tuple[_Encoded, int, int, Postings] | None = None  # the block at work

    def sees(self, text: str) -> bool:
        """Tell whether the text has any token."""
        return bool(self._tokens(text))

    def sees_all(self, text: str) -> bool:
        """Tell whether the text is compared as a whole: it has at most `longest` tokens."""
        return len(text) <= self.longest or len(self._all_tokens(text)) <= self.longest

    def _tokens(self, text: str) -> list[str]:
        tokens = self._all_tokens(text)
        return tokens if len(tokens) <= self.longest else tokens[: self.longest]

    def dump(self) -> bytes:
        """Return the index as JSON: its options, and each entry's tokens."""
        words = {number: token for token, number in self._vocabulary.tokens()}
        rows = [" ".join(words[number] for number in self._vocabulary.numbers(text)) for text in self._items]
        options = {"threshold": str(self._exact), "tie": self.tie, "tokenizer": self.tokenizer_name}
        return orjson.dumps(options | {"longest": self.longest, "rows": rows})

    @classmethod
    def load(cls, data: bytes) -> RougeIndex:
        """Return the index that `dump` wrote: it gives the same answers. Raises: ValueError for anything else."""
        try:
            saved = orjson.loads(data)
            index = cls(Fraction(saved["threshold"]), saved["tie"], saved["tokenizer"], saved["longest"])
            batch = index._encoded([row.split() for row in saved["rows"]])
        except (KeyError, TypeError, AttributeError, ValueError, ZeroDivisionError) as error:
            raise ValueError(
                f"not a saved ROUGE-L index, or a damaged one ({type(error).__name__}: {error})"
            ) from error
        index._take(batch, np.arange(len(batch.items)))
        index._items += batch.items
        return index

    def _encoded(self, tokens: Iterable[list[str]]) -> _Encoded:
        self._settle()
        rows = self._vocabulary.learn(tokens)
        return _Encoded(rows.texts, prefixes(rows, self._bounds, first=0))

    def _settle(self) -> None:
        """Sort the tail in; the next tail begins after all entries so far."""
        if self._tail.rows:
            new = prefixes(Rows.of(self._tail.rows), self._bounds, first=self._tail.start)
            self._postings = self._postings.merged(new.by_element())
        self._tail = Tail(len(self._items))

    def _block(self, batch: _Encoded, start: int, stop: int) -> Postings:
        """Return the prefixes of some rows in order of elements; asked for three times in a row, sorted once."""
        if self._sorted is None or self._sorted[0] is not batch or self._sorted[1:3] != (start, stop):
            self._sorted = batch, start, stop, batch.prefixes.of_rows(start, stop).by_element()
        return self._sorted[3]

    def _learn(self, texts: Sequence[str]) -> _Encoded:
        return self._encoded(map(self._tokens, texts))

    def _against(self, batch: _Encoded, start: int, stop: int, most: int | None) -> Numbers | None:
        return candidates(self._postings, self._block(batch, start, stop), self._bounds, most)

    def _among(self, batch: _Encoded, start: int, fresh: Mask, most: int | None) -> Numbers | None:
        block = self._block(batch, start, start + len(fresh))
        others = block.where(fresh[block.row - start])
        return candidates(others, block, self._bounds, most, earlier=True)

    def _take(self, batch: _Encoded, rows: Numbers) -> None:
        last, self._sorted = self._sorted, None
        if not len(rows):
            return
        start, stop = int(rows[0]), int(rows[-1]) + 1
        if last is not None and last[0] is batch:
            _, start, stop, block = last
        else:
            block = batch.prefixes.of_rows(start, stop).by_element()
        entry = np.full(stop - start, -1, np.int32)
        entry[rows - start] = len(self._items) + np.arange(len(rows))
        numbered = block._replace(row=entry[block.row - start])
        self._postings = self._postings.merged(numbered.where(numbered.row >= 0))
        self._tail = Tail(len(self._items) + len(rows))

    def _take_one(self, text: str) -> Text:
        if self._tail.full:
            self._settle()
        row = self._vocabulary.learn_one(self._tokens(text))
        self._tail.add(row)
        return row.text

    def _search(self, text: str, since: int) -> tuple[Text, Numbers]:
        row = self._vocabulary.glance(self._tokens(text))
        if not row.length:
            return row.text, np.empty(0, np.int64)
        entries = self._tail.candidates(row, self._bounds)
        if since < self._tail.start:
            settled = candidates(self._postings, prefixes(Rows.of([row]), self._bounds, first=0), self._bounds)
            if settled is not None:
                entries = np.concatenate([settled & LOW, entries])
        return row.text, entries

    def _scored(self, left: list[Text], right: list[Text]) -> tuple[Scores, Mask]:
        lcs, m, n = common(left, right)
        scores: Scores = 2 * lcs / (m + n)
        if self.tie == "reject":
            return scores, self._bounds.reached(lcs, m, n)
        precision, recall = lcs / n, lcs / m
        with np.errstate(invalid="ignore"):  # 0/0 where nothing is shared: not greater than any threshold
            released: Scores = 2 * precision * recall / (precision + recall)
        return scores, released > self.threshold

    def _decided(self, left: list[Text], right: list[Text]) -> tuple[Scores, Mask]:
        allowed = np.flatnonzero(possible(left, right, self._bounds))
        if len(allowed) == len(left):
            return self._scored(left, right)
        scores, hit = np.zeros(len(left)), np.zeros(len(left), bool)
        some = allowed.tolist()
        scores[allowed], hit[allowed] = self._scored([left[at] for at in some], [right[at] for at in some])
        return scores, hit


def common(left: list[Text], right: list[Text]) -> tuple[Numbers, Numbers, Numbers]:
    """Return, for pairs of rows, the length of the longest common subsequence, and both lengths."""
    lcs = process.cpdist(left, right, scorer=LCSseq.similarity, dtype=np.int32).astype(np.int64)
    m = np.fromiter(map(len, left), np.int64, len(left))
    n = np.fromiter(map(len, right), np.int64, len(right))
    return lcs, m, n


def checked(threshold: float | Fraction) -> Fraction:
    """Return a threshold as the decimal fraction that it was written as. Raises: ValueError outside 0 < t <= 1."""
    try:
        exact = threshold if isinstance(threshold, Fraction) else Fraction(str(threshold))
    except (ValueError, ZeroDivisionError):  # NaN, infinity, words
        exact = Fraction(0)
    if not 0 < exact <= 1:
        raise ValueError(f"threshold: expected 0 < threshold <= 1, found {threshold}")
    return exact
