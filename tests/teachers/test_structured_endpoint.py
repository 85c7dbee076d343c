"""Structured output at the endpoint: a JSON schema where it is taken, words in the prompt where it is not."""

import asyncio
import json
import logging

import pytest

from instructgen.records import Params, Request, Turn
from instructgen.teachers.openai import OpenAITeacher
from instructgen.teachers.tokens import SCHEMA_WORDS, prompt_bound
from tests.servers.faults import Faults
from tests.servers.openai_server import serve

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def asked(n):
    turns = (Turn(role="system", content="Count."), Turn(role="user", content=f"Number {n}?"))
    return Request(messages=turns, answer_schema=SCHEMA, params=Params(max_tokens=50))


class Endpoint:
    """Answers in JSON when it is told the schema in a way that it heeds; keeps every body."""

    def __init__(self, heeds_format=True):
        self.heeds_format, self.bodies = heeds_format, []

    def __call__(self, body):
        self.bodies.append(body)
        told = ("response_format" in body and self.heeds_format) or SCHEMA_WORDS in body["messages"][-1]["content"]
        return '{"n": 4}' if told else "The number is four."


def answers(server, count=2):
    async def run():
        async with OpenAITeacher(model="m", base_url=server.url).connect() as connection:
            return [await connection.complete(asked(n)) for n in range(count)]

    return [said.text for said in asyncio.run(run())]


def test_an_endpoint_that_takes_a_schema_is_told_so_by_parameter():
    """Strict, and not a word in the prompt."""
    endpoint = Endpoint()
    with serve(endpoint) as server:
        assert answers(server) == ['{"n": 4}', '{"n": 4}']

    sent = endpoint.bodies[0]
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }
    assert sent["messages"][-1]["content"] == "Number 0?"


@pytest.mark.parametrize(
    "words",
    [
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        "Invalid schema for response_format 'answer': In context=(), 'allOf' is not permitted.",
        "This response_format type is unavailable now",
        "This model does not support response format `json_schema`.",
    ],
)
def test_a_refused_schema_goes_into_the_prompt_from_then_on(words, caplog):
    """Learnt from one refusal, said once; in the words of OpenAI (twice), DeepSeek and Groq."""
    endpoint = Endpoint()
    with serve(endpoint) as server:
        plain = server.outcome
        refusal = {"error": {"message": words, "type": "invalid_request_error", "param": None, "code": None}}
        server.outcome = lambda path, body: (400, refusal) if "response_format" in body else plain(path, body)
        with caplog.at_level(logging.WARNING):
            assert answers(server, 3) == ['{"n": 4}'] * 3
        assert server.bill.requests == 4

    assert len(caplog.records) == 1
    assert "the prompt says the schema from now on" in caplog.text
    assert all("response_format" not in body for body in endpoint.bodies)
    content = endpoint.bodies[0]["messages"][-1]["content"]
    assert content.startswith("Number 0?" + SCHEMA_WORDS)
    assert json.loads(content.removeprefix("Number 0?" + SCHEMA_WORDS)) == SCHEMA


def test_a_schema_that_is_silently_ignored_is_noticed_by_the_answer(caplog):
    """After two in a row; both are handed on as they are, so that nothing is asked beyond what the flow declared."""
    endpoint = Endpoint(heeds_format=False)
    with serve(endpoint) as server, caplog.at_level(logging.WARNING):
        assert answers(server, 4) == ["The number is four."] * 2 + ['{"n": 4}'] * 2
        assert server.bill.requests == 4
    assert len(caplog.records) == 1


def test_a_cut_answer_teaches_nothing():
    """It may have been JSON."""
    endpoint = Endpoint(heeds_format=False)
    with serve(lambda body: {"message": {"content": endpoint(body)}, "finish_reason": "length"}) as server:
        answers(server, 2)
    assert all("response_format" in body for body in endpoint.bodies)


def test_the_bound_of_a_prompt_covers_the_schema_in_words():
    """Whichever way the endpoint takes."""
    endpoint = Endpoint()
    with serve(endpoint, Faults(refused=("response_format",))) as server:
        answers(server, 1)
    sent = sum(len(message["content"].encode()) for message in endpoint.bodies[-1]["messages"])
    assert SCHEMA_WORDS in endpoint.bodies[-1]["messages"][-1]["content"]
    assert sent <= prompt_bound(asked(0))
