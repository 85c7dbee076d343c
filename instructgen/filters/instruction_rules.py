"""Rules on an instruction's words: length, words that a text model cannot serve, how it begins.

    "Draw a map of the river."        -> blacklisted (word="map")
    "Sort this"                       -> too_short (words=2, minimum=4)
    "Write a program that sorts."     -> write_a_program

Self-Instruct (github.com/yizhongw/self-instruct) and Stanford Alpaca (github.com/tatsu-lab/stanford_alpaca) drop new
instructions by these rules; their lists of words are the presets.
"""

from __future__ import annotations

import re
import string
from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from instructgen.filters import Field_, Filter, Verdict
from instructgen.generators import Fidelity
from instructgen.records import Sample

_SELF_INSTRUCT = ("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps",
                  "draw", "plot", "go to")  # fmt: skip
PRESETS: dict[str, tuple[str, ...]] = {
    "self_instruct": _SELF_INSTRUCT,
    "alpaca": (*_SELF_INSTRUCT, "video", "audio", "music", "flowchart", "diagram"),
    "none": (),
}
"""Words that ask for what a text model cannot see or do. The released lists hold singular and plural only as here."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, kana, Han: scripts that put no space between words."""


class InstructionRules(Filter):
    """Reject instructions by length, unwanted words and beginnings.

    Example: "Draw a map of the river." -> blacklisted (word="map")
    """

    reads: ClassVar[frozenset[Field_]] = frozenset({"instruction"})
    reasons: ClassVar[dict[str, str]] = {
        "too_short": "fewer words than min_words",
        "too_long": "more words than max_words",
        "blacklisted": "holds a word of the blacklist: a task that text cannot serve",
        "write_a_program": 'begins with "Write a program", which models add to any instruction',
        "leading_punctuation": "begins with an ASCII punctuation mark: usually the middle of something",
        "leading_non_ascii": "begins with a character outside ASCII",
    }

    kind: Literal["instruction_rules"] = "instruction_rules"
    fidelity: Fidelity = Field(
        default="fixed",
        description="paper, as_released: words are what white space separates, 'Write a program' counts only in this "
        "case, a non-ASCII beginning is dropped; fixed: any script passes, and two characters of a script without "
        "spaces count as a word",
    )
    min_words: PositiveInt = Field(default=4, description="fewest words")
    max_words: PositiveInt = Field(default=150, description="most words")
    blacklist: Literal["self_instruct", "alpaca", "none"] | tuple[str, ...] = Field(
        default="self_instruct",
        description="a released list by name, none, or your own words (whole words, any case)",
    )
    write_a_program: bool = Field(default=True, description="reject instructions that begin with 'Write a program'")
    leading_punctuation: bool = Field(default=True, description="reject instructions that begin with ASCII punctuation")
    leading_non_ascii: bool | None = Field(
        default=None,
        description="reject instructions that begin outside ASCII; unsaid: on for paper and as_released, off for "
        "fixed, because it drops every Chinese or Arabic instruction",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) up to max_words ({self.max_words}): else nothing passes")
        return self

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Return the first rule that the instruction breaks, in the released order."""
        text = sample.instruction.strip()
        words = self._words(text)
        if words < self.min_words:
            return sample.rejected("too_short", words=words, minimum=self.min_words)
        if words > self.max_words:
            return sample.rejected("too_long", words=words, maximum=self.max_words)
        found = self._pattern.search(text) if self._pattern else None
        if found:
            return sample.rejected("blacklisted", word=found.group().lower())
        if self.write_a_program and self._is_program(text):
            return sample.rejected("write_a_program")
        if self.leading_punctuation and text[0] in string.punctuation:
            return sample.rejected("leading_punctuation", character=text[0])
        if self._drops_non_ascii and not text[0].isascii():
            return sample.rejected("leading_non_ascii", character=text[0])
        return None

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        words = PRESETS[self.blacklist] if isinstance(self.blacklist, str) else self.blacklist
        if not words:
            return None
        # Lookarounds, not \b: a user's word may begin or end with a sign ("c++").
        return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(word) for word in words)})(?!\w)", re.IGNORECASE)

    @property
    def _drops_non_ascii(self) -> bool:
        return self.fidelity != "fixed" if self.leading_non_ascii is None else self.leading_non_ascii

    def _is_program(self, text: str) -> bool:
        beginning = text[: len("Write a program")]
        return beginning == "Write a program" or (self.fidelity == "fixed" and beginning.lower() == "write a program")

    def _words(self, text: str) -> int:
        if self.fidelity != "fixed":
            return len(text.split())
        # About two characters make a word of Chinese or Japanese; the released count calls a whole sentence one word.
        unspaced = len(_UNSPACED.findall(text))
        return len(_UNSPACED.sub(" ", text).split()) + (unspaced + 1) // 2
