"""What counts as one token when two texts are compared.

    tokenizer("reference")("Sort the list!")   -> ["sort", "the", "list"]
    tokenizer("words")("Привет, мир 你好")      -> ["привет", "мир", "你", "好"]
    tokenizer("characters")("Ab 1")            -> ["a", "b", "1"]

`reference` gives the tokens of the `rouge_score` package without stemmer: runs of a-z and 0-9 of the lower-cased
text. Everything else is invisible to it: a Chinese sentence has no tokens and scores 0 against itself, and "Translate:
你好" is the same as "Translate: 再见". `words` gives the reference's tokens for a text in ASCII and sees the letters of
all others; `auto`, the default everywhere, is `words`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import Literal

Tokenizer = Callable[[str], list[str]]
TokenizerName = Literal["auto", "reference", "words", "characters"]

_KEPT = b"abcdefghijklmnopqrstuvwxyz0123456789"
_ASCII = frozenset(map(chr, range(128)))
_SPACE_BUT_KEPT = bytes(c if c in _KEPT else 32 for c in range(256))
_BLOCKS_WITH_MARKS = ((0x300, 0x3400), (0xA000, 0xAC00), (0xFB00, 0xFE30), (0x10000, 0x12000), (0x16000, 0x1F000))
"""The others hold Han, Hangul and private characters; marks beyond are variation selectors, which change no word."""
_SCRIPTS_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x20000, 0x323AF),  # Han, extensions B to H
)


def reference(text: str) -> list[str]:
    """Return the tokens of `rouge_score`'s default tokeniser, without stemmer."""
    return text.lower().encode("ascii", "replace").translate(_SPACE_BUT_KEPT).decode("ascii").split()


def words(text: str) -> list[str]:
    """Return Unicode words, lower-cased (NFKC); in scripts without spaces each character is a word."""
    plain = _plain(text)
    return reference(plain) if plain.isascii() else _word_pattern().findall(plain)


def spaced_words(text: str) -> bytes:
    """Return the tokens of `words` with white space between them, as UTF-8: cheaper than a list.

    Example: spaced_words("Sort: this!").split() -> [b"sort", b"this"]
    """
    plain = _plain(text)
    if plain.isascii():
        return plain.lower().encode("ascii").translate(_SPACE_BUT_KEPT)
    return " ".join(_word_pattern().findall(plain)).encode("utf-8", "replace")


def _plain(text: str) -> str:
    """Return NFKC lower case; ASCII alone where nothing else is part of a word, such as in “quotes” and dashes."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text).lower()
    others = set(plain).difference(_ASCII)
    if any(other.isalnum() or unicodedata.category(other).startswith("M") for other in others):
        return plain
    return plain.encode("ascii", "replace").decode("ascii")


def characters(text: str) -> list[str]:
    """Return each letter or digit with its combining marks, lower-cased (NFKC)."""
    return _character_pattern().findall(unicodedata.normalize("NFKC", text).lower())


TOKENIZERS: dict[TokenizerName, Tokenizer] = {
    "auto": words, "reference": reference, "words": words, "characters": characters,
}  # fmt: skip


def tokenizer(name: TokenizerName) -> Tokenizer:
    """Return the tokeniser of that name."""
    return TOKENIZERS[name]


@cache
def _marks() -> tuple[str, str]:
    r"""Return character classes of combining marks, which `\w` leaves out: all, and those of scripts with spaces."""
    codes = [
        code
        for block in _BLOCKS_WITH_MARKS
        for code in range(*block)
        if unicodedata.category(chr(code)).startswith("M")
    ]
    spaced = [code for code in codes if not any(low <= code <= high for low, high in _SCRIPTS_WITHOUT_SPACES)]
    return _ranges(_stretches(codes)), _ranges(_stretches(spaced))


def _stretches(codes: list[int]) -> Iterable[tuple[int, int]]:
    """Return (first, last) of each run of consecutive numbers."""
    starts = [code for code, before in zip(codes, [-1, *codes], strict=False) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -1], strict=False) if after != code + 1]
    return zip(starts, ends, strict=True)


def _ranges(pairs: Iterable[tuple[int, int]]) -> str:
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in pairs)


@cache
def _word_pattern() -> re.Pattern[str]:
    single, (marks, spaced) = _ranges(_SCRIPTS_WITHOUT_SPACES), _marks()
    letters = rf"[^\W_{single}]"
    return re.compile(rf"{letters}+(?:[{spaced}]+{letters}*)*|(?=\w)[{single}][{marks}]*")


@cache
def _character_pattern() -> re.Pattern[str]:
    return re.compile(rf"[^\W_][{_marks()[0]}]*")
