"""Alpaca's batch: one request, many complete tasks, and replies that keep to the form or do not."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from instructgen.files import bundled_dir
from instructgen.generators.alpaca import Alpaca
from instructgen.records import Rejection, Sample, SlotBound
from instructgen.teachers.tokens import request_bound
from instructgen.testing import make_sample, make_seed, make_view, play, reply

SEEDS = [make_seed(f"Seed task number {n}:", input="" if n % 2 else f"in {n}", output=f"out {n}") for n in range(6)]
VIEW = make_view(SEEDS, [make_sample("Machine task")])


def story(said, **options):
    return play(Alpaca(**options).flow(VIEW, Random(0)), [said])


def told(items):
    return [(item.instruction, item.input, item.output) if isinstance(item, Sample) else item.reason for item in items]


SECOND = "5. Instruction: Sort.\n5. Input:\n2 1\n5. Output:\n1 2"
GOOD = f" Name a river.\n4. Input:\n<noinput>\n4. Output:\nThe Po\n###\n{SECOND}\n"
TWO = [("Name a river.", "", "The Po"), ("Sort.", "2 1", "1 2")]


def test_the_prompt_shows_three_seeds_and_no_machine_task():
    """Machine-made tasks never return into the prompt; shots are complete, and the reply begins at number 4."""
    request = story(GOOD).requests[0]
    prompt = request.messages[0].content

    assert [prompt.count("Seed task number"), prompt.count("Machine task")] == [3, 0]
    assert ":\n1. Input:\n" not in prompt.split("1. Instruction:")[1].split("\n")[0]
    assert "<noinput>" in prompt.split("###", 1)[1] or "in " in prompt
    assert prompt.endswith("###\n4. Instruction:")


@pytest.mark.parametrize("fidelity", ["fixed", "as_released", "paper"])
def test_a_good_reply_reads_the_same_in_every_fidelity(fidelity):
    """A reply that keeps to the form gives its tasks, with the three seeds as parents and one request."""
    played = story(GOOD, fidelity=fidelity)

    assert told(played.items) == TWO
    assert all(len(sample.provenance.parents) == 3 for sample in played.samples)
    assert all((played.requests[0].hash,) == sample.provenance.requests for sample in played.samples)


@pytest.mark.parametrize(
    ("text", "fixed", "as_released"),
    [
        (GOOD.replace("###", "##"), TWO, [("Name a river.", "", f"The Po\n##\n{SECOND}")]),
        (GOOD.replace("###\n", ""), TWO, [("Name a river.", "", f"The Po\n{SECOND}")]),
        (GOOD.replace("5.", "9."), TWO, [TWO[0], "wrong_parts"]),
        (GOOD.replace("<noinput>", "< noinput >."), TWO, [("Name a river.", "< noinput >.", "The Po"), TWO[1]]),
        (GOOD.replace("<noinput>", "No input required"), TWO,
         [("Name a river.", "No input required", "The Po"), TWO[1]]),
        (GOOD.replace("<noinput>", "N/A"), TWO, [("Name a river.", "N/A", "The Po"), TWO[1]]),
        (GOOD.replace("4. Input:\n<noinput>\n", ""), TWO, ["wrong_parts", TWO[1]]),
        (GOOD.replace("The Po", ""), ["missing_output", TWO[1]], [("Name a river.", "", ""), TWO[1]]),
        (GOOD.replace("5. Output:\n1 2\n", ""), [TWO[0], "missing_output"], [TWO[0], "wrong_parts"]),
        (GOOD.replace("The Po", "Input: Po\nOutput: Po"),
         [("Name a river.", "", "Input: Po\nOutput: Po"), TWO[1]],
         [("Name a river.", "", "Input: Po\nOutput: Po"), TWO[1]]),
        ("Here you are!\n\n4. Instruction:" + GOOD, ["preamble", *TWO], ["wrong_parts", TWO[1]]),
        ("**4. Instruction:**" + GOOD.replace("4. Input:", "**4. Input:**"), TWO, ["wrong_parts", TWO[1]]),
        (GOOD + "###\n6. Instruction: In 2020. What", [*TWO, "missing_output"], [*TWO, "wrong_parts"]),
        ("I cannot help with that.", ["missing_output"], ["wrong_parts"]),
        ("Instruction: Say hi.\nInput: none\nOutput: Hi", [("Say hi.", "", "Hi")], ["wrong_parts"]),
        ("4. Instructions: Say hi.\nInput:\nnone\nOutput:\nHi", [("Say hi.", "", "Hi")], ["wrong_parts"]),
        (" Fill in:\nInstruction: x\n4. Output:\nInput: Hi", ["preamble", ("x", "", "Input: Hi")], ["wrong_parts"]),
        (" A.\nInput: x\nOutput: y\n5. Instruction: B.\n5. Output: z", [("A.", "x", "y"), ("B.", "", "z")],
         ["wrong_parts"]),
        ("", ["no_task"], ["wrong_parts"]),
    ],
)  # fmt: skip
def test_replies_that_leave_the_form(text, fixed, as_released):
    """Fixed reads by field headers and repairs what the release loses; as_released wants exactly seven parts."""
    assert fixed == told(story(text).items)
    assert as_released == told(story(text, fidelity="as_released").items)


@pytest.mark.parametrize("fidelity", ["fixed", "as_released"])
def test_only_the_last_task_of_a_cut_reply_is_dropped(fidelity):
    """Length cuts the last task; the ones before it are whole."""
    assert [TWO[0], "truncated"] == told(story(reply(GOOD, truncated=True), fidelity=fidelity).items)


def test_a_refused_request_is_one_rejection():
    """The endpoint's refusal is an outcome of the slot's one request."""
    assert [(r.stage, r.reason) for r in story(reply(refused="content_filter")).items] == [
        ("teacher", "content_filter")
    ]


def test_tasks_beyond_the_number_asked_for_are_surplus():
    """With count=4 and three shown one task was asked for; the second is a rejection that holds its sample."""
    played = story(GOOD, count=4)

    assert [TWO[0], "surplus_task"] == told(played.items)
    assert played.rejections[0].sample.instruction == "Sort."


@pytest.mark.parametrize(
    ("fidelity", "stop", "bias"),
    [
        ("fixed", ("\n21. Instruction", "\n###\n21."), {}),
        ("paper", ("\n20", "20.", "20."), {}),
        ("as_released", ("\n20", "20.", "20."), {"50256": -100.0}),
    ],
)
def test_parameters_by_fidelity(fidelity, stop, bias):
    """The released numbers; fixed has no stop string that fires inside a number such as 1920."""
    params = story(GOOD, fidelity=fidelity).requests[0].params

    assert (params.temperature, params.top_p, params.max_tokens) == (1.0, 1.0, 3072)
    assert (stop, bias) == (params.stop, params.logit_bias)


def test_no_slot_takes_more_than_its_bound():
    """With the longest fields the request stays within what the slot declares, and the template within its part."""
    long = [make_seed("译" * 5_000, input="🌊" * 5_000, output="ب" * 5_000, id=str(n)) for n in range(3)]
    request = play(Alpaca().flow(make_view(long), Random(0)), [""]).requests[0]
    taken, bound = request_bound(request, 0), Alpaca().slot_bound()

    assert (bound.requests, bound.completion_tokens) == (1, 3072)
    assert bound.prompt_tokens >= taken.prompt_tokens > 3 * 3 * 3_990
    assert len((bundled_dir("prompts") / "alpaca.batch.txt").read_bytes()) <= Alpaca().template_bytes


HEADERS = [
    "\n###\n",
    "\n##\n",
    "4. Instruction:",
    "\n5. Input:\n",
    "\n6. Output: ",
    "\nOutput:",
    "\nInput:",
    "\nInstruction:",
    "\n",
]
WORDS = ["river", "NASA", "20.", "3.14", "一二", "ok", "<noinput>"]


@given(
    st.lists(st.sampled_from(HEADERS + WORDS) | st.text(max_size=5), max_size=30).map(" ".join),
    st.sampled_from(["fixed", "as_released", "paper"]),
    st.booleans(),
)
def test_any_reply_gives_samples_or_rejections(text, fidelity, truncated):
    """Whatever a teacher says, there is at least one item, never an exception."""
    items = story(reply(text, truncated=truncated), fidelity=fidelity).items

    assert items
    assert all(isinstance(item, Sample | Rejection) for item in items)


@given(
    st.lists(st.sampled_from([*HEADERS, "river", "NASA", "alpha", "一二"]), max_size=30).map(" ".join), st.booleans()
)
def test_no_word_of_a_reply_is_lost(text, truncated):
    """Every word stands in a sample or in the text of a rejection, as often as the teacher said it."""
    found = " ".join(
        f"{item.instruction} {item.input} {item.output}" if isinstance(item, Sample) else item.text
        for item in story(reply(text, truncated=truncated), count=99).items
    )

    for word in ("river", "NASA", "alpha", "一二"):
        assert text.count(word) == found.count(word)


WRITTEN = (
    '{"tasks": [{"instruction": "Name a river.", "input": "<noinput>", "output": "The Po"}, '
    '{"instruction": "Sort.", "input": "2 1", "output": "1 2"}]}'
)


def structured(*said, **options):
    return play(Alpaca(structured=True, **options).flow(VIEW, Random(0)), said)


@pytest.mark.parametrize("said", [WRITTEN, f"Here:\n```json\n{WRITTEN}\n```", WRITTEN.replace("}]}", "},]}")])
def test_structured_tasks_are_asked_by_schema_and_near_json_is_read(said):
    """One request that carries the schema; three seeds shown, the rest of the twenty asked for."""
    played = structured(said)

    assert told(played.items) == TWO
    assert all(len(sample.provenance.parents) == 3 for sample in played.samples)
    (request,) = played.requests
    assert list(request.answer_schema["properties"]) == ["tasks"]
    assert request.messages[0].content.startswith("Write 17 new tasks")
    assert request.messages[0].content.count("Seed task number") == 3


def test_a_structured_reply_that_does_not_fit_is_asked_for_once_more():
    """With what is wrong; after that it is one rejection with both texts. A cut reply is asked for again, too."""
    assert told(structured("No.", WRITTEN).items) == TWO
    assert told(structured(reply(WRITTEN[:60], truncated=True), WRITTEN).items) == TWO
    played = structured('{"tasks": [{"instruction": 7}]}', "Never.")

    assert "tasks.0.instruction: Input should be a valid string" in played.requests[1].messages[-1].content
    (rejection,) = played.rejections
    assert (rejection.reason, rejection.text) == ("not_json", "Never.")
    assert rejection.evidence["first"] == '{"tasks": [{"instruction": 7}]}'


def test_structured_tasks_without_an_answer_or_beyond_the_number_are_rejections():
    """A task that lacks a field costs itself alone; nothing at all is a rejection as well."""
    lacking = '{"tasks": [{"instruction": "Sort."}, {"output": "x", "instruction": " "}]}'
    assert told(structured(lacking).items) == ["missing_output", "missing_instruction"]
    assert told(structured(WRITTEN, count=4).items) == [TWO[0], "surplus_task"]
    assert told(structured('{"tasks": []}').items) == ["no_task"]
    assert told(structured(reply(refused="content_filter")).items) == ["content_filter"]


def test_structured_is_no_part_of_the_released_method():
    """Nor of a text completion, which has no second turn."""
    for options in ({"fidelity": "as_released"}, {"endpoint": "text"}):
        with pytest.raises(ValidationError, match="needs endpoint: chat and fidelity: fixed"):
            Alpaca(structured=True, **options)


def test_no_structured_slot_takes_more_than_its_bound():
    """Both questions, with the longest fields, the schema in the prompt and the longest wrong answer."""
    long = [make_seed("译" * 5_000, input="🌊" * 5_000, output="ب" * 5_000, id=str(n)) for n in range(3)]
    generator = Alpaca(structured=True)
    played = play(generator.flow(make_view(long), Random(0)), ["译" * 20_000, "x"])
    taken = sum((request_bound(request, 0) for request in played.requests), SlotBound())

    bound = generator.slot_bound()
    assert (taken.requests, taken.completion_tokens) == (bound.requests, bound.completion_tokens) == (2, 6144)
    assert bound.prompt_tokens >= taken.prompt_tokens > 0.8 * bound.prompt_tokens


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), min_size=2, max_size=2), st.booleans())
def test_any_structured_reply_gives_samples_or_rejections(texts, truncated):
    """Whatever a teacher says, twice."""
    items = structured(*(reply(text, truncated=truncated) for text in texts)).items

    assert items
    assert all(isinstance(item, Sample | Rejection) for item in items)
