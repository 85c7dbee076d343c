"""Tokens: equal to the reference where that is asked, and of use in every script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.tokenize import tokenize

from instructgen.dedup.tokens import auto, characters, reference, tokenizer, words


@given(st.text() | st.text("aZ9 -_'éİKß\n\t。你"))
def test_reference_tokens_are_those_of_rouge_score(text):
    """Any text gives the tokens that the reference package gives."""
    assert reference(text) == tokenize(text, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sort the list!", ["sort", "the", "list"]),
        ("Привет, Мир", ["привет", "мир"]),
        ("你好吗", ["你", "好", "吗"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("e\u0301te\u0301", ["été"]),
        ("1２", ["12"]),
        ("한국어 단어", ["한국어", "단어"]),
        ("snake_case", ["snake", "case"]),
        ("😀 …", []),
    ],
)
def test_words_in_many_scripts(text, expected):
    """A word is a run of letters, digits and marks; in scripts without spaces it is one character."""
    assert words(text) == expected


def test_characters_keep_their_marks_and_drop_spaces_and_punctuation():
    """Each letter or digit is a token."""
    assert characters("Ab-1 नि") == ["a", "b", "1", "नि"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Translate 你好", ["translate"]),
        ("说 hi 你好吗", ["说", "hi", "你", "好", "吗"]),
        ("éa", ["a"]),
        ("2 + 2 = 4", ["2", "2", "4"]),
    ],
)
def test_auto_reads_as_the_reference_from_half_ascii_letters_on(text, expected):
    """At least half ASCII letters: the reference's tokens; fewer: words."""
    assert auto(text) == expected


@given(st.sampled_from(["auto", "reference", "words", "characters"]), st.text())
def test_any_text_gives_tokens_without_white_space(name, text):
    """No text breaks a tokeniser, and tokens can be joined by spaces without loss."""
    tokens = tokenizer(name)(text)

    assert " ".join(tokens).split() == tokens
