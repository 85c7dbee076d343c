"""Keep the best rows of a dataset that has been scored before.

    {"kind": "select", "scores": "scored/decisions.jsonl", "by": ["judge.score"], "count": 1000, "max_similarity": 0.9}

A choice among all rows needs all scores first: score in one pass (`clean` or a run with `judge`, `ifd`, `tags`), then
select in a second, from what the first wrote down: its decisions.jsonl, or a samples.jsonl.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, PositiveInt, PrivateAttr, ValidationError, model_validator

from instructgen.errors import RecipeError
from instructgen.filters import Filter, Tools, Verdict
from instructgen.filters.selection import diverse, k_center, merged_tags, quota, tag_diverse, top
from instructgen.records import Sample

if TYPE_CHECKING:
    import numpy as np


class Scored(NamedTuple):
    """A row of the scoring pass."""

    id: str
    score: float
    group: str
    tags: tuple[str, ...]
    text: str
    """Instruction, input and answer, where the pass wrote the whole sample; else ""."""


class Select(Filter):
    """Keep the rows that a strategy chooses from the scored ones; everything else is `not_selected`.

    Example: count=2, scores 3, 5, 4 -> the second and the third row
    """

    reasons: ClassVar[dict[str, str]] = {
        "not_selected": "other rows were better, or covered more",
        "not_scored": "the scoring pass has no such row, or no score for it",
    }

    kind: Literal["select"] = "select"
    scores: str = Field(description="decisions.jsonl or samples.jsonl of the scoring pass")
    by: tuple[str, ...] = Field(
        default=("judge.score",),
        description="notes (filter.note) or labels.NAME whose product is the score; `length`: characters",
    )
    strategy: Literal["top", "diverse", "k_center", "tags"] = Field(
        default="top",
        description="diverse: best first, none alike (Deita); k_center: cover; tags: many and new tags first",
    )
    count: PositiveInt = Field(description="rows to keep at most")
    per_group: PositiveInt | None = Field(default=None, description="top: rows to keep at most of one group")
    group: str = Field(default="", description="note or label that names the group, e.g. labels.category")
    min_tag_rows: PositiveInt = Field(
        default=1, description="tags: rows that a tag must stand on to count (InsTag: 20)"
    )
    max_similarity: float = Field(default=0.9, ge=-1, le=1, description="diverse: cosine that two kept rows may have")
    encoder: str = Field(default="wordllama", description="diverse, k_center: what embeds, as in the filter `semantic`")
    model: str = Field(default="", description="for an endpoint: the embedding model's name")
    key: str = Field(default="OPENAI_API_KEY", description="for an endpoint: environment variable that holds its key")
    lowest: float = Field(default=-math.inf, description="score that a row needs in any case")
    highest: float = Field(default=math.inf, description="score above which rows are left out (1 for `ifd.ratio`)")
    _kept: dict[str, int] = PrivateAttr(default_factory=dict)
    _scores: dict[str, float] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.per_group is not None and not self.group:
            raise ValueError("per_group needs `group`: the note or label that names the group, e.g. labels.category")
        return self

    def prepare(self, tools: Tools) -> Self:
        """Return a copy that knows its choice. Raises: RecipeError for missing scores or embeddings."""
        if tools.read_rows is None:
            raise RecipeError("filter 'select' reads a scores file, and this command lends no files")
        ready = super().prepare(tools)
        rows = [row for row in self._scored(tools.read_rows(self.scores)) if self.lowest <= row.score <= self.highest]
        if not rows:
            raise RecipeError(
                f"filter 'select': {self.scores} has no row with {' and '.join(self.by)} in range; "
                "score in a first pass, and name its notes in `by`"
            )
        ready._kept = {rows[at].id: place for place, at in enumerate(self._choose(rows, tools))}
        ready._scores = {row.id: row.score for row in rows}
        return ready

    def check(self, sample: Sample, since: int = 0, until: int | None = None) -> Verdict:
        """Keep what was chosen."""
        if sample.id in self._kept:
            return None
        if sample.id not in self._scores:
            return sample.rejected("not_scored")
        return sample.rejected("not_selected", score=round(self._scores[sample.id], 4), kept=len(self._kept))

    def flags(self, sample: Sample) -> dict[str, Any]:
        """Return the place in the order of choice, 1 = first, and the score."""
        if sample.id not in self._kept:
            return {}
        return {"place": self._kept[sample.id] + 1, "score": round(self._scores[sample.id], 4)}

    def _choose(self, rows: Sequence[Scored], tools: Tools) -> list[int]:
        scores = [row.score for row in rows]
        if self.strategy == "tags":
            return tag_diverse(merged_tags([row.tags for row in rows], min_rows=self.min_tag_rows), self.count)
        if self.strategy == "top":
            if self.per_group is None:
                return top(scores, self.count)
            return quota(scores, [row.group for row in rows], self.per_group)[: self.count]
        if not all(row.text for row in rows):
            raise RecipeError(
                f"filter 'select' with strategy {self.strategy} embeds texts, and {self.scores} holds ids only: "
                "score in a run, or convert to samples.jsonl first"
            )
        vectors = self._embedding(tools)([row.text for row in rows])
        if self.strategy == "k_center":
            return k_center(vectors, self.count, first=top(scores, 1)[0])
        return diverse(scores, vectors, self.count, self.max_similarity)

    def _embedding(self, tools: Tools) -> Callable[[Sequence[str]], np.ndarray]:
        if tools.embed is not None:
            return tools.embed
        if tools.encoder is not None:
            return tools.encoder(self.encoder, self.model, self.key)
        raise RecipeError(f"filter 'select' with strategy {self.strategy} needs embeddings, and nothing here makes any")

    def _scored(self, rows: Iterable[dict[str, Any]]) -> Iterator[Scored]:
        """Yield the scored rows of a decisions or samples file; closing lines and rejections are passed over."""
        for row in rows:
            found = row.get("accepted", row)
            if not isinstance(found, Mapping) or "id" not in found:
                continue
            notes = found.get("notes") or (found.get("provenance") or {}).get("notes") or {}
            known = {**notes, "labels": found.get("labels") or {}}
            text = _text(found) if "turns" in found else ""
            length = float(len(text)) if "turns" in found else math.nan  # ids alone have no length
            values = [length if name == "length" else _number(_at(known, name)) for name in self.by]
            if self.strategy == "tags" or not any(math.isnan(value) for value in values):
                tags = _at(known, "tags.tags") or _at(known, "labels.tags") or ()
                score = math.prod(values) if not any(map(math.isnan, values)) else 0.0
                yield Scored(str(found["id"]), score, str(_at(known, self.group)), tuple(map(str, tags)), text)


def _at(known: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a dotted path, or `None`."""
    value: Any = known
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _text(found: Mapping[str, Any]) -> str:
    try:
        return "\n".join(turn.text for turn in Sample.model_validate(found).turns)
    except ValidationError as error:
        raise RecipeError(
            f"filter 'select': a row of the scores file is not a sample: {error.errors()[0]['msg']}"
        ) from error
