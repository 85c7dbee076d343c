r"""Rows in roles, rendered: which templates fit, and what they say.

    Batch(columns={"text": ["Fine."]}, label_ids=[1], rows=1) through a template of two classes
    -> Made(input="Fine.\n\nHow does the writer ...", target="positive", label="positive",
            choices=("negative", "positive"), letters=())

A row that a template cannot put into words comes back as `Unrenderable`, with its reason: never an exception, never a
silent drop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from random import Random
from typing import Any, NamedTuple, cast

from instructgen.convert.bank import Compiled
from instructgen.convert.batch import BatchText
from instructgen.convert.jinja import Expression, Unrenderable
from instructgen.convert.options import NO_OPTIONS, Order, Style, recover, reordered
from instructgen.errors import TemplateError


class Made(NamedTuple):
    """A row in words."""

    input: str
    target: str
    label: str | None = None
    """The name of the row's class, as the dataset has it; in multiple choice, the words of the right answer."""
    choices: tuple[str, ...] = ()
    """What the template calls the classes, in their order; the answer is one of them, or its letter."""
    letters: tuple[str, ...] = ()


@dataclass
class Batch:
    """Rows in roles, by column. Optional roles that the dataset lacks are columns of `None`."""

    rows: int
    columns: dict[str, list[Any]]
    label_ids: list[int] | None = None
    """Position of the right answer in the labels; tasks with a label only."""
    orders: list[Order | None] | None = None
    """In which order each row's choices are said; `None`: as they stand."""

    def take(self, indices: Sequence[int]) -> Batch:
        """Return the rows at some positions."""
        columns = {name: [column[i] for i in indices] for name, column in self.columns.items()}
        ids = [self.label_ids[i] for i in indices] if self.label_ids is not None else None
        orders = [self.orders[i] for i in indices] if self.orders is not None else None
        return Batch(len(indices), columns, ids, orders)


Result = Made | Unrenderable


class _Chosen(NamedTuple):
    """What a template calls the classes of each row."""

    fixed: tuple[str, ...] | None
    """The choices, where they are the same for all rows."""
    rows: list[tuple[str, ...] | Unrenderable]

    @property
    def failed(self) -> bool:
        """True when some row has none."""
        return self.fixed is None and any(isinstance(choices, Unrenderable) for choices in self.rows)

    @property
    def whole(self) -> list[tuple[str, ...]]:
        """The choices of all rows, of which none failed."""
        return cast("list[tuple[str, ...]]", self.rows)


@dataclass
class Renderer:
    """One template over one dataset. `labels` are the dataset's classes, or `None` when each row brings its own."""

    compiled: Compiled
    labels: tuple[str, ...] | None
    by_row: bool = False
    """True to render row by row always (tests and benchmarks compare the two)."""
    choices: tuple[str, ...] | None = field(init=False, default=None)
    """What this template calls the classes, where that is the same for all rows."""
    never: bool = field(init=False, default=False)
    """True when the condition speaks of the labels alone and is false: no row of the dataset fits."""

    def __post_init__(self) -> None:
        compiled, condition = self.compiled, self.compiled.condition
        self._pack_labels = compiled.pack.label_field is not None
        if condition is not None and self._known(condition):
            self.never = not condition.value({"labels": list(self.labels or ())})
        if self._pack_labels and not self.never and self.labels is not None:
            self.choices = self._fixed_choices()
        names = sorted(compiled.input.names | compiled.target.names)
        sources = [compiled.template.input, compiled.template.target]
        self._texts = BatchText(compiled.environment, sources, names, compiled.where)
        self._condition = self._condition_batch()
        self._told: dict[Style, None] = {}

    def _known(self, expression: Expression) -> bool:
        return self.labels is not None and expression.names <= {"labels"}

    def _fixed_choices(self) -> tuple[str, ...] | None:
        """Return the choices where they are the same for all rows.

        Raises: TemplateError when they do not fit the labels.
        """
        compiled = self.compiled
        if compiled.choices is not None and not self._known(compiled.choices):
            return None
        labels = self.labels or ()
        try:
            return self._checked(self._choices_of({}, labels), labels)
        except Unrenderable as problem:
            raise TemplateError(f"{compiled.where}, choices: {problem}; labels are {list(labels)}") from problem

    def _choices_of(self, row: Mapping[str, Any], labels: Sequence[str]) -> tuple[str, ...]:
        compiled = self.compiled
        if compiled.fixed is not None:
            return compiled.fixed
        if compiled.choices is None:
            return tuple(labels)
        value = compiled.choices.value({**row, "labels": list(labels)})
        if not isinstance(value, list | tuple):
            raise Unrenderable("choices_not_a_list", f"the expression gives {type(value).__name__}, expected a list")
        return tuple(str(part) for part in value)

    @staticmethod
    def _checked(choices: tuple[str, ...], labels: Sequence[str]) -> tuple[str, ...]:
        if len(choices) != len(labels):
            raise Unrenderable("choices_count", f"{len(choices)} choices for {len(labels)} labels")
        if len(set(choices)) != len(choices) or not all(choices):
            raise Unrenderable("choices_alike", f"choices are empty or alike: {list(choices)}")
        return choices

    def _condition_batch(self) -> BatchText | None:
        condition = self.compiled.condition
        if condition is None or self._known(condition) or "choices" in condition.names:
            return None
        source = "{% if " + condition.source + " %}1{% endif %}"
        return BatchText(self.compiled.environment, [source], sorted(condition.names), condition.where)

    def fits(self, batch: Batch) -> list[bool]:
        """Tell for each row whether the template's condition is true; one that cannot be evaluated is not."""
        condition = self.compiled.condition
        if self.never or condition is None or self._known(condition):
            return [not self.never] * batch.rows
        if self._condition is not None and not self.by_row:
            columns = self._columns(batch, self._condition.fields, NO_OPTIONS, None)
            told = self._condition.render(columns, batch.rows)
            if told is not None:
                return [said == "1" for said in told[0]]
        return [self._fits_row(condition, batch, i) for i in range(batch.rows)]

    def _fits_row(self, condition: Expression, batch: Batch, i: int) -> bool:
        try:
            row = self._plain_row(batch, i)
            if "choices" in condition.names:
                row["choices"] = list(self._choices_of(row, row["labels"]))
            return bool(condition.value(row))
        except Unrenderable:
            return False

    def _plain_row(self, batch: Batch, i: int) -> dict[str, Any]:
        row = {name: column[i] for name, column in batch.columns.items()}
        if self._pack_labels:
            row["labels"] = list(self._row_labels(batch, i))
        return row

    def _row_labels(self, batch: Batch, i: int) -> Sequence[str]:
        if self.labels is not None:
            return self.labels
        own: Sequence[str] = batch.columns[self.compiled.pack.choices_field or ""][i]
        return own

    def render(self, batch: Batch, style: Style = NO_OPTIONS, rng: Random | None = None) -> list[Result]:
        """Return what the template says of each row, all with one style of options, in order."""
        if not self.compiled.shows_options:
            style = NO_OPTIONS
        batch, chosen = self._in_order(batch) if self._pack_labels else (batch, None)
        if self.by_row or not self._texts.safe or (chosen is not None and chosen.failed):
            return [self._render_row(batch, i, style, chosen, rng) for i in range(batch.rows)]
        columns = self._columns(batch, self._texts.fields, style, chosen)
        texts = self._texts.render(columns, batch.rows)
        if texts is None:
            return [self._render_row(batch, i, style, chosen, rng) for i in range(batch.rows)]
        return self._results(batch, style, chosen, texts)

    def _in_order(self, batch: Batch) -> tuple[Batch, _Chosen]:
        """Return the rows and their choices in the orders that were drawn; positions of labels follow."""
        if batch.orders is None:
            return batch, _Chosen(self.choices, self._all_choices(batch))
        orders, ids, own = batch.orders, batch.label_ids or [], self.compiled.pack.choices_field
        ids = [at if order is None else order.index(at) for at, order in zip(ids, orders, strict=True)]
        columns = dict(batch.columns)
        if own is not None:
            columns[own] = list(map(reordered, columns[own], orders))
        made = Batch(batch.rows, columns, ids)
        chosen = self._all_choices(made)
        if own is None:
            chosen = [
                one if isinstance(one, Unrenderable) else tuple(reordered(one, order))
                for one, order in zip(chosen, orders, strict=True)
            ]
        return made, _Chosen(None, chosen)

    def _all_choices(self, batch: Batch) -> list[tuple[str, ...] | Unrenderable]:
        if self.choices is not None:
            return [self.choices] * batch.rows
        return [self._row_choices(batch, i) for i in range(batch.rows)]

    def _row_choices(self, batch: Batch, i: int) -> tuple[str, ...] | Unrenderable:
        try:
            labels = self._row_labels(batch, i)
            row = self._plain_row(batch, i) if self.compiled.choices is not None else {}
            return self._checked(self._choices_of(row, labels), labels)
        except Unrenderable as problem:
            return problem

    def _columns(self, batch: Batch, names: Sequence[str], style: Style, chosen: _Chosen | None) -> list[Any]:
        """Return the columns that a batch text loops over; what is equal for all rows is repeated, not stored."""
        chosen = chosen or _Chosen(None, [])
        made: dict[str, Callable[[], Any]] = {
            "labels": lambda: self._labels_column(batch),
            "choices": lambda: chosen.rows if chosen.fixed is None else repeat(list(chosen.fixed)),
            "options": lambda: self._options_column(style, chosen),
            "answer": lambda: self._answers(batch, style, chosen),
        }
        own = batch.columns
        return [
            made[name]() if self._pack_labels and name in made else own[name]
            for name in names
        ]  # fmt: skip

    def _labels_column(self, batch: Batch) -> Any:
        if self.labels is not None:
            return repeat(list(self.labels))
        return batch.columns[self.compiled.pack.choices_field or ""]

    @staticmethod
    def _options_column(style: Style, chosen: _Chosen) -> Any:
        if chosen.fixed is not None:
            return repeat(style.block(chosen.fixed))
        return [style.block(choices) for choices in chosen.whole]

    @staticmethod
    def _answers(batch: Batch, style: Style, chosen: _Chosen) -> list[str]:
        ids = batch.label_ids or []
        if chosen.fixed is not None:
            names = style.letters(len(chosen.fixed)) or chosen.fixed
            return [names[i] for i in ids]
        return [(style.letters(len(choices)) or choices)[i] for choices, i in zip(chosen.whole, ids, strict=True)]

    def _results(self, batch: Batch, style: Style, chosen: _Chosen | None, texts: list[list[str]]) -> list[Result]:
        inputs, targets = texts
        if chosen is None:
            return [_filled(Made(a, b)) for a, b in zip(inputs, targets, strict=True)]
        answers = self._answers(batch, style, chosen)
        labels = batch.columns[self.compiled.pack.label_field or ""]
        letters = [tuple(style.letters(len(choices))) for choices in ([chosen.fixed] if chosen.fixed else chosen.whole)]
        named = repeat(letters[0]) if chosen.fixed else letters
        new = tuple.__new__  # what `Made._make` does, without its Python frame: this runs once a row
        rows = [new(Made, made) for made in zip(inputs, targets, labels, chosen.whole, named, strict=False)]
        if targets == answers and all(inputs):  # the answer alone is the target: nothing hides it
            return list(rows)
        return [self._told_apart(made, answer) for made, answer in zip(rows, answers, strict=True)]

    def _render_row(self, batch: Batch, i: int, style: Style, chosen: _Chosen | None, rng: Random | None) -> Result:
        row, made, answer = self._plain_row(batch, i), Made("", ""), ""
        if chosen is not None:
            choices = chosen.rows[i]
            if isinstance(choices, Unrenderable):
                return choices
            letters = style.letters(len(choices))
            answer = (letters or choices)[(batch.label_ids or [])[i]]
            row.update(choices=list(choices), options=style.block(choices), answer=answer)
            made = Made("", "", row[self.compiled.pack.label_field or ""], choices, tuple(letters))
        try:
            asked, said = (text.render(row, rng).strip() for text in (self.compiled.input, self.compiled.target))
        except Unrenderable as problem:
            return problem
        return self._told_apart(made._replace(input=asked, target=said), answer)

    def _told_apart(self, made: Made, answer: str) -> Result:
        """Return the row, unless it is empty or its label could not be told from its target."""
        if made.target == answer and answer and made.input:
            return made
        if made.label is not None and not self.compiled.template.inverted and self.compiled.template.original_task:
            at = recover(made.target, made.choices, made.letters)
            if at is None or (made.letters or made.choices)[at] != answer:
                return Unrenderable("label_lost", f"the target {made.target!r:.200} does not tell {answer!r} apart")
        return _filled(made)


def _filled(made: Made) -> Result:
    if made.input and made.target:
        return made
    return Unrenderable("empty_target" if made.input else "empty_input", "the template prints nothing for this row")
