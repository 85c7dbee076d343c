"""Judges with no index: the answers that the index has to give."""

from fractions import Fraction

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import LCSseq
from rouge_score import rouge_scorer
from rouge_score.tokenize import tokenize


def reaches(lcs, m, n, threshold, tie):
    """One pair's verdict, in the words of the definition."""
    if lcs == 0:
        return False
    if tie == "reject":
        return Fraction(2 * lcs, m + n) >= Fraction(str(threshold))
    precision, recall = lcs / n, lcs / m
    return 2 * precision * recall / (precision + recall) > threshold


def reference_kept(texts, threshold, tie):
    """Row numbers that stay when each row is scored with `rouge_score` against every row kept before it."""
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    kept = []
    for number, text in enumerate(texts):
        for other in kept:
            score = scorer.score(text, texts[other])["rougeL"]
            m, n = len(tokenize(text, None)), len(tokenize(texts[other], None))
            lcs = round(score.precision * n)
            if tie == "as_released":
                duplicate = score.fmeasure > threshold
            else:
                duplicate = bool(lcs) and Fraction(2 * lcs, m + n) >= Fraction(str(threshold))
            if duplicate:
                break
        else:
            kept.append(number)
    return kept


def close_pairs(texts, least):
    """All pairs (later, earlier, lcs, m, n) with F1 >= least, by computing every one of them in blocks."""
    numbers = {}
    rows = ["".join(chr(numbers.setdefault(t, len(numbers)) + 0xE000) for t in tokenize(x, None)) for x in texts]
    lengths = np.array([len(row) for row in rows])
    found = []
    for start in range(0, len(rows), 256):
        block = rows[start : start + 256]
        lcs = process.cdist(block, rows[: start + 256], scorer=LCSseq.similarity, dtype=np.int32, workers=2)
        m, n = lengths[start : start + 256, None], lengths[None, : start + 256]
        later, earlier = np.nonzero((2 * lcs >= least * (m + n) - 1e-9) & (lcs > 0))
        later_row = later + start
        before = earlier < later_row
        later, earlier, later_row = later[before], earlier[before], later_row[before]
        found.append(np.stack([later_row, earlier, lcs[later, earlier], lengths[later_row], lengths[earlier]], axis=1))
    return np.concatenate(found)


def greedy_kept(count, pairs, threshold, tie):
    """Row numbers that stay, given all close pairs in the order of their later row."""
    kept = [True] * count
    for later, earlier, lcs, m, n in pairs.tolist():
        if kept[later] and kept[earlier] and reaches(lcs, m, n, threshold, tie):
            kept[later] = False
    return [number for number in range(count) if kept[number]]
