"""The `rouge` filter: what it compares, what it says, what it remembers."""

import pytest
from pydantic import ValidationError

from instructgen.filters import Tools
from instructgen.filters.rouge import Rouge
from instructgen.records import Draft, Instance, Sample, Seed, Turn

RAIN = Sample.single("Write a poem about rain.", output="Drip.")
THE_RAIN = Sample.single("Write a poem about the rain.", output="Drop.")


def ready(**options):
    return Rouge(**options).prepare(Tools())


def test_a_near_duplicate_names_its_neighbours_and_scores():
    """2 * 5 / (5 + 6) = 0.909091."""
    novelty = ready()
    novelty.remember(RAIN)
    found = novelty.check(THE_RAIN)

    assert found.reason == "near_duplicate"
    assert found.evidence == {"score": 0.909091, "neighbours": [{"id": RAIN.id, "score": 0.909091}]}
    assert found.sample == THE_RAIN
    assert found.reason in Rouge.reasons


def test_neighbours_are_limited_and_best_first():
    """`neighbours` says how many of the nearest are named."""
    novelty = ready(neighbours=2, threshold=0.5)
    others = [Sample.single(f"Write a poem about {what}.", output="x") for what in ("snow", "rain", "sun")]
    for sample in others:
        novelty.remember(sample)

    assert [near["id"] for near in novelty.check(RAIN).evidence["neighbours"]] == [others[1].id, others[0].id]


def test_entries_are_asked_by_range():
    """since <= n < until; only accepted samples are entries."""
    novelty = ready()
    novelty.remember(Sample.single("Sing.", output="La."))
    novelty.remember(RAIN)

    assert novelty.check(THE_RAIN, 0, 1) is None
    assert novelty.check(THE_RAIN, 1, 2) is not None
    assert novelty.check(THE_RAIN, 2) is None
    assert novelty.check(THE_RAIN) is not None


def test_seeds_are_entries_like_any_other():
    """A seed goes in through its sample."""
    novelty = ready()
    novelty.remember(Seed(id="s1", instruction="Write a poem about rain.", instances=(Instance(output="x"),)).sample())

    assert novelty.check(THE_RAIN) is not None


@pytest.mark.parametrize(
    ("compare", "reads", "same"),
    [
        ("instruction", {"instruction"}, True),
        ("instruction_input", {"instruction", "input"}, False),
        ("conversation", {"conversation"}, False),
    ],
)
def test_what_is_compared(compare, reads, same):
    """Equal instructions with different inputs are duplicates by instruction only."""
    novelty = ready(compare=compare)
    novelty.remember(Sample.single("Add the numbers.", input="one two three four five six", output="21"))
    other = Sample.single("Add the numbers.", input="seven eight nine ten eleven twelve", output="57")

    assert (novelty.check(other) is not None) == same
    assert novelty.looks_at() == reads


def test_a_conversation_is_compared_with_all_its_turns():
    """Chats that open alike and go on differently are not duplicates; equal ones are."""
    opening = Turn(role="user", content="Hello there, my friend.")
    one = Sample(turns=(opening, Turn(role="assistant", content="a b c d e f g h")))
    two = Sample(turns=(opening, Turn(role="assistant", content="i j k l m n o p")))
    novelty = ready(compare="conversation")
    novelty.remember(one)

    assert novelty.check(two) is None
    assert novelty.check(one) is not None


def test_a_draft_is_judged_by_its_instruction():
    """An idea without an answer gets the verdict that its samples would get."""
    novelty = ready()
    novelty.remember(RAIN)

    assert novelty.check(Draft(number=0, instruction=THE_RAIN.instruction).sample()) is not None


def test_a_text_without_tokens_is_kept_and_flagged():
    """Nothing to compare is not a duplicate, and the kept sample says so."""
    novelty = ready()
    smile = Sample.single("😀", output="😀")
    novelty.remember(smile)

    assert novelty.check(smile) is None
    assert novelty.flags(smile) == {"not_compared": True}
    assert novelty.flags(RAIN) == {}


def test_chinese_is_compared_by_default_and_invisible_to_the_reference():
    """`auto` sees characters where the reference's tokeniser sees nothing."""
    poem = Sample.single("写一首关于下雨的诗", output="滴")
    for tokenizer, expected in [("auto", True), ("words", True), ("characters", True), ("reference", False)]:
        novelty = ready(tokenizer=tokenizer)
        novelty.remember(poem)

        assert (novelty.check(poem) is not None) == expected


def test_ties():
    """Exactly 0.7: dropped by `reject`, kept by `as_released`."""
    first = Sample.single("a b c d e f g h i j", output="x")
    second = Sample.single("a b c d e f g x y z", output="x")
    for tie, expected in [("reject", True), ("as_released", False)]:
        novelty = ready(tie=tie)
        novelty.remember(first)

        assert (novelty.check(second) is not None) == expected


def test_a_batch_gives_the_verdicts_of_one_by_one():
    """The fast path of streams gives the same verdicts, evidence and memory."""
    samples = [
        Sample.single(f"Write a poem about {what}", output="x") for what in ["rain", "the rain", "snow", "my cat"]
    ]
    batch, single = ready(threshold=0.8), ready(threshold=0.8)
    expected = []
    for sample in samples:
        expected.append(single.check(sample))
        if expected[-1] is None:
            single.remember(sample)

    assert batch.check_batch(samples[:1]) + batch.check_batch(samples[1:]) == expected
    assert batch.check(samples[1]) == single.check(samples[1])


def test_a_prepared_filter_has_a_memory_of_its_own():
    """Two runs of one recipe do not share what they remember."""
    first = ready()
    first.remember(RAIN)

    assert first.prepare(Tools()).check(RAIN) is None
    assert first.check(RAIN) is not None


@pytest.mark.parametrize("options", [{"threshold": 0}, {"threshold": 1.5}, {"threshold": 7}, {"tie": "coin"}, {"n": 1},
                                     {"neighbours": 0}, {"compare": "output"}, {"tokenizer": "bpe"}])  # fmt: skip
def test_wrong_options_are_refused(options):
    """Options outside their range, and unknown ones, are errors that name the field."""
    with pytest.raises(ValidationError, match=next(iter(options))):
        Rouge(**options)
