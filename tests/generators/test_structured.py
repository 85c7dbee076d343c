"""Structured answers: schemas, repair of near-JSON, one second question, then a rejection with both texts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from instructgen.generators.structured import (
    MOST_QUOTED,
    Misfit,
    ask_for,
    read_value,
    schema_of,
    structured_bound,
)
from instructgen.records import Completion, Rejection, Request, SlotBound, Turn
from instructgen.teachers.tokens import prompt_bound
from instructgen.testing import play, reply


class Pair(BaseModel):
    question: str = Field(min_length=1)
    answer: str


class Quiz(BaseModel):
    title: str
    pairs: list[Pair] = Field(max_length=3)
    level: int = 1


GOOD = '{"question": "Who?", "answer": "Me"}'
BY_NAME = Request.from_prompt("test.pair", topic="rivers")
PROMPTS = {"test.pair": "Write a pair about {{ topic }}."}


def ask(model, replies, request=BY_NAME):
    return play(ask_for(model, request), replies, prompts=PROMPTS)


@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"  ```\n{GOOD}```",
        f"Here is the pair:\n{GOOD}\nAnything else?",
        "{'question': 'Who?', 'answer': 'Me',}",
        '{question: "Who?", "answer": "Me"',
        '{"question": "Who?" "answer": "Me"}',
        '{"question": "Who?", /* easy */ "answer": "Me"}',
    ],
)
def test_json_and_near_json_become_a_value(said):
    """Fences, talk around it, other quotes, lost commas and brackets."""
    played = ask(Pair, [said])

    assert played.items == Pair(question="Who?", answer="Me")
    assert played.requests[0].answer_schema == schema_of(Pair)


def test_a_wrong_shape_is_shown_to_the_teacher_once():
    """The second question holds the prompt, the answer and what is wrong with it."""
    played = ask(Pair, ['{"question": "", "reply": 3}', GOOD])
    first, second = played.requests

    assert played.items == Pair(question="Who?", answer="Me")
    assert [turn.role for turn in second.messages] == ["user", "assistant", "user"]
    assert second.messages[0] == first.messages[0]
    assert second.messages[1].content == '{"question": "", "reply": 3}'
    assert "- question: String should have at least 1 character\n- answer: Field required" in second.messages[2].content
    assert second.answer_schema == first.answer_schema
    assert second.hash != first.hash


def test_after_the_second_wrong_answer_both_raw_texts_are_kept():
    """The rejection names the problems and both requests."""
    played = ask(Pair, ["No.", '{"question": "Who?"}'])
    rejection = played.items

    assert (rejection.stage, rejection.reason) == ("parse", "wrong_shape")
    assert rejection.evidence == {"problems": ["answer: Field required"], "first": "No."}
    assert rejection.text == '{"question": "Who?"}'
    assert rejection.requests == tuple(request.hash for request in played.requests)


@pytest.mark.parametrize(("said", "reason"), [("Sorry, no.", "not_json"), ("", "not_json"), ("[1]", "wrong_shape")])
def test_reasons(said, reason):
    """What cannot be read, and what does not fit."""
    assert ask(Pair, [said, said]).items.reason == reason


def test_a_cut_answer_is_never_repaired():
    """What is missing cannot be known; one that happens to be whole is taken."""
    cut = reply('{"question": "Who?", "answer": "It was', truncated=True)

    assert ask(Pair, [cut, cut]).items.reason == "truncated"
    assert ask(Pair, [cut, GOOD]).items == Pair(question="Who?", answer="Me")
    assert ask(Pair, [reply(GOOD, truncated=True)]).items == Pair(question="Who?", answer="Me")


def test_a_refusal_is_a_rejection_by_the_teacher():
    """At the first question without a second one, at the second with the first answer kept."""
    first = ask(Pair, [reply(refused="content_filter")])
    second = ask(Pair, ["Hm.", reply(refused="content_filter")])

    assert (first.items.stage, first.items.reason, len(first.requests)) == ("teacher", "content_filter", 1)
    assert (second.items.stage, second.items.evidence) == ("teacher", {"first": "Hm."})


def test_messages_written_by_hand_go_on_as_a_conversation():
    """Without a prompt template."""
    by_hand = Request(messages=(Turn(role="system", content="Be terse."), Turn(role="user", content="A pair?")))
    played = ask(Pair, ["Hm.", GOOD], by_hand)

    assert [turn.role for turn in played.requests[1].messages] == ["system", "user", "assistant", "user"]


def test_the_schema_is_strict_all_the_way_down():
    """Every object requires all its properties and allows no others; titles and defaults are gone, fields stay."""
    schema = schema_of(Quiz)
    pair = schema["$defs"]["Pair"]

    assert schema["required"] == ["title", "pairs", "level"]
    assert (schema["additionalProperties"], pair["additionalProperties"]) == (False, False)
    assert schema["properties"]["title"] == {"type": "string"}
    assert schema["properties"]["level"] == {"type": "integer"}
    assert json.loads(json.dumps(schema)) == schema
    named = create_model("Named", title=(Pair, ...), default=(Pair, ...))
    assert set(schema_of(named)["properties"]) == {"title", "default"}


def test_the_bound_covers_the_longest_second_question():
    """A quoted answer is cut in its middle, and the problems are few and short."""
    long = "{" + "é" * 50_000
    many = create_model("Many", **{f"field_{n}_{'x' * 400}": (int, ...) for n in range(30)})
    for model, said in ((Pair, long), (many, json.dumps({"answer": "no"}))):
        played = play(ask_for(model, BY_NAME), [said, said], prompts=PROMPTS)
        first, second = (
            SlotBound(requests=1, prompt_tokens=prompt_bound(request), completion_tokens=100)
            for request in played.requests
        )
        allowed, taken = structured_bound(first), first + second
        assert (allowed.requests, allowed.completion_tokens) == (taken.requests, taken.completion_tokens)
        assert allowed.prompt_tokens >= taken.prompt_tokens
        assert len(second.as_json()) == 3
        assert len(played.requests[1].messages[1].content) <= MOST_QUOTED


@given(st.one_of(st.text(), st.text(alphabet='{}[]":,\'\\ntrue 0123\n`'), st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
).map(json.dumps)))  # fmt: skip
def test_any_text_is_a_value_or_a_misfit(said):
    """Never another exception."""
    try:
        assert isinstance(read_value(Quiz, Completion(content=said)), Quiz)
    except Misfit as misfit:
        assert misfit.reason in ("not_json", "wrong_shape")
        assert misfit.problems


PRINTED = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@given(st.tuples(PRINTED, PRINTED), st.sampled_from(["{%s}", "```json\n{%s}\n```", "{%s,}", "Sure! {%s}"]))
def test_a_value_survives_its_dress(pair, dress):
    """Strings of any kind come back as they were from near-JSON too, unless they are themselves JSON's own signs."""
    question, answer = (part.translate({ord(sign): "_" for sign in "`\"'{}[]\\:,/"}) for part in pair)
    question = question or "x"
    inner = json.dumps({"question": question, "answer": answer})[1:-1]
    value = ask(Pair, [dress % inner]).items

    assert not isinstance(value, Rejection)
    assert value == Pair(question=question, answer=answer)
