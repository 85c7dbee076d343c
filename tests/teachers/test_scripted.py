"""The scripted teacher: functions, lists, files, and where an ordered script goes on."""

import asyncio
import json
import sys

import pytest

from instructgen.errors import DataError, InstructgenError, MissingAnswer, RecipeError, TeacherError
from instructgen.records import Completion, Request, Turn, Usage
from instructgen.teachers import Sitting
from instructgen.teachers.scripted import ScriptedTeacher


def ask(text):
    return Request(messages=(Turn(role="user", content=text),))


def answers(teacher, *texts, answered=0):
    """Ask one after another; return the completions, or the exception that came."""

    async def run():
        async with teacher.connect_run(Sitting(answered=answered)) as connection:
            return [await connection.complete(ask(text)) for text in texts]

    return asyncio.run(run())


def shout(request):
    return request.messages[-1].content.upper()


def test_a_function_sees_the_request_and_its_text_becomes_a_completion():
    """The reply carries the request's hash, and usage marked as estimated."""
    (said,) = answers(ScriptedTeacher(function=shout), "hello you")

    assert ("HELLO YOU", ask("hello you").hash) == (said.text, said.request)
    assert Usage(requests=1, prompt_tokens=3, completion_tokens=3, estimated=True) == said.usage


def test_a_function_may_be_async_and_may_return_a_completion():
    """Its own usage and refusal are kept as they are."""

    async def slow(request):
        await asyncio.sleep(0)
        return Completion(finish="refused", refusal="content_filter", usage=Usage(requests=1, prompt_tokens=9))

    (said,) = answers(ScriptedTeacher(function=slow), "x")

    assert (said.refusal, said.usage.prompt_tokens) == ("content_filter", 9)


def test_a_function_is_found_by_module_name_and_by_file(tmp_path):
    """Recipes name functions as text; a file is taken relative to the recipe's folder."""
    (tmp_path / "mine.py").write_text("def answer(request):\n    return 'from a file'\n")
    by_file = ScriptedTeacher(function="mine.py:answer").located(tmp_path)
    sys.modules.setdefault("test_scripted_module", sys.modules[__name__])
    by_name = ScriptedTeacher(function="test_scripted_module:shout")

    assert answers(by_file, "x")[0].text == "from a file"
    assert answers(by_name, "x")[0].text == "X"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("shout", "expected 'module:function'"),
        ("no_such_module:shout", "no_such_module cannot be imported"),
        ("json:no_such_name", "json has no 'no_such_name'"),
        ("json:__name__", "is a str, not a function"),
        ("missing.py:answer", "missing.py cannot be imported"),
    ],
)
def test_a_wrong_function_name_says_which_part_is_wrong(name, problem):
    """The error names the module or the attribute."""
    with pytest.raises(RecipeError, match=problem):
        answers(ScriptedTeacher(function=name), "x")


def test_a_function_that_fails_or_says_nothing_is_a_teacher_error():
    """The run stops with its slots open; nothing becomes an answer."""
    with pytest.raises(TeacherError, match="ZeroDivisionError"):
        answers(ScriptedTeacher(function=lambda request: 1 / 0), "x")
    with pytest.raises(TeacherError, match="returned a NoneType"):
        answers(ScriptedTeacher(function=lambda request: None), "x")


def test_a_list_is_handed_out_in_order_and_then_an_answer_is_missing():
    """Window and concurrency are 1; the error says what to do."""
    teacher = ScriptedTeacher(replies=("one", {"reply": "tw", "finish": "length"}), concurrency=8)

    assert (teacher.ordered, teacher.places) == (True, 1)
    assert [(said.text, said.truncated) for said in answers(teacher, "a", "b")] == [("one", False), ("tw", True)]
    with pytest.raises(MissingAnswer, match="holds 2 replies and all are used"):
        answers(teacher, "a", "b", "c")


def test_a_function_answers_at_any_concurrency():
    """Only lists are ordered."""
    teacher = ScriptedTeacher(function=shout, concurrency=8)

    assert (teacher.ordered, teacher.places) == (False, 8)


def test_a_second_sitting_goes_on_after_the_answers_that_the_store_holds():
    """Answers already bought take no line of the script."""
    teacher = ScriptedTeacher(replies=("one", "two", "three"))

    assert [said.text for said in answers(teacher, "c", answered=2)] == ["three"]


def test_a_file_of_lines_is_read_and_a_wrong_line_is_named(tmp_path):
    """Refusals are lines too; the error names file, line and what a line holds."""
    path = tmp_path / "replies.jsonl"
    path.write_text('{"reply": "né"}\n\n{"refusal": "content_filter", "message": "no"}\n', encoding="utf-8")
    said = answers(ScriptedTeacher(replies="replies.jsonl").located(tmp_path), "a", "b")

    assert (said[0].text, said[1].refusal, said[1].finish) == ("né", "content_filter", "refused")
    for line, problem in (
        ('{"replay": "x"}', "key 'replay' is not known; did you mean 'reply'"),
        ('{"reply": 3}', "reply: Input should be a valid string"),
        ('{"finish": "stop"}', "has neither 'reply' nor 'refusal'"),
        ('{"reply": "a", "refusal": "b"}', "both a reply and a refusal"),
        ('["reply"]', "expected an object"),
        ('{"reply": ', "not JSON"),
    ):
        path.write_text('{"reply": "a"}\n' + line + "\n")
        with pytest.raises(DataError, match=f"replies.jsonl:2: .*{problem}"):
            answers(ScriptedTeacher(replies=str(path)), "a")


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    """No such file."""
    with pytest.raises(DataError, match=r"gone\.jsonl: no such file"):
        answers(ScriptedTeacher(replies=str(tmp_path / "gone.jsonl")), "a")


def test_it_takes_either_a_list_or_a_function():
    """Both or neither is refused."""
    for options in ({}, {"replies": ("a",), "function": shout}):
        with pytest.raises(ValueError, match="either 'replies'"):
            ScriptedTeacher(**options)


def test_a_function_is_frozen_by_its_name():
    """What a recipe file holds of a function is 'module:function'."""
    frozen = json.loads(ScriptedTeacher(function=shout).model_dump_json(exclude_none=True))

    assert f"{__name__}:shout" == frozen["function"]
    assert issubclass(DataError, InstructgenError)
