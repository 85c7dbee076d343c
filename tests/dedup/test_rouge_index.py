"""The index against brute force with `rouge_score`, and its ways of being asked against one another."""

import json
import random
from fractions import Fraction

import numpy as np
import orjson
import pytest
from brute_force import close_pairs, greedy_kept, reference_kept
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq

from instructgen.dedup import Neighbour, greedy
from instructgen.dedup.rouge_index import RougeIndex
from instructgen.dedup.rows import Vocabulary

texts = st.lists(st.lists(st.sampled_from("abcdef"), max_size=9).map(" ".join), max_size=40)
thresholds = st.sampled_from([0.1, 0.3, 0.5, 0.6, 2 / 3, 0.6666666666666667, 0.7, 0.75, 0.8, 0.9, 1.0])
ties = st.sampled_from(["reject", "as_released"])


def kept(found):
    return [number for number, near in enumerate(found) if not near]


def one_by_one(index, stream, k=3):
    found = []
    for text in stream:
        near = index.nearest(text, k)
        if not near:
            index.add(text)
        found.append(near)
    return found


@given(texts, thresholds, ties)
@settings(deadline=None)
def test_the_kept_set_is_that_of_the_reference(stream, threshold, tie):
    """Rows kept from random token sequences are those that sequential scoring with `rouge_score` keeps."""
    assert kept(RougeIndex(threshold, tie).filter(stream)) == reference_kept(stream, threshold, tie)


@given(texts, thresholds, ties, st.integers(1, 9), st.integers(1, 4))
@settings(deadline=None)
def test_batches_of_any_size_and_single_rows_give_the_same_answers(stream, threshold, tie, size, k):
    """Neighbours and scores do not depend on how many rows are handed over at a time."""
    whole = RougeIndex(threshold, tie).filter(stream, k)
    index = RougeIndex(threshold, tie)
    batches = [near for at in range(0, len(stream), size) for near in index.filter(stream[at : at + size], k)]

    assert batches == whole
    assert one_by_one(RougeIndex(threshold, tie), stream, k) == whole


@given(texts, st.data())
@settings(deadline=None)
def test_a_range_of_entries_is_answered_as_if_the_others_were_not_there(stream, data):
    """`since` and `until` choose entries; the verdict over a range is that over its parts."""
    index = RougeIndex(0.5)
    half = len(stream) // 2
    index.add_all(stream[:half])
    for text in stream[half:]:
        index.add(text)
    since = data.draw(st.integers(0, len(stream)))
    until = data.draw(st.integers(since, len(stream)))
    alone = RougeIndex(0.5)
    alone.add_all(stream[since:until])
    question = data.draw(st.sampled_from([*stream, "a b c"]))

    expected = [Neighbour(entry + since, score) for entry, score in alone.nearest(question, 99)]
    assert index.nearest(question, 99, since, until) == expected


@given(texts)
@settings(deadline=None)
def test_neighbours_are_all_that_reach_the_threshold_best_first(stream):
    """`nearest` is exact: every entry with F1 >= threshold, highest first, then oldest; scores are F1."""
    index = RougeIndex(0.6)
    index.add_all(stream)
    question = "a b c d"

    scored = []
    for entry, text in enumerate(stream):
        m, n = 4, len(text.split())
        score = Fraction(2 * LCSseq.similarity(question.split(), text.split()), m + n)
        if score >= Fraction(6, 10):
            scored.append((-score, entry))
    assert index.nearest(question, 99) == [Neighbour(entry, float(-score)) for score, entry in sorted(scored)]


def test_many_rows_one_at_a_time_pass_through_the_tail(monkeypatch):
    """The tail is sorted in when full; answers are the same before and after."""
    rng = random.Random(5)
    stream = [" ".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(3, 9))) for _ in range(3000)]
    whole = RougeIndex(0.6).filter(stream, 3)

    assert 0 < len(kept(whole)) < len(stream)
    assert len(kept(whole)) > 1024
    assert one_by_one(RougeIndex(0.6), stream) == whole


def test_asking_changes_nothing():
    """A question with words never seen leaves no trace in the index."""
    index = RougeIndex(0.7)
    index.add("sort the list")
    before = index.dump(), len(index._vocabulary)
    index.nearest("colourless green ideas ideas sleep")

    assert (index.dump(), len(index._vocabulary)) == before


@pytest.mark.parametrize("tie", ["reject", "as_released"])
def test_a_tie_is_dropped_by_the_paper_and_kept_by_the_released_code(tie):
    """7 of 10 words shared is exactly 0.7."""
    stream = ["a b c d e f g h i j", "a b c d e f g x y z"]

    assert kept(RougeIndex(0.7, tie).filter(stream)) == ([0] if tie == "reject" else [0, 1])


def test_a_threshold_between_a_ratio_and_its_float_is_decided_by_the_float():
    """2/41 is less than this threshold, but the reference's float of it is greater: the released rule drops it."""
    stream, threshold = ["a", " ".join(["a", *(f"w{number}" for number in range(39))])], 0.04878048780487805

    assert kept(RougeIndex(threshold, "as_released").filter(stream)) == [0]
    assert reference_kept(stream, threshold, "as_released") == [0]
    assert kept(RougeIndex(threshold, "reject").filter(stream)) == [0, 1]


def test_rows_without_tokens_are_entries_like_nothing():
    """Empty rows are kept, numbered, and no one's neighbour."""
    index = RougeIndex(0.7)

    assert index.filter(["", "a b", "…", "a b"], 3) == [[], [], [], [Neighbour(1, 1.0)]]
    assert len(index) == 3
    assert index.nearest("") == []
    assert not index.sees("…")
    assert index.sees("a")


@pytest.mark.parametrize("threshold", [0, -0.1, 1.5, float("nan")])
def test_a_threshold_outside_0_to_1_is_refused(threshold):
    """The message names the value and the range."""
    with pytest.raises(ValueError, match="expected 0 < threshold <= 1, found"):
        RougeIndex(threshold)


def test_a_saved_index_gives_the_same_answers():
    """Dump and load: same entries, same neighbours, and it goes on growing."""
    index = RougeIndex(0.6, "as_released", "words")
    index.filter(["你好吗朋友们", "sort the list the right way", "", "Привет, мир"])
    again = RougeIndex.load(index.dump())

    assert again.dump() == index.dump()
    assert again.nearest("你好吗朋友", 3) == index.nearest("你好吗朋友", 3) != []
    assert again.filter(["sort the list the wrong way", "new"]) == index.filter(["sort the list the wrong way", "new"])


@pytest.mark.parametrize("data", [b"{}", b"[]", b"not json", b"\xff", b"7"])
def test_what_is_no_saved_index_is_refused(data):
    """Anything but a dump is a ValueError."""
    with pytest.raises(ValueError, match="not a saved ROUGE-L index"):
        RougeIndex.load(data)


@pytest.mark.parametrize(
    "damage",
    [{"rows": 7}, {"rows": [None]}, {"threshold": None}, {"threshold": "1/0"}, {"threshold": "x"}, {"tie": []},
     {"tokenizer": "wrods"}, {"longest": "9"}, {"longest": 0}],
)  # fmt: skip
def test_a_damaged_saved_index_is_refused(damage):
    """Each part that is not what a dump writes there."""
    index = RougeIndex()
    index.filter(["sort the list"])
    with pytest.raises(ValueError, match="not a saved ROUGE-L index, or a damaged one"):
        RougeIndex.load(orjson.dumps(orjson.loads(index.dump()) | damage))


@pytest.mark.parametrize(("option", "value"), [("tie", "rejct"), ("tokenizer_name", "wrods")])
def test_a_misspelt_option_is_refused(option, value):
    """The message has what there is."""
    with pytest.raises(ValueError, match=f"{option}: expected .*'{'reject' if option == 'tie' else 'words'}'.*{value}"):
        RougeIndex(**{option: value})


def test_a_fraction_stays_what_it_is_in_a_saved_index():
    """Two thirds are no decimal fraction: four of six tokens are exactly as many, and too many, after loading too."""
    index = RougeIndex(Fraction(2, 3))
    index.filter(["a b c"])

    assert index.nearest("a b d", 1)[0].score == pytest.approx(2 / 3)
    assert RougeIndex.load(index.dump()).filter(["a b d"]) == index.filter(["a b d"]) != [[]]
    assert RougeIndex(0.7).dump().startswith(b'{"threshold":"7/10"')


def test_vocabulary_has_no_limit(monkeypatch):
    """More distinct tokens than Unicode has code points: rows become number sequences, answers stay exact."""
    monkeypatch.setattr("instructgen.dedup.rows.sys.maxunicode", 60)
    rng = random.Random(3)
    stream = [" ".join(rng.choices([f"w{n}" for n in range(300)], k=6)) for _ in range(300)]
    stream += [row.replace("w1", "w2") for row in stream]
    index = RougeIndex(0.5)
    found = index.filter(stream, 3)
    monkeypatch.undo()

    assert any(isinstance(text, tuple) for text in index._items)
    assert any(isinstance(text, str) for text in index._items)
    assert found == RougeIndex(0.5).filter(stream, 3)
    assert RougeIndex.load(index.dump()).dump() == index.dump()


@pytest.mark.full
def test_more_than_1_1_million_distinct_tokens():
    """A vocabulary larger than Unicode, for real."""
    stream = [" ".join(f"t{6 * row + n}" for n in range(6)) for row in range(200_000)]
    index = RougeIndex(0.7)

    assert kept(index.filter(stream)) == list(range(len(stream)))
    assert index.filter([stream[-1] + " x", stream[0] + " x"]) == [
        [Neighbour(len(stream) - 1, 12 / 13)],
        [Neighbour(0, 12 / 13)],
    ]


def test_elements_of_repeated_tokens_are_ranked_by_frequency_too():
    """A token that every row holds twice is not a rare element: the rarest element comes first."""
    rows = Vocabulary().learn([["the", "the", "a"], ["the", "the", "b"], ["the", "the", "c"]])

    first = rows.ranks[rows.offsets[:-1]]
    assert len(set(first.tolist())) == 3
    assert rows.ranks[rows.offsets[:-1] + 1].tolist() == rows.ranks[rows.offsets[:-1] + 1].tolist()[:1] * 3


@pytest.mark.parametrize("repeat", ["the same row again", "template number {} for you"])
def test_very_repetitive_streams_are_judged_in_halved_blocks(monkeypatch, repeat):
    """A block whose pairs would not fit is halved; the answers are those of the whole block."""
    stream = [repeat.format(number) for number in range(400)] + ["something else"]
    expected = RougeIndex(0.7).filter(stream, 3)
    monkeypatch.setattr(greedy, "_TOO_MANY", 50)

    assert RougeIndex(0.7).filter(stream, 3) == expected
    assert kept(expected) == [0, 400]


def test_of_very_long_texts_the_first_tokens_are_compared():
    """A megabyte is compared by its first 4,096 words; `longest` says otherwise, within that every word counts."""
    long = "word " * 200_000
    index = RougeIndex(0.7)

    assert index.filter([long, long + "end", "word"]) == [[], [Neighbour(0, 1.0)], []]
    assert not index.sees_all(long)
    assert index.sees_all("word " * 4096)
    whole = RougeIndex(0.7, longest=30_000)
    assert whole.filter(["word " * 20_000, "word " * 20_000 + "end"]) == [[], [Neighbour(0, 40_000 / 40_001)]]
    assert RougeIndex.load(whole.dump()).longest == 30_000
    assert len(whole._items[0]) == 20_000


@pytest.mark.parametrize("longest", [0, -1, 65_536])
def test_a_length_out_of_range_is_refused(longest):
    """Profiles count up to 65,535 tokens."""
    with pytest.raises(ValueError, match="1 to 65,535"):
        RougeIndex(0.7, longest=longest)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_long_rows_equal_brute_force(threshold):
    """Rows of hundreds of words from one small vocabulary, and edited copies: where signatures say nothing."""
    rng = random.Random(9)
    stream = [" ".join(rng.choices([f"w{n}" for n in range(80)], range(80, 0, -1), k=180)) for _ in range(40)]
    stream += [" ".join(word for word in row.split() if rng.random() > 0.2) for row in stream]
    found = RougeIndex(threshold).filter(stream, 99)
    close = close_pairs(stream, threshold)

    assert kept(found) == greedy_kept(len(stream), close, threshold, "reject")
    assert one_by_one(RougeIndex(threshold), stream, 99) == found
    assert threshold > 0.8 or any(found)


def test_profiles_leave_little_of_unlike_long_rows(monkeypatch):
    """Of 4,950 pairs of rows of 600 words none has to be compared word by word."""
    rng = random.Random(9)
    stream = [" ".join(rng.choices([f"w{n}" for n in range(2000)], range(2000, 0, -1), k=600)) for _ in range(100)]
    scored = []
    monkeypatch.setattr(RougeIndex, "_scored", lambda self, left, right: scored.append(len(left)) or (
        np.zeros(len(left)), np.zeros(len(left), bool)))  # fmt: skip
    RougeIndex(0.7).filter(stream)

    assert sum(scored) == 0


@pytest.mark.full
def test_a_million_identical_rows():
    """One is kept; each of the others names it."""
    found = RougeIndex(0.7).filter(["tell me a joke"] * 1_000_000)

    assert kept(found) == [0]
    assert found[-1] == [Neighbour(0, 1.0)]


GOLDEN = {
    "seed_tasks": (175, {74: 0.8235, 113: 0.75}),
    "user_oriented_instructions": (252, {107: 0.7059, 121: 0.7778, 124: 1.0, 240: 0.7368}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_counts_of_the_real_seeds(data_dir, name):
    """Greedy in file order with the released rule drops the known rows at the known scores."""
    count, dropped = GOLDEN[name]
    lines = (data_dir / "self_instruct" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    instructions = [" ".join(json.loads(line)["instruction"].split()) for line in lines]
    found = RougeIndex(0.7, "as_released", "reference").filter(instructions)

    assert len(instructions) == count
    assert {row: round(near[0].score, 4) for row, near in enumerate(found) if near} == dropped


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.7])
@pytest.mark.parametrize("tie", ["reject", "as_released"])
def test_real_seeds_equal_brute_force(data_dir, name, threshold, tie):
    """The 175 seeds and 252 user tasks: the kept set is that of every pair computed."""
    lines = (data_dir / "self_instruct" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    instructions = [json.loads(line)["instruction"] for line in lines]
    pairs = close_pairs(instructions, 0.4)

    expected = greedy_kept(len(instructions), pairs, threshold, tie)
    assert kept(RougeIndex(threshold, tie, "reference").filter(instructions)) == expected


def test_seeds_equal_the_reference_package(data_dir):
    """The 175 seeds scored with `rouge_score` itself."""
    lines = (data_dir / "self_instruct/seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()
    instructions = [json.loads(line)["instruction"] for line in lines]

    for tie in ("reject", "as_released"):
        expected = reference_kept(instructions, 0.7, tie)
        assert kept(RougeIndex(0.7, tie, "reference").filter(instructions)) == expected


def test_arrays_hold_what_the_bounds_promise():
    """Postings are sorted by element and length, and only prefixes are kept."""
    index = RougeIndex(0.7)
    index.filter([f"row number {n} of this list with the word w{n}" for n in range(50)])

    assert np.all(np.diff(index._postings.key) >= 0)
    assert len(index._postings.key) < sum(map(len, index._items))
