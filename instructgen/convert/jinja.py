"""Jinja for templates that strangers wrote: sandboxed, and bounded in steps and in output.

    Text(environment, "{{ text }} is {{ answer }}.", "here").render({"text": "Tea", "answer": "good"})

Jinja's sandbox stops `{{ text.__class__ }}`; it does not stop `{{ "x" * 10**9 }}`, a loop of loops or a macro that
calls itself. Here every loop, call, filter, comparison and operator is counted by the size of what it works on (see
meter.py), and what cannot be (macros, includes, set blocks) is refused when the template is compiled. A runaway
template is an error that the caller can name, never a process that hangs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from itertools import islice
from random import Random
from typing import Any, cast

from jinja2 import StrictUndefined, Template, Undefined, UndefinedError, meta, nodes, pass_context, pass_environment
from jinja2 import TemplateError as JinjaError
from jinja2.exceptions import SecurityError
from jinja2.filters import do_indent, do_round, do_sum
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

from instructgen.convert.meter import STEPS, Meter, formatted, metered, without_tags
from instructgen.errors import TemplateError, suggestion

_REFUSED = (
    nodes.Macro, nodes.CallBlock, nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block,
    nodes.AssignBlock, nodes.FilterBlock,
)  # fmt: skip
STR_METHODS = {
    "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdecimal",
    "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower", "lstrip", "partition",
    "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split",
    "splitlines", "startswith", "strip", "swapcase", "title", "upper",
}  # fmt: skip
_MUTATORS = {
    "append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear", "update", "setdefault",
    "popitem", "add",
}  # fmt: skip
_READERS: dict[type, set[str]] = {
    str: STR_METHODS, list: {"count", "index", "copy"}, tuple: {"count", "index"}, bool: set(), int: {"bit_length"},
    dict: {"get", "items", "keys", "values", "copy"}, float: {"is_integer"}, LoopContext: {"cycle", "changed"},
}  # fmt: skip
"""What may be called of a value: nothing that makes much of little, such as `ljust` or `to_bytes`."""
_LIGHT = {"length", "count", "first", "default", "d", "attr", "items", "abs"}
"""Filters whose work does not grow with what they are given, or which count it themselves."""
_LIGHT_TESTS = {
    "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "string", "number", "mapping",
    "sequence", "iterable", "callable", "filter", "test", "odd", "even", "sameas", "escaped",
}  # fmt: skip
_SMALL = 1000
_GONE = ("batch", "center", "lipsum", "pprint", "slice", "urlize", "wordwrap", "xmlattr", "filesizeformat")


class Unrenderable(Exception):  # noqa: N818 - says something about one row, not about the set-up
    """A row that a template cannot put into words. `reason` is countable, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class BoundedEnvironment(SandboxedEnvironment):
    """Jinja's sandbox with limits on steps and sizes. `meter` belongs to the rendering under way."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self, *, strict: bool, **options: Any) -> None:
        super().__init__(undefined=StrictUndefined if strict else Undefined, **options)
        self.strict = strict
        self.meter = Meter({})
        self.rng = Random(0)
        for name in _GONE:
            self.filters.pop(name, None)
        self.filters.update(
            _steps=self._steps, _sized=self._sized, _weighed=self._weighed, _printed=self._printed, _shown=self._shown,
        )  # fmt: skip
        own = {"join": self._join, "replace": self._replace, "indent": self._indent, "tojson": _tojson,
               "format": self._format, "striptags": _striptags, "round": _round, "sum": _sum, "choice": self._choice,
               "random": self._choice}  # fmt: skip
        jinjas = {name: made for name, made in self.filters.items() if name[0] != "_" and name not in _LIGHT}
        self.add_filters(**{**jinjas, **own})
        self.tests.update(
            {
                name: metered(self._now, cast("Callable[..., Any]", made))
                for name, made in self.tests.items()
                if name not in _LIGHT_TESTS
            }
        )
        self.globals = {"range": self.globals["range"], "dict": dict, "namespace": self.globals["namespace"]}

    def _now(self) -> Meter:
        return self.meter

    def add_filters(self, **filters: Callable[..., Any]) -> None:
        """Add filters; the work that they are given is counted."""
        self.filters.update({name: metered(self._now, made) for name, made in filters.items()})

    def begin(self, row: Mapping[str, Any], rows: int = 1, rng: Random | None = None) -> None:
        """Start to count anew, for a rendering of `row`, or of a batch of `rows` whose sizes are not known."""
        self.meter, self.rng = Meter(row, rows), rng or self.rng

    def _steps(self, items: Iterable[Any]) -> Iterable[Any]:
        if isinstance(items, Undefined):
            return items
        sized = items if isinstance(items, Sized) else list(islice(items, STEPS * 10))
        self.meter.step(len(sized) + 1)
        return sized

    def _sized(self, value: Any) -> Any:
        if isinstance(value, str | list | tuple):
            self.meter.size(len(value))
        return value

    def _weighed(self, value: Any) -> Any:
        """Count the work of comparing, joining or copying a value."""
        if not (isinstance(value, str) and len(value) < _SMALL):
            self.meter.weigh(value)
        return value

    def _printed(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.meter.weigh(value)
        return value

    def _shown(self, value: Any) -> Any:
        if value is None:
            raise Unrenderable("null_field", "a field that the template prints is null")
        return self._printed(value)

    def _join(self, items: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
        parts = list(self._steps(items))
        if attribute is not None:
            parts = [self.getattr(part, attribute) for part in parts]
            self.meter.weigh(parts)
        texts = [str(part) for part in parts]
        self.meter.size(sum(map(len, texts)) + len(texts) * len(str(separator)))
        return str(separator).join(texts)

    def _replace(self, text: str, old: str, new: str, count: int | None = None) -> str:
        text, old, new = str(text), str(old), str(new)
        hits = min(text.count(old), count if count is not None and count >= 0 else len(text) + 1)
        self.meter.size(len(text) + hits * (len(new) - len(old)))
        return text.replace(old, new, -1 if count is None else count)

    def _indent(self, text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
        margin = width if isinstance(width, int) else len(width)
        self.meter.size(len(text) + (text.count("\n") + 1) * margin)
        return do_indent(text, width, first, blank)

    def _format(self, text: str, *values: Any, **named: Any) -> str:
        return formatted(self.meter, str(text), named or values)

    @staticmethod
    @pass_context  # without it Jinja would draw once, when the template is compiled
    def _choice(context: Context, items: Iterable[Any]) -> Any:
        options = list(items)
        environment = cast("BoundedEnvironment", context.environment)
        return options[int(environment.rng.random() * len(options))]

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Do one of `+ * ** %`, unless the result would be too large."""
        if operator == "*":
            for sequence, times in ((left, right), (right, left)):
                if isinstance(sequence, str | list | tuple) and isinstance(times, int):
                    self.meter.size(len(sequence) * max(times, 0))
        if operator == "**" and (abs(left) > 10**6 or abs(right) > 64):
            raise SecurityError("it raises a number to a power that makes it too large")
        if operator == "%" and isinstance(left, str):
            return formatted(self.meter, left, right)
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and result.bit_length() > 4096:
            raise SecurityError("it makes a number of more than 4096 bits")
        if isinstance(result, str | list | tuple):
            self.meter.step(1 + len(result) // 1000)
        return self._sized(result)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow data and harmless methods: no private names, no string method that can make a text large."""
        if not super().is_safe_attribute(obj, attr, value):
            return False
        if not callable(value):
            return True
        known = next((names for kind, names in _READERS.items() if isinstance(obj, kind)), set[str]())
        return attr in known or (not self.strict and isinstance(obj, list | dict) and attr in _MUTATORS)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Refuse `str.format`, which can pad without limit."""
        return None

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function or method, counted as a step and its result measured."""
        self.meter.step()
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str | list | tuple) and name not in ("append", "pop"):
            self.meter.weigh(owner)
        self.meter.weigh(*(value for value in (*args, *kwargs.values()) if not isinstance(value, Iterator)))
        if isinstance(owner, str) and name == "join":
            return self._join(args[0], owner)
        if isinstance(owner, str) and name == "replace":
            return self._replace(owner, *args)
        result = self._sized(super().call(context, obj, *args, **kwargs))
        self._sized(owner)  # a list may have grown
        return result


def _striptags(value: Any) -> str:
    return without_tags(str(value))


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if abs(precision) > 300:
        raise SecurityError("it rounds to more than 300 digits")
    return do_round(value, precision, cast("Any", method))


@pass_environment
def _sum(environment: Any, items: Iterable[Any], attribute: str | None = None, start: Any = 0) -> Any:
    if not isinstance(start, int | float):
        raise SecurityError("it adds up other things than numbers")
    return do_sum(environment, items, attribute, start)


def _tojson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class Bound(NodeTransformer):
    """Wrap loops and joins of text in the filters that count them; in strict mode also what is printed."""

    def __init__(self, strict: bool, plain: frozenset[str] = frozenset()) -> None:
        self.strict, self.plain = strict, plain

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802, D102 - the visitor's own naming
        node = cast("nodes.For", self.generic_visit(node))
        node.iter = _filtered("_steps", cast("nodes.Expr", node.iter))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802, D102
        node = cast("nodes.Concat", self.generic_visit(node))
        node.nodes = [_weighed(part) for part in node.nodes]
        return _filtered("_sized", node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802, D102
        node = cast("nodes.Compare", self.generic_visit(node))
        node.expr = _weighed(node.expr)
        for operand in node.ops:
            operand.expr = _weighed(operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802, D102
        node = cast("nodes.Getitem", self.generic_visit(node))
        return _weighed(node) if isinstance(node.arg, nodes.Slice) else node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802, D102
        node = cast("nodes.Output", self.generic_visit(node))
        name = "_shown" if self.strict else "_printed"
        node.nodes = [part if self._is_plain(part) else _filtered(name, part) for part in node.nodes]
        return node

    def _is_plain(self, part: nodes.Expr) -> bool:
        if isinstance(part, nodes.Const):
            return part.value is not None
        return isinstance(part, nodes.TemplateData) or (isinstance(part, nodes.Name) and part.name in self.plain)


def _weighed(node: nodes.Expr) -> nodes.Expr:
    return node if isinstance(node, nodes.Const) else _filtered("_weighed", node)


def _filtered(name: str, node: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class Text:
    """A compiled template text. `where` names it in errors: file and template."""

    def __init__(self, environment: BoundedEnvironment, source: str, where: str) -> None:
        self.environment, self.where = environment, where
        tree = parse(environment, source, where)
        self.names = names_in(environment, tree, where)
        self._template = assemble(environment, Bound(environment.strict).visit(tree), where)

    def render(self, row: Mapping[str, Any], rng: Random | None = None) -> str:
        """Return the text for a row. Raises: Unrenderable for this row, TemplateError for a runaway or an escape."""
        environment, parts, length = self.environment, [], 0
        environment.begin(row, rng=rng)
        with _errors_of(self.where):
            for part in self._template.root_render_func(self._template.new_context(dict(row))):
                parts.append(part)
                length += len(part)
                environment.meter.size(length)
        return "".join(parts)


class Expression:
    """A compiled Jinja expression that gives a value, not a text."""

    def __init__(self, environment: BoundedEnvironment, source: str, where: str) -> None:
        self.environment, self.where, self.source = environment, where, source
        tree = parse(environment, "{% set result = (" + source + ") %}", where)
        self.names = names_in(environment, tree, where)
        self._template = assemble(environment, Bound(strict=False).visit(tree), where)

    def value(self, row: Mapping[str, Any]) -> Any:
        """Return the expression's value for a row. Raises: as `Text.render`."""
        self.environment.begin(row)
        context = self._template.new_context(dict(row))
        with _errors_of(self.where):
            for _ in self._template.root_render_func(context):
                pass
            result = context.vars["result"]
            if isinstance(result, Undefined):
                raise Unrenderable("missing_field", str(result._undefined_message))
        return result


@contextmanager
def _errors_of(where: str) -> Iterator[None]:
    """Sort what a rendering raises: escapes and runaways are the template's fault, the rest is the row's."""
    try:
        yield
    except Unrenderable:
        raise
    except SecurityError as error:
        raise TemplateError(f"{where}: stopped by the sandbox: {error}") from error
    except UndefinedError as error:
        raise Unrenderable("missing_field", str(error)) from error
    except (RecursionError, MemoryError) as error:
        raise TemplateError(f"{where}: stopped: {type(error).__name__}") from error
    except OverflowError as error:  # Jinja's own bound on range, as it is for every other loop that is too long
        raise TemplateError(f"{where}: stopped by the sandbox: {error}") from error
    except Exception as error:  # a template may call anything that its row's values offer
        raise Unrenderable("render_error", f"{type(error).__name__}: {error}") from error


def parse(environment: BoundedEnvironment, source: str, where: str) -> nodes.Template:
    """Return the syntax tree. Raises: TemplateError for bad syntax and for what cannot be bounded."""
    try:
        tree = environment.parse(source)
    except JinjaError as error:
        raise TemplateError(
            f"{where}: not a Jinja template: {error.message} (line {getattr(error, 'lineno', 1)})"
        ) from error
    except RecursionError as error:
        raise TemplateError(f"{where}: nested too deeply to be compiled") from error
    if any(loop.recursive for loop in tree.find_all(nodes.For)):
        raise TemplateError(f"{where}: has a recursive loop; expected plain loops")
    for node in tree.find_all(_REFUSED):
        raise TemplateError(f"{where}: uses {type(node).__name__}; expected text, if, for, set and filters only")
    return tree


def names_in(environment: BoundedEnvironment, tree: nodes.Template, where: str) -> frozenset[str]:
    """Return the variables that a template expects. Raises: TemplateError for a filter or test that is not known."""
    try:
        return frozenset(meta.find_undeclared_variables(tree)) - environment.globals.keys()
    except JinjaError as error:
        raise TemplateError(f"{where}: {error.message}{_filter_hint(environment, error)}") from error


def assemble(environment: BoundedEnvironment, tree: nodes.Node, where: str) -> Template:
    """Compile a syntax tree. Raises: TemplateError when it cannot be."""
    environment.begin({})  # what is constant is worked out here
    try:
        code = environment.compile(cast("nodes.Template", tree), filename="<template>")
        return Template.from_code(environment, code, dict(environment.globals))
    except JinjaError as error:
        raise TemplateError(f"{where}: {error.message}{_filter_hint(environment, error)}") from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise TemplateError(f"{where}: cannot be compiled: {type(error).__name__}") from error


def _filter_hint(environment: BoundedEnvironment, error: JinjaError) -> str:
    name = re.search(r"filter named '(\w+)'", str(error))
    known = [word for word in environment.filters if not word.startswith("_")]
    return suggestion(name.group(1), known) if name else ""
