"""The arithmetic of ROUGE-L F1 near-duplicates: what two token sequences must share to reach a threshold.

For sequences of m and n tokens with a longest common subsequence of L tokens, ROUGE-L's F1 is 2 L / (m + n).
Write the threshold as a fraction p / q. Then, in whole numbers and without rounding,

    F >= p/q   <=>   2 q L >= p (m + n)   <=>   L >= overlap(m, n) = ceil(p (m + n) / 2q).

A common subsequence is also a common multiset, so the two must share at least `overlap(m, n)` *elements*, where an
element is a token with its count so far in the sequence: "a b a" has the elements (a, 0), (b, 0), (a, 1). From that:

length      No more than min(m, n) can be shared, so `shortest(m) <= n <= longest(m)`.
prefix      Sort each row's elements by one fixed order. If the first shared element stands at position i (from 0)
            of the row of m, at most m - i are shared, so n <= `reach(m, i)` = floor(2q (m - i) / p) - m. Positions
            with reach(m, i) < shortest(m) can be the first shared one of no pair: what is left is the *prefix*.
positional  The same holds in the other row at position j: m <= reach(n, j).
signature   Hash each distinct token to one of 64 bits. A bit set in one signature alone stands for a token of that row
            alone, so at most m - overlap(m, n) bits of the one and n - overlap(m, n) of the other may be unmatched.
spare       Both together: m + n - 2 overlap(m, n) <= (1 - p/q) (m + n). Weaker, but a sum of a number for each row,
            `spare(m) + spare(n)`, so it is asked first.

Prefix and positional filter are those of prefix-filtering set joins (Chaudhuri et al. 2006; Xiao et al. 2008,
"Efficient similarity joins for near duplicate detection"), here for Dice on multisets as an upper bound of ROUGE-L.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

LENGTH_BITS = 28
"""Rows of up to 2^28 - 1 tokens; then 2q (m + n) and all else here stays below 2^63."""
LONGEST = (1 << LENGTH_BITS) - 1

_SPARE_LENGTHS = 4096  # lengths that have a number of spare bits of their own
_ROUNDING = 1e-6  # more than that of float32: a bound must not be too small
_SPREAD = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: multiplying by it spreads neighbouring numbers (Knuth, 6.4)
_WORD = (1 << 64) - 1
Numbers = NDArray[np.int64]
Whole = TypeVar("Whole", int, Numbers)


class Bounds:
    """The bounds above for one threshold, on whole numbers or arrays of them.

    Example: Bounds(Fraction(7, 10)).overlap(10, 10) -> 7
    """

    def __init__(self, threshold: Fraction) -> None:
        exact = least_above(threshold, 2 * LONGEST)
        self.p, self.two_q = exact.numerator, 2 * exact.denominator
        share = 1 - float(exact)
        most = min(64 / share, _SPARE_LENGTHS) if share else 1
        self._spare = (np.arange(int(most) + 2) * share * (1 + _ROUNDING)).astype(np.float32)
        self._spare[-1] = 0 if not share else 64

    def overlap(self, m: Whole, n: Whole) -> Whole:
        """Return the least number of shared elements with which the threshold can be reached."""
        return -(-self.p * (m + n) // self.two_q)

    def shortest(self, m: Whole) -> Whole:
        """Return the least length of a partner of a row of m tokens."""
        return -(-self.p * m // (self.two_q - self.p))

    def longest(self, m: Whole) -> Whole:
        """Return the greatest length of a partner of a row of m tokens."""
        return (self.two_q - self.p) * m // self.p

    def reach(self, m: Whole, position: Whole) -> Whole:
        """Return the greatest length of a partner whose first shared element stands at this position (from 0)."""
        return self.two_q * (m - position) // self.p - m

    def spare(self, m: Numbers) -> NDArray[np.float32]:
        """Return how many signature bits a row may add to those that stand in one of two signatures alone.

        Long rows get 64, which excludes nothing.
        """
        return self._spare.take(m, mode="clip")

    def signatures_allow(
        self, m: Numbers, n: Numbers, left: NDArray[np.uint64], right: NDArray[np.uint64]
    ) -> NDArray[np.bool_]:
        """Tell for pairs of rows with these lengths and signatures whether enough can be shared."""
        overlap = self.overlap(m, n)
        enough: NDArray[np.bool_] = np.bitwise_count(left & ~right) <= m - overlap
        enough &= np.bitwise_count(right & ~left) <= n - overlap
        return enough

    def reached(self, lcs: Numbers, m: Numbers, n: Numbers) -> NDArray[np.bool_]:
        """Tell whether F1 = 2 lcs / (m + n) is at least the threshold (rows without tokens excluded by the caller)."""
        return self.two_q * lcs >= self.p * (m + n)


def least_above(threshold: Fraction, denominator: int) -> Fraction:
    """Return the least fraction >= threshold whose denominator is at most `denominator`.

    Every F1 of rows with m + n <= denominator is such a fraction, so comparing with either gives the same answer;
    a threshold like 0.30000000000000004 = 30000000000000004/10^17 would not fit into 64-bit products.
    """
    near = threshold.limit_denominator(denominator)
    if near >= threshold:
        return near
    p, q = near.numerator, near.denominator
    # The next fraction above p/q is (1 + b p)/(b q) with b p = -1 (mod q) and b as large as allowed.
    residue = pow(-p, -1, q) if q > 1 else 0
    b = denominator - (denominator - residue) % q
    return Fraction((1 + b * p) // q, b)


def bits(tokens: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the signature bit of each token number."""
    return np.uint64(1) << ((tokens.astype(np.uint64) * np.uint64(_SPREAD)) >> np.uint64(58))


def signature(tokens: list[int]) -> int:
    """Return the signature of a row: the bits of its tokens, joined."""
    joined = 0
    for token in tokens:
        joined |= 1 << (((token * _SPREAD) & _WORD) >> 58)
    return joined
