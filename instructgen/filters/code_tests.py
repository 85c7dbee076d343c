"""Code in answers, run against the tests that the sample carries.

{"output": "def add(a, b): return a - b", "labels": {"tests": ["assert add(1, 2) == 3"]}}   ->  tests_failed
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any, ClassVar, Literal, Self

from pydantic import PrivateAttr

from instructgen.errors import RecipeError
from instructgen.filters import Filter, Tools, Verdict
from instructgen.filters.markup import fenced_blocks
from instructgen.filters.rated import labels_of, snippet
from instructgen.records import Sample, digest

_IMPORT = re.compile(r"^(?:def |class |import |from |@|async def |\w+\s*=)", re.MULTILINE)
_SESSION = re.compile(r"\s*>>> ")


class CodeTests(Filter):
    """Reject answers whose Python does not pass `labels.tests` (a string or a list of statements with assert).

    A program counts as passed only when it reaches its end after the tests: leaving early with exit code 0 does not
    help. It runs in the sandbox with the standard library; samples without tests are kept.
    """

    reasons: ClassVar[dict[str, str]] = {
        "unreadable_tests": "`labels.tests` is neither a text nor a list of texts",
        "no_code": "the sample has tests and the answer has no code",
        "tests_failed": "the code or a test raised",
        "tests_skipped": "the program ended before its tests did",
        "code_time": "the code ran out of time",
        "code_memory": "the code took more memory than it may",
        "code_processes": "the code started more processes than it may",
        "code_output": "the code wrote more than it may",
        "code_network": "the code reached for the network",
        "code_files": "the code reached for files that are not its own",
    }
    reads: ClassVar[frozenset[str]] = frozenset({"output"})

    kind: Literal["code_tests"] = "code_tests"
    _run: Any = PrivateAttr(default=None)

    def prepare(self, tools: Tools) -> Self:
        """Return a copy with the sandbox at hand. Raises: RecipeError when code may not be run here."""
        if tools.run_code is None:
            raise RecipeError("filter 'code_tests' runs code, and this command has no sandbox to run it in")
        tools.run_code("")  # refuses now rather than at the first sample
        ready = super().prepare(tools)
        ready._run = tools.run_code
        return ready

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Run the answer and its tests."""
        tests = labels_of(sample).get("tests")
        if tests is None or tests == "" or tests == []:
            return None
        each = tests if isinstance(tests, list) else [tests]
        if not all(isinstance(test, str) for test in each):
            return sample.rejected("unreadable_tests", tests=snippet(str(tests)))
        statements = "\n".join(map(str, each))
        code = code_of(sample.output)
        if not code:
            return sample.rejected("no_code")
        token = digest([code, statements])[:24]
        ran = self._run(f"{code}\n\n{statements}\nprint()\nprint({token!r})\n")
        if ran.outcome == "ok":
            # A line of its own near the end: what runs at exit, or in a thread, may print behind it.
            return None if token in ran.tail.splitlines() else sample.rejected("tests_skipped", exit_code=ran.code)
        reason = "tests_failed" if ran.outcome == "error" else f"code_{ran.outcome}"
        return sample.rejected(reason, detail=ran.detail, seconds=ran.seconds)


def code_of(output: str) -> str:
    r"""Return the Python of an answer: its fenced Python blocks, else its other blocks, else the answer if it is code.

    Example: code_of("Sure:\n```python\nx = 1\n```") -> "x = 1\n"
    """
    blocks = [(language, dedent(body)) for language, body in fenced_blocks(output)]
    blocks = [block for block in blocks if not _SESSION.match(block[1])] if len(blocks) > 1 else blocks
    python = [body for language, body in blocks if language.lower() in ("python", "py", "python3")]
    if python or blocks:
        return "\n".join(python or [body for _, body in blocks])
    return output if _IMPORT.search(output) else ""
