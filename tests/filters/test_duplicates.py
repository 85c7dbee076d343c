"""`exact`, `fuzzy`, `minhash` and `conflict`: tables of (kept, new, reason)."""

import pytest
from pydantic import ValidationError

from instructgen.filters import Tools
from instructgen.filters.conflict import Conflict
from instructgen.filters.exact import Exact
from instructgen.filters.fuzzy import Fuzzy
from instructgen.filters.minhash import MinHash
from instructgen.filters.rouge import Rouge
from instructgen.records import Sample

SORT = Sample.single("Sort the list.", input="3, 1", output="1, 3")
LONG = " ".join(f"word{number}" for number in range(60))


def verdict(made, kept, new):
    ready = made.prepare(Tools())
    ready.remember(kept)
    found = ready.check(new)
    assert found is None or found.reason in ready.reasons
    return found and found.reason


@pytest.mark.parametrize(
    ("made", "new", "reason"),
    [
        (Exact(), Sample.single(" sort THE list.", output="?"), "exact_duplicate"),
        (Exact(), Sample.single("Sort the list", output="?"), None),
        (Exact(spelling="words"), Sample.single("Sort the list", output="?"), "exact_duplicate"),
        (Exact(compare="instruction_input"), Sample.single("Sort the list.", input="4", output="4"), None),
        (Exact(compare="conversation"), SORT, "exact_duplicate"),
        (Fuzzy(), Sample.single("Sort the list!", output="?"), "near_duplicate"),
        (Fuzzy(), Sample.single("Sing a song.", output="?"), None),
        (Fuzzy(threshold=0.95), Sample.single("Sort the list!", output="?"), None),
        (Conflict(), Sample.single("sort the list.", input="3, 1", output="3, 1"), "conflicting_answer"),
        (Conflict(), SORT, None),
        (Conflict(), Sample.single("Sort the list.", input="9", output="1, 3"), None),
    ],
)
def test_a_kept_sample_and_a_new_one(made, new, reason):
    """Beside "Sort the list." with input "3, 1" and answer "1, 3"."""
    assert verdict(made, SORT, new) == reason


@pytest.mark.parametrize(("changed", "reason"), [("word1 ", "near_duplicate"), ("word1 word7 word20 ", None)])
def test_long_conversations_are_compared_by_shingles(changed, reason):
    """One changed word of sixty leaves 55 of 61 shingles, J = 0.9; three changed ones at 0.8 are too many."""
    text = LONG
    for word in changed.split():
        text = text.replace(f"{word} ", "other ")
    new = Sample.single("Tell me.", output=text)

    assert verdict(MinHash(threshold=0.8), Sample.single("Tell me.", output=LONG), new) == reason


@pytest.mark.parametrize("made", [Exact(), Fuzzy(), MinHash(), Conflict()])
def test_batch_and_single_verdicts_agree(made):
    """Streams and the loop get the same answers."""
    samples = [SORT, Sample.single("Sing.", output="La"), SORT, Sample.single("", output=""), SORT]
    single, expected = made.prepare(Tools()), []
    for sample in samples:
        expected.append(single.check(sample))
        if expected[-1] is None:
            single.remember(sample)

    assert made.prepare(Tools()).check_batch(samples) == expected


@pytest.mark.parametrize("made", [Exact(), Fuzzy(), MinHash(threshold=0.5), Rouge(threshold=0.5), Conflict()])
def test_many_remembered_at_once_are_as_many_one_by_one(made):
    """A run that is gone on with gives the verdicts, evidence included, of one that never stopped."""
    words = LONG.split()
    texts = [" ".join(words[n % 7 : n % 7 + 9 + n % 5]) for n in range(60)] + ["", LONG]
    samples = [Sample.single(text, output=f"answer {n % 3}") for n, text in enumerate(texts)]
    single, several = made.prepare(Tools()), made.prepare(Tools())
    for sample in samples:
        single.remember(sample)
    for start, end in ((0, 25), (25, 25), (25, len(samples))):
        several.remember_all(samples[start:end])
    new = [Sample.single(f"{text} more", output="other") for text in texts] + samples
    expected = [single.check(sample, since, until) for sample in new for since, until in ((0, None), (10, 40))]

    assert [several.check(sample, since, until) for sample in new for since, until in ((0, None), (10, 40))] == expected
    assert any(expected)
    assert None in expected


class Stemmed(Exact):
    """Someone's filter that remembers in a way of its own."""

    def remember(self, sample):
        """Take in the first word alone."""
        super().remember(Sample.single(sample.instruction.split()[0], output="-"))


def test_a_filter_that_remembers_in_its_own_way_is_asked_for_each():
    """Going on with a run does not go around an overridden `remember`."""
    ready = Stemmed().prepare(Tools())
    ready.remember_all([Sample.single("Sort the list.", output="?")])

    assert ready.check(Sample.single("Sort", output="?")) is not None
    assert ready.check(Sample.single("Sort the list.", output="?")) is None


@pytest.mark.parametrize("kind", [Exact, Fuzzy, MinHash])
def test_samples_with_nothing_to_compare_are_kept_and_flagged(kind):
    """An instruction without any character that counts is no one's duplicate."""
    ready, empty = kind(compare="instruction").prepare(Tools()), Sample.single(" ", output="x")
    ready.remember(empty)

    assert ready.check(empty) is None
    assert ready.flags(empty) == {"not_compared": True}


@pytest.mark.parametrize(
    ("kind", "options"),
    [(Fuzzy, {"threshold": 0}), (Fuzzy, {"threshold": 1.5}), (MinHash, {"threshold": 1.5}), (MinHash, {"words": 0}),
     (MinHash, {"threshold": 0.3, "miss": 1e-9}), (Exact, {"spelling": "loose"}), (Conflict, {"compare": "x"})],
)  # fmt: skip
def test_wrong_options_are_refused(kind, options):
    """Out of range, contradictory or unknown."""
    with pytest.raises(ValidationError):
        kind(**options)
