"""Calls and observations in ShareGPT rows, as LLaMA-Factory defines them."""

import json

import pytest

from instructgen.exporters.checks import Checks
from instructgen.formats import Unwritable
from instructgen.formats.detect import detect, read
from instructgen.records import Turn
from tests.formats.holding import FORMATS
from tests.formats.test_round_trips import through, through_parquet

TOOLS, PLAIN, OPENAI = FORMATS["sharegpt_tools"], FORMATS["sharegpt"], FORMATS["openai"]
ADD = {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}}
CALL = '{"name": "add", "arguments": {"left": 2, "unit": "€"}}'


def row(*said, tools=json.dumps([ADD])):
    return {"id": "7", "conversations": [{"from": who, "value": text} for who, text in said], "tools": tools}


CALLED = row(("human", "2 + 40?"), ("function_call", CALL), ("observation", "42"), ("gpt", "It is 42."))
TWICE = row(
    ("system", "Be brief."), ("human", "Both?"), ("function_call", f"[{CALL}, {CALL}]"), ("observation", "[1, 2]"),
    ("function_call", CALL), ("observation", "3"), ("gpt", "Three."),
)  # fmt: skip


@pytest.mark.parametrize("given", [CALLED, TWICE, row(("human", "Hi"), ("gpt", "Ho"), tools="")])
def test_rows_are_written_back_unchanged(given):
    """Reading and writing is the identity, also through a provenance column."""
    (sample,) = TOOLS.read(given)

    assert TOOLS.write(sample) == given
    assert through(TOOLS, sample) == through_parquet(TOOLS, sample) == sample


def test_calls_become_calls():
    """`function_call` and `observation` are a call and its answer, `tools` are tools: OpenAI's rows say the same."""
    (sample,) = PLAIN.read(CALLED)

    assert detect([CALLED], FORMATS.values()).format.name == "sharegpt_tools"
    assert OPENAI.write(sample) == {
        "messages": [
            {"role": "user", "content": "2 + 40?"},
            {"role": "assistant", "tool_calls": [
                {"id": "call_1", "type": "function",
                 "function": {"name": "add", "arguments": '{"left": 2, "unit": "€"}'}}]},
            {"role": "tool", "content": "42", "tool_call_id": "call_1"},
            {"role": "assistant", "content": "It is 42."},
        ],
        "tools": [{"type": "function", "function": ADD}],
    }  # fmt: skip
    checks = Checks()
    checks.look(sample, 1)
    assert checks.findings() == []


@pytest.mark.parametrize("ids", [("", ""), ("call_1", "call_1"), ("x", "x"), ("x", ""), ("", "call_1")])
def test_ids_and_spelling_travel_beside_the_row(ids):
    """What an OpenAI row says of ids and spaces is there again after this shape."""
    call = {**({"id": ids[0]} if ids[0] else {}), "function": {"name": "add", "arguments": '{"left":2 }'}}
    message = {"role": "tool", "content": "2", **({"tool_call_id": ids[1]} if ids[1] else {})}
    asked = [{"role": "user", "content": "2?"}, {"role": "assistant", "tool_calls": [call]}, message]
    ((sample,),) = [OPENAI.read({"messages": [*asked, {"role": "assistant", "content": "2"}], "tools": []})]

    assert through(TOOLS, sample) == sample


def test_tools_without_ids_are_answered():
    """A call and an answer that both have no id belong together."""
    checks = Checks()
    asked = {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": "{}"}}]}
    turns = [{"role": "user", "content": "?"}, asked, {"role": "tool", "content": "2"}]
    (sample,) = OPENAI.read({"messages": [*turns, {"role": "assistant", "content": "2"}]})
    checks.look(sample, 1)

    assert checks.findings() == []


def with_turns(*turns, **fields):
    (sample,) = TOOLS.read(CALLED)
    return sample.model_copy(update={"turns": (*sample.turns[:1], *turns, *sample.turns[-1:]), **fields})


GOOD = {"function": {"name": "add", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (with_turns(Turn(role="assistant", content="Wait.", tool_calls=(GOOD,))), "tool_call"),
        (with_turns(Turn(role="assistant", tool_calls=({"function": {"name": "f", "arguments": "no"}},))), "tool_call"),
        (with_turns(Turn(role="assistant", tool_calls=({"function": {"name": "f", "arguments": "3"}},))), "tool_call"),
        (with_turns(Turn(role="assistant", tool_calls=({"name": "f"},))), "tool_call"),
        (with_turns(Turn(role="tool", content="1"), Turn(role="tool", content="2")), "tool_answers"),
        (with_turns(tools=({"name": "f"},)), "tools"),
    ],
)
def test_what_has_no_place_is_refused_by_name(sample, reason):
    """Text beside calls, arguments that are no object, answers side by side, tools of another shape."""
    with pytest.raises(Unwritable) as refused:
        TOOLS.write(sample)
    assert refused.value.reason == reason


def test_the_plain_shape_refuses_tools():
    """`sharegpt` stays what every trainer reads."""
    (sample,) = PLAIN.read(CALLED)
    with pytest.raises(Unwritable, match="tools"):
        PLAIN.write(sample)


@pytest.mark.parametrize(
    "text", ["add(2, 40)", "[]", '{"name": "add"}', '{"name": 1, "arguments": {}}', "NaN", "[" * 9999]
)
def test_a_call_that_is_none_stays_a_text(text):
    """It is no error, is not lost, and is not handed to trainers as a call, at which they would stop."""
    ((sample),) = read([(1, row(("human", "?"), ("function_call", text), ("gpt", "!"), tools="none"))], TOOLS)

    assert sample.turns[1].content == text
    assert sample.extra == {"tools": "none"}
    assert through(TOOLS, sample) == sample
    assert [part["from"] for part in TOOLS.write(sample)["conversations"]] == ["human", "gpt", "gpt"]
