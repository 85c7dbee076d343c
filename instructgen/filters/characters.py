"""Characters that do not belong: control codes, decoding damage, a script nobody asked for.

{"instruction": "Say hello.", "output": "你好，很高兴认识你。"}   ->  wrong_script
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, any_of, snippet

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Unicode category Cc without tab, line feed and carriage return. Not Cf: joiners and direction marks are honest."""
DAMAGE = re.compile("\ufffd|Ã[\u0080-\u00bf]|â€[\u0080-\u00bf™œ\u009d“”˜¦]|ï»¿")
"""U+FFFD, and UTF-8 read as Latin-1 or Windows-1252 (`Ã©`, `â€™`)."""
SCRIPTS = {
    "latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
    "cyrillic": "\u0400-\u052f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "han": "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f",
    "kana": "\u3040-\u30ff",
    "hangul": "\uac00-\ud7af\u1100-\u11ff",
    "arabic": "\u0600-\u06ff\u0750-\u077f",
    "hebrew": "\u0590-\u05ff",
    "devanagari": "\u0900-\u097f",
    "thai": "\u0e00-\u0e7f",
}
_LETTERS = {name: re.compile(f"[{span}]") for name, span in SCRIPTS.items()}
_EAST_ASIAN = {"han", "kana"}
"""Japanese mixes both."""
ASKS_LANGUAGE = any_of(
    r"translat\w*|transliterat\w*|languages?|chinese|mandarin|cantonese|japanese|korean|arabic|hebrew|hindi|russian|ukrainian|bulgarian|serbian|"
    r"greek|thai|urdu|persian|farsi|bengali|tamil|kanji|hiragana|katakana|pinyin|cyrillic|unicode|emojis?|symbols?|characters?|scripts?|"
    r"english|latin|französisch|german|french|spanish|alphabets?|letters?"
)


class Characters(RatedFilter):
    r"""Reject control characters, decoding damage, and answers in a script that the task does not use.

    Example: output="\\x07ding" -> control_character
    """

    reasons: ClassVar[dict[str, str]] = {
        "control_character": "a control character (Unicode Cc) other than tab and line ends",
        "decoding_damage": "U+FFFD or UTF-8 read as another encoding",
        "wrong_script": "most letters of the answer are of a script that the task neither uses nor asks for",
    }
    ratings: ClassVar[dict[str, Rating]] = {}

    kind: Literal["characters"] = "characters"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield damaged fields, then a foreign script."""
        output = exchange.output or ""
        for field, text in (("instruction", exchange.instruction), ("input", exchange.input), ("output", output)):
            if found := CONTROL.search(text):
                yield "control_character", {"field": field, "code": f"U+{ord(found.group()):04X}"}
            if not text.isascii() and (found := DAMAGE.search(text)):
                yield "decoding_damage", {"field": field, "text": snippet(text, found.start())}
        if output.isascii() and exchange.instruction.isascii():
            return
        asked = f"{exchange.instruction}\n{exchange.input}"
        spoken, expected = main_scripts(output), main_scripts(asked, share=0.05)
        if spoken and expected and not spoken & expected and not ASKS_LANGUAGE.search(asked):
            yield "wrong_script", {"answer": " ".join(sorted(spoken)), "task": " ".join(sorted(expected))}


def main_scripts(text: str, share: float = 0.5) -> set[str]:
    """Return the scripts that hold at least this share of a text's letters; none for fewer than 5 letters.

    Example: main_scripts("Привет, мир") -> {"cyrillic"}
    """
    counts = {name: len(letters.findall(text)) for name, letters in _LETTERS.items()}
    total = sum(counts.values())
    if total < 5:
        return set()
    found = {name for name, count in counts.items() if count >= share * total and count}
    return found | _EAST_ASIAN if found & _EAST_ASIAN else found
