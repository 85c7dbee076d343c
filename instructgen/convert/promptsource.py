"""promptsource's `templates.yaml` as it is: read, rendered as promptsource 0.2.3 renders it, and made into samples.

    templates:
      02ff...: !Template
        answer_choices: negative ||| positive
        jinja: "{{text}} How does the viewer feel? ||| {{ answer_choices[label] }}"

One text holds input and target, parted by `|||`; the choices are an expression of the same kind. What differs from the
original on purpose: the sandbox, and that `|||` is also protected where it stands inside a list or record of the row.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, repeat
from pathlib import Path
from random import Random
from typing import Any

import yaml

from instructgen.convert.batch import BatchText
from instructgen.convert.build import sample_dict
from instructgen.convert.jinja import BoundedEnvironment, Text, Unrenderable
from instructgen.convert.render import Made, Result
from instructgen.convert.sources import Source, taken
from instructgen.errors import TemplateError
from instructgen.files import not_yaml, read_text
from instructgen.records import Rejection

SEPARATOR = "|||"
TRUNCATED = 2048
"""Characters to which promptsource cuts each printed field unless told otherwise."""
_PROTECTED = "3ed2dface8203c4c9dfb1a5dc58e41e0"
"""What promptsource puts for the separator inside data while it renders."""
LABEL_COLUMNS = ("label", "labels", "answerKey", "coarse_label")
_CHANGES = re.compile(r"\.(append|extend|insert|pop|remove|reverse|sort|clear|update|setdefault|popitem|add)\(")


def environment() -> BoundedEnvironment:
    """Return promptsource's Jinja environment, sandboxed: lenient about what is missing, with its three helpers."""
    made = BoundedEnvironment(strict=False)
    made.globals["zip"] = zip
    made.add_filters(most_frequent=most_frequent, highlight=lambda text: f"<span style='color: #F08080'>{text}</span>")
    return made


def most_frequent(items: Sequence[Any] | None) -> list[Any] | None:
    """Return the items that occur most often, in order of first occurrence; `None` for none."""
    counts = Counter(items or ()).most_common()
    return [item for item, count in counts if count == counts[0][1]] if counts else None


def protect(value: Any) -> Any:
    """Return a value whose strings hold no separator, wherever they stand in it."""
    if isinstance(value, str):
        return value.replace(SEPARATOR, _PROTECTED)
    if isinstance(value, list):
        return [protect(part) for part in value]
    if isinstance(value, dict):
        return {key: protect(part) for key, part in value.items()}
    return value


def unprotect(text: str) -> str:
    """Return a text with its separators back."""
    return text.replace(_PROTECTED, SEPARATOR)


def unlabelled(row: Mapping[str, Any]) -> bool:
    """Tell whether a row of a known layout carries no label: -1, or an empty answer key."""
    return any(row[column] in (-1, "-1", "") for column in LABEL_COLUMNS if column in row)


@dataclass
class PromptTemplate:
    """One template of a file."""

    name: str
    id: str
    jinja: str
    answer_choices: str | None
    where: str
    """File and template, for messages."""
    dataset: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    environment: BoundedEnvironment = field(default_factory=environment)
    truncate: bool = False
    """True: cut each printed field to 2,048 characters, by promptsource's own rewriting of `}}`."""

    @cached_property
    def text(self) -> Text:
        """The compiled template. Raises: TemplateError."""
        return Text(self.environment, self.source, self.where)

    @property
    def source(self) -> str:
        """The text that is compiled."""
        if not self.truncate:
            return self.jinja
        return self.jinja.replace("}}", f" | string | truncate({TRUNCATED}) }}}}")

    @cached_property
    def choices_text(self) -> Text | None:
        """The compiled expression of the choices."""
        if self.answer_choices is None:
            return None
        return Text(self.environment, self.answer_choices, f"{self.where}, answer_choices")

    @cached_property
    def fixed_choices(self) -> list[str] | None:
        """The choices, where they do not depend on the row."""
        text = self.choices_text
        return _split(text.render({})) if text is not None and not text.names else None

    @property
    def fields(self) -> frozenset[str]:
        """The columns that the template and its choices use."""
        used = self.text.names | (self.choices_text.names if self.choices_text else frozenset())
        return used - {"answer_choices"}

    def choices(self, row: Mapping[str, Any]) -> list[str] | None:
        """Return the answers to choose from, for a row; `None` for an open question."""
        if self.choices_text is None:
            return None
        return self.fixed_choices or _split(self.choices_text.render(protect(dict(row))))

    def parts(self, row: Mapping[str, Any], rng: Random | None = None) -> list[str]:
        """Return the rendered parts between the separators, stripped, as `Template.apply` of promptsource does.

        Raises: Unrenderable; TemplateError for a runaway or an escape.
        """
        if "answer_choices" in row:
            raise Unrenderable("reserved_column", "the row has a column 'answer_choices', which templates reserve")
        safe = protect(dict(row))
        if _CHANGES.search(self.jinja):
            safe = copy.deepcopy(safe)  # a template may change lists; the next one must not see it
        safe["answer_choices"] = self.choices(row)
        return _split(self.text.render(safe, rng))

    def made(self, row: Mapping[str, Any], rng: Random | None = None) -> Result:
        """Return a row in words, or why it has none."""
        try:
            return _made(self.parts(row, rng), self.choices(row))
        except Unrenderable as problem:
            return problem

    def made_all(self, rows: Sequence[Mapping[str, Any]], rng: Random | None = None) -> list[Result]:
        """Return many rows in words: in one call where that is provably the same, else row by row."""
        texts = self._in_one_call(rows)
        if texts is None:
            return [self.made(row, rng) for row in rows]
        choices = self.fixed_choices
        return [_made(_split(text), choices) for text in texts]

    def _in_one_call(self, rows: Sequence[Mapping[str, Any]]) -> list[str] | None:
        names = self._batch.fields
        if not self._batch.safe or (self.choices_text is not None and self.fixed_choices is None):
            return None
        columns: list[Any] = []
        for name in names:
            if name == "answer_choices":
                columns.append(repeat(self.fixed_choices))
            elif all(name in row for row in rows):
                columns.append([protect(row[name]) for row in rows])
            else:
                return None
        if any("answer_choices" in row for row in rows):
            return None
        texts = self._batch.render(columns, len(rows))
        return texts[0] if texts is not None else None

    @cached_property
    def _batch(self) -> BatchText:
        return BatchText(self.environment, [self.source], sorted(self.text.names), self.where)


def _split(rendered: str) -> list[str]:
    return [unprotect(part).strip() for part in rendered.split(SEPARATOR)]


def _made(parts: Sequence[str], choices: Sequence[str] | None) -> Result:
    if len(parts) != 2:
        if not any(parts):
            return Unrenderable("empty_input", "the template prints nothing for this row")
        return Unrenderable("separator", f"{len(parts) - 1} separators, expected 1")
    asked, said = parts
    if not asked or not said:
        return Unrenderable("empty_target" if asked else "empty_input", "the template prints nothing for this row")
    known = tuple(choices or ())
    return Made(asked, said, said if said in known else None, known)


def is_prompts(path: Path) -> bool:
    """Tell whether a YAML file is promptsource's, by its tag."""
    return path.suffix in (".yaml", ".yml") and path.is_file() and "!Template" in read_text(path)


def load_prompts(path: Path, *, truncate: bool = False) -> list[PromptTemplate]:
    """Read a `templates.yaml`, in the order of the file.

    Raises: TemplateError for what is not YAML or not of promptsource's shape. Bad Jinja shows when it is compiled.
    """
    try:
        data = yaml.load(read_text(path), Loader=_Loader)  # noqa: S506 - a SafeLoader with two harmless tags
    except yaml.YAMLError as error:
        raise TemplateError(not_yaml(path, error)) from error
    templates = data.get("templates") if isinstance(data, dict) else None
    if not isinstance(templates, dict):
        raise TemplateError(f"{path}: expected promptsource's shape: dataset, and templates by id")
    dataset = "/".join(str(data[key]) for key in ("dataset", "subset") if data.get(key))
    jinja = environment()
    return [_template(path, key, value, dataset, jinja, truncate) for key, value in templates.items()]


def _template(
    path: Path, key: object, value: Any, dataset: str, jinja: BoundedEnvironment, truncate: bool
) -> PromptTemplate:
    if not isinstance(value, dict) or not isinstance(value.get("jinja"), str):
        raise TemplateError(f"{path}: template {key}: expected name, jinja and answer_choices, found {value!r:.80}")
    choices = value.get("answer_choices")
    if choices is not None and not isinstance(choices, str):
        raise TemplateError(f"{path}: template {value.get('name')!r}: answer_choices is {choices!r:.80}, expected text")
    name = str(value.get("name") or key)
    return PromptTemplate(name, str(value.get("id") or key), value["jinja"], choices, f"{path}: template {name!r}",
                          dataset, dict(value.get("metadata") or {}), jinja, truncate)  # fmt: skip


class _Loader(yaml.SafeLoader):
    """YAML with promptsource's two tags, as plain mappings."""


def _mapping(loader: yaml.SafeLoader, node: yaml.Node) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, "expected a mapping", node.start_mark)
    return loader.construct_mapping(node, deep=True)


for _tag in ("!Template", "!TemplateMetadata"):
    _Loader.add_constructor(_tag, _mapping)


@dataclass
class PromptConversion:
    """A dataset through a promptsource file: columns are used by the names that the templates know.

    With `every` a row is put into words by all templates (as P3), else by one, drawn.
    """

    source: Source
    templates: Sequence[PromptTemplate]
    seed: int = 0
    every: bool = False
    limit: int | None = None

    def run(self, chunk: int = 1000) -> Iterator[tuple[int, dict[str, Any] | Rejection]]:
        """Yield (row number, sample or rejection) in row order."""
        rng, unread = Random(self.seed), list[tuple[int, dict[str, Any] | Rejection]]()

        def bad(number: int, said: str) -> None:
            evidence: dict[str, Any] = {"row": number, "detail": said}
            unread.append((number, Rejection(stage="parse", reason="unreadable_row", evidence=evidence)))

        rows = islice(self.source.open(bad), self.limit)
        while part := taken(rows, chunk):
            made = unread + list(self._convert(part, rng))
            unread.clear()
            yield from sorted(made, key=lambda outcome: outcome[0])
        yield from unread

    def examples(self, count: int = 3) -> list[dict[str, Any]]:
        """Return the first samples, for people to look at before anything is written."""
        made = self._convert(self.source.head[: 20 * count], Random(self.seed))
        return [row for _, row in sorted(made, key=lambda outcome: outcome[0]) if isinstance(row, dict)][:count]

    def _convert(
        self, part: Sequence[tuple[int, dict[str, Any]]], rng: Random
    ) -> Iterator[tuple[int, dict[str, Any] | Rejection]]:
        refused = [(number, self._refused(number, row)) for number, row in part]
        yield from ((number, one) for number, one in refused if one is not None)
        part = [numbered for numbered, (_, one) in zip(part, refused, strict=True) if one is None]
        every = range(len(self.templates))
        drawn = [list(every) if self.every else [int(rng.random() * len(every))] for _ in part]
        for which, template in enumerate(self.templates):
            places = [place for place, indices in enumerate(drawn) if which in indices]
            results = template.made_all([part[place][1] for place in places], rng)
            for place, result in zip(places, results, strict=True):
                number = part[place][0]
                yield number, self._outcome(template, number, result)

    def _refused(self, number: int, row: Mapping[str, Any]) -> Rejection | None:
        """Reject test rows: most templates of the bank would give label -1 the last of the choices."""
        if not unlabelled(row):
            return None
        return Rejection(stage="parse", reason="unlabelled", evidence={"row": number})

    def _outcome(self, template: PromptTemplate, number: int, result: Result) -> dict[str, Any] | Rejection:
        identity = f"{template.dataset}/{template.name}@{template.id[:8]}"
        if not isinstance(result, Made):
            evidence: dict[str, Any] = {"row": number, "template": identity, "detail": result.detail}
            return Rejection(stage="parse", reason=result.reason, evidence=evidence)
        labels: dict[str, Any] = {}
        if result.choices:
            labels = {"options": list(result.choices)}
            labels |= {"label": result.label, "is_classification": True} if result.label is not None else {}
        languages = template.metadata.get("languages") or [""]
        known = {"source": self.source.name, "source_id": str(number), "template": identity,
                 "licence": self.source.licence, "language": languages[0]}  # fmt: skip
        return sample_dict(result, labels, {key: value for key, value in known.items() if value})
