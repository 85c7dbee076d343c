"""Worker processes that do not run the user's script again.

A spawned process imports the `__main__` of its parent first, to find what was defined there. A script that exports and
has no `if __name__ == "__main__":` would then do all of its work once more in each worker. Ours are sent nothing that
lives in `__main__` (`sendable`), so they do without it.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any


def pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of so many processes; each takes about half a second to start."""
    return ProcessPoolExecutor(workers, _Context(), initializer=_begin)


def sendable(value: Any) -> bool:
    """Tell whether a value can be sent to these processes: it can be pickled, and nothing of it is of `__main__`."""
    try:
        return b"__main__" not in pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):  # a tokenizer, a template
        return False


class _Process(SpawnProcess):
    def start(self) -> None:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")  # what `multiprocessing.spawn` looks at
        try:
            super().start()
        finally:
            sys.modules["__main__"] = script


class _Context(SpawnContext):
    Process = _Process


def _begin() -> None:
    """Leave Ctrl-C to the parent, do not outlive it, and look for cycles seldom: rows are many small values without."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
