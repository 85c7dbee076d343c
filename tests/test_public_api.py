"""What `import instructgen` offers, and what importing it costs."""

import subprocess
import sys

import pytest

import instructgen
from instructgen import api

HEAVY = ("openai", "aiohttp", "datasets", "huggingface_hub", "pandas", "pyarrow", "numpy", "jinja2", "torch", "ray")


def test_all_is_sorted_and_true():
    """Every public name exists, is listed once, in order."""
    assert api.__all__ == sorted(set(api.__all__))
    assert all(hasattr(instructgen, name) for name in api.__all__)
    assert set(api.__all__) <= set(dir(instructgen))


def test_no_public_name_is_that_of_a_module():
    """Importing a module of ours sets an attribute on the package: a public name must not be hidden by it."""
    from tests.conftest import ROOT

    modules = {path.stem for path in (ROOT / "instructgen").iterdir()}

    assert modules.isdisjoint(api.__all__)


def test_unknown_name_is_an_attribute_error():
    """A misspelt import fails as in any other package."""
    with pytest.raises(AttributeError, match="no attribute 'generat'"):
        _ = instructgen.generat


@pytest.mark.parametrize("command", [["-m", "instructgen"], ["-c", "from instructgen.cli import main; main()"]])
def test_help_imports_nothing_heavy(command):
    """`instructgen --help` and `python -m instructgen --help` load none of the heavy packages."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command, "--help"], capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}

    assert "typer" in loaded, "the import log was not read"
    assert "generate" in done.stdout
    assert loaded.isdisjoint(HEAVY)
