r"""Runs untrusted Python, bounded in time, memory, processes and output, without network or files.

    run_code("print(1 + 1)")   ->   Ran(outcome="ok", stdout="2\n", ...)

With bubblewrap (`bwrap`), the code gets its own user, pid, network, ipc and mount namespaces: no network device but
a loopback of its own, /usr and the interpreter read-only, an empty home, and a /tmp and /dev/shm that vanish with it;
nothing else can be written. What is watched from outside: wall time of the whole tree, the memory of all its processes
and of its files together, their number (which the kernel limits too). Memory that belongs to no process cannot be had:
the kernel refuses `memfd`, shared blocks without a file, System V queues, and namespaces and mounts of one's own
(`syscalls.py`; on machines other than x86-64 and ARM64 it does not). Started by root, the code runs as a user of its
own that owns nothing.
What is not covered: what is taken between two looks (a hundredth of a second), buffers of at most 64 pipes and
sockets a process, bugs of the kernel, CPU time taken from others while it runs, and what can be read in /usr.
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
from instructgen.syscalls import denied

Outcome = Literal["ok", "error", "time", "memory", "processes", "output", "network", "files"]
"""Why it ended: by itself, with an exception, or for passing a bound. `network` and `files`: it raised because it
reached for something that is not there."""

_POLL = 0.01
"""Seconds between two looks at the tree. A fork bomb doubles within a millisecond: the kernel's own limit stops it."""
_HELD = re.compile(rb"^(?:VmRSS|VmSwap):\s+(\d+)", re.MULTILINE)
"""Lines of /proc/PID/status, in KiB."""
_INSIDE_TMP = "/tmp"  # noqa: S108 - of the sandbox, not of this machine
_INSIDE_SHARED = "/dev/shm"  # noqa: S108 - likewise
_SHARED_MEGABYTES = 16
"""Size of /dev/shm, where Python's locks between processes live."""
_INODE = 1024
"""Bytes of kernel memory that a file costs, even an empty one."""
_BOOT = """
import os, resource, sys
memory, size, cpu, processes, user, path = (*map(int, sys.argv[1:6]), sys.argv[6])
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
if processes:
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
if os.getpid() == 1:  # signals do not end the first process of a namespace: the code runs in the second
    child = os.fork()
    while child:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
with open(path, encoding="utf-8") as file:
    code = compile(file.read(), "answer.py", "exec")
sys.argv = ["answer.py"]
exec(code, {"__name__": "__main__"})
"""


class Limits(BaseModel):
    """Bounds on one run of untrusted code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(default=10, gt=0, description="wall time of the whole process tree")
    megabytes: int = Field(default=512, ge=64, description="memory of the whole process tree and its files")
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
    tail: str = ""
    """The last 4,000 characters of the output."""
    seconds: float = 0.0
    peak_megabytes: float = 0.0
    """Largest memory of the tree and its files that was seen."""

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
            with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as calls:
                calls.write(denied(platform.machine()))
                calls.seek(0)
                return self._run(path, out, err, calls.fileno())

    def _run(self, path: Path, out: IO[bytes], err: IO[bytes], calls: int) -> Ran:
        started = time.monotonic()
        process = subprocess.Popen(
            self._command(path, calls),
            pass_fds=[calls] if self.wrapped else [],
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
            tail=_tail(out),
            seconds=round(time.monotonic() - started, 3),
            peak_megabytes=round(peak / 2**20, 1),
        )

    def _command(self, path: Path, calls: int) -> list[str]:
        """Return the command line; `calls` is the descriptor of the filter for system calls."""
        limits = self.limits
        # An address space twice the tree's memory stops one huge allocation at once, before any page is touched.
        numbers = [2 * limits.megabytes * 2**20, limits.output_kilobytes * 1024, int(limits.seconds) + 1]
        numbers.append(limits.processes + 1 if self.wrapped and _counts_alone() else 0)
        numbers.append(next(_USERS) if self.wrapped and _is_root() else 0)
        python = [os.path.realpath(sys.executable), "-I", "-S", "-B", "-c", _BOOT, *map(str, numbers)]
        if not self.wrapped:
            return [*python, str(path)]
        inside = "/code/answer.py"
        options = [*_namespaces(limits.megabytes), "--ro-bind", str(path), inside, "--remount-ro", "/"]
        if denied(platform.machine()):
            options += ["--seccomp", str(calls)]
        return ["bwrap", *options, "--", *python, inside]

    def _watch(self, process: subprocess.Popen[bytes], deadline: float) -> tuple[Outcome | None, int]:
        """Wait for the end; return which bound the tree passed, if any, and its peak memory in bytes."""
        peak = 0
        while process.poll() is None:
            count, memory = tree(process.pid)
            memory += _in_files(process.pid, self.limits.megabytes) if self.wrapped else 0
            peak = max(peak, memory)
            if count > self.limits.processes + 2:  # bwrap itself and the first process inside
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
    options += ["--as-pid-1", "--new-session"]
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
    options += ["--proc", "/proc", "--dir", "/home/nobody", "--dir", "/code", "--perms", "0755", "--dir", "/dev"]
    for name in ("null", "urandom", "random", "full"):  # not zero: mapped shared, it is memory that nobody owns
        options += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for at, name in enumerate(("stdin", "stdout", "stderr")):
        options += ["--symlink", f"/proc/self/fd/{at}", f"/dev/{name}"]
    options += ["--symlink", "/proc/self/fd", "/dev/fd"]
    for place, size in _writable(megabytes).items():
        options += ["--size", str(size), "--perms", "1777", "--tmpfs", place]
    return [*options, "--chdir", _INSIDE_TMP]


def _writable(megabytes: int) -> dict[str, int]:
    """Return the folders that can be written and their sizes in bytes."""
    return {_INSIDE_TMP: megabytes * 2**20, _INSIDE_SHARED: min(_SHARED_MEGABYTES, megabytes) * 2**20}


def tree(root: int) -> tuple[int, int]:
    """Return how many processes descend from a process, itself included, and their memory in bytes, swapped or not.

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
    return len(found), sum(_memory(pid) for pid in found)


def _memory(pid: int) -> int:
    try:
        found = _HELD.findall(Path(f"/proc/{pid}/status").read_bytes())
    except OSError:
        return 0
    return 1024 * sum(map(int, found))


def _in_files(bwrap: int, megabytes: int) -> int:
    """Return the bytes of memory that the files of a sandbox take, seen through the first process inside."""
    inside = next(iter(_children(bwrap)), None)
    used = 0
    for place, size in _writable(megabytes).items():
        with suppress(OSError):  # it is just ending
            found = os.statvfs(f"/proc/{inside}/root{place}")
            if found.f_blocks * found.f_frsize == size:  # else bubblewrap is not done yet, and this is our own /tmp
                used += (found.f_blocks - found.f_bfree) * found.f_frsize + (found.f_files - found.f_ffree) * _INODE
    return used


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
        children = _children(left.pop())
        found += children
        left += children
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


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
