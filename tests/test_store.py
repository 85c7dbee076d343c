"""The store: what was said is durable before it is used, and a writer in trouble never leaves anyone waiting."""

import asyncio
import sqlite3
import threading

from instructgen.errors import RunError
from instructgen.records import Completion, Request
from instructgen.store import Store

REQUEST = Request(text="2 + 2 =", mode="text", model="m")


def put(store, *keys):
    """Put answers, all at once; returns what each put raised."""

    async def run():
        puts = [store.put(key, REQUEST, Completion(request=key, content=key)) for key in keys]
        return await asyncio.wait_for(asyncio.gather(*puts, return_exceptions=True), 10)

    return asyncio.run(run())


def test_what_is_put_is_there_for_the_next_process(tmp_path):
    """Another connection sees it as soon as `put` returns."""
    store = Store(tmp_path / "completions.db")
    assert put(store, "a", "b") == [None, None]
    other = Store(tmp_path / "completions.db", read_only=True)
    assert (other.get("a").content, other.get("c"), other.count()) == ("a", None, 2)
    assert other.row("b").request == {"mode": "text", "text": "2 + 2 =", "model": "m"}
    other.close()
    store.close()


def test_no_thread_to_write_with_is_an_error_and_not_an_endless_wait(tmp_path, monkeypatch):
    """As on a machine that runs too many; every put says so, and the store still closes."""

    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    store = Store(tmp_path / "completions.db")
    found = put(store, "a", "b")
    store.close()

    assert [type(error) for error in found] == [RunError, RunError]
    assert "can't start new thread" in str(found[0])


def test_a_writer_that_cannot_open_the_file_tells_everyone_who_waits(tmp_path, monkeypatch):
    """And writes as soon as it can: nothing that is queued later is lost."""
    store, real = Store(tmp_path / "completions.db"), Store._connect

    def connect(_):
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(Store, "_connect", connect)
    found = put(store, "a", "b")
    assert [type(error) for error in found] == [RunError, RunError]
    monkeypatch.setattr(Store, "_connect", real)
    assert put(store, "c") == [None]
    assert store.get("c").content == "c"
    store.close()


def test_what_is_queued_when_the_loop_is_gone_is_written_all_the_same(tmp_path):
    """After a second Ctrl-C nobody waits for the answers in flight, but they are paid for."""
    store = Store(tmp_path / "completions.db")

    async def leave():
        for number in range(20):
            task = asyncio.ensure_future(store.put(str(number), REQUEST, Completion(content="x")))
            await asyncio.sleep(0)
            task.cancel()

    asyncio.run(leave())
    store.close()
    other = Store(tmp_path / "completions.db", read_only=True)
    assert other.count() == 20
    other.close()


def test_a_closed_store_is_one_file_that_a_read_only_folder_may_hold(tmp_path):
    """Nothing lies beside it after writing or reading; while somebody reads, the log may stay until the next close."""
    path = tmp_path / "completions.db"
    store = Store(path)
    put(store, "a")
    reading = Store(path, read_only=True)
    assert reading.get("a").content == "a"
    store.close()
    reading.close()
    Store(path).close()
    assert [each.name for each in tmp_path.iterdir()] == ["completions.db"]

    again = Store(path, read_only=True)
    assert again.get("a").content == "a"
    assert [each.name for each in tmp_path.iterdir()] == ["completions.db"]
    again.close()
    writing = Store(path)
    put(writing, "b")
    assert writing.count() == 2
    writing.close()
