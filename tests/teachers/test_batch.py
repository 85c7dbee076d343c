"""Batch mode: the wire replaced by batches, and everything that can happen to one."""

import asyncio
import json
import logging

import pytest

from instructgen.errors import RunError, TeacherAuthError, TeacherRateError, TeacherRefusedError, TeacherTransportError
from instructgen.records import Params, Request, Turn
from instructgen.teachers import Sitting
from instructgen.teachers.batch_log import NAME, BatchLog
from instructgen.teachers.openai import OpenAITeacher
from instructgen.teachers.prices import Price
from tests.servers.batch_routes import BatchFaults, batches
from tests.servers.faults import Faults
from tests.servers.openai_server import serve

KEY = "sk-marker-5c0ffee"


def asked(n, **params):
    return Request(messages=(Turn(role="user", content=f"Number {n}?"),), params=Params(max_tokens=60, **params))


def teacher(server, **more):
    options = {"gather_seconds": 0.02, "poll_seconds": 0.02, "deadline": 2} | more
    return OpenAITeacher(model="m", base_url=server.url, mode="batch", **options)


async def made(folder, batches=1):
    """Wait until so many batches are known by the names that the provider gave them."""
    while len(BatchLog(folder).open) < batches:  # noqa: ASYNC110 - a file
        await asyncio.sleep(0.01)


def ask(teacher, requests, folder=None, *, leave_after=None):
    """Ask all at once; return the completions, exceptions in their places.

    The run is left after so many seconds, or, where that is "made", when the first batch is.
    """

    async def run():
        async with teacher.connect_run(Sitting(folder=folder)) as connection:
            tasks = [asyncio.create_task(connection.complete(request)) for request in requests]
            if leave_after is not None:
                await (made(folder) if leave_after == "made" else asyncio.sleep(leave_after))
                connection.leave()
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())


def texts(said):
    return [reply.text if hasattr(reply, "text") else type(reply).__name__ for reply in said]


@pytest.fixture
def online():
    """What the same requests are answered online."""
    with serve() as server:

        async def run():
            async with OpenAITeacher(model="m", base_url=server.url).connect() as connection:
                return await asyncio.gather(*(connection.complete(asked(n)) for n in range(20)))

        return asyncio.run(run())


def test_leaving_does_not_wait_for_an_upload_that_fails_for_ever(monkeypatch):
    """A batch that is just being made has a bounded time left, whatever the deadline."""
    monkeypatch.setattr("instructgen.teachers.batch.LAST_WORDS", 0.3)
    with serve(extra=batches(BatchFaults(lose_uploads=10**6))) as server:
        said = ask(teacher(server, deadline=600), [asked(n) for n in range(3)], leave_after=0.5)

    assert all("left while its batch was being made" in str(each) for each in said)


def test_a_wave_is_one_batch_and_says_what_online_would(online):
    """Twenty requests, one file, one batch; equal completions, usage included."""
    with serve(extra=batches()) as server:
        said = ask(teacher(server), [asked(n) for n in range(20)])

        assert said == online
        assert [len(names) for names in server.batches.sent] == [20]
        assert set(server.batches.sent[0]) == {asked(n).hash for n in range(20)}


def test_a_wave_is_divided_by_path_and_size():
    """Chat and text do not share a batch; no batch is larger than allowed."""
    text = [Request(mode="text", text=f"Once {n}", params=Params(max_tokens=9)) for n in range(3)]
    with serve(extra=batches()) as server:
        said = ask(teacher(server, batch_size=4), [asked(n) for n in range(9)] + text)

        assert all(reply.text for reply in said)
        assert sorted(len(names) for names in server.batches.sent) == [1, 3, 4, 4]


@pytest.mark.parametrize(
    ("faults", "sendings"),
    [
        (BatchFaults(expire={1: 0.4}), 2),
        (BatchFaults(expire={1: 0.0, 2: 0.5}), 3),
        (BatchFaults(server_errors={1: 0.5}), 2),
    ],
)
def test_only_what_came_back_without_an_answer_is_sent_again(online, faults, sendings):
    """Partial results of an expired batch are used; a 500 inside a batch is tried again; nothing is bought twice."""
    with serve(extra=batches(faults)) as server:
        said = ask(teacher(server), [asked(n) for n in range(20)])

        assert said == online
        assert len(server.batches.sent) == sendings
        assert set(server.batches.billed.values()) == {1}
        assert sum(map(len, server.batches.sent)) < 20 * sendings


def test_a_refused_parameter_costs_one_wave_of_one_sitting(tmp_path, caplog):
    """It is learnt, said, sent again in the same sitting, and kept for the next ones, which ask rightly at once."""
    params = {"temperature": 0.5, "seed": 4}
    faults = Faults(refused=("temperature", "max_tokens"))
    with serve(faults=faults, extra=batches()) as server:
        first = ask(teacher(server), [asked(n, **params) for n in range(5)], tmp_path)
        assert [len(names) for names in server.batches.sent] == [5, 5, 5]
        said = ["does not take 'temperature'", "takes 'max_completion_tokens' in place of"]
        assert [caplog.text.count(words) for words in said] == [1, 1]
        caplog.clear()
        second = ask(teacher(server), [asked(n, **params) for n in range(5, 9)], tmp_path)
        online = teacher(server).model_copy(update={"mode": "online"})
        third = ask(online, [asked(9, **params)], tmp_path)

        assert [len(names) for names in server.batches.sent] == [5, 5, 5, 4]
        assert server.bill.requests == 1
        assert all(reply.text for reply in first + second + third)
        assert "temperature" not in caplog.text


@pytest.mark.parametrize("style", ["openai", "vllm"])
def test_a_wave_that_was_refused_while_nobody_looked_is_sent_again_in_the_shape_learnt_meanwhile(tmp_path, style):
    """Left before the refusal came; another sitting's requests have taught the parameter by then."""
    old, new = [asked(n, temperature=0.5) for n in range(4)], [asked(n, temperature=0.5) for n in range(4, 6)]
    faults = BatchFaults(open=False)
    with serve(faults=Faults(refused=("temperature",), refusal_style=style), extra=batches(faults)) as server:
        assert texts(ask(teacher(server), old, tmp_path, leave_after="made")) == ["Waiting"] * 4
        faults.open = True
        assert all(reply.text for reply in ask(teacher(server), new, tmp_path))
        assert all(reply.text for reply in ask(teacher(server), old, tmp_path))

        assert [len(names) for names in server.batches.sent] == [4, 2, 2, 4]
        assert set(server.batches.billed.values()) == {1}


def test_an_outage_that_does_not_end_is_an_error_in_the_end():
    """After five batches without an answer."""
    with serve(extra=batches(BatchFaults(server_errors=dict.fromkeys(range(1, 9), 1.0)))) as server:
        (said,) = ask(teacher(server), [asked(1)])

        assert isinstance(said, TeacherTransportError)
        assert "5 batches came back without an answer to a request, the last one with HTTP 500" in str(said)


def test_two_requests_of_a_wave_that_cannot_be_read_do_not_stop_the_run(monkeypatch):
    """They come to their end side by side, with nobody in between; but the rest of their wave was answered."""
    monkeypatch.setattr("instructgen.teachers.endpoint.backoff", lambda *_: 0.0)
    with serve(extra=batches()) as server:
        plain = server.outcome

        def outcome(path, body):
            status, said = plain(path, body)
            return status, said | ({"choices": []} if "Number 1?" in str(body) or "Number 2?" in str(body) else {})

        server.outcome = outcome
        said = ask(teacher(server, deadline=60), [asked(n) for n in range(5)])

        assert [reply.refusal for reply in said] == ["", "unreadable_reply", "unreadable_reply", "", ""]
        assert [len(names) for names in server.batches.sent] == [5, 2, 2, 2, 2]


def test_refusals_inside_a_batch_are_outcomes():
    """Content filter and context overflow, from the error file."""
    with serve(faults=Faults(context=20), extra=batches()) as server:
        short, long = ask(teacher(server), [asked(1), asked("x" * 400)])

        assert (short.refusal, long.refusal) == ("", "context_overflow")


def test_a_parameter_that_the_model_does_not_take_is_learnt_from_a_batch():
    """The second batch goes without it, and so do later ones."""
    with serve(faults=Faults(refused=("temperature",)), extra=batches()) as server:
        said = ask(teacher(server), [asked(n, temperature=0.5) for n in range(3)])

        assert all(reply.text for reply in said)
        assert [len(names) for names in server.batches.sent] == [3, 3]
        assert all("temperature" not in body for body in server.batches.bodies.values())


def test_another_sitting_goes_on_with_open_batches(tmp_path, online):
    """Left while its batch is open: nothing is bought twice, and nothing new is sent."""
    with serve(extra=batches(BatchFaults(open=False))) as server:
        left = ask(teacher(server), [asked(n) for n in range(20)], tmp_path, leave_after="made")
        assert {str(reply) for reply in left} == {
            "batch batch_1 is still open; the same command goes on with it, now or later"
        }
        server.batches.faults.open = True
        said = ask(teacher(server), [asked(n) for n in range(20)], tmp_path)

        assert said == online
        assert len(server.batches.sent) == 1
        assert set(server.batches.billed.values()) == {1}


def test_answers_that_were_fetched_but_not_stored_are_fetched_again(tmp_path, online):
    """A kill between the download and the store costs a second download, no money."""
    with serve(extra=batches()) as server:
        ask(teacher(server), [asked(n) for n in range(20)], tmp_path)
        said = ask(teacher(server), [asked(n) for n in (3, 4)], tmp_path)

        assert said == online[3:5]
        assert len(server.batches.sent) == 1


def test_what_was_learnt_is_not_forgotten_by_another_sitting(tmp_path):
    """The second batch, without the refused parameter, answers the request although its body differs."""
    with serve(faults=Faults(refused=("temperature",)), extra=batches()) as server:
        first = ask(teacher(server), [asked(1, temperature=0.5)], tmp_path)
        second = ask(teacher(server), [asked(1, temperature=0.5)], tmp_path)

        assert texts(first) == texts(second)
        assert len(server.batches.sent) == 2


def test_leaving_before_a_wave_is_sent_buys_nothing(tmp_path):
    """It is sent by the next sitting."""
    with serve(extra=batches()) as server:
        (left,) = ask(teacher(server, gather_seconds=5.0), [asked(1)], tmp_path, leave_after=0.05)
        assert "left before this request was sent" in str(left)
        assert server.batches.sent == []


def test_a_batch_whose_creation_was_never_heard_of_is_found_again(online):
    """The connection breaks after the batch was made: it is looked for before another one is made."""
    with serve(extra=batches(BatchFaults(lose_creations=frozenset({1})))) as server:
        assert ask(teacher(server), [asked(n) for n in range(20)]) == online
        assert len(server.batches.sent) == 1


def test_a_batch_made_just_before_a_kill_is_found_by_the_next_sitting(tmp_path, online):
    """Its name never reached the log; its key stands in its metadata."""
    with serve(extra=batches()) as server:
        ask(teacher(server), [asked(n) for n in range(20)], tmp_path)
        log = tmp_path / NAME
        first_line = log.read_bytes().splitlines(keepends=True)[0]
        log.write_bytes(first_line + b'{"key":"')  # the next line was cut by the kill

        assert ask(teacher(server), [asked(n) for n in range(20)], tmp_path) == online
        assert len(server.batches.sent) == 1


def test_a_batch_that_was_never_made_is_made_by_the_next_sitting(tmp_path, online):
    """Killed between the note in the log and the creation."""
    BatchLog(tmp_path).note(key="k", path="/v1/chat/completions", requests=[asked(n).hash for n in range(20)])
    with serve(extra=batches()) as server:
        assert ask(teacher(server), [asked(n) for n in range(20)], tmp_path) == online
        assert len(server.batches.sent) == 1


def test_uploads_are_tried_again():
    """Two 503 before the third goes through."""
    with serve(extra=batches(BatchFaults(lose_uploads=2))) as server:
        assert texts(ask(teacher(server), [asked(1)])) != ["TeacherTransportError"]
        assert server.batches.uploads == 3


@pytest.mark.parametrize(
    ("faults", "error", "words"),
    [
        (BatchFaults(fail={1: "model_not_found"}), TeacherRefusedError, "batch_1 failed .model_not_found: so it is"),
        (BatchFaults(fail={1: "token_limit_exceeded"}), TeacherRateError, "smaller teacher.batch_size or window"),
        (BatchFaults(cancel={1: 0.5}), TeacherRefusedError, "batch_1 was cancelled; its \\d+ answers are kept"),
    ],
)
def test_a_batch_that_fails_or_is_cancelled_stops_the_run_and_the_next_sitting_sends_the_rest(
    tmp_path, online, faults, error, words
):
    """What it had answered is used; nothing is bought twice."""
    with serve(extra=batches(faults)) as server:
        stopped = ask(teacher(server), [asked(n) for n in range(20)], tmp_path)
        assert {type(reply) for reply in stopped} == {error}
        with pytest.raises(error, match=words):
            raise stopped[0]
        answered = len(server.batches.billed)

        assert ask(teacher(server), [asked(n) for n in range(20)], tmp_path) == online
        assert [len(names) for names in server.batches.sent] == [20, 20 - answered]
        assert set(server.batches.billed.values()) == {1}


def test_an_endpoint_without_a_batch_api_is_an_error_that_says_so():
    """404 on the upload."""
    with serve() as server:
        (said,) = ask(teacher(server), [asked(1)])

    assert isinstance(said, TeacherRefusedError)
    assert "leave teacher.mode out to ask online" in str(said)
    assert server.url in str(said)


@pytest.mark.parametrize(
    ("headers", "sent"), [({}, f"Bearer {KEY}"), ({"authorization": "Basic ${TOKEN}"}, "Basic abcd")]
)
def test_the_key_is_sent_and_never_shown(monkeypatch, caplog, tmp_path, headers, sent):
    """Not in errors, logs, the log file, or the exception's chain; a recipe's own header goes out as it is."""
    monkeypatch.setenv("TOKEN", "abcd")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    seen = []

    def guarded(server):
        batches()(server)

        async def check(request, handler):
            seen.append(request.headers.get("Authorization"))
            from aiohttp import web

            shown = {"error": {"message": f"Incorrect API key provided: {KEY}.", "code": "invalid_api_key"}}
            return web.json_response(shown, status=401)

        from aiohttp.web import middleware

        server.app.middlewares.append(middleware(check))

    with serve(extra=guarded) as server, caplog.at_level(logging.DEBUG, logger="instructgen"):
        (said,) = ask(teacher(server, headers=headers), [asked(1)], tmp_path)

    assert seen == [sent]
    assert isinstance(said, TeacherAuthError)
    assert KEY not in str(said) + repr(said.__cause__) + repr(said.__context__) + caplog.text
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_open_batches_can_be_cancelled(tmp_path, caplog):
    """Those that nobody waits for any more; it is said that they may have cost something."""

    async def run(server):
        async with teacher(server).connect_run(Sitting(folder=tmp_path)) as connection:
            task = asyncio.create_task(connection.complete(asked(1)))
            await made(tmp_path)
            connection.leave()
            await asyncio.gather(task, return_exceptions=True)
            return await connection.cancel()

    with serve(extra=batches(BatchFaults(open=False))) as server:
        assert asyncio.run(run(server)) == 1
        assert server.batches.cancelled == ["batch_1"]
    assert (
        "batch batch_1: cancelled, its 1 requests are not needed any more; what it has answered is billed"
        in caplog.text
    )


def test_a_batch_that_cannot_be_cancelled_does_not_keep_the_others(tmp_path, caplog):
    """Three open batches, the first refuses: the other two are cancelled, and the first is named."""

    async def run(server):
        async with teacher(server, batch_size=1).connect_run(Sitting(folder=tmp_path)) as connection:
            tasks = [asyncio.create_task(connection.complete(asked(n))) for n in range(3)]
            await made(tmp_path, 3)
            connection.leave()
            await asyncio.gather(*tasks, return_exceptions=True)
            return await connection.cancel()

    with serve(extra=batches(BatchFaults(open=False, too_late=frozenset({1})))) as server:
        assert asyncio.run(run(server)) == 2
        assert set(server.batches.cancelled) == {"batch_1", "batch_2", "batch_3"}
        states = [batch["status"] for batch in server.batches.batches.values()]
        assert [state.startswith("cancel") for state in states] == [False, True, True]
    assert "batch batch_1 may go on and be billed" in caplog.text


def test_what_we_cancelled_ourselves_is_sent_anew_when_it_is_wanted_again(tmp_path, online):
    """A raised target: no error, what was answered is used, and the rest goes out in a new batch."""

    async def cancelled(server):
        async with teacher(server).connect_run(Sitting(folder=tmp_path)) as connection:
            tasks = [asyncio.create_task(connection.complete(asked(n))) for n in range(20)]
            await made(tmp_path)
            connection.leave()
            await asyncio.gather(*tasks, return_exceptions=True)
            return await connection.cancel()

    with serve(extra=batches(BatchFaults(open=False, cancel={1: 0.5}))) as server:
        assert asyncio.run(cancelled(server)) == 1
        server.batches.faults.open = True
        assert ask(teacher(server), [asked(n) for n in range(20)], tmp_path) == online
        assert 0 < len(server.batches.sent[1]) < 20
        assert set(server.batches.billed.values()) == {1}


def test_an_answer_costs_what_its_way_costs():
    """Whichever mode the run is in by then."""
    price = Price(input=2, output=8, batch="0.5")
    for mode, now in (("online", 8), ("batch", 4)):
        teacher = OpenAITeacher(model="m", mode=mode, price=price)
        assert teacher.known_price().output == now
        assert [teacher.price_of(by_batch=way).output for way in (False, True)] == [8, 4]


def test_going_online_with_batches_open_is_said(tmp_path, caplog):
    """What they will answer would be paid twice."""
    log = BatchLog(tmp_path)
    log.note(key="k", path="/v1/chat/completions", requests=["a"])
    log.note(key="k", batch="batch_7")
    OpenAITeacher(model="m", base_url="http://127.0.0.1:9/v1").connect_run(Sitting(folder=tmp_path))

    assert "batch batch_7 is still open" in caplog.text
    BatchLog(tmp_path).note(key="k", ended="completed")
    caplog.clear()
    OpenAITeacher(model="m", base_url="http://127.0.0.1:9/v1").connect_run(Sitting(folder=tmp_path))
    assert not caplog.text


def test_the_log_survives_a_cut_line_and_names_a_damaged_one(tmp_path):
    """A cut last line is what a kill leaves; anything before it is damage."""
    log = BatchLog(tmp_path)
    log.note(key="k", path="/v1/completions", requests=["a"])
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes() + b'{"key":"k","bat')
    assert BatchLog(tmp_path).newest("a").key == "k"
    assert json.loads(path.read_bytes())["key"] == "k"
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(RunError, match=r"batches\.jsonl:1: not a line of a batch log"):
        BatchLog(tmp_path)


def test_a_log_that_cannot_be_written_is_an_error_before_anything_is_sent(tmp_path):
    """A folder where the file should be."""
    (tmp_path / NAME).mkdir()
    with serve(extra=batches()) as server:
        with pytest.raises((RunError, IsADirectoryError)):
            raise ask(teacher(server), [asked(1)], tmp_path)[0]
        assert server.batches.sent == []
