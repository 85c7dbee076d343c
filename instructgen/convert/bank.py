r"""The template bank: packs of templates, one YAML file a task type. The format is described in templates/README.md.

version: 1
task: sentiment
fields: {text: {kind: text}, label: {kind: label}}
templates:
  - name: feeling-question
    input: "{{ text }}\n\nWhat does the writer feel?{{ options }}"
    target: "{{ answer }}"
    choices: labels | say(negative="unhappy", positive="happy")
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from instructgen.convert.jinja import BoundedEnvironment, Expression, Text
from instructgen.convert.linearise import FILTERS
from instructgen.errors import InstructgenError, TemplateError, suggestion
from instructgen.files import bundled_dir, find, not_yaml, read_text

VERSION = 1
Kind = Literal["text", "label", "choices", "answers", "list", "spans", "triples", "pairs", "turns", "table", "number",
               "examples", "record", "schema"]  # fmt: skip
MADE = frozenset({"labels", "choices", "answer", "options"})
"""Variables that the converter makes for templates of a task with a label field, beside the fields themselves."""


class FieldRole(BaseModel):
    """What a column is to a task."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Kind = "text"
    optional: bool = False
    """An optional field is null where the dataset has none; a template that needs it says so in `condition`."""
    least: float | None = None
    """Numbers below it are no value: test rows carry -1 where the score would stand."""
    about: str = ""


class Template(BaseModel):
    """One way to put a row into words."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    input: str = Field(min_length=1)
    """Jinja: what the user says."""
    target: str = Field(min_length=1)
    """Jinja: what the assistant answers."""
    choices: str | list[str] | None = None
    """An expression for the names of the answers in the order of `labels`, or a fixed list; default: `labels`."""
    condition: str | None = None
    """An expression; the template fits the rows for which it is true."""
    style: Literal["question", "imperative", "scenario", "statement", "dialogue"] = "imperative"
    original_task: bool = True
    """False when it asks for something else than the dataset was made for, e.g. a title instead of a class."""
    inverted: bool = False
    """True when the answer is given and (a part of) the usual input is asked for."""
    choices_shown: bool = False
    """True when the input shows the possible answers."""
    language: str = ""
    """BCP 47 tag of its own words; default: the pack's."""
    metrics: tuple[str, ...] = ()


class Pack(BaseModel):
    """All templates of a task type."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: Literal[1]
    task: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    about: str = ""
    language: str = "en"
    fields: dict[str, FieldRole] = Field(min_length=1)
    templates: tuple[Template, ...] = Field(min_length=1)
    path: str = ""
    """Where it was read from; set by the loader."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        taken = MADE & self.fields.keys() if self.label_field else set()
        if taken - {self.choices_field}:
            raise ValueError(f"fields: {sorted(taken)} are names that the converter makes; choose others")
        names = [template.name for template in self.templates]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"templates: the names {twice} stand twice; expected each once")
        return self

    @property
    def label_field(self) -> str | None:
        """The field of kind `label`, if there is one."""
        return next((name for name, role in self.fields.items() if role.kind == "label"), None)

    @property
    def choices_field(self) -> str | None:
        """The field of kind `choices`, if there is one: the row brings its own answers."""
        return next((name for name, role in self.fields.items() if role.kind == "choices"), None)

    @property
    def variables(self) -> frozenset[str]:
        """All names that a template of this pack may use."""
        return frozenset(self.fields) | (MADE if self.label_field else frozenset())

    def where(self, template: Template) -> str:
        """Name a template in messages."""
        return f"{self.path or self.task}: template {template.name!r}"


def environment() -> BoundedEnvironment:
    """Return the Jinja environment of our own templates: strict, blocks on lines of their own leave no trace."""
    made = BoundedEnvironment(strict=True, trim_blocks=True, lstrip_blocks=True)
    made.add_filters(**FILTERS)
    return made


class Compiled:
    """A template ready to render.

    Raises: TemplateError that names file and template, for bad syntax, an unknown filter or an unknown variable.
    """

    def __init__(self, pack: Pack, template: Template, jinja: BoundedEnvironment | None = None) -> None:
        self.pack, self.template, self.where = pack, template, pack.where(template)
        self.environment = jinja or environment()
        self.input = Text(self.environment, template.input, f"{self.where}, input")
        self.target = Text(self.environment, template.target, f"{self.where}, target")
        self.condition = self._expression(template.condition, "condition")
        self.fixed = tuple(template.choices) if isinstance(template.choices, list) else None
        source = template.choices if isinstance(template.choices, str) else None
        self.choices = self._expression(source, "choices")
        for part in (self.input, self.target, self.condition, self.choices):
            if part is not None:
                self._check_names(part)

    def _expression(self, source: str | None, key: str) -> Expression | None:
        return Expression(self.environment, source, f"{self.where}, {key}") if source is not None else None

    def _check_names(self, part: Text | Expression) -> None:
        unknown = sorted(part.names - self.pack.variables)
        if unknown:
            hint = suggestion(unknown[0], self.pack.variables)
            raise TemplateError(f"{part.where}: uses {unknown}, not a field of task {self.pack.task!r}{hint}")

    @cached_property
    def id(self) -> str:
        """Name in provenance: task, template and 8 digits of the hash of all that it renders from."""
        template = self.template
        parts = [template.input, template.target, repr(template.choices), template.condition or ""]
        short = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
        return f"{self.pack.task}/{template.name}@{short}"

    @property
    def shows_options(self) -> bool:
        """True when the input prints the `options` block, which can be lettered or left out."""
        return "options" in self.input.names

    @property
    def language(self) -> str:
        """BCP 47 tag of the template's words."""
        return self.template.language or self.pack.language


def load_pack(path: Path) -> Pack:
    """Read a pack and check its shape.

    Raises: TemplateError naming file, template, key and value, and what was expected.
    """
    try:
        data = yaml.load(read_text(path), Loader=_Loader)  # noqa: S506 - a SafeLoader that refuses double keys
    except yaml.YAMLError as error:
        raise TemplateError(not_yaml(path, error)) from error
    return pack_of(data, str(path))


def pack_of(data: Any, path: str) -> Pack:
    """Return the pack that a parsed YAML file holds. Raises: TemplateError."""
    if not isinstance(data, dict):
        raise TemplateError(
            f"{path}: expected a mapping with version, task, fields and templates; see templates/README.md"
        )
    if data.get("version") != VERSION:
        raise TemplateError(f"{path}: version is {data.get('version')!r}, expected {VERSION}; see templates/README.md")
    try:
        return Pack.model_validate({**data, "path": path})
    except ValidationError as error:
        raise TemplateError(_explain(path, data, error)) from error


def _explain(path: str, data: dict[str, Any], error: ValidationError) -> str:
    """Say where in the file a value does not fit: the template by name, not by number."""
    lines = []
    for problem in error.errors(include_url=False):
        place = list(problem["loc"])
        prefix = ""
        if place[:1] == ["templates"] and len(place) > 1 and isinstance(place[1], int):
            template = data["templates"][place[1]]
            name = template.get("name") if isinstance(template, dict) else None
            prefix = f"template {name!r}: " if name else f"template number {place[1] + 1}: "
            place = place[2:]
        if problem["type"] == "extra_forbidden":
            model: type[BaseModel] = Template if prefix else FieldRole if place[:1] == ["fields"] else Pack
            known = model.model_fields.keys() - {"path"}
            said = f"unknown key{suggestion(str(place[-1]), known)}"
        else:
            value = problem["input"]
            shown = "" if isinstance(value, dict | list) else f" (found {value!r:.80})"
            said = f"{problem['msg'].removeprefix('Value error, ')}{shown}"
        lines.append(f"{path}: {prefix}{'.'.join(map(str, place))}{': ' if place else ''}{said}")
    return "\n".join(lines)


class _Loader(yaml.SafeLoader):
    """YAML without the silent loss of a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def find_pack(task: str) -> Pack:
    """Return the bundled pack of a task, or the pack at a path. Raises: TemplateError that lists the tasks."""
    path = Path(task)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return load_pack(path)
    try:
        return load_pack(find("templates", f"{task}.yaml"))
    except TemplateError:
        raise
    except InstructgenError as error:
        raise TemplateError(f"task {task!r} has no template pack{suggestion(task, tasks())}") from error


def tasks() -> list[str]:
    """Return the names of the bundled task types, sorted."""
    folder = bundled_dir("templates")
    return sorted(path.stem for path in folder.glob("*.yaml")) if folder.is_dir() else []
