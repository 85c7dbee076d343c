"""Mixtures: several datasets in one stream, in stated shares, the same bytes for the same seed.

    mixture:
      rate: {by: examples, cap: 3000, temperature: 1}
      parts:
        - {name: reviews, dataset: data/imdb, task: sentiment, cap: 30000}
        - {name: reasoning, weight: 0.1, parts: [{name: sums, dataset: gsm8k.jsonl, task: arithmetic, cot: 1}]}

Shares are exact in expectation: each sample's part is drawn by weight, so a share lies within 3 sigma of its weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from instructgen.convert.bank import find_pack
from instructgen.convert.choosing import choose_for
from instructgen.convert.conversion import Conversion, Options, Outcome
from instructgen.convert.options import Mode, pick
from instructgen.convert.shots import Shots
from instructgen.convert.sources import Numbered, Source, open_source
from instructgen.delimited import BadRow
from instructgen.errors import DataError, RecipeError, suggestion
from instructgen.files import find, not_yaml, read_text
from instructgen.records import Rejection, digest

SHUFFLED = 10_000
"""Samples among which the stream is shuffled, at most: a dataset sorted by class leaves no runs of one class."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rate(_Model):
    """What the weight of a part without `weight` is."""

    by: Literal["examples", "equal"] = Field(default="examples", description="rows of the part, or 1 for each")
    cap: PositiveInt | None = Field(default=None, description="rows above this do not add weight (Flan 2021: 3,000)")
    temperature: PositiveFloat = Field(
        default=1.0, description="weights are raised to 1 / temperature: above 1 levels them"
    )


class Defaults(_Model):
    """How rows become samples, for all parts that do not say otherwise."""

    each: Literal["one", "all"] | None = Field(default=None, description="one template a row, or all that fit")
    templates: tuple[str, ...] | None = Field(default=None, description="names of the templates to use")
    inverted: float | None = Field(default=None, ge=0, description="weight of an inverted template; others weigh 1")
    options: dict[Mode, float] | None = Field(default=None, description="weights of letters, plain, none")
    shuffle: Literal["auto", "all", "none"] | None = Field(
        default=None, description="order of choices: drawn where the right one always stands at one place, all, never"
    )
    shots: Shots | None = Field(default=None, description="worked examples before the question")
    cot: float | None = Field(default=None, ge=0, le=1, description="share of rows with a rationale that reason first")
    cap: PositiveInt | None = Field(default=None, description="rows of a dataset used at most, drawn by seed")


class Part(Defaults):
    """A dataset, or a group of parts."""

    name: str = Field(description="what the summary calls it")
    weight: PositiveFloat | None = Field(default=None, description="share among its neighbours; default: by `rate`")
    dataset: str | None = Field(default=None, description="path (relative to the recipe) or Hub id")
    task: str | None = Field(default=None, description="task type of the bank, or a pack's path")
    split: str | None = None
    config: str | None = None
    columns: tuple[str, ...] = Field(default=(), description="field names of a delimited file without header")
    map: dict[str, str] = Field(default={}, description="role -> column")
    labels: dict[str, str] = Field(default={}, description="value -> name of a class")
    limit: PositiveInt | None = Field(default=None, description="rows read at most")
    rows: PositiveInt | None = Field(default=None, description="rows of the dataset, where counting them is dear")
    language: str = ""
    rate: Rate | None = Field(default=None, description="for the parts of this group")
    parts: tuple[Part, ...] = ()

    @field_validator("labels", mode="before")
    @classmethod
    def _as_texts(cls, value: Any) -> Any:
        """Take `{1: bad, 5: good}` as YAML reads it: label values are compared as texts."""
        return {str(key): str(name) for key, name in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _one_of_two(self) -> Part:
        if bool(self.parts) == bool(self.dataset):
            raise ValueError(f"part {self.name!r}: expected either a dataset with its task, or parts")
        if self.dataset and not self.task:
            raise ValueError(f"part {self.name!r}: misses its task")
        return self


class Mixture(_Model):
    """The `mixture` section of a recipe."""

    parts: tuple[Part, ...] = Field(min_length=1)
    rate: Rate = Rate()
    defaults: Defaults = Defaults()
    total: PositiveInt | None = Field(default=None, description="samples in all; default: until the parts are used up")
    when_empty: Literal["go_on", "stop", "repeat"] = Field(
        default="go_on",
        description="a part is used up: go on with the others, stop, or start it again with other draws",
    )
    shuffle: PositiveInt = Field(default=SHUFFLED, description="samples among which the stream is shuffled")

    @model_validator(mode="after")
    def _ends(self) -> Mixture:
        if self.when_empty == "repeat" and self.total is None:
            raise ValueError("when_empty: repeat never ends by itself; give a total")
        return self


class MixtureRecipe(_Model):
    """A recipe that holds a mixture."""

    name: str = "mixture"
    seed: int = 0
    mixture: Mixture
    folder: Path = Path()
    """Where the recipe lies: datasets are looked for beside it. Set by the loader."""
    root: Path | None = None
    """A folder of copies, one a dataset at `root/its id` or `root/its id/its config`: then nothing else is read."""

    def plan(self) -> Plan:
        """Open every dataset, work out mappings and weights. Raises: DataError, TemplateError, RecipeError."""
        leaves = list(self._leaves(self.mixture.parts, self.mixture.rate, self.mixture.defaults, 1.0, ()))
        return Plan(self, leaves)

    def _leaves(
        self, parts: Sequence[Part], rate: Rate, defaults: Defaults, share: float, path: tuple[str, ...]
    ) -> Iterator[Leaf]:
        opened = [None if part.parts else self._open(part, defaults, (*path, part.name)) for part in parts]
        weights = [_weight(part, leaf, rate) for part, leaf in zip(parts, opened, strict=True)]
        for part, leaf, weight in zip(parts, opened, weights, strict=True):
            own = share * weight / sum(weights)
            if leaf is None:
                inner = _over(defaults, part)
                yield from self._leaves(part.parts, part.rate or rate, inner, own, (*path, part.name))
            else:
                leaf.share = own
                yield leaf

    def _open(self, part: Part, defaults: Defaults, path: tuple[str, ...]) -> Leaf:
        settings = _over(defaults, part)
        source = open_source(self._place(part), part.split, part.config, part.columns or None)
        if self.root is not None:
            source = replace(source, name=part.dataset or "", identity=f"{part.dataset} {part.config or ''}")
        rows = part.rows or _count(source, part.limit)
        used = min(rows, settings.cap or rows)
        seed = int(digest([self.seed, *path])[:12], 16)
        if used < rows:
            source = _sampled(source, rows, used, seed)
        mapping = choose_for(find_pack(part.task or ""), source, part.map, part.labels or None)
        said = {key: value for key, value in settings if value is not None and key != "cap"}
        work = Conversion(source, mapping, Options(seed=seed, **said), limit=part.limit, language=part.language)
        return Leaf("/".join(path), work, used)

    def _place(self, part: Part) -> str:
        """Return where a part's dataset is: in the folder of copies if there is one, else beside the recipe, or its id.

        Raises: DataError for one that the folder of copies lacks.
        """
        given = part.dataset or ""
        if self.root is not None:
            places = [self.root / given / part.config] if part.config else []
            places.append(self.root / given)
            found = next((place for place in places if place.exists()), None)
            if found is None:
                looked = " or ".join(map(str, places))
                raise DataError(f"part {part.name!r}: no copy of {given} at {looked}; put one there, or read without "
                                "--source-root")  # fmt: skip
            return str(found)
        beside = self.folder / given
        return str(beside) if beside.exists() else given


@dataclass
class Leaf:
    """One dataset of a mixture, ready to be read."""

    name: str
    conversion: Conversion
    rows: int
    share: float = 0.0

    def again(self, times: int) -> Iterator[Outcome]:
        """Return the samples of the `times`-th reading: each draws anew."""
        if times:
            options = self.conversion.options
            options = options.model_copy(update={"seed": int(digest([options.seed, times])[:12], 16)})
            work = self.conversion
            return Conversion(work.source, work.mapping, options, work.count, work.limit, work.language).run()
        return self.conversion.run()


@dataclass
class Plan:
    """A mixture with its datasets opened and its shares worked out."""

    recipe: MixtureRecipe
    leaves: list[Leaf]
    drawn: dict[str, int] = field(default_factory=dict)
    """Part -> samples made of it so far."""
    used_up: list[str] = field(default_factory=list)
    """Parts that had no more rows while samples were still wanted."""

    def shown(self) -> list[str]:
        """Return lines for people: each part with its share, its rows and its mapping."""
        lines = []
        for leaf in self.leaves:
            lines.append(f"{leaf.name}: share {leaf.share:.4f}, {leaf.rows:,} rows of {leaf.conversion.source.name}")
            lines += leaf.conversion.mapping.shown()
        return lines

    def fell_short(self) -> list[str]:
        """Return a line for each part that was used up before its share was reached; once `run` is through."""
        made = sum(self.drawn.values())
        return [
            f"{leaf.name}: used up after {self.drawn.get(leaf.name, 0):,} samples, "
            f"{self.drawn.get(leaf.name, 0) / made:.4f} of all where {leaf.share:.4f} was its share"
            for leaf in self.leaves
            if made and leaf.name in self.used_up and self.drawn.get(leaf.name, 0) < round(leaf.share * made)
        ]

    def about(self) -> dict[str, Any]:
        """Return what `summary.json` says of the mixture; what was made of each part is filled in by `run`."""
        recipe = self.recipe.model_dump(mode="json", exclude={"folder", "root"}, exclude_defaults=True)
        return {"recipe": recipe, "shares": {leaf.name: leaf.share for leaf in self.leaves}, "made": self.drawn}

    def run(self) -> Iterator[Outcome]:
        """Yield the mixed stream, shuffled. Rejected rows take no share; they are passed on where they occur."""
        mixture = self.recipe.mixture
        return shuffled(islice_accepted(self._mixed(), mixture.total), mixture.shuffle, Random(self.recipe.seed + 1))

    def _mixed(self) -> Iterator[Outcome]:
        rng, mixture = Random(self.recipe.seed), self.recipe.mixture
        streams = [leaf.again(0) for leaf in self.leaves]
        times, shares = [0] * len(streams), [leaf.share for leaf in self.leaves]
        left = list(range(len(streams)))
        while left:
            total = sum(shares[at] for at in left)
            at = pick(left, [shares[i] / total for i in left], rng.random())
            rejected, made = _next_accepted(streams[at])
            if not times[at]:  # those of later readings are the same rows
                yield from (_of_part(outcome, self.leaves[at].name) for outcome in rejected)
            if made is None and mixture.when_empty == "repeat" and self.drawn.get(self.leaves[at].name):
                times[at] += 1
                streams[at] = self.leaves[at].again(times[at])
                _, made = _next_accepted(streams[at])
            if made is None:
                left.remove(at)
                self.used_up.append(self.leaves[at].name)
                if mixture.when_empty == "stop":
                    return
                continue
            name = self.leaves[at].name
            self.drawn[name] = self.drawn.get(name, 0) + 1
            yield made


def _of_part(outcome: Outcome, part: str) -> Outcome:
    number, made = outcome
    if isinstance(made, Rejection):
        made = made.model_copy(update={"evidence": {"part": part, **made.evidence}})
    return number, made


def _next_accepted(stream: Iterator[Outcome]) -> tuple[list[Outcome], Outcome | None]:
    rejected: list[Outcome] = []
    for outcome in stream:
        if isinstance(outcome[1], dict):
            return rejected, outcome
        rejected.append(outcome)
    return rejected, None


def islice_accepted(outcomes: Iterable[Outcome], total: int | None) -> Iterator[Outcome]:
    """Yield outcomes until `total` samples are among them."""
    left = total if total is not None else -1
    for outcome in outcomes:
        if left == 0:
            return
        left -= isinstance(outcome[1], dict)
        yield outcome
        if left == 0:
            return


def shuffled(outcomes: Iterable[Outcome], size: int, rng: Random) -> Iterator[Outcome]:
    """Yield a stream in another order, with at most `size` of it in memory."""
    held: list[Outcome] = []
    for outcome in outcomes:
        if len(held) < size:
            held.append(outcome)
            continue
        at = int(rng.random() * size)
        yield held[at]
        held[at] = outcome
    while held:
        at = int(rng.random() * len(held))
        held[at], held[-1] = held[-1], held[at]
        yield held.pop()


def _weight(part: Part, leaf: Leaf | None, rate: Rate) -> float:
    if part.weight is not None:
        return part.weight
    if rate.by == "equal":
        return 1.0
    if leaf is None:
        raise RecipeError(
            f"part {part.name!r}: a group has no rows of its own; give it a weight, or rate: {{by: equal}}"
        )
    return float(min(leaf.rows, rate.cap or leaf.rows) ** (1 / rate.temperature))


def _over(defaults: Defaults, part: Defaults) -> Defaults:
    """Return the settings of a part, with those of its group where it says nothing."""
    own = {key: getattr(part, key) for key in Defaults.model_fields}
    return Defaults(**{key: getattr(defaults, key) if value is None else value for key, value in own.items()})


def _count(source: Source, limit: int | None) -> int:
    total = source.rows
    if total is None:
        total = sum(1 for _ in islice(source.open(lambda _n, _said: None), limit))
    return max(min(total, limit or total), 1)


def _sampled(source: Source, rows: int, wanted: int, seed: int) -> Source:
    """Return a source that yields `wanted` of its `rows`, drawn evenly and in order (Knuth's algorithm S).

    The first rows would be a biased sample: many datasets are sorted.
    """

    def some(bad: BadRow) -> Iterator[Numbered]:
        rng, needed, left = Random(seed), wanted, rows
        for numbered in source.open(bad):
            if left * rng.random() < needed:
                needed -= 1
                yield numbered
            left -= 1
            if needed == 0:
                return

    return replace(source, open=some, batches=None, rows=wanted)


def load_mixture(path: Path, root: Path | None = None, total: int | None = None) -> MixtureRecipe:
    """Read a recipe with a `mixture`, by path or by the name of a bundled one.

    `root` is a folder of copies, `total` stands in place of the recipe's.

    Raises: RecipeError that names file, key and value.
    """
    path = find("recipes", str(path))
    try:
        data = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise RecipeError(not_yaml(path, error)) from error
    if not isinstance(data, dict) or "mixture" not in data:
        raise RecipeError(f"{path}: expected name, seed and a mixture; see recipes/flan_style.yaml")
    if total is not None and isinstance(data["mixture"], dict):
        data["mixture"]["total"] = total
    try:
        return MixtureRecipe.model_validate({**data, "folder": path.parent, "root": root})
    except ValidationError as error:
        said = "; ".join(_explain(problem) for problem in error.errors()[:3])
        raise RecipeError(f"{path}: {said}") from error


def _explain(problem: Mapping[str, Any]) -> str:
    place = ""
    for part in problem["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    place = place.removeprefix(".") or "mixture"
    if problem["type"] == "extra_forbidden":
        known = {*Part.model_fields, *Mixture.model_fields, *Options.model_fields, *Shots.model_fields}
        return f"{place} is not an option{suggestion(str(problem['loc'][-1]), known)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place} is {problem['input']!r:.100}: {message}"
