"""Constraints: true and false cases of every kind, the phrasings that are recognised, and those that must not be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructgen.filters.constraint_kinds import KINDS, Constraint, contradiction, unmet
from instructgen.filters.constraint_phrases import recognised
from instructgen.filters.constraints import Constraints
from instructgen.records import Sample

LIST = "1. Ann\n2. Bob\n3. Cy"
CASES = [  # kind, arguments, an answer that meets the demand, one that does not
    ("words", {"max": 3}, "don't pay 3.50", "one two three four"),
    ("words", {"min": 2, "max": 2}, "two words", "one"),
    ("characters", {"max": 5}, " hello ", "hello!"),
    ("sentences", {"min": 2, "max": 2}, "Dr. Lee paid $3.50. Why?", "Only one here."),
    ("paragraphs", {"min": 2, "max": 2}, "a\nb\n\nc", "a\nb"),
    ("lines", {"min": 3, "max": 3}, "a\n\nb\nc", "a\nb"),
    ("bullets", {"min": 2, "max": 2}, "- a\n* b", "- a\nb"),
    ("items", {"min": 3}, LIST, "Ann"),
    ("items", {"min": 3, "max": 3}, "Three are: red, green and blue.", "red, green"),
    ("numbered", {"min": 3}, LIST, "- Ann\n- Bob\n- Cy"),
    ("hashtags", {"max": 1}, "Sun! #fun", "#sun #fun"),
    ("highlights", {"min": 2}, "**a** and *b c*", "2 * 3 * 4"),
    ("headings", {"min": 1}, "# Title\ntext", "#hashtag"),
    ("placeholders", {"min": 1}, "Dear [name]", "Dear Ann"),
    ("json_only", {}, '```json\n{"a": 1}\n```', 'Here: {"a": 1}'),
    ("json_only", {}, "[1, 2]", "12"),
    ("json_keys", {"keys": ["a", "b"]}, '{"a": 1, "b": 2}', '{"a": 1}'),
    ("csv_columns", {"min": 2, "max": 2}, 'name,age\n"Lee, Ann",3', "name,age\nAnn"),
    ("table", {}, "| a | b |\n|---|---|\n| 1 | 2 |", "a, b"),
    ("fenced", {"language": "python"}, "```python\nx\n```", "```\nx\n```"),
    ("fenced", {}, "```\nx\n```", "x"),
    ("contains", {"words": ["rain", "defy"]}, "Rain defied us", "rain only"),
    ("excludes", {"words": ["art"]}, "a cart starts", "modern art."),
    ("frequency", {"word": "sun", "min": 2, "max": 2}, "sun and Sun", "sun and sunny"),
    ("excludes_letter", {"letter": "e"}, "A dog ran", "The dog"),
    ("uppercase", {}, "ALL OF IT 1", "All"),
    ("lowercase", {}, "all of it 1", "All"),
    ("title_case", {}, "The Lord of the Rings", "The lord of the Rings"),
    ("title_case", {}, "What if iPhones Were 3rd in Self-driving Cars", "Between You and me"),
    ("title_case", {}, "Here is the title:\nA Red Car", "a Red Car"),
    ("starts_with", {"text": "Dear"}, "**Dear** Ann", "Dearest Ann"),
    ("ends_with", {"text": "end"}, "the end!", "my weekend"),
    ("starts_with", {"text": "Once upon a time"}, '"Once upon a time, there', "Long ago"),
    ("ends_with", {"text": "The end."}, "And so it was. The end", "The end was near"),
    ("initial", {"letter": "s"}, "Seven silent swans", "Seven brave swans"),
    ("quoted", {}, '"Yes, it is."', 'He said "yes"'),
    ("no_commas", {}, "one and two", "one, two"),
    ("no_digits", {}, "two", "2"),
    ("question", {}, 'Did you say "why?"', "Why."),
    ("one_of", {"options": ["Positive", "Negative"]}, "positive.", "It is positive"),
    ("opens_with_one_of", {"options": ["yes", "no"]}, "No, it is not.", "Not yet: nobody knows"),
    ("mentions_one_of", {"options": ["true", "false"]}, "That is false.", "That is untrue"),
    ("number_only", {}, "$1,250.50", "about 12"),
    ("titled", {}, "<<Rain>>\nIt rains.", "Rain"),
    ("postscript", {}, "Dear Ann\n\nP.S. Call me", "Dear Ann, psst"),
    ("alphabetical", {}, "apple, Banana, cherry", "- b\n- a"),
    ("alphabetical", {}, "apple, banana, and cherry", "apple; banana; aardvark"),
    ("alphabetical", {}, "Here you are:\n1. apple\n2. banana\n\nEnjoy!", "Sorted: apple, cat, bird"),
    ("alphabetical", {}, "école, zèbre", "zèbre, école"),
    ("alphabetical", {}, "iceberg\nice cream", "The Bee\nAnt"),
    ("comma_list", {}, "red, green, blue", "1. red\n2. green"),
    ("comma_list", {}, "none", "red green blue black"),
    (
        "language",
        {"language": "de"},
        "Das ist ein ganz normaler deutscher Satz.",
        "This is quite an ordinary English sentence.",
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "right", "wrong"), CASES)
def test_each_kind_tells_right_from_wrong(kind, arguments, right, wrong):
    """A met demand gives "", an unmet one says what was found instead."""
    if kind == "language":
        pytest.importorskip("py3langid")
    constraint = Constraint(kind, arguments)

    assert unmet(constraint, right) == ""
    assert unmet(constraint, wrong)


def test_every_kind_has_cases_and_there_are_enough():
    """No kind goes untested."""
    assert {case[0] for case in CASES} == set(KINDS)
    assert len(KINDS) >= 25


PHRASES = [
    ("Describe rain in fewer than ten words.", [("words", {"max": 9})]),
    ("Describe rain in no more than 10 words.", [("words", {"max": 10})]),
    ("Write a story with no less than 150 words.", [("words", {"min": 150})]),
    ("Write at least two paragraphs about rain.", [("paragraphs", {"min": 2})]),
    ("Describe rain in 100 words or less.", [("words", {"max": 100})]),
    ("Describe rain in 50-60 words.", [("words", {"min": 50, "max": 60})]),
    ("Describe rain in 200 words.", [("words", {"min": 160, "max": 240})]),
    ("Describe rain in exactly 200 words.", [("words", {"min": 200, "max": 200})]),
    ("Sum it up in two sentences.", [("sentences", {"min": 2, "max": 2})]),
    ("Sum it up using 3 bullet points.", [("bullets", {"min": 3, "max": 3})]),
    ("Write a poem of four lines.", [("lines", {"min": 4, "max": 4})]),
    ("Compose a tweet of 140 characters or less.", [("characters", {"max": 140})]),
    ("List five examples of fruit.", [("items", {"min": 5})]),
    ("Respond only with JSON.", [("json_only", {})]),
    ('Write a sentence that includes the words "sun" and "rain".', [("contains", {"words": ["sun", "rain"]})]),
    ("Describe it without using the word 'red'.", [("excludes", {"words": ["red"]})]),
    ("Write a sentence without the letter e.", [("excludes_letter", {"letter": "e"})]),
    ("Write the answer in all caps.", [("uppercase", {})]),
    ("Write the answer in lowercase.", [("lowercase", {})]),
    ('Write a story that begins with "It was dark".', [("starts_with", {"text": "It was dark"})]),
    ('End the letter with "Yours, Ann".', [("ends_with", {"text": "Yours, Ann"})]),
    ("Tell a tale without commas.", [("no_commas", {})]),
    ("Answer with yes or no.", [("opens_with_one_of", {"options": ["yes", "no"]})]),
    ("State whether it is true or false.", [("mentions_one_of", {"options": ["true", "false"]})]),
    ("How many legs has it? Output just a number.", [("number_only", {})]),
    ("Answer in French.", [("language", {"language": "fr"})]),
    ("Make a sentence where every word starts with b.", [("initial", {"letter": "b"})]),
    ("Show it as a Markdown table.", [("table", {})]),
    ("Your entire response should be in English, and in all capital letters.", [("uppercase", {})]),
    ("Answer in all caps: who is it?", [("uppercase", {})]),
    ("Tell a tale. No capital letters are allowed.", [("lowercase", {})]),
    ("Praise it; use the word 'blue' at least twice.", [("frequency", {"word": "blue", "min": 2})]),
    ('Include the word "rain" 3 times.', [("frequency", {"word": "rain", "min": 3})]),
    ("Write a letter with at least three placeholders.", [("placeholders", {"min": 3})]),
    ("Highlight at least 2 sections of it.", [("highlights", {"min": 2})]),
    ("Greet me and end your answer with a question mark.", [("question", {})]),
    ("Write two paragraphs about trees.", [("paragraphs", {"min": 2, "max": 2})]),
    ("Put your answer in a code block.", [("fenced", {})]),
    ("Convert the words in all caps to lowercase letters one by one", []),
    ("Explain why people use the word 'blue' for sadness.", []),
    ("Convert the following to title case: hello world", [("title_case", {})]),
    ("Capitalize the first letter of each word: a red car", [("title_case", {})]),
    ("Sort the following words alphabetically.", [("alphabetical", {})]),
    ("Arrange these names in alphabetical order: Bob, Al", [("alphabetical", {})]),
    ("Alphabetize the list of words.", [("alphabetical", {})]),
    ("Write a tweet and add 3 fun hashtags.", [("hashtags", {"min": 3})]),
    ("Generate exactly five hashtags for a bakery.", [("hashtags", {"min": 5, "max": 5})]),
    ("Write a tweet about rain with relevant hashtags.", [("hashtags", {"min": 1})]),
    ("Write a tweet without hashtags.", [("hashtags", {"max": 0})]),
    ("Name some colours as a comma-separated list.", [("comma_list", {})]),
    ("List some colours separated by commas.", [("comma_list", {})]),
    ("Write a 50-word summary of it.", [("words", {"min": 40, "max": 60})]),
    ("Write a two-sentence story.", [("sentences", {"min": 2, "max": 2})]),
    ("Sum it up, no longer than 50 words.", [("words", {"max": 50})]),
    ("Limit your answer to 20 words.", [("words", {"max": 20})]),
    ("Describe it, 50 words max.", [("words", {"max": 50})]),
    ("Respond with a single word.", [("words", {"min": 1, "max": 1})]),
    ("Use three bullet points.", [("bullets", {"min": 3, "max": 3})]),
    ("Answer in bullet points.", [("bullets", {"min": 1})]),
    ("Write a numbered list of 5 rivers.", [("numbered", {"min": 5})]),
    ('Return JSON with the keys "name", "age".', [("json_keys", {"keys": ["name", "age"]})]),
    ("Reply in JSON.", [("json_only", {})]),
    ("Do not use the words happy or sad.", [("excludes", {"words": ["happy", "sad"]})]),
    ("Make a sentence using the following words: sun, moon", [("contains", {"words": ["sun", "moon"]})]),
    ("Start your answer with 'Dear'.", [("starts_with", {"text": "Dear"})]),
    ("Tell a tale. No commas.", [("no_commas", {})]),
    ("Use only lowercase letters.", [("lowercase", {})]),
    ("Is it red? Answer yes or no.", [("opens_with_one_of", {"options": ["yes", "no"]})]),
    ("Answer with 'good' or 'bad'.", [("mentions_one_of", {"options": ["good", "bad"]})]),
    # what must not be read as a demand on the answer
    ("Explain the story about five words.", []),
    ("Count the nouns in the two paragraphs above.", []),
    ("Write a program that prints a name in all caps.", []),
    ("Describe it in a single sentence, then give the moral.", []),
    ('Rewrite it so that it does not contain the word "dear".', [("excludes", {"words": ["dear"]})]),
    ("Summarise it in two lines.", []),
    ("Sort the names by last name alphabetically.", []),
    ("Sort the words in reverse alphabetical order.", []),
    ("Explain what title case is.", []),
    ("Write an essay whose headings are in title case.", []),
    ("Explain how to use hashtags.", []),
    ("Sort the following list, separated by commas.", []),
    ("Convert this comma-separated list to JSON.", []),
    ("Given a set of text in bulleted form, tell a story.", []),
    ("Summarize the 5 sentence paragraph.", []),
    ("Write three jokes, each no longer than 20 words.", []),
    ("Use the words and phrases below.", []),
    ('List five terms starting with "geo".', []),
    ("Convert 3.2e+8 to a word form.", []),
    ("Name the capital of France.", []),
]


@pytest.mark.parametrize(("instruction", "expected"), PHRASES)
def test_usual_phrasings_are_recognised_and_lookalikes_are_not(instruction, expected):
    """The demands of an instruction, in order of the rules."""
    assert [(each.kind, each.arguments) for each in recognised(instruction)] == expected


def test_an_unmet_demand_names_what_was_wanted_and_found():
    """Evidence is enough to disagree."""
    verdict = Constraints().check(Sample.single("Describe rain in at most two words.", output="It is wet"))

    assert verdict.reason == "unmet_words"
    assert verdict.evidence == {"wanted": {"max": 2}, "found": "3"}


DECLARED = [
    ([{"kind": "words", "max": 2}], "one two three", "unmet_words"),
    ([{"kind": "words", "max": 3}], "one two three", None),
    ([{"kind": "wrods", "max": 3}], "one", "unknown_constraint"),
    ([{"kind": "words", "most": 3}], "one", "unknown_constraint"),
    ([{"kind": "words", "max": "three"}], "one", "unknown_constraint"),
    ([{"kind": "contains"}], "one", "unknown_constraint"),
    ("short", "one", "unknown_constraint"),
    ([{"kind": "words", "min": 9}, {"kind": "words", "max": 5}], "one", "contradiction"),
]


@pytest.mark.parametrize(("declared", "answer", "reason"), DECLARED)
def test_declared_constraints_are_checked_and_bad_ones_counted(declared, answer, reason):
    """What a sample declares in its labels is verified; nonsense there is a reason, not a crash."""
    verdict = Constraints().check(Sample.single("Speak.", output=answer, labels={"constraints": declared}))

    assert (verdict.reason if verdict else None) == reason


def test_contradictions_are_seen():
    """Ranges that do not meet, both cases, a word wanted and banned."""
    pairs = [
        ([Constraint("uppercase", {}), Constraint("lowercase", {})], "uppercase"),
        ([Constraint("contains", {"words": ["Sun"]}), Constraint("excludes", {"words": ["sun"]})], "contains"),
        ([Constraint("words", {"min": 2}), Constraint("words", {"max": 5})], ""),
    ]

    assert [contradiction(each) for each, _ in pairs] == [expected for _, expected in pairs]


def test_demands_on_parts_of_an_answer_are_not_a_contradiction():
    """Two numbers of sentences in one instruction are about two texts: nothing is judged."""
    sample = Sample.single("a) Predict the weather in two sentences b) and explain it in five sentences.", output="No.")

    assert [each.kind for each in recognised(sample.instruction)] == ["sentences", "sentences"]
    assert Constraints().check(sample) is None


def test_slack_moves_recognised_word_limits():
    """With a slack of a tenth, 100 words may be 110."""
    sample = Sample.single("Describe rain in at most 100 words.", output="wet " * 108)

    assert Constraints().check(sample).reason == "unmet_words"
    assert Constraints(slack=0.1).check(sample) is None


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_gives_a_verdict(instruction, answer):
    """Neither the reader of demands nor the checks raise on any text."""
    verdict = Constraints().check(Sample.single(instruction, output=answer))
    assert verdict is None or verdict.reason.startswith("unmet_")
    for kind, arguments, _, _ in CASES:
        assert isinstance(unmet(Constraint(kind, arguments), answer), str | None)
