"""The sandbox: each way of doing harm is stopped, each with its outcome; without bubblewrap nothing runs unasked."""

import re
import time
from pathlib import Path

import pytest

from instructgen import sandbox
from instructgen.errors import RecipeError
from instructgen.sandbox import Limits, Sandbox, runner
from instructgen.syscalls import denied

needs_bwrap = pytest.mark.skipif(not sandbox.available(), reason="BUBBLEWRAP ABSENT: apt-get install bubblewrap")
LIMITS = Limits(seconds=20, megabytes=256, processes=16, output_kilobytes=64)
SHORT = LIMITS.model_copy(update={"seconds": 2})
SECRET = Path.home() / ".instructgen-test-secret"

GROW_IN_TEN = """
import os, time
for _ in range(10):
    if os.fork() == 0:
        block = bytearray(b"x") * 2**26
        time.sleep(60)
time.sleep(60)
"""
HARM = [
    ("while True: pass", "time"),
    ("import time; time.sleep(60)", "time"),
    ("import os\nwhile True: os.fork()", "processes"),
    ("block = bytearray(10 * 2**30)", "memory"),
    ("blocks = []\nwhile True: blocks.append(bytearray(2**20))", "memory"),
    (GROW_IN_TEN, "memory"),
    ("while True: print('x' * 1000)", "output"),
    ("import socket; socket.create_connection(('192.0.2.1', 80), 2)", "network"),
    ("import urllib.request as u; u.urlopen('http://example.com')", "network"),
    (f"print(open({str(SECRET)!r}).read())", "files"),
    (f"print(open({str(Path(__file__))!r}).read())", "files"),
    ("open('/usr/planted', 'w')", "files"),
    ("1 / 0", "error"),
    ("import sys; sys.exit(3)", "error"),
    ("def broken(:", "error"),
]


@pytest.fixture
def secret():
    SECRET.write_text("secret")
    yield
    SECRET.unlink()


@needs_bwrap
@pytest.mark.parametrize(("code", "outcome"), HARM)
def test_each_harm_is_stopped_with_its_outcome(code, outcome, secret):
    """Endless loops, fork bombs, huge memory, floods, network, other people's files: stopped and named."""
    limits = SHORT if outcome == "time" else LIMITS  # a busy machine must not turn another outcome into `time`

    ran = Sandbox(limits=limits)(code)

    assert ran.outcome == outcome, ran
    assert "secret" not in ran.stdout


FILES = """
import os
for at in range(10**6):
    with open(f"/tmp/{at}", "wb") as file:
        file.write(bytes(60_000))
"""
EMPTY_FILES = """
import os
for at in range(10**6):
    os.close(os.open(f"/tmp/{at}", os.O_CREAT))
"""
EVASIONS = [
    ("import os\nos.memfd_create('held')", "memory"),
    ("import mmap\nmmap.mmap(-1, 2**20)", "memory"),
    (FILES, "memory"),
    (EMPTY_FILES, "memory"),
    ("open('/dev/zero', 'r+b')", "files"),
    ("open('/home/nobody/held', 'w')", "files"),
    ("open('/dev/held', 'w')", "files"),
    ("open('/held', 'w')", "files"),
]


@needs_bwrap
@pytest.mark.parametrize(("code", "outcome"), EVASIONS)
def test_memory_cannot_be_held_where_no_process_shows_it(code, outcome):
    """Anonymous files, shared blocks, full and empty files in memory count, or cannot be had."""
    ran = Sandbox(limits=LIMITS.model_copy(update={"megabytes": 64}))(code)

    assert ran.outcome == outcome, ran
    assert ran.peak_megabytes < 96


CALLS = """
import ctypes, os, threading
call = ctypes.CDLL(None, use_errno=True)
def failed(name, *numbers):
    ctypes.set_errno(0)
    return (getattr(call, name)(*numbers), os.strerror(ctypes.get_errno()))
print(failed("unshare", 0x10000000), failed("shmget", 0, 2**20, 0o1600), failed("msgget", 0, 0o1600))
print(failed("mount", b"none", b"/tmp", b"tmpfs", 0, b""), failed("prctl", 4, 0))
threads = [threading.Thread(target=print, args=(at,)) for at in range(3)]
for thread in threads: thread.start(); thread.join()
import multiprocessing
lock = multiprocessing.get_context("fork").Lock()
with lock: print("locked")
"""


@needs_bwrap
def test_namespaces_mounts_and_queues_of_ones_own_are_refused_and_threads_are_not():
    """The kernel denies the calls by which memory would leave the count; threads, forks and locks go on working."""
    ran = Sandbox(limits=LIMITS)(CALLS)

    assert ran.outcome == "ok", ran
    refused, hidden, *rest = ran.stdout.splitlines()
    assert refused.count("(-1, 'Operation not permitted')") == 1
    assert refused.count("(-1, 'Cannot allocate memory')") == 2
    assert hidden.count("(-1, 'Operation not permitted')") == 2
    assert rest == ["0", "1", "2", "locked"]


def test_machines_whose_call_numbers_are_not_known_get_no_filter():
    """A filter in the wrong numbers would deny harmless calls."""
    assert denied("riscv64") == b""
    assert {len(denied(machine)) % 8 for machine in ("x86_64", "aarch64")} == {0}


@needs_bwrap
def test_honest_code_runs_and_its_output_comes_back():
    """The standard library works, /tmp is writable, output is returned as text."""
    code = "import pathlib\npathlib.Path('/tmp/a').write_text('é')\nprint(ascii(pathlib.Path('/tmp/a').read_text()))"

    ran = Sandbox(limits=LIMITS)(code)

    assert (ran.outcome, ran.code, ran.stdout) == ("ok", 0, "'\\xe9'\n")


@needs_bwrap
def test_the_code_sees_an_empty_home_no_environment_and_another_user():
    """Nothing of the person who runs it leaks in, and nothing outside /usr can be listed."""
    code = (
        "import os\nprint(os.listdir(os.environ['HOME']), os.getuid(), sorted(os.environ))\n"
        "print([d for d in ('/etc', '/var', '/opt', '/srv', '/mnt') if os.path.isdir(d) and os.listdir(d)])"
    )

    first, second = Sandbox(limits=LIMITS)(code).stdout.splitlines()

    assert re.match(r"\[\] 6\d{4} \['HOME', 'LANG'", first)
    assert second == "[]"


@needs_bwrap
def test_a_fork_bomb_never_has_more_processes_than_it_may():
    """The kernel stops it: the watch from outside would be too slow for something that doubles every millisecond."""
    started = len(list(Path("/proc").glob("[0-9]*")))

    ran = Sandbox(limits=LIMITS)(
        "import os, time\ntry:\n    while True: os.fork()\nexcept OSError:\n    time.sleep(0.5)"
    )

    assert ran.outcome in ("ok", "processes")
    assert len(list(Path("/proc").glob("[0-9]*"))) < started + 200


@needs_bwrap
def test_nothing_of_the_tree_outlives_the_run():
    """A daemon that left its session dies with the namespace."""
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(60)"
    mark = b"\0%d\0" % (77 * 1024)  # the file size limit stands on the command line of every process of this run

    ran = Sandbox(limits=LIMITS.model_copy(update={"output_kilobytes": 77}))(code)

    assert ran.outcome == "ok"
    time.sleep(0.2)
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(mark in command for command in commands)


@needs_bwrap
def test_two_runs_share_nothing():
    """What one run leaves in /tmp the next does not find."""
    box = Sandbox(limits=LIMITS)
    box("open('/tmp/left', 'w').write('x')")

    assert box("import os; print(os.path.exists('/tmp/left'))").stdout == "False\n"


def test_without_bubblewrap_code_is_refused_with_the_way_out(monkeypatch):
    """The message says what to install and which flag runs it unprotected."""
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)

    with pytest.raises(RecipeError, match=r"bubblewrap.*--unsafe-code"):
        runner()


def test_unsafe_code_runs_without_bubblewrap_but_within_limits(monkeypatch):
    """Said so, code runs; time, memory and process limits still hold."""
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    box = runner(unsafe=True, limits=LIMITS)

    assert box.wrapped is False
    assert box("print('here')").stdout == "here\n"
    assert runner(unsafe=True, limits=SHORT)("while True: pass").outcome == "time"
    assert box("block = bytearray(10 * 2**30)").outcome == "memory"
    assert (
        box("import os, time\nfor _ in range(40):\n    if os.fork() == 0: time.sleep(30)\ntime.sleep(30)").outcome
        == "processes"
    )
