"""Each bound on its own: never excludes a pair that reaches the threshold, and is as tight as it can be."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq

from instructgen.dedup.bounds import LONGEST, Bounds, bits, least_above, signature
from instructgen.dedup.profiles import profile

rows = st.lists(st.integers(0, 7), min_size=1, max_size=14)
thresholds = st.fractions(Fraction(1, 50), 1, max_denominator=50)


def f1(left, right):
    return Fraction(2 * LCSseq.similarity(left, right), len(left) + len(right))


def elements(row):
    seen = Counter()
    for token in row:
        yield token, seen[token]
        seen[token] += 1


def in_fixed_order(row):
    return sorted(elements(row), key=lambda element: (element[0] * 5 % 8, element[1]), reverse=True)


@given(rows, rows, thresholds)
def test_pairs_that_reach_the_threshold_share_the_overlap(left, right, threshold):
    """Rows with F1 >= threshold share at least `overlap` elements of their multisets."""
    shared = (Counter(left) & Counter(right)).total()

    if f1(left, right) >= threshold:
        assert shared >= Bounds(threshold).overlap(len(left), len(right))


@given(st.integers(1, 200), st.integers(1, 200), thresholds)
def test_overlap_is_the_least_lcs_that_reaches_the_threshold(m, n, threshold):
    """With `overlap` tokens in common the threshold is reached, with one less it is not."""
    least = Bounds(threshold).overlap(m, n)

    assert Fraction(2 * least, m + n) >= threshold
    assert Fraction(2 * (least - 1), m + n) < threshold


@given(st.integers(1, 200), st.integers(1, 200), thresholds)
def test_length_bounds_hold_exactly_where_a_contained_row_reaches_the_threshold(m, n, threshold):
    """A partner length is allowed iff the shorter row, wholly contained in the longer, reaches the threshold."""
    bounds = Bounds(threshold)

    assert (bounds.shortest(m) <= n <= bounds.longest(m)) == (Fraction(2 * min(m, n), m + n) >= threshold)


@given(rows, rows, thresholds)
def test_the_first_shared_element_is_within_reach_on_both_sides(left, right, threshold):
    """Prefix and positional bound: the first shared element stands where each side may still reach the other."""
    bounds = Bounds(threshold)
    if f1(left, right) < threshold:
        return
    mine, theirs = in_fixed_order(left), in_fixed_order(right)
    first = next(element for element in mine if element in set(theirs))
    i, j = mine.index(first), theirs.index(first)

    assert bounds.reach(len(left), i) >= len(right)
    assert bounds.reach(len(right), j) >= len(left)
    assert bounds.reach(len(left), i) >= bounds.shortest(len(left))


def test_the_prefix_is_about_half_a_row_at_the_usual_threshold():
    """At 0.7 a row of 12 tokens has 6 prefix positions: 7/20 * 12 = 4.2 are the least that must be left out."""
    bounds = Bounds(Fraction(7, 10))
    prefix = [i for i in range(12) if bounds.reach(12, i) >= bounds.shortest(12)]

    assert prefix == [0, 1, 2, 3, 4, 5]


@given(rows, rows, thresholds)
def test_signatures_allow_every_pair_that_reaches_the_threshold(left, right, threshold):
    """The signature bound excludes no pair that reaches the threshold."""
    if f1(left, right) < threshold:
        return
    m, n = np.array([len(left)]), np.array([len(right)])
    mine, theirs = (np.array([signature(row)], np.uint64) for row in (left, right))

    assert Bounds(threshold).signatures_allow(m, n, mine, theirs).all()


@given(rows, rows, thresholds)
def test_spare_bits_allow_every_pair_that_reaches_the_threshold(left, right, threshold):
    """The sum of both rows' spare bits is no less than the bits that stand in one signature alone."""
    if f1(left, right) < threshold:
        return
    spare = Bounds(threshold).spare(np.array([len(left), len(right)]))

    assert (signature(left) ^ signature(right)).bit_count() <= spare.sum()


@pytest.mark.parametrize("threshold", [Fraction(1), Fraction(7, 10), Fraction(1, 1000), Fraction(999_999, 10**6)])
def test_spare_bits_are_the_share_of_a_row_that_need_not_be_common(threshold):
    """(1 - t) m and no less, and 64 at most asked of rows beyond the table; identical rows at t = 1 spare nothing."""
    lengths = np.array([1, 2, 10, 63, 64, 1000, 4095, 4096, 5000, LONGEST])
    spare = Bounds(threshold).spare(lengths)

    exact = [min(64, (1 - threshold) * int(m)) for m in lengths]
    assert all(float(found) >= float(least) - 1e-9 for found, least in zip(spare, exact, strict=True))
    assert spare[:3].tolist() == pytest.approx([float((1 - threshold) * m) for m in (1, 2, 10)], rel=1e-4)


@given(rows, rows, thresholds)
def test_profiles_allow_every_pair_that_reaches_the_threshold(left, right, threshold):
    """The sum over classes of tokens is no less than the overlap that the threshold needs."""
    shared = np.minimum(*(profile("".join(chr(token + 1) for token in row)) for row in (left, right))).sum()

    if f1(left, right) >= threshold:
        assert shared >= Bounds(threshold).overlap(len(left), len(right))


def test_signatures_exclude_rows_with_nothing_in_common():
    """Rows of different tokens are excluded without a look at the rows."""
    m = np.array([8])
    mine, theirs = (np.array([signature(row)], np.uint64) for row in (list(range(8)), list(range(8, 16))))

    assert not Bounds(Fraction(7, 10)).signatures_allow(m, m, mine, theirs).any()


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=20))
def test_a_signature_is_the_same_from_numbers_and_from_arrays(tokens):
    """The two ways to compute a signature, for one row and for many, agree."""
    assert signature(tokens) == int(np.bitwise_or.reduce(bits(np.array(tokens, np.int64))))


@given(st.fractions(Fraction(1, 10**18), 1), st.integers(1, 1000))
def test_least_above_changes_no_comparison(threshold, denominator):
    """No fraction with an allowed denominator lies between the threshold and what stands for it."""
    least = least_above(threshold, denominator)

    assert least >= threshold
    assert least.denominator <= denominator
    for q in range(1, denominator + 1):
        assert Fraction(-(-threshold.numerator * q // threshold.denominator), q) >= least


@pytest.mark.parametrize("threshold", [1e-9, 0.1 + 0.2, 0.7, 0.6666666666666667, 1.0])
def test_products_stay_within_64_bits(threshold):
    """For the longest rows allowed, every product that the bounds form fits a signed 64-bit number."""
    bounds = Bounds(Fraction(str(threshold)))

    assert bounds.two_q * 2 * LONGEST < 2**63
