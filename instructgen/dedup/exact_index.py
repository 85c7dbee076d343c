"""Equal texts, up to spelling: the cheapest detector, and the one to run first."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

from instructgen.dedup import Neighbour
from instructgen.dedup.fuzzy_index import folded
from instructgen.dedup.tokens import words

Spelling = Literal["as_is", "folded", "words"]


class ExactIndex:
    """Finds texts that are the same after normalisation; every score is 1.

    spelling="as_is":   character by character.
    spelling="folded":  NFKC, case folded, white space folded.
    spelling="words":   their words alone: case, punctuation and white space do not count.

    Texts are held as 128-bit hashes: 10 million of them collide with probability 1e-25.
    Example: ExactIndex().filter(["Sing!", " sing! "]) -> [[], [Neighbour(0, 1.0)]]
    """

    def __init__(self, spelling: Spelling = "folded") -> None:
        self._spelling = spelling
        self._entries: dict[bytes, int | list[int]] = {}  # a list only where there are several: most have one
        self._count = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return self._count

    def sees(self, text: str) -> bool:
        """Tell whether anything is left of the text."""
        return bool(self._normalised(text))

    def sees_all(self, text: str) -> bool:
        """Return True: texts of any length are compared as a whole."""
        return True

    def add(self, text: str) -> int:
        """Take a text in; return its number."""
        self._put(self._key(text))
        return self._count - 1

    def nearest(self, text: str, k: int = 1, since: int = 0, until: int | None = None) -> list[Neighbour]:
        """Return up to `k` equal entries since <= n < until, oldest first."""
        return self._found(self._key(text), k, since, self._count if until is None else until)

    def filter(self, texts: Sequence[str], k: int = 1) -> list[list[Neighbour]]:
        """Judge texts in order: one with neighbours is a duplicate, any other is added before the next is judged."""
        found = []
        for text in texts:
            key = self._key(text)
            found.append(self._found(key, k, 0, self._count))
            if not found[-1]:
                self._put(key)
        return found

    def _normalised(self, text: str) -> str:
        if self._spelling == "as_is":
            return text
        return folded(text) if self._spelling == "folded" else " ".join(words(text))

    def _key(self, text: str) -> bytes:
        plain = self._normalised(text)
        return blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).digest() if plain else b""

    def _put(self, key: bytes) -> None:
        known = self._entries.get(key)
        if known is None:
            self._entries[key] = self._count
        elif key:  # nothing is like an empty text: no need to know them all
            self._entries[key] = [*known, self._count] if isinstance(known, list) else [known, self._count]
        self._count += 1

    def _found(self, key: bytes, k: int, since: int, until: int) -> list[Neighbour]:
        known = self._entries.get(key) if key else None
        if known is None:
            return []
        entries = known if isinstance(known, list) else [known]
        return [Neighbour(entry, 1.0) for entry in entries if since <= entry < until][:k]
