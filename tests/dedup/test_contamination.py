"""Benchmark texts found in other texts: as a whole, by runs of words, by ROUGE-L; and the index that is shipped."""

import random

import pytest

from instructgen.dedup.contamination import ContaminationIndex

HAWAII = (
    "Compose an engaging travel blog post about a recent trip to Hawaii, highlighting cultural experiences and "
    "must-see attractions."
)
WORDS = HAWAII.rstrip(".").replace(",", "").replace("must-see", "must see").split()


def index(**options):
    made = ContaminationIndex(**options)
    made.add("bench", "1.question", HAWAII)
    made.add("bench", "2.question", "Who was the first person to walk on the surface of our moon, and in which year?")
    return made


def found(text, **options):
    match = index(**options).find(text)
    return match and (match.way, match.item, round(match.score, 2), match.start, match.end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HAWAII, ("whole", "1.question", 1.0, 0, 19)),
        (f"Please: {HAWAII.upper()}!! Thanks", ("whole", "1.question", 1.0, 1, 20)),
        (" ".join(["so", *WORDS[:13], "the", "end"]), ("grams", "1.question", 0.68, 1, 14)),
        (" ".join(WORDS[:12]), None),
        (" ".join([*WORDS[:9], "x", *WORDS[9:]]), ("rouge", "1.question", 0.97, 0, 20)),
        ("Bake a cake.", None),
        ("", None),
    ],
)
def test_ways_of_being_found(text, expected):
    """Whole texts, runs of 13 words, and close paraphrases, with the item, the score and the span."""
    assert found(text, rouge=0.8) == expected


def test_most_of_the_short_runs_are_enough():
    """A text of 12 words has 5 runs of 8; four of them are 80 %."""
    made = ContaminationIndex(rouge=None)
    made.add("bench", "1", "one two three four five six seven eight nine ten eleven twelve")

    assert made.find("zero one two three four five six seven eight nine ten eleven and so on").score == 0.8
    assert made.find("one two three four five six seven eight nine and so on") is None


def test_texts_that_any_text_may_share_are_not_taken():
    """Fewer than `least` words are no evidence."""
    made = ContaminationIndex(least=6)

    assert not made.add("bench", "1", "What is the answer?")
    assert made.add("bench", "2", "What is the answer to everything?")
    assert made.benchmarks == {"bench": 1}


def test_the_phrasing_of_a_benchmark_is_not_evidence():
    """A run that more than ten of its texts share says nothing; what is special about a text still does."""
    lead = "Read the passage below and then choose the one correct answer to the question that follows it"
    made = ContaminationIndex(rouge=None)
    for number in range(12):
        made.add("bench", str(number), f"{lead} " + " ".join(f"n{number}w{place}" for place in range(20)))

    assert made.find(f"{lead} about something else entirely") is None
    assert made.find("and now " + " ".join(f"n7w{place}" for place in range(14))).item == "7"


def test_the_longest_stretch_is_the_span():
    """Of several shared runs the longest stretch is shown."""
    made = ContaminationIndex(long=3, short=3, share=1.0, rouge=None)
    made.add("bench", "1", "a b c d e f g h i j")

    assert found_span(made, "a b c x x x x d e f g h x") == (7, 12)


def found_span(made, text):
    match = made.find(text)
    return match.start, match.end


def test_a_saved_index_finds_the_same_without_the_text():
    """Hashes of runs are enough for all but ROUGE-L; the benchmark's words are not in the file."""
    made = index(rouge=None)
    data = made.dump(item_names=True)
    again = ContaminationIndex.load(data)

    for text in (HAWAII, f"x {HAWAII}", " ".join(WORDS[:13]), " ".join(WORDS[:12]), "something else"):
        assert again.find(text) == made.find(text)
    assert again.dump(item_names=True) == data
    assert b"hawaii" not in data.lower()
    assert again.benchmarks == {"bench": 2}
    assert again.add("bench", "3", "One more question of this benchmark here.")
    assert again.find("one more question of this benchmark here").item == "3"


def test_a_saved_index_names_rows_alone_unless_asked():
    """A field may be named by the text itself: of an item's name only the row's number is in the file."""
    made = ContaminationIndex(rouge=None)
    made.add("bench", f"7.{HAWAII}.answer", HAWAII)
    made.add("bench", "no number", f"another {HAWAII}")
    again = ContaminationIndex.load(made.dump())

    assert (again.find(HAWAII).item, again.find(f"another {HAWAII}").item) == ("7", "text 2")
    assert ContaminationIndex.load(made.dump(item_names=True)).find(HAWAII).item == f"7.{HAWAII}.answer"


PASSAGE = " ".join(f"p{place}" for place in range(60))


@pytest.mark.parametrize("copies", [1, 11, 50, 400])
def test_a_text_in_many_rows_of_a_benchmark_is_no_phrasing(copies):
    """A passage that stands beside each of its questions counts once; equal texts are found under the first name."""
    made = ContaminationIndex(rouge=None)
    for row in range(copies):
        assert made.add("squad", f"{row}.context", HAWAII)
        made.add("squad", f"{row}.question", f"What is the name of place number {row} in this text?")

    for text in (HAWAII, f"Read: {HAWAII}", " ".join(WORDS[2:17]), f"{' '.join(WORDS[:14])} and so on"):
        assert made.find(text).item == "0.context"
    assert made.benchmarks == {"squad": 2 * copies}
    assert ContaminationIndex.load(made.dump()).benchmarks == made.benchmarks


@pytest.mark.parametrize("copies", [2, 11, 50])
def test_a_long_passage_within_many_different_texts_is_evidence(copies):
    """Fifty words in a row are no phrasing, however many prompts hold them; twenty are."""
    made = ContaminationIndex(rouge=None)
    for row in range(copies):
        made.add("race", str(row), f"{PASSAGE} now what does word q{row} mean in this place x{row} y{row}")

    assert made.find(PASSAGE).item == "0"
    assert made.find(f"once upon a time {PASSAGE} the end").start == 4
    assert (made.find(" ".join(PASSAGE.split()[:20])) is None) == (copies > 10)
    assert made.find(f"{PASSAGE} now what does word q1 mean in this place x1 y1").item == "1"


def test_phrasing_said_again_and_again_is_no_passage():
    """Runs that do not follow one another word by word are not one stretch of fifty words."""
    lead = "read the passage below and then choose the one correct answer to it"
    made = ContaminationIndex(rouge=None)
    for number in range(12):
        made.add("bench", str(number), f"{lead} " + " ".join(f"n{number}w{place}" for place in range(20)))

    assert made.find(" ".join(f"{lead} x{time}" for time in range(9))) is None


def test_phrasing_counts_towards_the_share_of_short_runs():
    """A text that is phrasing for the most part is found with a word changed in the rest; phrasing alone is not."""
    lead = "in the following question you are to fill in the gap that is left"
    made = ContaminationIndex(long=20, rouge=None)
    for number in range(12):
        made.add("bench", str(number), f"{lead} " + " ".join(f"n{number}w{place}" for place in range(6)))

    assert made.find(f"{lead} n7w0 n7w1 n7w2 n7w3 other").item == "7"
    assert made.find(f"{lead} and nothing else of it") is None


def test_a_saved_index_that_was_hurt_anywhere_is_refused_or_whole():
    """Bytes altered or cut off at random places: a ValueError, or an index; never another error."""
    made, chance, refused = ContaminationIndex(rouge=None), random.Random(1), 0
    made.add("bench", "1", HAWAII)
    whole = made.dump()
    for _ in range(400):
        hurt = bytearray(whole)
        hurt[chance.randrange(len(hurt))] = chance.randrange(256)
        if chance.random() < 0.2:
            hurt = hurt[: chance.randrange(len(hurt))]
        try:
            ContaminationIndex.load(bytes(hurt))
        except ValueError as error:
            refused += 1
            assert "not a saved contamination index" in str(error)

    assert refused > 200


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"{}", b"\x93NUMPY"])
def test_what_is_no_saved_index_is_refused(data):
    """Anything but a dump is a ValueError."""
    with pytest.raises(ValueError):
        ContaminationIndex.load(data)


@pytest.mark.parametrize("options", [{"long": 5, "short": 8}, {"short": 1}, {"share": 0}, {"share": 1.5}, {"rouge": 7}])
def test_wrong_options_are_refused(options):
    """Contradictory or out of range."""
    with pytest.raises(ValueError):
        ContaminationIndex(**options)
