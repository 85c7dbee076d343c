"""`exact`, `fuzzy`, `minhash` and `conflict`: tables of (kept, new, reason)."""

import pytest
from pydantic import ValidationError

from instructgen.filters import Tools
from instructgen.filters.conflict import Conflict
from instructgen.filters.exact import Exact
from instructgen.filters.fuzzy import Fuzzy
from instructgen.filters.minhash import MinHash
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
