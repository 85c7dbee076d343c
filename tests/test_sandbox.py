"""The sandbox: each way of doing harm is stopped, each with its outcome; without bubblewrap nothing runs unasked."""

import re
import time
from pathlib import Path

import pytest

from instructgen import sandbox
from instructgen.errors import RecipeError
from instructgen.sandbox import Limits, Sandbox, runner

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
