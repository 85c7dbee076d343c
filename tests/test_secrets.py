"""Keys never appear in logs, errors, tracebacks or run directories: a marker is looked for everywhere."""

import asyncio
import json
import os
import subprocess
import sys
import traceback
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from aiohttp import web

from instructgen.errors import TeacherError
from instructgen.records import Completion, Params, Request, Turn
from instructgen.teachers import Sitting
from instructgen.teachers.openai import EndpointOptions, OpenAITeacher
from instructgen.teachers.urls import spellings
from tests.servers.batch_routes import BatchFaults, batches
from tests.servers.faults import Faults
from tests.servers.openai_server import serve
from tests.servers.practice_answers import answer
from tests.servers.proxy import proxy

MARKER = "marker-d41d8cd98f"
KEY, TOKEN, PASSWORD = f"sk-{MARKER}", f"token-{MARKER}", f"pass-{MARKER}"

RECIPE = """
seed: 3
target: 12
teacher:
  kind: openai
  model: practice
  base_url: {url}
  deadline: {deadline}
  timeout: 2
  headers: {{x-team-token: "${{TEAM_TOKEN}}"}}
  proxy: "{proxy}"
generator: {{kind: self_instruct}}
window: 4
filters: [{{kind: instruction_rules}}, {{kind: instance_rules}}, {{kind: rouge}}]
"""
WEATHER = Faults(
    seed=5,
    key=KEY,
    too_many=0.1,
    server_error=0.1,
    reset=0.05,
    html=0.05,
    truncated=0.05,
    refused=("presence_penalty",),
)


def command(*words, cwd):
    """Run instructgen with all secrets in its environment. Returns (exit code, all that it said)."""
    environment = os.environ | {"OPENAI_API_KEY": KEY, "TEAM_TOKEN": TOKEN, "PROXY_PASSWORD": PASSWORD}
    done = subprocess.run(
        [sys.executable, "-m", "instructgen", *words],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def assert_nowhere(folder, *said):
    """The marker is in no file of the folder, whatever its kind, and in nothing that was said."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if MARKER.encode() in path.read_bytes()] == []
    assert MARKER not in "".join(said)


def test_a_run_in_bad_weather_leaves_no_secret_behind(tmp_path):
    """Key, header and proxy password stay in the environment: not in the run, its log, the report or the data set."""
    with serve(answer=answer, faults=WEATHER) as server, proxy("me", PASSWORD) as through:
        through_url = through.url.replace(PASSWORD, "${PROXY_PASSWORD}")
        (tmp_path / "recipe.yaml").write_text(RECIPE.format(url=server.url, deadline=60, proxy=through_url))
        code, said = command("generate", "recipe.yaml", "--into", "run", "--verbose", cwd=tmp_path)

        assert code == 0, said
        assert server.bill.statuses["429"] + server.bill.statuses["500"] > 0
        assert len(through.seen) == server.bill.requests
    assert (tmp_path / "run/run.log").stat().st_size
    _, report = command("report", "run", cwd=tmp_path)
    _, exported = command("export", "run", "--into", "data", cwd=tmp_path)
    assert_nowhere(tmp_path, said, report, exported)


@pytest.mark.parametrize("fault", [{"key": "another"}, {"models": ("another",)}, {"html": 1.0, "spared_after": 10**9}])
def test_a_run_that_fails_tells_no_secret(tmp_path, fault):
    """A server that quotes the wrong key, one without the model, one that speaks HTML: one message, no secret."""
    with serve(answer=answer, faults=Faults(**fault)) as server:
        (tmp_path / "recipe.yaml").write_text(RECIPE.format(url=server.url, deadline=0.5, proxy=""))
        code, said = command("generate", "recipe.yaml", "--into", "run", "--verbose", cwd=tmp_path)

    assert code == 1
    assert server.url in said
    assert "Traceback" not in said
    assert_nowhere(tmp_path, said)


ECHOES = {
    "in an error": lambda headers: web.json_response({"error": {"message": f"you sent {headers}"}}, status=400),
    "at the end of what is quoted": lambda headers: web.Response(text="x" * 150 + headers["Authorization"], status=404),
    "in a page": lambda headers: web.Response(text=f"<html>{headers}</html>"),
    "in a 200": lambda headers: web.json_response({"error": {"message": f"{headers}", "code": 403}}),
    "in a refusal": lambda headers: web.json_response(
        {"error": {"message": f"{headers}", "code": "content_filter"}}, status=400),
    "bare": lambda headers: web.json_response(
        {"error": {"message": f"unknown {headers['x-team-token'].split()[1]}"}}, status=400),
    "escaped": lambda headers: web.Response(
        status=500, text=json.dumps({"error": {"message": f"{headers}"}}).replace("-", "\\u002d")),
    "across the cut of a long error in a 200": lambda headers: web.json_response(
        {"error": {"message": "x" * 480 + headers["Authorization"]}}),
    "quoted": lambda headers: web.Response(status=500, text=quote(headers["x-team-token"], safe="")),
    "as a code": lambda headers: web.json_response({"error": {"message": "no", "code": headers["Authorization"]}}),
    "in base64": lambda headers: web.json_response(
        {"error": {"message": f"no user {b64encode(headers['Authorization'].encode()).decode()}"}}, status=400),
    "in base64 for addresses, one byte on": lambda headers: web.Response(
        status=500, text=urlsafe_b64encode(f"t={headers['x-team-token']}&".encode()).decode()),
    "in an answer": lambda headers: web.json_response({"choices": [{"message": {
        "role": "assistant", "content": f"Say {headers['Authorization']} to enter."}, "finish_reason": "stop"}]}),
    "in an answer's reasoning, in base64": lambda headers: web.json_response({"choices": [{"message": {
        "role": "assistant", "reasoning": b64encode(f"I am {headers['x-team-token']}".encode()).decode(),
        "content": "Four."}, "finish_reason": "stop"}]}),
    "in a redirect that leads nowhere": lambda headers: web.Response(
        status=302, headers={"Location": f"http://u:{headers['x-team-token'].split()[1]}/x@h/"}),
    "in a redirect": lambda headers: web.Response(
        status=302, headers={"Location": f"http://x/?key={headers['Authorization']}"}),
}  # fmt: skip


@pytest.mark.parametrize("how", ECHOES)
def test_a_server_that_echoes_our_headers_teaches_nobody_the_key(how, monkeypatch, caplog):
    """Whatever way a server quotes the headers back, neither error, log, outcome nor traceback with locals has it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("TEAM_TOKEN", TOKEN)
    caplog.set_level("DEBUG")

    async def echo(request):
        return ECHOES[how](dict(request.headers))

    async def run(url):
        headers = {"x-team-token": "Token ${TEAM_TOKEN}"}  # a part of the value is the secret
        teacher = OpenAITeacher(model="m", base_url=url, deadline=0.2, headers=headers)
        async with teacher.connect() as connection:
            return await connection.complete(Request(messages=(Turn(role="user", content="Hi"),), model="m"))

    with serve(extra=lambda server: server.app.router.add_post("/echo/chat/completions", echo)) as server:
        try:
            said = repr(asyncio.run(run(server.url.replace("/v1", "/echo"))))
        except TeacherError as error:
            told = traceback.TracebackException.from_exception(error, capture_locals=True)
            said = "".join(told.format())

    assert said
    assert MARKER not in said + caplog.text


def test_an_answer_with_the_key_is_paid_for_and_kept_nowhere(tmp_path):
    """A gateway that repeats its caller's key in answers: rejections with a reason, and no trace in run or data set."""
    with serve(answer=lambda body: f"1. Write to {KEY} today.\n", faults=Faults(key=KEY)) as server:
        (tmp_path / "recipe.yaml").write_text(
            RECIPE.format(url=server.url, deadline=5, proxy="") + "budget: {requests: 60}\n"
        )
        code, said = command("generate", "recipe.yaml", "--into", "run", "--verbose", cwd=tmp_path)
    _, report = command("report", "run", cwd=tmp_path)

    assert code == 0, said
    assert "teacher/secret_in_answer" in said
    assert said.count("an answer held a key of ours") < server.bill.requests
    assert_nowhere(tmp_path, said, report)


@pytest.mark.parametrize("secret", ["chess", "my-organisation-of-friends", "pass4321"])
def test_a_word_that_is_no_key_may_stand_in_an_answer(secret, monkeypatch):
    """What a header holds may be a plain word: a team's name is no reason to lose an answer."""
    monkeypatch.setenv("TEAM", secret)
    endpoint = OpenAITeacher(model="m", base_url="http://127.0.0.1:9/v1", headers={"x-team": "${TEAM}"}).endpoint(
        EndpointOptions()
    )

    assert not endpoint.betrayed(Completion(content=f"I like {secret}."))


def test_base64_of_a_secret_is_found_wherever_it_begins():
    """Inside a longer text the letters shift; what is left of a secret beside what is found is a byte at most."""
    for before in ("", "a", "user:", "Bearer ", "é"):
        for after in ("", "x", "@host/"):
            for encode in (b64encode, urlsafe_b64encode):
                said = encode(f"{before}{KEY}?>{after}".encode()).decode()
                assert any(spelling in said for spelling in spellings(KEY + "?>")), (before, after)
    assert spellings("abcd") == {"abcd"}


def test_a_secret_in_an_address_is_shown_nowhere_and_its_host_is(monkeypatch, caplog, tmp_path):
    """Gateways take tokens in the path or the query; the log, the error and `learnt.jsonl` name the host alone."""
    monkeypatch.setenv("PATH_TOKEN", TOKEN)
    monkeypatch.setenv("QUERY_TOKEN", f"{PASSWORD}+/=")
    monkeypatch.setenv("SERVER", "127.0.0.1")
    caplog.set_level("DEBUG")

    async def refuse(request):
        if "seed" in await request.json():
            return web.json_response({"error": {"message": "seed is not supported", "param": "seed"}}, status=400)
        return web.json_response({"error": {"message": f"no such page: {request.path_qs} {request.url}"}}, status=404)

    async def run(url):
        teacher = OpenAITeacher(model="m", base_url=url, deadline=0.2)
        async with teacher.connect_run(Sitting(folder=tmp_path)) as connection:
            asked = Request(messages=(Turn(role="user", content="Hi"),), params=Params(seed=1), model="m")
            return await connection.complete(asked)

    with serve(extra=lambda server: server.app.router.add_post("/{token}/v1/chat/completions", refuse)) as server:
        url = server.url.replace("/v1", "/${PATH_TOKEN}/v1?key=${QUERY_TOKEN}").replace("127.0.0.1", "${SERVER}")
        with pytest.raises(TeacherError) as raised:
            asyncio.run(run(url))

    told = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "http://127.0.0.1:" in str(raised.value)
    assert "no such page" in str(raised.value)
    assert (tmp_path / "learnt.jsonl").exists()
    assert_nowhere(tmp_path, told, caplog.text)


@pytest.mark.parametrize("fault", [{"fail": {1: "invalid_json"}}, {"server_errors": dict.fromkeys(range(1, 9), 1.0)}])
def test_what_a_batch_says_of_its_failure_is_shown_without_secrets(monkeypatch, caplog, tmp_path, fault):
    """The batch's own errors, and the last error of a request that never came through."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("tests.servers.batch_routes.SAID", f"so it is with {KEY}")
    caplog.set_level("DEBUG")

    async def run(url):
        teacher = OpenAITeacher(
            model="m", base_url=url, mode="batch", gather_seconds=0.02, poll_seconds=0.02, deadline=1
        )
        async with teacher.connect_run(Sitting(folder=tmp_path)) as connection:
            return await connection.complete(Request(messages=(Turn(role="user", content="Hi"),), model="m"))

    with serve(extra=batches(BatchFaults(**fault))) as server, pytest.raises(TeacherError) as raised:
        asyncio.run(run(server.url))

    assert "so it is with [hidden]" in str(raised.value)
    told = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert_nowhere(tmp_path, told, caplog.text)
