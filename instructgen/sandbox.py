r"""Runs untrusted Python, bounded in time, memory, processes and output, without network or files.

    run_code("print(1 + 1)")   ->   Ran(outcome="ok", stdout="2\n", ...)

With bubblewrap (`bwrap`), the code gets its own user, pid, network, ipc and mount namespaces: no network device but
a loopback of its own, /usr and the interpreter read-only, an empty home and a small /tmp that vanish with it. What
is watched from outside: wall time of the whole tree, the memory of all its processes together, their number (which
the kernel limits too). Started by root, the code runs as a user of its own that owns nothing.
What is not covered: memory that code holds in `memfd` files or in a tmpfs that it mounts in a user namespace of its
own, bugs of the kernel, CPU time taken from others while it runs, and what can be read in /usr.
Without bubblewrap the code is refused, unless the user has said `unsafe`: then only the limits hold, the code sees
the network and every file that the user sees.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, Field

from instructgen.errors import RecipeError

Outcome = Literal["ok", "error", "time", "memory", "processes", "output", "network", "files"]
"""Why it ended: by itself, with an exception, or for passing a bound. `network` and `files`: it raised because it
reached for something that is not there."""

_POLL = 0.01
"""Seconds between two looks at the tree. A fork bomb doubles within a millisecond: the kernel's own limit stops it."""
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_INSIDE_TMP = "/tmp"  # noqa: S108 - of the sandbox, not of this machine
_BOOT = """
import os, resource, sys
memory, size, cpu, processes, user, path = (*map(int, sys.argv[1:6]), sys.argv[6])
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if processes:
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
with open(path, encoding="utf-8") as file:
    code = compile(file.read(), "answer.py", "exec")
sys.argv = ["answer.py"]
exec(code, {"__name__": "__main__"})
"""


class Limits(BaseModel):
    """Bounds on one run of untrusted code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(default=10, gt=0, description="wall time of the whole process tree")
    megabytes: int = Field(default=512, ge=64, description="memory of the whole process tree; also of /tmp")
    processes: int = Field(default=32, ge=1, description="processes of the tree")
    output_kilobytes: int = Field(default=1024, ge=1, description="size of standard output, of errors and of any file")


class Ran(BaseModel):
    """What came of it."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    code: int | None = None
    """Exit code; `None` when it was killed for passing a bound."""
    stdout: str = ""
    stderr: str = ""
    """Both cut at 4,000 characters: the head of the output, the tail of the errors."""
    seconds: float = 0.0
    peak_megabytes: float = 0.0
    """Largest resident memory of the tree that was seen."""

    @property
    def detail(self) -> str:
        """The last line of the errors: usually the exception."""
        return next((line for line in reversed(self.stderr.splitlines()) if line.strip()), "")[:200]


def available() -> bool:
    """Tell whether bubblewrap is installed and may make namespaces here."""
    path = shutil.which("bwrap")
    return path is not None and _works(path)


@cache
def _works(bwrap: str) -> bool:
    """Try it once: containers often forbid namespaces."""
    trial = subprocess.run(
        [bwrap, *_namespaces(1), "--", "/usr/bin/env", "true"], capture_output=True, timeout=10, check=False
    )
    return trial.returncode == 0


def runner(*, unsafe: bool = False, limits: Limits | None = None) -> Sandbox:
    """Return a function that runs code, ready to be lent to filters.

    Raises: RecipeError when there is no bubblewrap and `unsafe` was not said.
    """
    if not unsafe and not available():
        raise RecipeError(
            "running code from a dataset needs bubblewrap, which is not installed or may not make namespaces here. "
            "Install it (Debian: apt-get install bubblewrap), or say --unsafe-code to run it without protection."
        )
    return Sandbox(limits=limits or Limits(), wrapped=available())


class Sandbox(BaseModel):
    """A bounded place for untrusted Python; call it with the code."""

    model_config = ConfigDict(frozen=True)

    limits: Limits = Limits()
    wrapped: bool = True
    """False runs without bubblewrap: limits only."""

    def __call__(self, code: str) -> Ran:
        """Run a program of Python's standard library and tell how it ended."""
        with tempfile.TemporaryDirectory(prefix="instructgen-") as folder:
            path = Path(folder) / "answer.py"
            path.write_text(code, encoding="utf-8", errors="replace")
            with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
                return self._run(path, out, err)

    def _run(self, path: Path, out: IO[bytes], err: IO[bytes]) -> Ran:
        started = time.monotonic()
        process = subprocess.Popen(
            self._command(path),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            start_new_session=True,
            cwd=path.parent,
        )
        try:
            bound, peak = self._watch(process, started + self.limits.seconds)
        finally:
            _kill(process)
        stdout, stderr = _head(out), _tail(err)
        return Ran(
            outcome=bound or _outcome(process.returncode, stderr, out, self.limits),
            code=None if bound else process.returncode,
            stdout=stdout,
            stderr=stderr,
            seconds=round(time.monotonic() - started, 3),
            peak_megabytes=round(peak / 2**20, 1),
        )

    def _command(self, path: Path) -> list[str]:
        limits = self.limits
        # An address space twice the tree's memory stops one huge allocation at once, before any page is touched.
        numbers = [2 * limits.megabytes * 2**20, limits.output_kilobytes * 1024, int(limits.seconds) + 1]
        numbers.append(limits.processes + 1 if self.wrapped and _counts_alone() else 0)
        numbers.append(next(_USERS) if self.wrapped and _is_root() else 0)
        python = [os.path.realpath(sys.executable), "-I", "-S", "-B", "-c", _BOOT, *map(str, numbers)]
        if not self.wrapped:
            return [*python, str(path)]
        inside = "/code/answer.py"
        return ["bwrap", *_namespaces(limits.megabytes), "--ro-bind", str(path), inside, "--", *python, inside]

    def _watch(self, process: subprocess.Popen[bytes], deadline: float) -> tuple[Outcome | None, int]:
        """Wait for the end; return which bound the tree passed, if any, and its peak memory in bytes."""
        peak = 0
        while process.poll() is None:
            count, memory = tree(process.pid)
            peak = max(peak, memory)
            if count > self.limits.processes + 2:  # bwrap itself and its init
                return "processes", peak
            if memory > self.limits.megabytes * 2**20:
                return "memory", peak
            if time.monotonic() > deadline:
                return "time", peak
            time.sleep(_POLL)
        return None, peak


_USERS = cycle(range(61_000, 65_000))
"""User ids for one run each, when started by root: above the ordinary ones, below `nobody`. A limit on processes
counts by user, so two runs at once must not share one."""


def _is_root() -> bool:
    return os.geteuid() == 0


def _counts_alone() -> bool:
    """Tell whether a limit on processes counts those of this run alone: a user of its own, or Linux 5.14 and later,
    which counts by user namespace. Elsewhere it would count all of the user's, and only the watch from outside holds.
    """
    release = [int(part) for part in re.findall(r"\d+", platform.release())[:2]]
    return _is_root() or release >= [5, 14]


def _namespaces(megabytes: int) -> list[str]:
    """Return bubblewrap's options: nothing is shared but /usr and the interpreter, read-only."""
    if _is_root():  # without a user namespace: there, the kernel would not limit root's processes
        options = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        options += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        options = ["--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
    options.append("--new-session")
    options += ["--die-with-parent", "--hostname", "sandbox", "--clearenv", "--setenv", "PATH", "/usr/bin"]
    options += ["--setenv", "HOME", "/home/nobody", "--setenv", "LANG", "C.UTF-8", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "lib", "lib64", "sbin"):
        source = Path("/") / name
        if source.is_symlink():
            options += ["--symlink", str(source.readlink()), str(source)]
        elif source.is_dir():
            options += ["--ro-bind", str(source), str(source)]
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        for parent in reversed(prefix.parents[:-1]):  # empty, and open to whoever the code runs as
            options += ["--perms", "0755", "--dir", str(parent)]
        options += ["--ro-bind", str(prefix), str(prefix)]
    options += ["--proc", "/proc", "--dev", "/dev", "--dir", "/home/nobody", "--dir", "/code"]
    options += ["--size", str(megabytes * 2**20), "--perms", "1777", "--tmpfs", _INSIDE_TMP]
    return [*options, "--chdir", _INSIDE_TMP]


def tree(root: int) -> tuple[int, int]:
    """Return how many processes descend from a process, itself included, and their resident memory in bytes.

    Orphans inside a pid namespace fall to its init, which descends from `root`: none escapes.
    """
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_bytes()
            except OSError:  # gone meanwhile
                continue
            parents[int(entry.name)] = int(stat[stat.rindex(b")") + 4 :].split(b" ", 1)[0])
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found, left = [], [root]
    while left:
        pid = left.pop()
        found.append(pid)
        left.extend(children.get(pid, ()))
    return len(found), sum(_resident(pid) for pid in found)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole tree and wait until it is gone.

    With bubblewrap, killing the namespace's init ends everything inside, and bubblewrap outlives the last of it.
    """
    if process.poll() is not None:
        return
    for pid in _descendants(process.pid):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _descendants(root: int) -> list[int]:
    found, left = [], [root]
    while left:
        pid = left.pop()
        try:
            listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:
            continue
        children = [int(each) for each in listed.split()]
        found += children
        left += children
    return found


def _outcome(code: int, stderr: str, out: IO[bytes], limits: Limits) -> Outcome:
    """Tell from exit code and errors why it ended by itself."""
    if code == 0:
        return "ok"
    last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "")
    size = out.seek(0, os.SEEK_END)
    if size >= limits.output_kilobytes * 1024 or "[Errno 27]" in last:  # EFBIG
        return "output"
    if "BlockingIOError" in last or "can't start new thread" in last:
        return "processes"
    if "MemoryError" in last or "Cannot allocate memory" in last:
        return "memory"
    if code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return "time"
    if any(sign in last for sign in ("Network is unreachable", "name resolution", "Name or service not known")):
        return "network"
    if last.startswith(("FileNotFoundError", "PermissionError", "OSError: [Errno 30]")):
        return "files"
    return "error"


def _head(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(4_000).decode(errors="replace")


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 4_000))
    return file.read().decode(errors="replace")
