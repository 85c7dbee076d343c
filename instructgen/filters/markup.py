"""Code and data in answers that does not parse, where the task asks for it. Nothing is ever run.

{"instruction": "Give a JSON object with a name.", "output": "{'name': 'Ann'}"}   ->  invalid_json
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from typing import ClassVar, Literal

from instructgen.filters.rated import Exchange, Finding, RatedFilter, Rating, snippet

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^`\n]*)$", re.MULTILINE)
_OPENING = re.compile(r"^ {0,3}```[ \t]*+([\w+-]*+)[^\n]*+\n", re.MULTILINE)
_CLOSING = re.compile(r"^ {0,3}```[ \t]*+$", re.MULTILINE)
_ASKS_JSON = re.compile(r"\bjson\b", re.IGNORECASE)
_JSON_MADE = re.compile(
    r"\b(?:in|as|into|to|a|an|valid|using|with|return|output|generate|create|write)\b[\w ,'\"-]{0,30}\bjson\b",
    re.IGNORECASE,
)
_ASKS_PYTHON = re.compile(r"\bpython\b", re.IGNORECASE)
_PYTHON_LINE = re.compile(
    r"^(?:def \w+\(.*\)|class \w.*:|import \w+|from \w[\w.]* import |for \w(?>.*? in ).*:|print\(|\w+ = )",
    re.MULTILINE,
)
_PROSE_LINE = re.compile(r"^[A-Z][a-z]+ (?:\w+[ ,]+){4,}\w+[.:!]\s*$", re.MULTILINE)
_SHOWN_RESULT = re.compile(
    r"^[^\w\n \t]*+(?:Sample |Example |Expected )?(?:Output|Result|Input|Example|Explanation)s?(?::|[ \t]*+$)",
    re.MULTILINE | re.IGNORECASE,
)
"""A heading that people put below bare code: at the margin, with a colon or alone; `result = 0` is code."""
_WORD_SIGN = re.compile(r"\w")
_LARGEST = 100_000
"""Characters beyond which code is not parsed: it costs too much."""


class Markup(RatedFilter):
    """Reject broken code fences, and JSON or Python that does not parse where the task asks for it.

    Example: instruction="Write a Python function.", output="def f(x) return x" -> invalid_python
    """

    reasons: ClassVar[dict[str, str]] = {
        "open_fence": "a code fence is opened and never closed",
        "invalid_json": "the task asks for JSON and the answer's JSON does not parse",
        "invalid_python": "the task asks for Python and the answer's code does not parse",
    }
    ratings: ClassVar[dict[str, Rating]] = {"invalid_json": "flag", "invalid_python": "flag"}
    # Right on instruction data read by eye, but on 3,000 rows of gpteacher's code set 54 of 64 were false: code that
    # builds JSON, JSON Lines, comments. So they are noted, and dropped only where a recipe says so.

    kind: Literal["markup"] = "markup"

    def find(self, exchange: Exchange) -> Iterator[Finding]:
        """Yield what does not parse."""
        output = exchange.output or ""
        if ("```" in output or "~~~" in output) and has_open_fence(output):
            yield "open_fence", {}
        if len(output) > _LARGEST or len(output) < 2:
            return
        if (
            ("{" in output or "[" in output)
            and _ASKS_JSON.search(exchange.instruction)
            and _JSON_MADE.search(exchange.instruction)
        ):
            error = json_error(output)
            if error:
                yield "invalid_json", {"error": error}
        if _ASKS_PYTHON.search(exchange.instruction):
            error = python_error(output)
            if error:
                yield "invalid_python", {"error": error}


def has_open_fence(text: str) -> bool:
    """Tell whether a Markdown fence is still open at the end. A fence closes with at least as many of its own marks."""
    mark = ""
    for found in _FENCE.finditer(text):
        ticks, info = found.groups()
        if not mark:
            mark = ticks
        elif ticks[0] == mark[0] and len(ticks) >= len(mark) and not info.strip():
            mark = ""
    return bool(mark)


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    r"""Return (language, content) of each block between fences of three backticks.

    Example: fenced_blocks("```json\n[1]\n```") -> [("json", "[1]\n")]
    """
    blocks: list[tuple[str, str]] = []
    at = 0
    while (opened := _OPENING.search(text, at)) and (closed := _CLOSING.search(text, opened.end())):
        blocks.append((opened[1], text[opened.end() : closed.start()]))
        at = closed.end()
    return blocks


def _before_result(output: str) -> str:
    """Return the lines above a shown result and above the rules and blank lines on top of it."""
    found = _SHOWN_RESULT.search(output)
    if not found:
        return output
    at = found.start()
    while at and not _WORD_SIGN.match(output, at - 1):
        at -= 1
    return output[: output.index("\n", at) + 1] if at else ""


def json_error(output: str) -> str:
    """Return why none of the answer's JSON parses, or "" when some does or nothing looks like JSON.

    Example: json_error("{'a': 1}") -> "Expecting property name enclosed in double quotes (line 1)"
    """
    blocks = [body for _, body in fenced_blocks(output)] or [output]
    failure = ""
    for block in blocks:
        text = block.strip()
        start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
        if start < 0 or (start > 0 and "\n" not in text[:start] and len(text[:start].split()) > 12):
            continue
        body = text[start : max(text.rfind("}"), text.rfind("]")) + 1] or text[start:]
        try:
            json.loads(body)
        except json.JSONDecodeError as error:
            failure = failure or f"{error.msg} (line {error.lineno})"
        except ValueError:
            failure = failure or "an integer of thousands of digits"
        except RecursionError:
            failure = failure or "nested too deeply"
        else:
            return ""
    return failure


def python_error(output: str) -> str:
    """Return why the answer's Python does not parse, or "" when it does or there is none.

    A fenced block is taken by its word; a bare answer only when it is code from the first line on.
    Example: python_error("def f(x) return x") -> "expected ':' (line 1)"
    """
    blocks = [body for language, body in fenced_blocks(output) if language.lower() in ("python", "py", "python3")]
    if not blocks:
        if "```" in output or _PROSE_LINE.search(output) or not _PYTHON_LINE.match(output.lstrip()):
            return ""
        blocks = [_before_result(output)]
    for block in blocks:
        if ">>>" in block or "..." in block:
            continue
        error = _syntax_error(block)
        if error:
            return error
    return ""


def _syntax_error(code: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code.strip("\n"))
    except SyntaxError as error:
        return snippet(f"{error.msg} (line {error.lineno})")
    except (ValueError, RecursionError, MemoryError) as error:
        return type(error).__name__
    return ""
