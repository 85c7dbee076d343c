"""What a model does not take is learnt from its refusals."""

import json

import pytest

from instructgen.errors import RunError
from instructgen.records import Completion, Params, Request, Turn
from instructgen.teachers.adapt import Adaptation
from instructgen.teachers.learnt import NAME, Learnt
from instructgen.teachers.wire import complaint_of

ASKED = Request(
    messages=(Turn(role="user", content="Hi"),),
    params=Params(temperature=0.7, max_tokens=20, stop=("\n", "END"), seed=5, presence_penalty=1.0, logprobs=True),
)


def refused(shape, message, status=400, request=ASKED, **more):
    error = json.dumps({"error": {"message": message, **more}}).encode()
    return shape.learn(complaint_of(status, error), shape.body(request))


def sent(shape, request=ASKED):
    return json.loads(shape.body(request))


@pytest.mark.parametrize(
    ("message", "more", "name"),
    [
        ("Unsupported value: 'temperature' does not support 0.7. Only the default (1) is supported.",
         {"param": "temperature", "code": "unsupported_value"}, "temperature"),
        ("Unsupported parameter: 'stop' is not supported with this model.",
         {"param": "stop", "code": "unsupported_parameter"}, "stop"),
        ("Unsupported parameter", {"param": "logprobs"}, "logprobs"),
        ("seed is not supported by this model", {}, "seed"),
        ("Unknown name \"presencePenalty\": presence_penalty cannot find field", {}, "presence_penalty"),
        ("[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted'}]", {}, "seed"),
        ("Extra inputs are not permitted", {"param": "body.seed"}, "seed"),
        ("property 'logprobs' is unsupported", {}, "logprobs"),
        ("This model does not support seed.", {}, "seed"),
        ("body.stop: Extra inputs are not permitted", {}, "stop"),
        ("Invalid 'stop': array too long. Expected an array with maximum length 4, but got one with length 5 instead.",
         {"param": "stop", "code": "array_above_max_length"}, "stop"),
        ("You can provide up to 4 stop sequences", {}, "stop"),
    ],
)  # fmt: skip
def test_the_refused_parameter_is_dropped_and_no_other(message, more, name):
    """By `param` where the server sends it, else by the first of our names in its words."""
    shape = Adaptation("m", "max_tokens")
    lesson = refused(shape, message, **more)

    assert name in lesson
    assert set(sent(Adaptation("m", "max_tokens"))) - set(sent(shape)) == {name}


def test_a_lesson_is_told_once():
    """Others that were in flight meet the same refusal; they are asked again, and nobody is told twice."""
    shape, late = Adaptation("m", "max_tokens"), Adaptation("m", "max_tokens").body(ASKED)
    complaint = complaint_of(400, b'{"error": {"message": "seed is not supported"}}')

    assert shape.learn(complaint, shape.body(ASKED))
    assert shape.learn(complaint, late) == ""


def test_the_same_refusal_of_a_request_without_the_parameter_is_final():
    """A server that refuses what is no longer sent cannot be satisfied: no endless loop."""
    shape = Adaptation("m", "max_tokens")
    refused(shape, "seed is not supported")

    assert refused(shape, "seed is not supported") is None


@pytest.mark.parametrize(("first", "second"), [("max_tokens", "max_completion_tokens")] * 2)
def test_the_output_limit_is_respelled_never_dropped(first, second):
    """Money hangs on the limit: the other spelling is tried once, then the refusal stands."""
    shape = Adaptation("m", first)
    message = f"Unsupported parameter: '{first}' is not supported with this model. Use '{second}' instead."

    assert second in refused(shape, message, param=first, code="unsupported_parameter")
    assert sent(shape)[second] == 20
    assert first not in sent(shape)
    assert refused(shape, f"'{second}' is not supported", param=second) is None
    assert sent(shape)[second] == 20


def test_text_completions_keep_the_old_spelling():
    """The completions API knows max_tokens alone."""
    request = Request(mode="text", text="Once", params=Params(max_tokens=5))

    assert sent(Adaptation("m", "max_completion_tokens"), request)["max_tokens"] == 5


@pytest.mark.parametrize(
    "message",
    ["max_tokens is too large: 100000. This model supports at most 4096 completion tokens",
     "Invalid value: temperature must be between 0 and 2", "The model `m` does not exist", "stop it",
     "Unknown model seed-oss-36b", "Unknown model: 'seed'", "The model `seed` does not exist or is not supported",
     "This model is not available anymore, please stop using it", "Unexpected end: stop sequence of seed/x"],
)  # fmt: skip
def test_other_refusals_teach_nothing(message):
    """A wrong value or an unknown model is the user's to mend."""
    assert refused(Adaptation("m", "max_tokens"), message) is None


def test_a_dropped_stop_is_applied_to_the_answer():
    """The text ends before the earliest stop, as if the server had known it; other answers stay as they are."""
    shape = Adaptation("m", "max_tokens")
    answer = Completion(content="one END two\nthree", finish="length")
    assert shape.finish(ASKED, answer) is answer

    refused(shape, "stop is not supported")
    assert shape.finish(ASKED, answer).content == "one "
    assert shape.finish(ASKED, answer).finish == "stop"
    assert shape.finish(ASKED, Completion(content="one", finish="length")).finish == "length"


def test_one_answer_without_form_is_an_accident():
    """Only two in a row show that `response_format` is ignored; a good one between them starts the count again."""
    shape, request = Adaptation("m", "max_tokens"), ASKED.model_copy(update={"answer_schema": {"type": "object"}})
    bad, good = Completion(content="Four."), Completion(content="{}")

    assert [shape.notice(request, each) for each in (bad, good, bad)] == [None] * 3
    assert "response_format" in sent(shape, request)
    assert "do not follow" in shape.notice(request, bad)
    assert "response_format" not in sent(shape, request)


def test_unsaid_parameters_are_not_sent():
    """None of our defaults replaces the endpoint's."""
    assert set(sent(Adaptation("m", "max_tokens"), Request(messages=ASKED.messages))) == {"model", "messages"}


def test_lessons_are_kept_in_the_run_by_endpoint_and_model(tmp_path):
    """And a line torn by a kill, or taken away, is learnt again; what comes after it is not lost with it."""
    url = "http://127.0.0.1:9/v1"
    shape = Adaptation("m", "max_tokens", Learnt(tmp_path).of(url, "m"))
    assert refused(shape, "seed is not supported")
    assert refused(shape, "Unsupported parameter", param="max_tokens")

    again = Adaptation("m", "max_tokens", Learnt(tmp_path).of(url, "m"))
    assert sent(again) == sent(shape)
    assert sent(Adaptation("m", "max_tokens", Learnt(tmp_path).of(url, "other"))).keys() >= {"seed", "max_tokens"}
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-9])
    torn = Adaptation("m", "max_tokens", Learnt(tmp_path).of(url, "m"))
    assert sent(torn).keys() >= {"max_tokens"}
    assert refused(torn, "Unsupported parameter", param="max_tokens")
    assert sent(Adaptation("m", "max_tokens", Learnt(tmp_path).of(url, "m"))) == sent(shape)


def test_a_lesson_that_cannot_be_written_is_an_error(tmp_path):
    """A folder where the file should be."""
    lessons = Learnt(tmp_path / "run").of("", "m")
    with pytest.raises(RunError, match=r"learnt\.jsonl: cannot be written"):
        refused(Adaptation("m", "max_tokens", lessons), "seed is not supported")
