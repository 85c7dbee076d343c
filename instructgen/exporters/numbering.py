"""Ids in a stream: the first of its kind keeps its id, repeats become `-2`, `-3`, in 8 bytes a row.

5 million ids take about 50 MB: 64 bits of each in sorted arrays, merged as they grow, instead of a set of strings. An
id of ours is a hash already, any other is hashed.
Two different ids with one hash (probability below 1e-6 for 5 million) would number a row without need; nothing is lost.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from instructgen.records import ID_LENGTH

if TYPE_CHECKING:
    import numpy as np

_HEX = re.compile(r"[0-9a-f]*")
_OURS = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}")


class Numbering:
    """Ids seen so far.

    Example: Numbering().number(["a", "b", "a"]) -> ["a", "b", "a-2"]
    """

    def __init__(self) -> None:
        self._sorted: list[np.ndarray] = []
        self._times: dict[int, int] = {}
        """Value -> how often it was seen, for repeated ids only."""

    @property
    def repeats(self) -> int:
        """How many ids were numbered."""
        return sum(times - 1 for times in self._times.values())

    def number(self, ids: Sequence[str]) -> list[str]:
        """Return the ids with repeats numbered. Order is what counts, not how the stream is cut into batches."""
        import numpy as np

        out = list(ids)
        for place, times in self.repeated(np.array([bits_of(name) for name in ids], dtype=np.uint64)).items():
            out[place] = f"{ids[place]}-{times}"
        return out

    def repeated(self, values: np.ndarray) -> dict[int, int]:
        """Return place -> "seen for the n-th time", for ids seen before; `values` are 64 bits of each.

        Of an id of ours that is what its first 16 digits say.
        """
        import numpy as np

        found, times = np.unique(values, return_counts=True)
        known = np.zeros(len(found), dtype=bool)
        for block in self._sorted:
            places = np.searchsorted(block, found)
            known |= block[np.minimum(places, len(block) - 1)] == found
        self._add(found[~known])
        again = found[known | (times > 1)]
        if not len(again):
            return {}
        fresh = set(found[~known].tolist())
        numbered = {}
        for place in np.flatnonzero(np.isin(values, again)).tolist():
            value = int(values[place])
            if value in fresh:
                fresh.remove(value)
            else:
                numbered[place] = self._times[value] = self._times.get(value, 1) + 1
        return numbered

    def _add(self, block: np.ndarray) -> None:
        """Keep sorted values; blocks of similar size merge, so there are few."""
        import numpy as np

        if not len(block):
            return
        while self._sorted and len(self._sorted[-1]) <= 2 * len(block):
            block = np.sort(np.concatenate([self._sorted.pop(), block]), kind="stable")
        self._sorted.append(block)


def all_bits_of(names: Sequence[str]) -> np.ndarray:
    """Return `bits_of` each id (uint64); ids of ours all at once."""
    import numpy as np

    joint = "".join(names)
    if all(len(name) == ID_LENGTH for name in names) and _HEX.fullmatch(joint):
        starts = np.frombuffer(bytes.fromhex(joint), np.uint8).reshape(-1, ID_LENGTH // 2)[:, :8].copy()
        return starts.view(">u8").ravel().astype(np.uint64)
    return np.array([bits_of(name) for name in names], dtype=np.uint64)


def bits_of(name: str) -> int:
    """Return 64 bits of an id: the first of its digits, or of a hash when it is none of ours."""
    if _OURS.fullmatch(name):
        return int(name[:16], 16)
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
