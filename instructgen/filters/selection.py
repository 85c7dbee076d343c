"""Which k of n rows to keep, by scores, vectors or tags. Pure functions; ties fall to the earlier row.

    top([3.0, 5.0, 4.0], 2)   ->   [1, 2]

Sources of the rules: AlpaGasus (a threshold, here the filter `judge`), Deita (Liu et al. 2024), IFD (Li et al. 2024),
Superfiltering, InsTag (Lu et al. 2024), Magpie (longest), k-center greedy (Sener and Savarese 2018). Of the released
codes' slips none is kept: near rows count as near under every metric, rejected rows are compared with nobody.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def by_score(scores: Sequence[float]) -> list[int]:
    """Return row numbers from the highest score to the lowest; not-a-number comes last."""
    return sorted(range(len(scores)), key=lambda at: (math.isnan(scores[at]), -scores[at], at))


def top(scores: Sequence[float], count: int) -> list[int]:
    """Return the `count` best rows, best first."""
    return [at for at in by_score(scores) if not math.isnan(scores[at])][:count]


def quota(scores: Sequence[float], groups: Sequence[Hashable], per_group: int | Mapping[Hashable, int]) -> list[int]:
    """Return the best rows of each group, best first, at most `per_group` of one (groups that are not named: none).

    Example: quota([1, 3, 2], ["a", "a", "b"], 1) -> [1, 2]
    """
    taken: Counter[Hashable] = Counter()
    chosen = []
    for at in by_score(scores):
        room = per_group if isinstance(per_group, int) else per_group.get(groups[at], 0)
        if not math.isnan(scores[at]) and taken[groups[at]] < room:
            taken[groups[at]] += 1
            chosen.append(at)
    return chosen


def diverse(scores: Sequence[float], vectors: np.ndarray, count: int, max_similarity: float = 0.9) -> list[int]:
    """Return the best rows of which no two are more alike than allowed (Deita's repr filter).

    `vectors`: (n, d), rows of length 1. A row is taken if its cosine with every row taken before is at most the limit.
    """
    import numpy as np

    kept: list[int] = []
    matrix = np.empty((min(count, len(scores)), vectors.shape[1] if len(scores) else 0), dtype=np.float32)
    for at in by_score(scores):
        if len(kept) == count or math.isnan(scores[at]):
            break
        if kept and float((matrix[: len(kept)] @ vectors[at]).max()) > max_similarity:
            continue
        matrix[len(kept)] = vectors[at]
        kept.append(at)
    return kept


def k_center(vectors: np.ndarray, count: int, first: int = 0) -> list[int]:
    """Return rows that cover the others: each next one is the farthest from all before (greedy k-center).

    `vectors`: (n, d). Distances are Euclidean; the result is at most twice as far as the best choice of k.
    """
    import numpy as np

    if not len(vectors) or count < 1:
        return []
    chosen = [first]
    distance = np.linalg.norm(vectors - vectors[first], axis=1)
    while len(chosen) < min(count, len(vectors)):
        farthest = int(distance.argmax())
        if distance[farthest] == 0:  # only copies are left
            break
        chosen.append(farthest)
        distance = np.minimum(distance, np.linalg.norm(vectors - vectors[farthest], axis=1))
    return chosen


def tag_diverse(tags: Sequence[Sequence[str]], count: int) -> list[int]:
    """Return rows with many tags first, as long as each adds a new tag (InsTag: complexity first, then diversity).

    When no row adds a tag any more, coverage starts again with the rows that are left.
    Example: tag_diverse([["a"], ["a", "b"], ["c"]], 2) -> [1, 2]
    """
    left = sorted((at for at in range(len(tags)) if tags[at]), key=lambda at: (-len(set(tags[at])), at))
    chosen: list[int] = []
    while left and len(chosen) < count:
        covered: set[str] = set()
        waiting = []
        for at in left:
            if len(chosen) < count and not covered.issuperset(tags[at]):
                covered.update(tags[at])
                chosen.append(at)
            else:
                waiting.append(at)
        left = waiting
    return chosen


def ifd(loss_with: float, loss_without: float) -> float | None:
    """Return the instruction-following difficulty: mean answer loss with the instruction over that without.

    Losses in nats per token. Above 1 the instruction does not help at all: such rows are left out (Cherry_LLM).
    `None` when there is no loss to divide by. Example: ifd(1.0, 2.0) -> 0.5
    """
    return loss_with / loss_without if loss_without > 0 else None


def perplexity_ratio(loss_with: float, loss_without: float) -> float:
    """Return perplexity with the instruction over that without (Superfiltering).

    Example: equal losses -> 1.0
    """
    return math.exp(loss_with - loss_without)


def normal_tag(tag: str) -> str:
    """Return a tag in one spelling: case-folded, words apart, the last one singular.

    Example: normal_tag("Creative-Writings") -> "creative writing"
    """
    words = "".join(letter if letter.isalnum() else " " for letter in tag.casefold()).split()
    if words and len(words[-1]) > 3 and words[-1].endswith("s") and not words[-1].endswith(("ss", "us", "is")):
        words[-1] = words[-1][:-3] + "y" if words[-1].endswith("ies") else words[-1][:-1]
    return " ".join(words)


def merged_tags(
    rows: Sequence[Sequence[str]], min_rows: int = 20, confidence: float = 0.99, support: int = 20
) -> list[list[str]]:
    """Return each row's tags normalised, rare ones dropped, and those merged that always come together.

    InsTag's steps without its embedding merge: tags on fewer than `min_rows` rows go; a tag that in at least
    `confidence` of its rows, and in at least `support` of them, comes with a more frequent one is replaced by it
    (association rule).
    """
    normal = [sorted({normal_tag(tag) for tag in tags} - {""}) for tags in rows]
    counts = Counter(tag for tags in normal for tag in tags)
    common = [[tag for tag in tags if counts[tag] >= min_rows] for tags in normal]
    pairs = Counter(pair for tags in common for pair in combinations(tags, 2))
    target: dict[str, str] = {}
    for (one, other), together in sorted(pairs.items()):
        rarer, wider = sorted((one, other), key=lambda tag: (counts[tag], tag))
        if together < support:
            continue
        if together >= confidence * counts[rarer] and counts[wider] > counts.get(target.get(rarer, ""), 0):
            target[rarer] = wider
    return [sorted({_last(tag, target) for tag in tags}) for tags in common]


def _last(tag: str, target: Mapping[str, str]) -> str:
    """Follow merges to their end; frequency grows at each step or the name does, so there is no circle."""
    seen = {tag}
    while tag in target and target[tag] not in seen:
        tag = target[tag]
        seen.add(tag)
    return tag
