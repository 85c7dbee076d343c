"""The ambiguity linter on a hand-labelled table, its precision and recall there, and the rewrite driven by hand."""

import json
from random import Random

import pytest

from instructgen.filters.ambiguity import Ambiguity
from instructgen.filters.clarify import Clarify, open_points
from instructgen.records import Rejection, Sample
from instructgen.testing import make_seed, make_view, play

LABELLED = [  # instruction, input, what a person finds open
    ("Summarise it.", "", {"dangling_reference", "vague_task"}),
    ("Tell me about them.", "", {"dangling_reference"}),
    ("Explain this.", "", {"vague_task"}),
    ("Fix it", "", {"dangling_reference", "vague_task"}),
    ("Correct the following sentence.", "", {"missing_material"}),
    ("Sort the numbers below.", "", {"missing_material"}),
    ("Write a poem about rain and then translate it into French.", "", {"several_tasks"}),
    ("Name a river. Then describe its source.", "", {"several_tasks"}),
    ("Explain gravity. Also, give an example.", "", {"several_tasks"}),
    ("Write a short story about a fox.", "", {"vague_length"}),
    ("Describe rain in a few words.", "", {"vague_length"}),
    ("Write something brief about rain.", "", {"vague_length"}),
    ("Put the list into a proper format.", "a b", {"vague_form"}),
    ("List fruits, vegetables etc", "", {"vague_form"}),
    ("Summarise it.", "A long letter.", set()),
    ("Is it raining when clouds form?", "", set()),
    ("Write a story of 100 words about a fox.", "", set()),
    ("Write a short story of 100 words.", "", set()),
    ("Name the capital of France.", "", set()),
    ("The dog barks. Why does it bark?", "", set()),
    ("Explain why the sky is blue.", "", set()),
    ("Correct the following sentence: he go", "", set()),
    ("What is it called when water freezes?", "", set()),
    ("List three rivers and their lengths.", "", set()),
    ("Describe how bees find their way home.", "", set()),
    ("Translate the sentence into French.", "Good day", set()),
    ("Write a function that sorts a given list.", "", set()),
]


@pytest.mark.parametrize(("instruction", "material", "expected"), LABELLED)
def test_the_linter_finds_what_a_person_finds(instruction, material, expected):
    """All of the table, reason by reason."""
    assert set(open_points(instruction, material)) == expected


def test_everything_is_a_flag_unless_rated_otherwise():
    """Vague is not wrong: by default nothing is dropped."""
    sample = Sample.single("Summarise it.", output="x")

    assert Ambiguity().check(sample) is None
    assert set(Ambiguity().flags(sample)) == {"dangling_reference", "vague_task"}
    assert Ambiguity(rate={"vague_task": "drop"}).check(sample).reason == "vague_task"


VIEW = make_view([make_seed("Summarise it.")])
CLEAR = json.dumps({"instruction": "Summarise the letter in two sentences.", "input": "Dear Ann, we came home."})


def clarified(*replies, seeds=("Summarise it.",), **options):
    return play(Clarify(**options).flow(make_view([make_seed(each) for each in seeds]), Random(0)), replies)


def test_an_ambiguous_seed_is_rewritten_judged_and_answered():
    """Three requests, one sample that names its parent."""
    played = clarified(CLEAR, '{"same_task": 5, "clear": 4.5}', "They came home.")
    (sample,) = played.samples

    assert (sample.instruction, sample.output) == ("Summarise the letter in two sentences.", "They came home.")
    assert len(sample.provenance.parents) == 1
    assert len(sample.provenance.requests) == 3
    assert "refers to nothing" in played.requests[0].messages[1].content


def test_a_clear_seed_costs_nothing():
    """Nothing open, nothing asked."""
    played = clarified(seeds=("Name the capital of France.",))

    assert (played.items, played.requests) == ([], [])


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        (["Sure!"], "unreadable_rewrite"),
        ([json.dumps({"instruction": "Explain it.", "input": ""})], "still_ambiguous"),
        ([CLEAR, "fine"], "unreadable_score"),
        ([CLEAR, '{"same_task": 1, "clear": 5}'], "rewrite_not_better"),
        ([CLEAR, '{"same_task": 5, "clear": 2}'], "rewrite_not_better"),
    ],
)
def test_a_rewrite_that_does_not_hold_is_a_rejection(replies, reason):
    """Unreadable, still open, or judged another task: counted, and nothing more is paid."""
    (rejection,) = clarified(*replies).items

    assert isinstance(rejection, Rejection)
    assert rejection.reason == reason


def test_the_rewrite_stays_within_its_bound():
    """Requests, prompt bytes and output tokens."""
    played = clarified(CLEAR, '{"same_task": 5, "clear": 5}', "x")
    bound = Clarify().slot_bound()

    assert len(played.requests) == bound.requests
    assert sum(request.prompt_bytes for request in played.requests) <= bound.prompt_tokens
    assert sum(request.params.max_tokens for request in played.requests) <= bound.completion_tokens
