"""The README is true: its commands run, its tables are current, each command stands in it and has help."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from instructgen.cli import app
from instructgen.recipe import parse_recipe
from tests.conftest import ROOT
from tests.readme_blocks import README, current

TEXT = README.read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands():
    return sorted(command.name or command.callback.__name__ for command in app.registered_commands)


def test_generated_blocks_are_current():
    """`python -m tests.readme_blocks` rewrites them."""
    assert current(TEXT) == TEXT


@pytest.mark.parametrize("name", commands())
def test_each_command_is_in_the_readme_and_has_help(name):
    """A command without a line in the README, or without a sentence of help, is not finished."""
    done = CliRunner().invoke(app, [name, "--help"])

    assert done.exit_code == 0
    assert len(done.output.split()) > 10
    assert f"instructgen {name}" in TEXT


def test_commands_in_the_readme_run(tmp_path):
    """Every ```bash block, in an empty directory, in order."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HF_HOME": str(tmp_path / "hf"),
    }
    for block in blocks("bash"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_python_in_the_readme_runs(tmp_path, monkeypatch):
    """Every ```python block, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    found = blocks("python")
    assert found, "no block was found: the pattern is wrong"
    for block in found:
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


PAGES = sorted((ROOT / "docs").glob("*.md"))


def fenced(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if fenced(page, "python")], ids=lambda page: page.name)
def test_python_in_the_manual_runs(page, tmp_path, monkeypatch):
    """Every ```python block of a page, in an empty directory; what would reach the Hub is compiled only."""
    monkeypatch.chdir(tmp_path)
    for block in fenced(page, "python"):
        code = compile(block, page.name, "exec")
        if page.name != "hub.md":
            names = {"__name__": "manual"}
            exec(code, names)
            assert len(names) > 2, "the block defines and imports nothing"


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_recipes_in_the_manual_are_valid(page):
    """Every ```yaml block is a recipe, or a part of one that fits into a whole."""
    whole = {"teacher": {"kind": "openai", "model": "m"}, "generator": {"kind": "self_instruct"}}
    for block in fenced(page, "yaml"):
        part = yaml.safe_load(block)
        if "mixture" not in part:
            assert parse_recipe(whole | part, page.name).model_fields_set >= part.keys()


def test_links_lead_somewhere():
    """Every relative link of the README and the pages in docs/ names a file."""
    pages = [README, *sorted((ROOT / "docs").glob("*.md"))]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert dead == []


def test_every_page_of_the_manual_is_linked():
    """A page that nothing leads to is lost."""
    assert all(f"docs/{page.name}" in TEXT for page in (ROOT / "docs").glob("*.md"))
