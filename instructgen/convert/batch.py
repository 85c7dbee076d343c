"""Many rows in one template call, where that is provably the same as one call a row.

    BatchText(environment, ["{{ text }}?", "{{ answer }}"], ["text", "answer"], "here").render([texts, answers], n)

The rows are looped over inside the template, so that fields are local variables and the template is entered once. A
control character parts the results; if a field holds it, the count of parts is wrong and the caller renders by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import nodes

from instructgen.convert.jinja import STR_METHODS, Bound, BoundedEnvironment, assemble, parse

SEPARATOR = "\x1e"
"""ASCII's record separator: the joined text of ASCII rows stays one byte a character."""

_PURE_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.CondExpr, nodes.Compare,
    nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Filter, nodes.Test, nodes.Call, nodes.Concat, nodes.Add, nodes.Sub,
    nodes.Mod, nodes.Neg,
)  # fmt: skip
_IMPURE_FILTERS = frozenset({"choice", "random", "map", "select", "reject", "selectattr", "rejectattr", "attr", "sort",
                             "groupby", "format", "indent"})  # fmt: skip


def provable(tree: nodes.Template, fields: Sequence[str]) -> bool:
    """Tell whether a template, rendered in a loop over rows, is bound to print what it prints for each row alone.

    That is so when a rendering can leave nothing behind for the next (no assignment, no draw, no method that changes
    data), cannot see the loop around it, and cannot grow (no loop of its own). Everything not known to be so is not.
    """
    known = set(fields)
    return all(
        isinstance(node, _PURE_NODES)
        and not (isinstance(node, nodes.Name) and node.name not in known)
        and not (isinstance(node, nodes.Filter) and node.name in _IMPURE_FILTERS)
        and not (isinstance(node, nodes.Call) and not _harmless_call(node))
        for node in [tree, *tree.find_all(nodes.Node)]
    )


def _harmless_call(node: nodes.Call) -> bool:
    return isinstance(node.node, nodes.Getattr) and node.node.attr in STR_METHODS


class BatchText:
    """Several texts of one template, compiled into a loop over rows."""

    def __init__(
        self, environment: BoundedEnvironment, sources: Sequence[str], fields: Sequence[str], where: str
    ) -> None:
        self.environment, self.fields, self.where, self.texts = environment, list(fields), where, len(sources)
        trees = [parse(environment, source, where) for source in sources]
        self.safe = bool(fields) and all(provable(tree, fields) for tree in trees)
        if not self.safe:
            return
        self.printed = sorted({name for tree in trees for name in _printed(tree)})
        body: list[nodes.Node] = []
        for tree in trees:
            bound = Bound(environment.strict, frozenset(self.printed)).visit(tree)
            body = _joined([*body, *bound.body, nodes.Output([nodes.TemplateData(SEPARATOR)])])
        self._template = assemble(environment, _loop(self.fields, body, environment), where)

    def render(self, columns: Sequence[Any], rows: int) -> list[list[str]] | None:
        """Return one list of texts per source, or `None` when the rows must be rendered one by one.

        `columns` are iterables in the order of `fields`. A row that fails, prints a null or holds the separator makes
        the whole batch fall back: one by one, each row gets its own text or its own reason.
        """
        if not self.safe:
            return None
        environment = self.environment
        environment.begin({}, rows)
        for name in self.printed if environment.strict else ():
            column = columns[self.fields.index(name)]
            if isinstance(column, list) and None in column:
                return None
        iterable = columns[0] if len(columns) == 1 else zip(*columns, strict=False)
        try:
            context = self._template.new_context({"rows_": iterable})
            parts = "".join(self._template.root_render_func(context)).split(SEPARATOR)
        except Exception:  # noqa: BLE001 - whatever it was, the row that caused it is told when rendered alone
            return None
        if len(parts) != rows * self.texts + 1:
            return None
        return [list(map(str.strip, parts[start : -1 : self.texts])) for start in range(self.texts)]


def _printed(tree: nodes.Template) -> set[str]:
    return {
        part.name for output in tree.find_all(nodes.Output) for part in output.nodes if isinstance(part, nodes.Name)
    }


def _joined(body: list[nodes.Node]) -> list[nodes.Node]:
    """Return the nodes with neighbouring outputs made one: Jinja then yields neighbouring constants as one text."""
    made: list[nodes.Node] = []
    for node in body:
        if isinstance(node, nodes.Output) and made and isinstance(made[-1], nodes.Output):
            made[-1].nodes.extend(node.nodes)
        else:
            made.append(node)
    return made


def _loop(fields: list[str], body: list[nodes.Node], environment: BoundedEnvironment) -> nodes.Template:
    names = [nodes.Name(field, "store") for field in fields]
    target = names[0] if len(names) == 1 else nodes.Tuple(list(names), "store")
    loop = nodes.For(target, nodes.Name("rows_", "load"), body, [], None, False)
    tree = nodes.Template([loop], lineno=1)
    tree.set_environment(environment)
    for node in tree.find_all(nodes.Node):
        if node.lineno is None:
            node.lineno = 1
    return tree
