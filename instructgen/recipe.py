"""The recipe: the YAML file that describes a run, as Pydantic models. Unknown keys are an error.

    name: helpdesk-tasks
    seed: 7
    target: 2000
    seeds: seeds/general.jsonl
    teacher: {kind: openai, model: gpt-4.1-mini, concurrency: 32}
    generator: {kind: self_instruct}
    filters: [{kind: instruction_rules}, {kind: rouge, threshold: 0.7}]
    export: {formats: [alpaca, messages], splits: {test: 0.05}, license: cc-by-4.0}

`kind` is looked up in the registry, so third parties' classes work the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from instructgen.errors import RecipeError, suggestion
from instructgen.files import find, not_yaml, read_text
from instructgen.filters import Filter
from instructgen.generators import Generator
from instructgen.records import digest
from instructgen.registry import Kind, lookup, names
from instructgen.teachers import Teacher

Share = Annotated[float, Field(ge=0, lt=1)]
HELD = ("target", "budget", "teacher.base_url", "teacher.concurrency")
"""Keys that flags set and that may change between two sittings; a run holds what it was last told of them."""


class Options(BaseModel):
    """A part of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Exhausted(Options):
    """When novelty is exhausted: accepted / parsed over the last `slots` closed slots falls below `below`."""

    slots: PositiveInt = Field(default=200, description="how many closed slots are looked at")
    below: NonNegativeFloat = Field(default=0.02, description="acceptance rate below which the run ends")


class BudgetOptions(Options):
    """The most a run may cost; every given cap holds."""

    usd: PositiveFloat | None = Field(default=None, description="US dollars, by the price table")
    tokens: PositiveInt | None = Field(default=None, description="prompt and completion tokens together")
    requests: PositiveInt | None = Field(default=None, description="requests sent")


class ExportOptions(Options):
    """How `export` writes this run."""

    formats: tuple[str, ...] = Field(default=("alpaca", "messages"), min_length=1, description="row shapes")
    splits: dict[str, Share] = Field(default={}, description="split name -> share; the rest is train")
    license: str = Field(default="unknown", description="licence id of the dataset, as the Hub spells it")

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name in self.formats:
            if name not in names("formats"):
                raise ValueError(f"format {name!r} is not known{suggestion(name, names('formats'))}")
        if sum(self.splits.values()) >= 1:
            raise ValueError(f"splits add up to {sum(self.splits.values())}, expected less than 1: the rest is train")
        return self


class Recipe(Options):
    """Everything that decides a run. See the module's docstring for an example."""

    name: str = Field(default="unnamed", description="for people")
    seed: int = Field(default=0, description="decides every random draw")
    target: PositiveInt = Field(default=100, description="accepted samples wanted")
    budget: BudgetOptions = BudgetOptions()
    seeds: str = Field(default="seeds/general.jsonl", description="file of seed tasks")
    prompts: str = Field(default="", description="folder whose prompt templates replace bundled ones by name")
    teacher: SerializeAsAny[InstanceOf[Teacher]]
    generator: SerializeAsAny[InstanceOf[Generator]]
    window: PositiveInt = Field(default=128, description="slot s sees the pool as of slot s - window")
    filters: tuple[SerializeAsAny[InstanceOf[Filter]], ...] = ()
    exhausted: Exhausted = Exhausted()
    export: ExportOptions = ExportOptions()
    _in_file: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def in_file(self) -> dict[str, Any]:
        """What the file that `load_recipe` read says of the `HELD` keys, whatever was laid over it."""
        return self._in_file

    @model_validator(mode="after")
    def _orderly(self) -> Self:
        if self.teacher.ordered:  # answers handed out in order need questions asked in order
            self.__dict__["window"] = 1
            self.__dict__["teacher"] = self.teacher.model_copy(update={"concurrency": 1})
        return self

    def dump(self) -> dict[str, Any]:
        """Return the recipe as plain data with every option spelled out."""
        return self.model_dump(mode="json")

    def deciding(self, seeds_hash: str, prompt_hashes: Mapping[str, str]) -> dict[str, Any]:
        """Return the keys that decide what slots contain; the ones that may change between sittings are left out.

        Seeds and prompts count by content, wherever they lie.
        """
        data = self.dump()
        for key in ("name", "target", "budget", "export", "seeds", "prompts"):
            del data[key]
        for key in self.teacher.movable:
            data["teacher"].pop(key, None)
        data["teacher"] |= self.teacher.named_files()
        return data | {"seeds": seeds_hash, "prompts": dict(sorted(prompt_hashes.items()))}

    def hash(self, seeds_hash: str, prompt_hashes: Mapping[str, str]) -> str:
        """Return the recipe hash that provenance carries."""
        return digest(self.deciding(seeds_hash, prompt_hashes))


def build(kind: Kind, value: Any, where: str) -> Any:
    """Return the teacher, generator, filter ... that `{kind: name, option: ...}` describes (or a bare name).

    Raises: RecipeError that names `where`, the value, what was expected and the nearest known name.
    """
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise RecipeError(f"{where} is {value!r}, expected {{kind: NAME, ...}}; known: {', '.join(names(kind))}")
    try:
        cls = lookup(kind, value["kind"])
    except RecipeError as error:
        raise RecipeError(f"{where}.kind: {error}") from error
    return _validated(cls, value, where)


def _validated(cls: Any, value: Any, where: str) -> Any:
    try:
        return cls.model_validate(value)
    except ValidationError as error:
        raise RecipeError("; ".join(_explain(problem, cls, where) for problem in error.errors()[:3])) from error


def _explain(problem: Any, cls: type[BaseModel], where: str) -> str:
    """Say one Pydantic problem in our words: place, value, expectation, next move."""
    place = where
    for part in problem["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    place = place.removeprefix(".")
    if problem["type"] == "extra_forbidden":
        return f"{place} is not an option{suggestion(str(problem['loc'][-1]), _keys(cls, problem['loc'][:-1]))}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    expected = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    hint = ""
    if problem["type"] in ("less_than", "less_than_equal") and isinstance(problem["input"], int | float):
        limit = problem["ctx"].get("le", problem["ctx"].get("lt"))
        if limit == 1 and 1 < problem["input"] <= 100:
            # 7 is a slip of the point, 70 a percentage; what 1.5 was to be, nobody knows.
            meant = problem["input"] / (10 if problem["input"] < 10 else 100)
            asked = f"; did you mean {meant:g}?" if problem["input"] >= 2 else ""
            hint = f". It is a ratio{asked}"
    if expected.startswith("is "):  # a validator of ours that says it all
        return f"{place} {expected}"
    if problem["type"] == "value_error" and isinstance(problem["input"], Mapping):  # one of ours on several options
        return f"{place}: {expected}" if place else expected
    return f"{place} is {problem['input']!r}, expected {expected}{hint}"


def _keys(cls: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Return the options at a place inside a model."""
    for part in path:
        field = cls.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        cls = field.annotation
    return list(cls.model_fields)


def parse_recipe(data: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe that plain data describes.

    Raises: RecipeError; unknown keys come with the nearest right one.
    """
    values = dict(data)
    prefix = f"{where}: " if where else ""
    try:
        for key, kind in (("teacher", "teachers"), ("generator", "generators")):
            if key in values and not isinstance(values[key], BaseModel):
                values[key] = build(kind, values[key], key)  # type: ignore[arg-type]
        filters = values.get("filters", [])
        if not isinstance(filters, list | tuple):
            raise RecipeError(f"filters is {filters!r}, expected a list of {{kind: NAME, ...}}")
        values["filters"] = tuple(
            f if isinstance(f, Filter) else build("filters", f, f"filters[{i}]") for i, f in enumerate(filters)
        )
        recipe: Recipe = _validated(Recipe, values, "")
    except RecipeError as error:
        raise RecipeError(f"{prefix}{error}") from error
    return recipe


def read_recipe(name: str | Path) -> tuple[dict[str, Any], Path]:
    """Return a recipe file's plain data, and its path; a bundled recipe is found by name.

    Raises: RecipeError for YAML that cannot be read; InstructgenError for no such file.
    """
    path = find("recipes", str(name))
    try:
        data = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise RecipeError(not_yaml(path, error)) from error
    if not isinstance(data, dict):
        found = "an empty file" if data is None else f"a {type(data).__name__}"
        raise RecipeError(f"{path}: expected keys and values, found {found}; `instructgen init DIR` writes one to edit")
    data.pop("frozen", None)  # a run's recipe.yaml is a recipe
    return data, path


def merged(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return data with changes laid over it, mapping by mapping; `None` changes nothing.

    A `teacher` or `generator` of another kind replaces the whole mapping: its options would not fit.
    """
    result = dict(data)
    for key, value in changes.items():
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            same_kind = "kind" not in value or value["kind"] == old.get("kind")
            result[key] = merged(old, value) if same_kind else dict(value)
        elif value is not None:
            result[key] = value
    return result


def load_recipe(name: str | Path, **changes: Any) -> Recipe:
    """Load a recipe by path or bundled name, with some keys replaced.

    Example: load_recipe("demo.yaml", target=8, teacher={"concurrency": 4})
    Raises: RecipeError, InstructgenError.
    """
    data, path = read_recipe(name)
    said = {key: value for key in HELD if (value := _at(data, key)) is not None}
    data = merged(data, changes)
    for key in ("seeds", "prompts"):  # paths in a recipe are relative to it
        if isinstance(data.get(key), str) and data[key] and (path.parent / data[key]).exists() and key not in changes:
            data[key] = str(path.parent / data[key])
    recipe = parse_recipe(data, str(path))
    given = changes.get("teacher") or {}
    if isinstance(given, Mapping) and given.keys().isdisjoint(("replies", "function", "path", "run", "ca_file")):
        recipe = recipe.model_copy(update={"teacher": recipe.teacher.located(path.parent)})
    recipe._in_file = said
    return recipe


def held(told: Mapping[str, Any], then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `HELD` keys in which a run goes on as it was last told, by a flag or otherwise.

    `told` is the run's recipe, `then` what its recipe file said at the last sitting (`Recipe.in_file`), `now` that
    file's plain data: a key that was edited in the file since counts as the file says.
    Example: held({"target": 100}, {"target": 2000}, {"target": 2000}) -> {"target": 100}
    """
    same_kind = _at(now, "teacher.kind") in (None, _at(told, "teacher.kind"))
    result: dict[str, Any] = {}
    for key in HELD:
        part, _, option = key.partition(".")
        value = _at(told, key)
        if value is None or _at(now, key) != then.get(key) or (option and not same_kind):
            continue
        result = merged(result, {part: {option: value} if option else value})
    return result


def _at(data: Mapping[str, Any], key: str) -> Any:
    """Return what stands at a key, `None` where nothing does; `teacher.concurrency` is one in a mapping."""
    value: Any = data
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
