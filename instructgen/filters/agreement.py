"""How well a judge agrees with people: accuracy, kappa, calibration, and the score from which it can be trusted.

[Judged(score=4.5, good=True), Judged(score=2.0, good=False), ...]   ->   Agreement(accuracy=0.91, kappa=0.8, ...)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

Z95 = 1.959964
"""Half-width of a 95 % interval in standard deviations."""


class Judged(NamedTuple):
    """A judge's score and a person's word."""

    score: float
    good: bool


class Bin(BaseModel):
    """One point of the calibration curve: rows whose scores lie in [low, high), and the last bin's upper end."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float
    rows: int
    mean_score: float
    share_good: float
    """Of the rows, the share that people call good, 0..1."""


class Threshold(BaseModel):
    """The lowest score from which the wanted precision is reached."""

    model_config = ConfigDict(frozen=True)

    score: float
    precision: float
    """Share of kept rows that people call good."""
    at_least: float
    """Lower end of its 95 % interval (Wilson): with few rows a high precision may be luck."""
    recall: float
    """Share of good rows that are kept."""
    kept: int


class Agreement(BaseModel):
    """Judge against people."""

    model_config = ConfigDict(frozen=True)

    rows: int
    good: int
    """Rows that people call good."""
    keep_at_least: float
    accuracy: float
    kappa: float | None
    """Cohen's: 1 = full agreement, 0 = as by chance; `None` when both say the same of every row."""
    precision: float | None
    recall: float | None
    confusion: dict[str, int]
    """kept_good, kept_bad, dropped_good, dropped_bad."""
    calibration: list[Bin]
    threshold: Threshold | None
    """`None` when no score reaches the wanted precision."""


def agreement(judged: Sequence[Judged], *, keep_at_least: float, precision: float = 0.9, bins: int = 5) -> Agreement:
    """Compare a judge with people over rows; `precision` is the wanted one, 0..1.

    Example: agreement([Judged(5, True), Judged(1, False)], keep_at_least=4).kappa -> 1.0
    """
    if not judged:
        raise ValueError("no rows to compare")
    if not all(isfinite(each.score) for each in judged):
        raise ValueError("every score must be a finite number")
    confusion = {"kept_good": 0, "kept_bad": 0, "dropped_good": 0, "dropped_bad": 0}
    for each in judged:
        side, word = ("kept" if each.score >= keep_at_least else "dropped"), ("good" if each.good else "bad")
        confusion[f"{side}_{word}"] += 1
    kept, good = confusion["kept_good"] + confusion["kept_bad"], confusion["kept_good"] + confusion["dropped_good"]
    return Agreement(
        rows=len(judged),
        good=good,
        keep_at_least=keep_at_least,
        accuracy=_round((confusion["kept_good"] + confusion["dropped_bad"]) / len(judged)),
        kappa=cohen_kappa(**confusion),
        precision=_round(confusion["kept_good"] / kept) if kept else None,
        recall=_round(confusion["kept_good"] / good) if good else None,
        confusion=confusion,
        calibration=calibration(judged, bins),
        threshold=threshold(judged, precision),
    )


def cohen_kappa(kept_good: int, kept_bad: int, dropped_good: int, dropped_bad: int) -> float | None:
    """Return Cohen's kappa of a two-by-two table.

    Example: cohen_kappa(20, 5, 10, 15) -> 0.4 (the textbook case)
    """
    rows = kept_good + kept_bad + dropped_good + dropped_bad
    seen = (kept_good + dropped_bad) / rows
    yes = (kept_good + kept_bad) / rows * (kept_good + dropped_good) / rows
    no = (dropped_good + dropped_bad) / rows * (kept_bad + dropped_bad) / rows
    by_chance = yes + no
    return None if by_chance == 1 else _round((seen - by_chance) / (1 - by_chance))


def calibration(judged: Sequence[Judged], bins: int) -> list[Bin]:
    """Return the curve over equal widths of score, empty bins left out."""
    scores = [each.score for each in judged]
    low, high = min(scores), max(scores)
    width = high / bins - low / bins or 1.0
    groups: dict[int, list[Judged]] = {}
    for each in judged:
        groups.setdefault(min(int(each.score / width - low / width), bins - 1), []).append(each)
    return [
        Bin(
            low=_round(low + at * width),
            high=_round(low + (at + 1) * width),
            rows=len(group),
            mean_score=_round(sum(each.score for each in group) / len(group)),
            share_good=_round(sum(each.good for each in group) / len(group)),
        )
        for at, group in sorted(groups.items())
    ]


def threshold(judged: Sequence[Judged], precision: float) -> Threshold | None:
    """Return the lowest score from which at least this share of the kept rows is good."""
    good = sum(each.good for each in judged)
    found: Threshold | None = None
    kept = right = 0
    ordered = sorted(judged, key=lambda each: -each.score)
    for at, each in enumerate(ordered):
        kept, right = kept + 1, right + each.good
        whole = (
            at + 1 == len(ordered) or ordered[at + 1].score != each.score
        )  # equal scores are kept or dropped together
        if whole and right / kept >= precision:
            found = Threshold(
                score=each.score,
                precision=_round(right / kept),
                at_least=_round(wilson(right, kept)),
                recall=_round(right / good) if good else 0.0,
                kept=kept,
            )
    return found


def wilson(right: int, rows: int) -> float:
    """Return the lower end of the 95 % interval of a share.

    Example: wilson(10, 10) -> 0.72: ten of ten is no proof of 100 %
    """
    share, z2 = right / rows, Z95 * Z95
    middle = share + z2 / (2 * rows)
    spread = Z95 * float((share * (1 - share) / rows + z2 / (4 * rows * rows)) ** 0.5)
    return max(0.0, (middle - spread) / (1 + z2 / rows))


def _round(value: float) -> float:
    return round(value, 4)
