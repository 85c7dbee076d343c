"""System calls that the sandbox denies, as the program that the kernel asks about each call (seccomp).

    denied("x86_64")   ->   bytes of a classic BPF program, for `bwrap --seccomp FD`

Denied is what would hold memory that no process shows as its own (`memfd`, shared blocks without a file, System V
queues), and what would make namespaces, mounts or watchers of one's own. Everything else is allowed. Numbers and
program format: Linux's `asm/unistd_64.h`, `asm-generic/unistd.h` and `linux/filter.h`; what newer calls than these
allow is not known here.
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

_NAMESPACES = 0x7E020080
"""Flags of `clone` that make a namespace: time, mount, cgroup, uts, ipc, user, pid, net."""
_SHARED_ANONYMOUS = 0x21
"""Flags of `mmap`: MAP_SHARED and MAP_ANONYMOUS. Such a block stays when the process that filled it is gone."""
_SET_DUMPABLE = 4
"""First argument of `prctl` by which a process hides from whoever watches it."""
_X32 = 0x40000000
"""Call numbers from here on are those of the x32 ABI on x86-64: a second spelling of the same calls."""


class _Machine(NamedTuple):
    audit: int
    """AUDIT_ARCH of the machine: a call in another machine's (32-bit) numbers ends the process."""
    clone: int
    mmap: int
    prctl: int
    memory: tuple[int, ...]
    """memfd_create, memfd_secret, shmget, msgget, semget: they fail as if memory had run out."""
    forbidden: tuple[int, ...]
    """unshare, setns, mount, umount2, pivot_root, add_key, request_key, keyctl, bpf, userfaultfd, perf_event_open."""


_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 56, 9, 157, (319, 447, 29, 68, 64), (272, 308, 165, 166, 155, 248, 249, 250, 321, 323, 298)
    ),
    "aarch64": _Machine(
        0xC00000B7, 220, 222, 167, (279, 447, 194, 186, 190), (97, 268, 40, 39, 41, 217, 218, 219, 280, 282, 241)
    ),
}
_FORBIDDEN_ANYWHERE = (*range(428, 434), 442)
"""open_tree, move_mount, fsopen, fsconfig, fsmount, fspick; mount_setattr. The same numbers on every machine."""
_UNKNOWN_ANYWHERE = (435, 425, 426, 427)
"""clone3 and io_uring: their arguments lie in memory, where a filter cannot look. Programs fall back to older calls."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; arguments are 8 bytes each, the low half first."""


def denied(machine: str) -> bytes:
    """Return the filter for a machine (`platform.machine()`), or nothing where its call numbers are not known.

    Example: len(denied("x86_64")) % 8 -> 0 (instructions of 8 bytes)
    """
    known = _MACHINES.get(machine)
    if known is None:
        return b""
    steps = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, known.audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    steps += [(_AT_LEAST, 0, 1, _X32), _fails(errno.ENOSYS)]
    for numbers, error in (
        (known.memory, errno.ENOMEM),
        (known.forbidden + _FORBIDDEN_ANYWHERE, errno.EPERM),
        (_UNKNOWN_ANYWHERE, errno.ENOSYS),
    ):
        for number in numbers:
            steps += [(_EQUAL, 0, 1, number), _fails(error)]
    steps += _argument(known.clone, 0, [(_ANY_BIT, 0, 1, _NAMESPACES)], errno.EPERM)
    steps += _argument(
        known.mmap, 3, [(_AND, 0, 0, _SHARED_ANONYMOUS), (_EQUAL, 0, 1, _SHARED_ANONYMOUS)], errno.ENOMEM
    )
    steps += _argument(known.prctl, 0, [(_EQUAL, 0, 1, _SET_DUMPABLE)], errno.EPERM)
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


_Step = tuple[int, int, int, int]
"""Operation, instructions to skip when true and when false, constant."""


def _fails(error: int) -> _Step:
    return (_RETURN, 0, 0, _ERRNO | error)


def _argument(number: int, position: int, tests: list[_Step], error: int) -> list[_Step]:
    """Return the steps that look at one argument of a call; what does not fail there is allowed."""
    inside = [(_LOAD, 0, 0, _ARGUMENT + 8 * position), *tests, _fails(error), (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(inside), number), *inside]
