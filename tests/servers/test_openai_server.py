"""The loopback server itself: it speaks the protocol, keeps to its schedule, and its bill adds up."""

import asyncio
import contextlib
import json

import pytest

from tests.servers.faults import SHARES, Bill, Faults
from tests.servers.openai_server import echo, serve, spawn


def test_the_official_client_understands_it():
    """Chat, text completions, models and errors pass through the openai package's own types."""
    openai = pytest.importorskip("openai")

    async def use(url):
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-right", max_retries=0) as client:
            messages = [{"role": "user", "content": "Hi"}]
            chat = await client.chat.completions.create(model="m", messages=messages, max_tokens=4)
            text = await client.completions.create(model="m", prompt="Once", stop=["said"])
            names = [model.id async for model in client.models.list()]
            with pytest.raises(openai.NotFoundError, match="does not exist"):
                await client.chat.completions.create(model="other", messages=messages)
            return chat, text, names

    with serve(faults=Faults(key="sk-right", models=("m",))) as server:
        chat, text, names = asyncio.run(use(server.url))

    assert (chat.choices[0].message.content, chat.choices[0].finish_reason) == ("You said: Hi", "length")
    assert (text.choices[0].text, text.choices[0].finish_reason) == ("You ", "stop")
    assert names == ["m"]
    assert (server.bill.requests, server.bill.answers) == (3, 2)
    assert server.bill.tokens == chat.usage.total_tokens + text.usage.total_tokens


def test_the_schedule_depends_on_content_and_try_alone():
    """The same storm at any order of arrival; another seed is another storm; shares come out about right."""
    faults = Faults(seed=1, too_many=0.2, reset=0.1, late=0.05)
    struck = [faults.strikes(f"request {number}", 1) for number in range(2000)]

    assert struck == [faults.strikes(f"request {number}", 1) for number in range(2000)]
    assert struck != [faults.strikes(f"request {number}", 2) for number in range(2000)]
    assert struck != [
        Faults(seed=2, too_many=0.2, reset=0.1, late=0.05).strikes(f"request {n}", 1) for n in range(2000)
    ]
    assert 340 < struck.count("too_many") < 460
    assert 150 < struck.count("reset") < 250
    assert set(struck) == {"", "too_many", "reset", "late"}
    assert faults.strikes("request 1", faults.spared_after + 1) == ""


def test_every_share_is_a_fault_that_can_strike():
    """A share of one strikes every time, under its own name."""
    for name in SHARES:
        assert Faults(**{name: 1.0}).strikes("any", 1) == name


def test_settings_survive_json_and_unknown_ones_are_named():
    """A server in another process gets the same weather."""
    faults = Faults(seed=4, refused=("stop", "seed"), retry_after="date", tail=0.1)

    assert Faults.from_json(json.loads(json.dumps(faults.as_json()))) == faults
    with pytest.raises(ValueError, match="sunshine"):
        Faults.from_json({"sunshine": 1})


def test_the_busiest_window_is_found_wherever_it_begins():
    """Five arrivals, three of them within a second."""
    bill = Bill(times=[0.0, 0.9, 1.0, 1.5, 3.0])

    assert (bill.busiest(1.0), bill.busiest(0.5), bill.busiest(10)) == (3, 2, 5)


def test_a_server_in_its_own_process_answers_and_shows_its_bill():
    """What a child process serves is the same function of the request, and its bill can be fetched."""
    import urllib.request

    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    with spawn(faults=Faults(latency=0.01)) as server:
        asked = urllib.request.Request(f"{server.url}/chat/completions", data=json.dumps(body).encode())
        with urllib.request.urlopen(asked, timeout=30) as answer:
            said = json.load(answer)
        bill = server.bill()

    assert said["choices"][0]["message"]["content"] == echo(body)
    assert (bill.requests, bill.answers, bill.lost) == (1, 1, 0)
    assert bill.tokens == said["usage"]["total_tokens"]


def test_what_is_cut_off_is_billed_and_known_as_lost():
    """A reset in mid-body and a truncated answer were computed, so they are charged."""
    import http.client

    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    with serve(faults=Faults(reset=1.0, spared_after=1)) as server:
        host = server.url.removeprefix("http://").removesuffix("/v1")
        for _ in range(2):
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request("POST", "/v1/chat/completions", body)
            with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
                connection.getresponse().read()
            connection.close()

    assert (server.bill.requests, server.bill.answers, server.bill.lost) == (2, 2, 1)
    assert server.bill.statuses == {"reset": 1, "200": 1}
