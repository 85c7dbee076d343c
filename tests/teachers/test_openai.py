"""The openai teacher over a real server on loopback that misbehaves."""

import asyncio
import json
import logging
import socket
import time
from base64 import b64decode
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from pydantic import ValidationError

from instructgen.errors import (
    RecipeError,
    TeacherAuthError,
    TeacherRateError,
    TeacherRefusedError,
    TeacherTransportError,
)
from instructgen.recipe import _validated
from instructgen.records import Params, Refused, Request, Turn
from instructgen.teachers import ledger_of, places_now
from instructgen.teachers.openai import EndpointOptions, OpenAITeacher
from tests.servers.faults import Faults
from tests.servers.openai_server import serve, tokens_in

SECRET = "sk-marker-93c1f07ab2"


def asked(number=0, text="Say something", **params):
    turns = (Turn(role="user", content=f"{text} {number}"),)
    return Request(messages=turns, params=Params(**{"seed": number, **params}), model="m")


@asynccontextmanager
async def connected(url, **options):
    async with OpenAITeacher(**{"model": "m", "base_url": url, **options}).connect() as connection:
        yield connection


def ask(url, *requests, **options):
    """Ask everything at once. Returns (completions, ledger)."""

    async def run():
        async with connected(url, **options) as connection:
            done = await asyncio.gather(*(connection.complete(request) for request in requests))
            return done, connection.ledger

    return asyncio.run(run())


def failure(error, url, *requests, **options):
    """Ask, and return the error."""
    with pytest.raises(error) as caught:
        ask(url, *(requests or [asked()]), **options)
    return caught.value


def balanced(ledger):
    counts = ledger.answered + ledger.refused + ledger.adapted + ledger.throttled + ledger.failed
    return ledger.sent == counts


# ---- answers


def test_chat_and_text_completions():
    """Both ends of the API answer, and the completion carries the request's own hash."""
    with serve(answer=lambda body: f"{'messages' in body} {body.get('prompt')}") as server:
        chat, text = asked(), Request(mode="text", text="Once upon", model="m")
        (first, second), ledger = ask(server.url, chat, text)

    assert (first.content, first.request) == ("True None", chat.hash)
    assert (second.content, second.request) == ("False Once upon", text.hash)
    assert (ledger.sent, ledger.answered) == (2, 2)
    assert server.bill.tokens == first.usage.tokens + second.usage.tokens


def test_unicode_goes_both_ways_unharmed():
    """Chinese, Arabic, emoji and 50 kB arrive as they were sent."""
    text = "請列出三種水果 – اكتب قصة – 👩‍👩‍👧 – " + "é" * 50_000
    with serve(answer=lambda body: body["messages"][0]["content"]) as server:
        (answer,), _ = ask(server.url, Request(messages=(Turn(role="user", content=text),)))

    assert answer.content == text


def test_a_cut_answer_says_so():
    """finish_reason length becomes `truncated`; it is an answer, not a failure."""
    with serve(answer=lambda body: "word " * 100) as server:
        (answer,), ledger = ask(server.url, asked(max_tokens=10))

    assert answer.truncated
    assert answer.usage.completion_tokens == 10
    assert ledger.failed == 0


def test_missing_usage_is_estimated_and_marked():
    """An endpoint that counts nothing, or nonsense, still gives a usage, and it says that it is a guess."""
    with serve(faults=Faults(wrong_usage=1.0)) as server:
        answers, _ = ask(server.url, *(asked(number) for number in range(20)))

    assert all(answer.usage.estimated and answer.usage.prompt_tokens > 0 for answer in answers)


# ---- refusals that belong to the request


def test_overflow_and_filter_are_outcomes_and_are_not_asked_again():
    """Too long and filtered requests come back as countable refusals, each paid attention once."""
    with serve(faults=Faults(context=100)) as server:
        (long, short), ledger = ask(server.url, asked(text="x" * 1000), asked())

        assert (long.refusal, long.finish) == ("context_overflow", "refused")
        assert "100 tokens" in long.message
        assert short.refusal == ""
        assert (server.bill.requests, ledger.refused, ledger.retried) == (2, 1, 0)
    with pytest.raises(Refused):
        _ = long.text


def test_filtered_requests_are_refusals_whichever_way_they_are_told():
    """HTTP 400 with the code, or a 200 with finish_reason: the same countable reason."""
    with serve(faults=Faults(content_filter=1.0)) as server:
        answers, ledger = ask(server.url, *(asked(number) for number in range(20)))

    assert {answer.refusal for answer in answers} == {"content_filter"}
    assert 0 < ledger.refused < 20
    assert ledger.refused + ledger.answered == 20
    assert ledger.retried == 0


# ---- set-ups that are wrong


def test_openai_itself_needs_a_key_and_says_which_variable(monkeypatch):
    """Before anything is sent, the error names the variable to set."""
    with pytest.raises(TeacherAuthError, match=r"MY_KEY is not set.*export MY_KEY="):
        ask("https://api.openai.com/v1", asked(), api_key_env="MY_KEY")
    monkeypatch.setenv("MY_KEY", f"{SECRET} and\nmore")
    with pytest.raises(TeacherAuthError, match="MY_KEY does not hold an API key") as caught:
        ask("https://api.openai.com/v1", asked(), api_key_env="MY_KEY")
    assert SECRET not in str(caught.value)


def test_a_wrong_key_is_told_with_the_servers_words_but_without_the_key(monkeypatch, caplog):
    """401 ends at once; the server quotes our key in its message, and we do not."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    with serve(faults=Faults(key="sk-other")) as server:
        error = failure(TeacherAuthError, server.url)
        assert server.bill.requests == 1

    assert "Incorrect API key provided: [hidden]" in str(error)
    assert server.url in str(error)
    assert "'m'" in str(error)
    assert "OPENAI_API_KEY" in str(error)
    assert SECRET not in caplog.text + repr(error) + repr(error.request)


def test_the_right_key_opens(monkeypatch):
    """The key of the named variable is sent as bearer, with blanks around it taken off."""
    monkeypatch.setenv("OTHER_KEY", f" {SECRET}\n")
    with serve(faults=Faults(key=SECRET)) as server:
        (answer,), _ = ask(server.url, asked(), api_key_env="OTHER_KEY")

    assert answer.content


def test_a_wrong_model_name_is_not_asked_for_again():
    """404 names the endpoint, the model and the server's words."""
    with serve(faults=Faults(models=("gpt-x",))) as server:
        error = failure(TeacherRefusedError, server.url)
        assert server.bill.requests == 1

    assert "The model `m` does not exist" in str(error)
    assert "teacher.model" in str(error)
    assert error.request == asked()


def test_a_server_that_speaks_html_is_quoted_in_the_end():
    """Another try may cure it; when none does, the error shows what came."""
    with serve(faults=Faults(html=1.0, spared_after=10**9)) as server:
        error = failure(TeacherTransportError, server.url, deadline=0.5)

    assert "<!doctype html>" in str(error)
    assert "tries" in str(error)
    assert server.bill.requests > 1


def test_nobody_there():
    """A refused connection is retried for a while, then told with the address; nothing can have been billed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = failure(TeacherTransportError, f"http://127.0.0.1:{port}/v1", deadline=0.3)

    assert f"cannot connect to 127.0.0.1:{port}" in str(error)


def test_an_endpoint_that_never_answered_is_not_waited_for_as_long(monkeypatch):
    """A wrong address shows within seconds, whatever the deadline for an endpoint that has answered before."""
    monkeypatch.setattr("instructgen.teachers.endpoint.FIRST_CONTACT", 0.3)
    error = failure(TeacherTransportError, "http://127.0.0.1:9/v1", deadline=600)
    assert "cannot connect to 127.0.0.1:9" in str(error)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"base_url": "127.0.0.1:8000"}, "expected a URL"), ({"model": ""}, "at least 1"),
     ({"concurrency": 0}, "greater than 0"), ({"temprature": 1}, "temprature"),
     ({"endpoints": [{"base_url": "ftp://x"}]}, "expected a URL"),
     ({"base_url": "http://127.0.0.1:80O0/v1"}, "no address that can be asked"),
     ({"base_url": "http://127.0.0.1:99999/v1"}, "no address that can be asked"),
     ({"base_url": "http://me:hush@host/v1"}, r"holds a password.*\$\{NAME\}"),
     ({"headers": {"x-api-key": "sk-1"}}, "'x-api-key' looks like a secret"),
     ({"headers": {"X-Apikeys": "sk-1"}}, "'X-Apikeys' looks like a secret"),
     ({"base_url": "http://host/v1?key=hush"}, r"secret in its query \('key'\).*\$\{NAME\}"),
     ({"api_key_env": SECRET}, "not the name of an environment variable"),
     ({"endpoints": [{"api_key_env": SECRET}]}, "not the name of an environment variable")],
)  # fmt: skip
def test_wrong_options(options, words):
    """Options are checked when the recipe is read."""
    with pytest.raises(ValidationError, match=words) as caught:
        OpenAITeacher(**{"model": "m", **options})
    assert SECRET not in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"api_key_env": SECRET}, {"endpoints": [{"api_key_env": SECRET}]}, {"headers": {"x-api-key": SECRET}},
     {"base_url": f"http://me:{SECRET}@host/v1"}, {"base_url": f"http://host/v1?key={SECRET}"}],
)  # fmt: skip
def test_a_recipe_with_a_secret_is_refused_without_showing_it(options):
    """What names the place of the mistake does not repeat the key."""
    with pytest.raises(RecipeError) as caught:
        _validated(OpenAITeacher, {"kind": "openai", "model": "m"} | options, "teacher")

    assert "environment variable" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_names_and_queries_that_are_no_secrets_are_taken():
    """Azure's api-version, a variable in the query, and a usual name of a variable."""
    url = "https://host/v1?api-version=2026-01-01&key=${GATEWAY_KEY}"

    assert OpenAITeacher(model="m", base_url=url, api_key_env="My_KEY2", headers={"x-team": "a"}).base_url == url


def test_a_secret_header_comes_from_the_environment_and_stays_hidden(monkeypatch):
    """${NAME} keeps secrets out of recipes; an unset name is an error; the value is never shown."""
    teacher = OpenAITeacher(model="m", base_url="http://127.0.0.1:1/v1", headers={"api-key": "${AZURE_KEY}"})
    monkeypatch.setenv("AZURE_KEY", f"{SECRET}\nX-Other: 1")
    with pytest.raises(RecipeError, match="line break") as caught:
        ask(teacher.base_url, asked(), headers=teacher.headers)
    assert SECRET not in str(caught.value)
    monkeypatch.delenv("AZURE_KEY")
    with pytest.raises(RecipeError, match=r"headers.api-key names \$\{AZURE_KEY\}"):
        ask(teacher.base_url, asked(), headers=teacher.headers)
    monkeypatch.setenv("AZURE_KEY", SECRET)
    endpoint = teacher.endpoint(EndpointOptions())

    assert endpoint.headers["api-key"] == SECRET
    assert SECRET not in repr(endpoint) + endpoint.hide(f"bad {SECRET}") + teacher.model_dump_json()


def test_credentials_in_the_address_are_not_shown(monkeypatch):
    """User, password and query of a base URL can be secrets."""
    monkeypatch.setenv("PASSWORD", SECRET)
    url = "http://me:${PASSWORD}@127.0.0.1:9/v1?key=${PASSWORD}"
    error = failure(TeacherTransportError, url, deadline=0.1)

    assert SECRET not in str(error)
    assert "http://127.0.0.1:9/v1" in str(error)


async def told(request):
    """Answer with the headers that came, in their order, written backwards: an answer that holds a key is refused."""
    pairs = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    return web.json_response({"choices": [{"message": {"content": pairs[::-1]}, "finish_reason": "stop"}]})


def sent_headers(name, **options):
    """Ask a server that tells what it got; return the values of one header."""
    with serve(extra=lambda server: server.app.router.add_post("/told/chat/completions", told)) as server:
        url = server.url.replace("/v1", "/told")
        options = {key: value(url) if callable(value) else value for key, value in options.items()}
        ((answer,), _) = ask(options.pop("base_url", url), asked(), **options)
    lines = (line.split(": ", 1) for line in answer.content[::-1].splitlines())
    return [value for key, value in lines if key.lower() == name]


def test_a_password_in_the_address_says_who_asks_there_and_the_key_stays_at_home(monkeypatch):
    """A request carries one Authorization: the address's own, where it has one."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("PASSWORD", "open sesame")

    def with_user(url):
        return url.replace("://", "://me:${PASSWORD}@")

    (value,) = sent_headers("authorization", base_url=with_user)
    assert b64decode(value.removeprefix("Basic ")) == b"me:open sesame"
    monkeypatch.setenv("TOKEN", SECRET)
    with pytest.raises(RecipeError, match="both say who asks"):
        ask("http://me:${PASSWORD}@127.0.0.1:9/v1", asked(), headers={"authorization": "Bearer ${TOKEN}"})


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_a_header_of_the_recipe_replaces_ours_however_it_is_spelt(name, monkeypatch):
    """A gateway that is to get its own token does not get OpenAI's key beside it."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("TOKEN", "its own token")

    assert sent_headers("authorization", headers={name: "Bearer ${TOKEN}"}) == ["Bearer its own token"]
    assert sent_headers("content-type", headers={"content-type": "application/json; a=b"}) == ["application/json; a=b"]


def test_what_is_no_header_or_no_address_is_refused_before_anything_is_sent(monkeypatch):
    """A mistyped port, or one from a variable, is told like any other wrong option."""
    monkeypatch.setenv("PORT", "80O0")
    with pytest.raises(RecipeError, match="'X Team' is not the name of a header"):
        ask("http://127.0.0.1:9/v1", asked(), headers={"X Team": "a"})
    with pytest.raises(RecipeError, match=r"base_url \(http://127.0.0.1:\$\{PORT\}/v1\) is no address"):
        ask("http://127.0.0.1:${PORT}/v1", asked())
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://me:{SECRET}@[::1/v1")
    with pytest.raises(RecipeError, match="base_url is no address") as caught:
        ask("", asked())
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("named", ["socks5://127.0.0.1:9", "127.0.0.1:9", "http://127.0.0.1:99999"])
def test_a_proxy_of_the_environment_that_we_cannot_speak_to_is_told_at_once(named, monkeypatch):
    """Not tried as if it were an HTTP proxy, until the deadline."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, named)
    with pytest.raises(RecipeError, match="HTTP_PROXY or HTTPS_PROXY does not name an HTTP proxy"):
        ask("http://host.invalid/v1", asked(), deadline=0.1)


# ---- trouble that passes


STORM = Faults(
    seed=3, latency=0.005, too_many=0.1, retry_after=0.05, server_error=0.08, reset=0.08, reset_early=0.05, drip=0.05,
    drip_seconds=0.1, empty=0.05, html=0.05, truncated=0.05, late=0.03, late_seconds=1.5,
)  # fmt: skip


@pytest.mark.parametrize("concurrency", [4, 32])
def test_in_a_storm_every_answer_arrives_and_the_bill_agrees(concurrency, caplog):
    """All faults at once: same answers as in calm weather, and what was billed in vain is within what we report."""
    requests = [asked(number) for number in range(100)]
    with serve() as server:
        calm, _ = ask(server.url, *requests)
    with serve(faults=STORM) as server:
        stormy, ledger = ask(server.url, *requests, concurrency=concurrency, timeout=1.0, deadline=60)
        time.sleep(1.0)  # the last late answers are still being billed
        bill = server.bill

    assert [answer.content for answer in stormy] == [answer.content for answer in calm]
    assert ledger.sent == bill.requests
    assert balanced(ledger)
    assert bill.answers - 100 <= ledger.possibly_billed
    assert sum(answer.usage.tokens for answer in stormy) <= bill.tokens
    assert ledger.timed_out >= bill.statuses["late"] > 0
    assert ledger.throttled == bill.statuses["429"]
    cut_off = ledger.timed_out + bill.statuses["reset"] + bill.statuses["reset_early"]  # the server may not know yet
    assert bill.most_in_flight <= concurrency + cut_off
    assert "may have been billed" in caplog.text


def test_a_time_out_is_retried_counted_and_said(caplog):
    """The request may have been billed: the ledger says so, and so does a warning."""
    slow = Faults(late=1.0, late_seconds=1.0, spared_after=1)
    with serve(faults=slow) as server:
        (answer,), ledger = ask(server.url, asked(), timeout=0.3)
        time.sleep(1.0)
        billed = server.bill.answers

    assert answer.content
    assert (ledger.timed_out, ledger.possibly_billed, ledger.retried, ledger.answered) == (1, 1, 1, 1)
    assert billed == 2
    assert "no answer within 0.3 s; it may have been billed" in caplog.text


def test_a_broken_connection_is_said_once(caplog):
    """Nobody waits through the tries without a word; the 10th is the next that is said."""
    with serve(faults=Faults(reset_early=1.0, spared_after=3)) as server:
        (answer,), ledger = ask(server.url, asked())

    assert answer.content
    assert ledger.failed == 3
    assert [record.getMessage().count("it is tried again (1 so far)") for record in caplog.records] == [1]


@pytest.mark.parametrize("asks_to_wait", [0.3, "date"])
def test_retry_after_is_kept_by_all(asks_to_wait, caplog):
    """After a 429 with Retry-After nobody asks again before its time; the first is said, then the 10th."""
    faults = Faults(too_many=1.0, retry_after=asks_to_wait, spared_after=1)
    with serve(faults=faults) as server:
        _, ledger = ask(server.url, *(asked(number) for number in range(4)), concurrency=4)
        times = server.bill.times

    assert ledger.throttled == 4
    assert caplog.text.count("asked again, more slowly") == 1
    assert times[4] - times[0] >= (0.3 if asks_to_wait == 0.3 else 0.0)
    assert len(times) == 8


def test_limits_that_outlast_the_deadline_are_a_rate_error():
    """A 429 that asks for more than the deadline is told at once, with the wait that it asked for."""
    with serve(faults=Faults(too_many=1.0, retry_after=3600.0, spared_after=10**9)) as server:
        error = failure(TeacherRateError, server.url, deadline=5)

    assert "it asks to wait 3600 s" in str(error)
    assert "requests_per_minute" in str(error)


def test_used_up_credit_is_not_waited_for():
    """`insufficient_quota` comes as 429, and no wait brings money."""

    async def broke(request):
        error = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
        return web.json_response({"error": error}, status=429)

    with serve(extra=lambda server: server.app.router.add_post("/broke/chat/completions", broke)) as server:
        error = failure(TeacherRateError, server.url.replace("/v1", "/broke"), deadline=60)

    assert "exceeded your current quota" in str(error)


def replying(*replies):
    """A route `/x` that gives each (status, JSON or bytes, headers) in turn, the last one for ever; and its calls."""
    calls = []

    async def reply(request):
        calls.append(await request.read())
        status, body, *headers = replies[min(len(calls), len(replies)) - 1]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, body=raw, content_type="application/json", headers=dict(*headers))

    return calls, lambda server: server.app.router.add_post("/x/chat/completions", reply)


def at_x(server):
    """The address of the route that `replying` makes."""
    return server.url.replace("/v1", "/x")


ANSWER = {"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("status", "message", "refusal"),
    [
        (403, "openai/gpt-4.1 requires moderation on OpenAI. Your input was flagged for violence.", "content_filter"),
        (429, "Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000.", "request_too_large"),
    ],
)
def test_a_prompt_that_is_refused_in_odd_ways_does_not_stop_the_run(status, message, refusal):
    """The key is fine and no wait helps: it is this request's outcome, asked for once."""
    calls, route = replying((status, {"error": {"message": message, "code": status}}))
    with serve(extra=route) as server:
        (answer,), ledger = ask(at_x(server), asked())

    assert (answer.refusal, answer.message) == (refusal, message)
    assert (len(calls), ledger.refused) == (1, 1)
    assert balanced(ledger)


def test_a_used_up_balance_is_called_so():
    """402 ends the run at once and says what is missing."""
    calls, route = replying((402, {"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}}))
    with serve(extra=route) as server:
        error = failure(TeacherRateError, at_x(server))

    assert "Insufficient Balance: the account's balance is used up" in str(error)
    assert "Add credit" in str(error)
    assert len(calls) == 1


@pytest.mark.parametrize("body", [{"choices": [], "usage": {}}, b'{"choices": [{"message": {"content": "fo'])
def test_a_request_whose_answers_cannot_be_read_is_not_bought_for_ever(body):
    """After five billed tries it is a refusal that shows what came, so that the run goes on."""
    calls, route = replying((200, body))
    with serve(extra=route) as server:
        (answer,), ledger = ask(at_x(server), asked(max_tokens=77), deadline=60)

    assert answer.refusal == "unreadable_reply"
    assert "choices" in answer.message
    assert (len(calls), ledger.possibly_billed) == (5, 5)
    assert answer.usage.estimated
    assert answer.usage.completion_tokens == 77  # the longest answer; the budget counts it
    assert balanced(ledger)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_endpoint_whose_answers_can_never_be_read_stops_the_run(concurrency, monkeypatch):
    """Not one request after the other is bought five times: one may be its own fault, two are the endpoint's."""
    monkeypatch.setattr("instructgen.teachers.endpoint.backoff", lambda *_: 0.0)
    calls, route = replying((200, b'{"choices": [{"message": {"content": "fo'))
    with serve(extra=route) as server:

        async def run():
            async with connected(at_x(server), concurrency=concurrency, deadline=60) as connection:
                return await asyncio.gather(
                    *(connection.complete(asked(n)) for n in range(concurrency + 1)), return_exceptions=True
                )

        said = asyncio.run(run())

    outcomes = [each for each in said if not isinstance(each, Exception)]
    errors = [each for each in said if isinstance(each, Exception)]
    assert [each.refusal for each in outcomes] == ["unreadable_reply"]
    assert len(errors) == concurrency
    assert all("No answer of the last requests could be read" in str(error) for error in errors)
    assert len(calls) == 5 * (concurrency + 1)


def test_one_request_whose_answer_breaks_among_others_is_its_own_outcome(monkeypatch):
    """However many there are: between them others are answered."""
    monkeypatch.setattr("instructgen.teachers.endpoint.backoff", lambda *_: 0.0)
    with serve() as server:
        plain = server.outcome

        def outcome(path, body):
            status, said = plain(path, body)
            return (status, said | {"choices": []}) if "poison" in str(body["messages"]) else (status, said)

        server.outcome = outcome

        async def run():
            async with connected(server.url, concurrency=1, deadline=60) as connection:
                return [await connection.complete(asked(n, text="poison" if n % 2 else "good")) for n in range(8)]

        said = asyncio.run(run())

    assert [answer.refusal for answer in said] == ["", "unreadable_reply"] * 4


def test_json_of_something_else_is_a_wrong_address():
    """What has never answered and does not speak the API gives an error, not a run full of refusals."""
    _, route = replying((200, {"status": "ok"}))
    with serve(extra=route) as server:
        error = failure(TeacherTransportError, at_x(server), deadline=5)

    assert '{"status": "ok"}' in str(error)


def test_a_failure_inside_a_choice_is_retried_like_any_outage():
    """A gateway says 200, part of an answer and an error: the part is not stored, the request is asked again."""
    error = {"code": 502, "message": "Provider returned error"}
    broken = {"choices": [{"error": error, "message": {"content": "par"}, "finish_reason": "error"}]}
    calls, route = replying((200, broken), (200, ANSWER))
    with serve(extra=route) as server:
        (answer,), ledger = ask(at_x(server), asked())

    assert answer.content == "4"
    assert len(calls) == 2
    assert (ledger.failed, ledger.possibly_billed, ledger.retried) == (1, 1, 1)


def test_a_redirect_is_an_error_that_names_its_target():
    """Following it could send the prompt and the key elsewhere."""

    async def moved(request):
        raise web.HTTPPermanentRedirect("https://elsewhere.example/v1/chat/completions")

    with serve(extra=lambda server: server.app.router.add_post("/old/chat/completions", moved)) as server:
        error = failure(TeacherRefusedError, server.url.replace("/v1", "/old"))

    assert "https://elsewhere.example/v1" in str(error)


def test_a_cancelled_request_counts_as_possibly_billed():
    """Ctrl-C in mid-flight: the endpoint may answer and bill what nobody waits for any more."""

    async def run(url):
        async with connected(url) as connection:
            asking = asyncio.create_task(connection.complete(asked()))
            await asyncio.sleep(0.2)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            return connection.ledger

    with serve(faults=Faults(latency=1.0)) as server:
        ledger = asyncio.run(run(server.url))

    assert (ledger.sent, ledger.possibly_billed, ledger.answered) == (1, 1, 0)
    assert balanced(ledger)


NOBODY_WAITS = 20
"""Seconds; less than what the endpoint asks for or a minute's limit takes, and much more than a busy machine needs."""


def left_after(seconds, url, requests, **options):
    """Ask everything, leave after a while; returns the outcomes and the ledger. Gives up on one who would wait on."""

    async def run():
        async with connected(url, **options) as connection:
            asking = [asyncio.create_task(connection.complete(request)) for request in requests]
            await asyncio.sleep(seconds)
            connection.leave()
            async with asyncio.timeout(NOBODY_WAITS):
                return await asyncio.gather(*asking, return_exceptions=True), connection.ledger

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("faults", "options"),
    [
        (Faults(too_many=1.0, retry_after=30), {"concurrency": 2}),  # held back by the endpoint's own word
        (Faults(latency=0.6), {"concurrency": 2}),  # queued for a place
        (Faults(), {"requests_per_minute": 30, "concurrency": 8}),  # queued for the minute's limit
    ],
)
def test_nothing_is_sent_after_the_run_was_left_and_nobody_waits(faults, options):
    """Whatever a request waits for, it goes home; what is in flight lands."""
    with serve(faults=faults) as server:
        done, ledger = left_after(0.4, server.url, [asked(number) for number in range(8)], **options)
        sent = server.bill.requests
        time.sleep(0.3)
        assert server.bill.requests == sent == ledger.sent < 8

    failed = [each for each in done if isinstance(each, TeacherTransportError | TeacherRateError)]
    assert len(failed) + ledger.answered == 8
    assert all("the run was left" in str(each) or "HTTP 429" in str(each) for each in failed)


# ---- limits


def test_no_request_is_sent_above_the_stated_limit():
    """A server with a hard window never has to say 429: its own times of arrival show no window above the limit.

    How much of the limit is used is measured by `python -m benchmarks.limits`.
    """
    limit, window = 60, 1.5
    with serve(faults=Faults(requests_per_minute=limit, minute=window)) as server:

        async def run():
            async with connected(server.url, requests_per_minute=limit, concurrency=64) as connection:
                _shorten_minute(connection, window)
                await asyncio.gather(*(connection.complete(asked(number)) for number in range(150)))
                return connection.ledger

        ledger = asyncio.run(run())
        bill = server.bill

    assert bill.over_limit == 0
    assert ledger.throttled == 0
    assert len(bill.times) == 150
    assert bill.busiest(window) <= limit


def test_no_token_is_used_above_the_stated_limit():
    """Tokens are reserved by their upper bound and settled to what the answer took."""
    window = 1.0
    limit = 2000
    with serve(faults=Faults(tokens_per_minute=limit, minute=window, latency=0.02)) as server:

        async def run():
            async with connected(server.url, tokens_per_minute=limit, concurrency=16) as connection:
                _shorten_minute(connection, window)
                requests = [asked(number, text="x" * 200, max_tokens=30) for number in range(60)]
                return await asyncio.gather(*(connection.complete(request) for request in requests))

        answers = asyncio.run(run())

    assert server.bill.over_limit == 0
    assert sum(answer.usage.tokens for answer in answers) == server.bill.tokens > limit


def _shorten_minute(connection, seconds):
    """Let the connection's minutes be as short as the server's."""
    from random import Random

    from instructgen.teachers.limits import Pace

    for route in connection._routes:
        limits = route.endpoint.requests_per_minute, route.endpoint.tokens_per_minute
        route.pace = Pace(*limits, Random(0), minute=seconds)


def test_a_request_above_the_minutes_tokens_is_told_before_it_is_sent():
    """Waiting would never end: the error names both numbers and what to change."""
    with serve() as server:
        error = failure(TeacherRefusedError, server.url, asked(text="x" * 5000), tokens_per_minute=1000)
        assert server.bill.requests == 0

    assert "1000 tokens per minute" in str(error)
    assert "max_tokens" in str(error)


def test_without_limits_the_places_find_the_servers_capacity():
    """From 16 in flight the number falls to what a server of 6 can bear, and the work goes on."""
    with serve(faults=Faults(capacity=6, latency=0.02)) as server:

        async def run():
            async with connected(server.url) as connection:
                await asyncio.gather(*(connection.complete(asked(number)) for number in range(300)))
                return connection

        connection = asyncio.run(run())

    assert places_now(connection, OpenAITeacher(model="m")) <= 12
    assert server.bill.answers == 300
    assert server.bill.over_limit < 100
    assert ledger_of(connection).sent == server.bill.requests


def test_places_grow_while_the_server_keeps_up_unless_a_concurrency_is_stated():
    """A stated concurrency is a ceiling; else the number in flight finds its own."""
    with serve(faults=Faults(latency=0.01)) as server:

        async def run(**options):
            async with connected(server.url, **options) as connection:
                await asyncio.gather(*(connection.complete(asked(number)) for number in range(600)))
                return connection.places, server.bill.most_in_flight

        assert asyncio.run(run(concurrency=8)) == (8, 8)
        places, most = asyncio.run(run())
        assert 24 < places <= 64
        assert most > 24


def test_requests_that_wait_for_another_try_leave_their_places_to_others():
    """Whoever reads `places` may hand over more requests while some sleep, and no more than that in flight."""

    async def run(url):
        async with connected(url, concurrency=2) as connection:
            asking = [asyncio.create_task(connection.complete(asked(number))) for number in range(2)]
            await asyncio.sleep(0.2)
            during = connection.places
            await asyncio.gather(*asking)
            return during

    with serve(faults=Faults(too_many=1.0, retry_after=0.5, spared_after=1)) as server:
        during = asyncio.run(run(server.url))

    assert during == 3  # a 429 cut the places to 1, and two requests slept
    assert server.bill.most_in_flight <= 2


# ---- today's models


@pytest.mark.parametrize("style", ["openai", "vllm", "mistral"])
def test_refused_parameters_are_learnt_once_for_the_connection(style, caplog):
    """Each refused parameter costs refusals only until it is known; it is said once; the hash stays the flow's."""
    refused = ("temperature", "presence_penalty", "seed", "stop")
    faults = Faults(refused=refused, refusal_style=style)
    requests = [asked(number, temperature=0.7, presence_penalty=1.0, stop=("5",), top_p=0.9) for number in range(20)]
    with serve(answer=lambda body: "12345678", faults=faults) as server:

        async def run():
            async with connected(server.url) as connection:
                first = await connection.complete(requests[0])
                rest = await asyncio.gather(*(connection.complete(request) for request in requests[1:]))
                return [first, *rest], connection.ledger

        answers, ledger = asyncio.run(run())

    assert [answer.content for answer in answers] == ["1234"] * 20
    assert [answer.request for answer in answers] == [request.hash for request in requests]
    assert (ledger.adapted, ledger.answered, server.bill.requests) == (4, 20, 24)
    for name in refused:
        assert caplog.text.count(f"does not take '{name}'") == 1


def test_reasoning_models_get_their_own_word_for_the_output_limit(caplog):
    """max_tokens becomes max_completion_tokens after the first refusal; the limit itself stays."""
    with serve(answer=lambda body: "word " * 50, faults=Faults(refused=("max_tokens",))) as server:
        answers, ledger = ask(server.url, *(asked(number, max_tokens=5) for number in range(3)), concurrency=1)

    assert all(answer.truncated for answer in answers)
    assert ledger.adapted == 1
    assert "takes 'max_completion_tokens' in place of 'max_tokens'" in caplog.text


def test_a_refusal_that_nothing_can_be_learnt_from_ends_the_run():
    """A text completion has one word for the limit; a server that refuses it is not asked for ever."""
    request = Request(mode="text", text="Once", params=Params(max_tokens=5), model="m")
    with serve(faults=Faults(refused=("max_tokens", "max_completion_tokens"))) as server:
        error = failure(TeacherRefusedError, server.url, asked(max_tokens=5), request, concurrency=1)
        assert server.bill.requests <= 4

    assert "max_" in str(error)


def test_thoughts_are_kept_beside_the_answer():
    """Whether in <think> or in a field of its own, reasoning is stored and is not the answer."""

    def answer(body):
        if body["seed"]:
            return {"message": {"content": "4", "reasoning_content": "2+2"}}
        return "<think>2+2</think>\n4"

    with serve(answer=answer) as server:
        answers, _ = ask(server.url, asked(0), asked(1))

    assert [(each.content, each.reasoning) for each in answers] == [("4", "2+2")] * 2


def test_reasoning_goes_into_the_answer_only_where_it_is_asked_for():
    """With keep_reasoning the answer's text begins with the thoughts; an answer without any stays as it is."""
    thought = {"message": {"content": "4", "reasoning_content": "2+2"}}
    with serve(answer=lambda body: thought if body["seed"] else "5") as server:
        answers, _ = ask(server.url, asked(0), asked(1), keep_reasoning=True)

    assert [each.text for each in answers] == ["5", "<think>\n2+2\n</think>\n\n4"]
    assert "keep_reasoning" not in OpenAITeacher.movable


def test_the_servers_way_of_counting_is_not_ours():
    """The loopback server counts tokens by threes of characters, so an estimate could not pass for its bill."""
    assert tokens_in("abcdefg") == 3


# ---- several endpoints


def test_requests_are_spread_by_weight():
    """Two endpoints, one with twice the weight, share the requests about two to one."""
    with serve(faults=Faults(latency=0.01)) as first, serve(faults=Faults(latency=0.01)) as second:
        endpoints = [{"base_url": first.url, "weight": 2}, {"base_url": second.url}]
        ask("", *(asked(number) for number in range(300)), endpoints=endpoints, concurrency=6)

    assert first.bill.requests + second.bill.requests == 300
    assert 1.6 < first.bill.requests / second.bill.requests < 2.5


def test_a_dead_endpoint_is_left_alone_and_said(caplog):
    """With one of two endpoints down, every request is answered by the other, and the breaker says when it opens."""
    with serve(faults=Faults(latency=0.005)) as alive:
        endpoints = [{"base_url": "http://127.0.0.1:9/v1"}, {"base_url": alive.url}]
        answers, ledger = ask("", *(asked(number) for number in range(200)), endpoints=endpoints, concurrency=2)

    assert len(answers) == alive.bill.requests == 200
    assert ledger.outages == 1
    assert 212 <= ledger.sent < 230
    assert "127.0.0.1:9/v1 (model 'm'): nothing but failures" in caplog.text


def test_an_endpoint_that_comes_back_is_used_again(caplog, monkeypatch):
    """After its rest one probe goes out; its success closes the breaker, and that is said too."""
    monkeypatch.setattr("instructgen.teachers.breaker.REST", 0.2)
    bursts = Faults(burst_every=10**6, burst_length=14)
    with serve(faults=bursts) as server:
        answers, ledger = ask(server.url, *(asked(number) for number in range(40)), concurrency=1, deadline=30)

    assert len(answers) == 40
    assert ledger.outages >= 1
    assert "left alone for" in caplog.text
    assert "answers again" in caplog.text
    assert server.bill.requests == 40 + 14


def test_a_key_that_is_refused_leaves_the_work_to_the_others(monkeypatch):
    """One of two keys is wrong: it is tried, given up, and the run goes on; with none left it is an auth error."""
    monkeypatch.setenv("GOOD", SECRET)
    monkeypatch.setenv("BAD", "sk-bad")
    with serve(faults=Faults(key=SECRET)) as server:
        good, bad = {"api_key_env": "GOOD"}, {"api_key_env": "BAD"}
        answers, ledger = ask(server.url, *(asked(number) for number in range(50)), endpoints=[bad, good])
        assert len(answers) == 50
        assert ledger.sent < 70
        error = failure(TeacherAuthError, server.url, endpoints=[bad, bad])
        assert "BAD" in str(error)


def test_an_endpoint_without_the_model_is_given_up_once(caplog):
    """A 404 at one of two endpoints is met by those in flight, said once, and not sought again."""
    with serve(faults=Faults(models=("other",))) as wrong, serve() as right:
        endpoints = [{"base_url": wrong.url}, {"base_url": right.url}]
        answers, _ = ask("", *(asked(number) for number in range(100)), endpoints=endpoints, concurrency=2)

    assert len(answers) == right.bill.answers == 100
    assert (
        wrong.bill.requests <= 52
    )  # all were queued at once, half of them here, and looked again when it was given up
    assert caplog.text.count("given up (HTTP 404") == 1


def test_retry_after_zero_is_no_tight_loop():
    """A server that says "now" over and over is still asked with growing pauses."""
    with serve(faults=Faults(too_many=1.0, retry_after=0, spared_after=10**9)) as server:
        failure(TeacherRateError, server.url, deadline=2)

    assert server.bill.requests < 20


def test_a_throttled_endpoint_hands_over_to_the_others():
    """While one endpoint asks for a pause, the other takes the requests at once."""
    with serve(faults=Faults(too_many=1.0, retry_after=30.0)) as throttled, serve() as open_one:
        endpoints = [{"base_url": throttled.url}, {"base_url": open_one.url}]
        answers, _ = ask("", *(asked(number) for number in range(50)), endpoints=endpoints)

    assert len(answers) == 50


def test_what_a_model_writes_has_the_licence_that_the_recipe_names():
    """Unsaid, it is unknown, or OpenAI's terms at OpenAI."""
    there = {"kind": "openai", "model": "m", "base_url": "http://localhost:9/v1"}

    assert OpenAITeacher(**there, output_licence="apache-2.0").licence == "apache-2.0"
    assert OpenAITeacher(**there).licence == "unknown: see the licence of m"
    assert OpenAITeacher(model="m", endpoints=[{"base_url": there["base_url"]}]).licence.startswith("unknown")
    assert OpenAITeacher(**there, endpoints=[{}, {"base_url": "https://api.openai.com/v1"}]).licence.startswith(
        "OpenAI"
    )


# ---- money


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 61}, "61 completion tokens for a request that may take 60 at most"),
        ({"prompt_tokens": 4000, "completion_tokens": 6}, "4000 prompt tokens for a request that may take"),
        ({"prompt_tokens": 9, "completion_tokens": 60}, ""),
        (None, ""),
    ],
)
def test_an_endpoint_that_bills_beyond_the_bound_of_a_request_is_named_once(usage, said, caplog):
    """It ignores the limit, or puts a prompt of its own before ours: no budget bounds that, so it is said."""
    with serve(lambda body: {"message": {"content": "4"}, "usage": usage}) as server:

        async def run():
            async with connected(server.url) as connection:
                return [await connection.complete(asked(n, max_tokens=60)) for n in range(3)]

        answers = asyncio.run(run())

    assert len(answers) == 3
    warned = [record.getMessage() for record in caplog.records]
    assert [said in text for text in warned] == ([True] if said else [])


def test_a_time_out_that_ends_the_run_says_what_to_raise():
    """Not that the server should be looked after: it works, and may bill each try."""
    with serve(faults=Faults(latency=5.0)) as server:

        async def run():
            async with connected(server.url, timeout=0.1, deadline=0.5) as connection:
                await connection.complete(asked())

        with pytest.raises(TeacherTransportError, match=r"no answer within 0\.1 s\. Raise teacher\.timeout: each"):
            asyncio.run(run())
