"""Bodies as endpoints write them: read into completions and refusals, whatever is left out."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructgen.records import Completion, Params, Refused, Request, Turn, canonical
from instructgen.teachers.tokens import ANSWER_TOKENS, prompt_bound
from instructgen.teachers.wire import (
    Complaint,
    NotAnAnswer,
    beginning,
    body_of,
    complaint_of,
    completion_of,
    split_thought,
    usage_of,
)

ASKED = Request(messages=(Turn(role="user", content="What is two and two?"),), model="m")
KEY = ASKED.hash


def read(body, request=ASKED):
    return completion_of(request, KEY, body if isinstance(body, bytes) else json.dumps(body).encode())


def said(content, **choice):
    return read({"choices": [{"message": {"role": "assistant", "content": content}} | choice]})


def test_a_full_answer_is_read_whole():
    """Every field that we keep arrives where it belongs."""
    completion = read(
        {
            "model": "m-2026-10-01",
            "choices": [{"message": {"content": "4", "reasoning_content": "2+2"}, "finish_reason": "stop",
                         "logprobs": {"content": [{"token": "4", "logprob": -0.1}]}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
                      "completion_tokens_details": {"reasoning_tokens": 3},
                      "prompt_tokens_details": {"cached_tokens": 2}},
        }
    )  # fmt: skip

    assert (completion.request, completion.content, completion.finish, completion.refusal) == (KEY, "4", "stop", "")
    assert (completion.reasoning, completion.model) == ("2+2", "m-2026-10-01")
    assert completion.usage.model_dump() == {
        "requests": 1, "prompt_tokens": 9, "completion_tokens": 5, "reasoning_tokens": 3, "cached_tokens": 2,
        "estimated": False,
    }  # fmt: skip
    assert completion.logprobs == {"content": [{"token": "4", "logprob": -0.1}]}


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ({"choices": [{"message": {"content": "4"}}]}, "4"),
        ({"choices": [{"message": {"content": "4"}, "finish_reason": None}]}, "4"),
        ({"choices": [{"message": {"content": [{"type": "text", "text": "4"}, {"type": "text", "text": "!"}]}}]}, "4!"),
        ({"choices": [{"message": {"content": ["4", {"type": "image"}, 7]}}]}, "4"),
        ({"choices": [{"text": "4"}]}, "4"),
        ({"choices": [{"message": None, "text": "4"}], "usage": None, "model": None}, "4"),
        ({"choices": [{"message": {"content": "4"}}], "model": 7}, "4"),
    ],
)
def test_fields_that_are_left_out_are_no_reason_to_fail(body, content):
    """Missing usage, finish_reason, role, content or message: the answer is what is there, its usage estimated."""
    completion = read(body)

    assert completion.content == content
    assert completion.finish == "stop"
    assert completion.usage.estimated
    assert completion.usage.requests == 1


@pytest.mark.parametrize(
    "body",
    [
        b"", b"   ", b"<html><body>502</body></html>", b'{"choices": [{"message": {"content": "fo', b"null", b"[]",
        b'"text"', b"{}", b'{"choices": []}', b'{"choices": [null]}', b'{"choices": {"0": 1}}', b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_answer_says_how_it_begins(body):
    """HTML, cut JSON, nothing at all, or JSON of another shape: an error that quotes the beginning."""
    with pytest.raises(NotAnAnswer) as caught:
        read(body)

    assert beginning(body) in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("reason", "finish", "refusal"),
    [
        ("stop", "stop", ""), ("length", "length", ""), ("MAX_TOKENS", "length", ""), ("model_length", "length", ""),
        ("eos", "stop", ""), ("", "stop", ""), ("content_filter", "refused", "content_filter"),
        ("SAFETY", "refused", "content_filter"), (7, "stop", ""),
        ("content_filter: SAFETY", "refused", "content_filter"),
    ],
)  # fmt: skip
def test_finish_reasons(reason, finish, refusal):
    """A cut answer, a filtered one and a finished one are told apart, in every gateway's spelling."""
    completion = said("so far", finish_reason=reason)

    assert (completion.finish, completion.refusal, completion.content) == (finish, refusal, "so far")


@pytest.mark.parametrize(
    ("message", "finish", "refusal"),
    [
        ({"content": None}, "stop", "empty_answer"), ({}, "stop", "empty_answer"),
        ({"content": " \n"}, "stop", "empty_answer"),
        ({"content": "", "reasoning_content": "hm"}, "stop", "empty_answer"),
        ({"content": None, "tool_calls": [{"id": "c"}]}, "tool_calls", "tool_calls"),
        ({"content": None, "function_call": {"name": "f"}}, "function_call", "tool_calls"),
    ],
)  # fmt: skip
def test_an_answer_without_text_is_an_outcome_of_its_own(message, finish, refusal):
    """No text, or a call of a tool that nobody offered, never passes for an empty answer."""
    completion = read({"choices": [{"message": message, "finish_reason": finish}]})

    assert (completion.finish, completion.refusal) == ("refused", refusal)
    with pytest.raises(Refused):
        _ = completion.text


def test_an_answer_cut_while_it_was_thinking_stays_a_cut_answer():
    """All of the output limit went into thoughts: that is for the generator to judge."""
    completion = said("<think>2+2", finish_reason="length")

    assert (completion.truncated, completion.refusal, completion.reasoning) == (True, "", "2+2")


@pytest.mark.parametrize("reason", ["error", "ERROR: upstream", "abort", "insufficient_system_resource"])
def test_an_answer_that_the_server_broke_off_is_an_outage(reason):
    """The text so far is nobody's answer: it is a complaint with a status that is retried."""
    complaint = said("so far", finish_reason=reason)

    assert isinstance(complaint, Complaint)
    assert (complaint.status, complaint.refusal) == (502, "")
    assert reason in complaint.message


def test_an_error_inside_a_choice_is_a_complaint_with_its_status():
    """OpenRouter writes the upstream's failure into the choice, beside partial or no text."""
    error = {"code": 503, "message": "Provider returned error"}
    complaint = said("so far", error=error, finish_reason="error")

    assert (complaint.status, complaint.message) == (503, "Provider returned error")


def test_thinking_parts_are_reasoning():
    """Mistral's content is a list in which the thoughts are parts of their own."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "2+2"}]}
    completion = said([thinking, {"type": "text", "text": "4"}])

    assert (completion.content, completion.reasoning) == ("4", "2+2")


def test_a_refusal_in_the_message_is_an_outcome():
    """OpenAI's `refusal` beside an empty content becomes a countable refusal with the model's words."""
    completion = read({"choices": [{"message": {"content": None, "refusal": "I can't help with that."}}]})

    assert completion.refusal == "content_filter"
    assert completion.message == "I can't help with that."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>2+2</think>4", ("4", "2+2")),
        ("\n<think>\n2+2\n</think>\n\n4\n", ("4\n", "2+2")),
        ("<thinking>2+2</thinking>4", ("4", "2+2")),
        ("2+2, so\n</think>\n\n4", ("4", "2+2, so")),  # the template wrote the opening tag into the prompt
        ("<think>2+2 and on and", ("", "2+2 and on and")),  # cut by the output limit
        ("4", ("4", "")),
        ("Use <think> tags </think> like this", ("Use <think> tags </think> like this", "")),
        ("<b>4</b>", ("<b>4</b>", "")),
    ],
)
def test_thoughts_are_kept_apart_from_the_answer(text, expected):
    """What stands in <think> goes to `reasoning`, never into samples; the word in mid-text is left alone."""
    assert split_thought(text) == expected
    completion = said(text)
    assert (completion.content, completion.reasoning) == expected


def test_raw_text_completions_keep_their_tags():
    """Without a chat template <think> is text like any other."""
    request = Request(mode="text", text="Write a tag.", model="m")

    assert read({"choices": [{"text": "<think>x</think>y"}]}, request).content == "<think>x</think>y"


def test_a_byte_order_mark_is_passed_over():
    """Some gateways written for Windows send one."""
    body = {"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}
    assert read(b"\xef\xbb\xbf" + json.dumps(body).encode()).content == "4"


def test_lone_surrogates_nan_and_broken_utf8_are_mended():
    """Half a surrogate pair in a JSON escape, which no UTF-8 file can hold, becomes U+FFFD wherever it stands."""
    body = rb'{"choices":[{"message":{"content":"a\ud800b \ud83d\ude00"},"logprobs":{"\udc00":["\ud801", NaN]}}]}'
    completion = read(body)

    assert completion.content == "a\ufffdb \U0001f600"
    orjson.dumps(completion.model_dump(mode="json"))
    assert read(b'{"choices":[{"message":{"content":"a\xffb"}}]}').content == "a\ufffdb"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 4, 0, 0)),
        ({"input_tokens": 3, "output_tokens": 4}, (3, 4, 0, 0)),
        ({"prompt_tokens": 3.0, "completion_tokens": 4, "extra": {"a": 1}}, (3, 4, 0, 0)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "prompt_cache_hit_tokens": 2}, (3, 4, 0, 2)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 9}}, (3, 4, 0, 3)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": None}, (3, 4, 0, 0)),
        # reasoning counted beside the completion: told by the total, or by being the larger
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 12,
          "completion_tokens_details": {"reasoning_tokens": 5}}, (3, 9, 5, 0)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 10,
          "completion_tokens_details": {"reasoning_tokens": 3}}, (3, 7, 3, 0)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
          "completion_tokens_details": {"reasoning_tokens": 3}}, (3, 4, 3, 0)),
    ],
)  # fmt: skip
def test_usage_in_every_providers_spelling(usage, expected):
    """(prompt, completion, reasoning, cached); reasoning is always inside the completion."""
    read_usage = usage_of(usage)

    found = (read_usage.prompt_tokens, read_usage.completion_tokens)
    assert (*found, read_usage.reasoning_tokens, read_usage.cached_tokens) == expected
    assert not read_usage.estimated


@pytest.mark.parametrize(
    "usage",
    [None, {}, [], "none", 7, {"prompt_tokens": 3}, {"prompt_tokens": -1, "completion_tokens": 4},
     {"prompt_tokens": "3", "completion_tokens": 4}, {"prompt_tokens": True, "completion_tokens": 4},
     {"prompt_tokens": 1e300, "completion_tokens": 4}],
)  # fmt: skip
def test_senseless_usage_is_no_usage(usage):
    """Negative, absurd or wordy counts are not believed; the caller estimates and marks it."""
    assert usage_of(usage) is None
    assert read({"choices": [{"message": {"content": "4"}}], "usage": usage}).usage.estimated


@pytest.mark.parametrize(
    ("usage", "believed"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, False),
        ({"prompt_tokens": 0, "completion_tokens": 4}, False),
        ({"prompt_tokens": 9, "completion_tokens": 0}, False),
        ({"prompt_tokens": 9e11, "completion_tokens": 4}, False),
        ({"prompt_tokens": 9, "completion_tokens": 9e11}, False),
        ({"prompt_tokens": 1, "completion_tokens": 1}, True),
        ({"prompt_tokens": 5_000, "completion_tokens": 30_000}, True),  # a prompt and thoughts of the server's own
    ],
)
def test_counts_that_cannot_be_meant_count_by_their_bound(usage, believed):
    """Nothing for a text, or millions for a page: the bound counts, marked; what a server may add is believed."""
    found = read({"choices": [{"message": {"content": "four"}}], "usage": usage}).usage

    assert found.estimated != believed
    if not believed:
        assert found.prompt_tokens == prompt_bound(ASKED)
        assert found.completion_tokens == len("four") + ANSWER_TOKENS


@pytest.mark.parametrize(
    ("finish", "limit", "tokens"), [("stop", 500, 4 + ANSWER_TOKENS), ("stop", 9, 9), ("length", 500, 500)]
)
def test_untold_usage_is_never_below_what_the_limit_and_the_text_allow(finish, limit, tokens):
    """An answer without usage: its bytes and its ending, at most the limit, and all of the limit when it was cut."""
    request = ASKED.model_copy(update={"params": Params(max_tokens=limit)})
    usage = read({"choices": [{"message": {"content": "four"}, "finish_reason": finish}]}, request).usage

    assert (usage.completion_tokens, usage.estimated) == (tokens, True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
choices = st.fixed_dictionaries(
    {},
    optional={
        "message": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("content", "refusal", "reasoning", "reasoning_content"), json_values)
        )
        | json_values,
        "finish_reason": json_values,
        "text": json_values,
        "logprobs": json_values,
    },
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(choices | json_values, max_size=2) | json_values,
        "usage": st.dictionaries(
            st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "completion_tokens_details"]),
            json_values,
        )
        | json_values,
        "error": json_values,
        "model": json_values,
    },
)


@settings(max_examples=400)
@given(bodies | json_values)
def test_any_json_is_an_answer_a_complaint_or_not_an_answer(body):
    """No shape of JSON crashes the reader, and whatever it makes can be stored."""
    try:
        outcome = read(json.dumps(body).encode())
    except NotAnAnswer:
        return
    assert isinstance(outcome, Completion | Complaint)
    if isinstance(outcome, Completion):
        Completion.model_validate_json(canonical(outcome.as_json()))


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(300, 599))
def test_any_bytes_of_an_error_are_quoted(body, status):
    """Whatever an error body holds, there is something to say about it."""
    complaint = complaint_of(status, body)

    assert complaint.message
    assert complaint.message.encode()


@settings(max_examples=300)
@given(
    json_values
    | st.fixed_dictionaries({"error": json_values})
    | st.fixed_dictionaries(
        {"error": st.dictionaries(st.sampled_from(["message", "code", "type", "param", "innererror"]), json_values)}
    )
)
def test_any_error_json_is_read(body):
    """Error bodies of any shape give words that can be shown and stored."""
    assert complaint_of(400, json.dumps(body).encode()).message.encode()


OPENAI_LONG = (
    "This model's maximum context length is 4097 tokens. However, you requested 5000 tokens (3000 in the messages, "
    "2000 in the completion). Please reduce the length of the messages or completion."
)


@pytest.mark.parametrize(
    ("status", "error", "refusal"),
    [
        (400, {"message": OPENAI_LONG, "code": "context_length_exceeded"}, "context_overflow"),
        (400, {"message": OPENAI_LONG, "type": "BadRequestError", "code": 400}, "context_overflow"),  # vLLM
        (400, {"message": "The decoder prompt (length 3000) is longer than the maximum model length of 2048."},
         "context_overflow"),
        (400, {"message": "Input length (3000) exceeds model's maximum context length (2048)."}, "context_overflow"),
        (400, {"message": "the request exceeds the available context size, try increasing it",
               "type": "exceed_context_size_error", "n_ctx": 512}, "context_overflow"),  # llama.cpp
        (400, {"message": "request (3000 tokens) exceeds the available context size (2048 tokens)"},
         "context_overflow"),
        (400, {"message": "input length exceeds maximum context length"}, "context_overflow"),  # Ollama
        (400, {"message": "the input length exceeds the context length"}, "context_overflow"),
        (400, {"message": "The input (3000 tokens) is longer than the model's context length (2048 tokens)."},
         "context_overflow"),  # SGLang
        (400, {"message": "prompt is too long: 210000 tokens > 200000 maximum"}, "context_overflow"),  # Anthropic
        (400, {"message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."},
         "context_overflow"),  # Gemini
        (422, {"message": "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000"}, "context_overflow"),
        (413, {"message": "Request Entity Too Large"}, "context_overflow"),
        (400, {"message": "The response was filtered", "code": "content_filter"}, "content_filter"),
        (400, {"message": "filtered", "code": "bad", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
         "content_filter"),  # Azure
        (400, {"message": "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
               "type": "invalid_request_error", "code": "invalid_prompt"}, "content_filter"),  # OpenAI
        (403, {"code": 403, "message": "openai/gpt-4.1 requires moderation on OpenAI. Your input was flagged for "
               "\"violence\". No credits were charged."}, "content_filter"),  # OpenRouter
        (400, {"message": "Input data may contain inappropriate content.", "type": "data_inspection_failed",
               "code": "data_inspection_failed"}, "content_filter"),  # DashScope
        (429, {"message": "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, "
               "Requested 40000.", "type": "tokens", "code": "rate_limit_exceeded"}, "request_too_large"),
        (429, {"message": "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested "
               "2000.", "code": "rate_limit_exceeded"}, ""),
        (429, {"message": "Request too large: Limit 30,000, Requested 29,000"}, ""),
        (403, {"message": "Your key may not use this model"}, ""),
        (400, {"message": "max_tokens is too large: 100000. This model supports at most 16384 completion tokens"}, ""),
        (400, {"message": "Invalid value for 'temperature'"}, ""),
        (404, {"message": "The model `x` does not exist", "code": "model_not_found"}, ""),
    ],
)  # fmt: skip
def test_refusals_that_belong_to_the_request(status, error, refusal):
    """Context overflow and content filter, in the words of each server, are outcomes; other 400s are not."""
    assert complaint_of(status, json.dumps({"error": error}).encode()).refusal == refusal


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "no such model"}}, "no such model"),
        ({"error": "model 'x' not found"}, "model 'x' not found"),  # Ollama
        ({"object": "error", "message": "bad", "code": 400}, "bad"),  # vLLM
        ({"detail": "Not Found"}, "Not Found"),  # FastAPI
        ({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, "Extra inputs"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_error_words_are_found_in_every_shape(body, words):
    """OpenAI nests them, Ollama writes a string, vLLM leaves the wrapper out, FastAPI says `detail`."""
    assert words in complaint_of(400, json.dumps(body).encode()).message


def test_an_error_inside_a_200_is_a_complaint_with_its_status():
    """Gateways answer 200 before they know; the error's own code tells what it is."""
    assert read({"error": {"message": "slow down", "code": 429}}).status == 429
    assert read({"error": {"message": "upstream broke"}}).status == 502


def test_a_request_becomes_the_body_that_the_flow_asked_for():
    """Only what is stated is sent; the input of a turn follows its content."""
    params = Params(temperature=0.7, max_tokens=20, stop=("\n",), seed=5, logit_bias={"50256": -100}, logprobs=True)
    turns = (Turn(role="system", content="Be brief."), Turn(role="user", content="Sort.", input="3, 1"))
    body = body_of(Request(messages=turns, params=params, model="alias"), "real")

    assert body == {
        "model": "real",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Sort.\n\n3, 1"}],
        "temperature": 0.7, "max_tokens": 20, "stop": ["\n"], "seed": 5, "logit_bias": {"50256": -100},
        "logprobs": True,
    }  # fmt: skip
    assert body_of(Request(mode="text", text="Once"), "m") == {"model": "m", "prompt": "Once"}


def test_tool_turns_are_sent_in_openais_shape():
    """Names, calls and the call that a tool turn answers go along."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = (Turn(role="assistant", tool_calls=(call,)), Turn(role="tool", content="7", tool_call_id="c1", name="f"))

    assert body_of(Request(messages=turns), "m")["messages"] == [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "7", "name": "f", "tool_call_id": "c1"},
    ]
