"""Prompt templates: found by name, rendered strictly, hashed.

A template is one Jinja text file in `prompts/`. Lines `=== system ===`, `=== user ===` and `=== assistant ===` split it
into chat turns; without them the whole text is one user turn (or the raw text of a text completion). A first line
`{# ... #}` may say what the prompt is for.

    === system ===
    You write tasks for a language model.
    === user ===
    {% for shot in shots %}{{ loop.index }}. {{ shot.instruction }}
    {% endfor %}
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from instructgen.errors import PromptError, suggestion
from instructgen.records import Request, Turn

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

_ROLE_LINE = re.compile(r"^=== (system|user|assistant) ===[ \t]*\n?", re.MULTILINE)
_KEY = secrets.token_hex(16)
"""Stands for the role lines while a template is filled in: a text that a variable brings along cannot know it, so a
role line in a seed or in an answer opens no turn. It never reaches a request."""
_ROLE_MARK = re.compile(rf"<{_KEY} (system|user|assistant)>\n?")


class Prompts:
    """The prompt templates of a run: name -> text.

    Example: Prompts({"ask": "Say {{ word }}."}).render(Request.from_prompt("ask", word="hi")).messages
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        self._compiled: dict[str, tuple[Template, frozenset[str]]] = {}

    def hash(self, name: str) -> str:
        """Return the sha256 of a template's text. Raises: PromptError for an unknown name."""
        return hashlib.sha256(self._text(name).encode()).hexdigest()

    def render(self, request: Request) -> Request:
        """Return the request with its messages (or text) filled in; one written by hand comes back as it is.

        Raises: PromptError for an unknown template, a variable missing or one that the template never uses.
        """
        if not request.prompt or request.messages or request.text:
            return request
        text = self._fill(request.prompt, request.variables)
        if request.mode == "text":
            return request.model_copy(update={"text": _ROLE_MARK.sub(r"=== \1 ===\n", text)})
        return request.model_copy(update={"messages": (*_turns(text), *request.following), "following": ()})

    def _text(self, name: str) -> str:
        if name not in self.texts:
            raise PromptError(f"prompt {name!r} is not in the run's prompts{suggestion(name, self.texts)}")
        return self.texts[name]

    def _fill(self, name: str, variables: Mapping[str, Any]) -> str:
        template, wanted = self._compile(name)
        missing, unused = sorted(wanted - variables.keys()), sorted(variables.keys() - wanted)
        if missing or unused:
            parts = [f"misses {missing}"] * bool(missing) + [f"never uses {unused}"] * bool(unused)
            raise PromptError(f"prompt {name!r} {' and '.join(parts)}; it uses {sorted(wanted)}")
        try:
            return template.render(variables)
        except Exception as error:  # a user's template may raise anything
            raise PromptError(f"prompt {name!r} cannot be rendered: {error}") from error

    @cached_property
    def _environment(self) -> SandboxedEnvironment:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment

        return SandboxedEnvironment(
            undefined=StrictUndefined, keep_trailing_newline=False, trim_blocks=True, lstrip_blocks=True
        )

    def _compile(self, name: str) -> tuple[Template, frozenset[str]]:
        if name not in self._compiled:
            from jinja2 import TemplateError, meta

            text = _ROLE_LINE.sub(rf"<{_KEY} \1>\n", self._text(name))
            try:
                wanted = frozenset(meta.find_undeclared_variables(self._environment.parse(text)))
                self._compiled[name] = (self._environment.from_string(text), wanted)
            except TemplateError as error:
                raise PromptError(f"prompt {name!r} is not a Jinja template: {error}") from error
        return self._compiled[name]


def _turns(text: str) -> tuple[Turn, ...]:
    """Split a rendered chat prompt at what stood for the template's own role lines."""
    parts = _ROLE_MARK.split(text)
    if len(parts) == 1:
        return (Turn(role="user", content=text.strip()),)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return tuple(Turn(role=role, content=content.strip()) for role, content in pairs)
