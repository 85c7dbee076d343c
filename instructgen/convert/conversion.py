"""A dataset through a template pack: rows -> roles -> template, style, shots drawn -> rendered -> sample or rejection.

    conversion = Conversion(source, mapping, Options(seed=7))
    for number, made in conversion.run(): ...     # (row number, JSON form of a sample | Rejection), in row order

Everything is drawn in row order from one seed: the same options and rows give the same bytes.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from instructgen.convert.bank import Compiled, environment
from instructgen.convert.build import labels_of, sample_dict
from instructgen.convert.cot import Manner, manner, open_to_reasons, think
from instructgen.convert.jinja import Unrenderable
from instructgen.convert.mapping import Mapping
from instructgen.convert.options import NO_OPTIONS, Mode, Order, Style, StyleDraw, order_of
from instructgen.convert.render import Batch, Made, Renderer, Result
from instructgen.convert.shots import Example, Shots, as_text, bare, drawn_rows, exemplars
from instructgen.convert.sources import Chunk, Numbered, Source
from instructgen.convert.tokens import Counter, estimate
from instructgen.errors import TemplateError, suggestion
from instructgen.records import Rejection

CHUNK = 1000
"""Rows rendered together."""
REFERENCES = ("answers", "answer_text")
"""Roles whose values are kept as labels, for filters that check answers."""
Outcome = tuple[int, "dict[str, Any] | Rejection"]


class Options(BaseModel):
    """How rows become samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    seed: int = Field(default=0, description="all draws depend on it")
    each: Literal["one", "all"] = Field(
        default="one", description="one template a row, drawn (FLAN), or all that fit (P3)"
    )
    templates: tuple[str, ...] = Field(
        default=(), description="names of the templates to use; default: all of the pack"
    )
    inverted: float = Field(
        default=0.3, ge=0, description="weight of an inverted template, where others weigh 1 (FLAN: 0.3)"
    )
    options: dict[Mode, float] = Field(
        default={"letters": 1.0, "plain": 1.0, "none": 1.0},
        description="weights of lettered, plain and no lists of choices",
    )
    shuffle: Literal["auto", "all", "none"] = Field(
        default="auto",
        description="order of choices: drawn where the right one always stands at the same place, for all, or never",
    )
    shots: Shots = Field(default=Shots(), description="worked examples before the question")
    cot: float = Field(
        default=0.0, ge=0, le=1, description="share of the rows with a rationale that reason before they answer"
    )

    @field_validator("options")
    @classmethod
    def _weights(cls, value: dict[Mode, float]) -> dict[Mode, float]:
        if any(weight < 0 for weight in value.values()) or not sum(value.values()):
            raise ValueError("expected weights of 0 or more for letters, plain, none, one of them above 0")
        return value


class _Plan(NamedTuple):
    """What was drawn for one sample."""

    at: int
    renderer: int
    style: Style
    few: bool
    cot: bool
    order: Order | None


@dataclass
class Conversion:
    """One dataset through one pack. `run` may be called again; it starts anew. `count` measures few-shot budgets."""

    source: Source
    mapping: Mapping
    options: Options
    count: Counter = estimate
    limit: int | None = None
    """Rows read at most."""
    language: str = ""
    """BCP 47 tag of the dataset's own text, where it differs from the templates'."""
    renderers: list[Renderer] = field(init=False)

    def __post_init__(self) -> None:
        self.renderers = self._renderers()
        self._styles = StyleDraw(self.options.options)
        self._weights: dict[tuple[bool, ...], tuple[list[int], list[float]]] = {}
        self._pools: dict[tuple[int, Style], list[Example]] = {}
        self._shuffles = self.mapping.pack.label_field is not None and (
            self.options.shuffle == "all" or (self.options.shuffle == "auto" and self.mapping.gold_place is not None)
        )
        self._open = {which for which, renderer in enumerate(self.renderers) if _reasons_fit(renderer.compiled)}
        self._reasoning = self._open | {
            which for which, renderer in enumerate(self.renderers)
            if "rationale" in renderer.compiled.target.names and not renderer.compiled.template.inverted
        }  # fmt: skip
        self._provenance = [self._provenance_of(renderer) for renderer in self.renderers]

    def _renderers(self) -> list[Renderer]:
        pack, jinja = self.mapping.pack, environment()
        names = [template.name for template in pack.templates]
        for name in self.options.templates:
            if name not in names:
                raise TemplateError(f"{pack.path or pack.task}: no template {name!r}{suggestion(name, names)}")
        wanted = [one for one in pack.templates if not self.options.templates or one.name in self.options.templates]
        wanted = [one for one in wanted if self.options.inverted > 0 or not one.inverted]
        made = [Renderer(Compiled(pack, template, jinja), self.mapping.labels) for template in wanted]
        made = [renderer for renderer in made if not renderer.never]
        if not made:
            raise TemplateError(
                f"{pack.path or pack.task}: no template fits labels {self.mapping.labels}; see condition"
            )
        return made

    def _provenance_of(self, renderer: Renderer) -> dict[str, Any]:
        compiled = renderer.compiled
        known = {"source": self.source.name, "source_id": "?", "template": compiled.id, "licence": self.source.licence,
                 "language": self.language or compiled.language}  # fmt: skip
        return {key: value for key, value in known.items() if value}

    def run(self) -> Iterator[Outcome]:
        """Yield (row number, sample or rejection) in row order; with `each: all` a row has several."""
        rng, unread = Random(self.options.seed), list[Outcome]()

        def bad(number: int, said: str) -> None:
            unread.append((number, _parse_rejection("unreadable_row", number, said)))

        for chunk in self.source.chunks(bad, CHUNK, self.limit):
            yield from _merged(unread, self._convert(chunk, rng))
            unread.clear()
        yield from unread

    def examples(self, count: int = 3) -> list[dict[str, Any]]:
        """Return the first samples, for people to look at before anything is written."""
        made = self._convert(_chunk(self.source.head[: 20 * count]), Random(self.options.seed))
        return [row for _, row in made if isinstance(row, dict)][:count]

    def _convert(self, chunk: Chunk, rng: Random) -> list[Outcome]:
        numbers, batch, bad = self.mapping.take_all(chunk)
        refused = [(number, _parse_rejection(problem.reason, number, problem.detail)) for number, problem in bad]
        return list(_merged(refused, self._render(batch, numbers, rng)))

    def _render(self, batch: Batch, numbers: Sequence[int], rng: Random) -> list[Outcome]:
        plans, outcomes = self._plan(batch, numbers, rng)
        groups: dict[tuple[int, Style], list[int]] = {}
        for place, plan in enumerate(plans):
            groups.setdefault((plan.renderer, plan.style), []).append(place)
        results: dict[int, Result] = {}
        for (which, style), places in groups.items():
            part = batch.take([plans[place].at for place in places])
            part.orders = [plans[place].order for place in places] if self._shuffles else None
            results.update(zip(places, self.renderers[which].render(part, style, rng), strict=True))
        rationales = batch.columns.get("rationale")
        for place, plan in enumerate(plans):
            number, result = numbers[plan.at], results[place]
            rationale = rationales[plan.at] if rationales and plan.cot else None
            outcomes.append((number, self._finish(plan, number, result, batch, rationale, rng)))
        outcomes.sort(key=lambda outcome: outcome[0])  # stable: templates of one row stay in order
        return outcomes

    def _plan(self, batch: Batch, numbers: Sequence[int], rng: Random) -> tuple[list[_Plan], list[Outcome]]:
        """Draw template, style, few-shot and reasoning for each row, in row order."""
        fits = [renderer.fits(batch) for renderer in self.renderers]
        plans, refused, rationales = [], list[Outcome](), batch.columns.get("rationale")
        for at, fitting in enumerate(zip(*fits, strict=True)):
            indices, weights = self._weighted(fitting)
            if not indices:
                refused.append((numbers[at], _parse_rejection("no_template_fits", numbers[at], "no condition is true")))
                continue
            cot = rng.random() < self.options.cot and _has(rationales, at)
            drawn = indices
            if self.options.each == "one":
                if cot:  # where templates that reason fit, one of them is drawn
                    can = tuple(fit and which in self._reasoning for which, fit in enumerate(fitting))
                    indices, weights = self._weighted(can) if any(can) else (indices, weights)
                drawn = [indices[min(bisect(weights, rng.random() * weights[-1]), len(indices) - 1)]]
            for which in drawn:
                style, few = self._styles.draw(rng), rng.random()
                if not self.renderers[which].compiled.shows_options:
                    style = NO_OPTIONS
                order = self._order(batch, at, rng) if self._shuffles else None
                plans.append(_Plan(at, which, style, few < self.options.shots.share, cot, order))
        return plans, refused

    def _order(self, batch: Batch, at: int, rng: Random) -> Order | None:
        own = self.mapping.pack.choices_field
        return order_of(self.mapping.labels or () if own is None else batch.columns[own][at], rng)

    def _weighted(self, fitting: tuple[bool, ...]) -> tuple[list[int], list[float]]:
        """Return the templates that fit and their cumulative weights."""
        if fitting not in self._weights:
            indices = [which for which, fits in enumerate(fitting) if fits]
            weights = [self.options.inverted if self._inverted(which) else 1.0 for which in indices]
            self._weights[fitting] = indices, list(accumulate(weights))
        return self._weights[fitting]

    def _inverted(self, which: int) -> bool:
        return self.renderers[which].compiled.template.inverted

    def _finish(
        self, plan: _Plan, number: int, result: Result, batch: Batch, rationale: Any, rng: Random
    ) -> dict[str, Any] | Rejection:
        """Return a rendered row as a sample, with its reasoning and worked examples."""
        renderer = self.renderers[plan.renderer]
        if not isinstance(result, Made):
            return _template_rejection(result, number, renderer.compiled.id)
        made, shots, labels, how = result, list[tuple[str, str]](), dict[str, Any](), None
        if rationale and plan.renderer in self._open and _can_reason(made):
            how = manner(rng)
            asked, said = think(made.input, made.target, rationale, how)
            made, labels["reasoned"] = made._replace(input=asked, target=said), True
        if plan.few:
            try:
                query = Example(number, self._asks(batch, plan.at), made)
                shots = exemplars(query, self._pool(plan), self.options.shots, rng, self.count, _saying(how))
            except Unrenderable as problem:
                return _template_rejection(problem, number, renderer.compiled.id)
            labels["shots"] = len(shots)
            if self.options.shots.layout == "text":
                made, shots = as_text(made, shots), []
        answers, answer = (batch.columns[role][plan.at] if role in batch.columns else None for role in REFERENCES)
        known = {**labels_of(made, renderer.compiled, answers, answer), **labels}
        provenance = {**self._provenance[plan.renderer], "source_id": str(number)}
        return sample_dict(made, known, provenance, shots)

    def _asks(self, batch: Batch, at: int) -> int:
        """Return a hash of what a row asks, whatever its answer and however it is said."""
        pack = self.mapping.pack
        roles = [role for role in pack.fields if not pack.fields[role].optional and role != pack.label_field]
        roles = [role for role in roles if role != pack.choices_field]
        return hash(tuple(repr(batch.columns[role][at]) for role in roles))

    def _pool(self, plan: _Plan) -> list[Example]:
        """Return the drawn rows as this plan's template and style say them, to choose worked examples from."""
        key = plan.renderer, plan.style
        if key not in self._pools:
            renderer, rng = self.renderers[plan.renderer], Random(self.options.seed)
            numbers, batch = self._pool_batch
            fits = [at for at, fit in enumerate(renderer.fits(batch)) if fit]
            part = batch.take(fits)
            part.orders = [self._order(batch, at, rng) for at in fits] if self._shuffles else None
            rationales = batch.columns.get("rationale") or [None] * batch.rows
            most = self.options.shots.budget  # one that cannot fit is not kept: long documents would fill the memory
            self._pools[key] = [
                Example(numbers[at], self._asks(batch, at), one, rationales[at])
                for at, one in zip(fits, renderer.render(part, plan.style, rng), strict=True)
                if isinstance(one, Made) and self.count(one.input) + self.count(one.target) <= most
            ]
        return self._pools[key]

    @cached_property
    def _pool_batch(self) -> tuple[list[int], Batch]:
        """Return rows drawn from all of the dataset, or of its first rows where it is a stream from the network."""
        source, rng = self.source, Random(self.options.seed)
        again = source.chunks(lambda _n, _said: None, CHUNK, self.limit) if source.again else [_chunk(source.head)]
        numbers, batch, _ = self.mapping.take_all(_chunk(drawn_rows(again, rng)))
        return list(numbers), batch


def _reasons_fit(compiled: Compiled) -> bool:
    """Tell whether a rationale can stand before the target of a template: it asks for nothing but an answer."""
    template = compiled.template
    used = compiled.input.names | compiled.target.names
    whole = template.target.strip().startswith("{{") and template.target.strip().endswith("}}")
    return whole and "rationale" not in used and not template.inverted and open_to_reasons(template.input)


def _has(column: Sequence[Any] | None, at: int) -> bool:
    return column is not None and bool(column[at])


def _can_reason(made: Made) -> bool:
    """Tell whether the target is the answer alone: reasoning can be put before it."""
    return made.label is None or made.target in (made.letters or made.choices)


def _saying(how: Manner | None) -> Callable[[Example], tuple[str, str] | None]:
    """Return how examples are said: bare, or, before a question that asks for reasons, with their own."""
    if how is None:
        return bare

    def reasoned(example: Example) -> tuple[str, str] | None:
        if not example.rationale or not _can_reason(example.made):
            return None
        return think(example.made.input, example.made.target, example.rationale, how)

    return reasoned


def _chunk(rows: Sequence[Numbered]) -> Chunk:
    return Chunk([number for number, _ in rows], [row for _, row in rows])


def _merged(first: Iterable[Outcome], second: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield two lists of outcomes as one, in row order."""
    return iter(sorted([*first, *second], key=lambda outcome: outcome[0]))


def _parse_rejection(reason: str, number: int, detail: str) -> Rejection:
    return Rejection(stage="parse", reason=reason, evidence={"row": number, "detail": detail})


def _template_rejection(problem: Unrenderable, number: int, template: str) -> Rejection:
    evidence: dict[str, Any] = {"row": number, "template": template, "detail": problem.detail}
    return Rejection(stage="parse", reason=problem.reason, evidence=evidence)
