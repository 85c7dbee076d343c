"""Chat templates in Jinja, rendered as tokenizers render them.

Templates come with other people's tokenizers, so they run in Jinja's immutable sandbox, with the few helpers that
they expect: `raise_exception` and a JSON filter that keeps non-ASCII text as it is. `strftime_now` is left undefined,
so that a template falls back to its own fixed date: today's would change the bytes from day to day.
"""

from __future__ import annotations

import json
from typing import Any


def compiled(template: str) -> Any:
    """Return a compiled chat template. Raises: ExportError when it is no Jinja template."""
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    from instructgen.errors import ExportError

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    def as_json(value: Any, indent: int | None = None, **_: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    world = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _generation()]
    )
    world.filters["tojson"] = as_json
    world.globals["raise_exception"] = refuse
    try:
        return world.from_string(template)
    except jinja2.TemplateSyntaxError as error:
        raise ExportError(f"chat template, line {error.lineno}: {error.message}") from error


def _generation() -> Any:
    """Return the extension for `{% generation %}` blocks, which mark assistant spans and print what they hold."""
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012 - the name and type that jinja2 looks for

        def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    return Generation
