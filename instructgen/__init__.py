"""Build instruction-tuning datasets: generate, convert, filter, export, publish.

from instructgen import generate, load_recipe
report = generate(load_recipe("demo.yaml"), into="runs/first")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from instructgen.api import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """Load the public names of `instructgen.api` on first use, so that importing the package costs nothing."""
    api = import_module("instructgen.api")  # not `from instructgen import`: that asks this function again
    if name == "__all__":
        return api.__all__
    if name in api.__all__:
        return getattr(api, name)
    raise AttributeError(f"module 'instructgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    api = import_module("instructgen.api")
    return sorted([*api.__all__, "__version__"])
